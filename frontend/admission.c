// Decides which peers are let in, and sets their limits (see admission.h). Runs in hss-frontend.
#include "frontend/admission.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "frontend/frontend.h"
#include "lib/base/ident.h"
#include "lib/diameter/app_name.h"
#include "lib/base/log.h"

#define BURST_US 100000 // of the rate of a peer

static struct log_limit log_half_open;

void admission_configure(struct conn *c)
{
	const struct config *config = c->fe->config;
	const struct config_peer *known = config_peer_find(config, slice_of(c->host, c->host_len));
	c->watchdog.tw_ms = config->watchdog_ms < 6000 ? 6000 : config->watchdog_ms;
	c->peer_flags = (known ? known->refuse_in_aia : config->refuse_in_aia) ? IPC_PEER_REFUSE_IN_AIA : 0;
	if (known && known->interconnect)
		c->peer_flags |= IPC_PEER_INTERCONNECT | (config->interconnect_log_only ? IPC_PEER_LOG_ONLY : 0);
	c->max_pending = known && known->max_pending ? known->max_pending : config->max_pending;
	c->max_rate = known ? known->max_rate : 0;
}

// A virtual queue that is emptied at max_rate: full, when it holds more than a tenth of a second's worth.
bool admission_rate(struct conn *c)
{
	uint64_t now_us = c->fe->now_us, step = 1000000 / c->max_rate;
	if (c->rate_due_us > now_us + BURST_US)
		return false;
	c->rate_due_us = (c->rate_due_us > now_us ? c->rate_due_us : now_us) + step;
	return true;
}

// The applications that a listed peer may use, as a mask of frontend.apps.
uint64_t admission_apps(const struct frontend *fe, const struct config_peer *known)
{
	static const uint32_t id[] = {
#define APP(number, folder, application) [CONFIG_APP_##folder] = application,
#include "apps/apps.def"
#undef APP
	};
	uint64_t mask = 0;
	for (uint32_t i = 0; i < known->application_cnt; i++) {
		int app = frontend_app_index(fe, id[known->applications[i]]);
		mask |= app >= 0 ? 1ull << app : 0;
	}
	return known->application_cnt ? mask : UINT64_MAX;
}

// Where a peer may come from: `from`; without it `addresses`, unless they say where we connect to.
static bool address_listed(const struct conn *c, const struct config_peer *known)
{
	struct base_addr from;
	bool by_from = known->from_cnt != 0;
	uint32_t cnt = by_from ? known->from_cnt : known->connect ? 0 : known->address_cnt;
	if (cnt == 0)
		return true;
	if (!transport_source(&c->transport, &from))
		return false;
	for (uint32_t i = 0; i < cnt; i++) {
		const char *text = by_from ? known->from[i] : known->addresses[i];
		uint8_t want[16];
		int family = strchr(text, ':') ? AF_INET6 : AF_INET;
		if (inet_pton(family, text, want) == 1 &&
		    from.len == (family == AF_INET ? 4 : 16) && memcmp(want, from.octets, from.len) == 0)
			return true;
	}
	return false;
}

// What peers.list demands of this one; 0 when it is met.
static uint32_t listed_result(const struct conn *c, const struct config_peer *known,
			      enum transport_proof proof, const struct base_cer *cer, const char **why)
{
	const enum config_transport kind = c->transport.ops->kind;
	bool common = cer->relay;
	if (known->via == VIA_TLS && (kind != TRANSPORT_TLS || proof != TRANSPORT_PROVEN)) {
		*why = "peer must use TLS and a certificate";
		return RESULT_NO_COMMON_SECURITY;
	}
	if (known->via != VIA_ANY && kind != (enum config_transport)(known->via - VIA_TCP)) {
		*why = "peer must use another transport";
		return RESULT_UNKNOWN_PEER;
	}
	if (!address_listed(c, known)) {
		*why = "peer is listed with other addresses";
		return RESULT_UNKNOWN_PEER;
	}
	for (unsigned i = 0; i < cer->app_cnt; i++) {
		int app = frontend_app_index(c->fe, cer->apps[i]);
		common |= app >= 0 && admission_apps(c->fe, known) >> app & 1;
	}
	if (!common) {
		*why = "no allowed application";
		return RESULT_NO_COMMON_APPLICATION;
	}
	return 0;
}

// What a peer offers that is not served here, in an operator's words: most often it belongs to another HSS.
static const char *offered_text(const struct base_cer *cer, char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "no common application; this HSS does not serve");
	for (unsigned i = 0; i < cer->app_cnt && n < cap; i++) {
		const char *name = app_interface(cer->apps[i]);
		n += (size_t)snprintf(out + n, cap - n, "%s %s (%u)", i ? "," : "", name ? name : "another one", cer->apps[i]);
	}
	if (cer->app_cnt == 0)
		snprintf(out, cap, "no common application; it offers none");
	return out;
}

// The verdict on what a peer says about itself; 0 when it may come in.
uint32_t admission_result(const struct conn *c, const struct base_cer *cer, const char **why)
{
	static char other[200];
	const struct frontend *fe = c->fe;
	char who[128];
	enum transport_proof proof = TRANSPORT_UNPROVEN;
	bool secure = c->transport.ops->proof != NULL;
	if (secure)
		proof = c->transport.ops->proof(&c->transport, cer->origin_host, who, sizeof who);
	// a peer whose certificate has another name is as unknown as one that is not listed (3010)
	if (proof == TRANSPORT_OTHER) {
		snprintf(other, sizeof other, "the certificate is that of %s", who);
		*why = other;
		return RESULT_UNKNOWN_PEER;
	}
	if (proof == TRANSPORT_REVOKED) {
		*why = "certificate revoked";
		return RESULT_UNKNOWN_PEER;
	}
	if (slice_eq_nocase(cer->origin_host, fe->node.host)) {
		*why = "claims our identity";
		return RESULT_UNKNOWN_PEER;
	}
	const struct config_peer *known = config_peer_find(fe->config, cer->origin_host);
	if (fe->config->accept == ACCEPT_LISTED && !known) {
		*why = "peer is not listed";
		return RESULT_UNKNOWN_PEER;
	}
	// Inband-Security-Id: TLS (1) without "none" (0) demands what this connection does not have
	if (!secure && cer->inband_security & 2 && !(cer->inband_security & 1)) {
		*why = "no common security";
		return RESULT_NO_COMMON_SECURITY;
	}
	if (!base_cer_common(cer, &fe->node)) {
		*why = offered_text(cer, other, sizeof other);
		return RESULT_NO_COMMON_APPLICATION;
	}
	return known ? listed_result(c, known, proof, cer, why) : 0;
}

bool admission_probe(const struct conn *c, const struct base_cer *cer)
{
	struct base_addr from, local[BASE_ADDRS_MAX];
	if (cer->origin_state_id == 0 || cer->origin_state_id != c->fe->control->probe_token ||
	    !slice_eq_nocase(cer->origin_host, c->fe->node.host) || !transport_source(&c->transport, &from))
		return false;
	uint32_t cnt = c->transport.ops->local(&c->transport, local);
	for (uint32_t i = 0; i < cnt; i++)
		if (local[i].len == from.len && memcmp(local[i].octets, from.octets, from.len) == 0)
			return true;
	return false;
}

uint32_t admission_again(const struct conn *c, const char **why)
{
	struct base_cer cer = {.origin_host = slice_of(c->host, c->host_len), .relay = c->relay};
	for (uint32_t i = 0; i < c->fe->app_cnt && cer.app_cnt < BASE_APPS_MAX; i++)
		if (c->app_mask >> i & 1)
			cer.apps[cer.app_cnt++] = c->fe->apps[i];
	return admission_result(c, &cer, why);
}

// ---- half-open connections -----------------------------------------------------------------------

// Counted by address in buckets of a seeded hash: two addresses in one bucket share a limit, which is rare
// and harms only while one of them is at it. IPv6: by /64, which is one customer. -1: no address, not
// limited.
int admission_bucket(const struct frontend *fe, const struct transport *transport)
{
	struct base_addr from;
	uint64_t key[2] = {fe->conns.seed};
	if (!transport_source(transport, &from))
		return -1;
	memcpy(&key[1], from.octets, from.len == 4 ? 4 : 8);
	return (int)(ident_hash_bytes(slice_of((const uint8_t *)key, sizeof key), false) % CONN_BUCKETS);
}

bool admission_half_open_full(struct frontend *fe, const struct transport *transport, int bucket)
{
	char address[64];
	if (bucket < 0 || fe->conns.half_open[bucket] < fe->config->max_half_open)
		return false;
	stat_add(fe->stats, STAT_HALF_OPEN_REFUSED, 1);
	if (log_limit_pass(&log_half_open, 1)) {
		transport->ops->remote(transport, address, sizeof address);
		log_warn("too_many_half_open", LOG_STR("address", address),
			 LOG_INT("limit", fe->config->max_half_open));
	}
	return true;
}

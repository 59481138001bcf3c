// Whom we connect to, and when (see dial.h). Runs in hss-frontend.
#include "frontend/dial.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "frontend/frontend.h"
#include "frontend/peer.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define DELAY_FIRST_MS 1000u
#define DELAY_MAX_MS   30000u // Tc of RFC 6733 12
#define HEALTHY_MS     30000u // after that the next delay is the first one again

struct entry {
	bool used;
	bool given_up; // until a reload
	bool up;
	uint32_t conn, generation; // of its connection, which may be gone
	uint32_t delay_ms;
	uint64_t next_ms, since_ms;
	char reason[64]; // why the last attempt or connection ended
	struct config_peer peer;
};

struct dialer {
	struct entry entry[CONFIG_PEER_MAX]; // by place in peers.list
	uint64_t random;
	bool allowed; // the sandbox lets us: somebody was to be dialled at the start
};

// As connectx and bindx take them.
struct addresses {
	_Alignas(struct sockaddr_in6) uint8_t packed[(1 + CONFIG_ADDRESS_MAX) * sizeof(struct sockaddr_in6)];
	socklen_t len;
	bool v4, v6;
};

static struct log_limit log_failed;

int dial_new(struct frontend *fe)
{
	fe->dialer = calloc(1, sizeof *fe->dialer);
	if (!fe->dialer)
		return -ENOMEM;
	fe->dialer->allowed = config_connects(fe->config);
	fe->dialer->random = (clock_wall_us() + fe->index) * 0x9e3779b97f4a7c15ull | 1;
	dial_configure(fe);
	return 0;
}

void dial_free(struct frontend *fe)
{
	free(fe->dialer);
	fe->dialer = NULL;
}

static struct entry *entry_of(const struct conn *c)
{
	return c->dial ? &c->fe->dialer->entry[c->dial - 1] : NULL;
}

// A connection that stays keeps its entry: entries move with their host.
void dial_configure(struct frontend *fe)
{
	struct dialer *d = fe->dialer;
	const struct config *config = fe->config;
	struct dialer *old = malloc(sizeof *old);
	if (!old)
		return; // as it was
	if (!d->allowed && config_connects(config))
		log_warn("peer_connect_needs_restart");
	*old = *d;
	memset(d->entry, 0, sizeof d->entry);
	for (uint32_t i = 0; i < fe->conns.high; i++)
		if (fe->conns.conn[i].dial)
			fe->conns.conn[i].dial = 0;
	for (uint32_t i = 0; i < config->peer_cnt; i++) {
		struct entry *e = &d->entry[i];
		if (!d->allowed || !config->peer[i].connect || i % config->frontends != fe->index)
			continue;
		*e = (struct entry){.used = true, .peer = config->peer[i], .delay_ms = DELAY_FIRST_MS};
		for (uint32_t j = 0; j < CONFIG_PEER_MAX; j++) {
			const struct entry *was = &old->entry[j];
			if (!was->used || strcmp(was->peer.host, e->peer.host) != 0)
				continue;
			struct conn *c = was->generation ? conn_find(fe, was->conn, was->generation) : NULL;
			e->conn = was->conn;
			e->generation = was->generation;
			e->up = was->up;
			e->since_ms = was->since_ms;
			if (c && !c->ending)
				c->dial = (uint16_t)(i + 1);
		}
	}
	free(old);
}

static uint64_t jittered(struct dialer *d, uint32_t ms)
{
	d->random ^= d->random << 13;
	d->random ^= d->random >> 7;
	d->random ^= d->random << 17;
	return ms - ms / 4 + (d->random >> 32) % (ms / 2 + 1);
}

static void addresses_add(struct addresses *a, const char *text, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	if (a->len + sizeof v6 > sizeof a->packed)
		return;
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		memcpy(a->packed + a->len, &v4, sizeof v4);
		a->len += (socklen_t)sizeof v4;
		a->v4 = true;
	} else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
		memcpy(a->packed + a->len, &v6, sizeof v6);
		a->len += (socklen_t)sizeof v6;
		a->v6 = true;
	}
}

static const struct transport_ops *peer_addresses(const struct config_peer *p, struct addresses *to)
{
	uint16_t port = p->port ? p->port : p->via == VIA_TLS ? 5868 : 3868;
	*to = (struct addresses){0};
	for (uint32_t i = 0; i < p->address_cnt; i++)
		addresses_add(to, p->addresses[i], port);
	return p->via == VIA_TLS ? &transport_tls : p->via == VIA_SCTP ? &transport_sctp : &transport_tcp;
}

// SCTP: our end's addresses are those of the first endpoint in `listen` that can reach the peer. Without them
// the kernel offers every address of this machine, also those that no peer can or should reach.
static void own_addresses(const struct config *config, const struct addresses *to, struct addresses *from)
{
	*from = (struct addresses){0};
	for (uint32_t i = 0; i < config->listen_cnt; i++) {
		const struct config_listen *l = &config->listen[i];
		if (l->transport != TRANSPORT_SCTP)
			continue;
		*from = (struct addresses){0};
		addresses_add(from, l->address, 0);
		for (uint32_t j = 0; j < l->address_cnt; j++)
			addresses_add(from, l->addresses[j], 0);
		if ((from->v4 && to->v4) || (from->v6 && to->v6))
			return;
	}
	from->len = 0;
}

static void later(struct dialer *d, struct entry *e, uint64_t now_ms)
{
	e->next_ms = now_ms + jittered(d, e->delay_ms);
	e->delay_ms = e->delay_ms * 2 < DELAY_MAX_MS ? e->delay_ms * 2 : DELAY_MAX_MS;
}

static void failed(struct entry *e, const char *why)
{
	snprintf(e->reason, sizeof e->reason, "%s", why);
	if (log_limit_pass(&log_failed, 10))
		log_warn("peer_connect_failed", LOG_STR("peer", e->peer.host),
			 LOG_STR("address", e->peer.addresses[0]), LOG_STR("reason", why));
}

static void start(struct frontend *fe, uint32_t i, uint64_t now_ms)
{
	struct entry *e = &fe->dialer->entry[i];
	struct addresses to, from = {0};
	struct transport t;
	const struct transport_ops *ops = peer_addresses(&e->peer, &to);

	if (ops == &transport_sctp)
		own_addresses(fe->config, &to, &from);
	const struct transport_path path = {.to = (const struct sockaddr *)to.packed,
					    .to_len = to.len,
					    .from = (const struct sockaddr *)from.packed,
					    .from_len = from.len,
					    .host = e->peer.host};
	later(fe->dialer, e, now_ms); // the next try, should this one fail
	int err = to.len ? ops->connect(&path, &t) : -EINVAL;
	if (err) {
		failed(e, err_text(err));
		return;
	}
	struct conn *c = conn_dial_take(fe, &t, i);
	if (!c) {
		failed(e, "too many connections");
		return;
	}
	e->conn = c->index;
	e->generation = c->generation;
	e->up = false;
}

void dial_tick(struct frontend *fe, uint64_t now_ms)
{
	uint32_t frontend, conn, generation;
	for (uint32_t i = 0; i < fe->config->peer_cnt && !fe->stopping; i++) {
		struct entry *e = &fe->dialer->entry[i];
		if (!e->used || e->given_up || e->next_ms > now_ms)
			continue;
		if (e->generation && conn_find(fe, e->conn, e->generation))
			continue;
		if (control_peer_find(fe->control, slice_str(e->peer.host), &frontend, &conn, &generation) >=
		    0)
			e->next_ms = now_ms + DELAY_FIRST_MS; // it came by itself
		else
			start(fe, i, now_ms);
	}
}

struct conn *dial_pending(struct frontend *fe, struct slice host)
{
	for (uint32_t i = 0; i < fe->config->peer_cnt; i++) {
		const struct entry *e = &fe->dialer->entry[i];
		if (!e->used || e->up || !e->generation || !slice_eq_nocase(host, slice_str(e->peer.host)))
			continue;
		return conn_find(fe, e->conn, e->generation);
	}
	return NULL;
}

const char *dial_host(const struct conn *c)
{
	const struct entry *e = entry_of(c);
	return e ? e->peer.host : "";
}

void dial_up(struct conn *c)
{
	struct entry *e = entry_of(c);
	if (!e)
		return;
	e->up = true;
	e->since_ms = clock_mono_ms();
}

void dial_leave(struct conn *c, uint32_t cause)
{
	struct entry *e = entry_of(c);
	if (!e)
		return;
	e->given_up = cause == BASE_DO_NOT_WANT_TO_TALK_TO_YOU;
	if (e->given_up)
		snprintf(e->reason, sizeof e->reason, "DO_NOT_WANT_TO_TALK_TO_YOU");
	if (cause == BASE_BUSY)
		e->delay_ms = DELAY_MAX_MS;
	if (e->given_up)
		log_info("peer_not_dialled", LOG_STR("peer", e->peer.host),
			 LOG_STR("reason", "DO_NOT_WANT_TO_TALK_TO_YOU"));
}

void dial_gone(struct conn *c, const char *why)
{
	struct dialer *d = c->fe->dialer;
	struct entry *e = entry_of(c);
	if (!e)
		return;
	uint64_t now_ms = clock_mono_ms();
	c->dial = 0;
	if (!e->up) {
		failed(e, why);
		return; // when next was decided at the start
	}
	e->up = false;
	if (!e->given_up)
		snprintf(e->reason, sizeof e->reason, "%s", why);
	if (now_ms - e->since_ms >= HEALTHY_MS && e->delay_ms < DELAY_MAX_MS)
		e->delay_ms = DELAY_FIRST_MS;
	later(d, e, now_ms);
}

struct dial_status dial_status(const struct frontend *fe, uint32_t i, uint64_t now_ms)
{
	const struct entry *e = &fe->dialer->entry[i];
	struct dial_status s = {.dialled = e->used, .given_up = e->given_up, .reason = e->reason};
	struct conn *c = e->generation ? conn_find((struct frontend *)fe, e->conn, e->generation) : NULL;
	s.connecting = c && !c->ending && !e->up;
	s.next_ms = e->next_ms > now_ms ? (uint32_t)(e->next_ms - now_ms) : 0;
	return s;
}

// Connections that we open: which peers, where, and when again (see dial.h). Runs in hss-frontend.
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
#define REMEMBERED_MS  600000u // so long a peer of before is dialled
#define ENTRY_MAX      (CONFIG_PEER_MAX + CONFIG_REMEMBERED_MAX)

struct entry {
	bool used;
	bool given_up; // until a reload
	bool up;
	uint32_t conn, generation; // of its connection, which may be gone
	uint32_t delay_ms;
	uint32_t wait_ms; // between the last attempt and the next one
	uint64_t next_ms, since_ms;
	char reason[64]; // why the last attempt or connection ended
	struct config_peer peer;
	uint64_t until_ms; // of a remembered peer: given up then; 0: never
	uint32_t tries;
};

struct dialer {
	struct entry entry[ENTRY_MAX]; // by place in peers.list; behind them those that hssd remembers
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

// What is known of this host, and its connection, moves to a new entry.
static void take_over(struct frontend *fe, uint32_t i, const struct dialer *old)
{
	struct entry *e = &fe->dialer->entry[i];
	for (uint32_t j = 0; j < ENTRY_MAX; j++) {
		const struct entry *was = &old->entry[j];
		if (!was->used || strcmp(was->peer.host, e->peer.host) != 0)
			continue;
		struct conn *c = was->generation ? conn_find(fe, was->conn, was->generation) : NULL;
		e->conn = was->conn;
		e->generation = was->generation;
		e->up = was->up;
		e->since_ms = was->since_ms;
		if (e->until_ms && was->until_ms)
			e->until_ms = was->until_ms;
		if (c && !c->ending)
			c->dial = (uint16_t)(i + 1);
	}
}

// peers.list[i] with `connect: true`.
static void add_listed(struct frontend *fe, uint32_t i, const struct dialer *old)
{
	const struct config_peer *p = &fe->config->peer[i];
	if (!p->connect || i % fe->config->frontends != fe->index)
		return;
	fe->dialer->entry[i] = (struct entry){.used = true, .peer = *p, .delay_ms = DELAY_FIRST_MS};
	take_over(fe, i, old);
}

// A peer that was connected before; one that peers.list has us connect to is no news.
static void add_remembered(struct frontend *fe, uint32_t i, const struct dialer *old)
{
	const struct config_remembered *r = &fe->config->remembered[i];
	struct entry *e = &fe->dialer->entry[CONFIG_PEER_MAX + i];
	const struct config_peer *listed = config_peer_find(fe->config, slice_str(r->host));
	if (listed && listed->connect)
		return;
	*e = (struct entry){.used = true, .delay_ms = DELAY_FIRST_MS, .until_ms = clock_mono_ms() + REMEMBERED_MS};
	e->peer.via = r->via;
	e->peer.connect = true;
	memcpy(e->peer.host, r->host, sizeof e->peer.host);
	for (unsigned j = 0; j < 2; j++)
		if (r->addresses[j][0] && (j == 0 || strcmp(r->addresses[0], r->addresses[1]) != 0))
			snprintf(e->peer.addresses[e->peer.address_cnt++], CONFIG_HOST_MAX, "%s", r->addresses[j]);
	take_over(fe, CONFIG_PEER_MAX + i, old);
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
	for (uint32_t i = 0; d->allowed && i < config->peer_cnt; i++)
		add_listed(fe, i, old);
	for (uint32_t i = 0; d->allowed && config->dial_back && i < config->remembered_cnt; i++)
		add_remembered(fe, i, old);
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

// SCTP: all of them, as one association. Otherwise the first one; of a remembered peer each in turn, since only one of them may be
// where it listens.
static const struct transport_ops *peer_addresses(const struct entry *e, struct addresses *to)
{
	const struct config_peer *p = &e->peer;
	uint32_t first = e->until_ms && p->address_cnt ? e->tries % p->address_cnt : 0;
	uint16_t port = p->port ? p->port : p->via == VIA_TLS ? 5868 : 3868;
	*to = (struct addresses){0};
	for (uint32_t i = 0; i < p->address_cnt && (i == 0 || p->via == VIA_SCTP); i++)
		addresses_add(to, p->addresses[(first + i) % p->address_cnt], port);
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
	e->wait_ms = (uint32_t)jittered(d, e->delay_ms);
	e->next_ms = now_ms + e->wait_ms;
	e->delay_ms = e->delay_ms * 2 < DELAY_MAX_MS ? e->delay_ms * 2 : DELAY_MAX_MS;
}

static void failed(struct entry *e, const char *why)
{
	snprintf(e->reason, sizeof e->reason, "%s", why);
	if (log_limit_pass(&log_failed, 10))
		log_warn("peer_connect_failed", LOG_STR("peer", e->peer.host),
			 LOG_STR("address", e->peer.addresses[0]), LOG_STR("reason", why),
			 LOG_INT("wait_ms", e->wait_ms));
}

static void start(struct frontend *fe, uint32_t i, uint64_t now_ms)
{
	struct entry *e = &fe->dialer->entry[i];
	struct addresses to, from = {0};
	struct transport t;
	const struct transport_ops *ops = peer_addresses(e, &to);

	if (ops == &transport_sctp)
		own_addresses(fe->config, &to, &from);
	const struct transport_path path = {.to = (const struct sockaddr *)to.packed,
					    .to_len = to.len,
					    .from = (const struct sockaddr *)from.packed,
					    .from_len = from.len,
					    .host = e->peer.host};
	e->tries++;
	later(fe->dialer, e, now_ms); // the next try, should this one fail
	if (!to.len) {
		failed(e, "its host name could not be resolved");
		return;
	}
	int err = ops->connect(&path, &t);
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

// Whether this entry is to be dialled now. A remembered peer that is back, or does not come, is forgotten: from then on it is
// a peer like any other.
static bool is_due(struct frontend *fe, struct entry *e, uint64_t now_ms)
{
	uint32_t frontend, conn, generation;
	if (!e->used || e->given_up || e->next_ms > now_ms || (e->generation && conn_find(fe, e->conn, e->generation)))
		return false;
	bool here = control_peer_find(fe->control, slice_str(e->peer.host), &frontend, &conn, &generation) >= 0;
	if (e->until_ms && (here || e->up || now_ms > e->until_ms))
		e->used = false;
	else if (here)
		e->next_ms = now_ms + DELAY_FIRST_MS; // it came by itself
	return e->used && !here;
}

void dial_tick(struct frontend *fe, uint64_t now_ms)
{
	for (uint32_t i = 0; i < ENTRY_MAX && !fe->stopping; i++)
		if (is_due(fe, &fe->dialer->entry[i], now_ms))
			start(fe, i, now_ms);
}

struct conn *dial_pending(struct frontend *fe, struct slice host)
{
	for (uint32_t i = 0; i < ENTRY_MAX; i++) {
		const struct entry *e = &fe->dialer->entry[i];
		if (!e->used || e->up || !e->generation || !slice_eq_nocase(host, slice_str(e->peer.host)))
			continue;
		return conn_find(fe, e->conn, e->generation);
	}
	return NULL;
}

void dial_listens(const struct conn *c, const struct base_cer *cer, char out[64])
{
	struct base_addr from = {0};
	bool local = transport_source(&c->transport, &from) && from.len == 4 && from.octets[0] == 127;
	memset(out, 0, 64);
	for (unsigned i = 0; i < cer->addr_cnt; i++) {
		const struct base_addr *a = &cer->addrs[i];
		bool useless = a->octets[0] == 0 || (a->len == 4 && a->octets[0] == 127 && !local);
		if (!useless && inet_ntop(a->len == 4 ? AF_INET : AF_INET6, a->octets, out, 64))
			return;
	}
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
		return; // when next, was decided at the start
	}
	e->up = false;
	e->used = !e->until_ms; // a remembered one was here: what comes is its own business
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

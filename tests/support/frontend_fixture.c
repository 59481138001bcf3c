// See frontend_fixture.h.
#include "tests/support/frontend_fixture.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "frontend/route.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/diameter/avp.h"
#include "tests/support/check.h"

#define WORKER_WATER (64u << 20) // more than any test sends
#define IN_STEP      (1u << 20)

void ff_configure(struct ff *f)
{
	f->config = (struct config){.host = FF_HOST,
				    .realm = FF_REALM,
				    .watchdog_ms = 30000,
				    .cer_timeout_ms = 5000,
				    .max_message = 65536,
				    .max_connections = 8,
				    .max_half_open = 8,
				    .max_pending = 100,
				    .request_timeout_ms = 2000,
				    .frontends = 1,
				    .workers = 1};
}

void ff_open(struct ff *f, unsigned frontends, uint64_t now_us)
{
	log_init("test", LOG_LEVEL_ERROR, false, false);
	clock_freeze_us(f->now_us = now_us);
	f->fe_cnt = f->config.frontends = frontends;
	int fd = control_create(frontends, f->config.workers);
	CHECK(fd >= 0 && (f->control = control_map(fd, true)) != NULL);
	close(fd);
	CHECK((f->base = event_base_new()) != NULL);
	for (unsigned i = 0; i < frontends; i++)
		CHECK(frontend_init(&f->fe[i], &f->config, f->base, f->control,
				    &f->control->stats[control_instance(ROLE_FRONTEND, i)], i,
				    f->config.workers) == 0);
}

void ff_close(struct ff *f)
{
	for (unsigned i = 0; i < f->fe_cnt; i++)
		frontend_fini(&f->fe[i]);
	for (unsigned i = 0; i < WORKER_MAX; i++)
		channel_free(&f->worker[i]);
	event_base_free(f->base);
	munmap(f->control, sizeof *f->control);
	clock_freeze_us(0);
}

void ff_pump(struct ff *f, unsigned rounds)
{
	while (rounds--)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

void ff_later(struct ff *f, unsigned ms)
{
	clock_freeze_us(f->now_us += ms * 1000ull);
	for (unsigned i = 0; i < f->fe_cnt; i++)
		frontend_tick(&f->fe[i]);
	ff_pump(f, 3);
}

void ff_worker_start(struct ff *f, unsigned i, const struct channel_ops *ops, void *ctx)
{
	int fds[2];
	struct channel *old = f->worker[i];
	CHECK(channel_pair(fds) == 0);
	CHECK((f->worker[i] = channel_new_take(f->base, fds[0], WORKER_WATER, ops, ctx)) != NULL);
	frontend_worker_take(&f->fe[0], i, fds[1]);
	channel_free(&old);
}

bool ff_is_peer(const struct ff *f, const char *host)
{
	uint32_t frontend, conn, generation;
	return control_peer_find(f->control, slice_str(host), &frontend, &conn, &generation) >= 0;
}

bool ff_at_rest(const struct ff *f)
{
	return frontend_conn_cnt(&f->fe[0]) == 0 && route_pending(&f->fe[0]) == 0;
}

// ---- peers ---------------------------------------------------------------------------------------

int ff_connect(struct ff *f, struct conn **conn)
{
	int fds[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	struct conn *c = conn_open_take(&f->fe[0], &(struct transport){.ops = &transport_tcp, .fd = fds[1]});
	if (conn)
		*conn = c;
	return fds[0];
}

bool ff_send(int fd, const void *octets, size_t len)
{
	return send(fd, octets, len, MSG_NOSIGNAL) == (ssize_t)len;
}

void ff_send_pieces(struct ff *f, int fd, const uint8_t *octets, size_t len, size_t piece)
{
	for (size_t at = 0; at < len; at += piece) {
		if (!ff_send(fd, octets + at, piece < len - at ? piece : len - at))
			return;
		ff_pump(f, 1);
		ff_drain(fd);
	}
}

size_t ff_drain(int fd)
{
	static uint8_t sink[65536];
	size_t all = 0;
	ssize_t n;
	while ((n = read(fd, sink, sizeof sink)) > 0)
		all += (size_t)n;
	return all;
}

void ff_peer_open(struct ff *f, struct ff_peer *p)
{
	*p = (struct ff_peer){0};
	p->fd = ff_connect(f, &p->conn);
}

void ff_peer_hang_up(struct ff_peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

void ff_peer_free(struct ff_peer *p)
{
	ff_peer_hang_up(p);
	free(p->in);
	p->in = NULL;
}

bool ff_peer_read(struct ff_peer *p)
{
	size_t before = p->in_len;
	for (;;) {
		if (p->in_cap - p->in_len < 65536)
			CHECK((p->in = realloc(p->in, p->in_cap += IN_STEP)) != NULL);
		ssize_t n = recv(p->fd, p->in + p->in_len, p->in_cap - p->in_len, 0);
		if (n > 0) {
			p->in_len += (size_t)n;
			continue;
		}
		p->eof |= n == 0 || errno == ECONNRESET;
		return p->in_len > before;
	}
}

uint32_t ff_peer_message(const struct ff_peer *p)
{
	if (p->in_len < DIAMETER_HEADER_LEN)
		return 0;
	uint32_t len = be24_get(p->in + 1);
	return len <= p->in_len ? len : 0;
}

void ff_peer_drop(struct ff_peer *p)
{
	uint32_t len = ff_peer_message(p);
	memmove(p->in, p->in + len, p->in_len - len);
	p->in_len -= len;
}

// ---- messages ------------------------------------------------------------------------------------

struct base_node ff_node(const char *host)
{
	static const uint32_t apps[] = {APP_S6A};
	return (struct base_node){.host = slice_str(host),
				  .realm = slice_str(FF_MME_REALM),
				  .product = slice_str("test"),
				  .apps = apps,
				  .app_cnt = 1};
}

static uint32_t whole(const struct wr *w)
{
	CHECK(!w->err);
	return (uint32_t)wr_len(w);
}

uint32_t ff_cer(uint8_t *out, size_t cap, const char *host)
{
	struct base_node node = ff_node(host);
	struct wr w = wr_of(out, cap);
	base_cer_write(&w, &node, 1, 2);
	return whole(&w);
}

uint32_t ff_dwr(uint8_t *out, size_t cap, const char *host)
{
	struct base_node node = ff_node(host);
	struct wr w = wr_of(out, cap);
	base_dwr_write(&w, &node, 5, 6);
	return whole(&w);
}

struct wr ff_air(uint8_t *out, size_t cap, struct slice session_id, const char *imsi)
{
	const struct command *air = grammar_by_id(CMD_AIR);
	struct wr w = wr_of(out, cap);
	header_begin(&w, HEADER_R | HEADER_P, air->code, air->app, 77, 88);
	avp_put_slice(&w, AVP_CODE_Session_Id, 0, AVP_M, session_id);
	avp_put_u32(&w, AVP_CODE_Auth_Session_State, 0, AVP_M, 1);
	avp_put_slice(&w, AVP_CODE_Origin_Host, 0, AVP_M, slice_str(FF_MME));
	avp_put_slice(&w, AVP_CODE_Origin_Realm, 0, AVP_M, slice_str(FF_MME_REALM));
	avp_put_slice(&w, AVP_CODE_Destination_Realm, 0, AVP_M, slice_str(FF_REALM));
	avp_put_slice(&w, AVP_CODE_User_Name, 0, AVP_M, slice_str(imsi));
	avp_put(&w, AVP_CODE_Visited_PLMN_Id, VENDOR_3GPP, AVP_M, "\x00\xf1\x10", 3);
	return w;
}

// What a host that we connect to can do with octets alone: a stream, cut into pieces, in place of its CEA or
// after it, while it may also connect to us by itself (an election). The first octet says which: bit 0: after
// a good CEA; bit 1: it connects too, before the octets; bit 2: ours is the greater identity; the rest: how
// long the pieces are. Afterwards it is dialled again, is our peer, and another one is served.
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "frontend/dial.h"
#include "frontend/frontend.h"
#include "frontend/peer.h"
#include "frontend/route.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config config = {
    .host = "hss.hss.example",
    .realm = "hss.example",
    .watchdog_ms = 30000,
    .cer_timeout_ms = 5000,
    .max_message = 65536,
    .max_connections = 8,
    .max_half_open = 8,
    .max_pending = 100,
    .request_timeout_ms = 2000,
    .frontends = 1,
    .workers = 1,
    .peer = {{.host = "aaa.example",
	      .addresses = {"127.0.0.1"},
	      .address_cnt = 1,
	      .via = VIA_TCP,
	      .connect = true}},
    .peer_cnt = 1,
};
static struct frontend fe;
static struct event_base *base;
static struct control *control;
static uint64_t now_us = 1000000000;
static int dialled = -1; // the other end of the last connection that the frontend opened

// In place of the system's: the connection is a socket pair, whose other end is the peer here.
int connect(int fd, const struct sockaddr *to, socklen_t len)
{
	int fds[2];
	(void)to, (void)len;
	if (dialled >= 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) ||
	    dup2(fds[1], fd) < 0)
		abort();
	close(fds[1]);
	dialled = fds[0];
	return 0;
}

static void start(void)
{
	int fd = control_create(1, 1);
	log_init("fuzz", LOG_LEVEL_ERROR, false, false);
	clock_freeze_us(now_us);
	base = event_base_new();
	control = control_map(fd, true);
	if (!base || !control ||
	    frontend_init(&fe, &config, base, control, &control->stats[control_instance(ROLE_FRONTEND, 0)], 0,
			  1))
		abort();
}

static void pump(unsigned rounds)
{
	while (rounds--)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void later(unsigned ms)
{
	clock_freeze_us(now_us += ms * 1000ull);
	frontend_tick(&fe);
	pump(3);
}

static ssize_t take(int fd)
{
	static uint8_t sink[65536];
	ssize_t n, all = 0;
	while ((n = read(fd, sink, sizeof sink)) > 0)
		all += n;
	return all;
}

// Capabilities of `host`: a CER, or the answer to the CER with this Hop-by-Hop.
static void capabilities(int fd, const char *host, uint32_t hop, bool request)
{
	uint8_t out[512], in[DIAMETER_HEADER_LEN] = {1, 0, 0, DIAMETER_HEADER_LEN, HEADER_R, 0, 1, 1};
	struct base_node node = {.host = slice_str(host),
				 .realm = slice_str("example"),
				 .product = slice_str("fuzz"),
				 .apps = (uint32_t[]){APP_S6A},
				 .app_cnt = 1};
	struct wr w = wr_of(out, sizeof out);
	be32_put(in + HEADER_HBH_OFFSET, hop);
	if (request)
		base_cer_write(&w, &node, hop, hop);
	else
		base_cea_write(&w, &node, in, RESULT_SUCCESS, NULL, slice_str(""));
	if (wr_len(&w) == 0 || send(fd, out, wr_len(&w), MSG_NOSIGNAL) < 0)
		return; // it was closed: what comes next sees that
	pump(3);
}

static int comes(const char *host)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds))
		abort();
	conn_open_take(&fe, &(struct transport){.ops = &transport_tcp, .fd = fds[1]});
	capabilities(fds[0], host, 1, true);
	return fds[0];
}

static void hang_up(void)
{
	if (dialled >= 0)
		close(dialled);
	dialled = -1;
	pump(3);
}

static bool is_peer(const char *host)
{
	uint32_t frontend, conn, generation;
	return control_peer_find(control, slice_str(host), &frontend, &conn, &generation) >= 0;
}

// As after a reload: dialled at once, whatever happened before. Returns the CER's Hop-by-Hop.
static uint32_t dial(void)
{
	config.peer_cnt = 0;
	dial_configure(&fe);
	config.peer_cnt = config.peer[0].address_cnt = 1;
	dial_configure(&fe);
	config.peer[0].address_cnt = 0; // a socket pair comes from no address
	uint32_t hop = fe.next_hop = 7;
	later(1);
	if (dialled < 0 || take(dialled) < DIAMETER_HEADER_LEN)
		abort();
	return hop;
}

static void attack(const uint8_t *data, size_t size)
{
	size_t piece = (data[0] >> 3) * 7u + 1 + size / 40; // few enough to be quick
	int own = -1;
	uint32_t hop = dial();
	if (data[0] & 2)
		own = comes(config.peer[0].host);
	if (data[0] & 1)
		capabilities(dialled, config.peer[0].host, hop, false);
	for (size_t at = 1; at < size; at += piece) {
		size_t n = piece < size - at ? piece : size - at;
		if (send(dialled, data + at, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		pump(1);
		take(dialled);
	}
	pump(2);
	// whoever won: it is not connected twice, and what it may have is a connection that works
	if (frontend_conn_cnt(&fe) > (own >= 0 ? 2 : 1))
		abort();
	hang_up();
	if (own >= 0)
		close(own);
	pump(3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!base)
		start();
	if (size < 1)
		return 0;
	snprintf(config.peer[0].host, sizeof config.peer[0].host, "%s",
		 data[0] & 4 ? "aaa.example" : "zzz.example");
	attack(data, size);
	later(3000); // what lingers is gone; it may have been dialled again
	hang_up();
	later(3000);
	hang_up();
	uint32_t hop = dial();
	capabilities(dialled, config.peer[0].host, hop, false);
	if (!is_peer(config.peer[0].host))
		abort();
	int good = comes("good.example");
	if (take(good) < DIAMETER_HEADER_LEN || !is_peer("good.example"))
		abort();
	close(good);
	config.peer_cnt = 0; // nobody is dialled between inputs
	dial_configure(&fe);
	hang_up();
	later(3000);
	if (frontend_conn_cnt(&fe) || route_pending(&fe))
		abort();
	return 0;
}

// What a peer can do to a frontend with octets alone: a stream, cut into pieces, before or after its CER. The
// first octet says which: bit 0: after a good CER, the rest: how long the pieces are. A second peer must be
// served afterwards.
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
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
    .max_pending = 100,
    .request_timeout_ms = 2000,
    .workers = 1,
};
static struct frontend fe;
static struct event_base *base;
static struct control *control;
static struct channel *worker;
static uint64_t now_us = 1000000000;

static void on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct ipc_request q;
	(void)ctx, (void)ch;
	if (hdr->type != IPC_REQUEST)
		return;
	// what a worker relies on: slots inside of the message, and a message of the length said
	memcpy(&q, body, sizeof q);
	const struct avp_slot *slots = (const void *)(body + sizeof q);
	if (sizeof *hdr + sizeof q + q.slot_cnt * sizeof *slots + q.msg_len != hdr->len)
		abort();
	for (unsigned i = 0; i < q.slot_cnt; i++)
		if (slots[i].cnt && (uint64_t)slots[i].off + slots[i].len > q.msg_len)
			abort();
}

static void on_down(void *ctx, struct channel *ch, int why)
{
	(void)ctx, (void)ch, (void)why;
	abort();
}

static const struct channel_ops ops = {.on_frame = on_frame, .on_down = on_down};

static void start(void)
{
	int fds[2], fd = control_create(1, 1);
	log_init("fuzz", LOG_LEVEL_ERROR, false, false);
	clock_freeze_us(now_us);
	base = event_base_new();
	control = control_map(fd, true);
	if (!base || !control || channel_pair(fds) ||
	    frontend_init(&fe, &config, base, control, &control->stats[control_instance(ROLE_FRONTEND, 0)], 0,
			  1))
		abort();
	worker = channel_new_take(base, fds[0], 1 << 20, &ops, NULL);
	frontend_worker_take(&fe, 0, fds[1]);
}

static void pump(unsigned rounds)
{
	while (rounds--)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static int peer(const char *host)
{
	static uint8_t out[512];
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds))
		abort();
	conn_open_take(&fe, &(struct transport){.ops = &transport_tcp, .fd = fds[1]});
	struct base_node mme = {.host = slice_str(host),
				.realm = slice_str("example"),
				.product = slice_str("fuzz"),
				.apps = (uint32_t[]){APP_S6A},
				.app_cnt = 1};
	struct wr w = wr_of(out, sizeof out);
	base_cer_write(&w, &mme, 1, 2);
	if (host[0] && write(fds[0], out, wr_len(&w)) != (ssize_t)wr_len(&w))
		abort();
	pump(2);
	return fds[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t sink[65536];
	if (!base)
		start();
	if (size < 1)
		return 0;
	int bad = peer(data[0] & 1 ? "bad.example" : "");
	size_t piece = (data[0] >> 1) * 7u + 1 + size / 40; // few enough to be quick
	for (size_t at = 1; at < size; at += piece) {
		size_t n = piece < size - at ? piece : size - at;
		if (send(bad, data + at, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		pump(1);
		while (read(bad, sink, sizeof sink) > 0)
			continue;
	}
	pump(2);
	int good = peer("good.example");
	if (read(good, sink, sizeof sink) < DIAMETER_HEADER_LEN)
		abort();
	close(bad);
	close(good);
	// what is pending ends by its time-out, so that every input meets the same frontend
	clock_freeze_us(now_us += 10000000);
	frontend_tick(&fe);
	pump(3);
	if (frontend_conn_cnt(&fe) || route_pending(&fe))
		abort();
	return 0;
}

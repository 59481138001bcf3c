// Framed channels: any segmentation, batches, back-pressure, broken frames, descriptors, callbacks that free.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/ipc/channel.h"

// What one side saw.
struct side {
	struct channel *ch;
	unsigned frames, batches, downs, drains;
	int why;
	uint64_t next_id;
	size_t last_len;
	uint8_t last[64];
	int fds[CHANNEL_FD_MAX];
	unsigned fd_cnt, take;
	bool echo, free_in_frame, free_in_batch, free_in_down, free_in_drain, fail_in_frame, send_in_frame;
};

static struct event_base *base;

static void on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct side *s = ctx;
	size_t len = hdr->len - sizeof(*hdr);

	assert_int_equal((uintptr_t)body % 8, 0);
	assert_int_equal(hdr->id, s->next_id);
	s->next_id++;
	s->frames++;
	s->last_len = len;
	memcpy(s->last, body, len < sizeof(s->last) ? len : sizeof(s->last));
	for (size_t i = 0; i < len; i++) // every octet of the body is what was sent with this id
		if (body[i] != (uint8_t)(hdr->id + i))
			fail_msg("octet %zu of frame %llu", i, (unsigned long long)hdr->id);
	s->fd_cnt += channel_take_fds(ch, s->fds + s->fd_cnt, s->take);
	if (s->echo)
		assert_true(channel_send(ch, hdr->type, hdr->id, body, len));
	if (s->fail_in_frame)
		channel_fail(ch, -EBADMSG);
	if (s->free_in_frame) {
		channel_free(&s->ch);
		assert_int_equal(body[len - 1], (uint8_t)(hdr->id + len - 1)); // valid until we return
	}
}

static void on_batch(void *ctx, struct channel *ch)
{
	struct side *s = ctx;
	(void)ch;
	s->batches++;
	if (s->free_in_batch)
		channel_free(&s->ch);
}

static void on_down(void *ctx, struct channel *ch, int why)
{
	struct side *s = ctx;
	(void)ch;
	s->downs++;
	s->why = why;
	if (s->free_in_down)
		channel_free(&s->ch);
}

static void on_drain(void *ctx, struct channel *ch)
{
	struct side *s = ctx;
	(void)ch;
	s->drains++;
	if (s->free_in_drain)
		channel_free(&s->ch);
}

static const struct channel_ops ops = {
	.on_frame = on_frame, .on_batch = on_batch, .on_down = on_down, .on_drain = on_drain};

static void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void settle(void)
{
	for (int i = 0; i < 20; i++)
		turn();
}

static void open_one(struct side *s, int fd, size_t high_water)
{
	s->ch = channel_new_take(base, fd, high_water, &ops, s);
	assert_non_null(s->ch);
}

static void open_both(struct side *a, struct side *b, size_t high_water)
{
	int fds[2];
	assert_int_equal(channel_pair(fds), 0);
	open_one(a, fds[0], high_water);
	open_one(b, fds[1], high_water);
}

static void close_both(struct side *a, struct side *b)
{
	channel_free(&a->ch);
	channel_free(&b->ch);
}

static void fill(uint8_t *p, uint64_t id, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(id + i);
}

static bool send_one(struct channel *ch, uint64_t id, size_t len)
{
	uint8_t *p =
	    channel_begin(ch, IPC_ADMIN_DATA, 0, id, len + 5); // more than needed: commit says how much
	if (!p)
		return false;
	assert_int_equal((uintptr_t)p % 8, 0);
	fill(p, id, len);
	channel_commit(ch, len);
	return true;
}

// The bytes of frames id 0..cnt-1 with lengths from `lens`, as they are on the socket.
static size_t compose(uint8_t *out, const size_t *lens, unsigned cnt)
{
	size_t n = 0;
	for (unsigned id = 0; id < cnt; id++) {
		struct ipc_hdr hdr = {
			.len = (uint32_t)(sizeof(hdr) + lens[id]), .type = IPC_ADMIN_DATA, .id = id};
		memcpy(out + n, &hdr, sizeof(hdr));
		fill(out + n + sizeof(hdr), id, lens[id]);
		n += (sizeof(hdr) + lens[id] + 7) / 8 * 8;
	}
	return n;
}

// --- frames

static void any_segmentation(void **state)
{
	(void)state;
	static const size_t lens[] = {0, 1, 7, 8, 9, 63, 100};
	uint8_t bytes[1024] = {0};
	size_t total = compose(bytes, lens, 7);

	for (size_t step = 1; step <= total; step++) {
		struct side b = {0};
		int fds[2];
		assert_int_equal(channel_pair(fds), 0);
		open_one(&b, fds[1], 1024);
		for (size_t at = 0; at < total; at += step) {
			size_t n = total - at < step ? total - at : step;
			assert_int_equal(write(fds[0], bytes + at, n), n);
			turn();
		}
		assert_int_equal(b.frames, 7);
		assert_int_equal(b.last_len, 100);
		assert_int_equal(b.downs, 0);
		close(fds[0]);
		turn();
		assert_int_equal(b.downs, 1);
		assert_int_equal(b.why, 0);
		channel_free(&b.ch);
	}
}

static void cut_anywhere(void **state)
{
	(void)state;
	static const size_t lens[] = {20, 5};
	uint8_t bytes[128] = {0};
	size_t total = compose(bytes, lens, 2), first = 40;

	for (size_t cut = 0; cut < total; cut++) {
		struct side b = {.free_in_down = true};
		int fds[2];
		assert_int_equal(channel_pair(fds), 0);
		open_one(&b, fds[1], 1024);
		if (cut)
			assert_int_equal(write(fds[0], bytes, cut), cut);
		close(fds[0]);
		settle();
		assert_int_equal(b.frames, cut >= first ? 1 : 0);
		assert_int_equal(b.downs, 1);
		assert_int_equal(b.why, cut == 0 || cut == first ? 0 : -EPROTO);
		assert_null(b.ch);
	}
}

static void longest_frame(void **state)
{
	(void)state;
	struct side a = {0}, b = {0};
	open_both(&a, &b, 2 * IPC_BODY_MAX);
	for (uint64_t id = 0; id < 50; id++) {
		uint8_t *p = channel_begin(a.ch, IPC_ADMIN_DATA, 0, id, IPC_BODY_MAX);
		assert_non_null(p);
		fill(p, id, IPC_BODY_MAX);
		channel_commit(a.ch, id & 1 ? IPC_BODY_MAX - 3 : IPC_BODY_MAX);
		channel_flush(a.ch);
		settle();
	}
	settle();
	assert_int_equal(b.frames, 50);
	assert_null(channel_begin(a.ch, IPC_ADMIN_DATA, 0, 0, IPC_BODY_MAX + 1));
	close_both(&a, &b);
}

static void batch_is_one_read_and_one_write(void **state)
{
	(void)state;
	struct side a = {0}, b = {.echo = true};
	open_both(&a, &b, 1 << 20);
	for (uint64_t id = 0; id < 500; id++)
		assert_true(send_one(a.ch, id, 60));
	assert_int_equal(channel_unsent(a.ch), 500 * 80);
	turn();
	assert_int_equal(b.frames, 0); // composed, not sent
	channel_flush(a.ch);
	assert_int_equal(channel_unsent(a.ch), 0);
	turn();
	assert_int_equal(b.frames, 500);
	assert_int_equal(b.batches, 1);
	settle();
	assert_int_equal(a.frames, 500);
	assert_int_equal(a.batches, 1); // the echoes went in one piece after the batch
	close_both(&a, &b);
}

// What a look ahead finds from inside of a callback: the frames that follow, whole ones only.
static unsigned ahead_seen[8], ahead_frames;

static void look_ahead(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct ipc_hdr next;
	const uint8_t *at;
	size_t cursor = 0;
	(void)ctx;
	(void)body;
	unsigned n = 0;
	while (channel_ahead(ch, &cursor, &next, &at)) {
		n++;
		assert_int_equal(next.id, hdr->id + n);
		assert_int_equal(at[0], (uint8_t)next.id);
	}
	ahead_seen[ahead_frames++] = n;
}

static void ahead_gives_whole_frames(void **state)
{
	(void)state;
	static const struct channel_ops ahead_ops = {.on_frame = look_ahead, .on_down = on_down};
	static const size_t lens[] = {9, 16, 33, 60};
	uint8_t bytes[512];
	size_t len = compose(bytes, lens, 4);
	int fds[2];
	struct side b = {0};
	assert_int_equal(channel_pair(fds), 0);
	b.ch = channel_new_take(base, fds[1], 4096, &ahead_ops, &b);
	ahead_frames = 0;
	assert_int_equal(write(fds[0], bytes, len - 8), len - 8); // the last one is cut
	settle();
	assert_int_equal(ahead_frames, 3);
	assert_int_equal(ahead_seen[0], 2);
	assert_int_equal(ahead_seen[1], 1);
	assert_int_equal(ahead_seen[2], 0);
	assert_int_equal(write(fds[0], bytes + len - 8, 8), 8);
	settle();
	assert_int_equal(ahead_frames, 4);
	channel_free(&b.ch);
	close(fds[0]);
}

static void abandoned_frame_leaves_nothing(void **state)
{
	(void)state;
	struct side a = {0}, b = {0};
	open_both(&a, &b, 1024);
	assert_true(send_one(a.ch, 0, 10));
	assert_non_null(channel_begin(a.ch, IPC_ADMIN_DATA, 0, 77, 500));
	channel_abandon(a.ch);
	assert_true(send_one(a.ch, 1, 10));
	channel_flush(a.ch);
	settle();
	assert_int_equal(b.frames, 2);
	close_both(&a, &b);
}

// --- back-pressure

static void high_water_and_drain(void **state)
{
	(void)state;
	struct side a = {0}, b = {0};
	int fds[2];
	assert_int_equal(channel_pair(fds), 0);
	open_one(&a, fds[0], 100000);
	uint64_t sent = 0;
	while (channel_unsent(a.ch) < 100000) { // nobody reads: the socket fills, then the buffer
		assert_true(send_one(a.ch, sent++, 1000));
		channel_flush(a.ch);
	}
	assert_null(channel_begin(a.ch, IPC_ADMIN_DATA, 0, sent, 8));
	assert_true(channel_unsent(a.ch) < 100000 + 1024);
	settle();
	assert_int_equal(a.drains, 0);
	open_one(&b, fds[1], 1024);
	while (!a.drains)
		turn();
	assert_true(channel_unsent(a.ch) <= 50000);
	assert_true(send_one(a.ch, sent++, 1000));
	channel_flush(a.ch);
	settle();
	while (b.frames < sent)
		turn();
	assert_int_equal(a.drains, 1);
	close_both(&a, &b);
}

static void drain_comes_from_the_loop(void **state)
{
	(void)state;
	struct side a = {0}, b = {0};
	open_both(&a, &b, 64);
	assert_true(send_one(a.ch, 0, 60));
	assert_null(channel_begin(a.ch, IPC_ADMIN_DATA, 0, 1, 8));
	channel_flush(a.ch); // all of it goes at once
	assert_int_equal(channel_unsent(a.ch), 0);
	assert_int_equal(a.drains, 0); // not inside of our own call
	settle();
	assert_int_equal(a.drains, 1);
	close_both(&a, &b);
}

static void partial_writes_keep_order_and_alignment(void **state)
{
	(void)state;
	struct side a = {0}, b = {0};
	int fds[2];
	assert_int_equal(channel_pair(fds), 0);
	int small = 4608;
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	open_one(&a, fds[0], 30000);
	open_one(&b, fds[1], 1024);
	uint64_t id = 0;
	srand(1);
	while (id < 20000) {
		while (id < 20000 && send_one(a.ch, id, (size_t)rand() % 700))
			id++;
		channel_flush(a.ch);
		turn();
	}
	while (b.frames < 20000)
		turn();
	assert_true(a.drains > 0);
	close_both(&a, &b);
}

// --- what is broken

static void broken(uint32_t len, uint16_t type)
{
	struct side b = {0};
	struct ipc_hdr hdr = {.len = len, .type = type};
	int fds[2];
	assert_int_equal(channel_pair(fds), 0);
	open_one(&b, fds[1], 1024);
	assert_int_equal(write(fds[0], &hdr, sizeof(hdr)), sizeof(hdr));
	settle();
	assert_int_equal(b.frames, 0);
	assert_int_equal(b.downs, 1);
	assert_int_equal(b.why, -EPROTO);
	assert_false(channel_is_up(b.ch));
	assert_null(channel_begin(b.ch, IPC_ADMIN_DATA, 0, 0, 8));
	assert_int_equal(write(fds[0], &hdr, sizeof(hdr)), sizeof(hdr));
	settle();
	assert_int_equal(b.downs, 1); // told once
	channel_free(&b.ch);
	close(fds[0]);
}

static void broken_frames(void **state)
{
	(void)state;
	for (uint32_t len = 0; len < 16; len++)
		broken(len, IPC_ADMIN_DATA);
	broken(16 + IPC_BODY_MAX + 1, IPC_ADMIN_DATA);
	broken(0x7fffffff, IPC_ADMIN_DATA);
	broken(UINT32_MAX, IPC_ADMIN_DATA);
	broken(64, IPC_NONE);
	broken(64, IPC_TYPE_CNT);
	broken(64, UINT16_MAX);
	broken(16 + 47, IPC_REQUEST); // below its minimum
	broken(16 + 25, IPC_SQN_BLOCK);
}

static void wrong_side(void **state)
{
	(void)state;
	struct side a = {0}, b = {0};
	uint8_t body[64];
	open_both(&a, &b, 1024);
	channel_set_sides(b.ch, IPC_SIDE_FRONTEND, IPC_SIDE_WORKER);
	fill(body, 0, sizeof(body));
	assert_true(channel_send(a.ch, IPC_REQUEST, 0, body, sizeof(body)));
	channel_flush(a.ch);
	settle();
	assert_int_equal(b.frames, 1);
	assert_true(channel_send(a.ch, IPC_ANSWER, 1, body, sizeof(body)));
	channel_flush(a.ch);
	settle();
	assert_int_equal(b.frames, 1);
	assert_int_equal(b.why, -EPROTO);
	close_both(&a, &b);
}

static void receiver_refuses_a_body(void **state)
{
	(void)state;
	struct side a = {0}, b = {.fail_in_frame = true};
	open_both(&a, &b, 1024);
	for (uint64_t id = 0; id < 3; id++)
		assert_true(send_one(a.ch, id, 8));
	channel_flush(a.ch);
	settle();
	assert_int_equal(b.frames, 1);
	assert_int_equal(b.batches, 0);
	assert_int_equal(b.downs, 1);
	assert_int_equal(b.why, -EBADMSG);
	close_both(&a, &b);
}

// The other side wrote its last frames and died: they are read, although our own write failed before.
static void last_words(void **state)
{
	(void)state;
	struct side a = {0}, b = {0};
	open_both(&a, &b, 1024);
	for (uint64_t id = 0; id < 3; id++)
		assert_true(send_one(b.ch, id, 8));
	channel_flush(b.ch);
	channel_free(&b.ch);
	assert_true(send_one(a.ch, 0, 8));
	channel_flush(a.ch); // fails
	assert_false(channel_is_up(a.ch));
	assert_int_equal(a.downs, 0); // never inside of the caller
	settle();
	assert_int_equal(a.frames, 3);
	assert_int_equal(a.downs, 1);
	assert_int_equal(a.why, -EPIPE);
	close_both(&a, &b);
}

// --- freed inside

static void freed_inside(void **state)
{
	(void)state;
	for (int where = 0; where < 3; where++) {
		struct side a = {0}, b = {.free_in_frame = where == 0,
					  .free_in_batch = where == 1,
					  .free_in_down = where == 2};
		open_both(&a, &b, 1024);
		for (uint64_t id = 0; id < 3; id++)
			assert_true(send_one(a.ch, id, 8));
		channel_flush(a.ch);
		turn();
		if (where == 2)
			channel_free(&a.ch);
		settle();
		assert_null(b.ch);
		assert_int_equal(b.frames, where == 0 ? 1 : 3);
		close_both(&a, &b);
	}
	struct side a = {.free_in_drain = true}, b = {0};
	open_both(&a, &b, 16);
	assert_true(send_one(a.ch, 0, 60));
	assert_null(channel_begin(a.ch, IPC_ADMIN_DATA, 0, 1, 8));
	channel_flush(a.ch);
	settle();
	assert_null(a.ch);
	close_both(&a, &b);
	channel_free(&b.ch); // NULL is accepted
}

// --- descriptors

static unsigned fds_open(void)
{
	unsigned cnt = 0;
	for (int fd = 0; fd < 200; fd++)
		cnt += fcntl(fd, F_GETFD) >= 0;
	return cnt;
}

static void descriptors(void **state)
{
	(void)state;
	static uint8_t boot[100000]; // longer than one piece of the socket
	unsigned before = fds_open();
	struct side a = {0}, b = {.take = CHANNEL_FD_MAX};
	open_both(&a, &b, 1 << 20);
	channel_accept_fds(b.ch);
	int fds[CHANNEL_FD_MAX];
	for (unsigned i = 0; i < CHANNEL_FD_MAX; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(channel_send(a.ch, IPC_STOP, 0, NULL, 0));
	fill(boot, 1, sizeof(boot));
	assert_true(channel_send_fds(a.ch, IPC_BOOT, 1, boot, sizeof(boot), fds, 21));
	fill(boot, 2, sizeof(boot));
	assert_true(channel_send_fds(a.ch, IPC_EDGE, 2, boot, 8, fds, 1));
	fill(boot, 3, sizeof(boot));
	assert_true(channel_send_fds(a.ch, IPC_EDGE, 3, boot, 8, fds, 1));
	settle();
	assert_int_equal(b.frames, 4);
	assert_int_equal(b.fd_cnt, 23);
	for (unsigned i = 0; i < b.fd_cnt; i++) {
		assert_int_equal(fcntl(b.fds[i], F_GETFD), FD_CLOEXEC);
		close(b.fds[i]);
	}
	// what the receiver does not take is closed
	b.take = 1;
	b.fd_cnt = 0;
	fill(boot, 4, sizeof(boot));
	assert_true(channel_send_fds(a.ch, IPC_BOOT, 4, boot, 1000, fds, CHANNEL_FD_MAX));
	settle();
	assert_int_equal(b.fd_cnt, 1);
	close(b.fds[0]);
	assert_false(channel_send_fds(a.ch, IPC_BOOT, 5, boot, 8, fds, CHANNEL_FD_MAX + 1));
	for (unsigned i = 0; i < CHANNEL_FD_MAX; i++)
		close(fds[i]);
	close_both(&a, &b);
	assert_int_equal(fds_open(), before);
}

static void descriptors_missing(void **state)
{
	(void)state;
	struct side a = {0}, b = {.take = 1};
	uint8_t body[8];
	open_both(&a, &b, 1024);
	channel_accept_fds(b.ch);
	fill(body, 0, sizeof(body));
	uint8_t *p = channel_begin(a.ch, IPC_EDGE, 1, 0, 8); // says one, brings none
	memcpy(p, body, 8);
	channel_commit(a.ch, 8);
	channel_flush(a.ch);
	settle();
	assert_int_equal(b.frames, 0);
	assert_int_equal(b.why, -EPROTO);
	close_both(&a, &b);
}

static void descriptors_not_expected(void **state)
{
	(void)state;
	struct side a = {0}, b = {.take = 1};
	uint8_t body[8];
	unsigned before = fds_open();
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	open_both(&a, &b, 1024);
	fill(body, 0, sizeof(body));
	assert_true(channel_send_fds(a.ch, IPC_EDGE, 0, body, 8, &fd, 1));
	settle();
	assert_int_equal(b.frames, 1);
	assert_int_equal(b.fd_cnt, 0);
	close(fd);
	close_both(&a, &b);
	assert_int_equal(fds_open(), before); // the kernel dropped it
}

static void descriptors_when_full(void **state)
{
	(void)state;
	struct side a = {0};
	int fds[2], fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	uint8_t body[8] = {0};
	assert_int_equal(channel_pair(fds), 0);
	open_one(&a, fds[0], 4 << 20);
	unsigned sent = 0;
	while (channel_send_fds(a.ch, IPC_EDGE, sent, body, 8, &fd, 1))
		sent++;
	assert_true(sent > 8);
	assert_true(channel_is_up(a.ch)); // refused, nothing lost
	assert_int_equal(channel_unsent(a.ch), 0);
	close(fds[1]);
	close(fd);
	channel_free(&a.ch);
}

// --- speed: requests of a usual size there and back, as a frontend and a worker exchange them

#define PONGS  1000000u
#define WINDOW 64u

struct pong {
	struct side side;
	uint64_t sent, got;
};

static void pong_send(struct pong *p)
{
	while (p->sent < PONGS && p->sent - p->got < WINDOW) {
		uint8_t *b = channel_begin(p->side.ch, IPC_REQUEST, 0, p->sent, 600);
		assert_non_null(b);
		memset(b, 0, 600);
		channel_commit(p->side.ch, 600);
		p->sent++;
	}
}

static void pong_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct pong *p = ctx;
	(void)ch;
	(void)body;
	if (hdr->id != p->got++)
		fail_msg("answer %llu", (unsigned long long)hdr->id);
}

static void pong_batch(void *ctx, struct channel *ch)
{
	(void)ch;
	pong_send(ctx);
}

static void answer_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	(void)ctx;
	uint8_t *b = channel_begin(ch, IPC_ANSWER, 0, hdr->id, 400);
	assert_non_null(b);
	memcpy(b, body, 400);
	channel_commit(ch, 400);
}

static void throughput(void **state)
{
	(void)state;
	static const struct channel_ops asks = {
		.on_frame = pong_frame, .on_batch = pong_batch, .on_down = on_down};
	static const struct channel_ops answers = {.on_frame = answer_frame, .on_down = on_down};
	struct pong p = {0};
	struct side b = {0};
	int fds[2];
	assert_int_equal(channel_pair(fds), 0);
	p.side.ch = channel_new_take(base, fds[0], 1 << 20, &asks, &p);
	b.ch = channel_new_take(base, fds[1], 1 << 20, &answers, &b);
	uint64_t began = clock_mono_us();
	pong_send(&p);
	channel_flush(p.side.ch);
	while (p.got < PONGS)
		event_base_loop(base, EVLOOP_ONCE);
	uint64_t us = clock_mono_us() - began;
	print_message("%u requests and answers, window %u: %.0f a second (one thread plays both sides)\n",
		      PONGS, WINDOW, PONGS * 1e6 / (double)us);
	close_both(&p.side, &b);
}

static int start(void **state)
{
	(void)state;
	base = event_base_new();
	return base ? 0 : -1;
}

static int finish(void **state)
{
	(void)state;
	event_base_free(base);
	libevent_global_shutdown();
	return 0;
}

// --- wiping

#define SECRET_LEN 32

static uint8_t secret_masked[SECRET_LEN]; // so that the search does not find what it looks for

static bool chunk_holds_secret(const uint8_t *p, size_t len)
{
	const uint8_t *next = p;
	while ((next = memchr(next, secret_masked[0] ^ 0x5a, len - (size_t)(next - p)))) {
		size_t at = (size_t)(next++ - p), n = 0;
		if (at + SECRET_LEN > len)
			break;
		while (n < SECRET_LEN && (p[at + n] ^ 0x5a) == secret_masked[n])
			n++;
		if (n == SECRET_LEN)
			return true;
	}
	return false;
}

// Anywhere in the writable memory of this process, freed blocks included.
static bool memory_holds_secret(void)
{
	static uint8_t chunk[1 << 20];
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned long begin, end;
	char line[512], rights[8];
	bool found = false;

	assert_true(maps && mem >= 0);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &begin, &end, rights) != 3 || rights[1] != 'w' ||
		    end - begin > 1ul << 30) // a sanitizer's shadow
			continue;
		for (unsigned long at = begin; at < end && !found; at += sizeof(chunk) - SECRET_LEN) {
			size_t len = end - at < sizeof(chunk) ? end - at : sizeof(chunk);
			ssize_t n = pread(mem, chunk, len, (off_t)at);
			found = n > 0 && chunk_holds_secret(chunk, (size_t)n);
			memset(chunk, 0, sizeof(chunk));
		}
	}
	fclose(maps);
	close(mem);
	return found;
}

static void on_secret(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct side *s = ctx;
	(void)ch;
	(void)hdr;
	(void)body;
	s->frames++;
}

static void send_secret(struct channel *ch, size_t len)
{
	uint8_t *p = channel_begin(ch, IPC_ADMIN_DATA, 0, 0, len);
	assert_non_null(p);
	memset(p, 0, len);
	for (size_t at = 0; at + SECRET_LEN <= len; at += 1000)
		for (size_t i = 0; i < SECRET_LEN; i++)
			p[at + i] = secret_masked[i] ^ 0x5a;
	channel_commit(ch, len);
}

// Frames that fit no socket buffer, so that the output grows, moves and is sent in parts; the input's last frame is
// cut. Then the reader closes over what is unsent.
static void secret_passes(bool wipe)
{
	static const struct channel_ops quiet = {.on_frame = on_secret, .on_down = on_down};
	struct side a = {0}, b = {0};
	int fds[2], small = 4096;

	assert_int_equal(channel_pair(fds), 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	a.ch = channel_new_take(base, fds[0], 1 << 20, &quiet, &a);
	b.ch = channel_new_take(base, fds[1], 1 << 20, &quiet, &b);
	assert_true(a.ch && b.ch);
	if (wipe) {
		channel_set_wipe(a.ch);
		channel_set_wipe(b.ch);
	}
	for (unsigned round = 0; round < 20; round++) {
		send_secret(a.ch, 30000);
		send_secret(a.ch, 100);
		channel_flush(a.ch);
		if (round % 3 == 0)
			turn();
	}
	while (b.frames < 40)
		turn();
	if (wipe)
		assert_false(memory_holds_secret());
	send_secret(a.ch, 60000);
	channel_flush(a.ch);
	channel_free(&b.ch);
	settle();
	assert_int_equal(a.downs, 1);
	channel_free(&a.ch);
}

static void wiping_leaves_nothing(void **state)
{
	(void)state;
	uint64_t x = clock_mono_us() | 1;
	for (size_t i = 0; i < SECRET_LEN; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		secret_masked[i] = (uint8_t)(x >> 33);
	}
	secret_passes(true);
	assert_false(memory_holds_secret());
	secret_passes(false);
	assert_true(memory_holds_secret()); // the search finds what is there
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_segmentation),
	    cmocka_unit_test(cut_anywhere),
	    cmocka_unit_test(longest_frame),
	    cmocka_unit_test(ahead_gives_whole_frames),
	    cmocka_unit_test(batch_is_one_read_and_one_write),
	    cmocka_unit_test(abandoned_frame_leaves_nothing),
	    cmocka_unit_test(high_water_and_drain),
	    cmocka_unit_test(drain_comes_from_the_loop),
	    cmocka_unit_test(partial_writes_keep_order_and_alignment),
	    cmocka_unit_test(broken_frames),
	    cmocka_unit_test(wrong_side),
	    cmocka_unit_test(receiver_refuses_a_body),
	    cmocka_unit_test(last_words),
	    cmocka_unit_test(freed_inside),
	    cmocka_unit_test(descriptors),
	    cmocka_unit_test(descriptors_missing),
	    cmocka_unit_test(descriptors_not_expected),
	    cmocka_unit_test(descriptors_when_full),
	    cmocka_unit_test(wiping_leaves_nothing),
	    cmocka_unit_test(throughput),
	};
	return cmocka_run_group_tests(tests, start, finish);
}

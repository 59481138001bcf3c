// Shares of the workers' queue: how much of it a peer that floods may fill when it is alone, beside another
// one that floods, and beside one that asks now and then. The worker's end of the channel is in the test's
// hands.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "frontend/peer.h"
#include "frontend/route.h"
#include "lib/base/clock.h"
#include "lib/diameter/avp.h"
#include "tests/support/frontend_fixture.h"

#define START_US 5000000000ull
#define AIR_LONG (FAIR_WINDOW / FAIR_UNIT)
#define AIR_SHRT (FAIR_WINDOW_SHORT / FAIR_UNIT)
#define FLOOD    (4 * AIR_LONG) // what a flooding peer sends at once

static struct ff f;
static struct frontend *const fe = f.fe;
static struct ff_peer flood, other, light;
static uint8_t air[1024], bulk[FLOOD * sizeof air];
static uint32_t air_len;
static size_t cut[2]; // of the AIR that `flood` and `other` sent last

// What the worker has not answered, in the order in which it came.
static struct {
	uint64_t id[ROUTE_PENDING_MAX];
	uint32_t conn[ROUTE_PENDING_MAX];
	unsigned cnt;
} queue;

static void on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct ipc_request q;
	(void)ctx, (void)ch;
	if (hdr->type != IPC_REQUEST)
		return;
	memcpy(&q, body, sizeof q);
	queue.conn[queue.cnt] = q.conn;
	queue.id[queue.cnt++] = hdr->id;
}

static void on_down(void *ctx, struct channel *ch, int why)
{
	(void)ctx, (void)ch, (void)why;
}

static const struct channel_ops ops = {.on_frame = on_frame, .on_down = on_down};

static void peer_up(struct ff_peer *p, const char *host)
{
	uint8_t cer[512];
	ff_peer_open(&f, p);
	assert_non_null(p->conn);
	assert_true(ff_send(p->fd, cer, ff_cer(cer, sizeof cer, host)));
	ff_pump(&f, 5);
	assert_true(peer_is_open(p->conn));
}

static int setup(void **state)
{
	(void)state;
	queue.cnt = 0;
	memset(cut, 0, sizeof cut);
	ff_configure(&f);
	f.config.max_pending = 1000000;
	f.config.max_connections = 128;
	ff_open(&f, 1, START_US);
	ff_worker_start(&f, 0, &ops, NULL);
	peer_up(&flood, "flood.example");
	peer_up(&other, "other.example");
	peer_up(&light, "light.example");
	struct wr w = ff_air(air, sizeof air, slice_str("flood.example;1;2"), FF_IMSI);
	header_finish(&w, 0);
	air_len = (uint32_t)wr_len(&w);
	for (unsigned i = 0; i < FLOOD; i++)
		memcpy(bulk + i * air_len, air, air_len);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ff_peer_free(&flood);
	ff_peer_free(&other);
	ff_peer_free(&light);
	ff_close(&f);
	return 0;
}

// As much as fits into its connection; cut messages go on next time.
static void pour(struct ff_peer *p)
{
	size_t *off = &cut[p == &other];
	ssize_t n = send(p->fd, bulk + *off, (FLOOD - 1) * air_len, MSG_NOSIGNAL);
	*off = n > 0 ? (*off + (size_t)n) % air_len : *off;
	ff_drain(p->fd);
}

static void ask(struct ff_peer *p, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		assert_true(ff_send(p->fd, air, air_len));
	ff_pump(&f, 5);
}

// The worker answers the oldest `cnt`.
static void answer(unsigned cnt)
{
	uint8_t msg[256];
	struct wr w = wr_of(msg, sizeof msg);
	const struct command *cmd = grammar_by_id(CMD_AIR);
	header_begin(&w, HEADER_P, cmd->code, cmd->app, 77, 88);
	avp_put_u32(&w, AVP_CODE_Result_Code, 0, AVP_M, 2001);
	header_finish(&w, 0);
	cnt = cnt < queue.cnt ? cnt : queue.cnt;
	for (unsigned i = 0; i < cnt; i++)
		assert_true(channel_send(f.worker[0], IPC_ANSWER, queue.id[i], msg, wr_len(&w)));
	channel_flush(f.worker[0]);
	queue.cnt -= cnt;
	memmove(queue.id, queue.id + cnt, queue.cnt * sizeof queue.id[0]);
	memmove(queue.conn, queue.conn + cnt, queue.cnt * sizeof queue.conn[0]);
	ff_pump(&f, 5);
}

static unsigned queued(const struct ff_peer *p)
{
	unsigned cnt = 0;
	for (unsigned i = 0; i < queue.cnt; i++)
		cnt += queue.conn[i] == p->conn->index;
	return cnt;
}

static void flow(struct ff_peer *p)
{
	pour(p);
	ff_pump(&f, 3);
}

// Floods until it has had to wait often enough to be heavy for this second and the next one; fills its share
// then.
static void make_heavy(struct ff_peer *p)
{
	for (unsigned i = 0; i < 100 * FAIR_HEAVY_WAITS && p->conn->wait_cnt < FAIR_HEAVY_WAITS; i++) {
		flow(p);
		answer(FLOOD);
	}
	assert_true(p->conn->heavy);
	answer(FLOOD);
	for (unsigned i = 0; i < 5; i++)
		flow(p);
}

// ---- tests ---------------------------------------------------------------------------------------

// Whoever is new may be light: the queue is short until it is known to be heavy. Then it is long, and no
// longer.
static void test_alone(void **state)
{
	(void)state;
	flow(&flood);
	assert_int_equal(queue.cnt, AIR_SHRT);
	assert_true(flood.conn->waits);
	assert_false(flood.conn->heavy);
	make_heavy(&flood);
	assert_int_equal(queue.cnt, AIR_LONG);
	// half of its share is answered before it goes on
	answer(AIR_LONG / 2 - 1);
	assert_int_equal(queue.cnt, AIR_LONG / 2 + 1);
	answer(1);
	assert_int_equal(queue.cnt, AIR_LONG);
}

// Who waited is read again when it may go on, also while it has much to take that is not too much.
static void test_waited_with_answers_to_take(void **state)
{
	(void)state;
	struct conn *c = flood.conn;
	for (uint32_t unsent = 0; unsent < CONN_HIGH_WATER * 3 / 4; unsent = c->out_len - c->out_off) {
		struct wr w = conn_write(c, 50000);
		wr_zero(&w, 50000);
		assert_true(conn_written(c, &w));
		conn_flush_all(fe);
	}
	assert_true(ff_send(flood.fd, bulk, (AIR_SHRT + 1) * air_len));
	ff_pump(&f, 3);
	assert_true(c->waits);
	answer(FLOOD);
	assert_int_equal(queue.cnt, 1);
	assert_false(c->waits);
	assert_in_range(c->out_len - c->out_off, CONN_HIGH_WATER / 2, CONN_HIGH_WATER);
	ask(&flood, 1);
	assert_int_equal(queue.cnt, 2);
}

// The light one's next request stands behind a short queue, its first one behind what was there.
static void test_light_beside_heavy(void **state)
{
	(void)state;
	make_heavy(&flood);
	ask(&light, 1);
	assert_int_equal(queue.cnt, AIR_LONG + 1);
	for (unsigned i = 0; i < 50; i++) {
		answer(AIR_SHRT / 4);
		flow(&flood);
	}
	for (unsigned i = 0; i < 50; i++) {
		assert_in_range(queued(&flood), 1, AIR_SHRT);
		ask(&light, 1);
		assert_int_equal(queued(&light), 1); // at once: it never waits
		answer(FLOOD);
		flow(&flood);
	}
	assert_false(light.conn->heavy);
	assert_int_equal(light.conn->wait_cnt, 0);
	assert_true(flood.conn->heavy);
}

// The light one is gone for so long that the queue may be long again.
static void test_light_forgotten(void **state)
{
	(void)state;
	make_heavy(&flood);
	ask(&light, 1);
	for (unsigned s = 0; s < FAIR_LIGHT_US / 1000000; s++) {
		answer(FLOOD);
		make_heavy(&flood);
		assert_in_range(queue.cnt, AIR_SHRT / 2, AIR_SHRT);
		ff_later(&f, 1000);
	}
	answer(FLOOD);
	make_heavy(&flood);
	assert_int_equal(queue.cnt, AIR_LONG);
}

// One that pauses between floods counts as light and then as heavy again: it is no reason to forget another
// one.
static void test_light_remembered(void **state)
{
	(void)state;
	make_heavy(&flood);
	ask(&light, 1);
	while (queue.cnt)
		answer(FLOOD);
	ff_later(&f, 1000);
	ff_later(&f, 1000);
	assert_false(flood.conn->heavy);
	make_heavy(&flood);
	ff_later(&f, 1000);
	answer(FLOOD);
	flow(&flood);
	assert_in_range(queue.cnt, AIR_SHRT / 2, AIR_SHRT);
}

// Two light ones, in any order; who has left does not count.
static void test_light_gone(void **state)
{
	(void)state;
	make_heavy(&flood);
	ask(&light, 1);
	ask(&other, 1);
	ff_later(&f, 1000);
	answer(FLOOD);
	make_heavy(&flood);
	ask(&light, 1);
	assert_int_equal(fe->fair.light, light.conn->index);
	assert_int_equal(other.conn->light_next, UINT32_MAX);
	answer(FLOOD);
	answer(FLOOD);
	ff_peer_hang_up(&light);
	ff_pump(&f, 5);
	assert_false(light.conn->used);
	assert_int_equal(fe->fair.light, other.conn->index);
	answer(FLOOD);
	flow(&flood);
	assert_in_range(queue.cnt, AIR_SHRT / 2, AIR_SHRT);
	ff_peer_hang_up(&other);
	ff_pump(&f, 5);
	answer(FLOOD);
	flow(&flood);
	assert_int_equal(queue.cnt, AIR_LONG);
}

// Two that flood have half of the queue each, whoever came first; nobody minds that it is long.
static void test_two_heavy(void **state)
{
	(void)state;
	make_heavy(&flood);
	make_heavy(&other);
	for (unsigned i = 0; i < 20; i++) {
		answer(AIR_LONG / 4);
		flow(&flood);
		flow(&other);
	}
	assert_in_range(queued(&flood), AIR_LONG / 4, AIR_LONG / 2);
	assert_in_range(queued(&other), AIR_LONG / 4, AIR_LONG / 2);
	assert_in_range(queue.cnt, AIR_LONG / 2, AIR_LONG + 1);
}

// Heavy is who has to wait now: a second without that, and it counts as light.
static void test_heavy_no_more(void **state)
{
	(void)state;
	make_heavy(&flood);
	while (queue.cnt)
		answer(FLOOD);
	ff_later(&f, 1000);
	assert_true(flood.conn->heavy);
	ff_later(&f, 1000);
	assert_false(flood.conn->heavy);
	assert_int_equal(fe->fair.load, 0);
	assert_int_equal(fe->fair.busy, 0);
}

// Five vectors are more work than one; more than there are in an answer are not.
static void test_weight(void **state)
{
	const unsigned wanted[] = {0, 1, 5, 32, UINT32_MAX};
	(void)state;
	f.config.max_vectors = 5;
	for (unsigned i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		struct wr w = ff_air(air, sizeof air, slice_str("flood.example;1;2"), FF_IMSI);
		size_t at =
		    avp_group_begin(&w, AVP_CODE_Requested_EUTRAN_Authentication_Info, VENDOR_3GPP, AVP_M);
		avp_put_u32(&w, AVP_CODE_Number_Of_Requested_Vectors, VENDOR_3GPP, AVP_M, wanted[i]);
		avp_group_end(&w, at);
		header_finish(&w, 0);
		air_len = (uint32_t)wr_len(&w);
		ask(&light, 1);
		assert_int_equal(light.conn->load, FAIR_UNIT + (i < 2 ? 0 : 4 * FAIR_ITEM));
		answer(1);
		assert_int_equal(light.conn->load, 0);
		assert_int_equal(fe->fair.load, 0);
	}
}

// One that goes while it waits, with a queue of its own, leaves nothing behind; its place is another's.
static void test_gone(void **state)
{
	(void)state;
	make_heavy(&flood);
	assert_int_equal(fe->fair.waiting_cnt, 1);
	assert_int_equal(fe->fair.busy, 1);
	uint32_t index = flood.conn->index;
	ff_peer_hang_up(&flood);
	answer(AIR_LONG); // it is read again, and found gone
	answer(FLOOD);
	ff_pump(&f, 5);
	answer(FLOOD);
	assert_int_equal(fe->fair.load, 0);
	assert_int_equal(fe->fair.busy, 0);
	ff_peer_free(&flood);
	peer_up(&flood, "flood.example");
	assert_int_equal(flood.conn->index, index);
	assert_false(flood.conn->heavy);
	ask(&flood, 1);
	assert_int_equal(queued(&flood), 1);
}

// Many whose time is over at once: others have their turn after each part of them.
static void test_many_due(void **state)
{
	int fd[100], cnt = sizeof fd / sizeof fd[0];
	unsigned left = 0, turns = 0;
	(void)state;
	for (int i = 0; i < cnt; i++)
		fd[i] = ff_connect(&f, NULL);
	assert_int_equal(frontend_conn_cnt(fe), cnt + 3);
	clock_freeze_us(f.now_us += 6000000);
	frontend_tick(fe);
	while ((left = frontend_conn_cnt(fe)) > 3) {
		assert_int_equal(left, cnt + 3 - CONN_DUE_MAX * ++turns);
		assert_true(turns < 10);
		event_base_loop(f.base, EVLOOP_ONCE);
	}
	assert_int_equal(turns, 3);
	assert_true(flood.conn->used && other.conn->used && light.conn->used);
	for (int i = 0; i < cnt; i++)
		close(fd[i]);
}

// Many that come at once: one in each turn of the event loop.
static void test_many_come(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int fd[5], listener = socket(AF_INET, SOCK_STREAM, 0);
	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(frontend_listen_take(fe, &transport_tcp, listener), 0);
	for (unsigned i = 0; i < 5; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(fd[i], (struct sockaddr *)&at, len), 0);
	}
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(frontend_conn_cnt(fe), 3 + i);
		event_base_loop(f.base, EVLOOP_ONCE);
	}
	assert_int_equal(frontend_conn_cnt(fe), 8);
	for (unsigned i = 0; i < 5; i++)
		close(fd[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_waited_with_answers_to_take, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_light_beside_heavy, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_light_forgotten, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_light_remembered, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_light_gone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_two_heavy, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_heavy_no_more, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_weight, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_many_due, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_many_come, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

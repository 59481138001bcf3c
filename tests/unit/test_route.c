// The pending table by itself: one answer each, generations, time-outs in order of arrival, a lost worker, a
// full table; stubs; which worker serves whom; what a list of peers says. The worker's end of the channel is
// read by the test.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include "frontend/peer.h"
#include "frontend/peerlist.h"
#include "frontend/route.h"
#include "frontend/check.h"
#include "lib/base/ident.h"
#include "lib/diameter/avp.h"
#include "tests/support/frontend_fixture.h"

#define START_US 5000000000ull
#define WORKERS  3

struct taken {
	unsigned cnt;
	uint64_t id[ROUTE_PENDING_MAX + 8];
	uint32_t worker[ROUTE_PENDING_MAX + 8];
	struct ipc_request head;
	unsigned rows, ends;
	int end_status;
	char row[2048];
};

static struct ff f;
static struct frontend *const fe = f.fe;
static struct channel *admin;
static unsigned worker_index[WORKERS] = {0, 1, 2};
static struct taken taken;
static struct ff_peer peer;
static uint8_t msg[8192];
static uint32_t msg_len;
static const struct command *air;
static struct avp_slot slots[GRAMMAR_SLOTS_MAX];

static void on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	(void)ch;
	if (hdr->type == IPC_ADMIN_ROW) {
		snprintf(taken.row, sizeof taken.row, "%.*s", (int)(hdr->len - sizeof *hdr),
			 (const char *)body);
		taken.rows++;
	} else if (hdr->type == IPC_ADMIN_END) {
		json_t *doc = json_loadb((const char *)body, hdr->len - sizeof *hdr, 0, NULL);
		taken.end_status = (int)json_integer_value(json_object_get(doc, "status"));
		json_decref(doc);
		taken.ends++;
	} else if (hdr->type == IPC_REQUEST) {
		memcpy(&taken.head, body, sizeof taken.head);
		taken.worker[taken.cnt] = *(unsigned *)ctx;
		taken.id[taken.cnt++] = hdr->id;
	}
}

static void on_down(void *ctx, struct channel *ch, int why)
{
	(void)ctx, (void)ch, (void)why;
}

static const struct channel_ops ops = {.on_frame = on_frame, .on_down = on_down};

static void pump(void)
{
	ff_pump(&f, 30);
}

static void settle(void)
{
	frontend_flush(fe);
	pump();
}

static void worker_start(unsigned i)
{
	ff_worker_start(&f, i, &ops, &worker_index[i]);
}

static void peer_up(void)
{
	ff_peer_open(&f, &peer);
	assert_non_null(peer.conn);
	assert_true(ff_send(peer.fd, msg, ff_cer(msg, sizeof msg, FF_MME)));
	pump();
	assert_true(ff_peer_read(&peer));
	assert_true(ff_peer_message(&peer) > 100);
	ff_peer_drop(&peer);
	assert_true(peer_is_open(peer.conn));
}

static void take_message(struct wr *w)
{
	struct verdict v;
	header_finish(w, 0);
	msg_len = (uint32_t)wr_len(w);
	assert_true(grammar_check(air, msg, msg_len, slots, &v));
}

static void put_air(const char *imsi)
{
	struct wr w = ff_air(msg, sizeof msg, slice_str("mme.example;1;2"), imsi);
	take_message(&w);
}

static bool request(void)
{
	return route_request(fe, peer.conn, air, msg, msg_len, slots);
}

static int setup(void **state)
{
	(void)state;
	memset(&taken, 0, sizeof taken);
	ff_configure(&f);
	f.config.max_pending = 1000000;
	f.config.workers = WORKERS;
	ff_open(&f, 1, START_US);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_start(i);
	air = grammar_by_id(CMD_AIR);
	peer_up();
	put_air(FF_IMSI);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	channel_free(&admin);
	ff_peer_free(&peer);
	ff_close(&f);
	return 0;
}

// How many messages wait at the peer, and the Result-Code of the last one.
static unsigned answers(uint32_t *result)
{
	unsigned cnt = 0;
	uint32_t len;
	do
		pump();
	while (ff_peer_read(&peer));
	for (; (len = ff_peer_message(&peer)) != 0; cnt++) {
		struct avp a;
		struct slice body = slice_of(peer.in + DIAMETER_HEADER_LEN, len - DIAMETER_HEADER_LEN);
		assert_true(avp_find(body, AVP_CODE_Result_Code, 0, &a));
		assert_true(avp_u32(a.data, result));
		ff_peer_drop(&peer);
	}
	return cnt;
}

static void answer(uint64_t id, unsigned worker)
{
	struct {
		struct ipc_hdr hdr;
		uint8_t body[256];
	} frame = {0};
	struct wr w = wr_of(frame.body, sizeof frame.body);
	header_begin(&w, HEADER_P, air->code, air->app, 77, 88);
	avp_put_u32(&w, AVP_CODE_Result_Code, 0, AVP_M, 2001);
	header_finish(&w, 0);
	frame.hdr = (struct ipc_hdr){.len = (uint32_t)(sizeof frame.hdr + wr_len(&w)),
				     .type = IPC_ANSWER,
				     .id = id,
				     .flags = (uint16_t)stat_result_index(2001, false)};
	route_answer(fe, &fe->worker[worker], &frame.hdr, frame.body);
	frontend_flush(fe);
}

// ---- tests ---------------------------------------------------------------------------------------

static void test_one_answer(void **state)
{
	uint32_t result = 0;
	(void)state;
	assert_true(request());
	settle();
	assert_int_equal(taken.cnt, 1);
	assert_int_equal(route_pending(fe), 1);
	uint64_t id = taken.id[0];
	unsigned worker = taken.worker[0];
	// another worker, another generation, a number out of the table: nothing
	answer(id, (worker + 1) % WORKERS);
	answer(id + (1ull << 32), worker);
	answer(id | 0xffffffffu, worker);
	answer(id ^ 1, worker);
	assert_int_equal(answers(&result), 0);
	answer(id, worker);
	assert_int_equal(answers(&result), 1);
	assert_int_equal(result, 2001);
	answer(id, worker);
	assert_int_equal(answers(&result), 0);
	assert_int_equal(route_pending(fe), 0);
	assert_int_equal(peer.conn->pending, 0);
	assert_int_equal(peer.conn->answers, 1);
	// the same place again, under another name
	assert_true(request());
	settle();
	assert_int_equal((uint32_t)taken.id[1], (uint32_t)id);
	assert_true(taken.id[1] != id);
	answer(id, worker);
	assert_int_equal(answers(&result), 0);
}

static void test_head(void **state)
{
	imsi_t imsi;
	(void)state;
	assert_true(request());
	settle();
	assert_true(imsi_parse(slice_str(FF_IMSI), &imsi));
	assert_int_equal(taken.head.imsi, imsi.v);
	assert_int_equal(taken.head.conn, peer.conn->index);
	assert_int_equal(taken.head.arrival_us, START_US);
	assert_int_equal(taken.head.host_hash, ident_hash_bytes(slice_str("MME.example"), true));
	assert_int_equal(taken.head.command, CMD_AIR);
	assert_int_equal(taken.head.slot_cnt, SLOT_AIR_CNT);
	assert_int_equal(taken.head.msg_len, msg_len);
}

static void test_full_table(void **state)
{
	uint32_t result = 0;
	(void)state;
	// half of the channels' room is enough for that many: nothing is flushed in between but at the end of
	// each 1000
	for (unsigned i = 0; i < ROUTE_PENDING_MAX; i++) {
		assert_true(route_has_room(fe, peer.conn));
		assert_true(request());
		if (i % 1000 == 999)
			settle();
	}
	assert_false(route_has_room(fe, peer.conn));
	assert_false(request());
	assert_int_equal(route_pending(fe), ROUTE_PENDING_MAX);
	settle();
	answer(taken.id[12345], taken.worker[12345]);
	assert_int_equal(answers(&result), 1);
	assert_true(request());
	assert_false(route_has_room(fe, peer.conn));
}

static void test_timeouts_in_order(void **state)
{
	uint32_t result = 0;
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		fe->now_us = START_US + i * 100000;
		assert_true(request());
	}
	settle();
	// one from the middle, the first and the last are answered: the list stays whole
	answer(taken.id[4], taken.worker[4]);
	answer(taken.id[0], taken.worker[0]);
	answer(taken.id[9], taken.worker[9]);
	assert_int_equal(answers(&result), 3);
	fe->now_us = START_US + 2100000;
	route_tick(fe, fe->now_us - 1);
	frontend_flush(fe);
	assert_int_equal(answers(&result), 0);
	route_tick(fe, fe->now_us);
	frontend_flush(fe);
	assert_int_equal(answers(&result), 1);
	assert_int_equal(result, RESULT_TOO_BUSY);
	assert_int_equal(route_pending(fe), 6);
	route_tick(fe, fe->now_us + 10000000);
	frontend_flush(fe);
	assert_int_equal(answers(&result), 6);
	assert_int_equal(route_pending(fe), 0);
	answer(taken.id[5], taken.worker[5]);
	assert_int_equal(answers(&result), 0);
}

// One request of each of them.
static void subscribers_ask(unsigned cnt)
{
	char imsi[16];
	for (unsigned i = 0; i < cnt; i++) {
		snprintf(imsi, sizeof imsi, "00101%010u", i);
		put_air(imsi);
		assert_true(request());
	}
	settle();
}

static void test_worker_lost(void **state)
{
	unsigned of_one = 0, cnt = 0;
	uint32_t result = 0;
	(void)state;
	subscribers_ask(300);
	unsigned load[WORKERS] = {0};
	for (unsigned i = 0; i < taken.cnt; i++)
		load[taken.worker[i]]++;
	// all three have their share
	for (unsigned i = 0; i < WORKERS; i++)
		assert_in_range(load[i], 60, 140);
	of_one = load[1];
	channel_free(&f.worker[1]);
	cnt = answers(&result);
	assert_int_equal(cnt, of_one);
	assert_int_equal(result, RESULT_TOO_BUSY);
	assert_int_equal(route_pending(fe), 300 - of_one);
	// its subscribers go to the others meanwhile, and come back to its successor
	for (unsigned round = 0; round < 2; round++) {
		subscribers_ask(300);
		for (unsigned i = 300 * (round + 1); i < 300 * (round + 2); i++) {
			if (round == 0)
				assert_true(taken.worker[i] != 1);
			else
				assert_int_equal(taken.worker[i], taken.worker[i - 600]);
		}
		if (round == 0)
			worker_start(1);
	}
}

static void beat_all(unsigned but)
{
	for (unsigned i = 0; i < WORKERS; i++)
		if (i != but)
			f.control->role[control_instance(ROLE_WORKER, i)].beat++;
}

// Time passes, in which all of them but one give signs of life.
static void pass_ms(unsigned ms, unsigned but)
{
	for (; ms; ms -= 100) {
		beat_all(but);
		ff_later(&f, 100);
	}
}

static unsigned asked_worker(void)
{
	put_air(FF_IMSI);
	assert_true(request());
	settle();
	return taken.worker[taken.cnt - 1];
}

// A worker that hangs is not asked any more while another one lives, and what it owes is answered.
static void test_a_silent_worker_is_gone_round(void **state)
{
	(void)state;
	pass_ms(1000, WORKERS);
	unsigned first = asked_worker();
	pass_ms(900, first);
	assert_int_equal(route_pending(fe), 1);
	pass_ms(200, first);
	assert_int_equal(route_pending(fe), 0); // 3004
	assert_true(fe->worker[first].silent);
	assert_int_not_equal(asked_worker(), first);
	pass_ms(100, WORKERS);
	assert_false(fe->worker[first].silent);
	assert_int_equal(asked_worker(), first);
}

// Its heart beats, but it answers nothing, and waits for nobody.
static void test_a_mute_worker_is_gone_round(void **state)
{
	(void)state;
	pass_ms(1000, WORKERS);
	unsigned first = asked_worker();
	struct stats_block *stats = &f.control->stats[control_instance(ROLE_WORKER, first)];
	stat_set(stats, STAT_LOADER_WAITING, 1); // it is the loader that is slow
	pass_ms(1500, WORKERS);
	assert_false(fe->worker[first].silent);
	stat_set(stats, STAT_LOADER_WAITING, 0);
	pass_ms(100, WORKERS);
	assert_true(fe->worker[first].silent);
	assert_int_not_equal(asked_worker(), first);
	pass_ms(500, WORKERS);
	assert_true(fe->worker[first].silent); // it must answer first
}

// All are silent: it is the machine. We were away: nobody knows.
static void test_nobody_is_silent_when_all_are(void **state)
{
	(void)state;
	pass_ms(1000, WORKERS);
	unsigned first = asked_worker();
	for (unsigned i = 0; i < 15; i++)
		ff_later(&f, 100);
	assert_int_equal(route_pending(fe), 1);
	pass_ms(100, WORKERS);
	ff_later(&f, 5000);
	beat_all(first);
	ff_later(&f, 100);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_false(fe->worker[i].silent);
}

static void test_stub_of_long_session(void **state)
{
	uint32_t result = 0;
	char id[2000];
	(void)state;
	// a Session-Id that the stub has no room for: the answer goes without it, Proxy-Info stays
	memset(id, 'x', sizeof id);
	struct wr w = ff_air(msg, sizeof msg, slice_of(id, sizeof id), FF_IMSI);
	for (unsigned i = 0; i < 100; i++) {
		size_t at = avp_group_begin(&w, AVP_CODE_Proxy_Info, 0, AVP_M);
		avp_put_slice(&w, AVP_CODE_Proxy_Host, 0, AVP_M, slice_str("proxy.example"));
		avp_put(&w, AVP_CODE_Proxy_State, 0, AVP_M, "s", 1);
		avp_group_end(&w, at);
	}
	take_message(&w);
	assert_true(request());
	frontend_flush(fe);
	route_tick(fe, START_US + 10000000);
	frontend_flush(fe);
	assert_int_equal(answers(&result), 1);
	assert_int_equal(result, RESULT_TOO_BUSY);
}

static void test_admin_list(void **state)
{
	static const char list[] = "{\"cmd\":\"peer list\",\"args\":{}}",
			  bad[] = "{\"cmd\":", other[] = "{\"cmd\":\"x\"}",
			  gone[] = "{\"cmd\":\"peer disconnect\",\"args\":{\"host\":\"nobody\"}}",
			  go[] = "{\"cmd\":\"peer disconnect\",\"args\":{\"host\":\"MME.example\"}}";
	int fds[2];
	(void)state;
	assert_int_equal(channel_pair(fds), 0);
	admin = channel_new_take(f.base, fds[0], 1 << 20, &ops, NULL);
	peerlist_admin_take(fe, fds[1]);
	const struct {
		const char *text;
		int status;
		unsigned rows;
	} calls[] = {{list, 0, 1}, {bad, 2, 0}, {other, 2, 0}, {gone, 1, 0}, {go, 0, 0}};
	for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		taken.rows = taken.ends = 0;
		assert_true(channel_send(admin, IPC_ADMIN_CALL, 9, calls[i].text, strlen(calls[i].text)));
		channel_flush(admin);
		pump();
		assert_int_equal(taken.ends, 1);
		assert_int_equal(taken.end_status, calls[i].status);
		assert_int_equal(taken.rows, calls[i].rows);
	}
	json_t *row = json_loads(taken.row, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(row, "host")), "mme.example");
	assert_string_equal(json_string_value(json_object_get(row, "state")), "open");
	assert_int_equal(json_integer_value(json_array_get(json_object_get(row, "apps"), 0)), APP_S6A);
	json_decref(row);
	assert_int_equal(peer.conn->state, PEER_CLOSING);
}

// Counters by command and result are what the metrics show.
static void test_counted(void **state)
{
	struct verdict v;
	(void)state;
	assert_true(request());
	settle();
	fe->now_us = START_US + 800;
	answer(taken.id[0], taken.worker[0]);
	check_verdict(&v, RESULT_LOOP_DETECTED);
	route_refuse(fe, peer.conn, air, msg, msg_len, &v, "test");
	frontend_flush(fe);
	assert_int_equal(fe->stats->requests[CMD_AIR], 2);
	assert_int_equal(fe->stats->answers[CMD_AIR][stat_result_index(2001, false)], 1);
	assert_int_equal(fe->stats->answers[CMD_AIR][stat_result_index(3005, false)], 1);
	assert_int_equal(fe->stats->latency[CMD_AIR][stat_latency_bucket(800)], 1);
	assert_int_equal(fe->stats->latency_sum_us[CMD_AIR], 800);
	assert_int_equal(peer.conn->rejected, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_one_answer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_head, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_full_table, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_timeouts_in_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_worker_lost, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_silent_worker_is_gone_round, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_mute_worker_is_gone_round, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nobody_is_silent_when_all_are, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stub_of_long_session, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_admin_list, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_counted, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// A worker's requests apart from what they ask for: the waiting room and its limits, time, processes that
// die.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "tests/support/worker_fixture.h"

// Changes of one subscriber take turns: who wants many under way takes many subscribers.
static const char *other(unsigned i)
{
	static char imsi[16];
	snprintf(imsi, sizeof imsi, "0010100001%05u", i);
	return imsi;
}

static int setup_many(void **state)
{
	struct wf *f = wf_new(WAITING_MAX + 100);
	uint32_t profile = wf_profile(f, true, true, 0, 0);
	wf_subscriber(f, WF_IMSI, profile, 32, 100000);
	for (unsigned i = 0; i <= WAITING_MAX; i++)
		wf_subscriber(f, other(i), profile, 32, 100000);
	*state = f;
	return 0;
}

static void nothing_waits(struct wf *f)
{
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 0);
}

static uint32_t change_ask(struct wf *f, uint64_t *id)
{
	struct wf_frame *q = wf_ask(f, IPC_CHANGE);
	*id = q->hdr.id;
	return q->len;
}

// ---- envelope -----------------------------------------------------------------------------------

static void proxies_are_copied(void **state)
{
	struct wf *f = *state;
	for (unsigned cnt = 0; cnt < 6; cnt++) {
		f->head_flags = cnt & 1 ? HEADER_R | HEADER_P | HEADER_T : HEADER_R | HEADER_P;
		struct wr w = wf_air(f, WF_IMSI, 1);
		wf_put_proxies(&w, cnt, 5);
		wf_send(f, &w);
		struct wf_answer a = wf_take(f, 0);
		assert_int_equal(a.result, RESULT_SUCCESS);
		assert_int_equal(a.slots[SLOT_AIA_Proxy_Info].cnt, cnt);
		w = wf_air(f, "001010000008888", 1);
		wf_put_proxies(&w, cnt, 5);
		wf_send(f, &w);
		a = wf_take(f, 0);
		assert_int_equal(a.slots[SLOT_AIA_Proxy_Info].cnt, cnt);
	}
}

static void big_requests_wait(void **state)
{
	struct wf *f = *state;
	uint64_t id[WAITING_BIG_MAX + 1];
	for (unsigned i = 0; i <= WAITING_BIG_MAX; i++) {
		struct wr w = wf_ulr(f, other(i), 2, 1004);
		wf_put_proxies(&w, 1, 39000);
		wf_send(f, &w);
		if (i < WAITING_BIG_MAX)
			change_ask(f, &id[i]);
	}
	struct wf_answer a = wf_take(f, 0); // the last one found no room
	assert_int_equal(a.result, RESULT_TOO_BUSY);
	assert_int_equal(wf_asks(f), 0);
	for (unsigned i = 0; i < WAITING_BIG_MAX; i++) {
		wf_change_ack(f, id[i], CHANGE_DONE);
		a = wf_take(f, 0);
		assert_int_equal(a.result, RESULT_SUCCESS);
		assert_int_equal(a.id, i + 1);
	}
	nothing_waits(f);
	struct wr w = wf_ulr(f, WF_IMSI, 2, 1004); // there is room again
	wf_put_proxies(&w, 1, 39000);
	wf_send(f, &w);
	change_ask(f, &id[0]);
}

// An answer that is as long as a frame may be.
static void longest_request(void **state)
{
	struct wf *f = *state;
	struct wr w = wf_air(f, WF_IMSI, 5);
	wf_put_proxies(&w, 3, 39000);
	uint32_t left = IPC_BODY_MAX - (uint32_t)wr_len(&w) - 1800; // slots, and what the answer has more
	avp_put_header(&w, AVP_CODE_Proxy_Info, 0, AVP_M, left & ~3u);
	avp_put_slice(&w, AVP_CODE_Proxy_Host, 0, AVP_M, slice_str("agent"));
	avp_put_header(&w, AVP_CODE_Proxy_State, 0, AVP_M, (left & ~3u) - 16 - 8);
	wr_zero(&w, (left & ~3u) - 16 - 8);
	wf_send(f, &w);
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(a.result, RESULT_SUCCESS);
	assert_int_equal(a.slots[SLOT_AIA_Proxy_Info].cnt, 4);
}

static void waiting_room_is_bounded(void **state)
{
	struct wf *f = *state;
	uint64_t id = 0;
	for (unsigned i = 0; i <= WAITING_MAX; i++) {
		struct wr w = wf_ulr(f, other(i), 2, 1004);
		wf_queue_request(f, &w, 0, 0);
		if (i % 64 == 0)
			wf_run(f);
	}
	wf_run(f);
	assert_int_equal(wf_answers(f, 0), 1);
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(a.result, RESULT_TOO_BUSY);
	assert_int_equal(a.id, WAITING_MAX + 1);
	assert_int_equal(wf_asks(f), WAITING_MAX);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], WAITING_MAX);
	change_ask(f, &id);
	wf_change_ack(f, id, CHANGE_DONE);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
	wf_loader_away(f);
	f->asks.out = f->asks.in;
	wf_loader_back(f); // all of them again, under their ids
	assert_int_equal(wf_asks(f), WAITING_MAX - 1);
	while (wf_asks(f)) {
		change_ask(f, &id);
		uint64_t ack = CHANGE_DUPLICATE;
		assert_true(channel_send(f->ld, IPC_CHANGE_ACK, id, &ack, sizeof ack));
	}
	wf_run(f);
	for (unsigned i = 0; i < WAITING_MAX - 1; i++)
		assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
	nothing_waits(f);
}

static void old_requests_are_refused(void **state)
{
	struct wf *f = *state;
	uint64_t now = clock_mono_us();
	struct wr w = wf_air(f, WF_IMSI, 1);
	clock_freeze_us(now);
	wf_queue_request(f, &w, 0, 0);
	clock_freeze_us(now + 2000000);
	wf_run(f);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
	clock_freeze_us(now);
	w = wf_air(f, WF_IMSI, 1);
	wf_queue_request(f, &w, 0, 0);
	clock_freeze_us(now + 2000001);
	wf_run(f);
	clock_freeze_us(0);
	assert_int_equal(wf_take(f, 0).result, RESULT_TOO_BUSY);
	assert_int_equal(f->stats->c[STAT_TOO_BUSY], 1);
}

static void forgotten_when_the_loader_never_answers(void **state)
{
	struct wf *f = *state;
	uint64_t id;
	struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
	wf_send(f, &w);
	change_ask(f, &id);
	request_sweep(&f->w);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 1);
	clock_freeze_us(clock_mono_us() + WAITING_TIMEOUT_US + 1000000);
	request_sweep(&f->w);
	clock_freeze_us(0);
	nothing_waits(f);
	wf_change_ack(f, id, CHANGE_DONE);
	assert_int_equal(wf_answers(f, 0), 0);
}

// Without a loader the room is not held by what its frontend has answered already.
static void unsent_requests_leave_soon(void **state)
{
	struct wf *f = *state;
	wf_loader_away(f);
	for (unsigned i = 0; i < 3; i++) {
		struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
		wf_send(f, &w);
	}
	request_sweep(&f->w);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 3);
	clock_freeze_us(clock_mono_us() + 2100000);
	request_sweep(&f->w);
	clock_freeze_us(0);
	nothing_waits(f);
	wf_loader_back(f);
	assert_int_equal(wf_asks(f), 0);
}

// A change that the loader may have stored is answered however long it took.
static void late_change_is_answered(void **state)
{
	struct wf *f = *state;
	uint64_t id, again;
	struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
	wf_send(f, &w);
	change_ask(f, &id);
	wf_loader_away(f);
	clock_freeze_us(clock_mono_us() + 5000000);
	wf_loader_back(f);
	change_ask(f, &again);
	assert_int_equal(id, again);
	wf_change_ack(f, again, CHANGE_DONE);
	clock_freeze_us(0);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
}

// One that it has never seen is not done behind the back of a node that was told 3004.
static void unsent_change_is_dropped(void **state)
{
	struct wf *f = *state;
	wf_loader_away(f);
	struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
	wf_send(f, &w);
	clock_freeze_us(clock_mono_us() + 5000000);
	wf_loader_back(f);
	clock_freeze_us(0);
	assert_int_equal(wf_take(f, 0).result, RESULT_TOO_BUSY);
	assert_int_equal(wf_asks(f), 0);
}

// The next frontend at this place gives its own requests the same ids.
static void frontend_dies_while_its_request_waits(void **state)
{
	struct wf *f = *state;
	uint64_t id[2];
	struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
	wf_send(f, &w);
	change_ask(f, &id[0]);
	w = wf_ulr(f, other(0), 2, 1004);
	wf_queue_request(f, &w, 1, 0);
	wf_run(f);
	change_ask(f, &id[1]);
	wf_frontend_dies(f, 0);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 1);
	wf_connect(f, &f->w.frontend[0], &f->fe[0]);
	wf_change_ack(f, id[0], CHANGE_DONE);
	assert_int_equal(wf_answers(f, 0), 0);
	wf_change_ack(f, id[1], CHANGE_DONE);
	assert_int_equal(wf_take(f, 1).result, RESULT_SUCCESS);
	nothing_waits(f);
}

// A channel that takes one frame and no more until that is sent.
static void narrow(struct wf *f, struct channel **worker_end, struct channel **test_end)
{
	int fds[2];
	channel_free(worker_end);
	channel_free(test_end);
	assert_int_equal(channel_pair(fds), 0);
	*worker_end = channel_new_take(f->base, fds[0], 1, &wf_worker_ops, f);
	*test_end = channel_new_take(f->base, fds[1], 1u << 20, &wf_other_ops, f);
	assert_non_null(*worker_end);
	assert_non_null(*test_end);
}

static void loader_is_too_busy(void **state)
{
	struct wf *f = *state;
	uint64_t id;
	narrow(f, &f->w.loader, &f->ld);
	for (unsigned i = 0; i < 3; i++) {
		struct wr w = wf_ulr(f, other(i), 2, 1004);
		wf_queue_request(f, &w, 0, 0);
	}
	wf_run(f);
	assert_int_equal(wf_asks(f), 1);
	assert_int_equal(wf_take(f, 0).result, RESULT_TOO_BUSY);
	assert_int_equal(wf_take(f, 0).result, RESULT_TOO_BUSY);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 1);
	change_ask(f, &id);
	wf_change_ack(f, id, CHANGE_DONE);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
	nothing_waits(f);
}

// Its frontend answers 3004 itself when the time is over.
static void frontend_is_too_busy(void **state)
{
	struct wf *f = *state;
	uint64_t id[2];
	narrow(f, &f->w.frontend[0], &f->fe[0]);
	for (unsigned i = 0; i < 2; i++) {
		struct wr w = wf_ulr(f, other(i), 2, 1004);
		wf_send(f, &w);
		change_ask(f, &id[i]);
	}
	for (unsigned i = 0; i < 2; i++) {
		uint64_t ack = CHANGE_DONE;
		assert_true(channel_send(f->ld, IPC_CHANGE_ACK, id[i], &ack, sizeof ack));
	}
	wf_run(f);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
	assert_int_equal(wf_answers(f, 0), 0);
	assert_int_equal(f->stats->c[STAT_CHANNEL_FULL], 1);
	nothing_waits(f);
}

// One at a time is decided and sent, in the order of their arrival, each from what the one before it has left.
static void changes_of_one_subscriber_take_turns(void **state)
{
	struct wf *f = *state;
	uint64_t id;
	struct wr w;
	for (unsigned i = 0; i < 4; i++) {
		w = wf_ulr(f, WF_IMSI, 2, 1004);
		wf_queue_request(f, &w, i == 2, 0);
	}
	w = wf_ulr(f, other(0), 2, 1004); // who is somebody else does not wait
	wf_send(f, &w);
	change_ask(f, &id);
	change_ask(f, &id);
	wf_change_ack(f, id, CHANGE_DONE);
	assert_int_equal(wf_take(f, 0).id, 5);
	assert_int_equal(wf_asks(f), 0);
	f->asks.out = 0; // the first one's change
	wf_change_done(f, wf_ask(f, IPC_CHANGE));
	f->asks.out++;
	assert_int_equal(wf_take(f, 0).id, 1);
	struct wf_change second = wf_read_change(&f->asks.f[f->asks.out]);
	assert_int_equal(second.c.version, 1);
	wf_frontend_dies(f, 1); // and the third with it
	wf_change_done(f, wf_ask(f, IPC_CHANGE));
	assert_int_equal(wf_take(f, 0).id, 2);
	assert_int_equal(wf_read_change(&f->asks.f[f->asks.out]).c.version, 2);
	wf_change_done(f, wf_ask(f, IPC_CHANGE));
	assert_int_equal(wf_take(f, 0).id, 4);
	nothing_waits(f);
}

// The one that holds the turn is forgotten with its frontend: the next one goes on.
static void a_turn_whose_holder_is_gone(void **state)
{
	struct wf *f = *state;
	struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
	uint64_t id;
	wf_queue_request(f, &w, 1, 0);
	wf_run(f);
	w = wf_ulr(f, WF_IMSI, 2, 1004);
	wf_queue_request(f, &w, 0, 0);
	wf_run(f);
	change_ask(f, &id);
	assert_int_equal(wf_asks(f), 0);
	wf_frontend_dies(f, 1);
	wf_run(f);
	wf_flush(f);
	wf_run(f);
	change_ask(f, &id);
	wf_loader_away(f); // and over a restart of the loader
	wf_loader_back(f);
	change_ask(f, &id);
	wf_change_ack(f, id, CHANGE_DONE);
	assert_int_equal(wf_take(f, 0).id, 2);
	nothing_waits(f);
}

// Another worker's command, or one without a handler.
static void commands_without_handler(void **state)
{
	struct wf *f = *state;
	struct wr w = wf_begin(f, 322, WF_IMSI); // RSR: an HSS sends it
	avp_put_slice(&w, AVP_CODE_Destination_Host, 0, AVP_M, slice_str("hss.example.org"));
	wf_send(f, &w);
	assert_int_equal(wf_take(f, 0).result, RESULT_COMMAND_UNSUPPORTED);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, wf_setup, wf_teardown)
#define M(fn) cmocka_unit_test_setup_teardown(fn, setup_many, wf_teardown)
	const struct CMUnitTest tests[] = {
	    T(proxies_are_copied),
	    M(big_requests_wait),
	    T(longest_request),
	    M(waiting_room_is_bounded),
	    T(old_requests_are_refused),
	    T(forgotten_when_the_loader_never_answers),
	    T(unsent_requests_leave_soon),
	    T(late_change_is_answered),
	    T(unsent_change_is_dropped),
	    M(frontend_dies_while_its_request_waits),
	    M(loader_is_too_busy),
	    M(frontend_is_too_busy),
	    T(commands_without_handler),
	    M(changes_of_one_subscriber_take_turns),
	    M(a_turn_whose_holder_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

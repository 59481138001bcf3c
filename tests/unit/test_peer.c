// The peer machine's table against RFC 6733 5.6, row by row, and the election; the watchdog against the state
// table of RFC 3539 3.4.1 under a clock of our own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "frontend/peer.h"
#include "frontend/watchdog.h"

// ---- the table -----------------------------------------------------------------------------------

struct step {
	enum peer_state state;
	enum peer_event event;
	enum peer_action action;
	enum peer_state next;
};

static const struct step steps[] = {
    {PEER_CLOSED, PEER_EV_START, PEER_DO_CONNECT, PEER_WAIT_CONN_ACK},
    {PEER_CLOSED, PEER_EV_R_CONN_CER, PEER_DO_ACCEPT, PEER_R_OPEN},
    {PEER_WAIT_CONN_ACK, PEER_EV_I_CONN_ACK, PEER_DO_SEND_CER, PEER_WAIT_I_CEA},
    {PEER_WAIT_CONN_ACK, PEER_EV_I_CONN_NACK, PEER_DO_CLEANUP, PEER_CLOSED},
    {PEER_WAIT_CONN_ACK, PEER_EV_R_CONN_CER, PEER_DO_HOLD, PEER_WAIT_CONN_ACK_ELECT},
    {PEER_WAIT_CONN_ACK, PEER_EV_TIMEOUT, PEER_DO_ERROR, PEER_CLOSED},
    {PEER_WAIT_I_CEA, PEER_EV_I_CEA, PEER_DO_PROCESS_CEA, PEER_I_OPEN},
    {PEER_WAIT_I_CEA, PEER_EV_R_CONN_CER, PEER_DO_HOLD_ELECT, PEER_WAIT_RETURNS},
    {PEER_WAIT_I_CEA, PEER_EV_I_DISC, PEER_DO_CLOSE, PEER_CLOSED},
    {PEER_WAIT_I_CEA, PEER_EV_I_NON_CEA, PEER_DO_ERROR, PEER_CLOSED},
    {PEER_WAIT_I_CEA, PEER_EV_TIMEOUT, PEER_DO_ERROR, PEER_CLOSED},
    {PEER_WAIT_CONN_ACK_ELECT, PEER_EV_I_CONN_ACK, PEER_DO_CER_ELECT, PEER_WAIT_RETURNS},
    {PEER_WAIT_CONN_ACK_ELECT, PEER_EV_I_CONN_NACK, PEER_DO_SEND_R_CEA, PEER_R_OPEN},
    {PEER_WAIT_CONN_ACK_ELECT, PEER_EV_R_DISC, PEER_DO_CLOSE_R, PEER_WAIT_CONN_ACK},
    {PEER_WAIT_CONN_ACK_ELECT, PEER_EV_R_CONN_CER, PEER_DO_REJECT, PEER_WAIT_CONN_ACK_ELECT},
    {PEER_WAIT_CONN_ACK_ELECT, PEER_EV_TIMEOUT, PEER_DO_ERROR, PEER_CLOSED},
    {PEER_WAIT_RETURNS, PEER_EV_WIN_ELECTION, PEER_DO_SEND_R_CEA, PEER_R_OPEN},
    {PEER_WAIT_RETURNS, PEER_EV_I_DISC, PEER_DO_SEND_R_CEA, PEER_R_OPEN},
    {PEER_WAIT_RETURNS, PEER_EV_I_CEA, PEER_DO_CEA_CLOSE_R, PEER_I_OPEN},
    {PEER_WAIT_RETURNS, PEER_EV_R_DISC, PEER_DO_CLOSE_R, PEER_WAIT_I_CEA},
    {PEER_WAIT_RETURNS, PEER_EV_R_CONN_CER, PEER_DO_REJECT, PEER_WAIT_RETURNS},
    {PEER_WAIT_RETURNS, PEER_EV_TIMEOUT, PEER_DO_ERROR, PEER_CLOSED},
    {PEER_R_OPEN, PEER_EV_MESSAGE, PEER_DO_PROCESS, PEER_R_OPEN},
    {PEER_R_OPEN, PEER_EV_DWR, PEER_DO_SEND_DWA, PEER_R_OPEN},
    {PEER_R_OPEN, PEER_EV_DWA, PEER_DO_PROCESS_DWA, PEER_R_OPEN},
    {PEER_R_OPEN, PEER_EV_R_CONN_CER, PEER_DO_REJECT, PEER_R_OPEN},
    {PEER_R_OPEN, PEER_EV_STOP, PEER_DO_SEND_DPR, PEER_CLOSING},
    {PEER_R_OPEN, PEER_EV_DPR, PEER_DO_SEND_DPA, PEER_CLOSING},
    {PEER_R_OPEN, PEER_EV_R_DISC, PEER_DO_CLOSE, PEER_CLOSED},
    {PEER_R_OPEN, PEER_EV_CER_AGAIN, PEER_DO_REFUSE_CER, PEER_CLOSED},
    {PEER_I_OPEN, PEER_EV_MESSAGE, PEER_DO_PROCESS, PEER_I_OPEN},
    {PEER_I_OPEN, PEER_EV_DWR, PEER_DO_SEND_DWA, PEER_I_OPEN},
    {PEER_I_OPEN, PEER_EV_DWA, PEER_DO_PROCESS_DWA, PEER_I_OPEN},
    {PEER_I_OPEN, PEER_EV_R_CONN_CER, PEER_DO_REJECT, PEER_I_OPEN},
    {PEER_I_OPEN, PEER_EV_STOP, PEER_DO_SEND_DPR, PEER_CLOSING},
    {PEER_I_OPEN, PEER_EV_DPR, PEER_DO_SEND_DPA, PEER_CLOSING},
    {PEER_I_OPEN, PEER_EV_I_DISC, PEER_DO_CLOSE, PEER_CLOSED},
    {PEER_CLOSING, PEER_EV_DPA, PEER_DO_CLOSE, PEER_CLOSED},
    {PEER_CLOSING, PEER_EV_TIMEOUT, PEER_DO_CLOSE, PEER_CLOSED},
    {PEER_CLOSING, PEER_EV_R_DISC, PEER_DO_CLOSE, PEER_CLOSED},
    {PEER_CLOSING, PEER_EV_I_DISC, PEER_DO_CLOSE, PEER_CLOSED},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct peer_row row = peer_step(steps[i].state, steps[i].event);
		if (row.action != steps[i].action || row.next != steps[i].next)
			fail_msg("%s, event %d: action %d, next %s", peer_state_name(steps[i].state),
				 steps[i].event, row.action, peer_state_name(row.next));
	}
}

// Whatever has no row ends in Closed by the error action; nothing but a CER opens a closed peer; no index
// escapes.
static void test_table_is_closed(void **state)
{
	(void)state;
	for (int s = 0; s < PEER_STATE_CNT; s++)
		for (int e = 0; e < PEER_EVENT_CNT; e++) {
			struct peer_row row = peer_step(s, e);
			assert_true(row.action < PEER_ACTION_CNT);
			assert_true(row.next < PEER_STATE_CNT);
			if (row.action == PEER_DO_ERROR)
				assert_int_equal(row.next, PEER_CLOSED);
			if (s == PEER_CLOSED && e != PEER_EV_R_CONN_CER)
				assert_true(row.next != PEER_R_OPEN && row.next != PEER_I_OPEN);
		}
	assert_int_equal(peer_step(PEER_CLOSED, PEER_EV_MESSAGE).action, PEER_DO_ERROR);
	assert_int_equal(peer_step(PEER_STATE_CNT, PEER_EV_START).action, PEER_DO_ERROR);
	assert_int_equal(peer_step(PEER_CLOSED, PEER_EVENT_CNT).action, PEER_DO_ERROR);
	assert_int_equal(peer_step((enum peer_state) - 1, (enum peer_event) - 1).action, PEER_DO_ERROR);
	assert_string_equal(peer_state_name(PEER_R_OPEN), "open");
	assert_string_equal(peer_state_name((enum peer_state)99), "unknown");
}

static void test_election(void **state)
{
	(void)state;
	assert_true(peer_election_won("hss2.example", "hss1.example"));
	assert_false(peer_election_won("hss1.example", "hss2.example"));
	assert_true(peer_election_won("HSS2.example", "hss1.EXAMPLE"));
	assert_false(peer_election_won("hss.example", "HSS.example"));
	assert_true(peer_election_won("hss.example.org", "hss.example"));
	assert_false(peer_election_won("hss.example", "hss.example.org"));
	assert_true(peer_election_won("\xc3z", "z"));
	// both sides never come to the same result
	assert_true(peer_election_won("a", "b") != peer_election_won("b", "a"));
}

// ---- the watchdog --------------------------------------------------------------------------------

#define TW 30000

static void new_watchdog(struct watchdog *w)
{
	watchdog_init(w, TW, 7);
	assert_int_equal(w->state, WATCHDOG_INITIAL);
}

static void assert_restarted(const struct watchdog *w, uint64_t now)
{
	assert_in_range(w->deadline_ms, now + TW - 2000, now + TW + 2000);
}

static void test_watchdog_okay(void **state)
{
	struct watchdog w;
	(void)state;
	new_watchdog(&w);
	assert_int_equal(watchdog_up(&w, 1000), 0);
	assert_int_equal(w.state, WATCHDOG_OKAY);
	assert_restarted(&w, 1000);
	assert_int_equal(watchdog_receive(&w, 9000, false), 0);
	assert_restarted(&w, 9000);
	// one DWR, and no second one while it is pending
	assert_int_equal(watchdog_expire(&w, 40000), WATCHDOG_SEND_DWR);
	assert_true(w.pending);
	assert_restarted(&w, 40000);
	assert_int_equal(watchdog_receive(&w, 41000, false), 0);
	assert_true(w.pending);
	assert_int_equal(watchdog_receive(&w, 42000, true), 0);
	assert_false(w.pending);
	assert_int_equal(w.state, WATCHDOG_OKAY);
}

static void test_watchdog_suspect(void **state)
{
	struct watchdog w;
	(void)state;
	new_watchdog(&w);
	watchdog_up(&w, 1000);
	assert_int_equal(watchdog_expire(&w, 40000), WATCHDOG_SEND_DWR);
	assert_int_equal(watchdog_expire(&w, 80000), WATCHDOG_FAILOVER);
	assert_int_equal(w.state, WATCHDOG_SUSPECT);
	assert_restarted(&w, 80000);
	struct watchdog again = w, dwa = w;
	// any message: failback; the DWR stays pending unless it was its answer
	assert_int_equal(watchdog_receive(&again, 90000, false), WATCHDOG_FAILBACK);
	assert_int_equal(again.state, WATCHDOG_OKAY);
	assert_true(again.pending);
	assert_int_equal(watchdog_receive(&dwa, 90000, true), WATCHDOG_FAILBACK);
	assert_false(dwa.pending);
	assert_int_equal(watchdog_expire(&w, 120000), WATCHDOG_CLOSE);
	assert_int_equal(w.state, WATCHDOG_DOWN);
	assert_int_equal(watchdog_expire(&w, 160000), WATCHDOG_OPEN);
	assert_int_equal(watchdog_receive(&w, 160001, false), WATCHDOG_THROW);
}

static void to_reopen(struct watchdog *w)
{
	new_watchdog(w);
	watchdog_up(w, 1000);
	assert_int_equal(watchdog_down(w, 2000), WATCHDOG_CLOSE | WATCHDOG_FAILOVER);
	assert_int_equal(w->state, WATCHDOG_DOWN);
	assert_int_equal(watchdog_down(w, 2500), WATCHDOG_CLOSE);
	assert_int_equal(watchdog_up(w, 3000), WATCHDOG_SEND_DWR);
	assert_int_equal(w->state, WATCHDOG_REOPEN);
	assert_int_equal(w->num_dwa, 0);
}

static void test_watchdog_reopen(void **state)
{
	struct watchdog w;
	(void)state;
	to_reopen(&w);
	assert_int_equal(watchdog_receive(&w, 4000, false), WATCHDOG_THROW);
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(watchdog_receive(&w, 4000, true), 0);
		assert_int_equal(w.state, WATCHDOG_REOPEN);
		assert_int_equal(w.num_dwa, i);
		assert_int_equal(watchdog_expire(&w, 40000), WATCHDOG_SEND_DWR);
	}
	assert_int_equal(watchdog_receive(&w, 41000, true), WATCHDOG_FAILBACK);
	assert_int_equal(w.state, WATCHDOG_OKAY);
}

static void test_watchdog_reopen_fails(void **state)
{
	struct watchdog w;
	(void)state;
	to_reopen(&w);
	assert_int_equal(watchdog_expire(&w, 40000), 0);
	assert_int_equal(w.num_dwa, -1);
	assert_int_equal(watchdog_expire(&w, 80000), WATCHDOG_CLOSE);
	assert_int_equal(w.state, WATCHDOG_DOWN);
	to_reopen(&w);
	assert_int_equal(watchdog_down(&w, 5000), WATCHDOG_CLOSE);
	assert_int_equal(w.state, WATCHDOG_DOWN);
}

static void test_watchdog_initial(void **state)
{
	struct watchdog w;
	(void)state;
	new_watchdog(&w);
	assert_int_equal(watchdog_receive(&w, 100, false), WATCHDOG_THROW);
	assert_int_equal(watchdog_expire(&w, 200), WATCHDOG_OPEN);
	assert_int_equal(watchdog_down(&w, 300), WATCHDOG_CLOSE);
	assert_int_equal(w.state, WATCHDOG_INITIAL);
	watchdog_init(&w, 10, 0); // Tw has a floor, and a seed of 0 still gives jitter
	assert_int_equal(w.tw_ms, 6000);
}

static void test_watchdog_probe(void **state)
{
	struct watchdog w;
	(void)state;
	new_watchdog(&w);
	assert_int_equal(watchdog_probe(&w, 10), 0);
	watchdog_up(&w, 1000);
	assert_int_equal(watchdog_probe(&w, 2000), WATCHDOG_SEND_DWR);
	assert_int_equal(watchdog_probe(&w, 2000), 0);
	assert_int_equal(watchdog_expire(&w, 40000), WATCHDOG_FAILOVER);
}

// Each reset draws anew, between -2 s and +2 s, and both ends are reached.
static void test_watchdog_jitter(void **state)
{
	struct watchdog w;
	uint64_t least = UINT64_MAX, most = 0, same = 0, last = 0;
	(void)state;
	new_watchdog(&w);
	watchdog_up(&w, 1000000);
	for (int i = 0; i < 20000; i++) {
		watchdog_receive(&w, 1000000, false);
		assert_restarted(&w, 1000000);
		least = w.deadline_ms < least ? w.deadline_ms : least;
		most = w.deadline_ms > most ? w.deadline_ms : most;
		same += w.deadline_ms == last;
		last = w.deadline_ms;
	}
	assert_true(least < 1000000 + TW - 1900 && most > 1000000 + TW + 1900);
	assert_true(same < 100);
	assert_string_equal(watchdog_state_name(WATCHDOG_SUSPECT), "suspect");
	assert_string_equal(watchdog_state_name((enum watchdog_state)77), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_table_is_closed),
	    cmocka_unit_test(test_election),
	    cmocka_unit_test(test_watchdog_okay),
	    cmocka_unit_test(test_watchdog_suspect),
	    cmocka_unit_test(test_watchdog_reopen),
	    cmocka_unit_test(test_watchdog_reopen_fails),
	    cmocka_unit_test(test_watchdog_initial),
	    cmocka_unit_test(test_watchdog_probe),
	    cmocka_unit_test(test_watchdog_jitter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

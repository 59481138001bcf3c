// Every pair of the outbox's table: nothing is lost on any way through it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "loader/upstream/outbox_table.h"

static struct outbox_row step(enum outbox_state s, enum outbox_event e)
{
	return outbox_step(s, e);
}

// After a location changed it stands in a queue, or is sent or tried again later with what is newest then.
static void a_location_is_never_forgotten(void **state)
{
	(void)state;
	for (unsigned s = 0; s < OUTBOX_STATE_CNT; s++) {
		struct outbox_row row = step(s, OUTBOX_EV_LOCATION);
		assert_int_not_equal(row.action, OUTBOX_DO_BUG);
		assert_true(outbox_has_location(row.next));
		assert_int_not_equal(row.next, OUTBOX_SENT); // what is under way does not have it
	}
}

// It leaves only by an outcome of a bulk that had all of it.
static void it_is_told_only_by_a_good_outcome(void **state)
{
	(void)state;
	for (unsigned s = 0; s < OUTBOX_STATE_CNT; s++)
		for (unsigned e = 0; e < OUTBOX_EVENT_CNT; e++) {
			struct outbox_row row = step(s, e);
			if (!outbox_has_location(s) || outbox_has_location(row.next) || row.action == OUTBOX_DO_BUG)
				continue;
			assert_true((s == OUTBOX_SENT && e == OUTBOX_EV_DONE) || e == OUTBOX_EV_NOTHING);
		}
}

// A state that stands in a queue was put there when it was entered, and only then: its place is unique.
static void who_is_queued_has_one_place(void **state)
{
	(void)state;
	for (unsigned s = 0; s < OUTBOX_STATE_CNT; s++)
		for (unsigned e = 0; e < OUTBOX_EVENT_CNT; e++) {
			struct outbox_row row = step(s, e);
			if (row.action == OUTBOX_DO_BUG)
				continue;
			assert_int_equal(row.action == OUTBOX_DO_QUEUE, row.next == OUTBOX_QUEUED && s != OUTBOX_QUEUED);
			assert_int_equal(row.action == OUTBOX_DO_QUEUE_SQN, row.next == OUTBOX_SQN_QUEUED && s != OUTBOX_SQN_QUEUED);
			bool late = row.next == OUTBOX_LATE || row.next == OUTBOX_SQN_LATE;
			bool was_late = s == OUTBOX_LATE || s == OUTBOX_SQN_LATE;
			assert_int_equal(row.action == OUTBOX_DO_WAIT, late && !was_late);
		}
}

// Only one bulk at a time has something of a subscriber: two could overtake each other.
static void nothing_is_sent_beside_what_is_under_way(void **state)
{
	(void)state;
	for (unsigned s = 0; s < OUTBOX_STATE_CNT; s++)
		for (unsigned e = OUTBOX_EV_SEND; e <= OUTBOX_EV_SEND_SQN; e++)
			if (outbox_is_sent(s))
				assert_int_equal(step(s, e).action, OUTBOX_DO_BUG);
	assert_int_equal(outbox_step(OUTBOX_STATE_CNT, OUTBOX_EV_DONE).action, OUTBOX_DO_BUG);
	assert_int_equal(outbox_step(OUTBOX_IDLE, OUTBOX_EVENT_CNT).action, OUTBOX_DO_BUG);
}

// Whatever the outcome, somebody who was deleted and added meanwhile is not harmed by it.
static void an_outcome_of_former_times_changes_nothing(void **state)
{
	(void)state;
	for (unsigned s = 0; s < OUTBOX_STATE_CNT; s++)
		for (unsigned e = OUTBOX_EV_DONE; e <= OUTBOX_EV_BUSY; e++)
			if (!outbox_is_sent(s)) {
				assert_int_equal(step(s, e).action, OUTBOX_DO_NOTHING);
				assert_int_equal(step(s, e).next, s);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_location_is_never_forgotten),
	    cmocka_unit_test(it_is_told_only_by_a_good_outcome),
	    cmocka_unit_test(who_is_queued_has_one_place),
	    cmocka_unit_test(nothing_is_sent_beside_what_is_under_way),
	    cmocka_unit_test(an_outcome_of_former_times_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

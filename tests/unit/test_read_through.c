// Read-through: one question for an IMSI, an answer for each request that waits for it, bounds on all of it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "lib/base/clock.h"
#include "loader/upstream/read_through.h"

#define NOW_US 1000000000ull
#define RATE 100000u // questions a second: more than may wait

static struct loader loader;
static struct read_through *m;
static unsigned answered;
static uint64_t last_id, last_status;

static void answer(struct loader *l, enum role role, unsigned index, uint16_t type, uint64_t id, const void *body, size_t len)
{
	(void)l;
	assert_int_equal(role, ROLE_WORKER);
	assert_int_equal(index, 1);
	assert_int_equal(type, IPC_READ_THROUGH_ACK);
	assert_int_equal(len, sizeof(last_status));
	memcpy(&last_status, body, len);
	last_id = id;
	answered++;
}

static int setup(void **state)
{
	(void)state;
	loader = (struct loader){.send = answer};
	answered = 0;
	clock_freeze_us(NOW_US);
	m = read_through_new(RATE);
	return m ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	read_through_free(&m);
	clock_freeze_us(0);
	return 0;
}

static enum read_through_turn begin(uint64_t imsi, uint64_t id)
{
	return read_through_begin(m, (imsi_t){imsi}, 1, 0, id);
}

static void end(uint64_t imsi, enum read_through_status status)
{
	read_through_end(&loader, m, (imsi_t){imsi}, status);
}

static void one_question_for_an_imsi(void **state)
{
	(void)state;
	assert_int_equal(begin(7, 1), READ_THROUGH_ASK);
	assert_int_equal(begin(7, 2), READ_THROUGH_JOINED);
	assert_int_equal(begin(8, 3), READ_THROUGH_ASK);
	end(9, READ_THROUGH_FOUND); // nobody asked
	assert_int_equal(answered, 0);
	end(7, READ_THROUGH_FOUND);
	assert_int_equal(answered, 2);
	assert_int_equal(last_status, READ_THROUGH_FOUND);
	end(7, READ_THROUGH_FOUND);
	assert_int_equal(answered, 2);
	assert_int_equal(begin(7, 4), READ_THROUGH_ASK);
	end(8, READ_THROUGH_UNKNOWN);
	assert_int_equal(answered, 3);
	assert_int_equal(last_id, 3);
	assert_int_equal(last_status, READ_THROUGH_UNKNOWN);
}

static void an_unknown_imsi_is_remembered_for_a_second(void **state)
{
	(void)state;
	assert_int_equal(begin(8, 1), READ_THROUGH_ASK);
	end(8, READ_THROUGH_UNKNOWN);
	assert_int_equal(begin(8, 2), READ_THROUGH_NEGATIVE);
	clock_freeze_us(NOW_US + 1000000);
	assert_int_equal(begin(8, 2), READ_THROUGH_ASK);
}

static void a_worker_that_has_died_gets_no_answer(void **state)
{
	(void)state;
	assert_int_equal(begin(7, 1), READ_THROUGH_ASK);
	loader.worker[1].generation++;
	end(7, READ_THROUGH_FOUND);
	assert_int_equal(answered, 0);
}

// Questions, requests, and the rate; what has ended makes room, in any order.
static void bounded(void **state)
{
	uint64_t asked = 0, joined = 0;
	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (asked = 0; begin(asked + 1, asked) == READ_THROUGH_ASK; asked++)
			assert_true(asked < RATE);
		assert_int_equal(asked, 2048);
		for (joined = 0; begin(joined % asked + 1, joined) == READ_THROUGH_JOINED; joined++)
			assert_true(joined < RATE);
		assert_int_equal(asked + joined, 8192);
		answered = 0;
		for (uint64_t i = 0; i < asked; i++)
			end((round % 2 ? i : asked - 1 - i) + 1, READ_THROUGH_FOUND);
		assert_int_equal(answered, 8192);
	}
	read_through_free(&m);
	m = read_through_new(2);
	assert_int_equal(begin(1, 1), READ_THROUGH_ASK);
	assert_int_equal(begin(2, 2), READ_THROUGH_ASK);
	assert_int_equal(begin(3, 3), READ_THROUGH_TOO_MANY);
	read_through_tick(m, 2);
	assert_int_equal(begin(3, 3), READ_THROUGH_ASK);
	assert_int_equal(begin(4, 4), READ_THROUGH_TOO_MANY); // the teardown frees those that wait
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(one_question_for_an_imsi),
	    T(an_unknown_imsi_is_remembered_for_a_second),
	    T(a_worker_that_has_died_gets_no_answer),
	    T(bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

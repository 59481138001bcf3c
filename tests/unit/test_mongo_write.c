// How large bulks are (bulk_size.h) and when a loss is believed (loss.h): decisions by numbers alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "loader/upstream/mongo/bulk_size.h"
#include "loader/upstream/mongo/loss.h"

#define MAX 1000u

// A server to which every bulk takes `fixed_ms` and every update `each_us`. Returns the milliseconds for `cnt` updates.
static uint64_t write_all(struct bulk_size *s, unsigned cnt, uint64_t fixed_ms, uint64_t each_us)
{
	uint64_t total = 0;
	while (cnt) {
		unsigned n = cnt < s->piece ? cnt : s->piece;
		uint64_t ms = fixed_ms + each_us * n / 1000;
		bulk_size_done(s, n, ms);
		total += ms;
		cnt -= n;
	}
	return total;
}

// M1: the way to the server takes 0.6 s each way, and it stalled for 50 s.
static void a_long_way_is_no_cost_of_an_update(void **state)
{
	struct bulk_size s;
	(void)state;
	bulk_size_init(&s, MAX);
	assert_true(write_all(&s, 5000, 1200, 0) < 20000);
	assert_int_equal(s.piece, MAX);
	for (unsigned i = 0; i < 10; i++)
		bulk_size_lost(&s);
	assert_true(write_all(&s, 1000, 1200, 0) < 10000);
	// and after it was too slow for everything
	for (unsigned i = 0; i < 10; i++)
		bulk_size_too_slow(&s);
	assert_int_equal(s.piece, 1);
	assert_true(write_all(&s, 1000, 1200, 0) < 12000);
	// single ones for an hour say nothing about many
	for (unsigned i = 0; i < 3600; i++)
		(void)write_all(&s, 1, 1200, 0);
	assert_true(write_all(&s, 2000, 1200, 0) < 10000);
	// the majority is far away: slow for each bulk, whatever its size
	bulk_size_init(&s, MAX);
	assert_true(write_all(&s, 5000, 3000, 10) < 60000);
	assert_true(s.piece >= MAX / 2);
}

// Without an index on imsi each update reads the whole collection.
static void slow_updates_go_in_small_bulks(void **state)
{
	struct bulk_size s;
	(void)state;
	bulk_size_init(&s, MAX);
	(void)write_all(&s, 500, 5, 300000);
	assert_true(s.piece <= 4);
	assert_true(bulk_size_limit_ms(&s, s.piece) >= 4000);
	(void)write_all(&s, 20000, 5, 100); // the index was made
	assert_int_equal(s.piece, MAX);
	assert_true(bulk_size_limit_ms(&s, MAX) <= 2000);
	bulk_size_init(&s, MAX);
	bulk_size_done(&s, 0, 0);
	bulk_size_done(&s, 1, 0);
	assert_true(s.piece >= 1 && s.piece <= MAX);
}

static void a_few_may_go_at_once(void **state)
{
	struct loss s = {0};
	uint64_t now = 5000000;
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		assert_true(loss_is_small(&s, 1, 1000, now));
		loss_believed(&s, 1);
	}
	assert_false(loss_is_small(&s, 1, 1000, now));
	assert_true(loss_is_small(&s, 1, 1000, now + LOSS_FEW_MS + 1));
	// nobody is left of a few
	s = (struct loss){0};
	assert_true(loss_is_small(&s, 1, 1, now));
	assert_false(loss_is_small(&s, 5, 5, now));
}

// M3
static void more_than_half_is_not_believed(void **state)
{
	struct loss s = {0};
	uint64_t now = 5000000;
	(void)state;
	loss_wait(&s, 500, now);
	loss_wait(&s, 500, now + 1000);
	assert_false(loss_is_calm(&s, now + 1000));
	assert_true(loss_is_calm(&s, now + 3000));
	assert_true(loss_is_sudden(&s, 1000, 1500, now));
	assert_false(loss_is_sudden(&s, 700, 1500, now));
	// without end: decided all the same
	for (unsigned i = 0; i < 31; i++)
		loss_wait(&s, 1, now + 1000 * i);
	assert_true(loss_is_calm(&s, now + 31000));
	// piece by piece within some minutes
	s = (struct loss){0};
	assert_false(loss_is_sudden(&s, 400, 1000, now));
	loss_believed(&s, 400);
	assert_true(loss_is_sudden(&s, 200, 600, now + 60000));
	assert_false(loss_is_sudden(&s, 200, 600, now + LOSS_WINDOW_MS + 60000));
	// all of a few
	s = (struct loss){0};
	assert_true(loss_is_sudden(&s, 3, 3, now));
	assert_false(loss_is_sudden(&s, 2, 3, now));
	assert_false(loss_is_sudden(&s, 0, 0, now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_long_way_is_no_cost_of_an_update),
	    cmocka_unit_test(slow_updates_go_in_small_bulks),
	    cmocka_unit_test(a_few_may_go_at_once),
	    cmocka_unit_test(more_than_half_is_not_believed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

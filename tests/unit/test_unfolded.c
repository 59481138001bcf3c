// Which journal entries are not in the rows yet: against a model, with a fold thread that keeps pace, lags, and catches up.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "loader/store/unfolded.h"

#define SUBSCRIBERS 60000u

static uint64_t newest[SUBSCRIBERS]; // the model: number of each subscriber's last entry

static uint64_t key_of(unsigned n)
{
	return unfolded_key(UNFOLDED_STATE, (imsi_t){n + 1}, 0);
}

static void check(const struct unfolded *u, uint64_t folded)
{
	for (unsigned n = 0; n < SUBSCRIBERS; n++)
		assert_int_equal(unfolded_find(u, key_of(n), folded), newest[n] > folded ? newest[n] : 0);
}

static void run(uint64_t lag)
{
	struct unfolded u;
	uint64_t seq = 0, folded = 0;
	memset(newest, 0, sizeof newest);
	srand(7);
	assert_int_equal(unfolded_init(&u), 0);
	for (unsigned round = 0; round < 30; round++) {
		for (unsigned i = 0; i < 20000; i++) {
			unsigned n = (unsigned)rand() % SUBSCRIBERS;
			newest[n] = ++seq;
			assert_int_equal(unfolded_note(&u, key_of(n), seq, folded), 0);
			if (seq > lag)
				folded = seq - lag;
		}
		check(&u, folded);
	}
	unfolded_trim(&u, folded); // changes nothing while something is left
	check(&u, folded);
	unfolded_trim(&u, seq);
	check(&u, seq);
	assert_int_equal(u.cur.map.cap, u.prev.map.cap);
	seq++;
	assert_int_equal(unfolded_note(&u, key_of(0), seq, seq - 1), 0);
	assert_int_equal(unfolded_find(&u, key_of(0), seq - 1), seq);
	unfolded_fini(&u);
}

static void fold_keeps_pace(void **state)
{
	(void)state;
	run(500);
}

static void fold_lags(void **state)
{
	(void)state;
	run(100000);
}

static void fold_never_comes(void **state)
{
	(void)state;
	run(UINT64_MAX);
}

// While folding keeps pace nothing grows, however long it goes on.
static void size_follows_the_backlog(void **state)
{
	(void)state;
	struct unfolded u;
	assert_int_equal(unfolded_init(&u), 0);
	uint64_t cap = u.cur.map.cap;
	for (uint64_t seq = 1; seq < 500000; seq++)
		assert_int_equal(unfolded_note(&u, key_of((unsigned)(seq % SUBSCRIBERS)), seq, seq > 1000 ? seq - 1000 : 0), 0);
	assert_int_equal(u.cur.map.cap, cap);
	assert_int_equal(u.prev.map.cap, cap);
	unfolded_fini(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fold_keeps_pace),
		cmocka_unit_test(fold_lags),
		cmocka_unit_test(fold_never_comes),
		cmocka_unit_test(size_follows_the_backlog),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

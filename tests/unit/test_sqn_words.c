// SQN words under fire: threads draw while a setter raises limits, raises next and forces it down. No SEQ is
// drawn twice but after an explicit force, none is drawn that no limit covered, and a draw never passes the
// end of the 43 bits. The reader is compiled into this test, with a hook before its compare-and-swaps.
#include <pthread.h>
#include "cache_fixture.h"

static void (*swap_hook)(void);
#define __atomic_compare_exchange_n(...)                                                                     \
	(swap_hook ? swap_hook() : (void)0, __atomic_compare_exchange_n(__VA_ARGS__))
#include "cache/lookup.c"
#undef __atomic_compare_exchange_n

static struct fixture swap_fixture;
static uint32_t swap_word;

static void set_to_the_same_next(void)
{
	swap_hook = NULL;
	builder_sqn_set(swap_fixture.b, swap_word, 100, 102);
}

static void set_to_another_next(void)
{
	swap_hook = NULL;
	builder_sqn_set(swap_fixture.b, swap_word, 50, 306);
}

// The setter comes between a worker's look at the limit and its compare-and-swap (layout.h).
static void test_set_within_a_draw(void **state)
{
	(void)state;
	uint64_t first;
	bool low;
	fixture_open(&swap_fixture, 8);
	swap_word = builder_sqn_take(swap_fixture.b, 100, 356);
	swap_hook = set_to_the_same_next;
	assert_int_equal(cache_sqn_draw(&swap_fixture.reader, swap_word, 5, &first, &low), SQN_NEED_BLOCK);
	builder_sqn_set(swap_fixture.b, swap_word, 100, 356);
	swap_hook = set_to_another_next;
	assert_int_equal(cache_sqn_draw(&swap_fixture.reader, swap_word, 5, &first, &low), SQN_OK);
	assert_int_equal(first, 50);
	fixture_close(&swap_fixture);
}

static void test_draw(void **state)
{
	(void)state;
	struct fixture f;
	uint64_t first;
	bool low;
	fixture_open(&f, 8);
	uint32_t w = builder_sqn_take(f.b, 100, 356);
	assert_int_equal(cache_sqn_draw(&f.reader, w, 5, &first, &low), SQN_OK);
	assert_int_equal(first, 100);
	assert_false(low);
	assert_int_equal(cache_sqn_draw(&f.reader, w, 124, &first, &low), SQN_OK);
	assert_int_equal(first, 105);
	assert_true(low);
	assert_int_equal(cache_sqn_draw(&f.reader, w, 128, &first, &low), SQN_NEED_BLOCK);
	assert_int_equal(cache_sqn_draw(&f.reader, w, 127, &first, &low), SQN_OK); // up to the limit
	assert_int_equal(cache_sqn_draw(&f.reader, w, 1, &first, &low), SQN_NEED_BLOCK);
	builder_sqn_limit(f.b, w, 300); // never lowers
	builder_sqn_limit(f.b, w, 612);
	assert_int_equal(cache_sqn_draw(&f.reader, w, 1, &first, &low), SQN_OK);
	assert_int_equal(first, 356);
	// resynchronisation
	assert_int_equal(cache_sqn_raise(&f.reader, w, 200), SQN_OK); // is beyond already
	assert_int_equal(cache_sqn_raise(&f.reader, w, 600), SQN_OK);
	assert_int_equal(cache_sqn_draw(&f.reader, w, 1, &first, &low), SQN_OK);
	assert_int_equal(first, 600);
	assert_int_equal(cache_sqn_raise(&f.reader, w, 613), SQN_NEED_BLOCK);
	builder_sqn_raise(f.b, w, 700, 956);
	builder_sqn_raise(f.b, w, 650, 900);
	assert_int_equal(cache_sqn_draw(&f.reader, w, 1, &first, &low), SQN_OK);
	assert_int_equal(first, 700);
	builder_sqn_set(f.b, w, 10, 20);
	assert_int_equal(cache_sqn_draw(&f.reader, w, 11, &first, &low), SQN_NEED_BLOCK);
	assert_int_equal(cache_sqn_draw(&f.reader, w, 10, &first, &low), SQN_OK);
	assert_int_equal(first, 10);
	fixture_close(&f);
}

static void test_end(void **state)
{
	(void)state;
	struct fixture f;
	uint64_t first;
	bool low;
	fixture_open(&f, 8);
	uint32_t w = builder_sqn_take(f.b, CACHE_SEQ_MAX - 2, CACHE_SEQ_MAX + 1);
	assert_int_equal(cache_sqn_draw(&f.reader, w, 3, &first, &low), SQN_END);
	assert_int_equal(cache_sqn_draw(&f.reader, w, 2, &first, &low), SQN_OK);
	assert_int_equal(first, CACHE_SEQ_MAX - 2);
	assert_int_equal(cache_sqn_draw(&f.reader, w, 1, &first, &low), SQN_END);
	assert_int_equal(cache_sqn_raise(&f.reader, w, CACHE_SEQ_MAX), SQN_END);
	assert_int_equal(cache_sqn_raise(&f.reader, w, UINT64_MAX), SQN_END);
	assert_int_equal(cache_sqn_draw(&f.reader, UINT32_MAX, 1, &first, &low), SQN_END);
	assert_int_equal(cache_sqn_raise(&f.reader, f.reader.sqn_cnt, 1), SQN_END);
	fixture_close(&f);
}

// Words of a deleted subscriber are not given away while a reader may draw from them.
static void test_words_wait_for_readers(void **state)
{
	(void)state;
	struct fixture f;
	fixture_open(&f, 8);
	struct cache_record r = {.imsi = imsi_no(1), .sqn = builder_sqn_take(f.b, 100, 356)};
	assert_int_equal(builder_put(f.b, &r), 0);
	cache_pin(&f.reader);
	assert_true(builder_delete(f.b, imsi_no(1)));
	builder_reclaim(f.b);
	assert_int_not_equal(builder_sqn_take(f.b, 1, 257), r.sqn);
	assert_int_equal(f.reader.sqn[r.sqn].next, 100);
	cache_unpin(&f.reader);
	builder_reclaim(f.b);
	assert_int_equal(builder_sqn_take(f.b, 1, 257), r.sqn);
	assert_int_equal(f.reader.sqn[r.sqn].next, 1);
	fixture_close(&f);
}

enum { THREADS = 3, SEQS = 1 << 22 };

struct drawing {
	pthread_t thread;
	struct cache c;
	uint32_t word;
	uint8_t *drawn;    // times that a SEQ was drawn
	uint64_t *granted; // highest limit that was ever set
	const bool *stop;
	uint64_t cnt, raises; // cnt is read by the setter
	const char *wrong;
};

static void *drawing_run(void *arg)
{
	struct drawing *me = arg;
	uint64_t first;
	bool low;
	for (uint32_t i = 0; !me->wrong && !__atomic_load_n(me->stop, __ATOMIC_RELAXED); i++) {
		uint32_t n = 1 + i % 5;
		if (cache_sqn_draw(&me->c, me->word, n, &first, &low) == SQN_OK) {
			for (uint64_t s = first; s < first + n; s++)
				__atomic_fetch_add(&me->drawn[s], 1, __ATOMIC_RELAXED);
			__atomic_store_n(&me->cnt, me->cnt + n, __ATOMIC_RELAXED);
			if (first + n > __atomic_load_n(me->granted, __ATOMIC_SEQ_CST))
				me->wrong = "drawn beyond every limit";
		}
		if (i % 97 == 0 && cache_sqn_raise(&me->c, me->word, first + 3) == SQN_OK)
			me->raises++;
	}
	return NULL;
}

static uint64_t draw_under_setter(bool force, uint8_t *drawn)
{
	struct fixture f;
	struct drawing t[THREADS] = {0};
	bool stop = false;
	uint64_t granted = 257, forces = 0, cnt = 0;
	fixture_open(&f, 8);
	uint32_t w = builder_sqn_take(f.b, 1, granted);
	rng_state = 5;
	for (unsigned i = 0; i < THREADS; i++) {
		t[i].c = f.reader;
		t[i].word = w;
		t[i].drawn = drawn;
		t[i].granted = &granted;
		t[i].stop = &stop;
		assert_int_equal(pthread_create(&t[i].thread, NULL, drawing_run, &t[i]), 0);
	}
	const uint64_t *next = (const uint64_t *)&f.reader.sqn[w].next;
	for (uint64_t at; cnt < 400000 && (at = __atomic_load_n(next, __ATOMIC_SEQ_CST)) < SEQS - 8192;) {
		cnt = 0;
		for (unsigned i = 0; i < THREADS; i++)
			cnt += __atomic_load_n(&t[i].cnt, __ATOMIC_RELAXED);
		uint64_t limit = at + 64 + rng(4096);
		if (limit > granted)
			__atomic_store_n(&granted, limit, __ATOMIC_SEQ_CST); // "on disk"
		if (force && rng(64) == 0 && at > 300 && forces < 250) {
			builder_sqn_set(f.b, w, at - 200, at);
			forces++;
		} else if (rng(2048) == 0) {
			builder_sqn_raise(f.b, w, at + rng(100), limit);
		} else {
			builder_sqn_limit(f.b, w, limit);
		}
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	cnt = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(t[i].thread, NULL);
		assert_null(t[i].wrong);
		cnt += t[i].cnt;
	}
	assert_true(cnt > 10000);
	fixture_close(&f);
	return forces;
}

static uint32_t drawn_most(const uint8_t *drawn)
{
	uint32_t most = 0;
	for (uint32_t s = 0; s < SEQS; s++)
		most = drawn[s] > most ? drawn[s] : most;
	return most;
}

static void test_never_twice(void **state)
{
	(void)state;
	uint8_t *drawn = calloc(SEQS, 1);
	assert_non_null(drawn);
	draw_under_setter(false, drawn);
	assert_int_equal(drawn_most(drawn), 1);
	memset(drawn, 0, SEQS);
	uint64_t forces = draw_under_setter(true, drawn);
	assert_true(forces > 0);
	assert_true(drawn_most(drawn) <= 1 + forces);
	free(drawn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_draw),
	    cmocka_unit_test(test_end),
	    cmocka_unit_test(test_set_within_a_draw),
	    cmocka_unit_test(test_words_wait_for_readers),
	    cmocka_unit_test(test_never_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

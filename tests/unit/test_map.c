// The hash map against a model: what was added is found, what was removed is not, through growth, collisions and
// wrap-around at the end of the table.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "lib/base/map.h"

struct pair {
	uint64_t key;
	uint32_t value;
};
#define PAIR_KEY(p) ((p)->key)
MAP_DEFINE(pairs, struct pair, PAIR_KEY)

// A key that shares its place with a mark.
#define MARK	     (1ull << 63)
#define MARKED_KEY(p) (*(p) & ~MARK)
MAP_DEFINE(marked, uint64_t, MARKED_KEY)

#define KEYS 1000u

static uint64_t random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

// Keys with the same hash in the low bits, from the inverse of ident_hash: a round is x ^= x >> 32 and a multiplication.
static uint64_t key_with_hash(uint64_t hash)
{
	uint64_t inverse = 0xd6e8feb86659fd93ull; // Newton: correct bits double
	for (unsigned i = 0; i < 6; i++)
		inverse *= 2 - 0xd6e8feb86659fd93ull * inverse;
	uint64_t v = hash ^ hash >> 32;
	v *= inverse;
	v ^= v >> 32;
	v *= inverse;
	return v ^ v >> 32;
}

static void check(const struct pairs *m, const uint64_t *key, const uint32_t *model)
{
	uint64_t cnt = 0, walked = 0;
	for (unsigned i = 0; i < KEYS; i++) {
		const struct pair *p = pairs_find(m, key[i]);
		assert_int_equal(p ? p->value : 0, model[i]);
		cnt += model[i] != 0;
	}
	assert_int_equal(m->cnt, cnt);
	for (uint64_t at = 0; pairs_next(m, &at); at++)
		walked++;
	assert_int_equal(walked, cnt);
	assert_true(m->cnt <= m->cap / 4 * 3);
}

static void run(const uint64_t *key)
{
	static uint32_t model[KEYS];
	struct pairs m = {0};
	uint64_t random = 5;
	memset(model, 0, sizeof(model));
	for (unsigned step = 0; step < 60000; step++) {
		unsigned i = (unsigned)(random_next(&random) % KEYS);
		bool grows = step / 10000 % 2 == 0; // in turn: most are added, most are removed
		struct pair *p = pairs_find(&m, key[i]);
		assert_int_equal(p != NULL, model[i] != 0);
		if (random_next(&random) % 4 < (grows ? 3 : 1)) {
			p = pairs_add(&m, (struct pair){key[i], step + 1});
			assert_non_null(p);
			assert_int_equal(p->value, model[i] ? model[i] : step + 1); // there already: as it is
			p->value = model[i] = step + 1;
		} else if (p) {
			pairs_remove(&m, p);
			model[i] = 0;
		}
		if (step % 1000 == 0)
			check(&m, key, model);
	}
	check(&m, key, model);
	assert_true(m.cap <= 2048); // bounded by the keys, not by how often they come and go
	pairs_free(&m);
	check(&m, key, (const uint32_t[KEYS]){0});
}

static void any_keys(void **state)
{
	static uint64_t key[KEYS];
	uint64_t random = 1;
	(void)state;
	for (unsigned i = 0; i < KEYS; i++)
		key[i] = i % 2 ? i : random_next(&random) << 31 | i << 1;
	run(key);
}

// All belong to a few places, the last of the table among them.
static void keys_that_collide(void **state)
{
	static uint64_t key[KEYS];
	(void)state;
	for (uint64_t i = 0; i < KEYS; i++) {
		uint64_t hash = (i + 1) << 32 | (0xfffffffe + i % 40 * (i % 3 == 0));
		key[i] = key_with_hash(hash);
		assert_true(ident_hash(key[i]) == hash);
	}
	run(key);
}

static void a_key_of_nothing_is_never_there(void **state)
{
	struct pairs m = {0};
	(void)state;
	assert_null(pairs_find(&m, 7));
	assert_null(pairs_find(&m, 0));
	assert_null(pairs_add(&m, (struct pair){0, 1}));
	assert_non_null(pairs_add(&m, (struct pair){7, 1}));
	assert_null(pairs_find(&m, 0));
	assert_int_equal(m.cnt, 1);
	pairs_free(&m);
}

static void reserved_places_are_enough(void **state)
{
	struct pairs m = {0};
	(void)state;
	assert_true(pairs_reserve(&m, 1000));
	const struct pair *before = m.place;
	for (uint64_t i = 1; i <= 1000; i++)
		assert_non_null(pairs_add(&m, (struct pair){i, 1}));
	assert_ptr_equal(m.place, before);
	assert_false(pairs_reserve(&m, MAP_PLACES_MAX));
	assert_int_equal(m.cnt, 1000);
	pairs_free(&m);
}

static void a_mark_beside_the_key(void **state)
{
	struct marked m = {0};
	(void)state;
	for (uint64_t i = 1; i < 1000; i++)
		assert_non_null(marked_add(&m, i % 2 ? i | MARK : i));
	for (uint64_t i = 1; i < 1000; i += 3)
		marked_remove(&m, marked_find(&m, i));
	for (uint64_t i = 1; i < 1000; i++) {
		const uint64_t *p = marked_find(&m, i);
		assert_int_equal(p ? *p : 0, i % 3 == 1 ? 0 : i % 2 ? i | MARK : i);
	}
	marked_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_keys),
	    cmocka_unit_test(keys_that_collide),
	    cmocka_unit_test(a_key_of_nothing_is_never_there),
	    cmocka_unit_test(reserved_places_are_enough),
	    cmocka_unit_test(a_mark_beside_the_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// Removals move index entries under readers (layout.h). Every place at which the two can meet, one after the
// other: a whole removal between any two loads of a look-up, and whole look-ups between any two stores of a
// removal. The look-up is compiled into this test, with a hook at its loads.
#include "cache/index.h"
#include "cache_fixture.h"

static void (*load_hook)(void);

static uint32_t hooked_load(const uint32_t *entry)
{
	if (load_hook)
		load_hook();
	return index_load(entry);
}

static uint64_t hooked_load_wide(const uint64_t *entry)
{
	if (load_hook)
		load_hook();
	return index_load_wide(entry);
}

#define index_load      hooked_load
#define index_load_wide hooked_load_wide
#include "cache/lookup.c"
#undef index_load
#undef index_load_wide

enum { CNT = 20 };

static struct fixture f;
static imsi_t imsis[CNT];
static msisdn_t numbers[CNT];
static uint64_t identities[CNT];

static uint32_t loads_left, victim;
static bool removed;

static void remove_now(void)
{
	if (loads_left-- || removed)
		return;
	load_hook = NULL; // the builder looks up as well
	removed = true;
	assert_true(builder_delete(f.b, imsis[victim]));
	load_hook = remove_now;
}

static void put(uint32_t n)
{
	struct cache_record r = {.imsi = imsis[n], .msisdn = {numbers[n]}};
	r.sqn = builder_sqn_take(f.b, 1, 257);
	struct builder_extra x = {.identity = &identities[n], .identity_cnt = 1};
	assert_int_equal(builder_put_with(f.b, &r, &x), 0);
}

// All homes within the last and first entries of the index: one run, over the end.
static void crowd_open(void)
{
	fixture_open(&f, 64);
	for (uint32_t n = 0, i = 0; n < CNT; i++)
		if ((((uint32_t)ident_hash(imsi_no(i).v) + 4) & f.reader.imsi_mask) < 8)
			imsis[n++] = imsi_no(i);
	for (uint32_t n = 0, i = 0; n < CNT; i++)
		if ((((uint32_t)ident_hash(msisdn_no(i).v) + 4) & f.reader.msisdn_mask) < 8)
			numbers[n++] = msisdn_no(i);
	for (uint32_t n = 0; n < CNT; n++)
		identities[n] = ident_hash(n + 1) >> 20 | (uint64_t)(n % 8 - 4) << f.reader.identity_shift;
	for (uint32_t n = 0; n < CNT; n++)
		put(n);
}

static const struct cache_record *find_by(unsigned key, uint32_t n)
{
	return key == 0	  ? cache_find(&f.reader, imsis[n])
	       : key == 1 ? cache_find_msisdn(&f.reader, numbers[n])
			  : cache_find_identity(&f.reader, identities[n], NULL, NULL);
}

static void test_removal_within_a_lookup(void **state)
{
	(void)state;
	uint32_t met = 0;
	crowd_open();
	for (uint32_t n = 0; n < CNT; n++)
		for (victim = 0; victim < CNT; victim++)
			for (uint32_t at = 0;; at++) {
				if (victim == n)
					break;
				// put again, it is the last of the run and moves when the victim goes
				assert_true(builder_delete(f.b, imsis[n]));
				put(n);
				removed = false;
				loads_left = at / 3;
				load_hook = remove_now;
				const struct cache_record *r = find_by(at % 3, n);
				load_hook = NULL;
				assert_non_null(r);
				assert_int_equal(r->imsi.v, imsis[n].v);
				builder_reclaim(f.b);
				if (removed)
					put(victim);
				else if (at > 180)
					break;
				met += removed;
			}
	assert_true(met > 1000);
	assert_true(f.reader.h->imsi_moves > 100 && f.reader.h->msisdn_moves > 100 &&
		    f.reader.h->identity_moves > 100);
	assert_nothing_lost(f.b);
	fixture_close(&f);
}

static void look_for_all(void)
{
	for (uint32_t n = 0; n < CNT; n++) {
		if (n == victim)
			continue;
		for (unsigned key = 0; key < 3; key++)
			assert_non_null(find_by(key, n));
	}
}

static void test_lookups_within_a_removal(void **state)
{
	(void)state;
	crowd_open();
	for (uint32_t round = 0; round < 20; round++)
		for (victim = 0; victim < CNT; victim++) {
			cache_step_hook = look_for_all;
			assert_true(builder_delete(f.b, imsis[victim]));
			put(victim);
			cache_step_hook = NULL;
			builder_reclaim(f.b);
		}
	fixture_close(&f);
}

// A look-up that never sees the index at rest ends all the same.
static void test_looks_are_bounded(void **state)
{
	(void)state;
	crowd_open();
	const imsi_t absent = {imsis[0].v + 5000000};
	for (uint32_t round = 0; round < 50; round++) {
		removed = false;
		loads_left = round % 3;
		victim = round % CNT;
		load_hook = remove_now;
		assert_null(round % 2 ? cache_find(&f.reader, absent)
				      : cache_find_identity(&f.reader, identities[0] ^ 1 << 25, NULL, NULL));
		load_hook = NULL;
		if (removed)
			put(victim);
	}
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_removal_within_a_lookup),
	    cmocka_unit_test(test_lookups_within_a_removal),
	    cmocka_unit_test(test_looks_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// The feed's map of documents: finds what was added, through growth, collisions and removals; stays small.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "loader/upstream/mongo/idmap.h"

#define MANY 200000u

static uint64_t id_of(uint64_t n)
{
	return ident_hash(n + 1) | 1;
}

static void fill(struct idmap *m, uint64_t from, uint64_t to)
{
	for (uint64_t n = from; n < to; n++) {
		struct idmap_entry *e = idmap_add(m, id_of(n));
		assert_non_null(e);
		assert_int_equal(e->imsi.v, 0);
		e->imsi.v = n + 1;
		e->full = (uint32_t)n * 3;
	}
}

// In the order of their ids, each no further than from where it belongs without a gap: what a search relies
// on.
static void check_order(const struct idmap *m)
{
	size_t at = 0, cnt = 0;
	uint64_t last = 0;
	const struct idmap_entry *e;
	for (; (e = idmap_next(m, &at)); at++, cnt++) {
		assert_true(e->id > last);
		last = e->id;
		for (size_t i = (size_t)(((unsigned __int128)e->id * m->places) >> 64); i < at; i++)
			assert_int_not_equal(m->entry[i].id, 0);
	}
	assert_int_equal(cnt, m->cnt);
}

static void what_was_added_is_found_while_it_grows(void **state)
{
	(void)state;
	struct idmap m;
	idmap_init(&m);
	assert_null(idmap_find(&m, 5));
	fill(&m, 0, MANY);
	assert_int_equal(m.cnt, MANY);
	check_order(&m);
	for (uint64_t n = 0; n < MANY; n++) {
		const struct idmap_entry *e = idmap_find(&m, id_of(n));
		assert_non_null(e);
		assert_int_equal(e->imsi.v, n + 1);
		assert_int_equal(e->full, (uint32_t)n * 3);
	}
	assert_null(idmap_find(&m, id_of(MANY)));
	assert_null(idmap_find(&m, 0));
	assert_int_equal(idmap_add(&m, id_of(7))->imsi.v, 8);
	assert_int_equal(m.cnt, MANY);
	idmap_fini(&m);
}

static void a_document_costs_at_most_34_octets(void **state)
{
	(void)state;
	struct idmap m;
	idmap_init(&m);
	for (uint64_t n = 0; n < MANY; n++) {
		assert_non_null(idmap_add(&m, id_of(n)));
		if (n > 20000)
			assert_in_range((m.places + m.slack) * sizeof(*m.entry), 0, m.cnt * 34 + 32768);
	}
	idmap_fini(&m);
}

static void removed_ones_are_gone_and_others_stay(void **state)
{
	(void)state;
	struct idmap m;
	idmap_init(&m);
	fill(&m, 0, 20000);
	for (uint64_t n = 0; n < 20000; n += 3)
		idmap_remove(&m, id_of(n));
	idmap_remove(&m, id_of(999999));
	check_order(&m);
	for (uint64_t n = 0; n < 20000; n++)
		assert_int_equal(idmap_find(&m, id_of(n)) != NULL, n % 3 != 0);
	fill(&m, 20000, 26000);
	check_order(&m);
	assert_int_equal(m.cnt, 26000 - 6667);
	idmap_fini(&m);
}

// Ids that are all but the same: slow, but nothing is lost. At both ends of the table.
static void crowded_ids_are_kept_apart(void **state)
{
	(void)state;
	struct idmap m;
	idmap_init(&m);
	for (uint64_t n = 1; n <= 3000; n++) {
		assert_non_null(idmap_add(&m, n));
		assert_non_null(idmap_add(&m, UINT64_MAX - n));
	}
	check_order(&m);
	for (uint64_t n = 1; n <= 3000; n++) {
		assert_non_null(idmap_find(&m, n));
		assert_non_null(idmap_find(&m, UINT64_MAX - n));
	}
	for (uint64_t n = 1; n <= 3000; n++)
		idmap_remove(&m, UINT64_MAX - n);
	assert_int_equal(m.cnt, 3000);
	check_order(&m);
	idmap_fini(&m);
}

static void a_walk_may_remove(void **state)
{
	(void)state;
	struct idmap m;
	size_t at = 0, kept = 0;
	struct idmap_entry *e;
	idmap_init(&m);
	fill(&m, 0, 5000);
	while ((e = idmap_next(&m, &at))) {
		if (e->imsi.v % 2) {
			idmap_remove(&m, e->id);
		} else {
			kept++;
			at++;
		}
	}
	assert_int_equal(kept, 2500);
	assert_int_equal(m.cnt, 2500);
	check_order(&m);
	idmap_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_added_is_found_while_it_grows),
	    cmocka_unit_test(a_document_costs_at_most_34_octets),
	    cmocka_unit_test(removed_ones_are_gone_and_others_stay),
	    cmocka_unit_test(crowded_ids_are_kept_apart),
	    cmocka_unit_test(a_walk_may_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

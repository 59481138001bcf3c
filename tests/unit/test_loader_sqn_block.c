// SQN blocks that many ask for at once. A peer with thousands of AIRs for one subscriber made the loader commit once for
// each of them, and everybody else waited behind it.
#include "tests/unit/loader_fixture.h"

#define IMSI "001010000000001"

static const struct cache_record *record(void)
{
	return cache_find(world.l.cache, imsi_of(IMSI));
}

static uint64_t left(void)
{
	return loader_seq_limit(&world.l, record()->sqn) - loader_seq_next(&world.l, record()->sqn);
}

static void ask(uint64_t id, uint64_t at_least)
{
	struct ipc_sqn_block b = {.imsi = record()->imsi.v, .index = record()->sqn, .at_least = at_least};
	world_frame(ROLE_WORKER, IPC_SQN_BLOCK, id, 0, &b, sizeof(b));
}

static uint64_t answer(uint64_t id)
{
	uint64_t status;
	const struct sent *s = sent_find(IPC_SQN_BLOCK_ACK, id);
	assert_non_null(s);
	memcpy(&status, s->body, sizeof(status));
	return status;
}

static void use_up(struct cache *reader)
{
	uint64_t first;
	bool low;
	while (cache_sqn_draw(reader, record()->sqn, 1, &first, &low) == SQN_OK)
		;
	assert_int_equal(left(), 0);
}

static void many_who_ask_share_a_block(void **state)
{
	struct cache reader;
	(void)state;
	world_open(100);
	world_add(IMSI);
	assert_int_equal(cache_open(&reader, world.records_ro, world.sqn, world.control, 0), 0);
	use_up(&reader);
	world_sent_clear();
	uint64_t before = world.l.stats->c[STAT_COMMITS];
	for (unsigned i = 1; i <= 1000; i++)
		ask(i, 0);
	txn_commit(&world.l);
	for (unsigned i = 1; i <= 1000; i++)
		assert_int_equal(answer(i), 1);
	assert_int_equal(world.l.stats->c[STAT_COMMITS] - before, 1);
	assert_true(left() >= CACHE_SQN_LOW && left() < 4096);
	cache_close(&reader);
	world_close();
}

static void what_is_not_covered_gets_a_block(void **state)
{
	(void)state;
	world_open(100);
	world_add(IMSI);
	uint64_t limit = loader_seq_limit(&world.l, record()->sqn);
	ask(1, limit - CACHE_SQN_LOW); // covered with what a request needs
	assert_int_equal(answer(1), 1);
	assert_int_equal(loader_seq_limit(&world.l, record()->sqn), limit);
	ask(2, limit - CACHE_SQN_LOW + 1);
	txn_commit(&world.l);
	assert_int_equal(answer(2), 1);
	assert_true(loader_seq_limit(&world.l, record()->sqn) > limit);
	limit = loader_seq_limit(&world.l, record()->sqn);
	ask(3, limit + 5000); // a resynchronisation
	txn_commit(&world.l);
	assert_int_equal(answer(3), 1);
	assert_true(loader_seq_limit(&world.l, record()->sqn) >= limit + 5000 + CACHE_SQN_LOW);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_who_ask_share_a_block),
		cmocka_unit_test(what_is_not_covered_gets_a_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

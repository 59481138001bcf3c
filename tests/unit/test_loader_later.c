// Changes of one subscriber that come faster than commits. Each took a commit of its own at once, and one MME that moved one
// subscriber to and fro held every other request up for seconds.
#include "lib/base/wire.h"
#include "tests/unit/loader_fixture.h"

#define A "001010000000001"
#define B "001010000000002"

static void assert_at(const char *imsi, const char *host)
{
	struct slice h, realm;
	assert_true(cache_node_get(world.l.cache, cache_find(world.l.cache, imsi_of(imsi))->serving[0].node, &h, &realm));
	assert_true(slice_eq(h, slice_str(host)));
}

static void begin(void)
{
	world_open(100);
	world_add(A);
	world_add(B);
	world_sent_clear();
}

// A worker sends one change of a subscriber at a time (worker/turn.h); several come by several workers. Each is checked
// against what the one before it has left, in the order of their arrival, and none holds another subscriber up.
static void others_do_not_wait_for_a_busy_subscriber(void **state)
{
	(void)state;
	begin();
	uint64_t before = world.l.stats->c[STAT_COMMITS];
	for (unsigned i = 0; i < 500; i++)
		world_ulr(A, 1000 + i, i % 2 ? "odd.test" : "even.test");
	world_ulr(B, 1, "b.test");
	assert_int_equal(world.l.stats->c[STAT_COMMITS], before); // all wait for the batch
	txn_commit(&world.l);
	// in order: the answer to B went out with the first one to A
	assert_int_equal(world.sent[0].id, 1000);
	assert_int_equal(world.sent[1].id, 1);
	assert_int_equal(world_ack(1000), CHANGE_DONE);
	for (unsigned i = 1; i < 500; i++)
		assert_int_equal(world_ack(1000 + i), CHANGE_CONFLICT);
	for (unsigned i = 3; i < world.sent_cnt; i++)
		if (world.sent[i].type == IPC_CHANGE_ACK && world.sent[i - 1].type == IPC_CHANGE_ACK)
			assert_true(world.sent[i].id > world.sent[i - 1].id);
	assert_at(A, "even.test");
	assert_at(B, "b.test");
	world_close();
}

static void a_repetition_behind_its_original(void **state)
{
	(void)state;
	begin();
	world_ulr(A, 5, "one.test");
	txn_commit(&world.l);
	world_ulr(A, 6, "two.test");
	world_ulr(A, 6, "two.test");
	world_ulr(A, 5, "one.test"); // late copy
	txn_commit(&world.l);
	assert_int_equal(world_ack(6), CHANGE_DONE);
	assert_int_equal(world.l.stats->c[STAT_DUPLICATES], 2);
	assert_at(A, "two.test");
	world_close();
}

static void who_died_is_not_answered(void **state)
{
	(void)state;
	begin();
	world_ulr(A, 7, "one.test");
	world_ulr(A, 8, "two.test");
	loader_edge_down(&world.l, ROLE_WORKER, 0);
	txn_commit(&world.l);
	assert_int_equal(sent_count(IPC_CHANGE_ACK), 0);
	assert_at(A, "one.test"); // it was in the batch; the other was never taken
	world_close();
}

static void what_waits_is_bounded(void **state)
{
	(void)state;
	begin();
	uint64_t refused = world.l.stats->c[STAT_CHANNEL_FULL];
	for (unsigned i = 0; i < 70000; i++)
		world_ulr(A, 100000 + i, "one.test");
	assert_int_equal(world.l.stats->c[STAT_CHANNEL_FULL] - refused, 70000 - 1 - UINT16_MAX);
	world_kill();
	world_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_do_not_wait_for_a_busy_subscriber),
		cmocka_unit_test(a_repetition_behind_its_original),
		cmocka_unit_test(who_died_is_not_answered),
		cmocka_unit_test(what_waits_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

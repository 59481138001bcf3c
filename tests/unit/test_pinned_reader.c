// A reader that never leaves its epoch (a worker that stands still): reuse stops, the service does not (cache/layout.h). The
// loader slept for it, 100 ms a change; now a change that finds no slot is refused, alone, and what is durable already is
// published when there is room again.
#include <time.h>
#include "tests/unit/loader_fixture.h"

#define A "001010000000001"
#define B "001010000000002"
#define READER 7 // a worker

static unsigned slept;

// In place of the library's: the loader's main thread has no reason to sleep.
int nanosleep(const struct timespec *time, struct timespec *left)
{
	(void)time;
	(void)left;
	slept++;
	return 0;
}

static const struct cache_record *record(const char *imsi)
{
	const struct cache_record *r = cache_find(world.l.cache, imsi_of(imsi));
	assert_non_null(r);
	return r;
}

static void pin(void)
{
	uint64_t epoch = __atomic_load_n((uint64_t *)&world.control->epoch, __ATOMIC_SEQ_CST);
	__atomic_store_n((uint64_t *)&world.control->reader[READER].v, epoch, __ATOMIC_SEQ_CST);
}

static void leave(void)
{
	__atomic_store_n((uint64_t *)&world.control->reader[READER].v, 0, __ATOMIC_SEQ_CST);
}

// Changes until no slot is free.
static void use_up(void)
{
	pin();
	while (builder_room(world.l.builder)) {
		struct cache_record r = *record(B);
		r.imeisv++;
		assert_int_equal(builder_put(world.l.builder, &r), 0);
	}
}

static void begin(void)
{
	world_open(10);
	world_add(A);
	world_add(B);
	world_sent_clear();
	slept = 0;
	use_up();
}

static void assert_at(const char *imsi, const char *host)
{
	struct slice h, realm;
	assert_true(cache_node_get(world.l.cache, record(imsi)->serving[0].node, &h, &realm));
	assert_true(slice_eq(h, slice_str(host)));
}

static void a_change_without_a_slot_is_refused_alone(void **state)
{
	(void)state;
	begin();
	uint64_t seq = local_seq(world.l.local);
	world_ulr(A, 1, "one.test");
	txn_commit(&world.l);
	assert_int_equal(world_ack(1), CHANGE_BUSY);
	assert_int_equal(local_seq(world.l.local), seq); // nothing of it is durable
	assert_int_equal(record(A)->serving[0].node, 0);
	// what needs none goes on: another block of SEQs
	struct ipc_sqn_block b = {.imsi = imsi_of(A).v, .index = record(A)->sqn};
	uint64_t limit = loader_seq_limit(&world.l, b.index), answer = 0;
	world_frame(ROLE_WORKER, IPC_SQN_BLOCK, 2, 0, &b, sizeof(b));
	txn_commit(&world.l);
	assert_non_null(sent_find(IPC_SQN_BLOCK_ACK, 2));
	memcpy(&answer, sent_find(IPC_SQN_BLOCK_ACK, 2)->body, sizeof(answer));
	assert_int_equal(answer, 1);
	assert_true(loader_seq_limit(&world.l, b.index) >= limit);
	assert_int_equal(world_call(3, "{\"cmd\":\"subscriber show\",\"args\":{\"imsi\":\"" A "\"}}"), ADMIN_OK);
	assert_int_equal(world_call(4, "{\"cmd\":\"subscriber set\","
				       "\"args\":{\"imsi\":\"" A "\",\"fields\":{\"subscriber_status\":1}}}"),
			 ADMIN_REFUSED);
	assert_int_equal(slept, 0);
	leave();
	world_ulr(A, 5, "two.test");
	txn_commit(&world.l);
	assert_int_equal(world_ack(5), CHANGE_DONE);
	assert_at(A, "two.test");
}

static int done_error;

static void on_done(struct loader *l, struct op *op, int error)
{
	(void)l;
	(void)op;
	done_error = error;
}

// As the feed does, which does not ask first: a state row of A at this MME.
static void put_unasked(const char *host)
{
	const struct s6a_decision d = {.next.serving[S6A_MME] = {.host = slice_str(host), .realm = slice_str("test"), .time_us = 5}};
	struct op *op = txn_begin(&world.l, imsi_of(A).v, 4096);
	op->what = OP_PUT;
	op->rec = *record(A);
	op->done = on_done;
	assert_true(s6a_decide(&world.l, op, &d, 0));
	assert_true(txn_add(&world.l, op));
	txn_commit(&world.l);
}

static void what_is_durable_is_published_when_there_is_room(void **state)
{
	(void)state;
	begin();
	put_unasked("one.test");
	assert_int_equal(done_error, -EAGAIN);
	assert_int_equal(record(A)->serving[0].node, 0);
	for (unsigned i = 0; i < 10; i++)
		loader_tick(&world.l); // it is tried, and stays without a slot
	assert_int_equal(record(A)->serving[0].node, 0);
	assert_int_equal(slept, 0);
	leave();
	loader_tick(&world.l);
	assert_at(A, "one.test");
}

static void what_is_durable_and_not_published_outlives_a_kill(void **state)
{
	(void)state;
	begin();
	put_unasked("one.test");
	leave();
	world_restart(false);
	assert_at(A, "one.test");
}

// More than was ever kept before: each is there at last.
static void many_wait_for_room(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 1500; i++)
		put_unasked(i == 1499 ? "last.test" : "some.test");
	leave();
	loader_tick(&world.l);
	assert_at(A, "last.test");
	assert_int_equal(slept, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_change_without_a_slot_is_refused_alone, world_teardown),
		cmocka_unit_test_teardown(what_is_durable_is_published_when_there_is_room, world_teardown),
		cmocka_unit_test_teardown(what_is_durable_and_not_published_outlives_a_kill, world_teardown),
		cmocka_unit_test_teardown(many_wait_for_room, world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

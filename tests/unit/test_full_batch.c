// A full batch commits inside of txn_begin: what its caller holds of a table that a commit changes is then out of date.
// Requests of our own that end while a full batch with new ones waits: the pointer into their bucket was kept over the
// commit, and the new request at its head was lost until the next start.
#include "tests/unit/loader_fixture.h"

#define BATCH 4096u // operations of a batch

static uint64_t pending[BATCH]; // ids of the requests, in the order in which they were sent
static unsigned pending_cnt;

static void subscribers(void)
{
	const char *call = "{\"cmd\":\"subscriber import\"}";
	world_frame(ROLE_ADMIN, IPC_ADMIN_CALL, 1, 0, call, strlen(call));
	for (unsigned i = 0; i < BATCH; i++) {
		char line[256];
		snprintf(line, sizeof(line),
			 "{\"imsi\":\"0010100000%05u\",\"security\":{\"k\":\"465B5CE8B199B49FAA5F0A2EE238A6BC\","
			 "\"opc\":\"E8ED289DEBA952E4283B54E88E6183CA\"},\"slice\":[{\"sst\":1,\"session\":[{\"name\":\"internet\"}]}]}\n",
			 i);
		world_frame(ROLE_ADMIN, IPC_ADMIN_DATA, 1, 0, line, strlen(line));
	}
	world_frame(ROLE_ADMIN, IPC_ADMIN_DATA, 1, 0, "", 0);
	txn_commit(&world.l);
	assert_int_equal(world.l.header->subscriber_cnt, BATCH);
}

// Everybody goes there: a full batch that nothing has committed yet.
static void all_move(const char *host)
{
	static uint64_t id = 100;
	world_sent_clear();
	for (unsigned i = 0; i < BATCH; i++) {
		char imsi[24];
		snprintf(imsi, sizeof(imsi), "0010100000%05u", i);
		world_ulr(imsi, ++id, host);
	}
	assert_int_equal(txn_waiting(&world.l), BATCH);
}

static void note_pending(void)
{
	pending_cnt = 0;
	for (unsigned i = 0; i < world.sent_cnt; i++)
		if (world.sent[i].type == IPC_DELIVER)
			pending[pending_cnt++] = world.sent[i].id;
	assert_int_equal(pending_cnt, BATCH);
}

static void ended(uint64_t id)
{
	uint64_t body[2] = {DELIVERED_DONE, 2001};
	world_frame(ROLE_WORKER, IPC_DELIVERED, id, 0, body, sizeof(body));
}

static unsigned bucket(uint64_t id)
{
	return ident_hash(id) % 4096;
}

// A request whose bucket gets one of the next batch's: the newest of it, which stands at its head.
static uint64_t one_that_meets(void)
{
	static bool next[4096];
	for (unsigned i = 0; i < BATCH; i++)
		next[bucket(pending[BATCH - 1] + 1 + i)] = true;
	for (unsigned i = BATCH; i-- > 0;)
		if (next[bucket(pending[i])])
			return pending[i];
	fail();
	return 0;
}

static void a_request_ends_while_a_full_batch_has_new_ones(void **state)
{
	(void)state;
	world_open(BATCH);
	subscribers();
	all_move("one.test");
	txn_commit(&world.l);
	all_move("two.test");
	txn_commit(&world.l);
	note_pending();
	uint64_t old[BATCH], meets = one_that_meets();
	memcpy(old, pending, sizeof(old));
	all_move("three.test");
	ended(meets); // which commits the full batch first
	txn_commit(&world.l);
	note_pending();
	assert_int_equal(own_pending(&world.l), 2 * BATCH - 1);
	// each of them is there to be ended
	for (unsigned i = 0; i < BATCH; i++) {
		if (old[i] != meets)
			ended(old[i]);
		ended(pending[i]);
		if (i % 1000 == 0)
			txn_commit(&world.l);
	}
	txn_commit(&world.l);
	assert_int_equal(own_pending(&world.l), 0);
	world_restart(true);
	assert_int_equal(own_pending(&world.l), 0);
}

static void expired_requests_while_a_full_batch_has_new_ones(void **state)
{
	(void)state;
	world_open(BATCH);
	subscribers();
	all_move("one.test");
	txn_commit(&world.l);
	all_move("two.test");
	txn_commit(&world.l);
	world.config.clr_lifetime_s = 0;
	world_sent_clear();
	all_move("three.test");
	for (unsigned n = 0; own_pending(&world.l) && n < 100; n++)
		own_tick(&world.l);
	txn_commit(&world.l);
	world.config.clr_lifetime_s = 3600;
	world_restart(true);
	assert_int_equal(own_pending(&world.l), 0);
}

// An entry that does not fit, and one more after it: the operation is refused, nothing else is touched.
static void an_entry_after_one_that_did_not_fit(void **state)
{
	(void)state;
	world_open(10);
	struct op *op = txn_begin(&world.l, 0, 64);
	struct wr w = txn_entry(&world.l);
	w.err = true;
	txn_entry_end(&world.l, &w, ENTRY_OWN_DONE, (imsi_t){0});
	w = txn_entry(&world.l);
	entry_put_u64(&w, 1);
	txn_entry_end(&world.l, &w, ENTRY_OWN_DONE, (imsi_t){0});
	assert_false(txn_add(&world.l, op));
	assert_int_equal(txn_waiting(&world.l), 0);
	// the next one is as good as ever
	op = txn_begin(&world.l, 0, 64);
	w = txn_entry(&world.l);
	entry_put_u64(&w, 1);
	txn_entry_end(&world.l, &w, ENTRY_OWN_DONE, (imsi_t){0});
	assert_true(txn_add(&world.l, op));
	uint64_t seq = local_seq(world.l.local);
	txn_commit(&world.l);
	assert_int_equal(local_seq(world.l.local), seq + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_request_ends_while_a_full_batch_has_new_ones, world_teardown),
		cmocka_unit_test_teardown(expired_requests_while_a_full_batch_has_new_ones, world_teardown),
		cmocka_unit_test_teardown(an_entry_after_one_that_did_not_fit, world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

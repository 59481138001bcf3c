// A full batch commits inside of txn_begin: what its caller holds of a table that a commit changes is then out of date.
// Requests of our own that end while a full batch with new ones waits: the pointer into their bucket was kept over the
// commit, and the new request at its head was lost until the next start.
#include "tests/unit/loader_fixture.h"

#define BATCH 4096u // operations of a batch

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

static struct pending {
	imsi_t imsi;
	uint64_t id;
} pending[2 * BATCH];
static unsigned pending_cnt;

// Those that were sent since the last look.
static void note_pending(void)
{
	struct ipc_hss_send d;
	for (unsigned i = 0; i < world.sent_cnt; i++)
		if (world.sent[i].type == IPC_HSS_SEND) {
			memcpy(&d, world.sent[i].body, sizeof(d));
			pending[pending_cnt++] = (struct pending){{d.imsi}, world.sent[i].id};
		}
	world_sent_clear();
}

static void ended(const struct pending *p)
{
	const struct ipc_hss_sent s = {.imsi = p->imsi.v, .status = HSS_SENT_DONE, .result = 2001};
	world_frame(ROLE_WORKER, IPC_HSS_SENT, p->id, 0, &s, sizeof(s));
}

// Requests that end while a full batch with new ones waits, and then all: each is sent, a window at a time, and ends.
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
	assert_true(pending_cnt > 0);
	unsigned first = pending_cnt;
	all_move("three.test");
	for (unsigned i = 0; i < first; i++)
		ended(&pending[i]); // the first of them commits the full batch
	note_pending();
	for (unsigned i = first; i < pending_cnt; i++) {
		ended(&pending[i]);
		note_pending();
		if (i % 1000 == 0)
			txn_commit(&world.l);
	}
	txn_commit(&world.l);
	assert_int_equal(pending_cnt, 2 * BATCH); // to one.test and two.test, each once
	assert_int_equal(hss_requests_pending(&world.l), 0);
	world_restart(true);
	assert_int_equal(hss_requests_pending(&world.l), 0);
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
	world.config.hss_request_lifetime_s = 0;
	world_sent_clear();
	all_move("three.test");
	for (unsigned n = 0; hss_requests_pending(&world.l) && n < 100; n++)
		hss_requests_tick(&world.l);
	txn_commit(&world.l);
	world.config.hss_request_lifetime_s = 3600;
	world_restart(true);
	assert_int_equal(hss_requests_pending(&world.l), 0);
}

// An entry that does not fit, and one more after it: the operation is refused, nothing else is touched.
static void an_entry_after_one_that_did_not_fit(void **state)
{
	(void)state;
	world_open(10);
	struct op *op = txn_begin(&world.l, 0, 64);
	struct wr w = txn_entry(&world.l);
	w.err = true;
	txn_entry_end(&world.l, &w, ENTRY_HSS_REQUEST_DONE, (imsi_t){0});
	w = txn_entry(&world.l);
	entry_put_u64(&w, 1);
	txn_entry_end(&world.l, &w, ENTRY_HSS_REQUEST_DONE, (imsi_t){0});
	assert_false(txn_add(&world.l, op));
	assert_int_equal(txn_waiting(&world.l), 0);
	// the next one is as good as ever
	op = txn_begin(&world.l, 0, 64);
	w = txn_entry(&world.l);
	entry_put_u64(&w, 1);
	txn_entry_end(&world.l, &w, ENTRY_HSS_REQUEST_DONE, (imsi_t){0});
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

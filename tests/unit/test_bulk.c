// New subscribers in great numbers go past the journal (loader/commit/bulk.c, loader/store/bulk.c): what is answered is
// durable and whole, after any kill and any fault of the disk; nothing that is decided meanwhile is lost; no SQN comes again.
#include "tests/unit/faulty_vfs.h"
#include "tests/unit/loader_fixture.h"

#define MANY 1500u // enough to be a stream
#define OTHER "001019999999999"

static uint64_t call = 10;

static imsi_t imsi_at(unsigned n)
{
	char text[24];
	snprintf(text, sizeof(text), "0010100000%05u", n);
	return imsi_of(text);
}

static void import_begin_call(void)
{
	const char *text = "{\"cmd\":\"subscriber import\"}";
	world_frame(ROLE_ADMIN, IPC_ADMIN_CALL, ++call, 0, text, strlen(text));
}

// One row; `apn` makes its profile.
static void import_row_of(const char *imsi, const char *apn, const char *k)
{
	char line[300];
	snprintf(line, sizeof(line),
		 "{\"imsi\":\"%s\",\"security\":{\"k\":\"%s\",\"opc\":\"E8ED289DEBA952E4283B54E88E6183CA\"},"
		 "\"slice\":[{\"sst\":1,\"session\":[{\"name\":\"%s\"}]}]}\n",
		 imsi, k ? k : "465B5CE8B199B49FAA5F0A2EE238A6BC", apn);
	world_frame(ROLE_ADMIN, IPC_ADMIN_DATA, call, 0, line, strlen(line));
}

static void import_rows(unsigned from, unsigned to)
{
	for (unsigned n = from; n < to; n++) {
		char imsi[24];
		snprintf(imsi, sizeof(imsi), "0010100000%05u", n);
		import_row_of(imsi, n % 2 ? "odd" : "even", NULL);
	}
}

// What the call says at its end.
static void import_end_call(unsigned *rows, unsigned *errors)
{
	world_frame(ROLE_ADMIN, IPC_ADMIN_DATA, call, 0, "", 0);
	txn_commit(&world.l);
	struct sent *s = sent_find(IPC_ADMIN_END, call);
	assert_non_null(s);
	json_t *v = json_loads((char *)s->body, 0, NULL);
	*rows = (unsigned)json_integer_value(json_object_get(v, "rows"));
	*errors = (unsigned)json_integer_value(json_object_get(v, "errors"));
	json_decref(v);
}

static uint64_t rows_of_database(void)
{
	uint64_t n = 0;
	assert_int_equal(local_count(world.l.local, &n), 0);
	return n;
}

static void assert_served(unsigned from, unsigned to)
{
	for (unsigned n = from; n < to; n++) {
		const struct cache_record *r = cache_find(world.l.cache, imsi_at(n));
		struct slice text;
		assert_non_null(r);
		assert_non_null(cache_profile(world.l.cache, r));
		assert_true(loader_seq_limit(&world.l, r->sqn) > 0);
		assert_int_equal(local_read_document(world.l.local, r->imsi, &text), 1);
	}
}

static void many_go_past_the_journal(void **state)
{
	(void)state;
	unsigned rows, errors;
	world_open(10000);
	import_begin_call();
	import_rows(0, MANY);
	import_end_call(&rows, &errors);
	assert_int_equal(rows, MANY);
	assert_int_equal(errors, 0);
	assert_int_equal(local_seq(world.l.local), 0);
	assert_int_equal(rows_of_database(), MANY);
	assert_int_equal(world.l.header->profile_cnt, 2);
	assert_served(0, MANY);
	for (unsigned power_cut = 0; power_cut < 2; power_cut++) {
		world_restart(power_cut);
		assert_int_equal(world.l.header->subscriber_cnt, MANY);
		assert_served(0, MANY);
	}
}

static void few_go_the_ordinary_way(void **state)
{
	(void)state;
	unsigned rows, errors;
	world_open(10000);
	import_begin_call();
	import_rows(0, 10);
	import_end_call(&rows, &errors);
	assert_int_equal(rows, 10);
	assert_int_equal(local_seq(world.l.local), 10);
	assert_served(0, 10);
}

static void one_subscriber_twice(void **state)
{
	(void)state;
	unsigned rows, errors;
	world_open(10000);
	import_begin_call();
	import_rows(0, MANY);
	import_row_of("001010000000003", "even", NULL);
	import_rows(MANY, 2 * MANY);
	import_end_call(&rows, &errors);
	assert_int_equal(rows, 2 * MANY + 1);
	assert_int_equal(world.l.header->subscriber_cnt, 2 * MANY);
	// the later one counts, now and after a start
	for (unsigned i = 0; i < 2; i++) {
		const struct cache_record *r = cache_find(world.l.cache, imsi_at(3));
		assert_int_equal(r->profile, cache_find(world.l.cache, imsi_at(4))->profile);
		world_restart(true);
	}
}

// Its SQNs go on above those of before, although its row of them may still be in the journal.
static void one_that_was_deleted(void **state)
{
	(void)state;
	unsigned rows, errors;
	world_open(10000);
	for (unsigned folded = 0; folded < 2; folded++) {
		world_add(OTHER);
		const struct cache_record *r = cache_find(world.l.cache, imsi_of(OTHER));
		uint64_t limit = loader_seq_limit(&world.l, r->sqn);
		assert_int_equal(world_call(++call, "{\"cmd\":\"subscriber delete\",\"args\":{\"imsi\":\"" OTHER "\"}}"), ADMIN_OK);
		if (folded)
			assert_int_equal(fold_now(), 0);
		import_begin_call();
		import_rows(folded * MANY, folded * MANY + MANY);
		import_row_of(OTHER, "even", NULL);
		import_end_call(&rows, &errors);
		assert_int_equal(rows, MANY + 1);
		r = cache_find(world.l.cache, imsi_of(OTHER));
		assert_non_null(r);
		assert_true(loader_seq_next(&world.l, r->sqn) >= limit);
		assert_int_equal(fold_now(), 0);
		world_restart(true);
		r = cache_find(world.l.cache, imsi_of(OTHER));
		assert_true(loader_seq_next(&world.l, r->sqn) >= limit);
		assert_int_equal(world_call(++call, "{\"cmd\":\"subscriber delete\",\"args\":{\"imsi\":\"" OTHER "\"}}"), ADMIN_OK);
		assert_int_equal(fold_now(), 0);
	}
}

// Whether rows of SQNs are looked for is decided by what a scan saw; each way to leave one counts.
static void left_sqn_rows_are_noticed(void **state)
{
	(void)state;
	world_open(10000);
	assert_false(local_has_left_sqn_rows(world.l.local)); // an empty database
	world_add(OTHER);
	assert_false(local_has_left_sqn_rows(world.l.local));
	world_restart(true);
	assert_false(local_has_left_sqn_rows(world.l.local));
	assert_int_equal(world_call(++call, "{\"cmd\":\"subscriber delete\",\"args\":{\"imsi\":\"" OTHER "\"}}"), ADMIN_OK);
	assert_true(local_has_left_sqn_rows(world.l.local));
	world_restart(true);
	assert_true(local_has_left_sqn_rows(world.l.local)); // its row is the last one of the scan
	world_add(OTHER);
	world_restart(true);
	assert_false(local_has_left_sqn_rows(world.l.local));
	import_begin_call();
	import_row_of(OTHER, "even", "000102030405060708090A0B0C0D0E0F");
	txn_commit(&world.l);
	assert_true(local_has_left_sqn_rows(world.l.local));
	world_restart(true);
	assert_true(local_has_left_sqn_rows(world.l.local)); // of the former key
}

// Handed out, and on the disk or not; nothing is published or answered.
static void hand_out(void)
{
	import_begin_call();
	import_rows(0, MANY);
	txn_turn(&world.l);
	assert_int_equal(world.l.header->subscriber_cnt, 0);
	assert_int_equal(txn_waiting(&world.l), MANY);
}

static void profiles_outlive_the_batches_of_others(void **state)
{
	(void)state;
	world_open(10000);
	world_add(OTHER);
	assert_int_equal(world_call(++call, "{\"cmd\":\"subscriber delete\",\"args\":{\"imsi\":\"" OTHER "\"}}"), ADMIN_OK);
	hand_out();
	for (unsigned i = 0; i < 5; i++) {
		world_add(OTHER); // commits and reclaims
		assert_int_equal(world_call(++call, "{\"cmd\":\"subscriber delete\",\"args\":{\"imsi\":\"" OTHER "\"}}"), ADMIN_OK);
	}
	assert_served(0, MANY);
}

static void a_change_meanwhile(void **state)
{
	(void)state;
	world_open(10000);
	hand_out();
	// it waits for the rows, in order with what follows of the same subscriber
	world_ulr("001010000000007", 1, "one.test");
	world_ulr("001010000000007", 2, "two.test");
	assert_int_equal(sent_count(IPC_CHANGE_ACK), 0);
	txn_commit(&world.l);
	assert_int_equal(world_ack(1), CHANGE_DONE);
	assert_int_equal(world_ack(2), CHANGE_CONFLICT); // decided from what was there before the first
	struct slice host, realm;
	assert_true(cache_node_get(world.l.cache, cache_find(world.l.cache, imsi_at(7))->serving[0].node, &host, &realm));
	assert_true(slice_eq(host, slice_str("one.test")));
	assert_served(0, MANY);
}

static void killed_before_it_was_published(void **state)
{
	(void)state;
	for (unsigned durable = 0; durable < 2; durable++) {
		for (unsigned power_cut = 0; power_cut < 2; power_cut++) {
			world_open(10000);
			hand_out();
			if (durable)
				(void)bulk_step(world.l.local);
			world_restart(power_cut);
			assert_int_equal(world.l.header->subscriber_cnt, durable ? MANY : 0);
			assert_served(0, durable ? MANY : 0);
			world_close();
		}
	}
	world_open(10);
}

// The start's pass finds rows that are on the disk and not published: what it published stays, with the words that a worker
// may have drawn from.
static void the_pass_published_it_first(void **state)
{
	(void)state;
	world_open(10000);
	hand_out();
	(void)bulk_step(world.l.local);
	assert_int_equal(load_one(&world.l, imsi_at(5)), 1);
	uint32_t words = cache_find(world.l.cache, imsi_at(5))->sqn;
	uint64_t next = loader_seq_next(&world.l, words);
	txn_commit(&world.l);
	assert_int_equal(cache_find(world.l.cache, imsi_at(5))->sqn, words);
	assert_true(loader_seq_next(&world.l, words) >= next);
	assert_served(0, MANY);
}

// The disk is full after so many writes: who was not refused is there, and nobody is there in halves.
static void full_disk(void **state)
{
	(void)state;
	unsigned rows, errors, refused = 0;
	for (unsigned after = 0; after < 400; after += 37) {
		world.vfs = faulty_register();
		world_open(10000);
		import_begin_call();
		import_rows(0, 3 * MANY);
		faulty.fault_after = after;
		faulty.write_fault = SQLITE_FULL;
		import_end_call(&rows, &errors);
		faulty.write_fault = 0;
		assert_int_equal(rows + errors, 3 * MANY);
		refused += errors;
		assert_int_equal(world.l.header->subscriber_cnt, rows);
		assert_int_equal(rows_of_database(), rows);
		world_restart(true);
		assert_int_equal(world.l.header->subscriber_cnt, rows);
		// they can be imported again
		world_sent_clear();
		import_begin_call();
		import_rows(0, 3 * MANY);
		import_end_call(&rows, &errors);
		assert_int_equal(rows, 3 * MANY);
		assert_served(0, 3 * MANY);
		world_close();
	}
	assert_true(refused > 0);
	world.vfs = NULL;
	world_open(10);
}

// With the fold thread itself.
static void beside_the_fold_thread(void **state)
{
	(void)state;
	unsigned rows, errors;
	world_open(20000);
	assert_int_equal(local_fold_start(world.l.local), 0);
	import_begin_call();
	for (unsigned n = 0; n < 10; n++) {
		import_rows(n * MANY, (n + 1) * MANY);
		txn_turn(&world.l);
	}
	import_end_call(&rows, &errors);
	assert_int_equal(rows, 10 * MANY);
	assert_served(0, 10 * MANY);
	txn_tick(&world.l);
	txn_tick(&world.l);
	txn_tick(&world.l); // which gives memory back
	import_begin_call();
	import_rows(10 * MANY, 11 * MANY);
	import_end_call(&rows, &errors);
	assert_int_equal(rows, MANY);
	local_fold_stop(world.l.local);
	world_restart(true);
	assert_served(0, 11 * MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(many_go_past_the_journal, world_teardown),
		cmocka_unit_test_teardown(few_go_the_ordinary_way, world_teardown),
		cmocka_unit_test_teardown(one_subscriber_twice, world_teardown),
		cmocka_unit_test_teardown(one_that_was_deleted, world_teardown),
		cmocka_unit_test_teardown(left_sqn_rows_are_noticed, world_teardown),
		cmocka_unit_test_teardown(profiles_outlive_the_batches_of_others, world_teardown),
		cmocka_unit_test_teardown(a_change_meanwhile, world_teardown),
		cmocka_unit_test_teardown(killed_before_it_was_published, world_teardown),
		cmocka_unit_test_teardown(the_pass_published_it_first, world_teardown),
		cmocka_unit_test_teardown(full_disk, world_teardown),
		cmocka_unit_test_teardown(beside_the_fold_thread, world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

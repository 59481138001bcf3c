// A file of subscribers: taken whole or not at all, compared with what is served, never lowering an SQN.
#include "tests/unit/loader_fixture.h"
#include "loader/upstream/imsi_set.h"
#include "loader/upstream/problems.h"

#define K                   "465B5CE8B199B49FAA5F0A2EE238A6BC"
#define K2                  "00112233445566778899AABBCCDDEEFF"
#define OP                  "CDC202D5123E20F62B6D676AC72CB318"
#define HEAD                "IMSI,K,OP,AMF,SQN,RAND,APN\n"
#define IMSI                "00101000000000"
#define ROW(n, k, sqn, apn) IMSI #n "," k "," OP ",8000," #sqn ",," apn "\n"

static char path[128];

static void write_file(const char *text)
{
	static unsigned n;
	char fresh[160];
	snprintf(fresh, sizeof(fresh), "%s.%u", path,
		 ++n); // another file in its place, as a careful writer does
	FILE *f = fopen(fresh, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(fresh, path), 0);
}

static void settle(void)
{
	for (;;)
		switch (upstream_csv_step(&world.l)) {
		case CSV_STEP_IDLE:
			return;
		case CSV_STEP_WAIT:
			fold_now();
			break;
		case CSV_STEP_MORE:
			break;
		}
}

static void now(const char *text)
{
	write_file(text);
	upstream_csv_look(&world.l);
	settle();
}

static int setup(void **state)
{
	(void)state;
	char name[40];
	snprintf(name, sizeof(name), "hss-test-csv-%d.csv", getpid());
	tmp_path(path, sizeof(path), name);
	unlink(path);
	world.config.store = STORE_CSV;
	snprintf(world.config.store_path, sizeof(world.config.store_path), "%s", path);
	world_open(1000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	world_close();
	return 0;
}

static const struct cache_record *record(const char *imsi)
{
	return cache_find(world.l.cache, imsi_of(imsi));
}

static uint64_t next_seq(const char *imsi)
{
	return loader_seq_next(&world.l, record(imsi)->sqn);
}

static const char *last_error(void)
{
	static char text[400];
	json_t *v = upstream_csv_status(&world.l);
	const char *error = json_string_value(json_object_get(v, "error"));
	snprintf(text, sizeof(text), "%s", error ? error : "");
	json_decref(v);
	return text;
}

static void nothing_at_first(void **state)
{
	(void)state;
	assert_false(upstream_csv_is_first(&world.l)); // there was no file
	assert_int_equal(world.l.header->load_state, CACHE_COMPLETE);
	now(HEAD ROW(1, K, 4129, "internet;ims") ROW(2, K, 0, ""));
	assert_string_equal(last_error(), "");
	assert_int_equal(world.l.header->subscriber_cnt, 2);
	assert_int_equal(cache_profile(world.l.cache, record(IMSI "1"))->apn_cnt, 2);
	assert_int_equal(next_seq(IMSI "1"), (4129 >> 5) + 1); // 4129 may have been used
}

static void changes(void **state)
{
	(void)state;
	now(ROW(1, K, 4129, "internet") ROW(2, K, 64, "internet") ROW(3, K, 64, "internet"));
	uint64_t seq = local_seq(world.l.local);
	// the same again, with other first values: nothing is written
	now(ROW(3, K, 0, "internet") ROW(2, K, 9999999, "internet") ROW(1, K, 32, "internet"));
	assert_int_equal(local_seq(world.l.local), seq);
	assert_int_equal(next_seq(IMSI "2"), 2);
	// one differs, one is gone, one is new
	now(ROW(1, K, 1, "internet;corp") ROW(3, K, 64, "internet") ROW(4, K, 64, "internet"));
	assert_string_equal(last_error(), "");
	assert_null(record(IMSI "2"));
	assert_non_null(record(IMSI "4"));
	assert_int_equal(cache_profile(world.l.cache, record(IMSI "1"))->apn_cnt, 2);
	assert_int_equal(next_seq(IMSI "1"), (4129 >> 5) + 1); // 4129 may have been used
	// another key begins where its row says, the old one goes on where it was
	now(ROW(1, K2, 320, "internet") ROW(3, K, 64, "internet"));
	assert_int_equal(next_seq(IMSI "1"), 10);
	now(ROW(1, K, 32, "internet") ROW(3, K, 64, "internet"));
	assert_true(next_seq(IMSI "1") >= 4129 >> 5);
	// and who comes back, too
	now(ROW(2, K, 0, "internet"));
	assert_int_equal(world.l.header->subscriber_cnt, 1);
	assert_true(next_seq(IMSI "2") >= 2);
}

static void bad_keeps(void **state)
{
	(void)state;
	now(ROW(1, K, 64, "internet") ROW(2, K, 64, "internet"));
	static const struct {
		const char *text, *why;
	} rows[] = {
	    {HEAD ROW(1, K, 64, "internet") "\n" IMSI "2,12," OP ",8000,1\n" IMSI "x,," OP ",8000,1\n",
	     "line 4: K: expected 32 hex digits, got 2"},
	    {ROW(1, K, 64, "internet") ROW(1, K, 64, "internet"),
	     "line 2: IMSI: expected one row for each, got another one before"},
	    {"IMSI,Key,OP\n", "line 1: header: expected the columns IMSI,K,OP,AMF,SQN,RAND,APN, got none for K (or Ki)"},
	    {HEAD, "expected rows, got none: who is served is kept"},
	    {"", "expected rows, got none: who is served is kept"},
	    {IMSI "1," K ",,8000,1\n",
	     "line 1: OP: expected 32 hex digits, got nothing (there is no per-operator op_file)"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		now(rows[i].text);
		assert_string_equal(last_error(), rows[i].why);
		assert_int_equal(world.l.header->subscriber_cnt, 2);
	}
	assert_int_equal(problems_count(&world.l), 1);
	assert_int_equal(unlink(path), 0);
	upstream_csv_look(&world.l);
	settle();
	assert_string_equal(last_error(), "No such file or directory");
	assert_int_equal(world.l.header->subscriber_cnt, 2);
	now(ROW(2, K, 64, "internet"));
	assert_string_equal(last_error(), "");
	assert_int_equal(problems_count(&world.l), 0);
	assert_int_equal(world.l.header->subscriber_cnt, 1);
}

// Where nothing is served, what is good is better than nothing.
static void bad_at_first(void **state)
{
	(void)state;
	now(ROW(1, K, 64, "internet") IMSI "2,12," OP ",8000,1\n" ROW(3, K, 64, "internet")
		ROW(3, K2, 64, "internet"));
	assert_int_equal(world.l.header->subscriber_cnt, 2);
	assert_string_equal(last_error(), "2 rows are not served (subscriber problems)");
	assert_int_equal(problems_count(&world.l), 2);
	uint8_t k[16];
	assert_true(hex_parse(slice_str(K), k, 16));
	assert_memory_equal(record(IMSI "3")->k, k, 16);
}

static void moving(void **state)
{
	(void)state;
	now(ROW(1, K, 64, "internet") ROW(2, K, 64, "internet"));
	write_file(ROW(1, K, 64, "internet"));
	upstream_csv_look(&world.l);
	// a writer adds to it meanwhile: nobody is removed for what was half seen
	FILE *f = fopen(path, "a");
	fputs(ROW(3, K, 64, "internet"), f);
	fclose(f);
	settle();
	assert_int_equal(world.l.header->subscriber_cnt, 2);
	assert_non_null(record(IMSI "2"));
	upstream_csv_look(&world.l);
	settle();
	assert_null(record(IMSI "2"));
	assert_non_null(record(IMSI "3"));
}

static void too_many(void **state)
{
	(void)state;
	now(ROW(1, K, 64, "internet"));
	FILE *f = fopen(path, "w");
	for (unsigned i = 0; i < 1001; i++)
		fprintf(f, "00101%010u,%s,%s,8000,1,,internet\n", i, K, OP);
	fclose(f);
	upstream_csv_look(&world.l);
	settle();
	assert_string_equal(last_error(), "line 1001: expected no more rows than cache.max_subscribers");
	assert_int_equal(world.l.header->subscriber_cnt, 1);
	// as many as there is room for, all of them others: the place of who is gone is given in a second
	// round
	f = fopen(path, "w");
	for (unsigned i = 1; i < 1001; i++)
		fprintf(f, "00101%010u,%s,%s,8000,1,,internet\n", i + 10, K, OP);
	fclose(f);
	for (unsigned i = 0; i < 2; i++) {
		upstream_csv_look(&world.l);
		settle();
	}
	assert_string_equal(last_error(), "");
	assert_int_equal(world.l.header->subscriber_cnt, 1000);
	assert_null(record(IMSI "1"));
}

static void long_lines(void **state)
{
	(void)state;
	FILE *f = fopen(path, "w");
	fputs("#", f);
	for (unsigned i = 0; i < 600000; i++)
		fputc('x', f);
	fputs("\n" ROW(1, K, 64, "internet"), f);
	for (unsigned i = 0; i < 300000; i++)
		fputc(',', f);
	fclose(f);
	upstream_csv_look(&world.l);
	settle();
	assert_int_equal(world.l.header->subscriber_cnt, 1);
	assert_string_equal(last_error(), "1 rows are not served (subscriber problems)");
	json_t *status = upstream_csv_status(&world.l);
	assert_string_equal(json_string_value(json_object_get(status, "state")), "incomplete");
	json_decref(status);
}

static uint64_t miss(const char *imsi)
{
	static uint64_t id = 5000;
	struct ipc_read_through m = {.imsi = imsi_of(imsi).v};
	uint64_t status = UINT64_MAX;
	world_frame(ROLE_WORKER, IPC_READ_THROUGH, ++id, 0, &m, sizeof(m));
	struct sent *s = sent_find(IPC_READ_THROUGH_ACK, id);
	assert_non_null(s);
	assert_int_equal(s->len, sizeof(status));
	memcpy(&status, s->body, sizeof(status));
	return status;
}

static void survives(void **state)
{
	(void)state;
	now(ROW(1, K, 64, "internet") ROW(2, K, 64, "internet"));
	write_file(ROW(2, K, 64, "internet"));
	for (int power_cut = 0; power_cut < 2; power_cut++) {
		world_restart(power_cut);
		assert_true(upstream_csv_is_first(&world.l));
		assert_non_null(record(IMSI "2"));
		// who is not known may be in the file
		assert_int_equal(miss(IMSI "8"), READ_THROUGH_BUSY);
		settle();
		assert_int_equal(miss(IMSI "8"), READ_THROUGH_UNKNOWN);
		assert_int_equal(miss(IMSI "2"), READ_THROUGH_FOUND);
		assert_false(upstream_csv_is_first(&world.l));
		assert_int_equal(world.l.header->load_state, CACHE_COMPLETE);
		assert_int_equal(world.l.header->subscriber_cnt, 1);
	}
}

static void operators(void **state)
{
	(void)state;
	static const char *const calls[] = {
	    "{\"cmd\":\"subscriber add\",\"args\":{\"imsi\":\"" IMSI "9\",\"k\":\"" K "\",\"op\":\"" OP
	    "\"}}",
	    "{\"cmd\":\"subscriber set\",\"args\":{\"imsi\":\"" IMSI
	    "1\",\"fields\":{\"subscriber_status\":1}}}",
	    "{\"cmd\":\"subscriber delete\",\"args\":{\"imsi\":\"" IMSI "1\"}}",
	    "{\"cmd\":\"subscriber import\",\"args\":{}}",
	};
	now(ROW(1, K, 64, "internet"));
	for (uint64_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		assert_int_equal(world_call(100 + i, calls[i]), ADMIN_REFUSED);
		assert_non_null(strstr((char *)sent_find(IPC_ADMIN_END, 100 + i)->body, "store.path"));
	}
	assert_int_equal(world_call(200, "{\"cmd\":\"sqn show\",\"args\":{\"imsi\":\"" IMSI "1\"}}"),
			 ADMIN_OK);
	assert_int_equal(world_call(201, "{\"cmd\":\"store status\"}"), ADMIN_OK);
	json_t *row = world_row(201), *file = json_object_get(row, "file");
	assert_string_equal(json_string_value(json_object_get(file, "path")), path);
	assert_string_equal(json_string_value(json_object_get(file, "state")), "current");
	assert_int_equal(json_integer_value(json_object_get(file, "rows")), 1);
	json_decref(row);
}

static void set_of_imsis(void **state)
{
	struct imsi_set s = {0};
	(void)state;
	assert_false(imsi_set_has(&s, imsi_of("00101")));
	assert_false(imsi_set_mark(&s, imsi_of("00101")));
	for (int again = 0; again < 2; again++)
		for (unsigned i = 0; i < 5000; i++) {
			char text[16];
			snprintf(text, sizeof(text), "%0*u", i % 2 ? 15 : 10, i);
			assert_int_equal(imsi_set_add(&s, imsi_of(text)), !again);
			assert_int_equal(imsi_set_mark(&s, imsi_of(text)), !again);
			assert_true(imsi_set_has(&s, imsi_of(text)));
		}
	assert_int_equal(s.map.cnt, 5000);
	assert_false(imsi_set_has(&s, imsi_of("00101")));
	imsi_set_free(&s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(nothing_at_first), T(changes),    T(bad_keeps), T(bad_at_first), T(moving),
	    T(too_many),         T(long_lines), T(survives),  T(operators),    cmocka_unit_test(set_of_imsis),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// The local database: journal and rows are one truth whatever was folded, whatever was killed; newer files
// are refused.
#include "loader/store/local_priv.h"
#include "tests/unit/faulty_vfs.h"
#include "tests/unit/loader_fixture.h"
#include <sqlite3.h>
#include <sys/wait.h>

static char dir[64];
static const char *vfs; // NULL: SQLite's own
static struct local *db;

static int setup(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR, false, false);
	tmp_dir(dir, sizeof(dir), "hss-local-XXXXXX");
	assert_int_equal(local_open(&(struct local_options){.dir = dir}, &db), 0);
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];
	(void)state;
	local_free(&db);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	assert_int_equal(system(cmd), 0);
	return 0;
}

static void reopen(void)
{
	local_free(&db);
	assert_int_equal(local_open(&(struct local_options){.dir = dir, .vfs = vfs}, &db), 0);
}

static void commit_state(uint64_t imsi, const char *host, const char *ext)
{
	uint8_t body[512];
	struct state_row s = {.app = 1, .version = (uint16_t)imsi, .key = {imsi}, .body = slice_str(host)};
	struct state_kept x = {.has = {[1] = ext != NULL}, .blob = {[1] = ext ? slice_str(ext) : (struct slice){0}}};
	struct wr w = wr_of(body, sizeof(body));
	entry_put_state(&w, &s, &x);
	struct entry e = {.imsi = imsi, .kind = ENTRY_STATE, .body = wr_done(&w)};
	assert_int_equal(local_commit(db, &e, 1), 0);
	local_published(db);
}

static void assert_state(uint64_t imsi, const char *host, const char *ext)
{
	struct slice got;
	struct state_row s;
	int rc = local_read_state(db, (imsi_t){imsi}, 1, &s);
	assert_int_equal(rc, host != NULL);
	if (!host)
		return;
	assert_true(slice_eq(s.body, slice_str(host)));
	assert_int_equal(s.version, (uint16_t)imsi);
	assert_int_equal(s.key[0], imsi);
	assert_true(local_read_merged(db, (imsi_t){imsi}, 1, &got) >= 0);
	assert_true(slice_eq(got, ext ? slice_str(ext) : (struct slice){0}));
}

static void commit_doc(uint64_t imsi, const char *text, const char *profile, uint64_t ceiling)
{
	uint8_t body[1024], record[RECORD_BODY_LEN];
	struct record_image image = {.amf = 0x8000, .fp = {1, 2, 3}};
	struct wr w = wr_of(record, sizeof(record));
	record_image_put(&w, &image);
	struct doc_put d = {.digest = {9},
			    .profile = slice_str(profile),
			    .has_sqn = true,
			    .sqn = {.ceiling = ceiling, .run = 1},
			    .record = wr_done(&w),
			    .document = slice_str(text)};
	w = wr_of(body, sizeof(body));
	entry_put_doc(&w, &d);
	assert_int_equal(wr_len(&w), entry_doc_put_size(&d));
	struct entry e = {.imsi = imsi, .kind = ENTRY_DOC_PUT, .body = wr_done(&w)};
	assert_int_equal(local_commit(db, &e, 1), 0);
	local_published(db);
}

static void assert_doc(uint64_t imsi, const char *text, uint64_t ceiling)
{
	struct slice got;
	struct sqn_row row;
	struct local_subscriber sub;
	const uint8_t fp[16] = {1, 2, 3}, other[16] = {1, 2, 3, 0, 0, 0, 0, 0, 0, 1};
	assert_int_equal(local_read_document(db, (imsi_t){imsi}, &got), text != NULL);
	if (text)
		assert_true(slice_eq(got, slice_str(text)));
	assert_int_equal(local_read_subscriber(db, (imsi_t){imsi}, &sub), text != NULL);
	if (text) {
		assert_int_equal(sub.record.len, RECORD_BODY_LEN);
		assert_true(slice_eq(sub.profile, slice_str("PROFILE")));
	}
	assert_int_equal(local_read_sqn(db, (imsi_t){imsi}, fp, &row), 1);
	assert_int_equal(row.ceiling, ceiling);
	assert_true(local_read_sqn(db, (imsi_t){imsi}, other, &row) <= 0);
}

static int fold_all(void)
{
	int n, all = 0;
	while ((n = fold_step(db)) > 0)
		all += n;
	assert_int_equal(n, 0);
	return all;
}

static void reads_see_the_last_commit(void **state)
{
	(void)state;
	assert_state(7, NULL, NULL);
	for (int folded = 0; folded < 2; folded++) {
		commit_state(7, "a", "gw");
		assert_state(7, "a", "gw");
		if (folded)
			fold_all();
		commit_state(7, "b", NULL); // leaves what is beside it
		assert_state(7, "b", "gw");
		if (folded)
			fold_all();
		assert_state(7, "b", "gw");
		commit_state(7, "c", "");
		assert_state(7, "c", NULL);
	}
	reopen();
	assert_state(7, "c", NULL);
}

static void documents_and_rows(void **state)
{
	(void)state;
	commit_doc(5, "{\"one\":1}", "PROFILE", 300);
	assert_doc(5, "{\"one\":1}", 300);
	assert_false(local_has_profile(db, (uint8_t[16]){9})); // not yet in the rows
	fold_all();
	assert_true(local_has_profile(db, (uint8_t[16]){9}));
	assert_doc(5, "{\"one\":1}", 300);
	commit_doc(5, "{\"two\":2}", "", 400); // the profile by its digest
	assert_doc(5, "{\"two\":2}", 400);
	fold_all();
	assert_doc(5, "{\"two\":2}", 400);
	struct entry e = {.imsi = 5, .kind = ENTRY_DOC_DELETE};
	commit_state(5, "a", NULL);
	assert_int_equal(local_commit(db, &e, 1), 0);
	local_published(db);
	assert_doc(5, NULL, 400); // the SQN row outlives its subscriber
	assert_state(5, NULL, NULL);
	reopen();
	assert_doc(5, NULL, 400);
	assert_state(5, NULL, NULL);
}

static void a_chunk_keeps_the_order_of_one_subscriber(void **state)
{
	(void)state;
	struct entry del = {.imsi = 3, .kind = ENTRY_DOC_DELETE};
	for (uint64_t other = 100; other > 0; other--)
		commit_state(other, "x", "e");
	commit_state(3, "old", "gw");
	commit_doc(3, "{}", "PROFILE", 1);
	assert_int_equal(local_commit(db, &del, 1), 0);
	local_published(db);
	commit_state(3, "new", NULL);
	assert_state(3, "new", NULL);
	assert_int_equal(fold_all(), 104);
	assert_state(3, "new", NULL);
	assert_state(100, "x", "e");
}

static void only_what_is_published_is_folded(void **state)
{
	uint8_t body[64];
	(void)state;
	struct wr w = wr_of(body, sizeof(body));
	entry_put_u64(&w, 77);
	struct entry e = {.kind = ENTRY_RUN, .body = wr_done(&w)};
	uint64_t run;
	assert_int_equal(local_commit(db, &e, 1), 0);
	assert_int_equal(fold_step(db), 0);
	local_published(db);
	assert_int_equal(fold_step(db), 1);
	assert_int_equal(local_run_get(db, &run), 0);
	assert_int_equal(run, 77);
}

static void the_journal_stays_short_and_goes_on_counting(void **state)
{
	(void)state;
	for (int i = 0; i < 3000; i++) {
		commit_state((uint64_t)i % 50 + 1, "h", NULL);
		if (i % 500 == 499)
			fold_all();
	}
	fold_all();
	local_trim(db);
	int64_t rows = -1;
	assert_int_equal(sql_number(db->journal, "SELECT count(*) FROM journal", 0, &rows), 0);
	assert_int_equal(rows, 0);
	uint64_t seq = local_seq(db);
	reopen();
	assert_int_equal(local_seq(db), seq);
	commit_state(1, "later", NULL);
	assert_int_equal(local_seq(db), seq + 1);
	fold_all();
	assert_state(1, "later", NULL);
}

static void folding_again_changes_nothing(void **state)
{
	(void)state;
	commit_doc(5, "{\"one\":1}", "PROFILE", 300);
	commit_state(5, "a", "gw");
	fold_all();
	// as if the fold's last transaction had been lost with its note, or the journal restored
	assert_int_equal(sql_exec(db->fold.db, "UPDATE meta SET value = 0 WHERE key = 'folded'"), 0);
	reopen();
	assert_doc(5, "{\"one\":1}", 300);
	assert_state(5, "a", "gw");
}

// A process that dies after `steps` of a fixed sequence of commits, folds and trims.
static void die_after(int steps)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct local *l;
		if (local_open(&(struct local_options){.dir = dir}, &l))
			_exit(1);
		db = l;
		for (int i = 0; i < steps; i++) {
			switch (i % 4) {
			case 0:
				commit_state(9, i % 8 ? "even" : "odd", NULL);
				break;
			case 1:
				commit_doc(9, "{}", "PROFILE", (uint64_t)i);
				break;
			case 2:
				assert_true(fold_step(l) >= 0);
				break;
			default:
				local_trim(l);
				break;
			}
		}
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void killed_at_every_step(void **state)
{
	(void)state;
	for (int steps = 1; steps < 24; steps++) {
		local_free(&db);
		die_after(steps);
		assert_int_equal(local_open(&(struct local_options){.dir = dir}, &db), 0);
		assert_int_equal(fold_step(db), 0); // the start folds everything
		int last_state = (steps - 1) / 4 * 4, last_doc = (steps - 2) / 4 * 4 + 1;
		assert_state(9, last_state % 8 ? "even" : "odd", NULL);
		if (steps >= 2)
			assert_doc(9, "{}", (uint64_t)last_doc);
	}
}

static void a_newer_database_is_refused(void **state)
{
	static const char *const files[] = {"hss.db", "journal.db"};
	(void)state;
	for (int i = 0; i < 2; i++) {
		char path[128];
		sqlite3 *raw;
		local_free(&db);
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
		assert_int_equal(sql_exec(raw, "PRAGMA user_version = 99"), 0);
		assert_int_equal(local_open(&(struct local_options){.dir = dir}, &db), -EPROTO);
		assert_null(db);
		int64_t version = 0;
		assert_int_equal(sql_number(raw, "PRAGMA user_version", 0, &version), 0);
		assert_int_equal(version, 99); // untouched
		assert_int_equal(sql_exec(raw, "PRAGMA user_version = 2"), 0);
		sqlite3_close(raw);
		assert_int_equal(local_open(&(struct local_options){.dir = dir}, &db), 0);
	}
}

static void the_scan_is_a_merge(void **state)
{
	struct local_row row;
	unsigned n = 0;
	(void)state;
	// signed order: numbers with the highest bit come first
	const uint64_t imsi[] = {1ull << 63, (1ull << 63) + 5, 1, 2, 900};
	for (unsigned i = 0; i < 5; i++) {
		commit_doc(imsi[4 - i], "{}", "PROFILE", 10 + i);
		if (i % 2)
			commit_state(imsi[4 - i], "host", NULL);
	}
	commit_state(500, "nobody", NULL); // a row without subscriber is passed over
	fold_all();
	assert_int_equal(local_scan_begin(db, LOCAL_SCAN_START), 0);
	// the smallest itself can't be an IMSI with digits and is beyond the start
	for (n = 1; n < 5; n++) {
		assert_int_equal(local_scan_next(db, &row), 1);
		assert_int_equal(row.imsi.v, imsi[n]);
		assert_true(row.has_sqn);
		assert_int_equal(row.sqn.ceiling, 10 + 4 - n);
		assert_int_equal(row.state_cnt, (4 - n) % 2);
	}
	assert_int_equal(local_scan_next(db, &row), 0);
	local_scan_end(db);
	imsi_t next;
	assert_int_equal(local_next(db, (imsi_t){2}, &next), 1);
	assert_int_equal(next.v, 900);
	assert_int_equal(local_next(db, next, &next), 0);
}

static void entries_pile_up_until_somebody_waits(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 10; i++)
		commit_state(i, "h", NULL);
	assert_false(fold_is_worth(db));
	assert_false(local_is_behind(db));
	assert_false(local_folded_to(db, local_seq(db)));
	assert_true(fold_is_worth(db));
	assert_true(fold_step(db) > 0);
	assert_false(fold_is_worth(db));
	assert_true(local_folded_to(db, local_seq(db)));
}

static void large_entries_do_not_pile_up(void **state)
{
	(void)state;
	static uint8_t token[60000];
	struct entry e = {.kind = ENTRY_FEED, .body = slice_of(token, sizeof(token))};
	unsigned n = 0;
	for (; !fold_is_worth(db); n++) {
		assert_true(n <= FOLD_WORTH_OCTETS / sizeof(token));
		assert_int_equal(local_commit(db, &e, 1), 0);
		local_published(db);
	}
	assert_int_equal(n, FOLD_WORTH_OCTETS / sizeof(token) + 1);
	while (fold_step(db) > 0)
		continue;
	assert_false(fold_is_worth(db));
}

// A location of many subscribers, in one commit.
static void commit_many(unsigned cnt, const char *host)
{
	static uint8_t body[128];
	static struct entry e[3 * FOLD_PART];
	struct state_row s = {.app = 1, .body = slice_str(host)};
	struct wr w = wr_of(body, sizeof(body));
	entry_put_state(&w, &s, &(struct state_kept){0});
	for (unsigned i = 0; i < cnt; i++)
		e[i] = (struct entry){.imsi = i + 1, .kind = ENTRY_STATE, .body = wr_done(&w)};
	assert_int_equal(local_commit(db, e, cnt), 0);
	local_published(db);
}

static bool all_are_at(unsigned cnt, const char *host)
{
	struct state_row s;
	for (uint64_t i = 1; i <= cnt; i++)
		if (local_read_state(db, (imsi_t){i}, 1, &s) != 1 || !slice_eq(s.body, slice_str(host)))
			return false;
	return true;
}

// The disk is full after so many writes, within a part or between two: what is in rows already is folded again, by this
// loader or by the next.
static void a_fold_that_ends_between_its_parts(void **state)
{
	(void)state;
	unsigned failed = 0;
	int n = -1;
	vfs = faulty_register();
	reopen();
	for (unsigned after = 0; n < 0; after += 5, failed++) {
		char host[16];
		snprintf(host, sizeof(host), "h%u", after);
		commit_many(3 * FOLD_PART, host);
		uint64_t folded = local_folded(db);
		faulty.write_fault = SQLITE_FULL;
		faulty.fault_after = after;
		n = fold_step(db);
		faulty.write_fault = 0;
		assert_true(n > 0 || local_folded(db) == folded);
		assert_true(all_are_at(3 * FOLD_PART, host));
		if (after % 2)
			reopen();
		else
			fold_all();
		assert_true(all_are_at(3 * FOLD_PART, host));
	}
	assert_true(failed > 5);
	vfs = NULL;
}

static void the_thread_folds(void **state)
{
	(void)state;
	assert_int_equal(local_fold_start(db), 0);
	for (int i = 0; i < 3000; i++)
		commit_state((uint64_t)i % 100 + 1, "h", NULL);
	uint64_t n;
	while (!local_folded_to(db, local_seq(db))) {
		struct timeval tv = {.tv_sec = 30};
		fd_set set;
		FD_ZERO(&set);
		FD_SET(local_fold_fd(db), &set);
		assert_int_equal(select(local_fold_fd(db) + 1, &set, NULL, NULL, &tv), 1);
		assert_int_equal(read(local_fold_fd(db), &n, sizeof(n)), 8);
	}
	local_fold_stop(db);
	assert_state(100, "h", NULL);
	assert_false(local_fold_failing(db));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(reads_see_the_last_commit),
	    T(documents_and_rows),
	    T(a_chunk_keeps_the_order_of_one_subscriber),
	    T(only_what_is_published_is_folded),
	    T(the_journal_stays_short_and_goes_on_counting),
	    T(folding_again_changes_nothing),
	    T(killed_at_every_step),
	    T(a_newer_database_is_refused),
	    T(the_scan_is_a_merge),
	    T(entries_pile_up_until_somebody_waits),
	    T(large_entries_do_not_pile_up),
	    T(a_fold_that_ends_between_its_parts),
	    T(the_thread_folds),
	};
	(void)world;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// Profiles that no subscriber has any more leave hss.db, and only those: whatever is committed and folded between the steps,
// wherever the loader is killed, and when the disk is full.
#include "loader/store/local_priv.h"
#include "tests/unit/faulty_vfs.h"
#include "tests/unit/loader_fixture.h"
#include <sqlite3.h>
#include <sys/select.h>
#include <sys/wait.h>

#define PROFILES 1200u // that subscriber 1 had, one after another: several pieces of the deletion

static char dir[64];
static const char *vfs; // NULL: SQLite's own
static struct local *db;

static void open_db(void)
{
	assert_int_equal(local_open(&(struct local_options){.dir = dir, .vfs = vfs}, &db), 0);
}

static int setup(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR, false, false);
	tmp_dir(dir, sizeof(dir), "hss-profile-XXXXXX");
	open_db();
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
	open_db();
}

static int64_t rows(void)
{
	int64_t n = -1;
	assert_int_equal(sql_number(db->fold.db, "SELECT count(*) FROM profile", -1, &n), 0);
	return n;
}

static void fold_all(void)
{
	int n;
	while ((n = fold_step(db)) > 0)
		;
	assert_int_equal(n, 0);
}

static unsigned clean_all(void)
{
	unsigned steps = 0;
	int rc;
	while ((rc = clean_step(db)) > 0)
		steps++;
	assert_int_equal(rc, 0);
	assert_false(atomic_load(&db->cleaning));
	return steps;
}

static const uint8_t *digest_of(unsigned profile)
{
	static uint8_t digest[16];
	be16_put(digest, (uint16_t)profile); // the memories of profiles go by these octets
	return digest;
}

static struct slice octets_of(unsigned profile)
{
	static char text[32];
	snprintf(text, sizeof(text), "PROFILE %u", profile);
	return slice_str(text);
}

#define BODY_MAX 512

// As the loader does it: with the profile's octets when it is not known to be in the rows.
static struct entry compose(uint8_t body[BODY_MAX], uint64_t imsi, unsigned profile)
{
	uint8_t record[RECORD_BODY_LEN];
	struct record_image image = {.amf = 0x8000};
	struct wr w = wr_of(record, sizeof(record));
	record_image_put(&w, &image);
	struct doc_put d = {.record = wr_done(&w), .document = slice_str("{}")};
	memcpy(d.digest, digest_of(profile), 16);
	if (!local_has_profile(db, d.digest))
		d.profile = octets_of(profile);
	w = wr_of(body, BODY_MAX);
	entry_put_doc(&w, &d);
	return (struct entry){.imsi = imsi, .kind = ENTRY_DOC_PUT, .body = wr_done(&w)};
}

static void commit(uint64_t imsi, unsigned profile)
{
	uint8_t body[BODY_MAX];
	struct entry e = compose(body, imsi, profile);
	assert_int_equal(local_commit(db, &e, 1), 0);
	local_published(db);
}

static void assert_has(uint64_t imsi, unsigned profile)
{
	struct local_subscriber sub;
	assert_int_equal(local_read_subscriber(db, (imsi_t){imsi}, &sub), 1);
	assert_true(slice_eq(sub.profile, octets_of(profile)));
}

// Subscriber 1 has had all of them and has the last one now, 2 has the first one; there is nobody else.
static void leave_many(void)
{
	static uint8_t body[PROFILES + 1][BODY_MAX];
	static struct entry e[PROFILES + 1];
	fold_all();
	assert_int_equal(sql_exec(db->fold.db, "DELETE FROM subscriber; DELETE FROM profile"), 0);
	reopen();
	for (unsigned i = 0; i < PROFILES; i++)
		e[i] = compose(body[i], 1, i + 1);
	e[PROFILES] = compose(body[PROFILES], 2, 1);
	assert_int_equal(local_commit(db, e, PROFILES + 1), 0);
	local_published(db);
	fold_all();
	assert_int_equal(rows(), PROFILES);
}

static void profiles_that_nobody_has_are_deleted(void **state)
{
	(void)state;
	leave_many();
	assert_true(local_has_profile(db, digest_of(7)));
	local_clean_profiles(db, 2);
	assert_true(clean_all() > PROFILES / FOLD_PART);
	assert_int_equal(rows(), 2);
	assert_has(1, PROFILES);
	assert_has(2, 1);
	assert_false(local_has_profile(db, digest_of(7)));
	assert_true(local_has_profile(db, digest_of(1)));
	commit(3, 7);
	fold_all();
	assert_has(3, 7);
	assert_int_equal(rows(), 3);
	assert_int_equal(clean_step(db), 0); // nobody asked
}

static void a_few_are_left_alone(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 50; i++)
		commit(1, i);
	fold_all();
	local_clean_profiles(db, 1);
	assert_int_equal(clean_all(), 0);
	assert_int_equal(rows(), 50);
}

// Whoever comes to use it between two steps, whatever was known of it before.
static void a_profile_that_is_used_again_stays(void **state)
{
	(void)state;
	unsigned steps = 100;
	for (unsigned at = 0; at <= steps; at++) {
		leave_many();
		local_clean_profiles(db, 2);
		for (unsigned i = 0; i < at; i++)
			assert_int_equal(clean_step(db), 1);
		assert_false(local_has_profile(db, digest_of(5)));
		commit(5, 5);
		commit(6, PROFILES - 1);
		commit(2, PROFILES - 2);
		if (at % 2)
			fold_all(); // else its row is deleted first
		unsigned left = clean_all();
		fold_all();
		steps = at + left;
		for (unsigned again = 0; again < 2; again++) {
			assert_has(1, PROFILES);
			assert_has(2, PROFILES - 2);
			assert_has(5, 5);
			assert_has(6, PROFILES - 1);
			reopen();
		}
		assert_in_range(rows(), 4, 5);
	}
	assert_true(steps > 3);
}

// Composed before the asking: its profile's octets are in no entry.
static void an_entry_that_names_it_by_digest_is_folded_first(void **state)
{
	(void)state;
	leave_many();
	assert_true(local_has_profile(db, digest_of(9)));
	commit(9, 9);
	local_clean_profiles(db, 2);
	assert_int_equal(clean_step(db), 0);
	assert_true(atomic_load(&db->cleaning));
	assert_true(fold_is_worth(db)); // somebody waits
	fold_all();
	assert_true(clean_all() > 0);
	assert_has(9, 9);
	assert_int_equal(rows(), 3);
}

// A bulk goes past the journal.
static void a_bulk_between_the_steps(void **state)
{
	(void)state;
	uint8_t body[BODY_MAX];
	leave_many();
	local_clean_profiles(db, 2);
	unsigned n = 0;
	for (int rc = 1, error; rc > 0; n++) {
		rc = clean_step(db);
		struct entry e = compose(body, 100 + n, 3);
		local_bulk_begin(db, &e, 1);
		assert_true(local_bulk_landed(db, true, &error));
		assert_int_equal(error, 0);
	}
	assert_true(n > 3);
	for (unsigned i = 0; i < n; i++)
		assert_has(100 + i, 3);
	assert_int_equal(rows(), 3);
}

static void die_after(unsigned steps)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		open_db();
		local_clean_profiles(db, 2);
		commit(4, 4); // not folded when it dies, or in the middle
		for (unsigned i = 0; i < steps; i++) {
			if (i == 2)
				fold_all();
			if (clean_step(db) < 0)
				_exit(1);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void killed_between_the_steps(void **state)
{
	(void)state;
	for (unsigned steps = 0; steps < 8; steps++) {
		leave_many();
		local_free(&db);
		die_after(steps);
		open_db();
		assert_has(1, PROFILES);
		assert_has(2, 1);
		assert_has(4, 4);
		local_clean_profiles(db, 2);
		clean_all();
		assert_true(rows() <= 3 + 2 + 100); // what is few stays
		assert_has(1, PROFILES);
		assert_has(2, 1);
		assert_has(4, 4);
	}
}

static void a_full_disk_ends_it(void **state)
{
	(void)state;
	vfs = faulty_register();
	reopen();
	leave_many();
	local_clean_profiles(db, 2);
	faulty.write_fault = SQLITE_FULL;
	faulty.fault_after = 0;
	int rc;
	while ((rc = clean_step(db)) > 0)
		;
	faulty.write_fault = 0;
	assert_int_equal(rc, -ENOSPC);
	assert_false(atomic_load(&db->cleaning));
	assert_true(local_has_profile(db, digest_of(1)));
	fold_all();
	local_clean_profiles(db, 2);
	clean_all();
	assert_int_equal(rows(), 2);
	vfs = NULL;
	assert_has(1, PROFILES);
}

static void the_thread_cleans(void **state)
{
	(void)state;
	leave_many();
	assert_int_equal(local_fold_start(db), 0);
	commit(3, 3);
	local_clean_profiles(db, 2);
	for (unsigned i = 0; atomic_load(&db->cleaning); i++) {
		commit(10 + i % 50, 10 + i % 50); // while it works
		struct timeval tv = {.tv_sec = 30};
		fd_set set;
		FD_ZERO(&set);
		FD_SET(local_fold_fd(db), &set);
		assert_int_equal(select(local_fold_fd(db) + 1, &set, NULL, NULL, &tv), 1);
		local_fold_drain(db);
	}
	local_fold_stop(db);
	fold_all();
	assert_true(rows() <= 3 + 50);
	assert_has(1, PROFILES);
	assert_has(3, 3);
	assert_has(10, 10);
}

// ---- the main thread asks

static int setup_world(void **state)
{
	(void)state;
	world_open(100);
	db = world.l.local;
	return 0;
}

static int teardown_world(void **state)
{
	(void)state;
	world_close();
	db = NULL;
	return 0;
}

static void the_loader_asks_when_nothing_waits(void **state)
{
	(void)state;
	assert_int_equal(sql_exec(db->fold.db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300)"
					       " INSERT INTO profile(digest, body) SELECT CAST('d' || i AS BLOB), x'00' FROM n"),
			 0);
	loader_tick(&world.l);
	assert_true(atomic_load(&db->cleaning));
	assert_true(clean_all() > 0);
	assert_int_equal(rows(), 0);
	loader_tick(&world.l); // an hour has not passed
	assert_false(atomic_load(&db->cleaning));
	world.l.profiles_due_ms = 0;
	loader_tick(&world.l);
	assert_true(atomic_load(&db->cleaning));
	clean_all();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(profiles_that_nobody_has_are_deleted),
	    T(a_few_are_left_alone),
	    T(a_profile_that_is_used_again_stays),
	    T(an_entry_that_names_it_by_digest_is_folded_first),
	    T(a_bulk_between_the_steps),
	    T(killed_between_the_steps),
	    T(a_full_disk_ends_it),
	    T(the_thread_cleans),
	    cmocka_unit_test_setup_teardown(the_loader_asks_when_nothing_waits, setup_world, teardown_world),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

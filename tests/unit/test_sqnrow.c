// SQN rows (law 5): arithmetic, and a loader that is killed at random while vectors are drawn, blocks asked
// for, SQNs set, keys changed, subscribers deleted and added again: no SEQ twice under one key, none lower
// than one before.
#include "tests/unit/loader_fixture.h"

static uint64_t rng_state = 42;

static uint32_t rng(uint32_t below)
{
	rng_state = rng_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((rng_state >> 33) % below);
}

static void runs_own_disjoint_blocks(void **state)
{
	struct sqn_row row = {.ceiling = 1000, .run = 5};
	uint64_t end = 1000;
	(void)state;
	for (uint64_t run = 6; run < 50; run++) {
		struct sqn_range r = sqn_row_start(&row, run);
		assert_int_equal(r.next, end);
		assert_int_equal(r.limit, end + SQN_BLOCK_MIN);
		end = r.limit;
		assert_int_equal(sqn_row_end(&row, run), end);
	}
	struct sqn_range same = sqn_row_start(&row, 5), older = sqn_row_start(&row, 3);
	assert_int_equal(same.next, 1000);
	assert_int_equal(same.limit, 1000);
	assert_int_equal(older.limit, 1000);
}

static void seq_zero_is_never_given(void **state)
{
	struct sqn_row row;
	struct sqn_range r;
	(void)state;
	assert_true(sqn_row_continue(NULL, 0, 1, &row, &r));
	assert_int_equal(r.next, 1);
	assert_int_equal(row.ceiling, r.limit);
	assert_int_equal(row.run, 1);
}

static void a_row_is_continued_above_what_may_be_used(void **state)
{
	struct sqn_row old = {.ceiling = 500, .run = 2}, row;
	struct sqn_range r;
	(void)state;
	assert_true(sqn_row_continue(&old, 7, 4, &row, &r));
	assert_int_equal(r.next, 500 + 2 * SQN_BLOCK_MIN);
	assert_true(sqn_row_continue(&old, 999999, 4, &row, &r));
	assert_int_equal(r.next, 999999);
}

static void the_end_of_the_space_is_refused(void **state)
{
	struct sqn_row row = {.ceiling = CACHE_SEQ_MAX - 10, .run = 1}, next;
	struct sqn_range r;
	uint64_t limit;
	(void)state;
	assert_false(sqn_row_continue(NULL, CACHE_SEQ_MAX, 1, &next, &r));
	assert_false(sqn_row_continue(&row, 0, 1, &next, &r));
	r = sqn_row_start(&row, 2);
	assert_int_equal(r.next, r.limit);
	assert_int_equal(sqn_row_end(&row, UINT64_MAX), CACHE_SEQ_MAX);
	assert_false(sqn_block_next(CACHE_SEQ_MAX - 255, 0, SQN_BLOCK_MIN, &limit));
	assert_true(sqn_block_next(CACHE_SEQ_MAX - 256, 0, SQN_BLOCK_MIN, &limit));
	assert_int_equal(limit, CACHE_SEQ_MAX);
	assert_false(sqn_block_next(5, UINT64_MAX - 3, SQN_BLOCK_MIN, &limit));
	assert_true(sqn_block_next(5, 1000, SQN_BLOCK_MIN, &limit));
	assert_int_equal(limit, 1256);
}

static void fingerprints_tell_keys_and_subscribers_apart(void **state)
{
	struct sqn_hash h;
	uint8_t k[16] = {1}, a[16], b[16];
	(void)state;
	assert_int_equal(sqn_hash_init(&h), 0);
	assert_int_equal(sqn_fingerprint(&h, (imsi_t){1}, k, a), 0);
	assert_int_equal(sqn_fingerprint(&h, (imsi_t){1}, k, b), 0);
	assert_memory_equal(a, b, 16);
	assert_int_equal(sqn_fingerprint(&h, (imsi_t){2}, k, b), 0);
	assert_memory_not_equal(a, b, 16);
	k[15] = 1;
	assert_int_equal(sqn_fingerprint(&h, (imsi_t){1}, k, b), 0);
	assert_memory_not_equal(a, b, 16);
	sqn_hash_fini(&h);
}

// ---- the whole loader ---------------------------------------------------------------------------

#define SUBSCRIBERS 4
#define KEYS        2
static uint64_t above[SUBSCRIBERS][KEYS]; // first SEQ that was never drawn under this key
static unsigned key_of[SUBSCRIBERS];
static bool there[SUBSCRIBERS];
static uint64_t call_id = 5000000;

static void imsi_name(unsigned i, char out[16])
{
	snprintf(out, 16, "00101000000000%u", i);
}

static int call(const char *cmd, unsigned i, const char *more)
{
	char text[512], imsi[16];
	imsi_name(i, imsi);
	snprintf(text, sizeof(text), "{\"cmd\":\"%s\",\"args\":{\"imsi\":\"%s\"%s}}", cmd, imsi, more);
	int status = world_call(++call_id, text);
	world_sent_clear();
	return status;
}

static void add(unsigned i, unsigned key)
{
	char more[128];
	snprintf(more, sizeof(more), ",\"k\":\"%032x\",\"opc\":\"E8ED289DEBA952E4283B54E88E6183CA\"",
		 key + 1);
	assert_int_equal(call("subscriber add", i, more), 0);
	key_of[i] = key;
	there[i] = true;
}

static void change_the_key(unsigned i, unsigned key)
{
	char more[128];
	snprintf(more, sizeof(more), ",\"fields\":{\"security.k\":\"%032x\"}", key + 1);
	assert_int_equal(call("subscriber set", i, more), 0);
	key_of[i] = key;
}

static const struct cache_record *record(unsigned i)
{
	char imsi[16];
	imsi_name(i, imsi);
	return cache_find(world.l.cache, imsi_of(imsi));
}

static void ask_block(unsigned i, uint64_t at_least, bool commit)
{
	const struct cache_record *r = record(i);
	struct ipc_sqn_block b = {.imsi = r->imsi.v, .index = r->sqn, .at_least = at_least};
	world_frame(ROLE_WORKER, IPC_SQN_BLOCK, 1, 0, &b, sizeof(b));
	if (commit)
		txn_commit(&world.l);
	world_sent_clear();
}

static void draw(struct cache *reader, unsigned i)
{
	uint64_t first;
	bool low;
	uint32_t n = 1 + rng(40);
	const struct cache_record *r = record(i);
	assert_non_null(r);
	enum sqn_draw d = cache_sqn_draw(reader, r->sqn, n, &first, &low);
	if (d == SQN_NEED_BLOCK) {
		ask_block(i, 0, true);
		d = cache_sqn_draw(reader, r->sqn, n, &first, &low);
	}
	assert_int_equal(d, SQN_OK);
	uint64_t *known = &above[i][key_of[i]];
	if (first < *known)
		fail_msg("SEQ %llu again, %llu was used", (unsigned long long)first,
			 (unsigned long long)*known);
	*known = first + n;
}

static void one_step(struct cache *reader)
{
	unsigned i = rng(SUBSCRIBERS), what = rng(100);
	char more[64];
	if (!there[i]) {
		add(i, rng(KEYS));
	} else if (what < 60) {
		draw(reader, i);
	} else if (what < 66) {
		ask_block(i, above[i][key_of[i]] + rng(5000), rng(2));
	} else if (what < 70) {
		snprintf(more, sizeof(more), ",\"sqn\":%llu",
			 (unsigned long long)(loader_seq_next(&world.l, record(i)->sqn) + rng(600)) << 5);
		assert_int_equal(call("sqn set", i, more), 0);
	} else if (what < 74) {
		change_the_key(i, rng(KEYS));
	} else if (what < 78) {
		assert_int_equal(call("subscriber delete", i, ""), 0);
		there[i] = false;
	} else if (what < 80) {
		world_call(++call_id, "{\"cmd\":\"sqn jump\",\"args\":{\"by\":1000}}");
		world_sent_clear();
	} else if (what < 82) {
		assert_true(fold_now() >= 0);
	}
}

static void kills_never_repeat_a_seq(void **state)
{
	(void)state;
	world_open(100);
	for (unsigned round = 0; round < 150; round++) {
		struct cache reader;
		assert_int_equal(cache_open(&reader, world.records_ro, world.sqn, world.control, 0), 0);
		for (unsigned step = rng(60); step > 0; step--)
			one_step(&reader);
		if (rng(2)) // something is under way when it dies
			for (unsigned i = 0; i < SUBSCRIBERS; i++)
				if (there[i])
					ask_block(i, loader_seq_limit(&world.l, record(i)->sqn) + 1, false);
		cache_close(&reader);
		world_restart(rng(2));
	}
	world_close();
}

static void a_clean_restart_skips_little(void **state)
{
	(void)state;
	world_open(100);
	add(0, 0);
	uint64_t before = loader_seq_next(&world.l, record(0)->sqn);
	world_restart(true);
	uint64_t after = loader_seq_next(&world.l, record(0)->sqn);
	assert_true(after >= before && after - before < 4096);
	world_close();
}

static void lower_only_by_force(void **state)
{
	(void)state;
	world_open(100);
	add(0, 0);
	assert_int_equal(call("sqn set", 0, ",\"sqn\":3200"), 0);
	assert_int_equal(loader_seq_next(&world.l, record(0)->sqn), 100);
	assert_int_equal(call("sqn set", 0, ",\"sqn\":320"), 1);
	assert_int_equal(loader_seq_next(&world.l, record(0)->sqn), 100);
	assert_int_equal(call("sqn set", 0, ",\"sqn\":\"320\",\"force\":true"), 0);
	assert_int_equal(loader_seq_next(&world.l, record(0)->sqn), 10);
	world_restart(true);
	assert_int_equal(loader_seq_next(&world.l, record(0)->sqn), 10 + SQN_BLOCK_MIN);
	assert_int_equal(call("sqn set", 0, ",\"sqn\":281474976710655,\"force\":true"), 1);
	world_close();
}

static void words_of_another_are_refused(void **state)
{
	uint64_t status;
	(void)state;
	world_open(100);
	add(0, 0);
	struct ipc_sqn_block b = {.imsi = record(0)->imsi.v, .index = record(0)->sqn + 1};
	world_frame(ROLE_WORKER, IPC_SQN_BLOCK, 9, 0, &b, sizeof(b));
	txn_commit(&world.l);
	memcpy(&status, sent_find(IPC_SQN_BLOCK_ACK, 9)->body, 8);
	assert_int_equal(status, 2);
	b.index--;
	b.at_least = CACHE_SEQ_MAX;
	world_frame(ROLE_WORKER, IPC_SQN_BLOCK, 10, 0, &b, sizeof(b));
	txn_commit(&world.l);
	memcpy(&status, sent_find(IPC_SQN_BLOCK_ACK, 10)->body, 8);
	assert_int_equal(status, 0);
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(runs_own_disjoint_blocks),
	    cmocka_unit_test(seq_zero_is_never_given),
	    cmocka_unit_test(a_row_is_continued_above_what_may_be_used),
	    cmocka_unit_test(the_end_of_the_space_is_refused),
	    cmocka_unit_test(fingerprints_tell_keys_and_subscribers_apart),
	    cmocka_unit_test(kills_never_repeat_a_seq),
	    cmocka_unit_test(a_clean_restart_skips_little),
	    cmocka_unit_test(lower_only_by_force),
	    cmocka_unit_test(words_of_another_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

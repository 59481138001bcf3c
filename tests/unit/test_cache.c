// The cache against a model: random puts, deletions, renumberings; after each step what the model holds is
// found with its exact content and what it does not hold is not found; a new builder attached in between
// finds the same. Then the edges: full, stuck readers, profiles and nodes coming and going, numbers that two
// records claim, concurrent readers.
#include <pthread.h>
#include "cache/segment.h"
#include "cache_fixture.h"

// Model: what is expected of IMSI number n.
struct model {
	bool there;
	uint32_t version, sqn, profile, node;
	uint32_t number[2]; // 0 = none
};

static void model_check(const struct fixture *f, const struct model *m, uint32_t n)
{
	const struct cache_record *r = cache_find(&f->reader, imsi_no(n));
	if (!m->there) {
		assert_null(r);
		return;
	}
	assert_non_null(r);
	struct cache_record want = {.imsi = imsi_no(n)};
	keys_fill(&want, m->version);
	assert_memory_equal(r->k, want.k, 16);
	assert_memory_equal(r->opc, want.opc, 16);
	assert_int_equal(r->serving[0].time_us, m->version);
	assert_int_equal(r->serving[1].time_us, ~(uint64_t)m->version);
	assert_int_equal(r->sqn, m->sqn);
	assert_int_equal(f->reader.sqn[r->sqn].next, 1000 + n);
	assert_true(m->profile == 0 ? !cache_profile(&f->reader, r)
				    : profile_is(cache_profile(&f->reader, r), m->profile));
	struct slice host, realm;
	char text[64];
	assert_int_equal(cache_node_get(&f->reader, r->serving[0].node, &host, &realm), m->node != 0);
	snprintf(text, sizeof(text), "mme%u.epc.example.net", m->node);
	assert_true(m->node == 0 || slice_eq(host, slice_str(text)));
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(r->msisdn[i].v, m->number[i] ? msisdn_no(m->number[i]).v : 0);
		if (m->number[i])
			assert_ptr_equal(cache_find_msisdn(&f->reader, msisdn_no(m->number[i])), r);
	}
}

#define MODEL_CNT 300
#define NUMBERS   1200

static uint8_t number_owned[NUMBERS];

static void model_numbers(struct model *m)
{
	for (unsigned i = 0; i < 2; i++) {
		if (rng(3))
			continue;
		number_owned[m->number[i]] = 0;
		m->number[i] = 0;
		uint32_t n = 1 + rng(NUMBERS - 1);
		if (rng(4) && !number_owned[n]) {
			number_owned[n] = 1;
			m->number[i] = n;
		}
	}
}

static int model_put(struct fixture *f, struct model *m, uint32_t n)
{
	if (!m->there) {
		m->sqn = builder_sqn_take(f->b, 1000 + n, 1256 + n);
		assert_int_not_equal(m->sqn, UINT32_MAX);
	}
	m->version++;
	m->profile = rng(5) ? 1 + rng(60) : 0;
	m->node = rng(3) ? 1 + rng(50) : 0;
	model_numbers(m);
	struct cache_record r = {.imsi = imsi_no(n), .sqn = m->sqn};
	keys_fill(&r, m->version);
	if (m->profile) {
		r.profile = profile_no(f->b, m->profile);
		assert_int_not_equal(r.profile, 0);
	}
	if (m->node) {
		r.serving[0].node = node_no(f->b, m->node);
		assert_int_not_equal(r.serving[0].node, 0);
	}
	for (unsigned i = 0; i < 2; i++)
		r.msisdn[i] = m->number[i] ? msisdn_no(m->number[i]) : (msisdn_t){0};
	m->there = true;
	return builder_put(f->b, &r);
}

static void model_delete(struct fixture *f, struct model *m, uint32_t n)
{
	assert_int_equal(builder_delete(f->b, imsi_no(n)), m->there);
	if (m->there)
		for (unsigned i = 0; i < 2; i++) {
			number_owned[m->number[i]] = 0;
			m->number[i] = 0;
		}
	m->there = false;
}

static void random_walk(uint64_t seed)
{
	static struct model model[MODEL_CNT];
	struct fixture f;

	print_message("seed %llu\n", (unsigned long long)seed);
	rng_state = seed;
	memset(model, 0, sizeof(model));
	memset(number_owned, 0, sizeof(number_owned));
	fixture_open(&f, MODEL_CNT);
	for (unsigned step = 0; step < 4000; step++) {
		uint32_t n = rng(MODEL_CNT);
		if (rng(4))
			assert_int_equal(model_put(&f, &model[n], n), 0);
		else
			model_delete(&f, &model[n], n);
		if (rng(3) == 0)
			builder_reclaim(f.b);
		if (step % 200 == 199)
			fixture_attach(&f);
		for (unsigned i = 0; i < MODEL_CNT; i += step % 50 == 0 ? 1 : 13)
			model_check(&f, &model[i], i);
		model_check(&f, &model[n], n);
		for (uint32_t i = 1; step % 100 == 0 && i < NUMBERS; i++)
			assert_int_equal(cache_find_msisdn(&f.reader, msisdn_no(i)) != NULL, number_owned[i]);
	}
	uint32_t there = 0;
	for (unsigned i = 0; i < MODEL_CNT; i++)
		there += model[i].there;
	assert_int_equal(f.reader.h->subscriber_cnt, there);
	// nothing was lost: slots in use + free = all that were ever used, and updates reused what came free
	assert_true(f.reader.h->slot_high <= MODEL_CNT + 64);
	for (unsigned i = 0; i < MODEL_CNT; i++)
		model_delete(&f, &model[i], i);
	builder_reclaim(f.b);
	builder_reclaim(f.b);
	assert_int_equal(f.reader.h->subscriber_cnt, 0);
	assert_int_equal(f.reader.h->profile_cnt, 0);
	// with every key gone nothing is left
	for (uint64_t i = 0; i <= f.reader.imsi_mask; i++)
		assert_int_equal(f.reader.imsi_index[i], INDEX_EMPTY);
	for (uint64_t i = 0; i <= f.reader.msisdn_mask; i++)
		assert_int_equal(f.reader.msisdn_index[i], INDEX_EMPTY);
	fixture_close(&f);
}

static void test_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++)
		random_walk(seed);
}

static int put_plain(struct builder *b, uint32_t n, uint32_t version, uint32_t number, uint32_t profile)
{
	const struct cache_record *old = cache_find(builder_cache(b), imsi_no(n));
	struct cache_record r = {.imsi = imsi_no(n), .profile = profile};
	r.sqn = old ? old->sqn : builder_sqn_take(b, 1, 257);
	r.msisdn[0] = number ? msisdn_no(number) : (msisdn_t){0};
	keys_fill(&r, version);
	int rc = builder_put(b, &r);
	if (rc < 0 && !old)
		builder_sqn_return(b, r.sqn);
	return rc;
}

static void test_full(void **state)
{
	(void)state;
	struct fixture f;
	fixture_open(&f, 8);
	for (uint32_t n = 0; n < 8; n++)
		assert_int_equal(put_plain(f.b, n, 1, n + 1, 0), 0);
	assert_int_equal(put_plain(f.b, 8, 1, 9, 0), -ENOSPC);
	assert_null(cache_find(&f.reader, imsi_no(8)));
	assert_null(cache_find_msisdn(&f.reader, msisdn_no(9)));
	assert_int_equal(put_plain(f.b, 3, 2, 4, 0), 0);
	assert_true(builder_delete(f.b, imsi_no(5)));
	assert_false(builder_delete(f.b, imsi_no(5)));
	assert_int_equal(put_plain(f.b, 8, 1, 9, 0), 0);
	assert_non_null(cache_find_msisdn(&f.reader, msisdn_no(9)));
	assert_nothing_lost(f.b);
	fixture_close(&f);
}

// The index of numbers at its fullest: as many subscribers as there may be, with two numbers each, and a size of the cache at
// which that leaves it the least room.
static void test_two_numbers_each(void **state)
{
	enum { MAX = 978 };
	static struct fixture f;
	(void)state;
	fixture_open(&f, MAX);
	assert_true(2.0 * MAX / (f.reader.msisdn_mask + 1.0) > 0.95);
	for (uint32_t n = 0; n < MAX; n++) {
		struct cache_record r = {.imsi = imsi_no(n), .msisdn = {msisdn_no(2 * n + 1), msisdn_no(2 * n + 2)}};
		r.sqn = builder_sqn_take(f.b, 1, 257);
		assert_int_equal(builder_put(f.b, &r), 0);
	}
	for (uint32_t n = 0; n < MAX; n += 2)
		assert_true(builder_delete(f.b, imsi_no(n)));
	for (uint32_t n = 0; n < 2 * MAX; n++) {
		const struct cache_record *r = cache_find_msisdn(&f.reader, msisdn_no(n + 1));
		assert_int_equal(r != NULL, n / 2 % 2);
		if (r)
			assert_int_equal(r->imsi.v, imsi_no(n / 2).v);
	}
	assert_null(cache_find_msisdn(&f.reader, msisdn_no(5 * MAX)));
	fixture_close(&f);
}

static void test_invalid_records_refused(void **state)
{
	(void)state;
	struct fixture f;
	fixture_open(&f, 8);
	uint32_t sqn = builder_sqn_take(f.b, 1, 257);
	struct cache_record r = {.imsi = imsi_no(1), .sqn = sqn};
	r.imsi.v = 0;
	assert_int_equal(builder_put(f.b, &r), -EINVAL);
	r.imsi = imsi_no(1);
	r.profile = 77;
	assert_int_equal(builder_put(f.b, &r), -EINVAL);
	r.profile = 0;
	r.serving[0].node = 1;
	assert_int_equal(builder_put(f.b, &r), -EINVAL);
	r.serving[0].node = 0;
	r.sqn = sqn + 1;
	assert_int_equal(builder_put(f.b, &r), -EINVAL);
	r.sqn = sqn;
	assert_int_equal(builder_put(f.b, &r), 0);
	struct cache_profile p = {.len = sizeof(p) - 1};
	assert_int_equal(builder_profile(f.b, &p), 0);
	p.len = CACHE_BLOB_MAX + 1;
	assert_int_equal(builder_profile(f.b, &p), 0);
	p.len = sizeof(p);
	p.head_len = 1;
	assert_int_equal(builder_profile(f.b, &p), 0);
	assert_int_equal(builder_node(f.b, slice_str(""), slice_str("x")), 0);
	assert_nothing_lost(f.b);
	fixture_close(&f);
}

// A reader that stays pinned: what it holds never changes, updates go on until the spare is used up, then
// -EAGAIN.
static void test_stuck_reader(void **state)
{
	(void)state;
	struct fixture f;
	fixture_open(&f, 4);
	assert_int_equal(put_plain(f.b, 1, 1, 1, 0), 0);
	cache_pin(&f.reader);
	const struct cache_record *held = cache_find(&f.reader, imsi_no(1));
	struct cache_record copy = *held;
	uint32_t version = 2;
	int rc;
	while ((rc = put_plain(f.b, 1, version, 1, 0)) == 0)
		version++;
	assert_int_equal(rc, -EAGAIN);
	assert_true(version > 60000);
	assert_memory_equal(held, &copy, sizeof(copy));
	assert_int_equal(cache_find(&f.reader, imsi_no(1))->serving[0].time_us, version - 1);
	// a new loader does not reuse it either
	fixture_attach(&f);
	assert_int_equal(put_plain(f.b, 1, version, 1, 0), -EAGAIN);
	assert_memory_equal(held, &copy, sizeof(copy));
	cache_unpin(&f.reader);
	assert_int_equal(put_plain(f.b, 1, version, 1, 0), 0);
	assert_int_equal(cache_find_msisdn(&f.reader, msisdn_no(1))->serving[0].time_us, version);
	assert_nothing_lost(f.b);
	fixture_close(&f);
}

static void test_number_conflict(void **state)
{
	(void)state;
	struct fixture f;
	fixture_open(&f, 8);
	assert_int_equal(put_plain(f.b, 1, 1, 7, 0), 0);
	assert_int_equal(put_plain(f.b, 2, 1, 7, 0), 0);
	assert_int_equal(cache_find_msisdn(&f.reader, msisdn_no(7))->imsi.v, imsi_no(2).v);
	// an update that claims nothing new takes nothing
	assert_int_equal(put_plain(f.b, 1, 2, 7, 0), 0);
	assert_int_equal(cache_find_msisdn(&f.reader, msisdn_no(7))->imsi.v, imsi_no(2).v);
	fixture_attach(&f);
	assert_int_equal(cache_find_msisdn(&f.reader, msisdn_no(7))->imsi.v, imsi_no(2).v);
	// the loser's end changes nothing for the winner
	assert_true(builder_delete(f.b, imsi_no(1)));
	assert_int_equal(cache_find_msisdn(&f.reader, msisdn_no(7))->imsi.v, imsi_no(2).v);
	assert_int_equal(put_plain(f.b, 2, 2, 8, 0), 0);
	assert_null(cache_find_msisdn(&f.reader, msisdn_no(7)));
	// one number twice in a record
	struct cache_record r = *cache_find(&f.reader, imsi_no(2));
	r.msisdn[1] = r.msisdn[0];
	assert_int_equal(builder_put(f.b, &r), 0);
	assert_non_null(cache_find_msisdn(&f.reader, msisdn_no(8)));
	assert_true(builder_delete(f.b, imsi_no(2)));
	assert_null(cache_find_msisdn(&f.reader, msisdn_no(8)));
	fixture_close(&f);
}

static uint32_t big_profile(struct builder *b, uint32_t n)
{
	static uint8_t bytes[200000] __attribute__((aligned(8)));
	struct cache_profile *p = (void *)bytes;
	p->len = 100000 + n % 5 * 20000;
	p->access_restriction = n;
	return builder_profile(b, p);
}

static void test_profiles(void **state)
{
	(void)state;
	struct fixture f;
	fixture_open(&f, 1000);
	uint32_t a = profile_no(f.b, 1);
	assert_int_equal(profile_no(f.b, 1), a);
	assert_int_not_equal(profile_no(f.b, 2), a);
	assert_int_equal(put_plain(f.b, 1, 1, 0, a), 0);
	assert_int_equal(f.reader.h->profile_cnt, 2);
	builder_reclaim(f.b); // nobody names 2
	assert_int_equal(f.reader.h->profile_cnt, 1);
	assert_true(profile_is(cache_profile(&f.reader, cache_find(&f.reader, imsi_no(1))), 1));
	assert_int_equal(put_plain(f.b, 1, 2, 0, 0), 0);
	builder_reclaim(f.b);
	assert_int_equal(f.reader.h->profile_cnt, 0);
	assert_int_equal(f.reader.h->blob_used, 0);
	// fill the area, free every other one: the gaps are found again, for larger ones by joining
	// neighbours
	uint32_t cnt = 0, value;
	for (; (value = big_profile(f.b, cnt)) != 0; cnt++)
		assert_int_equal(put_plain(f.b, cnt, 1, 0, value), 0);
	assert_true(cnt > 300 && cnt < 1000);
	builder_reclaim(f.b);
	assert_int_equal(big_profile(f.b, cnt), 0);
	for (uint32_t n = 0; n < cnt; n++)
		if (n % 5 < 4)
			assert_true(builder_delete(f.b, imsi_no(n)));
	builder_reclaim(f.b);
	for (uint32_t n = 0; n < cnt / 3; n++) {
		value = big_profile(f.b, 10004 + n * 5); // the largest size
		assert_int_not_equal(value, 0);
		assert_int_equal(put_plain(f.b, n / 4 * 5 + n % 4, 2, 0, value), 0);
	}
	fixture_attach(&f);
	assert_nothing_lost(f.b);
	fixture_close(&f);
}

static void test_nodes(void **state)
{
	(void)state;
	struct fixture f;
	struct slice host, realm;
	fixture_open(&f, 8);
	uint32_t first = node_no(f.b, 0);
	assert_int_equal(builder_node(f.b, slice_str("MME0.epc.EXAMPLE.net"), slice_str("EPC.example.net")),
			 first);
	assert_int_not_equal(builder_node(f.b, slice_str("mme0.epc.example.net"), slice_str("other")), first);
	struct cache_record r = {.imsi = imsi_no(1), .sqn = builder_sqn_take(f.b, 1, 257), .serving[1].node = first};
	assert_int_equal(builder_put(f.b, &r), 0);
	uint32_t n = 1;
	while (node_no(f.b, n))
		n++;
	assert_int_equal(n, NODE_MAX - 1); // two were there
	// all of them may be about to be used, until the batch is over
	builder_reclaim(f.b);
	assert_int_not_equal(node_no(f.b, n), 0);
	assert_int_equal(node_no(f.b, 0), first);
	assert_true(cache_node_get(&f.reader, cache_find(&f.reader, imsi_no(1))->serving[1].node, &host, &realm));
	assert_true(slice_eq(host, slice_str("mme0.epc.example.net")));
	assert_false(cache_node_get(&f.reader, NODE_MAX + 1, &host, &realm));
	assert_false(cache_node_get(&f.reader, 0, &host, &realm));
	fixture_attach(&f);
	assert_int_equal(node_no(f.b, 0), first);
	assert_nothing_lost(f.b);
	fixture_close(&f);
}

// Endless deleting and inserting at the highest load must not fill the index with tombstones.
static void test_churn(void **state)
{
	(void)state;
	enum { CNT = 4096 };
	static uint32_t there[CNT];
	struct fixture f;
	uint32_t next = CNT;
	fixture_open(&f, CNT);
	assert_int_equal(f.reader.imsi_mask + 1, 2 * CNT); // as full as it gets
	for (uint32_t n = 0; n < CNT; n++) {
		there[n] = n;
		assert_int_equal(put_plain(f.b, n, 1, n + 1, 0), 0);
	}
	rng_state = 42;
	for (uint32_t step = 0; step < 200000; step++) {
		uint32_t i = rng(CNT);
		assert_true(builder_delete(f.b, imsi_no(there[i])));
		there[i] = next++;
		assert_int_equal(put_plain(f.b, there[i], 1, there[i] + 1, 0), 0);
		if (step % 64 == 0)
			builder_reclaim(f.b);
	}
	uint32_t tombstones = 0;
	for (uint64_t i = 0; i <= f.reader.imsi_mask; i++)
		tombstones += f.reader.imsi_index[i] == INDEX_TOMBSTONE;
	assert_int_equal(tombstones, 0);
	for (uint32_t i = 0; i < CNT; i++)
		assert_non_null(cache_find_msisdn(&f.reader, msisdn_no(there[i] + 1)));
	assert_true(f.reader.h->slot_high <= CNT + 1024);
	assert_nothing_lost(f.b);
	fixture_close(&f);
}

static void test_rebuilt_when_foreign(void **state)
{
	(void)state;
	struct fixture f;
	bool fresh;
	fixture_open(&f, 8);
	assert_int_equal(put_plain(f.b, 1, 1, 1, 0), 0);
	// another version: rebuilt, never guessed
	builder_header(f.b)->version = CACHE_VERSION + 1;
	struct cache other;
	assert_int_equal(cache_open(&other, f.records_ro, f.sqn, f.control, 1), -EPROTO);
	builder_free(&f.b);
	f.b = builder_open(f.records, f.sqn, f.control, 8, 0, &fresh);
	assert_non_null(f.b);
	assert_true(fresh);
	assert_int_equal(builder_header(f.b)->subscriber_cnt, 0);
	assert_null(cache_find(&f.reader, imsi_no(1)));
	// an entry that names what was never used: rebuilt
	assert_int_equal(put_plain(f.b, 1, 1, 1, 0), 0);
	f.b->imsi_index[5] = 4001;
	builder_free(&f.b);
	f.b = builder_open(f.records, f.sqn, f.control, 8, 0, &fresh);
	assert_non_null(f.b);
	assert_true(fresh);
	assert_null(cache_find(&f.reader, imsi_no(1)));
	assert_int_equal(put_plain(f.b, 1, 1, 1, 0), 0);
	assert_nothing_lost(f.b);
	fixture_close(&f);
}

static void test_files(void **state)
{
	(void)state;
	struct fixture f;
	struct cache c;
	struct stat st;
	fixture_open(&f, 1000000);
	// sealed, read-only where it should be, and sparse
	assert_int_equal(ftruncate(f.records, 4096), -1);
	assert_int_equal(ftruncate(f.sqn, 1ll << 40), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f.records_ro, 0), MAP_FAILED);
	assert_int_equal(fstat(f.records, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0400);
	assert_true(st.st_blocks * 512 < 256 * 1024);
	assert_int_equal(cache_open(&c, f.records_ro, f.records, f.control, 0), -EPROTO);
	assert_int_equal(cache_open(&c, f.sqn, f.sqn, f.control, 0), -EPROTO);
	assert_int_equal(cache_open(&c, f.records_ro, f.sqn, f.control, WORKER_MAX), -EINVAL);
	int a, b, d;
	assert_int_equal(cache_create(0, 0, &a, &b, &d), -EINVAL);
	assert_int_equal(cache_create(CACHE_SUBSCRIBERS_MAX + 1, 0, &a, &b, &d), -EINVAL);
	fixture_close(&f);
	// every size has a layout whose numbers fit
	for (uint64_t max = 1; max <= CACHE_SUBSCRIBERS_MAX; max = max * 3 / 2 + 1) {
		struct cache_header h;
		segment_geometry((uint32_t)max, 0, &h);
		assert_true((1ull << h.slot_bits) > (uint64_t)h.slot_cnt + 1 && h.slot_bits <= 29);
		assert_true((1ull << h.index_bits) >= 2 * max && h.msisdn_bits < 32);
		assert_true((1ull << h.msisdn_bits) > 2 * max + max / 11); // two numbers each find room
		assert_true(h.blob_len / CACHE_BLOB_ALIGN <= UINT32_MAX && h.record_off % 4096 == 0);
	}
}

static bool count_record(void *ctx, const struct cache_record *r)
{
	uint32_t *cnt = ctx;
	(*cnt)++;
	return keys_whole(r);
}

static void test_each_and_ind(void **state)
{
	(void)state;
	struct fixture f;
	uint32_t cnt = 0;
	fixture_open(&f, 1000);
	for (uint32_t n = 0; n < 700; n++)
		assert_int_equal(put_plain(f.b, n, n, 0, 0), 0);
	builder_each(f.b, count_record, &cnt);
	assert_int_equal(cnt, 700);
	assert_int_equal(cache_ind_find(&f.reader, 5), -1);
	for (uint64_t h = 0; h < IND_HOST_MAX; h++)
		assert_int_equal(builder_ind_add(f.b, h * 31 + 5), h);
	assert_int_equal(builder_ind_add(f.b, 5), 0);
	assert_int_equal(builder_ind_add(f.b, 4), -1);
	assert_int_equal(cache_ind_find(&f.reader, 36), 1);
	fixture_attach(&f);
	assert_int_equal(cache_ind_find(&f.reader, 1023 * 31 + 5), 1023);
	fixture_close(&f);
}

// Readers against a writer that never rests. What a reader finds is whole for as long as it is pinned.
struct reading {
	pthread_t thread;
	struct cache c;
	const bool *stop;
	uint64_t found;
	const char *wrong;
};

enum { READ_CNT = 64, WRITER_ROUNDS = 40000 };

static const char *reading_check(const struct cache *c, const struct cache_record *r, uint32_t n)
{
	struct slice host, realm;
	if (r->imsi.v != imsi_no(n).v)
		return "another subscriber";
	if (!keys_whole(r))
		return "torn keys";
	const struct cache_profile *p = cache_profile(c, r);
	if (!p || !profile_is(p, p->access_restriction))
		return "torn profile";
	if (!cache_node_get(c, r->serving[0].node, &host, &realm) || host.len < 10 || memcmp(host.p, "mme", 3) != 0 ||
	    !slice_eq(realm, slice_str("epc.example.net")))
		return "torn node";
	return NULL;
}

static void *reading_run(void *arg)
{
	struct reading *me = arg;
	uint32_t n = me->c.worker;
	while (!me->wrong && !__atomic_load_n(me->stop, __ATOMIC_RELAXED)) {
		const struct cache_record *held[8];
		uint32_t held_n[8];
		unsigned cnt = 0;
		cache_pin(&me->c);
		for (unsigned i = 0; i < 8; i++) {
			n = (n * 1103515245u + 12345u) & 0x7fffffff;
			uint32_t who = n / 65536 % READ_CNT;
			const struct cache_record *r = i % 2 ? cache_find_msisdn(&me->c, msisdn_no(who + 1))
							     : cache_find(&me->c, imsi_no(who));
			if (!r)
				continue;
			held[cnt] = r;
			held_n[cnt++] = who;
		}
		for (unsigned i = 0; i < cnt && !me->wrong; i++)
			me->wrong = reading_check(&me->c, held[i], held_n[i]);
		cache_unpin(&me->c);
		me->found += cnt;
	}
	return NULL;
}

static void writing_round(struct builder *b, uint32_t round)
{
	uint32_t n = rng(READ_CNT);
	if (n < 4 || rng(8)) {
		const struct cache_record *old = cache_find(builder_cache(b), imsi_no(n));
		struct cache_record r = {.imsi = imsi_no(n), .msisdn = {msisdn_no(n + 1)}};
		r.sqn = old ? old->sqn : builder_sqn_take(b, 1, 257);
		r.profile = profile_no(b, 1 + rng(30));
		r.serving[0].node = node_no(b, rng(100));
		keys_fill(&r, round);
		assert_int_equal(builder_put(b, &r), 0);
	} else {
		builder_delete(b, imsi_no(n));
	}
	if (round % 8 == 0)
		builder_reclaim(b);
}

static void test_readers_under_a_writer(void **state)
{
	(void)state;
	struct fixture f;
	struct reading reading[2] = {0};
	bool stop = false;
	uint64_t found = 0;
	rng_state = 7;
	fixture_open(&f, READ_CNT);
	for (unsigned i = 0; i < 2; i++) {
		reading[i].c = f.reader;
		reading[i].c.worker = i + 1;
		reading[i].stop = &stop;
		assert_int_equal(pthread_create(&reading[i].thread, NULL, reading_run, &reading[i]), 0);
	}
	for (uint32_t round = 0; round < WRITER_ROUNDS; round++) {
		writing_round(f.b, round);
		if (round % 10000 == 9999)
			fixture_attach(&f);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(reading[i].thread, NULL);
		assert_null(reading[i].wrong);
		found += reading[i].found;
	}
	assert_true(found > 0);
	assert_nothing_lost(f.b);
	fixture_close(&f);
}

// Removals move entries of subscribers that stay. A reader must find those all the time. All homes lie close
// together, so that each removal moves many and each look-up walks past many.
enum { STEADY_CNT = 256 };

static imsi_t crowd_imsi[2 * STEADY_CNT];
static msisdn_t crowd_number[2 * STEADY_CNT];

static void crowd_choose(const struct cache *c)
{
	for (uint32_t n = 0, i = 0; n < 2 * STEADY_CNT; i++)
		if (((uint32_t)ident_hash(imsi_no(i).v) & c->imsi_mask) < 4)
			crowd_imsi[n++] = imsi_no(i);
	for (uint32_t n = 0, i = 0; n < 2 * STEADY_CNT; i++)
		if (((uint32_t)ident_hash(msisdn_no(i).v) & c->msisdn_mask) < 4)
			crowd_number[n++] = msisdn_no(i);
}

static int crowd_put(struct builder *b, uint32_t n)
{
	struct cache_record r = {.imsi = crowd_imsi[n], .msisdn = {crowd_number[n]}};
	r.sqn = builder_sqn_take(b, 1, 257);
	assert_int_not_equal(r.sqn, UINT32_MAX);
	return builder_put(b, &r);
}

struct steady {
	pthread_t thread;
	struct cache c;
	const bool *stop;
	uint64_t found, missed;
};

static void *steady_run(void *arg)
{
	struct steady *me = arg;
	for (uint32_t n = 0; !__atomic_load_n(me->stop, __ATOMIC_RELAXED); n = (n + 1) % STEADY_CNT) {
		cache_pin(&me->c);
		bool found = cache_find(&me->c, crowd_imsi[n]) && cache_find_msisdn(&me->c, crowd_number[n]);
		cache_unpin(&me->c);
		me->found += found;
		me->missed += !found;
	}
	return NULL;
}

static void test_moves_hide_nobody(void **state)
{
	(void)state;
	struct fixture f;
	struct steady steady[2] = {0};
	bool stop = false;
	fixture_open(&f, 2 * STEADY_CNT);
	crowd_choose(&f.reader);
	rng_state = 11;
	for (uint32_t n = 0; n < 2 * STEADY_CNT; n++)
		assert_int_equal(crowd_put(f.b, (n % 2 ? STEADY_CNT : 0) + n / 2), 0);
	for (unsigned i = 0; i < 2; i++) {
		steady[i].c = f.reader;
		steady[i].c.worker = i + 1;
		steady[i].stop = &stop;
		assert_int_equal(pthread_create(&steady[i].thread, NULL, steady_run, &steady[i]), 0);
	}
	for (uint32_t round = 0; round < 5000; round++) {
		uint32_t n = STEADY_CNT + rng(STEADY_CNT);
		assert_true(builder_delete(f.b, crowd_imsi[n]));
		assert_int_equal(crowd_put(f.b, n), 0);
		builder_reclaim(f.b);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(steady[i].thread, NULL);
		assert_true(steady[i].found > 0);
		assert_int_equal(steady[i].missed, 0);
	}
	assert_true(f.reader.h->imsi_moves > 1000);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_model),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_two_numbers_each),
	    cmocka_unit_test(test_invalid_records_refused),
	    cmocka_unit_test(test_stuck_reader),
	    cmocka_unit_test(test_number_conflict),
	    cmocka_unit_test(test_profiles),
	    cmocka_unit_test(test_nodes),
	    cmocka_unit_test(test_churn),
	    cmocka_unit_test(test_rebuilt_when_foreign),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_each_and_ind),
	    cmocka_unit_test(test_readers_under_a_writer),
	    cmocka_unit_test(test_moves_hide_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// Parts of a record (further state of applications) and its identities: published with the record, found,
// kept, replaced, counted, given back; a model beside random changes; readers under a writer.
#include <pthread.h>
#include "cache_fixture.h"

enum { APP = 7, OTHER = 8 };

static struct fixture f;

static struct cache_record record_no(uint32_t n)
{
	const struct cache_record *old = cache_find(builder_cache(f.b), imsi_no(n));
	struct cache_record r = {.imsi = imsi_no(n), .sqn = old ? old->sqn : builder_sqn_take(f.b, 1, 257)};
	return r;
}

static int put_with(uint32_t n, const struct builder_extra *x)
{
	struct cache_record r = record_no(n);
	int rc = builder_put_with(f.b, &r, x);
	if (rc < 0 && !cache_find(builder_cache(f.b), r.imsi))
		builder_sqn_return(f.b, r.sqn);
	return rc;
}

static struct cache_part part_of(unsigned app, unsigned kind, const char *text)
{
	return (struct cache_part){.app = (uint8_t)app, .kind = (uint8_t)kind, .version = 2, .bytes = slice_str(text)};
}

static const struct cache_record *find(uint32_t n)
{
	return cache_find(&f.reader, imsi_no(n));
}

static void has_part(uint32_t n, unsigned app, unsigned kind, const char *text)
{
	struct cache_part p;
	assert_non_null(find(n));
	if (!text) {
		assert_false(cache_part_find(&f.reader, find(n), app, kind, &p));
		return;
	}
	assert_true(cache_part_find(&f.reader, find(n), app, kind, &p));
	assert_true(slice_eq(p.bytes, slice_str(text)));
	assert_int_equal(p.app, app);
	assert_int_equal(p.kind, kind);
	assert_int_equal(p.version, 2);
	assert_int_equal((uintptr_t)p.bytes.p % 4, 0);
}

static bool found(uint64_t hash, uint32_t n)
{
	return cache_find_identity(&f.reader, hash, NULL, NULL) == find(n);
}

static void test_parts_come_stay_and_go(void **state)
{
	(void)state;
	fixture_open(&f, 64);
	struct cache_part parts[2] = {part_of(APP, 1, "one"), part_of(OTHER, 1, "three")};
	assert_int_equal(put_with(1, &(struct builder_extra){.part = parts, .part_cnt = 2}), 0);
	has_part(1, APP, 1, "one");
	has_part(1, OTHER, 1, "three");
	has_part(1, APP, 2, NULL);
	// builder_put leaves them alone, whatever the record says
	struct cache_record r = record_no(1);
	r.parts = 12345;
	assert_int_equal(builder_put(f.b, &r), 0);
	has_part(1, APP, 1, "one");
	// one is replaced, one comes, the other stays
	struct cache_part next[2] = {part_of(APP, 1, "another one"), part_of(APP, 2, "x")};
	assert_int_equal(put_with(1, &(struct builder_extra){.part = next, .part_cnt = 2, .keep_parts = true}), 0);
	has_part(1, APP, 1, "another one");
	has_part(1, APP, 2, "x");
	has_part(1, OTHER, 1, "three");
	// one goes
	struct cache_part gone = part_of(APP, 1, "");
	assert_int_equal(put_with(1, &(struct builder_extra){.part = &gone, .part_cnt = 1, .keep_parts = true}), 0);
	has_part(1, APP, 1, NULL);
	has_part(1, APP, 2, "x");
	// what changes nothing takes no memory
	uint32_t before = find(1)->parts;
	assert_int_equal(put_with(1, &(struct builder_extra){.keep_parts = true, .keep_identities = true}), 0);
	assert_int_equal(find(1)->parts, before);
	assert_int_equal(put_with(1, &(struct builder_extra){0}), 0);
	assert_int_equal(find(1)->parts, 0);
	assert_nothing_lost(f.b);
	assert_int_equal(f.b->h->blob_used, 0);
	fixture_close(&f);
}

static void test_identities_lead_to_their_record(void **state)
{
	(void)state;
	fixture_open(&f, 64);
	uint64_t ids[3] = {ident_hash(1), ident_hash(2), ident_hash(1)};
	assert_int_equal(put_with(1, &(struct builder_extra){.identity = ids, .identity_cnt = 3}), 0);
	assert_int_equal(put_with(2, &(struct builder_extra){0}), 0);
	assert_int_equal(f.reader.h->identity_cnt, 2);
	assert_true(found(ids[0], 1) && found(ids[1], 1));
	assert_null(cache_find_identity(&f.reader, ident_hash(3), NULL, NULL));
	struct cache_record r = record_no(1);
	assert_int_equal(builder_put(f.b, &r), 0);
	assert_true(found(ids[0], 1) && found(ids[1], 1));
	// one more, beside what there is; then only that one
	uint64_t more = ident_hash(3);
	struct builder_extra x = {.identity = &more, .identity_cnt = 1, .keep_identities = true};
	assert_int_equal(put_with(1, &x), 0);
	assert_true(found(ids[0], 1) && found(more, 1));
	x.keep_identities = false;
	assert_int_equal(put_with(1, &x), 0);
	assert_null(cache_find_identity(&f.reader, ids[0], NULL, NULL));
	assert_true(found(more, 1));
	assert_int_equal(f.reader.h->identity_cnt, 1);
	assert_true(builder_delete(f.b, imsi_no(1)));
	assert_null(cache_find_identity(&f.reader, more, NULL, NULL));
	assert_int_equal(f.reader.h->identity_cnt, 0);
	assert_nothing_lost(f.b);
	fixture_close(&f);
}

struct owner {
	imsi_t imsi;
	unsigned asked;
};

static bool owns(void *ctx, const struct cache_record *r)
{
	struct owner *o = ctx;
	o->asked++;
	return r->imsi.v == o->imsi.v;
}

// A hash that several records list: the caller decides, and each one goes without the others.
static void test_one_hash_of_several_records(void **state)
{
	(void)state;
	fixture_open(&f, 64);
	uint64_t id = ident_hash(99);
	struct builder_extra x = {.identity = &id, .identity_cnt = 1};
	for (uint32_t n = 0; n < 5; n++)
		assert_int_equal(put_with(n, &x), 0);
	for (uint32_t n = 0; n < 5; n++) {
		struct owner o = {.imsi = imsi_no(n)};
		assert_ptr_equal(cache_find_identity(&f.reader, id, owns, &o), find(n));
		assert_true(o.asked >= 1 && o.asked <= 5);
	}
	struct owner none = {0};
	assert_null(cache_find_identity(&f.reader, id, owns, &none));
	assert_int_equal(none.asked, 5);
	assert_true(builder_delete(f.b, imsi_no(2)));
	fixture_attach(&f);
	for (uint32_t n = 0; n < 5; n++) {
		struct owner o = {.imsi = imsi_no(n)};
		const struct cache_record *r = cache_find_identity(&f.reader, id, owns, &o);
		assert_true(n == 2 ? !r : r == find(n));
	}
	fixture_close(&f);
}

static void refused(const struct builder_extra *x, int want)
{
	uint64_t used = f.b->h->blob_used;
	assert_int_equal(put_with(1, x), want);
	has_part(1, APP, 1, "old");
	assert_int_equal(f.b->h->blob_used, used);
	assert_nothing_lost(f.b);
}

static void test_refused_changes_leave_the_record_alone(void **state)
{
	(void)state;
	static uint8_t big[CACHE_PARTS_MAX];
	static uint64_t many[CACHE_IDENTITY_CNT_MAX + 1];
	struct cache_part parts[CACHE_PART_CNT_MAX + 1] = {part_of(APP, 1, "old")};
	fixture_open(&f, 64);
	assert_int_equal(put_with(1, &(struct builder_extra){.part = parts, .part_cnt = 1}), 0);
	builder_reclaim(f.b);
	parts[1] = parts[0];
	refused(&(struct builder_extra){.part = parts, .part_cnt = 2}, -EINVAL); // twice
	for (unsigned i = 0; i <= CACHE_PART_CNT_MAX; i++)
		parts[i] = part_of(APP, i, "x");
	refused(&(struct builder_extra){.part = parts, .part_cnt = CACHE_PART_CNT_MAX + 1}, -EINVAL);
	for (unsigned i = 0; i <= CACHE_IDENTITY_CNT_MAX; i++)
		many[i] = ident_hash(i + 1);
	refused(&(struct builder_extra){.identity = many, .identity_cnt = CACHE_IDENTITY_CNT_MAX + 1}, -EINVAL);
	uint64_t alike[2] = {ident_hash(5), ident_hash(5) ^ 1}; // one entry could not lead by both
	refused(&(struct builder_extra){.identity = alike, .identity_cnt = 2}, -EINVAL);
	parts[0].bytes = slice_of(big, sizeof big);
	refused(&(struct builder_extra){.part = parts, .part_cnt = 1}, -EINVAL);
	parts[0] = part_of(APP, 1, "abc");
	parts[0].node_cnt = 1; // longer than the octets
	refused(&(struct builder_extra){.part = parts, .part_cnt = 1}, -EINVAL);
	uint32_t refs[3] = {node_no(f.b, 1), 77777, 0};
	parts[0] = (struct cache_part){.app = APP, .kind = 1, .node_cnt = 2, .bytes = slice_of(refs, 8)};
	refused(&(struct builder_extra){.part = parts, .part_cnt = 1}, -EINVAL); // no such node
	parts[0] = (struct cache_part){.app = APP, .kind = 1, .node_cnt = 1, .shared_cnt = 1, .bytes = slice_of(refs, 8)};
	parts[1] = part_of(APP, 3, "y");
	refused(&(struct builder_extra){.part = parts, .part_cnt = 2}, -EINVAL); // no such blob
	refs[0] = refs[1] = 0; // none is no reference
	assert_int_equal(put_with(1, &(struct builder_extra){.part = parts, .part_cnt = 2}), 0);
	// as much as there may be
	parts[0] = part_of(APP, 1, "");
	parts[0].bytes = slice_of(big, sizeof big - sizeof(struct cache_parts) - sizeof(struct cache_part_head));
	assert_int_equal(put_with(1, &(struct builder_extra){.part = parts, .part_cnt = 1}), 0);
	assert_int_equal(
	    put_with(1, &(struct builder_extra){.identity = many, .identity_cnt = CACHE_IDENTITY_CNT_MAX}), -ENOSPC);
	assert_nothing_lost(f.b);
	fixture_close(&f);
}

// 64 subscribers, 128 identities: the last ones fit, one more does not; whoever has some already may change
// them.
static void test_identities_are_bounded(void **state)
{
	(void)state;
	fixture_open(&f, 64);
	assert_int_equal(f.reader.h->max_identities, 128);
	for (uint32_t n = 0; n < 32; n++) {
		uint64_t ids[4];
		for (unsigned i = 0; i < 4; i++)
			ids[i] = ident_hash(n * 4 + i + 1);
		assert_int_equal(put_with(n, &(struct builder_extra){.identity = ids, .identity_cnt = 4}), 0);
	}
	uint64_t ids[5] = {ident_hash(1001), ident_hash(1002), ident_hash(1003), ident_hash(1004), ident_hash(1005)};
	assert_int_equal(put_with(40, &(struct builder_extra){.identity = ids, .identity_cnt = 1}), -ENOSPC);
	assert_null(find(40));
	assert_int_equal(put_with(0, &(struct builder_extra){.identity = ids, .identity_cnt = 5}), -ENOSPC);
	assert_true(found(ident_hash(1), 0));
	assert_int_equal(put_with(0, &(struct builder_extra){.identity = ids, .identity_cnt = 4}), 0);
	assert_true(found(ids[3], 0));
	assert_true(builder_delete(f.b, imsi_no(5)));
	assert_int_equal(put_with(40, &(struct builder_extra){.identity = ids, .identity_cnt = 1}), 0);
	assert_nothing_lost(f.b);
	fixture_close(&f);
}

// Nodes and shared blobs live as long as a part refers to them, and no longer.
static void test_references_are_counted(void **state)
{
	(void)state;
	fixture_open(&f, 64);
	char profile[500];
	memset(profile, 'p', sizeof profile);
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t n = 0; n < 10; n++) {
			uint32_t refs[2] = {node_no(f.b, 1), builder_shared(f.b, slice_of(profile, sizeof profile))};
			struct cache_part p = {.app = APP, .kind = 1, .node_cnt = 1, .shared_cnt = 1, .bytes = slice_of(refs, 8)};
			assert_int_equal(put_with(n, &(struct builder_extra){.part = &p, .part_cnt = 1}), 0);
			if (round == 1)
				fixture_attach(&f);
			builder_reclaim(f.b);
		}
		assert_int_equal(f.reader.h->profile_cnt, 1);
		struct cache_part p;
		uint32_t refs[2];
		assert_true(cache_part_find(&f.reader, find(3), APP, 1, &p));
		memcpy(refs, p.bytes.p, sizeof refs);
		assert_true(slice_eq(cache_shared_get(&f.reader, refs[1]), slice_of(profile, sizeof profile)));
		assert_int_equal(f.b->node_entry[refs[0] - 1].refs, 10);
		for (uint32_t n = 0; n < 10; n++)
			assert_int_equal(put_with(n, &(struct builder_extra){0}), 0);
		assert_int_equal(f.b->node_entry[refs[0] - 1].refs, 0);
		assert_nothing_lost(f.b);
		assert_int_equal(f.reader.h->profile_cnt, 0);
	}
	fixture_close(&f);
}

// Keys of a part are gone from memory as soon as no reader can look at them.
static void test_parts_are_wiped(void **state)
{
	(void)state;
	fixture_open(&f, 64);
	struct cache_part p = part_of(APP, 1, "a secret of 20 bytes"), seen;
	assert_int_equal(put_with(1, &(struct builder_extra){.part = &p, .part_cnt = 1}), 0);
	cache_pin(&f.reader);
	assert_true(cache_part_find(&f.reader, find(1), APP, 1, &seen));
	assert_true(builder_delete(f.b, imsi_no(1)));
	builder_reclaim(f.b);
	assert_true(slice_eq(seen.bytes, p.bytes)); // the reader is still there
	cache_unpin(&f.reader);
	builder_reclaim(f.b);
	for (uint32_t i = 0; i < seen.bytes.len; i++)
		assert_int_equal(seen.bytes.p[i], 0);
	fixture_close(&f);
}

static uint64_t committed(int fd)
{
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void test_without_them_nothing_is_paid(void **state)
{
	(void)state;
	fixture_open(&f, 20000);
	struct cache_record r;
	for (uint32_t n = 0; n < 20000; n++) {
		r = record_no(n);
		assert_int_equal(builder_put(f.b, &r), 0);
	}
	assert_int_equal(f.reader.h->blob_used, 0);
	uint64_t before = committed(f.records);
	assert_null(cache_find_identity(&f.reader, ident_hash(1), NULL, NULL));
	fixture_attach(&f);
	assert_true(committed(f.records) <= before + 4096); // reading one page of the index
	// 16 octets of state and a node: one blob of 48 octets
	uint32_t words[5] = {node_no(f.b, 1)};
	struct cache_part p = {.app = APP, .kind = 1, .node_cnt = 1, .bytes = slice_of(words, sizeof words)};
	uint64_t used = f.reader.h->blob_used;
	assert_int_equal(put_with(7, &(struct builder_extra){.part = &p, .part_cnt = 1}), 0);
	assert_int_equal(f.reader.h->blob_used - used, 48);
	fixture_close(&f);
}

// A worker reads what it is given: nonsense in the records file leads to nothing outside of the blob area.
static void test_nonsense_is_bounded(void **state)
{
	(void)state;
	fixture_open(&f, 64);
	struct cache_part p = part_of(APP, 1, "x"), out;
	uint64_t id = ident_hash(1), hash;
	assert_int_equal(
	    put_with(1, &(struct builder_extra){.part = &p, .part_cnt = 1, .identity = &id, .identity_cnt = 1}), 0);
	struct cache_record r = *find(1);
	uint8_t *bytes = f.b->blob + (uint64_t)r.parts * CACHE_BLOB_ALIGN;
	rng_state = 7;
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t old = bytes[i % 32];
		bytes[i % 32] = (uint8_t)rng(256);
		for (unsigned n = 0; n < 300 && cache_part_at(&f.reader, &r, n, &out); n++)
			assert_true(out.bytes.p + out.bytes.len <= f.reader.blob + f.reader.blob_len);
		for (unsigned n = 0; cache_identity_at(&f.reader, &r, n, &hash); n++)
			assert_true(n < 256);
		bytes[i % 32] = old;
	}
	for (unsigned i = 0; i < 64; i++) {
		r.parts = i < 32 ? 1u << i : UINT32_MAX - i;
		cache_part_find(&f.reader, &r, APP, 1, &out);
		cache_shared_get(&f.reader, r.parts);
	}
	fixture_close(&f);
}

// Attaching to what no builder has written is refused, and the cache is rebuilt.
static void test_attach_refuses_broken_parts(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 5; how++) {
		fixture_open(&f, 64);
		uint32_t words[2] = {node_no(f.b, 1), builder_shared(f.b, slice_str("shared"))};
		struct cache_part p = {.app = APP, .kind = 1, .node_cnt = 1, .shared_cnt = 1, .bytes = slice_of(words, 8)};
		assert_int_equal(put_with(1, &(struct builder_extra){.part = &p, .part_cnt = 1}), 0);
		assert_int_equal(put_with(2, &(struct builder_extra){.part = &p, .part_cnt = 1}), 0);
		struct cache_record *r = &f.b->record[find(1) - f.reader.record];
		uint8_t *blob = f.b->blob + (uint64_t)r->parts * CACHE_BLOB_ALIGN;
		if (how == 0)
			r->parts = find(2)->parts; // two records, one blob
		else if (how == 1)
			((struct cache_parts *)(void *)blob)->part_cnt = 9;
		else if (how == 2)
			((struct cache_parts *)(void *)blob)->quads = UINT16_MAX;
		else if (how == 3)
			memset(blob + sizeof(struct cache_parts) + sizeof(struct cache_part_head), 0x77, 4);
		else
			memset(blob + sizeof(struct cache_parts) + sizeof(struct cache_part_head) + 4, 0x77, 4);
		bool fresh;
		builder_free(&f.b);
		f.b = builder_open(f.records, f.sqn, f.control, f.max, 0, &fresh);
		assert_non_null(f.b);
		assert_true(fresh);
		fixture_close(&f);
	}
}

// ---- a model beside random changes ---------------------------------------------------------------

enum { SUBSCRIBERS = 40, IDS = 60 };

static struct {
	bool there;
	uint32_t version[3];  // of part kind; 0: none
	bool ids[IDS];
} model[SUBSCRIBERS];

static uint64_t id_no(uint32_t i)
{
	return ident_hash(i + 1) >> 20 | (uint64_t)(i % 20) << f.reader.identity_shift;
}

static void model_check(void)
{
	struct cache_part p;
	for (uint32_t n = 0; n < SUBSCRIBERS; n++) {
		const struct cache_record *r = find(n);
		assert_int_equal(r != NULL, model[n].there);
		for (unsigned k = 0; r && k < 3; k++) {
			assert_int_equal(cache_part_find(&f.reader, r, APP, k, &p), model[n].version[k] != 0);
			if (model[n].version[k])
				assert_int_equal(p.bytes.len, model[n].version[k] % 90 + 1);
		}
	}
	for (uint32_t i = 0; i < IDS; i++) {
		uint32_t owners = 0;
		for (uint32_t n = 0; n < SUBSCRIBERS; n++) {
			struct owner o = {.imsi = imsi_no(n)};
			bool want = model[n].there && model[n].ids[i];
			owners += want;
			assert_int_equal(cache_find_identity(&f.reader, id_no(i), owns, &o) != NULL, want);
		}
		assert_int_equal(cache_find_identity(&f.reader, id_no(i), NULL, NULL) != NULL, owners > 0);
	}
}

static void model_put(uint32_t n, uint32_t version)
{
	static uint8_t bytes[100];
	struct cache_part parts[2];
	uint64_t ids[4];
	struct builder_extra x = {.part = parts, .identity = ids, .keep_parts = rng(2), .keep_identities = rng(2)};
	if (!model[n].there || !x.keep_parts)
		memset(model[n].version, 0, sizeof model[n].version);
	if (!model[n].there || !x.keep_identities)
		memset(model[n].ids, 0, sizeof model[n].ids);
	model[n].there = true;
	for (unsigned k = rng(2), cnt = rng(3); x.part_cnt < cnt; k++) {
		bool gone = rng(4) == 0;
		model[n].version[k] = gone ? 0 : version;
		parts[x.part_cnt++] = (struct cache_part){
		    .app = APP, .kind = (uint8_t)k, .bytes = slice_of(bytes, gone ? 0 : version % 90 + 1)};
	}
	for (unsigned cnt = rng(4); x.identity_cnt < cnt;) {
		uint32_t i = rng(IDS);
		model[n].ids[i] = true;
		ids[x.identity_cnt++] = id_no(i);
	}
	unsigned had = 0;
	for (uint32_t i = 0; i < IDS; i++)
		had += model[n].ids[i];
	assert_true(had < CACHE_IDENTITY_CNT_MAX);
	assert_int_equal(put_with(n, &x), 0);
}

static void test_model(void **state)
{
	(void)state;
	fixture_open(&f, 2000);
	memset(model, 0, sizeof model);
	rng_state = 5;
	for (uint32_t turn = 1; turn < 4000; turn++) {
		uint32_t n = rng(SUBSCRIBERS);
		struct cache_record r;
		if (rng(8) == 0) {
			assert_int_equal(builder_delete(f.b, imsi_no(n)), model[n].there);
			model[n].there = false;
		} else if (rng(3) == 0 && model[n].there) {
			r = record_no(n);
			assert_int_equal(builder_put(f.b, &r), 0);
		} else {
			model_put(n, turn);
		}
		if (turn % 50 == 0)
			model_check();
		if (turn % 20 == 0)
			builder_reclaim(f.b);
		if (turn % 400 == 0) {
			fixture_attach(&f);
			model_check();
			assert_nothing_lost(f.b);
		}
	}
	assert_true(f.reader.h->identity_moves > 50);
	fixture_close(&f);
}

// ---- readers under a writer ----------------------------------------------------------------------

static bool stop;
static uint32_t finds[3];

static void *reader(void *arg)
{
	struct cache c;
	unsigned worker = (unsigned)(uintptr_t)arg;
	if (cache_open(&c, f.records_ro, f.sqn, f.control, worker) < 0)
		return NULL;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		cache_pin(&c);
		for (uint32_t n = 0; n < 16; n++) {
			struct cache_part p;
			// it always has this identity, and its part always has one value all over
			const struct cache_record *r = cache_find_identity(&c, id_no(n), NULL, NULL);
			if (!r || !cache_part_find(&c, r, APP, 1, &p))
				continue;
			for (uint32_t i = 1; i < p.bytes.len; i++)
				if (p.bytes.p[i] != p.bytes.p[0] || r->imsi.v != imsi_no(n).v)
					abort();
			__atomic_fetch_add(&finds[worker], 1, __ATOMIC_RELAXED);
		}
		cache_unpin(&c);
	}
	cache_close(&c);
	return arg;
}

static void test_readers_under_a_writer(void **state)
{
	(void)state;
	pthread_t thread[2];
	void *result;
	fixture_open(&f, 2000);
	stop = false;
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, reader, (void *)(i + 1)), 0);
	rng_state = 11;
	// until both readers have seen something
	for (uint32_t turn = 0; turn < 30000 || !__atomic_load_n(&finds[1], __ATOMIC_RELAXED) ||
				!__atomic_load_n(&finds[2], __ATOMIC_RELAXED);
	     turn++) {
		uint8_t bytes[200];
		uint32_t n = turn % 16;
		uint64_t ids[2] = {id_no(n), id_no(20 + rng(30))};
		memset(bytes, (int)turn, sizeof bytes);
		struct cache_part p = {.app = APP, .kind = 1, .bytes = slice_of(bytes, 1 + rng(199))};
		if (rng(10) == 0)
			builder_delete(f.b, imsi_no(n));
		int rc = put_with(n, &(struct builder_extra){.part = &p, .part_cnt = 1, .identity = ids, .identity_cnt = 2});
		assert_true(rc == 0 || rc == -EAGAIN);
		if (turn % 8 == 0)
			builder_reclaim(f.b);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (uintptr_t i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(thread[i], &result), 0);
		assert_non_null(result);
	}
	assert_nothing_lost(f.b);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parts_come_stay_and_go),
	    cmocka_unit_test(test_identities_lead_to_their_record),
	    cmocka_unit_test(test_one_hash_of_several_records),
	    cmocka_unit_test(test_refused_changes_leave_the_record_alone),
	    cmocka_unit_test(test_identities_are_bounded),
	    cmocka_unit_test(test_references_are_counted),
	    cmocka_unit_test(test_parts_are_wiped),
	    cmocka_unit_test(test_without_them_nothing_is_paid),
	    cmocka_unit_test(test_nonsense_is_bounded),
	    cmocka_unit_test(test_attach_refuses_broken_parts),
	    cmocka_unit_test(test_model),
	    cmocka_unit_test(test_readers_under_a_writer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

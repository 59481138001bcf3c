// The blob area and what is kept in it: profiles, shared by content and counted by the records that name
// them, and the names of serving nodes. Loader only. Blobs tile the area from 0 to blob_high, each with a
// header that readers never look at; free ones are chained per size class through their headers. After a kill
// nothing of that is trusted: reclaim.c finds the reachable blobs and takes the rest as gaps.
#include <errno.h>
#include <stdlib.h>
#include "cache/builder.h"

#define BLOB_FREE        0x45455246424f4c42ull // cache_blob.hash of a free blob
#define SAME_CLASS_TRIES 8

static struct cache_blob *blob_at(const struct builder *b, uint32_t unit)
{
	return (struct cache_blob *)(void *)(b->blob + (uint64_t)unit * CACHE_BLOB_ALIGN);
}

struct cache_blob *blob_header(const struct builder *b, uint32_t value)
{
	return blob_at(b, value - 1);
}

static uint64_t high_units(const struct builder *b)
{
	return __atomic_load_n((uint64_t *)&b->h->blob_high, __ATOMIC_RELAXED) / CACHE_BLOB_ALIGN;
}

bool blob_valid(const struct builder *b, uint32_t value, uint32_t len_min)
{
	uint64_t high = high_units(b);
	if (value == 0 || value >= high)
		return false;
	uint64_t units = blob_header(b, value)->units;
	return units >= 2 && value - 1 + units <= high && (units - 1) * CACHE_BLOB_ALIGN >= len_min;
}

// Exact up to 63 units, then eight classes to each power of two; a blob of a higher class is always large
// enough.
static unsigned blob_class(uint32_t units)
{
	if (units < 64)
		return units;
	unsigned e = 31 - (unsigned)__builtin_clz(units);
	unsigned class = 64 + (e - 6) * 8 + ((units >> (e - 3)) & 7);
	return class < BLOB_CLASSES ? class : BLOB_CLASSES - 1;
}

static void free_push(struct builder *b, uint32_t unit, uint32_t units)
{
	struct cache_blob *blob = blob_at(b, unit);
	unsigned class = blob_class(units);
	blob->units = units;
	blob->hash = BLOB_FREE;
	blob->owner = b->blob_free[class];
	b->blob_free[class] = unit + 1;
	b->blob_some[class / 64] |= 1ull << class % 64;
}

static uint32_t free_unlink(struct builder *b, unsigned class, uint32_t *link)
{
	uint32_t unit = *link - 1;
	*link = blob_at(b, unit)->owner;
	if (b->blob_free[class] == 0)
		b->blob_some[class / 64] &= ~(1ull << class % 64);
	return unit;
}

// A free blob of at least this size: its unit, or UINT32_MAX.
static uint32_t free_pop(struct builder *b, uint32_t units)
{
	unsigned class = blob_class(units);
	uint32_t *link = &b->blob_free[class];
	for (unsigned n = 0; n < SAME_CLASS_TRIES && *link; n++, link = &blob_at(b, *link - 1)->owner)
		if (blob_at(b, *link - 1)->units >= units)
			return free_unlink(b, class, link);
	for (unsigned c = class + 1; c < BLOB_CLASSES; c = (c / 64 + 1) * 64) {
		uint64_t some = b->blob_some[c / 64] >> c % 64;
		if (!some)
			continue;
		c += (unsigned)__builtin_ctzll(some);
		return free_unlink(b, c, &b->blob_free[c]);
	}
	return UINT32_MAX;
}

// Never-used space: its unit, or UINT32_MAX.
static uint32_t fresh_take(struct builder *b, uint32_t units)
{
	uint64_t high = high_units(b);
	if ((high + units) * CACHE_BLOB_ALIGN > b->c.blob_len)
		return UINT32_MAX;
	__atomic_store_n((uint64_t *)&b->h->blob_high, (high + units) * CACHE_BLOB_ALIGN, __ATOMIC_SEQ_CST);
	cache_step();
	blob_at(b, (uint32_t)high)->units = units;
	return (uint32_t)high;
}

// Joins free neighbours; walks all blobs, so only when the area seems full.
static bool merge_free(struct builder *b)
{
	if (b->gaps || b->blob_freed == 0)
		return false;
	b->blob_freed = 0;
	memset(b->blob_free, 0, sizeof(b->blob_free));
	memset(b->blob_some, 0, sizeof(b->blob_some));
	uint64_t high = high_units(b);
	for (uint64_t at = 0, run = 0; at < high;) {
		struct cache_blob *blob = blob_at(b, (uint32_t)at);
		if (blob->units == 0 || blob->units > high - at)
			bug("broken chain of blobs");
		bool is_free = blob->hash == BLOB_FREE;
		at += blob->units;
		run = is_free ? run + blob->units : 0;
		bool more = is_free && at < high && blob_at(b, (uint32_t)at)->hash == BLOB_FREE;
		if (is_free && !more) {
			free_push(b, (uint32_t)(at - run), (uint32_t)run);
			run = 0;
		}
	}
	return true;
}

static void used_add(struct builder *b, int64_t units)
{
	uint64_t used = __atomic_load_n((uint64_t *)&b->h->blob_used, __ATOMIC_RELAXED);
	__atomic_store_n((uint64_t *)&b->h->blob_used, used + (uint64_t)(units * CACHE_BLOB_ALIGN),
			 __ATOMIC_RELAXED);
}

uint32_t blob_take(struct builder *b, uint32_t len)
{
	uint32_t units =
	    (len + (uint32_t)sizeof(struct cache_blob) + CACHE_BLOB_ALIGN - 1) / CACHE_BLOB_ALIGN;
	if (units < 2)
		units = 2;
	uint32_t unit = free_pop(b, units);
	if (unit == UINT32_MAX)
		unit = fresh_take(b, units);
	if (unit == UINT32_MAX && builder_drain(b))
		unit = free_pop(b, units);
	if (unit == UINT32_MAX && merge_free(b))
		unit = free_pop(b, units);
	if (unit == UINT32_MAX)
		return 0;
	struct cache_blob *blob = blob_at(b, unit);
	uint32_t rest = blob->units - units;
	if (rest >= 2) {
		free_push(b, unit + units, rest);
		cache_step();
		blob->units = units;
	}
	blob->hash = 0;
	blob->owner = 0;
	used_add(b, blob->units);
	return unit + 1;
}

void blob_give(struct builder *b, uint32_t value)
{
	uint32_t units = blob_header(b, value)->units;
	used_add(b, -(int64_t)units);
	b->blob_freed += units;
	free_push(b, value - 1, units);
}

void blob_give_gap(struct builder *b, uint32_t unit, uint32_t units)
{
	b->gaps--;
	b->blob_freed += units;
	if (units >= 2) {
		free_push(b, unit, units);
		return;
	}
	// too small to hold anything: a blob of its own until a neighbour joins it
	*blob_at(b, unit) = (struct cache_blob){.units = units, .hash = BLOB_FREE};
}

static uint64_t content_hash(const void *p, uint32_t len)
{
	const uint8_t *at = p;
	uint64_t h = len, w;
	for (; len >= 8; len -= 8, at += 8) {
		memcpy(&w, at, 8);
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	w = 0;
	memcpy(&w, at, len);
	h = ident_hash(h ^ w * 0x9e3779b97f4a7c15ull);
	return h == BLOB_FREE ? 1 : h;
}

static uint32_t *bucket_of(struct builder *b, uint32_t hash)
{
	return &b->profile_bucket[hash & (b->profile_buckets - 1)];
}

// Room for one more profile in the private tables.
static bool profile_grow(struct builder *b)
{
	if (b->profile_free || b->profile_cnt < b->profile_cap)
		return true;
	uint32_t cap = b->profile_cap ? b->profile_cap * 2 : 64;
	struct profile_entry *entry = realloc(b->profile, cap * sizeof(*entry));
	if (!entry)
		return false;
	b->profile = entry;
	uint32_t *bucket = calloc(cap, sizeof(*bucket));
	if (!bucket)
		return false;
	free(b->profile_bucket);
	b->profile_bucket = bucket;
	b->profile_buckets = cap;
	b->profile_cap = cap;
	for (uint32_t i = 0; i < b->profile_cnt; i++) {
		if (!entry[i].blob)
			continue;
		uint32_t *head = bucket_of(b, entry[i].hash);
		entry[i].next = *head & INT32_MAX;
		*head = i + 1;
	}
	return true;
}

static uint32_t entry_take(struct builder *b)
{
	uint32_t i = b->profile_free ? b->profile_free - 1 : b->profile_cnt;
	if (b->profile_free)
		b->profile_free = b->profile[i].next;
	else
		b->profile_cnt++;
	return i;
}

static void entry_link(struct builder *b, uint32_t i, uint32_t value, uint64_t hash)
{
	uint32_t *head = bucket_of(b, (uint32_t)hash);
	b->profile[i] =
	    (struct profile_entry){.blob = value, .hash = (uint32_t)hash, .next = *head & INT32_MAX};
	*head = i + 1;
	__atomic_fetch_add((uint32_t *)&b->h->profile_cnt, 1, __ATOMIC_RELAXED);
}

// Puts a profile that no record names on the list that the next sweep looks at.
static bool entry_idle(struct builder *b, uint32_t i)
{
	if (b->profile[i].idle)
		return true;
	if (b->idle_cnt == b->idle_cap) {
		uint32_t cap = b->idle_cap ? b->idle_cap * 2 : 64;
		uint32_t *idle = realloc(b->idle, cap * sizeof(*idle));
		if (!idle)
			return false; // it stays until the next attach
		b->idle = idle;
		b->idle_cap = cap;
	}
	b->idle[b->idle_cnt++] = i;
	b->profile[i].idle = 1;
	return true;
}

// The blob with this content: `body`, and before it the whole length when `headed`; otherwise the body begins
// with that.
static uint32_t intern(struct builder *b, struct slice body, bool headed)
{
	uint32_t head = headed ? (uint32_t)sizeof(struct cache_shared) : 0, len = head + body.len;
	uint64_t hash = content_hash(body.p, body.len);
	for (uint32_t i = b->profile_buckets ? *bucket_of(b, (uint32_t)hash) : 0; i;
	     i = b->profile[i - 1].next) {
		const struct profile_entry *e = &b->profile[i - 1];
		const struct cache_shared *have = (const void *)(b->blob + (uint64_t)e->blob * CACHE_BLOB_ALIGN);
		if (e->hash == (uint32_t)hash && have->len == len &&
		    memcmp((const uint8_t *)have + head, body.p, body.len) == 0)
			return e->blob;
	}
	if (!profile_grow(b))
		return 0;
	uint32_t value = blob_take(b, len);
	if (!value)
		return 0;
	struct cache_blob *blob = blob_header(b, value);
	uint32_t i = entry_take(b);
	blob->hash = hash;
	blob->owner = i;
	cache_step();
	uint8_t *to = b->blob + (uint64_t)value * CACHE_BLOB_ALIGN;
	if (headed)
		memcpy(to, &len, sizeof(len));
	memcpy(to + head, body.p, body.len);
	cache_step();
	entry_link(b, i, value, hash);
	entry_idle(b, i);
	return value;
}

uint32_t builder_profile(struct builder *b, const struct cache_profile *p)
{
	if (p->len < sizeof(*p) || p->len > CACHE_BLOB_MAX ||
	    (uint64_t)p->head_len + p->epc_len + p->gprs_len > p->len - sizeof(*p))
		return 0;
	return intern(b, slice_of(p, p->len), false);
}

uint32_t builder_shared(struct builder *b, struct slice bytes)
{
	if (bytes.len == 0 || bytes.len > CACHE_BLOB_MAX - sizeof(struct cache_shared))
		return 0;
	return intern(b, bytes, true);
}

static struct profile_entry *entry_of(struct builder *b, uint32_t value)
{
	if (value == 0 || value >= high_units(b))
		return NULL;
	uint32_t i = blob_header(b, value)->owner;
	return i < b->profile_cnt && b->profile[i].blob == value ? &b->profile[i] : NULL;
}

bool profile_ref(struct builder *b, uint32_t value)
{
	struct profile_entry *e = entry_of(b, value);
	if (e)
		e->refs++;
	return e || value == 0;
}

void profile_unref(struct builder *b, uint32_t value)
{
	struct profile_entry *e = entry_of(b, value);
	if (e && --e->refs == 0)
		entry_idle(b, (uint32_t)(e - b->profile));
}

int profile_adopt(struct builder *b, uint32_t value, uint32_t len_min)
{
	if (value == 0 || profile_ref(b, value))
		return 0;
	if (!blob_valid(b, value, len_min))
		return -EPROTO;
	const struct cache_shared *p = (const void *)(b->blob + (uint64_t)value * CACHE_BLOB_ALIGN);
	if (p->len < len_min || !blob_valid(b, value, p->len))
		return -EPROTO;
	if (!profile_grow(b))
		return -ENOMEM;
	uint32_t i = entry_take(b);
	blob_header(b, value)->owner = i;
	entry_link(b, i, value, blob_header(b, value)->hash);
	b->profile[i].refs = 1;
	return 0;
}

void profile_sweep(struct builder *b)
{
	for (uint32_t n = 0; n < b->idle_cnt; n++) {
		struct profile_entry *e = &b->profile[b->idle[n]];
		e->idle = 0;
		if (e->refs)
			continue;
		uint32_t *head = bucket_of(b, e->hash);
		if (*head == b->idle[n] + 1) {
			*head = e->next;
		} else {
			uint32_t at = *head;
			while (b->profile[at - 1].next != b->idle[n] + 1)
				at = b->profile[at - 1].next;
			b->profile[at - 1].next = e->next;
		}
		builder_retire(b, RETIRED_BLOB, e->blob, 0);
		*e = (struct profile_entry){.next = b->profile_free & INT32_MAX};
		b->profile_free = b->idle[n] + 1;
		__atomic_fetch_sub((uint32_t *)&b->h->profile_cnt, 1, __ATOMIC_RELAXED);
	}
	b->idle_cnt = 0;
}

// Readers find the former blob until they leave their epoch: it is freed as one that no record names any more.
int builder_common_set(struct builder *b, unsigned app, struct slice bytes)
{
	if (app >= CACHE_APP_MAX)
		return -EINVAL;
	uint32_t *common = (uint32_t *)&b->h->common[app], old = *common;
	uint32_t value = bytes.len && bytes.len <= CACHE_COMMON_MAX ? intern(b, bytes, true) : 0;
	if (bytes.len && !value)
		return -ENOSPC;
	if (value == old)
		return 0;
	(void)profile_ref(b, value);
	__atomic_store_n(common, value, __ATOMIC_RELEASE);
	cache_step();
	profile_unref(b, old);
	return 0;
}

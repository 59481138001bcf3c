// The builder: publishing and removing records, SQN words, the IND table. Runs in the loader only,
// single-threaded. Law 4: every store that readers can see is one word; the order of the stores is the whole
// protocol (layout.h). Law 5: words change hands only through the epochs.
#include "cache/build.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/builder.h"
#include "cache/segment.h"
#include "lib/base/secret.h"

#define DRAIN_EVERY 512  // retired things, when the caller's batch is longer than that
#define ROOM_LOW    8192 // slots or words that are left: time to look whether readers have gone on

void (*cache_step_hook)(void);

const struct cache *builder_cache(const struct builder *b)
{
	return &b->c;
}

struct cache_header *builder_header(struct builder *b)
{
	return b->h;
}

void builder_free(struct builder **bp)
{
	struct builder *b = *bp;
	*bp = NULL;
	if (!b)
		return;
	pool_fini(&b->slots);
	pool_fini(&b->sqns);
	pool_fini(&b->nodes);
	for (struct retired_chunk *c = b->retired_first, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(b->retired_spare);
	free(b->profile);
	free(b->profile_bucket);
	free(b->idle);
	free(b->node_entry);
	free(b->node_bucket);
	if (b->base)
		munmap(b->base, b->c.total_len);
	if (b->c.sqn)
		munmap(b->c.sqn, b->c.sqn_len);
	if (b->fd >= 0)
		close(b->fd);
	free(b);
}

// Gives all memory of both files back and writes an empty header, magic last.
static int files_empty(struct builder *b, int sqn_fd, const struct cache_header *want)
{
	__atomic_store_n(&b->h->magic, 0, __ATOMIC_SEQ_CST);
	if (fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)b->c.total_len) < 0 ||
	    fallocate(sqn_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)b->c.sqn_len) < 0)
		return -errno;
	struct cache_header h = *want;
	h.magic = 0;
	memcpy(b->h, &h, sizeof(h));
	__atomic_store_n(&b->h->magic, want->magic, __ATOMIC_SEQ_CST);
	return 0;
}

static int builder_init(struct builder *b)
{
	int rc = pool_init(&b->slots, b->c.slot_cnt, (uint32_t *)&b->h->slot_high);
	if (rc == 0)
		rc = pool_init(&b->sqns, b->c.sqn_cnt, (uint32_t *)&b->h->sqn_high);
	if (rc == 0)
		rc = pool_init(&b->nodes, NODE_MAX, (uint32_t *)&b->h->node_high);
	b->node_entry = calloc(NODE_MAX, sizeof(*b->node_entry));
	b->node_bucket = calloc(NODE_BUCKETS, sizeof(*b->node_bucket));
	b->batch = 1;
	return rc == 0 && b->node_entry && b->node_bucket ? 0 : -ENOMEM;
}

// Forgets what a failed attach found out.
static int builder_reinit(struct builder *b)
{
	pool_fini(&b->slots);
	pool_fini(&b->sqns);
	pool_fini(&b->nodes);
	free(b->node_entry);
	free(b->node_bucket);
	free(b->profile);
	free(b->profile_bucket);
	free(b->idle);
	b->profile = NULL;
	b->profile_bucket = b->idle = NULL;
	b->profile_cnt = b->profile_cap = b->profile_free = b->profile_buckets = b->idle_cnt = b->idle_cap =
	    0;
	return builder_init(b);
}

static int builder_map(struct builder *b, int records_fd, int sqn_fd, const struct cache_header *want)
{
	b->fd = fcntl(records_fd, F_DUPFD_CLOEXEC, 3);
	if (b->fd < 0)
		return -errno;
	b->base = segment_map(records_fd, want->total_len, true);
	if (!b->base)
		return -errno;
	b->c.total_len = want->total_len;
	struct sqn_words *sqn = segment_map(sqn_fd, segment_sqn_len(want), true);
	if (!sqn)
		return -errno;
	segment_bind(&b->c, want, b->base, sqn);
	b->c.worker = WORKER_MAX; // has no epoch word
	b->h = (struct cache_header *)(void *)b->base;
	b->blob = b->base + want->blob_off;
	b->imsi_index = (uint32_t *)(void *)(b->base + want->imsi_index_off);
	b->msisdn_index = (uint32_t *)(void *)(b->base + want->msisdn_index_off);
	b->identity_index = (uint64_t *)(void *)(b->base + want->identity_index_off);
	b->record = (struct cache_record *)(void *)(b->base + want->record_off);
	b->node = (struct cache_node *)(void *)(b->base + want->node_off);
	b->ind = (uint64_t *)(void *)(b->base + want->ind_off);
	return 0;
}

struct builder *builder_open(int records_fd, int sqn_fd, struct control *control, uint32_t max_subscribers,
			     uint32_t max_identities, bool *fresh)
{
	struct cache_header want;
	int rc;

	*fresh = true;
	if (max_subscribers == 0 || max_subscribers > CACHE_SUBSCRIBERS_MAX) {
		errno = EINVAL;
		return NULL;
	}
	struct builder *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->fd = -1;
	segment_geometry(max_subscribers, max_identities, &want);
	rc = builder_map(b, records_fd, sqn_fd, &want);
	if (rc < 0)
		goto out;
	b->c.control = control;
	// another size or layout than ours: rebuild, never guess (law 4)
	bool fits = segment_same(&want, b->h);
	if (!fits) {
		rc = files_empty(b, sqn_fd, &want);
		if (rc < 0)
			goto out;
	}
	rc = builder_init(b);
	if (rc < 0)
		goto out;
	*fresh = !fits || b->h->slot_high == 0;
	rc = builder_attach(b);
	if (rc == -EPROTO) { // its numbers contradict each other
		*fresh = true;
		rc = files_empty(b, sqn_fd, &want);
		if (rc == 0)
			rc = builder_reinit(b);
	}
out:
	if (rc < 0) {
		builder_free(&b);
		errno = -rc;
	}
	return b;
}

static bool record_has(const struct cache_record *r, msisdn_t m)
{
	return r->msisdn[0].v == m.v || r->msisdn[1].v == m.v;
}

// Lets the new copy have its numbers. `old` and `old_slot`: what it replaces, or NULL.
static void numbers_point(struct builder *b, const struct cache_record *r, uint32_t slot,
			  const struct cache_record *old, uint32_t old_slot)
{
	for (unsigned i = 0; i < 2; i++) {
		msisdn_t m = r->msisdn[i];
		if (m.v == 0 || (i == 1 && m.v == r->msisdn[0].v))
			continue;
		uint32_t *e = builder_msisdn_entry(b, m);
		// another record has it by now, and this is no new claim
		if (e && old && index_slot(&b->c, *e) != old_slot && record_has(old, m))
			continue;
		builder_msisdn_point(b, e, m, slot, i);
	}
}

// Removes the entries of numbers that `old` had and `r` (NULL: nothing) has no more.
static void numbers_remove(struct builder *b, const struct cache_record *old, uint32_t old_slot,
			   const struct cache_record *r)
{
	for (unsigned i = 0; i < 2; i++) {
		msisdn_t m = old->msisdn[i];
		if (m.v == 0 || (r && record_has(r, m)))
			continue;
		uint32_t *e = builder_msisdn_entry(b, m);
		if (e && index_slot(&b->c, *e) == old_slot)
			builder_msisdn_remove(b, e);
	}
}

static void record_unref(struct builder *b, const struct cache_record *r)
{
	profile_unref(b, r->profile);
	node_unref(b, r->serving[0].node);
	node_unref(b, r->serving[1].node);
}

// Takes back what was counted for a copy that is not published after all.
static int put_undo(struct builder *b, const struct cache_record *r, uint32_t slot, int rc)
{
	record_unref(b, r);
	pool_give(&b->slots, slot);
	return rc;
}

void builder_hold(struct builder *b, const struct cache_record *r)
{
	(void)profile_ref(b, r->profile);
	node_ref(b, r->serving[0].node);
	node_ref(b, r->serving[1].node);
}

void builder_release(struct builder *b, const struct cache_record *r)
{
	record_unref(b, r);
}

static void count_set(_Atomic uint32_t *count, uint32_t v)
{
	__atomic_store_n((uint32_t *)count, v, __ATOMIC_RELAXED);
}

static void maybe_drain(struct builder *b)
{
	if (b->retired_since >= DRAIN_EVERY)
		builder_drain(b);
}

static uint32_t room(const struct builder *b)
{
	uint32_t slots = pool_left(&b->slots), words = pool_left(&b->sqns);
	return slots < words ? slots : words;
}

uint32_t builder_room(struct builder *b)
{
	uint32_t n = room(b);
	if (n < ROOM_LOW && builder_drain(b))
		n = room(b);
	return n;
}

int builder_put(struct builder *b, const struct cache_record *r)
{
	return builder_put_with(b, r, NULL);
}

int builder_put_with(struct builder *b, const struct cache_record *r, const struct builder_extra *extra)
{
	if (r->imsi.v == 0 || r->sqn >= __atomic_load_n(b->sqns.high, __ATOMIC_RELAXED) ||
	    !node_valid(b, r->serving[0].node) || !node_valid(b, r->serving[1].node))
		return -EINVAL;
	uint32_t *entry = builder_imsi_entry(b, r->imsi);
	uint32_t cnt = __atomic_load_n((uint32_t *)&b->h->subscriber_cnt, __ATOMIC_RELAXED);
	if (!entry && cnt >= b->h->max_subscribers)
		return -ENOSPC;
	uint32_t slot = pool_take(&b->slots);
	if (slot == POOL_NONE && builder_drain(b))
		slot = pool_take(&b->slots);
	if (slot == POOL_NONE)
		return -EAGAIN;
	if (!profile_ref(b, r->profile)) {
		pool_give(&b->slots, slot);
		return -EINVAL;
	}
	node_ref(b, r->serving[0].node);
	node_ref(b, r->serving[1].node);

	uint32_t old_slot = entry ? index_slot(&b->c, *entry) : 0;
	const struct cache_record *old = entry ? &b->record[old_slot] : NULL;
	struct cache_record *copy = &b->record[slot];
	uint32_t parts = old ? old->parts : 0;
	int rc = extra ? parts_compose(b, old, extra, &parts) : 0;
	if (rc < 0)
		return put_undo(b, r, slot, rc);
	// No reader sees the copy yet. It is written in two halves, so that the kill test can end between
	// them.
	memcpy(copy, r, sizeof(*copy) / 2);
	cache_step();
	memcpy((uint8_t *)copy + sizeof(*copy) / 2, (const uint8_t *)r + sizeof(*copy) / 2,
	       sizeof(*copy) / 2);
	copy->parts = parts;
	cache_step();
	// The IMSI entry publishes the copy. The others follow it, and may lag behind (layout.h); only when
	// none of them names the old slot any more is that retired.
	builder_imsi_point(b, entry, r->imsi, slot);
	numbers_point(b, copy, slot, old, old_slot);
	identities_point(b, copy, slot, old, old_slot);
	if (old) {
		numbers_remove(b, old, old_slot, copy);
		identities_remove(b, old, old_slot);
		if (old->parts != parts)
			parts_retire(b, old);
		record_unref(b, old);
		if (old->sqn != r->sqn)
			builder_retire(b, RETIRED_SQN, old->sqn, 0);
		builder_retire(b, RETIRED_SLOT, old_slot, 0);
		maybe_drain(b);
	} else {
		count_set(&b->h->subscriber_cnt, cnt + 1);
	}
	return 0;
}

bool builder_delete(struct builder *b, imsi_t imsi)
{
	uint32_t *entry = imsi.v ? builder_imsi_entry(b, imsi) : NULL;
	if (!entry)
		return false;
	uint32_t slot = index_slot(&b->c, *entry);
	const struct cache_record *old = &b->record[slot];
	builder_imsi_remove(b, entry);
	numbers_remove(b, old, slot, NULL);
	identities_remove(b, old, slot);
	parts_retire(b, old);
	record_unref(b, old);
	builder_retire(b, RETIRED_SQN, old->sqn, 0);
	builder_retire(b, RETIRED_SLOT, slot, 0);
	count_set(&b->h->subscriber_cnt,
		  __atomic_load_n((uint32_t *)&b->h->subscriber_cnt, __ATOMIC_RELAXED) - 1);
	maybe_drain(b);
	return true;
}

static void sqn_store(_Atomic uint64_t *word, uint64_t v)
{
	__atomic_store_n((uint64_t *)word, v, __ATOMIC_SEQ_CST);
	cache_step();
}

void builder_sqn_set(struct builder *b, uint32_t index, uint64_t next, uint64_t limit)
{
	if (index >= b->c.sqn_cnt)
		return;
	sqn_store(&b->c.sqn[index].limit, 0);
	sqn_store(&b->c.sqn[index].next, next);
	sqn_store(&b->c.sqn[index].limit, limit);
}

uint32_t builder_sqn_take(struct builder *b, uint64_t next, uint64_t limit)
{
	uint32_t i = pool_take(&b->sqns);
	if (i == POOL_NONE && builder_drain(b))
		i = pool_take(&b->sqns);
	if (i == POOL_NONE)
		return UINT32_MAX;
	builder_sqn_set(b, i, next, limit);
	return i;
}

void builder_sqn_return(struct builder *b, uint32_t index)
{
	if (index < __atomic_load_n(b->sqns.high, __ATOMIC_RELAXED))
		builder_retire(b, RETIRED_SQN, index, 0);
}

void builder_sqn_limit(struct builder *b, uint32_t index, uint64_t limit)
{
	if (index < b->c.sqn_cnt &&
	    __atomic_load_n((uint64_t *)&b->c.sqn[index].limit, __ATOMIC_RELAXED) < limit)
		sqn_store(&b->c.sqn[index].limit, limit);
}

bool builder_sqn_raise(struct builder *b, uint32_t index, uint64_t next, uint64_t limit)
{
	if (index >= b->c.sqn_cnt)
		return false;
	builder_sqn_limit(b, index, limit);
	uint64_t *word = (uint64_t *)&b->c.sqn[index].next;
	uint64_t have = __atomic_load_n(word, __ATOMIC_SEQ_CST);
	// workers draw meanwhile: a plain store could take back what they have drawn
	while (have < next &&
	       !__atomic_compare_exchange_n(word, &have, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		continue;
	return have < next;
}

int builder_ind_add(struct builder *b, uint64_t host_hash)
{
	int have = cache_ind_find(&b->c, host_hash);
	if (have >= 0)
		return have;
	uint32_t cnt = __atomic_load_n((uint32_t *)&b->h->ind_host_cnt, __ATOMIC_RELAXED);
	if (cnt >= IND_HOST_MAX)
		return -1;
	b->ind[cnt] = host_hash;
	cache_step();
	__atomic_store_n((uint32_t *)&b->h->ind_host_cnt, cnt + 1, __ATOMIC_RELEASE);
	return (int)cnt;
}

struct each {
	const struct builder *b;
	bool (*fn)(void *ctx, const struct cache_record *r);
	void *ctx;
	imsi_t last;
};

static bool each_entry(void *ctx, uint32_t *entry)
{
	struct each *e = ctx;
	const struct cache_record *r = &e->b->record[index_slot(&e->b->c, *entry)];
	if (r->imsi.v == e->last.v)
		return true; // `fn` has replaced it
	e->last = r->imsi;
	return e->fn(e->ctx, r);
}

void builder_each(const struct builder *b, bool (*fn)(void *ctx, const struct cache_record *r), void *ctx)
{
	struct each e = {.b = b, .fn = fn, .ctx = ctx};
	if (builder_imsi_each(b, each_entry, &e) < 0)
		bug("the records file cannot be searched for data");
}

// The reader's side of the subscriber cache (workers; the loader for its own checks). A lookup happens
// between pin and unpin; what it returns is whole and stays valid until unpin. No locks, no system calls, no
// allocation.
#pragma once
#include "cache/control.h"
#include "cache/layout.h"

struct cache {
	const struct cache_header *h; // records, mapped
	const uint8_t *base;
	struct sqn_words *sqn;
	struct control *control;
	unsigned worker;
	// private copies of the layout: look-ups never depend on what the header says later
	uint32_t slot_bits, slot_cnt, sqn_cnt;
	uint32_t imsi_mask, msisdn_mask, identity_mask, identity_shift;
	const uint32_t *imsi_index, *msisdn_index;
	const uint64_t *identity_index;
	const struct cache_record *record;
	const struct cache_node *node;
	const uint64_t *ind;
	const uint8_t *blob;
	uint64_t blob_len, total_len, sqn_len;
};

// Maps the segments and checks version and sizes; 0 or a negative errno (-EPROTO: another layout). `worker`
// is the index of the epoch word. Works before the loader has started: the cache is then empty, load_state
// says so.
int cache_open(struct cache *c, int records_fd, int sqn_fd, struct control *control,
	       unsigned worker) MUST_USE;
void cache_close(struct cache *c);

// Enter and leave an epoch: once per batch of requests. Never held across waiting.
static inline void cache_pin(struct cache *c)
{
	// R1 and R2 of the argument in layout.h
	uint64_t e = __atomic_load_n((uint64_t *)&c->control->epoch, __ATOMIC_SEQ_CST);
	__atomic_store_n((uint64_t *)&c->control->reader[c->worker].v, e, __ATOMIC_SEQ_CST);
}

static inline void cache_unpin(struct cache *c)
{
	__atomic_store_n((uint64_t *)&c->control->reader[c->worker].v, 0, __ATOMIC_RELEASE);
}

// NULL when not in the cache. While cache_load_state is not CACHE_COMPLETE a miss is not an answer yet: ask
// the loader.
const struct cache_record *cache_find(const struct cache *c, imsi_t imsi);
const struct cache_record *cache_find_msisdn(const struct cache *c, msisdn_t msisdn);
// By the hash of an identity (lib/base/subject.h) that is kept with the record; one that follows from IMSI or
// MSISDN is not. A hash is no proof: `owns` says whether the record really has the identity; the first that
// has is returned. `owns` may use the look-ups. NULL: the record lists the hash, and that is enough.
const struct cache_record *cache_find_identity(const struct cache *c, uint64_t hash,
					       bool (*owns)(void *ctx, const struct cache_record *r), void *ctx);
// For batches: prefetch every IMSI (its index line), then prefetch_record every IMSI, then find them; the
// misses overlap.
void cache_prefetch(const struct cache *c, imsi_t imsi);
void cache_prefetch_record(const struct cache *c, imsi_t imsi);
// The same for numbers and identities; of the parts of a record that was found.
void cache_prefetch_msisdn(const struct cache *c, msisdn_t msisdn);
void cache_prefetch_msisdn_record(const struct cache *c, msisdn_t msisdn);
void cache_prefetch_identity(const struct cache *c, uint64_t hash);
void cache_prefetch_identity_record(const struct cache *c, uint64_t hash);
static inline void cache_prefetch_parts(const struct cache *c, const struct cache_record *r)
{
	if (r->parts)
		__builtin_prefetch(c->blob + (uint64_t)r->parts * CACHE_BLOB_ALIGN);
}
// The SQN words of a record that will be drawn from soon.
static inline void cache_prefetch_sqn(const struct cache *c, const struct cache_record *r)
{
	if (r->sqn < c->sqn_cnt)
		__builtin_prefetch(&c->sqn[r->sqn], 1);
}

// A number that stands for what a profile holds: the same after every start.
static inline uint64_t cache_profile_hash(const struct cache_profile *p)
{
	return ((const struct cache_blob *)(const void *)p)[-1].hash;
}

// NULL when the record has none.
const struct cache_profile *cache_profile(const struct cache *c, const struct cache_record *r);

// A part of a record, as the application had it put. `bytes` is aligned to 4 and begins with the references.
struct cache_part {
	uint8_t app, kind, version;
	uint8_t node_cnt, shared_cnt; // uint32_t references at the beginning of the bytes
	struct slice bytes;
};
// False when the record has no such part.
bool cache_part_find(const struct cache *c, const struct cache_record *r, unsigned app, unsigned kind,
		     struct cache_part *out);
// The parts and identities of a record by number; false from the last one on.
bool cache_part_at(const struct cache *c, const struct cache_record *r, unsigned n, struct cache_part *out);
bool cache_identity_at(const struct cache *c, const struct cache_record *r, unsigned n, uint64_t *hash);
// What builder_shared gave out; empty when it makes no sense.
struct slice cache_shared_get(const struct cache *c, uint32_t value);
// What application `app` keeps once for all subscribers (builder_common_set); empty: nothing.
struct slice cache_common_get(const struct cache *c, unsigned app);

// A node by its index + 1 as records hold it; false for 0 or nonsense.
bool cache_node_get(const struct cache *c, uint32_t node, struct slice *host, struct slice *realm);

// The place of this Origin-Host in the IND table (law 5): 0.. or -1 when it is not there.
int cache_ind_find(const struct cache *c, uint64_t host_hash);

enum sqn_draw { SQN_OK, SQN_NEED_BLOCK, SQN_END };

// Takes n SEQs, between pin and unpin: *first .. *first + n - 1 are the caller's alone. SQN_NEED_BLOCK when
// the durable limit does not allow it (ask the loader for a block), SQN_END when the 43 bits are used up
// (2^43 - 1 itself is never used) or the index is nonsense. *low: fewer than CACHE_SQN_LOW are left, ask
// early.
enum sqn_draw cache_sqn_draw(struct cache *c, uint32_t index, uint32_t n, uint64_t *first, bool *low);
// After a resynchronisation: next becomes at least `seq`. SQN_NEED_BLOCK when that needs a higher limit,
// SQN_END when nothing could be drawn after it.
enum sqn_draw cache_sqn_raise(struct cache *c, uint32_t index, uint64_t seq);

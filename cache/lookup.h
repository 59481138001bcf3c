// The reader's side of the subscriber cache (workers; the loader for its own checks). A lookup happens between pin
// and unpin; what it returns is whole and stays valid until unpin. No locks, no system calls, no allocation.
#pragma once
#include "cache/control.h"
#include "cache/layout.h"

struct cache {
	const struct cache_header *h; // records, mapped
	const uint8_t *base;
	struct sqn_words *sqn;
	struct control *control;
	unsigned worker;
};

// Maps the segments and checks version and sizes; 0 or a negative errno. `worker` is the index of the epoch word.
int cache_open(struct cache *c, int records_fd, int sqn_fd, struct control *control, unsigned worker) MUST_USE;
void cache_close(struct cache *c);

// Enter and leave an epoch: once per batch of requests. Never held across waiting.
static inline void cache_pin(struct cache *c)
{
	uint64_t e = __atomic_load_n((uint64_t *)&c->control->epoch, __ATOMIC_ACQUIRE);
	__atomic_store_n((uint64_t *)&c->control->reader[c->worker].v, e, __ATOMIC_SEQ_CST);
}

static inline void cache_unpin(struct cache *c)
{
	__atomic_store_n((uint64_t *)&c->control->reader[c->worker].v, 0, __ATOMIC_RELEASE);
}

// NULL when not in the cache. While cache_load_state is not CACHE_COMPLETE a miss is not an answer yet: ask the loader.
const struct cache_record *cache_find(const struct cache *c, imsi_t imsi);
const struct cache_record *cache_find_msisdn(const struct cache *c, msisdn_t msisdn);
void cache_prefetch(const struct cache *c, imsi_t imsi);

// NULL when the record has none.
const struct cache_profile *cache_profile(const struct cache *c, const struct cache_record *r);

// A node by its index + 1 as records hold it; false for 0 or nonsense.
bool cache_node_get(const struct cache *c, uint32_t node, struct slice *host, struct slice *realm);

// The place of this Origin-Host in the IND table (law 5): 0.. or -1 when it is not there.
int cache_ind_find(const struct cache *c, uint64_t host_hash);

enum sqn_draw { SQN_OK, SQN_NEED_BLOCK, SQN_END };

// Takes n SEQs: *first .. *first + n - 1 are the caller's alone. SQN_NEED_BLOCK when the durable limit does not allow
// it (ask the loader for a block), SQN_END when the 43 bits are used up. *low: fewer than half a block is left, ask early.
enum sqn_draw cache_sqn_draw(struct cache *c, uint32_t index, uint32_t n, uint64_t *first, bool *low);
// After a resynchronisation: next becomes at least `seq`. SQN_NEED_BLOCK when that needs a higher limit.
enum sqn_draw cache_sqn_raise(struct cache *c, uint32_t index, uint64_t seq);

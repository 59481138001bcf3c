// The writer's side of the subscriber cache: one instance, in the loader. Publishes whole records (layout.h), reclaims
// what no reader can see any more, and finds its bearings again after any kill by one scan of what is reachable.
#pragma once
#include "cache/lookup.h"

struct builder; // opaque, heap

// hssd: makes the records and SQN memory files for `max_subscribers`, sealed (grow, shrink), header not yet filled in:
// sizes only. Returns 0 and the descriptors: `records` read-write for the loader, `records_ro` read-only for workers
// (its file mode allows no reopening), `sqn`.
int cache_create(uint32_t max_subscribers, int *records, int *records_ro, int *sqn) MUST_USE;

// Attaches to the memory files. A header that fits (magic, version, sizes) is kept with everything reachable from it
// (*fresh = false): reader epochs are respected, free slots found by scanning. Anything else is rebuilt empty
// (*fresh = true). NULL with errno on failure.
struct builder *builder_open(int records_fd, int sqn_fd, struct control *control, uint32_t max_subscribers,
			     bool *fresh) MUST_USE;
void builder_free(struct builder **b);

// The reader's view, for look-ups by the loader itself (it needs no pin: it is the only writer).
const struct cache *builder_cache(const struct builder *b);
struct cache_header *builder_header(struct builder *b);

// Publishes `r` for r->imsi, replacing what was there. The builder copies; r->sqn must be words that belong to the
// subscriber (builder_sqn_take), r->profile a blob held by builder_profile. -ENOSPC: the cache is full, nothing changed.
// -EEXIST: another IMSI has this MSISDN (the IMSI is published without it... see msisdn_conflict) is not an error:
// the newer record wins the number.
int builder_put(struct builder *b, const struct cache_record *r) MUST_USE;
// Removes; false when not there. Its SQN words go back after the epochs.
bool builder_delete(struct builder *b, imsi_t imsi);

// A profile by content: the same bytes give the same blob, counted by the records that name it. Returns the value
// for cache_record.profile, 0 when the blob area is full. A profile that no record names when the next builder_reclaim
// runs is freed.
uint32_t builder_profile(struct builder *b, const struct cache_profile *p);
// A node by its host (case ignored) and realm: index + 1; 0 when the table is full.
uint32_t builder_node(struct builder *b, struct slice host, struct slice realm);

// SQN words for a new subscriber: index, or UINT32_MAX when none is free. next and limit start as given.
uint32_t builder_sqn_take(struct builder *b, uint64_t next, uint64_t limit);
// Raises limit (the row that covers it is on disk).
void builder_sqn_limit(struct builder *b, uint32_t index, uint64_t limit);
// Sets both in the order that layout.h proves; for sqn set, and for a key change.
void builder_sqn_set(struct builder *b, uint32_t index, uint64_t next, uint64_t limit);

// IND table (law 5): appends a host's hash, returns its place; -1 when full.
int builder_ind_add(struct builder *b, uint64_t host_hash);

// Frees what every reader has left behind; call after each batch. Cheap when there is nothing.
void builder_reclaim(struct builder *b);

// Calls `fn` for every published record until it returns false.
void builder_each(const struct builder *b, bool (*fn)(void *ctx, const struct cache_record *r), void *ctx);

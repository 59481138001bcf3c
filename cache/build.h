// The writer's side of the subscriber cache: one instance, in the loader. Publishes whole records (layout.h),
// reclaims what no reader can see any more, and finds its bearings again after any kill by one scan of what
// is reachable.
#pragma once
#include "cache/lookup.h"

struct builder; // opaque, heap

// hssd: makes the records and SQN memory files for `max_subscribers` (1 .. CACHE_SUBSCRIBERS_MAX) and
// `max_identities` (beside those that follow from IMSI and MSISDN; 0: twice max_subscribers), sealed (grow,
// shrink), with the header of an empty cache. Returns 0 and the descriptors, or a negative errno and -1s:
// `records` read-write for the loader, `records_ro` read-only for workers (the file's mode 0400 lets another
// user open neither again), `sqn`. All close-on-exec.
int cache_create(uint32_t max_subscribers, uint32_t max_identities, int *records, int *records_ro, int *sqn) MUST_USE;

// Attaches to the memory files. A header that fits (magic, version, sizes) is kept with everything reachable
// from it (*fresh = false when the cache was ever used): reader epochs are respected, free slots found by
// scanning. Anything else is rebuilt empty (*fresh = true). The descriptors stay the caller's. NULL with
// errno on failure.
struct builder *builder_open(int records_fd, int sqn_fd, struct control *control, uint32_t max_subscribers,
			     uint32_t max_identities, bool *fresh) MUST_USE;
void builder_free(struct builder **b);

// The reader's view, for look-ups by the loader itself (it needs no pin: it is the only writer).
const struct cache *builder_cache(const struct builder *b);
struct cache_header *builder_header(struct builder *b);

// Publishes `r` for r->imsi, replacing what was there. The builder copies; r->sqn must be words that belong
// to the subscriber (builder_sqn_take; when they are others than before, the old ones go back after the
// epochs), r->profile a blob from builder_profile, the nodes of r->serving from builder_node, each obtained since
// the last builder_reclaim or named by the record that is replaced. When another IMSI has one of the numbers,
// a new claim wins it; the other record keeps it in its text, but is no longer found by it. r->parts is not
// looked at: parts and identities stay as they are. 0, or, with
// nothing changed: -ENOSPC the cache holds max_subscribers; -EAGAIN no slot is free since a reader stays
// pinned (try after some time; hssd clears the words of dead workers); -EINVAL `r` names what is not there.
int builder_put(struct builder *b, const struct cache_record *r) MUST_USE;
// What a change says of a record's parts and identities.
struct builder_extra {
	const struct cache_part *part; // each (app, kind) once; one without octets is removed
	const uint64_t *identity;      // hashes of lib/base/subject.h
	unsigned part_cnt, identity_cnt;
	bool keep_parts;      // parts that are not named here stay; otherwise they are removed
	bool keep_identities; // the identities that the record has stay, these come to them
};
// builder_put together with parts and identities, in one publication. The builder copies; references in parts
// are to nodes of builder_node and blobs of builder_shared, under the same rule as those of the record. An
// identity that another record has is found at that one too: whether it may be claimed is decided before.
// Further errors: -ENOSPC there is no room for the parts, or the cache holds max_identities; -EINVAL a part
// is named twice or makes no sense, there are more than CACHE_PART_CNT_MAX, CACHE_IDENTITY_CNT_MAX,
// CACHE_PARTS_MAX, or two different hashes are the same in the index (one in 2^35 or rarer; the caller can do
// without one of them).
int builder_put_with(struct builder *b, const struct cache_record *r, const struct builder_extra *extra) MUST_USE;
// How many records with fresh SQN words could be put now, at least: 0 while a pinned reader keeps what is free.
uint32_t builder_room(struct builder *b);
// Keeps the profile and the nodes that `r` names beyond builder_reclaim, until builder_release with the same ones.
void builder_hold(struct builder *b, const struct cache_record *r);
void builder_release(struct builder *b, const struct cache_record *r);
// Removes; false when not there. Its SQN words go back after the epochs.
bool builder_delete(struct builder *b, imsi_t imsi);

// A profile by content: the same bytes give the same blob, counted by the records that name it. Returns the
// value for cache_record.profile, 0 when the blob area is full or p makes no sense (lengths, >
// CACHE_BLOB_MAX). A profile that no record names when the next builder_reclaim runs is freed.
uint32_t builder_profile(struct builder *b, const struct cache_profile *p);
// Octets that several records share, by content like a profile: a value for the references of parts
// (cache_shared_get reads it), 0 when the blob area is full or there are more than CACHE_BLOB_MAX. Freed like
// a profile.
uint32_t builder_shared(struct builder *b, struct slice bytes);
// Publishes what application `app` keeps once for all subscribers, replacing what it kept before; empty octets: nothing.
// -ENOSPC: no room, nothing changed.
int builder_common_set(struct builder *b, unsigned app, struct slice bytes) MUST_USE;
// A node by its host (case ignored) and realm: index + 1; 0 when the table is full.
uint32_t builder_node(struct builder *b, struct slice host, struct slice realm);

// SQN words for a new subscriber: index, or UINT32_MAX when none is free. next and limit start as given. Once
// a record with them is put they go back with it; before that, builder_sqn_return gives them back.
uint32_t builder_sqn_take(struct builder *b, uint64_t next, uint64_t limit);
void builder_sqn_return(struct builder *b, uint32_t index);
// Raises limit, never lowers it (the row that covers it is on disk).
void builder_sqn_limit(struct builder *b, uint32_t index, uint64_t limit);
// Raises next and limit, never lowers either, while workers draw: for `sqn set` without --force and
// resynchronisations. true: next was lower, so that nothing from it on had been drawn.
bool builder_sqn_raise(struct builder *b, uint32_t index, uint64_t next, uint64_t limit);
// Sets both in the order that layout.h proves, whatever workers have drawn: for `sqn set --force` and a key
// change only.
void builder_sqn_set(struct builder *b, uint32_t index, uint64_t next, uint64_t limit);

// IND table (law 5): appends a host's hash, returns its place; -1 when full.
int builder_ind_add(struct builder *b, uint64_t host_hash);

// Frees what every reader has left behind; call after each batch. Cheap when there is nothing.
void builder_reclaim(struct builder *b);

// Calls `fn` for every published record until it returns false. `fn` may put, and delete the record
// that it was given; what it adds may be visited.
void builder_each(const struct builder *b, bool (*fn)(void *ctx, const struct cache_record *r), void *ctx);

// Inside of the builder, shared by build.c (records), index.c and identity.c (indices), build_parts.c, blob.c
// (profiles and their memory), node.c and reclaim.c (epochs, free lists, attaching). The loader's private
// memory: bitmaps for slots and SQN words (about a third of an octet a subscriber), 16 octets a distinct
// profile, 16 a serving node; nothing else grows with subscribers.
#pragma once
#include "cache/build.h"
#include "cache/index.h"

// Tests stop or kill the builder between any two stores that others can see; NULL otherwise.
extern void (*cache_step_hook)(void);
static inline void cache_step(void)
{
	if (__builtin_expect(cache_step_hook != NULL, 0))
		cache_step_hook();
}

#define POOL_NONE  UINT32_MAX
#define POOL_STACK 1024

// Numbers 0 .. cnt - 1, given out and taken back. What came back last goes out first, so that memory that is
// committed and warm is used again; never-used numbers come last.
struct pool {
	uint64_t *free; // one bit a number: free and not on the stack
	uint64_t *some; // one bit a word of `free`: not zero
	uint32_t *high; // in the header: numbers from here on were never used
	uint32_t cnt;
	uint32_t given; // back, and not out again: on the stack or in `free`
	uint32_t stack_cnt;
	uint32_t stack[POOL_STACK];
};

enum retired_kind { RETIRED_SLOT, RETIRED_SQN, RETIRED_BLOB, RETIRED_PARTS, RETIRED_GAP, RETIRED_NODE };

struct retired {
	uint64_t epoch;
	uint32_t kind; // enum retired_kind
	uint32_t at;  // slot, SQN index, node index, blob value (as records name it), unit where a gap begins
	uint32_t len; // of a gap, in units
};

#define RETIRED_CHUNK 1000

struct retired_chunk {
	struct retired_chunk *next;
	uint32_t first, cnt;
	struct retired e[RETIRED_CHUNK];
};

struct profile_entry {
	uint32_t blob; // value as in cache_record.profile; 0 = unused entry
	uint32_t refs; // records that name it
	uint32_t hash;
	uint32_t idle : 1;  // is on the idle list
	uint32_t next : 31; // chain or free list: index + 1
};

struct node_entry {
	uint32_t refs;
	uint32_t next;      // chain: index + 1
	uint32_t batch;     // builder_reclaim number when it was last handed out
	uint32_t published; // interned and findable
};

#define BLOB_CLASSES 192
#define NODE_BUCKETS 65536u

struct builder {
	struct cache c;
	struct cache_header *h;
	uint8_t *base, *blob;
	uint32_t *imsi_index, *msisdn_index;
	uint64_t *identity_index;
	struct cache_record *record;
	struct cache_node *node;
	uint64_t *ind;
	int fd;

	struct pool slots, sqns, nodes;
	struct retired_chunk *retired_first, *retired_last, *retired_spare;
	uint64_t retired_cnt;
	uint32_t retired_since; // since the last drain
	uint32_t batch;

	uint32_t blob_free[BLOB_CLASSES]; // first free blob: its unit + 1
	uint64_t blob_some[BLOB_CLASSES / 64];
	uint32_t gaps;       // found when attaching, not given back yet
	uint64_t blob_freed; // units since the last merge of neighbours

	struct profile_entry *profile;
	uint32_t profile_cnt, profile_cap, profile_free;
	uint32_t *profile_bucket;
	uint32_t profile_buckets; // power of two
	uint32_t *idle;
	uint32_t idle_cnt, idle_cap;

	struct node_entry *node_entry;
	uint32_t *node_bucket;
};

// index.c: entries of the two indices. A key is an IMSI, or an MSISDN.
uint32_t *builder_imsi_entry(const struct builder *b, imsi_t imsi);       // NULL when absent
uint32_t *builder_msisdn_entry(const struct builder *b, msisdn_t msisdn); // NULL when absent
void builder_imsi_point(struct builder *b, uint32_t *entry, imsi_t imsi, uint32_t slot);
void builder_msisdn_point(struct builder *b, uint32_t *entry, msisdn_t msisdn, uint32_t slot, unsigned role);
void builder_imsi_remove(struct builder *b, uint32_t *entry);
void builder_msisdn_remove(struct builder *b, uint32_t *entry);
// Walks the committed part of an index; `fn` gets the entries in use until it returns false, and again when
// it has put something else in their place.
int builder_imsi_each(const struct builder *b, bool (*fn)(void *ctx, uint32_t *entry), void *ctx) MUST_USE;
int builder_msisdn_each(const struct builder *b, bool (*fn)(void *ctx, uint32_t *entry), void *ctx) MUST_USE;
// Finishes the removal that a killed loader had begun.
int builder_index_tidy(struct builder *b) MUST_USE;

// The next committed piece of the records file in [at, end): 1 and its bounds, 0 when there is none, negative
// errno.
int builder_data_next(const struct builder *b, uint64_t at, uint64_t end, uint64_t *from, uint64_t *to) MUST_USE;

// identity.c: entries of the identity index. A key is a hash and the slot of the record that lists it.
uint64_t *builder_identity_entry(const struct builder *b, uint64_t hash, uint32_t slot); // NULL when absent
void builder_identity_point(struct builder *b, uint64_t *entry, uint64_t hash, uint32_t slot); // NULL: a new one
void builder_identity_remove(struct builder *b, uint64_t *entry);
int builder_identity_each(const struct builder *b, bool (*fn)(void *ctx, uint64_t *entry), void *ctx) MUST_USE;
int builder_identity_tidy(struct builder *b) MUST_USE;  // as builder_index_tidy
int builder_identity_count(struct builder *b) MUST_USE; // attaching: puts identity_cnt right

// build_parts.c. `old`: the record that is replaced, or NULL.
// The blob for the new copy, its references counted; old->parts when nothing changes, 0 when nothing is left.
int parts_compose(struct builder *b, const struct cache_record *old, const struct builder_extra *x,
		  uint32_t *value) MUST_USE;
void parts_retire(struct builder *b, const struct cache_record *r); // its blob and references, when it has one
void parts_give(struct builder *b, uint32_t value);		    // wipes it; the epochs have passed
// Lets the identities of a copy lead to it; removes entries that still lead to the old one.
void identities_point(struct builder *b, const struct cache_record *r, uint32_t slot,
		      const struct cache_record *old, uint32_t old_slot);
void identities_remove(struct builder *b, const struct cache_record *old, uint32_t old_slot);
// Attaching: counts the references of a published record's parts; puts the index right; adds what it lacks.
int parts_adopt(struct builder *b, const struct cache_record *r) MUST_USE;
int identities_adopt(struct builder *b) MUST_USE;
void identities_adopt_missing(struct builder *b, uint32_t slot);

// reclaim.c
int pool_init(struct pool *p, uint32_t cnt, uint32_t *high) MUST_USE;
void pool_fini(struct pool *p);
uint32_t pool_take(struct pool *p);
void pool_give(struct pool *p, uint32_t i);
uint32_t pool_left(const struct pool *p); // how many pool_take would find now
void builder_retire(struct builder *b, enum retired_kind kind, uint32_t at, uint32_t len);
// Gives back what every reader has left behind; true when something came back.
bool builder_drain(struct builder *b);
int builder_attach(struct builder *b) MUST_USE; // -EPROTO: what is there makes no sense

// blob.c, node.c
uint32_t blob_take(struct builder *b, uint32_t len); // value as in records (what follows the header), or 0
void blob_give(struct builder *b, uint32_t value);
void blob_give_gap(struct builder *b, uint32_t unit, uint32_t units);
struct cache_blob *blob_header(const struct builder *b, uint32_t value);
bool blob_valid(const struct builder *b, uint32_t value, uint32_t len_min);
// References of published records. profile_ref: false when no such profile is held.
bool profile_ref(struct builder *b, uint32_t value);
void profile_unref(struct builder *b, uint32_t value);
// attaching: one more record or part names it; len_min: the head of what it must be at least
int profile_adopt(struct builder *b, uint32_t value, uint32_t len_min) MUST_USE;
void profile_sweep(struct builder *b);
bool node_valid(const struct builder *b, uint32_t node);
void node_ref(struct builder *b, uint32_t node);
void node_unref(struct builder *b, uint32_t node);
void node_adopt(struct builder *b, uint32_t i);

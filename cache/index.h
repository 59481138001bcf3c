// One entry of the indices of IMSIs and MSISDNs: u32 = tag << slot_bits | slot + 1 (layout.h). Inside
// hss_cache only.
#pragma once
#include "cache/lookup.h"

static inline uint32_t index_load(const uint32_t *entry)
{
	// SC, not just acquire: the reader's argument in layout.h orders it after the pin. The same
	// instruction on x86.
	return __atomic_load_n(entry, __ATOMIC_SEQ_CST);
}

// The identity index: u64 = the upper bits of the hash | slot + 1. The home is in the highest of them.
#define IDENTITY_EMPTY     0ull
#define IDENTITY_TOMBSTONE UINT64_MAX

static inline uint64_t index_load_wide(const uint64_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_SEQ_CST);
}

static inline uint32_t index_slot_mask(const struct cache *c)
{
	return (1u << c->slot_bits) - 1;
}

// The tag in its place; the low bits of the hash choose the home, the high ones the tag.
static inline uint32_t index_tag(const struct cache *c, uint64_t hash)
{
	return (uint32_t)(hash >> 32) & ~index_slot_mask(c);
}

// The lowest bit of the tag: an MSISDN entry's place in the record.
static inline uint32_t index_role_bit(const struct cache *c)
{
	return 1u << c->slot_bits;
}

static inline uint32_t index_slot(const struct cache *c, uint32_t entry)
{
	return (entry & index_slot_mask(c)) - 1;
}

// Of a hash, or of an entry.
static inline uint64_t index_identity_tag(const struct cache *c, uint64_t v)
{
	return v & ~(uint64_t)index_slot_mask(c);
}

static inline uint32_t index_identity_home(const struct cache *c, uint64_t v)
{
	return (uint32_t)(v >> c->identity_shift);
}

static inline uint32_t index_identity_slot(const struct cache *c, uint64_t entry)
{
	return ((uint32_t)entry & index_slot_mask(c)) - 1;
}

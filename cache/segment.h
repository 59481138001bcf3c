// The memory files behind the cache: their geometry, and mapping them. Used by hssd (cache_create in
// build.h), by lookup.c and by the loader's build.c.
#pragma once
#include "cache/lookup.h"

// Fills in everything of a header that follows from max_subscribers (1 .. CACHE_SUBSCRIBERS_MAX) and
// max_identities (0: twice as many as subscribers), zeroes the rest.
void segment_geometry(uint32_t max_subscribers, uint32_t max_identities, struct cache_header *h);

// The size of the SQN file that goes with it.
uint64_t segment_sqn_len(const struct cache_header *h);

// Whether two headers describe the same layout.
bool segment_same(const struct cache_header *a, const struct cache_header *b);

// A sealed memory file of `len` octets, close-on-exec, mode 0400. The descriptor or a negative errno.
int segment_create(const char *name, uint64_t len) MUST_USE;

// Maps a file that must have exactly `len` octets; never in a core dump. NULL with errno.
void *segment_map(int fd, uint64_t len, bool writable) MUST_USE;

// Fills in the reader's view from a header (a private copy of the layout) and the two mappings.
void segment_bind(struct cache *c, const struct cache_header *geometry, const void *records, void *sqn);

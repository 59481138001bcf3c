// The documents that the feed knows, by a hash of their _id. The feed needs them because a deletion in
// MongoDB names only the _id, and because a sweep must find out what has changed and what is gone. Loader
// process, the feed thread.
//
// Up to 34 octets a document: entries of 24 octets in one table, which grows by a quarter, in place. Entries
// are sorted by id. The place of an entry is proportional to its id, or, if that is taken, behind it (linear
// probing). A search ends at the first greater id. It is this order that lets the table grow without a second
// one.
//
//	id:  0 ......................................................... 2^64
//	     [ | |a|b| |c|d|e| | |f| | | ...                    | |z| | slack ]
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/ident.h"

#define IDMAP_SEEN_MAX 0x3fffffffu

struct idmap_entry {
	uint64_t id;        // 0: empty place
	imsi_t imsi;        // 0: the document tells none
	uint32_t full;      // 0: not known
	uint32_t seen : 30; // generation of the sweep that saw it last
	uint32_t gone : 1;  // a deletion was seen, and is not believed yet
	uint32_t bad : 1;   // it was told as one that can't be served
};

struct idmap {
	struct idmap_entry *entry;
	size_t places; // that ids are spread over
	size_t slack;  // further ones behind, for the last ids' overflow
	size_t cnt;
};

// Empty; memory is taken as needed.
void idmap_init(struct idmap *m);
void idmap_fini(struct idmap *m);
// NULL: not there. The entry may be changed (not its id) until the next add or remove.
struct idmap_entry *idmap_find(const struct idmap *m, uint64_t id);
// Finds, or adds an entry that is zero but for its id (which is not 0). NULL: no memory.
struct idmap_entry *idmap_add(struct idmap *m, uint64_t id) MUST_USE;
void idmap_remove(struct idmap *m, uint64_t id);
// Walks: the first entry at or behind *at, whose place *at then is; step with (*at)++. NULL: the end. After
// removing the entry at *at, that place holds the next one or none: go on without a step.
struct idmap_entry *idmap_next(const struct idmap *m, size_t *at);

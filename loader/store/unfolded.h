// The journal entries that are not in the rows yet, as a map from a key to the number of its newest entry. A
// read of the local database asks here first, so it always sees the last commit, whether or not the fold
// thread has come to it (law 6).
// Main thread only. Its size follows the journal's length, which is bounded.
//
// Two tables: new keys go into `cur`; when it is half full and everything in `prev` has been folded (entries are folded in
// order), `prev` is emptied and they change places. So nothing is moved in the commit path while the fold thread
// keeps pace; only a longer backlog makes a table grow.
#pragma once
#include "cache/layout.h"
#include "lib/base/err.h"
#include "lib/base/map.h"

struct unfolded_slot {
	uint64_t key; // 0 = free
	uint64_t seq;
};

#define UNFOLDED_KEY(slot) ((slot)->key)
MAP_DEFINE(unfolded_map, struct unfolded_slot, UNFOLDED_KEY)

struct unfolded_table {
	struct unfolded_map map; // kept half empty: most searches find nothing
	uint64_t newest; // largest number in it
};

struct unfolded {
	struct unfolded_table cur, prev;
};

// What an entry is about. One subscriber may have an entry of each class.
enum unfolded_class {
	UNFOLDED_STATE = 1, // of one application
	UNFOLDED_DOC = 2,
	UNFOLDED_SQN = 3,
	UNFOLDED_MERGED = 4, // what an application keeps and merges
	UNFOLDED_GONE = 5,   // the subscriber was deleted, with all that was before
};

int unfolded_init(struct unfolded *u) MUST_USE;
void unfolded_fini(struct unfolded *u);

// `extra` tells SQN rows of one subscriber apart (start of the fingerprint), and states (the application); else 0.
uint64_t unfolded_key(enum unfolded_class cls, imsi_t imsi, uint64_t extra);

// Notes an entry. Entries up to `folded` are forgotten when room is needed. -ENOMEM: it was not noted.
int unfolded_note(struct unfolded *u, uint64_t key, uint64_t seq, uint64_t folded) MUST_USE;
// The newest entry beyond `folded`, 0 when there is none: the rows are current.
uint64_t unfolded_find(const struct unfolded *u, uint64_t key, uint64_t folded);
// Gives memory back if everything is folded.
void unfolded_trim(struct unfolded *u, uint64_t folded);

// Misses that wait for the upstream: one question an IMSI, however many ask; a bounded number and rate; who was not found
// a moment ago is not asked for again. Loader process, main thread; law 8.
#pragma once
#include "loader/loader.h"

struct read_through; // opaque, heap

struct read_through *read_through_new(uint32_t rate); // questions a second
void read_through_free(struct read_through **m);

enum read_through_turn {
	READ_THROUGH_ASK,      // the first one: ask the upstream, then read_through_end
	READ_THROUGH_JOINED,   // waits for the answer of another
	READ_THROUGH_NEGATIVE, // was not there a moment ago
	READ_THROUGH_TOO_MANY,
};
enum read_through_turn read_through_begin(struct read_through *m, imsi_t imsi, unsigned worker, uint32_t generation, uint64_t id);
// Answers everybody who waits for this IMSI.
void read_through_end(struct loader *l, struct read_through *m, imsi_t imsi, enum read_through_status status);
// Ten times a second: questions that may be asked.
void read_through_tick(struct read_through *m, uint32_t rate);

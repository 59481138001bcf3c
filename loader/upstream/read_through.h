// Read-through: the questions of workers about subscribers that are not in the cache. The upstream is asked
// once for an IMSI, however many requests wait for it. Number and rate of questions are bounded. An IMSI that
// was not found is not asked for again for a moment. Loader process, main thread; law 8.
#pragma once
#include "loader/loader.h"

struct read_through; // opaque, heap

struct read_through *read_through_new(uint32_t rate); // questions a second
void read_through_free(struct read_through **m);

enum read_through_turn {
	READ_THROUGH_ASK,      // the first request for it: ask the upstream, then call read_through_end
	READ_THROUGH_JOINED,   // the question has been asked: the request waits for its answer
	READ_THROUGH_NEGATIVE, // it was not found a moment ago
	READ_THROUGH_TOO_MANY,
};
enum read_through_turn read_through_begin(struct read_through *m, imsi_t imsi, unsigned worker, uint32_t generation, uint64_t id);
// Answers all requests that wait for this IMSI.
void read_through_end(struct loader *l, struct read_through *m, imsi_t imsi, enum read_through_status status);
// Ten times a second: allows further questions, at `rate` a second.
void read_through_tick(struct read_through *m, uint32_t rate);

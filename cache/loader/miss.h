// Misses that wait for the upstream: one question an IMSI, however many ask; a bounded number and rate; who was not found
// a moment ago is not asked for again. Loader process, main thread; law 8.
#pragma once
#include "cache/loader/loader.h"

struct miss; // opaque, heap

struct miss *miss_new(uint32_t rate); // questions a second
void miss_free(struct miss **m);

enum miss_turn {
	MISS_ASK,      // the first one: ask the upstream, then miss_end
	MISS_JOINED,   // waits for the answer of another
	MISS_NEGATIVE, // was not there a moment ago
	MISS_TOO_MANY,
};
enum miss_turn miss_begin(struct miss *m, imsi_t imsi, unsigned worker, uint32_t generation, uint64_t id);
// Answers everybody who waits for this IMSI.
void miss_end(struct loader *l, struct miss *m, imsi_t imsi, enum miss_status status);
// Ten times a second: questions that may be asked.
void miss_tick(struct miss *m, uint32_t rate);

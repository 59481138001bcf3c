// The subscribers whose document was looked up or changed a moment ago, because a worker or an operator
// waited for it. Such an answer overtakes the feed. An image that the feed brings afterwards may therefore be
// older than what is served already; if it were applied, a key that has been replaced would be used again.
// Loader process, main thread; pure.
//
// A table of fixed size with four places for each hash. When all four are taken, the oldest is replaced; at
// any rate that store.lookup_rate allows, that one is far more than a minute old.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/ident.h"

#define ANSWERED_SETS 16384u // a power of two
#define ANSWERED_WAYS 4u

struct answered {
	struct {
		uint64_t imsi, us;
	} place[ANSWERED_SETS][ANSWERED_WAYS];
};

// Notes that the answer came at `us` (monotonic microseconds).
static inline void answered_note(struct answered *a, imsi_t imsi, uint64_t us)
{
	unsigned set = (unsigned)ident_hash(imsi.v) & (ANSWERED_SETS - 1), oldest = 0;
	for (unsigned i = 0; i < ANSWERED_WAYS; i++) {
		if (a->place[set][i].imsi == imsi.v) {
			oldest = i;
			break;
		}
		if (a->place[set][i].us < a->place[set][oldest].us)
			oldest = i;
	}
	a->place[set][oldest].imsi = imsi.v;
	a->place[set][oldest].us = us;
}

// Has this subscriber been answered for after `us`?
static inline bool answered_after(const struct answered *a, imsi_t imsi, uint64_t us)
{
	unsigned set = (unsigned)ident_hash(imsi.v) & (ANSWERED_SETS - 1);
	for (unsigned i = 0; i < ANSWERED_WAYS; i++)
		if (a->place[set][i].imsi == imsi.v)
			return a->place[set][i].us > us;
	return false;
}

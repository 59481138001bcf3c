// Who was answered a moment ago: the subscribers whose document was looked up or changed for somebody who waited. Answers
// overtake the feed, so an image that the feed brings afterwards may be older than what is served already: a key that was
// replaced would be used again. Loader process, main thread; pure.
//
// A table of fixed size, four places for each hash: when all four are taken the oldest goes, which is far more than a minute
// old at any rate of questions that store.lookup_rate allows.
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

// Monotonic microseconds: the answer was there at `us`.
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

// Has it been answered after `us`?
static inline bool answered_after(const struct answered *a, imsi_t imsi, uint64_t us)
{
	unsigned set = (unsigned)ident_hash(imsi.v) & (ANSWERED_SETS - 1);
	for (unsigned i = 0; i < ANSWERED_WAYS; i++)
		if (a->place[set][i].imsi == imsi.v)
			return a->place[set][i].us > us;
	return false;
}

// Decides when a loss of subscribers is believed. A few deletions are meant. A loss of nearly all subscribers
// at once is a mistake: a dropped database, a wrong collection name, a restore that is under way. Pure; one
// owner.
//
//	up to ten in ten seconds, unless that is all	believed at once
//	more						when no further one went for two seconds, at the latest after half a minute
//	more than half of all within ten minutes	not before an operator confirms it; it ends when they are back
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define LOSS_FEW       10u
#define LOSS_FEW_MS    10000u
#define LOSS_WINDOW_MS 600000u
#define LOSS_CALM_MS   2000u
#define LOSS_WAIT_MS   30000u

struct loss {
	uint64_t few_ms, few;		  // since few_ms: deletions that were believed at once
	uint64_t window_ms, base, lost;	  // of `base` subscribers at window_ms so many are gone
	uint64_t pending, first_ms, last_ms; // seen to be gone, and not yet believed
};

// May `n` more of `known` subscribers be removed at once?
static inline bool loss_is_small(struct loss *s, uint64_t n, uint64_t known, uint64_t now_ms)
{
	if (s->pending || (n > 1 && n >= known))
		return false;
	if (now_ms - s->few_ms > LOSS_FEW_MS) {
		s->few_ms = now_ms;
		s->few = 0;
	}
	return s->few + n <= LOSS_FEW;
}

// These are gone, and their removal must wait.
static inline void loss_wait(struct loss *s, uint64_t n, uint64_t now_ms)
{
	if (s->pending == 0)
		s->first_ms = now_ms;
	s->pending += n;
	s->last_ms = now_ms;
}

static inline bool loss_is_calm(const struct loss *s, uint64_t now_ms)
{
	return s->pending && (now_ms - s->last_ms >= LOSS_CALM_MS || now_ms - s->first_ms >= LOSS_WAIT_MS);
}

// Is `missing` out of `known` too large a loss to be believed? Those that went within the window count, too.
static inline bool loss_is_sudden(struct loss *s, uint64_t missing, uint64_t known, uint64_t now_ms)
{
	if (now_ms - s->window_ms > LOSS_WINDOW_MS) {
		s->window_ms = now_ms;
		s->base = known;
		s->lost = 0;
	}
	uint64_t base = s->base > known ? s->base : known, all = s->lost + missing;
	return missing && (missing >= known || all > LOSS_FEW) && all * 2 > base;
}

// These were removed.
static inline void loss_believed(struct loss *s, uint64_t n)
{
	s->few += n;
	s->lost += n;
}

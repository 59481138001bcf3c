// The subscribers of one batch, as a set. It is emptied in one step, by counting the batch number up. Open
// addressing; its owner keeps it at most a quarter full.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "lib/base/ident.h"

struct key_place {
	uint64_t key;
	uint32_t batch; // of the set, when it was put there
};

struct key_set {
	struct key_place *place;
	uint32_t mask; // places - 1
	uint32_t batch;
};

// Is the key in the set? Puts it there when `add`. 0 is never in it.
static inline bool key_set_has(struct key_set *s, uint64_t key, bool add)
{
	if (key == 0)
		return false;
	for (uint32_t i = (uint32_t)ident_hash(key) & s->mask;; i = (i + 1) & s->mask) {
		struct key_place *p = &s->place[i];
		if (p->batch != s->batch) {
			if (add)
				*p = (struct key_place){.key = key, .batch = s->batch};
			return false;
		}
		if (p->key == key)
			return true;
	}
}

static inline void key_set_clear(struct key_set *s)
{
	if (++s->batch)
		return;
	memset(s->place, 0, ((size_t)s->mask + 1) * sizeof(*s->place));
	s->batch = 1;
}

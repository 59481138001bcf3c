// Per-request memory: one block allocated at start, bump-allocated while a request is served, reset in one step
// when it has been answered. Never grows, never frees single pieces: a request that needs more is refused.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct arena {
	uint8_t *base;
	size_t used;
	size_t cap;
};

// 0, or -ENOMEM. The arena owns its block until arena_fini.
int arena_init(struct arena *a, size_t cap);
void arena_fini(struct arena *a);

// n bytes aligned to 16, zeroed, or NULL when the arena is used up.
void *arena_take(struct arena *a, size_t n);

// Forgets everything taken; wipes what was used, since keys and vectors pass through here.
void arena_reset(struct arena *a);

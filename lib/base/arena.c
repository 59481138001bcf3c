// The memory of one request: a block, and how much of it is taken (arena.h).
#include "lib/base/arena.h"
#include "lib/base/secret.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int arena_init(struct arena *a, size_t cap)
{
	a->base = aligned_alloc(64, (cap + 63) & ~(size_t)63);
	a->used = 0;
	a->cap = a->base ? cap : 0;
	return a->base ? 0 : -ENOMEM;
}

void arena_fini(struct arena *a)
{
	arena_reset(a);
	free(a->base);
	*a = (struct arena){0};
}

void *arena_take(struct arena *a, size_t n)
{
	size_t need = (n + 15) & ~(size_t)15;
	if (need < n || a->cap - a->used < need)
		return NULL;
	void *p = a->base + a->used;
	a->used += need;
	return memset(p, 0, need);
}

void arena_reset(struct arena *a)
{
	if (a->used)
		secret_wipe(a->base, a->used);
	a->used = 0;
}

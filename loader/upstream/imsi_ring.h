// A queue of IMSIs, each with the second since when it waits. It grows as needed, twelve octets a place. Pure; one owner.
#pragma once
#include <stdlib.h>
#include "lib/base/err.h"
#include "lib/base/ident.h"

#define IMSI_RING_KEEP 65536u // places that stay allocated when it is empty

struct imsi_ring {
	uint64_t *imsi;
	uint32_t *since_s;
	uint32_t cap, head, cnt; // cap: a power of two
};

static inline bool imsi_ring_grow(struct imsi_ring *r)
{
	uint32_t cap = r->cap ? r->cap * 2 : 1024;
	uint64_t *imsi = malloc(cap * sizeof(*imsi));
	uint32_t *since = malloc(cap * sizeof(*since));
	if (!imsi || !since || cap == 0) {
		free(imsi);
		free(since);
		return false;
	}
	for (uint32_t i = 0; i < r->cnt; i++) {
		imsi[i] = r->imsi[(r->head + i) & (r->cap - 1)];
		since[i] = r->since_s[(r->head + i) & (r->cap - 1)];
	}
	free(r->imsi);
	free(r->since_s);
	*r = (struct imsi_ring){.imsi = imsi, .since_s = since, .cap = cap, .cnt = r->cnt};
	return true;
}

// false: no memory.
static inline bool imsi_ring_push(struct imsi_ring *r, imsi_t imsi, uint32_t since_s)
{
	if (r->cnt == r->cap && !imsi_ring_grow(r))
		return false;
	uint32_t at = (r->head + r->cnt++) & (r->cap - 1);
	r->imsi[at] = imsi.v;
	r->since_s[at] = since_s;
	return true;
}

static inline void imsi_ring_free(struct imsi_ring *r)
{
	free(r->imsi);
	free(r->since_s);
	*r = (struct imsi_ring){0};
}

// The ring is not empty.
static inline imsi_t imsi_ring_pop(struct imsi_ring *r, uint32_t *since_s)
{
	imsi_t imsi = {r->imsi[r->head]};
	*since_s = r->since_s[r->head];
	r->head = (r->head + 1) & (r->cap - 1);
	if (--r->cnt == 0 && r->cap > IMSI_RING_KEEP)
		imsi_ring_free(r);
	return imsi;
}

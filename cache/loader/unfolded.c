// See unfolded.h. Open addressing, rebuilt (without what has been folded) when half full.
#include "cache/loader/unfolded.h"
#include <errno.h>
#include <stdlib.h>

#define UNFOLDED_MIN 16384u

int unfolded_init(struct unfolded *u)
{
	*u = (struct unfolded){.slot = calloc(UNFOLDED_MIN, sizeof(*u->slot)), .cap = UNFOLDED_MIN};
	return u->slot ? 0 : -ENOMEM;
}

void unfolded_fini(struct unfolded *u)
{
	free(u->slot);
	*u = (struct unfolded){0};
}

uint64_t unfolded_key(enum unfolded_class cls, imsi_t imsi, uint64_t extra)
{
	// a full 64-bit mix: two subscribers share a key with a chance of 2^-64 a pair; what is found is
	// checked besides
	uint64_t key = ident_hash(imsi.v ^ ident_hash(extra + cls));
	return key ? key : 1;
}

static struct unfolded_slot *probe(const struct unfolded *u, uint64_t key)
{
	for (uint32_t i = (uint32_t)key & (u->cap - 1);; i = (i + 1) & (u->cap - 1))
		if (u->slot[i].key == key || u->slot[i].key == 0)
			return &u->slot[i];
}

static int rebuild(struct unfolded *u, uint64_t folded)
{
	uint32_t live = 0;
	for (uint32_t i = 0; i < u->cap; i++)
		live += u->slot[i].key && u->slot[i].seq > folded;
	uint32_t cap = UNFOLDED_MIN;
	while (cap < live * 4)
		cap *= 2;
	struct unfolded next = {.slot = calloc(cap, sizeof(*next.slot)), .cap = cap, .used = live};
	if (!next.slot)
		return -ENOMEM;
	for (uint32_t i = 0; i < u->cap; i++)
		if (u->slot[i].key && u->slot[i].seq > folded)
			*probe(&next, u->slot[i].key) = u->slot[i];
	free(u->slot);
	*u = next;
	return 0;
}

int unfolded_note(struct unfolded *u, uint64_t key, uint64_t seq, uint64_t folded)
{
	struct unfolded_slot *s = probe(u, key);
	if (s->key == 0 && u->used >= u->cap / 2) {
		int rc = rebuild(u, folded);
		if (rc)
			return rc;
		s = probe(u, key);
	}
	if (s->key == 0) {
		s->key = key;
		u->used++;
	}
	s->seq = seq;
	return 0;
}

uint64_t unfolded_find(const struct unfolded *u, uint64_t key, uint64_t folded)
{
	const struct unfolded_slot *s = probe(u, key);
	return s->key && s->seq > folded ? s->seq : 0;
}

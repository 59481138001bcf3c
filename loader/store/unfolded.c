// The two hash tables of unfolded.h: open addressing, at most half full.
#include "loader/store/unfolded.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNFOLDED_MIN 16384u

static int table_init(struct unfolded_table *t, uint32_t cap)
{
	*t = (struct unfolded_table){.slot = calloc(cap, sizeof(*t->slot)), .cap = cap};
	return t->slot ? 0 : -ENOMEM;
}

static void table_clear(struct unfolded_table *t)
{
	memset(t->slot, 0, (size_t)t->cap * sizeof(*t->slot));
	t->used = 0;
	t->newest = 0;
}

int unfolded_init(struct unfolded *u)
{
	*u = (struct unfolded){0};
	int rc = table_init(&u->cur, UNFOLDED_MIN);
	if (rc == 0)
		rc = table_init(&u->prev, UNFOLDED_MIN);
	if (rc)
		unfolded_fini(u);
	return rc;
}

void unfolded_fini(struct unfolded *u)
{
	free(u->cur.slot);
	free(u->prev.slot);
	*u = (struct unfolded){0};
}

uint64_t unfolded_key(enum unfolded_class cls, imsi_t imsi, uint64_t extra)
{
	// a full 64-bit mix: two subscribers share a key with a chance of 2^-64 a pair; what is found is
	// checked besides
	uint64_t key = ident_hash(imsi.v ^ (ident_hash(extra) + cls * 0x9e3779b97f4a7c15ull));
	return key ? key : 1;
}

static struct unfolded_slot *probe(const struct unfolded_table *t, uint64_t key)
{
	for (uint32_t i = (uint32_t)key & (t->cap - 1);; i = (i + 1) & (t->cap - 1))
		if (t->slot[i].key == key || t->slot[i].key == 0)
			return &t->slot[i];
}

// Twice the size, without what has been folded.
static int table_grow(struct unfolded_table *t, uint64_t folded)
{
	struct unfolded_table next;
	int rc = t->cap > UINT32_MAX / 4 ? -ENOMEM : table_init(&next, t->cap * 2);
	if (rc)
		return rc;
	next.newest = t->newest;
	for (uint32_t i = 0; i < t->cap; i++)
		if (t->slot[i].key && t->slot[i].seq > folded) {
			*probe(&next, t->slot[i].key) = t->slot[i];
			next.used++;
		}
	free(t->slot);
	*t = next;
	return 0;
}

static int make_room(struct unfolded *u, uint64_t folded)
{
	if (u->prev.newest > folded)
		return table_grow(&u->cur, folded);
	struct unfolded_table empty = u->prev;
	if (empty.cap < u->cur.cap) {
		int rc = table_init(&empty, u->cur.cap);
		if (rc)
			return rc;
		free(u->prev.slot);
	} else {
		table_clear(&empty);
	}
	u->prev = u->cur;
	u->cur = empty;
	return 0;
}

int unfolded_note(struct unfolded *u, uint64_t key, uint64_t seq, uint64_t folded)
{
	struct unfolded_slot *s = probe(&u->cur, key);
	if (s->key == 0 && u->cur.used >= u->cur.cap / 2) {
		int rc = make_room(u, folded);
		if (rc)
			return rc;
		s = probe(&u->cur, key);
	}
	if (s->key == 0) {
		s->key = key;
		u->cur.used++;
	}
	s->seq = seq;
	if (seq > u->cur.newest)
		u->cur.newest = seq;
	return 0;
}

static uint64_t find(const struct unfolded_table *t, uint64_t key, uint64_t folded)
{
	const struct unfolded_slot *s = probe(t, key);
	return s->key && s->seq > folded ? s->seq : 0;
}

uint64_t unfolded_find(const struct unfolded *u, uint64_t key, uint64_t folded)
{
	uint64_t seq = find(&u->cur, key, folded); // newer than any that `prev` has
	return seq ? seq : find(&u->prev, key, folded);
}

void unfolded_trim(struct unfolded *u, uint64_t folded)
{
	struct unfolded_table *both[] = {&u->cur, &u->prev};
	if (u->cur.newest > folded || u->prev.newest > folded)
		return;
	for (unsigned i = 0; i < 2; i++) {
		struct unfolded_table small;
		if (both[i]->cap == UNFOLDED_MIN || table_init(&small, UNFOLDED_MIN))
			continue;
		free(both[i]->slot);
		*both[i] = small;
	}
}

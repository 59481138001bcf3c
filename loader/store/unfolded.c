// The two hash tables of unfolded.h, each at most half full.
#include "loader/store/unfolded.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNFOLDED_MIN 16384u

// Empty, of at least `cap` places.
static int table_init(struct unfolded_table *t, uint64_t cap)
{
	*t = (struct unfolded_table){0};
	return unfolded_map_reserve(&t->map, cap / 4 * 3) ? 0 : -ENOMEM;
}

static void table_clear(struct unfolded_table *t)
{
	memset(t->map.place, 0, t->map.cap * sizeof(*t->map.place));
	t->map.cnt = 0;
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
	unfolded_map_free(&u->cur.map);
	unfolded_map_free(&u->prev.map);
	*u = (struct unfolded){0};
}

uint64_t unfolded_key(enum unfolded_class cls, imsi_t imsi, uint64_t extra)
{
	// a full 64-bit mix: two subscribers share a key with a chance of 2^-64 a pair; what is found is
	// checked besides
	uint64_t key = ident_hash(imsi.v ^ (ident_hash(extra) + cls * 0x9e3779b97f4a7c15ull));
	return key ? key : 1;
}

// Twice the size, without what has been folded.
static int table_grow(struct unfolded_table *t, uint64_t folded)
{
	struct unfolded_table next;
	const struct unfolded_slot *s;
	int rc = table_init(&next, t->map.cap * 2);
	if (rc)
		return rc;
	next.newest = t->newest;
	for (uint64_t at = 0; (s = unfolded_map_next(&t->map, &at)); at++)
		if (s->seq > folded)
			(void)unfolded_map_add(&next.map, *s); // there is room
	unfolded_map_free(&t->map);
	*t = next;
	return 0;
}

static int make_room(struct unfolded *u, uint64_t folded)
{
	if (u->prev.newest > folded)
		return table_grow(&u->cur, folded);
	struct unfolded_table empty = u->prev;
	if (empty.map.cap < u->cur.map.cap) {
		int rc = table_init(&empty, u->cur.map.cap);
		if (rc)
			return rc;
		unfolded_map_free(&u->prev.map);
	} else {
		table_clear(&empty);
	}
	u->prev = u->cur;
	u->cur = empty;
	return 0;
}

int unfolded_note(struct unfolded *u, uint64_t key, uint64_t seq, uint64_t folded)
{
	struct unfolded_slot *s = unfolded_map_find(&u->cur.map, key);
	if (!s && u->cur.map.cnt >= u->cur.map.cap / 2) {
		int rc = make_room(u, folded);
		if (rc)
			return rc;
	}
	if (!s)
		s = unfolded_map_add(&u->cur.map, (struct unfolded_slot){.key = key});
	if (!s)
		return -ENOMEM;
	s->seq = seq;
	if (seq > u->cur.newest)
		u->cur.newest = seq;
	return 0;
}

static uint64_t find(const struct unfolded_table *t, uint64_t key, uint64_t folded)
{
	const struct unfolded_slot *s = unfolded_map_find(&t->map, key);
	return s && s->seq > folded ? s->seq : 0;
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
		if (both[i]->map.cap == UNFOLDED_MIN || table_init(&small, UNFOLDED_MIN))
			continue;
		unfolded_map_free(&both[i]->map);
		*both[i] = small;
	}
}

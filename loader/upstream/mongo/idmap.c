// The ordered table of idmap.h: searching, shifting, growing in place. Loader process, the feed thread.
#include "loader/upstream/mongo/idmap.h"
#include <stdlib.h>
#include <string.h>

#define PLACES_MIN 1024u
#define SLACK_MIN  256u
#define FULL_NUM   9u // of 10

void idmap_init(struct idmap *m)
{
	*m = (struct idmap){0};
}

void idmap_fini(struct idmap *m)
{
	free(m->entry);
	*m = (struct idmap){0};
}

static size_t place_of(uint64_t id, size_t places)
{
	return (size_t)(((unsigned __int128)id * places) >> 64);
}

// The place of `id`, or where it belongs: the first that is empty or holds a greater one.
static size_t search(const struct idmap *m, uint64_t id)
{
	size_t all = m->places + m->slack;
	size_t i = m->places ? place_of(id, m->places) : 0;
	while (i < all && m->entry[i].id && m->entry[i].id < id)
		i++;
	return i;
}

struct idmap_entry *idmap_find(const struct idmap *m, uint64_t id)
{
	size_t i = search(m, id);
	return id && i < m->places + m->slack && m->entry[i].id == id ? &m->entry[i] : NULL;
}

// How many slack places the entries need when they are spread over `places`.
static size_t slack_needed(const struct idmap *m, size_t places)
{
	size_t next = 0;
	for (size_t i = 0; i < m->places + m->slack; i++) {
		if (!m->entry[i].id)
			continue;
		size_t at = place_of(m->entry[i].id, places);
		next = (at > next ? at : next) + 1;
	}
	return next > places ? next - places : 0;
}

// All to the end of the larger table, then each to its place, in order. A place is never behind where its
// entry waits: behind an entry there are as many places as entries, or the last one would not fit, which
// slack_needed has excluded.
static void spread(struct idmap *m, size_t old_all)
{
	size_t all = m->places + m->slack, to = all;
	for (size_t i = old_all; i-- > 0;)
		if (m->entry[i].id)
			m->entry[--to] = m->entry[i];
	memset(m->entry, 0, (to < old_all ? to : old_all) * sizeof(*m->entry));
	size_t next = 0;
	for (size_t from = to; from < all; from++) {
		struct idmap_entry e = m->entry[from];
		size_t at = place_of(e.id, m->places);
		at = at > next ? at : next;
		m->entry[from] = (struct idmap_entry){0};
		m->entry[at] = e;
		next = at + 1;
	}
}

static bool grow(struct idmap *m, bool overflow)
{
	size_t old_all = m->places + m->slack, places = m->places;
	// an overflow at the end is ids that lie too close: more places hardly part them
	if (!overflow || places == 0)
		places = places ? places + places / 4 : PLACES_MIN;
	size_t slack = slack_needed(m, places) + SLACK_MIN;
	if (places + slack < old_all)
		slack = old_all - places;
	struct idmap_entry *e = realloc(m->entry, (places + slack) * sizeof(*e));
	if (!e)
		return false;
	m->entry = e;
	m->places = places;
	m->slack = slack;
	if (places + slack > old_all)
		memset(&e[old_all], 0, (places + slack - old_all) * sizeof(*e));
	spread(m, old_all);
	return true;
}

struct idmap_entry *idmap_add(struct idmap *m, uint64_t id)
{
	struct idmap_entry *found = idmap_find(m, id);
	if (found || id == 0)
		return found;
	if (m->cnt * 10 >= m->places * FULL_NUM && !grow(m, false))
		return NULL;
	if (m->entry[m->places + m->slack - 1].id && !grow(m, true))
		return NULL;
	size_t at = search(m, id), end = at;
	while (m->entry[end].id)
		end++;
	memmove(&m->entry[at + 1], &m->entry[at], (end - at) * sizeof(*m->entry));
	m->entry[at] = (struct idmap_entry){.id = id};
	m->cnt++;
	return &m->entry[at];
}

void idmap_remove(struct idmap *m, uint64_t id)
{
	struct idmap_entry *e = idmap_find(m, id);
	if (!e)
		return;
	size_t at = (size_t)(e - m->entry), all = m->places + m->slack;
	// those that were pushed back by it move up, unless they stand where they belong
	while (at + 1 < all && m->entry[at + 1].id && place_of(m->entry[at + 1].id, m->places) <= at) {
		m->entry[at] = m->entry[at + 1];
		at++;
	}
	m->entry[at] = (struct idmap_entry){0};
	m->cnt--;
}

struct idmap_entry *idmap_next(const struct idmap *m, size_t *at)
{
	for (; *at < m->places + m->slack; (*at)++)
		if (m->entry[*at].id)
			return &m->entry[*at];
	return NULL;
}

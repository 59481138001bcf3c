// A set of IMSIs that grows, eight octets each and at least a quarter of it spare, with a mark beside each member.
// Pure; one owner.
#pragma once
#include "lib/base/map.h"

#define IMSI_SET_MARK	    (1ull << 59) // no IMSI has this bit (ident.h)
#define IMSI_SET_KEY(place) (*(place) & ~IMSI_SET_MARK)
MAP_DEFINE(imsi_places, uint64_t, IMSI_SET_KEY)

struct imsi_set {
	struct imsi_places map;
};

// 1 added, 0 it is there already, -1 no memory (or none of an IMSI).
static inline int imsi_set_add(struct imsi_set *s, imsi_t imsi)
{
	if (imsi_places_find(&s->map, imsi.v))
		return 0;
	return imsi_places_add(&s->map, imsi.v) ? 1 : -1;
}

// Adds it, or takes the mark of a member away.
static inline int imsi_set_add_unmarked(struct imsi_set *s, imsi_t imsi)
{
	uint64_t *at = imsi_places_find(&s->map, imsi.v);
	if (at)
		*at &= ~IMSI_SET_MARK;
	return at ? 0 : imsi_set_add(s, imsi);
}

static inline bool imsi_set_has(const struct imsi_set *s, imsi_t imsi)
{
	return imsi_places_find(&s->map, imsi.v);
}

// A member that has no mark.
static inline bool imsi_set_has_unmarked(const struct imsi_set *s, imsi_t imsi)
{
	const uint64_t *at = imsi_places_find(&s->map, imsi.v);
	return at && !(*at & IMSI_SET_MARK);
}

// Marks a member. false: it was marked, or is none.
static inline bool imsi_set_mark(struct imsi_set *s, imsi_t imsi)
{
	uint64_t *at = imsi_places_find(&s->map, imsi.v);
	if (!at || *at & IMSI_SET_MARK)
		return false;
	*at |= IMSI_SET_MARK;
	return true;
}

// Takes the mark that an added member does not have yet. true: it was a member and had none; the next call says false.
static inline bool imsi_set_take(struct imsi_set *s, imsi_t imsi)
{
	return imsi_set_mark(s, imsi);
}

static inline void imsi_set_free(struct imsi_set *s)
{
	imsi_places_free(&s->map);
}

// A set of IMSIs that grows, eight octets each and a quarter of it spare, with a mark beside each member.
// Pure; one owner.
#pragma once
#include <stdlib.h>
#include "lib/base/ident.h"

struct imsi_set {
	uint64_t *slot;    // 0: free
	uint64_t cap, cnt; // cap: a power of two
};

#define IMSI_SET_MARK (1ull << 59) // no IMSI has this bit (ident.h)

static inline uint64_t *imsi_set_slot(const struct imsi_set *s, uint64_t v)
{
	uint64_t i = ident_hash(v) & (s->cap - 1);
	while (s->slot[i] && (s->slot[i] & ~IMSI_SET_MARK) != v)
		i = (i + 1) & (s->cap - 1);
	return &s->slot[i];
}

static inline bool imsi_set_grow(struct imsi_set *s)
{
	struct imsi_set bigger = {.cap = s->cap ? s->cap * 2 : 1024, .cnt = s->cnt};
	bigger.slot = calloc(bigger.cap, sizeof(*bigger.slot));
	if (!bigger.slot)
		return false;
	for (uint64_t i = 0; i < s->cap; i++)
		if (s->slot[i])
			*imsi_set_slot(&bigger, s->slot[i] & ~IMSI_SET_MARK) = s->slot[i];
	free(s->slot);
	*s = bigger;
	return true;
}

// 1 added, 0 it is there already, -1 no memory.
static inline int imsi_set_add(struct imsi_set *s, imsi_t imsi)
{
	if (s->cnt * 4 >= s->cap * 3 && !imsi_set_grow(s))
		return -1;
	uint64_t *at = imsi_set_slot(s, imsi.v);
	if (*at)
		return 0;
	*at = imsi.v;
	s->cnt++;
	return 1;
}

// Adds it, or takes the mark of a member away.
static inline int imsi_set_add_unmarked(struct imsi_set *s, imsi_t imsi)
{
	int rc = imsi_set_add(s, imsi);
	if (rc == 0)
		*imsi_set_slot(s, imsi.v) &= ~IMSI_SET_MARK;
	return rc;
}

static inline bool imsi_set_has(const struct imsi_set *s, imsi_t imsi)
{
	return s->cap && *imsi_set_slot(s, imsi.v);
}

// Marks a member. false: it was marked, or is none.
static inline bool imsi_set_mark(struct imsi_set *s, imsi_t imsi)
{
	uint64_t *at = s->cap && imsi.v ? imsi_set_slot(s, imsi.v) : NULL;
	if (!at || !*at || *at & IMSI_SET_MARK)
		return false;
	*at |= IMSI_SET_MARK;
	return true;
}

// A member that has no mark.
static inline bool imsi_set_has_unmarked(const struct imsi_set *s, imsi_t imsi)
{
	return s->cap && imsi.v && *imsi_set_slot(s, imsi.v) == imsi.v;
}

// Takes the mark that an added member does not have yet. true: it was a member and had none; the next call says false.
static inline bool imsi_set_take(struct imsi_set *s, imsi_t imsi)
{
	return s->cnt && imsi_set_mark(s, imsi);
}

static inline void imsi_set_free(struct imsi_set *s)
{
	free(s->slot);
	*s = (struct imsi_set){0};
}

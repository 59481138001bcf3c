// A hash map: finds a place by a 64-bit key that is not 0. Open addressing with linear probing, at most three quarters
// full, doubled when it has no room; a removal moves later places back, so nothing is left that slows searches down. Pure;
// one owner, who also bounds how many keys there are.
//
//	struct age { uint64_t imsi; uint32_t years; };
//	#define AGE_KEY(place) ((place)->imsi)
//	MAP_DEFINE(ages, struct age, AGE_KEY)
//
//	struct ages m = {0};                                     // empty, no memory taken yet
//	struct age *a = ages_add(&m, (struct age){.imsi = 7});   // the place of 7, NULL: no memory
//	a = ages_find(&m, 7);                                    // NULL: not there
//	ages_remove(&m, a);
//	ages_free(&m);
//
// KEY(place) says the key of a place, or 0 when it is free. Pointers to places are valid until the next add or remove.
//
// Tables that are not made with it, and why:
//   - mongo/idmap.h must grow without a second table beside it, and is walked while its entries are removed;
//   - hss_request.c: rows enter its buckets after they were committed, which must not fail;
//   - problems.c keeps an order, and is short;
//   - key_set.h is emptied after each batch, by counting on;
//   - answered.h and the unknown IMSIs of read_through.c forget on purpose: fixed places, newer ones replace older ones;
//   - the cache's tables are shared memory, written in an order that readers rely on.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include "lib/base/ident.h"

#define MAP_PLACES_MIN 64u
#define MAP_PLACES_MAX (1ull << 32)

// How many places hold `cnt` keys. 0: too many.
static inline uint64_t map_places(uint64_t cnt)
{
	uint64_t places = MAP_PLACES_MIN;
	while (places <= MAP_PLACES_MAX && cnt > places / 4 * 3)
		places *= 2;
	return places <= MAP_PLACES_MAX ? places : 0;
}

// MAP_DEFINE(name, type, KEY): struct name, and
//   type *name_find(m, key)       NULL: not there
//   bool name_reserve(m, cnt)     room for so many keys; false: no memory
//   type *name_add(m, fresh)      the place of KEY(&fresh): as it is, or a copy of `fresh`; NULL: no memory
//   void name_remove(m, place)
//   type *name_next(m, at)        a walk: the first place at or behind *at; go on with ++*at; NULL: the end
//   void name_free(m)             empty again
#define MAP_DEFINE(name, type, KEY)                                                                                  \
	struct name {                                                                                                \
		type *place;                                                                                         \
		uint64_t cap, cnt; /* places: a power of two; keys */                                                \
	};                                                                                                           \
	/* The place of the key, or the free one where it belongs. */                                                \
	static inline type *name##_probe(const struct name *m, uint64_t key)                                         \
	{                                                                                                            \
		uint64_t i = ident_hash(key) & (m->cap - 1);                                                         \
		while (KEY(&m->place[i]) && KEY(&m->place[i]) != key)                                                \
			i = (i + 1) & (m->cap - 1);                                                                  \
		return &m->place[i];                                                                                 \
	}                                                                                                            \
	static inline type *name##_find(const struct name *m, uint64_t key)                                          \
	{                                                                                                            \
		type *p = m->cap && key ? name##_probe(m, key) : NULL;                                               \
		return p && KEY(p) ? p : NULL;                                                                       \
	}                                                                                                            \
	static inline bool name##_reserve(struct name *m, uint64_t cnt)                                              \
	{                                                                                                            \
		if (cnt <= m->cap / 4 * 3)                                                                           \
			return true;                                                                                 \
		struct name bigger = {.cap = map_places(cnt), .cnt = m->cnt};                                        \
		bigger.place = bigger.cap ? calloc(bigger.cap, sizeof(type)) : NULL;                                 \
		if (!bigger.place)                                                                                   \
			return false;                                                                                \
		for (uint64_t i = 0; i < m->cap; i++)                                                                \
			if (KEY(&m->place[i]))                                                                       \
				*name##_probe(&bigger, KEY(&m->place[i])) = m->place[i];                             \
		free(m->place);                                                                                      \
		*m = bigger;                                                                                         \
		return true;                                                                                         \
	}                                                                                                            \
	static inline type *name##_add(struct name *m, type fresh)                                                   \
	{                                                                                                            \
		type *p = name##_find(m, KEY(&fresh));                                                               \
		if (p)                                                                                               \
			return p;                                                                                    \
		if (!KEY(&fresh) || !name##_reserve(m, m->cnt + 1))                                                  \
			return NULL;                                                                                 \
		p = name##_probe(m, KEY(&fresh));                                                                    \
		*p = fresh;                                                                                          \
		m->cnt++;                                                                                            \
		return p;                                                                                            \
	}                                                                                                            \
	/* Each later place up to the next free one moves into the hole, if the hole is not before where it belongs. */ \
	static inline void name##_remove(struct name *m, type *place)                                                \
	{                                                                                                            \
		uint64_t mask = m->cap - 1, hole = (uint64_t)(place - m->place), i = hole;                           \
		m->cnt--;                                                                                            \
		while (i = (i + 1) & mask, KEY(&m->place[i])) {                                                      \
			uint64_t home = ident_hash(KEY(&m->place[i])) & mask;                                        \
			if (((i - home) & mask) < ((i - hole) & mask))                                               \
				continue;                                                                            \
			m->place[hole] = m->place[i];                                                                \
			hole = i;                                                                                    \
		}                                                                                                    \
		m->place[hole] = (type){0};                                                                          \
	}                                                                                                            \
	static inline type *name##_next(const struct name *m, uint64_t *at)                                          \
	{                                                                                                            \
		while (*at < m->cap && !KEY(&m->place[*at]))                                                         \
			++*at;                                                                                       \
		return *at < m->cap ? &m->place[*at] : NULL;                                                         \
	}                                                                                                            \
	static inline void name##_free(struct name *m)                                                               \
	{                                                                                                            \
		free(m->place);                                                                                      \
		*m = (struct name){0};                                                                               \
	}

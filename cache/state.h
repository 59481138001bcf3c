// What an application keeps for one subscriber, as a part of its record: its state, or what it made of the subscriber's
// document (its data). The loader publishes both with the record in one swing (layout.h); workers read them between pin
// and unpin. An application may keep its state in the record's own fields instead (loader/app.h).
//
// A part's octets: references to what subscribers share (cache_shared_get), version and note, the key of the last
// change, the application's octets. Data have no version and no key.
#pragma once
#include "cache/build.h"
#include "cache/lookup.h"

enum cache_state_kind { CACHE_STATE = 0, CACHE_DATA = 1 }; // kind of the part

#define CACHE_STATE_HEAD       12
#define CACHE_STATE_SHARED_MAX 12
#define CACHE_STATE_OVERHEAD   (CACHE_STATE_HEAD + CACHE_STATE_SHARED_MAX * 4) // octets beside the application's, at most

struct cache_state {
	uint16_t version; // 0: there is no state
	uint16_t note;	  // the application's: costs nothing
	uint64_t key;
	unsigned shared_cnt;
	uint32_t shared[CACHE_STATE_SHARED_MAX]; // values of builder_shared; 0: none
	struct slice body; // borrowed from the cache; aligned to 4
};

// false: the subscriber has no such part; *out is empty then.
static inline bool cache_state_of_kind(const struct cache *c, const struct cache_record *r, unsigned app,
				       enum cache_state_kind kind, struct cache_state *out)
{
	struct cache_part p;
	*out = (struct cache_state){0};
	if (!cache_part_find(c, r, app, kind, &p) || p.shared_cnt > CACHE_STATE_SHARED_MAX ||
	    p.bytes.len < CACHE_STATE_HEAD + p.shared_cnt * 4u)
		return false;
	memcpy(out->shared, p.bytes.p, p.shared_cnt * 4u);
	out->shared_cnt = p.shared_cnt;
	const uint8_t *head = p.bytes.p + p.shared_cnt * 4u;
	memcpy(&out->version, head, sizeof out->version);
	memcpy(&out->note, head + 2, sizeof out->note);
	memcpy(&out->key, head + 4, sizeof out->key);
	out->body = slice_of(head + CACHE_STATE_HEAD, p.bytes.len - CACHE_STATE_HEAD - p.shared_cnt * 4u);
	return true;
}

static inline bool cache_state_find(const struct cache *c, const struct cache_record *r, unsigned app,
				    struct cache_state *out)
{
	return cache_state_of_kind(c, r, app, CACHE_STATE, out);
}

// The part, its octets in `out`, of CACHE_STATE_OVERHEAD + body.len at least. `removed`: a part that takes away the one
// that is there.
static inline struct cache_part cache_state_part(unsigned app, enum cache_state_kind kind, const struct cache_state *s,
						 bool removed, uint8_t *out)
{
	size_t refs = s->shared_cnt * 4u;
	struct cache_part p = {.app = (uint8_t)app, .kind = (uint8_t)kind};
	if (removed)
		return p;
	memcpy(out, s->shared, refs);
	memcpy(out + refs, &s->version, sizeof s->version);
	memcpy(out + refs + 2, &s->note, sizeof s->note);
	memcpy(out + refs + 4, &s->key, sizeof s->key);
	if (s->body.len)
		memcpy(out + refs + CACHE_STATE_HEAD, s->body.p, s->body.len);
	p.shared_cnt = (uint8_t)s->shared_cnt;
	p.bytes = slice_of(out, refs + CACHE_STATE_HEAD + s->body.len);
	return p;
}

// The state of an application for one subscriber, as a part of its record: version and key of the last change, then the
// application's octets. The loader publishes it with the record in one swing (layout.h); workers read it between pin and
// unpin. An application may keep its state in the record's own fields instead (loader/app.h).
#pragma once
#include "cache/build.h"
#include "cache/lookup.h"

#define CACHE_STATE_KIND 0 // kind of the part
#define CACHE_STATE_HEAD 12

struct cache_state {
	uint16_t version; // 0: there is no state
	uint64_t key;
	struct slice body; // borrowed from the cache; aligned to 4
};

// false: the subscriber has no state of this application; *out is empty then.
static inline bool cache_state_find(const struct cache *c, const struct cache_record *r, unsigned app,
				    struct cache_state *out)
{
	struct cache_part p;
	*out = (struct cache_state){0};
	if (!cache_part_find(c, r, app, CACHE_STATE_KIND, &p) || p.bytes.len < CACHE_STATE_HEAD)
		return false;
	memcpy(&out->version, p.bytes.p, sizeof out->version);
	memcpy(&out->key, p.bytes.p + 4, sizeof out->key);
	out->body = slice_of(p.bytes.p + CACHE_STATE_HEAD, p.bytes.len - CACHE_STATE_HEAD);
	return true;
}

// The part's octets into `out`, of CACHE_STATE_HEAD + body.len at least.
static inline struct cache_part cache_state_part(unsigned app, const struct cache_state *s, uint8_t *out)
{
	memset(out, 0, CACHE_STATE_HEAD);
	memcpy(out, &s->version, sizeof s->version);
	memcpy(out + 4, &s->key, sizeof s->key);
	if (s->body.len)
		memcpy(out + CACHE_STATE_HEAD, s->body.p, s->body.len);
	return (struct cache_part){.app = (uint8_t)app,
				   .kind = CACHE_STATE_KIND,
				   .bytes = slice_of(out, CACHE_STATE_HEAD + s->body.len)};
}

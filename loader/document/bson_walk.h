// A walk over the elements of a BSON document, several times as fast as the driver's iterator, which does
// more. Every length is checked against what is there; what is broken, or of an unknown type, ends the walk
// with `err`. Loader process; the bytes are a server's. (BSON 1.1; numbers are little-endian there.)
#pragma once
#include "lib/base/wire.h"

enum bson_walk_type {
	BW_DOUBLE = 1,
	BW_TEXT = 2,
	BW_DOCUMENT = 3,
	BW_ARRAY = 4,
	BW_OID = 7,
	BW_BOOL = 8,
	BW_NULL = 10,
	BW_INT32 = 16,
	BW_INT64 = 18,
};

struct bson_walk {
	struct rd r;
	bool err;
	// the element
	const uint8_t *from; // its type's octet
	uint8_t type;
	struct slice key;   // without its NUL
	struct slice value; // whole; of BW_TEXT its octets alone, without length and NUL
};

static inline uint32_t bson_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t bson_u64(const uint8_t *p)
{
	return bson_u32(p) | (uint64_t)bson_u32(p + 4) << 32;
}

// Over the document that `bytes` is, its length included.
static inline struct bson_walk bson_walk_of(struct slice bytes)
{
	struct bson_walk w = {.r = rd_slice(bytes)};
	const uint8_t *len = rd_take(&w.r, 4);
	w.err = !len || bytes.len < 5 || bson_u32(len) != bytes.len || bytes.p[bytes.len - 1] != 0;
	if (!w.err)
		w.r.end--; // the closing NUL
	return w;
}

static inline bool bson_walk_text(struct bson_walk *w)
{
	const uint8_t *len = rd_take(&w->r, 4);
	uint32_t n = len ? bson_u32(len) : 0;
	struct slice s = rd_bytes(&w->r, n);
	if (n == 0 || w->r.err || s.p[n - 1] != 0)
		return false;
	w->value = slice_of(s.p, n - 1);
	return true;
}

// The octets of a value that begins with its length: `more` beside what that counts.
static inline bool bson_walk_sized(struct bson_walk *w, uint32_t more)
{
	const uint8_t *at = w->r.p, *len = rd_take(&w->r, 4);
	uint64_t rest = len ? (uint64_t)bson_u32(len) + more : 4;
	if (rest < 4 || rest - 4 > UINT32_MAX)
		return false;
	(void)rd_take(&w->r, rest - 4);
	w->value = slice_of(at, rest);
	return !w->r.err;
}

static inline bool bson_walk_fixed(struct bson_walk *w, uint32_t n)
{
	w->value = rd_bytes(&w->r, n);
	return !w->r.err;
}

static inline bool bson_walk_cstring(struct bson_walk *w)
{
	const uint8_t *at = w->r.p, *nul = rd_left(&w->r) ? memchr(at, 0, rd_left(&w->r)) : NULL;
	return nul && rd_take(&w->r, (size_t)(nul - at) + 1);
}

static inline bool bson_walk_value(struct bson_walk *w)
{
	switch (w->type) {
	case BW_TEXT:
		return bson_walk_text(w);
	case BW_DOCUMENT:
	case BW_ARRAY:
	case 15: // code with scope
		return bson_walk_sized(w, 0);
	case 5: // binary: the subtype, too
		return bson_walk_sized(w, 5);
	case 12: // pointer: text and an id
		return bson_walk_sized(w, 16);
	case 13: // code
	case 14: // symbol
		return bson_walk_sized(w, 4);
	case 11: // regular expression: two texts
		return bson_walk_cstring(w) && bson_walk_cstring(w);
	case BW_DOUBLE:
	case 9:  // date
	case 17: // timestamp
	case BW_INT64:
		return bson_walk_fixed(w, 8);
	case BW_OID:
		return bson_walk_fixed(w, 12);
	case BW_BOOL:
		return bson_walk_fixed(w, 1);
	case BW_INT32:
		return bson_walk_fixed(w, 4);
	case 19: // decimal
		return bson_walk_fixed(w, 16);
	case 6: // undefined
	case BW_NULL:
	case 127: // the greatest
	case 255: // the least
		return bson_walk_fixed(w, 0);
	default:
		return false;
	}
}

// The next element; false: the end, or err.
static inline bool bson_walk_next(struct bson_walk *w)
{
	if (w->err || rd_left(&w->r) == 0)
		return false;
	w->from = w->r.p;
	w->type = rd_u8(&w->r);
	w->value = (struct slice){0};
	const uint8_t *key = w->r.p;
	w->err = !bson_walk_cstring(w);
	if (w->err)
		return false;
	w->key = slice_of(key, (size_t)(w->r.p - key) - 1);
	w->err = !bson_walk_value(w);
	return !w->err;
}

// The element as it stands: type, name, value.
static inline struct slice bson_walk_element(const struct bson_walk *w)
{
	return slice_of(w->from, (size_t)(w->r.p - w->from));
}

static inline bool bson_walk_is(const struct bson_walk *w, const char *key)
{
	size_t n = strlen(key); // a constant
	return w->key.len == n && memcmp(w->key.p, key, n) == 0;
}

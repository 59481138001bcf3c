// Writes BSON as relaxed Extended JSON (mongo_json.h). Pure; loader process, feed and ask thread.
#include "loader/upstream/mongo/mongo_json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/document/bson_walk.h"

// Grows; `err` is sticky.
struct out {
	char *p;
	size_t len, cap;
	bool err;
};

static __attribute__((noinline)) bool grow(struct out *o, size_t n)
{
	size_t cap = o->cap + o->cap / 2 + n;
	char *p = o->err ? NULL : realloc(o->p, cap);
	if (!p) {
		o->err = true;
		return false;
	}
	o->p = p;
	o->cap = cap;
	return true;
}

static inline bool need(struct out *o, size_t n)
{
	return o->cap - o->len >= n || grow(o, n);
}

// A fifth of a load's time: inlined, a constant's length is one store.
static inline __attribute__((always_inline)) void put(struct out *o, const char *text, size_t n)
{
	if (!need(o, n) || n == 0)
		return;
	memcpy(o->p + o->len, text, n);
	o->len += n;
}

#define PUT(o, constant) put(o, constant, sizeof(constant) - 1)

static void put_number(struct out *o, int64_t n)
{
	char text[24], *at = text + sizeof(text);
	uint64_t v = n < 0 ? -(uint64_t)n : (uint64_t)n;
	do
		*--at = (char)('0' + v % 10);
	while (v /= 10);
	if (n < 0)
		*--at = '-';
	put(o, at, (size_t)(text + sizeof(text) - at));
}

static void put_escaped(struct out *o, uint8_t c)
{
	char text[8];
	if (c == '"' || c == '\\')
		snprintf(text, sizeof(text), "\\%c", c);
	else
		snprintf(text, sizeof(text), "\\u%04x", c);
	put(o, text, strlen(text));
}

static void put_text(struct out *o, struct slice s)
{
	bool ascii = true;
	uint32_t plain = 0; // where the octets begin that stand for themselves
	PUT(o, "\"");
	for (uint32_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		ascii &= c < 0x80;
		if (c >= ' ' && c != '"' && c != '\\')
			continue;
		put(o, (const char *)s.p + plain, i - plain);
		put_escaped(o, c);
		plain = i + 1;
	}
	put(o, (const char *)s.p + plain, s.len - plain);
	PUT(o, "\"");
	if (!ascii && !bson_utf8_validate((const char *)s.p, s.len, true))
		o->err = true;
}

static void put_double(struct out *o, const uint8_t *p)
{
	char text[40];
	double d;
	bool whole = false;
	uint64_t bits = bson_u64(p);
	memcpy(&d, &bits, sizeof(d));
	if (!isfinite(d)) {
		snprintf(text, sizeof(text), "{\"$numberDouble\":\"%s\"}",
			 isnan(d) ? "NaN"
			 : d < 0  ? "-Infinity"
				  : "Infinity");
	} else {
		snprintf(text, sizeof(text), "%.17g", d);
		whole = !strpbrk(text, ".e");
	}
	put(o, text, strlen(text));
	if (whole) // or it would come back as an integer
		put(o, ".0", 2);
}

static void put_oid(struct out *o, const uint8_t *p)
{
	static const char digit[] = "0123456789abcdef";
	char text[24];
	for (unsigned i = 0; i < 12; i++) {
		text[2 * i] = digit[p[i] >> 4];
		text[2 * i + 1] = digit[p[i] & 15];
	}
	PUT(o, "{\"$oid\":\"");
	put(o, text, sizeof(text));
	PUT(o, "\"}");
}

// Types that no subscriber's document needs: as the driver writes them.
static void put_other(struct out *o, const struct bson_walk *w)
{
	static const char open[] = "{ \"v\" : ", close[] = " }";
	bson_t one = BSON_INITIALIZER, whole;
	bson_iter_t at;
	uint8_t doc[4096];
	struct slice e = bson_walk_element(w);
	size_t len = 0, size = 4 + (size_t)e.len + 1;
	char *text = NULL;
	if (size <= sizeof(doc)) {
		for (unsigned i = 0; i < 4; i++)
			doc[i] = (uint8_t)(size >> (8 * i));
		memcpy(doc + 4, e.p, e.len);
		doc[size - 1] = 0;
		if (bson_init_static(&whole, doc, size) && bson_iter_init(&at, &whole) &&
		    bson_iter_next(&at) && bson_append_iter(&one, "v", 1, &at))
			text = bson_as_relaxed_extended_json(&one, &len);
	}
	if (text && len > sizeof(open) + sizeof(close) && memcmp(text, open, sizeof(open) - 1) == 0)
		put(o, text + sizeof(open) - 1, len - (sizeof(open) - 1) - (sizeof(close) - 1));
	else
		o->err = true;
	bson_free(text);
	bson_destroy(&one);
}

static void put_container(struct out *o, struct slice bytes, bool array, unsigned depth);

static void put_value(struct out *o, const struct bson_walk *w, unsigned depth)
{
	switch (w->type) {
	case BW_TEXT:
		put_text(o, w->value);
		break;
	case BW_DOCUMENT:
	case BW_ARRAY:
		put_container(o, w->value, w->type == BW_ARRAY, depth);
		break;
	case BW_INT32:
		put_number(o, (int32_t)bson_u32(w->value.p));
		break;
	case BW_INT64:
		put_number(o, (int64_t)bson_u64(w->value.p));
		break;
	case BW_DOUBLE:
		put_double(o, w->value.p);
		break;
	case BW_BOOL:
		if (w->value.p[0])
			PUT(o, "true");
		else
			PUT(o, "false");
		break;
	case BW_NULL:
		PUT(o, "null");
		break;
	case BW_OID:
		put_oid(o, w->value.p);
		break;
	default:
		put_other(o, w);
	}
}

static void put_container(struct out *o, struct slice bytes, bool array, unsigned depth)
{
	struct bson_walk w = bson_walk_of(bytes);
	bool first = true;
	if (depth == 0)
		o->err = true;
	put(o, array ? "[" : "{", 1);
	while (!o->err && bson_walk_next(&w)) {
		if (!first)
			PUT(o, ",");
		first = false;
		if (!array) {
			put_text(o, w.key);
			PUT(o, ":");
		}
		put_value(o, &w, depth - 1);
	}
	put(o, array ? "]" : "}", 1);
	o->err |= w.err;
}

char *mongo_json_text(const bson_t *doc, size_t *len)
{
	struct out o = {.cap = doc->len + 256u};
	o.p = malloc(o.cap);
	o.err = !o.p;
	if (!o.err)
		put_container(&o, slice_of(bson_get_data(doc), doc->len), false, MONGO_DEPTH_MAX);
	*len = o.len;
	if (!o.err && need(&o, 1))
		o.p[o.len] = 0;
	if (!o.err)
		return o.p;
	free(o.p);
	return NULL;
}

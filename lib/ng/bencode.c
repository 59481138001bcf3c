// bencode, read through the bounded reader and written through the bounded writer. The reader keeps its own stack of open
// lists and dictionaries, so that no depth of nesting reaches the process's stack.
#include <stdlib.h>
#include "lib/ng/ng.h"

struct reader {
	struct rd *r;
	const uint8_t *base;
	struct ng_fault *fault;
	json_t *open[NG_DEPTH_MAX]; // borrowed from one another, the first is owned
	char *key[NG_DEPTH_MAX];    // of an open dictionary: the key whose value comes next
	unsigned depth;
};

static enum ng_read bad(struct reader *b, const uint8_t *at, const char *what)
{
	*b->fault = (struct ng_fault){(uint32_t)(at - b->base), what};
	return NG_READ_BAD;
}

static enum ng_read cut(struct reader *b)
{
	*b->fault = (struct ng_fault){(uint32_t)(b->r->end - b->base), "it ends before it is whole"};
	return NG_READ_CUT;
}

// Digits up to `end`: one spelling for each number, at most `limit`.
static enum ng_read read_digits(struct reader *b, uint8_t end, uint64_t limit, uint64_t *out)
{
	const uint8_t *from = b->r->p;
	uint64_t v = 0;

	for (;;) {
		if (!rd_left(b->r))
			return cut(b);
		uint8_t c = *b->r->p;
		if (c == end && b->r->p > from)
			break;
		if (c < '0' || c > '9')
			return bad(b, b->r->p, "expected a digit");
		if (b->r->p > from && *from == '0')
			return bad(b, from, "a number with a leading zero");
		if (v > (limit - (uint64_t)(c - '0')) / 10)
			return bad(b, from, "a number that is too large");
		v = v * 10 + (uint64_t)(c - '0');
		rd_take(b->r, 1);
	}
	rd_take(b->r, 1);
	*out = v;
	return NG_READ_OK;
}

// i-42e, behind the i.
static enum ng_read read_integer(struct reader *b, json_t **out)
{
	const uint8_t *from = b->r->p;
	bool negative = rd_left(b->r) && *from == '-';
	uint64_t v = 0;

	if (negative)
		rd_take(b->r, 1);
	enum ng_read rc = read_digits(b, 'e', (uint64_t)INT64_MAX + negative, &v);
	if (rc)
		return rc;
	if (negative && v == 0)
		return bad(b, from, "a negative zero");
	*out = json_integer(negative ? (json_int_t)(0 - v) : (json_int_t)v);
	return NG_READ_OK;
}

static enum ng_read read_string(struct reader *b, struct slice *out)
{
	uint64_t len = 0;
	enum ng_read rc = read_digits(b, ':', NG_MESSAGE_MAX, &len);

	if (rc)
		return rc;
	if (rd_left(b->r) < len)
		return cut(b);
	*out = rd_bytes(b->r, len);
	return NG_READ_OK;
}

static bool in_dictionary(const struct reader *b)
{
	return b->depth && json_is_object(b->open[b->depth - 1]);
}

// Puts a value where it belongs, and opens it if it is a list or dictionary. Takes the reference.
static enum ng_read place_take(struct reader *b, const uint8_t *at, json_t *value, bool container)
{
	char **key = b->depth ? &b->key[b->depth - 1] : NULL;
	int rc = value ? 0 : -1;

	if (container && b->depth == NG_DEPTH_MAX) {
		json_decref(value);
		return bad(b, at, "nested too deeply");
	}
	if (!rc && in_dictionary(b)) {
		rc = json_object_set_new_nocheck(b->open[b->depth - 1], *key, value);
		free(*key);
		*key = NULL;
	} else if (!rc && b->depth) {
		rc = json_array_append_new(b->open[b->depth - 1], value);
	}
	if (rc)
		return bad(b, at, "no memory for it");
	if (container)
		b->open[b->depth++] = value;
	return NG_READ_OK;
}

static enum ng_read read_key(struct reader *b)
{
	const uint8_t *at = b->r->p;
	struct slice name = {0};
	enum ng_read rc = read_string(b, &name);
	char **key = &b->key[b->depth - 1];

	if (rc)
		return rc;
	if (name.len && memchr(name.p, 0, name.len))
		return bad(b, at, "a key with a NUL");
	*key = strndup(name.len ? (const char *)name.p : "", name.len);
	if (!*key)
		return bad(b, at, "no memory for it");
	if (json_object_get(b->open[b->depth - 1], *key))
		return bad(b, at, "a key that is there twice");
	return NG_READ_OK;
}

// One step: a key, a value without others in it, the beginning or the end of a list or dictionary. `top` is the whole.
static enum ng_read step(struct reader *b, json_t **top)
{
	const uint8_t *at = b->r->p;
	bool wants_key = in_dictionary(b) && !b->key[b->depth - 1], container;
	struct slice text = {0};
	json_t *value = NULL;
	enum ng_read rc = NG_READ_OK;

	if (!rd_left(b->r))
		return cut(b);
	if (*at == 'e' && b->depth && (wants_key || !in_dictionary(b))) {
		rd_take(b->r, 1);
		b->depth--;
		return NG_READ_OK;
	}
	if (wants_key)
		return read_key(b);
	container = *at == 'd' || *at == 'l';
	if (*at == 'd')
		value = json_object();
	else if (*at == 'l')
		value = json_array();
	else if (*at != 'i' && (*at < '0' || *at > '9'))
		return bad(b, at, "expected a value");
	if (container || *at == 'i')
		rd_take(b->r, 1);
	if (*at == 'i') {
		rc = read_integer(b, &value);
	} else if (!container) {
		rc = read_string(b, &text);
		value = rc ? NULL : json_stringn_nocheck(text.p ? (const char *)text.p : "", text.len);
	}
	if (rc)
		return rc;
	rc = place_take(b, at, value, container);
	if (!rc && !*top)
		*top = value;
	return rc;
}

enum ng_read ng_bencode_read(struct rd *r, json_t **out, struct ng_fault *fault)
{
	struct reader b = {.r = r, .base = r->p, .fault = fault};
	json_t *top = NULL;
	enum ng_read rc;

	do
		rc = step(&b, &top);
	while (!rc && b.depth);
	for (unsigned i = 0; i < NG_DEPTH_MAX; i++)
		free(b.key[i]);
	if (rc) {
		json_decref(top);
		top = NULL;
	}
	*out = top;
	return rc;
}

// --- Writing

static bool write_number(struct wr *w, const char *fmt, long long v)
{
	char text[32];
	int len = snprintf(text, sizeof text, fmt, v);
	wr_bytes(w, text, (size_t)len);
	return !w->err;
}

static bool write_string(struct wr *w, const char *text, size_t len)
{
	write_number(w, "%lld:", (long long)len);
	wr_bytes(w, text, len);
	return !w->err;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool write_value(const json_t *value, struct wr *w, unsigned depth);

static bool write_object(json_t *object, struct wr *w, unsigned depth)
{
	size_t cnt = json_object_size(object), n = 0;
	const char **keys = malloc((cnt + 1) * sizeof *keys), *key;
	bool ok = keys != NULL;
	json_t *member;

	wr_u8(w, 'd');
	if (ok) {
		json_object_foreach(object, key, member)
			keys[n++] = key;
		qsort(keys, n, sizeof *keys, by_name);
	}
	for (size_t i = 0; ok && i < n; i++)
		ok = write_string(w, keys[i], strlen(keys[i])) &&
		     write_value(json_object_get(object, keys[i]), w, depth + 1);
	wr_u8(w, 'e');
	free(keys);
	return ok && !w->err;
}

static bool write_value(const json_t *value, struct wr *w, unsigned depth)
{
	bool ok = true;

	if (depth > NG_DEPTH_MAX)
		return false;
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return write_object((json_t *)(uintptr_t)value, w, depth);
	case JSON_ARRAY:
		wr_u8(w, 'l');
		for (size_t i = 0; ok && i < json_array_size(value); i++)
			ok = write_value(json_array_get(value, i), w, depth + 1);
		wr_u8(w, 'e');
		return ok && !w->err;
	case JSON_STRING:
		return write_string(w, json_string_value(value), json_string_length(value));
	case JSON_INTEGER:
		return write_number(w, "i%llde", json_integer_value(value));
	case JSON_TRUE:
	case JSON_FALSE:
		return write_number(w, "i%llde", json_is_true(value));
	default:
		return false;
	}
}

bool ng_bencode_write(const json_t *value, struct wr *w)
{
	return value && write_value(value, w, 1);
}

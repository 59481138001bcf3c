// Splits a line of an import into its parts, and keeps the parsed parts that many lines share (import_doc.h).
// Lines come from an operator's file. Loader process, main thread.
#include "loader/document/import_doc.h"
#include <stdlib.h>
#include "apps/documents.h"
#include "lib/base/ident.h"
#include "lib/base/secret.h"

#define SHARED_CNT 256u
#define PART_MAX   (64u << 10)

struct shared {
	char *text; // with its braces
	size_t len;
	json_t *object;
};

struct import_docs {
	struct shared shared[SHARED_CNT]; // direct-mapped by the text's hash
	char own[PART_MAX], rest[PART_MAX];
};

struct import_docs *import_docs_new(void)
{
	return calloc(1, sizeof(struct import_docs));
}

void import_docs_free(struct import_docs **dp)
{
	struct import_docs *d = *dp;
	if (!d)
		return;
	for (unsigned i = 0; i < SHARED_CNT; i++) {
		free(d->shared[i].text);
		json_decref(d->shared[i].object);
	}
	secret_wipe(d->own, sizeof(d->own));
	free(d);
	*dp = NULL;
}

// What differs from subscriber to subscriber.
static bool is_own(struct slice key)
{
	const struct doc_schema *schema = documents_schema();
	const struct doc_node *n = schema_child(schema, &schema->node[0], key);
	enum doc_part part = doc_part_of(n);
	return part == DOC_PART_NAME || part == DOC_PART_SUBSCRIBER || part == DOC_PART_STATE;
}

static void skip_blanks(struct rd *r)
{
	while (rd_left(r) && (*r->p == ' ' || *r->p == '\t'))
		r->p++;
}

// Past a string, the opening quote included. What is between the quotes; the parser judges it.
static bool skip_string(struct rd *r, struct slice *inside)
{
	if (rd_u8(r) != '"')
		return false;
	const uint8_t *start = r->p;
	while (rd_left(r)) {
		uint8_t c = *r->p++;
		if (c == '"') {
			*inside = slice_of(start, (size_t)(r->p - 1 - start));
			return true;
		}
		if (c == '\\' && rd_left(r))
			r->p++;
	}
	return false;
}

// Past a value: to the comma or brace of the level it stands on.
static bool skip_value(struct rd *r)
{
	struct slice unused;
	unsigned depth = 0;
	while (rd_left(r)) {
		uint8_t c = *r->p;
		if (c == '"') {
			if (!skip_string(r, &unused))
				return false;
			continue;
		}
		if (depth == 0 && (c == ',' || c == '}'))
			return true;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth-- == 0)
			return false;
		r->p++;
	}
	return false;
}

static void add_member(struct wr *w, const uint8_t *start, const uint8_t *end)
{
	wr_u8(w, wr_len(w) ? ',' : '{');
	wr_bytes(w, start, (size_t)(end - start));
}

static void close_object(struct wr *w)
{
	if (wr_len(w) == 0)
		wr_u8(w, '{');
	wr_u8(w, '}');
}

// Both parts as objects of their own.
static bool split(struct slice line, struct wr *own, struct wr *rest)
{
	struct rd r = rd_slice(line);
	struct slice key;
	uint8_t c = ',';
	if (rd_u8(&r) != '{')
		return false;
	while (c == ',') {
		skip_blanks(&r);
		const uint8_t *start = r.p;
		if (!skip_string(&r, &key))
			return false;
		skip_blanks(&r);
		if (rd_u8(&r) != ':' || !skip_value(&r))
			return false;
		add_member(is_own(key) ? own : rest, start, r.p);
		c = rd_u8(&r);
	}
	close_object(own);
	close_object(rest);
	return c == '}' && !r.err && rd_left(&r) == 0 && !own->err && !rest->err;
}

// The parsed rest; borrowed. NULL: not JSON.
static json_t *shared_object(struct import_docs *d, struct slice text)
{
	struct shared *s = &d->shared[ident_hash_bytes(text, false) & (SHARED_CNT - 1)];
	if (s->object && s->len == text.len && memcmp(s->text, text.p, text.len) == 0)
		return s->object;
	json_t *object = json_loadb((const char *)text.p, text.len, 0, NULL);
	char *copy = object ? malloc(text.len) : NULL;
	if (!copy) {
		json_decref(object);
		return NULL;
	}
	memcpy(copy, text.p, text.len);
	free(s->text);
	json_decref(s->object);
	*s = (struct shared){.text = copy, .len = text.len, .object = object};
	return object;
}

json_t *import_docs_parse(struct import_docs *d, struct slice line, json_error_t *e)
{
	struct wr own = wr_of(d->own, sizeof(d->own)), rest = wr_of(d->rest, sizeof(d->rest));
	if (split(line, &own, &rest)) {
		struct slice text = wr_done(&own);
		json_t *shared = shared_object(d, wr_done(&rest));
		json_t *doc = shared ? json_loadb((const char *)text.p, text.len, 0, NULL) : NULL;
		if (doc && json_object_update(doc, shared) == 0)
			return doc;
		json_decref(doc);
	}
	return json_loadb((const char *)line.p, line.len, 0,
			  e); // as a whole: for its message, if for nothing else
}

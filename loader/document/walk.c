// Reads documents, JSON or BSON, along the schema (walk.h). They were written by operators, the WebUI, dbctl
// and scripts of two generations of the schema, or come as bytes from a server. So every type and bound is
// checked before a table sees the value.
#include "loader/document/walk.h"
#include <arpa/inet.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "loader/document/extjson.h"
#include "lib/base/ident.h"
#include "lib/base/secret.h"

#define BANDWIDTH_MAX 4294967295000ull // what the extended AVPs hold

// ---- values

static struct doc_value of_real(double d)
{
	// 2^63 itself does not fit; what is not finite is no number at all
	if (!isfinite(d))
		return (struct doc_value){.kind = DV_OTHER};
	if (d >= -9223372036854775808.0 && d < 9223372036854775808.0 && d == floor(d))
		return (struct doc_value){.kind = DV_INT, .n = (int64_t)d};
	return (struct doc_value){.kind = DV_REAL};
}

struct doc_value doc_of_json(const json_t *v)
{
	struct doc_value out = {.kind = DV_NULL, .json = v};
	if (!v || json_is_null(v))
		return out;
	switch (json_typeof(v)) {
	case JSON_STRING:
		out.kind = DV_TEXT;
		out.text = slice_of(json_string_value(v), json_string_length(v));
		break;
	case JSON_INTEGER:
		out.kind = DV_INT;
		out.n = json_integer_value(v);
		break;
	case JSON_REAL:
		return of_real(json_real_value(v));
	case JSON_TRUE:
	case JSON_FALSE:
		out.kind = DV_BOOL;
		out.yes = json_is_true(v);
		break;
	case JSON_ARRAY:
		out.kind = DV_LIST;
		break;
	default:
		// Extended JSON: a number with its type around it
		out.kind = json_object_size(v) == 1 && ext_int(v, &out.n) == EXT_OK ? DV_INT : DV_OBJECT;
		break;
	}
	return out;
}

struct doc_value doc_of_bson(const struct bson_walk *w)
{
	struct doc_value out = {.text = w->value};
	uint64_t bits;
	double d;
	switch (w->type) {
	case BW_NULL:
		break;
	case BW_TEXT:
		out.kind = DV_TEXT;
		break;
	case BW_INT32:
		out.kind = DV_INT;
		out.n = (int32_t)bson_u32(w->value.p);
		break;
	case BW_INT64:
		out.kind = DV_INT;
		out.n = (int64_t)bson_u64(w->value.p);
		break;
	case BW_DOUBLE:
		bits = bson_u64(w->value.p);
		memcpy(&d, &bits, sizeof(d));
		return of_real(d);
	case BW_BOOL:
		out.kind = DV_BOOL;
		out.yes = w->value.p[0];
		break;
	case BW_DOCUMENT:
		out.kind = DV_OBJECT;
		break;
	case BW_ARRAY:
		out.kind = DV_LIST;
		break;
	default:
		out.kind = DV_OTHER; // a date, an id ...
		break;
	}
	return out;
}

struct doc_cursor doc_cursor_of(const struct doc_value *v)
{
	if (v->kind != DV_OBJECT && v->kind != DV_LIST)
		return (struct doc_cursor){.bson = {.err = true}};
	if (!v->json)
		return (struct doc_cursor){.bson = bson_walk_of(v->text)};
	return (struct doc_cursor){.json = v->json, .iter = json_object_iter((json_t *)v->json)};
}

bool doc_next(struct doc_cursor *c, struct slice *name, struct doc_value *v)
{
	*name = (struct slice){0};
	if (!c->json) {
		if (!bson_walk_next(&c->bson))
			return false;
		*name = c->bson.key;
		*v = doc_of_bson(&c->bson);
		return true;
	}
	if (json_is_array(c->json)) {
		if (c->next == json_array_size(c->json))
			return false;
		*v = doc_of_json(json_array_get(c->json, c->next++));
		return true;
	}
	if (!c->iter)
		return false;
	const char *key = json_object_iter_key(c->iter);
	*name = slice_str(key);
	*v = doc_of_json(json_object_iter_value(c->iter));
	c->iter = json_object_iter_next((json_t *)c->json, c->iter);
	return true;
}

struct doc_value doc_get(const struct doc_value *object, const char *name)
{
	struct doc_cursor c = doc_cursor_of(object);
	struct doc_value v;
	struct slice key;
	while (object->kind == DV_OBJECT && doc_next(&c, &key, &v))
		if (slice_eq(key, slice_str(name)))
			return v;
	return (struct doc_value){0};
}

const char *doc_kind_name(const struct doc_value *v)
{
	static const char *const names[] = {[DV_NULL] = "nothing",     [DV_TEXT] = "a string",
					    [DV_INT] = "a number",     [DV_REAL] = "a number with a fraction",
					    [DV_BOOL] = "true or false", [DV_OBJECT] = "an object",
					    [DV_LIST] = "an array",    [DV_OTHER] = "an object"};
	return names[v->kind];
}

// ---- messages

// "slice[0].session[1]" of where the walk is.
static size_t path_text(const struct doc_walk *w, char *out, size_t cap)
{
	const struct doc_node *chain[DOC_DEPTH_MAX + 1], *n = w->node, *root = &w->schema->node[0];
	unsigned depth = 0, list = 0;
	size_t len = 0;
	for (; n != root && depth < DOC_DEPTH_MAX; n = &w->schema->node[n->parent])
		chain[depth++] = n;
	*out = 0;
	while (depth-- && len < cap) {
		struct slice name = chain[depth]->name;
		if (name.p[0] == '[')
			len += (size_t)snprintf(out + len, cap - len, "[%u]", w->index[list++]);
		else
			len += (size_t)snprintf(out + len, cap - len, "%s%.*s", len ? "." : "", (int)name.len,
						(const char *)name.p);
	}
	return len < cap ? len : cap - 1;
}

enum doc_result doc_bad(struct doc_walk *w, const char *field, const char *fmt, ...)
{
	char path[128], what[160];
	size_t used = w->left_out ? strlen(w->e->text) : 0;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	bool any = path_text(w, path, sizeof(path)) > 0;
	char *end = w->e->text + used;
	size_t room = sizeof(w->e->text) - used;
	if (!w->bad && (size_t)snprintf(end, room, "%s%s%s%s: %s", used ? "; " : "", path,
					any && *field ? "." : "", field, what) >= room)
		memcpy(w->e->text + sizeof(w->e->text) - 4, "...", 4);
	w->bad = true;
	return DOC_BAD;
}

// ---- scalars

static enum doc_result bad_hex(struct doc_walk *w, struct slice text, unsigned len)
{
	unsigned digits = 0, other = 0;
	for (uint32_t i = 0; i < text.len; i++) {
		uint8_t ch = text.p[i], low = ch | 0x20;
		if ((ch >= '0' && ch <= '9') || (low >= 'a' && low <= 'f'))
			digits++;
		else if (ch != ' ' && ch != '\t')
			other++;
	}
	if (other)
		return doc_bad(w, "", "expected %u hex digits, got other characters", len * 2);
	return doc_bad(w, "", "expected %u hex digits, got %u", len * 2, digits);
}

static enum doc_result take_hex(struct doc_walk *w, const struct doc_member *m, struct doc_at *at)
{
	unsigned len = (unsigned)m->most;
	if (at->value->kind != DV_TEXT)
		return doc_bad(w, "", "expected %u hex digits, got %s", len * 2, doc_kind_name(at->value));
	if (at->value->text.len == 0)
		return DOC_PASS_OVER;
	if (!hex_parse(at->value->text, at->octets, len))
		return bad_hex(w, at->value->text, len);
	if (m->type == DOC_HEX_TEXT && at->value->text.len != 2 * len)
		return doc_bad(w, "", "expected %u hex digits, got blanks, too", len * 2);
	return DOC_GO;
}

static enum doc_result take_text(struct doc_walk *w, const struct doc_member *m, struct doc_at *at)
{
	const struct slice text = at->value->text;
	if (at->value->kind != DV_TEXT)
		return doc_bad(w, "", "expected text, got %s", doc_kind_name(at->value));
	if (text.len == 0)
		return DOC_PASS_OVER;
	if (text.len > (uint64_t)m->most)
		return doc_bad(w, "", "expected at most %lld characters, got %u", (long long)m->most, text.len);
	return DOC_GO;
}

static enum doc_result number(struct doc_walk *w, const char *field, const struct doc_value *v, int64_t least,
			      int64_t most)
{
	if (v->kind != DV_INT)
		return doc_bad(w, field, "expected a whole number, got %s", doc_kind_name(v));
	if (v->n < least || v->n > most)
		return doc_bad(w, field, "expected %lld to %lld, got %lld", (long long)least, (long long)most,
			       (long long)v->n);
	return DOC_GO;
}

static enum doc_result take_address(struct doc_walk *w, const struct doc_member *m, struct doc_at *at)
{
	bool v4 = m->type == DOC_IPV4;
	const char *want = v4 ? "an IPv4 address" : "an IPv6 address";
	struct slice text = at->value->text;
	char copy[INET6_ADDRSTRLEN] = "";
	if (at->value->kind != DV_TEXT)
		return doc_bad(w, "", "expected %s, got %s", want, doc_kind_name(at->value));
	if (text.len == 0)
		return DOC_PASS_OVER;
	if (text.len < sizeof(copy))
		memcpy(copy, text.p, text.len);
	if (inet_pton(v4 ? AF_INET : AF_INET6, copy, at->octets) != 1)
		return doc_bad(w, "", "expected %s, got \"%.*s\"", want, (int)(text.len < 40 ? text.len : 40),
			       (const char *)text.p);
	return DOC_GO;
}

// Schema 1: {value, unit}, bit/s = value * 1000^unit. Schema 0: a number of kbit/s that NextEPC took times 1024.
static enum doc_result take_rate(struct doc_walk *w, const struct doc_member *m, struct doc_at *at)
{
	struct doc_value value = doc_get(at->value, "value"), unit = doc_get(at->value, "unit");
	if (value.kind == DV_NULL) {
		if (number(w, "", at->value, 0, INT64_MAX) == DOC_BAD)
			return DOC_BAD;
		at->bits_per_s = (uint64_t)at->value->n > BANDWIDTH_MAX / 1024 ? BANDWIDTH_MAX
									       : (uint64_t)at->value->n * 1024;
		return DOC_GO;
	}
	if (unit.kind == DV_NULL)
		unit = (struct doc_value){.kind = DV_INT};
	if (number(w, "", &value, 0, INT64_MAX) == DOC_BAD || number(w, "", &unit, 0, m->most) == DOC_BAD)
		return DOC_BAD;
	uint64_t bits = (uint64_t)value.n;
	for (; unit.n > 0; unit.n--)
		bits = bits > BANDWIDTH_MAX / 1000 ? BANDWIDTH_MAX : bits * 1000;
	at->bits_per_s = bits > BANDWIDTH_MAX ? BANDWIDTH_MAX : bits;
	return DOC_GO;
}

// A scalar of the type and within the bounds of its row. DOC_PASS_OVER: it is as if it were not there.
static enum doc_result scalar(struct doc_walk *w, const struct doc_member *m, struct doc_at *at)
{
	switch ((enum doc_type)m->type) {
	case DOC_HEX:
	case DOC_HEX_TEXT:
		return take_hex(w, m, at);
	case DOC_TEXT:
		return take_text(w, m, at);
	case DOC_NUMBER:
		return number(w, "", at->value, m->least, m->most);
	case DOC_BOOL:
		return at->value->kind == DV_BOOL ? DOC_GO
						  : doc_bad(w, "", "expected true or false, got %s",
							    doc_kind_name(at->value));
	case DOC_IPV4:
	case DOC_IPV6:
		return take_address(w, m, at);
	case DOC_RATE:
		return take_rate(w, m, at);
	default:
		return DOC_PASS_OVER;
	}
}

// ---- the walk

static enum doc_result give(struct doc_walk *w, struct doc_at *at)
{
	const struct doc_sink *s = &w->sink[at->node->owner];
	return s->take ? s->take(w, at, s->into) : DOC_PASS_OVER;
}

static enum doc_result step(struct doc_walk *w, const struct doc_node *node, const struct doc_value *v,
			    enum doc_step what)
{
	struct doc_at at = {.node = node, .step = what, .value = v, .index = w->depth ? w->index[w->depth - 1] : 0};
	return give(w, &at);
}

static enum doc_result visit(struct doc_walk *w, const struct doc_node *node, const struct doc_value *v);

static enum doc_result elements(struct doc_walk *w, const struct doc_node *list, const struct doc_value *v)
{
	const struct doc_node *element = schema_element(w->schema, list);
	struct doc_cursor c = doc_cursor_of(v);
	struct doc_value item;
	struct slice name;
	unsigned i = 0;
	enum doc_result r = DOC_GO;
	if (!element || w->depth == DOC_DEPTH_MAX)
		return DOC_GO;
	unsigned place = w->depth++;
	for (; r != DOC_BAD && doc_next(&c, &name, &item); i++) {
		w->index[place] = i;
		if (list->member->most && i == (uint64_t)list->member->most) {
			w->node = list;
			r = doc_bad(w, "", "expected at most %u, got more", i);
		} else {
			r = visit(w, element, &item);
		}
	}
	w->depth--;
	w->node = list;
	return r;
}

static enum doc_result members(struct doc_walk *w, const struct doc_node *object, const struct doc_value *v)
{
	struct doc_cursor c = doc_cursor_of(v);
	struct doc_value item;
	struct slice name;
	enum doc_result r = DOC_GO;
	while (r != DOC_BAD && doc_next(&c, &name, &item)) {
		const struct doc_node *n = schema_child(w->schema, object, name);
		if (n && n != w->pass_over)
			r = visit(w, n, &item);
	}
	w->node = object;
	return r;
}

static enum doc_result container(struct doc_walk *w, const struct doc_node *node, const struct doc_value *v)
{
	bool list = node->member->type == DOC_LIST;
	if (list && v->kind != DV_LIST && node->member->flags & DOC_F_ONE) {
		const struct doc_node *element = schema_element(w->schema, node);
		enum doc_result begun = step(w, node, v, DOC_BEGIN);
		return begun == DOC_GO && element ? visit(w, element, v) : begun;
	}
	if (v->kind != (list ? DV_LIST : DV_OBJECT))
		return doc_bad(w, "", "expected %s, got %s", list ? "an array" : "an object",
			       v->kind == DV_NULL ? "null" : doc_kind_name(v));
	enum doc_result r = step(w, node, v, DOC_BEGIN);
	if (r == DOC_GO)
		r = list ? elements(w, node, v) : members(w, node, v);
	w->node = node;
	return r == DOC_GO ? step(w, node, v, DOC_END) : r;
}

// What was wrong is left out, named or not, when its row allows that.
static enum doc_result forgive(struct doc_walk *w, const struct doc_node *node, const struct doc_value *v,
			       size_t used)
{
	if (node->member->flags & DOC_F_QUIET)
		w->e->text[used] = 0;
	else if (node->member->flags & DOC_F_DROP)
		w->left_out = true;
	else
		return DOC_BAD;
	w->bad = false;
	w->node = node;
	(void)step(w, node, v, DOC_DROPPED);
	return DOC_GO;
}

// A member without a value is as if it were not there.
static enum doc_result empty(struct doc_walk *w, const struct doc_node *node, const struct doc_value *v)
{
	if (node->member->flags & DOC_F_EMPTY)
		(void)step(w, node, v, DOC_EMPTY);
	return DOC_GO;
}

static enum doc_result visit(struct doc_walk *w, const struct doc_node *node, const struct doc_value *v)
{
	const struct doc_member *m = node->member;
	size_t used = w->left_out ? strlen(w->e->text) : 0;
	struct doc_value only;
	enum doc_result r;
	if (v->kind == DV_NULL && node->name.p[0] != '[')
		return empty(w, node, v);
	if (m->flags & DOC_F_QUIET && v->kind == DV_LIST) { // as the WebUI writes what open5gs-hssd left
		struct doc_cursor c = doc_cursor_of(v);
		struct slice name;
		if (!doc_next(&c, &name, &only))
			return empty(w, node, v);
		v = &only;
	}
	w->node = node;
	w->alone |= (m->flags & DOC_F_ALONE) != 0;
	if (m->type == DOC_OBJECT || m->type == DOC_LIST) {
		r = container(w, node, v);
	} else if (v->kind == DV_NULL) {
		r = DOC_PASS_OVER;
	} else {
		struct doc_at at = {.node = node, .value = v, .index = w->depth ? w->index[w->depth - 1] : 0};
		r = m->type == DOC_ANY ? DOC_GO : scalar(w, m, &at);
		if (r == DOC_GO)
			r = give(w, &at);
		if (m->flags & DOC_F_SECRET)
			secret_wipe(at.octets, sizeof(at.octets));
	}
	if (r == DOC_PASS_OVER)
		return empty(w, node, v);
	return r == DOC_BAD ? forgive(w, node, v, used) : DOC_GO;
}

struct doc_walk doc_walk_of(const struct doc_schema *schema, const struct doc_sink *sink, struct record_error *e)
{
	e->text[0] = 0;
	return (struct doc_walk){.schema = schema, .sink = sink, .e = e, .node = &schema->node[0]};
}

bool doc_walk_member(struct doc_walk *w, const struct doc_node *node, const struct doc_value *v)
{
	enum doc_result r = visit(w, node, v);
	w->node = &w->schema->node[0];
	return r != DOC_BAD;
}

bool doc_walk_all(struct doc_walk *w, const struct doc_value *document)
{
	return members(w, &w->schema->node[0], document) != DOC_BAD;
}

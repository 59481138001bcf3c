// Composes operators' changes as BSON (mongo_change.h). What operators and their scripts gave is checked here
// for what the server would misunderstand (names with dots, operators). Whether it is a valid subscriber was
// judged before.
#include "loader/upstream/mongo/mongo_change.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "apps/documents.h"
#include "loader/document/extjson.h"
#include "lib/base/secret.h"

static const struct {
	const char *name;
	bool null; // the WebUI has null where there is none
} key_names[] = {{"k", false}, {"op", true}, {"opc", true}, {"amf", false}, {"algorithm", false}};

#define CNT(a) (sizeof(a) / sizeof((a)[0]))

__attribute__((format(printf, 2, 3))) static bool refuse(char reason[MONGO_REASON_MAX], const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(reason, MONGO_REASON_MAX, fmt, ap);
	va_end(ap);
	return false;
}

// A top-level member of the schema; NULL: unknown.
static const struct doc_node *member(const char *name)
{
	const struct doc_schema *schema = documents_schema();
	return schema_child(schema, &schema->node[0], slice_str(name));
}

// Members that say where a subscriber is, and what programs count: no business of an operator's replacement.
static bool is_state(const char *name)
{
	return doc_part_of(member(name)) == DOC_PART_STATE;
}

// What a replacement leaves out is gone: members of the schema, both generations.
static bool is_content(const struct doc_node *n)
{
	enum doc_part part = doc_part_of(n);
	return n->parent == 0 && !(n->member->flags & DOC_F_NEEDED) && part != DOC_PART_NAME && part != DOC_PART_STATE;
}

// ---- JSON, prepared

// A whole number as int64 whatever its size.
static void make_int64(json_t *object, const char *name)
{
	int64_t n;
	char text[24];
	if (ext_int(json_object_get(object, name), &n) != EXT_OK)
		return;
	snprintf(text, sizeof(text), "%lld", (long long)n);
	json_object_set_new(object, name, json_pack("{s:s}", "$numberLong", text));
}

static json_t *new_id(void)
{
	bson_oid_t id;
	char text[25];
	bson_oid_init(&id, NULL);
	bson_oid_to_string(&id, text);
	return json_pack("{s:s}", "$oid", text);
}

// Each element gets an _id in front, as mongoose gives sub-documents. `below`: the same inside of each, in
// this member.
static void give_ids(json_t *list, const char *const below[])
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *item = json_array_get(list, i);
		if (!json_is_object(item))
			continue;
		if (below[0])
			give_ids(json_object_get(item, below[0]), below + 1);
		if (json_object_get(item, "_id"))
			continue;
		json_t *with = json_pack("{s:o}", "_id", new_id());
		json_object_update(with, item);
		json_array_set_new(list, i, with);
	}
}

// Numbers that Open5GS reads as int64 or not at all. `parent`: whose members they are; NULL: they are named by paths.
static void make_int64s(json_t *fields, const struct doc_node *parent)
{
	const struct doc_schema *schema = documents_schema();
	const char *name;
	json_t *value;
	json_object_foreach(fields, name, value)
	{
		const struct doc_node *n = parent ? schema_child(schema, parent, slice_str(name)) : schema_find(schema, name);
		if (n && doc_member_is_int64(n->member))
			make_int64(fields, name);
		else if (n && json_is_object(value))
			make_int64s(value, n);
	}
}

static void prepare(json_t *fields)
{
	static const char *const slice[] = {"session", "pcc_rule", NULL}, *const pdn[] = {"pcc_rule", NULL};
	make_int64s(fields, NULL);
	give_ids(json_object_get(fields, "slice"), slice);
	give_ids(json_object_get(fields, "pdn"), pdn);
}

// ---- JSON to BSON

static bool to_bson(const json_t *json, bson_t *out, char reason[MONGO_REASON_MAX])
{
	char *text = json_dumps(json, JSON_COMPACT);
	if (!text)
		return refuse(reason, "the document could not be written as text");
	size_t len = strlen(text);
	bool ok = bson_init_from_json(out, text, (ssize_t)len, NULL);
	secret_wipe(text, len);
	free(text);
	return ok || refuse(reason, "the document is no valid Extended JSON"); // its text may hold keys
}

static void wipe(bson_t *b)
{
	secret_wipe((void *)(uintptr_t)bson_get_data(b), b->len);
	bson_destroy(b);
}

// Appends {operator: fields}; nothing for none, since an empty one is an error before MongoDB 5.
static bool append(struct mongo_change *c, const char *verb, const json_t * fields,
		   char reason[MONGO_REASON_MAX])
{
	bson_t b;
	if (json_object_size(fields) == 0)
		return true;
	if (!to_bson(fields, &b, reason))
		return false;
	bool ok = bson_append_document(&c->update, verb, -1, &b);
	wipe(&b);
	return ok || refuse(reason, "the document is too large");
}

static bool names_valid(const json_t *doc, bool dots, char reason[MONGO_REASON_MAX])
{
	const char *name;
	json_t *value;
	if (!json_is_object(doc))
		return refuse(reason, "expected an object");
	json_object_foreach((json_t *)(uintptr_t)doc, name, value)
	{
		if (name[0] == 0 || name[0] == '$' || (!dots && strchr(name, '.')))
			return refuse(reason, "a field may not be called \"%.40s\"", name);
	}
	return true;
}

static void begin(struct mongo_change *c, bool upsert)
{
	*c = (struct mongo_change){.upsert = upsert};
	bson_init(&c->update);
	bson_oid_init(&c->id, NULL);
}

static bool end(struct mongo_change *c, bool ok)
{
	if (!ok)
		mongo_change_fini(c);
	return ok;
}

void mongo_change_fini(struct mongo_change *c)
{
	wipe(&c->update);
}

// ---- a new document

// In the order of the WebUI's model, what it leaves out filled in as the WebUI would. The imsi comes from the
// filter.
static json_t *new_document(const json_t *doc, const bson_oid_t *id)
{
	const struct doc_schema *schema = documents_schema();
	char oid[25];
	json_t *out = json_object(), *copy = json_deep_copy(doc);
	bson_oid_to_string(id, oid);
	json_object_set_new(out, "_id", json_pack("{s:s}", "$oid", oid));
	if (!json_object_get(doc, "pdn")) // the old schema has none
		json_object_set_new(out, "schema_version", json_integer(1));
	for (unsigned i = 1; i < schema->cnt; i++)
		if (schema->node[i].member->flags & DOC_F_WEB)
			json_object_set_new(out, schema->node[i].member->path, json_array());
	json_object_update(out, copy);
	json_object_del(out, "imsi");
	if (!json_object_get(out, "__v"))
		json_object_set_new(out, "__v", json_integer(0));
	json_t *security = json_object_get(out, "security");
	if (json_is_object(security) && !json_object_get(security, "op"))
		json_object_set_new(security, "op", json_null());
	if (json_is_object(security) && !json_object_get(security, "opc"))
		json_object_set_new(security, "opc", json_null());
	json_decref(copy);
	return out;
}

// An _id that came with the document (an export) stays.
static void take_id(const json_t *doc, bson_oid_t *id)
{
	const char *text = json_string_value(json_object_get(json_object_get(doc, "_id"), "$oid"));
	if (text && bson_oid_is_valid(text, strlen(text)))
		bson_oid_init_from_string(id, text);
}

static bool compose_new(const json_t *doc, struct mongo_change *c, char reason[MONGO_REASON_MAX])
{
	take_id(doc, &c->id);
	json_t *whole = new_document(doc, &c->id);
	prepare(whole);
	bool ok = append(c, "$setOnInsert", whole, reason);
	json_decref(whole);
	return ok;
}

bool mongo_change_add(const json_t *doc, struct mongo_change *out, char reason[MONGO_REASON_MAX])
{
	if (!names_valid(doc, false, reason))
		return false;
	begin(out, true);
	return end(out, compose_new(doc, out, reason));
}

// ---- a replacement

// Hex digits without blanks, in lower case; false: it is no text.
static bool old_text(const bson_t *security, const char *name, char *out, size_t cap)
{
	bson_iter_t at;
	size_t n = 0;
	out[0] = 0;
	if (!bson_iter_init_find(&at, security, name) || !BSON_ITER_HOLDS_UTF8(&at))
		return false;
	for (const char *p = bson_iter_utf8(&at, NULL); *p && n + 1 < cap; p++)
		if (*p != ' ' && *p != '\t')
			out[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
	out[n] = 0;
	return true;
}

static bool key_differs(const bson_t *security, const json_t *fresh, const char *name)
{
	char was[80], is[80] = "";
	size_t n = 0;
	(void)old_text(security, name, was, sizeof(was));
	const char *p = json_string_value(json_object_get(fresh, name));
	for (; p && *p && n + 1 < sizeof(is); p++)
		if (*p != ' ' && *p != '\t')
			is[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
	is[n] = 0;
	bool differs = strlen(was) != n || !secret_equal(was, is, n);
	secret_wipe(was, sizeof(was));
	secret_wipe(is, sizeof(is));
	return differs;
}

// The keys one by one, so that what else is in `security` stays, and the SQN by $max, so that what is drawn
// meanwhile is not given twice; with another key it starts anew.
static bool replace_security(const json_t *fresh, const bson_t *old, json_t *set, json_t *unset, json_t *max)
{
	bson_iter_t at;
	bson_t security;
	const uint8_t *data;
	uint32_t len;
	char path[40];
	if (!json_is_object(fresh))
		return false;
	if (!bson_iter_init_find(&at, old, "security") || !BSON_ITER_HOLDS_DOCUMENT(&at)) {
		json_object_set_new(set, "security", json_deep_copy(fresh));
		return true;
	}
	bson_iter_document(&at, &len, &data);
	if (!bson_init_static(&security, data, len))
		return false;
	bool other_key = key_differs(&security, fresh, "k") || key_differs(&security, fresh, "opc") ||
			 key_differs(&security, fresh, "op");
	for (size_t i = 0; i < CNT(key_names); i++) {
		json_t *value = json_object_get(fresh, key_names[i].name);
		snprintf(path, sizeof(path), "security.%s", key_names[i].name);
		if (value)
			json_object_set(set, path, value);
		else if (key_names[i].null)
			json_object_set_new(set, path, json_null());
		else
			json_object_set_new(unset, path, json_integer(1));
	}
	json_t *sqn = json_object_get(fresh, "sqn");
	if (sqn && !json_is_null(sqn))
		json_object_set(other_key ? set : max, "security.sqn", sqn);
	return true;
}

static bool replace_fields(const json_t *doc, const bson_t *old, json_t *set, json_t *unset, json_t *max)
{
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)doc, name, value)
	{
		if (strcmp(name, "_id") == 0 || strcmp(name, "imsi") == 0 || strcmp(name, "security") == 0 ||
		    is_state(name))
			continue;
		json_object_set_new(set, name, json_deep_copy(value));
	}
	const struct doc_schema *schema = documents_schema();
	for (unsigned i = 1; i < schema->cnt; i++) {
		const struct doc_node *n = &schema->node[i];
		if (is_content(n) && !json_object_get(doc, n->member->path))
			json_object_set_new(unset, n->member->path, json_integer(1));
	}
	if (!json_object_get(set, "msisdn")) { // the WebUI has an empty list
		json_object_set_new(set, "msisdn", json_array());
		json_object_del(unset, "msisdn");
	}
	if (!json_object_get(set, "pdn") && !json_object_get(set, "schema_version")) {
		json_object_set_new(set, "schema_version", json_integer(1));
		json_object_del(unset, "schema_version");
	}
	return replace_security(json_object_get(doc, "security"), old, set, unset, max);
}

bool mongo_change_replace(const json_t *doc, const bson_t *old, struct mongo_change *out,
			  char reason[MONGO_REASON_MAX])
{
	if (!names_valid(doc, false, reason))
		return false;
	begin(out, !old);
	if (!old)
		return end(out, compose_new(doc, out, reason));
	json_t *set = json_object(), *unset = json_object(), *max = json_object();
	bool ok = replace_fields(doc, old, set, unset, max) || refuse(reason, "security: expected an object");
	prepare(set);
	prepare(max);
	ok = ok && append(out, "$set", set, reason) && append(out, "$unset", unset, reason) &&
	     append(out, "$max", max, reason);
	json_decref(set);
	json_decref(unset);
	json_decref(max);
	return end(out, ok);
}

// ---- single fields

bool mongo_change_set(const json_t *change, struct mongo_change *out, char reason[MONGO_REASON_MAX])
{
	json_t *set = json_object_get(change, "$set"), *unset = json_object_get(change, "$unset");
	if ((set && !names_valid(set, true, reason)) || (unset && !names_valid(unset, true, reason)))
		return false;
	if (json_object_size(set) + json_object_size(unset) == 0)
		return refuse(reason, "expected something to set");
	if (json_object_get(set, "imsi") || json_object_get(set, "_id") || json_object_get(unset, "imsi") ||
	    json_object_get(unset, "_id"))
		return refuse(reason, "imsi and _id stay as they are");
	begin(out, false);
	set = set ? json_deep_copy(set) : NULL;
	prepare(set);
	bool ok = append(out, "$set", set, reason) && append(out, "$unset", unset, reason);
	json_decref(set);
	return end(out, ok);
}

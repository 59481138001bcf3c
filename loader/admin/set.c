// `subscriber set`, `bar` and `unbar` of hss-admin: members of a document, by their paths. Loader process, main thread.
#include <stdio.h>
#include <stdlib.h>
#include "apps/documents.h"
#include "loader/admin/provision.h"
#include "loader/upstream/feed.h"

// ---- places in a document

// One step down a dotted path; makes the object that is missing.
static json_t *step_down(json_t *at, const char *part, bool make)
{
	char *end;
	if (json_is_array(at)) {
		unsigned long i = strtoul(part, &end, 10);
		return *end || !*part ? NULL : json_array_get(at, i);
	}
	json_t *next = json_object_get(at, part);
	if (!next && make && json_is_object(at)) {
		next = json_object();
		json_object_set_new(at, part, next);
	}
	return next;
}

static bool set_last(json_t *at, const char *part, json_t *value)
{
	char *end;
	bool remove = json_is_null(value);
	if (json_is_object(at)) {
		if (!remove)
			return json_object_set(at, part, value) == 0;
		json_object_del(at, part);
		return true;
	}
	if (!json_is_array(at))
		return false;
	unsigned long i = strtoul(part, &end, 10);
	if (*end || !*part)
		return false;
	if (remove)
		return json_array_remove(at, i) == 0;
	return i == json_array_size(at) ? json_array_append(at, value) == 0
					: json_array_set(at, i, value) == 0;
}

static bool set_path(json_t *doc, const char *path, json_t *value)
{
	char copy[256];
	json_t *at = doc;
	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return false;
	char *part = copy, *dot;
	while ((dot = strchr(part, '.'))) {
		*dot = 0;
		at = step_down(at, part, true);
		if (!at)
			return false;
		part = dot + 1;
	}
	return *part && set_last(at, part, value);
}

// With an upstream only what was given is set there. `doc`: as it would be, to be checked.
static bool set_upstream(struct loader *l, struct call *c, imsi_t imsi, const json_t *doc, json_t *fields,
			 struct record_error *e)
{
	const char *path;
	json_t *value, *set = json_object(), *unset = json_object();
	json_object_foreach(fields, path, value)
	{
		if (json_is_null(value))
			json_object_set_new(unset, path, json_integer(1));
		else
			json_object_set(set, path, value);
	}
	struct feed_change m = {.kind = UP_SET,
				  .imsi = imsi,
				  .json = json_pack("{s:o,s:o}", "$set", set, "$unset", unset),
				  .done = provision_done,
				  .refused = provision_refused,
				  .id = c->serial};
	if (provision_check(l, doc, e))
		return provision_upstream(l, &m, e);
	json_decref(m.json);
	return false;
}

// ---- members that the schema knows

// A slip of the keyboard would be stored and do nothing. false: *e names it and what may have been meant.
static bool is_known(const char *path, const json_t *value, struct record_error *e)
{
	const struct doc_schema *schema = documents_schema();
	char deeper[200], meant[128];
	const char *name;
	json_t *member;
	size_t i;
	if (!schema_find(schema, path)) {
		bool like = schema_suggest(schema, path, meant, sizeof(meant));
		snprintf(e->text, sizeof(e->text), "%.80s: no such member%s%.90s%s (--force sets it all the same)", path,
			 like ? "; did you mean " : "", like ? meant : "", like ? "?" : "");
		return false;
	}
	json_object_foreach((json_t *)value, name, member)
	{
		if (name[0] == '$') // Extended JSON
			continue;
		snprintf(deeper, sizeof(deeper), "%.150s.%.40s", path, name);
		if (!is_known(deeper, member, e))
			return false;
	}
	json_array_foreach(value, i, member)
	{
		snprintf(deeper, sizeof(deeper), "%.150s.%zu", path, i);
		if ((json_is_object(member) || json_is_array(member)) && !is_known(deeper, member, e))
			return false;
	}
	return true;
}

// Text stays text although a shell's word may look like a number; a telephone number loses its plus.
static json_t *normal(const char *path, json_t *value_taken)
{
	const struct doc_node *n = schema_find(documents_schema(), path);
	const char *text = json_string_value(value_taken);
	if (n && text && text[0] == '+' && strncmp(n->member->path, "msisdn", 6) == 0) {
		json_t *plain = json_string(text + 1);
		json_decref(value_taken);
		return plain;
	}
	size_t i;
	json_t *item;
	json_array_foreach(value_taken, i, item)
	{
		char deeper[200];
		if (!json_is_string(item))
			continue;
		snprintf(deeper, sizeof(deeper), "%.150s.%zu", path, i);
		json_array_set_new(value_taken, i, normal(deeper, json_incref(item)));
	}
	return value_taken;
}

// ---- set

// The document as it is kept, without what it says about the SQN, which is from long ago. NULL: the call has ended.
static json_t *kept_document(struct loader *l, struct call *c, imsi_t imsi)
{
	struct slice text;
	txn_commit(l);
	json_t *doc = local_read_document(l->local, imsi, &text) == 1
			  ? json_loadb((const char *)text.p, text.len, 0, NULL)
			  : NULL;
	if (!doc)
		provision_absent(l, c, imsi);
	else if (json_object_get(doc, "security"))
		json_object_del(json_object_get(doc, "security"), "sqn");
	return doc;
}

// What is wrong with a value that was given by hand is no reason to leave it out, as it would be in another system's
// document. false: *e.
static bool is_clean(struct loader *l, const json_t *before, const json_t *doc, struct record_error *e)
{
	struct record_error old;
	if (!provision_check(l, doc, e))
		return false;
	return e->text[0] == 0 || (provision_check(l, before, &old) && strcmp(old.text, e->text) == 0);
}

// false: *e.
static bool set_fields(struct loader *l, struct call *c, imsi_t imsi, json_t *doc, json_t *fields, struct record_error *e)
{
	bool force = json_is_true(json_object_get(c->args, "force"));
	json_t *value, *before = json_deep_copy(doc);
	const char *path;
	bool ok = true;
	json_object_foreach(fields, path, value)
	{
		ok = ok && (force || json_is_null(value) || is_known(path, value, e));
		if (ok)
			json_object_set_new(fields, path, value = normal(path, json_incref(value)));
		if (!ok || set_path(doc, path, value))
			continue;
		snprintf(e->text, sizeof(e->text), "%.150s: no such place in the document", path);
		ok = false;
	}
	ok = ok && is_clean(l, before, doc, e) &&
	     (l->feed ? set_upstream(l, c, imsi, doc, fields, e) : provision_put_document(l, c, doc, PUT_REPLACE, e));
	json_decref(before);
	return ok;
}

static void set_and_end(struct loader *l, struct call *c, json_t *fields)
{
	struct record_error e = {""};
	imsi_t imsi;
	if (!provision_imsi(l, c, &imsi))
		return;
	json_t *doc = kept_document(l, c, imsi);
	if (doc && !set_fields(l, c, imsi, doc, fields, &e))
		admin_end(l, c, ADMIN_REFUSED, "%s", e.text);
	json_decref(doc);
}

void provision_set(struct loader *l, struct call *c)
{
	json_t *fields = json_object_get(c->args, "fields");
	if (!json_is_object(fields) || json_object_get(fields, "imsi"))
		admin_end(l, c, ADMIN_USAGE, "fields: expected an object without imsi");
	else
		set_and_end(l, c, fields);
}

// ---- bar, unbar

// --what as a number of operator_determined_barring; -1: none.
static int category(const char *what)
{
	static const char *const names[] = {"all", "home-apn", "visited-apn"};
	for (int i = 0; what && i < 3; i++)
		if (strcmp(what, names[i]) == 0)
			return i;
	if (what && what[0] >= '0' && what[0] <= '8' && !what[1])
		return what[0] - '0';
	return what ? -1 : 0;
}

void provision_bar(struct loader *l, struct call *c)
{
	int n = category(json_string_value(json_object_get(c->args, "what")));
	if (n < 0) {
		admin_end(l, c, ADMIN_USAGE, "--what: expected all, home-apn, visited-apn, or 0 to 8");
		return;
	}
	json_t *fields = json_pack("{s:i,s:i}", "subscriber_status", 1, "operator_determined_barring", n);
	set_and_end(l, c, fields);
	json_decref(fields);
}

void provision_unbar(struct loader *l, struct call *c)
{
	json_t *fields = json_pack("{s:i,s:i}", "subscriber_status", 0, "operator_determined_barring", 0);
	set_and_end(l, c, fields);
	json_decref(fields);
}

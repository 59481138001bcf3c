// `subscriber ...` commands of hss-admin: see README.md and provision.h. Loader process, main thread.
#include "loader/admin/provision.h"
#include "apps/documents.h"
#include "loader/admin/audit.h"
#include "loader/admin/backup.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/document/extjson.h"
#include "loader/upstream/feed.h"
#include "loader/commit/hss_request.h"
#include "loader/upstream/problems.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

const struct admin_command admin_commands[] = {
    {"subscriber add", provision_add, NULL},
    {"subscriber show", provision_show, NULL},
    {"subscriber set", provision_set, NULL},
    {"subscriber delete", provision_delete, NULL},
    {"subscriber list", provision_stream, provision_list_pump},
    {"subscriber export", provision_stream, provision_export_pump},
    {"subscriber import", import_begin, NULL},
    {"subscriber problems", problems_list, problems_pump},
    {"sqn show", sqn_show, NULL},
    {"sqn set", sqn_set, NULL},
    {"sqn jump", sqn_jump, NULL},
    {"location show", location_show, NULL},
    {"location cancel", location_cancel, NULL},
    {"store status", store_status, NULL},
    {"store verify", feed_verify, NULL},
    {"store accept-loss", feed_accept_loss, NULL},
    {"store index", feed_index, NULL},
    {"backup", backup_begin, backup_pump},
    {"restore", restore_begin, NULL},
    {"audit", audit_show, audit_pump},
    {"audit note", audit_note, NULL},
    {NULL, NULL, NULL},
};

bool provision_imsi(struct loader *l, struct call *c, imsi_t *imsi)
{
	struct slice text;
	if (ext_text(json_object_get(c->args, "imsi"), &text) == EXT_OK && imsi_parse(text, imsi))
		return true;
	admin_end(l, c, ADMIN_USAGE, "imsi: expected 5 to 15 digits");
	return false;
}

void provision_absent(struct loader *l, struct call *c, imsi_t imsi)
{
	if (!l->feed || c->looked_up)
		admin_end(l, c, ADMIN_REFUSED, "no such subscriber");
	else if (!feed_look_up(l, c, imsi))
		admin_end(l, c, ADMIN_REFUSED, "no such subscriber here, and too much waits for the upstream already");
}

void provision_done(struct loader *l, struct op *op, int error)
{
	struct call *c = admin_call(l, op->id);
	if (c && error)
		admin_end(l, c, ADMIN_REFUSED, "could not be made durable: %s", err_text(error));
	else if (c)
		admin_end(l, c, ADMIN_OK, NULL);
}

void provision_refused(struct loader *l, uint64_t id, uint64_t answer, const char *text)
{
	struct call *c = admin_call(l, id);
	(void)answer;
	if (c)
		admin_end(l, c, ADMIN_REFUSED, "%s", text);
}

static bool check_document(struct loader *l, const json_t *doc, imsi_t *imsi, struct record_error *e)
{
	struct subscription *s = calloc(1, sizeof(*s));
	struct record_image image;
	bool ok = s && record_parse(&l->records, doc, s, e) && record_build(&l->records, s, &image, e);
	if (ok)
		*imsi = s->imsi;
	if (s)
		secret_wipe(s, sizeof(*s));
	free(s);
	secret_wipe(&image, sizeof(image));
	return ok;
}

static bool upstream_change(struct loader *l, struct feed_change *m, struct record_error *e)
{
	if (feed_change_take(l, m))
		return true;
	snprintf(e->text, sizeof(e->text), "too much waits for the upstream already");
	return false;
}

bool provision_change(struct loader *l, const struct put *p, struct record_error *e)
{
	imsi_t imsi;
	if (!l->feed)
		return provision_put(l, p, e);
	if (!check_document(l, p->document, &imsi, e))
		return false;
	struct feed_change m = {.kind = p->mode == PUT_ADD ? UP_ADD : UP_REPLACE,
				  .imsi = imsi,
				  .json = json_deep_copy(p->document),
				  .done = p->done,
				  .refused = p->refused,
				  .id = p->id,
				  .answer = p->answer};
	return upstream_change(l, &m, e);
}

// Text of a document, put, and wiped. false: *e says why.
static bool put_document(struct loader *l, struct call *c, const json_t *doc, enum put_mode mode,
			 struct record_error *e)
{
	char *text = json_dumps(doc, JSON_COMPACT);
	if (!text) {
		snprintf(e->text, sizeof(e->text), "the document could not be written");
		return false;
	}
	size_t len = strlen(text);
	bool ok = provision_change(l,
				   &(struct put){.document = doc,
						 .text = slice_of(text, len),
						 .mode = mode,
						 .done = provision_done,
						 .refused = provision_refused,
						 .id = c->serial},
				   e);
	secret_wipe(text, len);
	free(text);
	return ok;
}

// ---- add
// -------------------------------------------------------------------------------------------------------

static json_t *rate(int value, int unit)
{
	return json_pack("{s:i,s:i}", "value", value, "unit", unit);
}

static json_t *both_rates(int value, int unit)
{
	return json_pack("{s:o,s:o}", "downlink", rate(value, unit), "uplink", rate(value, unit));
}

static json_t *session(const char *name, int qci)
{
	json_t *arp = json_pack("{s:i,s:i,s:i}", "priority_level", qci == 5 ? 1 : 8, "pre_emption_capability",
				1, "pre_emption_vulnerability", 1);
	return json_pack("{s:s,s:i,s:{s:i,s:o},s:o,s:[]}", "name", name, "type", 3, "qos", "index", qci,
			 "arp", arp, "ambr", both_rates(1, 3), "pcc_rule");
}

static json_t *sessions(const json_t *apn)
{
	json_t *list = json_array();
	for (size_t i = 0; i < json_array_size(apn); i++) {
		const char *name = json_string_value(json_array_get(apn, i));
		// QCI 5 is that of IMS signalling (TS 23.203 table 6.1.7)
		if (name)
			json_array_append_new(list, session(name, strcmp(name, "ims") == 0 ? 5 : 9));
	}
	if (json_array_size(list) == 0)
		json_array_append_new(list, session("internet", 9));
	return list;
}

json_t *provision_new_document(const json_t *args)
{
	static const char *const keys[] = {"k", "op", "opc", "amf", "sqn", "algorithm"};
	json_t *sec = json_pack("{s:s}", "amf", "8000");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_get(args, keys[i]))
			json_object_set(sec, keys[i], json_object_get(args, keys[i]));
	int64_t sqn;
	// a shell passes text
	if (ext_decimal(json_string_value(json_object_get(sec, "sqn")), &sqn) == EXT_OK)
		json_object_set_new(sec, "sqn", json_integer(sqn));
	json_t *msisdn = json_object_get(args, "msisdn");
	msisdn = msisdn ? json_incref(msisdn) : json_array();
	json_t *slice = json_pack("{s:i,s:b,s:o}", "sst", 1, "default_indicator", 1, "session",
				  sessions(json_object_get(args, "apn")));
	return json_pack("{s:i,s:O,s:o,s:o,s:o,s:[o],s:i,s:i,s:i,s:i,s:i}", "schema_version", 1, "imsi",
			 json_object_get(args, "imsi"), "msisdn", msisdn, "security", sec, "ambr",
			 both_rates(1, 3), "slice", slice, "access_restriction_data", 32, "subscriber_status",
			 0, "operator_determined_barring", 0, "network_access_mode", 0,
			 "subscribed_rau_tau_timer", 12);
}

void provision_add(struct loader *l, struct call *c)
{
	struct record_error e = {""};
	imsi_t imsi;
	json_t *given = json_object_get(c->args, "document");
	if (!given && !provision_imsi(l, c, &imsi))
		return;
	json_t *doc = given ? json_incref(given) : provision_new_document(c->args);
	if (!put_document(l, c, doc, PUT_ADD, &e))
		admin_end(l, c, ADMIN_REFUSED, "%s", e.text);
	json_decref(doc);
}

// ---- show
// ------------------------------------------------------------------------------------------------------

static void set_or_delete(json_t *doc, const char *key, json_t *value)
{
	if (value)
		json_object_set_new(doc, key, value);
	else
		json_object_del(doc, key);
}

static json_t *name_text(struct slice s)
{
	return s.len ? json_stringn((const char *)s.p, s.len) : NULL;
}

json_t *imeisv_json(uint64_t imeisv)
{
	char text[32];
	if (!imeisv)
		return NULL;
	snprintf(text, sizeof(text), "%0*llu", (int)(imeisv >> 60) + 1,
		 (unsigned long long)(imeisv & ((1ull << 60) - 1)));
	return json_string(text);
}

// State and SQN live outside of the document; what is shown and exported has them in the places of the
// schema.
static void overlay(struct loader *l, json_t *doc, const struct cache_record *r)
{
	struct slice host = {0}, realm = {0};
	(void)cache_node_get(l->cache, r->mme, &host, &realm);
	set_or_delete(doc, "mme_host", name_text(host));
	set_or_delete(doc, "mme_realm", name_text(realm));
	set_or_delete(doc, "mme_timestamp",
		      host.len && r->mme_time_us ? json_integer((json_int_t)r->mme_time_us) : NULL);
	set_or_delete(doc, "purge_flag", host.len ? json_boolean(r->flags & RECORD_MME_PURGED) : NULL);
	set_or_delete(doc, "imeisv", imeisv_json(r->imeisv));
	json_t *sec = json_object_get(doc, "security");
	if (json_is_object(sec))
		json_object_set_new(sec, "sqn", json_integer((json_int_t)(loader_seq_next(l, r->sqn) << 5)));
}

json_t *provision_document(struct loader *l, imsi_t imsi)
{
	struct slice text;
	if (local_read_document(l->local, imsi, &text) != 1)
		return NULL;
	json_t *doc = json_loadb((const char *)text.p, text.len, 0, NULL);
	const struct cache_record *r = loader_find(l, imsi);
	if (doc && r)
		overlay(l, doc, r);
	return doc;
}

static void mask(json_t *v, const struct doc_node *node)
{
	const struct doc_schema *schema = documents_schema();
	const char *name;
	json_t *member;
	json_object_foreach(v, name, member)
	{
		const struct doc_node *n = schema_child(schema, node, slice_str(name));
		if (n && n->member->flags & DOC_F_SECRET && json_is_string(member))
			json_object_set_new(v, name, json_string(SECRET_MASK));
		else if (n && json_is_object(member))
			mask(member, n);
	}
}

void provision_show(struct loader *l, struct call *c)
{
	imsi_t imsi;
	if (!provision_imsi(l, c, &imsi))
		return;
	bool secrets = json_is_true(json_object_get(c->args, "secrets"));
	txn_commit(l);
	json_t *doc = provision_document(l, imsi);
	if (!doc) {
		provision_absent(l, c, imsi);
		return;
	}
	if (!secrets)
		mask(doc, &documents_schema()->node[0]);
	admin_row_take(l, c, doc, secrets);
	admin_end(l, c, ADMIN_OK, NULL);
}

// ---- set
// -------------------------------------------------------------------------------------------------------

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
	imsi_t same;
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
	if (check_document(l, doc, &same, e))
		return upstream_change(l, &m, e);
	json_decref(m.json);
	return false;
}

void provision_set(struct loader *l, struct call *c)
{
	imsi_t imsi;
	struct record_error e = {""};
	const char *path;
	json_t *value, *fields = json_object_get(c->args, "fields");
	if (!provision_imsi(l, c, &imsi))
		return;
	if (!json_is_object(fields) || json_object_get(fields, "imsi")) {
		admin_end(l, c, ADMIN_USAGE, "fields: expected an object without imsi");
		return;
	}
	txn_commit(l);
	struct slice text;
	json_t *doc = local_read_document(l->local, imsi, &text) == 1
			  ? json_loadb((const char *)text.p, text.len, 0, NULL)
			  : NULL;
	if (!doc) {
		provision_absent(l, c, imsi);
		return;
	}
	// what the document says about the SQN is from long ago
	if (json_object_get(doc, "security"))
		json_object_del(json_object_get(doc, "security"), "sqn");
	json_object_foreach(fields, path, value)
	{
		if (set_path(doc, path, value))
			continue;
		admin_end(l, c, ADMIN_REFUSED, "%s: no such place in the document", path);
		json_decref(doc);
		return;
	}
	bool ok = l->feed ? set_upstream(l, c, imsi, doc, fields, &e) : put_document(l, c, doc, PUT_REPLACE, &e);
	if (!ok)
		admin_end(l, c, ADMIN_REFUSED, "%s", e.text);
	json_decref(doc);
}

// ---- delete
// ----------------------------------------------------------------------------------------------------

bool provision_remove(struct loader *l, imsi_t imsi, void (*done)(struct loader *l, struct op *op, int error),
		      uint64_t id)
{
	struct op *op = txn_begin(l, imsi.v, 8192);
	const struct cache_record *r = loader_find(l, imsi);
	struct slice text;
	// one that could not be loaded can still be deleted
	if (!r && local_read_document(l->local, imsi, &text) != 1)
		return false;
	*op = (struct op){.done = done, .what = OP_DELETE, .rec = {.imsi = imsi}, .id = id};
	if (r)
		location_withdraw(l, op, r, 0);
	struct wr w = txn_entry(l);
	txn_entry_end(l, &w, ENTRY_DOC_DELETE, imsi);
	return txn_add(l, op);
}

void provision_delete(struct loader *l, struct call *c)
{
	imsi_t imsi;
	struct record_error e = {"no such subscriber"};
	if (!provision_imsi(l, c, &imsi))
		return;
	struct feed_change m = {.kind = UP_REMOVE,
				  .imsi = imsi,
				  .done = provision_done,
				  .refused = provision_refused,
				  .id = c->serial};
	bool ok = l->feed ? upstream_change(l, &m, &e) : provision_remove(l, imsi, provision_done, c->serial);
	if (!ok)
		admin_end(l, c, ADMIN_REFUSED, "%s", e.text);
}

// ---- list, export
// ----------------------------------------------------------------------------------------------

void provision_stream(struct loader *l, struct call *c)
{
	txn_commit(l);
	c->need_seq = local_seq(l->local);
	if (!local_folded_to(l->local, c->need_seq))
		return; // admin_folded goes on
	c->started = true;
	c->command->pump(l, c);
}

static json_t *list_row(struct loader *l, const struct cache_record *r)
{
	char imsi[16], number[16];
	struct slice host = {0}, realm;
	const struct cache_profile *p = cache_profile(l->cache, r);
	json_t *msisdn = json_array();
	for (unsigned i = 0; i < 2; i++)
		if (r->msisdn[i].v) {
			msisdn_text(r->msisdn[i], number);
			json_array_append_new(msisdn, json_string(number));
		}
	imsi_text(r->imsi, imsi);
	json_t *row = json_pack("{s:s,s:o,s:s}", "imsi", imsi, "msisdn", msisdn, "status",
				p && p->subscriber_status ? "barred" : "granted");
	(void)cache_node_get(l->cache, r->mme, &host, &realm);
	json_object_set_new(row, "mme", host.len ? name_text(host) : json_null());
	host = (struct slice){0};
	(void)cache_node_get(l->cache, r->sgsn, &host, &realm);
	json_object_set_new(row, "sgsn", host.len ? name_text(host) : json_null());
	return row;
}

// The next subscriber of a stream; ends the call at the end.
static bool next_subscriber(struct loader *l, struct call *c, imsi_t *imsi)
{
	int rc = local_next(l->local, c->cursor, imsi);
	if (rc == 1) {
		c->cursor = *imsi;
		return true;
	}
	if (rc)
		admin_end(l, c, ADMIN_REFUSED, "the local database could not be read: %s", err_text(rc));
	else
		admin_end(l, c, ADMIN_OK, NULL);
	return false;
}

void provision_list_pump(struct loader *l, struct call *c)
{
	const char *prefix = json_string_value(json_object_get(c->args, "prefix"));
	size_t prefix_len = prefix ? strlen(prefix) : 0;
	char text[16];
	imsi_t imsi;
	// the call is gone once next_subscriber says false
	while (c->window && next_subscriber(l, c, &imsi)) {
		const struct cache_record *r = loader_find(l, imsi);
		imsi_text(imsi, text);
		if (r && (prefix_len == 0 || strncmp(text, prefix, prefix_len) == 0))
			admin_row_take(l, c, list_row(l, r), false);
	}
}

void provision_export_pump(struct loader *l, struct call *c)
{
	imsi_t imsi;
	while (c->window && next_subscriber(l, c, &imsi)) {
		json_t *doc = provision_document(l, imsi);
		if (doc)
			admin_row_take(l, c, doc, true);
	}
}

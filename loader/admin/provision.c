// The `subscriber ...` commands of hss-admin, but for `set`, `bar`, `unbar` and `import` (README.md has the
// protocol, provision.h the storing). Loader process, main thread.
#include "loader/admin/provision.h"
#include "loader/app.h"
#include "apps/documents.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/document/extjson.h"
#include "loader/document/new_document.h"
#include "loader/upstream/feed.h"
#include "loader/commit/app_data.h"
#include "loader/commit/hss_request.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

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
	e->text[0] = 0;
	struct subscription *s = calloc(1, sizeof(*s));
	struct record_image image;
	bool ok = s && record_parse(&l->records, doc, s, e) && record_build(&l->records, s, &image, e);
	struct app_data data;
	ok = ok && app_data_read(l, doc, (struct slice){0}, &data, e);
	if (ok)
		*imsi = s->imsi;
	if (s)
		secret_wipe(s, sizeof(*s));
	free(s);
	secret_wipe(&image, sizeof(image));
	return ok;
}

bool provision_check(struct loader *l, const json_t *doc, struct record_error *e)
{
	imsi_t imsi;
	return check_document(l, doc, &imsi, e);
}

bool provision_upstream(struct loader *l, struct feed_change *m, struct record_error *e)
{
	if (feed_change_take(l, m))
		return true;
	snprintf(e->text, sizeof(e->text), "too much waits for the upstream already");
	return false;
}

static json_t *stored_copy(struct loader *l, const json_t *document)
{
	json_t *stored = app_data_stored(l, document, (struct slice){0}), *copy = json_deep_copy(stored ? stored : document);
	json_decref(stored);
	return copy;
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
				  .json = stored_copy(l, p->document),
				  .done = p->done,
				  .refused = p->refused,
				  .id = p->id,
				  .answer = p->answer};
	return provision_upstream(l, &m, e);
}

// Text of a document, put, and wiped. false: *e says why.
bool provision_put_document(struct loader *l, struct call *c, const json_t *doc, enum put_mode mode,
			    struct record_error *e)
{
	uint64_t serial = c->serial;
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
	c = admin_call(l, serial); // it may have ended with the commit of a full batch
	if (ok && c && e->text[0])
		snprintf(c->warning, sizeof(c->warning), "%s", e->text);
	return ok;
}

// ---- add ----------------------------------------------------------------------------------------

// What the options of `subscriber add` make: unlike a document of another system, nothing of it is left out.
static bool add_options(struct loader *l, struct call *c, json_t **doc, struct record_error *e)
{
	*doc = new_document(c->args, e);
	bool ok = *doc && provision_check(l, *doc, e) && e->text[0] == 0;
	if (!ok && strncmp(e->text, "security: ", 10) == 0)
		snprintf(e->text, sizeof(e->text), "--opc or --op is needed, since %s is not set",
			 config_option_at(offsetof(struct config, op_file)));
	return ok;
}

void provision_add(struct loader *l, struct call *c)
{
	struct record_error e = {"out of memory"};
	imsi_t imsi;
	json_t *given = json_object_get(c->args, "document"), *doc = given ? json_incref(given) : NULL;
	if (!given && !provision_imsi(l, c, &imsi))
		return;
	if ((!given && !add_options(l, c, &doc, &e)) || !provision_put_document(l, c, doc, PUT_ADD, &e))
		admin_end(l, c, strncmp(e.text, "--", 2) == 0 ? ADMIN_USAGE : ADMIN_REFUSED, "%s", e.text);
	json_decref(doc);
}

// ---- show ---------------------------------------------------------------------------------------

void provision_set_or_delete(json_t *doc, const char *key, json_t *value)
{
	if (value)
		json_object_set_new(doc, key, value);
	else
		json_object_del(doc, key);
}

json_t *provision_name(struct slice s)
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
	for (unsigned i = 0; i < CACHE_APP_MAX; i++)
		if (l->app[i] && l->app[i]->show)
			l->app[i]->show(l, doc, r);
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

static void mask(json_t *v, const struct doc_node *node);

static void mask_list(json_t *list, const struct doc_node *element)
{
	size_t i;
	json_t *v;
	json_array_foreach(list, i, v)
		if (element && json_is_object(v))
			mask(v, element);
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
		else if (n && json_is_array(member))
			mask_list(member, schema_element(schema, n));
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
	const struct cache_record *r = loader_find(l, imsi);
	for (unsigned i = 0; r && i < CACHE_APP_MAX; i++)
		if (l->app[i] && l->app[i]->show_more)
			l->app[i]->show_more(l, doc, r);
	if (!secrets)
		mask(doc, &documents_schema()->node[0]);
	admin_row_take(l, c, doc, secrets);
	admin_end(l, c, ADMIN_OK, NULL);
}

// ---- delete -------------------------------------------------------------------------------------

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
		for (unsigned i = 0; i < CACHE_APP_MAX; i++)
			if (l->app[i] && l->app[i]->withdrawn)
				l->app[i]->withdrawn(l, op, r);
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
	bool ok = l->feed ? provision_upstream(l, &m, &e) : provision_remove(l, imsi, provision_done, c->serial);
	if (!ok)
		admin_end(l, c, ADMIN_REFUSED, "%s", e.text);
}

// ---- list, export -------------------------------------------------------------------------------

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
	for (unsigned i = 0; i < CACHE_APP_MAX; i++)
		if (l->app[i] && l->app[i]->list)
			l->app[i]->list(l, row, r);
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

// Does this row have what was asked for? A node is any that the row names.
static bool is_wanted(const struct call *c, const json_t *row)
{
	const char *prefix = json_string_value(json_object_get(c->args, "prefix"));
	const char *status = json_string_value(json_object_get(c->args, "status"));
	const char *node = json_string_value(json_object_get(c->args, "node")), *name;
	const char *imsi = json_string_value(json_object_get(row, "imsi"));
	json_t *member;
	if (prefix && strncmp(imsi, prefix, strlen(prefix)) != 0)
		return false;
	if (status && strcmp(status, json_string_value(json_object_get(row, "status"))) != 0)
		return false;
	json_object_foreach((json_t *)row, name, member)
	{
		if (node && json_is_string(member) && strcmp(name, "imsi") != 0 && strcmp(name, "status") != 0 &&
		    strcasecmp(json_string_value(member), node) == 0)
			return true;
	}
	return node == NULL;
}

// The list is through.
static void list_end(struct loader *l, struct call *c)
{
	if (json_is_true(json_object_get(c->args, "count")))
		admin_row_take(l, c, json_pack("{s:I}", "count", (json_int_t)c->found), false);
	admin_end(l, c, ADMIN_OK, NULL);
}

static void list_one(struct loader *l, struct call *c, const struct cache_record *r)
{
	json_t *row = r ? list_row(l, r) : NULL;
	bool wanted = row && is_wanted(c, row);
	c->found += wanted;
	if (wanted && !json_is_true(json_object_get(c->args, "count")))
		admin_row_take(l, c, row, false);
	else
		json_decref(row);
}

#define LIST_PIECE 2000u // subscribers that are looked at before others have their turn

void provision_list_pump(struct loader *l, struct call *c)
{
	const json_t *number = json_object_get(c->args, "msisdn"), *limit = json_object_get(c->args, "limit");
	uint64_t most = limit ? (uint64_t)json_integer_value(limit) : UINT64_MAX;
	msisdn_t msisdn;
	imsi_t imsi;
	int rc = 1;
	if (number && msisdn_parse(slice_str(json_string_value(number)), &msisdn)) { // found without a search
		list_one(l, c, cache_find_msisdn(l->cache, msisdn));
		list_end(l, c);
		return;
	}
	for (unsigned n = 0; n < LIST_PIECE && c->window && c->found < most; n++) {
		rc = local_next(l->local, c->cursor, &imsi);
		if (rc != 1)
			break;
		c->cursor = imsi;
		list_one(l, c, loader_find(l, imsi));
	}
	if (rc < 0)
		admin_end(l, c, ADMIN_REFUSED, "the local database could not be read: %s", err_text(rc));
	else if (rc == 0 || c->found >= most)
		list_end(l, c);
	else if (c->window)
		admin_again(l);
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

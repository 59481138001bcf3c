// What operators see and do of the data that application servers keep: `hssctl sh ...`. Loader process, main thread.
#include <stdio.h>
#include <time.h>
#include "apps/sh/data.h"
#include "apps/sh/identity.h"
#include "apps/sh/loader.h"
#include "lib/base/clock.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"
#include "lib/diameter/header.h"
#include "lib/ims/fragment.h"
#include "loader/admin/provision.h"
#include "loader/commit/txn.h"

struct found {
	const struct cache_record *rec;
	struct ims_user user;
	struct sh_state sh;
	int at; // place of the public identity that was named; -1: another identity was
};

static struct slice arg(const struct call *c, const char *name)
{
	const json_t *v = json_object_get(c->args, name);
	return json_is_string(v) ? slice_of(json_string_value(v), json_string_length(v)) : (struct slice){0};
}

// The user of args.identity. false: there is none, and the call has been ended.
static bool find(struct loader *l, struct call *c, struct found *f)
{
	bool is_identity;
	f->rec = ims_user_named(l->cache, l->config, arg(c, "identity"), &f->user, &f->at, &is_identity);
	if (!f->rec) {
		admin_end(l, c, is_identity ? ADMIN_REFUSED : ADMIN_USAGE,
			  is_identity ? "no such user"
				      : "identity: expected an IMSI, an MSISDN, a sip: or tel: URI, or a private identity");
		return false;
	}
	sh_state_of(l->cache, f->rec, &f->sh);
	return true;
}

static json_t *text(struct slice s)
{
	return json_stringn((const char *)s.p, s.len);
}

// ---- show

static json_t *identities_of(const struct found *f, uint64_t scope)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < f->user.d.pub_cnt; i++)
		if (sh_scope_of(&f->user, (int)i) == scope)
			json_array_append_new(list, text(f->user.d.pub[i].identity));
	return list;
}

// That of the public identity that was named; of all, if another identity was.
static bool is_meant(const struct found *f, uint64_t scope)
{
	return f->at < 0 || sh_scope_of(&f->user, f->at) == scope;
}

static json_t *services_of(const struct found *f, bool with_data)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < f->sh.service_cnt; i++) {
		const struct sh_service *s = &f->sh.service[i];
		if (!is_meant(f, s->scope))
			continue;
		json_t *row = json_pack("{s:o,s:i,s:i,s:o}", "service", text(s->indication), "sequence", (int)s->sequence, "octets",
					(int)s->data.len, "identities", identities_of(f, s->scope));
		if (with_data)
			json_object_set_new(row, "data", text(s->data));
		json_array_append_new(list, row);
	}
	return list;
}

static json_t *identity_of(const struct sh_watcher *w)
{
	struct subject s;
	struct avp a;
	if (avp_find(w->identity, AVP_CODE_Public_Identity, VENDOR_3GPP, &a))
		return text(a.data);
	return sh_identity_read(w->identity, &s) ? text(subject_text(&s)) : json_null();
}

static json_t *time_of(uint32_t seconds)
{
	char out[32];
	time_t t = seconds;
	struct tm tm;
	if (!seconds || !gmtime_r(&t, &tm) || !strftime(out, sizeof(out), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return json_null();
	return json_string(out);
}

static json_t *subscription_of(const struct sh_state *sh, const struct sh_subscription *s)
{
	const struct sh_watcher *w = &sh->watcher[s->watcher];
	const char *name = sh_reference_name(s->reference);
	return json_pack("{s:o,s:o,s:s,s:o,s:b,s:o}", "server", text(w->host), "identity", identity_of(w), "data", name ? name : "?",
			 "service", s->key.len ? text(s->key) : json_null(), "one_time", s->one_time, "expires",
			 time_of(s->expires_s));
}

static bool is_over(const struct sh_subscription *s)
{
	return s->expires_s && s->expires_s <= clock_wall_us() / 1000000;
}

static void sh_show(struct loader *l, struct call *c)
{
	static struct found f;
	char imsi[16];
	txn_commit(l);
	if (!find(l, c, &f))
		return;
	json_t *subscriptions = json_array();
	for (unsigned i = 0; i < f.sh.subscription_cnt; i++)
		if (!is_over(&f.sh.subscription[i]))
			json_array_append_new(subscriptions, subscription_of(&f.sh, &f.sh.subscription[i]));
	imsi_text(f.rec->imsi, imsi);
	admin_row_take(l, c,
		       json_pack("{s:s,s:o,s:o}", "imsi", imsi, "repository_data",
				 services_of(&f, json_is_true(json_object_get(c->args, "data"))), "subscriptions", subscriptions),
		       false);
	admin_end(l, c, ADMIN_OK, NULL);
}

static void sh_subscriptions(struct loader *l, struct call *c)
{
	static struct found f;
	txn_commit(l);
	if (!find(l, c, &f))
		return;
	for (unsigned i = 0; i < f.sh.subscription_cnt; i++)
		if (!is_over(&f.sh.subscription[i]))
			admin_row_take(l, c, subscription_of(&f.sh, &f.sh.subscription[i]), false);
	admin_end(l, c, ADMIN_OK, NULL);
}

// ---- what changes repository data, as a PUR of nobody would

// The document that a server would send. NULL: it is read; else why it is none.
static const char *read_data(struct slice service, uint16_t sequence, struct slice data, struct sh_update *out)
{
	static uint8_t document[SH_READ_OCTETS_MAX];
	struct wr w = wr_of(document, sizeof(document));
	ims_put(&w, "<Sh-Data><RepositoryData>");
	ims_put_element(&w, "ServiceIndication", service);
	ims_put_number(&w, "SequenceNumber", sequence);
	if (data.len) {
		ims_put(&w, "<ServiceData>");
		wr_slice(&w, data);
		ims_put(&w, "</ServiceData>");
	}
	ims_put(&w, "</RepositoryData></Sh-Data>");
	if (w.err)
		return "too long, or with control characters";
	const char *why = sh_update_read(wr_done(&w), out);
	if (!why && (out->cnt != 1 || out->has_other || !slice_eq(out->instance[0].data, data)))
		return "ServiceData holds an end tag that is not its own";
	return why;
}

static void store(const struct loader *l, const struct found *f, const struct sh_update *update, struct sh_decision *d)
{
	struct sh_store q = {.scope = sh_scope_of(&f->user, f->at), .now_s = (uint32_t)(clock_wall_us() / 1000000), .update = update};
	for (unsigned i = 0; i < f->sh.watcher_cnt; i++) {
		int pub;
		bool known = sh_identity_at(&f->user, l->config, f->sh.watcher[i].identity, &pub) != 0;
		q.watcher_scope[i] = known ? sh_scope_of(&f->user, pub) : SH_SCOPE_NONE;
	}
	sh_store(&f->sh, &q, d);
}

static void refuse(struct loader *l, struct call *c, struct op *op, const char *why)
{
	txn_forget(l, op);
	admin_end(l, c, ADMIN_REFUSED, "%s", why);
}

// Empty data: a deletion.
static void change(struct loader *l, struct call *c, struct slice data)
{
	static struct sh_update update;
	static struct sh_decision d;
	static struct found f;
	struct slice service = arg(c, "service");
	txn_commit(l);
	if (!find(l, c, &f))
		return;
	if (f.at < 0) {
		admin_end(l, c, ADMIN_USAGE, "identity: expected a public identity (sip: or tel:)");
		return;
	}
	struct op *op = txn_begin(l, f.rec->imsi.v, TXN_APPS_ROOM);
	if (!find(l, c, &f)) { // as it is now
		txn_forget(l, op);
		return;
	}
	*op = (struct op){.done = provision_done, .what = OP_PUT, .rec = *f.rec, .id = c->serial};
	const struct sh_service *had = sh_service_find(&f.sh, sh_scope_of(&f.user, f.at), service);
	uint16_t sequence = had ? (uint16_t)(had->sequence % UINT16_MAX + 1) : 0;
	const char *why = read_data(service, sequence, data, &update);
	if (why) {
		refuse(l, c, op, why);
		return;
	}
	store(l, &f, &update, &d);
	if (d.result != RESULT_SUCCESS)
		refuse(l, c, op, d.rule);
	else if (!sh_decide(l, op, &d) || !txn_add(l, op))
		refuse(l, c, op, "no room for it");
}

static void sh_set_data(struct loader *l, struct call *c)
{
	struct slice data = arg(c, "data");
	if (data.len)
		change(l, c, data);
	else
		admin_end(l, c, ADMIN_USAGE, "data: expected XML");
}

static void sh_delete_data(struct loader *l, struct call *c)
{
	change(l, c, (struct slice){0});
}

const struct admin_command sh_commands[] = {
	{"sh show", sh_show, NULL},
	{"sh subscriptions", sh_subscriptions, NULL},
	{"sh set-data", sh_set_data, NULL},
	{"sh delete-data", sh_delete_data, NULL},
	{NULL, NULL, NULL},
};

// S6a's part of what operators see and say: `hssctl location ...`, and the location in a subscriber's document and in
// lists. Loader process, main thread.
#include "apps/s6a/loader.h"
#include "lib/base/clock.h"
#include "loader/admin/admin.h"
#include "loader/admin/provision.h"
#include "loader/commit/txn.h"
#include "loader/upstream/outbox.h"

// A location of another system may come without its visited network and its time: both are null then.
static json_t *node(struct loader *l, const struct cache_serving *v)
{
	static const uint8_t unknown[3];
	struct slice host, realm;
	char text[7];
	bool known = plmn_valid(v->plmn) && memcmp(v->plmn, unknown, sizeof(unknown)) != 0;
	if (!cache_node_get(l->cache, v->node, &host, &realm))
		return json_null();
	plmn_text(v->plmn, text);
	return json_pack("{s:s%,s:s%,s:o,s:o,s:b}", "host", host.p, (size_t)host.len, "realm", realm.p,
			 (size_t)realm.len, "plmn", known ? json_string(text) : json_null(), "time_us",
			 v->time_us ? json_integer((json_int_t)v->time_us) : json_null(), "purged",
			 (v->flags & SERVING_PURGED) != 0);
}

static void location_show(struct loader *l, struct call *c)
{
	imsi_t imsi;
	char text[16];
	txn_commit(l);
	const struct cache_record *r = provision_find(l, c, &imsi);
	if (!r)
		return;
	json_t *imei = imeisv_json(r->imeisv);
	imsi_text(imsi, text);
	admin_row_take(
	    l, c,
	    json_pack("{s:s,s:o,s:o,s:o}", "imsi", text, "mme",
		      node(l, &r->serving[S6A_MME]), "sgsn", node(l, &r->serving[S6A_SGSN]), "imeisv", imei ? imei : json_null()),
	    false);
	admin_end(l, c, ADMIN_OK, NULL);
}

static void cancel_done(struct loader *l, struct op *op, int error)
{
	if (error == 0 && l->outbox)
		outbox_state(l, op->rec.imsi);
	provision_done(l, op, error);
}

static void location_cancel(struct loader *l, struct call *c)
{
	imsi_t imsi;
	if (!provision_imsi(l, c, &imsi))
		return;
	struct op *op = txn_begin(l, imsi.v, 8192);
	const struct cache_record *r = provision_find(l, c, &imsi);
	if (!r)
		return;
	struct s6a_state now;
	struct s6a_decision d;
	s6a_state_of(l->cache, r, &now);
	if (!now.serving[S6A_MME].host.len && !now.serving[S6A_SGSN].host.len) {
		admin_end(l, c, ADMIN_REFUSED, "no node serves this subscriber");
		return;
	}
	*op = (struct op){.done = cancel_done, .what = OP_PUT, .rec = *r, .id = c->serial};
	s6a_withdraw(&now, clock_wall_us(), json_is_true(json_object_get(c->args, "reattach")) ? CLR_REATTACH : 0, &d);
	if (!s6a_decide(l, op, &d, S6A_DROP_KEPT | S6A_TELL_UPSTREAM)) {
		txn_forget(l, op);
		admin_end(l, c, ADMIN_REFUSED, "the cache is full");
	} else if (!txn_add(l, op)) {
		admin_end(l, c, ADMIN_REFUSED, "could not be written");
	}
}

const struct admin_command s6a_commands[] = {
	{"location show", location_show, NULL},
	{"location cancel", location_cancel, NULL},
	{"location ask", s6a_location_ask, NULL},
	{"reset", s6a_reset, NULL},
	{"explain", s6a_explain, NULL},
	{NULL, NULL, NULL},
};

void s6a_show(struct loader *l, json_t *doc, const struct cache_record *r)
{
	const struct cache_serving *mme = &r->serving[S6A_MME];
	struct slice host = {0}, realm = {0};
	(void)cache_node_get(l->cache, mme->node, &host, &realm);
	provision_set_or_delete(doc, "mme_host", provision_name(host));
	provision_set_or_delete(doc, "mme_realm", provision_name(realm));
	provision_set_or_delete(doc, "mme_timestamp",
				  host.len && mme->time_us ? json_integer((json_int_t)mme->time_us) : NULL);
	provision_set_or_delete(doc, "purge_flag", host.len ? json_boolean(mme->flags & SERVING_PURGED) : NULL);
	provision_set_or_delete(doc, "imeisv", imeisv_json(r->imeisv));
}

void s6a_list(struct loader *l, json_t *row, const struct cache_record *r)
{
	static const char *const name[S6A_KIND_CNT] = {[S6A_MME] = "mme", [S6A_SGSN] = "sgsn"};
	for (unsigned i = 0; i < S6A_KIND_CNT; i++) {
		struct slice host = {0}, realm;
		(void)cache_node_get(l->cache, r->serving[i].node, &host, &realm);
		json_object_set_new(row, name[i], host.len ? provision_name(host) : json_null());
	}
}

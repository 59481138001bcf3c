// What operators see and do of IMS registrations: `hssctl ims ...`. Loader process, main thread.
#include "apps/apps.h"
#include "apps/cx/loader.h"
#include "apps/cx/user_data.h"
#include "lib/base/clock.h"
#include "loader/admin/admin.h"
#include "loader/admin/provision.h"
#include "loader/commit/txn.h"
#include "loader/upstream/outbox.h"

#define USER_DATA_MAX (200u << 10)

struct found {
	const struct cache_record *rec;
	struct ims_user user;
	struct ims_state state;
	int at; // place of the public identity that was named; -1: another identity was
};

// The user of args.identity. false: there is none, and the call has been ended.
static bool find(struct loader *l, struct call *c, struct found *f)
{
	const json_t *v = json_object_get(c->args, "identity");
	struct slice text = slice_of(json_string_value(v), json_string_length(v));
	bool is_identity = false;
	f->rec = json_is_string(v) ? ims_user_named(l->cache, l->config, text, &f->user, &f->at, &is_identity) : NULL;
	if (!f->rec) {
		admin_end(l, c, is_identity ? ADMIN_REFUSED : ADMIN_USAGE,
			  is_identity ? "no such user"
				      : "identity: expected an IMSI, an MSISDN, a sip: or tel: URI, or a private identity");
		return false;
	}
	ims_state_of(l->cache, f->rec, &f->state);
	return true;
}

static json_t *text(struct slice s)
{
	return json_stringn((const char *)s.p, s.len);
}

static const char *state_name(const struct ims_state *s, uint8_t set)
{
	switch (ims_set_state(s, set)) {
	case IMS_SET_REGISTERED: return "registered";
	case IMS_SET_UNREGISTERED: return "unregistered";
	case IMS_SET_NOT_REGISTERED: break;
	}
	return ims_set_pending(s, set) ? "authentication_pending" : "not_registered";
}

static json_t *privates_of(const struct found *f)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < f->user.d.priv_cnt; i++)
		json_array_append_new(list, json_pack("{s:o,s:s}", "identity", text(f->user.d.priv[i].identity), "scheme",
						      f->user.d.priv[i].scheme == IMS_DIGEST ? "digest" : "aka"));
	return list;
}

static json_t *publics_of(const struct found *f)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < f->user.d.pub_cnt; i++) {
		const struct ims_public *p = &f->user.d.pub[i];
		json_array_append_new(list, json_pack("{s:o,s:i,s:b,s:b,s:s}", "identity", text(p->identity), "set", (int)p->set,
						      "default", ims_default_of(&f->user, p->set) == (int)i, "barred", p->barred,
						      "state", state_name(&f->state, p->set)));
	}
	return list;
}

static void ims_show(struct loader *l, struct call *c)
{
	static struct found f;
	char imsi[16];
	txn_commit(l);
	if (!find(l, c, &f))
		return;
	imsi_text(f.rec->imsi, imsi);
	json_t *scscf = f.state.scscf.len ? json_pack("{s:o,s:o,s:o}", "name", text(f.state.scscf), "host", text(f.state.host),
						      "realm", text(f.state.realm))
					  : json_null();
	admin_row_take(l, c,
		       json_pack("{s:s,s:o,s:o,s:o}", "imsi", imsi, "private_identities", privates_of(&f),
				 "public_identities", publics_of(&f), "scscf", scscf),
		       false);
	admin_end(l, c, ADMIN_OK, NULL);
}

static void ims_user_data(struct loader *l, struct call *c)
{
	static struct found f;
	static uint8_t xml[USER_DATA_MAX];
	struct wr w = wr_of(xml, sizeof(xml));
	txn_commit(l);
	if (!find(l, c, &f))
		return;
	uint8_t set = f.user.d.pub[f.at < 0 ? 0 : f.at].set;
	if (!cx_user_data_write(&w, l->cache, &f.user, 0, set, 0)) {
		admin_end(l, c, ADMIN_REFUSED, "the user data are too large");
		return;
	}
	admin_row_take(l, c, json_pack("{s:o}", "user_data", text(wr_done(&w))), false);
	admin_end(l, c, ADMIN_OK, NULL);
}

// ---- what tells S-CSCFs

static void changed(struct loader *l, struct op *op, int error)
{
	if (error == 0 && l->outbox)
		outbox_state(l, op->rec.imsi);
	provision_done(l, op, error);
}

// Begins an operation about the user of args.identity. NULL: the call has been ended.
static struct op *begin(struct loader *l, struct call *c, struct found *f)
{
	txn_commit(l);
	if (!find(l, c, f))
		return NULL;
	struct op *op = txn_begin(l, f->rec->imsi.v, TXN_APPS_ROOM);
	if (!find(l, c, f)) { // as it is now
		txn_forget(l, op);
		return NULL;
	}
	*op = (struct op){.done = changed, .what = OP_PUT, .rec = *f->rec, .id = c->serial};
	return op;
}

static void add(struct loader *l, struct call *c, struct op *op)
{
	if (!txn_add(l, op))
		admin_end(l, c, ADMIN_REFUSED, "could not be written");
}

static void ims_push(struct loader *l, struct call *c)
{
	static struct found f;
	bool done[256] = {false}, any = false;
	struct op *op = begin(l, c, &f);
	if (!op)
		return;
	for (unsigned i = 0; i < f.state.pair_cnt; i++) {
		const struct ims_pair *p = &f.state.pair[i];
		bool meant = f.at < 0 || f.user.d.pub[f.at].set == p->set;
		if (!meant || done[p->set] || !(p->flags & (IMS_REGISTERED | IMS_UNREGISTERED)))
			continue;
		cx_push(l, op, &f.state, p->set, false);
		done[p->set] = any = true;
	}
	if (any) {
		add(l, c, op);
		return;
	}
	txn_forget(l, op);
	admin_end(l, c, ADMIN_REFUSED, "no S-CSCF serves this user");
}

static bool reason_of(struct loader *l, struct call *c, enum cx_reason *reason)
{
	static const char *const name[CX_REASON_CNT] = {[CX_PERMANENT_TERMINATION] = "permanent",
							[CX_NEW_SERVER_ASSIGNED] = "new-server",
							[CX_SERVER_CHANGE] = "server-change",
							[CX_REMOVE_SCSCF] = "remove-scscf"};
	const char *said = json_string_value(json_object_get(c->args, "reason"));
	for (unsigned i = 0; i < CX_REASON_CNT; i++)
		if (!said || strcmp(said, name[i]) == 0) {
			*reason = (enum cx_reason)i;
			return true;
		}
	admin_end(l, c, ADMIN_USAGE, "--reason: expected permanent, new-server, server-change or remove-scscf");
	return false;
}

static void ims_deregister(struct loader *l, struct call *c)
{
	static struct found f;
	struct cx_decision d;
	enum cx_reason reason;
	const char *why = json_string_value(json_object_get(c->args, "text"));
	if (!reason_of(l, c, &reason))
		return;
	struct op *op = begin(l, c, &f);
	if (!op)
		return;
	int set = f.at < 0 ? -1 : f.user.d.pub[f.at].set;
	cx_deregister(&f.state, 0, set, reason, (uint32_t)(clock_wall_us() / 1000000), &d);
	if (!d.changed) {
		txn_forget(l, op);
		admin_end(l, c, ADMIN_REFUSED, reason == CX_REMOVE_SCSCF ? "the user has no unregistered identity"
									 : "the user is not registered");
	} else if (!cx_decide(l, op, &f.user, &d, why ? slice_str(why) : (struct slice){0})) {
		txn_forget(l, op);
		admin_end(l, c, ADMIN_REFUSED, "the cache is full");
	} else {
		add(l, c, op);
	}
}

const struct admin_command cx_commands[] = {
	{"ims show", ims_show, NULL},
	{"ims user-data", ims_user_data, NULL},
	{"ims push", ims_push, NULL},
	{"ims deregister", ims_deregister, NULL},
	{NULL, NULL, NULL},
};

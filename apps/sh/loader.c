// Sh in the loader (loader/app.h): who must be told when the registration or the document changes, and what the answer to a
// notification means.
#include "apps/apps.h"
#include "apps/ims/state.h"
#include "apps/ims/user.h"
#include "apps/sh/data.h"
#include "apps/sh/identity.h"
#include "apps/sh/loader.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/diameter/dict.h"
#include "loader/commit/change.h"
#include "loader/commit/hss_request.h"
#include "loader/commit/txn.h"

// ---- what a decision changes

static void add_notices(struct loader *l, struct op *op, const struct sh_decision *d)
{
	uint8_t data[SH_ROW_MAX];
	for (unsigned i = 0; i < d->notice_cnt; i++) {
		struct wr w = wr_of(data, sizeof(data));
		if (sh_row_put(&w, &d->notice[i].row))
			hss_request_add(l, op, op->rec.imsi,
					&(struct hss_request_image){.app = app_sh,
								    .purpose = SH_PUSH,
								    .host = d->notice[i].host,
								    .realm = d->notice[i].realm,
								    .data = wr_done(&w)});
	}
}

bool sh_decide(struct loader *l, struct op *op, const struct sh_decision *d)
{
	static uint8_t body[SH_STATE_MAX];
	struct wr w = wr_of(body, sizeof(body));
	add_notices(l, op, d);
	if (!d->changed)
		return true;
	sh_state_put(&w, &d->next);
	return !w.err && change_state(l, op, loader_app(l, app_sh), wr_done(&w), 0, &(struct state_kept){0});
}

// ---- the registration, and the document

#define DOCUMENT_MAX (200u << 10)

static const struct state_row *row_of(const struct op *op, unsigned app)
{
	for (unsigned i = 0; i < op->state_cnt; i++)
		if (op->state[i].app == app)
			return &op->state[i];
	return NULL;
}

// The subscriber before an operation and after it.
struct both {
	struct ims_user user[2];
	struct ims_state ims[2];
	bool has[2]; // an IMS subscription at all
};

static void user_after(struct loader *l, const struct op *op, struct both *b)
{
	const struct state_row *row = row_of(op, app_cx + STATE_ROW_DATA);
	if (!row) {
		b->has[1] = ims_user_of(l->cache, l->config, &op->rec, &b->user[1]);
		return;
	}
	bool said = row->body.len && ims_data_get(row->body, &b->user[1].d);
	if (!said)
		(void)ims_data_get((struct slice){0}, &b->user[1].d); // empties it
	b->has[1] = ims_user_fill(l->config, &op->rec, said, &b->user[1]);
}

static void read_both(struct loader *l, const struct op *op, const struct cache_record *old, struct both *b)
{
	const struct state_row *row = row_of(op, app_cx);
	b->has[0] = ims_user_of(l->cache, l->config, old, &b->user[0]);
	user_after(l, op, b);
	ims_state_of(l->cache, old, &b->ims[0]);
	b->ims[1] = b->ims[0];
	if (row)
		(void)ims_state_get(row->body, &b->ims[1]); // of no octets: empty
}

// Would the document that a notice of this subscription holds be another one than before?
static bool document_differs(struct loader *l, const struct both *b, const struct sh_state *sh, const struct sh_subscription *s)
{
	static uint8_t text[2][DOCUMENT_MAX];
	struct wr w[2];
	for (unsigned i = 0; i < 2; i++) {
		struct sh_query q = {.c = l->cache, .config = l->config, .user = &b->user[i], .ims = &b->ims[i], .sh = sh};
		w[i] = wr_of(text[i], sizeof(text[i]));
		sh_query_of_row(&(struct sh_row){.reference = s->reference, .key = s->key}, &q);
		if (!b->has[i] || !sh_identity_at(&b->user[i], l->config, sh->watcher[s->watcher].identity, &q.pub))
			return false; // the identity is not, or was not, this user's
		(void)sh_query_write(&w[i], &q);
	}
	return w[0].err || w[1].err || !slice_eq(wr_done(&w[0]), wr_done(&w[1]));
}

// That an authentication is pending is not told: it passes (TS 29.328 6.1.4).
static bool state_differs(struct loader *l, const struct both *b, const struct sh_watcher *w)
{
	enum ims_set_state state[2];
	for (unsigned i = 0; i < 2; i++) {
		int pub;
		if (!b->has[i] || !sh_identity_at(&b->user[i], l->config, w->identity, &pub) || pub < 0)
			return false;
		state[i] = ims_set_state(&b->ims[i], b->user[i].d.pub[pub].set);
	}
	return state[0] != state[1];
}

static void noticed(struct loader *l, struct op *op, const struct cache_record *old)
{
	static struct sh_decision d;
	static struct sh_state sh;
	static struct both b;
	bool changed[SH_SUBSCRIPTIONS_MAX] = {false}, any = false;
	if (!l->config || row_of(op, app_sh))
		return;
	sh_state_of(l->cache, old, &sh);
	if (!sh.subscription_cnt)
		return;
	read_both(l, op, old, &b);
	for (unsigned i = 0; i < sh.subscription_cnt; i++) {
		const struct sh_subscription *s = &sh.subscription[i];
		switch (s->reference) {
		case SH_REF_REPOSITORY: break;
		case SH_REF_USER_STATE: changed[i] = state_differs(l, &b, &sh.watcher[s->watcher]); break;
		case SH_REF_SCSCF: changed[i] = !slice_eq(b.ims[0].scscf, b.ims[1].scscf); break;
		default: changed[i] = document_differs(l, &b, &sh, s); break;
		}
		any |= changed[i];
	}
	if (!any)
		return;
	sh_changed(&sh, changed, (uint32_t)(clock_wall_us() / 1000000), &d);
	if (!sh_decide(l, op, &d))
		log_warn("subscription_not_ended", LOG_STR("reason", "the cache has no room"));
}

// ---- a PNR that the server has answered

// It knows neither the user (5001) nor such a subscription (5107): that ends.
static void answered(struct loader *l, struct op *op, const struct app_answer *a)
{
	static struct sh_decision d;
	static struct sh_state sh;
	struct sh_row row;
	bool unknown = a->result == EXP_USER_UNKNOWN;
	if (!a->experimental || (!unknown && a->result != EXP_NO_SUBSCRIPTION_TO_DATA) || !sh_row_get(a->data, &row))
		return;
	sh_state_of(l->cache, &op->rec, &sh);
	sh_unwanted(&sh, a->host, &row, unknown, &d);
	if (d.changed && sh_decide(l, op, &d))
		op->what |= OP_PUT;
}

static const struct app_request_kind *request_kind(uint8_t purpose)
{
	static const struct app_request_kind push = {"PNR", false};
	(void)purpose;
	return &push;
}

const struct loader_app sh_loader = {
	.name = "sh",
	.number = app_sh,
	.replaces = sh_row_replaces,
	.noticed = noticed,
	.answered = answered,
	.request_kind = request_kind,
	.commands = sh_commands,
};

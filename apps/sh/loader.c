// Sh in the loader (loader/app.h): who must be told when the registration changes, and what the answer to a notification means.
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

// ---- the registration

static const struct state_row *row_of(const struct op *op, unsigned app)
{
	for (unsigned i = 0; i < op->state_cnt; i++)
		if (op->state[i].app == app)
			return &op->state[i];
	return NULL;
}

// What of a registration a watcher sees. That an authentication is pending is not told: it passes (TS 29.328 6.1.4).
static uint64_t difference(const struct ims_state *before, const struct ims_state *after, uint8_t set)
{
	uint64_t changed = 0;
	if (ims_set_state(before, set) != ims_set_state(after, set))
		changed |= SH_BIT(SH_REF_USER_STATE);
	if (!slice_eq(before->scscf, after->scscf))
		changed |= SH_BIT(SH_REF_SCSCF);
	return changed;
}

static void noticed(struct loader *l, struct op *op, const struct cache_record *old)
{
	static struct ims_state before, after;
	static struct ims_user user;
	static struct sh_decision d;
	static struct sh_state sh;
	uint64_t changed[SH_WATCHERS_MAX] = {0};
	const struct state_row *row = row_of(op, app_cx);
	if (!row || row_of(op, app_sh) || !l->config)
		return;
	sh_state_of(l->cache, old, &sh);
	if (!sh.subscription_cnt || !ims_user_of(l->cache, l->config, old, &user))
		return;
	ims_state_of(l->cache, old, &before);
	(void)ims_state_get(row->body, &after); // of no octets: empty
	for (unsigned i = 0; i < sh.watcher_cnt; i++) {
		int pub;
		if (sh_identity_at(&user, l->config, sh.watcher[i].identity, &pub) && pub >= 0)
			changed[i] = difference(&before, &after, user.d.pub[pub].set);
	}
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

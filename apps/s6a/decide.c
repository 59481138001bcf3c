// Makes decisions that come from an operator or the upstream part of an operation of the loader, with the
// requests that must follow (loader.h). Main thread.
#include "apps/apps.h"
#include "apps/gateways.h"
#include "apps/s6a/loader.h"
#include "lib/base/clock.h"
#include "loader/app.h"
#include "loader/commit/change.h"
#include "loader/commit/hss_request.h"
#include "loader/commit/txn.h"

static void add_cancel(struct loader *l, struct op *op, imsi_t imsi, const struct s6a_cancel *c)
{
	uint8_t data[S6A_CANCEL_DATA_LEN];
	hss_request_add(l, op, imsi,
			&(struct hss_request_image){.app = app_s6a,
						    .purpose = c->kind == S6A_SGSN ? S6A_CANCEL_SGSN : S6A_CANCEL_MME,
						    .host = c->host,
						    .realm = c->realm,
						    .data = s6a_cancel_data(c, data)});
}

void s6a_cancel_all(struct loader *l, struct op *op, const struct cache_record *r, uint32_t clr_flags)
{
	struct s6a_state now;
	struct s6a_decision d;
	s6a_state_of(l->cache, r, &now);
	s6a_withdraw(&now, clock_wall_us(), clr_flags, &d);
	for (unsigned i = 0; i < d.cancel_cnt; i++)
		add_cancel(l, op, r->imsi, &d.cancel[i]);
}

bool s6a_decide(struct loader *l, struct op *op, const struct s6a_decision *d, unsigned options)
{
	uint8_t body[S6A_STATE_MAX];
	struct wr w = wr_of(body, sizeof(body));
	bool drop = options & S6A_DROP_KEPT;
	struct state_kept kept = {.has = {drop, drop}, .outbox = options & S6A_TELL_UPSTREAM && l->outbox};
	s6a_state_put(&w, &d->next);
	if (drop && gateways_of_nodes(l->cache, &op->rec).len && !change_data(l, op, loader_app(l, app_s6a), (struct slice){0}))
		return false;
	if (w.err || !change_state(l, op, loader_app(l, app_s6a), wr_done(&w), 0, &kept))
		return false;
	for (unsigned i = 0; i < d->cancel_cnt; i++)
		add_cancel(l, op, op->rec.imsi, &d->cancel[i]);
	return true;
}

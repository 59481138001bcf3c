// S6a in a worker: its commands, and its HSS-initiated requests (worker/app.h).
#include "apps/apps.h"
#include "apps/s6a/location.h"
#include "apps/s6a/s6a.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"
#include "worker/app.h"
#include "worker/hss_request.h"
#include "worker/worker.h"

#define CODE_CANCEL_LOCATION 317

// A registration of this node that is newer than the reason to cancel it stands; and a node that has purged the
// subscriber has nothing to cancel.
static bool is_overtaken(const struct hss_request *q, const struct s6a_cancel *c)
{
	const struct cache_record *r = cache_find(&q->w->cache, q->imsi);
	struct s6a_state now;
	if (!r)
		return false; // deleted: a node that still serves it must hear of it
	s6a_state_of(&q->w->cache, r, &now);
	const struct s6a_serving *v = &now.serving[c->kind];
	uint64_t reason_us = c->registered_us ? c->registered_us : q->created_us;
	return s6a_is_serving(v, q->host) && (v->time_us > reason_us || v->flags & SERVING_PURGED);
}

// Cancel-Location-Request (TS 29.272 7.2.7).
static bool compose(const struct hss_request *q, struct wr *m)
{
	struct s6a_cancel c;
	if (!s6a_cancel_get(q->purpose, q->data, &c) || is_overtaken(q, &c))
		return false;
	hss_request_begin(q, m, CODE_CANCEL_LOCATION, "clr", (struct slice){0});
	avp_put_u32(m, AVP_CODE_Cancellation_Type, VENDOR_3GPP, AVP_M, c.type);
	avp_put_u32(m, AVP_CODE_CLR_Flags, VENDOR_3GPP, 0, c.flags);
	return true;
}

static const struct worker_command commands[] = {
	{CMD_AIR, s6a_air},
	{CMD_ULR, s6a_ulr},
	{CMD_PUR, s6a_pur},
	{CMD_NOR, s6a_nor},
};

const struct worker_app s6a_worker = {
	.name = "s6a",
	.number = app_s6a,
	.application = APP_S6A,
	.commands = commands,
	.command_cnt = sizeof commands / sizeof *commands,
	.compose = compose,
};

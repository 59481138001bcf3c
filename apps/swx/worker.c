// SWx in a worker: its commands, and its HSS-initiated requests (worker/app.h).
#include "apps/apps.h"
#include "apps/swx/swx.h"
#include "lib/diameter/avp.h"
#include "worker/app.h"
#include "worker/hss_request.h"
#include "worker/worker.h"

#define CODE_TERMINATION 304
#define CODE_PUSH	 305

// Registration-Termination-Request (TS 29.273 8.2.2.2). A newer registration at that server stands.
static bool compose_termination(const struct hss_request *q, uint8_t reason, uint32_t time_s, struct wr *m)
{
	const struct cache_record *r = cache_find(&q->w->cache, q->imsi);
	struct swx_state now = {.flags = 0};
	if (r)
		swx_state_of(&q->w->cache, r, &now);
	if (now.host.len && slice_eq_nocase(now.host, q->host) && now.time_s > time_s)
		return false;
	hss_request_begin(q, m, CODE_TERMINATION, "rtr", (struct slice){0});
	size_t at = avp_group_begin(m, AVP_CODE_Deregistration_Reason, VENDOR_3GPP, AVP_M);
	avp_put_u32(m, AVP_CODE_Reason_Code, VENDOR_3GPP, AVP_M, reason);
	avp_group_end(m, at);
	return true;
}

// Push-Profile-Request (8.2.2.3): the user's data as they are now. Overtaken when that server does not serve the user any more.
static bool compose_push(const struct hss_request *q, struct wr *m)
{
	const struct cache *c = &q->w->cache;
	const struct cache_record *r = cache_find(c, q->imsi);
	struct swx_state now;
	struct swx_data data;
	if (!r)
		return false;
	swx_state_of(c, r, &now);
	if (!(now.flags & SWX_REGISTERED) || !slice_eq_nocase(now.host, q->host))
		return false;
	swx_data_of(c, r, &data);
	hss_request_begin(q, m, CODE_PUSH, "ppr", (struct slice){0});
	struct gateways g;
	gateways_of(c, r, cache_profile(c, r), &g);
	swx_put_user_data(m, r, &data, cache_profile(c, r), &g);
	return true;
}

static bool compose(struct hss_request *q, struct wr *m)
{
	uint8_t reason;
	uint32_t time_s;
	if (!swx_row_get(q->data, &reason, &time_s))
		return false;
	return q->purpose == SWX_TERMINATE ? compose_termination(q, reason, time_s, m) : compose_push(q, m);
}

static const struct worker_command commands[] = {
	{CMD_SWX_MAR, swx_mar},
	{CMD_SWX_SAR, swx_sar},
};

const struct worker_app swx_worker = {
	.name = "swx",
	.number = app_swx,
	.application = APP_SWX,
	.commands = commands,
	.command_cnt = sizeof commands / sizeof *commands,
	.compose = compose,
};

// Server-Assignment-Request (TS 29.273 8.1.2.2; procedures F2): an AAA server registers a user, keeps or ends that, tells of
// PDN-GWs, or asks for the user's data. The state is durable before the answer leaves (law 6).
#include "apps/swx/swx.h"
#include "lib/base/clock.h"
#include "lib/diameter/avp.h"
#include "worker/worker.h"

#define VENDOR VENDOR_3GPP

struct sar {
	struct swx_subject s;
	struct swx_assign q;
};

// What was decided, for the answer after the change: in request.memo.
enum memo {
	MEMO_RESULT = 0xffff,
	MEMO_EXPERIMENTAL = 1 << 16,
	MEMO_PROFILE = 1 << 17,
	MEMO_SERVER_NAME = 1 << 18,
};

static uint32_t memo_of(const struct swx_decision *d)
{
	return d->result | (d->experimental ? MEMO_EXPERIMENTAL : 0) | (d->profile ? MEMO_PROFILE : 0) |
	       (d->server_name ? MEMO_SERVER_NAME : 0);
}

static void answer(const struct sar *q)
{
	struct request *r = q->s.r;
	uint32_t result = r->memo & MEMO_RESULT;
	bool experimental = r->memo & MEMO_EXPERIMENTAL;
	struct wr w;
	if (r->memo & MEMO_SERVER_NAME) {
		r->rule = "another AAA server is stored";
		swx_answer_server(&q->s, result, experimental);
		return;
	}
	bool profile = r->memo & MEMO_PROFILE;
	struct gateways g;
	gateways_of(&r->w->cache, q->s.rec, q->s.profile, &g);
	if (result == RESULT_UNABLE_TO_COMPLY)
		r->rule = q->s.state.host.len ? "more PDN-GWs than are kept" : "no AAA server is stored";
	else if (result == EXP_USER_NO_NON_3GPP_SUBSCRIPTION)
		r->rule = q->s.data.denied ? "non_3gpp.allowed" : "no APN that may be used over non-3GPP access";
	swx_answer_begin(&q->s, &w, result, experimental, profile ? swx_user_data_room(q->s.profile, &g) : 0);
	if (profile)
		swx_put_user_data(&w, q->s.rec, &q->s.data, q->s.profile, &g);
	request_answer_end(r, &w);
}

// ---- the request

// Which values TS 29.273 8.1.2.2 has; others of TS 29.229 are answered 5007, unknown ones 5004. false: answered.
static bool read_type(struct sar *q)
{
	static const uint32_t known = 1u << SWX_REGISTRATION | 1u << SWX_TIMEOUT_DEREGISTRATION | 1u << SWX_USER_DEREGISTRATION |
				      1u << SWX_ADMINISTRATIVE_DEREGISTRATION | 1u << SWX_AUTHENTICATION_FAILURE |
				      1u << SWX_AUTHENTICATION_TIMEOUT | 1u << SWX_USER_DATA_REQUEST | 1u << SWX_PGW_UPDATE |
				      1u << SWX_RESTORATION;
	struct request *r = q->s.r;
	uint32_t type = request_u32(r, SLOT_SWX_SAR_Server_Assignment_Type, SWX_ASSIGNMENT_CNT);
	if (type >= SWX_ASSIGNMENT_CNT) {
		request_answer_bad_value(r, SLOT_SWX_SAR_Server_Assignment_Type);
		return false;
	}
	q->q.type = (enum swx_assignment)type;
	if (!(known >> type & 1)) {
		swx_answer(&q->s, EXP_IN_ASSIGNMENT_TYPE, true);
		return false;
	}
	return true;
}

// One APN's PDN-GW into the request that is decided. false: answered.
static bool add_gateway(struct sar *q, struct slice apn, struct slice info, unsigned slot)
{
	if (!swx_apn_subscribed(&q->s.data, q->s.profile, apn)) {
		q->s.r->rule = "the APN of the PDN-GW is not subscribed";
		swx_answer(&q->s, EXP_USER_NO_APN_SUBSCRIPTION, true);
		return false;
	}
	if (apn.len > GATEWAY_APN_MAX || info.len > SWX_GATEWAY_INFO_MAX) {
		request_answer_bad_value(q->s.r, slot);
		return false;
	}
	if (q->q.gateways.cnt == SWX_GATEWAYS_MAX) {
		q->s.r->rule = "more PDN-GWs than are kept";
		swx_answer(&q->s, RESULT_UNABLE_TO_COMPLY, false);
		return false;
	}
	q->q.gateways.one[q->q.gateways.cnt++] = (struct gateway){.apn = apn, .info = info};
	return true;
}

static bool read_update(struct sar *q)
{
	struct request *r = q->s.r;
	struct verdict v = {0};
	if (request_has(r, SLOT_SWX_SAR_Service_Selection))
		return add_gateway(q, request_slot(r, SLOT_SWX_SAR_Service_Selection), request_slot(r, SLOT_SWX_SAR_MIP6_Agent_Info),
				   SLOT_SWX_SAR_MIP6_Agent_Info);
	verdict_missing(&v, AVP_ID_Service_Selection);
	request_answer_failed(r, &v);
	return false;
}

// Active-APN of a restoration. Those that say no PDN-GW, or whose APN is not subscribed any more, have nothing to restore.
static bool read_active(struct sar *q)
{
	struct rd rd = request_avps(q->s.r);
	struct avp a, apn, info;
	while (avp_next(&rd, &a) == AVP_WALK_ONE)
		if (a.code == AVP_CODE_Active_APN && a.vendor == VENDOR &&
		    avp_find(a.data, AVP_CODE_Service_Selection, 0, &apn) && avp_find(a.data, AVP_CODE_MIP6_Agent_Info, 0, &info) &&
		    swx_apn_subscribed(&q->s.data, q->s.profile, apn.data) &&
		    !add_gateway(q, apn.data, info.data, SLOT_SWX_SAR_Active_APN))
			return false;
	return true;
}

// Only of the server that is stored, or restores: others are refused, whatever they tell.
static bool read_gateways(struct sar *q)
{
	bool serves = swx_serves(&q->s.state, &q->s.by), may_restore = serves || !q->s.state.host.len;
	switch (q->q.type) {
	case SWX_PGW_UPDATE: return !serves || read_update(q);
	case SWX_RESTORATION: return !may_restore || read_active(q);
	default: return true;
	}
}

void swx_sar(struct request *r)
{
	struct sar q; // large: it is filled in as far as it is used
	struct swx_decision d;
	q.s.user_slot = SLOT_SWX_SAR_User_Name;
	q.s.features_slot = SLOT_SWX_SAR_Supported_Features;
	q.q.gateways.cnt = 0;
	if (!swx_open(r, SLOT_SWX_SAR_Origin_Host, SLOT_SWX_SAR_Origin_Realm, &q.s))
		return;
	if (r->change_done) {
		if (request_change_stands(r))
			answer(&q);
		return;
	}
	if (!read_type(&q) || !read_gateways(&q))
		return;
	q.q.by = q.s.by;
	q.q.repeated = r->h.flags & HEADER_T;
	q.q.may_use = swx_may_use(&q.s.data, q.s.profile);
	q.q.time_s = (uint32_t)(clock_wall_us() / 1000000);
	swx_assign(&q.s.state, &q.q, &d);
	// Decided once. When the change is sent again after a loader restart, the cache may show its own outcome already.
	if (!r->resent)
		r->memo = memo_of(&d);
	if (d.changed)
		swx_change(&q.s, &d);
	else
		answer(&q);
}

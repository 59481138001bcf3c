// Update-Location-Request (TS 29.272 5.2.1.1.3): a node takes over a subscriber. The change goes to the loader first; the
// answer is composed when it is on disk (law 6). The CLR to the node before is stored in the same commit, and comes back
// to a worker when it is due.
#include "apps/apps.h"
#include "apps/s6a/data.h"
#include "apps/s6a/location.h"
#include "apps/s6a/s6a.h"
#include "apps/s6a/rules.h"
#include "cache/refusals.h"
#include "worker/link.h"
#include "worker/worker.h"

#define ULR_KEPT_MAX 4096 // octets of AVPs kept with the state

struct ulr {
	struct request *r;
	const struct cache_record *rec;
	struct s6a_features features;
	const uint8_t *plmn;
	uint32_t flags;
	uint32_t rat;
	bool s6a;
};

static bool ulr_additional_msisdn(const struct ulr *u)
{
	return !u->features.asked || u->features.list[0] >> 31;
}

static bool rat_known(uint32_t rat)
{
	return rat == RAT_EUTRAN || dict_enum_name(AVP_ID_RAT_Type, (int32_t)rat);
}

static bool ulr_read(struct ulr *u)
{
	struct request *r = u->r;
	struct slice plmn = request_slot(r, SLOT_ULR_Visited_PLMN_Id);
	if (plmn.len != 3 || !plmn_valid(plmn.p)) {
		request_answer_bad_value(r, SLOT_ULR_Visited_PLMN_Id);
		return false;
	}
	u->plmn = plmn.p;
	u->rat = request_u32(r, SLOT_ULR_RAT_Type, RAT_EUTRAN);
	if (!rat_known(u->rat)) {
		request_answer_bad_value(r, SLOT_ULR_RAT_Type);
		return false;
	}
	u->flags = request_u32(r, SLOT_ULR_ULR_Flags, 0);
	u->s6a = u->flags & ULR_S6A;
	s6a_features_read(r, SLOT_ULR_Supported_Features, &u->features);
	return true;
}

static struct s6a_view ulr_view(const struct ulr *u)
{
	return (struct s6a_view){.gprs = u->flags & ULR_GPRS_DATA, .one_msisdn = !ulr_additional_msisdn(u)};
}

// May the answer leave out the subscription data (Skip-Subscriber-Data, TS 29.272 7.3.7)? Yes, if the node is
// the stored one, has not purged the subscriber, and was last sent exactly the data that it would get now.
static bool ulr_may_skip(const struct ulr *u, const struct s6a_state *now, uint32_t mark)
{
	const struct s6a_serving *v = &now->serving[u->s6a ? S6A_MME : S6A_SGSN];
	return u->flags & ULR_SKIP_SUBSCRIBER_DATA && v->flags & SERVING_HAS_DATA && !(v->flags & SERVING_PURGED) &&
	       now->data_mark == mark && s6a_is_serving(v, request_slot(u->r, SLOT_ULR_Origin_Host));
}

// Keeps, for later requests to the node, its capabilities; and the APNs that are active there, which replace
// everything that is known of PDN-GWs (procedures B2 step 11: the node had lost it).
static void ulr_keep(const struct ulr *u, uint8_t *node, uint8_t *apns, struct link_change *c)
{
	struct wr n = wr_of(node, ULR_KEPT_MAX), p = wr_of(apns, ULR_KEPT_MAX);
	struct rd rd = request_avps(u->r);
	struct avp a;
	wr_u16(&p, 0);
	while (avp_next(&rd, &a) == AVP_WALK_ONE) {
		if (a.vendor != VENDOR_3GPP)
			continue;
		if (a.code == AVP_CODE_Active_APN)
			s6a_keep_avp(&p, &a);
		else if (a.code == AVP_CODE_Supported_Features || a.code == AVP_CODE_UE_SRVCC_Capability ||
			 a.code == AVP_CODE_Homogeneous_Support_of_IMS_Voice_Over_PS_Sessions)
			s6a_keep_avp(&n, &a);
	}
	if (wr_len(&n)) {
		c->options |= CHANGE_KEPT_0;
		c->kept[0] = wr_done(&n);
	}
	if (wr_len(&p) > 2) { // one chunk, its length before it
		be16_put(apns, (uint16_t)(wr_len(&p) - 2));
		c->options |= CHANGE_KEPT_1;
		c->kept[1] = wr_done(&p);
	}
}

static void ulr_store(struct ulr *u)
{
	uint8_t node[ULR_KEPT_MAX], apns[ULR_KEPT_MAX];
	struct request *r = u->r;
	struct link_change c = {0};
	struct s6a_state now;
	struct s6a_decision d;
	const struct s6a_view view = ulr_view(u);
	uint32_t mark = s6a_data_mark(u->rec, cache_profile(&r->w->cache, u->rec), &view);
	s6a_state_of(&r->w->cache, u->rec, &now);
	// Decided once. When the change is sent again after a loader restart, the cache may show its own
	// outcome already.
	if (!r->resent)
		r->memo = ulr_may_skip(u, &now, mark);
	struct s6a_update update = {
		.kind = u->s6a ? S6A_MME : S6A_SGSN,
		.host = request_slot(r, SLOT_ULR_Origin_Host),
		.realm = request_slot(r, SLOT_ULR_Origin_Realm),
		.now_us = clock_wall_us(),
		.imeisv = s6a_imeisv_read(request_slot(r, SLOT_ULR_Terminal_Information)),
		.combined = u->flags & ULR_NODE_COMBINED,
		.gprs = view.gprs,
		.one_msisdn = view.one_msisdn,
		.clear_sgsn = u->s6a && u->flags & ULR_SINGLE_REGISTRATION,
		.cancel_other = u->flags & ULR_INITIAL_ATTACH,
		.sends_data = !r->memo,
		.data_mark = mark,
	};
	memcpy(update.plmn, u->plmn, 3);
	if (!update.host.len || !update.realm.len) {
		request_answer(r, RESULT_UNABLE_TO_COMPLY, false);
		return;
	}
	s6a_update_location(&now, &update, &d);
	ulr_keep(u, node, apns, &c);
	s6a_change(r, u->rec, &d, &c);
}

static void ulr_answer(struct ulr *u)
{
	struct request *r = u->r;
	const struct cache_profile *p = cache_profile(&r->w->cache, u->rec);
	struct wr w;
	if (refusals_came_back(r->w->refusals, r->imsi.v, app_s6a, u->plmn))
		stat_add(r->w->stats, STAT_CAME_BACK, 1);
	bool epc = p && p->epc_len;
	bool gprs = p && p->gprs_len && (!epc || (u->flags & ULR_GPRS_DATA));
	struct gateways gateways;
	gateways_of(&r->w->cache, u->rec, p, &gateways);
	request_answer_begin(r, &w, RESULT_SUCCESS, false, s6a_subscription_room(p, &gateways) + 256);
	s6a_features_put(&w, &u->features);
	avp_put_u32(&w, AVP_CODE_ULA_Flags, VENDOR_3GPP, AVP_M, 1); // Separation-Indication
	// the node repeats its request, so it has not got the first answer: it gets the data
	if (!r->memo || (r->change == CHANGE_DUPLICATE && !r->resent))
		s6a_put_subscription(&w, u->rec, p, epc, gprs, ulr_additional_msisdn(u), &gateways);
	request_answer_end(r, &w);
}

void s6a_ulr(struct request *r)
{
	struct ulr u = {.r = r};
	if (!(u.rec = s6a_find_subscriber(r)) || !ulr_read(&u))
		return;
	if (r->change_done) {
		switch (r->change) {
		case CHANGE_DONE:
		case CHANGE_DUPLICATE:
			ulr_answer(&u);
			return;
		case CHANGE_UNKNOWN_USER:
			request_answer(r, EXP_USER_UNKNOWN, true);
			return;
		default:
			request_answer(r, RESULT_UNABLE_TO_COMPLY, false);
			return;
		}
	}
	struct s6a_asked q = {.s6a = u.s6a,
			      .rat = u.rat,
			      .features = u.features.list[0],
			      .plmn = u.plmn,
			      .realm = request_slot(r, SLOT_ULR_Origin_Realm)};
	if (!s6a_answer_if_refused(r, u.rec, &q, request_slot(r, SLOT_ULR_Origin_Host)))
		ulr_store(&u);
}

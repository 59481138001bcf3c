// Purge-UE-Request (TS 29.272 5.2.1.3.3) and Notify-Request (5.2.5.1.3): both change stored state only when they come from
// the node that serves the subscriber.
#include "apps/s6a/location.h"
#include "apps/s6a/s6a.h"
#include "apps/s6a/rules.h"
#include "worker/link.h"
#include "worker/worker.h"

#define NOR_EXT_MAX		4096
#define NOR_SINGLE_REGISTRATION 1 // NOR-Flags (TS 29.272 7.3.49): the SGSN's registration ends

// The AVPs that came with the message are merged with those that are kept.
static struct link_change keep(struct slice avps)
{
	struct link_change c = {0};
	if (avps.len) {
		c.options = CHANGE_KEPT_1 | CHANGE_MERGE_1;
		c.kept[1] = avps;
	}
	return c;
}

static void pur_answer(struct request *r, const struct s6a_features *f, uint32_t flags)
{
	struct wr w;
	request_answer_begin(r, &w, RESULT_SUCCESS, false, 160);
	s6a_features_put(&w, f);
	avp_put_u32(&w, AVP_CODE_PUA_Flags, VENDOR_3GPP, 0, flags);
	request_answer_end(r, &w);
}

static void pur_store(struct request *r, const struct cache_record *rec, const struct s6a_features *f)
{
	struct slice location = request_slot(r, SLOT_PUR_EPS_Location_Information), avp = {0};
	struct s6a_state now;
	struct s6a_decision d;
	s6a_state_of(&r->w->cache, rec, &now);
	if (!s6a_purge(&now, request_slot(r, SLOT_PUR_Origin_Host), request_u32(r, SLOT_PUR_PUR_Flags, 0), &d)) {
		pur_answer(r, f, 0); // success, and nothing changes
		return;
	}
	if (!r->resent)
		r->memo = d.pua_flags;
	// kept as a whole AVP, with its header
	if (location.len && location.len < NOR_EXT_MAX && r->slots[SLOT_PUR_EPS_Location_Information].off >= 12)
		avp = slice_of(location.p - 12, location.len + 12);
	const struct link_change c = keep(avp);
	s6a_change(r, rec, &d, &c);
}

void s6a_pur(struct request *r)
{
	struct s6a_features f;
	const struct cache_record *rec = s6a_find_subscriber(r);
	if (!rec)
		return;
	s6a_features_read(r, SLOT_PUR_Supported_Features, &f);
	if (!r->change_done) {
		pur_store(r, rec, &f);
		return;
	}
	switch (r->change) {
	case CHANGE_DONE:
	case CHANGE_DUPLICATE:
		pur_answer(r, &f, r->memo);
		return;
	case CHANGE_UNKNOWN_USER:
		request_answer(r, EXP_USER_UNKNOWN, true);
		return;
	default:
		request_answer(r, RESULT_UNABLE_TO_COMPLY, false);
	}
}

// Keeps PDN-GW, voice support and reachability as they came, for later applications (5.2.5.1.3).
static struct slice nor_ext(struct request *r, uint8_t *buf, size_t cap)
{
	struct wr w = wr_of(buf, cap);
	struct rd rd = request_avps(r);
	struct avp a;
	while (avp_next(&rd, &a) == AVP_WALK_ONE) {
		bool keep = a.code == AVP_CODE_MIP6_Agent_Info || a.code == AVP_CODE_Service_Selection;
		if (a.vendor == VENDOR_3GPP)
			keep = a.code == AVP_CODE_Visited_Network_Identifier || a.code == AVP_CODE_Context_Identifier ||
			       a.code == AVP_CODE_NOR_Flags || a.code == AVP_CODE_UE_SRVCC_Capability ||
			       a.code == AVP_CODE_Homogeneous_Support_of_IMS_Voice_Over_PS_Sessions ||
			       a.code == AVP_CODE_Emergency_Services || a.code == AVP_CODE_Alert_Reason;
		if (keep)
			s6a_keep_avp(&w, &a);
	}
	return wr_done(&w);
}

// Has the subscription this APN? By name if there is one (or the wildcard), otherwise by Context-Identifier.
static bool apn_subscribed(const struct cache_profile *p, struct slice name, struct slice context)
{
	struct avp all, one, v;
	if (!avp_find(slice_of(p->avps + p->head_len, p->epc_len), AVP_CODE_APN_Configuration_Profile, VENDOR_3GPP, &all))
		return false;
	struct rd rd = rd_slice(all.data);
	while (avp_next(&rd, &one) == AVP_WALK_ONE) {
		if (one.code != AVP_CODE_APN_Configuration || one.vendor != VENDOR_3GPP)
			continue;
		if (!name.len && avp_find(one.data, AVP_CODE_Context_Identifier, VENDOR_3GPP, &v) && slice_eq(v.data, context))
			return true;
		if (name.len && avp_find(one.data, AVP_CODE_Service_Selection, 0, &v) &&
		    (slice_eq_nocase(v.data, name) || slice_eq(v.data, slice_str("*"))))
			return true;
	}
	return false;
}

// A PDN-GW is stored for an APN of the subscription, or as the one for emergency calls (5.2.5.1.3).
static bool nor_pdn_gw_refused(const struct request *r, const struct cache_record *rec)
{
	struct slice name = request_slot(r, SLOT_NOR_Service_Selection);
	struct slice context = request_slot(r, SLOT_NOR_Context_Identifier);
	if (!request_has(r, SLOT_NOR_MIP6_Agent_Info) || request_u32(r, SLOT_NOR_Emergency_Services, 0) & 1)
		return false;
	const struct cache_profile *p = cache_profile(&r->w->cache, rec);
	return !p || !apn_subscribed(p, name, context);
}

static void nor_store(struct request *r, const struct cache_record *rec)
{
	uint8_t buf[NOR_EXT_MAX];
	struct s6a_state now;
	struct s6a_decision d;
	s6a_state_of(&r->w->cache, rec, &now);
	if (!s6a_notify(&now, request_slot(r, SLOT_NOR_Origin_Host), clock_wall_us(),
			s6a_imeisv_read(request_slot(r, SLOT_NOR_Terminal_Information)),
			request_u32(r, SLOT_NOR_NOR_Flags, 0) & NOR_SINGLE_REGISTRATION, &d)) {
		r->rule = "the subscriber is registered elsewhere";
		request_answer(r, EXP_UNKNOWN_SERVING_NODE, true);
		return;
	}
	const struct link_change c = keep(nor_ext(r, buf, sizeof buf));
	s6a_change(r, rec, &d, &c);
}

void s6a_nor(struct request *r)
{
	struct s6a_features f;
	struct wr w;
	const struct cache_record *rec = s6a_find_subscriber(r);
	if (!rec)
		return;
	s6a_features_read(r, SLOT_NOR_Supported_Features, &f);
	if (!r->change_done && nor_pdn_gw_refused(r, rec)) {
		request_answer(r, RESULT_UNABLE_TO_COMPLY, false);
		return;
	}
	if (!r->change_done) {
		nor_store(r, rec);
		return;
	}
	switch (r->change) {
	case CHANGE_DONE:
	case CHANGE_DUPLICATE:
		request_answer_begin(r, &w, RESULT_SUCCESS, false, 128);
		s6a_features_put(&w, &f);
		request_answer_end(r, &w);
		return;
	case CHANGE_UNKNOWN_USER:
		request_answer(r, EXP_USER_UNKNOWN, true);
		return;
	default:
		request_answer(r, RESULT_UNABLE_TO_COMPLY, false);
	}
}

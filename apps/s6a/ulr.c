// Update-Location-Request (TS 29.272 5.2.1.1.3): a node takes over a subscriber. The change goes to the loader first; the
// answer is composed when it is on disk (law 6). The CLR to the node before is stored in the same commit and comes back
// to a worker by DELIVER.
#include "apps/s6a/s6a.h"
#include "apps/s6a/rules.h"
#include "worker/link.h"
#include "worker/worker.h"

#define ULR_EXT_MAX 4096 // AVPs kept with the state

struct ulr {
	struct request *r;
	const struct cache_record *rec;
	struct s6a_features features;
	const uint8_t *plmn;
	uint32_t flags;
	uint32_t rat;
	bool s6a;
};

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

// The node is the one that is stored already, and has not purged the subscriber: it may skip the data that it has.
static bool ulr_same_node(const struct ulr *u)
{
	struct slice host, realm;
	uint32_t node = u->s6a ? u->rec->mme : u->rec->sgsn;
	if (u->rec->flags & (u->s6a ? RECORD_MME_PURGED : RECORD_SGSN_PURGED))
		return false;
	return cache_node_get(&u->r->w->cache, node, &host, &realm) &&
	       slice_eq_nocase(host, request_slot(u->r, SLOT_ULR_Origin_Host));
}

// Active-APN replaces what is stored of dynamic PDN-GWs; the features of the node are kept too, for later IDRs.
static struct slice ulr_ext(const struct ulr *u, uint8_t *buf, size_t cap)
{
	struct wr w = wr_of(buf, cap);
	struct rd rd = request_avps(u->r);
	struct avp a;
	while (avp_next(&rd, &a) == AVP_WALK_ONE)
		if (a.vendor == VENDOR_3GPP && (a.code == AVP_CODE_Active_APN || a.code == AVP_CODE_Supported_Features ||
						a.code == AVP_CODE_UE_SRVCC_Capability ||
						a.code == AVP_CODE_Homogeneous_Support_of_IMS_Voice_Over_PS_Sessions))
			s6a_keep_avp(&w, &a);
	return wr_done(&w);
}

static void ulr_store(struct ulr *u)
{
	uint8_t buf[ULR_EXT_MAX];
	struct request *r = u->r;
	struct slice host = request_slot(r, SLOT_ULR_Origin_Host), realm = request_slot(r, SLOT_ULR_Origin_Realm);
	struct slice ext = ulr_ext(u, buf, sizeof buf);
	struct ipc_change c = {
		.imsi = r->imsi.v,
		.dup_key = s6a_dup_key(r),
		.imeisv = s6a_imeisv_read(request_slot(r, SLOT_ULR_Terminal_Information)),
		.kind = u->s6a ? CHANGE_ULR_MME : CHANGE_ULR_SGSN,
		.flags = u->flags,
		.host_len = (uint16_t)host.len,
		.realm_len = (uint16_t)realm.len,
		.ext_len = ext.len,
	};
	memcpy(c.plmn, u->plmn, 3);
	if (u->flags & ULR_NODE_COMBINED)
		c.options |= CHANGE_COMBINED;
	if (r->h.flags & HEADER_T)
		c.options |= CHANGE_REPEATED;
	if (u->s6a && (u->flags & ULR_SINGLE_REGISTRATION))
		c.options |= CHANGE_CLEAR_SGSN;
	else if (u->flags & ULR_INITIAL_ATTACH)
		c.options |= CHANGE_CANCEL_OTHER;
	link_change(r, &c, host, realm, ext);
}

static void ulr_answer(struct ulr *u)
{
	struct request *r = u->r;
	const struct cache_profile *p = cache_profile(&r->w->cache, u->rec);
	struct wr w;
	bool epc = p && p->epc_len;
	bool gprs = p && p->gprs_len && (!epc || (u->flags & ULR_GPRS_DATA));
	request_answer_begin(r, &w, RESULT_SUCCESS, false, s6a_subscription_room(p) + 256);
	s6a_features_put(&w, &u->features);
	avp_put_u32(&w, AVP_CODE_ULA_Flags, VENDOR_3GPP, AVP_M, 1); // Separation-Indication
	if (!r->skip_data)
		s6a_put_subscription(&w, u->rec, p, epc, gprs, !u->features.asked || (u->features.list[0] >> 31));
	request_answer_end(r, &w);
}

void s6a_ulr(struct request *r)
{
	struct ulr u = {.r = r};
	struct s6a_refusal no = {0};
	if (!(u.rec = s6a_find_subscriber(r)) || !ulr_read(&u))
		return;
	if (r->change_done) {
		switch (r->change.status) {
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
	if (s6a_subscription_refused(r, u.rec, u.plmn, u.rat, &u.features, u.s6a, &no)) {
		s6a_answer_refusal(r, &no);
		return;
	}
	if (!r->resent)
		r->skip_data = (u.flags & ULR_SKIP_SUBSCRIBER_DATA) && ulr_same_node(&u);
	ulr_store(&u);
}

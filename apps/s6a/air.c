// Authentication-Information-Request (TS 29.272 5.2.3.1.3): decides whether the subscriber gets vectors, and
// how many. worker/aka.h draws the SQNs.
#include "lib/base/log.h"
#include "lib/base/secret.h"
#include "apps/s6a/s6a.h"
#include "apps/s6a/msg.h"
#include "apps/s6a/rules.h"
#include "worker/aka.h"
#include "worker/worker.h"

#define AIR_SEND_UE_USAGE 1u // AIR-Flags (TS 29.272 7.3.201)

struct air {
	struct request *r;
	const struct cache_record *rec;
	struct aka aka;
	struct s6a_features features;
	struct s6a_auth_group eutran, utran;
	uint8_t plmn[3];
	uint32_t eutran_cnt, utran_cnt; // vectors to make
};

static bool answer_auth_unavailable(struct air *a)
{
	const struct s6a_asked q = {.air = true, .plmn = a->plmn};
	const struct s6a_refusal no = {
		.result = EXP_AUTHENTICATION_DATA_UNAVAILABLE, .experimental = true, .reason = S6A_NO_VECTORS};
	s6a_answer_refusal(a->r, &q, &no, request_slot(a->r, SLOT_AIR_Origin_Host));
	return false;
}

// Decides how many vectors of each kind: at most the configured maximum in all. If both kinds are asked for,
// the kind that is wanted at once comes first (5.2.3.1.3).
static void air_count(struct air *a)
{
	uint32_t left = a->r->w->config->max_vectors;
	struct s6a_auth_group *first = &a->eutran, *second = &a->utran;
	if (a->utran.present && a->utran.immediate && !a->eutran.immediate) {
		first = &a->utran;
		second = &a->eutran;
	}
	uint32_t n1 = !first->present ? 0 : first->wanted < left ? first->wanted : left;
	left -= n1;
	uint32_t n2 = !second->present ? 0 : second->wanted < left ? second->wanted : left;
	a->eutran_cnt = first == &a->eutran ? n1 : n2;
	a->utran_cnt = first == &a->eutran ? n2 : n1;
}

static bool air_read(struct air *a)
{
	struct request *r = a->r;
	struct slice plmn = request_slot(r, SLOT_AIR_Visited_PLMN_Id);
	if (plmn.len != 3 || !plmn_valid(plmn.p)) {
		request_answer_bad_value(r, SLOT_AIR_Visited_PLMN_Id);
		return false;
	}
	memcpy(a->plmn, plmn.p, 3);
	unsigned e = SLOT_AIR_Requested_EUTRAN_Authentication_Info, u = SLOT_AIR_Requested_UTRAN_GERAN_Authentication_Info;
	s6a_auth_group_read(request_slot(r, e), request_has(r, e), &a->eutran);
	s6a_auth_group_read(request_slot(r, u), request_has(r, u), &a->utran);
	if (!a->eutran.present && !a->utran.present) {
		struct verdict v = {0};
		verdict_missing(&v, AVP_ID_Requested_EUTRAN_Authentication_Info);
		request_answer_failed(r, &v);
		return false;
	}
	if (a->eutran.resync.p && a->utran.resync.p) {
		request_answer(r, RESULT_UNABLE_TO_COMPLY, false);
		return false;
	}
	if ((a->eutran.resync.p && a->eutran.resync.len != 30) || (a->utran.resync.p && a->utran.resync.len != 30)) {
		request_answer_bad_value(r, a->eutran.resync.p ? e : u);
		return false;
	}
	s6a_features_read(r, SLOT_AIR_Supported_Features, &a->features);
	air_count(a);
	return true;
}

// Handles the result of one step of drawing. false: the request waits, or has been answered.
static bool step(struct air *a, enum aka_result result)
{
	return result == AKA_OK || (result == AKA_UNAVAILABLE && answer_auth_unavailable(a));
}

static bool air_resync(struct air *a)
{
	struct slice info = a->eutran.resync.len ? a->eutran.resync : a->utran.resync;
	return info.len == 0 || step(a, aka_resync(&a->aka, info.p, info.p + 16, request_slot(a->r, SLOT_AIR_Origin_Host)));
}

static bool air_draw(struct air *a)
{
	struct slice host = request_slot(a->r, SLOT_AIR_Origin_Host);
	return step(a, aka_begin(&a->aka, a->r, a->rec)) && step(a, aka_ind_of_host(&a->aka, host, SQN_K_HOST_CNT)) &&
	       air_resync(a) && step(a, aka_draw(&a->aka, a->eutran_cnt + a->utran_cnt));
}

// Makes the vectors and appends them; false when the cryptography refused.
static bool air_put_vectors(struct air *a, struct wr *w)
{
	struct auth *auth = &a->r->w->auth;
	union {
		struct eutran_vector e;
		struct utran_vector u;
	} v;
	bool ok = true;
	uint64_t sqn, seq = a->aka.first_seq;
	size_t at = avp_group_begin(w, AVP_CODE_Authentication_Info, VENDOR_3GPP, AVP_M);
	for (uint32_t i = 0; ok && i < a->eutran_cnt; i++) {
		ok = sqn_compose(seq++, a->aka.ind, &sqn) && auth_eutran_vector(auth, &a->aka.keys, sqn, a->plmn, &v.e) == 0;
		if (ok)
			s6a_put_eutran_vector(w, i + 1, &v.e);
	}
	for (uint32_t i = 0; ok && i < a->utran_cnt; i++) {
		ok = sqn_compose(seq++, a->aka.ind, &sqn) && auth_utran_vector(auth, &a->aka.keys, sqn, &v.u) == 0;
		if (ok)
			s6a_put_utran_vector(w, i + 1, &v.u);
	}
	avp_group_end(w, at);
	secret_wipe(&v, sizeof v);
	return ok;
}

// UE-Usage-Type, if the subscription has one (TS 29.272 5.2.3.1.3): the MME selects a dedicated core network by it.
static void put_ue_usage(const struct air *a, struct wr *w)
{
	const struct cache_profile *p = cache_profile(&a->r->w->cache, a->rec);
	struct avp usage;
	if (p && avp_find(slice_of(p->avps, p->head_len), AVP_CODE_UE_Usage_Type, VENDOR_3GPP, &usage))
		avp_put_slice(w, AVP_CODE_UE_Usage_Type, VENDOR_3GPP, 0, usage.data);
}

static void air_answer(struct air *a)
{
	// vectors first: their failure changes the result, which stands before them in the answer
	_Alignas(8) uint8_t info[16 + 64 * 200];
	struct wr vectors = wr_of(info, sizeof info), w;
	if (!air_put_vectors(a, &vectors) || vectors.err) {
		secret_wipe(info, wr_len(&vectors));
		answer_auth_unavailable(a);
		return;
	}
	request_answer_begin(a->r, &w, RESULT_SUCCESS, false, wr_len(&vectors) + 128);
	s6a_features_put(&w, &a->features);
	wr_bytes(&w, info, wr_len(&vectors));
	if (request_u32(a->r, SLOT_AIR_AIR_Flags, 0) & AIR_SEND_UE_USAGE)
		put_ue_usage(a, &w);
	stat_add(a->r->w->stats, STAT_VECTORS, a->eutran_cnt + a->utran_cnt);
	request_answer_end(a->r, &w);
	secret_wipe(info, wr_len(&vectors));
}

// Refuses here already what a ULR of this subscriber would be refused for, when the peer wants it: some MMEs drop ULAs with an
// error.
static bool air_refused(struct air *a)
{
	struct s6a_asked q = {.air = true,
			      .early = a->r->in.peer_flags & IPC_PEER_REFUSE_IN_AIA && a->eutran.present,
			      .features = a->features.list[0],
			      .plmn = a->plmn,
			      .realm = request_slot(a->r, SLOT_AIR_Origin_Realm)};
	return s6a_answer_if_refused(a->r, a->rec, &q, request_slot(a->r, SLOT_AIR_Origin_Host));
}

void s6a_air(struct request *r)
{
	struct air a = {.r = r};
	if (!(a.rec = s6a_find_subscriber(r)))
		return;
	cache_prefetch_sqn(&r->w->cache, a.rec);
	if (!air_read(&a))
		return;
	if (air_refused(&a))
		return;
	if (air_draw(&a))
		air_answer(&a);
	aka_end(&a.aka);
}

// Authentication-Information-Request (TS 29.272 5.2.3.1.3): who may have vectors, from which SQN, how many.
// No SQN is used twice (law 5): a SEQ is drawn below the durable limit of its subscriber, and one IND column belongs to
// one requesting node.
#include "lib/base/log.h"
#include "lib/base/secret.h"
#include "apps/s6a/s6a.h"
#include "apps/s6a/msg.h"
#include "apps/s6a/rules.h"
#include "lib/auth/sqn.h"
#include "worker/link.h"
#include "worker/worker.h"

struct air {
	struct request *r;
	const struct cache_record *rec;
	struct auth_keys keys;
	struct s6a_features features;
	struct s6a_auth_group eutran, utran;
	uint8_t plmn[3];
	unsigned ind;
	uint32_t eutran_cnt, utran_cnt; // vectors to make
	uint64_t first_seq;
};

static bool answer_auth_unavailable(struct request *r)
{
	request_answer(r, EXP_AUTHENTICATION_DATA_UNAVAILABLE, true);
	return false;
}

// How many of each kind: at most the configured maximum in all; with both kinds asked for, the one that is wanted at
// once first (5.2.3.1.3).
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

static bool air_keys(struct air *a)
{
	const struct cache_record *rec = a->rec;
	a->keys.amf = rec->amf;
	a->keys.alg = rec->alg == ALG_XOR ? AUTH_XOR : AUTH_MILENAGE;
	memcpy(a->keys.k, rec->k, 16);
	memcpy(a->keys.opc, rec->opc, 16);
	return rec->alg == ALG_MILENAGE || rec->alg == ALG_XOR || answer_auth_unavailable(a->r);
}

// The IND column of the requesting node (law 5): k = 0..4 in turn for the first hosts, hashed for later ones.
// false: the request waits for the host's place in the table, or has been answered.
static bool air_ind(struct air *a)
{
	struct request *r = a->r;
	struct worker *w = r->w;
	uint64_t hash = r->in.host_hash;
	unsigned at = hash % WORKER_K_CACHE, k;
	if (w->k_cache[at].host_hash == hash) {
		k = w->k_cache[at].k;
	} else {
		int place = cache_ind_find(&w->cache, hash);
		bool full = w->cache.h->ind_host_cnt >= IND_HOST_MAX;
		// without a loader a hashed one will do: what is in order stays in order (SEQ), whatever IND it has
		if (place < 0 && !full && !r->ind_asked && link_up(w)) {
			link_ask_ind(r, request_slot(r, SLOT_AIR_Origin_Host));
			return false;
		}
		k = (unsigned)((place >= 0 ? (uint64_t)place : hash) % SQN_K_S6A_CNT);
		if (place >= 0 || full) {
			w->k_cache[at].host_hash = hash;
			w->k_cache[at].k = k;
		}
	}
	if (!sqn_ind_of(w->config->node_id, k, &a->ind))
		return answer_auth_unavailable(r);
	// after a resynchronisation Open5GS goes on with the next IND, before we have heard of it
	bool taken = a->rec->flags & RECORD_IND_SPARE && (a->ind == a->rec->taken_ind || a->ind == a->rec->taken_ind + 1u);
	return !taken || sqn_ind_of(w->config->node_id, SQN_K_SPARE, &a->ind) || answer_auth_unavailable(r);
}

// AUTS: MAC-S first, always; then the next SEQ lies above the USIM's (TS 33.102 6.3.5). A wrong MAC-S moves nothing.
static bool air_resync(struct air *a)
{
	struct request *r = a->r;
	struct slice info = a->eutran.resync.len ? a->eutran.resync : a->utran.resync;
	uint64_t sqn_ms = 0;
	if (info.len == 0)
		return true;
	if (!r->resync_done) {
		char imsi[16];
		imsi_text(r->imsi, imsi);
		if (auth_resync(&r->w->auth, &a->keys, info.p, info.p + 16, &sqn_ms) != AUTH_RESYNC_OK) {
			static struct log_limit limit;
			stat_add(r->w->stats, STAT_RESYNC_MAC_FAILURES, 1);
			if (log_limit_pass(&limit, 20))
				log_warn("resynchronisation refused: wrong MAC-S", LOG_IMSI("imsi", imsi),
					 LOG_SLICE("host", request_slot(r, SLOT_AIR_Origin_Host)));
			return answer_auth_unavailable(r);
		}
		r->resync_done = true;
		r->resync_seq = sqn_seq(sqn_ms) + 1;
		stat_add(r->w->stats, STAT_RESYNCS, 1);
	}
	if (r->resync_seq > SEQ_MAX - 64) {
		stat_add(r->w->stats, STAT_SQN_EXHAUSTED, 1);
		return answer_auth_unavailable(r);
	}
	switch (cache_sqn_raise(&r->w->cache, a->rec->sqn, r->resync_seq)) {
	case SQN_OK:
		return true;
	case SQN_NEED_BLOCK:
		if (r->sqn_refused)
			return answer_auth_unavailable(r);
		block_wait(r, a->rec->sqn, r->resync_seq);
		return false;
	case SQN_END:
		break;
	}
	stat_add(r->w->stats, STAT_SQN_EXHAUSTED, 1);
	return answer_auth_unavailable(r);
}

static bool air_draw(struct air *a)
{
	struct request *r = a->r;
	bool low = false;
	uint32_t n = a->eutran_cnt + a->utran_cnt;
	switch (cache_sqn_draw(&r->w->cache, a->rec->sqn, n, &a->first_seq, &low)) {
	case SQN_OK:
		if (low)
			link_hint_sqn(r->w, r->imsi, a->rec->sqn);
		return true;
	case SQN_NEED_BLOCK:
		if (r->sqn_refused)
			return answer_auth_unavailable(r);
		block_wait(r, a->rec->sqn, 0);
		return false;
	case SQN_END:
		break;
	}
	static struct log_limit limit;
	stat_add(r->w->stats, STAT_SQN_EXHAUSTED, 1);
	if (log_limit_pass(&limit, 1))
		log_error("a subscriber's sequence numbers are used up: new keys are needed");
	return answer_auth_unavailable(r);
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
	uint64_t sqn, seq = a->first_seq;
	size_t at = avp_group_begin(w, AVP_CODE_Authentication_Info, VENDOR_3GPP, AVP_M);
	for (uint32_t i = 0; ok && i < a->eutran_cnt; i++) {
		ok = sqn_compose(seq++, a->ind, &sqn) && auth_eutran_vector(auth, &a->keys, sqn, a->plmn, &v.e) == 0;
		if (ok)
			s6a_put_eutran_vector(w, i + 1, &v.e);
	}
	for (uint32_t i = 0; ok && i < a->utran_cnt; i++) {
		ok = sqn_compose(seq++, a->ind, &sqn) && auth_utran_vector(auth, &a->keys, sqn, &v.u) == 0;
		if (ok)
			s6a_put_utran_vector(w, i + 1, &v.u);
	}
	avp_group_end(w, at);
	secret_wipe(&v, sizeof v);
	return ok;
}

static void air_answer(struct air *a)
{
	// vectors first: their failure changes the result, which stands before them in the answer
	_Alignas(8) uint8_t info[16 + 64 * 200];
	struct wr vectors = wr_of(info, sizeof info), w;
	if (!air_put_vectors(a, &vectors) || vectors.err) {
		secret_wipe(info, wr_len(&vectors));
		answer_auth_unavailable(a->r);
		return;
	}
	request_answer_begin(a->r, &w, RESULT_SUCCESS, false, wr_len(&vectors) + 128);
	s6a_features_put(&w, &a->features);
	wr_bytes(&w, info, wr_len(&vectors));
	stat_add(a->r->w->stats, STAT_VECTORS, a->eutran_cnt + a->utran_cnt);
	request_answer_end(a->r, &w);
	secret_wipe(info, wr_len(&vectors));
}

// What a ULR of this subscriber would be refused for, refused here already: for MMEs that drop error ULAs.
static bool air_refuse_early(struct air *a)
{
	struct s6a_refusal no = {0};
	if (!(a->r->in.peer_flags & IPC_PEER_REFUSE_IN_AIA) || !a->eutran.present)
		return false;
	if (!s6a_subscription_refused(a->r, a->rec, a->plmn, RAT_EUTRAN, &a->features, true, &no))
		return false;
	s6a_answer_refusal(a->r, &no);
	return true;
}

void s6a_air(struct request *r)
{
	struct air a = {.r = r};
	if (!(a.rec = s6a_find_subscriber(r)))
		return;
	cache_prefetch_sqn(&r->w->cache, a.rec);
	if (a.rec->flags & RECORD_NO_PACKET) {
		request_answer(r, EXP_UNKNOWN_EPS_SUBSCRIPTION, true);
		return;
	}
	if (!air_read(&a))
		return;
	if (air_refuse_early(&a))
		return;
	if (air_keys(&a) && air_ind(&a) && air_resync(&a) && air_draw(&a))
		air_answer(&a);
	secret_wipe(&a.keys, sizeof a.keys);
}

// Multimedia-Auth-Request (TS 29.228 6.3.1; procedures D2): authentication data for a private identity, by its own scheme.
// worker/aka.h draws the SQNs, with an IND of their own: MMEs and S-CSCFs do not disturb each other.
#include "apps/cx/cx.h"
#include "apps/cx/msg.h"
#include "lib/base/clock.h"
#include "lib/base/secret.h"
#include "lib/diameter/avp.h"
#include "worker/aka.h"
#include "worker/worker.h"

#define VENDOR	   VENDOR_3GPP
#define ITEM_ROOM  256
#define AUTS_LEN   30 // RAND || AUTS

static const char SCHEME_AKA[] = "Digest-AKAv1-MD5", SCHEME_AKA_V2[] = "Digest-AKAv2-SHA-256",
		  SCHEME_DIGEST[] = "SIP Digest", SCHEME_UNKNOWN[] = "Unknown";

struct mar {
	struct cx_subject s;
	struct cx_features features;
	const struct ims_private *priv;
	const char *scheme;  // of the answer
	struct slice auts;   // SIP-Authorization of a resynchronisation
	uint32_t wanted;     // vectors
	struct aka aka;
};

static void unavailable(struct mar *m)
{
	m->s.r->rule = "no vectors can be made: wrong AUTS, SQN space used up, or no SQN block on disk";
	request_answer(m->s.r, RESULT_UNABLE_TO_COMPLY, false);
}

static void unsupported(struct mar *m)
{
	m->s.r->rule = "the private identity has another authentication scheme";
	request_answer(m->s.r, EXP_AUTH_SCHEME_NOT_SUPPORTED, true);
}

// The scheme that is asked for, as the answer calls it: the user's own where it is unknown or missing (29.228 6.3.1 step
// 3; some S-CSCFs resynchronise without a scheme). NULL: the user has another one.
static const char *scheme_of(const struct ims_private *p, struct slice asked)
{
	bool digest = p->scheme == IMS_DIGEST;
	if (asked.len == 0 || slice_eq_nocase(asked, slice_str(SCHEME_UNKNOWN)))
		return digest ? SCHEME_DIGEST : SCHEME_AKA;
	if (slice_eq_nocase(asked, slice_str(SCHEME_DIGEST)))
		return digest ? SCHEME_DIGEST : NULL;
	if (slice_eq_nocase(asked, slice_str(SCHEME_AKA)))
		return digest ? NULL : SCHEME_AKA;
	if (slice_eq_nocase(asked, slice_str(SCHEME_AKA_V2)))
		return digest ? NULL : SCHEME_AKA_V2;
	return NULL;
}

static bool read_item(struct mar *m)
{
	struct request *r = m->s.r;
	struct slice item = request_slot(r, SLOT_MAR_SIP_Auth_Data_Item);
	struct avp a;
	struct slice asked = {0};
	if (avp_find(item, AVP_CODE_SIP_Authentication_Scheme, VENDOR, &a))
		asked = a.data;
	m->auts = avp_find(item, AVP_CODE_SIP_Authorization, VENDOR, &a) ? a.data : (struct slice){0};
	m->scheme = scheme_of(m->priv, asked);
	if (!m->scheme) {
		unsupported(m);
		return false;
	}
	if (m->auts.len && m->auts.len != AUTS_LEN && m->priv->scheme == IMS_AKA) {
		request_answer_bad_value(r, SLOT_MAR_SIP_Auth_Data_Item);
		return false;
	}
	uint32_t most = r->w->config->max_vectors;
	m->wanted = request_u32(r, SLOT_MAR_SIP_Number_Auth_Items, 1);
	m->wanted = m->wanted == 0 ? 1 : m->wanted > most ? most : m->wanted;
	return true;
}

// ---- the state (step 5)

// true: the S-CSCF's name is stored and authentication is pending; false: the request waits, or has been answered.
static bool pend(struct mar *m)
{
	struct request *r = m->s.r;
	const struct ims_public *p = &m->s.user.d.pub[m->s.pub];
	struct cx_server by = cx_server_of(r, SLOT_MAR_Server_Name, SLOT_MAR_Origin_Host, SLOT_MAR_Origin_Realm);
	struct cx_decision d;
	if (r->change_done)
		return request_change_stands(r);
	if (m->auts.len && m->s.state.scscf.len && !slice_eq(m->s.state.scscf, by.scscf) && m->priv->scheme == IMS_AKA) {
		r->rule = "resynchronisation by an S-CSCF that does not serve the user";
		request_answer(r, RESULT_UNABLE_TO_COMPLY, false);
		return false;
	}
	cx_authenticate(&m->s.state, m->priv->device, p->set, &by, (uint32_t)(clock_wall_us() / 1000000), &d);
	if (d.result != RESULT_SUCCESS) {
		request_answer(r, d.result, d.experimental);
		return false;
	}
	if (d.changed)
		cx_change(&m->s, &d);
	return !d.changed;
}

// ---- answers

static void answer_begin(struct mar *m, struct wr *w, uint32_t items, size_t room)
{
	struct request *r = m->s.r;
	request_answer_begin(r, w, RESULT_SUCCESS, false, room + m->priv->identity.len + m->s.spelled.len + 128);
	avp_put_slice(w, AVP_CODE_User_Name, 0, AVP_M, request_slot(r, SLOT_MAR_User_Name));
	cx_features_put(w, &m->features);
	avp_put_slice(w, AVP_CODE_Public_Identity, VENDOR, AVP_M, m->s.spelled);
	avp_put_u32(w, AVP_CODE_SIP_Number_Auth_Items, VENDOR, AVP_M, items);
}

static void put_vector(struct wr *w, uint32_t item, const char *scheme, const struct utran_vector *v)
{
	uint8_t challenge[32];
	memcpy(challenge, v->rand, 16);
	memcpy(challenge + 16, v->autn, 16);
	size_t at = avp_group_begin(w, AVP_CODE_SIP_Auth_Data_Item, VENDOR, AVP_M);
	avp_put_u32(w, AVP_CODE_SIP_Item_Number, VENDOR, AVP_M, item);
	cx_put_text(w, AVP_CODE_SIP_Authentication_Scheme, slice_str(scheme));
	avp_put(w, AVP_CODE_SIP_Authenticate, VENDOR, AVP_M, challenge, sizeof challenge);
	avp_put(w, AVP_CODE_SIP_Authorization, VENDOR, AVP_M, v->xres, v->xres_len);
	avp_put(w, AVP_CODE_Confidentiality_Key, VENDOR, AVP_M, v->ck, sizeof v->ck);
	avp_put(w, AVP_CODE_Integrity_Key, VENDOR, AVP_M, v->ik, sizeof v->ik);
	avp_group_end(w, at);
}

static void answer_aka(struct mar *m)
{
	uint8_t items[ITEM_ROOM * 32];
	struct wr vectors = wr_of(items, sizeof items), w;
	struct utran_vector v;
	uint64_t sqn, seq = m->aka.first_seq;
	bool ok = true;
	for (uint32_t i = 0; ok && i < m->wanted; i++) {
		ok = sqn_compose(seq++, m->aka.ind, &sqn) && auth_utran_vector(&m->s.r->w->auth, &m->aka.keys, sqn, &v) == 0;
		if (ok)
			put_vector(&vectors, i + 1, m->scheme, &v);
	}
	secret_wipe(&v, sizeof v);
	if (ok && !vectors.err) {
		answer_begin(m, &w, m->wanted, wr_len(&vectors));
		wr_bytes(&w, items, wr_len(&vectors));
		stat_add(m->s.r->w->stats, STAT_VECTORS, m->wanted);
		request_answer_end(m->s.r, &w);
	} else {
		unavailable(m);
	}
	secret_wipe(items, wr_len(&vectors));
}

// Handles the result of one step of drawing. false: the request waits, or has been answered.
static bool step(struct mar *m, enum aka_result result)
{
	if (result == AKA_UNAVAILABLE)
		unavailable(m);
	return result == AKA_OK;
}

static void serve_aka(struct mar *m)
{
	struct request *r = m->s.r;
	struct slice host = request_slot(r, SLOT_MAR_Origin_Host);
	if (m->s.rec->flags & RECORD_NO_KEY) {
		unsupported(m);
		return;
	}
	cache_prefetch_sqn(&r->w->cache, m->s.rec);
	if (step(m, aka_begin(&m->aka, r, m->s.rec)) && step(m, aka_ind(&m->aka, SQN_K_CX)) &&
	    (m->auts.len == 0 || step(m, aka_resync(&m->aka, m->auts.p, m->auts.p + 16, host))) &&
	    step(m, aka_draw(&m->aka, m->wanted)))
		answer_aka(m);
	aka_end(&m->aka);
}

static void answer_digest(struct mar *m)
{
	struct wr w;
	answer_begin(m, &w, 1, ITEM_ROOM + m->priv->realm.len);
	cx_put_digest(&w, m->priv);
	request_answer_end(m->s.r, &w);
}

void cx_mar(struct request *r)
{
	struct mar m;
	if (!cx_open(r, SLOT_MAR_Public_Identity, SLOT_MAR_User_Name, &m.s))
		return;
	m.priv = &m.s.user.d.priv[m.s.priv];
	cx_features_read(r, SLOT_MAR_Supported_Features, &m.features);
	if (m.s.user.d.pub[m.s.pub].type != IMS_PUBLIC_USER) {
		r->rule = "services do not register";
		request_answer(r, EXP_USER_UNKNOWN, true);
		return;
	}
	if (!read_item(&m) || !pend(&m))
		return;
	if (m.priv->scheme == IMS_DIGEST)
		answer_digest(&m);
	else
		serve_aka(&m);
}

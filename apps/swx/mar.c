// Multimedia-Auth-Request (TS 29.273 8.1.2.1; procedures F1): vectors of EAP-AKA or EAP-AKA' for a user's IMSI. worker/aka.h
// draws the SQNs, with an IND of their own: a phone on Wi-Fi does not disturb its MME or S-CSCF.
#include "apps/swx/swx.h"
#include "lib/base/clock.h"
#include "lib/base/secret.h"
#include "lib/diameter/avp.h"
#include "worker/aka.h"
#include "worker/worker.h"

#define VENDOR	      VENDOR_3GPP
#define ITEM_ROOM     256
#define AUTS_LEN      30 // RAND || AUTS
#define ANY_RAT	      UINT32_MAX
#define ANID_MAX      253 // octets
#define AAA_FAILURE   1u // bit of AAA-Failure-Indication

static const char SCHEME_AKA[] = "EAP-AKA", SCHEME_AKA_PRIME[] = "EAP-AKA'";

struct mar {
	struct swx_subject s;
	bool prime;	   // EAP-AKA'
	struct slice anid; // the access network's name, to which CK' and IK' are bound
	struct slice auts; // SIP-Authorization of a resynchronisation
	uint32_t wanted;   // vectors
	struct aka aka;
};

static void unavailable(struct mar *m)
{
	m->s.r->rule = "no vectors can be made: wrong AUTS, SQN space used up, or no SQN block on disk";
	swx_answer(&m->s, EXP_AUTHENTICATION_DATA_UNAVAILABLE, true);
}

// ---- the request

// The digit before the IMSI in a NAI says the method (TS 23.003 19.3.2); 0: there is none.
static char method_of(struct slice name, imsi_t imsi)
{
	char digits[16];
	uint32_t end = 0, begin, len = imsi_text(imsi, digits);
	while (end < name.len && name.p[end] != '@')
		end++;
	for (begin = end; begin > 0 && name.p[begin - 1] != '!'; begin--)
		;
	return end - begin == len + 1 ? (char)name.p[begin] : 0;
}

// Without a scheme (some AAA servers resynchronise so) the user's name says it, where the access network is known.
static bool read_scheme(struct mar *m, struct slice asked)
{
	struct request *r = m->s.r;
	struct verdict v = {0};
	m->anid = request_slot(r, SLOT_SWX_MAR_ANID);
	m->prime = slice_eq_nocase(asked, slice_str(SCHEME_AKA_PRIME));
	if (asked.len == 0)
		m->prime = m->anid.len && method_of(request_slot(r, SLOT_SWX_MAR_User_Name), r->imsi) == '6';
	if (asked.len && !m->prime && !slice_eq_nocase(asked, slice_str(SCHEME_AKA))) {
		r->rule = "neither EAP-AKA nor EAP-AKA'";
		swx_answer(&m->s, EXP_AUTH_SCHEME_NOT_SUPPORTED, true);
		return false;
	}
	if (m->prime && !request_has(r, SLOT_SWX_MAR_ANID)) {
		verdict_missing(&v, AVP_ID_ANID);
		request_answer_failed(r, &v);
		return false;
	}
	if (m->prime && (m->anid.len == 0 || m->anid.len > ANID_MAX)) {
		request_answer_bad_value(r, SLOT_SWX_MAR_ANID);
		return false;
	}
	return true;
}

static bool read_item(struct mar *m)
{
	struct request *r = m->s.r;
	struct slice item = request_slot(r, SLOT_SWX_MAR_SIP_Auth_Data_Item);
	struct avp a;
	m->auts = avp_find(item, AVP_CODE_SIP_Authorization, VENDOR, &a) ? a.data : (struct slice){0};
	if (!read_scheme(m, avp_find(item, AVP_CODE_SIP_Authentication_Scheme, VENDOR, &a) ? a.data : (struct slice){0}))
		return false;
	if (m->auts.len && m->auts.len != AUTS_LEN) {
		request_answer_bad_value(r, SLOT_SWX_MAR_SIP_Auth_Data_Item);
		return false;
	}
	uint32_t most = r->w->config->max_vectors;
	m->wanted = request_u32(r, SLOT_SWX_MAR_SIP_Number_Auth_Items, 1);
	m->wanted = m->wanted == 0 ? 1 : m->wanted > most ? most : m->wanted;
	return true;
}

// Steps 2 to 4. false: answered.
static bool admitted(struct mar *m)
{
	struct request *r = m->s.r;
	const struct swx_data *d = &m->s.data;
	struct slice visited = request_slot(r, SLOT_SWX_MAR_Visited_Network_Identifier);
	uint32_t rat = request_u32(r, SLOT_SWX_MAR_RAT_Type, ANY_RAT), result = 0;
	if (d->denied) {
		r->rule = "non_3gpp.allowed";
		result = EXP_USER_NO_NON_3GPP_SUBSCRIPTION;
	} else if (visited.len && !config_realm_served(r->w->config, visited) && !swx_visited_allowed(d, visited)) {
		r->rule = "non_3gpp.visited_networks";
		result = EXP_ROAMING_NOT_ALLOWED;
	} else if (rat != ANY_RAT && !swx_rat_allowed(d, rat)) {
		r->rule = "non_3gpp.rat_types";
		result = EXP_RAT_TYPE_NOT_ALLOWED;
	}
	if (result)
		swx_answer(&m->s, result, true);
	return !result;
}

// ---- the state (steps 5 and 8)

// true: the AAA server is stored; false: the request waits, or has been answered.
static bool pend(struct mar *m)
{
	struct request *r = m->s.r;
	struct swx_decision d;
	bool failed = request_u32(r, SLOT_SWX_MAR_AAA_Failure_Indication, 0) & AAA_FAILURE;
	if (r->change_done)
		return request_change_stands(r);
	if (swx_serves(&m->s.state, &m->s.by))
		return true; // authenticates again
	swx_authenticate(&m->s.state, &m->s.by, failed, (uint32_t)(clock_wall_us() / 1000000), &d);
	if (d.server_name) {
		r->rule = "another AAA server is registered";
		swx_answer_server(&m->s, d.result, d.experimental);
		return false;
	}
	if (d.changed)
		swx_change(&m->s, &d);
	return !d.changed;
}

// ---- the answer

static void put_vector(struct wr *w, uint32_t item, const char *scheme, const struct utran_vector *v)
{
	uint8_t challenge[32];
	memcpy(challenge, v->rand, 16);
	memcpy(challenge + 16, v->autn, 16);
	size_t at = avp_group_begin(w, AVP_CODE_SIP_Auth_Data_Item, VENDOR, AVP_M);
	avp_put_u32(w, AVP_CODE_SIP_Item_Number, VENDOR, AVP_M, item);
	avp_put_slice(w, AVP_CODE_SIP_Authentication_Scheme, VENDOR, AVP_M, slice_str(scheme));
	avp_put(w, AVP_CODE_SIP_Authenticate, VENDOR, AVP_M, challenge, sizeof challenge);
	avp_put(w, AVP_CODE_SIP_Authorization, VENDOR, AVP_M, v->xres, v->xres_len);
	avp_put(w, AVP_CODE_Confidentiality_Key, VENDOR, AVP_M, v->ck, sizeof v->ck);
	avp_put(w, AVP_CODE_Integrity_Key, VENDOR, AVP_M, v->ik, sizeof v->ik);
	avp_group_end(w, at);
}

static bool make_vector(struct mar *m, uint64_t seq, struct utran_vector *v)
{
	struct auth *auth = &m->s.r->w->auth;
	uint64_t sqn;
	if (!sqn_compose(seq, m->aka.ind, &sqn))
		return false;
	return (m->prime ? auth_eap_aka_prime_vector(auth, &m->aka.keys, sqn, m->anid, v)
			 : auth_utran_vector(auth, &m->aka.keys, sqn, v)) == 0;
}

static void answer(struct mar *m)
{
	uint8_t items[ITEM_ROOM * 32];
	struct wr vectors = wr_of(items, sizeof items), w;
	struct utran_vector v;
	bool ok = true;
	for (uint32_t i = 0; ok && i < m->wanted; i++) {
		ok = make_vector(m, m->aka.first_seq + i, &v);
		if (ok)
			put_vector(&vectors, i + 1, m->prime ? SCHEME_AKA_PRIME : SCHEME_AKA, &v);
	}
	secret_wipe(&v, sizeof v);
	if (ok && !vectors.err) {
		swx_answer_begin(&m->s, &w, RESULT_SUCCESS, false, wr_len(&vectors) + 16);
		avp_put_u32(&w, AVP_CODE_SIP_Number_Auth_Items, VENDOR, AVP_M, m->wanted);
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

static void serve(struct mar *m)
{
	struct request *r = m->s.r;
	if (step(m, aka_begin(&m->aka, r, m->s.rec)) && step(m, aka_ind(&m->aka, SQN_K_SWX)) &&
	    (m->auts.len == 0 || step(m, aka_resync(&m->aka, m->auts.p, m->auts.p + 16, m->s.by.host))) &&
	    step(m, aka_draw(&m->aka, m->wanted)))
		answer(m);
	aka_end(&m->aka);
}

void swx_mar(struct request *r)
{
	struct mar m; // large: it is filled in as far as it is used
	m.s.user_slot = SLOT_SWX_MAR_User_Name;
	m.s.features_slot = SLOT_SWX_MAR_Supported_Features;
	if (!swx_open(r, SLOT_SWX_MAR_Origin_Host, SLOT_SWX_MAR_Origin_Realm, &m.s))
		return;
	cache_prefetch_sqn(&r->w->cache, m.s.rec);
	if (admitted(&m) && read_item(&m) && pend(&m))
		serve(&m);
}

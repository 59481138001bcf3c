// Server-Assignment-Request (TS 29.228 6.1.2.1; procedures D3): an S-CSCF registers, keeps or ends what it serves. The state
// is durable before the answer leaves (law 6).
#include "apps/cx/cx.h"
#include "apps/cx/msg.h"
#include "lib/base/clock.h"
#include "lib/diameter/avp.h"
#include "worker/worker.h"

#define DATA_NOT_AVAILABLE 0 // User-Data-Already-Available

struct sar {
	struct cx_subject s;
	struct cx_features features;
	struct cx_assign q;
};

// What was decided, for the answer after the change: in request.memo.
enum memo {
	MEMO_RESULT = 0xffff,
	MEMO_EXPERIMENTAL = 1 << 16,
	MEMO_PROFILE = 1 << 17,
	MEMO_SERVER_NAME = 1 << 18,
	MEMO_RESTORATION = 1 << 19,
};

static uint32_t memo_of(const struct cx_decision *d)
{
	return d->result | (d->experimental ? MEMO_EXPERIMENTAL : 0) | (d->profile ? MEMO_PROFILE : 0) |
	       (d->server_name ? MEMO_SERVER_NAME : 0) | (d->restoration ? MEMO_RESTORATION : 0);
}

// ---- the answer

static void put_restoration(struct wr *w, const struct ims_state *s)
{
	for (unsigned i = 0; i < s->restoration_cnt; i++) {
		wr_slice(w, s->restoration[i].avps);
		wr_zero(w, -s->restoration[i].avps.len & 3u);
	}
}

static size_t restoration_room(const struct ims_state *s)
{
	size_t n = 0;
	for (unsigned i = 0; i < s->restoration_cnt; i++)
		n += s->restoration[i].avps.len + 4;
	return n;
}

static void put_profile(struct sar *q, struct wr *w, uint8_t set)
{
	const struct request *r = q->s.r;
	const struct ims_user *u = &q->s.user;
	unsigned priv = q->s.priv < 0 ? 0 : (unsigned)q->s.priv;
	if (request_u32(r, SLOT_SAR_User_Data_Already_Available, DATA_NOT_AVAILABLE) == DATA_NOT_AVAILABLE &&
	    !cx_put_user_data(w, &r->w->cache, u, priv, set, q->features.list))
		w->err = true;
	cx_put_charging(w, u, r->w->config);
	cx_put_associated(w, u);
}

static void answer(struct sar *q)
{
	struct request *r = q->s.r;
	const struct ims_user *u = &q->s.user;
	uint8_t set = q->q.set_cnt ? q->q.set[0] : u->d.pub[0].set;
	unsigned priv = q->s.priv < 0 ? 0 : (unsigned)q->s.priv;
	bool profile = r->memo & MEMO_PROFILE;
	size_t room = 512 + q->s.state.scscf.len;
	struct wr w;
	if (profile)
		room += cx_user_data_room(&r->w->cache, u, priv, set) + CX_CHARGING_ROOM + CX_ASSOCIATED_ROOM;
	if (r->memo & MEMO_RESTORATION)
		room += restoration_room(&q->s.state);
	request_answer_begin(r, &w, r->memo & MEMO_RESULT, r->memo & MEMO_EXPERIMENTAL, room);
	avp_put_slice(&w, AVP_CODE_User_Name, 0, AVP_M, u->d.priv[priv].identity);
	cx_features_put(&w, &q->features);
	if (profile)
		put_profile(q, &w, set);
	if (r->memo & MEMO_RESTORATION)
		put_restoration(&w, &q->s.state);
	if (r->memo & MEMO_SERVER_NAME)
		cx_put_text(&w, AVP_CODE_Server_Name, q->s.state.scscf);
	if (q->s.wildcard)
		avp_put_slice(&w, AVP_CODE_Wildcarded_Public_Identity, VENDOR_3GPP, 0, u->d.pub[q->s.pub].identity);
	request_answer_end(r, &w);
}

// ---- the request

static bool may_name_several(enum cx_assignment type)
{
	return (type >= CX_TIMEOUT_DEREGISTRATION && type <= CX_ADMINISTRATIVE_DEREGISTRATION) ||
	       type == CX_DEREGISTRATION_TOO_MUCH_DATA;
}

// The second Public-Identity; NULL data: there is none.
static struct slice second_public(const struct request *r)
{
	struct rd rd = request_avps(r);
	struct avp a;
	unsigned n = 0;
	while (avp_next(&rd, &a) == AVP_WALK_ONE)
		if (a.code == AVP_CODE_Public_Identity && a.vendor == VENDOR_3GPP && n++ == 1)
			return a.whole;
	return (struct slice){0};
}

// Checks that need no user. false: answered.
static bool read_type(struct sar *q, struct request *r)
{
	struct verdict v = {0};
	uint32_t type = request_u32(r, SLOT_SAR_Server_Assignment_Type, CX_ASSIGNMENT_CNT);
	if (type >= CX_ASSIGNMENT_CNT) {
		request_answer_bad_value(r, SLOT_SAR_Server_Assignment_Type);
		return false;
	}
	q->q = (struct cx_assign){.type = (enum cx_assignment)type};
	if (!request_has(r, SLOT_SAR_Public_Identity) && !request_has(r, SLOT_SAR_User_Name)) {
		verdict_missing(&v, AVP_ID_Public_Identity);
		request_answer_failed(r, &v);
		return false;
	}
	if (r->slots[SLOT_SAR_Public_Identity].cnt > 1 && !may_name_several(q->q.type)) {
		verdict_offending(&v, RESULT_AVP_OCCURS_TOO_MANY_TIMES, second_public(r));
		request_answer_failed(r, &v);
		return false;
	}
	cx_features_read(r, SLOT_SAR_Supported_Features, &q->features);
	return true;
}

static void add_set(struct cx_assign *q, uint8_t set)
{
	for (unsigned i = 0; i < q->set_cnt; i++)
		if (q->set[i] == set)
			return;
	if (q->set_cnt < IMS_PUBLICS_MAX)
		q->set[q->set_cnt++] = set;
}

// The implicit sets of all public identities that the request names. false: one is not of this user, answered.
static bool read_sets(struct sar *q)
{
	struct request *r = q->s.r;
	const struct ims_data *d = &q->s.user.d;
	struct rd rd = request_avps(r);
	struct avp a;
	if (q->s.pub >= 0)
		add_set(&q->q, d->pub[q->s.pub].set);
	for (unsigned n = 0; r->slots[SLOT_SAR_Public_Identity].cnt > 1 && avp_next(&rd, &a) == AVP_WALK_ONE;) {
		if (a.code != AVP_CODE_Public_Identity || a.vendor != VENDOR_3GPP || n++ == 0)
			continue;
		int at = cx_also(&q->s, a.data);
		if (at < 0) {
			r->rule = "Public-Identities of different users";
			request_answer(r, EXP_IDENTITIES_DONT_MATCH, true);
			return false;
		}
		add_set(&q->q, d->pub[at].set);
	}
	return true;
}

// Services and wildcards are neither registered nor deregistered by a user (step 4).
static bool fits_type(struct sar *q)
{
	static const uint32_t users_only = 1u << CX_REGISTRATION | 1u << CX_RE_REGISTRATION | 1u << CX_USER_DEREGISTRATION |
					   1u << CX_USER_DEREGISTRATION_STORE | 1u << CX_AUTHENTICATION_FAILURE |
					   1u << CX_AUTHENTICATION_TIMEOUT;
	bool user = q->s.pub < 0 || q->s.user.d.pub[q->s.pub].type == IMS_PUBLIC_USER;
	if (user || !(users_only >> q->q.type & 1))
		return true;
	q->s.r->rule = "services are not registered";
	request_answer(q->s.r, EXP_IN_ASSIGNMENT_TYPE, true);
	return false;
}

static void fill(struct sar *q)
{
	struct request *r = q->s.r;
	const struct ims_data *d = &q->s.user.d;
	const struct avp_slot *restoration = &r->slots[SLOT_SAR_SCSCF_Restoration_Info];
	q->q.device = q->s.priv < 0 ? 0 : d->priv[q->s.priv].device;
	q->q.only_device = d->priv[0].device;
	q->q.by = cx_server_of(r, SLOT_SAR_Server_Name, SLOT_SAR_Origin_Host, SLOT_SAR_Origin_Realm);
	q->q.can_restore = q->features.list & CX_RESTORATION;
	if (q->q.can_restore && restoration->cnt && restoration->off >= 12)
		q->q.restoration = slice_of(r->msg + restoration->off - 12, restoration->len + 12);
	q->q.multiple = request_u32(r, SLOT_SAR_Multiple_Registration_Indication, 0) == 1;
	q->q.keep_server = r->w->config->ims_keep_server;
	q->q.time_s = (uint32_t)(clock_wall_us() / 1000000);
	// a registration names one identity; without it that of the device, whatever the set
	if (q->q.set_cnt == 0 && !may_name_several(q->q.type))
		add_set(&q->q, d->pub[0].set);
}

// Which device registers? A request without User-Name says it only where there is one.
static bool names_device(struct sar *q)
{
	struct verdict v = {0};
	bool registers = q->q.type == CX_REGISTRATION || q->q.type == CX_RE_REGISTRATION;
	if (q->q.device || !registers || q->s.user.d.priv_cnt == 1)
		return true;
	verdict_missing(&v, AVP_ID_User_Name);
	request_answer_failed(q->s.r, &v);
	return false;
}

static void refuse_ambiguous(struct request *r)
{
	struct verdict v = {0};
	verdict_missing(&v, AVP_ID_User_Name);
	request_answer_failed(r, &v);
}

void cx_sar(struct request *r)
{
	struct sar q;
	struct cx_decision d;
	if (!read_type(&q, r) || !cx_open(r, SLOT_SAR_Public_Identity, SLOT_SAR_User_Name, &q.s))
		return;
	if (r->change_done) {
		q.q.set_cnt = 0;
		if (request_change_stands(r) && read_sets(&q))
			answer(&q);
		return;
	}
	if (!read_sets(&q) || !fits_type(&q))
		return;
	fill(&q);
	if (!names_device(&q))
		return;
	cx_assign(&q.s.state, &q.q, &d);
	// Decided once. When the change is sent again after a loader restart, the cache may show its own outcome already.
	if (!r->resent)
		r->memo = memo_of(&d);
	if (d.result == RESULT_MISSING_AVP && !d.experimental)
		refuse_ambiguous(r);
	else if (d.changed)
		cx_change(&q.s, &d);
	else
		answer(&q);
}

// Subscribe-Notifications-Request (TS 29.328 6.1.3; procedures E3): an application server wants to be told of changes, or no longer.
// Subscriptions are durable before the answer leaves (law 6).
#include "apps/sh/sh.h"
#include "lib/base/clock.h"
#include "lib/diameter/avp.h"
#include "worker/worker.h"

#define NTP_TO_UNIX 2208988800u // seconds from 1900 to 1970 (RFC 6733 4.3.1)

enum subs_req_type { SUBSCRIBE = 0, UNSUBSCRIBE = 1 };

// false: answered.
static bool read_request(struct request *r, const struct sh_asked *q, struct sh_subscribe *out)
{
	struct verdict v = {0};
	uint32_t type = request_u32(r, SLOT_SNR_Subs_Req_Type, UNSUBSCRIBE + 1);
	uint32_t until = request_u32(r, SLOT_SNR_Expiry_Time, 0);
	*out = (struct sh_subscribe){.references = q->references,
				     .host = request_slot(r, SLOT_SNR_Origin_Host),
				     .realm = request_slot(r, SLOT_SNR_Origin_Realm),
				     .key_cnt = q->key_cnt,
				     .server_name = request_slot(r, SLOT_SNR_Server_Name),
				     .set_cnt = q->set_cnt,
				     .unsubscribe = type == UNSUBSCRIBE,
				     .one_time = request_has(r, SLOT_SNR_One_Time_Notification),
				     .now_s = (uint32_t)(clock_wall_us() / 1000000)};
	memcpy(out->key, q->key, q->key_cnt * sizeof *q->key);
	memcpy(out->set, q->set, q->set_cnt * sizeof *q->set);
	if (request_has(r, SLOT_SNR_Expiry_Time))
		out->expires_s = until - NTP_TO_UNIX; // the next era begins in 2036: the difference holds
	if (type > UNSUBSCRIBE) {
		request_answer_bad_value(r, SLOT_SNR_Subs_Req_Type);
	} else if (out->expires_s && !out->unsubscribe && out->expires_s <= out->now_s) {
		request_answer_bad_value(r, SLOT_SNR_Expiry_Time);
	} else if (q->references & SH_BIT(SH_REF_REPOSITORY) && q->key_cnt == 0) {
		verdict_missing(&v, AVP_ID_Service_Indication);
		request_answer_failed(r, &v);
	} else if (q->references & SH_BIT(SH_REF_CRITERIA) && out->server_name.len == 0) {
		verdict_missing(&v, AVP_ID_Server_Name);
		request_answer_failed(r, &v);
	} else {
		return true;
	}
	return false;
}

static void answer(const struct sh_subject *s, const struct sh_asked *q, const struct sh_subscribe *n)
{
	struct request *r = s->r;
	struct sh_query data = sh_query_of(s, q, request_slot(r, SLOT_SNR_Server_Name));
	bool with_data = !n->unsubscribe && request_u32(r, SLOT_SNR_Send_Data_Indication, 0) == 1;
	struct wr w;
	request_answer_begin(r, &w, RESULT_SUCCESS, false, 1024 + (with_data ? sh_query_room(&data) : 0));
	sh_put_features(&w, q);
	sh_put_wildcard(&w, s);
	if (with_data)
		sh_put_data(&w, &data);
	if (n->expires_s && !n->unsubscribe)
		avp_put_u32(&w, AVP_CODE_Expiry_Time, VENDOR_3GPP, 0, n->expires_s + NTP_TO_UNIX);
	request_answer_end(r, &w);
}

// Only what this HSS sees change.
static bool can_be_watched(struct request *r, const struct sh_asked *q)
{
	if (!(q->references & ~SH_NOTIFIED))
		return true;
	r->rule = "no notifications of these data";
	request_answer(r, EXP_OPERATION_NOT_ALLOWED, true);
	return false;
}

void sh_snr(struct request *r)
{
	static struct sh_decision d;
	struct sh_subscribe n;
	struct sh_subject s;
	struct sh_asked q;
	if (!sh_ask(r, &q) || !sh_may(r, SH_NOTIFY, &q) ||
	    !sh_open(r, SLOT_SNR_User_Identity, SLOT_SNR_User_Name, &q, &s) || !can_be_watched(r, &q) ||
	    !read_request(r, &q, &n))
		return;
	if (r->change_done) {
		if (request_change_stands(r))
			answer(&s, &q, &n);
		return;
	}
	n.scope = sh_scope_of(&s.user, s.pub);
	n.identity = s.identity;
	sh_subscribe(&s.sh, &n, &d);
	if (d.result != RESULT_SUCCESS) {
		r->rule = d.rule;
		sh_answer(&s, &q, d.result, d.experimental);
	} else if (d.changed) {
		sh_change(&s, &d);
	} else {
		answer(&s, &q, &n);
	}
}

// See sh.h: what UDR, PUR and SNR have in common.
#include "apps/sh/sh.h"
#include "lib/base/log.h"
#include "lib/diameter/avp.h"
#include "lib/ims/pull.h"
#include "lib/ims/sh_read.h"
#include "worker/link.h"
#include "worker/worker.h"

#define VENDOR VENDOR_3GPP

// ---- what is asked for

static bool refuse_avp(struct request *r, uint32_t result, struct slice whole)
{
	struct verdict v = {0};
	verdict_offending(&v, result, whole);
	request_answer_failed(r, &v);
	return false;
}

static_assert(LINK_REQUEST_MAX >= SH_SUBSCRIPTIONS_MAX, "a change tells all that watch");
static_assert((int)SLOT_UDR_Origin_Host == (int)SLOT_SH_PUR_Origin_Host && (int)SLOT_UDR_Origin_Host == (int)SLOT_SNR_Origin_Host, "");

static bool take_key(struct request *r, struct sh_asked *q, const struct avp *a)
{
	for (unsigned i = 0; i < q->key_cnt; i++)
		if (slice_eq(q->key[i], a->data))
			return true;
	if (a->data.len == 0 || a->data.len > SH_INDICATION_MAX || !ims_text_valid(a->data))
		return refuse_avp(r, RESULT_INVALID_AVP_VALUE, a->whole);
	if (q->key_cnt == SH_KEYS_MAX)
		return refuse_avp(r, RESULT_AVP_OCCURS_TOO_MANY_TIMES, a->whole);
	q->key[q->key_cnt++] = a->data;
	return true;
}

static void take_features(struct sh_asked *q, const struct avp *a)
{
	struct avp id, bits;
	uint32_t list, features;
	if (!avp_find(a->data, AVP_CODE_Feature_List_ID, VENDOR, &id) || !avp_u32(id.data, &list) || list != 1 ||
	    !avp_find(a->data, AVP_CODE_Feature_List, VENDOR, &bits) || !avp_u32(bits.data, &features))
		return;
	q->has_features = true;
	q->features = features & SH_FEATURES;
}

static bool take_one(struct request *r, struct sh_asked *q, const struct avp *a)
{
	uint32_t v = 0;
	switch (a->code) {
	case AVP_CODE_Data_Reference:
		if (!avp_u32(a->data, &v) || !sh_reference_name(v))
			return refuse_avp(r, RESULT_INVALID_AVP_VALUE, a->whole);
		q->references |= SH_BIT(v);
		return true;
	case AVP_CODE_Identity_Set:
		if (!avp_u32(a->data, &v) || v >= SH_SET_CNT)
			return refuse_avp(r, RESULT_INVALID_AVP_VALUE, a->whole);
		if (!(q->sets >> v & 1))
			q->set[q->set_cnt++] = a->data;
		q->sets |= (uint8_t)(1u << v);
		return true;
	case AVP_CODE_Service_Indication: return take_key(r, q, a);
	case AVP_CODE_Supported_Features: take_features(q, a); return true;
	default: return true;
	}
}

bool sh_ask(struct request *r, struct sh_asked *q)
{
	struct rd rd = request_avps(r);
	struct avp a;
	*q = (struct sh_asked){.references = 0};
	while (avp_next(&rd, &a) == AVP_WALK_ONE)
		if (a.vendor == VENDOR && !take_one(r, q, &a))
			return false;
	return true;
}

bool sh_may(struct request *r, enum sh_operation operation, const struct sh_asked *q)
{
	static const struct {
		const char *name;
		uint32_t result;
	} by_operation[] = {
		[SH_PULL] = {"sh.servers[].pull", EXP_USER_DATA_CANNOT_BE_READ},
		[SH_UPDATE] = {"sh.servers[].update", EXP_USER_DATA_CANNOT_BE_MODIFIED},
		[SH_NOTIFY] = {"sh.servers[].notify", EXP_USER_DATA_CANNOT_BE_NOTIFIED},
	};
	static struct log_limit limit;
	struct slice host = request_slot(r, SLOT_UDR_Origin_Host); // of all three at the same place
	if (sh_permitted(r->w->config, host, operation, q->references))
		return true;
	stat_add(r->w->stats, STAT_NOT_PERMITTED, 1);
	unsigned first = 0;
	while (first < SH_REF_END - 1 &&
	       (!(q->references >> first & 1) || sh_permitted(r->w->config, host, operation, SH_BIT(first))))
		first++;
	if (log_limit_pass(&limit, 5))
		log_warn("not_permitted", LOG_SLICE("host", host), LOG_STR("command", r->cmd->name),
			 LOG_STR("data", sh_reference_name(first)), LOG_STR("option", by_operation[operation].name));
	r->rule = by_operation[operation].name;
	request_answer(r, by_operation[operation].result, true);
	return false;
}

// ---- the user

static bool unknown(struct request *r)
{
	r->rule = "unknown identity";
	request_answer(r, EXP_USER_UNKNOWN, true);
	return false;
}

// Not found: another HSS serves the user (Dh), or its subscriber was added a moment ago.
static bool look_up(struct request *r, const struct subject *id)
{
	struct slice host = ims_redirect_of(r->w->config, id);
	if (host.len) {
		r->rule = "ims.redirect";
		request_redirect(r, host);
		return false;
	}
	r->imsi = subject_imsi(id);
	return link_look_up(r) ? false : unknown(r);
}

// Is User-Name a private identity of this user? false: answered.
static bool name_fits(struct sh_subject *s, unsigned user_slot)
{
	struct request *r = s->r;
	struct subject priv;
	if (!request_has(r, user_slot))
		return true;
	if (!subject_read(SUBJECT_FORM_PRIVATE, request_slot(r, user_slot), &priv)) {
		request_answer_bad_value(r, user_slot);
		return false;
	}
	if (ims_private_at(&s->user, r->w->config, &priv) >= 0)
		return true;
	r->rule = "User-Identity and User-Name are of different users";
	request_answer(r, EXP_IDENTITIES_DONT_MATCH, true);
	return false;
}

bool sh_open(struct request *r, unsigned identity_slot, unsigned user_slot, const struct sh_asked *q, struct sh_subject *s)
{
	struct subject id;
	s->r = r;
	s->identity = request_slot(r, identity_slot);
	s->wildcard = false;
	if (!sh_identity_read(s->identity, &id)) {
		request_answer_bad_value(r, identity_slot);
		return false;
	}
	s->rec = ims_user_find(&r->w->cache, r->w->config, &id, &s->user, &s->pub, &s->wildcard);
	if (!s->rec)
		return look_up(r, &id);
	r->imsi = s->rec->imsi;
	ims_state_of(&r->w->cache, s->rec, &s->ims);
	sh_state_of(&r->w->cache, s->rec, &s->sh);
	if (!name_fits(s, user_slot))
		return false;
	if (sh_are_keyed_by(q->references, sh_key_of(&s->user, s->pub)))
		return true;
	r->rule = "this kind of identity does not lead to the data";
	request_answer(r, EXP_OPERATION_NOT_ALLOWED, true);
	return false;
}

// ---- answers

struct sh_query sh_query_of(const struct sh_subject *s, const struct sh_asked *q, struct slice server_name)
{
	struct sh_query out = {.c = &s->r->w->cache,
			       .config = s->r->w->config,
			       .user = &s->user,
			       .ims = &s->ims,
			       .sh = &s->sh,
			       .pub = s->pub,
			       .references = q->references,
			       .key_cnt = q->key_cnt,
			       .server_name = server_name,
			       .sets = q->sets,
			       .tells_absence = q->features & SH_NOTIF_EFF};
	memcpy(out.key, q->key, q->key_cnt * sizeof *q->key);
	return out;
}

void sh_put_features(struct wr *w, const struct sh_asked *q)
{
	if (!q->has_features)
		return;
	size_t at = avp_group_begin(w, AVP_CODE_Supported_Features, VENDOR, 0);
	avp_put_u32(w, AVP_CODE_Vendor_Id, 0, AVP_M, VENDOR);
	avp_put_u32(w, AVP_CODE_Feature_List_ID, VENDOR, 0, 1);
	avp_put_u32(w, AVP_CODE_Feature_List, VENDOR, 0, SH_FEATURES);
	avp_group_end(w, at);
}

void sh_put_wildcard(struct wr *w, const struct sh_subject *s)
{
	if (s->wildcard)
		avp_put_slice(w, s->user.d.pub[s->pub].type == IMS_WILDCARDED_PSI ? AVP_CODE_Wildcarded_Public_Identity
										   : AVP_CODE_Wildcarded_IMPU,
			      VENDOR, 0, s->user.d.pub[s->pub].identity);
}

void sh_put_data(struct wr *w, const struct sh_query *q)
{
	size_t at = avp_group_begin(w, AVP_CODE_User_Data_Sh, VENDOR, AVP_M);
	if (!sh_query_write(w, q)) { // nothing to say
		w->p = w->err ? w->p : w->base + at;
		return;
	}
	avp_group_end(w, at);
	if (!w->err)
		wr_zero(w, -(wr_len(w) - at) & 3u);
}

void sh_answer(const struct sh_subject *s, const struct sh_asked *q, uint32_t result, bool experimental)
{
	struct wr w;
	request_answer_begin(s->r, &w, result, experimental, 512);
	sh_put_features(&w, q);
	sh_put_wildcard(&w, s);
	request_answer_end(s->r, &w);
}

// ---- changes

void sh_change(struct sh_subject *s, const struct sh_decision *d)
{
	static uint8_t state[SH_STATE_MAX], rows[LINK_REQUEST_MAX][SH_ROW_MAX];
	struct wr w = wr_of(state, sizeof state);
	struct link_change c = {.version = s->sh.version};
	sh_state_put(&w, &d->next);
	for (unsigned i = 0; i < d->notice_cnt && c.request_cnt < LINK_REQUEST_MAX; i++) {
		struct wr rw = wr_of(rows[i], sizeof rows[i]);
		w.err |= !sh_row_put(&rw, &d->notice[i].row);
		c.request[c.request_cnt++] = (struct link_hss_request){.purpose = SH_PUSH,
								       .host = d->notice[i].host,
								       .realm = d->notice[i].realm,
								       .data = wr_done(&rw)};
	}
	if (w.err) { // what is stored already takes the room
		s->r->rule = "the state of this subscriber is full";
		request_answer(s->r, RESULT_UNABLE_TO_COMPLY, false);
		return;
	}
	c.state = wr_done(&w);
	link_change(s->r, &c);
}

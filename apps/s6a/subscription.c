// Reads S6a's members of a subscriber's document (subscription.h). The walk has checked each value against its row; here the values
// are put in their places, and what concerns more than one member is judged.
#include "apps/s6a/subscription.h"
#include "apps/documents.h"
#include "loader/store/entry.h"

#define RATE_DEFAULT   1000000000u // bit/s
#define TAU_DEFAULT_S  (12u * 60)
#define ACCESS_DEFAULT 32u

// ---- APNs

static enum doc_result apn_end(struct s6a_subscription *s, struct doc_walk *w, const char *field)
{
	const struct apn *new = &s->apn[s->apn_cnt];
	if (new->name.len == 0)
		return doc_bad(w, field, "expected an APN's name, got nothing");
	for (unsigned i = 0; i < s->apn_cnt; i++)
		if (slice_eq_nocase(s->apn[i].name, new->name))
			return doc_bad(w, field, "expected each APN once, got \"%.*s\" twice", (int)new->name.len,
				       (const char *)new->name.p);
	s->apn_cnt++;
	return DOC_GO;
}

// An APN begins, ends, or is left out.
static enum doc_result apn_step(struct s6a_subscription *s, struct doc_walk *w, const struct doc_at *at, const char *field)
{
	switch (at->step) {
	case DOC_BEGIN:
		s->apn[s->apn_cnt] = (struct apn){.pdn_type = 2,
						  .qci = 9,
						  .priority = 8,
						  .capability = 1,
						  .vulnerability = 1,
						  .vplmn_allowed = true,
						  .ul = RATE_DEFAULT,
						  .dl = RATE_DEFAULT};
		return DOC_GO;
	case DOC_END:
		return apn_end(s, w, field);
	default:
		s->dropped = true;
		return DOC_GO;
	}
}

// A list of APNs begins, or is through: one of which nothing is left, although it had some, is a mistake.
static enum doc_result apns_step(struct s6a_subscription *s, struct doc_walk *w, const struct doc_at *at)
{
	if (at->step == DOC_BEGIN) {
		s->apn_cnt = 0;
		s->dropped = s->foreign_type = false;
		return DOC_GO;
	}
	w->bad |= at->step == DOC_END && s->apn_cnt == 0 && s->dropped && !s->foreign_type;
	return w->bad ? DOC_BAD : DOC_GO;
}

// The EPC knows one list of APNs: that of the default slice, else of the first one.
static enum doc_result slices_step(struct s6a_subscription *s, const struct doc_at *at)
{
	struct doc_cursor c = doc_cursor_of(at->value);
	struct doc_value slice, is_default;
	struct slice name;
	if (at->step != DOC_BEGIN)
		return DOC_GO;
	s->has_slices = true;
	s->slice = 0;
	s->apn_cnt = 0;
	for (unsigned i = 0; doc_next(&c, &name, &slice); i++) {
		is_default = doc_get(&slice, "default_indicator");
		if (is_default.kind != DV_BOOL || !is_default.yes)
			continue;
		s->slice = i;
		break;
	}
	return DOC_GO;
}

static enum doc_result take_type(struct s6a_subscription *s, struct doc_walk *w, struct apn *a, int64_t type)
{
	if (type <= 3) {
		a->pdn_type = (uint8_t)(type - 1);
		return DOC_GO;
	}
	s->foreign_type = true;
	return doc_bad(w, "", "expected 1 to 3, got %lld, which only 5G has", (long long)type);
}

static enum doc_result take_name(struct doc_walk *w, struct apn *a, struct slice name)
{
	const char *problem = apn_problem(name);
	a->name = name;
	return problem ? doc_bad(w, "", "%s", problem) : DOC_GO;
}

// Fields of former versions count where the present one is not there.
static void take_address(uint8_t *to, bool *has, const struct doc_at *at, unsigned len, bool former)
{
	if (former && *has)
		return;
	memcpy(to, at->octets, len);
	*has = true;
}

static void take_apn_address(struct apn *a, const struct doc_at *at)
{
	switch ((enum doc_s6a_row)at->node->row) {
	case S6A_ue_v4:
	case S6A_pdn_ue_v4:
	case S6A_ue_addr:
	case S6A_pdn_ue_addr:
		take_address(a->ue_v4, &a->ue4, at, 4, at->node->row == S6A_ue_addr || at->node->row == S6A_pdn_ue_addr);
		break;
	case S6A_ue_v6:
	case S6A_pdn_ue_v6:
	case S6A_ue_addr6:
	case S6A_pdn_ue_addr6:
		take_address(a->ue_v6, &a->ue6, at, 16, at->node->row == S6A_ue_addr6 || at->node->row == S6A_pdn_ue_addr6);
		break;
	case S6A_gw_v4:
	case S6A_pdn_smf_v4:
		take_address(a->gw_v4, &a->gw4, at, 4, false);
		break;
	case S6A_gw_v6:
	case S6A_pdn_smf_v6:
		take_address(a->gw_v6, &a->gw6, at, 16, false);
		break;
	default:
		if (at->node->member->type == DOC_IPV4)
			take_address(a->gw_v4, &a->gw4, at, 4, true);
		else
			take_address(a->gw_v6, &a->gw6, at, 16, true);
		break;
	}
}

static enum doc_result take_apn(struct s6a_subscription *s, struct doc_walk *w, const struct doc_at *at)
{
	struct apn *a = &s->apn[s->apn_cnt];
	int64_t n = at->value->n;
	if (at->step != DOC_VALUE)
		return DOC_GO;
	if (at->node->member->type == DOC_IPV4 || at->node->member->type == DOC_IPV6) {
		take_apn_address(a, at);
		return DOC_GO;
	}
	switch ((enum doc_s6a_row)at->node->row) {
	case S6A_name:
	case S6A_pdn_name:
		return take_name(w, a, at->value->text);
	case S6A_type:
		return take_type(s, w, a, n);
	case S6A_pdn_type: // already as in PDN-Type
		a->pdn_type = (uint8_t)n;
		break;
	case S6A_qci:
	case S6A_pdn_qci:
		a->qci = (uint8_t)n;
		break;
	case S6A_priority:
	case S6A_pdn_priority:
		a->priority = (uint8_t)n;
		break;
	case S6A_capability: // 1 disabled, 2 enabled; NextEPC and Diameter: 1 disabled, 0 enabled
		a->capability = n == 1;
		break;
	case S6A_pdn_capability:
		a->capability = (uint8_t)n;
		break;
	case S6A_vulnerability:
		a->vulnerability = n == 1;
		break;
	case S6A_pdn_vulnerability:
		a->vulnerability = (uint8_t)n;
		break;
	case S6A_apn_dl:
	case S6A_pdn_dl:
		a->dl = at->bits_per_s;
		break;
	case S6A_apn_ul:
	case S6A_pdn_ul:
		a->ul = at->bits_per_s;
		break;
	case S6A_apn_charging:
	case S6A_pdn_charging:
		a->charging = at->value->text;
		break;
	default:
		break;
	}
	return DOC_GO;
}

// ---- members of S6a

static bool take_option(struct s6a_subscription *s, enum s6a_option option, uint32_t value)
{
	s->option[option] = value;
	s->options |= 1u << option;
	return true;
}

static bool digits(struct slice text)
{
	for (uint32_t i = 0; i < text.len; i++)
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
	return text.len != 0;
}

// Members of later releases. false: it is none of them.
static bool take_further(struct s6a_subscription *s, const struct doc_at *at)
{
	uint32_t n = (uint32_t)at->value->n;
	switch ((enum doc_s6a_row)at->node->row) {
	case S6A_apn_oi:
		s->apn_oi = at->value->text;
		return true;
	case S6A_default_apn:
		s->default_apn = at->value->text;
		return true;
	case S6A_rfsp:
		return take_option(s, OPTION_RFSP, n);
	case S6A_ue_usage:
		return take_option(s, OPTION_UE_USAGE, n);
	case S6A_mps:
		return take_option(s, OPTION_MPS, n);
	case S6A_vsrvcc: // its only value says that it is subscribed
		return !at->value->yes || take_option(s, OPTION_VSRVCC, 0);
	case S6A_ics:
		return take_option(s, OPTION_ICS, at->value->yes);
	case S6A_active_time:
		return take_option(s, OPTION_ACTIVE_TIME, n);
	case S6A_service_gap:
		return take_option(s, OPTION_SERVICE_GAP, n);
	default:
		return false;
	}
}

static enum doc_result take_stn_sr(struct s6a_subscription *s, struct doc_walk *w, struct slice text)
{
	if (!digits(text))
		return doc_bad(w, "", "expected digits, got other characters");
	s->stn_sr = text;
	return DOC_GO;
}

// What is not an APN's. false: it is.
static bool take_subscriber(struct s6a_subscription *s, const struct doc_at *at)
{
	int64_t n = at->value->n;
	switch ((enum doc_s6a_row)at->node->row) {
	case S6A_ard:
		s->ard = (uint32_t)n;
		return true;
	case S6A_status:
		s->status = (uint32_t)n;
		return true;
	case S6A_odb:
		s->odb = s6a_odb_bits((uint32_t)n);
		return true;
	case S6A_nam:
		s->nam = (uint32_t)n;
		return true;
	case S6A_core_restrictions:
		s->core_restrictions = (uint32_t)n;
		return true;
	case S6A_zones:
		s->zone_cnt = at->step == DOC_BEGIN ? 0 : s->zone_cnt;
		return true;
	case S6A_zone:
		if (s->zone_cnt < ZONE_MAX)
			memcpy(s->zone[s->zone_cnt++], at->octets, 2);
		return true;
	case S6A_timer:
		s->rau_s = (uint64_t)n * 60;
		return true;
	case S6A_charging:
		s->charging = at->value->text;
		return true;
	case S6A_ambr_dl:
		s->dl = at->bits_per_s;
		return true;
	case S6A_ambr_ul:
		s->ul = at->bits_per_s;
		return true;
	default:
		return false;
	}
}

static unsigned digit_at(struct slice text, uint32_t i)
{
	return i < text.len ? text.p[i] - '0' : 15;
}

// As plmn_text writes it; another text says nothing.
static void take_plmn(struct slice text, uint8_t plmn[3])
{
	uint8_t p[3] = {(uint8_t)(digit_at(text, 0) | digit_at(text, 1) << 4),
			(uint8_t)(digit_at(text, 2) | digit_at(text, 5) << 4),
			(uint8_t)(digit_at(text, 3) | digit_at(text, 4) << 4)};
	for (uint32_t i = 0; i < text.len; i++)
		if (text.p[i] < '0' || text.p[i] > '9')
			return;
	if ((text.len == 5 || text.len == 6) && plmn_valid(p))
		memcpy(plmn, p, 3);
}

// Where the subscriber is. false: the member is another one.
static bool take_location(struct s6a_said *s, const struct doc_at *at)
{
	bool there = at->step == DOC_VALUE;
	struct slice text = there ? at->value->text : (struct slice){0};
	uint64_t time_us = there ? (uint64_t)at->value->n : 0;
	bool yes = there && at->value->yes;
	struct s6a_serving *mme = &s->serving[S6A_MME], *sgsn = &s->serving[S6A_SGSN];
	switch ((enum doc_s6a_row)at->node->row) {
	case S6A_mme_host:
		s->mme_there = true;
		mme->host = text;
		return true;
	case S6A_mme_realm:
		mme->realm = text;
		return true;
	case S6A_mme_timestamp:
		mme->time_us = time_us;
		return true;
	case S6A_purge_flag:
		mme->flags = yes ? SERVING_PURGED : 0;
		return true;
	case S6A_sgsn_host:
		sgsn->host = text;
		return true;
	case S6A_sgsn_realm:
		sgsn->realm = text;
		return true;
	case S6A_sgsn_timestamp:
		sgsn->time_us = time_us;
		return true;
	case S6A_sgsn_purged:
		sgsn->flags = yes ? SERVING_PURGED : 0;
		return true;
	case S6A_sgsn_plmn:
		take_plmn(text, sgsn->plmn);
		return true;
	case S6A_request_cancel:
		s->cancel = yes;
		return true;
	default:
		return false;
	}
}

static enum doc_result take(struct doc_walk *w, const struct doc_at *at, void *into)
{
	struct s6a_subscription *s = into;
	if (take_location(&s->said, at) || take_subscriber(s, at) || (at->step == DOC_VALUE && take_further(s, at)))
		return DOC_GO;
	switch ((enum doc_s6a_row)at->node->row) {
	case S6A_stn_sr:
		return at->step == DOC_VALUE ? take_stn_sr(s, w, at->value->text) : DOC_GO;
	case S6A_roaming:
		return s6a_take_roaming(w, at->value, s);
	case S6A_slices:
		return slices_step(s, at);
	case S6A_slice:
		return at->step != DOC_BEGIN || at->index == s->slice ? DOC_GO : DOC_PASS_OVER;
	case S6A_pdns:
		return s->has_slices && at->step == DOC_BEGIN ? DOC_PASS_OVER : apns_step(s, w, at);
	case S6A_sessions:
		return apns_step(s, w, at);
	case S6A_session:
		return apn_step(s, w, at, "name");
	case S6A_pdn:
		return apn_step(s, w, at, "apn");
	default:
		return take_apn(s, w, at);
	}
}

// ---- the whole

static void begin(void *into)
{
	struct s6a_subscription *s = into;
	memset(s, 0, offsetof(struct s6a_subscription, apn)); // the APNs are written one by one
	s->ard = ACCESS_DEFAULT;
	s->ul = s->dl = RATE_DEFAULT;
	s->rau_s = TAU_DEFAULT_S;
}

int s6a_default_apn(const struct s6a_subscription *s)
{
	int first = -1;
	for (unsigned i = 0; i < s->apn_cnt; i++) {
		bool wildcard = slice_eq(s->apn[i].name, slice_str("*"));
		if (s->default_apn.len && slice_eq_nocase(s->apn[i].name, s->default_apn))
			return wildcard ? -1 : (int)i;
		if (first < 0 && !wildcard)
			first = (int)i;
	}
	return s->default_apn.len ? -1 : first;
}

// A node has two names, or it is none.
static enum doc_result end(struct doc_walk *w, void *into)
{
	struct s6a_subscription *s = into;
	if (s->apn_cnt && s6a_default_apn(s) < 0 && s->default_apn.len)
		return doc_bad(w, "default_apn", "expected the name of one of its APNs, not the wildcard");
	for (unsigned i = 0; i < S6A_KIND_CNT; i++) {
		struct s6a_serving *v = &s->said.serving[i];
		if (v->host.len == 0 || v->realm.len == 0)
			v->host = v->realm = (struct slice){0};
	}
	return DOC_GO;
}

static void said(const void *into, struct wr *out)
{
	const struct s6a_subscription *s = into;
	s6a_said_put(out, &s->said);
}

static bool profile(const void *into, struct cache_profile *out, size_t cap, uint8_t *flags)
{
	const struct s6a_subscription *s = into;
	if (s->apn_cnt == 0 || s->nam == 1)
		*flags |= RECORD_NO_EPS | RECORD_NO_PACKET;
	if (s->own_len)
		*flags |= RECORD_ROAMING;
	return s6a_encode_profile(s, out, cap);
}

const struct doc_reader s6a_reader = {
	.owner = DOC_OWNER_S6A,
	.size = sizeof(struct s6a_subscription),
	.begin = begin,
	.take = take,
	.end = end,
	.said = said,
	.profile = profile,
};

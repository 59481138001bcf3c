// The rules that several S6a procedures share (rules.h). No state.
#include "apps/s6a/rules.h"
#include "worker/link.h"
#include "worker/worker.h"

const struct cache_record *s6a_find_subscriber(struct request *r)
{
	struct worker *w = r->w;
	const struct cache_record *rec = r->imsi.v ? cache_find(&w->cache, r->imsi) : NULL;
	if (rec && !(rec->flags & RECORD_NO_KEY))
		return rec;
	if (rec || !link_look_up(r)) {
		r->rule = r->imsi.v ? "unknown subscriber" : "User-Name is not an IMSI";
		request_answer(r, EXP_USER_UNKNOWN, true);
	}
	return NULL;
}

bool s6a_is_roaming(imsi_t imsi, const uint8_t plmn[3])
{
	char digits[16], visited[7];
	imsi_text(imsi, digits);
	plmn_text(plmn, visited);
	return strncmp(digits, visited, strlen(visited)) != 0;
}

// Access-Restriction-Data (TS 29.272 7.3.31): the bits that forbid this RAT-Type; 0 when none does. LTE-M is a part of
// WB-E-UTRAN: bit 4 forbids both, 11 only LTE-M, 12 all but LTE-M.
static uint32_t rat_restriction(uint32_t rat)
{
	switch (rat) {
	case RAT_UTRAN: return 1u << 0;
	case RAT_GERAN: return 1u << 1;
	case RAT_GAN: return 1u << 2;
	case RAT_HSPA_EVOLUTION: return 1u << 3;
	case RAT_EUTRAN: return 1u << 4 | 1u << 12;
	case RAT_EUTRAN_NB_IOT: return 1u << 6;
	case RAT_LTE_M: return 1u << 4 | 1u << 11;
	default: break;
	}
	// by satellite: LEO, MEO, GEO, other, of each of the three
	if (rat >= RAT_EUTRAN_LEO && rat < RAT_EUTRAN_LEO + 4)
		return 1u << (13 + rat - RAT_EUTRAN_LEO);
	if (rat >= RAT_NB_IOT_LEO && rat < RAT_NB_IOT_LEO + 4)
		return 1u << (17 + rat - RAT_NB_IOT_LEO);
	if (rat >= RAT_LTE_M_LEO && rat < RAT_LTE_M_LEO + 4)
		return 1u << (21 + rat - RAT_LTE_M_LEO);
	return 0;
}

// An ODB category that the node does not support must be enforced here (5.2.1.1.3), with its Error-Diagnostic.
static bool odb_refused(uint32_t odb, bool roaming, uint32_t features, struct s6a_refusal *no)
{
	static const struct {
		uint32_t bit;
		bool roamers_only;
		uint32_t diagnostic;
	} category[] = {{0, false, DIAG_ODB_ALL_APN}, {1, true, DIAG_ODB_HPLMN_APN}, {2, true, DIAG_ODB_VPLMN_APN}};
	for (unsigned i = 0; i < sizeof category / sizeof *category; i++) {
		if (!(odb & 1u << category[i].bit) || (features & 1u << category[i].bit))
			continue;
		if (category[i].roamers_only && !roaming)
			continue;
		*no = (struct s6a_refusal){EXP_ROAMING_NOT_ALLOWED, true, category[i].diagnostic};
		return true;
	}
	return false;
}

bool s6a_subscription_refused(const struct request *r, const struct cache_record *rec, const uint8_t plmn[3],
			      uint32_t rat, const struct s6a_features *f, bool s6a, struct s6a_refusal *no)
{
	const struct cache_profile *p = cache_profile(&r->w->cache, rec);
	if (!p || (rec->flags & RECORD_NO_PACKET) || (s6a ? p->epc_len == 0 : p->epc_len == 0 && p->gprs_len == 0)) {
		*no = (struct s6a_refusal){EXP_UNKNOWN_EPS_SUBSCRIPTION, p != NULL,
					   p && p->gprs_len ? DIAG_GPRS_SUBSCRIBED : DIAG_NO_GPRS};
		return true;
	}
	if (p->access_restriction & rat_restriction(rat)) {
		*no = (struct s6a_refusal){.result = EXP_RAT_NOT_ALLOWED};
		return true;
	}
	return p->subscriber_status && odb_refused(p->odb, s6a_is_roaming(rec->imsi, plmn), f->list[0], no);
}

// The member of the subscriber's document that causes a refusal, in an operator's words.
static const char *rule_of(const struct s6a_refusal *no)
{
	static const char *const barred[] = {[DIAG_ODB_ALL_APN] = "operator_determined_barring: all packet services",
					     [DIAG_ODB_HPLMN_APN] = "operator_determined_barring: roamers, APNs of the home network",
					     [DIAG_ODB_VPLMN_APN] = "operator_determined_barring: roamers, APNs of the visited network"};
	switch (no->result) {
	case EXP_UNKNOWN_EPS_SUBSCRIPTION: return "no APN for this kind of access";
	case EXP_RAT_NOT_ALLOWED: return "access_restriction_data forbids this RAT";
	case EXP_ROAMING_NOT_ALLOWED:
		return no->has_diagnostic && no->diagnostic >= DIAG_ODB_ALL_APN && no->diagnostic <= DIAG_ODB_VPLMN_APN
			       ? barred[no->diagnostic]
			       : "roaming";
	default: return NULL;
	}
}

void s6a_answer_refusal(struct request *r, const struct s6a_refusal *no)
{
	struct wr w;
	r->rule = rule_of(no);
	request_answer_begin(r, &w, no->result, true, 32);
	if (no->has_diagnostic)
		avp_put_u32(&w, AVP_CODE_Error_Diagnostic, VENDOR_3GPP, 0, no->diagnostic);
	request_answer_end(r, &w);
}

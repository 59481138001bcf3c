// Decides whether a subscriber is served (admit.h).
#include "apps/s6a/admit.h"
#include "lib/diameter/dict.h"
#include <stdio.h>

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
	case RAT_NG_RAN: return 1u << 10;
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

static bool refuse(struct s6a_refusal *no, uint32_t result, enum s6a_reason reason)
{
	*no = (struct s6a_refusal){.result = result, .experimental = true, .reason = reason};
	return true;
}

static bool refuse_with(struct s6a_refusal *no, uint32_t result, enum s6a_reason reason, uint32_t diagnostic)
{
	(void)refuse(no, result, reason);
	no->has_diagnostic = true;
	no->diagnostic = diagnostic;
	return true;
}

// What the subscription does not have, and the RATs that it forbids.
static bool subscription_refused(const struct cache_record *rec, const struct cache_profile *p, uint32_t rat, bool s6a,
				 struct s6a_refusal *no)
{
	if (!p)
		return refuse(no, EXP_UNKNOWN_EPS_SUBSCRIPTION, S6A_NO_APN);
	uint32_t diagnostic = p->gprs_len ? DIAG_GPRS_SUBSCRIBED : DIAG_NO_GPRS;
	if (rec->flags & RECORD_NO_PACKET)
		return refuse_with(no, EXP_UNKNOWN_EPS_SUBSCRIPTION, S6A_NO_PACKET, diagnostic);
	if (s6a ? p->epc_len == 0 : p->epc_len == 0 && p->gprs_len == 0)
		return refuse_with(no, EXP_UNKNOWN_EPS_SUBSCRIPTION, S6A_NO_APN, diagnostic);
	if (s6a && p->flags & S6A_PROFILE_NO_EPC)
		return refuse_with(no, EXP_UNKNOWN_EPS_SUBSCRIPTION, S6A_NO_EPC, diagnostic);
	return p->access_restriction & rat_restriction(rat) && refuse(no, EXP_RAT_NOT_ALLOWED, S6A_RAT_RESTRICTED);
}

// An ODB category that the node does not support must be enforced here (5.2.1.1.3), with its Error-Diagnostic.
static bool barred(const struct cache_profile *p, bool roams, uint32_t features, struct s6a_refusal *no)
{
	static const struct {
		bool roamers_only;
		enum s6a_reason reason;
		uint32_t diagnostic;
	} category[] = {{false, S6A_BARRED_ALL, DIAG_ODB_ALL_APN},
			{true, S6A_BARRED_HPLMN, DIAG_ODB_HPLMN_APN},
			{true, S6A_BARRED_VPLMN, DIAG_ODB_VPLMN_APN}};
	for (unsigned bit = 0; p->subscriber_status && bit < sizeof(category) / sizeof(*category); bit++)
		if (p->odb & 1u << bit && !(features & 1u << bit) && (roams || !category[bit].roamers_only))
			return refuse_with(no, EXP_ROAMING_NOT_ALLOWED, category[bit].reason, category[bit].diagnostic);
	return false;
}

static bool roaming_refused(const struct s6a_policy_answer *a, struct s6a_refusal *no)
{
	static const struct {
		uint32_t result;
		bool experimental;
	} results[ROAMING_RESULT_CNT] = {[ROAMING_5004] = {EXP_ROAMING_NOT_ALLOWED, true},
					 [ROAMING_5012] = {RESULT_UNABLE_TO_COMPLY, false},
					 [ROAMING_5421] = {EXP_RAT_NOT_ALLOWED, true},
					 [ROAMING_5420] = {EXP_UNKNOWN_EPS_SUBSCRIPTION, true}};
	if (!a->denied)
		return false;
	unsigned result = a->result < ROAMING_RESULT_CNT ? a->result : ROAMING_5004;
	*no = (struct s6a_refusal){.result = results[result].result,
				   .experimental = results[result].experimental,
				   .reason = a->own_rule ? S6A_ROAMING_OWN : a->line ? S6A_ROAMING_RULE : S6A_ROAMING_DEFAULT,
				   .line = a->own_rule ? a->own_rule : a->line};
	if (result == ROAMING_5004 && a->diagnostic != ROAMING_NO_DIAGNOSTIC && a->diagnostic < ROAMING_DIAGNOSTIC_CNT) {
		no->has_diagnostic = true;
		no->diagnostic = DIAG_ODB_ALL_APN + a->diagnostic - ROAMING_ODB_ALL;
	}
	return true;
}

// What the configuration says: the realm of the node, and the roaming rules.
static bool policy_refused(const struct s6a_policy *p, const struct cache_profile *profile, const struct s6a_asked *q,
			   struct s6a_policy_asked *asked, struct s6a_admitted *how, struct s6a_refusal *no)
{
	unsigned check = p->realm_check > q->realm_check ? p->realm_check : q->realm_check;
	if (check != ROAMING_CHECK_OFF && !s6a_policy_realm_fits(p, asked, q->realm_is_ours)) {
		how->realm_misfits = true;
		if (check == ROAMING_CHECK_ENFORCE) {
			*no = (struct s6a_refusal){.result = q->air ? (uint32_t)RESULT_AUTHORIZATION_REJECTED : (uint32_t)EXP_ROAMING_NOT_ALLOWED,
						   .experimental = !q->air,
						   .reason = S6A_REALM};
			return true;
		}
	}
	if (!how->roams || (q->air && !p->in_aia))
		return false;
	asked->own = s6a_profile_own(profile);
	struct s6a_policy_answer a = s6a_policy_ask(p, asked);
	how->line = a.line;
	how->own_rule = a.own_rule;
	how->no_profile = a.no_profile;
	return roaming_refused(&a, no);
}

bool s6a_refused(const struct s6a_policy *p, const struct cache *c, const struct cache_record *rec, const struct s6a_asked *q,
		 struct s6a_admitted *how, struct s6a_refusal *no)
{
	*how = (struct s6a_admitted){0};
	if (q->air && rec->flags & RECORD_NO_PACKET)
		return refuse(no, EXP_UNKNOWN_EPS_SUBSCRIPTION, S6A_NO_PACKET);
	bool rules = p || rec->flags & RECORD_ROAMING || q->realm_check != ROAMING_CHECK_OFF;
	if (q->air && !rules && !q->early)
		return false;
	struct s6a_policy_asked asked = {.imsi = rec->imsi, .rat = q->air ? 0 : q->rat, .realm = q->realm};
	plmn_text(q->plmn, asked.visited);
	how->roams = s6a_policy_roams(p, rec->imsi, asked.visited);
	const struct cache_profile *profile = !q->air || q->early || how->roams ? cache_profile(c, rec) : NULL;
	if (!q->air && subscription_refused(rec, profile, q->rat, q->s6a, no))
		return true;
	if (rules && policy_refused(p ? p : s6a_policy_none(), profile, q, &asked, how, no))
		return true;
	if (q->air && (!q->early || subscription_refused(rec, profile, RAT_EUTRAN, true, no)))
		return q->early;
	return barred(profile, how->roams, q->features, no);
}

void s6a_reason_text(enum s6a_reason reason, uint32_t line, char *out)
{
	static const char *const text[S6A_REASON_CNT] = {
		[S6A_NO_PACKET] = "no packet subscription: no APN, or network_access_mode",
		[S6A_NO_APN] = "no APN for this kind of access",
		[S6A_NO_EPC] = "core_network_restrictions forbids the EPC",
		[S6A_RAT_RESTRICTED] = "access_restriction_data forbids this RAT",
		[S6A_REALM] = "Origin-Realm does not fit Visited-PLMN-Id (roaming.realm_check, or the peer is an interconnect)",
		[S6A_ROAMING_DEFAULT] = "roaming.default",
		[S6A_BARRED_ALL] = "operator_determined_barring: all packet services",
		[S6A_BARRED_HPLMN] = "operator_determined_barring: roamers, APNs of the home network",
		[S6A_NO_VECTORS] = "no vectors can be made: wrong AUTS, SQN space used up, or no SQN block on disk",
		[S6A_BARRED_VPLMN] = "operator_determined_barring: roamers, APNs of the visited network",
	};
	if (reason == S6A_ROAMING_RULE)
		snprintf(out, 128, "roaming.rules: the rule of line %u", line);
	else if (reason == S6A_ROAMING_OWN)
		snprintf(out, 128, "roaming of its document: rule %u", line);
	else
		snprintf(out, 128, "%s", reason < S6A_REASON_CNT && text[reason] ? text[reason] : "");
}

struct slice s6a_profile_own(const struct cache_profile *p)
{
	if (!p)
		return (struct slice){0};
	uint32_t at = (uint32_t)p->head_len + p->epc_len + p->gprs_len, end = p->len - (uint32_t)sizeof(*p);
	return at < end ? slice_of(p->avps + at, end - at) : (struct slice){0};
}

// The rules that several S6a procedures share (rules.h). No state.
#include "apps/s6a/rules.h"
#include "apps/apps.h"
#include "cache/refusals.h"
#include "lib/base/log.h"
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

static void realm_misfits(const struct request *r, const struct s6a_asked *q, struct slice host)
{
	static struct log_limit limit;
	char imsi[16], visited[8];
	stat_add(r->w->stats, STAT_REALM_MISFITS, 1);
	if (!log_limit_pass(&limit, 5))
		return;
	imsi_text(r->imsi, imsi);
	plmn_text(q->plmn, visited);
	log_warn("realm_misfits", LOG_SLICE("peer", host), LOG_SLICE("realm", q->realm), LOG_STR("visited", visited),
		 LOG_IMSI("imsi", imsi), LOG_STR("command", r->cmd->name), LOG_INT("suppressed", limit.suppressed));
	limit.suppressed = 0;
}

// Kept for `hssctl explain`.
static void remember(struct request *r, const struct s6a_asked *q, const struct s6a_refusal *no, struct slice host)
{
	struct refusal f = {.imsi = r->imsi.v,
			    .time_us = clock_wall_us(),
			    .result = no->result,
			    .line = no->line,
			    .rat = (uint16_t)q->rat,
			    .app = app_s6a,
			    .command = (uint16_t)r->cmd->id,
			    .reason = (uint8_t)no->reason,
			    .experimental = no->experimental,
			    .came_back = no->reason == S6A_NO_VECTORS, // no network's rule: another one is no coming back
			    .diagnostic = no->has_diagnostic ? (uint8_t)(1 + no->diagnostic) : 0};
	memcpy(f.plmn, q->plmn, 3);
	refusal_set_host(&f, host);
	refusals_add(r->w->refusals, &f);
}

void s6a_answer_refusal(struct request *r, const struct s6a_asked *q, const struct s6a_refusal *no, struct slice host)
{
	char rule[128];
	struct wr w;
	remember(r, q, no, host);
	s6a_reason_text(no->reason, no->line, rule);
	r->rule = rule;
	request_answer_begin(r, &w, no->result, no->experimental, 32);
	if (no->has_diagnostic)
		avp_put_u32(&w, AVP_CODE_Error_Diagnostic, VENDOR_3GPP, 0, no->diagnostic);
	request_answer_end(r, &w); // and with it everything that looks at the rule
}

bool s6a_answer_if_refused(struct request *r, const struct cache_record *rec, struct s6a_asked *q, struct slice host)
{
	const struct s6a_policy *p = s6a_policy_of(cache_common_get(&r->w->cache, app_s6a));
	struct s6a_admitted how;
	struct s6a_refusal no;
	if (r->in.peer_flags & IPC_PEER_INTERCONNECT)
		q->realm_check = r->in.peer_flags & IPC_PEER_LOG_ONLY ? ROAMING_CHECK_LOG : ROAMING_CHECK_ENFORCE;
	if (q->realm_check != ROAMING_CHECK_OFF || (p && p->realm_check != ROAMING_CHECK_OFF))
		q->realm_is_ours = config_realm_served(r->w->config, q->realm);
	bool refused = s6a_refused(p, &r->w->cache, rec, q, &how, &no);
	if (how.realm_misfits)
		realm_misfits(r, q, host);
	if (!refused)
		return false;
	stat_add(r->w->stats, STAT_REFUSED, 1);
	s6a_answer_refusal(r, q, &no, host);
	return true;
}

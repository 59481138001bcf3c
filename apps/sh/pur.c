// Profile-Update-Request (TS 29.328 6.1.2; procedures E2): an application server stores, changes or deletes repository data. They are
// durable before the answer leaves (law 6), and the other servers that watch them are told.
#include "apps/sh/sh.h"
#include "lib/base/clock.h"
#include "lib/diameter/avp.h"
#include "worker/worker.h"

static void refuse(struct request *r, uint32_t result, const char *rule)
{
	r->rule = rule;
	request_answer(r, result, true);
}

// The document. false: answered.
static bool read_document(struct request *r, const struct sh_asked *q, struct sh_update *update)
{
	const char *why = sh_update_read(request_slot(r, SLOT_SH_PUR_User_Data_Sh), update);
	if (why)
		refuse(r, EXP_USER_DATA_NOT_RECOGNIZED, why);
	else if (q->references & ~SH_UPDATED || update->has_other)
		refuse(r, EXP_OPERATION_NOT_ALLOWED, "only repository data can be changed");
	else if (update->cnt == 0)
		refuse(r, EXP_USER_DATA_NOT_RECOGNIZED, "Sh-Data holds no RepositoryData");
	else
		return true;
	return false;
}

// The answer to a refused decision; of several instances it names the first one that is refused (Update-Eff).
static void answer_refused(const struct sh_subject *s, const struct sh_asked *q, const struct sh_update *update,
			   const struct sh_decision *d)
{
	const struct sh_instance *i = &update->instance[d->failed];
	struct wr w;
	s->r->rule = d->rule;
	request_answer_begin(s->r, &w, d->result, d->experimental, 1024);
	sh_put_features(&w, q);
	sh_put_wildcard(&w, s);
	if (update->cnt > 1) {
		size_t at = avp_group_begin(&w, AVP_CODE_Repository_Data_ID, VENDOR_3GPP, 0);
		avp_put_slice(&w, AVP_CODE_Service_Indication, VENDOR_3GPP, AVP_M, sh_instance_indication(i));
		avp_put_u32(&w, AVP_CODE_Sequence_Number, VENDOR_3GPP, 0, i->sequence);
		avp_group_end(&w, at);
		avp_put_u32(&w, AVP_CODE_Data_Reference, VENDOR_3GPP, AVP_M, SH_REF_REPOSITORY);
	}
	request_answer_end(s->r, &w);
}

static void decide(const struct sh_subject *s, const struct sh_update *update, struct sh_decision *d)
{
	struct request *r = s->r;
	struct sh_store q = {.scope = sh_scope_of(&s->user, s->pub),
			     .host = request_slot(r, SLOT_SH_PUR_Origin_Host),
			     .now_s = (uint32_t)(clock_wall_us() / 1000000),
			     .repeated = r->h.flags & HEADER_T || r->resent,
			     .update = update};
	for (unsigned i = 0; i < s->sh.watcher_cnt; i++) {
		int pub;
		bool known = sh_identity_at(&s->user, r->w->config, s->sh.watcher[i].identity, &pub) != 0;
		q.watcher_scope[i] = known ? sh_scope_of(&s->user, pub) : SH_SCOPE_NONE;
	}
	sh_store(&s->sh, &q, d);
}

void sh_pur(struct request *r)
{
	static struct sh_update update; // its slices borrow from the request
	static struct sh_decision d;
	struct sh_subject s;
	struct sh_asked q;
	if (!sh_ask(r, &q) || !sh_may(r, SH_UPDATE, &q) ||
	    !sh_open(r, SLOT_SH_PUR_User_Identity, SLOT_SH_PUR_User_Name, &q, &s))
		return;
	if (r->change_done) {
		if (request_change_stands(r))
			sh_answer(&s, &q, RESULT_SUCCESS, false);
		return;
	}
	if (!read_document(r, &q, &update))
		return;
	decide(&s, &update, &d);
	if (d.result != RESULT_SUCCESS)
		answer_refused(&s, &q, &update, &d);
	else if (d.changed)
		sh_change(&s, &d);
	else
		sh_answer(&s, &q, RESULT_SUCCESS, false);
}

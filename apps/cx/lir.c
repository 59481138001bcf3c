// Location-Info-Request (TS 29.228 6.1.4.1; procedures D4): which S-CSCF, or which application server, serves this identity?
#include "apps/cx/cx.h"
#include "apps/cx/msg.h"
#include "worker/worker.h"

#define REGISTRATION_AND_CAPABILITIES 2
#define LIA_PSI_DIRECT_ROUTING	      1 // LIA-Flags

struct lir {
	struct cx_subject s;
	struct cx_features features;
	bool originating, capabilities;
};

enum with { SERVER = 1, CAPABILITIES = 2, DIRECT = 4 };

static void answer(struct lir *q, uint32_t result, bool experimental, unsigned with, struct slice server)
{
	struct request *r = q->s.r;
	const struct ims_public *p = &q->s.user.d.pub[q->s.pub];
	struct wr w;
	request_answer_begin(r, &w, result, experimental, CX_CAPABILITIES_ROOM + server.len + p->identity.len + 192);
	cx_features_put(&w, &q->features);
	if (with & SERVER)
		cx_put_text(&w, AVP_CODE_Server_Name, server);
	if (with & CAPABILITIES)
		cx_put_capabilities(&w, &q->s.user, r->w->config);
	if (q->s.wildcard)
		avp_put_slice(&w, AVP_CODE_Wildcarded_Public_Identity, VENDOR_3GPP, 0, p->identity);
	if (with & DIRECT)
		avp_put_u32(&w, AVP_CODE_LIA_Flags, VENDOR_3GPP, 0, LIA_PSI_DIRECT_ROUTING);
	request_answer_end(r, &w);
}

// Services for users who are not registered: some filter criteria may be for them, or the request comes from the user's
// own side. Which of the criteria are is the S-CSCF's to see.
static bool has_unregistered_services(const struct lir *q)
{
	const struct ims_user *u = &q->s.user;
	const struct ims_profile *p = &u->d.profile[u->d.pub[q->s.pub].profile % IMS_PROFILES_MAX];
	return q->originating || p->criteria.len || p->shared_cnt ||
	       (p->is_template && ims_common_find(&q->s.r->w->cache, IMS_TEMPLATE).len);
}

static void reassign(struct lir *q)
{
	struct request *r = q->s.r;
	if (r->change_done && !request_change_stands(r))
		return;
	if (!r->change_done && q->s.state.scscf.len && !q->s.state.reassignment) {
		struct cx_decision d = {.next = q->s.state, .changed = true};
		d.next.reassignment = true;
		cx_change(&q->s, &d);
		return;
	}
	answer(q, RESULT_SUCCESS, false, CAPABILITIES, (struct slice){0});
}

static void by_state(struct lir *q)
{
	const struct ims_state *state = &q->s.state;
	uint8_t set = q->s.user.d.pub[q->s.pub].set;
	if (ims_set_state(state, set) != IMS_SET_NOT_REGISTERED) {
		answer(q, RESULT_SUCCESS, false, SERVER, state->scscf);
	} else if (!has_unregistered_services(q)) {
		q->s.r->rule = "not registered, and no services for that";
		answer(q, EXP_IDENTITY_NOT_REGISTERED, true, 0, (struct slice){0});
	} else if (ims_state_any(state) && state->scscf.len) {
		answer(q, RESULT_SUCCESS, false, SERVER, state->scscf);
	} else {
		answer(q, EXP_UNREGISTERED_SERVICE, true, CAPABILITIES, (struct slice){0});
	}
}

void cx_lir(struct request *r)
{
	struct lir q;
	if (!cx_open(r, SLOT_LIR_Public_Identity, -1, &q.s))
		return;
	const struct ims_public *p = &q.s.user.d.pub[q.s.pub];
	q.originating = request_u32(r, SLOT_LIR_Originating_Request, 1) == 0;
	q.capabilities = request_u32(r, SLOT_LIR_User_Authorization_Type, 0) == REGISTRATION_AND_CAPABILITIES;
	cx_features_read(r, SLOT_LIR_Supported_Features, &q.features);
	bool psi = p->type == IMS_PSI || p->type == IMS_WILDCARDED_PSI;
	bool restore = q.capabilities && q.features.list & CX_RESTORATION;
	if (psi && p->server.len && !q.originating) {
		if (restore)
			request_answer(r, RESULT_UNABLE_TO_COMPLY, false);
		else
			answer(&q, RESULT_SUCCESS, false, SERVER | DIRECT, p->server);
	} else if (restore) {
		reassign(&q);
	} else {
		by_state(&q);
	}
}

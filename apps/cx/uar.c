// User-Authorization-Request (TS 29.228 6.1.1.1; procedures D1): may this identity register from there, and which S-CSCF is
// to serve it?
#include "apps/cx/cx.h"
#include "apps/cx/msg.h"
#include "worker/worker.h"

enum authorization_type { REGISTRATION = 0, DE_REGISTRATION = 1, REGISTRATION_AND_CAPABILITIES = 2 };
#define UAR_EMERGENCY 1 // UAR-Flags: IMS emergency registration

struct uar {
	struct cx_subject s;
	struct cx_features features;
	uint32_t type;
	bool emergency;
};

enum what { NOTHING, SERVER, CAPABILITIES };

static void answer(struct uar *q, uint32_t result, bool experimental, enum what with)
{
	struct request *r = q->s.r;
	struct wr w;
	request_answer_begin(r, &w, result, experimental, CX_CAPABILITIES_ROOM + q->s.state.scscf.len + 128);
	cx_features_put(&w, &q->features);
	if (with == SERVER)
		cx_put_text(&w, AVP_CODE_Server_Name, q->s.state.scscf);
	if (with == CAPABILITIES)
		cx_put_capabilities(&w, &q->s.user, r->w->config);
	request_answer_end(r, &w);
}

// Barred: some other identity of its implicit set must not be (step 3).
static bool is_barred(const struct uar *q)
{
	const struct ims_public *p = &q->s.user.d.pub[q->s.pub];
	int other = ims_default_of(&q->s.user, p->set);
	return p->barred && (other < 0 || q->s.user.d.pub[other].barred);
}

static bool may_visit(const struct uar *q)
{
	const struct request *r = q->s.r;
	const struct config *config = r->w->config;
	const struct ims_data *d = &q->s.user.d;
	struct slice network = request_slot(r, SLOT_UAR_Visited_Network_Identifier);
	unsigned cnt = d->visited_cnt ? d->visited_cnt : config->ims_visited_cnt;
	for (unsigned i = 0; i < cnt; i++)
		if (slice_eq_nocase(network, d->visited_cnt ? d->visited[i] : slice_str(config->ims_visited[i])))
			return true;
	return cnt == 0;
}

// The checks of a registration (step 4). false: answered.
static bool may_register(struct uar *q)
{
	struct request *r = q->s.r;
	if (q->emergency)
		return true;
	if (is_barred(q)) {
		r->rule = "all public identities of the set are barred";
		request_answer(r, RESULT_AUTHORIZATION_REJECTED, false);
		return false;
	}
	if (q->type != DE_REGISTRATION && !may_visit(q)) {
		r->rule = "visited network: not in ims.visited_networks";
		request_answer(r, EXP_ROAMING_NOT_ALLOWED, true);
		return false;
	}
	return true;
}

// By the state of the identity (step 5).
static void by_state(struct uar *q)
{
	const struct ims_state *state = &q->s.state;
	uint8_t set = q->s.user.d.pub[q->s.pub].set;
	bool leaves = q->type == DE_REGISTRATION;
	if (ims_set_state(state, set) != IMS_SET_NOT_REGISTERED) {
		answer(q, leaves ? RESULT_SUCCESS : EXP_SUBSEQUENT_REGISTRATION, !leaves, SERVER);
	} else if (leaves && ims_set_pending(state, set)) {
		answer(q, RESULT_SUCCESS, false, SERVER);
	} else if (leaves) {
		q->s.r->rule = "deregistration of an identity that is not registered";
		answer(q, EXP_IDENTITY_NOT_REGISTERED, true, NOTHING);
	} else if (state->scscf.len) {
		answer(q, EXP_SUBSEQUENT_REGISTRATION, true, SERVER);
	} else {
		answer(q, EXP_FIRST_REGISTRATION, true, CAPABILITIES);
	}
}

// REGISTRATION_AND_CAPABILITIES: the I-CSCF looks for another S-CSCF, since the assigned one does not answer. That it
// may be reassigned is kept with the state.
static void capabilities(struct uar *q)
{
	struct request *r = q->s.r;
	bool mark = q->s.state.scscf.len && q->features.list & CX_RESTORATION && !q->emergency && !q->s.state.reassignment;
	if (r->change_done && !request_change_stands(r))
		return;
	if (mark && !r->change_done) {
		struct cx_decision d = {.next = q->s.state, .changed = true};
		d.next.reassignment = true;
		cx_change(&q->s, &d);
		return;
	}
	answer(q, RESULT_SUCCESS, false, CAPABILITIES);
}

void cx_uar(struct request *r)
{
	struct uar q;
	if (!cx_open(r, SLOT_UAR_Public_Identity, SLOT_UAR_User_Name, &q.s))
		return;
	q.type = request_u32(r, SLOT_UAR_User_Authorization_Type, REGISTRATION);
	q.emergency = request_u32(r, SLOT_UAR_UAR_Flags, 0) & UAR_EMERGENCY;
	cx_features_read(r, SLOT_UAR_Supported_Features, &q.features);
	if (q.type > REGISTRATION_AND_CAPABILITIES) {
		request_answer_bad_value(r, SLOT_UAR_User_Authorization_Type);
		return;
	}
	if (q.s.user.d.pub[q.s.pub].type != IMS_PUBLIC_USER) {
		r->rule = "services do not register";
		request_answer(r, EXP_USER_UNKNOWN, true);
		return;
	}
	if (!may_register(&q))
		return;
	if (q.type == REGISTRATION_AND_CAPABILITIES)
		capabilities(&q);
	else
		by_state(&q);
}

// See registration.h. No state of its own.
#include "apps/cx/registration.h"
#include "lib/diameter/dict.h"

// ---- pairs of the next state

static struct ims_pair *pair_of(struct ims_state *s, uint32_t device, uint8_t set)
{
	struct ims_pair *p = (struct ims_pair *)(uintptr_t)ims_pair_find(s, device, set);
	if (p || s->pair_cnt == IMS_PAIRS_MAX)
		return p;
	p = &s->pair[s->pair_cnt++];
	*p = (struct ims_pair){.device = device, .set = set};
	return p;
}

static void restoration_drop(struct ims_state *s, uint32_t device)
{
	for (unsigned i = 0; i < s->restoration_cnt;)
		if (s->restoration[i].device == device || device == 0)
			s->restoration[i] = s->restoration[--s->restoration_cnt];
		else
			i++;
}

// Removes pairs without flags; without any pair no S-CSCF serves the subscription any more.
static void tidy(struct ims_state *s)
{
	for (unsigned i = 0; i < s->pair_cnt;)
		if (s->pair[i].flags == 0)
			s->pair[i] = s->pair[--s->pair_cnt];
		else
			i++;
	if (s->pair_cnt)
		return;
	s->scscf = s->host = s->realm = (struct slice){0};
	s->reassignment = false;
	s->restoration_cnt = 0;
}

// What later ones are compared with: later than the time before, whatever the clock says.
static uint32_t later(const struct ims_state *now, uint32_t time_s)
{
	return time_s > now->time_s ? time_s : now->time_s + 1;
}

static void begin(const struct ims_state *now, uint32_t time_s, struct cx_decision *d)
{
	*d = (struct cx_decision){.next = *now, .result = RESULT_SUCCESS};
	d->next.time_s = later(now, time_s);
}

static void changed(struct cx_decision *d)
{
	tidy(&d->next);
	d->changed = true;
}

static void refuse(const struct ims_state *now, struct cx_decision *d, uint32_t result, bool experimental)
{
	d->next = *now;
	d->changed = false;
	d->terminate_cnt = 0;
	d->result = result;
	d->experimental = experimental;
}

static bool same_server(const struct ims_state *now, const struct cx_server *by)
{
	return slice_eq(now->scscf, by->scscf);
}

static void take_server(struct ims_state *s, const struct cx_server *by)
{
	s->scscf = by->scscf;
	s->host = by->host;
	s->realm = by->realm;
}

static void terminate(struct cx_decision *d, const struct ims_state *now, enum cx_reason reason, uint32_t device, uint8_t set)
{
	if (!now->host.len)
		return;
	for (unsigned i = 0; i < d->terminate_cnt; i++)
		if (d->terminate[i].device == device) {
			if (d->terminate[i].set != set)
				d->terminate[i].set = CX_ALL_SETS;
			return;
		}
	if (d->terminate_cnt < CX_TERMINATE_MAX)
		d->terminate[d->terminate_cnt++] = (struct cx_terminate){
			.reason = reason, .device = device, .set = set, .host = now->host, .realm = now->realm};
}

// ---- MAR

// Another S-CSCF takes over while identities are registered at the former one (D2 step 8): that one is told, of the identity
// in question first. What it served beside is not registered any more.
static void take_over(const struct ims_state *now, uint32_t device, uint8_t set, struct cx_decision *d)
{
	struct ims_state *n = &d->next;
	for (unsigned i = 0; i < n->pair_cnt; i++) {
		struct ims_pair *p = &n->pair[i];
		bool in_question = p->device == device && p->set == set;
		if (p->flags & IMS_REGISTERED && in_question)
			terminate(d, now, CX_NEW_SERVER_ASSIGNED, device, set);
	}
	for (unsigned i = 0; i < n->pair_cnt; i++) {
		struct ims_pair *p = &n->pair[i];
		if (p->device == device && p->set == set)
			continue;
		if (p->flags & IMS_REGISTERED)
			terminate(d, now, CX_SERVER_CHANGE, p->device, p->set);
		p->flags = 0;
	}
	restoration_drop(n, 0);
}

void cx_authenticate(const struct ims_state *now, uint32_t device, uint8_t set, const struct cx_server *by, uint32_t time_s,
		     struct cx_decision *d)
{
	begin(now, time_s, d);
	bool same = same_server(now, by);
	if (same && ims_set_state(now, set) == IMS_SET_REGISTERED)
		return;
	struct ims_pair *p = pair_of(&d->next, device, set);
	if (!p) {
		refuse(now, d, RESULT_UNABLE_TO_COMPLY, false);
		return;
	}
	if (same && p->flags & IMS_PENDING)
		return;
	p->flags |= IMS_PENDING;
	if (!same && now->scscf.len && !slice_eq_nocase(now->host, by->host) && !now->reassignment)
		take_over(now, device, set, d);
	if (!same) {
		take_server(&d->next, by);
		d->next.reassignment = false;
	}
	changed(d);
}

// ---- SAR

// Another S-CSCF serves the user, and nobody has asked to reassign it.
static bool is_taken(const struct ims_state *now, const struct cx_assign *q)
{
	bool may = q->can_restore && now->reassignment;
	return now->scscf.len && !same_server(now, &q->by) && !may;
}

static bool has_restoration(const struct ims_state *s, uint32_t device)
{
	for (unsigned i = 0; i < s->restoration_cnt; i++)
		if (s->restoration[i].device == device)
			return true;
	return false;
}

static void keep_restoration(struct ims_state *s, const struct cx_assign *q, uint32_t device)
{
	if (!q->restoration.len)
		return;
	restoration_drop(s, device);
	if (s->restoration_cnt < IMS_RESTORATION_MAX)
		s->restoration[s->restoration_cnt++] = (struct ims_restoration){device, q->restoration};
}

static bool all_registered(const struct ims_state *now, const struct cx_assign *q, uint32_t device)
{
	for (unsigned i = 0; i < q->set_cnt; i++) {
		const struct ims_pair *p = ims_pair_find(now, device, q->set[i]);
		if (!p || p->flags != IMS_REGISTERED)
			return false;
	}
	return q->set_cnt > 0;
}

static void set_register(struct ims_state *n, uint32_t device, uint8_t set, struct cx_decision *d, const struct ims_state *now)
{
	for (unsigned i = 0; i < n->pair_cnt; i++)
		if (n->pair[i].set == set)
			n->pair[i].flags &= (uint8_t)~IMS_UNREGISTERED;
	struct ims_pair *p = pair_of(n, device, set);
	if (p)
		p->flags = IMS_REGISTERED;
	else
		refuse(now, d, RESULT_UNABLE_TO_COMPLY, false);
}

static void do_register(const struct ims_state *now, const struct cx_assign *q, struct cx_decision *d)
{
	uint32_t device = q->device ? q->device : q->only_device;
	if (is_taken(now, q)) {
		refuse(now, d, EXP_IDENTITY_ALREADY_REGISTERED, true);
		d->server_name = true;
		return;
	}
	d->profile = true;
	bool registered = all_registered(now, q, device);
	if (q->type == CX_REGISTRATION && q->multiple && q->can_restore && registered && has_restoration(now, device)) {
		refuse(now, d, EXP_IN_ASSIGNMENT_TYPE, true);
		d->profile = d->restoration = true;
		return;
	}
	bool same = same_server(now, &q->by) && slice_eq(now->host, q->by.host) && slice_eq(now->realm, q->by.realm);
	if (registered && same && !q->restoration.len && !now->reassignment)
		return; // nothing new
	take_server(&d->next, &q->by);
	d->next.reassignment = false;
	for (unsigned i = 0; i < q->set_cnt && d->result == RESULT_SUCCESS; i++)
		set_register(&d->next, device, q->set[i], d, now);
	if (d->result != RESULT_SUCCESS)
		return;
	keep_restoration(&d->next, q, device);
	changed(d);
}

static void do_unregistered(const struct ims_state *now, const struct cx_assign *q, struct cx_decision *d)
{
	uint32_t device = q->device ? q->device : q->only_device;
	uint8_t set = q->set[0];
	if (is_taken(now, q)) {
		refuse(now, d, EXP_IDENTITY_ALREADY_REGISTERED, true);
		d->server_name = true;
		return;
	}
	d->profile = true;
	enum ims_set_state state = ims_set_state(now, set);
	if (state == IMS_SET_REGISTERED && q->can_restore) {
		refuse(now, d, EXP_IN_ASSIGNMENT_TYPE, true);
		d->profile = d->restoration = true;
		return;
	}
	if (state == IMS_SET_UNREGISTERED && same_server(now, &q->by) && slice_eq(now->host, q->by.host))
		return;
	take_server(&d->next, &q->by);
	d->next.reassignment = false;
	for (unsigned i = 0; i < d->next.pair_cnt; i++)
		if (d->next.pair[i].set == set) {
			restoration_drop(&d->next, d->next.pair[i].device);
			d->next.pair[i].flags &= IMS_PENDING;
		}
	struct ims_pair *p = pair_of(&d->next, device, set);
	if (!p) {
		refuse(now, d, RESULT_UNABLE_TO_COMPLY, false);
		return;
	}
	p->flags |= IMS_UNREGISTERED;
	changed(d);
}

// Ends the registration of one set: by one device, or whoever is its only one. `keep`: the S-CSCF stays for unregistered
// services when no device is left.
static void set_end(const struct ims_state *now, struct ims_state *n, uint32_t device, uint8_t set, bool keep)
{
	bool registered = ims_set_state(now, set) == IMS_SET_REGISTERED;
	const struct ims_pair *own = device ? ims_pair_find(now, device, set) : NULL;
	unsigned others = ims_devices_of(now, set) - (own && own->flags & IMS_REGISTERED);
	for (unsigned i = 0; i < n->pair_cnt; i++) {
		struct ims_pair *p = &n->pair[i];
		bool ends = p->set == set && (!registered || p->device == device || !device);
		if (!ends)
			continue;
		uint8_t had = p->flags & (IMS_REGISTERED | IMS_UNREGISTERED);
		p->flags &= IMS_PENDING;
		if (keep && had && !(device && others))
			p->flags |= IMS_UNREGISTERED;
	}
}

static void each_set(const struct ims_state *now, const struct cx_assign *q, struct cx_decision *d, bool keep)
{
	for (unsigned i = 0; i < q->set_cnt; i++)
		set_end(now, &d->next, q->device, q->set[i], keep);
	for (unsigned i = 0; q->set_cnt == 0 && i < now->pair_cnt; i++)
		if (!q->device || now->pair[i].device == q->device)
			set_end(now, &d->next, q->device, now->pair[i].set, keep);
}

// Which device is meant, when several have registered and the request names none?
static bool is_ambiguous(const struct ims_state *now, const struct cx_assign *q)
{
	if (q->device)
		return false;
	for (unsigned i = 0; i < q->set_cnt; i++)
		if (ims_devices_of(now, q->set[i]) > 1)
			return true;
	return false;
}

static bool same_pairs(const struct ims_state *a, const struct ims_state *b)
{
	bool same = a->pair_cnt == b->pair_cnt && a->restoration_cnt == b->restoration_cnt;
	for (unsigned i = 0; same && i < a->pair_cnt; i++)
		same = a->pair[i].device == b->pair[i].device && a->pair[i].set == b->pair[i].set &&
		       a->pair[i].flags == b->pair[i].flags;
	return same;
}

static void do_end(const struct ims_state *now, const struct cx_assign *q, struct cx_decision *d, bool store)
{
	if (is_ambiguous(now, q)) {
		refuse(now, d, RESULT_MISSING_AVP, false);
		return;
	}
	// an S-CSCF that serves the user no more has nothing to end
	if (!same_server(now, &q->by))
		return;
	bool keep = store && q->keep_server;
	each_set(now, q, d, keep);
	if (q->device)
		restoration_drop(&d->next, q->device);
	if (!same_pairs(now, &d->next))
		changed(d);
	if (store && !keep && !d->next.pair_cnt) {
		d->result = EXP_SERVER_NAME_NOT_STORED;
		d->experimental = true;
	}
}

// Authentication has failed, or was not answered: the name is kept only for those who are registered.
static void do_failed(const struct ims_state *now, const struct cx_assign *q, struct cx_decision *d)
{
	if (!same_server(now, &q->by))
		return;
	for (unsigned i = 0; i < d->next.pair_cnt; i++) {
		struct ims_pair *p = &d->next.pair[i];
		bool meant = !q->device || p->device == q->device;
		bool in_set = q->set_cnt == 0;
		for (unsigned k = 0; k < q->set_cnt; k++)
			in_set |= p->set == q->set[k];
		if (meant && in_set)
			p->flags &= (uint8_t)~IMS_PENDING;
	}
	if (!same_pairs(now, &d->next))
		changed(d);
}

void cx_assign(const struct ims_state *now, const struct cx_assign *q, struct cx_decision *d)
{
	begin(now, q->time_s, d);
	switch (q->type) {
	case CX_REGISTRATION:
	case CX_RE_REGISTRATION:
		do_register(now, q, d);
		break;
	case CX_UNREGISTERED_USER:
		do_unregistered(now, q, d);
		break;
	case CX_TIMEOUT_DEREGISTRATION:
	case CX_USER_DEREGISTRATION:
	case CX_ADMINISTRATIVE_DEREGISTRATION:
	case CX_DEREGISTRATION_TOO_MUCH_DATA:
		do_end(now, q, d, false);
		break;
	case CX_TIMEOUT_DEREGISTRATION_STORE:
	case CX_USER_DEREGISTRATION_STORE:
		do_end(now, q, d, true);
		break;
	case CX_NO_ASSIGNMENT:
		if (is_taken(now, q) || !now->scscf.len)
			refuse(now, d, RESULT_UNABLE_TO_COMPLY, false);
		else
			d->profile = d->restoration = true;
		break;
	case CX_AUTHENTICATION_FAILURE:
	case CX_AUTHENTICATION_TIMEOUT:
		do_failed(now, q, d);
		break;
	case CX_ASSIGNMENT_CNT:
		break;
	}
}

// ---- the HSS itself

void cx_deregister(const struct ims_state *now, uint32_t device, int set, enum cx_reason reason, uint32_t time_s,
		   struct cx_decision *d)
{
	begin(now, time_s, d);
	for (unsigned i = 0; i < d->next.pair_cnt; i++) {
		struct ims_pair *p = &d->next.pair[i];
		if ((device && p->device != device) || (set >= 0 && p->set != set))
			continue;
		if (reason == CX_REMOVE_SCSCF && !(p->flags & IMS_UNREGISTERED))
			continue;
		if (p->flags & (IMS_REGISTERED | IMS_UNREGISTERED))
			terminate(d, now, reason, p->device, p->set);
		p->flags = 0;
	}
	if (device)
		restoration_drop(&d->next, device);
	if (!same_pairs(now, &d->next))
		changed(d);
}

// ---- rows

bool cx_row_put(struct wr *w, const struct cx_row *row)
{
	bool long_text = row->user.len + row->text.len + 12 > CX_ROW_MAX;
	struct slice text = long_text ? (struct slice){0} : row->text;
	wr_u8(w, row->reason);
	wr_u16(w, row->set);
	wr_u32(w, row->device);
	wr_u32(w, row->time_s);
	wr_u8(w, (uint8_t)row->user.len);
	wr_slice(w, row->user);
	wr_slice(w, text);
	return !w->err && row->user.len + 12 <= CX_ROW_MAX;
}

bool cx_row_get(struct slice data, struct cx_row *out)
{
	struct rd r = rd_slice(data);
	*out = (struct cx_row){0};
	out->reason = rd_u8(&r);
	out->set = rd_u16(&r);
	out->device = rd_u32(&r);
	out->time_s = rd_u32(&r);
	out->user = rd_bytes(&r, rd_u8(&r));
	out->text = rd_bytes(&r, rd_left(&r));
	return !r.err;
}

bool cx_row_replaces(uint8_t purpose, struct slice newer, struct slice older, struct wr *joined)
{
	struct cx_row n, o;
	(void)joined;
	if (!cx_row_get(newer, &n) || !cx_row_get(older, &o))
		return true; // it could not be sent
	bool same = n.device == o.device && (n.set == o.set || n.set == CX_ALL_SETS);
	return same && (purpose != CX_PUSH || !(o.reason & ~n.reason));
}

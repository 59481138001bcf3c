// See registration.h. No state of its own.
#include "apps/swx/registration.h"
#include "lib/base/ident.h"
#include "lib/diameter/dict.h"

// What later ones are compared with: later than the time before, whatever the clock says.
static uint32_t later(const struct swx_state *now, uint32_t time_s)
{
	return time_s > now->time_s ? time_s : now->time_s + 1;
}

static void begin(const struct swx_state *now, uint32_t time_s, struct swx_decision *d)
{
	*d = (struct swx_decision){.next = *now, .result = RESULT_SUCCESS};
	d->next.time_s = later(now, time_s);
	d->next.flags &= (uint8_t)~SWX_ELSEWHERE;
}

static void refuse(struct swx_decision *d, uint32_t result, bool experimental)
{
	d->result = result;
	d->experimental = experimental;
}

bool swx_serves(const struct swx_state *now, const struct swx_server *by)
{
	return slice_eq_nocase(now->host, by->host);
}

static void forget(struct swx_decision *d)
{
	d->next.host = d->next.realm = (struct slice){0};
	d->next.flags = 0;
	d->next.gateways.cnt = 0;
	d->changed = true;
}

static void terminate(struct swx_decision *d, enum swx_reason reason)
{
	d->terminate = true;
	d->reason = reason;
}

// ---- MAR

void swx_authenticate(const struct swx_state *now, const struct swx_server *by, bool failed, uint32_t time_s,
		      struct swx_decision *d)
{
	begin(now, time_s, d);
	bool same = swx_serves(now, by), registered = now->flags & SWX_REGISTERED;
	if (same)
		return; // authenticates again
	if (registered && !failed) {
		refuse(d, EXP_IDENTITY_ALREADY_REGISTERED, true);
		d->server_name = true;
		return;
	}
	if (registered)
		terminate(d, SWX_NEW_SERVER_ASSIGNED);
	d->next.host = by->host;
	d->next.realm = by->realm;
	d->next.flags = SWX_PENDING;
	d->changed = true;
}

// ---- SAR

// One APN's gateway into the next state. false: there are too many.
static bool set_gateway(struct swx_decision *d, const struct gateway *g)
{
	struct gateways *all = &d->next.gateways;
	unsigned i = 0;
	while (i < all->cnt && !slice_eq_nocase(all->one[i].apn, g->apn))
		i++;
	bool there = i < all->cnt;
	if (there ? slice_eq(all->one[i].info, g->info) : !g->info.len)
		return true;
	if (!there && all->cnt == SWX_GATEWAYS_MAX)
		return false;
	if (g->info.len)
		all->one[i] = *g;
	else
		all->one[i] = all->one[--all->cnt];
	all->cnt += !there;
	d->changed = true;
	return true;
}

static void set_gateways(const struct swx_state *now, const struct swx_assign *q, struct swx_decision *d)
{
	for (unsigned i = 0; i < q->gateways.cnt; i++)
		if (!set_gateway(d, &q->gateways.one[i])) {
			begin(now, q->time_s, d);
			refuse(d, RESULT_UNABLE_TO_COMPLY, false);
			return;
		}
}

static void do_register(const struct swx_state *now, const struct swx_assign *q, struct swx_decision *d)
{
	if (!q->may_use) {
		forget(d);
		refuse(d, EXP_USER_NO_NON_3GPP_SUBSCRIPTION, true);
		return;
	}
	d->profile = true;
	if (now->flags != SWX_REGISTERED || !slice_eq(now->host, q->by.host) || !slice_eq(now->realm, q->by.realm)) {
		d->next.host = q->by.host;
		d->next.realm = q->by.realm;
		d->next.flags = SWX_REGISTERED;
		d->changed = true;
	}
	set_gateways(now, q, d);
}

static bool is_deregistration(enum swx_assignment type)
{
	return type == SWX_TIMEOUT_DEREGISTRATION || type == SWX_USER_DEREGISTRATION || type == SWX_ADMINISTRATIVE_DEREGISTRATION ||
	       type == SWX_AUTHENTICATION_FAILURE || type == SWX_AUTHENTICATION_TIMEOUT;
}

// Step 2: is it the server that is stored? A restoration may come when nothing is stored any more (8.1.2.2.2).
static bool may_ask(const struct swx_state *now, const struct swx_assign *q, struct swx_decision *d)
{
	if (swx_serves(now, &q->by) || (!now->host.len && q->type == SWX_RESTORATION))
		return true;
	if (now->host.len) {
		refuse(d, EXP_IDENTITY_ALREADY_REGISTERED, true);
		d->server_name = true;
	} else if (!(q->repeated && is_deregistration(q->type))) { // a repeated one may be done already
		refuse(d, RESULT_UNABLE_TO_COMPLY, false);
	}
	return false;
}

void swx_assign(const struct swx_state *now, const struct swx_assign *q, struct swx_decision *d)
{
	begin(now, q->time_s, d);
	if (!may_ask(now, q, d))
		return;
	if (is_deregistration(q->type)) {
		forget(d);
		return;
	}
	switch (q->type) {
	case SWX_REGISTRATION:
	case SWX_RESTORATION:
		do_register(now, q, d);
		break;
	case SWX_USER_DATA_REQUEST:
		d->profile = q->may_use;
		if (!q->may_use)
			refuse(d, EXP_USER_NO_NON_3GPP_SUBSCRIPTION, true);
		break;
	case SWX_PGW_UPDATE:
		set_gateways(now, q, d);
		break;
	default: // the caller has refused them
		refuse(d, EXP_IN_ASSIGNMENT_TYPE, true);
		break;
	}
}

// ---- the HSS itself

void swx_deregister(const struct swx_state *now, enum swx_reason reason, uint32_t time_s, struct swx_decision *d)
{
	begin(now, time_s, d);
	if (!now->host.len)
		return;
	terminate(d, reason);
	forget(d);
}

// ---- rows

struct slice swx_row_put(uint8_t out[SWX_ROW_LEN], enum swx_reason reason, uint32_t time_s)
{
	out[0] = (uint8_t)reason;
	be32_put(out + 1, time_s);
	return slice_of(out, SWX_ROW_LEN);
}

bool swx_row_get(struct slice data, uint8_t *reason, uint32_t *time_s)
{
	struct rd r = rd_slice(data);
	*reason = rd_u8(&r);
	*time_s = rd_u32(&r);
	return !r.err;
}

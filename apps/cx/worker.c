// Cx in a worker: its commands, and its HSS-initiated requests (worker/app.h).
#include "apps/apps.h"
#include "apps/cx/cx.h"
#include "apps/cx/msg.h"
#include "lib/base/log.h"
#include "lib/diameter/avp.h"
#include "worker/app.h"
#include "worker/hss_request.h"
#include "worker/worker.h"

#define CODE_TERMINATION 304
#define CODE_PUSH	 305

// A registration there of this device, and of the set that the row is about, which is newer than the reason stands.
static bool is_overtaken(const struct hss_request *q, const struct cx_row *row)
{
	const struct cache_record *r = cache_find(&q->w->cache, q->imsi);
	struct ims_state now;
	if (!r)
		return false; // deleted: the S-CSCF must hear of it
	ims_state_of(&q->w->cache, r, &now);
	if (!slice_eq_nocase(now.host, q->host) || now.time_s <= row->time_s)
		return false;
	for (unsigned i = 0; i < now.pair_cnt; i++)
		if (now.pair[i].device == row->device && now.pair[i].flags & IMS_REGISTERED &&
		    (row->set == CX_ALL_SETS || row->set == now.pair[i].set))
			return true;
	return false;
}

// The identities that end. TS 29.229 asks for the list only when a new S-CSCF serves them; without it all of the private
// identity end, also those of other sets, and Kamailio's S-CSCF takes no RTR without one. None if the user is deleted.
static void put_publics(const struct hss_request *q, const struct cx_row *row, struct wr *m)
{
	const struct cache_record *r = cache_find(&q->w->cache, q->imsi);
	struct ims_user u;
	if (!r || !ims_user_of(&q->w->cache, q->w->config, r, &u))
		return;
	for (unsigned i = 0; i < u.d.pub_cnt; i++)
		if (u.d.pub[i].set == row->set || (row->set == CX_ALL_SETS && u.d.pub[i].type == IMS_PUBLIC_USER))
			cx_put_text(m, AVP_CODE_Public_Identity, u.d.pub[i].identity);
}

// Registration-Termination-Request (TS 29.229 6.1.9).
static bool compose_termination(const struct hss_request *q, const struct cx_row *row, struct wr *m)
{
	if (is_overtaken(q, row))
		return false;
	hss_request_begin(q, m, CODE_TERMINATION, "rtr", row->user);
	put_publics(q, row, m);
	size_t at = avp_group_begin(m, AVP_CODE_Deregistration_Reason, VENDOR_3GPP, AVP_M);
	avp_put_u32(m, AVP_CODE_Reason_Code, VENDOR_3GPP, AVP_M, row->reason);
	if (row->text.len)
		cx_put_text(m, AVP_CODE_Reason_Info, row->text);
	avp_group_end(m, at);
	return true;
}

// Push-Profile-Request (TS 29.229 6.1.11): the data of one set as they are now, for a private identity that has registered
// it. Overtaken when that S-CSCF does not serve the set any more.
static bool compose_push(const struct hss_request *q, const struct cx_row *row, struct wr *m)
{
	const struct cache *c = &q->w->cache;
	const struct cache_record *r = cache_find(c, q->imsi);
	struct ims_user u;
	struct ims_state now;
	unsigned priv = 0;
	if (!r || !ims_user_of(c, q->w->config, r, &u))
		return false;
	ims_state_of(c, r, &now);
	if (ims_set_state(&now, row->set) == IMS_SET_NOT_REGISTERED || !slice_eq_nocase(now.host, q->host))
		return false;
	for (unsigned i = 0; i < u.d.priv_cnt; i++) {
		const struct ims_pair *p = ims_pair_find(&now, u.d.priv[i].device, row->set);
		if (p && p->flags & (IMS_REGISTERED | IMS_UNREGISTERED))
			priv = i;
	}
	hss_request_begin(q, m, CODE_PUSH, "ppr", u.d.priv[priv].identity);
	bool fits = cx_put_user_data(m, c, &u, priv, row->set, 0);
	cx_put_charging(m, &u, q->w->config);
	if (row->reason & CX_PUSH_SECRET && u.d.priv[priv].scheme == IMS_DIGEST)
		cx_put_digest(m, &u.d.priv[priv]);
	if (!fits)
		log_error("user_data_too_large", LOG_SLICE("user", u.d.priv[priv].identity));
	return fits;
}

static bool compose(struct hss_request *q, struct wr *m)
{
	struct cx_row row;
	if (!cx_row_get(q->data, &row))
		return false;
	return q->purpose == CX_TERMINATE ? compose_termination(q, &row, m) : compose_push(q, &row, m);
}

static const struct worker_command commands[] = {
	{CMD_UAR, cx_uar},
	{CMD_MAR, cx_mar},
	{CMD_SAR, cx_sar},
	{CMD_LIR, cx_lir},
};

const struct worker_app cx_worker = {
	.name = "cx",
	.number = app_cx,
	.application = APP_CX,
	.commands = commands,
	.command_cnt = sizeof commands / sizeof *commands,
	.compose = compose,
};

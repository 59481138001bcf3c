// S6a in a worker: its commands, and its HSS-initiated requests (worker/app.h).
#include "apps/apps.h"
#include "apps/s6a/data.h"
#include "apps/s6a/location.h"
#include "apps/s6a/s6a.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"
#include "worker/app.h"
#include "worker/hss_request.h"
#include "worker/worker.h"

#define CODE_CANCEL_LOCATION 317
#define CODE_INSERT_DATA     319
#define CODE_DELETE_DATA     320
#define CODE_RESET	     322

// A registration of this node that is newer than the reason to cancel it stands; and a node that has purged the
// subscriber has nothing to cancel.
static bool is_overtaken(const struct hss_request *q, const struct s6a_cancel *c)
{
	const struct cache_record *r = cache_find(&q->w->cache, q->imsi);
	struct s6a_state now;
	if (!r)
		return false; // deleted: a node that still serves it must hear of it
	s6a_state_of(&q->w->cache, r, &now);
	const struct s6a_serving *v = &now.serving[c->kind];
	uint64_t reason_us = c->registered_us ? c->registered_us : q->created_us;
	return s6a_is_serving(v, q->host) && (v->time_us > reason_us || v->flags & SERVING_PURGED);
}

// Cancel-Location-Request (TS 29.272 7.2.7).
static bool compose_cancel(const struct hss_request *q, struct wr *m)
{
	struct s6a_cancel c;
	if (!s6a_cancel_get(q->purpose, q->data, &c) || is_overtaken(q, &c))
		return false;
	hss_request_begin(q, m, CODE_CANCEL_LOCATION, "clr", (struct slice){0});
	avp_put_u32(m, AVP_CODE_Cancellation_Type, VENDOR_3GPP, AVP_M, c.type);
	avp_put_u32(m, AVP_CODE_CLR_Flags, VENDOR_3GPP, 0, c.flags);
	return true;
}

// ---- changed subscription data

// The subscriber, if the node still serves it and may lack its data as they are now; NULL: there is nothing to tell.
// The mark of the data is noted.
static const struct cache_record *to_be_told(struct hss_request *q, enum s6a_kind kind, struct s6a_view *view)
{
	const struct cache_record *r = cache_find(&q->w->cache, q->imsi);
	struct s6a_state now;
	if (!r)
		return NULL;
	s6a_state_of(&q->w->cache, r, &now);
	const struct s6a_serving *v = &now.serving[kind];
	*view = s6a_view_of(v);
	q->memo = s6a_data_mark(r, cache_profile(&q->w->cache, r), view);
	bool has_them = v->flags & SERVING_HAS_DATA && now.data_mark == q->memo;
	return s6a_is_serving(v, q->host) && !(v->flags & SERVING_PURGED) && !has_them ? r : NULL;
}

// Insert-Subscriber-Data-Request (TS 29.272 7.2.9) with what has changed. APN configurations are sent all or not at all
// (All-APN-Configurations-Included-Indicator 0): so the node drops those that are gone, and nodes that take no part of
// them understand it, too.
static bool compose_insert(struct hss_request *q, struct wr *m)
{
	struct s6a_view view;
	const struct cache_record *r = to_be_told(q, q->purpose == S6A_INSERT_SGSN ? S6A_SGSN : S6A_MME, &view);
	if (!r)
		return false;
	hss_request_begin(q, m, CODE_INSERT_DATA, "idr", (struct slice){0});
	size_t at = avp_group_begin(m, AVP_CODE_Subscription_Data, VENDOR_3GPP, AVP_M);
	bool any = s6a_put_items(m, r, cache_profile(&q->w->cache, r), &view, s6a_items_get(q->data));
	avp_group_end(m, at);
	return any;
}

// Delete-Subscriber-Data-Request (TS 29.272 7.2.11) for what an IDR cannot take away.
static bool compose_delete(struct hss_request *q, struct wr *m)
{
	struct s6a_view view;
	const struct cache_record *r = to_be_told(q, q->purpose == S6A_DELETE_SGSN ? S6A_SGSN : S6A_MME, &view);
	uint32_t flags = r ? s6a_deletion_flags(r, cache_profile(&q->w->cache, r), &view, s6a_items_get(q->data)) : 0;
	if (!flags)
		return false;
	hss_request_begin(q, m, CODE_DELETE_DATA, "dsr", (struct slice){0});
	avp_put_u32(m, AVP_CODE_DSR_Flags, VENDOR_3GPP, AVP_M, flags);
	return true;
}

// ---- an operator's question, and a reset

// Insert-Subscriber-Data-Request without data: only IDR-Flags (TS 29.272 7.3.103).
static bool compose_question(const struct hss_request *q, struct wr *m)
{
	struct s6a_question ask;
	if (!s6a_question_get(q->data, &ask))
		return false;
	hss_request_begin(q, m, CODE_INSERT_DATA, "ask", (struct slice){0});
	size_t at = avp_group_begin(m, AVP_CODE_Subscription_Data, VENDOR_3GPP, AVP_M);
	avp_group_end(m, at);
	avp_put_u32(m, AVP_CODE_IDR_Flags, VENDOR_3GPP, AVP_M, ask.flags);
	return true;
}

// Reset-Request (TS 29.272 7.2.15); `data` are the digits that IMSIs begin with, or nothing: all of the HSS's.
static bool compose_reset(const struct hss_request *q, struct wr *m)
{
	hss_request_begin(q, m, CODE_RESET, "rsr", (struct slice){0});
	if (q->data.len)
		avp_put_slice(m, AVP_CODE_User_Id, VENDOR_3GPP, AVP_M, q->data);
	return true;
}

// What a node answers to a question goes to the operator: the AVPs of its answer.
static void ended(const struct hss_request *q, const struct hss_answer *a, struct wr *told)
{
	bool question = q->purpose == S6A_ASK_MME || q->purpose == S6A_ASK_SGSN;
	if (question && a->msg.len > DIAMETER_HEADER_LEN && a->msg.len - DIAMETER_HEADER_LEN <= HSS_TOLD_MAX)
		wr_bytes(told, a->msg.p + DIAMETER_HEADER_LEN, a->msg.len - DIAMETER_HEADER_LEN);
}

static bool compose(struct hss_request *q, struct wr *m)
{
	switch ((enum s6a_purpose)q->purpose) {
	case S6A_CANCEL_MME:
	case S6A_CANCEL_SGSN:
		return compose_cancel(q, m);
	case S6A_INSERT_MME:
	case S6A_INSERT_SGSN:
		return compose_insert(q, m);
	case S6A_DELETE_MME:
	case S6A_DELETE_SGSN:
		return compose_delete(q, m);
	case S6A_ASK_MME:
	case S6A_ASK_SGSN:
		return compose_question(q, m);
	case S6A_RESET:
		return compose_reset(q, m);
	default:
		return false; // of a later version
	}
}

static const struct worker_command commands[] = {
	{CMD_AIR, s6a_air},
	{CMD_ULR, s6a_ulr},
	{CMD_PUR, s6a_pur},
	{CMD_NOR, s6a_nor},
};

const struct worker_app s6a_worker = {
	.name = "s6a",
	.number = app_s6a,
	.application = APP_S6A,
	.commands = commands,
	.command_cnt = sizeof commands / sizeof *commands,
	.compose = compose,
	.ended = ended,
};

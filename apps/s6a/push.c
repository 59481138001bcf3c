// Tells serving nodes of changed subscription data: Insert- and Delete-Subscriber-Data (TS 29.272 5.2.2.1, 5.2.2.2). A row
// says which items of Subscription-Data have changed (data.h); what is sent is their state when it is sent, and nothing if
// the node has been sent just that in the meantime. When the node has taken it, its mark is set with the end of the row.
// Loader process, main thread.
#include "apps/apps.h"
#include "apps/s6a/data.h"
#include "apps/s6a/loader.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/diameter/dict.h"
#include "loader/app.h"
#include "loader/commit/hss_request.h"
#include "loader/commit/txn.h"

#define PUSHES (1u << S6A_INSERT_MME | 1u << S6A_INSERT_SGSN | 1u << S6A_DELETE_MME | 1u << S6A_DELETE_SGSN)

static void add(struct loader *l, struct op *op, uint8_t purpose, const struct s6a_serving *v, uint32_t items)
{
	uint8_t data[S6A_ITEMS_LEN];
	if (items)
		hss_request_add(l, op, op->rec.imsi,
				&(struct hss_request_image){.app = app_s6a,
							    .purpose = purpose,
							    .host = v->host,
							    .realm = v->realm,
							    .data = s6a_items_data(items, data)});
}

// No APN is left, or no packet service: the node has nothing to serve any more (TS 29.272 5.2.1.2.1).
static int end_service(const struct app_document *d, const struct s6a_state *now)
{
	struct s6a_decision what;
	s6a_withdraw(now, clock_wall_us(), 0, &what);
	// APP_RESTORE: the upstream still has the location, and must be told at once
	return s6a_decide(d->l, d->op, &what, S6A_DROP_KEPT | S6A_TELL_UPSTREAM) ? APP_TAKEN | APP_RESTORE : -ENOSPC;
}

int s6a_push(const struct app_document *d)
{
	struct s6a_state now;
	s6a_state_of(d->l->cache, &d->op->rec, &now);
	if (!now.serving[S6A_MME].host.len && !now.serving[S6A_SGSN].host.len)
		return 0;
	if (d->op->rec.flags & RECORD_NO_EPS && !(d->old->flags & RECORD_NO_EPS))
		return end_service(d, &now);
	for (unsigned kind = 0; kind < S6A_KIND_CNT; kind++) {
		const struct s6a_serving *v = &now.serving[kind];
		if (!v->host.len || v->flags & (SERVING_PURGED | SERVING_ELSEWHERE))
			continue;
		const struct s6a_view view = s6a_view_of(v);
		struct s6a_difference diff = s6a_differs(d->l->cache, d->old, &d->op->rec, &view);
		add(d->l, d->op, kind == S6A_SGSN ? S6A_INSERT_SGSN : S6A_INSERT_MME, v, diff.changed);
		add(d->l, d->op, kind == S6A_SGSN ? S6A_DELETE_SGSN : S6A_DELETE_MME, v, diff.gone);
	}
	return 0;
}

bool s6a_replaces(uint8_t purpose, struct slice newer, struct slice older, struct wr *joined)
{
	uint8_t data[S6A_ITEMS_LEN];
	if (PUSHES >> purpose & 1)
		wr_slice(joined, s6a_items_data(s6a_items_get(newer) | s6a_items_get(older), data));
	return true;
}

const struct app_request_kind *s6a_request_kind(uint8_t purpose)
{
	static const struct app_request_kind kinds[] = {
		[S6A_CANCEL_MME] = {"CLR", false}, [S6A_CANCEL_SGSN] = {"CLR", false}, [S6A_INSERT_MME] = {"IDR", true},
		[S6A_INSERT_SGSN] = {"IDR", true}, [S6A_DELETE_MME] = {"DSR", true},   [S6A_DELETE_SGSN] = {"DSR", true},
		[S6A_ASK_MME] = {"IDR", false},	   [S6A_ASK_SGSN] = {"IDR", false},	[S6A_RESET] = {"RSR", false},
	};
	static const struct app_request_kind unknown = {"?", false};
	return purpose < sizeof(kinds) / sizeof(*kinds) && kinds[purpose].command ? &kinds[purpose] : &unknown;
}

// ---- the answers

// The node has the data of the mark now, unless another request of the same kind still waits for it.
static void is_told(struct loader *l, struct op *op, const struct app_answer *a, enum s6a_kind kind)
{
	struct s6a_state now;
	struct s6a_decision what;
	s6a_state_of(l->cache, &op->rec, &now);
	if (!s6a_is_serving(&now.serving[kind], a->host) || hss_request_waits(l, a->imsi, app_s6a, a->host, a->id, PUSHES))
		return;
	s6a_sent_data(&now, kind, a->memo, &what);
	if (s6a_decide(l, op, &what, 0))
		op->what |= OP_PUT;
}

// A node that refuses a part may take the whole; one that refuses that, too, or knows no such command, is left with what
// it has until the subscriber's next ULR.
static void is_refused(struct loader *l, struct op *op, const struct app_answer *a, enum s6a_kind kind)
{
	static struct log_limit limit;
	bool insert = a->purpose == S6A_INSERT_MME || a->purpose == S6A_INSERT_SGSN;
	bool lost = a->experimental && a->result == EXP_USER_UNKNOWN; // the node has lost the subscriber: it will ask
	const struct s6a_serving v = {.host = a->host, .realm = a->realm};
	if (insert && !lost && a->result != RESULT_COMMAND_UNSUPPORTED && s6a_items_get(a->data) != ITEMS_ALL) {
		add(l, op, kind == S6A_SGSN ? S6A_INSERT_SGSN : S6A_INSERT_MME, &v, ITEMS_ALL);
		return;
	}
	loader_stat(l, STAT_PUSHES_REFUSED, 1);
	if (!log_limit_pass(&limit, 5))
		return;
	char imsi[16];
	imsi_text(a->imsi, imsi);
	log_warn("push_refused", LOG_SLICE("host", a->host), LOG_STR("command", insert ? "IDR" : "DSR"),
		 LOG_INT("result", a->result), LOG_IMSI("imsi", imsi));
}

void s6a_answered(struct loader *l, struct op *op, const struct app_answer *a)
{
	switch ((enum s6a_purpose)a->purpose) {
	case S6A_INSERT_MME:
	case S6A_DELETE_MME:
	case S6A_INSERT_SGSN:
	case S6A_DELETE_SGSN: {
		bool sgsn = a->purpose == S6A_INSERT_SGSN || a->purpose == S6A_DELETE_SGSN;
		bool taken = !a->experimental && a->result == RESULT_SUCCESS;
		(taken ? is_told : is_refused)(l, op, a, sgsn ? S6A_SGSN : S6A_MME);
		return;
	}
	case S6A_ASK_MME:
	case S6A_ASK_SGSN:
		s6a_question_answered(l, a);
		return;
	default:
		return;
	}
}

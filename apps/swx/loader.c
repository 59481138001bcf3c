// SWx in the loader: how its state and its data get into the cache, and what a new document or a deletion means for those
// who are registered (loader/app.h).
#include "apps/swx/loader.h"
#include <errno.h>
#include "apps/apps.h"
#include "lib/base/clock.h"
#include "loader/commit/change.h"
#include "loader/commit/hss_request.h"
#include "loader/commit/txn.h"

#define USER_DATA_MAX (40u << 10)

static bool pack(struct builder *b, bool data, struct cache_state *s, uint8_t *buf)
{
	struct swx_data d;
	return data ? swx_data_get(s->body, &d) : swx_state_pack(b, s, buf);
}

static uint32_t now_s(void)
{
	return (uint32_t)(clock_wall_us() / 1000000);
}

static void add_request(struct loader *l, struct op *op, uint8_t purpose, const struct swx_state *to, enum swx_reason reason,
			uint32_t time_s)
{
	uint8_t row[SWX_ROW_LEN];
	hss_request_add(l, op, op->rec.imsi,
			&(struct hss_request_image){.app = app_swx,
						    .purpose = purpose,
						    .host = to->host,
						    .realm = to->realm,
						    .data = swx_row_put(row, reason, time_s)});
}

bool swx_decide(struct loader *l, struct op *op, const struct swx_state *before, const struct swx_decision *d)
{
	uint8_t body[SWX_STATE_MAX];
	struct wr w = wr_of(body, sizeof(body));
	const struct state_kept kept = {.outbox = l->outbox != NULL};
	swx_state_put(&w, &d->next, l->outbox != NULL);
	if (w.err || !change_state(l, op, loader_app(l, app_swx), wr_done(&w), 0, &kept))
		return false;
	if (d->terminate)
		add_request(l, op, SWX_TERMINATE, before, d->reason, d->next.time_s);
	return true;
}

// ---- a document

static struct slice user_data(const struct loader *l, const struct cache_record *r, const struct swx_data *d,
			      const struct swx_state *s, uint8_t *out)
{
	struct wr w = wr_of(out, USER_DATA_MAX);
	swx_put_user_data(&w, r, d, cache_profile(l->cache, r), &s->gateways);
	return wr_done(&w);
}

// What the new data mean for a user who is registered: the AAA server gets them, or hears that it is over. true: *d has the
// next state.
static bool take_data(const struct app_document *doc, const struct swx_data *data, const struct swx_state *now,
		      struct swx_decision *d)
{
	static uint8_t before[USER_DATA_MAX], after[USER_DATA_MAX];
	static struct swx_data old;
	if (!(now->flags & SWX_REGISTERED) || now->flags & SWX_ELSEWHERE)
		return false;
	if (!swx_may_use(data, cache_profile(doc->l->cache, &doc->op->rec))) {
		swx_deregister(now, SWX_PERMANENT_TERMINATION, now_s(), d);
		return true;
	}
	swx_data_of(doc->l->cache, doc->old, &old);
	if (!slice_eq(user_data(doc->l, doc->old, &old, now, before), user_data(doc->l, &doc->op->rec, data, now, after)))
		add_request(doc->l, doc->op, SWX_PUSH, now, 0, now->time_s);
	return false;
}

// What another node on the same upstream has written, against ours.
static enum app_whose compare(const struct app_document *d, const struct swx_state *now, struct swx_state *theirs)
{
	uint8_t mine[SWX_STATE_MAX];
	struct wr w = wr_of(mine, sizeof(mine));
	struct swx_state ours = *now;
	if (!d->said.len || !swx_state_get(d->said, theirs))
		return now->time_s ? APP_OURS : APP_SAME;
	ours.flags &= (uint8_t)~SWX_ELSEWHERE;
	swx_state_put(&w, &ours, true);
	return app_whose((struct app_version){now->time_s, slice_of(mine, wr_len(&w))},
			 (struct app_version){theirs->time_s, d->said});
}

// true: *now has changed, or (*restore) the upstream lacks it.
static bool take_said(const struct app_document *d, struct swx_state *now, bool *restore)
{
	static struct swx_state theirs;
	enum app_whose whose = d->feed ? compare(d, now, &theirs) : APP_SAME;
	*restore = whose == APP_OURS && app_may_restore(d);
	if (whose == APP_THEIRS) {
		*now = theirs;
		now->flags |= now->host.len ? SWX_ELSEWHERE : 0;
	}
	return whose == APP_THEIRS || *restore;
}

static int document(const struct app_document *d)
{
	static struct swx_data data;
	static struct swx_decision what;
	struct swx_state now = {.flags = 0};
	struct cache_state had;
	bool restore = false;
	if (d->old)
		swx_state_of(d->l->cache, d->old, &now);
	bool has_data = d->data.len || (d->old && cache_state_of_kind(d->l->cache, d->old, app_swx, CACHE_DATA, &had));
	bool fresh = !d->old || d->content_changed;
	bool changed = take_said(d, &now, &restore);
	(void)swx_data_get(d->data, &data);
	if (fresh && has_data && !change_data(d->l, d->op, loader_app(d->l, app_swx), d->data))
		return -ENOSPC;
	what = (struct swx_decision){.next = now};
	if (d->old && fresh && take_data(d, &data, &now, &what))
		changed = restore = true; // other nodes must hear of the end
	if (changed && !swx_decide(d->l, d->op, &now, &what))
		return -ENOSPC;
	return (changed || (fresh && has_data) ? APP_TAKEN : 0) | (restore ? APP_RESTORE : 0);
}

static void withdrawn(struct loader *l, struct op *op, const struct cache_record *r)
{
	struct swx_state now;
	swx_state_of(l->cache, r, &now);
	if (now.host.len)
		add_request(l, op, SWX_TERMINATE, &now, SWX_PERMANENT_TERMINATION, now.time_s);
}

static const struct app_request_kind *request_kind(uint8_t purpose)
{
	static const struct app_request_kind termination = {"RTR", false}, push = {"PPR", true};
	return purpose == SWX_PUSH ? &push : &termination;
}

static const char *const members[] = {"non_3gpp", NULL};

const struct loader_app swx_loader = {
	.name = "swx",
	.number = app_swx,
	.pack = pack,
	.members = members,
	.read = swx_read,
	.reader = &swx_reader,
	.document = document,
	.withdrawn = withdrawn,
	.request_kind = request_kind,
	.write_back = swx_write_back,
	.commands = swx_commands,
};

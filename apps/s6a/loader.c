// S6a in the loader: how its state gets into the cache's record, and what is kept beside it (loader/app.h).
#include "apps/apps.h"
#include "apps/s6a/loader.h"
#include "apps/s6a/subscription.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"
#include "loader/app.h"

#define VENDOR_3GPP 10415

static void seen(const struct cache_record *r, uint16_t *version, uint64_t *key)
{
	*version = r->version;
	*key = r->change_key;
}

static bool state_publish(struct builder *b, const struct s6a_state *s, struct cache_record *r)
{
	struct cache_serving serving[S6A_KIND_CNT];
	for (unsigned i = 0; i < S6A_KIND_CNT; i++) {
		const struct s6a_serving *v = &s->serving[i];
		serving[i] = (struct cache_serving){.flags = v->flags, .time_us = v->time_us};
		memcpy(serving[i].plmn, v->plmn, 3);
		serving[i].node = v->host.len ? builder_node(b, v->host, v->realm) : 0;
		if (v->host.len && !serving[i].node)
			return false;
	}
	memcpy(r->serving, serving, sizeof(serving));
	r->imeisv = s->imeisv;
	r->data_mark = s->data_mark;
	return true;
}

static bool publish(struct builder *b, const struct state_row *row, struct cache_record *r)
{
	struct s6a_state s = {0};
	if (row->body.len && !s6a_state_get(row->body, &s))
		return false;
	if (!state_publish(b, &s, r))
		return false;
	r->version = row->version;
	r->change_key = row->key[0];
	return true;
}

// ---- what is kept: the AVPs of NOR and PUR as they came, one chunk (blob16) a message

// About the same APN; or, without one (a location), the same kind of AVP.
static bool same_context(struct slice a, struct slice b)
{
	struct avp x, y;
	bool in_a = avp_find(a, AVP_CODE_Service_Selection, 0, &x),
	     in_b = avp_find(b, AVP_CODE_Service_Selection, 0, &y);
	if (in_a || in_b)
		return in_a && in_b && slice_eq_nocase(x.data, y.data);
	in_a = avp_find(a, AVP_CODE_Context_Identifier, VENDOR_3GPP, &x);
	in_b = avp_find(b, AVP_CODE_Context_Identifier, VENDOR_3GPP, &y);
	if (in_a || in_b)
		return in_a && in_b && slice_eq(x.data, y.data);
	return a.len >= 4 && b.len >= 4 && memcmp(a.p, b.p, 4) == 0;
}

// The chunk replaces the one about the same thing. When there are too many, the oldest ones make room.
static size_t merge(struct slice old, struct slice chunk, uint8_t *out, size_t cap)
{
	struct wr w = wr_of(out, cap);
	struct rd r = rd_slice(old);
	while (rd_left(&r)) {
		struct slice one = rd_blob16(&r);
		if (!r.err && !same_context(one, chunk) && wr_len(&w) + one.len + chunk.len + 4 <= cap)
			wr_blob16(&w, one);
	}
	wr_blob16(&w, chunk);
	return w.err ? 0 : wr_len(&w);
}

static void withdrawn(struct loader *l, struct op *op, const struct cache_record *r)
{
	s6a_cancel_all(l, op, r, 0);
}

const struct loader_app s6a_loader = {
	.name = "s6a",
	.number = app_s6a,
	.seen = seen,
	.publish = publish,
	.common = s6a_common,
	.merge = merge,
	.shows_kept = true,
	.reader = &s6a_reader,
	.document = s6a_document,
	.withdrawn = withdrawn,
	.replaces = s6a_replaces,
	.request_kind = s6a_request_kind,
	.answered = s6a_answered,
	.write_back = s6a_write_back,
	.show = s6a_show,
	.list = s6a_list,
	.show_more = s6a_show_more,
	.commands = s6a_commands,
};

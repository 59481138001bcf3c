// Cx in the loader: how its state and its data get into the cache, and what a new document or a deletion means for those
// who are registered (loader/app.h).
#include "apps/cx/loader.h"
#include <errno.h>
#include <stdio.h>
#include "apps/apps.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/ims/template.h"
#include "loader/commit/change.h"
#include "loader/commit/hss_request.h"
#include "loader/commit/txn.h"
#include "loader/upstream/up_fields.h"

static bool pack(struct builder *b, bool data, struct cache_state *s, uint8_t *buf)
{
	return data ? ims_data_pack(b, s, buf) : ims_state_pack(b, s, buf);
}

static uint32_t now_s(void)
{
	return (uint32_t)(clock_wall_us() / 1000000);
}

// ---- requests and states of an operation

static void add_request(struct loader *l, struct op *op, uint8_t purpose, struct slice host, struct slice realm,
			const struct cx_row *row)
{
	uint8_t data[CX_ROW_MAX];
	struct wr w = wr_of(data, sizeof(data));
	if (host.len && cx_row_put(&w, row))
		hss_request_add(l, op, op->rec.imsi,
				&(struct hss_request_image){
					.app = app_cx, .purpose = purpose, .host = host, .realm = realm, .data = wr_done(&w)});
}

void cx_push(struct loader *l, struct op *op, const struct ims_state *now, uint8_t set, bool secret)
{
	add_request(l, op, CX_PUSH, now->host, now->realm,
		    &(struct cx_row){.reason = secret ? CX_PUSH_SECRET : 0, .set = set, .time_s = now->time_s});
}

static void add_terminations(struct loader *l, struct op *op, const struct ims_user *u, const struct cx_decision *d,
			     struct slice text)
{
	for (unsigned i = 0; i < d->terminate_cnt; i++) {
		const struct cx_terminate *t = &d->terminate[i];
		add_request(l, op, CX_TERMINATE, t->host, t->realm,
			    &(struct cx_row){.reason = (uint8_t)t->reason,
					     .set = t->set,
					     .device = t->device,
					     .time_s = d->next.time_s,
					     .user = ims_private_of(u, t->device),
					     .text = text});
	}
}

bool cx_decide(struct loader *l, struct op *op, const struct ims_user *u, const struct cx_decision *d, struct slice text)
{
	uint8_t body[IMS_STATE_MAX];
	struct wr w = wr_of(body, sizeof(body));
	const struct state_kept kept = {.outbox = l->outbox != NULL};
	ims_state_put(&w, &d->next, l->outbox != NULL);
	if (w.err || !change_state(l, op, loader_app(l, app_cx), wr_done(&w), 0, &kept))
		return false;
	add_terminations(l, op, u, d, text);
	return true;
}

// ---- a document

// Is the identity another subscriber's? Then e->text says whose.
static bool is_taken(const struct app_document *d, enum subject_form form, struct slice identity, const char *list, unsigned i)
{
	static struct ims_user other;
	struct subject s;
	bool wildcard;
	int at;
	char imsi[16];
	if (!subject_read(form, identity, &s))
		return false; // a wildcard: it may meet others
	const struct cache_record *r = ims_user_find(d->l->cache, d->l->config, &s, &other, &at, &wildcard);
	if (!r || wildcard || r->imsi.v == d->op->rec.imsi.v)
		return false;
	imsi_text(r->imsi, imsi);
	snprintf(d->e->text, sizeof(d->e->text), "ims.%s[%u].identity: subscriber %s has \"%.*s\" already", list, i, imsi,
		 (int)(identity.len < 100 ? identity.len : 100), (const char *)identity.p);
	return true;
}

static bool any_is_taken(const struct app_document *d, const struct ims_data *data)
{
	for (unsigned i = 0; i < data->priv_cnt; i++)
		if (is_taken(d, SUBJECT_FORM_PRIVATE, data->priv[i].identity, "private_identities", i))
			return true;
	for (unsigned i = 0; i < data->pub_cnt; i++)
		if (is_taken(d, SUBJECT_FORM_PUBLIC, data->pub[i].identity, "public_identities", i))
			return true;
	return false;
}

static bool same_criteria(const struct ims_profile *a, const struct ims_profile *b)
{
	return slice_eq(a->criteria, b->criteria) && a->is_template == b->is_template && a->shared_cnt == b->shared_cnt &&
	       memcmp(a->shared, b->shared, a->shared_cnt * sizeof(*a->shared)) == 0;
}

// The next public identity of the set, from *i on; NULL: none.
static const struct ims_public *next_of(const struct ims_user *u, uint8_t set, unsigned *i)
{
	while (*i < u->d.pub_cnt)
		if (u->d.pub[(*i)++].set == set)
			return &u->d.pub[*i - 1];
	return NULL;
}

// Would the S-CSCF be told the same of this set?
static bool same_profile(const struct ims_user *a, const struct ims_user *b, uint8_t set)
{
	const struct ims_public *p, *q;
	unsigned i = 0, k = 0;
	do {
		p = next_of(a, set, &i);
		q = next_of(b, set, &k);
		if (!p != !q)
			return false;
		if (p && (!slice_eq(p->identity, q->identity) || p->barred != q->barred || p->type != q->type ||
			  p->first != q->first || !slice_eq(p->display, q->display) ||
			  !same_criteria(&a->d.profile[p->profile], &b->d.profile[q->profile])))
			return false;
	} while (p);
	for (unsigned n = 0; n < IMS_CHARGING_CNT; n++)
		if (!slice_eq(a->d.charging[n], b->d.charging[n]))
			return false;
	return true;
}

static bool same_default(const struct ims_user *a, const struct ims_user *b, uint8_t set)
{
	int i = ims_default_of(a, set), k = ims_default_of(b, set);
	return i >= 0 && k >= 0 && slice_eq(a->d.pub[i].identity, b->d.pub[k].identity);
}

static const struct ims_private *device_in(const struct ims_user *u, uint32_t device)
{
	for (unsigned i = 0; i < u->d.priv_cnt; i++)
		if (u->d.priv[i].device == device)
			return &u->d.priv[i];
	return NULL;
}

static bool same_secret(const struct ims_user *a, const struct ims_user *b, uint32_t device)
{
	const struct ims_private *p = device_in(a, device), *q = device_in(b, device);
	return p && q && p->scheme == q->scheme && slice_eq(p->ha1, q->ha1) && slice_eq(p->realm, q->realm);
}

// Registrations that the new document has no place for end: the private identity is gone, or the set, or its default
// identity is another one, which a PPR cannot say (TS 29.228 6.1.3). true: *now has changed.
static bool end_what_is_gone(const struct app_document *d, const struct ims_user *before, const struct ims_user *after,
			     struct ims_state *now)
{
	static struct cx_decision what;
	bool changed = false;
	for (unsigned i = 0; i < now->pair_cnt;) {
		struct ims_pair p = now->pair[i];
		bool gone = !device_in(after, p.device), moved = !same_default(before, after, p.set);
		if (!gone && !moved) {
			i++;
			continue;
		}
		cx_deregister(now, p.device, p.set, gone ? CX_PERMANENT_TERMINATION : CX_SERVER_CHANGE, now_s(), &what);
		add_terminations(d->l, d->op, before, &what, (struct slice){0});
		*now = what.next;
		changed = true;
		i = 0; // the pairs have moved
	}
	return changed;
}

static void push_what_changed(const struct app_document *d, const struct ims_user *before, const struct ims_user *after,
			      const struct ims_state *now)
{
	bool told[256] = {false};
	for (unsigned i = 0; i < now->pair_cnt; i++) {
		const struct ims_pair *p = &now->pair[i];
		bool secret = !same_secret(before, after, p->device);
		bool serves = p->flags & (IMS_REGISTERED | IMS_UNREGISTERED);
		if (told[p->set] || !((serves && !same_profile(before, after, p->set)) || secret))
			continue;
		cx_push(d->l, d->op, now, p->set, secret);
		told[p->set] = true;
	}
}

// The new data, and what they mean for those who are registered. true: *now has changed.
static bool take_data(const struct app_document *d, const struct ims_data *data, struct ims_state *now)
{
	static struct ims_user before, after;
	if (!d->old || !now->pair_cnt)
		return false;
	(void)ims_user_of(d->l->cache, d->l->config, d->old, &before);
	after.d = *data;
	(void)ims_user_fill(d->l->config, &d->op->rec, d->data.len != 0, &after);
	bool ended = end_what_is_gone(d, &before, &after, now);
	push_what_changed(d, &before, &after, now);
	return ended;
}

// What another node on the same upstream has written, against ours.
static enum app_whose compare(const struct app_document *d, const struct ims_state *now, struct ims_state *theirs)
{
	uint8_t mine[IMS_STATE_MAX];
	struct wr w = wr_of(mine, sizeof(mine));
	if (!d->said.len || !ims_state_get(d->said, theirs))
		return now->time_s ? APP_OURS : APP_SAME;
	ims_state_put(&w, now, true);
	return app_whose((struct app_version){now->time_s, slice_of(mine, wr_len(&w))},
			 (struct app_version){theirs->time_s, d->said});
}

// true: *now has changed, or (*restore) the upstream lacks it.
static bool take_said(const struct app_document *d, struct ims_state *now, bool *restore)
{
	static struct ims_state theirs;
	enum app_whose whose = d->feed ? compare(d, now, &theirs) : APP_SAME;
	*restore = whose == APP_OURS && app_may_restore(d);
	if (whose == APP_THEIRS)
		*now = theirs;
	return whose == APP_THEIRS || *restore;
}

// Of a subscriber without data the numbers may have changed, from which identities follow.
static bool numbers_changed(const struct app_document *d)
{
	return d->old && (d->old->msisdn[0].v != d->op->rec.msisdn[0].v || d->old->msisdn[1].v != d->op->rec.msisdn[1].v);
}

int cx_document(const struct app_document *d)
{
	static struct ims_data data;
	static struct cx_decision what;
	static struct ims_user user;
	struct ims_state now = {.pair_cnt = 0};
	struct cache_state had;
	bool restore = false;
	if (!d->l->config)
		return 0;
	if (d->old)
		ims_state_of(d->l->cache, d->old, &now);
	bool has_data = d->data.len || (d->old && cache_state_of_kind(d->l->cache, d->old, app_cx, CACHE_DATA, &had));
	bool fresh = !d->old || d->content_changed;
	bool changed = take_said(d, &now, &restore);
	(void)ims_data_get(d->data, &data);
	if (fresh && has_data) {
		if (any_is_taken(d, &data))
			return -EINVAL;
		if (!change_data(d->l, d->op, loader_app(d->l, app_cx), d->data))
			return -ENOSPC;
	}
	if (fresh && (has_data || numbers_changed(d)) && take_data(d, &data, &now))
		changed = restore = true; // other nodes must hear of the end
	if (changed) {
		what = (struct cx_decision){.next = now};
		if (!cx_decide(d->l, d->op, &user, &what, (struct slice){0}))
			return -ENOSPC;
	}
	return (changed || (fresh && has_data) ? APP_TAKEN : 0) | (restore ? APP_RESTORE : 0);
}

void cx_withdrawn(struct loader *l, struct op *op, const struct cache_record *r)
{
	static struct ims_user u;
	struct ims_state now;
	struct cx_decision what;
	if (!l->config)
		return;
	ims_state_of(l->cache, r, &now);
	(void)ims_user_of(l->cache, l->config, r, &u);
	cx_deregister(&now, 0, -1, CX_PERMANENT_TERMINATION, now_s(), &what);
	add_terminations(l, op, &u, &what, (struct slice){0});
}

// One file of filter criteria into what is published for all. A broken one is told; what stood in its place before stays.
static void add_file(struct loader *l, const char *path, uint32_t number, struct wr *w)
{
	static uint8_t profile[IMS_FRAGMENT_MAX];
	static struct ims_report report;
	static char why[4096];
	struct ims_criteria c;
	struct wr f = wr_of(profile, sizeof(profile));
	if (ims_template_read(path, &c, &report) == 0) {
		if (number == IMS_TEMPLATE) // the beginning of a profile; a set's criteria follow others
			ims_authorization_put(&f, &c);
		wr_slice(&f, ims_criteria_fragment(&c));
		ims_criteria_free(&c);
		w->err |= f.err;
		ims_common_put(w, number, wr_done(&f));
		return;
	}
	log_error("filter_criteria_wrong", LOG_STR("reason", ims_report_text(&report, path, why, sizeof(why))),
		  LOG_INT("errors", report.errors));
	struct slice before = ims_common_find(l->cache, number);
	if (before.len)
		ims_common_put(w, number, before);
}

size_t cx_common(struct loader *l, const struct config *config, uint8_t *out, size_t cap)
{
	struct wr w = wr_of(out, cap);
	if (config->ims_filter_file[0])
		add_file(l, config->ims_filter_file, IMS_TEMPLATE, &w);
	for (unsigned i = 0; i < config->ims_shared_cnt; i++)
		add_file(l, config->ims_shared[i].file, config->ims_shared[i].id, &w);
	if (!w.err)
		return wr_len(&w);
	log_error("filter_criteria_too_large", LOG_INT("octets_at_most", cap));
	// all of them stay as they were
	struct slice before = cache_common_get(l->cache, app_cx);
	w = wr_of(out, cap);
	wr_slice(&w, before);
	return wr_len(&w);
}

static const char *const members[] = {"ims", "ifc", NULL};

static const struct app_request_kind *request_kind(uint8_t purpose)
{
	static const struct app_request_kind terminate = {"RTR", false}, push = {"PPR", true};
	return purpose == CX_TERMINATE ? &terminate : &push;
}

const struct loader_app cx_loader = {
	.name = "cx",
	.number = app_cx,
	.pack = pack,
	.reader = &cx_reader,
	.write_back = cx_write_back,
	.replaces = cx_row_replaces,
	.request_kind = request_kind,
	.members = members,
	.read = cx_read,
	.stored = cx_stored,
	.identities = ims_data_identities,
	.common = cx_common,
	.document = cx_document,
	.withdrawn = cx_withdrawn,
	.commands = cx_commands,
};

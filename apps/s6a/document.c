// Takes S6a's state from documents: those of a file or an export, and those of the upstream, which other
// nodes of ours and other programs write, too (law 8). Of several HSSs on one database the newest location
// wins, for the MME and the SGSN each. Loader process, main thread.
#include <errno.h>
#include "apps/s6a/loader.h"
#include "apps/s6a/said.h"
#include "lib/base/clock.h"
#include "loader/app.h"
#include "loader/commit/txn.h"

// A new subscriber keeps the location that its document has; of an SGSN's no file tells. An existing one has a newer location.
static int from_file(const struct app_document *d, const struct s6a_said *said)
{
	struct s6a_decision what = {.next = {.imeisv = d->s->imeisv}};
	const struct s6a_serving *mme = &said->serving[S6A_MME];
	if (d->old || (!mme->host.len && !d->s->imeisv))
		return 0;
	if (mme->host.len)
		what.next.serving[S6A_MME] = *mme;
	return s6a_decide(d->l, d->op, &what, 0) ? APP_TAKEN : -ENOSPC;
}

// Did another HSS write the document's location last? With the same time it is the same registration, and
// only its purge can be news; not if we wrote last: then another program has put an old version there.
static bool is_others_word(const struct app_document *d)
{
	return d->s->node != 1 + (d->l->config ? d->l->config->node_id : 0);
}

// What it says about one kind of node. Without a node nothing can be purged.
static struct s6a_serving said_of(const struct s6a_said *said, enum s6a_kind kind)
{
	struct s6a_serving v = said->serving[kind];
	if (!v.host.len)
		v.flags = 0;
	return v;
}

static bool is_newer(const struct app_document *d, const struct s6a_serving *said, const struct s6a_serving *now)
{
	if (!d->old || said->time_us > now->time_us)
		return said->host.len || now->host.len;
	return said->host.len && said->time_us == now->time_us && said->flags & SERVING_PURGED && !(now->flags & SERVING_PURGED) &&
	       s6a_is_serving(now, said->host) && is_others_word(d);
}

// Has the document lost our location? It lacks our time stamp, or has another location under it. A form of
// the WebUI that was opened before an attach empties the location or restores the one before, and leaves
// mme_timestamp. A script that saves an old version of the document leaves an older mme_timestamp, or none.
// Other members tell nothing, whether they changed or not.
static bool is_lost(const struct app_document *d, const struct s6a_serving *said, const struct s6a_serving *now,
		    bool imeisv_lost)
{
	if (said->time_us != now->time_us)
		return said->time_us < now->time_us;
	if (!now->host.len || !said->host.len) // one of the two has no location; without a time stamp neither ever had one
		return now->host.len ? said->host.len == 0 : said->time_us && said->host.len && !is_others_word(d);
	bool same = s6a_is_serving(now, said->host) && !imeisv_lost &&
		    (said->flags & SERVING_PURGED) == (now->flags & SERVING_PURGED);
	return !same && !is_others_word(d);
}

// Is our state missing in the document, although no newer one is there and ours is not on its way? It also
// looks so in an image that is older than our last write. Then the same is written once more, which changes
// nothing.
static bool state_is_lost(const struct app_document *d, const struct s6a_serving *mme, const struct s6a_serving *sgsn,
			  const struct s6a_state *now)
{
	return app_may_restore(d) &&
	       (is_lost(d, mme, &now->serving[S6A_MME], now->imeisv && !d->s->imeisv) ||
		is_lost(d, sgsn, &now->serving[S6A_SGSN], false));
}

// Tells the node that has served until now, if it is connected here: no other HSS can tell it.
static void cancel_lost(const struct app_document *d, const struct s6a_state *now, enum s6a_kind kind, struct slice host,
			struct s6a_decision *what)
{
	const struct s6a_serving *v = &now->serving[kind];
	uint32_t frontend, conn, generation;
	if (!v->host.len || v->flags & SERVING_PURGED || s6a_is_serving(v, host) || !d->l->control ||
	    control_peer_find(d->l->control, v->host, &frontend, &conn, &generation) < 0)
		return;
	struct s6a_cancel *c = &what->cancel[what->cancel_cnt++];
	*c = (struct s6a_cancel){.kind = kind,
				 .type = CANCEL_SGSN_UPDATE,
				 .registered_us = v->time_us,
				 .host = v->host,
				 .realm = v->realm};
	if (kind == S6A_MME) {
		c->type = host.len ? CANCEL_MME_UPDATE : CANCEL_WITHDRAWAL;
		c->flags = host.len ? CLR_S6A : CLR_S6A | CLR_REATTACH;
	}
}

// request_cancel_location, newly true: the operator wants the subscriber to attach anew (as Open5GS does).
// true: its nodes are told.
static bool maybe_cancel(const struct app_document *d, const struct s6a_said *said)
{
	struct slice text;
	if (!said->cancel || !d->old || !d->content_changed ||
	    local_read_document(d->l->local, d->op->rec.imsi, &text) != 1)
		return false;
	json_t *before = json_loadb((const char *)text.p, text.len, 0, NULL);
	bool is_new = !json_is_true(json_object_get(before, "request_cancel_location"));
	json_decref(before);
	if (is_new)
		s6a_cancel_all(d->l, d->op, d->old, CLR_REATTACH);
	return is_new;
}

// Another HSS of ours has this registration and tells the node of changes: it is told once.
static struct s6a_serving registered_elsewhere(const struct app_document *d, struct s6a_serving v)
{
	if (v.host.len && d->s->node && is_others_word(d))
		v.flags |= SERVING_ELSEWHERE;
	return v;
}

static int from_feed(const struct app_document *d, const struct s6a_said *said)
{
	struct s6a_state now = {0};
	struct s6a_serving mme = said_of(said, S6A_MME), sgsn = said_of(said, S6A_SGSN);
	if (d->old)
		s6a_state_of(d->l->cache, d->old, &now);
	struct s6a_decision what = {.next = now};
	// an empty name comes from a form; a writer that removes the location leaves no field
	bool take_mme = (mme.host.len || (mme.time_us && !said->mme_there)) && is_newer(d, &mme, &now.serving[S6A_MME]);
	bool take_sgsn = is_newer(d, &sgsn, &now.serving[S6A_SGSN]);
	bool restore = !take_mme && state_is_lost(d, &mme, &sgsn, &now);
	if (take_mme) {
		cancel_lost(d, &now, S6A_MME, mme.host, &what);
		what.next.serving[S6A_MME] = registered_elsewhere(d, mme);
		if (d->s->imeisv)
			what.next.imeisv = d->s->imeisv;
	}
	if (take_sgsn) {
		cancel_lost(d, &now, S6A_SGSN, sgsn.host, &what);
		what.next.serving[S6A_SGSN] = registered_elsewhere(d, sgsn);
	}
	if (!take_mme && !take_sgsn && !restore)
		return 0;
	if (!s6a_decide(d->l, d->op, &what, restore ? S6A_TELL_UPSTREAM : 0))
		return -ENOSPC;
	return restore ? APP_TAKEN | APP_RESTORE : APP_TAKEN;
}

int s6a_document(const struct app_document *d)
{
	struct s6a_said said;
	if (!s6a_said_get(d->said, &said))
		bug("a document's location is not what its reader wrote");
	bool cancelled = d->feed && maybe_cancel(d, &said);
	int rc = d->feed ? from_feed(d, &said) : from_file(d, &said);
	if (rc < 0 || !d->old || cancelled)
		return rc;
	int pushed = s6a_push(d);
	return pushed < 0 ? pushed : rc | pushed;
}

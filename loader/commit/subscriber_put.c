// provision_put: see provision.h. Where the SQN of a new or changed subscriber is decided (law 5): never
// lower than anything that may have been used with this key.
#include <errno.h>
#include <stdio.h>
#include "loader/upstream/outbox.h"
#include "loader/commit/hss_request.h"
#include "loader/admin/provision.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

struct putting {
	struct loader *l;
	const struct put *p;	      // one of these two
	const struct put_feed *feed;
	struct record_error *e;
	const struct cache_profile *profile;
	const uint8_t *digest;
	struct subscription s;
	struct record_image image;
	const struct cache_record *old;
	struct op *op;
	struct doc_put doc;
	bool same_content; // of the feed's document: only its state differs from what is stored
};

static bool refuse(struct putting *u, const char *text)
{
	snprintf(u->e->text, sizeof(u->e->text), "%s", text);
	return false;
}

// Fresh words: for a subscriber that is new, or has a new key. A row that is left from before is continued.
static bool new_words(struct putting *u, uint64_t seq)
{
	struct sqn_row old;
	struct sqn_range range;
	if (u->old)
		local_leaves_sqn_row(u->l->local);
	int rc = local_has_left_sqn_rows(u->l->local) ? local_read_sqn(u->l->local, u->s.imsi, u->image.fp, &old) : 0;
	if (rc < 0)
		return refuse(u, "the local database could not be read");
	memcpy(u->doc.sqn.fp, u->image.fp, SQN_FP_LEN);
	if (!sqn_row_continue(rc ? &old : NULL, seq, u->l->run, &u->doc.sqn, &range))
		return refuse(u, "security.sqn: the end of the SQN space is reached");
	u->doc.has_sqn = true;
	u->op->rec.sqn = UINT32_MAX;
	u->op->next = range.next;
	u->op->limit = range.limit;
	return true;
}

// The key stays: so do the words, raised when the document says so, lowered only with another OPc.
static bool same_words(struct putting *u, uint64_t seq)
{
	struct sqn_range range;
	uint64_t next = loader_seq_next(u->l, u->old->sqn);
	bool opc_changed = !secret_equal(u->old->opc, u->image.opc, 16);
	u->op->rec.sqn = u->old->sqn;
	if (!u->s.has_sqn || seq == next || (seq < next && !opc_changed))
		return true;
	memcpy(u->doc.sqn.fp, u->image.fp, SQN_FP_LEN);
	if (!sqn_row_continue(NULL, seq, u->l->run, &u->doc.sqn, &range))
		return refuse(u, "security.sqn: the end of the SQN space is reached");
	u->doc.has_sqn = true;
	u->op->what |= seq < next ? OP_SQN_SET : OP_SQN_RAISE;
	u->op->sqn = u->old->sqn;
	u->op->next = range.next;
	u->op->limit = range.limit;
	// a raise beyond a limit that is already higher must not write a lower row
	uint64_t limit = loader_seq_limit(u->l, u->old->sqn);
	if (seq > next && limit > u->doc.sqn.ceiling)
		u->doc.sqn.ceiling = u->op->limit = limit;
	return true;
}

static bool fill_record(struct putting *u)
{
	struct cache_record *r = &u->op->rec;
	if (u->old)
		*r = *u->old;
	r->imsi = u->s.imsi;
	r->msisdn[0] = u->image.msisdn[0];
	r->msisdn[1] = u->image.msisdn[1];
	memcpy(r->k, u->image.k, 16);
	memcpy(r->opc, u->image.opc, 16);
	r->amf = u->image.amf;
	r->alg = u->image.alg;
	r->taken_ind = u->image.taken_ind;
	r->flags = (uint8_t)((r->flags & STATE_FLAGS) | u->image.flags);
	r->profile = builder_profile(u->l->builder, u->profile);
	if (r->profile)
		return true;
	loader_stat(u->l, STAT_CACHE_FULL, 1);
	return refuse(u, "the cache has no room for another subscription profile");
}

// A subscriber that comes with a location (an export of another HSS) keeps it.
static void write_state(struct putting *u)
{
	struct cache_record *r = &u->op->rec;
	if (u->old || (!u->s.mme_host.len && !u->s.imeisv))
		return;
	struct state_image st = {.mme_host = u->s.mme_host,
				 .mme_realm = u->s.mme_realm,
				 .mme_time_us = u->s.mme_time_us,
				 .imeisv = u->s.imeisv,
				 .flags = u->s.purged && u->s.mme_host.len ? RECORD_MME_PURGED : 0};
	r->mme = st.mme_host.len ? builder_node(u->l->builder, st.mme_host, st.mme_realm) : 0;
	r->mme_time_us = st.mme_time_us;
	r->imeisv = st.imeisv;
	r->flags |= st.flags;
	struct wr w = txn_entry(u->l);
	entry_put_state(&w, &st, &(struct state_extra){0});
	txn_entry_end(u->l, &w, ENTRY_STATE, r->imsi);
}

static void write_document(struct putting *u)
{
	uint8_t record[RECORD_BODY_LEN];
	struct wr rw = wr_of(record, sizeof(record));
	record_image_put(&rw, &u->image);
	u->doc.record = wr_done(&rw);
	u->doc.document = u->feed ? slice_of(u->feed->doc->text, u->feed->doc->text_len) : u->p->text;
	memcpy(u->doc.digest, u->digest, 16);
	if (!local_has_profile(u->l->local, u->doc.digest))
		u->doc.profile = slice_of(u->profile, u->profile->len);
	struct wr w = txn_entry(u->l);
	entry_put_doc(&w, &u->doc);
	txn_entry_end(u->l, &w, ENTRY_DOC_PUT, u->s.imsi);
	secret_wipe(record, sizeof(record));
}

static bool has_room(struct putting *u)
{
	struct loader *l = u->l;
	if (!u->feed && !txn_has_slot(l))
		return refuse(u, "the cache waits for a worker that stands still; try again");
	if (u->old || l->header->subscriber_cnt + txn_waiting(l) < l->header->max_subscribers)
		return true;
	loader_stat(l, STAT_CACHE_FULL, 1);
	return refuse(u, "the cache is full (cache.max_subscribers)");
}

// Nothing is known of it: many such ones at once go past the journal (bulk.h).
static void note_new(struct putting *u)
{
	struct local *local = u->l->local;
	if (!u->old && u->op->what == OP_PUT && u->op->own_cnt == 0 &&
	    !local_unfolded(local, u->s.imsi, u->image.fp, local_folded(local)))
		u->op->what |= OP_NEW;
}

static bool put(struct putting *u)
{
	struct loader *l = u->l;
	if (!record_parse(&l->records, u->p->document, &u->s, u->e))
		return false;
	u->op = txn_begin(l, u->s.imsi.v, u->p->text.len + RECORD_PROFILE_MAX + 4096);
	if (!u->op)
		return refuse(u, "the document is too large");
	u->old = loader_find(l, u->s.imsi);
	if (u->old && u->p->mode == PUT_ADD)
		return refuse(u, "the subscriber exists");
	if (!has_room(u) || !record_build(&l->records, &u->s, &u->image, u->e))
		return false;
	u->profile = l->records.profile;
	u->digest = l->records.digest;
	u->op->what = OP_PUT;
	u->op->done = u->p->done;
	u->op->id = u->p->id;
	u->op->answer[0] = u->p->answer;
	if (!fill_record(u))
		return false;
	uint64_t seq = record_seq(u->s.sqn);
	bool same_key = u->old && secret_equal(u->old->k, u->image.k, 16);
	if (!(same_key ? same_words(u, seq) : new_words(u, seq)))
		return false;
	write_document(u);
	write_state(u);
	note_new(u);
	return txn_add(l, u->op) || refuse(u, "the document is too large");
}

bool provision_put(struct loader *l, const struct put *p, struct record_error *e)
{
	struct putting u = {.l = l, .p = p, .e = e};
	bool ok = put(&u);
	if (!ok && u.op)
		txn_forget(l, u.op);
	secret_wipe(&u.s, offsetof(struct subscription, apn));
	secret_wipe(&u.image, sizeof(u.image));
	return ok;
}

// ---- from the upstream (law 8)

// The IND that the field carries is that of its other writers, who draw with it, and after a resynchronisation with the
// next one: where either is one of ours, the spare one stands in (law 5).
static void note_taken(struct putting *u)
{
	unsigned ind = (unsigned)(u->s.sqn & 31), first = u->l->config ? u->l->config->node_id * 8 : 0;
	if (ind + 1 < first || ind > first + 7)
		return;
	u->image.flags |= RECORD_IND_SPARE;
	u->image.taken_ind = (uint8_t)ind;
}

// ---- locations (law 8): of several HSSs on one database the newest wins, of the MME and of the SGSN each

static bool is_node(const struct putting *u, uint32_t node, struct slice host)
{
	struct slice h, realm;
	return cache_node_get(u->l->cache, node, &h, &realm) && slice_eq_nocase(h, host);
}

// At the same time it is the same registration, and only the mark of a purge can be news; not when we wrote last: then
// somebody has put an old one there.
static bool is_others_word(const struct putting *u)
{
	return u->feed->doc->node != 1 + (u->l->config ? u->l->config->node_id : 0);
}

static bool mme_is_newer(const struct putting *u)
{
	const struct subscription *s = &u->s;
	const struct cache_record *old = u->old;
	bool removed = s->mme_host.len == 0 && s->mme_time_us && u->feed->doc->mme_gone;
	if (s->mme_host.len == 0 && !removed)
		return false;
	if (!old || s->mme_time_us > old->mme_time_us)
		return !removed || (old && old->mme);
	return s->mme_time_us == old->mme_time_us && s->purged && !(old->flags & RECORD_MME_PURGED) &&
	       is_node(u, old->mme, s->mme_host) && is_others_word(u);
}

static bool sgsn_is_newer(const struct putting *u)
{
	const struct up_doc *d = u->feed->doc;
	const struct cache_record *old = u->old;
	if (!old || d->sgsn_time_us > old->sgsn_time_us)
		return d->sgsn_host.len || (old && old->sgsn);
	return d->sgsn_time_us == old->sgsn_time_us && d->sgsn_purged && !(old->flags & RECORD_SGSN_PURGED) &&
	       is_node(u, old->sgsn, d->sgsn_host) && is_others_word(u);
}

// A stamp of ours that the document does not have, or a location that differs under the same stamp. A form of the WebUI that
// was opened before an attach empties the location, or brings back what was there before, and leaves mme_timestamp; a script
// that saves the document as it was leaves an older one, or nothing. Whether its other members changed says nothing.
static bool mme_is_lost(const struct putting *u)
{
	const struct subscription *s = &u->s;
	const struct cache_record *old = u->old;
	if (s->mme_time_us != old->mme_time_us)
		return s->mme_time_us < old->mme_time_us;
	if (!old->mme || s->mme_host.len == 0) // one of the two has none; without a stamp neither ever had one
		return old->mme ? s->mme_host.len == 0 : s->mme_time_us && s->mme_host.len && !is_others_word(u);
	bool same = is_node(u, old->mme, s->mme_host) && s->purged == !!(old->flags & RECORD_MME_PURGED) &&
		    (s->imeisv || !old->imeisv);
	return !same && !is_others_word(u);
}

static bool sgsn_is_lost(const struct putting *u)
{
	const struct up_doc *d = u->feed->doc;
	const struct cache_record *old = u->old;
	if (d->sgsn_time_us != old->sgsn_time_us)
		return d->sgsn_time_us < old->sgsn_time_us;
	if (!old->sgsn || d->sgsn_host.len == 0)
		return old->sgsn ? d->sgsn_host.len == 0 : d->sgsn_time_us && d->sgsn_host.len && !is_others_word(u);
	bool same = is_node(u, old->sgsn, d->sgsn_host) && d->sgsn_purged == !!(old->flags & RECORD_SGSN_PURGED);
	return !same && !is_others_word(u);
}

// Is our state missing there although nobody has a newer one, and nothing of it is on its way there? An image that is older
// than our last write says so, too: then the same is written once more, which changes nothing.
static bool state_is_lost(const struct putting *u)
{
	return u->old && u->feed->note && u->l->outbox && !outbox_has(u->l, u->old) && (mme_is_lost(u) || sgsn_is_lost(u));
}

// The node that served until now, if its connection is here: nobody else can tell it.
static void cancel_lost(struct putting *u, uint32_t node, struct slice now, uint32_t type, uint32_t flags)
{
	struct slice host, realm;
	uint32_t frontend, conn, generation;
	struct loader *l = u->l;
	if (!cache_node_get(l->cache, node, &host, &realm) || slice_eq_nocase(host, now))
		return;
	if (l->control && control_peer_find(l->control, host, &frontend, &conn, &generation) >= 0)
		own_clr(l, u->op, u->old->imsi, host, realm, type, flags, 0);
}

static void take_mme(struct putting *u)
{
	struct cache_record *r = &u->op->rec;
	bool removed = u->s.mme_host.len == 0;
	if (u->old && !(u->old->flags & RECORD_MME_PURGED))
		cancel_lost(u, u->old->mme, u->s.mme_host, removed ? CANCEL_WITHDRAWAL : CANCEL_MME_UPDATE,
			    removed ? CLR_S6A | CLR_REATTACH : CLR_S6A);
	r->mme = removed ? 0 : builder_node(u->l->builder, u->s.mme_host, u->s.mme_realm);
	r->mme_time_us = u->s.mme_time_us;
	r->flags &= (uint8_t) ~(RECORD_MME_PURGED | RECORD_MME_COMBINED);
	r->flags |= u->s.purged && !removed ? RECORD_MME_PURGED : 0;
	memset(r->mme_plmn, 0, 3);
	if (u->s.imeisv)
		r->imeisv = u->s.imeisv;
}

static void take_sgsn(struct putting *u)
{
	const struct up_doc *d = u->feed->doc;
	struct cache_record *r = &u->op->rec;
	if (u->old && !(u->old->flags & RECORD_SGSN_PURGED))
		cancel_lost(u, u->old->sgsn, d->sgsn_host, CANCEL_SGSN_UPDATE, 0);
	r->sgsn = d->sgsn_host.len ? builder_node(u->l->builder, d->sgsn_host, d->sgsn_realm) : 0;
	r->sgsn_time_us = d->sgsn_time_us;
	r->flags &= (uint8_t)~RECORD_SGSN_PURGED;
	r->flags |= d->sgsn_purged && d->sgsn_host.len ? RECORD_SGSN_PURGED : 0;
	memcpy(r->sgsn_plmn, d->sgsn_plmn, 3);
}

static void write_location(struct putting *u, bool restore)
{
	const struct cache_record *r = &u->op->rec;
	struct state_image st = {.mme_time_us = r->mme_time_us,
				 .sgsn_time_us = r->sgsn_time_us,
				 .imeisv = r->imeisv,
				 .key = {r->change_key[0], 0},
				 .flags = r->flags};
	(void)cache_node_get(u->l->cache, r->mme, &st.mme_host, &st.mme_realm);
	(void)cache_node_get(u->l->cache, r->sgsn, &st.sgsn_host, &st.sgsn_realm);
	memcpy(st.mme_plmn, r->mme_plmn, 3);
	memcpy(st.sgsn_plmn, r->sgsn_plmn, 3);
	struct wr w = txn_entry(u->l);
	entry_put_state(&w, &st, &(struct state_extra){.outbox = restore});
	txn_entry_end(u->l, &w, ENTRY_STATE, r->imsi);
}

// true: something was written.
static bool locations(struct putting *u)
{
	bool mme = mme_is_newer(u), sgsn = sgsn_is_newer(u), restore = !mme && state_is_lost(u);
	if (mme)
		take_mme(u);
	if (sgsn)
		take_sgsn(u);
	if (restore)
		u->op->answer[1] |= OUTBOX_RESTORE;
	if (mme || sgsn || restore)
		write_location(u, restore);
	return mme || sgsn || restore;
}

// request_cancel_location, newly true: the operator wants the subscriber to attach anew (as Open5GS does).
static void maybe_cancel(struct putting *u)
{
	struct slice text;
	if (!u->feed->doc->cancel_location || !u->old || u->same_content ||
	    local_read_document(u->l->local, u->s.imsi, &text) != 1)
		return;
	json_t *before = json_loadb((const char *)text.p, text.len, 0, NULL);
	if (!json_is_true(json_object_get(before, "request_cancel_location")))
		location_withdraw(u->l, u->op, u->old, CLR_REATTACH);
	json_decref(before);
}

static void write_sqn_row(struct putting *u)
{
	struct wr w = txn_entry(u->l);
	entry_put_sqn(&w, &u->doc.sqn);
	txn_entry_end(u->l, &w, ENTRY_SQN_ROW, u->s.imsi);
}

static bool feed_prepare(struct putting *u)
{
	const struct up_doc *d = u->feed->doc;
	u->s.imsi = d->imsi;
	u->s.has_sqn = d->has_sqn;
	u->s.sqn = d->sqn;
	u->s.mme_host = d->mme_host;
	u->s.mme_realm = d->mme_realm;
	u->s.mme_time_us = d->mme_time_us;
	u->s.imeisv = d->imeisv;
	u->s.purged = d->purged;
	u->image = d->image;
	u->profile = d->profile;
	u->digest = d->profile_digest;
	u->doc.has_upstream = true;
	u->doc.up_id = d->id;
	u->doc.up_digest = d->digest;
	note_taken(u);
	u->op = txn_begin(u->l, d->imsi.v, d->text_len + RECORD_PROFILE_MAX + 4096);
	return u->op || refuse(u, "the document is too large");
}

// Is it about the document that the subscriber is?
static bool is_its_document(struct putting *u)
{
	uint64_t id = 0, digest = 0;
	if (!u->old)
		return true;
	int rc = local_read_upstream(u->l->local, u->s.imsi, &id, &digest);
	bool known = rc == 1 && id == u->doc.up_id;
	u->same_content = known && digest == u->doc.up_digest;
	if (rc < 0)
		return refuse(u, "the local database could not be read");
	return !u->old || rc == 0 || known || u->feed->takes_over || refuse(u, "another document has this IMSI, too");
}

// The SEQ that the field speaks of. What we write there ourselves has the field's own IND: as long as its SEQ is not
// above ours, nobody has used more.
static uint64_t followed_seq(const struct putting *u)
{
	uint64_t seq = u->s.sqn >> 5;
	return seq > loader_seq_next(u->l, u->old->sqn) ? record_seq(u->s.sqn) : seq;
}

static enum put_result put_feed(struct putting *u)
{
	if (!feed_prepare(u))
		return PUT_REFUSED;
	u->old = loader_find(u->l, u->s.imsi);
	if (!is_its_document(u) || !has_room(u))
		return PUT_REFUSED;
	u->op->done = u->feed->done;
	u->op->id = u->feed->id;
	u->op->answer[0] = u->feed->answer;
	u->op->answer[1] = u->feed->note;
	if (!fill_record(u))
		return PUT_REFUSED;
	bool same_key = u->old && secret_equal(u->old->k, u->image.k, 16);
	if (!(same_key ? same_words(u, followed_seq(u)) : new_words(u, record_seq(u->s.sqn))))
		return PUT_REFUSED;
	if (!same_key && u->op->next > u->s.sqn >> 5)
		u->op->answer[1] |= OUTBOX_RAISE;
	bool write = !u->same_content || !u->old || u->old->taken_ind != u->image.taken_ind ||
		     ((u->old->flags ^ u->image.flags) & RECORD_IND_SPARE);
	if (write)
		maybe_cancel(u);
	bool moved = locations(u);
	if (write)
		write_document(u);
	else if (u->doc.has_sqn)
		write_sqn_row(u);
	if (!u->old || memcmp(u->old, &u->op->rec, sizeof(*u->old)) != 0)
		u->op->what |= OP_PUT;
	if (!write && !moved && !u->op->what)
		return PUT_NOTHING;
	note_new(u);
	return txn_add(u->l, u->op) || refuse(u, "the document is too large") ? PUT_BEGUN : PUT_REFUSED;
}

enum put_result provision_put_feed(struct loader *l, const struct put_feed *p, struct record_error *e)
{
	struct putting u = {.l = l, .feed = p, .e = e};
	enum put_result result = put_feed(&u);
	if (result != PUT_BEGUN && u.op)
		txn_forget(l, u.op);
	secret_wipe(&u.image, sizeof(u.image));
	return result;
}

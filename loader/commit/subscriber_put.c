// Stores a subscriber's document, new or changed (provision_put of provision.h). Here it is decided with
// which SQN the subscriber goes on (law 5): never below anything that may have been used with this key.
// Loader process, main thread.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/upstream/outbox.h"
#include "loader/commit/app_data.h"
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
	struct subscription *s;
	struct record_image image;
	const struct cache_record *old;
	struct op *op;
	struct doc_put doc;
	struct slice text; // the document as it is stored
	struct app_data data; // what applications make of it
	bool same_content; // the feed's document differs from the stored one in its state only
};

static bool refuse(struct putting *u, const char *text)
{
	snprintf(u->e->text, sizeof(u->e->text), "%s", text);
	return false;
}

// Takes new SQN words, for a new subscriber or a new key. If there is a row from before, they go on above it.
static bool new_words(struct putting *u, uint64_t seq)
{
	struct sqn_row old;
	struct sqn_range range;
	if (u->old)
		local_leaves_sqn_row(u->l->local);
	int rc = local_has_left_sqn_rows(u->l->local) ? local_read_sqn(u->l->local, u->s->imsi, u->image.fp, &old) : 0;
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

// Keeps the SQN words, since the key is the same. They are raised if the document has a higher SQN, and
// lowered only with another OPc.
static bool same_words(struct putting *u, uint64_t seq)
{
	struct sqn_range range;
	uint64_t next = loader_seq_next(u->l, u->old->sqn);
	bool opc_changed = !secret_equal(u->old->opc, u->image.opc, 16);
	u->op->rec.sqn = u->old->sqn;
	if (!u->s->has_sqn || seq == next || (seq < next && !opc_changed))
		return true;
	memcpy(u->doc.sqn.fp, u->image.fp, SQN_FP_LEN);
	if (!sqn_row_continue(NULL, seq, u->l->run, &u->doc.sqn, &range))
		return refuse(u, "security.sqn: the end of the SQN space is reached");
	u->doc.has_sqn = true;
	u->op->what |= seq < next ? OP_SQN_SET : OP_SQN_RAISE;
	u->op->sqn = u->old->sqn;
	u->op->next = range.next;
	u->op->limit = range.limit;
	// the limit may be higher than what the document needs: no lower row may be written
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
	r->imsi = u->s->imsi;
	r->msisdn[0] = u->image.msisdn[0];
	r->msisdn[1] = u->image.msisdn[1];
	memcpy(r->k, u->image.k, 16);
	memcpy(r->opc, u->image.opc, 16);
	r->amf = u->image.amf;
	r->alg = u->image.alg;
	r->taken_ind = u->image.taken_ind;
	r->flags = u->image.flags;
	r->profile = builder_profile(u->l->builder, u->profile);
	if (r->profile)
		return true;
	loader_stat(u->l, STAT_CACHE_FULL, 1);
	return refuse(u, "the cache has no room for another subscription profile");
}

// What the document says of this application's state. Of the upstream's the thread that read it has told.
static struct slice said_of(const struct putting *u, const struct doc_reader *reader, uint8_t *out)
{
	const struct record_ctx *c = &u->l->records;
	if (!reader)
		return (struct slice){0};
	if (u->feed)
		return u->feed->doc->said[reader->owner];
	for (unsigned i = 0; i < c->reader_cnt; i++)
		if (c->reader[i] == reader)
			return record_said(c, u->s, i, out);
	return (struct slice){0};
}

// What the document says of the applications' state. false: no room in the cache; u->e says so.
static bool take_states(struct putting *u, bool content_changed, int *taken)
{
	struct app_document d = {.l = u->l,
				       .op = u->op,
				       .old = u->old,
				       .s = u->s,
				       .feed = u->feed ? u->feed->doc : NULL,
				       .content_changed = content_changed,
				       .may_restore = u->feed && u->feed->note,
				       .e = u->e};
	uint8_t octets[DOC_SAID_MAX];
	*taken = 0;
	app_data_claim(u->l, &u->data, true);
	for (unsigned i = 0; i < CACHE_APP_MAX; i++) {
		const struct loader_app *app = loader_app(u->l, i);
		if (!app || !app->document)
			continue;
		d.data = u->data.octets[i];
		d.said = said_of(u, app->reader, octets);
		int rc = app->document(&d);
		if (rc == -EINVAL)
			return false;
		if (rc < 0)
			return refuse(u, "the cache has no room for another serving node");
		*taken |= rc;
	}
	return true;
}

static void write_document(struct putting *u)
{
	uint8_t record[RECORD_BODY_LEN];
	struct wr rw = wr_of(record, sizeof(record));
	record_image_put(&rw, &u->image);
	u->doc.record = wr_done(&rw);
	u->doc.document = u->text;
	memcpy(u->doc.digest, u->digest, 16);
	if (!local_has_profile(u->l->local, u->doc.digest))
		u->doc.profile = slice_of(u->profile, u->profile->len);
	struct wr w = txn_entry(u->l);
	entry_put_doc(&w, &u->doc);
	txn_entry_end(u->l, &w, ENTRY_DOC_PUT, u->s->imsi);
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

// Marks the subscriber as new if nothing is known of it: large numbers of such subscribers bypass the journal
// (bulk.h).
static void note_new(struct putting *u)
{
	struct local *local = u->l->local;
	if (!u->old && u->op->what == OP_PUT && u->op->request_cnt == 0 && u->op->state_cnt == 0 &&
	    !local_unfolded(local, u->s->imsi, u->image.fp, local_folded(local)))
		u->op->what |= OP_NEW;
}

static bool put(struct putting *u)
{
	struct loader *l = u->l;
	if (!record_parse(&l->records, u->p->document, u->s, u->e) ||
	    !app_data_read(l, u->p->document, u->text, &u->data, u->e))
		return false;
	app_data_claim(l, &u->data, false);
	u->op = txn_begin(l, u->s->imsi.v, u->text.len + RECORD_PROFILE_MAX + TXN_APPS_ROOM);
	if (!u->op)
		return refuse(u, "the document is too large");
	u->old = loader_find(l, u->s->imsi);
	if (u->old && u->p->mode == PUT_ADD)
		return refuse(u, "the subscriber exists");
	if (!has_room(u) || !record_build(&l->records, u->s, &u->image, u->e))
		return false;
	u->profile = l->records.profile;
	u->digest = l->records.digest;
	u->op->what = OP_PUT;
	u->op->done = u->p->done;
	u->op->id = u->p->id;
	u->op->answer[0] = u->p->answer;
	if (!fill_record(u))
		return false;
	uint64_t seq = record_seq(u->s->sqn);
	bool same_key = u->old && secret_equal(u->old->k, u->image.k, 16);
	// law 5: the same key goes on with its words, another one gets new words
	if (!(same_key ? same_words(u, seq) : new_words(u, seq)))
		return false;
	write_document(u);
	int taken;
	if (!take_states(u, true, &taken))
		return false;
	note_new(u);
	return txn_add(l, u->op) || refuse(u, "the document is too large");
}

// A document that is stored otherwise than it was given.
static struct slice stored_text(const json_t *stored, char **text)
{
	*text = json_dumps(stored, JSON_COMPACT);
	return *text ? slice_str(*text) : (struct slice){0};
}

static void stored_free(json_t *stored, char *text)
{
	if (text)
		secret_wipe(text, strlen(text));
	free(text);
	json_decref(stored);
}

bool provision_put(struct loader *l, const struct put *p, struct record_error *e)
{
	struct subscription s; // large: record_parse sets what is used of it
	struct putting u = {.l = l, .p = p, .e = e, .text = p->text, .s = &s};
	char *text = NULL;
	struct put instead = *p;
	json_t *stored = app_data_stored(l, p->document, p->text);
	if (stored) {
		u.text = stored_text(stored, &text);
		instead.document = stored;
		u.p = &instead;
	}
	bool ok = put(&u);
	stored_free(stored, text);
	if (!ok && u.op)
		txn_forget(l, u.op);
	secret_wipe(&s, offsetof(struct subscription, of_apps));
	secret_wipe(&u.image, sizeof(u.image));
	return ok;
}

// ---- from the upstream (law 8)

// Other programs draw SQNs with the IND that the field carries, and with the next IND after a
// resynchronisation. If either is one of ours, the spare IND takes its place (law 5).
static void note_taken(struct putting *u)
{
	unsigned ind = (unsigned)(u->s->sqn & 31), first = u->l->config ? u->l->config->node_id * 8 : 0;
	if (ind + 1 < first || ind > first + 7)
		return;
	u->image.flags |= RECORD_IND_SPARE;
	u->image.taken_ind = (uint8_t)ind;
}

static void write_sqn_row(struct putting *u)
{
	struct wr w = txn_entry(u->l);
	entry_put_sqn(&w, &u->doc.sqn);
	txn_entry_end(u->l, &w, ENTRY_SQN_ROW, u->s->imsi);
}

static bool feed_prepare(struct putting *u)
{
	const struct up_doc *d = u->feed->doc;
	u->s->imsi = d->imsi;
	u->s->has_sqn = d->has_sqn;
	u->s->sqn = d->sqn;
	u->s->imeisv = d->imeisv;
	u->s->node = d->node;
	u->image = d->image;
	u->profile = d->profile;
	u->digest = d->profile_digest;
	u->doc.has_upstream = true;
	u->doc.up_id = d->id;
	u->doc.up_digest = d->digest;
	note_taken(u);
	if (!app_data_read(u->l, NULL, u->text, &u->data, u->e))
		return false;
	app_data_claim(u->l, &u->data, false);
	u->op = txn_begin(u->l, d->imsi.v, u->text.len + RECORD_PROFILE_MAX + TXN_APPS_ROOM);
	return u->op || refuse(u, "the document is too large");
}

// Does this image belong to the document that the subscriber was made of?
static bool is_its_document(struct putting *u)
{
	uint64_t id = 0, digest = 0;
	if (!u->old)
		return true;
	int rc = local_read_upstream(u->l->local, u->s->imsi, &id, &digest);
	bool known = rc == 1 && id == u->doc.up_id;
	u->same_content = known && digest == u->doc.up_digest;
	if (rc < 0)
		return refuse(u, "the local database could not be read");
	return !u->old || rc == 0 || known || u->feed->takes_over || refuse(u, "another document has this IMSI, too");
}

// The SEQ to go on with, as far as the field says. Our own writes keep the field's IND, so as long as its SEQ
// is not above ours, no other program has used more.
static uint64_t followed_seq(const struct putting *u)
{
	uint64_t seq = u->s->sqn >> 5;
	return seq > loader_seq_next(u->l, u->old->sqn) ? record_seq(u->s->sqn) : seq;
}

static enum put_result put_feed(struct putting *u)
{
	if (!feed_prepare(u))
		return PUT_REFUSED;
	u->old = loader_find(u->l, u->s->imsi);
	if (!is_its_document(u) || !has_room(u))
		return PUT_REFUSED;
	u->op->done = u->feed->done;
	u->op->id = u->feed->id;
	u->op->answer[0] = u->feed->answer;
	u->op->answer[1] = u->feed->note;
	if (!fill_record(u))
		return PUT_REFUSED;
	bool same_key = u->old && secret_equal(u->old->k, u->image.k, 16);
	// law 5: the same key goes on with its words, another one gets new words
	if (!(same_key ? same_words(u, followed_seq(u)) : new_words(u, record_seq(u->s->sqn))))
		return PUT_REFUSED;
	// we know of SQNs that the document does not: the field must follow
	if (!same_key && u->op->next > u->s->sqn >> 5)
		u->op->answer[1] |= OUTBOX_RAISE;
	bool write = !u->same_content || !u->old || u->old->taken_ind != u->image.taken_ind ||
		     ((u->old->flags ^ u->image.flags) & RECORD_IND_SPARE);
	int taken;
	if (!take_states(u, !u->same_content, &taken))
		return PUT_REFUSED;
	bool moved = taken;
	if (taken & APP_RESTORE)
		u->op->answer[1] |= OUTBOX_RESTORE;
	if (write)
		write_document(u);
	else if (u->doc.has_sqn)
		write_sqn_row(u);
	if (!u->old || u->op->state_cnt || memcmp(u->old, &u->op->rec, sizeof(*u->old)) != 0)
		u->op->what |= OP_PUT;
	if (!write && !moved && !u->op->what) // most often: an echo of our own write
		return PUT_NOTHING;
	note_new(u);
	return txn_add(u->l, u->op) || refuse(u, "the document is too large") ? PUT_BEGUN : PUT_REFUSED;
}

enum put_result provision_put_feed(struct loader *l, const struct put_feed *p, struct record_error *e)
{
	struct subscription s; // large: of the applications' part nothing is used
	struct putting u = {.l = l, .feed = p, .e = e, .text = slice_of(p->doc->text, p->doc->text_len), .s = &s};
	memset(&s, 0, offsetof(struct subscription, of_apps));
	char *text = NULL;
	json_t *stored = app_data_stored(l, NULL, u.text);
	if (stored)
		u.text = stored_text(stored, &text);
	enum put_result result = put_feed(&u);
	stored_free(stored, text);
	if (result != PUT_BEGUN && u.op)
		txn_forget(l, u.op);
	secret_wipe(&u.image, sizeof(u.image));
	return result;
}

// provision_put: see provision.h. Where the SQN of a new or changed subscriber is decided (law 5): never
// lower than anything that may have been used with this key.
#include <errno.h>
#include <stdio.h>
#include "cache/loader/provision.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

struct putting {
	struct loader *l;
	const struct put *p;
	struct record_error *e;
	struct subscription s;
	struct record_image image;
	const struct cache_record *old;
	struct op *op;
	struct doc_put doc;
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
	int rc = local_read_sqn(u->l->local, u->s.imsi, u->image.fp, &old);
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
	r->flags = (uint8_t)((r->flags & STATE_FLAGS) | u->image.flags);
	r->profile = builder_profile(u->l->builder, u->l->records.profile);
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
	const struct cache_profile *profile = u->l->records.profile;
	struct wr rw = wr_of(record, sizeof(record));
	record_image_put(&rw, &u->image);
	u->doc.record = wr_done(&rw);
	u->doc.document = u->p->text;
	memcpy(u->doc.digest, u->l->records.digest, 16);
	if (!local_has_profile(u->l->local, u->doc.digest))
		u->doc.profile = slice_of(profile, profile->len);
	struct wr w = txn_entry(u->l);
	entry_put_doc(&w, &u->doc);
	txn_entry_end(u->l, &w, ENTRY_DOC_PUT, u->s.imsi);
	secret_wipe(record, sizeof(record));
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
	if (!u->old && l->header->subscriber_cnt + txn_waiting(l) >= l->header->max_subscribers) {
		loader_stat(l, STAT_CACHE_FULL, 1);
		return refuse(u, "the cache is full (cache.max_subscribers)");
	}
	if (!record_build(&l->records, &u->s, &u->image, u->e))
		return false;
	u->op->what = OP_PUT;
	u->op->done = u->p->done;
	u->op->id = u->p->id;
	u->op->answer[0] = u->p->answer;
	if (!fill_record(u))
		return false;
	uint64_t seq = u->s.sqn >> 5;
	bool same_key = u->old && secret_equal(u->old->k, u->image.k, 16);
	if (!(same_key ? same_words(u, seq) : new_words(u, seq)))
		return false;
	write_document(u);
	write_state(u);
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

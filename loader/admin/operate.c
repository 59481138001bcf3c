// `sqn ...`, `location ...` and `store status` of hss-admin. Loader process, main thread; law 5.
#include <errno.h>
#include <stdio.h>
#include "loader/document/extjson.h"
#include "loader/commit/load.h"
#include "loader/upstream/feed.h"
#include "loader/upstream/outbox.h"
#include "loader/commit/hss_request.h"
#include "loader/admin/provision.h"
#include "loader/upstream/upstream_csv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define JUMP_DEFAULT                                                                                         \
	(1ll << 20) // far above what was ever drawn since the copy, far below the USIM's delta of 2^28
#define JUMP_MAX (1ll << 27)

static const struct cache_record *find(struct loader *l, struct call *c, imsi_t *imsi)
{
	if (!provision_imsi(l, c, imsi))
		return NULL;
	const struct cache_record *r = loader_find(l, *imsi);
	if (!r)
		provision_absent(l, c, *imsi);
	return r;
}

// As JSON number, or as decimal text (what a shell passes on).
static enum ext_result number(const json_t *v, int64_t *out)
{
	return json_is_string(v) ? ext_decimal(json_string_value(v), out) : ext_int(v, out);
}

void sqn_show(struct loader *l, struct call *c)
{
	imsi_t imsi;
	char text[16];
	txn_commit(l);
	const struct cache_record *r = find(l, c, &imsi);
	if (!r)
		return;
	uint64_t seq = loader_seq_next(l, r->sqn);
	imsi_text(imsi, text);
	admin_row_take(l, c,
		       json_pack("{s:s,s:I,s:I,s:i,s:I}", "imsi", text, "sqn", (json_int_t)(seq << 5), "seq",
				 (json_int_t)seq, "ind_bits", 5, "reserved_until",
				 (json_int_t)loader_seq_limit(l, r->sqn)),
		       false);
	admin_end(l, c, ADMIN_OK, NULL);
}

// What was set here is set upstream: a lower value would be followed up again otherwise.
static void seq_is_set(struct loader *l, struct op *op, int error)
{
	struct call *c = l->feed && !error ? admin_call(l, op->id) : NULL;
	char text[24];
	if (!c) {
		provision_done(l, op, error);
		return;
	}
	snprintf(text, sizeof(text), "%llu", (unsigned long long)op->next << 5);
	struct feed_change m = {
	    .kind = UP_SET,
	    .imsi = op->rec.imsi,
	    .json = json_pack("{s:{s:{s:s}}}", "$set", "security.sqn", "$numberLong", text),
	    .done = provision_done,
	    .refused = provision_refused,
	    .id = op->id};
	if (!feed_change_take(l, &m))
		admin_end(l, c, ADMIN_REFUSED, "set here, but too much waits for the upstream");
}

static void set_seq(struct loader *l, struct call *c, const struct cache_record *r, struct op *op,
		    uint64_t sqn)
{
	uint64_t seq = record_seq(sqn);
	struct sqn_row row = {.run = l->run};
	struct sqn_range range;
	bool lower = seq < loader_seq_next(l, r->sqn);
	if (!sqn_row_continue(NULL, seq, l->run, &row, &range) ||
	    sqn_fingerprint(&l->records.hash, r->imsi, r->k, row.fp)) {
		admin_end(l, c, ADMIN_REFUSED, "sqn: too near to the end of the SQN space");
		return;
	}
	uint64_t limit = loader_seq_limit(l, r->sqn);
	if (!lower && limit > range.limit)
		range.limit = row.ceiling = limit;
	*op = (struct op){.done = seq_is_set,
			  .what = lower ? OP_SQN_SET : OP_SQN_RAISE,
			  .rec = {.imsi = r->imsi},
			  .sqn = r->sqn,
			  .next = range.next,
			  .limit = range.limit,
			  .id = c->serial};
	if (range.next << 5 != sqn)
		admin_row_take(l, c,
			       json_pack("{s:I,s:s}", "sqn", (json_int_t)(range.next << 5), "note",
					 "rounded up to the next SEQ: an SQN is SEQ * 32 + IND, and the requesting "
					 "node decides the IND"),
			       false);
	struct wr w = txn_entry(l);
	entry_put_sqn(&w, &row);
	txn_entry_end(l, &w, ENTRY_SQN_ROW, r->imsi);
	if (!txn_add(l, op))
		admin_end(l, c, ADMIN_REFUSED, "could not be written");
}

void sqn_set(struct loader *l, struct call *c)
{
	imsi_t imsi;
	int64_t sqn = 0;
	if (number(json_object_get(c->args, "sqn"), &sqn) != EXT_OK || sqn < 0 || sqn >= 1ll << 48) {
		admin_end(l, c, ADMIN_USAGE, "sqn: expected a decimal SQN below 2^48");
		return;
	}
	if (!provision_imsi(l, c, &imsi))
		return;
	struct op *op = txn_begin(l, imsi.v, 256);
	const struct cache_record *r = find(l, c, &imsi);
	if (!r)
		return;
	uint64_t seq = record_seq((uint64_t)sqn), next = loader_seq_next(l, r->sqn);
	if (seq < next && !json_is_true(json_object_get(c->args, "force")))
		admin_end(l, c, ADMIN_REFUSED,
			  "sqn: %llu is below the current %llu, which could repeat vectors (--force)",
			  (unsigned long long)seq << 5, (unsigned long long)next << 5);
	else
		set_seq(l, c, r, op, (uint64_t)sqn);
}

void sqn_jump(struct loader *l, struct call *c)
{
	int64_t by = JUMP_DEFAULT;
	enum ext_result x = number(json_object_get(c->args, "by"), &by);
	if (x == EXT_WRONG || by < 1 || by > JUMP_MAX) {
		admin_end(l, c, ADMIN_USAGE, "by: expected 1 to %lld", (long long)JUMP_MAX);
		return;
	}
	if (l->header->load_state != CACHE_COMPLETE) {
		admin_end(l, c, ADMIN_REFUSED, "the cache is still being filled");
		return;
	}
	// each run owns a block after the one before: so many runs later everybody is above what was used
	uint64_t runs = ((uint64_t)by + SQN_BLOCK_MIN - 1) / SQN_BLOCK_MIN;
	struct op *op = txn_begin(l, UINT64_MAX - 1, 64);
	op->done = provision_done;
	op->what = OP_RUN;
	op->next = l->run + runs;
	op->id = c->serial;
	json_t *row = json_pack("{s:I}", "seqs", (json_int_t)(runs * SQN_BLOCK_MIN));
	if (runs * SQN_BLOCK_MIN != (uint64_t)by)
		json_object_set_new(row, "note", json_string("rounded up to whole blocks of 256 SEQs"));
	admin_row_take(l, c, row, false);
	struct wr w = txn_entry(l);
	entry_put_u64(&w, op->next);
	txn_entry_end(l, &w, ENTRY_RUN, (imsi_t){0});
	if (txn_add(l, op))
		txn_commit(l); // alone: what comes after it in this batch would be written under the old run
	else
		admin_end(l, c, ADMIN_REFUSED, "could not be written");
}

// ---- location
// --------------------------------------------------------------------------------------------------

// A location of another system may come without its visited network and its time: both are null then.
static json_t *node(struct loader *l, uint32_t index, const uint8_t plmn[3], uint64_t time_us, bool purged)
{
	static const uint8_t unknown[3];
	struct slice host, realm;
	char text[7];
	bool known = plmn_valid(plmn) && memcmp(plmn, unknown, sizeof(unknown)) != 0;
	if (!cache_node_get(l->cache, index, &host, &realm))
		return json_null();
	plmn_text(plmn, text);
	return json_pack("{s:s%,s:s%,s:o,s:o,s:b}", "host", host.p, (size_t)host.len, "realm", realm.p,
			 (size_t)realm.len, "plmn", known ? json_string(text) : json_null(), "time_us",
			 time_us ? json_integer((json_int_t)time_us) : json_null(), "purged", purged);
}

void location_show(struct loader *l, struct call *c)
{
	imsi_t imsi;
	char text[16];
	txn_commit(l);
	const struct cache_record *r = find(l, c, &imsi);
	if (!r)
		return;
	json_t *imei = imeisv_json(r->imeisv);
	imsi_text(imsi, text);
	admin_row_take(
	    l, c,
	    json_pack("{s:s,s:o,s:o,s:o}", "imsi", text, "mme",
		      node(l, r->mme, r->mme_plmn, r->mme_time_us, r->flags & RECORD_MME_PURGED), "sgsn",
		      node(l, r->sgsn, r->sgsn_plmn, r->sgsn_time_us, r->flags & RECORD_SGSN_PURGED),
		      "imeisv", imei ? imei : json_null()),
	    false);
	admin_end(l, c, ADMIN_OK, NULL);
}

void location_withdraw(struct loader *l, struct op *op, const struct cache_record *r, uint32_t flags)
{
	struct slice host, realm;
	if (cache_node_get(l->cache, r->mme, &host, &realm) && !(r->flags & RECORD_MME_PURGED))
		own_clr(l, op, r->imsi, host, realm, CANCEL_WITHDRAWAL, flags | CLR_S6A, 0);
	if (cache_node_get(l->cache, r->sgsn, &host, &realm) && !(r->flags & RECORD_SGSN_PURGED))
		own_clr(l, op, r->imsi, host, realm, CANCEL_WITHDRAWAL, flags, 0);
}

static void cancel_done(struct loader *l, struct op *op, int error)
{
	if (error == 0 && l->outbox)
		outbox_state(l, op->rec.imsi);
	provision_done(l, op, error);
}

void location_cancel(struct loader *l, struct call *c)
{
	imsi_t imsi;
	if (!provision_imsi(l, c, &imsi))
		return;
	struct op *op = txn_begin(l, imsi.v, 8192);
	const struct cache_record *r = find(l, c, &imsi);
	if (!r)
		return;
	if (!r->mme && !r->sgsn) {
		admin_end(l, c, ADMIN_REFUSED, "no node serves this subscriber");
		return;
	}
	*op = (struct op){.done = cancel_done, .what = OP_PUT, .rec = *r, .id = c->serial};
	location_withdraw(l, op, r, CLR_REATTACH);
	op->rec.mme = op->rec.sgsn = 0;
	// the upstream takes what is newer than what it has
	op->rec.mme_time_us = l->outbox ? clock_wall_after_us(r->mme_time_us) : 0;
	op->rec.sgsn_time_us = l->outbox && r->sgsn ? clock_wall_after_us(r->sgsn_time_us) : 0;
	op->rec.flags &= (uint8_t)~STATE_FLAGS;
	struct state_image s = {.imeisv = r->imeisv,
				.key = {r->change_key[0], 0},
				.mme_time_us = op->rec.mme_time_us,
				.sgsn_time_us = op->rec.sgsn_time_us};
	struct wr w = txn_entry(l);
	entry_put_state(&w, &s,
			&(struct state_extra){.has_node = true, .has_ext = true, .outbox = l->outbox != NULL});
	txn_entry_end(l, &w, ENTRY_STATE, imsi);
	if (!txn_add(l, op))
		admin_end(l, c, ADMIN_REFUSED, "could not be written");
}

// ---- status
// ----------------------------------------------------------------------------------------------------

static json_int_t stat_value(const struct loader *l, enum stat_id id)
{
	return l->stats ? (json_int_t)__atomic_load_n((const uint64_t *)&l->stats->c[id], __ATOMIC_RELAXED)
			: 0;
}

void store_status(struct loader *l, struct call *c)
{
	static const char *const state[] = {"empty", "loading", "complete"};
	const struct cache_header *h = l->header;
	uint32_t load = h->load_state <= CACHE_COMPLETE ? h->load_state : CACHE_EMPTY;
	bool failing = txn_failing(l) || local_fold_failing(l->local);
	json_t *row =
	    json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:I}", "load_state", state[load],
		      "subscribers", (json_int_t)h->subscriber_cnt, "loaded", (json_int_t)load_done(l),
		      "load_total", (json_int_t)h->load_total, "limit", (json_int_t)h->max_subscribers,
		      "profiles", (json_int_t)h->profile_cnt, "journal_rows",
		      (json_int_t)(local_seq(l->local) - local_folded(l->local)), "own_pending",
		      (json_int_t)own_pending(l), "bad_records", (json_int_t)load_bad(l), "commits",
		      stat_value(l, STAT_COMMITS), "commit_failures", stat_value(l, STAT_COMMIT_FAILURES),
		      "disk", failing ? "failing" : "ok", "run", (json_int_t)l->run);
	if (l->feed)
		json_object_set_new(row, "upstream", feed_status(l));
	if (l->file)
		json_object_set_new(row, "file", upstream_csv_status(l));
	admin_row_take(l, c, row, false);
	admin_end(l, c, ADMIN_OK, NULL);
}

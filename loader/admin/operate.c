// `sqn ...` and `store status` of hss-admin. Loader process, main thread; law 5.
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

const struct cache_record *provision_find(struct loader *l, struct call *c, imsi_t *imsi)
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
	const struct cache_record *r = provision_find(l, c, &imsi);
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
		    uint64_t seq)
{
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
	const struct cache_record *r = provision_find(l, c, &imsi);
	if (!r)
		return;
	uint64_t seq = record_seq((uint64_t)sqn), next = loader_seq_next(l, r->sqn);
	if (seq < next && !json_is_true(json_object_get(c->args, "force")))
		admin_end(l, c, ADMIN_REFUSED,
			  "sqn: %llu is below the current %llu, which could repeat vectors (--force)",
			  (unsigned long long)seq << 5, (unsigned long long)next << 5);
	else
		set_seq(l, c, r, op, seq);
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
	// each run owns the block after the one before, so `runs` runs later every SEQ is above all that was
	// used
	uint64_t runs = ((uint64_t)by + SQN_BLOCK_MIN - 1) / SQN_BLOCK_MIN;
	struct op *op = txn_begin(l, UINT64_MAX - 1, 64);
	op->done = provision_done;
	op->what = OP_RUN;
	op->next = l->run + runs;
	op->id = c->serial;
	admin_row_take(l, c, json_pack("{s:I}", "seqs", (json_int_t)(runs * SQN_BLOCK_MIN)), false);
	struct wr w = txn_entry(l);
	entry_put_u64(&w, op->next);
	txn_entry_end(l, &w, ENTRY_RUN, (imsi_t){0});
	if (txn_add(l, op))
		txn_commit(l); // alone: what comes after it in this batch would be written under the old run
	else
		admin_end(l, c, ADMIN_REFUSED, "could not be written");
}

// ---- status -------------------------------------------------------------------------------------

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
		      (json_int_t)(local_seq(l->local) - local_folded(l->local)), "hss_requests_pending",
		      (json_int_t)hss_requests_pending(l), "bad_records", (json_int_t)load_bad(l), "commits",
		      stat_value(l, STAT_COMMITS), "commit_failures", stat_value(l, STAT_COMMIT_FAILURES),
		      "disk", failing ? "failing" : "ok", "run", (json_int_t)l->run);
	json_object_set_new(row, "hss_requests_waiting", hss_requests_waiting(l));
	if (l->feed)
		json_object_set_new(row, "upstream", feed_status(l));
	if (l->file)
		json_object_set_new(row, "file", upstream_csv_status(l));
	admin_row_take(l, c, row, false);
	admin_end(l, c, ADMIN_OK, NULL);
}

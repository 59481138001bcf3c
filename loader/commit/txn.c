// Owns the batch: the operations that wait for the next commit, their entries, and the frames that wait for
// the batch after it (txn.h). Loader process, main thread; laws 4 and 6.
#include "loader/commit/txn.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "loader/app.h"
#include "loader/commit/bulk.h"
#include "loader/commit/key_set.h"
#include "loader/commit/load.h"
#include "loader/commit/parts.h"
#include "loader/upstream/outbox.h"
#include "loader/commit/hss_request.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define TXN_OPS       4096u
#define TXN_ENTRIES   (TXN_OPS * 4)
#define TXN_OP_ENTRIES (2 * OP_REQUEST_MAX + 16) // of one operation at most
#define NOTICE_ROOM    (STATE_BODY_MAX + OP_REQUEST_MAX * 1024) // octets of what applications add that take notice
#define TXN_BYTES     (16u << 20) // address space; memory only as far as a batch goes
#define TXN_KEEP      (4u << 20)
#define TXN_KEYS      65536u
#define TXN_CLAIMS    8192u // further keys of a batch
#define TXN_OP_CLAIMS 256u  // of one operation at most
#define LATER_KEYS    4096u
#define LATER_BYTES   (32u << 20) // of all frames that wait

// A worker's frame that waits for the next batch.
struct later {
	struct later *next;
	uint64_t key;
	unsigned worker;
	uint32_t generation;
	struct ipc_hdr hdr;
	uint8_t body[];
};

struct txn {
	struct op *op;
	unsigned op_cnt;
	struct entry *entry;
	unsigned entry_cnt, entry_mark; // mark: entries of operations that are complete
	uint8_t *bytes;
	size_t used, used_mark;
	struct key_set keys;
	uint64_t *claim; // TXN_CLAIMS and TXN_OP_CLAIMS; those below the mark are in `keys`
	unsigned claim_cnt, claim_mark;
	struct event *event;
	bool scheduled, failing;
	bool broken; // an entry of the operation that is being composed did not fit
	struct log_limit limit;
	uint64_t *republish; // subscribers whose publication failed after the commit
	unsigned republish_cnt, republish_cap;
	struct later *later, **later_tail; // in the order of their arrival
	size_t later_bytes;
	uint16_t later_cnt[LATER_KEYS]; // frames a hash of their keys
	bool later_running;
};

static void commit_batch(struct loader *l);

static void on_commit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	txn_turn(arg);
}

int txn_new(struct loader *l)
{
	struct txn *t = l->txn = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->keys = (struct key_set){.place = calloc(TXN_KEYS, sizeof(*t->keys.place)), .mask = TXN_KEYS - 1, .batch = 1};
	t->later_tail = &t->later;
	t->op = calloc(TXN_OPS, sizeof(*t->op));
	t->entry = calloc(TXN_ENTRIES, sizeof(*t->entry));
	t->bytes =
	    mmap(NULL, TXN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->bytes == MAP_FAILED)
		t->bytes = NULL;
	if (l->base)
		t->event = event_new(l->base, -1, 0, on_commit, l);
	t->claim = calloc(TXN_CLAIMS + TXN_OP_CLAIMS, sizeof(*t->claim));
	return t->op && t->entry && t->claim && t->keys.place && t->bytes && (t->event || !l->base) ? bulk_new(l) : -ENOMEM;
}

static void drop_requests(struct op *op)
{
	for (unsigned i = 0; i < op->request_cnt; i++)
		hss_request_free(&op->request[i]);
	op->request_cnt = 0;
}

void txn_free(struct loader *l)
{
	struct txn *t = l->txn;
	bulk_free(l);
	if (!t)
		return;
	if (t->event)
		event_free(t->event);
	for (unsigned i = 0; t->op && i < t->op_cnt; i++)
		drop_requests(&t->op[i]);
	for (struct later *f = t->later, *next; f; f = next) {
		next = f->next;
		free(f);
	}
	if (t->bytes)
		munmap(t->bytes, TXN_BYTES);
	free(t->op);
	free(t->entry);
	free(t->keys.place);
	free(t->republish);
	free(t->claim);
	free(t);
	l->txn = NULL;
}

bool txn_failing(const struct loader *l)
{
	return l->txn->failing;
}

unsigned txn_waiting(const struct loader *l)
{
	return l->txn->op_cnt + bulk_waiting(l);
}

static bool key_waits(const struct loader *l, uint64_t key)
{
	return key_set_has(&l->txn->keys, key, false) || bulk_has(l, key);
}

// ---- frames for the next batch ------------------------------------------------------------------

static uint16_t *later_of(struct txn *t, uint64_t key)
{
	return &t->later_cnt[(ident_hash(key) >> 32) & (LATER_KEYS - 1)];
}

static void later_append(struct txn *t, struct later *f)
{
	f->next = NULL;
	*t->later_tail = f;
	t->later_tail = &f->next;
	t->later_bytes += sizeof(*f) + f->hdr.len;
	++*later_of(t, f->key);
}

enum txn_later txn_later(struct loader *l, unsigned worker, uint64_t key, const struct ipc_hdr *hdr,
			 const uint8_t *body)
{
	struct txn *t = l->txn;
	size_t len = hdr->len - sizeof(*hdr);
	// an earlier frame of the same subscriber must not be overtaken
	if (key == 0 || (!key_waits(l, key) && *later_of(t, key) == 0))
		return TXN_NOW;
	if (t->later_bytes + sizeof(struct later) + hdr->len > LATER_BYTES || *later_of(t, key) == UINT16_MAX)
		return TXN_REFUSE;
	struct later *f = malloc(sizeof(*f) + len);
	if (!f)
		return TXN_REFUSE;
	*f = (struct later){
	    .key = key, .worker = worker, .generation = l->worker[worker].generation, .hdr = *hdr};
	memcpy(f->body, body, len);
	later_append(t, f);
	return TXN_LATER;
}

// Goes once through the list: the first frame of each subscriber goes into the new batch, the others keep
// waiting.
static void later_run(struct loader *l)
{
	struct txn *t = l->txn;
	struct later *f = t->later, *next;
	if (!f || t->later_running)
		return;
	t->later_running = true;
	t->later = NULL;
	t->later_tail = &t->later;
	t->later_bytes = 0;
	memset(t->later_cnt, 0, sizeof(t->later_cnt));
	for (; f; f = next) {
		next = f->next;
		if (key_waits(l, f->key) || *later_of(t, f->key)) {
			later_append(t, f);
			continue;
		}
		if (f->generation ==
		    l->worker[f->worker].generation) // else its worker has died, and the frame is dropped
			loader_frame(l, ROLE_WORKER, f->worker, &f->hdr, f->body);
		free(f);
	}
	t->later_running = false;
}

static void rewind_to_mark(struct txn *t)
{
	t->entry_cnt = t->entry_mark;
	t->used = t->used_mark;
	t->claim_cnt = t->claim_mark;
	t->broken = false;
}

struct op *txn_begin(struct loader *l, uint64_t key, size_t room)
{
	struct txn *t = l->txn;
	if (room + NOTICE_ROOM > TXN_BYTES)
		return NULL;
	rewind_to_mark(t);
	txn_settle(l, key);
	if (t->op_cnt == TXN_OPS || t->entry_cnt + TXN_OP_ENTRIES > TXN_ENTRIES || t->used + room + NOTICE_ROOM > TXN_BYTES ||
	    t->claim_cnt > TXN_CLAIMS)
		commit_batch(l);
	struct op *op = &t->op[t->op_cnt];
	*op = (struct op){.rec = {.imsi = {key}}, .sqn = UINT32_MAX};
	return op;
}

void txn_settle(struct loader *l, uint64_t key)
{
	if (bulk_has(l, key))
		bulk_settle(l);
	if (key_set_has(&l->txn->keys, key, false))
		commit_batch(l);
}

void txn_settle_new(struct loader *l)
{
	bulk_settle(l);
}

void txn_claim(struct loader *l, uint64_t key)
{
	struct txn *t = l->txn;
	if (key && t->claim_cnt < t->claim_mark + TXN_OP_CLAIMS)
		t->claim[t->claim_cnt++] = key;
}

struct wr txn_entry(struct loader *l)
{
	return wr_of(l->txn->bytes + l->txn->used, TXN_BYTES - l->txn->used);
}

void txn_entry_end(struct loader *l, const struct wr *w, enum entry_kind kind, imsi_t imsi)
{
	struct txn *t = l->txn;
	if (w->err || t->entry_cnt == TXN_ENTRIES)
		t->broken = true; // txn_add refuses
	if (t->broken)
		return;
	t->entry[t->entry_cnt++] = (struct entry){.imsi = imsi.v, .kind = kind, .body = wr_done(w)};
	t->used += wr_len(w);
}

void txn_forget(struct loader *l, struct op *op)
{
	drop_requests(op);
	rewind_to_mark(l->txn);
}

// Takes a complete operation into the batch; its entries are the last ones.
static void batch_take(struct txn *t, const struct op *op)
{
	(void)key_set_has(&t->keys, op->rec.imsi.v, true);
	while (t->claim_mark < t->claim_cnt)
		(void)key_set_has(&t->keys, t->claim[t->claim_mark++], true);
	t->entry_mark = t->entry_cnt;
	t->used_mark = t->used;
	t->op_cnt++;
}

void txn_take_back(struct loader *l, const struct op *op, const struct entry *entries, unsigned n)
{
	struct txn *t = l->txn;
	size_t octets = 0;
	for (unsigned i = 0; i < n; i++)
		octets += entries[i].body.len;
	rewind_to_mark(t);
	if (t->op_cnt == TXN_OPS || t->entry_cnt + n > TXN_ENTRIES || t->used + octets > TXN_BYTES)
		commit_batch(l);
	t->op[t->op_cnt] = *op;
	for (unsigned i = 0; i < n; i++) {
		struct wr w = txn_entry(l);
		wr_slice(&w, entries[i].body);
		txn_entry_end(l, &w, entries[i].kind, (imsi_t){entries[i].imsi});
	}
	batch_take(t, &t->op[t->op_cnt]);
}

// Applications that go by the state of another one see its change before it is committed.
static void take_notice(struct loader *l, struct op *op)
{
	const struct cache_record *old = op->what & OP_PUT ? loader_find(l, op->rec.imsi) : NULL;
	for (unsigned i = 0; old && i < CACHE_APP_MAX; i++)
		if (l->app[i] && l->app[i]->noticed)
			l->app[i]->noticed(l, op, old);
}

bool txn_add(struct loader *l, struct op *op)
{
	struct txn *t = l->txn;
	if (!(op->what & OP_NEW))
		take_notice(l, op);
	if (t->broken) {
		txn_forget(l, op);
		return false;
	}
	if (op->what & OP_NEW) {
		const struct op copy = *op;
		unsigned first = t->entry_mark, n = t->entry_cnt - first;
		rewind_to_mark(t);
		bulk_take(l, &copy, t->entry + first, n);
	} else {
		batch_take(t, op);
	}
	if (t->event && !t->scheduled) {
		// The event runs behind every channel that is readable in this turn of the loop, so all of
		// them share the fsync. Frames that waited for this batch go with the next turn; otherwise
		// the channels would never have theirs.
		if (t->later_running)
			event_add(t->event, &(struct timeval){0});
		else
			event_active(t->event, EV_TIMEOUT, 0);
		t->scheduled = true;
	}
	return true;
}

bool txn_has_slot(struct loader *l)
{
	return builder_room(l->builder) > txn_waiting(l);
}

static int put_with_states(struct loader *l, const struct op *op)
{
	struct parts p;
	parts_begin(&p, false);
	for (unsigned i = 0; i < op->state_cnt; i++)
		if (!parts_add(l, &p, &op->state[i]))
			return -ENOSPC;
	return builder_put_with(l->builder, &op->rec, &p.extra);
}

static int publish_put(struct loader *l, struct op *op)
{
	bool fresh = op->rec.sqn == UINT32_MAX;
	const struct cache_record *old = fresh && l->outbox ? cache_find(l->cache, op->rec.imsi) : NULL;
	uint32_t old_words = old ? old->sqn : UINT32_MAX;
	if (fresh) {
		op->rec.sqn = builder_sqn_take(l->builder, op->next, op->limit);
		if (op->rec.sqn == UINT32_MAX)
			return -ENOSPC;
	}
	int rc = op->state_cnt ? put_with_states(l, op) : builder_put(l->builder, &op->rec);
	if (rc && fresh)
		builder_sqn_return(l->builder, op->rec.sqn);
	else if (fresh && l->outbox)
		outbox_moved(l, old_words, op->rec.sqn, op->next);
	return rc;
}

static bool jump_one(void *ctx, const struct cache_record *r)
{
	struct op *op = ctx;
	struct loader *l = op->ctx;
	uint64_t by = (op->next - l->run) * SQN_BLOCK_MIN, limit = loader_seq_limit(l, r->sqn);
	limit = limit > CACHE_SEQ_MAX - by ? CACHE_SEQ_MAX : limit + by;
	uint64_t next = limit >= CACHE_SEQ_MAX ? CACHE_SEQ_MAX : limit - SQN_BLOCK_MIN;
	builder_sqn_raise(l->builder, r->sqn, next, limit);
	return true;
}

static int publish(struct loader *l, struct op *op)
{
	int rc = op->what & OP_PUT ? publish_put(l, op) : 0;
	if (op->what & OP_DELETE && l->outbox && cache_find(l->cache, op->rec.imsi))
		outbox_moved(l, cache_find(l->cache, op->rec.imsi)->sqn, UINT32_MAX, 0);
	if (op->what & OP_DELETE)
		builder_delete(l->builder, op->rec.imsi);
	if (op->what & (OP_PUT | OP_DELETE))
		load_profiles_changed(l);
	if (op->what & OP_SQN_LIMIT)
		builder_sqn_limit(l->builder, op->sqn, op->limit);
	if (op->what & OP_SQN_RAISE && builder_sqn_raise(l->builder, op->sqn, op->next, op->limit))
		op->what |= OP_SQN_RAISED;
	if (op->what & OP_SQN_SET)
		builder_sqn_set(l->builder, op->sqn, op->next, op->limit);
	if (op->what & OP_IND)
		op->answer[0] = (uint64_t)(int64_t)builder_ind_add(l->builder, op->next);
	if (op->what & OP_RUN) {
		struct op jump = {.next = op->next, .ctx = l};
		builder_each(l->builder, jump_one, &jump);
		l->run = l->header->sqn_run = op->next;
	}
	return rc;
}

// The change is durable but not visible. Each later batch tries again to publish it from the database. The
// request is refused; when it is repeated, the change is found to be done.
static void publish_later(struct loader *l, imsi_t imsi, int error)
{
	struct txn *t = l->txn;
	local_leaves_sqn_row(l->local);
	if (log_limit_pass(&t->limit, 5))
		log_error("cache_update_failed",
			  LOG_STR("reason", error == -EAGAIN ? "a worker that stands still keeps all free slots" : err_text(error)));
	if (t->republish_cnt == t->republish_cap) {
		unsigned cap = t->republish_cap ? t->republish_cap * 2 : 1024;
		uint64_t *p = realloc(t->republish, cap * sizeof(*p));
		if (!p)
			bug("no memory for the subscribers whose update of the cache failed");
		t->republish = p;
		t->republish_cap = cap;
	}
	t->republish[t->republish_cnt++] = imsi.v;
}

void txn_finish(struct loader *l, struct op *op, int error)
{
	if (error == 0)
		error = publish(l, op);
	else
		op->what = 0;
	if (error && op->what & OP_PUT)
		publish_later(l, op->rec.imsi, error);
	if (error && !(op->what & OP_PUT))
		drop_requests(op);
	for (unsigned i = 0; i < op->request_cnt; i++)
		hss_request_commit_take(l, &op->request[i]);
	op->request_cnt = 0;
	if (op->done)
		op->done(l, op, error);
}

void txn_commit_failed(struct loader *l, int rc, unsigned operations)
{
	struct txn *t = l->txn;
	local_leaves_sqn_row(l->local); // some rows may be on the disk
	loader_stat(l, STAT_COMMIT_FAILURES, 1);
	if (!t->failing || log_limit_pass(&t->limit, 1))
		log_error("commit_failed", LOG_STR("reason", err_text(rc)), LOG_INT("operations", operations));
	t->failing = true;
}

// Publishes them until one fails again: the others would have no room either, and each batch tries again.
static void republish(struct loader *l)
{
	struct txn *t = l->txn;
	unsigned done = 0;
	while (done < t->republish_cnt && builder_room(l->builder) && load_one(l, (imsi_t){t->republish[done]}) >= 0)
		done++;
	t->republish_cnt -= done;
	memmove(t->republish, t->republish + done, t->republish_cnt * sizeof(*t->republish));
}

static void commit_batch(struct loader *l)
{
	struct txn *t = l->txn;
	t->scheduled = false;
	rewind_to_mark(t);
	if (t->republish_cnt)
		republish(l);
	if (t->op_cnt == 0)
		return;
	int rc = t->entry_cnt ? local_commit(l->local, t->entry, t->entry_cnt) : 0;
	if (rc) {
		txn_commit_failed(l, rc, t->op_cnt);
	} else {
		if (t->failing)
			log_info("commit_works_again");
		t->failing = false;
		loader_stat(l, STAT_COMMITS, 1);
	}
	for (unsigned i = 0; i < t->op_cnt; i++)
		txn_finish(l, &t->op[i], rc);
	if (rc == 0)
		local_published(l->local);
	secret_wipe(t->op, t->op_cnt * sizeof(*t->op));
	// documents hold keys; the memory of a large batch is also given back
	if (t->used > TXN_KEEP)
		madvise(t->bytes, TXN_BYTES, MADV_DONTNEED);
	else
		secret_wipe(t->bytes, t->used);
	t->op_cnt = t->entry_cnt = t->entry_mark = 0;
	t->used = t->used_mark = 0;
	t->claim_cnt = t->claim_mark = 0;
	key_set_clear(&t->keys);
	builder_reclaim(l->builder);
}

void txn_turn(struct loader *l)
{
	bulk_turn(l);
	commit_batch(l);
	builder_reclaim(l->builder);
	later_run(l);
}

void txn_tick(struct loader *l)
{
	txn_turn(l);
	bulk_tick(l);
}

void txn_commit(struct loader *l)
{
	struct txn *t = l->txn;
	do {
		bulk_settle(l);
		commit_batch(l);
		later_run(l);
	} while (!t->event && t->op_cnt); // without a loop the rest would never be committed
}

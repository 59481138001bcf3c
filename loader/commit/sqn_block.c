// Answers what workers ask beside changes of state: a further block of SEQs, a place in the IND table, a
// subscriber that is not in the cache. Loader process, main thread; laws 5 and 8.
#include <errno.h>
#include "loader/commit/load.h"
#include "loader/upstream/feed.h"
#include "loader/commit/txn.h"
#include "loader/upstream/upstream_csv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

static void answer_u64(struct loader *l, unsigned worker, uint16_t type, uint64_t id, uint64_t v)
{
	l->send(l, ROLE_WORKER, worker, type, id, &v, sizeof(v));
}

// ---- SQN blocks ---------------------------------------------------------------------------------

enum block_answer { BLOCK_REFUSED = 0, BLOCK_RAISED = 1, BLOCK_NOT_YOURS = 2 };

static void on_block(struct loader *l, struct op *op, int error)
{
	loader_stat(l, error ? STAT_SQN_REFUSED : STAT_SQN_BLOCKS, 1);
	if (op->generation == l->worker[op->index].generation)
		answer_u64(l, op->index, IPC_SQN_BLOCK_ACK, op->id, error ? BLOCK_REFUSED : BLOCK_RAISED);
}

static void refuse_block(struct loader *l, unsigned worker, uint64_t id)
{
	loader_stat(l, STAT_SQN_REFUSED, 1);
	answer_u64(l, worker, IPC_SQN_BLOCK_ACK, id, BLOCK_REFUSED);
}

// A subscriber that uses up its blocks quickly gets larger ones. A restart then skips at most as many SEQs.
static uint64_t block_size(const struct loader *l, const struct cache_record *r, uint64_t at_least)
{
	uint64_t next = loader_seq_next(l, r->sqn), limit = loader_seq_limit(l, r->sqn);
	return at_least == 0 && next >= limit ? SQN_BLOCK_MAX : SQN_BLOCK_MIN;
}

static bool is_raised(const struct loader *l, const struct cache_record *r, uint64_t limit, uint64_t at_least)
{
	uint64_t next = loader_seq_next(l, r->sqn), from = at_least > next ? at_least : next;
	return from < limit && limit - from >= CACHE_SQN_LOW;
}

static void alarm_end(struct loader *l, imsi_t imsi)
{
	static struct log_limit limit;
	char text[16];
	imsi_text(imsi, text);
	loader_stat(l, STAT_SQN_EXHAUSTED, 1);
	if (log_limit_pass(&limit, 1))
		log_error("sqn_space_used_up", LOG_IMSI("imsi", text));
}

void sqn_block_handle(struct loader *l, unsigned worker, const struct ipc_hdr *hdr, const uint8_t *body,
		      uint32_t len)
{
	struct ipc_sqn_block b = {0};
	struct sqn_row row = {.run = l->run};
	if (len >= sizeof(b))
		memcpy(&b, body, sizeof(b));
	struct op *op = txn_begin(l, b.imsi, 256);
	const struct cache_record *r = loader_find(l, (imsi_t){b.imsi});
	if (!r || r->sqn != b.index) {
		answer_u64(l, worker, IPC_SQN_BLOCK_ACK, hdr->id, BLOCK_NOT_YOURS);
		return;
	}
	uint64_t limit = loader_seq_limit(l, r->sqn);
	// Workers that ask at the same time share one block. With a commit for each, all requests behind them
	// would wait.
	if (is_raised(l, r, limit, b.at_least)) {
		answer_u64(l, worker, IPC_SQN_BLOCK_ACK, hdr->id, BLOCK_RAISED);
		return;
	}
	if (!sqn_block_next(limit, b.at_least, block_size(l, r, b.at_least), &row.ceiling)) {
		alarm_end(l, r->imsi);
		refuse_block(l, worker, hdr->id);
		return;
	}
	if (sqn_fingerprint(&l->records.hash, r->imsi, r->k, row.fp)) {
		refuse_block(l, worker, hdr->id);
		return;
	}
	*op = (struct op){.done = on_block,
			  .what = OP_SQN_LIMIT,
			  .rec = {.imsi = r->imsi},
			  .sqn = r->sqn,
			  .limit = row.ceiling,
			  .index = worker,
			  .generation = l->worker[worker].generation,
			  .id = hdr->id};
	struct wr w = txn_entry(l);
	entry_put_sqn(&w, &row);
	txn_entry_end(l, &w, ENTRY_SQN_ROW, r->imsi);
	if (!txn_add(l, op))
		refuse_block(l, worker, hdr->id);
}

// ---- IND hosts ----------------------------------------------------------------------------------

static void on_ind(struct loader *l, struct op *op, int error)
{
	int64_t place = (int64_t)op->answer[0];
	if (op->generation == l->worker[op->index].generation)
		answer_u64(l, op->index, IPC_IND_HOST_ACK, op->id,
			   error || place < 0 ? UINT64_MAX : (uint64_t)place);
}

void ind_host_handle(struct loader *l, unsigned worker, const struct ipc_hdr *hdr, const uint8_t *body,
		     uint32_t len)
{
	struct rd r = rd_of(body, len);
	struct ind_host h = {0};
	const uint8_t *p = rd_take(&r, sizeof(h.hash));
	if (p)
		memcpy(&h.hash, p, sizeof(h.hash));
	h.host = rd_bytes(&r, rd_left(&r));
	// No place may be given twice, so two additions must not share a batch: all of them use one key.
	struct op *op = txn_begin(l, UINT64_MAX, 512);
	int place = cache_ind_find(l->cache, h.hash);
	uint32_t cnt = __atomic_load_n((const uint32_t *)&l->header->ind_host_cnt, __ATOMIC_ACQUIRE);
	if (!p || place >= 0 || cnt >= IND_HOST_MAX) {
		answer_u64(l, worker, IPC_IND_HOST_ACK, hdr->id,
			   p && place >= 0 ? (uint64_t)place : UINT64_MAX);
		return;
	}
	h.place = cnt;
	*op = (struct op){.done = on_ind,
			  .what = OP_IND,
			  .rec = {.imsi = {UINT64_MAX}},
			  .next = h.hash,
			  .index = worker,
			  .generation = l->worker[worker].generation,
			  .id = hdr->id};
	struct wr w = txn_entry(l);
	entry_put_ind(&w, &h);
	txn_entry_end(l, &w, ENTRY_IND_HOST, (imsi_t){0});
	if (!txn_add(l, op))
		answer_u64(l, worker, IPC_IND_HOST_ACK, hdr->id, UINT64_MAX);
}

// ---- misses -------------------------------------------------------------------------------------

void read_through_handle(struct loader *l, unsigned worker, const struct ipc_hdr *hdr, const uint8_t *body,
		 uint32_t len)
{
	struct ipc_read_through m = {0};
	if (len >= sizeof(m))
		memcpy(&m, body, sizeof(m));
	uint64_t status = upstream_csv_is_first(l) ? READ_THROUGH_BUSY : READ_THROUGH_UNKNOWN;
	bool complete =
	    __atomic_load_n((const uint32_t *)&l->header->load_state, __ATOMIC_ACQUIRE) == CACHE_COMPLETE;
	if (m.imsi) {
		if (loader_find(l, (imsi_t){m.imsi}))
			status = READ_THROUGH_FOUND;
		else if (l->feed) {
			feed_miss(l, (imsi_t){m.imsi}, worker, hdr->id);
			return;
		}
	} else if (m.msisdn) {
		// the rows have no index by MSISDN: until the pass is over the answer is "not yet"
		status = cache_find_msisdn(l->cache, (msisdn_t){m.msisdn}) ? READ_THROUGH_FOUND
			 : complete                                        ? READ_THROUGH_UNKNOWN
									   : READ_THROUGH_BUSY;
	}
	answer_u64(l, worker, IPC_READ_THROUGH_ACK, hdr->id, status);
}

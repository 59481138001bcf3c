// Group commit: many changes, one fsync (law 6). An operation is checked against the cache, which is the
// current state. It composes its journal entries and waits. When the loop has handled its batch of frames,
// all entries are committed in one transaction, the cache is updated, and the answers are sent. If the commit
// fails, nothing is published and every answer is a refusal.
//
// Two operations on one subscriber never share a batch, because the second must be checked against what the
// first has published. A worker's frame about a subscriber that is in the batch waits for the next batch;
// frames about other subscribers go on, and the order of one subscriber's frames is kept. If such a frame
// committed the batch at once, one peer that keeps changing one subscriber would hold up all others.
#pragma once
#include "cache/state.h"
#include "loader/loader.h"

enum op_what {
	OP_PUT = 1,       // publish `rec`; rec.sqn UINT32_MAX: with fresh words that hold next, limit
	OP_DELETE = 2,    // remove rec.imsi
	OP_SQN_LIMIT = 4, // raise the limit of words `sqn`
	OP_SQN_RAISE = 8, // raise both
	OP_SQN_RAISED = 256, // set when done: next was lower, nothing from the new one on had been drawn
	OP_SQN_SET = 16,  // set both
	OP_IND = 32,      // append host hash `next`
	OP_RUN = 64,      // every subscriber's words jump to run `next`
	OP_NEW = 128,     // with OP_PUT: neither cache, rows nor journal hold anything of this subscriber
};

struct hss_request;
#define OP_REQUEST_MAX 64 // those of a CHANGE, and those of applications that take notice of it
#define OP_STATE_MAX   8

struct op {
	// error 0: durable and in the cache; else a negative errno. May not begin another operation.
	void (*done)(struct loader *l, struct op *op, int error);
	unsigned what; // enum op_what
	struct cache_record rec;
	uint32_t sqn;
	uint64_t next, limit;
	// for done()
	unsigned index; // worker
	uint32_t generation;
	uint64_t id;
	uint64_t answer[2];
	void *ctx;
	// Rows that are published as parts of the record; bodies lie in the operation's entries
	struct state_row state[OP_STATE_MAX];
	unsigned state_cnt;
	struct hss_request *request[OP_REQUEST_MAX]; // to be sent afterwards; owned
	unsigned request_cnt;
};

int txn_new(struct loader *l) MUST_USE;
void txn_free(struct loader *l);

// Begins an operation about `key` (an IMSI or another key; 0: about none) whose entries need at most `room`
// octets. Commits the batch first if it must, so look at the cache after this call, not before. NULL: `room`
// is beyond all bounds.
struct op *txn_begin(struct loader *l, uint64_t key, size_t room);
// Commits the batch if it holds an operation about `key`. For code that looks at the cache or the database
// before txn_begin.
void txn_settle(struct loader *l, uint64_t key);
// Waits for new subscribers whose rows are being written (bulk.h): afterwards they are in the cache and the
// database, or in the batch.
void txn_settle_new(struct loader *l);
// The operation that is being composed is about this key, too (0: none), should it be added.
void txn_claim(struct loader *l, uint64_t key);
// Octets that the entries of all applications of one document may need.
#define TXN_APPS_ROOM (CACHE_APP_MAX * STATE_BODY_MAX + 4096)
// Begins a journal entry of the operation; write the body, then call txn_entry_end.
struct wr txn_entry(struct loader *l);
void txn_entry_end(struct loader *l, const struct wr *w, enum entry_kind kind, imsi_t imsi);
// The operation is complete: it will be committed with the batch. Without this call it is forgotten (its
// HSS-initiated requests are freed). false: its entries did not fit, it is forgotten.
bool txn_add(struct loader *l, struct op *op);
// Gives an operation up that was begun and not added.
void txn_forget(struct loader *l, struct op *op);
// Can one more record be published with this batch? false: a reader that never leaves its epoch (a worker
// that has stopped) keeps all free slots from being reused. An operation that needs a slot is refused for
// now; all others go on.
bool txn_has_slot(struct loader *l);
enum txn_later { TXN_NOW, TXN_LATER, TXN_REFUSE };
// To be asked before a worker's frame about `key` is handled. LATER: the frame was copied and will be given
// to loader_frame again. REFUSE: too many frames wait.
enum txn_later txn_later(struct loader *l, unsigned worker, uint64_t key, const struct ipc_hdr *hdr,
			 const uint8_t *body) MUST_USE;
// Commits, publishes and answers the batch, and begins the next one with the frames that waited for it.
// Harmless when the batch is empty.
void txn_commit(struct loader *l);
// The same at the end of each turn of the loop: it does not wait for the new subscribers that the fold thread
// writes (bulk.h). Also to be called when local_fold_fd is readable.
void txn_turn(struct loader *l);
void txn_tick(struct loader *l); // once a second
bool txn_failing(const struct loader *l);     // the last commit failed
unsigned txn_waiting(const struct loader *l); // operations that are not committed yet
// Is so much waiting that a source which can pause (an import, a feed) should pause?
bool txn_is_behind(struct loader *l);

// For bulk.c only.
void txn_finish(struct loader *l, struct op *op, int error);
void txn_commit_failed(struct loader *l, int error, unsigned operations);
// Into the ordinary batch, with copies of its entries.
void txn_take_back(struct loader *l, const struct op *op, const struct entry *entries, unsigned n);

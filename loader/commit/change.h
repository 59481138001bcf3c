// Changes of an application's state: a worker's CHANGE, or a decision that was made in the loader itself. Both are
// committed, published and followed by their HSS-initiated requests in one operation (txn.h). Main thread.
#pragma once
#include "loader/app.h"
#include "loader/loader.h"

struct op;

// A worker's CHANGE: committed if the state still has the version that the worker saw. Answered by
// CHANGE_ACK.
void change_handle(struct loader *l, unsigned worker, const struct ipc_hdr *hdr, const uint8_t *body, uint32_t len);
// Adds a new state of application `app` to an operation: to `op->rec` as the next version, and as a journal
// entry. `op->rec` must be complete but for that. `key` 0: the key of the last change stays. false: no room
// in the cache.
bool change_state(struct loader *l, struct op *op, const struct loader_app *app, struct slice state, uint64_t key,
		  const struct state_kept *kept) MUST_USE;
// Adds what application `app` made of the subscriber's document; empty: nothing any more. As above.
bool change_data(struct loader *l, struct op *op, const struct loader_app *app, struct slice data) MUST_USE;

// Changes of an application's state: a worker's CHANGE, or a decision that was made in the loader itself. Both are
// committed, published and followed by their HSS-initiated requests in one operation (txn.h). Main thread.
#pragma once
#include "loader/app.h"
#include "loader/loader.h"

struct op;

// A worker's CHANGE: committed if the state still is of the version that the worker saw. Answered by CHANGE_ACK.
void change_handle(struct loader *l, unsigned worker, const struct ipc_hdr *hdr, const uint8_t *body, uint32_t len);
// Adds to operation `op`, whose `rec` is the record as it will be, a new state of application `app`: into the record, as
// the next version, and as a journal entry. `key` 0: that of the last change stays. false: no room in the cache.
bool change_state(struct loader *l, struct op *op, const struct loader_app *app, struct slice state, uint64_t key,
		  const struct state_kept *kept) MUST_USE;

// Requests of our own (CLR) that must reach a peer: rows that are committed with the change that causes them,
// handed to a worker (DELIVER), repeated until it says DELIVERED_DONE or they are too old. They survive every
// restart.
#pragma once
#include "loader/loader.h"

struct own_request; // opaque, heap
struct op;

// TS 29.272 7.3.24 and 7.3.152.
enum cancellation {
	CANCEL_MME_UPDATE = 0,
	CANCEL_SGSN_UPDATE = 1,
	CANCEL_WITHDRAWAL = 2,
	CANCEL_INITIAL_ATTACH = 4
};
enum clr_flag { CLR_S6A = 1, CLR_REATTACH = 2 };

int own_table_new(struct loader *l) MUST_USE;
void own_table_free(struct loader *l);
// Reads what is still to be delivered (at the start).
int own_load(struct loader *l) MUST_USE;

// Adds a CLR to an operation: its journal entry, and its delivery after the commit. `worker`: who is asked
// first.
void own_clr(struct loader *l, struct op *op, imsi_t imsi, struct slice host, struct slice realm,
	     uint32_t type, uint32_t flags, unsigned worker);
void own_request_free(struct own_request **r);
// Committed: deliver.
void own_add_take(struct loader *l, struct own_request **r);
// DELIVERED of a worker.
void own_delivered(struct loader *l, const struct ipc_hdr *hdr, const uint8_t *body, uint32_t len);
// Once a second: repeats and expires.
void own_tick(struct loader *l);
unsigned own_pending(const struct loader *l);

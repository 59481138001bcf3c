// New subscribers in great numbers (an import, the first load from an upstream): their operations wait in batches of
// their own, whose entries become rows without the journal (local_bulk_begin). While the fold thread writes one batch the
// next one fills. They are published and answered when they are durable. Few of them at a time go the ordinary way.
// Inside of the commit room: others see operations and txn.h.
#pragma once
#include "loader/commit/txn.h"

int bulk_new(struct loader *l) MUST_USE;
void bulk_free(struct loader *l);
// Takes an operation with OP_NEW, and copies of its entries. May commit what waits.
void bulk_take(struct loader *l, const struct op *op, const struct entry *entries, unsigned n);
bool bulk_has(const struct loader *l, uint64_t key);
unsigned bulk_waiting(const struct loader *l); // operations, of both batches
// The end of a turn of the loop: hands a batch to the fold thread, or what are few back to the ordinary batch.
void bulk_turn(struct loader *l);
// Until nothing waits here: what was handed out is awaited, what are few goes to the ordinary batch.
void bulk_settle(struct loader *l);
void bulk_tick(struct loader *l);

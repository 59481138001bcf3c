// Large numbers of new subscribers (an import, the first load from an upstream). Their operations are
// collected in batches of their own, and the entries of a batch become rows without the journal
// (local_bulk_begin). While the fold thread writes one batch, the next one fills. Subscribers are published
// and answered when their rows are durable. A small number of new subscribers goes the ordinary way. Only the
// commit room includes this file; others see operations and txn.h.
#pragma once
#include "loader/commit/txn.h"

int bulk_new(struct loader *l) MUST_USE;
void bulk_free(struct loader *l);
// Takes an operation with OP_NEW, and copies of its entries. May commit what waits.
void bulk_take(struct loader *l, const struct op *op, const struct entry *entries, unsigned n);
bool bulk_has(const struct loader *l, uint64_t key);
unsigned bulk_waiting(const struct loader *l); // operations, of both batches
// At the end of each turn of the loop: hands a large batch to the fold thread, and moves a small one to the
// ordinary batch.
void bulk_turn(struct loader *l);
// Empties both batches: waits for the one that the fold thread has, and moves the other one to the ordinary
// batch.
void bulk_settle(struct loader *l);
void bulk_tick(struct loader *l);

// What the upstream is still to be told: locations, durably (the local database's table `outbox` holds who), and SQNs, which
// are derived from the words that workers draw from and looked through piece by piece. Who has drawn is durable only where the
// field can't follow at once (the upstream is away, or we end): a row for each AIR would cost more than it is worth, as a kill of
// everything leaves at most some seconds' fields behind, which the next AIR of each puts right. Coalesced to the newest of a
// subscriber, sent in bulk by the write thread. Loader process, main thread; laws 6 and 8.
#pragma once
#include "loader/loader.h"
#include "loader/upstream/upstream.h"

int outbox_new(struct loader *l) MUST_USE; // reads who waits
// Notes durably whose field lags, before an orderly end.
void outbox_stop(struct loader *l);
void outbox_free(struct loader *l);

// A state of ours is durable and in the cache.
void outbox_state(struct loader *l, imsi_t imsi);
// What the upstream's field holds now: outbox_note of its document (NULL: there is none). The subscriber is in the cache.
uint64_t outbox_note(const struct up_doc *d);
void outbox_field(struct loader *l, imsi_t imsi, uint64_t note);
// In a note: somebody wrote over our state, which is to be written again; our SQN is higher than that of a document that is
// new to us.
#define OUTBOX_RESTORE (1ull << 59)
#define OUTBOX_RAISE   (1ull << 60)
// Its state is on its way there already, or waits for that.
bool outbox_has(const struct loader *l, const struct cache_record *r);
// The document could not be asked for now.
void outbox_unlearned(struct loader *l, imsi_t imsi);
// A subscriber has other SQN words than before (another key); what waits goes with it.
// `next`: their SEQ.
void outbox_moved(struct loader *l, uint32_t from, uint32_t to, uint64_t next);
// The outcome of a batch. Takes it.
void outbox_written_take(struct loader *l, struct up_batch **b);
// Looks for drawn SQNs and sends what waits: ten times a second.
void outbox_tick(struct loader *l);

uint64_t outbox_waiting(const struct loader *l); // locations that the upstream lacks
uint64_t outbox_age_s(const struct loader *l);	 // of the oldest of them
uint64_t outbox_refused(const struct loader *l); // set aside: the upstream refuses the document

// The outbox: what MongoDB is still to be told of our subscribers (write-back). Loader process, main thread; laws 6 and 8.
//
// Two things are told. A location must arrive: the table `outbox` of the local database lists who waits, so that a
// kill loses nothing. An SQN only follows: the words that workers draw from are looked through piece by piece, and a field that
// lags is raised. A row of the table for each AIR would cost more than it is worth; one is written where the field can't follow
// at once, because MongoDB is away or because we end. So a kill of everything leaves the fields of some seconds behind, each
// until that subscriber's next AIR.
//
// The outbox holds who waits, not what is told: a write is composed when it is sent, so it is the newest, and sending it
// twice changes nothing. outbox_table.h has the states of a subscriber on its way.
#pragma once
#include "loader/loader.h"
#include "loader/upstream/upstream.h"

int outbox_new(struct loader *l) MUST_USE; // reads who waits
// Notes durably whose field lags, before an orderly end.
void outbox_stop(struct loader *l);
void outbox_free(struct loader *l);

// A location of ours is durable and in the cache.
void outbox_state(struct loader *l, imsi_t imsi);
// What a document says of the field security.sqn, in one word that an operation can carry. NULL: there is no document.
uint64_t outbox_note(const struct up_doc *d);
// The document of this subscriber, who is in the cache, says `note`.
void outbox_field(struct loader *l, imsi_t imsi, uint64_t note);
// May be added to a note:
#define OUTBOX_RESTORE (1ull << 59) // somebody wrote over our location: it is written again
#define OUTBOX_RAISE   (1ull << 60) // our SQN is higher than that of a document that is new to us
#define OUTBOX_ASKED   (1ull << 61) // the document was looked up for this: it is no older than the question
// Is its location on its way there, or does it wait for that?
bool outbox_has(const struct loader *l, const struct cache_record *r);
// The document could not be asked for now. `owe`: notes that its field may lag; not within the end of another operation.
void outbox_unlearned(struct loader *l, imsi_t imsi, bool owe);
// The subscriber is gone: what is listed about its write-back is, too.
void outbox_forget(struct loader *l, imsi_t imsi);
// A subscriber has other SQN words than before (another key), or its first or none (UINT32_MAX); what waits goes with it.
// `next`: their SEQ.
void outbox_moved(struct loader *l, uint32_t from, uint32_t to, uint64_t next);
// The outcome of a batch. Takes it.
void outbox_written_take(struct loader *l, struct up_batch **b);
// Looks for drawn SQNs and sends what waits: ten times a second.
void outbox_tick(struct loader *l);

uint64_t outbox_waiting(const struct loader *l); // locations that MongoDB lacks
uint64_t outbox_age_s(const struct loader *l);	 // of the oldest of them
uint64_t outbox_refused(const struct loader *l); // writes that MongoDB refused, since the start

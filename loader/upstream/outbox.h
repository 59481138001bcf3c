// The outbox: what MongoDB is still to be told of our subscribers (write-back). Loader process, main thread; laws 6 and 8.
//
// It writes two things. A location must arrive: the table `outbox` of the local database lists the
// subscribers whose location MongoDB lacks, so that a kill loses none. An SQN may lag: a row for each AIR
// would cost more than it is worth. The words that workers draw from are looked through piece by piece, and a
// field that is behind is raised. Rows for SQNs are written only where a field can't be raised at once: while
// MongoDB is away, and when the process ends. So a kill of everything leaves the fields of the last seconds
// behind, each until that subscriber's next AIR.
//
// The outbox lists subscribers, not values. A write is composed when it is sent, so it has the newest values,
// and sending it twice changes nothing. outbox_table.h has the states of a subscriber on its way.
#pragma once
#include "loader/loader.h"
#include "loader/upstream/upstream.h"

int outbox_new(struct loader *l) MUST_USE; // reads the table `outbox`
// Notes durably which fields are behind, before an orderly end.
void outbox_stop(struct loader *l);
void outbox_free(struct loader *l);

// A location of ours is durable and in the cache.
void outbox_state(struct loader *l, imsi_t imsi);
// What a document says about its field security.sqn, packed into one word that an operation can carry. `d`
// NULL: there is no document.
uint64_t outbox_note(const struct up_doc *d);
// The document of this subscriber, which is in the cache, says `note`.
void outbox_field(struct loader *l, imsi_t imsi, uint64_t note);
// May be added to a note:
#define OUTBOX_FOLLOWED (1ull << 58) // our SQN has just been raised to what follows from the field
#define OUTBOX_RESTORE (1ull << 59) // somebody wrote over our location: it is written again
#define OUTBOX_RAISE   (1ull << 60) // our SQN is higher than that of a document that is new to us
#define OUTBOX_ASKED   (1ull << 61) // the document was looked up for this: it is no older than the question
// Is its location being written to MongoDB, or waiting to be?
bool outbox_has(const struct loader *l, const struct cache_record *r);
// The document could not be asked for now. `owe`: notes durably that its field may be behind; not allowed
// inside of another operation's done().
void outbox_unlearned(struct loader *l, imsi_t imsi, bool owe);
// The subscriber is deleted: forgets all that is listed about its write-back.
void outbox_forget(struct loader *l, imsi_t imsi);
// A subscriber has got other SQN words (another key), its first ones, or lost them (UINT32_MAX: none). What
// waits moves to the new words. `next`: their next SEQ.
void outbox_moved(struct loader *l, uint32_t from, uint32_t to, uint64_t next);
// The outcome of a batch. Takes it.
void outbox_written_take(struct loader *l, struct up_batch **b);
// Looks for drawn SQNs and sends what waits: ten times a second.
void outbox_tick(struct loader *l);

uint64_t outbox_waiting(const struct loader *l); // locations that MongoDB lacks
uint64_t outbox_age_s(const struct loader *l);	 // of the oldest of them
uint64_t outbox_refused(const struct loader *l); // writes that MongoDB refused, since the start
// How many subscribers have a write set aside now.
unsigned outbox_set_aside(const struct loader *l);

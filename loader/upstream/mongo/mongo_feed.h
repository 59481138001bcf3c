// What the feed thread's files share: mongo_feed.c (its life, and what it sends to the main thread),
// mongo_stream.c (change streams), mongo_sweep.c (the load, comparisons, polling) and mongo_gone.c
// (deletions). Loader process, the feed thread; laws 6 and 8.
//
//	no position, or it is lost:   open a stream -> sweep everything -> UP_COMPLETE -> UP_POSITION -> its events
//	a position:                   open the stream behind it -> its events
//	no change streams there:      sweep, wait, sweep ...
#pragma once
#include "loader/upstream/mongo/idmap.h"
#include "loader/upstream/mongo/loss.h"
#include "loader/upstream/mongo/mongo.h"
#include "loader/upstream/mongo/mongo_doc.h"

#define FEED_GONE_MAX 500u // deletions that are looked up together
#define FEED_HELD_MS  5000u // between two looks whether the subscribers of a held loss are back

enum feed_result {
	FEED_OK,
	FEED_AWAY, // the connection is no good any more: back off, then open again
	FEED_LOST, // the position, or the collection, is gone: a new stream and a comparison
	FEED_NONE, // this server has no change streams
	FEED_END,
};

struct mongo_feed_gone {
	uint64_t id;
	imsi_t imsi;
	bool found; // another document has the IMSI
	bool again; // it is there after all: inserted anew under its _id
};

struct mongo_feed {
	struct upstream *u;
	struct mongo m;
	struct mongo_docs docs;
	struct idmap map;
	uint32_t generation; // of the sweep
	bool compare;        // a comparison is due
	bool resend;         // it also sends what seems unchanged, for a main thread that may have lost something
	uint64_t wish;       // number of the last comparison that was asked for and begun
	bool loaded;         // the first comparison is through
	enum up_mode told;   // of the log
	bool streamless; // the server said that it has no change streams, not only that it would not open one
	struct loss loss;
	bool held;       // a loss that is too large to be believed: the subscribers are kept
	bool removing;   // it is believed, and those who are gone are being removed
	bool accepted;   // an operator says that it is true
	uint64_t held_seen;	 // documents that the last comparison found
	struct imsi_set written; // by us lately: looked at even when they seem unchanged
	struct imsi_set removed; // by us lately
	struct imsi_set gone_imsi; // of entries that are gone (idmap.h); marked: there again
	uint64_t sweep_ms;   // the last sweep, without its pauses
	uint64_t changes;    // told
	uint64_t known_ms;   // when the answers' documents were let go last
	uint64_t compare_ms; // when the next attempt may be, after one that found nothing
	struct mongo_feed_gone gone[FEED_GONE_MAX];
	unsigned gone_cnt;
	// the stream (mongo_stream.c)
	int64_t cursor;
	uint32_t server;
	mongoc_client_session_t *session;
	bson_t *position; // behind which it goes on; NULL: unknown
	bool moved;       // since the last UP_POSITION
	uint64_t asked_us, level_us; // when events were asked for last; and when it was for the last time that none came
	bool changed;     // and something was told
	uint64_t told_ms;
	bson_oid_t election;
	bool has_election;
};

// ---- mongo_feed.c: every one gives items, and so waits while the main thread is behind. false: the end, or
// no memory.

// A document as it is now.
struct mongo_feed_how {
	bool force;	  // send it even if it is what was sent last
	bool takes_over;  // as in struct up_item
	uint64_t read_us; // as in struct up_doc
};
bool mongo_feed_document(struct mongo_feed *f, const bson_t *doc, const struct mongo_feed_how *how) MUST_USE;
// A document is gone. mongo_feed_gone_flush looks up whether another one has its IMSI, at the latest before
// the next document is sent.
enum feed_result mongo_feed_gone_add(struct mongo_feed *f, uint64_t id, imsi_t imsi) MUST_USE;
enum feed_result mongo_feed_gone_flush(struct mongo_feed *f) MUST_USE;
// What the other threads brought: one that is deleted before a sweep or an event told of it is to be missed
// all the same.
// For a comparison's beginning: it takes away again what is gone. A stream lets them go once its events have told of them.
void mongo_feed_learn_known(struct mongo_feed *f);
void mongo_feed_learn_own(struct mongo_feed *f); // what we wrote and removed there ourselves
void mongo_feed_forget_known(struct mongo_feed *f);
bool mongo_feed_give(struct mongo_feed *f, const struct up_item *item) MUST_USE;     // of a copy
bool mongo_feed_complete(struct mongo_feed *f) MUST_USE;                              // a comparison is through
void feed_state(struct mongo_feed *f, enum up_state state, enum up_mode mode); // logs a new mode
void mongo_feed_count(struct mongo_feed *f, bool level); // documents, events; level: with the upstream, now

// ---- mongo_gone.c (beside mongo_feed_gone_add and mongo_feed_gone_flush above)

// This document is there after all.
void mongo_gone_not(struct mongo_feed *f, struct idmap_entry *e);
// Another document takes over this IMSI: the one that had it is gone, even if that is not believed yet.
bool mongo_gone_is_replaced(const struct mongo_feed *f, imsi_t imsi);
// The documents that a comparison did not see are gone.
void mongo_gone_mark_unseen(struct mongo_feed *f);
void mongo_gone_forget(struct mongo_feed *f); // no document is gone any more
// Removes the subscribers that are gone: those that a comparison did not see, or those whose loss waited to
// be believed.
enum feed_result mongo_gone_remove(struct mongo_feed *f, bool unseen) MUST_USE;
// Notes in figures and log that the loss of `missing` is held; 0: none is held any more.
void mongo_gone_hold(struct mongo_feed *f, uint64_t missing, uint64_t known);
// Decides about a loss that waited.
enum feed_result mongo_gone_settle(struct mongo_feed *f) MUST_USE;

// ---- mongo_sweep.c

// Reads everything once: sends what differs, and removes what is gone unless the loss is too large to be
// believed.
enum feed_result mongo_feed_compare(struct mongo_feed *f, bool paced) MUST_USE;
// A short look at a held loss: is it certain that the subscribers are not back?
bool mongo_feed_still_missing(struct mongo_feed *f);
enum feed_result mongo_feed_poll(struct mongo_feed *f) MUST_USE; // until something is wrong

// ---- mongo_stream.c

bool stream_restore(struct mongo_feed *f, struct slice position); // what UP_POSITION told; false: not understood
enum feed_result stream_open(struct mongo_feed *f) MUST_USE;
enum feed_result stream_run(struct mongo_feed *f) MUST_USE; // until something is wrong
void stream_close(struct mongo_feed *f);
void stream_forget(struct mongo_feed *f); // the position

// The feed thread's insides: what mongo_feed.c (its life, and what it tells the main thread), mongo_stream.c
// (change streams) and mongo_sweep.c (the load, comparisons, polling) share. Loader process, the feed thread;
// laws 6 and 8.
//
//	no position, or it is lost:  open a stream -> sweep everything -> UP_COMPLETE -> UP_POSITION -> its
//events 	a position:                  open the stream behind it -> its events 	no change streams there: sweep,
//wait, sweep ...
#pragma once
#include "loader/upstream/mongo/idmap.h"
#include "loader/upstream/mongo/mongo.h"
#include "loader/upstream/mongo/mongo_doc.h"

#define FEED_GONE_MAX 500u // deletions that are looked up together

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
	bool resend;         // and sends also what seems unchanged: whoever asks doubts
	uint64_t wish;       // the last comparison that was asked for and taken up
	bool loaded;         // the first comparison is through
	enum up_mode told;   // of the log
	bool streamless; // the server said that it has no change streams, not only that it would not open one
	bool held;       // the collection was found empty, or nearly: who is known is kept
	uint64_t held_seen;  // and so many were there
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
	bool changed;     // and something was told
	uint64_t told_ms;
	bson_oid_t election;
	bool has_election;
};

// ---- mongo_feed.c: every one gives items, and so waits while the main thread is behind. false: the end, or
// no memory.

// A document as it is now. `force`: even if it is what was sent last.
bool mongo_feed_document(struct mongo_feed *f, const bson_t *doc, bool force, bool takes_over) MUST_USE;
// A document went; who else has its IMSI is looked up by mongo_feed_gone_flush, at the latest before the next
// document is sent.
enum feed_result mongo_feed_gone_add(struct mongo_feed *f, uint64_t id, imsi_t imsi) MUST_USE;
enum feed_result mongo_feed_gone_flush(struct mongo_feed *f) MUST_USE;
// What the other threads brought: one that is deleted before a sweep or an event told of it is to be missed
// all the same.
// For a comparison's beginning: it takes away again what is gone. A stream lets them go once its events have told of them.
void mongo_feed_learn_known(struct mongo_feed *f);
void mongo_feed_forget_known(struct mongo_feed *f);
bool mongo_feed_give(struct mongo_feed *f, const struct up_item *item) MUST_USE;     // of a copy
bool mongo_feed_complete(struct mongo_feed *f) MUST_USE;                              // a comparison is through
void feed_state(struct mongo_feed *f, enum up_state state, enum up_mode mode); // logs a new mode
void mongo_feed_count(struct mongo_feed *f, bool level); // documents, events; level: with the upstream, now

// ---- mongo_sweep.c

// Everything once: sends what differs, deletes what is gone, UP_COMPLETE. An empty collection deletes
// nothing.
enum feed_result mongo_feed_compare(struct mongo_feed *f, bool paced) MUST_USE;
enum feed_result mongo_feed_poll(struct mongo_feed *f) MUST_USE; // until something is wrong

// ---- mongo_stream.c

bool stream_restore(struct mongo_feed *f, struct slice position); // what UP_POSITION told; false: not understood
enum feed_result stream_open(struct mongo_feed *f) MUST_USE;
enum feed_result stream_run(struct mongo_feed *f) MUST_USE; // until something is wrong
void stream_close(struct mongo_feed *f);
void stream_forget(struct mongo_feed *f); // the position

// The main thread's side of the upstream. It stores what the feed thread brings in the local database and the cache, and keeps
// the questions of workers and operators until they are answered. Loader process; laws 6 and 8. l->feed is NULL without an
// upstream.
#pragma once
#include "loader/admin/admin.h"
#include "loader/commit/txn.h"
#include "loader/upstream/upstream.h"

// After load_start, before the sandbox. `uri` with its credentials is copied. 0 or a negative errno (logged).
int feed_start(struct loader *l, const char *uri, const char *dir) MUST_USE; // uri "": no threads (tests)
struct upstream *feed_upstream(const struct loader *l);
void feed_stop(struct loader *l); // before txn_free

// Asks the upstream for a subscriber that a worker did not find, unless it was asked for a moment ago or too
// many questions wait.
void feed_miss(struct loader *l, imsi_t imsi, unsigned worker, uint64_t id);
// Asks the upstream for a subscriber that an operator names and that is not here. If it exists, the call is
// begun again with looked_up set; if not, the call is ended. false: too many questions wait.
bool feed_look_up(struct loader *l, struct call *c, imsi_t imsi) MUST_USE;
// Asks for the document because of its field security.sqn (outbox.h). false: not now, try later.
bool feed_learn(struct loader *l, imsi_t imsi) MUST_USE;
void feed_write_take(struct loader *l, struct up_batch **b);

// An operator's change: it is made in the upstream first, then here. Takes json. `done` is called as that of
// provision_put, or `refused` if the upstream refuses. false: too many questions wait, and neither is called.
struct feed_change {
	enum up_ask_kind kind;
	imsi_t imsi;
	json_t *json; // owned
	void (*done)(struct loader *l, struct op *op, int error);
	void (*refused)(struct loader *l, uint64_t id, uint64_t answer, const char *text);
	uint64_t id, answer;
};
bool feed_change_take(struct loader *l, struct feed_change *c) MUST_USE;

// To be called when the fold thread has made a step, and ten times a second.
void feed_resume(struct loader *l);
void feed_tick(struct loader *l);

json_t *feed_status(struct loader *l);
// `store index`: makes the index that every write and look-up needs.
void feed_index(struct loader *l, struct call *c);
// `store accept-loss`: removes the subscribers that are gone from MongoDB and were kept because so many went
// at once.
void feed_accept_loss(struct loader *l, struct call *c);
// `store verify`: compares everything; differences are repaired and counted.
void feed_verify(struct loader *l, struct call *c);

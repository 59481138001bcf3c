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

// A subscriber that is not here: asks the upstream, unless that was done a moment ago or too much is asked already.
void feed_miss(struct loader *l, imsi_t imsi, unsigned worker, uint64_t id);
// An operator names a subscriber that is not here: asks the upstream. When it is there the call is begun again, with
// looked_up set; else it is ended. false: too much is asked already.
bool feed_look_up(struct loader *l, struct call *c, imsi_t imsi) MUST_USE;
// The document is wanted for what its SQN field holds (outbox.h). false: later.
bool feed_learn(struct loader *l, imsi_t imsi) MUST_USE;
void feed_write_take(struct loader *l, struct up_batch **b);

// An operator's change: the upstream first, then here. Takes json. `done` as that of provision_put; a refusal of the
// upstream goes to `refused`. false: too much is asked already (nothing follows).
struct feed_change {
	enum up_ask_kind kind;
	imsi_t imsi;
	json_t *json; // owned
	void (*done)(struct loader *l, struct op *op, int error);
	void (*refused)(struct loader *l, uint64_t id, uint64_t answer, const char *text);
	uint64_t id, answer;
};
bool feed_change_take(struct loader *l, struct feed_change *c) MUST_USE;

// The fold thread made a step; ten times a second.
void feed_resume(struct loader *l);
void feed_tick(struct loader *l);

json_t *feed_status(struct loader *l);
// `store index`: makes the index that every write and look-up needs.
void feed_index(struct loader *l, struct call *c);
// `store accept-loss`: who is gone from MongoDB, and was kept because it were so many, is removed.
void feed_accept_loss(struct loader *l, struct call *c);
// `store verify`: a whole comparison; what differs is put right and counted.
void feed_verify(struct loader *l, struct call *c);

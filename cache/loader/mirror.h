// The main thread's side of an upstream: what its threads bring goes into the local database and the cache, what workers
// and operators ask of it is kept until it is answered. NULL in struct loader without one. Laws 6 and 8.
#pragma once
#include "cache/loader/admin.h"
#include "cache/loader/txn.h"
#include "cache/loader/upstream.h"

// After load_start, before the sandbox. `uri` with its credentials is copied. 0 or a negative errno (logged).
int mirror_start(struct loader *l, const char *uri, const char *dir) MUST_USE; // uri "": no threads (tests)
struct upstream *mirror_upstream(const struct loader *l);
void mirror_stop(struct loader *l); // before txn_free

// A subscriber that is not here: asks the upstream, unless that was done a moment ago or too much is asked already.
void mirror_miss(struct loader *l, imsi_t imsi, unsigned worker, uint64_t id);
// An operator names a subscriber that is not here: asks the upstream. When it is there the call is begun again, with
// looked_up set; else it is ended. false: too much is asked already.
bool mirror_look_up(struct loader *l, struct call *c, imsi_t imsi) MUST_USE;
// The document is wanted for what its SQN field holds (outbox.h). false: later.
bool mirror_learn(struct loader *l, imsi_t imsi) MUST_USE;
void mirror_write_take(struct loader *l, struct up_batch **b);

// An operator's change: the upstream first, then here. Takes json. `done` as that of provision_put; a refusal of the
// upstream goes to `refused`. false: too much is asked already (nothing follows).
struct mirror_change {
	enum up_ask_kind kind;
	imsi_t imsi;
	json_t *json; // owned
	void (*done)(struct loader *l, struct op *op, int error);
	void (*refused)(struct loader *l, uint64_t id, uint64_t answer, const char *text);
	uint64_t id, answer;
};
bool mirror_change_take(struct loader *l, struct mirror_change *c) MUST_USE;

// The fold thread made a step; ten times a second.
void mirror_resume(struct loader *l);
void mirror_tick(struct loader *l);

json_t *mirror_status(struct loader *l);
// `store index`: makes the index that every write and look-up needs.
void mirror_index(struct loader *l, struct call *c);
// `store verify`: a whole comparison; what differs is put right and counted.
void mirror_verify(struct loader *l, struct call *c);

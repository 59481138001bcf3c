// A subscriber's document becomes its record: the one way in for `subscriber add`, `set` and `import`.
#pragma once
#include "loader/admin/admin.h"
#include "loader/commit/txn.h"
#include "loader/upstream/upstream.h"

struct feed_change;

enum put_mode { PUT_ADD, PUT_REPLACE };

struct put {
	const json_t *document;
	struct slice text; // the same as it is kept
	enum put_mode mode;
	void (*done)(struct loader *l, struct op *op, int error);
	uint64_t id;     // op.id
	uint64_t answer; // op.answer[0]
	// with an upstream: it refuses, or can't be reached; `done` does not follow
	void (*refused)(struct loader *l, uint64_t id, uint64_t answer, const char *text);
};
// Puts an operator's document: into the upstream first, if there is one. Checks it and begins; `done` or
// `refused` follows. false and e->text: it is refused, and nothing follows.
bool provision_change(struct loader *l, const struct put *p, struct record_error *e) MUST_USE;
// Checks and begins; `done` follows with the commit. false and e->text: refused, nothing follows.
bool provision_put(struct loader *l, const struct put *p, struct record_error *e) MUST_USE;

// A document of the upstream, as its threads understood it. `done` follows only after PUT_BEGUN.
struct put_feed {
	const struct up_doc *doc;
	bool takes_over; // as in struct up_item
	void (*done)(struct loader *l, struct op *op, int error);
	uint64_t id;	 // op.id
	uint64_t answer; // op.answer[0]
	uint64_t note;	 // op.answer[1]
};
enum put_result { PUT_BEGUN, PUT_NOTHING, PUT_REFUSED };
enum put_result provision_put_feed(struct loader *l, const struct put_feed *p, struct record_error *e) MUST_USE;
// Removes a subscriber; the nodes that serve it are told; `done` follows. false: no such subscriber.
bool provision_remove(struct loader *l, imsi_t imsi, void (*done)(struct loader *l, struct op *op, int error),
		      uint64_t id) MUST_USE;

// The document as it stands, with the current state and SQN in it. NULL: not there or unreadable.
json_t *provision_document(struct loader *l, imsi_t imsi);
// Would this document be served? false: e->text says why not; true: e->text is empty, or names what would be left out.
bool provision_check(struct loader *l, const json_t *doc, struct record_error *e) MUST_USE;
// Puts a document that an operator gave; `c` ends with it. What is left out of it becomes the call's warning. false: *e.
bool provision_put_document(struct loader *l, struct call *c, const json_t *doc, enum put_mode mode,
			    struct record_error *e) MUST_USE;
// Sends a change to the upstream. false and *e: too many questions wait.
bool provision_upstream(struct loader *l, struct feed_change *m, struct record_error *e) MUST_USE;
// Reads args.imsi. false: it is no IMSI, and the call has been ended.
bool provision_imsi(struct loader *l, struct call *c, imsi_t *imsi);
// For a subscriber that is not here: asks the upstream and begins the call again if it exists there; else
// ends the call as refused.
void provision_absent(struct loader *l, struct call *c, imsi_t imsi);
// done() of operations that end their call (op.id is its serial).
void provision_done(struct loader *l, struct op *op, int error);

// IMEI(SV) as text, NULL when unknown.
json_t *imeisv_json(uint64_t imeisv);
// The same when the upstream refuses: ends the call.
void provision_refused(struct loader *l, uint64_t id, uint64_t answer, const char *text);
// The subscriber of args.imsi; NULL: the call has been ended, or is begun again when the upstream has answered.
const struct cache_record *provision_find(struct loader *l, struct call *c, imsi_t *imsi);
// Sets a member, or removes it when `value` is NULL; takes `value`.
void provision_set_or_delete(json_t *doc, const char *name, json_t *value);
// NULL when empty.
json_t *provision_name(struct slice s);

void provision_add(struct loader *l, struct call *c);
void provision_show(struct loader *l, struct call *c);
void provision_set(struct loader *l, struct call *c);
void provision_bar(struct loader *l, struct call *c);
void provision_unbar(struct loader *l, struct call *c);
void provision_delete(struct loader *l, struct call *c);
void provision_stream(struct loader *l, struct call *c);
void provision_list_pump(struct loader *l, struct call *c);
void provision_export_pump(struct loader *l, struct call *c);
void import_begin(struct loader *l, struct call *c);
void sqn_show(struct loader *l, struct call *c);
void sqn_set(struct loader *l, struct call *c);
void sqn_jump(struct loader *l, struct call *c);
void store_status(struct loader *l, struct call *c);

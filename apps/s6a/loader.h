// S6a in the loader: its state goes into the cache, and decisions that do not come from a worker are made
// here.
#pragma once
#include <jansson.h>
#include "apps/s6a/location.h"
#include "cache/build.h"
#include "lib/base/err.h"
#include "loader/admin/admin.h"

// Puts the state into a record that is to be published. false: no room for another node in the cache; the
// record is as it was.
bool s6a_state_publish(struct builder *b, const struct s6a_state *s, struct cache_record *r);

struct app_document;
struct op;

enum s6a_decide_option {
	S6A_DROP_KEPT = 1,     // the blobs that are kept beside the state are removed
	S6A_TELL_UPSTREAM = 2, // the decision is ours: the upstream, if there is one, must be told
};
// Adds a decision to an operation: the state, to the journal and to `op->rec`, and the requests that must
// follow. `op->rec` must be complete but for that. `options`: enum s6a_decide_option. false: no room in the
// cache.
bool s6a_decide(struct loader *l, struct op *op, const struct s6a_decision *d, unsigned options) MUST_USE;
// Adds the requests that tell the serving nodes of the withdrawal; the state is not touched.
void s6a_cancel_all(struct loader *l, struct op *op, const struct cache_record *r, uint32_t clr_flags);

struct app_answer;
struct app_request_kind;
// push.c: tells the serving nodes of what the new document changes in their data. 0, APP_TAKEN, or a negative errno.
int s6a_push(const struct app_document *d);
bool s6a_replaces(uint8_t purpose, struct slice newer, struct slice older, struct wr *joined);
const struct app_request_kind *s6a_request_kind(uint8_t purpose);
void s6a_answered(struct loader *l, struct op *op, const struct app_answer *a);

// The hooks of loader/app.h.
int s6a_document(const struct app_document *d);
struct up_fields;
// What the upstream is to hold of a state.
void s6a_state_fields(const struct s6a_state *s, struct up_fields *f);
void s6a_write_back(const struct cache *c, const struct cache_record *r, struct up_fields *f);
void s6a_show(struct loader *l, json_t *doc, const struct cache_record *r);
void s6a_list(struct loader *l, json_t *row, const struct cache_record *r);
size_t s6a_common(struct loader *l, const struct config *config, uint8_t *out, size_t cap);
extern const struct admin_command s6a_commands[];

// ask.c: `hssctl location ask`, `hssctl reset`.
void s6a_location_ask(struct loader *l, struct call *c);
void s6a_question_answered(struct loader *l, const struct app_answer *a);
void s6a_reset(struct loader *l, struct call *c);
// explain.c: `hssctl explain`; and the last refusals of a subscriber, for `subscriber show`.
void s6a_explain(struct loader *l, struct call *c);
void s6a_show_more(struct loader *l, json_t *document, const struct cache_record *r);

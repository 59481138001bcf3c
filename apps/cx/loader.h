// Cx in the loader: the document's member `ims` becomes data, and what follows for those who are registered.
#pragma once
#include <jansson.h>
#include "apps/cx/registration.h"
#include "loader/admin/admin.h"
#include "loader/app.h"

// The hooks of loader/app.h.
bool cx_read(struct loader *l, const json_t *document, struct wr *out, struct record_error *e);
json_t *cx_stored(const json_t *document);
int cx_document(const struct app_document *d);
void cx_withdrawn(struct loader *l, struct op *op, const struct cache_record *r);
void cx_write_back(const struct cache *c, const struct cache_record *r, struct up_fields *f);
extern const struct doc_reader cx_reader;
size_t cx_common(struct loader *l, const struct config *config, uint8_t *out, size_t cap);
extern const struct admin_command cx_commands[];

// Adds what a decision changes to an operation: the state, and the requests that must follow. `u`: whose texts the
// requests may need. false: no room.
bool cx_decide(struct loader *l, struct op *op, const struct ims_user *u, const struct cx_decision *d,
	       struct slice text) MUST_USE;
// Adds a PPR of one set to the S-CSCF of this state. `secret`: with the digest, which has changed.
void cx_push(struct loader *l, struct op *op, const struct ims_state *now, uint8_t set, bool secret);

// SWx in the loader: the document's member `non_3gpp` becomes data, and what follows for those who are registered.
#pragma once
#include <jansson.h>
#include "apps/swx/data.h"
#include "apps/swx/registration.h"
#include "loader/admin/admin.h"
#include "loader/app.h"

// The hooks of loader/app.h.
bool swx_read(struct loader *l, const json_t *document, struct wr *out, struct record_error *e);
void swx_write_back(const struct cache *c, const struct cache_record *r, struct up_fields *f);
extern const struct doc_reader swx_reader;
extern const struct admin_command swx_commands[];

// Adds what a decision changes to an operation: the state, and the RTR to the server of `before`. false: no room.
bool swx_decide(struct loader *l, struct op *op, const struct swx_state *before, const struct swx_decision *d) MUST_USE;

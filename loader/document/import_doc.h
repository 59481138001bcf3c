// Documents of an import, parsed at the speed that a million of them needs. Most of a document is the same as
// in the one before (the subscription); what differs is a few small members (the subscriber). So a line is
// split at its top level, without understanding it, into what is usually a subscriber's own and the rest; the
// rest is looked up among what was parsed before, byte for byte. Both parts go through the JSON parser, the
// second one only when it is new; a line that the splitter does not understand goes through it as a whole, so
// nothing is accepted that it would not accept.
#pragma once
#include <jansson.h>
#include "lib/base/wire.h"

struct import_docs; // opaque, heap

struct import_docs *import_docs_new(void);
void import_docs_free(struct import_docs **d);
// A new reference, or NULL and *e.
json_t *import_docs_parse(struct import_docs *d, struct slice line, json_error_t *e);

// What applications make of a subscriber's document: each may name one member of it (loader/app.h), of which it makes data
// that are kept beside the document and published as a part of the record. Main thread.
#pragma once
#include "loader/app.h"

struct app_data {
	struct slice octets[CACHE_APP_MAX]; // by number; empty: the document has no such member
	bool any;
};

// Reads the members of a document, which is given parsed or else as text. The octets stay as they are until the next
// call. false: e->text says what is wrong.
bool app_data_read(struct loader *l, const json_t *document, struct slice text, struct app_data *out,
		   struct record_error *e) MUST_USE;
// The document as it may be stored, when that is not as it was given (a password is in it): to be released. NULL: as
// it is.
json_t *app_data_stored(struct loader *l, const json_t *document, struct slice text) MUST_USE;
// The operation that is being begun claims the identities of these data. Before txn_begin: commits the batch if it holds
// another claim of one of them. Afterwards (`note`): notes them.
void app_data_claim(struct loader *l, const struct app_data *d, bool note);

// What the loader knows of an application: one row of the table that main.c hands to loader_init. The loader keeps,
// orders and publishes an application's state without understanding it; what needs understanding is a pure function here.
#pragma once
#include <jansson.h>
#include "loader/loader.h"

struct admin_command;
struct op;
struct subscription;
struct up_doc;

struct app_document {
	struct loader *l;
	struct op *op;			// its `rec` is the record as it will be
	const struct cache_record *old; // NULL: the subscriber is new
	const struct subscription *s;
	const struct up_doc *feed; // NULL: not from the upstream
	bool content_changed;	   // of the document, its state left aside
	bool may_restore;	   // the document is the newest that the upstream has
};
enum app_taken {
	APP_TAKEN = 1,	 // an entry was written
	APP_RESTORE = 2, // the upstream has lost our state: it is to be told again
};

struct loader_app {
	const char *name;
	unsigned number; // of apps/apps.def: below LOADER_APPS_MAX
	// An application keeps its state in fields of the record, by these two; or in a part of its own (cache/state.h),
	// without them.
	// Version and key of the last change, as the record shows them; 0 when there is no state.
	void (*seen)(const struct cache_record *r, uint16_t *version, uint64_t *key);
	// Puts a state row into the record that is to be published; an empty body: there is no state. false: bytes that
	// this build does not understand, or no room in the cache: the record is as it was.
	bool (*publish)(struct builder *b, const struct state_row *row, struct cache_record *r);
	// What is kept beside the state, after `fresh` has come to what was there (entry.h, KEPT_MERGED). Writes at most
	// `cap` octets; returns how many. NULL: nothing is merged.
	size_t (*merge)(struct slice old, struct slice fresh, uint8_t *out, size_t cap);
	// A subscriber's document was stored by `d->op`: takes over what it says of this application's state, with the
	// requests that follow. Returns bits of enum app_taken, or a negative errno when the cache has no room.
	int (*document)(const struct app_document *d);
	// The subscriber is deleted by `op`: adds the requests that tell its nodes. `r` is the record as it was.
	void (*withdrawn)(struct loader *l, struct op *op, const struct cache_record *r);
	// What its state says, in the document as it is shown and exported; in a subscriber's row of a list.
	void (*show)(struct loader *l, json_t *document, const struct cache_record *r);
	void (*list)(struct loader *l, json_t *row, const struct cache_record *r);
	// Calls of hss-admin about it; ended by an empty row. NULL: none.
	const struct admin_command *commands;
};

// The application of this number, or NULL.
const struct loader_app *loader_app(const struct loader *l, unsigned number);

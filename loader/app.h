// What the loader knows of an application: one row of the table that main.c hands to loader_init. The loader
// keeps, orders and publishes an application's state without understanding it. Where the state must be
// understood, it calls these functions.
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
	bool content_changed;	   // the document differs from the last one in more than state
	bool may_restore;	   // the document is the newest that the upstream has
};
enum app_taken {
	APP_TAKEN = 1,	 // an entry was written
	APP_RESTORE = 2, // the upstream has lost our state: it must be written again
};

struct loader_app {
	const char *name;
	unsigned number; // of apps/apps.def: below LOADER_APPS_MAX
	// An application with fields of its own in the record sets `seen` and `publish`. For one without them
	// both are NULL, and its state is published as a part of the record (cache/state.h).
	//
	// Version and key of the last change, as the record shows them; 0 when there is no state.
	void (*seen)(const struct cache_record *r, uint16_t *version, uint64_t *key);
	// Puts a state row into the record that is to be published; an empty body means no state. false, and
	// the record is as it was: this build does not understand the bytes, or the cache has no room.
	bool (*publish)(struct builder *b, const struct state_row *row, struct cache_record *r);
	// Merges `fresh` into the blob that is kept beside the state (entry.h, kept[1]). Writes at most `cap`
	// octets; returns how many. NULL: nothing is ever merged.
	size_t (*merge)(struct slice old, struct slice fresh, uint8_t *out, size_t cap);
	// `d->op` stores a subscriber's document: takes over what the document says of this application's
	// state, with the requests that must follow. Returns bits of enum app_taken, or a negative errno when
	// the cache has no room.
	int (*document)(const struct app_document *d);
	// The subscriber is deleted by `op`: adds the requests that tell its nodes. `r` is the record as it was.
	void (*withdrawn)(struct loader *l, struct op *op, const struct cache_record *r);
	// Puts its state into the document that is shown or exported; into a subscriber's row of a list.
	void (*show)(struct loader *l, json_t *document, const struct cache_record *r);
	void (*list)(struct loader *l, json_t *row, const struct cache_record *r);
	// Its calls of hss-admin, ended by an empty row. NULL: none.
	const struct admin_command *commands;
};

// The application of this number, or NULL.
const struct loader_app *loader_app(const struct loader *l, unsigned number);

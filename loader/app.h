// What the loader knows of an application: one row of the table that main.c hands to loader_init. The loader
// keeps, orders and publishes an application's state without understanding it. Where the state must be
// understood, it calls these functions.
#pragma once
#include <jansson.h>
#include "loader/loader.h"

struct admin_command;
struct record_error;
struct cache_state;
struct op;
struct subscription;
struct up_doc;
struct up_fields;

struct app_document {
	struct loader *l;
	struct slice data; // what this application has made of its member; empty: the document has none
	struct op *op;			// its `rec` is the record as it will be
	const struct cache_record *old; // NULL: the subscriber is new
	const struct subscription *s;
	const struct up_doc *feed; // NULL: not from the upstream
	bool content_changed;	   // the document differs from the last one in more than state
	bool may_restore;	   // the document is the newest that the upstream has
	struct slice said;	   // what it says of this application's state (doc_reader.said); empty: nothing
	struct record_error *e;	   // where a refusal of the document says why
};
// One node's version of a state: when it changed last, and its octets.
struct app_version {
	uint32_t time_s;
	struct slice octets;
};
// Of the versions of two nodes the newer counts, and of one second that of the greater octets: both nodes decide alike.
enum app_whose { APP_SAME, APP_THEIRS, APP_OURS };
enum app_whose app_whose(struct app_version ours, struct app_version theirs);
// May our state be written again when `d` lacks it? Only when `d` is the newest document that the upstream has, and
// our state is not on its way there.
bool app_may_restore(const struct app_document *d);

// What an HSS-initiated request is: its command, as operators know it; and whether it can wait, so that a mass change
// does not flood a node (limits.push_rate).
struct app_request_kind {
	const char *command;
	bool paced;
};
// How an HSS-initiated request ended. Slices are borrowed.
struct app_answer {
	imsi_t imsi;
	uint64_t id; // of its row
	uint8_t purpose;
	bool answered; // by the node itself; false: a question (hss_request_ask) that found no way, or no answer in time
	bool experimental;
	uint32_t result;
	uint32_t memo;			  // what was noted when it was composed
	struct slice host, realm, data; // of the row
	struct slice told;		  // what the worker took from the answer (worker/app.h, ended)
};
enum app_taken {
	APP_TAKEN = 1,	 // an entry was written
	APP_RESTORE = 2, // the upstream has lost our state: it must be written again
};

struct loader_app {
	const char *name;
	unsigned number; // of apps/apps.def: below CACHE_APP_MAX
	// At the start, when everything is folded, and at the end: for an application that keeps items (commit/item.h) and has
	// them in l->own[number]. 0 or a negative errno. NULL: there is nothing to do.
	int (*start)(struct loader *l);
	void (*stop)(struct loader *l);
	void (*tick)(struct loader *l); // once a second; NULL: there is nothing to do
	// An application with fields of its own in the record sets `seen` and `publish`. For one without them
	// both are NULL, and its state is published as a part of the record (cache/state.h).
	//
	// Version and key of the last change, as the record shows them; 0 when there is no state.
	void (*seen)(const struct cache_record *r, uint16_t *version, uint64_t *key);
	// Puts a state row into the record that is to be published; an empty body means no state. false, and
	// the record is as it was: this build does not understand the bytes, or the cache has no room.
	bool (*publish)(struct builder *b, const struct state_row *row, struct cache_record *r);
	// Its state or its data (`data`) are about to be published as a part: may take out of s->body what many
	// subscribers have in common and refer to it instead (builder_shared), and set the note. `buf`, of STATE_BODY_MAX
	// octets, is for the new body. false: the cache has no room, or this build does not understand the octets. NULL:
	// the body is published as it is.
	bool (*pack)(struct builder *b, bool data, struct cache_state *s, uint8_t *buf);
	// The document's members of which it makes data (app_data.h), ended by NULL; or NULL: none, and neither of the next
	// two.
	const char *const *members;
	// Makes data of a document that has one of them. false: e->text says what is wrong, beginning with the member's path.
	bool (*read)(struct loader *l, const json_t *document, struct wr *out, struct record_error *e);
	// The document as it is stored, when something in it must not be; NULL: it is stored as it is.
	json_t *(*stored)(const json_t *document);
	// The hashes of the identities (lib/base/subject.h) that its data give to a subscriber; at most `max`. Returns how
	// many. NULL: none.
	unsigned (*identities)(struct slice data, uint64_t *hash, unsigned max);
	// What it keeps once for all subscribers (cache_common_get), at most `cap` octets, from the configuration. Returns how
	// many; 0: nothing. Called at the start and at each reload. NULL: nothing is ever kept.
	size_t (*common)(struct loader *l, const struct config *config, uint8_t *out, size_t cap);
	// Merges `fresh` into the blob that is kept beside the state (entry.h, kept[1]). Writes at most `cap`
	// octets; returns how many. NULL: nothing is ever merged.
	size_t (*merge)(struct slice old, struct slice fresh, uint8_t *out, size_t cap);
	// That blob is published, too: as its data, which it then makes of no member of the document.
	bool shows_kept;
	// How it reads documents (loader/document/reader.h). NULL: not at all.
	const struct doc_reader *reader;
	// `d->op` stores a subscriber's document: takes over what the document says of this application's
	// state, with the requests that must follow. Returns bits of enum app_taken, or -EINVAL when the document must be
	// refused (d->e says why), or another negative errno when the cache has no room.
	int (*document)(const struct app_document *d);
	// An operation is about to change a subscriber: the record, and states (op->state), perhaps of another application. May add
	// HSS-initiated requests, and a new state of its own, to the same operation. `old` is the record as it was. Runs for each
	// change: must be quick where it has nothing to do. NULL: it does not care.
	void (*noticed)(struct loader *l, struct op *op, const struct cache_record *old);
	// The subscriber is deleted by `op`: adds the requests that tell its nodes. `r` is the record as it was.
	void (*withdrawn)(struct loader *l, struct op *op, const struct cache_record *r);
	// Does a newer HSS-initiated request take the place of an older one of the same purpose for the same node? Both are
	// `data` of rows. It may then write other data for the newer one, at most 255 octets. NULL: it always does, as it is.
	bool (*replaces)(uint8_t purpose, struct slice newer, struct slice older, struct wr *joined);
	// A node has answered an HSS-initiated request. Adds what follows to `op`, which ends its row: a state by change_state
	// with OP_PUT, further requests. `op->rec` is the record; of a deleted subscriber it is not called. For a question `op`
	// is NULL. NULL: nothing ever follows.
	void (*answered)(struct loader *l, struct op *op, const struct app_answer *a);
	// What its HSS-initiated requests of this purpose are. NULL: it sends none.
	const struct app_request_kind *(*request_kind)(uint8_t purpose);
	// What the upstream's document is to hold of its state: adds updates to `f` (up_fields.h), from the record as it is now.
	// NULL: nothing.
	void (*write_back)(const struct cache *c, const struct cache_record *r, struct up_fields *f);
	// Puts its state into the document that is shown or exported; into a subscriber's row of a list.
	void (*show)(struct loader *l, json_t *document, const struct cache_record *r);
	void (*list)(struct loader *l, json_t *row, const struct cache_record *r);
	// What `subscriber show` says beside the document, and no export has. NULL: nothing.
	void (*show_more)(struct loader *l, json_t *document, const struct cache_record *r);
	// Its calls of hss-admin, ended by an empty row. NULL: none.
	const struct admin_command *commands;
};

// The application of this number, or NULL. Also of the number of a row of data.
static inline const struct loader_app *loader_app(const struct loader *l, unsigned number)
{
	return number < 2 * CACHE_APP_MAX ? l->app[number % CACHE_APP_MAX] : NULL;
}
// The readers of a table of applications (ended by NULL), for record_ctx_init: into `out`, of DOC_OWNERS_MAX + 1.
static inline void loader_readers(const struct loader_app *const apps[], const struct doc_reader *out[DOC_OWNERS_MAX + 1])
{
	unsigned n = 0;
	for (; *apps; apps++)
		if ((*apps)->reader && n < DOC_OWNERS_MAX)
			out[n++] = (*apps)->reader;
	out[n] = NULL;
}

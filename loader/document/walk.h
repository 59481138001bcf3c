// One walk over a subscriber's document, JSON or BSON, along the schema (lib/document/schema.h): each known member is
// checked for its type and its bounds and handed to the table that it belongs to; the others are passed over. So what
// a document may hold, and how a defect is called, is the same for both forms. Loader process, any thread; pure.
#pragma once
#include <jansson.h>
#include "lib/document/schema.h"
#include "loader/document/bson_walk.h"

// ---- values: what JSON, Extended JSON and BSON have in common

enum doc_kind { DV_NULL, DV_TEXT, DV_INT, DV_REAL, DV_BOOL, DV_OBJECT, DV_LIST, DV_OTHER };

struct doc_value {
	uint8_t kind;
	bool yes;
	int64_t n;
	struct slice text;  // of DV_TEXT; of BSON's DV_OBJECT and DV_LIST the whole value
	const json_t *json; // of JSON's DV_OBJECT and DV_LIST
};

// The members of an object, or the elements of a list.
struct doc_cursor {
	const json_t *json; // NULL: BSON
	void *iter;
	size_t next;
	struct bson_walk bson;
};
struct doc_value doc_of_json(const json_t *v);
struct doc_value doc_of_bson(const struct bson_walk *w); // the element that it stands at
struct doc_cursor doc_cursor_of(const struct doc_value *v);
// The next one; its name is empty in a list. false: the end (of BSON, also when it is broken).
bool doc_next(struct doc_cursor *c, struct slice *name, struct doc_value *v);
// The member of an object; DV_NULL when it has none.
struct doc_value doc_get(const struct doc_value *object, const char *name);

// ---- the walk

struct record_error {
	char text[256];
};

enum doc_step {
	DOC_VALUE,   // a value of the type and within the bounds that its row names
	DOC_BEGIN,   // an object or a list: its members follow
	DOC_END,     // they are through
	DOC_DROPPED, // something in it was wrong and its row has DROP: forget what it brought since DOC_BEGIN
	DOC_EMPTY,   // it is there without a value, and its row has EMPTY
};

struct doc_at {
	const struct doc_node *node;
	enum doc_step step;
	unsigned index; // of the innermost list
	const struct doc_value *value;
	union {
		uint8_t octets[16];     // DOC_HEX, DOC_IPV4, DOC_IPV6
		uint64_t bits_per_s;	// DOC_RATE
	};
};

struct doc_walk;
enum doc_result { DOC_GO, DOC_PASS_OVER, DOC_BAD }; // DOC_BAD: doc_bad said why
// What a table does with its members.
typedef enum doc_result doc_take(struct doc_walk *w, const struct doc_at *at, void *into);

struct doc_sink {
	doc_take *take; // NULL: nobody wants them
	void *into;
};

struct doc_walk {
	const struct doc_schema *schema;
	const struct doc_sink *sink; // one a table, by its number
	struct record_error *e;	     // of DOC_BAD the reason; else what was left out
	const struct doc_node *pass_over; // a member that is not wanted; NULL: none
	bool bad;
	bool alone;    // there was a member with which a document needs no keys
	bool left_out; // e->text names something that was left out
	// where it is, for messages
	const struct doc_node *node;
	unsigned index[DOC_DEPTH_MAX];
	unsigned depth;
};

struct doc_walk doc_walk_of(const struct doc_schema *schema, const struct doc_sink *sink, struct record_error *e);
// All members of a document, or one of them. false: it can't be served, e->text says why.
bool doc_walk_all(struct doc_walk *w, const struct doc_value *document) MUST_USE;
bool doc_walk_member(struct doc_walk *w, const struct doc_node *node, const struct doc_value *v) MUST_USE;
// Names a defect: "slice[0].session[1].FIELD: ..."; `field` "" for the member itself. Returns DOC_BAD.
__attribute__((format(printf, 3, 4))) enum doc_result doc_bad(struct doc_walk *w, const char *field, const char *fmt,
							      ...);
// "a string", "an array" ... for messages.
const char *doc_kind_name(const struct doc_value *v);

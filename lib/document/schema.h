// The members of a subscriber's document: one table each for the core and for every application, one row a member.
// What reads a document (loader/document), recognises its parts (the profile memo, imports, digests), checks what an
// operator sets by hand (hssctl, loader/admin) or describes it (tools/gen-docs.py) derives from these rows.
//
// An application adds a table in apps/<name>/document.def and apps/documents.c. Pure; read-only after schema_init.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"

enum doc_type {
	DOC_ANY,      // kept, not looked at
	DOC_OBJECT,   // its members are rows of their own
	DOC_LIST,     // at most `most` elements (0: any number); the element is a row "path[]"
	DOC_TEXT,     // `least` to `most` octets; "" is as if it were not there
	DOC_HEX,      // hex digits of `most` octets, blanks allowed
	DOC_HEX_TEXT, // the same, taken as text
	DOC_NUMBER,   // a whole number, `least` to `most`
	DOC_BOOL,
	DOC_IPV4,
	DOC_IPV6,
	DOC_RATE, // {value, unit}, unit at most `most`; or a number of 1024 bit/s (NextEPC)
};

// Whose the member is.
enum doc_part {
	DOC_PART_NAME,	     // the document's own name in its database
	DOC_PART_SUBSCRIBER, // this subscriber's
	DOC_PART_PROFILE,    // part of what subscribers share
	DOC_PART_STATE,	     // changes without anybody changing the subscription
	DOC_PART_OTHERS,     // read by other programs only; kept
};

enum {
	DOC_F_NEEDED = 1,
	DOC_F_SECRET = 2, // never shown, unless asked for by name
	DOC_F_DROP = 4,	  // what is wrong in it is left out and named; the subscriber is served
	DOC_F_QUIET = 8,  // the same without naming it; a list of one is taken for its element
	DOC_F_ONE = 16,	  // of a list: a single value is taken for a list of one
	DOC_F_TEXT = 32,  // of DOC_ANY: text, although it may look like a number
	DOC_F_ALONE = 64, // a document that has it needs no keys
	DOC_F_EMPTY = 128, // an empty value (null, "", an empty list) is told: DOC_EMPTY of loader/document/walk.h
	DOC_F_WEB = 256,  // Open5GS's WebUI has an empty list where there is no value
};

struct doc_member {
	const char *path; // "slice[].session[].qos.index"
	uint8_t type;	  // enum doc_type
	uint8_t part;	  // enum doc_part
	uint16_t flags;
	int64_t least, most;
	const char *help;
};

struct doc_table {
	const char *owner; // "core", or the application's name
	const struct doc_member *member;
	unsigned cnt;
};

#define DOC_NODES_MAX  512u
#define DOC_OWNERS_MAX 8u
#define DOC_DEPTH_MAX  12u

// A member's place in the tree that the tables make together.
struct doc_node {
	struct slice name; // "qos"; of a list's element "[]"
	const struct doc_member *member;
	uint16_t parent; // the root is its own
	uint16_t owner;	 // which table
	uint16_t row;	 // in it: what its enumeration counts
};

struct doc_schema {
	struct doc_node node[DOC_NODES_MAX]; // 0: the document
	unsigned cnt;
	uint16_t hash[2 * DOC_NODES_MAX]; // of (parent, name); 0: free
};

// 0, or -EINVAL: a row without the rows above it, one that is there twice, or too many.
int schema_init(struct doc_schema *s, const struct doc_table *const tables[], unsigned cnt) MUST_USE;
// The member `name` of a node; NULL: unknown.
const struct doc_node *schema_child(const struct doc_schema *s, const struct doc_node *parent, struct slice name);
// The element of a list; NULL: it is none.
const struct doc_node *schema_element(const struct doc_schema *s, const struct doc_node *list);
// A path as operators write it: "slice.0.session.0.name". NULL: unknown.
const struct doc_node *schema_find(const struct doc_schema *s, const char *path);
// The known path that is most like this one, in the same form; false: none is like it.
bool schema_suggest(const struct doc_schema *s, const char *path, char *out, size_t cap) MUST_USE;
// Is it a number that Open5GS reads as int64 or not at all? Others fit into int32.
static inline bool doc_member_is_int64(const struct doc_member *m)
{
	return m->type == DOC_NUMBER && m->most > UINT32_MAX;
}
// Text or digits: a value that looks like a number is none.
bool doc_member_is_text(const struct doc_member *m);

static inline enum doc_part doc_part_of(const struct doc_node *n)
{
	return n ? (enum doc_part)n->member->part : DOC_PART_OTHERS;
}

// A memo of profiles. Most documents of a collection differ in who the subscriber is, not in what it may do.
// The memo keeps the members that make the profile (the schema knows which), octet by octet, with the profile
// that record.c made of them. A later document with the same members gets that profile without being read
// again. Loader process, feed and ask thread.
#pragma once
#include <bson/bson.h>
#include "loader/document/record.h"

#define MONGO_KINDS    64u
#define MONGO_KIND_MAX 4096u // octets of the parts

struct mongo_kind {
	uint64_t hash;
	uint8_t *parts;
	uint32_t len;
	struct cache_profile *profile; // heap
	uint8_t digest[16];
	uint8_t flags;
};

struct profile_memo {
	struct mongo_kind kind[MONGO_KINDS];
	// of the last document
	struct wr out;
	uint64_t hash;
	uint32_t len;
	bool whole; // all its parts were plain BSON and found room
	uint8_t parts[MONGO_KIND_MAX];
};

void profile_memo_fini(struct profile_memo *q);
// A document begins; its members that belong to the profile follow one by one, then the question whether it is known.
void profile_memo_begin(struct profile_memo *q);
void profile_memo_add(struct profile_memo *q, const struct doc_schema *schema, const struct doc_node *node,
		      const struct bson_walk *w);
// NULL: its kind is not known.
const struct mongo_kind *profile_memo_find(struct profile_memo *q) MUST_USE;
// The last document's parts make this profile. Copies. Without memory it is not learned.
void profile_memo_learn(struct profile_memo *q, const struct cache_profile *profile, const uint8_t digest[16],
		       uint8_t flags);

// Most documents of a collection differ in who the subscriber is, not in what it may do. Those parts are
// kept, octet by octet, with the profile that record.c made of them; a further document with the same parts,
// and nothing unusual in the others, is read without making JSON of it. Whatever is not quite plain is left
// to record.c. Loader process, feed and ask thread.
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
	uint64_t hash;
	uint32_t len;
	bool whole; // all its parts were plain BSON and found room
	uint8_t parts[MONGO_KIND_MAX];
};

void profile_memo_fini(struct profile_memo *q);
// Reads what is the subscriber's own into `s` (which then holds no APNs; its keys are the caller's to wipe,
// in any case). NULL: not plain, or its kind is not known.
const struct mongo_kind *profile_memo_parse(struct profile_memo *q, struct record_ctx *c, const bson_t *doc,
					   struct subscription *s) MUST_USE;
// The last document's parts make this profile. Copies. Without memory it is not learned.
void profile_memo_learn(struct profile_memo *q, const struct cache_profile *profile, const uint8_t digest[16],
		       uint8_t flags);

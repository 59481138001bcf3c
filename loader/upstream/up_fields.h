// What is to be written into a subscriber's document in the upstream beside its SQN: a list of updates, each with the members
// that it sets or removes. The applications fill it in from their state (loader/app.h, write_back); the write thread sends it
// (mongo_update.h). The core does not know the members. Loader process.
#pragma once
#include "lib/base/wire.h"

#define UP_FIELDS_MAX	    48u
#define UP_UPDATES_MAX	    8u
#define UP_FIELD_OCTETS_MAX (48u << 10) // what all applications may write together

enum up_field_kind { UP_FIELD_UPDATE, UP_FIELD_UNSET, UP_FIELD_TEXT, UP_FIELD_INT64, UP_FIELD_BOOL };

struct up_field {
	const char *path; // "corehss.member", static. Of UP_FIELD_UPDATE the number that guards it; NULL: none
	enum up_field_kind kind;
	int64_t n; // of numbers and truth values; of UP_FIELD_UPDATE as below
	struct slice text;
};

struct up_fields {
	unsigned cnt, updates;
	uint32_t used;
	struct up_field field[UP_FIELDS_MAX];
	uint8_t octets[UP_FIELD_OCTETS_MAX];
};

// Begins an update: the fields that follow belong to it. It is applied only where the member `guard` has no number greater
// than `time`, so that an older state never replaces a newer one, whoever wrote it; the application sets that member, too.
// Guarded updates also leave the number of our node (corehss.node). A NULL guard: always applied.
void up_update_begin(struct up_fields *f, const char *guard, uint64_t time);
void up_set_text(struct up_fields *f, const char *path, struct slice text);
void up_set_int64(struct up_fields *f, const char *path, uint64_t n);
void up_set_bool(struct up_fields *f, const char *path, bool yes);
void up_unset(struct up_fields *f, const char *path);

// A copy of the fields on the heap, one block with their octets. NULL: there are none, or no memory.
struct up_field *up_fields_copy(const struct up_fields *f);

// An operator's change as BSON, so that the WebUI of Open5GS can open and save what it makes: numbers as
// int32, those that the schema says as int64, _id in the document, its slices, sessions and rules, empty
// arrays where the WebUI has them. Pure functions; loader process, the ask thread. JSON may be plain or
// either Extended JSON.
#pragma once
#include <bson/bson.h>
#include "loader/upstream/upstream.h"

#define MONGO_REASON_MAX 160u

// One updateOne by {imsi}.
struct mongo_change {
	bson_t update;
	bool upsert;
	bson_oid_t id; // ADD: that the document gets, for the answer: who made it
};

// A whole new document (UP_ADD), made by an upsert that touches nothing when there is one. false: `reason`
// says what is wrong with it; else the caller frees it. It holds keys: fini wipes.
bool mongo_change_add(const json_t *doc, struct mongo_change *out, char reason[MONGO_REASON_MAX]) MUST_USE;
// UP_REPLACE. `old`: the document as it stands, NULL: none. Its _id, its fields that are not of the schema,
// its location, and a security.sqn that is higher (unless the key changes) are kept.
bool mongo_change_replace(const json_t *doc, const bson_t *old, struct mongo_change *out,
			  char reason[MONGO_REASON_MAX]) MUST_USE;
// UP_SET: {"$set": {...}, "$unset": {...}}.
bool mongo_change_set(const json_t *change, struct mongo_change *out, char reason[MONGO_REASON_MAX]) MUST_USE;
void mongo_change_fini(struct mongo_change *c);

// Composes the updates of a subscriber's document in MongoDB (write-back), as BSON, in the schema of Open5GS. Pure
// functions; loader process, the write thread; law 8. Each update may be applied twice, and late: its filter
// says what it may still replace. They work on MongoDB 4.0 (no pipelines), and none is an upsert.
//
//	what applications set and remove (up_fields.h); corehss.node: the number of the node that wrote last
//	security.sqn	int64
#pragma once
#include <bson/bson.h>
#include "loader/upstream/upstream.h"

#define MONGO_OPS_MAX (UP_UPDATES_MAX + 2u) // of one write

struct mongo_op {
	bson_t filter, update; // of one updateOne
};

// Composes the updates of a write, at most MONGO_OPS_MAX; the caller frees each with mongo_op_fini. `node`:
// of the configuration, for whoever looks into the document.
unsigned mongo_update_ops(const struct up_write *w, uint32_t node, struct mongo_op ops[MONGO_OPS_MAX]);
void mongo_op_fini(struct mongo_op *op);

// An error that the server gives for one update. Of the document: that one is set aside. Of the server, its
// disk, its role or our rights: all is tried again. Others are taken for one of the document when other
// updates of the bulk went well.
enum mongo_blame { MONGO_BLAME_DOCUMENT, MONGO_BLAME_SERVER, MONGO_BLAME_UNKNOWN };
enum mongo_blame mongo_update_blame(uint32_t code, const char *text);

// The errors of a bulk's reply, one by one: those of single operations ("writeErrors") or of all
// ("writeConcernErrors").
struct mongo_error {
	int64_t index; // of the operation; -1: none
	uint32_t code;
	char text[UP_ERROR_MAX]; // without pieces of the document
};
struct mongo_errors {
	bson_iter_t at;
	bool some;
};
struct mongo_errors mongo_errors_of(const bson_t *reply, const char *list);
bool mongo_errors_next(struct mongo_errors *at, struct mongo_error *out);

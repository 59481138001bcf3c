// A subscriber's document as BSON becomes what the main thread takes (struct up_doc): the digests that tell
// whether it changed and in what, its text as it is kept, and the validated record. Loader process, the feed
// and the ask thread; law 8.
#pragma once
#include <bson/bson.h>
#include "loader/upstream/mongo/profile_memo.h"
#include "loader/upstream/upstream.h"

struct mongo_digests {
	uint64_t id;     // of the type and the bytes of _id; 0: there is none
	uint64_t digest; // of the content without state: see up_doc.digest
	uint32_t full;   // of every byte; never 0
};

// Each thread has one of its own.
struct mongo_docs {
	struct record_ctx records;
	struct profile_memo quick;
	struct subscription s;
	uint8_t said[DOC_SAID_MAX];
};
int mongo_docs_init(struct mongo_docs *c, const struct upstream_options *o) MUST_USE;
void mongo_docs_fini(struct mongo_docs *c); // wipes

// `doc` may be any bytes that the driver takes for BSON.
void mongo_doc_digests(const bson_t *doc, struct mongo_digests *out);
// Of a documentKey, or of a document: mongo_digests.id alone.
uint64_t mongo_doc_id(const bson_t *doc);
// Its field imsi, or none.
imsi_t mongo_doc_imsi(const bson_t *doc);
// Reads it. NULL: it can't be served, e->text names the field and what was expected (never a key). When the
// document is served although its security.sqn can't be raised (sqn_unusable), e->text says that; else
// e->text is empty.
struct up_doc *mongo_doc_read(struct mongo_docs *c, const bson_t *doc, const struct mongo_digests *g,
			      struct record_error *e) MUST_USE;

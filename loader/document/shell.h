// A document as MongoDB's shells print it (mongosh and the former mongo): JavaScript rather than JSON. It becomes Extended
// JSON: ObjectId("..."), NumberLong(5), Int32(5), ISODate("..."), UUID("..."), BinData(0,"...") and their like get their
// names there, bare names and single quotes become quoted text, trailing commas go. Pure; loader process.
#pragma once
#include "lib/base/err.h"
#include "lib/base/wire.h"

// Appends the document to `out`. NULL, or what was not understood. Whether what comes out is JSON, the JSON parser says.
const char *shell_to_json(struct slice in, struct wr *out) MUST_USE;

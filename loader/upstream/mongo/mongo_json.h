// BSON as JSON: the text that is kept (relaxed Extended JSON). Pure; loader process, the feed and the ask thread.
#pragma once
#include <bson/bson.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"

#define MONGO_DEPTH_MAX 32u // MongoDB allows 100; nothing of the schema is deeper than 8

// The document's text and a NUL; *len without it. Heap. NULL: broken, not UTF-8, too deep, or no memory.
char *mongo_json_text(const bson_t *doc, size_t *len) MUST_USE;

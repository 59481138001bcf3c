// A line of an import as hostile text: split and parsed, made a record and a profile, walked again as a node
// would.
#include <stdlib.h>
#include "loader/document/import_doc.h"
#include "loader/document/record.h"
#include "tests/support/readers.h"
#include "lib/diameter/avp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct slice group, unsigned depth)
{
	struct rd r = rd_slice(group);
	struct avp a;
	enum avp_walk w;
	while ((w = avp_next(&r, &a)) == AVP_WALK_ONE)
		if (depth < 4 && (a.code == 1429 || a.code == 1430 || a.code == 1467))
			walk(a.data, depth + 1);
	if (w == AVP_WALK_BROKEN)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct record_ctx ctx;
	static struct import_docs *docs;
	static struct subscription sub;
	struct record_image image;
	struct record_error error;
	json_error_t where;
	if (!docs) {
		docs = import_docs_new();
		if (!docs || record_ctx_init(&ctx, test_readers))
			abort();
	}
	// half of the inputs with what a configuration can switch on
	ctx.allow_xor = ctx.has_op = size & 1;
	json_t *split = import_docs_parse(docs, slice_of(data, size), &where);
	json_t *whole = json_loadb((const char *)data, size, 0, NULL);
	if ((split != NULL) != (whole != NULL) || (split && !json_equal(split, whole)))
		abort();
	json_decref(whole);
	if (split && record_parse(&ctx, split, &sub, &error) && record_build(&ctx, &sub, &image, &error)) {
		if (!sub.imsi.v || ctx.profile->len > RECORD_PROFILE_MAX)
			abort();
		walk(slice_of(ctx.profile->avps, ctx.profile->len - sizeof(*ctx.profile)), 0);
	}
	json_decref(split);
	return 0;
}

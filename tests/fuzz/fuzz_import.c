// A whole import as hostile text: its lines one after the other, so that what one leaves behind (parsed
// parts, a CSV's header, the row before) meets the next. The first octet: bit 0: rows of a CSV, else
// documents; bit 1: what a configuration can switch on. A CSV row that is taken must make a document that the
// record's reader takes too.
#include <stdlib.h>
#include <string.h>
#include "loader/document/csv.h"
#include "loader/document/import_doc.h"
#include "loader/document/record.h"
#include "tests/support/readers.h"

#define LINES_MAX 400 // long inputs would only repeat themselves

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct record_ctx ctx;

static bool make_record(const json_t *doc)
{
	static struct subscription sub;
	struct record_image image;
	struct record_error error = {0};
	bool made = record_parse(&ctx, doc, &sub, &error) && record_build(&ctx, &sub, &image, &error);
	if (made ? ctx.profile->len > RECORD_PROFILE_MAX
		 : !memchr(error.text, 0, sizeof error.text) || !error.text[0])
		abort();
	return made;
}

static void document(struct import_docs *docs, struct slice line)
{
	json_error_t where;
	json_t *split = import_docs_parse(docs, line, &where);
	json_t *whole = json_loadb((const char *)line.p, line.len, 0, NULL);
	if ((split != NULL) != (whole != NULL) || (split && !json_equal(split, whole)))
		abort();
	json_decref(whole);
	if (split)
		make_record(split);
	json_decref(split);
}

static bool inside(struct slice all, struct slice part)
{
	return part.len == 0 || (part.p >= all.p && part.p + part.len <= all.p + all.len);
}

static void csv_line(struct csv *csv, struct slice line)
{
	struct record_error error = {0};
	struct csv_row row;
	enum csv_line kind = csv_read(csv, line, &row, &error);
	if (kind == CSV_BAD && (!error.text[0] || !memchr(error.text, 0, sizeof error.text)))
		abort();
	if (kind != CSV_ROW)
		return;
	if (!row.imsi.v || !inside(line, row.imsi_text) || !inside(line, row.k) || !inside(line, row.op) ||
	    !inside(line, row.opc) || !inside(line, row.amf) || !inside(line, row.apn))
		abort();
	json_t *doc = csv_document(csv, &row);
	// without OP and OPc it is a question of the configuration
	if (doc && !make_record(doc) && (row.op.len || row.opc.len || ctx.has_op))
		abort();
	json_decref(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || (!ctx.profile && record_ctx_init(&ctx, test_readers)))
		return 0;
	struct import_docs *docs = import_docs_new();
	struct csv *csv = csv_new();
	if (!docs || !csv)
		abort();
	ctx.allow_xor = ctx.has_op = data[0] >> 1 & 1;
	size_t at = 1;
	for (unsigned lines = 0; at < size && lines < LINES_MAX; lines++) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		struct slice line = slice_of(data + at, end ? (size_t)(end - (data + at)) : size - at);
		at += line.len + 1;
		if (data[0] & 1)
			csv_line(csv, line);
		else if (line.len)
			document(docs, line);
	}
	csv_free(&csv);
	import_docs_free(&docs);
	return 0;
}

// Composes the updates of the write-back as BSON, and judges the server's errors (mongo_update.h). Pure.
#include "loader/upstream/mongo/mongo_update.h"
#include <string.h>
#include "lib/base/ident.h"

static struct mongo_op *begin(const struct up_write *w, struct mongo_op ops[], unsigned *cnt)
{
	struct mongo_op *op = &ops[(*cnt)++];
	char imsi[16];
	imsi_text(w->imsi, imsi);
	bson_init(&op->filter);
	bson_init(&op->update);
	BSON_APPEND_UTF8(&op->filter, "imsi", imsi);
	return op;
}

void mongo_op_fini(struct mongo_op *op)
{
	bson_destroy(&op->filter);
	bson_destroy(&op->update);
}

// The condition that the field has no greater number. It holds for missing and foreign values, too, and for
// every type of number.
static void not_greater(bson_t *filter, const char *field, uint64_t than)
{
	bson_t value, inner;
	BSON_APPEND_DOCUMENT_BEGIN(filter, field, &value);
	BSON_APPEND_DOCUMENT_BEGIN(&value, "$not", &inner);
	BSON_APPEND_INT64(&inner, "$gt", (int64_t)than);
	bson_append_document_end(&value, &inner);
	bson_append_document_end(filter, &value);
}

// $set and $unset, whichever is not empty: an empty one is an error before MongoDB 5.
static void finish(struct mongo_op *op, bson_t *set, bson_t *unset)
{
	if (!bson_empty(set))
		BSON_APPEND_DOCUMENT(&op->update, "$set", set);
	if (!bson_empty(unset))
		BSON_APPEND_DOCUMENT(&op->update, "$unset", unset);
	bson_destroy(set);
	bson_destroy(unset);
}

static void append_field(const struct up_field *f, bson_t *set, bson_t *unset)
{
	switch (f->kind) {
	case UP_FIELD_UNSET:
		bson_append_int32(unset, f->path, -1, 1);
		break;
	case UP_FIELD_TEXT:
		bson_append_utf8(set, f->path, -1, (const char *)f->text.p, (int)f->text.len);
		break;
	case UP_FIELD_INT64:
		bson_append_int64(set, f->path, -1, f->n);
		break;
	case UP_FIELD_BOOL:
		bson_append_bool(set, f->path, -1, f->n);
		break;
	case UP_FIELD_UPDATE:
		break;
	}
}

// Composes the update that begins at `f`, up to the next one. Returns what is behind it.
static const struct up_field *state_op(const struct up_field *f, const struct up_field *end, uint32_t node, struct mongo_op *op)
{
	bson_t set = BSON_INITIALIZER, unset = BSON_INITIALIZER;
	const char *guard = f->path;
	if (guard)
		not_greater(&op->filter, guard, (uint64_t)f->n);
	while (++f < end && f->kind != UP_FIELD_UPDATE)
		append_field(f, &set, &unset);
	if (guard)
		BSON_APPEND_INT32(&set, "corehss.node", (int32_t)node);
	finish(op, &set, &unset);
	return f;
}

// Only if the sub-document exists: MongoDB would create a missing one, and text or null in its place is for
// an operator to repair.
static void sqn_filter(struct mongo_op *op)
{
	bson_t type, either, alternative, field;
	BSON_APPEND_DOCUMENT_BEGIN(&op->filter, "security", &type);
	BSON_APPEND_UTF8(&type, "$type", "object");
	bson_append_document_end(&op->filter, &type);
	BSON_APPEND_ARRAY_BEGIN(&op->filter, "$or", &either);
	BSON_APPEND_DOCUMENT_BEGIN(&either, "0", &alternative);
	BSON_APPEND_DOCUMENT_BEGIN(&alternative, "security.sqn", &field);
	BSON_APPEND_UTF8(&field, "$type", "number");
	bson_append_document_end(&alternative, &field);
	bson_append_document_end(&either, &alternative);
	BSON_APPEND_DOCUMENT_BEGIN(&either, "1", &alternative);
	BSON_APPEND_DOCUMENT_BEGIN(&alternative, "security.sqn", &field);
	BSON_APPEND_BOOL(&field, "$exists", false);
	bson_append_document_end(&alternative, &field);
	bson_append_document_end(&either, &alternative);
	bson_append_array_end(&op->filter, &either);
}

static void sqn_set(struct mongo_op *op, const char *verb, uint64_t sqn)
{
	bson_t inner;
	bson_append_document_begin(&op->update, verb, -1, &inner);
	BSON_APPEND_INT64(&inner, "security.sqn", (int64_t)sqn);
	bson_append_document_end(&op->update, &inner);
}

// The type can only be changed by a value: where another writer was faster it is no longer the one that was
// seen, and the feed brings the new one. Equality takes numbers of every type.
static void normalise_op(const struct up_write *w, struct mongo_op *op)
{
	bson_t inner;
	BSON_APPEND_DOCUMENT_BEGIN(&op->filter, "security", &inner);
	BSON_APPEND_UTF8(&inner, "$type", "object");
	bson_append_document_end(&op->filter, &inner);
	if (w->seen_missing) {
		BSON_APPEND_DOCUMENT_BEGIN(&op->filter, "security.sqn", &inner);
		BSON_APPEND_BOOL(&inner, "$exists", false);
		bson_append_document_end(&op->filter, &inner);
	} else {
		BSON_APPEND_INT64(&op->filter, "security.sqn", (int64_t)w->seen);
	}
	sqn_set(op, "$set", !w->seen_missing && w->seen > w->sqn ? w->seen : w->sqn);
}

unsigned mongo_update_ops(const struct up_write *w, uint32_t node, struct mongo_op ops[MONGO_OPS_MAX])
{
	unsigned cnt = 0;
	const struct up_field *f = w->field, *end = w->field + w->field_cnt;
	while (w->what & UP_WRITE_STATE && f && f < end && cnt < UP_UPDATES_MAX)
		f = state_op(f, end, node, begin(w, ops, &cnt));
	if (w->what & UP_WRITE_SQN) {
		struct mongo_op *op = begin(w, ops, &cnt);
		sqn_filter(op);
		sqn_set(op, "$max", w->sqn);
	}
	if (w->what & UP_WRITE_NORMALISE)
		normalise_op(w, begin(w, ops, &cnt));
	return cnt;
}

static bool listed(uint32_t code, const uint32_t list[], size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		if (list[i] == code)
			return true;
	return false;
}

enum mongo_blame mongo_update_blame(uint32_t code, const char *text)
{
	static const uint32_t document[] = {
	    2,     // BadValue
	    14,    // TypeMismatch
	    28,    // PathNotViable
	    40,    // ConflictingUpdateOperators
	    52,    // DollarPrefixedFieldName
	    56,    // EmptyFieldName
	    57,    // DottedFieldName
	    66,    // ImmutableField
	    121,   // DocumentValidationFailure
	    10334, // BSONObjectTooLarge
	    11000, // DuplicateKey
	    17280, // KeyTooLong
	    17419, // the document would be too large
	    17420,
	};
	static const uint32_t server[] = {
	    6,     7,     89,                                // host unreachable, not found, network timeout
	    13,    18,                                       // not allowed, not authenticated
	    24,    50,    112,   262,                        // lock timeout, time limits, write conflict
	    64,    79,    100,                               // write concern
	    91,    189,   10107, 11600, 11602, 13435, 13436, // shutdown, step-down
	    8000,                                            // of the provider: quota
	    14031, 12501,                                    // out of disk space, quota
	};
	if (strcasestr(text, "quota") || strcasestr(text, "disk"))
		return MONGO_BLAME_SERVER;
	if (listed(code, document, sizeof(document) / sizeof(document[0])))
		return MONGO_BLAME_DOCUMENT;
	return listed(code, server, sizeof(server) / sizeof(server[0])) ? MONGO_BLAME_SERVER
									: MONGO_BLAME_UNKNOWN;
}

struct mongo_errors mongo_errors_of(const bson_t *reply, const char *list)
{
	struct mongo_errors e = {0};
	bson_iter_t at;
	e.some = bson_iter_init_find(&at, reply, list) && BSON_ITER_HOLDS_ARRAY(&at) &&
		 bson_iter_recurse(&at, &e.at);
	return e;
}

// What is in braces is a piece of the document: keys may be in it.
static void copy_text(char out[UP_ERROR_MAX], const char *text)
{
	size_t n = strcspn(text, "{");
	while (n && (text[n - 1] == ' ' || text[n - 1] == ':'))
		n--;
	snprintf(out, UP_ERROR_MAX, "%.*s", (int)(n < UP_ERROR_MAX ? n : UP_ERROR_MAX - 1), text);
}

bool mongo_errors_next(struct mongo_errors *at, struct mongo_error *out)
{
	bson_iter_t in;
	*out = (struct mongo_error){.index = -1};
	if (!at->some || !bson_iter_next(&at->at))
		return false;
	if (!BSON_ITER_HOLDS_DOCUMENT(&at->at) || !bson_iter_recurse(&at->at, &in))
		return true;
	while (bson_iter_next(&in)) {
		const char *key = bson_iter_key(&in);
		if (strcmp(key, "index") == 0)
			out->index = bson_iter_as_int64(&in);
		else if (strcmp(key, "code") == 0)
			out->code = (uint32_t)bson_iter_as_int64(&in);
		else if (strcmp(key, "errmsg") == 0 && BSON_ITER_HOLDS_UTF8(&in))
			copy_text(out->text, bson_iter_utf8(&in, NULL));
	}
	return true;
}

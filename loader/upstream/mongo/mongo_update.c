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

static void append_plmn(bson_t *set, bson_t *unset, const char *field, const uint8_t plmn[3])
{
	static const uint8_t unknown[3];
	char text[7];
	if (plmn_valid(plmn) && memcmp(plmn, unknown, 3) != 0) {
		plmn_text(plmn, text);
		bson_append_utf8(set, field, -1, text, -1);
	} else {
		bson_append_int32(unset, field, -1, 1);
	}
}

// Digits, as open5gs-hssd keeps it; the value is that of struct ipc_change: their number less one above
// bit 60.
static void append_imeisv(bson_t *set, uint64_t imeisv)
{
	char text[32];
	if (!imeisv)
		return;
	snprintf(text, sizeof(text), "%0*llu", (int)(imeisv >> 60) + 1,
		 (unsigned long long)(imeisv & ((1ull << 60) - 1)));
	BSON_APPEND_UTF8(set, "imeisv", text);
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

static void unset_sgsn(bson_t *unset)
{
	BSON_APPEND_INT32(unset, "corehss.sgsn_host", 1);
	BSON_APPEND_INT32(unset, "corehss.sgsn_realm", 1);
	BSON_APPEND_INT32(unset, "corehss.sgsn_plmn", 1);
	BSON_APPEND_INT32(unset, "corehss.sgsn_purged", 1);
}

// The MME's part. It never replaces a newer mme_timestamp. When a location is removed, the time of the
// removal is kept, so that no older location comes back from elsewhere.
static void mme_op(const struct up_write *w, uint32_t node, struct mongo_op *op)
{
	bson_t set = BSON_INITIALIZER, unset = BSON_INITIALIZER;
	not_greater(&op->filter, "mme_timestamp", w->mme_time_us);
	if (w->mme_host[0]) {
		BSON_APPEND_UTF8(&set, "mme_host", w->mme_host);
		BSON_APPEND_UTF8(&set, "mme_realm", w->mme_realm);
		BSON_APPEND_BOOL(&set, "purge_flag", w->mme_purged);
		append_plmn(&set, &unset, "corehss.mme_plmn", w->mme_plmn);
	} else {
		BSON_APPEND_INT32(&unset, "mme_host", 1);
		BSON_APPEND_INT32(&unset, "mme_realm", 1);
		BSON_APPEND_INT32(&unset, "purge_flag", 1);
		BSON_APPEND_INT32(&unset, "corehss.mme_plmn", 1);
	}
	BSON_APPEND_INT64(&set, "mme_timestamp", (int64_t)w->mme_time_us);
	append_imeisv(&set, w->imeisv);
	BSON_APPEND_INT32(&set, "corehss.node", (int32_t)node);
	finish(op, &set, &unset);
}

static void sgsn_op(const struct up_write *w, uint32_t node, struct mongo_op *op)
{
	bson_t set = BSON_INITIALIZER, unset = BSON_INITIALIZER;
	if (w->sgsn_time_us)
		not_greater(&op->filter, "corehss.sgsn_timestamp", w->sgsn_time_us);
	if (w->sgsn_host[0]) {
		BSON_APPEND_UTF8(&set, "corehss.sgsn_host", w->sgsn_host);
		BSON_APPEND_UTF8(&set, "corehss.sgsn_realm", w->sgsn_realm);
		BSON_APPEND_BOOL(&set, "corehss.sgsn_purged", w->sgsn_purged);
		append_plmn(&set, &unset, "corehss.sgsn_plmn", w->sgsn_plmn);
		BSON_APPEND_INT64(&set, "corehss.sgsn_timestamp", (int64_t)w->sgsn_time_us);
		BSON_APPEND_INT32(&set, "corehss.node", (int32_t)node);
	} else if (w->sgsn_time_us) { // of the removal: it stays, as that of the MME's
		unset_sgsn(&unset);
		BSON_APPEND_INT64(&set, "corehss.sgsn_timestamp", (int64_t)w->sgsn_time_us);
		BSON_APPEND_INT32(&set, "corehss.node", (int32_t)node);
	}
	if (w->mme_time_us == 0)
		append_imeisv(&set, w->imeisv);
	finish(op, &set, &unset);
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
	if (w->what & UP_WRITE_STATE) {
		// without a time there never was one: what stands there is not ours
		bool mme = w->mme_host[0] || w->mme_time_us;
		if (mme)
			mme_op(w, node, begin(w, ops, &cnt));
		if (w->sgsn_host[0] || w->sgsn_time_us || (!mme && w->imeisv))
			sgsn_op(w, node, begin(w, ops, &cnt));
	}
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

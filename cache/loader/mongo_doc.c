// See mongo_doc.h. Loader process, feed and ask thread. What is here was written by others: every type is looked at before it
// is believed, and what record.c reads as JSON it reads as JSON here, too, so that both ways of a document agree.
#include "cache/loader/mongo_doc.h"
#define XXH_INLINE_ALL
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "lib/base/secret.h"

#define DEPTH_MAX 32u // MongoDB allows 100; nothing of the schema is deeper than 8
#define SQN_MAX	  ((1ull << 48) - 1)

int mongo_docs_init(struct mongo_docs *c, const struct upstream_options *o)
{
	memset(c, 0, sizeof(*c));
	int rc = record_ctx_init(&c->records);
	if (rc)
		return rc;
	c->records.allow_xor = o->config->allow_xor;
	if (o->op.len == sizeof(c->records.op)) {
		memcpy(c->records.op, o->op.p, sizeof(c->records.op));
		c->records.has_op = true;
	}
	return 0;
}

void mongo_docs_fini(struct mongo_docs *c)
{
	record_ctx_fini(&c->records);
	secret_wipe(c, sizeof(*c));
}

// ---- digests

// An element as it stands: type, name, value.
static uint64_t hash_element(const bson_iter_t *at, uint64_t seed)
{
	return XXH3_64bits_withSeed(at->raw + at->off, at->next_off - at->off, seed);
}

// What changes without anybody having changed the subscription: locations, counters, bookkeeping of mongoose and of ours.
static bool is_state(const char *key)
{
	static const char *const state[] = {"__v",	     "mme_host",   "mme_realm", "mm_realm",
					    "mme_timestamp", "purge_flag", "imeisv",	"corehss"};
	for (size_t i = 0; i < sizeof(state) / sizeof(state[0]); i++)
		if (strcmp(key, state[i]) == 0)
			return true;
	return false;
}

static uint64_t hash_security(const bson_iter_t *at, uint64_t h)
{
	bson_iter_t in;
	if (!BSON_ITER_HOLDS_DOCUMENT(at) || !bson_iter_recurse(at, &in))
		return hash_element(at, h);
	while (bson_iter_next(&in))
		if (strcmp(bson_iter_key(&in), "sqn") != 0)
			h = hash_element(&in, h);
	return h;
}

void mongo_doc_digests(const bson_t *doc, struct mongo_digests *out)
{
	bson_iter_t at;
	uint64_t h = 0;
	*out = (struct mongo_digests){.full = (uint32_t)XXH3_64bits(bson_get_data(doc), doc->len)};
	out->full += out->full == 0;
	if (!bson_iter_init(&at, doc))
		return;
	while (bson_iter_next(&at)) {
		const char *key = bson_iter_key(&at);
		if (strcmp(key, "_id") == 0)
			out->id = hash_element(&at, 0);
		if (strcmp(key, "security") == 0)
			h = hash_security(&at, h);
		else if (!is_state(key))
			h = hash_element(&at, h);
	}
	out->digest = h;
}

uint64_t mongo_doc_id(const bson_t *doc)
{
	bson_iter_t at;
	return bson_iter_init_find(&at, doc, "_id") ? hash_element(&at, 0) : 0;
}

imsi_t mongo_doc_imsi(const bson_t *doc)
{
	bson_iter_t at;
	imsi_t imsi = {0};
	uint32_t len;
	if (bson_iter_init_find(&at, doc, "imsi") && BSON_ITER_HOLDS_UTF8(&at)) {
		const char *text = bson_iter_utf8(&at, &len);
		if (!imsi_parse(slice_of(text, len), &imsi))
			imsi.v = 0;
	}
	return imsi;
}

// ---- BSON to JSON, as far as record.c reads it

static json_t *from_container(bson_iter_t *in, bool array, unsigned depth, bool security);

static json_t *from_value(const bson_iter_t *at, unsigned depth, bool security)
{
	bson_iter_t in;
	uint32_t len;
	const char *text;
	switch (bson_iter_type(at)) {
	case BSON_TYPE_UTF8:
		text = bson_iter_utf8(at, &len);
		return json_stringn(text, len);
	case BSON_TYPE_INT32:
	case BSON_TYPE_INT64:
		return json_integer(bson_iter_as_int64(at));
	case BSON_TYPE_DOUBLE:
		// NaN and the infinities are no JSON: what stands for them is no number either
		return isfinite(bson_iter_double(at)) ? json_real(bson_iter_double(at)) : json_object();
	case BSON_TYPE_BOOL:
		return json_boolean(bson_iter_bool(at));
	case BSON_TYPE_NULL:
	case BSON_TYPE_UNDEFINED:
		return json_null();
	case BSON_TYPE_DOCUMENT:
	case BSON_TYPE_ARRAY:
		if (depth == 0 || !bson_iter_recurse(at, &in))
			return NULL;
		return from_container(&in, BSON_ITER_HOLDS_ARRAY(at), depth - 1, security);
	default:
		return json_object(); // a date, an id ...: "an object", which no field of the schema takes
	}
}

// Bookkeeping and what other programs alone read are left out. NULL: not UTF-8, too deep, or no memory.
static json_t *from_container(bson_iter_t *in, bool array, unsigned depth, bool security)
{
	json_t *j = array ? json_array() : json_object();
	while (j && bson_iter_next(in)) {
		const char *key = bson_iter_key(in);
		if (!array && (strcmp(key, "_id") == 0 || strcmp(key, "pcc_rule") == 0 || (security && strcmp(key, "sqn") == 0)))
			continue;
		json_t *v = from_value(in, depth, false);
		// the functions take `v` even when they fail
		if (v == NULL || (array ? json_array_append_new(j, v) : json_object_set_new(j, key, v)) < 0) {
			json_decref(j);
			return NULL;
		}
	}
	return j;
}

static json_t *to_json(const bson_t *doc)
{
	bson_iter_t at;
	json_t *j = bson_iter_init(&at, doc) ? json_object() : NULL;
	while (j && bson_iter_next(&at)) {
		const char *key = bson_iter_key(&at);
		if (strcmp(key, "_id") == 0 || strcmp(key, "ifc") == 0 || strcmp(key, "corehss") == 0)
			continue;
		json_t *v = from_value(&at, DEPTH_MAX, strcmp(key, "security") == 0);
		if (v == NULL || json_object_set_new(j, key, v) < 0) {
			json_decref(j);
			return NULL;
		}
	}
	return j;
}

// ---- security.sqn, which other programs raise: its type counts

static void read_sqn(const bson_t *doc, struct up_doc *d, struct record_error *e)
{
	bson_iter_t at, in;
	if (!bson_iter_init(&at, doc) || !bson_iter_find_descendant(&at, "security.sqn", &in))
		return;
	bson_type_t type = bson_iter_type(&in);
	double real = type == BSON_TYPE_DOUBLE ? bson_iter_double(&in) : 0;
	bool whole = type == BSON_TYPE_INT32 || type == BSON_TYPE_INT64 ||
		     (type == BSON_TYPE_DOUBLE && real >= 0 && real <= (double)SQN_MAX && real == floor(real));
	int64_t n = !whole ? -1 : type == BSON_TYPE_DOUBLE ? (int64_t)real : bson_iter_as_int64(&in);
	if (n < 0 || n > (int64_t)SQN_MAX) {
		d->sqn_unusable = true;
		snprintf(e->text, sizeof(e->text), "security.sqn: expected a whole number up to 2^48 - 1; served, but not shared");
		return;
	}
	d->has_sqn = true;
	d->sqn = (uint64_t)n;
	d->sqn_int64 = type == BSON_TYPE_INT64;
}

static bool read_cancel(const bson_t *doc)
{
	bson_iter_t at;
	return bson_iter_init_find(&at, doc, "request_cancel_location") && BSON_ITER_HOLDS_BOOL(&at) && bson_iter_bool(&at);
}

static bool fill(struct mongo_docs *c, const bson_t *doc, struct up_doc *d, struct record_error *e)
{
	size_t len = 0;
	const struct subscription *s = &c->s;
	d->json = to_json(doc);
	d->text = d->json ? bson_as_relaxed_extended_json(doc, &len) : NULL;
	d->text_len = len;
	if (!d->text) {
		snprintf(e->text, sizeof(e->text), "document: expected UTF-8 text and at most %u levels", DEPTH_MAX);
		return false;
	}
	if (!record_parse(&c->records, d->json, &c->s, e) || !record_build(&c->records, &c->s, &d->image, e))
		return false;
	size_t profile = c->records.profile->len; // its header included
	d->profile = malloc(profile);
	if (!d->profile) {
		snprintf(e->text, sizeof(e->text), "document: no memory");
		return false;
	}
	memcpy(d->profile, c->records.profile, profile);
	memcpy(d->profile_digest, c->records.digest, sizeof(d->profile_digest));
	d->imsi = s->imsi;
	d->mme_host = s->mme_host;
	d->mme_realm = s->mme_realm;
	d->mme_time_us = s->mme_time_us;
	d->imeisv = s->imeisv;
	d->purged = s->purged;
	d->cancel_location = read_cancel(doc);
	read_sqn(doc, d, e);
	return true;
}

struct up_doc *mongo_doc_read(struct mongo_docs *c, const bson_t *doc, const struct mongo_digests *g,
			      struct record_error *e)
{
	struct up_doc *d = calloc(1, sizeof(*d));
	e->text[0] = 0;
	if (!d) {
		snprintf(e->text, sizeof(e->text), "document: no memory");
		return NULL;
	}
	d->id = g->id;
	d->digest = g->digest;
	if (!fill(c, doc, d, e))
		up_doc_free(&d);
	secret_wipe(&c->s, offsetof(struct subscription, apn));
	return d;
}

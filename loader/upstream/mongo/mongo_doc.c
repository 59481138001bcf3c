// Reads a document's BSON: its digests, its text, its record (mongo_doc.h). Other programs wrote it, so every
// type is checked before its value is used. The schema and record.c judge a document; the part that most of a
// million documents share is judged once (profile_memo.h). Loader process, feed and ask thread.
#include "loader/upstream/mongo/mongo_doc.h"
#define XXH_INLINE_ALL
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "apps/documents.h"
#include "loader/document/bson_walk.h"
#include "loader/upstream/mongo/mongo_json.h"
#include "lib/base/secret.h"

#define SQN_MAX   ((1ull << 48) - 1)

int mongo_docs_init(struct mongo_docs *c, const struct upstream_options *o)
{
	memset(c, 0, sizeof(*c));
	int rc = record_ctx_init(&c->records, o->readers);
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
	profile_memo_fini(&c->quick);
	secret_wipe(c, sizeof(*c));
}

// ---- digests

static struct bson_walk walk(const bson_t *doc)
{
	return bson_walk_of(slice_of(bson_get_data(doc), doc->len));
}

static uint64_t hash_element(const struct bson_walk *w, uint64_t seed)
{
	struct slice e = bson_walk_element(w);
	return XXH3_64bits_withSeed(e.p, e.len, seed);
}

// Locations, counters and bookkeeping change without anybody having changed the subscription: the schema says which.
static bool is_state(const struct doc_node *parent, const struct bson_walk *w)
{
	const struct doc_node *n = schema_child(documents_schema(), parent, w->key);
	return n && doc_part_of(n) == DOC_PART_STATE;
}

static uint64_t hash_security(const struct doc_node *security, const struct bson_walk *w, uint64_t h)
{
	if (w->type != BW_DOCUMENT)
		return hash_element(w, h);
	struct bson_walk in = bson_walk_of(w->value);
	while (bson_walk_next(&in))
		if (!is_state(security, &in))
			h = hash_element(&in, h);
	return h;
}

void mongo_doc_digests(const bson_t *doc, struct mongo_digests *out)
{
	struct bson_walk w = walk(doc);
	uint64_t h = 0;
	const struct doc_schema *schema = documents_schema();
	const struct doc_node *security = schema_child(schema, &schema->node[0], slice_str("security"));
	*out = (struct mongo_digests){.full = (uint32_t)XXH3_64bits(bson_get_data(doc), doc->len)};
	out->full += out->full == 0;
	while (bson_walk_next(&w)) {
		if (bson_walk_is(&w, "_id"))
			out->id = hash_element(&w, 0);
		if (bson_walk_is(&w, "security"))
			h = hash_security(security, &w, h);
		else if (!is_state(&schema->node[0], &w))
			h = hash_element(&w, h);
	}
	out->digest = h;
}

uint64_t mongo_doc_id(const bson_t *doc)
{
	struct bson_walk w = walk(doc);
	while (bson_walk_next(&w))
		if (bson_walk_is(&w, "_id"))
			return hash_element(&w, 0);
	return 0;
}

imsi_t mongo_doc_imsi(const bson_t *doc)
{
	struct bson_walk w = walk(doc);
	imsi_t imsi = {0};
	while (bson_walk_next(&w))
		if (bson_walk_is(&w, "imsi") && (w.type != BW_TEXT || !imsi_parse(w.value, &imsi)))
			imsi.v = 0;
	return imsi;
}

// ---- security.sqn, which other programs raise: its type counts

// false: no whole number that an SQN could be.
static bool sqn_of(const struct bson_walk *w, uint64_t *sqn)
{
	double real;
	switch (w->type) {
	case BW_INT32:
		*sqn = bson_u32(w->value.p);
		return *sqn <= INT32_MAX;
	case BW_INT64:
		*sqn = bson_u64(w->value.p);
		return *sqn <= SQN_MAX;
	case BW_DOUBLE:
		*sqn = bson_u64(w->value.p);
		memcpy(&real, sqn, sizeof(real));
		if (!(real >= 0 && real <= (double)SQN_MAX && real == floor(real)))
			return false;
		*sqn = (uint64_t)real;
		return true;
	default:
		return false;
	}
}

static void read_sqn(const struct bson_walk *security, struct up_doc *d, struct record_error *e)
{
	struct bson_walk w = bson_walk_of(security->value);
	while (bson_walk_next(&w)) {
		if (!bson_walk_is(&w, "sqn"))
			continue;
		d->has_sqn = sqn_of(&w, &d->sqn);
		d->sqn_int64 = d->has_sqn && w.type == BW_INT64;
		d->sqn_unusable = !d->has_sqn;
		if (d->has_sqn)
			continue;
		d->sqn = 0;
		size_t used = strlen(e->text);
		snprintf(e->text + used, sizeof(e->text) - used,
			 "%ssecurity.sqn: expected a whole number up to 2^48 - 1; served, but its SQN is not shared",
			 used ? "; " : "");
	}
}

// ---- the whole

// What it says of the applications' states: copied, since it borrows from the document. false: no memory.
static bool keep_said(struct mongo_docs *c, struct up_doc *d)
{
	uint32_t used = 0;
	for (unsigned i = 0; i < c->records.reader_cnt; i++) {
		struct slice said = record_said(&c->records, &c->s, i, c->said);
		uint8_t *grown = said.len ? realloc(d->said_octets, used + said.len) : d->said_octets;
		if (said.len && !grown)
			return false;
		d->said_octets = grown;
		if (said.len)
			memcpy(grown + used, said.p, said.len);
		d->said[c->records.reader[i]->owner].len = said.len;
		used += said.len;
	}
	used = 0;
	for (unsigned i = 0; i < c->records.reader_cnt; i++) {
		struct slice *one = &d->said[c->records.reader[i]->owner];
		one->p = one->len ? d->said_octets + used : NULL;
		used += one->len;
	}
	return true;
}

static bool take_profile(struct up_doc *d, const struct cache_profile *profile, const uint8_t digest[16],
			 struct record_error *e)
{
	d->profile = malloc(profile->len); // its header included
	if (!d->profile) {
		snprintf(e->text, sizeof(e->text), "document: no memory");
		return false;
	}
	memcpy(d->profile, profile, profile->len);
	memcpy(d->profile_digest, digest, sizeof(d->profile_digest));
	return true;
}

// The members that are the subscriber's own, or those of the profile.
static bool walk_members(struct record_reader *r, const bson_t *doc, bool of_profile, struct profile_memo *memo)
{
	const struct doc_schema *schema = r->walk.schema;
	struct bson_walk w = walk(doc);
	while (bson_walk_next(&w)) {
		const struct doc_node *n = schema_child(schema, &schema->node[0], w.key);
		bool profile = n && doc_part_of(n) == DOC_PART_PROFILE;
		if (memo && profile)
			profile_memo_add(memo, schema, n, &w);
		if (!n || profile != of_profile)
			continue;
		struct doc_value v = doc_of_bson(&w);
		if (!doc_walk_member(&r->walk, n, &v))
			return false;
	}
	return true;
}

// Of which no profile is known yet; what is made is remembered for others of the same kind, unless it has to be named each
// time that something was left out.
static bool make_profile(struct mongo_docs *c, const struct record_reader *r, size_t named, struct up_doc *d,
			 struct record_error *e)
{
	if (!record_build(&c->records, &c->s, &d->image, e) ||
	    !take_profile(d, c->records.profile, c->records.digest, e))
		return false;
	if (!r->walk.left_out || strlen(e->text) == named)
		profile_memo_learn(&c->quick, d->profile, d->profile_digest, d->image.flags & (uint8_t)~RECORD_NO_KEY);
	return true;
}

static bool known_profile(struct mongo_docs *c, const struct mongo_kind *kind, struct up_doc *d, struct record_error *e)
{
	if (!record_image(&c->records, &c->s, &d->image, e) || !take_profile(d, kind->profile, kind->digest, e))
		return false;
	d->image.flags |= kind->flags;
	return true;
}

static bool read_record(struct mongo_docs *c, const bson_t *doc, struct up_doc *d, struct record_error *e)
{
	struct record_reader r;
	const struct doc_schema *schema = documents_schema();
	record_begin(&r, &c->records, &c->s, e);
	r.walk.pass_over = schema_find(schema, "security.sqn"); // read_sqn judges it
	profile_memo_begin(&c->quick);
	bool ok = walk_members(&r, doc, false, &c->quick);
	size_t named = strlen(e->text);
	const struct mongo_kind *kind = ok ? profile_memo_find(&c->quick) : NULL;
	if (ok && !kind)
		ok = walk_members(&r, doc, true, NULL);
	r.walk.bad |= !ok;
	if (!record_end(&r))
		return false;
	if (!(kind ? known_profile(c, kind, d, e) : make_profile(c, &r, named, d, e)))
		return false;
	if (keep_said(c, d))
		return true;
	snprintf(e->text, sizeof(e->text), "document: no memory");
	return false;
}

static bool fill(struct mongo_docs *c, const bson_t *doc, struct up_doc *d, struct record_error *e)
{
	d->text = mongo_json_text(doc, &d->text_len);
	if (!d->text) {
		snprintf(e->text, sizeof(e->text), "document: expected UTF-8 text and at most %u levels",
			 MONGO_DEPTH_MAX);
		return false;
	}
	if (!read_record(c, doc, d, e))
		return false;
	const struct subscription *s = &c->s;
	d->imsi = s->imsi;
	d->imeisv = s->imeisv;
	d->node = s->node;
	struct bson_walk w = walk(doc);
	while (bson_walk_next(&w))
		if (bson_walk_is(&w, "security") && w.type == BW_DOCUMENT)
			read_sqn(&w, d, e);
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
	secret_wipe(&c->s, offsetof(struct subscription, of_apps));
	return d;
}

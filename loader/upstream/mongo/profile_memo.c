// See profile_memo.h. Loader process, feed and ask thread.
#include "loader/upstream/mongo/profile_memo.h"
#define XXH_INLINE_ALL
#include <stdlib.h>
#include <xxhash.h>
#include "loader/upstream/mongo/bson_walk.h"
#include "loader/document/opc.h"
#include "lib/base/secret.h"

#define DEPTH_MAX 8u

void profile_memo_fini(struct profile_memo *q)
{
	for (unsigned i = 0; i < MONGO_KINDS; i++) {
		free(q->kind[i].parts);
		free(q->kind[i].profile);
		q->kind[i] = (struct mongo_kind){0};
	}
}

// ---- the parts that decide about the profile

static bool is_part(const struct bson_walk *w)
{
	switch (w->key.len ? w->key.p[0] : 0) {
	case 's':
		return bson_walk_is(w, "slice") || bson_walk_is(w, "subscriber_status") ||
		       bson_walk_is(w, "subscribed_rau_tau_timer");
	case 'a':
		return bson_walk_is(w, "ambr") || bson_walk_is(w, "access_restriction_data");
	case 'c':
		return bson_walk_is(w, "charging_characteristics");
	case 'n':
		return bson_walk_is(w, "network_access_mode");
	case 'o':
		return bson_walk_is(w, "operator_determined_barring");
	case 'p':
		return bson_walk_is(w, "pdn");
	default:
		return false;
	}
}

// As it stands, but for what mongoose numbers and what only a PCRF reads.
static void add_part(struct wr *out, const struct bson_walk *w, unsigned depth)
{
	if (w->type != BW_DOCUMENT && w->type != BW_ARRAY) {
		wr_slice(out, bson_walk_element(w));
		return;
	}
	struct bson_walk in = bson_walk_of(w->value);
	wr_u8(out, w->type);
	wr_bytes(out, w->key.p, w->key.len + 1u);
	while (depth && bson_walk_next(&in))
		if (!bson_walk_is(&in, "_id") && !bson_walk_is(&in, "pcc_rule"))
			add_part(out, &in, depth - 1);
	out->err |= in.err || depth == 0;
	wr_u8(out, 0);
}

// ---- the subscriber's own; false: not plain

static bool is_nothing(const struct bson_walk *w)
{
	return w->type == BW_NULL || (w->type == BW_ARRAY && w->value.len == 5) ||
	       (w->type == BW_TEXT && w->value.len == 0);
}

static bool plain_text(const struct bson_walk *w, struct slice *out)
{
	*out = w->type == BW_TEXT ? w->value : (struct slice){0};
	return w->type == BW_TEXT || is_nothing(w);
}

static bool parse_msisdn(const struct bson_walk *w, struct subscription *s)
{
	s->msisdn[0] = s->msisdn[1] = (msisdn_t){0};
	if (w->type == BW_NULL)
		return true;
	if (w->type != BW_ARRAY)
		return false;
	struct bson_walk in = bson_walk_of(w->value);
	for (unsigned i = 0; i < 2 && bson_walk_next(&in); i++)
		if (in.type != BW_TEXT || (in.value.len && !msisdn_parse(in.value, &s->msisdn[i])))
			return false;
	return !in.err;
}

// Hex digits; what is not there, or null, or "", is `absent`.
static bool parse_hex(const struct bson_walk *w, unsigned len, uint8_t *out, bool *has)
{
	*has = w->type == BW_TEXT && w->value.len > 0;
	return *has ? hex_parse(w->value, out, len) : w->type == BW_NULL || w->type == BW_TEXT;
}

static bool parse_security(const struct bson_walk *w, struct record_ctx *c, struct subscription *s)
{
	uint8_t op[16] = {0}, amf[2] = {0x80, 0};
	bool k = false, opc = false, has_op = false, has_amf = false, ok = w->type == BW_DOCUMENT;
	struct bson_walk in = bson_walk_of(w->value);
	while (ok && bson_walk_next(&in)) {
		if (bson_walk_is(&in, "k"))
			ok = parse_hex(&in, 16, s->k, &k);
		else if (bson_walk_is(&in, "opc"))
			ok = parse_hex(&in, 16, s->opc, &opc);
		else if (bson_walk_is(&in, "op"))
			ok = parse_hex(&in, 16, op, &has_op);
		else if (bson_walk_is(&in, "amf"))
			ok = parse_hex(&in, 2, amf, &has_amf);
		else if (bson_walk_is(&in, "algorithm"))
			ok = in.type == BW_NULL;
	}
	s->amf = be16_get(amf);
	s->alg = ALG_MILENAGE;
	ok = ok && !in.err && k;
	if (ok && !opc)
		ok = (has_op || c->has_op) && opc_derive(c->opc, s->k, has_op ? op : c->op, s->opc) == 0;
	secret_wipe(op, sizeof(op));
	return ok;
}

static bool parse_state(const struct bson_walk *w, struct subscription *s)
{
	struct slice text;
	if (bson_walk_is(w, "mme_host"))
		return plain_text(w, &s->mme_host);
	if (bson_walk_is(w, "mme_realm"))
		return plain_text(w, &s->mme_realm);
	if (bson_walk_is(w, "imeisv")) {
		bool ok = plain_text(w, &text);
		s->imeisv = record_imeisv(text);
		return ok;
	}
	if (bson_walk_is(w, "purge_flag")) {
		s->purged = w->type == BW_BOOL && w->value.p[0];
		return w->type == BW_BOOL || w->type == BW_NULL || (w->type == BW_ARRAY && w->value.len == 5);
	}
	if (!bson_walk_is(w, "mme_timestamp"))
		return true;
	s->mme_time_us = w->type == BW_INT64 && !(w->value.p[7] & 0x80) ? bson_u64(w->value.p) : 0;
	return w->type == BW_INT64 || w->type == BW_NULL;
}

static bool parse_own(const struct bson_walk *w, struct record_ctx *c, struct subscription *s)
{
	switch (w->key.len ? w->key.p[0] : 0) {
	case 'i':
		if (bson_walk_is(w, "imsi"))
			return w->type == BW_TEXT && imsi_parse(w->value, &s->imsi);
		return parse_state(w, s);
	case 'm':
		if (bson_walk_is(w, "msisdn"))
			return parse_msisdn(w, s);
		return parse_state(w, s);
	case 'p':
		return parse_state(w, s);
	case 's':
		return !bson_walk_is(w, "security") || parse_security(w, c, s);
	default:
		return true;
	}
}

static void clear(struct subscription *s)
{
	memset(s, 0, offsetof(struct subscription, apn));
	s->apn_cnt = 0;
	s->mme_host = s->mme_realm = (struct slice){0};
	s->mme_time_us = s->imeisv = 0;
	s->purged = false;
}

const struct mongo_kind *profile_memo_parse(struct profile_memo *q, struct record_ctx *c, const bson_t *doc,
					   struct subscription *s)
{
	struct bson_walk w = bson_walk_of(slice_of(bson_get_data(doc), doc->len));
	struct wr out = wr_of(q->parts, sizeof(q->parts));
	bool plain = true, security = false;
	clear(s);
	while (bson_walk_next(&w)) {
		if (is_part(&w))
			add_part(&out, &w, DEPTH_MAX);
		else if (plain)
			plain = parse_own(&w, c, s);
		security |= bson_walk_is(&w, "security");
	}
	q->len = (uint32_t)wr_len(&out);
	q->hash = XXH3_64bits(q->parts, q->len);
	q->whole = !w.err && !out.err;
	if (!plain || !security || !q->whole || s->imsi.v == 0)
		return NULL;
	if (s->mme_host.len == 0 || s->mme_host.len > 255 || s->mme_realm.len == 0 || s->mme_realm.len > 255)
		s->mme_host = s->mme_realm = (struct slice){0};
	const struct mongo_kind *k = &q->kind[q->hash % MONGO_KINDS];
	return k->profile && k->hash == q->hash && k->len == q->len && memcmp(k->parts, q->parts, q->len) == 0
		   ? k
		   : NULL;
}

static void *copy(const void *p, size_t len)
{
	void *to = malloc(len + 1);
	return to ? memcpy(to, p, len) : NULL;
}

void profile_memo_learn(struct profile_memo *q, const struct cache_profile *profile, const uint8_t digest[16],
		       uint8_t flags)
{
	struct mongo_kind *k = &q->kind[q->hash % MONGO_KINDS];
	if (!q->whole)
		return;
	free(k->parts);
	free(k->profile);
	*k = (struct mongo_kind){.hash = q->hash,
				 .parts = copy(q->parts, q->len),
				 .len = q->len,
				 .profile = copy(profile, profile->len),
				 .flags = flags};
	memcpy(k->digest, digest, sizeof(k->digest));
	if (!k->parts || !k->profile) {
		free(k->parts);
		free(k->profile);
		*k = (struct mongo_kind){0};
	}
}

// Makes a validated record of a subscriber's document (record.h). The walk (walk.h) has checked each value
// against its row of the schema. Here the values are put in their places, and whatever concerns more than one
// member is judged. Loader process, any thread.
#include "loader/document/record.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "apps/documents.h"
#include "config/config.h"
#include "loader/document/opc.h"
#include "lib/base/secret.h"

// ---- members of the core

static enum doc_result take_msisdn(struct record_reader *r, struct doc_walk *w, const struct doc_at *at)
{
	if (at->index > 1) // more are kept in the document; the interfaces have room for MSISDN and A-MSISDN
		return DOC_GO;
	if (at->step == DOC_DROPPED) {
		r->s->msisdn[at->index] = (msisdn_t){0};
		return DOC_GO;
	}
	if (msisdn_parse(at->value->text, &r->s->msisdn[at->index]))
		return DOC_GO;
	return doc_bad(w, "", "expected 1 to %d digits, got other text", MSISDN_MAX_DIGITS);
}

static enum doc_result take_algorithm(struct record_reader *r, struct doc_walk *w, struct slice name)
{
	if (slice_eq(name, slice_str("milenage")))
		r->s->alg = ALG_MILENAGE;
	else if (!slice_eq(name, slice_str("xor")))
		return doc_bad(w, "", "expected milenage or xor");
	else if (!r->c->allow_xor)
		return doc_bad(w, "", "xor is for test SIMs and not switched on (%s)",
			       config_option_at(offsetof(struct config, allow_xor)));
	else
		r->s->alg = ALG_XOR;
	return DOC_GO;
}

static enum doc_result take_core(struct doc_walk *w, const struct doc_at *at, void *into)
{
	struct record_reader *r = into;
	struct subscription *s = r->s;
	struct slice text = at->value->text;
	switch ((enum doc_core_row)at->node->row) {
	case CORE_imsi:
		r->has_imsi = imsi_parse(text, &s->imsi);
		return r->has_imsi ? DOC_GO
				   : doc_bad(w, "", "expected 5 to 15 digits, got \"%.*s\"",
					     (int)(text.len < 40 ? text.len : 40), (const char *)text.p);
	case CORE_msisdn:
		return take_msisdn(r, w, at);
	case CORE_security:
		r->has_security = true;
		return DOC_GO;
	case CORE_k:
		memcpy(s->k, at->octets, 16);
		r->has_k = true;
		return DOC_GO;
	case CORE_opc:
		memcpy(s->opc, at->octets, 16);
		r->has_opc = true;
		return DOC_GO;
	case CORE_op:
		memcpy(r->op, at->octets, 16);
		r->has_op = true;
		return DOC_GO;
	case CORE_amf:
		s->amf = be16_get(at->octets);
		return DOC_GO;
	case CORE_algorithm:
		return take_algorithm(r, w, text);
	case CORE_sqn:
		s->has_sqn = true;
		s->sqn = (uint64_t)at->value->n;
		return DOC_GO;
	case CORE_node:
		s->node = at->step == DOC_VALUE ? 1 + (unsigned)at->value->n : 0;
		return DOC_GO;
	case CORE_imeisv:
		s->imeisv = at->step == DOC_VALUE ? record_imeisv(text) : 0;
		return DOC_GO;
	default:
		return DOC_GO;
	}
}

// ---- the whole

// The application's place in a subscription.
static void *place(const struct record_ctx *c, struct subscription *s, unsigned i)
{
	return s->of_apps + c->place[i];
}

void record_begin(struct record_reader *r, struct record_ctx *c, struct subscription *s, struct record_error *e)
{
	*r = (struct record_reader){.c = c, .s = s};
	memset(s, 0, offsetof(struct subscription, of_apps));
	s->amf = 0x8000;
	r->sink[DOC_OWNER_CORE] = (struct doc_sink){take_core, r};
	for (unsigned i = 0; i < c->reader_cnt; i++) {
		void *into = place(c, s, i);
		c->reader[i]->begin(into);
		r->sink[c->reader[i]->owner] = (struct doc_sink){c->reader[i]->take, into};
	}
	r->walk = doc_walk_of(documents_schema(), r->sink, e);
}

// opc wins when both are there, as in Open5GS.
static enum doc_result derive_opc(struct record_reader *r)
{
	const uint8_t *op = r->has_op ? r->op : r->c->op;
	if (r->s->alg != ALG_MILENAGE || r->has_opc) // XOR knows no OP (TS 34.108 8.1.2)
		return DOC_GO;
	if (!r->has_op && !r->c->has_op)
		return doc_bad(&r->walk, "security", "expected op or opc (there is no per-operator op_file)");
	if (opc_derive(r->c->opc, r->s->k, op, r->s->opc))
		return doc_bad(&r->walk, "security.op", "OPc could not be derived");
	return DOC_GO;
}

static enum doc_result judge(struct record_reader *r)
{
	struct subscription *s = r->s;
	if (!r->has_imsi)
		return doc_bad(&r->walk, "imsi", "expected 5 to 15 digits as text, got nothing");
	s->no_key = !r->has_security && r->walk.alone;
	if (!s->no_key && !r->has_security)
		return doc_bad(&r->walk, "security", "expected an object, got nothing");
	if (!s->no_key && !r->has_k)
		return doc_bad(&r->walk, "security.k", "expected 32 hex digits, got nothing");
	for (unsigned i = 0; i < r->c->reader_cnt; i++) {
		const struct doc_reader *one = r->c->reader[i];
		if (one->end && one->end(&r->walk, place(r->c, s, i)) == DOC_BAD)
			return DOC_BAD;
	}
	return s->no_key ? DOC_GO : derive_opc(r);
}

bool record_end(struct record_reader *r)
{
	bool ok = !r->walk.bad && judge(r) != DOC_BAD;
	size_t used = strlen(r->walk.e->text), room = sizeof(r->walk.e->text);
	if (ok && r->walk.left_out)
		snprintf(r->walk.e->text + used, room - used, " (left out)");
	secret_wipe(r->op, sizeof(r->op));
	return ok;
}

bool record_parse(struct record_ctx *c, const json_t *doc, struct subscription *s, struct record_error *e)
{
	struct doc_value v = doc_of_json(doc);
	struct record_reader r;
	record_begin(&r, c, s, e);
	if (v.kind != DV_OBJECT)
		(void)doc_bad(&r.walk, "document", "expected an object, got %s", doc_kind_name(&v));
	else if (!doc_walk_all(&r.walk, &v))
		r.walk.bad = true;
	return record_end(&r);
}

uint64_t record_imeisv(struct slice digits)
{
	uint64_t v = 0;
	if (digits.len < 14 || digits.len > 16)
		return 0;
	for (uint32_t i = 0; i < digits.len; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return 0;
		v = v * 10 + (digits.p[i] - '0');
	}
	return v | (uint64_t)(digits.len - 1) << 60;
}

bool record_image(struct record_ctx *c, const struct subscription *s, struct record_image *image,
		  struct record_error *e)
{
	*image = (struct record_image){.msisdn = {s->msisdn[0], s->msisdn[1]}, .amf = s->amf, .alg = s->alg, .flags = s->no_key ? RECORD_NO_KEY : 0};
	memcpy(image->k, s->k, 16);
	memcpy(image->opc, s->opc, 16);
	if (sqn_fingerprint(&c->hash, s->imsi, s->k, image->fp) == 0)
		return true;
	snprintf(e->text, sizeof(e->text), "security.k: its fingerprint could not be made");
	return false;
}

static bool encode_profile(struct record_ctx *c, const struct subscription *s, uint8_t *flags)
{
	for (unsigned i = 0; i < c->reader_cnt; i++)
		if (c->reader[i]->profile)
			return c->reader[i]->profile(s->of_apps + c->place[i], c->profile, RECORD_PROFILE_MAX, flags);
	*c->profile = (struct cache_profile){.len = sizeof(*c->profile)};
	return true;
}

struct slice record_said(const struct record_ctx *c, const struct subscription *s, unsigned i, uint8_t *out)
{
	struct wr w = wr_of(out, DOC_SAID_MAX);
	if (!c->reader[i]->said)
		return (struct slice){0};
	c->reader[i]->said(s->of_apps + c->place[i], &w);
	return w.err ? (struct slice){0} : wr_done(&w);
}

bool record_build(struct record_ctx *c, const struct subscription *s, struct record_image *image,
		  struct record_error *e)
{
	if (!record_image(c, s, image, e))
		return false;
	if (!encode_profile(c, s, &image->flags)) {
		snprintf(e->text, sizeof(e->text), "slice: expected a subscription below %u octets",
			 RECORD_PROFILE_MAX);
		return false;
	}
	if (sqn_hash_digest(&c->hash, c->profile, c->profile->len, c->digest)) {
		snprintf(e->text, sizeof(e->text), "slice: the digest of its profile could not be made");
		return false;
	}
	return true;
}

int record_ctx_init(struct record_ctx *c, const struct doc_reader *const readers[])
{
	size_t used = 0;
	*c = (struct record_ctx){.opc = opc_maker_new(), .profile = malloc(RECORD_PROFILE_MAX)};
	for (; readers && readers[c->reader_cnt]; c->reader_cnt++) {
		const struct doc_reader *one = readers[c->reader_cnt];
		if (c->reader_cnt == DOC_OWNERS_MAX || one->size > SUBSCRIPTION_OF_APPS_MAX - used)
			bug("the applications' readers of documents need more room than there is");
		c->reader[c->reader_cnt] = one;
		c->place[c->reader_cnt] = (uint16_t)used;
		used = (used + one->size + 15) & ~(size_t)15;
	}
	int rc = sqn_hash_init(&c->hash);
	if (rc == 0 && (!c->opc || !c->profile))
		rc = -ENOMEM;
	if (rc)
		record_ctx_fini(c);
	return rc;
}

void record_ctx_fini(struct record_ctx *c)
{
	secret_wipe(c->op, sizeof(c->op));
	sqn_hash_fini(&c->hash);
	opc_maker_free(&c->opc);
	free(c->profile);
	*c = (struct record_ctx){0};
}

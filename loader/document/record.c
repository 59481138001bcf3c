// Makes a validated record of a subscriber's document (record.h). The walk (walk.h) has checked each value
// against its row of the schema. Here the values are put in their places, and whatever concerns more than one
// member is judged. Loader process, any thread.
#include "loader/document/record.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "apps/documents.h"
#include "loader/document/opc.h"
#include "lib/base/secret.h"

#define RATE_DEFAULT   1000000000u // bit/s
#define LABEL_MAX      63u	   // RFC 1035 2.3.4
#define TAU_DEFAULT_S  (12u * 60)
#define ACCESS_DEFAULT 32u

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
		return doc_bad(w, "", "xor is for test SIMs and not switched on (s6a.allow_xor)");
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
	case CORE_imeisv:
		s->imeisv = at->step == DOC_VALUE ? record_imeisv(text) : 0;
		return DOC_GO;
	default:
		return DOC_GO;
	}
}

// ---- APNs

const char *record_apn_problem(struct slice name)
{
	uint32_t label = 0;
	for (uint32_t i = 0; i < name.len; i++) {
		if (name.p[i] <= ' ' || name.p[i] == 0x7f)
			return "expected an APN's name, got blanks or control characters in it";
		label = name.p[i] == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return "expected labels of at most 63 octets, got a longer one";
		if (name.p[i] == '.' && (i == 0 || i + 1 == name.len || name.p[i - 1] == '.'))
			return "expected labels with a dot between them, got an empty label";
	}
	if (name.len > 5 && slice_eq_nocase(slice_of(name.p + name.len - 5, 5), slice_str(".gprs")))
		return "expected the network identifier alone, got one with an operator identifier (.mnc...mcc....gprs)";
	return NULL;
}

static enum doc_result apn_end(struct record_reader *r, struct doc_walk *w, const char *field)
{
	struct subscription *s = r->s;
	const struct apn *new = &s->apn[s->apn_cnt];
	if (new->name.len == 0)
		return doc_bad(w, field, "expected an APN's name, got nothing");
	for (unsigned i = 0; i < s->apn_cnt; i++)
		if (slice_eq_nocase(s->apn[i].name, new->name))
			return doc_bad(w, field, "expected each APN once, got \"%.*s\" twice", (int)new->name.len,
				       (const char *)new->name.p);
	s->apn_cnt++;
	return DOC_GO;
}

// An APN begins, ends, or is left out.
static enum doc_result apn_step(struct record_reader *r, struct doc_walk *w, const struct doc_at *at, const char *field)
{
	struct subscription *s = r->s;
	switch (at->step) {
	case DOC_BEGIN:
		s->apn[s->apn_cnt] = (struct apn){.pdn_type = 2,
						  .qci = 9,
						  .priority = 8,
						  .capability = 1,
						  .vulnerability = 1,
						  .vplmn_allowed = true,
						  .ul = RATE_DEFAULT,
						  .dl = RATE_DEFAULT};
		return DOC_GO;
	case DOC_END:
		return apn_end(r, w, field);
	default:
		r->dropped = true;
		return DOC_GO;
	}
}

// A list of APNs begins, or is through: one of which nothing is left, although it had some, is a mistake.
static enum doc_result apns_step(struct record_reader *r, struct doc_walk *w, const struct doc_at *at)
{
	if (at->step == DOC_BEGIN) {
		r->s->apn_cnt = 0;
		r->dropped = r->foreign_type = false;
		return DOC_GO;
	}
	w->bad |= at->step == DOC_END && r->s->apn_cnt == 0 && r->dropped && !r->foreign_type;
	return w->bad ? DOC_BAD : DOC_GO;
}

// The EPC knows one list of APNs: that of the default slice, else of the first one.
static enum doc_result slices_step(struct record_reader *r, const struct doc_at *at)
{
	struct doc_cursor c = doc_cursor_of(at->value);
	struct doc_value slice, is_default;
	struct slice name;
	if (at->step != DOC_BEGIN)
		return DOC_GO;
	r->has_slices = true;
	r->slice = 0;
	r->s->apn_cnt = 0;
	for (unsigned i = 0; doc_next(&c, &name, &slice); i++) {
		is_default = doc_get(&slice, "default_indicator");
		if (is_default.kind != DV_BOOL || !is_default.yes)
			continue;
		r->slice = i;
		break;
	}
	return DOC_GO;
}

static enum doc_result take_type(struct record_reader *r, struct doc_walk *w, struct apn *a, int64_t type)
{
	if (type <= 3) {
		a->pdn_type = (uint8_t)(type - 1);
		return DOC_GO;
	}
	r->foreign_type = true;
	return doc_bad(w, "", "expected 1 to 3, got %lld, which only 5G has", (long long)type);
}

static enum doc_result take_name(struct doc_walk *w, struct apn *a, struct slice name)
{
	const char *problem = record_apn_problem(name);
	a->name = name;
	return problem ? doc_bad(w, "", "%s", problem) : DOC_GO;
}

// Fields of former versions count where the present one is not there.
static void take_address(uint8_t *to, bool *has, const struct doc_at *at, unsigned len, bool former)
{
	if (former && *has)
		return;
	memcpy(to, at->octets, len);
	*has = true;
}

static void take_apn_address(struct apn *a, const struct doc_at *at)
{
	switch ((enum doc_s6a_row)at->node->row) {
	case S6A_ue_v4:
	case S6A_pdn_ue_v4:
	case S6A_ue_addr:
	case S6A_pdn_ue_addr:
		take_address(a->ue_v4, &a->ue4, at, 4, at->node->row == S6A_ue_addr || at->node->row == S6A_pdn_ue_addr);
		break;
	case S6A_ue_v6:
	case S6A_pdn_ue_v6:
	case S6A_ue_addr6:
	case S6A_pdn_ue_addr6:
		take_address(a->ue_v6, &a->ue6, at, 16, at->node->row == S6A_ue_addr6 || at->node->row == S6A_pdn_ue_addr6);
		break;
	case S6A_gw_v4:
	case S6A_pdn_smf_v4:
		take_address(a->gw_v4, &a->gw4, at, 4, false);
		break;
	case S6A_gw_v6:
	case S6A_pdn_smf_v6:
		take_address(a->gw_v6, &a->gw6, at, 16, false);
		break;
	default:
		if (at->node->member->type == DOC_IPV4)
			take_address(a->gw_v4, &a->gw4, at, 4, true);
		else
			take_address(a->gw_v6, &a->gw6, at, 16, true);
		break;
	}
}

static enum doc_result take_apn(struct record_reader *r, struct doc_walk *w, const struct doc_at *at)
{
	struct apn *a = &r->s->apn[r->s->apn_cnt];
	int64_t n = at->value->n;
	if (at->step != DOC_VALUE)
		return DOC_GO;
	if (at->node->member->type == DOC_IPV4 || at->node->member->type == DOC_IPV6) {
		take_apn_address(a, at);
		return DOC_GO;
	}
	switch ((enum doc_s6a_row)at->node->row) {
	case S6A_name:
	case S6A_pdn_name:
		return take_name(w, a, at->value->text);
	case S6A_type:
		return take_type(r, w, a, n);
	case S6A_pdn_type: // already as in PDN-Type
		a->pdn_type = (uint8_t)n;
		break;
	case S6A_qci:
	case S6A_pdn_qci:
		a->qci = (uint8_t)n;
		break;
	case S6A_priority:
	case S6A_pdn_priority:
		a->priority = (uint8_t)n;
		break;
	case S6A_capability: // 1 disabled, 2 enabled; NextEPC and Diameter: 1 disabled, 0 enabled
		a->capability = n == 1;
		break;
	case S6A_pdn_capability:
		a->capability = (uint8_t)n;
		break;
	case S6A_vulnerability:
		a->vulnerability = n == 1;
		break;
	case S6A_pdn_vulnerability:
		a->vulnerability = (uint8_t)n;
		break;
	case S6A_apn_dl:
	case S6A_pdn_dl:
		a->dl = at->bits_per_s;
		break;
	case S6A_apn_ul:
	case S6A_pdn_ul:
		a->ul = at->bits_per_s;
		break;
	case S6A_apn_charging:
	case S6A_pdn_charging:
		a->charging = at->value->text;
		break;
	default:
		break;
	}
	return DOC_GO;
}

// ---- members of S6a

// What is not an APN's. false: it is.
static bool take_subscriber(struct subscription *s, const struct doc_at *at)
{
	bool there = at->step == DOC_VALUE;
	int64_t n = at->value->n;
	switch ((enum doc_s6a_row)at->node->row) {
	case S6A_ard:
		s->ard = (uint32_t)n;
		return true;
	case S6A_status:
		s->status = (uint32_t)n;
		return true;
	case S6A_odb:
		s->odb = record_odb_bits((uint32_t)n);
		return true;
	case S6A_nam:
		s->nam = (uint32_t)n;
		return true;
	case S6A_timer:
		s->rau_s = (uint64_t)n * 60;
		return true;
	case S6A_charging:
		s->charging = at->value->text;
		return true;
	case S6A_ambr_dl:
		s->dl = at->bits_per_s;
		return true;
	case S6A_ambr_ul:
		s->ul = at->bits_per_s;
		return true;
	case S6A_mme_host:
		s->mme_host = there ? at->value->text : (struct slice){0};
		return true;
	case S6A_mme_realm:
		s->mme_realm = there ? at->value->text : (struct slice){0};
		return true;
	case S6A_mme_timestamp:
		s->mme_time_us = there ? (uint64_t)n : 0;
		return true;
	case S6A_purge_flag:
		s->purged = there && at->value->yes;
		return true;
	default:
		return false;
	}
}

static enum doc_result take_s6a(struct doc_walk *w, const struct doc_at *at, void *into)
{
	struct record_reader *r = into;
	if (take_subscriber(r->s, at))
		return DOC_GO;
	switch ((enum doc_s6a_row)at->node->row) {
	case S6A_slices:
		return slices_step(r, at);
	case S6A_slice:
		return at->step != DOC_BEGIN || at->index == r->slice ? DOC_GO : DOC_PASS_OVER;
	case S6A_pdns:
		return r->has_slices && at->step == DOC_BEGIN ? DOC_PASS_OVER : apns_step(r, w, at);
	case S6A_sessions:
		return apns_step(r, w, at);
	case S6A_session:
		return apn_step(r, w, at, "name");
	case S6A_pdn:
		return apn_step(r, w, at, "apn");
	default:
		return take_apn(r, w, at);
	}
}

// ---- the whole

void record_begin(struct record_reader *r, struct record_ctx *c, struct subscription *s, struct record_error *e)
{
	*r = (struct record_reader){.c = c, .s = s};
	r->sink[DOC_OWNER_CORE] = (struct doc_sink){take_core, r};
	r->sink[DOC_OWNER_S6A] = (struct doc_sink){take_s6a, r};
	r->walk = doc_walk_of(documents_schema(), r->sink, e);
	// the APNs are written one by one: only what is around them needs to start from zero
	memset(s, 0, offsetof(struct subscription, apn));
	s->apn_cnt = 0;
	s->mme_host = s->mme_realm = (struct slice){0};
	s->mme_time_us = s->imeisv = 0;
	s->purged = false;
	s->amf = 0x8000;
	s->ard = ACCESS_DEFAULT;
	s->ul = s->dl = RATE_DEFAULT;
	s->rau_s = TAU_DEFAULT_S;
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
	if (!r->has_imsi)
		return doc_bad(&r->walk, "imsi", "expected 5 to 15 digits as text, got nothing");
	r->s->no_key = !r->has_security && r->walk.alone;
	if (r->s->no_key)
		return DOC_GO;
	if (!r->has_security)
		return doc_bad(&r->walk, "security", "expected an object, got nothing");
	if (!r->has_k)
		return doc_bad(&r->walk, "security.k", "expected 32 hex digits, got nothing");
	if (r->s->mme_host.len == 0 || r->s->mme_realm.len == 0)
		r->s->mme_host = r->s->mme_realm = (struct slice){0};
	return derive_opc(r);
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

bool record_build(struct record_ctx *c, const struct subscription *s, struct record_image *image,
		  struct record_error *e)
{
	if (!record_image(c, s, image, e))
		return false;
	if (s->apn_cnt == 0 || s->nam == 1)
		image->flags |= RECORD_NO_EPS | RECORD_NO_PACKET;
	if (!record_encode_profile(s, c->profile, RECORD_PROFILE_MAX)) {
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

int record_ctx_init(struct record_ctx *c)
{
	*c = (struct record_ctx){.opc = opc_maker_new(), .profile = malloc(RECORD_PROFILE_MAX)};
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

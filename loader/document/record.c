// Source document -> validated record. See record.h. Loader process; reads what operators and other programs
// (WebUI, dbctl, scripts of two schema generations) wrote, so every value is looked at before it is believed.
#include "loader/document/record.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/document/extjson.h"
#include "loader/document/opc.h"
#include "lib/base/secret.h"

#define SQN_MAX       ((1ull << 48) - 1)
#define BANDWIDTH_MAX 4294967295000ull // what the extended AVPs hold

// Where in the document we are, and the first defect.
struct reader {
	struct record_error *e;
	char path[96]; // "slice[0].session[1]." or ""
	bool failed;
};

__attribute__((format(printf, 3, 4))) static bool fail(struct reader *r, const char *field, const char *fmt,
						       ...)
{
	char what[150];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (!r->failed)
		snprintf(r->e->text, sizeof(r->e->text), "%s%s: %s", r->path, field, what);
	r->failed = true;
	return false;
}

// A whole number within bounds; absent leaves *out as it is.
static bool number(struct reader *r, const json_t *v, const char *field, int64_t min, int64_t max,
		   int64_t *out)
{
	int64_t n = 0;
	switch (ext_int(v, &n)) {
	case EXT_ABSENT:
		return true;
	case EXT_WRONG:
		return fail(r, field, "expected a whole number, got %s", ext_type_name(v));
	case EXT_OK:
		break;
	}
	if (n < min || n > max)
		return fail(r, field, "expected %lld to %lld, got %lld", (long long)min, (long long)max,
			    (long long)n);
	*out = n;
	return true;
}

static bool number_u8(struct reader *r, const json_t *v, const char *field, int64_t min, int64_t max,
		      uint8_t *out)
{
	int64_t n = *out;
	bool ok = number(r, v, field, min, max, &n);
	*out = (uint8_t)n;
	return ok;
}

static bool number_u32(struct reader *r, const json_t *v, const char *field, int64_t max, uint32_t *out)
{
	int64_t n = *out;
	bool ok = number(r, v, field, 0, max, &n);
	*out = (uint32_t)n;
	return ok;
}

// ---- security
// --------------------------------------------------------------------------------------------------

// Hex digits of a fixed length, blanks allowed. EXT_ABSENT also for null. Never shows the value.
static enum ext_result hex(struct reader *r, const json_t *v, const char *field, unsigned len, uint8_t *out)
{
	struct slice text;
	enum ext_result x = ext_text(v, &text);
	if (x == EXT_WRONG)
		fail(r, field, "expected %u hex digits, got %s", len * 2, ext_type_name(v));
	if (x != EXT_OK)
		return x;
	if (hex_parse(text, out, len))
		return EXT_OK;
	unsigned digits = 0, other = 0;
	for (uint32_t i = 0; i < text.len; i++) {
		uint8_t ch = text.p[i], low = ch | 0x20;
		if ((ch >= '0' && ch <= '9') || (low >= 'a' && low <= 'f'))
			digits++;
		else if (ch != ' ' && ch != '\t')
			other++;
	}
	if (other)
		fail(r, field, "expected %u hex digits, got other characters", len * 2);
	else
		fail(r, field, "expected %u hex digits, got %u", len * 2, digits);
	return EXT_WRONG;
}

static bool read_opc(struct reader *r, struct record_ctx *c, const json_t *sec, struct subscription *s)
{
	uint8_t op[16];
	// opc wins when both are strings, as in Open5GS
	enum ext_result x = hex(r, json_object_get(sec, "opc"), "security.opc", 16, s->opc);
	if (x != EXT_ABSENT)
		return x == EXT_OK;
	x = hex(r, json_object_get(sec, "op"), "security.op", 16, op);
	if (x == EXT_WRONG)
		return false;
	if (x == EXT_ABSENT) {
		if (!c->has_op)
			return fail(r, "security", "expected op or opc (there is no per-operator op_file)");
		memcpy(op, c->op, 16);
	}
	int rc = opc_derive(c->opc, s->k, op, s->opc);
	secret_wipe(op, sizeof(op));
	return rc == 0 || fail(r, "security.op", "OPc could not be derived");
}

static bool read_security(struct reader *r, struct record_ctx *c, const json_t *doc, struct subscription *s)
{
	const json_t *sec = json_object_get(doc, "security");
	if (!json_is_object(sec))
		return fail(r, "security", "expected an object, got %s", ext_type_name(sec));
	enum ext_result x = hex(r, json_object_get(sec, "k"), "security.k", 16, s->k);
	if (x == EXT_ABSENT)
		return fail(r, "security.k", "expected 32 hex digits, got nothing");
	if (x == EXT_WRONG)
		return false;
	uint8_t amf[2] = {0x80, 0};
	if (hex(r, json_object_get(sec, "amf"), "security.amf", 2, amf) == EXT_WRONG)
		return false;
	s->amf = be16_get(amf);
	struct slice alg;
	x = ext_text(json_object_get(sec, "algorithm"), &alg);
	if (x == EXT_WRONG ||
	    (x == EXT_OK && !slice_eq(alg, slice_str("xor")) && !slice_eq(alg, slice_str("milenage"))))
		return fail(r, "security.algorithm", "expected milenage or xor");
	if (x == EXT_OK && slice_eq(alg, slice_str("xor"))) {
		if (!c->allow_xor)
			return fail(r, "security.algorithm",
				    "xor is for test SIMs and not switched on (s6a.allow_xor)");
		s->alg = ALG_XOR;
	}
	// XOR knows no OP (TS 34.108 8.1.2)
	if (s->alg == ALG_MILENAGE && !read_opc(r, c, sec, s))
		return false;
	int64_t sqn = -1;
	if (!number(r, json_object_get(sec, "sqn"), "security.sqn", 0, (int64_t)SQN_MAX, &sqn))
		return false;
	s->has_sqn = sqn >= 0;
	s->sqn = sqn >= 0 ? (uint64_t)sqn : 0;
	return true;
}

// ---- subscription
// ----------------------------------------------------------------------------------------------

// Schema 1: {value, unit}, bit/s = value * 1000^unit. Schema 0: a number of kbit/s that NextEPC took times
// 1024.
static bool read_rate(struct reader *r, const json_t *v, const char *field, uint64_t *out)
{
	int64_t value = 0, unit = 0;
	if (!v || json_is_null(v))
		return true;
	const json_t *inner = json_is_object(v) ? json_object_get(v, "value") : NULL;
	if (!inner) {
		if (!number(r, v, field, 0, INT64_MAX, &value))
			return false;
		*out = (uint64_t)value > BANDWIDTH_MAX / 1024 ? BANDWIDTH_MAX : (uint64_t)value * 1024;
		return true;
	}
	if (!number(r, inner, field, 0, INT64_MAX, &value) ||
	    !number(r, json_object_get(v, "unit"), field, 0, 4, &unit))
		return false;
	uint64_t bits = (uint64_t)value;
	for (; unit > 0; unit--)
		bits = bits > BANDWIDTH_MAX / 1000 ? BANDWIDTH_MAX : bits * 1000;
	*out = bits > BANDWIDTH_MAX ? BANDWIDTH_MAX : bits;
	return true;
}

static bool read_ambr(struct reader *r, const json_t *ambr, uint64_t *ul, uint64_t *dl)
{
	*ul = *dl = 1000000000;
	if (ambr && !json_is_null(ambr) && !json_is_object(ambr))
		return fail(r, "ambr", "expected an object, got %s", ext_type_name(ambr));
	return read_rate(r, json_object_get(ambr, "downlink"), "ambr.downlink", dl) &&
	       read_rate(r, json_object_get(ambr, "uplink"), "ambr.uplink", ul);
}

static bool read_charging(struct reader *r, const json_t *v, struct slice *out)
{
	struct slice text;
	uint8_t octets[2];
	enum ext_result x = ext_text(v, &text);
	if (x == EXT_ABSENT)
		return true;
	// TS 29.061 16.4.7.2: four hex digits as text
	if (x == EXT_WRONG || text.len != 4 || !hex_parse(text, octets, 2))
		return fail(r, "charging_characteristics", "expected 4 hex digits");
	*out = text;
	return true;
}

// Before Open5GS 2.7.0 the fields were called addr and addr6; the schema's version did not tell.
static bool read_address(struct reader *r, const json_t *group, const char *name, const char *old,
			 const char *field, int family, uint8_t *out, bool *has)
{
	struct slice text;
	char copy[INET6_ADDRSTRLEN];
	const json_t *v = json_object_get(group, name);
	enum ext_result x = ext_text(v, &text);
	if (x == EXT_ABSENT) {
		v = json_object_get(group, old);
		x = ext_text(v, &text);
	}
	if (x == EXT_ABSENT)
		return true;
	const char *want = family == AF_INET ? "an IPv4 address" : "an IPv6 address";
	if (x == EXT_WRONG)
		return fail(r, field, "expected %s, got %s", want, ext_type_name(v));
	if (text.len < sizeof(copy)) {
		memcpy(copy, text.p, text.len);
		copy[text.len] = 0;
		*has = inet_pton(family, copy, out) == 1;
	}
	return *has || fail(r, field, "expected %s, got \"%.40s\"", want, (const char *)text.p);
}

static bool read_addresses(struct reader *r, const json_t *session, struct apn *a)
{
	const json_t *ue = json_object_get(session, "ue"), *gw = json_object_get(session, "smf");
	if (!gw)
		gw = json_object_get(session, "pgw");
	return read_address(r, ue, "ipv4", "addr", "ue.ipv4", AF_INET, a->ue_v4, &a->ue4) &&
	       read_address(r, ue, "ipv6", "addr6", "ue.ipv6", AF_INET6, a->ue_v6, &a->ue6) &&
	       read_address(r, gw, "ipv4", "addr", "smf.ipv4", AF_INET, a->gw_v4, &a->gw4) &&
	       read_address(r, gw, "ipv6", "addr6", "smf.ipv6", AF_INET6, a->gw_v6, &a->gw6);
}

static bool read_name(struct reader *r, const json_t *v, const char *field, struct slice *out)
{
	if (ext_text(v, out) != EXT_OK)
		return fail(r, field, "expected an APN's name, got %s",
			    json_is_string(v) ? "\"\"" : ext_type_name(v));
	for (uint32_t i = 0; i < out->len; i++)
		if (out->p[i] <= ' ' || out->p[i] == 0x7f)
			return fail(r, field,
				    "expected an APN's name, got blanks or control characters in it");
	return out->len <= RECORD_APN_NAME_MAX ||
	       fail(r, field, "expected at most %d characters, got %u", RECORD_APN_NAME_MAX, out->len);
}

// Schema 1: 1 disabled, 2 enabled; schema 0 and Diameter: 1 disabled, 0 enabled.
static bool read_preemption(struct reader *r, const json_t *v, const char *field, bool old, uint8_t *out)
{
	int64_t n = 1;
	if (!number(r, v, field, old ? 0 : 1, old ? 1 : 2, &n))
		return false;
	*out = old ? (uint8_t)n : n == 1;
	return true;
}

static bool read_session(struct reader *r, const json_t *v, bool old, struct apn *a)
{
	if (!json_is_object(v)) {
		r->path[strlen(r->path) - 1] = 0; // the dot
		return fail(r, "", "expected an object, got %s", ext_type_name(v));
	}
	*a = (struct apn){.pdn_type = 2,
			  .qci = 9,
			  .priority = 8,
			  .capability = 1,
			  .vulnerability = 1,
			  .vplmn_allowed = true};
	const json_t *qos = json_object_get(v, "qos"), *arp = json_object_get(qos, "arp");
	int64_t type = old ? 2 : 3;
	if (!read_name(r, json_object_get(v, old ? "apn" : "name"), old ? "apn" : "name", &a->name) ||
	    !number(r, json_object_get(v, "type"), "type", old ? 0 : 1, old ? 2 : 3, &type) ||
	    !number_u8(r, json_object_get(qos, old ? "qci" : "index"), old ? "qos.qci" : "qos.index", 1, 254,
		       &a->qci) ||
	    !number_u8(r, json_object_get(arp, "priority_level"), "qos.arp.priority_level", 1, 15,
		       &a->priority) ||
	    !read_preemption(r, json_object_get(arp, "pre_emption_capability"),
			     "qos.arp.pre_emption_capability", old, &a->capability) ||
	    !read_preemption(r, json_object_get(arp, "pre_emption_vulnerability"),
			     "qos.arp.pre_emption_vulnerability", old, &a->vulnerability))
		return false;
	a->pdn_type = (uint8_t)(old ? type : type - 1);
	return read_ambr(r, json_object_get(v, "ambr"), &a->ul, &a->dl) && read_addresses(r, v, a) &&
	       read_charging(r, json_object_get(v, "charging_characteristics"), &a->charging);
}

static bool read_sessions(struct reader *r, const json_t *list, const char *prefix, bool old,
			  struct subscription *s)
{
	size_t n = json_array_size(list);
	if (n > RECORD_APN_MAX)
		return fail(r, prefix, "expected at most %d APNs, got %zu", RECORD_APN_MAX, n);
	for (size_t i = 0; i < n; i++) {
		snprintf(r->path, sizeof(r->path), "%s[%zu].", prefix, i);
		if (!read_session(r, json_array_get(list, i), old, &s->apn[s->apn_cnt]))
			return false;
		s->apn_cnt++;
	}
	r->path[0] = 0;
	return true;
}

// The EPC knows one list of APNs: that of the default slice, else of the first one.
static bool read_slices(struct reader *r, const json_t *slices, struct subscription *s)
{
	size_t n = json_array_size(slices), pick = 0;
	char prefix[64];
	bool is_default;
	for (size_t i = n; i-- > 0;) {
		const json_t *slice = json_array_get(slices, i);
		if (!json_is_object(slice)) {
			snprintf(prefix, sizeof(prefix), "slice[%zu]", i);
			return fail(r, prefix, "expected an object, got %s", ext_type_name(slice));
		}
		if (ext_bool(json_object_get(slice, "default_indicator"), &is_default) == EXT_OK &&
		    is_default)
			pick = i;
	}
	if (n == 0)
		return true;
	const json_t *sessions = json_object_get(json_array_get(slices, pick), "session");
	snprintf(prefix, sizeof(prefix), "slice[%zu].session", pick);
	if (sessions && !json_is_null(sessions) && !json_is_array(sessions))
		return fail(r, prefix, "expected an array, got %s", ext_type_name(sessions));
	return read_sessions(r, sessions, prefix, false, s);
}

static bool read_apns(struct reader *r, const json_t *doc, struct subscription *s)
{
	const json_t *slices = json_object_get(doc, "slice"), *pdn = json_object_get(doc, "pdn");
	if (json_is_array(slices))
		return read_slices(r, slices, s);
	if (slices && !json_is_null(slices))
		return fail(r, "slice", "expected an array, got %s", ext_type_name(slices));
	if (json_is_array(pdn))
		return read_sessions(r, pdn, "pdn", true, s);
	if (pdn && !json_is_null(pdn))
		return fail(r, "pdn", "expected an array, got %s", ext_type_name(pdn));
	return true;
}

static bool read_msisdn(struct reader *r, const json_t *v, struct subscription *s)
{
	if (!v || json_is_null(v))
		return true;
	bool list = json_is_array(v);
	if (!list && !json_is_string(v))
		return fail(r, "msisdn", "expected an array of numbers as text, got %s", ext_type_name(v));
	// more than two are kept in the document; the interface has room for MSISDN and A-MSISDN
	for (size_t i = 0; i < 2 && i < (list ? json_array_size(v) : 1); i++) {
		char field[16];
		struct slice text;
		snprintf(field, sizeof(field), list ? "msisdn[%zu]" : "msisdn", i);
		const json_t *item = list ? json_array_get(v, i) : v;
		enum ext_result x = ext_text(item, &text);
		if (x == EXT_ABSENT)
			continue;
		if (x == EXT_WRONG || !msisdn_parse(text, &s->msisdn[i]))
			return fail(r, field, "expected 1 to %d digits, got %s", MSISDN_MAX_DIGITS,
				    x == EXT_WRONG ? ext_type_name(item) : "other text");
	}
	return true;
}

static bool read_imsi(struct reader *r, const json_t *v, struct subscription *s)
{
	struct slice text;
	if (ext_text(v, &text) != EXT_OK)
		return fail(r, "imsi", "expected 5 to 15 digits as text, got %s",
			    json_is_string(v) ? "\"\"" : ext_type_name(v));
	return imsi_parse(text, &s->imsi) ||
	       fail(r, "imsi", "expected 5 to 15 digits, got \"%.40s\"", (const char *)text.p);
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

// A field of the state. The WebUI writes [] where nothing is known, and makes an array of one of what open5gs-hssd wrote.
static const json_t *state_field(const json_t *doc, const char *name)
{
	const json_t *v = json_object_get(doc, name);
	return json_is_array(v) && json_array_size(v) == 1 ? json_array_get(v, 0) : v;
}

// What another HSS left.
static void read_state(const json_t *doc, struct subscription *s)
{
	struct slice imeisv = {0};
	int64_t time = 0;
	bool purged = false;
	(void)ext_text(state_field(doc, "mme_host"), &s->mme_host);
	(void)ext_text(state_field(doc, "mme_realm"), &s->mme_realm);
	if (s->mme_host.len == 0 || s->mme_host.len > 255 || s->mme_realm.len == 0 || s->mme_realm.len > 255)
		s->mme_host = s->mme_realm = (struct slice){0};
	if (ext_int(json_object_get(doc, "mme_timestamp"), &time) == EXT_OK && time > 0)
		s->mme_time_us = (uint64_t)time;
	s->purged = ext_bool(state_field(doc, "purge_flag"), &purged) == EXT_OK && purged;
	if (ext_text(state_field(doc, "imeisv"), &imeisv) == EXT_OK)
		s->imeisv = record_imeisv(imeisv);
}

bool record_parse(struct record_ctx *c, const json_t *doc, struct subscription *s, struct record_error *e)
{
	struct reader r = {.e = e};
	int64_t minutes = 12;
	// the APNs are written one by one: only what is before them needs to start from zero
	memset(s, 0, offsetof(struct subscription, apn));
	s->apn_cnt = 0;
	s->mme_host = s->mme_realm = (struct slice){0};
	s->mme_time_us = s->imeisv = 0;
	s->purged = false;
	s->ard = 32;
	if (!json_is_object(doc))
		return fail(&r, "document", "expected an object, got %s", ext_type_name(doc));
	if (!read_imsi(&r, json_object_get(doc, "imsi"), s) || !read_security(&r, c, doc, s) ||
	    !read_msisdn(&r, json_object_get(doc, "msisdn"), s) ||
	    !number_u32(&r, json_object_get(doc, "access_restriction_data"), "access_restriction_data",
			UINT32_MAX, &s->ard) ||
	    !number_u32(&r, json_object_get(doc, "subscriber_status"), "subscriber_status", 1, &s->status) ||
	    !number_u32(&r, json_object_get(doc, "operator_determined_barring"),
			"operator_determined_barring", UINT32_MAX, &s->odb) ||
	    !number_u32(&r, json_object_get(doc, "network_access_mode"), "network_access_mode", 2, &s->nam) ||
	    !number(&r, json_object_get(doc, "subscribed_rau_tau_timer"), "subscribed_rau_tau_timer", 0,
		    UINT32_MAX / 60, &minutes) ||
	    !read_ambr(&r, json_object_get(doc, "ambr"), &s->ul, &s->dl) ||
	    !read_charging(&r, json_object_get(doc, "charging_characteristics"), &s->charging) ||
	    !read_apns(&r, doc, s))
		return false;
	s->rau_s = (uint64_t)minutes * 60;
	s->odb = record_odb_bits(s->odb);
	read_state(doc, s);
	return true;
}

bool record_image(struct record_ctx *c, const struct subscription *s, struct record_image *image,
		  struct record_error *e)
{
	*image = (struct record_image){.msisdn = {s->msisdn[0], s->msisdn[1]}, .amf = s->amf, .alg = s->alg};
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
		image->flags = RECORD_NO_EPS | RECORD_NO_PACKET;
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

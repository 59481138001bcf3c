// The requests of a CSCF, and what an MAA holds (TS 29.229): for the cases register, uar, mar, sar and lir. Identities follow
// from the IMSI: IMSI@DOMAIN and sip:IMSI@DOMAIN.
#include <string.h>
#include "tools/hss-load/message.h"
#include "tools/hss-load/run.h"

enum {
	AVP_USER_NAME = 1,
	AVP_DIGEST_HA1 = 121,
	AVP_VISITED_NETWORK = 600,
	AVP_PUBLIC_IDENTITY = 601,
	AVP_SERVER_NAME = 602,
	AVP_NUMBER_AUTH_ITEMS = 607,
	AVP_SCHEME = 608,
	AVP_AUTHENTICATE = 609,
	AVP_AUTHORIZATION = 610,
	AVP_AUTH_DATA_ITEM = 612,
	AVP_ASSIGNMENT_TYPE = 614,
	AVP_DATA_AVAILABLE = 624,
	AVP_CONFIDENTIALITY_KEY = 625,
	AVP_INTEGRITY_KEY = 626,
	AVP_DIGEST_AUTHENTICATE = 635,
};

enum { REGISTRATION = 1, RE_REGISTRATION = 2 };

// "PREFIX" IMSI "@" DOMAIN; the place of the digits is noted for the stamp.
void hl_put_identity(struct wr *w, struct hl_template *t, uint32_t code, uint32_t vendor, const char *prefix,
		     const struct hl_options *o)
{
	uint8_t *avp = hl_open(w, code, vendor, true);
	wr_bytes(w, prefix, strlen(prefix));
	t->imsi_at[t->imsi_cnt++] = (uint32_t)wr_len(w);
	wr_bytes(w, "000000000000000", t->imsi_digits);
	wr_u8(w, '@');
	wr_bytes(w, o->domain, strlen(o->domain));
	hl_close(w, avp);
}

static void put_item(struct wr *w, const struct hl_options *o)
{
	uint8_t *item = hl_open(w, AVP_AUTH_DATA_ITEM, HL_VENDOR_3GPP, true);
	hl_put_text(w, AVP_SCHEME, HL_VENDOR_3GPP, true, o->digest ? "SIP Digest" : "Digest-AKAv1-MD5");
	hl_close(w, item);
	hl_put_u32(w, AVP_NUMBER_AUTH_ITEMS, HL_VENDOR_3GPP, true, o->vectors);
}

void hl_cx_put(struct wr *w, struct hl_template *t, enum hl_kind kind, const struct hl_options *o)
{
	bool sar = kind == HL_KIND_SAR || kind == HL_KIND_SAR_AGAIN;
	if (kind != HL_KIND_LIR)
		hl_put_identity(w, t, AVP_USER_NAME, 0, "", o);
	hl_put_identity(w, t, AVP_PUBLIC_IDENTITY, HL_VENDOR_3GPP, "sip:", o);
	if (kind == HL_KIND_UAR || kind == HL_KIND_UAR_AGAIN)
		hl_put_text(w, AVP_VISITED_NETWORK, HL_VENDOR_3GPP, true, o->domain);
	if (kind == HL_KIND_MAR)
		put_item(w, o);
	if (kind == HL_KIND_MAR || sar)
		hl_put_text(w, AVP_SERVER_NAME, HL_VENDOR_3GPP, true, o->server_name);
	if (!sar)
		return;
	hl_put_u32(w, AVP_ASSIGNMENT_TYPE, HL_VENDOR_3GPP, true, kind == HL_KIND_SAR ? REGISTRATION : RE_REGISTRATION);
	hl_put_u32(w, AVP_DATA_AVAILABLE, HL_VENDOR_3GPP, true, 0);
}

static const uint8_t *fixed(struct slice item, uint32_t code, uint32_t len)
{
	struct slice data;
	return hl_avp_find(item, code, HL_VENDOR_3GPP, &data) && data.len == len ? data.p : NULL;
}

int hl_cx_vectors(struct slice avps, struct sim_vector *out, int max)
{
	struct rd r = rd_slice(avps);
	struct hl_avp avp;
	struct slice xres;
	int count = 0;
	while (hl_avp_next(&r, &avp)) {
		if (avp.vendor != HL_VENDOR_3GPP || avp.code != AVP_AUTH_DATA_ITEM)
			continue;
		const uint8_t *challenge = fixed(avp.data, AVP_AUTHENTICATE, 32);
		struct sim_vector *v = &out[count];
		if (count == max || !challenge || !hl_avp_find(avp.data, AVP_AUTHORIZATION, HL_VENDOR_3GPP, &xres))
			return -1;
		*v = (struct sim_vector){.rand = challenge,
					 .autn = challenge + 16,
					 .xres = xres.p,
					 .xres_len = xres.len,
					 .ck = fixed(avp.data, AVP_CONFIDENTIALITY_KEY, 16),
					 .ik = fixed(avp.data, AVP_INTEGRITY_KEY, 16)};
		if (!v->ck || !v->ik)
			return -1;
		count++;
	}
	return r.err ? -1 : count;
}

bool hl_cx_digest_is(struct slice avps, const char *ha1)
{
	struct slice item, digest, found;
	return hl_avp_find(avps, AVP_AUTH_DATA_ITEM, HL_VENDOR_3GPP, &item) &&
	       hl_avp_find(item, AVP_DIGEST_AUTHENTICATE, HL_VENDOR_3GPP, &digest) &&
	       hl_avp_find(digest, AVP_DIGEST_HA1, 0, &found) && slice_eq_nocase(found, slice_str(ha1));
}

bool hl_cx_next(const struct hl_run *r, uint8_t kind, uint8_t *next)
{
	static const uint8_t after[HL_KINDS] = {
		[HL_KIND_UAR] = HL_KIND_MAR, [HL_KIND_MAR] = HL_KIND_UAR_AGAIN, [HL_KIND_UAR_AGAIN] = HL_KIND_SAR};
	*next = after[kind];
	return r->o->kase == HL_REGISTER && after[kind];
}

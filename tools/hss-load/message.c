// Diameter messages of hss-load: see message.h. AVP layout per RFC 6733 4.1 and TS 29.272 7.2, 7.3.
#include "tools/hss-load/message.h"
#include <string.h>

enum {
	AVP_USER_NAME = 1,
	AVP_HOST_IP_ADDRESS = 257,
	AVP_AUTH_APPLICATION_ID = 258,
	AVP_VENDOR_SPECIFIC_APP_ID = 260,
	AVP_SESSION_ID = 263,
	AVP_ORIGIN_HOST = 264,
	AVP_SUPPORTED_VENDOR_ID = 265,
	AVP_VENDOR_ID = 266,
	AVP_RESULT_CODE = 268,
	AVP_PRODUCT_NAME = 269,
	AVP_DISCONNECT_CAUSE = 273,
	AVP_AUTH_SESSION_STATE = 277,
	AVP_DESTINATION_REALM = 283,
	AVP_PROXY_INFO = 284,
	AVP_DESTINATION_HOST = 293,
	AVP_ORIGIN_REALM = 296,
	AVP_EXPERIMENTAL_RESULT = 297,
	AVP_EXPERIMENTAL_RESULT_CODE = 298,
	AVP_MIP_HOME_AGENT_HOST = 348,
	AVP_MIP6_AGENT_INFO = 486,
	AVP_SERVICE_SELECTION = 493,
	AVP_CONFIDENTIALITY_KEY = 625,
	AVP_INTEGRITY_KEY = 626,
	AVP_RAT_TYPE = 1032,
	AVP_SUBSCRIPTION_DATA = 1400,
	AVP_TERMINAL_INFORMATION = 1401,
	AVP_IMEI = 1402,
	AVP_ULR_FLAGS = 1405,
	AVP_VISITED_PLMN_ID = 1407,
	AVP_REQUESTED_EUTRAN = 1408,
	AVP_REQUESTED_UTRAN = 1409,
	AVP_NUMBER_OF_VECTORS = 1410,
	AVP_RESYNC_INFO = 1411,
	AVP_IMMEDIATE_RESPONSE = 1412,
	AVP_AUTHENTICATION_INFO = 1413,
	AVP_EUTRAN_VECTOR = 1414,
	AVP_UTRAN_VECTOR = 1415,
	AVP_CONTEXT_IDENTIFIER = 1423,
	AVP_RAND = 1447,
	AVP_XRES = 1448,
	AVP_AUTN = 1449,
	AVP_KASME = 1450
};

#define AVP_FLAG_V 0x80
#define AVP_FLAG_M 0x40

bool hl_avp_next(struct rd *r, struct hl_avp *out)
{
	if (rd_left(r) == 0)
		return false;
	out->code = rd_u32(r);
	uint8_t flags = rd_u8(r);
	uint32_t len = rd_u24(r), head = flags & AVP_FLAG_V ? 12 : 8;

	out->vendor = flags & AVP_FLAG_V ? rd_u32(r) : 0;
	if (len < head) {
		r->err = true;
		return false;
	}
	out->data = rd_bytes(r, len - head);
	(void)rd_take(r, (4 - (len & 3)) & 3);
	return !r->err;
}

bool hl_avp_find(struct slice avps, uint32_t code, uint32_t vendor, struct slice *data)
{
	struct rd r = rd_slice(avps);
	struct hl_avp avp;

	while (hl_avp_next(&r, &avp))
		if (avp.code == code && avp.vendor == vendor) {
			*data = avp.data;
			return true;
		}
	return false;
}

uint32_t hl_avp_find_u32(struct slice avps, uint32_t code, uint32_t vendor, uint32_t otherwise)
{
	struct slice data;
	return hl_avp_find(avps, code, vendor, &data) && data.len == 4 ? be32_get(data.p) : otherwise;
}

uint8_t *hl_open(struct wr *w, uint32_t code, uint32_t vendor, bool mandatory)
{
	uint8_t *start = w->p;
	wr_u32(w, code);
	wr_u32(w, (uint32_t)((vendor ? AVP_FLAG_V : 0) | (mandatory ? AVP_FLAG_M : 0)) << 24);
	if (vendor)
		wr_u32(w, vendor);
	return start;
}

void hl_close(struct wr *w, uint8_t *group)
{
	if (w->err)
		return;
	be24_put(group + 5, (uint32_t)(w->p - group));
	wr_zero(w, (4 - ((size_t)(w->p - group) & 3)) & 3);
}

void hl_put(struct wr *w, uint32_t code, uint32_t vendor, bool mandatory, const void *data, size_t len)
{
	uint8_t *start = hl_open(w, code, vendor, mandatory);
	wr_bytes(w, data, len);
	hl_close(w, start);
}

void hl_put_text(struct wr *w, uint32_t code, uint32_t vendor, bool mandatory, const char *text)
{
	hl_put(w, code, vendor, mandatory, text, strlen(text));
}

void hl_put_u32(struct wr *w, uint32_t code, uint32_t vendor, bool mandatory, uint32_t v)
{
	uint8_t be[4];
	be32_put(be, v);
	hl_put(w, code, vendor, mandatory, be, 4);
}

void hl_header(struct wr *w, uint8_t flags, uint32_t command, uint32_t app, uint32_t hop_by_hop,
	       uint32_t end_to_end)
{
	wr_u32(w, 1u << 24);
	wr_u32(w, (uint32_t)flags << 24 | command);
	wr_u32(w, app);
	wr_u32(w, hop_by_hop);
	wr_u32(w, end_to_end);
}

void hl_finish(struct wr *w, uint8_t *start)
{
	if (!w->err)
		be24_put(start + 1, (uint32_t)(w->p - start));
}

const struct hl_kind_row hl_kind_rows[HL_KINDS] = {
	[HL_KIND_AIR] = {HL_CMD_AI, HL_APP_S6A, NULL, "authentication"},
	[HL_KIND_ULR] = {HL_CMD_UL, HL_APP_S6A, "ulr", "location update"},
	[HL_KIND_PUR] = {HL_CMD_PU, HL_APP_S6A, "pur", "purge"},
	[HL_KIND_NOR] = {HL_CMD_NO, HL_APP_S6A, "nor", "notification"},
	[HL_KIND_RESYNC] = {HL_CMD_AI, HL_APP_S6A, NULL, "resynchronisation"},
	[HL_KIND_ECR] = {HL_CMD_EC, HL_APP_S13, NULL, "equipment check"},
	[HL_KIND_UAR] = {HL_CMD_UA, HL_APP_CX, NULL, "user authorization"},
	[HL_KIND_MAR] = {HL_CMD_MA, HL_APP_CX, NULL, "multimedia authentication"},
	[HL_KIND_UAR_AGAIN] = {HL_CMD_UA, HL_APP_CX, NULL, "user authorization"},
	[HL_KIND_SAR] = {HL_CMD_SA, HL_APP_CX, "sar", "registration"},
	[HL_KIND_SAR_AGAIN] = {HL_CMD_SA, HL_APP_CX, NULL, "re-registration"},
	[HL_KIND_LIR] = {HL_CMD_LI, HL_APP_CX, NULL, "location information"},
	[HL_KIND_WLAN_MAR] = {HL_CMD_MA, HL_APP_SWX, NULL, "authentication on Wi-Fi"},
	[HL_KIND_WLAN_SAR] = {HL_CMD_SA, HL_APP_SWX, "wlan-sar", "registration on Wi-Fi"},
	[HL_KIND_UDR] = {HL_CMD_UD, HL_APP_SH, NULL, "user data"},
	[HL_KIND_SH_PUR] = {HL_CMD_SH_PU, HL_APP_SH, "sh-pur", "profile update"},
};

static void put_vendor_app(struct wr *w, uint32_t application)
{
	uint8_t *group = hl_open(w, AVP_VENDOR_SPECIFIC_APP_ID, 0, true);
	hl_put_u32(w, AVP_VENDOR_ID, 0, true, HL_VENDOR_3GPP);
	hl_put_u32(w, AVP_AUTH_APPLICATION_ID, 0, true, application);
	hl_close(w, group);
}

static void put_origin(struct wr *w, const struct hl_options *o, const char *origin_host)
{
	hl_put_text(w, AVP_ORIGIN_HOST, 0, true, origin_host);
	hl_put_text(w, AVP_ORIGIN_REALM, 0, true, o->origin_realm);
}

// AIR (TS 29.272 7.2.5); `resync` leaves room for RAND || AUTS.
static void put_air(struct wr *w, struct hl_template *t, const struct hl_options *o, bool resync)
{
	static const uint8_t blank[30];
	uint8_t *group =
	    hl_open(w, o->s6d ? AVP_REQUESTED_UTRAN : AVP_REQUESTED_EUTRAN, HL_VENDOR_3GPP, true);

	hl_put_u32(w, AVP_NUMBER_OF_VECTORS, HL_VENDOR_3GPP, true, o->vectors);
	hl_put_u32(w, AVP_IMMEDIATE_RESPONSE, HL_VENDOR_3GPP, true, 0);
	if (resync) {
		t->resync_at = (uint32_t)wr_len(w) + 12;
		hl_put(w, AVP_RESYNC_INFO, HL_VENDOR_3GPP, true, blank, sizeof blank);
	}
	hl_close(w, group);
	hl_put(w, AVP_VISITED_PLMN_ID, HL_VENDOR_3GPP, true, o->plmn, 3);
}

// ULR (TS 29.272 7.2.3) of an initial attach: RAT-Type EUTRAN (1004) from an MME, UTRAN (1000) from an SGSN;
// ULR-Flags S6a/S6d-Indicator and Initial-Attach-Indicator.
static void put_ulr(struct wr *w, const struct hl_options *o)
{
	hl_put_u32(w, AVP_RAT_TYPE, HL_VENDOR_3GPP, false, o->s6d ? 1000 : 1004);
	hl_put_u32(w, AVP_ULR_FLAGS, HL_VENDOR_3GPP, true, o->s6d ? 0x20 : 0x22);
	hl_put(w, AVP_VISITED_PLMN_ID, HL_VENDOR_3GPP, true, o->plmn, 3);
}

// NOR (TS 29.272 7.2.17) that reports the PDN gateway chosen for an APN.
static void put_nor(struct wr *w, const struct hl_options *o)
{
	uint8_t *info = hl_open(w, AVP_MIP6_AGENT_INFO, 0, true);
	uint8_t *host = hl_open(w, AVP_MIP_HOME_AGENT_HOST, 0, true);

	hl_put_text(w, AVP_DESTINATION_REALM, 0, true, o->origin_realm);
	hl_put_text(w, AVP_DESTINATION_HOST, 0, true, "pgw01.hss-load.invalid");
	hl_close(w, host);
	hl_close(w, info);
	hl_put_u32(w, AVP_CONTEXT_IDENTIFIER, HL_VENDOR_3GPP, true, 1);
	hl_put_text(w, AVP_SERVICE_SELECTION, 0, true, o->apn);
}

// ECR (TS 29.272 7.2.19): the IMEI is the last 14 digits of the IMSI.
static void put_ecr(struct wr *w, struct hl_template *t)
{
	uint8_t *terminal = hl_open(w, AVP_TERMINAL_INFORMATION, HL_VENDOR_3GPP, true);
	uint8_t *imei = hl_open(w, AVP_IMEI, HL_VENDOR_3GPP, true);

	t->imei_at = (uint32_t)wr_len(w);
	wr_bytes(w, "00000000000000", 14);
	hl_close(w, imei);
	hl_close(w, terminal);
}

bool hl_template_build(struct hl_template *t, enum hl_kind kind, const struct hl_options *o,
		       unsigned imsi_digits, const char *origin_host)
{
	const struct hl_kind_row *row = &hl_kind_rows[kind];
	struct wr w = wr_of(t->bytes, sizeof t->bytes);
	uint8_t *avp;

	*t = (struct hl_template){.imsi_digits = imsi_digits};
	hl_header(&w, HL_FLAG_R | HL_FLAG_P, row->command, row->application, 0, 0);
	avp = hl_open(&w, AVP_SESSION_ID, 0, true);
	wr_bytes(&w, origin_host, strlen(origin_host));
	wr_u8(&w, ';');
	t->session_at = (uint32_t)wr_len(&w);
	wr_bytes(&w, "0000000000;0000000000", 21);
	hl_close(&w, avp);
	put_vendor_app(&w, row->application);
	hl_put_u32(&w, AVP_AUTH_SESSION_STATE, 0, true, 1);
	put_origin(&w, o, origin_host);
	if (o->dest_host)
		hl_put_text(&w, AVP_DESTINATION_HOST, 0, true, o->dest_host);
	hl_put_text(&w, AVP_DESTINATION_REALM, 0, true, o->dest_realm);
	if (row->application == HL_APP_CX) {
		hl_cx_put(&w, t, kind, o);
	} else if (row->application == HL_APP_SWX) {
		hl_swx_put(&w, t, kind, o);
	} else if (row->application == HL_APP_SH) {
		hl_sh_put(&w, t, kind, o);
	} else {
		avp = hl_open(&w, AVP_USER_NAME, 0, true);
		t->imsi_at[t->imsi_cnt++] = (uint32_t)wr_len(&w);
		wr_bytes(&w, "000000000000000", imsi_digits);
		hl_close(&w, avp);
	}
	if (kind == HL_KIND_AIR || kind == HL_KIND_RESYNC)
		put_air(&w, t, o, kind == HL_KIND_RESYNC);
	else if (kind == HL_KIND_ULR)
		put_ulr(&w, o);
	else if (kind == HL_KIND_NOR)
		put_nor(&w, o);
	else if (kind == HL_KIND_ECR)
		put_ecr(&w, t);
	hl_finish(&w, t->bytes);
	t->len = (uint32_t)wr_len(&w);
	return !w.err;
}

static void put_digits(uint8_t *out, unsigned digits, uint64_t v)
{
	static const char pairs[] =
	    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
	    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
	    "8081828384858687888990919293949596979899";
	for (; digits >= 2; v /= 100) {
		digits -= 2;
		memcpy(out + digits, pairs + v % 100 * 2, 2);
	}
	if (digits)
		out[0] = (uint8_t)('0' + v % 10);
}

void hl_template_stamp(const struct hl_template *t, uint8_t *out, uint64_t imsi, uint64_t session,
		       uint32_t session_high, uint32_t hop_by_hop, uint32_t end_to_end, bool again)
{
	memcpy(out, t->bytes, t->len);
	if (again)
		out[4] |= HL_FLAG_T;
	be32_put(out + 12, hop_by_hop);
	be32_put(out + 16, end_to_end);
	put_digits(out + t->session_at, 10, session_high + (uint32_t)(session >> 32));
	put_digits(out + t->session_at + 11, 10, (uint32_t)session);
	for (unsigned i = 0; i < t->imsi_cnt; i++)
		put_digits(out + t->imsi_at[i], t->imsi_digits, imsi);
	if (t->imei_at)
		put_digits(out + t->imei_at, 14, imsi);
}

void hl_write_cer(struct wr *w, const struct hl_options *o, const char *origin_host, const uint8_t *address,
		  size_t address_len, uint32_t id)
{
	static const uint32_t application[HL_INTERFACES] = {
		[HL_S6A] = HL_APP_S6A, [HL_CX] = HL_APP_CX, [HL_SWX] = HL_APP_SWX, [HL_SH] = HL_APP_SH};
	uint8_t *start = w->p;
	hl_header(w, HL_FLAG_R, HL_CMD_CE, 0, id, id);
	put_origin(w, o, origin_host);
	uint8_t *avp = hl_open(w, AVP_HOST_IP_ADDRESS, 0, true);
	wr_u16(w, address_len == 4 ? 1 : 2); // address family (RFC 6733 4.3.1)
	wr_bytes(w, address, address_len);
	hl_close(w, avp);
	hl_put_u32(w, AVP_VENDOR_ID, 0, true, 0);
	hl_put_text(w, AVP_PRODUCT_NAME, 0, false, "hss-load");
	hl_put_u32(w, AVP_SUPPORTED_VENDOR_ID, 0, true, HL_VENDOR_3GPP);
	put_vendor_app(w, o->kase == HL_ECR ? HL_APP_S13 : application[hl_interface(o->kase)]);
	hl_finish(w, start);
}

void hl_write_dpr(struct wr *w, const struct hl_options *o, const char *origin_host, uint32_t id)
{
	uint8_t *start = w->p;
	hl_header(w, HL_FLAG_R, HL_CMD_DP, 0, id, id);
	put_origin(w, o, origin_host);
	hl_put_u32(w, AVP_DISCONNECT_CAUSE, 0, true,
		   2); // DO_NOT_WANT_TO_TALK_TO_YOU: no new connection wanted
	hl_finish(w, start);
}

void hl_write_answer(struct wr *w, const struct hl_options *o, const char *origin_host, struct slice request)
{
	uint8_t *start = w->p;
	struct rd r = rd_slice(request);
	struct hl_avp avp;
	uint32_t application = be32_get(request.p + 8);

	hl_header(w, request.p[4] & HL_FLAG_P, be24_get(request.p + 5), be32_get(request.p + 8),
		  be32_get(request.p + 12), be32_get(request.p + 16));
	(void)rd_take(&r, HL_HEADER);
	// Session-Id comes first; Proxy-Info goes back as it came (RFC 6733 6.2)
	while (hl_avp_next(&r, &avp))
		if (avp.vendor == 0 && avp.code == AVP_SESSION_ID)
			hl_put(w, AVP_SESSION_ID, 0, true, avp.data.p, avp.data.len);
	if (application)
		put_vendor_app(w, application);
	hl_put_u32(w, AVP_RESULT_CODE, 0, true, 2001);
	if (application)
		hl_put_u32(w, AVP_AUTH_SESSION_STATE, 0, true, 1);
	put_origin(w, o, origin_host);
	r = rd_slice(request);
	(void)rd_take(&r, HL_HEADER);
	while (hl_avp_next(&r, &avp))
		if (avp.vendor == 0 && avp.code == AVP_PROXY_INFO)
			hl_put(w, AVP_PROXY_INFO, 0, true, avp.data.p, avp.data.len);
	hl_finish(w, start);
}

bool hl_answer_parse(struct slice message, struct hl_answer *out)
{
	struct rd r = rd_slice(message);
	struct hl_avp avp;

	*out = (struct hl_answer){0};
	(void)rd_take(&r, HL_HEADER);
	if (!r.err && be24_get(message.p + 5) == HL_CMD_MA)
		out->auth_info = slice_of(r.p, rd_left(&r));
	while (hl_avp_next(&r, &avp)) {
		if (avp.vendor == 0 && avp.code == AVP_RESULT_CODE && avp.data.len == 4)
			out->result = be32_get(avp.data.p);
		else if (avp.vendor == 0 && avp.code == AVP_EXPERIMENTAL_RESULT)
			out->result = hl_avp_find_u32(avp.data, AVP_EXPERIMENTAL_RESULT_CODE, 0, 0);
		else if (avp.vendor == HL_VENDOR_3GPP && avp.code == AVP_AUTHENTICATION_INFO)
			out->auth_info = avp.data;
		else if (avp.vendor == HL_VENDOR_3GPP && avp.code == AVP_SUBSCRIPTION_DATA)
			out->subscription = avp.data;
	}
	return !r.err && out->result != 0;
}

static const uint8_t *find_fixed(struct slice vector, uint32_t code, uint32_t len)
{
	struct slice data;
	return hl_avp_find(vector, code, HL_VENDOR_3GPP, &data) && data.len == len ? data.p : NULL;
}

static bool read_vector(struct slice group, bool utran, struct sim_vector *v)
{
	struct slice xres;

	if (!hl_avp_find(group, AVP_XRES, HL_VENDOR_3GPP, &xres))
		return false;
	*v = (struct sim_vector){.xres = xres.p, .xres_len = xres.len};
	v->rand = find_fixed(group, AVP_RAND, 16);
	v->autn = find_fixed(group, AVP_AUTN, 16);
	v->kasme = utran ? NULL : find_fixed(group, AVP_KASME, 32);
	v->ck = utran ? find_fixed(group, AVP_CONFIDENTIALITY_KEY, 16) : NULL;
	v->ik = utran ? find_fixed(group, AVP_INTEGRITY_KEY, 16) : NULL;
	return v->rand && v->autn && (utran ? v->ck && v->ik : v->kasme != NULL);
}

int hl_answer_vectors(struct slice auth_info, bool utran, struct sim_vector *out, int max)
{
	struct rd r = rd_slice(auth_info);
	struct hl_avp avp;
	int count = 0;

	while (hl_avp_next(&r, &avp)) {
		if (avp.vendor != HL_VENDOR_3GPP ||
		    avp.code != (utran ? AVP_UTRAN_VECTOR : AVP_EUTRAN_VECTOR))
			continue;
		if (count == max || !read_vector(avp.data, utran, &out[count]))
			return -1;
		count++;
	}
	return r.err ? -1 : count;
}

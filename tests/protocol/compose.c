// Composing and comparing messages (see compose.h).
#include "tests/protocol/compose.h"
#include <stdio.h>
#include <stdlib.h>
#include "lib/base/ident.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/base.h"

const struct command *compose_command(const char *name)
{
	for (unsigned id = 1; id < CMD_CNT; id++)
		if (strcmp(grammar_by_id(id)->name, name) == 0)
			return grammar_by_id(id);
	return NULL;
}

static bool omitted(const struct line *l, const char *avp)
{
	for (unsigned n = 0; line_value(l, "omit", n); n++)
		if (strcmp(line_value(l, "omit", n), avp) == 0)
			return true;
	return false;
}

// Text with \0 for a NUL byte: what a C string of a scenario cannot hold.
static void put_text(struct wr *w, const struct line *l, const char *name, uint32_t code, const char *text)
{
	uint8_t bytes[1024];
	uint32_t len = 0;
	if (omitted(l, name))
		return;
	for (; *text && len < sizeof bytes; text++, len++) {
		bool nul = text[0] == '\\' && text[1] == '0';
		bytes[len] = nul ? 0 : (uint8_t)*text;
		text += nul;
	}
	avp_put(w, code, 0, AVP_M, bytes, len);
}

static const char *value(const struct line *l, const char *key, const char *otherwise)
{
	const char *v = line_value(l, key, 0);
	return v ? v : otherwise;
}

static void put_apps(struct wr *w, const struct line *l)
{
	char apps[256], *save = NULL;
	snprintf(apps, sizeof apps, "%s", value(l, "apps", "s6a"));
	for (char *a = strtok_r(apps, ",", &save); a; a = strtok_r(NULL, ",", &save)) {
		if (strcmp(a, "none") == 0)
			continue;
		if (strcmp(a, "relay") == 0) {
			avp_put_u32(w, AVP_CODE_Auth_Application_Id, 0, AVP_M, APP_RELAY);
			continue;
		}
		size_t at = avp_group_begin(w, AVP_CODE_Vendor_Specific_Application_Id, 0, AVP_M);
		avp_put_u32(w, AVP_CODE_Vendor_Id, 0, AVP_M, VENDOR_3GPP);
		avp_put_u32(w, AVP_CODE_Auth_Application_Id, 0, AVP_M,
			    strcmp(a, "s6a") == 0 ? APP_S6A : (uint32_t)strtoul(a, NULL, 0));
		avp_group_end(w, at);
	}
}

static void put_origin(struct wr *w, const struct line *l)
{
	put_text(w, l, "Origin-Host", AVP_CODE_Origin_Host, value(l, "host", "mme.example"));
	put_text(w, l, "Origin-Realm", AVP_CODE_Origin_Realm, value(l, "realm", "example"));
}

static void put_cer(struct wr *w, const struct line *l)
{
	put_origin(w, l);
	if (!omitted(l, "Host-IP-Address"))
		avp_put(w, AVP_CODE_Host_IP_Address, 0, AVP_M, "\0\1\x7f\0\0\1", 6);
	if (!omitted(l, "Vendor-Id"))
		avp_put_u32(w, AVP_CODE_Vendor_Id, 0, AVP_M, 0);
	if (!omitted(l, "Product-Name"))
		avp_put(w, AVP_CODE_Product_Name, 0, 0, "scenario", 8);
	if (line_value(l, "state", 0))
		avp_put_u32(w, AVP_CODE_Origin_State_Id, 0, AVP_M, (uint32_t)line_number(l, "state", 0));
	for (unsigned n = 0; line_value(l, "inband", n); n++)
		avp_put_u32(w, AVP_CODE_Inband_Security_Id, 0, AVP_M,
			    (uint32_t)atoi(line_value(l, "inband", n)));
	put_apps(w, l);
}

// avp=CODE:VENDOR:FLAGS:HEX, appended as it is: flags are the octet's value, the length is right. len=+N or
// len=-N falsifies the last one's length.
static void put_raw(struct wr *w, const struct line *l)
{
	unsigned long code, vendor, flags;
	char hex[2048];
	uint8_t bytes[1024];
	size_t last = 0;
	for (unsigned n = 0; line_value(l, "avp", n); n++) {
		hex[0] = 0;
		if (sscanf(line_value(l, "avp", n), "%lu:%lu:%lx:%2047s", &code, &vendor, &flags, hex) < 3)
			line_fail(l, "avp=CODE:VENDOR:FLAGS:HEX");
		unsigned len = (unsigned)strlen(hex) / 2;
		if (!hex_parse(slice_str(hex), bytes, len))
			line_fail(l, "bad hex");
		last = wr_len(w);
		avp_put_header(w, (uint32_t)code, (uint32_t)vendor, (uint8_t)flags, len);
		if (!w->err)
			w->base[last + 4] = (uint8_t)flags;
		wr_bytes(w, bytes, len);
		wr_zero(w, -len & 3u);
	}
	if (last && line_value(l, "len", 0))
		be24_put(w->base + last + 5,
			 be24_get(w->base + last + 5) + (uint32_t)atoi(line_value(l, "len", 0)));
}

static void put_proxy(struct wr *w, const struct line *l)
{
	for (unsigned n = 0; line_value(l, "proxy", n); n++) {
		size_t at = avp_group_begin(w, AVP_CODE_Proxy_Info, 0, AVP_M);
		avp_put_slice(w, AVP_CODE_Proxy_Host, 0, AVP_M, slice_str(line_value(l, "proxy", n)));
		avp_put(w, AVP_CODE_Proxy_State, 0, AVP_M, "\x17state", 6);
		avp_group_end(w, at);
	}
	for (unsigned n = 0; line_value(l, "rr", n); n++)
		avp_put_slice(w, AVP_CODE_Route_Record, 0, AVP_M, slice_str(line_value(l, "rr", n)));
}

static void put_request(struct wr *w, const struct line *l, const struct command *cmd)
{
	put_text(w, l, "Session-Id", AVP_CODE_Session_Id, value(l, "sid", "mme.example;1;2"));
	if (!omitted(l, "Auth-Session-State"))
		avp_put_u32(w, AVP_CODE_Auth_Session_State, 0, AVP_M, 1);
	put_origin(w, l);
	if (line_value(l, "dhost", 0))
		put_text(w, l, "Destination-Host", AVP_CODE_Destination_Host, line_value(l, "dhost", 0));
	put_text(w, l, "Destination-Realm", AVP_CODE_Destination_Realm, value(l, "drealm", "hss.example"));
	put_text(w, l, "User-Name", AVP_CODE_User_Name, value(l, "imsi", "001010000000001"));
	if (cmd->id == CMD_ULR) {
		avp_put_u32(w, AVP_CODE_RAT_Type, VENDOR_3GPP, AVP_M, 1004);
		avp_put_u32(w, AVP_CODE_ULR_Flags, VENDOR_3GPP, AVP_M, 34);
	}
	if ((cmd->id == CMD_ULR || cmd->id == CMD_AIR) && !omitted(l, "Visited-PLMN-Id"))
		avp_put(w, AVP_CODE_Visited_PLMN_Id, VENDOR_3GPP, AVP_M, "\x00\xf1\x10", 3);
	if (cmd->id == CMD_CLR)
		avp_put_u32(w, AVP_CODE_Cancellation_Type, VENDOR_3GPP, AVP_M, 0);
	for (unsigned n = 0; n < line_number(l, "pad", 0); n++)
		avp_put(w, 9999, 0, 0, (const uint8_t[1000]){0}, 1000);
	put_proxy(w, l);
}

static void put_body(struct wr *w, const struct line *l, const struct command *cmd)
{
	switch (cmd->id) {
	case CMD_CER:
		put_cer(w, l);
		return;
	case CMD_DWA:
	case CMD_DPA:
		avp_put_u32(w, AVP_CODE_Result_Code, 0, AVP_M, (uint32_t)line_number(l, "result", 2001));
		put_origin(w, l);
		return;
	case CMD_DWR:
		put_origin(w, l);
		if (line_value(l, "state", 0))
			avp_put_u32(w, AVP_CODE_Origin_State_Id, 0, AVP_M,
				    (uint32_t)line_number(l, "state", 0));
		return;
	case CMD_DPR:
		put_origin(w, l);
		avp_put_u32(w, AVP_CODE_Disconnect_Cause, 0, AVP_M, (uint32_t)line_number(l, "cause", 0));
		return;
	default:
		break;
	}
	if (cmd->flags & HEADER_R) {
		put_request(w, l, cmd);
		return;
	}
	put_text(w, l, "Session-Id", AVP_CODE_Session_Id, value(l, "sid", "hss.example;1;2"));
	avp_put_u32(w, AVP_CODE_Result_Code, 0, AVP_M, (uint32_t)line_number(l, "result", 2001));
	avp_put_u32(w, AVP_CODE_Auth_Session_State, 0, AVP_M, 1);
	put_origin(w, l);
}

void compose_message(const struct line *l, const char *name, struct compose_ids *ids, struct wr *w)
{
	const struct command *cmd = compose_command(name);
	const char *flags = line_value(l, "flags", 0);
	size_t start = wr_len(w);
	if (!cmd)
		line_fail(l, "unknown command %s", name);
	bool request = cmd->flags & HEADER_R;
	if (request && !line_value(l, "hop", 0))
		ids->hop++;
	header_begin(w, flags ? (uint8_t)strtoul(flags, NULL, 16) : cmd->flags,
		     (uint32_t)line_number(l, "code", cmd->code), (uint32_t)line_number(l, "app", cmd->app),
		     (uint32_t)line_number(l, "hop", request ? ids->hop : ids->last_hop),
		     (uint32_t)line_number(l, "end", request ? ids->hop + 0x1000 : ids->last_end));
	put_body(w, l, cmd);
	put_raw(w, l);
	header_finish(w, start);
	if (w->err)
		line_fail(l, "message too long");
	if (line_value(l, "version", 0))
		w->base[start] = (uint8_t)line_number(l, "version", 1);
}

void compose_answer(const struct line *l, const uint8_t *request, struct wr *w)
{
	struct header h;
	struct avp sid = {0};
	header_get(request, &h);
	avp_find(slice_of(request + DIAMETER_HEADER_LEN, h.len - DIAMETER_HEADER_LEN), AVP_CODE_Session_Id, 0,
		 &sid);
	header_begin(w, h.flags & HEADER_P, h.code, h.app,
		     h.hop_by_hop ^ (uint32_t)line_number(l, "spoil", 0), h.end_to_end);
	avp_put_slice(w, AVP_CODE_Session_Id, 0, AVP_M, sid.data);
	avp_put_u32(w, AVP_CODE_Result_Code, 0, AVP_M, (uint32_t)line_number(l, "result", 2001));
	avp_put_u32(w, AVP_CODE_Auth_Session_State, 0, AVP_M, 1);
	avp_put_slice(w, AVP_CODE_Origin_Host, 0, AVP_M, slice_str("hss.hss.example"));
	avp_put_slice(w, AVP_CODE_Origin_Realm, 0, AVP_M, slice_str("hss.example"));
	for (unsigned n = 0; n < line_number(l, "pad", 0); n++)
		avp_put(w, 9999, 0, 0, (const uint8_t[1000]){0}, 1000);
	header_finish(w, 0);
	if (w->err)
		line_fail(l, "answer too long");
}

// ---- comparing -----------------------------------------------------------------------------------

static struct slice body_of(const uint8_t *msg, uint32_t len)
{
	return slice_of(msg + DIAMETER_HEADER_LEN, len - DIAMETER_HEADER_LEN);
}

static uint32_t u32_of(const uint8_t *msg, uint32_t len, uint32_t code)
{
	struct avp a;
	uint32_t v = 0;
	return avp_find(body_of(msg, len), code, 0, &a) && avp_u32(a.data, &v) ? v : 0;
}

void compose_describe(const uint8_t *msg, uint32_t len, char *out, size_t cap)
{
	struct header h;
	header_get(msg, &h);
	const struct command *cmd = grammar_find(h.code, h.app, h.flags & HEADER_R);
	snprintf(out, cap, "%s (%u/%u flags %02x hop %u result %u)", cmd ? cmd->name : "unknown", h.code,
		 h.app, h.flags, h.hop_by_hop, u32_of(msg, len, AVP_CODE_Result_Code));
}

static void expect_text(const struct line *l, const char *key, uint32_t code, const uint8_t *msg,
			uint32_t len)
{
	const char *want = line_value(l, key, 0);
	struct avp a;
	if (!want)
		return;
	bool there = avp_find(body_of(msg, len), code, 0, &a);
	if (strcmp(want, "none") == 0 ? there : !there || !slice_eq(a.data, slice_str(want)))
		line_fail(l, "%s is %.*s", key, there ? (int)a.data.len : 4,
			  there ? (const char *)a.data.p : "none");
}

static void expect_proxies(const struct line *l, const uint8_t *msg, uint32_t len)
{
	struct rd r = rd_slice(body_of(msg, len));
	struct avp a, host;
	unsigned n = 0;
	while (avp_next(&r, &a) == AVP_WALK_ONE) {
		if (a.code != AVP_CODE_Proxy_Info)
			continue;
		const char *want = line_value(l, "proxy", n++);
		if (!want || !avp_find(a.data, AVP_CODE_Proxy_Host, 0, &host) ||
		    !slice_eq(host.data, slice_str(want)))
			line_fail(l, "Proxy-Info %u is not that of the request", n);
	}
	if (line_value(l, "proxy", n))
		line_fail(l, "Proxy-Info missing after %u", n);
}

// failed=HEX: the whole content of Failed-AVP; failed=none.
static void expect_failed(const struct line *l, const uint8_t *msg, uint32_t len)
{
	const char *want = line_value(l, "failed", 0);
	struct avp a;
	char hex[2048] = "none";
	if (!want)
		return;
	if (avp_find(body_of(msg, len), AVP_CODE_Failed_AVP, 0, &a) && a.data.len * 2 < sizeof hex)
		hex_text(a.data.p, a.data.len, hex);
	if (strcmp(want, hex) != 0)
		line_fail(l, "Failed-AVP holds %s", hex);
}

static void expect_number(const struct line *l, const char *key, uint64_t got)
{
	if (line_value(l, key, 0) && line_number(l, key, 0) != got)
		line_fail(l, "%s is %llu (0x%llx)", key, (unsigned long long)got, (unsigned long long)got);
}

void compose_expect(const struct line *l, const char *name, const uint8_t *msg, uint32_t len)
{
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct verdict v;
	struct header h;
	char what[160];
	const struct command *cmd = compose_command(name);

	header_get(msg, &h);
	compose_describe(msg, len, what, sizeof what);
	if (strcmp(name, "ANY") != 0) {
		if (!cmd || h.code != cmd->code || h.app != cmd->app ||
		    (h.flags & HEADER_R) != (cmd->flags & HEADER_R))
			line_fail(l, "got %s", what);
		// whatever we send passes our own grammar
		if (!grammar_check(cmd, msg, len, slots, &v))
			line_fail(l, "malformed (%u): %s", v.result, what);
	}
	expect_number(l, "result", u32_of(msg, len, AVP_CODE_Result_Code));
	expect_number(l, "cause", u32_of(msg, len, AVP_CODE_Disconnect_Cause));
	expect_number(l, "hop", h.hop_by_hop);
	expect_number(l, "end", h.end_to_end);
	expect_number(l, "code", h.code);
	expect_number(l, "app", h.app);
	expect_number(l, "E", !!(h.flags & HEADER_E));
	expect_number(l, "T", !!(h.flags & HEADER_T));
	expect_number(l, "P", !!(h.flags & HEADER_P));
	if (!(h.flags & HEADER_R) && !line_value(l, "end", 0) && h.end_to_end != h.hop_by_hop + 0x1000)
		line_fail(l, "identifiers are not the request's: %s", what);
	expect_text(l, "sid", AVP_CODE_Session_Id, msg, len);
	expect_text(l, "host", AVP_CODE_Origin_Host, msg, len);
	expect_text(l, "imsi", AVP_CODE_User_Name, msg, len);
	expect_text(l, "message", AVP_CODE_Error_Message, msg, len);
	expect_failed(l, msg, len);
	if (!(h.flags & HEADER_R))
		expect_proxies(l, msg, len);
}

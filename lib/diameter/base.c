// CER/CEA, DWR/DWA, DPR/DPA and error answers: see base.h. A message is read in one walk over its top level,
// since most of what is wanted may occur several times.
#include "lib/diameter/base.h"
#include "lib/diameter/avp.h"

#define NO_STATE_MAINTAINED 1

static struct rd body_of(const uint8_t *msg, uint32_t len)
{
	struct rd r = rd_of(msg, len);
	rd_take(&r, DIAMETER_HEADER_LEN);
	return r;
}

static uint32_t u32_of(const struct avp *a)
{
	uint32_t v = 0;
	return avp_u32(a->data, &v) ? v : 0;
}

static void put_u32(struct wr *w, enum avp_code code, uint32_t v)
{
	avp_put_u32(w, code, 0, AVP_M, v);
}

static void put_origin(struct wr *w, const struct base_node *me)
{
	avp_put_slice(w, AVP_CODE_Origin_Host, 0, AVP_M, me->host);
	avp_put_slice(w, AVP_CODE_Origin_Realm, 0, AVP_M, me->realm);
}

static void put_origin_state(struct wr *w, const struct base_node *me)
{
	if (me->origin_state_id)
		put_u32(w, AVP_CODE_Origin_State_Id, me->origin_state_id);
}

static void put_vendor_app(struct wr *w, uint32_t app)
{
	size_t at = avp_group_begin(w, AVP_CODE_Vendor_Specific_Application_Id, 0, AVP_M);
	put_u32(w, AVP_CODE_Vendor_Id, VENDOR_3GPP);
	put_u32(w, AVP_CODE_Auth_Application_Id, app);
	avp_group_end(w, at);
}

// The header of the answer to `request`: P is kept, R and T go, E as the result says (RFC 6733 6.2, 7.1.3).
static size_t begin_answer(struct wr *w, const uint8_t *request, bool e_bit)
{
	struct header h;
	size_t at = wr_len(w);
	header_get(request, &h);
	header_begin(w, (uint8_t)((h.flags & HEADER_P) | (e_bit ? HEADER_E : 0)), h.code, h.app, h.hop_by_hop,
		     h.end_to_end);
	return at;
}

static size_t begin_request(struct wr *w, uint32_t code, uint32_t hop_by_hop, uint32_t end_to_end)
{
	size_t at = wr_len(w);
	header_begin(w, HEADER_R, code, APP_BASE, hop_by_hop, end_to_end);
	return at;
}

static uint32_t code_of(enum command_id id)
{
	return grammar_by_id(id)->code;
}

// ---- capabilities ----

static void add_app(struct base_cer *out, uint32_t app)
{
	if (app == APP_RELAY) {
		out->relay = true;
		return;
	}
	for (unsigned i = 0; i < out->app_cnt; i++)
		if (out->apps[i] == app)
			return;
	if (out->app_cnt == BASE_APPS_MAX)
		out->apps_cut = true;
	else
		out->apps[out->app_cnt++] = app;
}

static void add_vendor_apps(struct base_cer *out, struct slice group)
{
	struct rd r = rd_slice(group);
	struct avp a;
	while (avp_next(&r, &a) == AVP_WALK_ONE)
		if (a.vendor == 0 &&
		    (a.code == AVP_CODE_Auth_Application_Id || a.code == AVP_CODE_Acct_Application_Id))
			add_app(out, u32_of(&a));
}

static void add_address(struct base_cer *out, struct slice data)
{
	struct rd r = rd_slice(data);
	uint16_t family = rd_u16(&r);
	size_t len = rd_left(&r);
	if (out->addr_cnt == BASE_ADDRS_MAX || !((family == 1 && len == 4) || (family == 2 && len == 16)))
		return;
	struct base_addr *to = &out->addrs[out->addr_cnt++];
	to->len = (uint8_t)len;
	memcpy(to->octets, rd_take(&r, len), len);
}

static void read_capability(const struct avp *a, struct base_cer *out)
{
	switch (a->code) {
	case AVP_CODE_Origin_Host:
		out->origin_host = a->data;
		break;
	case AVP_CODE_Origin_Realm:
		out->origin_realm = a->data;
		break;
	case AVP_CODE_Product_Name:
		out->product = a->data;
		break;
	case AVP_CODE_Error_Message:
		out->error_message = a->data;
		break;
	case AVP_CODE_Result_Code:
		out->result = u32_of(a);
		break;
	case AVP_CODE_Vendor_Id:
		out->vendor_id = u32_of(a);
		break;
	case AVP_CODE_Firmware_Revision:
		out->firmware = u32_of(a);
		break;
	case AVP_CODE_Origin_State_Id:
		out->origin_state_id = u32_of(a);
		break;
	case AVP_CODE_Inband_Security_Id:
		out->inband_security |= u32_of(a) < 32 ? 1u << u32_of(a) : 0;
		break;
	case AVP_CODE_Auth_Application_Id:
	case AVP_CODE_Acct_Application_Id:
		add_app(out, u32_of(a));
		break;
	case AVP_CODE_Vendor_Specific_Application_Id:
		add_vendor_apps(out, a->data);
		break;
	case AVP_CODE_Host_IP_Address:
		add_address(out, a->data);
		break;
	default:
		break;
	}
}

void base_cer_read(const uint8_t *msg, uint32_t len, struct base_cer *out)
{
	struct rd r = body_of(msg, len);
	struct avp a;
	*out = (struct base_cer){0};
	while (avp_next(&r, &a) == AVP_WALK_ONE)
		if (a.vendor == 0)
			read_capability(&a, out);
}

bool base_cer_common(const struct base_cer *peer, const struct base_node *me)
{
	if (peer->relay)
		return true;
	for (unsigned i = 0; i < me->app_cnt; i++) {
		if (me->apps[i] == APP_RELAY)
			return true;
		for (unsigned k = 0; k < peer->app_cnt; k++)
			if (me->apps[i] == peer->apps[k])
				return true;
	}
	return false;
}

static void put_address(struct wr *w, const struct base_addr *addr)
{
	avp_put_header(w, AVP_CODE_Host_IP_Address, 0, AVP_M, 2u + addr->len);
	wr_u16(w, addr->len == 4 ? 1 : 2);
	wr_bytes(w, addr->octets, addr->len);
	wr_zero(w, -(2u + addr->len) & 3u);
}

static void put_identity(struct wr *w, const struct base_node *me)
{
	put_origin(w, me);
	for (unsigned i = 0; i < me->addr_cnt; i++)
		put_address(w, &me->addrs[i]);
	put_u32(w, AVP_CODE_Vendor_Id, me->vendor_id);
	avp_put_slice(w, AVP_CODE_Product_Name, 0, 0, me->product);
	put_origin_state(w, me);
}

static void put_capabilities(struct wr *w, const struct base_node *me)
{
	put_u32(w, AVP_CODE_Supported_Vendor_Id, VENDOR_3GPP);
	for (unsigned i = 0; i < me->app_cnt; i++) {
		if (me->apps[i] == APP_RELAY)
			put_u32(w, AVP_CODE_Auth_Application_Id, APP_RELAY);
		else
			put_vendor_app(w, me->apps[i]);
	}
	if (me->firmware)
		avp_put_u32(w, AVP_CODE_Firmware_Revision, 0, 0, me->firmware);
}

void base_cer_write(struct wr *w, const struct base_node *me, uint32_t hop_by_hop, uint32_t end_to_end)
{
	size_t at = begin_request(w, code_of(CMD_CER), hop_by_hop, end_to_end);
	put_identity(w, me);
	put_capabilities(w, me);
	header_finish(w, at);
}

void base_cea_write(struct wr *w, const struct base_node *me, const uint8_t *request, uint32_t result,
		    const struct verdict *v, struct slice message)
{
	size_t at = begin_answer(w, request, result / 1000 == 3);
	put_u32(w, AVP_CODE_Result_Code, result);
	put_identity(w, me);
	if (message.len)
		avp_put_slice(w, AVP_CODE_Error_Message, 0, 0, message);
	if (v)
		verdict_put_failed_avp(v, w);
	put_capabilities(w, me);
	header_finish(w, at);
}

// ---- watchdog and disconnection ----

void base_note_read(const uint8_t *msg, uint32_t len, struct base_note *out)
{
	struct rd r = body_of(msg, len);
	struct avp a;
	*out = (struct base_note){0};
	while (avp_next(&r, &a) == AVP_WALK_ONE) {
		if (a.vendor)
			continue;
		if (a.code == AVP_CODE_Origin_Host)
			out->origin_host = a.data;
		else if (a.code == AVP_CODE_Origin_Realm)
			out->origin_realm = a.data;
		else if (a.code == AVP_CODE_Origin_State_Id)
			out->origin_state_id = u32_of(&a);
		else if (a.code == AVP_CODE_Result_Code)
			out->result = u32_of(&a);
		else if (a.code == AVP_CODE_Disconnect_Cause)
			out->disconnect_cause = u32_of(&a);
	}
}

void base_dwr_write(struct wr *w, const struct base_node *me, uint32_t hop_by_hop, uint32_t end_to_end)
{
	size_t at = begin_request(w, code_of(CMD_DWR), hop_by_hop, end_to_end);
	put_origin(w, me);
	put_origin_state(w, me);
	header_finish(w, at);
}

void base_dwa_write(struct wr *w, const struct base_node *me, const uint8_t *request, uint32_t result)
{
	size_t at = begin_answer(w, request, result / 1000 == 3);
	put_u32(w, AVP_CODE_Result_Code, result);
	put_origin(w, me);
	put_origin_state(w, me);
	header_finish(w, at);
}

void base_dpr_write(struct wr *w, const struct base_node *me, enum base_disconnect_cause cause,
		    uint32_t hop_by_hop, uint32_t end_to_end)
{
	size_t at = begin_request(w, code_of(CMD_DPR), hop_by_hop, end_to_end);
	put_origin(w, me);
	put_u32(w, AVP_CODE_Disconnect_Cause, cause);
	header_finish(w, at);
}

void base_dpa_write(struct wr *w, const struct base_node *me, const uint8_t *request, uint32_t result)
{
	size_t at = begin_answer(w, request, result / 1000 == 3);
	put_u32(w, AVP_CODE_Result_Code, result);
	put_origin(w, me);
	header_finish(w, at);
}

// ---- error answers ----

static void put_proxy_infos(struct wr *w, const uint8_t *request, uint32_t len)
{
	struct rd r = body_of(request, len);
	struct avp a;
	while (avp_next(&r, &a) == AVP_WALK_ONE)
		if (a.code == AVP_CODE_Proxy_Info && a.vendor == 0) {
			wr_slice(w, a.whole);
			wr_zero(w, -a.whole.len & 3u);
		}
}

void base_answer_error_write(struct wr *w, const struct base_node *me, const uint8_t *request, uint32_t len,
			     const struct verdict *v, struct slice message)
{
	struct header h;
	struct avp session;
	header_get(request, &h);
	if (h.app == APP_BASE && h.code == code_of(CMD_CER)) {
		base_cea_write(w, me, request, v->result, v, message);
		return;
	}
	bool has_session = avp_find(slice_of(request + DIAMETER_HEADER_LEN, len - DIAMETER_HEADER_LEN),
				    AVP_CODE_Session_Id, 0, &session);
	bool of_3gpp = h.app >= APP_CX && h.app != APP_RELAY && !v->e_bit;
	size_t at = begin_answer(w, request, v->e_bit);
	if (has_session && session.data.len)
		avp_put_slice(w, AVP_CODE_Session_Id, 0, AVP_M, session.data);
	if (of_3gpp)
		put_vendor_app(w, h.app);
	put_u32(w, AVP_CODE_Result_Code, v->result);
	if (of_3gpp)
		put_u32(w, AVP_CODE_Auth_Session_State, NO_STATE_MAINTAINED);
	put_origin(w, me);
	if (v->e_bit)
		put_origin_state(w, me);
	if (message.len)
		avp_put_slice(w, AVP_CODE_Error_Message, 0, 0, message);
	verdict_put_failed_avp(v, w);
	put_proxy_infos(w, request, len);
	header_finish(w, at);
}

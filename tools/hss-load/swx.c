// The requests of a 3GPP AAA server (TS 29.273 8.2.2), for the cases wlan-mar and wlan-sar. Users are named as phones do: a digit
// for the method, the IMSI, @nai.REALM.
#include <string.h>
#include "tools/hss-load/message.h"

enum {
	AVP_USER_NAME = 1,
	AVP_NUMBER_AUTH_ITEMS = 607,
	AVP_SCHEME = 608,
	AVP_AUTH_DATA_ITEM = 612,
	AVP_ASSIGNMENT_TYPE = 614,
	AVP_RAT_TYPE = 1032,
	AVP_ANID = 1504,
};

enum { RAT_WLAN = 0, REGISTRATION = 1 };

void hl_swx_put(struct wr *w, struct hl_template *t, enum hl_kind kind, const struct hl_options *o)
{
	uint8_t *avp = hl_open(w, AVP_USER_NAME, 0, true);
	wr_u8(w, o->anid ? '6' : '0');
	t->imsi_at[t->imsi_cnt++] = (uint32_t)wr_len(w);
	wr_bytes(w, "000000000000000", t->imsi_digits);
	wr_bytes(w, "@nai.", 5);
	wr_bytes(w, o->dest_realm, strlen(o->dest_realm));
	hl_close(w, avp);
	if (kind == HL_KIND_WLAN_SAR) {
		hl_put_u32(w, AVP_ASSIGNMENT_TYPE, HL_VENDOR_3GPP, true, REGISTRATION);
		return;
	}
	hl_put_u32(w, AVP_RAT_TYPE, HL_VENDOR_3GPP, false, RAT_WLAN);
	if (o->anid)
		hl_put_text(w, AVP_ANID, HL_VENDOR_3GPP, true, o->anid);
	uint8_t *item = hl_open(w, AVP_AUTH_DATA_ITEM, HL_VENDOR_3GPP, true);
	hl_put_text(w, AVP_SCHEME, HL_VENDOR_3GPP, true, o->anid ? "EAP-AKA'" : "EAP-AKA");
	hl_close(w, item);
	hl_put_u32(w, AVP_NUMBER_AUTH_ITEMS, HL_VENDOR_3GPP, true, o->vectors);
}

// See data.h. The APNs are those that the profile has for EPS: its APN-Configurations are copied. No state of its own.
#include "apps/swx/data.h"
#include "apps/apps.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"

#define VERSION_1     1
#define VENDOR	      10415
#define MSISDN_E164   0 // Subscription-Id-Type END_USER_E164
#define APNS_ENABLED  0
#define APNS_DISABLED 1

enum data_flag { DATA_DENIED = 1, DATA_NO_APNS = 2 };

const char *const swx_rat_name[SWX_RAT_CNT] = {
	[SWX_RAT_WLAN] = "wlan",	       [SWX_RAT_VIRTUAL] = "virtual",
	[SWX_RAT_TRUSTED_N3GA] = "trusted-n3ga", [SWX_RAT_WIRELINE] = "wireline",
	[SWX_RAT_CDMA2000_1X] = "cdma2000-1x", [SWX_RAT_HRPD] = "hrpd",
	[SWX_RAT_UMB] = "umb",		       [SWX_RAT_EHRPD] = "ehrpd",
};
static const uint16_t rat_type_of[SWX_RAT_CNT] = {
	[SWX_RAT_WLAN] = 0,	       [SWX_RAT_VIRTUAL] = 1, [SWX_RAT_TRUSTED_N3GA] = 2, [SWX_RAT_WIRELINE] = 3,
	[SWX_RAT_CDMA2000_1X] = 2000, [SWX_RAT_HRPD] = 2001, [SWX_RAT_UMB] = 2002,	 [SWX_RAT_EHRPD] = 2003,
};

// ---- octets

static void put_list(struct wr *w, const struct slice *list, unsigned cnt)
{
	wr_u8(w, (uint8_t)cnt);
	for (unsigned i = 0; i < cnt; i++) {
		wr_u8(w, (uint8_t)list[i].len);
		wr_slice(w, list[i]);
	}
}

static bool get_list(struct rd *r, struct slice *list, unsigned *cnt, unsigned max)
{
	unsigned n = rd_u8(r);
	if (n > max)
		return false;
	for (*cnt = 0; *cnt < n; ++*cnt)
		list[*cnt] = rd_bytes(r, rd_u8(r));
	return !r->err;
}

static void data_clear(struct swx_data *d)
{
	d->denied = d->no_apns = false;
	d->rats = 0;
	d->apn_cnt = d->visited_cnt = 0;
}

void swx_data_put(struct wr *w, const struct swx_data *d)
{
	wr_u8(w, VERSION_1);
	wr_u8(w, (uint8_t)((d->denied ? DATA_DENIED : 0) | (d->no_apns ? DATA_NO_APNS : 0)));
	wr_u16(w, d->rats);
	put_list(w, d->apn, d->apn_cnt);
	put_list(w, d->visited, d->visited_cnt);
}

bool swx_data_get(struct slice body, struct swx_data *out)
{
	struct rd r = rd_slice(body);
	data_clear(out);
	uint8_t version = rd_u8(&r), flags = rd_u8(&r);
	out->denied = flags & DATA_DENIED;
	out->no_apns = flags & DATA_NO_APNS;
	out->rats = rd_u16(&r);
	if (version == VERSION_1 && get_list(&r, out->apn, &out->apn_cnt, SWX_APNS_MAX) &&
	    get_list(&r, out->visited, &out->visited_cnt, SWX_VISITED_MAX))
		return true;
	data_clear(out);
	return false;
}

void swx_data_of(const struct cache *c, const struct cache_record *r, struct swx_data *out)
{
	struct cache_state s;
	if (cache_state_of_kind(c, r, app_swx, CACHE_DATA, &s))
		(void)swx_data_get(s.body, out);
	else
		data_clear(out);
}

// ---- what is allowed

bool swx_rat_allowed(const struct swx_data *d, uint32_t rat_type)
{
	for (unsigned i = 0; i < SWX_RAT_CNT; i++)
		if (rat_type_of[i] == rat_type)
			return !d->rats || d->rats >> i & 1;
	return !d->rats;
}

static bool in_list(const struct slice *list, unsigned cnt, struct slice what)
{
	for (unsigned i = 0; i < cnt; i++)
		if (slice_eq_nocase(list[i], what))
			return true;
	return cnt == 0;
}

bool swx_visited_allowed(const struct swx_data *d, struct slice network)
{
	return in_list(d->visited, d->visited_cnt, network);
}

// ---- the profile's APNs

struct apn_walk {
	const struct swx_data *d;
	struct rd rd;	       // over APN-Configuration-Profile
	struct avp config;     // APN-Configuration
	struct slice name;
};

static struct apn_walk walk_apns(const struct swx_data *d, const struct cache_profile *p)
{
	struct avp all;
	struct apn_walk a = {.d = d};
	if (p && p->epc_len && avp_find(slice_of(p->avps + p->head_len, p->epc_len), AVP_CODE_APN_Configuration_Profile, VENDOR, &all))
		a.rd = rd_slice(all.data);
	return a;
}

// The next one that the user may use over non-3GPP access; false: that was the last one.
static bool next_apn(struct apn_walk *a)
{
	struct avp name;
	while (avp_next(&a->rd, &a->config) == AVP_WALK_ONE)
		if (a->config.code == AVP_CODE_APN_Configuration && a->config.vendor == VENDOR &&
		    avp_find(a->config.data, AVP_CODE_Service_Selection, 0, &name) &&
		    in_list(a->d->apn, a->d->apn_cnt, name.data)) {
			a->name = name.data;
			return true;
		}
	return false;
}

bool swx_may_use(const struct swx_data *d, const struct cache_profile *p)
{
	struct apn_walk a = walk_apns(d, p);
	return !d->denied && next_apn(&a);
}

bool swx_apn_subscribed(const struct swx_data *d, const struct cache_profile *p, struct slice apn)
{
	struct apn_walk a = walk_apns(d, p);
	while (next_apn(&a))
		if (slice_eq_nocase(a.name, apn) || slice_eq(a.name, slice_str("*")))
			return true;
	return false;
}

// ---- Non-3GPP-User-Data

// An AVP of the profile's head, if it has it.
static void copy_head(struct wr *w, const struct cache_profile *p, uint32_t code)
{
	struct avp a;
	if (p && avp_find(slice_of(p->avps, p->head_len), code, VENDOR, &a))
		avp_put_slice(w, code, VENDOR, AVP_M, a.data);
}

// The default APN: the profile's, or the first one that the user may use here; never the wildcard.
static void put_default(struct wr *w, const struct swx_data *d, const struct cache_profile *p)
{
	struct apn_walk a = walk_apns(d, p);
	struct avp all, id;
	uint32_t v, usual = 0, first = 0;
	if (p && avp_find(slice_of(p->avps + p->head_len, p->epc_len), AVP_CODE_APN_Configuration_Profile, VENDOR, &all) &&
	    avp_find(all.data, AVP_CODE_Context_Identifier, VENDOR, &id))
		(void)avp_u32(id.data, &usual);
	while (next_apn(&a))
		if (avp_find(a.config.data, AVP_CODE_Context_Identifier, VENDOR, &id) && avp_u32(id.data, &v)) {
			if (!first && !slice_eq(a.name, slice_str("*")))
				first = v;
			if (v == usual)
				first = v;
		}
	if (first)
		avp_put_u32(w, AVP_CODE_Context_Identifier, VENDOR, AVP_M, first);
}

void swx_put_user_data(struct wr *w, const struct cache_record *r, const struct swx_data *d, const struct cache_profile *p,
		       const struct gateways *g)
{
	char number[17];
	size_t at = avp_group_begin(w, AVP_CODE_Non_3GPP_User_Data, VENDOR, AVP_M);
	if (r->msisdn[0].v) {
		size_t in = avp_group_begin(w, AVP_CODE_Subscription_Id, 0, AVP_M);
		avp_put_u32(w, AVP_CODE_Subscription_Id_Type, 0, AVP_M, MSISDN_E164);
		avp_put(w, AVP_CODE_Subscription_Id_Data, 0, AVP_M, number, msisdn_text(r->msisdn[0], number));
		avp_group_end(w, in);
	}
	avp_put_u32(w, AVP_CODE_Non_3GPP_IP_Access, VENDOR, AVP_M, 0); // allowed, or there is no answer with these data
	avp_put_u32(w, AVP_CODE_Non_3GPP_IP_Access_APN, VENDOR, AVP_M, d->no_apns ? APNS_DISABLED : APNS_ENABLED);
	copy_head(w, p, AVP_CODE_AMBR);
	copy_head(w, p, AVP_CODE__3GPP_Charging_Characteristics);
	copy_head(w, p, AVP_CODE_APN_OI_Replacement);
	put_default(w, d, p);
	struct apn_walk a = walk_apns(d, p);
	while (next_apn(&a))
		gateways_put_apn(w, p, a.config.data, g);
	avp_group_end(w, at);
}

// Encodes a profile: the part of Subscription-Data (TS 29.272 7.3.2) that does not name the subscriber. It is
// encoded once for all subscribers that share it: the head (status, ODB, access mode, restrictions, charging,
// AMBR, timer), the APN profile, and the PDP contexts for S6d. Loader process; law 7.
#include "apps/s6a/admit.h"
#include "apps/s6a/subscription.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"

#define CORE_NO_EPC  1u // bit of Core-Network-Restrictions
#define VENDOR_3GPP  10415
#define BANDWIDTH_32 4294967295ull // where the 32-bit AVPs end and the extended ones begin (TS 29.272 7.3.41)

static void put_u32(struct wr *w, uint32_t code, uint32_t v)
{
	avp_put_u32(w, code, VENDOR_3GPP, AVP_M, v);
}

static uint32_t kilobits(uint64_t bits)
{
	uint64_t k = bits / 1000;
	return k > UINT32_MAX ? UINT32_MAX : (uint32_t)k;
}

static void put_ambr(struct wr *w, uint64_t ul, uint64_t dl)
{
	size_t at = avp_group_begin(w, AVP_CODE_AMBR, VENDOR_3GPP, AVP_M);
	put_u32(w, AVP_CODE_Max_Requested_Bandwidth_UL,
		ul > BANDWIDTH_32 ? (uint32_t)BANDWIDTH_32 : (uint32_t)ul);
	put_u32(w, AVP_CODE_Max_Requested_Bandwidth_DL,
		dl > BANDWIDTH_32 ? (uint32_t)BANDWIDTH_32 : (uint32_t)dl);
	// in kbit/s; M bit clear (TS 29.214 5.3.52), so that a node which does not know them still takes the
	// message
	if (ul > BANDWIDTH_32)
		avp_put_u32(w, AVP_CODE_Extended_Max_Requested_BW_UL, VENDOR_3GPP, 0, kilobits(ul));
	if (dl > BANDWIDTH_32)
		avp_put_u32(w, AVP_CODE_Extended_Max_Requested_BW_DL, VENDOR_3GPP, 0, kilobits(dl));
	avp_group_end(w, at);
}

static void put_address(struct wr *w, uint32_t code, uint32_t vendor, const uint8_t *a, uint32_t len)
{
	uint8_t data[18];
	be16_put(data, len == 4 ? 1 : 2); // address families of IANA (RFC 6733 4.3.1)
	memcpy(data + 2, a, len);
	avp_put(w, code, vendor, AVP_M, data, 2 + len);
}

static void put_qos(struct wr *w, const struct apn *a)
{
	size_t at = avp_group_begin(w, AVP_CODE_EPS_Subscribed_QoS_Profile, VENDOR_3GPP, AVP_M);
	put_u32(w, AVP_CODE_QoS_Class_Identifier, a->qci);
	size_t arp = avp_group_begin(w, AVP_CODE_Allocation_Retention_Priority, VENDOR_3GPP, AVP_M);
	put_u32(w, AVP_CODE_Priority_Level, a->priority);
	put_u32(w, AVP_CODE_Pre_emption_Capability, a->capability);
	put_u32(w, AVP_CODE_Pre_emption_Vulnerability, a->vulnerability);
	avp_group_end(w, arp);
	avp_group_end(w, at);
}

static void put_apn(struct wr *w, const struct apn *a, uint32_t id)
{
	size_t at = avp_group_begin(w, AVP_CODE_APN_Configuration, VENDOR_3GPP, AVP_M);
	put_u32(w, AVP_CODE_Context_Identifier, id);
	if (a->ue4 && a->pdn_type != 1)
		put_address(w, AVP_CODE_Served_Party_IP_Address, VENDOR_3GPP, a->ue_v4, 4);
	if (a->ue6 && a->pdn_type != 0)
		put_address(w, AVP_CODE_Served_Party_IP_Address, VENDOR_3GPP, a->ue_v6, 16);
	put_u32(w, AVP_CODE_PDN_Type, a->pdn_type);
	avp_put_slice(w, AVP_CODE_Service_Selection, 0, AVP_M, a->name);
	put_qos(w, a);
	put_u32(w, AVP_CODE_VPLMN_Dynamic_Address_Allowed, a->vplmn_allowed);
	if (a->gw4 || a->gw6) {
		size_t agent = avp_group_begin(w, AVP_CODE_MIP6_Agent_Info, 0, AVP_M);
		if (a->gw4)
			put_address(w, AVP_CODE_MIP_Home_Agent_Address, 0, a->gw_v4, 4);
		if (a->gw6)
			put_address(w, AVP_CODE_MIP_Home_Agent_Address, 0, a->gw_v6, 16);
		avp_group_end(w, agent);
		put_u32(w, AVP_CODE_PDN_GW_Allocation_Type, 0); // STATIC
	}
	if (a->charging.len)
		avp_put_slice(w, AVP_CODE__3GPP_Charging_Characteristics, VENDOR_3GPP, AVP_M, a->charging);
	put_ambr(w, a->ul, a->dl);
	avp_group_end(w, at);
}

// An international number as TBCD (TS 29.272 7.3.39).
static void put_stn_sr(struct wr *w, struct slice digits)
{
	uint8_t out[8] = {0};
	if (digits.len == 0 || digits.len > 2 * sizeof(out))
		return;
	for (uint32_t i = 0; i < digits.len; i += 2)
		out[i / 2] = (uint8_t)((digits.p[i] - '0') | (i + 1 < digits.len ? digits.p[i + 1] - '0' : 0xf) << 4);
	avp_put(w, AVP_CODE_STN_SR, VENDOR_3GPP, AVP_M, out, (digits.len + 1) / 2);
}

// Those of later releases have no M bit: a node that does not know one still takes the message.
static void put_options(struct wr *w, const struct s6a_subscription *s)
{
	static const struct {
		uint32_t code;
		uint8_t flags;
	} avps[S6A_OPTION_CNT] = {
		[OPTION_RFSP] = {AVP_CODE_RAT_Frequency_Selection_Priority_ID, AVP_M},
		[OPTION_UE_USAGE] = {AVP_CODE_UE_Usage_Type, 0},
		[OPTION_MPS] = {AVP_CODE_MPS_Priority, 0},
		[OPTION_VSRVCC] = {AVP_CODE_Subscribed_VSRVCC, 0},
		[OPTION_ICS] = {AVP_CODE_ICS_Indicator, 0},
		[OPTION_ACTIVE_TIME] = {AVP_CODE_Active_Time, 0},
		[OPTION_SERVICE_GAP] = {AVP_CODE_Service_Gap_Time, 0},
	};
	for (unsigned i = 0; i < S6A_OPTION_CNT; i++)
		if (s->options >> i & 1)
			avp_put_u32(w, avps[i].code, VENDOR_3GPP, avps[i].flags, s->option[i]);
}

static void put_head(struct wr *w, const struct s6a_subscription *s)
{
	put_u32(w, AVP_CODE_Subscriber_Status, s->status);
	if (s->status)
		put_u32(w, AVP_CODE_Operator_Determined_Barring, s->odb);
	put_u32(w, AVP_CODE_Network_Access_Mode, s->nam);
	// always explicit: a missing one would leave an old restriction in the node (procedures B2)
	put_u32(w, AVP_CODE_Access_Restriction_Data, s->ard);
	if (s->core_restrictions & ~CORE_NO_EPC) // that bit is reserved on the wire, and decided here
		avp_put_u32(w, AVP_CODE_Core_Network_Restrictions, VENDOR_3GPP, 0, s->core_restrictions & ~CORE_NO_EPC);
	for (unsigned i = 0; i < s->zone_cnt; i++)
		avp_put(w, AVP_CODE_Regional_Subscription_Zone_Code, VENDOR_3GPP, AVP_M, s->zone[i], 2);
	if (s->charging.len)
		avp_put_slice(w, AVP_CODE__3GPP_Charging_Characteristics, VENDOR_3GPP, AVP_M, s->charging);
	if (s->apn_oi.len)
		avp_put_slice(w, AVP_CODE_APN_OI_Replacement, VENDOR_3GPP, AVP_M, s->apn_oi);
	put_stn_sr(w, s->stn_sr);
	put_options(w, s);
	if (s->apn_cnt)
		put_ambr(w, s->ul, s->dl);
	avp_put_u32(w, AVP_CODE_Subscribed_Periodic_RAU_TAU_Timer, VENDOR_3GPP, 0,
		    s->rau_s > UINT32_MAX ? UINT32_MAX : (uint32_t)s->rau_s);
}

static void put_epc(struct wr *w, const struct s6a_subscription *s)
{
	size_t at = avp_group_begin(w, AVP_CODE_APN_Configuration_Profile, VENDOR_3GPP, AVP_M);
	int first = s6a_default_apn(s);
	put_u32(w, AVP_CODE_Context_Identifier, first < 0 ? 1 : (uint32_t)first + 1);
	put_u32(w, AVP_CODE_All_APN_Configurations_Included_Indicator, 0);
	for (unsigned i = 0; i < s->apn_cnt; i++)
		put_apn(w, &s->apn[i], i + 1);
	avp_group_end(w, at);
}

// QoS of a PDP context as octets of TS 24.008 10.5.6.5 (3, then priority, then the extended ones): best
// effort, background class, the highest rates that these octets express. The document only knows EPS QoS.
static void put_qos_subscribed(struct wr *w, const struct apn *a)
{
	static const uint8_t basic[3] = {0x23, 0x92, 0x1f};
	static const uint8_t extended[8] = {0x93, 0x96, 0xfe, 0xfe, 0x74, 0x00, 0xff, 0xff};
	uint8_t qos[12];
	memcpy(qos, basic, 3);
	qos[3] = a->priority <= 5 ? 1 : a->priority <= 10 ? 2 : 3; // TS 23.401 Annex E
	memcpy(qos + 4, extended, 8);
	avp_put(w, AVP_CODE_QoS_Subscribed, VENDOR_3GPP, AVP_M, qos, sizeof(qos));
}

static void put_pdp(struct wr *w, const struct apn *a, uint32_t id)
{
	// TS 29.002: organisation IETF, number IPv4 0x21, IPv6 0x57, IPv4v6 0x8d (the last one only as
	// Ext-PDP-Type)
	static const uint8_t v4[2] = {0xf1, 0x21}, v6[2] = {0xf1, 0x57}, both[2] = {0xf1, 0x8d};
	size_t at = avp_group_begin(w, AVP_CODE_PDP_Context, VENDOR_3GPP, AVP_M);
	put_u32(w, AVP_CODE_Context_Identifier, id);
	avp_put(w, AVP_CODE_PDP_Type, VENDOR_3GPP, AVP_M, a->pdn_type == 1 ? v6 : v4, 2);
	if (a->ue4 && a->pdn_type != 1)
		put_address(w, AVP_CODE_PDP_Address, VENDOR_3GPP, a->ue_v4, 4);
	else if (a->ue6 && a->pdn_type == 1)
		put_address(w, AVP_CODE_PDP_Address, VENDOR_3GPP, a->ue_v6, 16);
	put_qos_subscribed(w, a);
	put_u32(w, AVP_CODE_VPLMN_Dynamic_Address_Allowed, a->vplmn_allowed);
	avp_put_slice(w, AVP_CODE_Service_Selection, 0, AVP_M, a->name);
	if (a->charging.len)
		avp_put_slice(w, AVP_CODE__3GPP_Charging_Characteristics, VENDOR_3GPP, AVP_M, a->charging);
	if (a->pdn_type == 2)
		avp_put(w, AVP_CODE_Ext_PDP_Type, VENDOR_3GPP, 0, both, 2);
	avp_group_end(w, at);
}

static void put_gprs(struct wr *w, const struct s6a_subscription *s)
{
	size_t at = avp_group_begin(w, AVP_CODE_GPRS_Subscription_Data, VENDOR_3GPP, AVP_M);
	put_u32(w, AVP_CODE_Complete_Data_List_Included_Indicator, 0);
	for (unsigned i = 0; i < s->apn_cnt; i++)
		put_pdp(w, &s->apn[i], i + 1);
	avp_group_end(w, at);
}

bool s6a_encode_profile(const struct s6a_subscription *s, struct cache_profile *out, size_t cap)
{
	struct wr w = wr_of(out->avps, cap - sizeof(*out));
	put_head(&w, s);
	size_t head = wr_len(&w);
	if (s->apn_cnt)
		put_epc(&w, s);
	size_t epc = wr_len(&w);
	if (s->apn_cnt)
		put_gprs(&w, s);
	size_t all = wr_len(&w);
	wr_bytes(&w, s->own, s->own_len);
	wr_zero(&w, -s->own_len & 3u);
	size_t with_own = wr_len(&w);
	if (w.err || epc - head > UINT16_MAX || all - epc > UINT16_MAX)
		return false;
	*out = (struct cache_profile){.len = (uint32_t)(sizeof(*out) + with_own),
				      .flags = s->core_restrictions & CORE_NO_EPC ? S6A_PROFILE_NO_EPC : 0,
				      .access_restriction = s->ard,
				      .odb = s->status ? s->odb : 0,
				      .apn_cnt = (uint16_t)s->apn_cnt,
				      .subscriber_status = (uint8_t)s->status,
				      .network_access_mode = (uint8_t)s->nam,
				      .head_len = (uint16_t)head,
				      .epc_len = (uint16_t)(epc - head),
				      .gprs_len = (uint16_t)(all - epc)};
	return true;
}

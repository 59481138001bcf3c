// The items of Subscription-Data, and what differs between two versions (data.h). No state.
#include "apps/s6a/data.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"

#define VENDOR_3GPP 10415

// An item's AVPs, and how it is taken away: by a bit of DSR-Flags (TS 29.272 7.3.25), or by an IDR with the value 0, which
// says the same as nothing. Otherwise it is never missing: APNs are never all gone here, for then the subscription ends. (A
// RAT-Frequency-Selection-Priority-ID stays in the node until there is another one: nothing takes it away.)
struct item {
	uint32_t code;
	uint8_t item; // enum s6a_item
	uint8_t deletion; // 1 + the bit of DSR-Flags
	bool zero;
};

static const struct item items[] = {
	{AVP_CODE_MSISDN, ITEM_MSISDN, 1 + 23, false},
	{AVP_CODE_A_MSISDN, ITEM_A_MSISDN, 1 + 16, false},
	{AVP_CODE_Subscriber_Status, ITEM_STATUS, 0, false},
	{AVP_CODE_Operator_Determined_Barring, ITEM_STATUS, 0, false},
	{AVP_CODE_Network_Access_Mode, ITEM_ACCESS_MODE, 0, false},
	{AVP_CODE_Access_Restriction_Data, ITEM_ACCESS_RESTRICTION, 0, false},
	{AVP_CODE_Core_Network_Restrictions, ITEM_CORE_RESTRICTIONS, 0, true},
	{AVP_CODE_Regional_Subscription_Zone_Code, ITEM_ZONES, 1 + 0, false},
	{AVP_CODE__3GPP_Charging_Characteristics, ITEM_CHARGING, 1 + 2, false},
	{AVP_CODE_AMBR, ITEM_AMBR, 0, false},
	{AVP_CODE_Subscribed_Periodic_RAU_TAU_Timer, ITEM_TIMER, 1 + 14, false},
	{AVP_CODE_APN_Configuration_Profile, ITEM_APNS, 0, false},
	{AVP_CODE_GPRS_Subscription_Data, ITEM_GPRS, 0, false},
	{AVP_CODE_APN_OI_Replacement, ITEM_APN_OI, 1 + 10, false},
	{AVP_CODE_STN_SR, ITEM_STN_SR, 1 + 4, false},
	{AVP_CODE_RAT_Frequency_Selection_Priority_ID, ITEM_RFSP, 0, false},
	{AVP_CODE_UE_Usage_Type, ITEM_UE_USAGE, 1 + 24, false},
	{AVP_CODE_MPS_Priority, ITEM_MPS, 0, true},
	{AVP_CODE_Subscribed_VSRVCC, ITEM_VSRVCC, 1 + 15, false},
	{AVP_CODE_ICS_Indicator, ITEM_ICS, 0, true},
	{AVP_CODE_Active_Time, ITEM_ACTIVE_TIME, 1 + 29, false},
	{AVP_CODE_Service_Gap_Time, ITEM_SERVICE_GAP, 1 + 31, false},
};

static enum s6a_item item_of(const struct avp *a)
{
	for (unsigned i = 0; i < sizeof items / sizeof *items; i++)
		if (a->vendor == VENDOR_3GPP && a->code == items[i].code)
			return (enum s6a_item)items[i].item;
	return ITEM_OTHER;
}

struct s6a_view s6a_view_of(const struct s6a_serving *v)
{
	return (struct s6a_view){.gprs = v->flags & SERVING_GPRS_DATA, .one_msisdn = v->flags & SERVING_ONE_MSISDN};
}

// ---- the AVPs, one after the other

struct source {
	struct slice part[4]; // MSISDNs, head, APN profile, GPRS data
	unsigned at;
	struct rd rd; // in part `at`
	uint8_t msisdn[2 * 24];
};

static void source_begin(struct source *s, const struct cache_record *r, const struct cache_profile *p,
			 const struct s6a_view *view)
{
	uint8_t bcd[8];
	*s = (struct source){0};
	struct wr w = wr_of(s->msisdn, sizeof s->msisdn);
	if (r->msisdn[0].v)
		avp_put(&w, AVP_CODE_MSISDN, VENDOR_3GPP, AVP_M, bcd, msisdn_tbcd(r->msisdn[0], bcd));
	if (r->msisdn[1].v && !view->one_msisdn)
		avp_put(&w, AVP_CODE_A_MSISDN, VENDOR_3GPP, 0, bcd, msisdn_tbcd(r->msisdn[1], bcd));
	s->part[0] = wr_done(&w);
	if (p) {
		s->part[1] = slice_of(p->avps, p->head_len);
		s->part[2] = slice_of(p->avps + p->head_len, p->epc_len);
		if (!p->epc_len || view->gprs)
			s->part[3] = slice_of(p->avps + p->head_len + p->epc_len, p->gprs_len);
	}
	s->rd = rd_slice(s->part[0]);
}

static bool source_next(struct source *s, struct avp *a)
{
	while (avp_next(&s->rd, a) != AVP_WALK_ONE) {
		if (++s->at == sizeof s->part / sizeof *s->part)
			return false;
		s->rd = rd_slice(s->part[s->at]);
	}
	return true;
}

// A hash of each item; 0: it is not there.
static void hashes_of(const struct cache_record *r, const struct cache_profile *p, const struct s6a_view *view,
		      uint64_t hash[ITEM_CNT])
{
	struct source s;
	struct avp a;
	source_begin(&s, r, p, view);
	memset(hash, 0, ITEM_CNT * sizeof *hash);
	while (source_next(&s, &a)) {
		uint64_t *h = &hash[item_of(&a)];
		*h = ident_hash(*h ^ ident_hash_bytes(a.whole, false)) | 1;
	}
}

// The items that are taken away by a DSR, or by a zero.
static uint32_t items_by(bool zero)
{
	uint32_t bits = 0;
	for (unsigned i = 0; i < sizeof items / sizeof *items; i++)
		if (zero ? items[i].zero : items[i].deletion != 0)
			bits |= 1u << items[i].item;
	return bits;
}

struct s6a_difference s6a_differs(const struct cache *c, const struct cache_record *before, const struct cache_record *now,
				  const struct s6a_view *view)
{
	uint64_t old[ITEM_CNT], new[ITEM_CNT];
	struct s6a_difference d = {0};
	hashes_of(before, cache_profile(c, before), view, old);
	hashes_of(now, cache_profile(c, now), view, new);
	for (unsigned i = 0; i < ITEM_CNT; i++) {
		if (new[i] && new[i] != old[i])
			d.changed |= 1u << i;
		else if (old[i] && !new[i])
			d.gone |= 1u << i;
	}
	d.changed |= d.gone & items_by(true);
	d.gone &= items_by(false);
	return d;
}

bool s6a_put_items(struct wr *w, const struct cache_record *r, const struct cache_profile *p, const struct s6a_view *view,
		   uint32_t wanted)
{
	struct source s;
	struct avp a;
	uint32_t there = 0, zero = wanted == ITEMS_ALL ? 0 : wanted & items_by(true);
	source_begin(&s, r, p, view);
	while (source_next(&s, &a)) {
		enum s6a_item item = item_of(&a);
		there |= 1u << item;
		if (!(wanted >> item & 1))
			continue;
		wr_slice(w, a.whole);
		wr_zero(w, -a.whole.len & 3u);
	}
	for (unsigned i = 0; i < sizeof items / sizeof *items; i++)
		if ((zero & ~there) >> items[i].item & 1)
			avp_put_u32(w, items[i].code, VENDOR_3GPP, 0, 0);
	return (there & wanted) | (zero & ~there);
}

uint32_t s6a_deletion_flags(const struct cache_record *r, const struct cache_profile *p, const struct s6a_view *view,
			    uint32_t wanted)
{
	uint64_t hash[ITEM_CNT];
	uint32_t flags = 0;
	hashes_of(r, p, view, hash);
	for (unsigned i = 0; i < sizeof items / sizeof *items; i++)
		if (wanted >> items[i].item & 1 && !hash[items[i].item] && items[i].deletion)
			flags |= 1u << (items[i].deletion - 1);
	return flags;
}

uint32_t s6a_data_mark(const struct cache_record *r, const struct cache_profile *p, const struct s6a_view *view)
{
	uint64_t h = p ? cache_profile_hash(p) : 0;
	h = ident_hash(h ^ r->msisdn[0].v);
	h = ident_hash(h ^ r->msisdn[1].v);
	h ^= (uint64_t)(view->gprs ? 1 : 0) | (uint64_t)(view->one_msisdn ? 0 : 2);
	uint32_t mark = (uint32_t)ident_hash(h);
	return mark ? mark : 1;
}

struct slice s6a_items_data(uint32_t set, uint8_t out[S6A_ITEMS_LEN])
{
	be32_put(out, set);
	return slice_of(out, S6A_ITEMS_LEN);
}

uint32_t s6a_items_get(struct slice data)
{
	return data.len == S6A_ITEMS_LEN ? be32_get(data.p) : 0;
}

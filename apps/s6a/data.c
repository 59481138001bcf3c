// The items of Subscription-Data, and what differs between two versions (data.h). No state.
#include "apps/s6a/data.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"

#define VENDOR_3GPP 10415

// An item's AVPs; `deletion`: the bit of DSR-Flags that takes it away, 0 when there is none. An MSISDN without another in
// its place stays in the node: S6a has no way to withdraw it. APNs are never all gone here: then the subscription ends.
struct item {
	uint32_t code;
	enum s6a_item item;
	uint32_t deletion;
};

static const struct item items[] = {
	{AVP_CODE_MSISDN, ITEM_MSISDN, 0},
	{AVP_CODE_A_MSISDN, ITEM_A_MSISDN, 1u << 16},
	{AVP_CODE_Subscriber_Status, ITEM_STATUS, 0},
	{AVP_CODE_Operator_Determined_Barring, ITEM_STATUS, 0},
	{AVP_CODE_Network_Access_Mode, ITEM_ACCESS_MODE, 0},
	{AVP_CODE_Access_Restriction_Data, ITEM_ACCESS_RESTRICTION, 0},
	{AVP_CODE_Core_Network_Restrictions, ITEM_CORE_RESTRICTIONS, 0},
	{AVP_CODE_Regional_Subscription_Zone_Code, ITEM_ZONES, 1u << 0},
	{AVP_CODE__3GPP_Charging_Characteristics, ITEM_CHARGING, 1u << 2},
	{AVP_CODE_AMBR, ITEM_AMBR, 0},
	{AVP_CODE_Subscribed_Periodic_RAU_TAU_Timer, ITEM_TIMER, 1u << 14},
	{AVP_CODE_APN_Configuration_Profile, ITEM_APNS, 0},
	{AVP_CODE_GPRS_Subscription_Data, ITEM_GPRS, 0},
};

static enum s6a_item item_of(const struct avp *a)
{
	for (unsigned i = 0; i < sizeof items / sizeof *items; i++)
		if (a->vendor == VENDOR_3GPP && a->code == items[i].code)
			return items[i].item;
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

static uint32_t deletable(void)
{
	uint32_t bits = 0;
	for (unsigned i = 0; i < sizeof items / sizeof *items; i++)
		if (items[i].deletion)
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
	// restrictions that are lifted are sent as none
	d.changed |= d.gone & 1u << ITEM_CORE_RESTRICTIONS;
	d.gone &= deletable();
	return d;
}

bool s6a_put_items(struct wr *w, const struct cache_record *r, const struct cache_profile *p, const struct s6a_view *view,
		   uint32_t wanted)
{
	struct source s;
	struct avp a;
	bool any = false, restricted = false;
	source_begin(&s, r, p, view);
	while (source_next(&s, &a)) {
		enum s6a_item item = item_of(&a);
		if (!(wanted >> item & 1))
			continue;
		restricted |= item == ITEM_CORE_RESTRICTIONS;
		wr_slice(w, a.whole);
		wr_zero(w, -a.whole.len & 3u);
		any = true;
	}
	if (wanted != ITEMS_ALL && wanted >> ITEM_CORE_RESTRICTIONS & 1 && !restricted) {
		avp_put_u32(w, AVP_CODE_Core_Network_Restrictions, VENDOR_3GPP, 0, 0);
		any = true;
	}
	return any;
}

uint32_t s6a_deletion_flags(const struct cache_record *r, const struct cache_profile *p, const struct s6a_view *view,
			    uint32_t wanted)
{
	uint64_t hash[ITEM_CNT];
	uint32_t flags = 0;
	hashes_of(r, p, view, hash);
	for (unsigned i = 0; i < sizeof items / sizeof *items; i++)
		if (wanted >> items[i].item & 1 && !hash[items[i].item])
			flags |= items[i].deletion;
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

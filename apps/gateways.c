// See gateways.h. No state.
#include "apps/gateways.h"
#include "apps/apps.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"

#define VENDOR	10415
#define DYNAMIC 1 // PDN-GW-Allocation-Type

// ---- octets

void gateways_put(struct wr *w, const struct gateways *g, uint32_t info_max)
{
	for (unsigned i = 0; i < g->cnt; i++) {
		const struct gateway *one = &g->one[i];
		if (one->apn.len > GATEWAY_APN_MAX || one->info.len > info_max)
			w->err = true;
		wr_u8(w, (uint8_t)one->apn.len);
		wr_slice(w, one->apn);
		wr_blob16(w, one->info);
	}
}

bool gateways_get(struct rd *r, struct gateways *g, unsigned max, uint32_t info_max)
{
	g->cnt = 0;
	while (!r->err && rd_left(r)) {
		if (g->cnt == max)
			return false;
		struct gateway *one = &g->one[g->cnt++];
		*one = (struct gateway){.apn = rd_bytes(r, rd_u8(r))};
		one->info = rd_blob16(r);
		r->err |= one->apn.len > GATEWAY_APN_MAX || one->info.len > info_max;
	}
	return !r->err;
}

const struct gateway *gateway_of(const struct gateways *g, struct slice apn)
{
	for (unsigned i = 0; i < g->cnt; i++)
		if (slice_eq_nocase(g->one[i].apn, apn))
			return &g->one[i];
	return NULL;
}

// ---- what the applications have published

// The body of SWx's state begins with four octets of its own.
static void of_wifi(const struct cache *c, const struct cache_record *r, struct gateways *out)
{
	struct cache_state s;
	if (!cache_state_find(c, r, app_swx, &s))
		return;
	struct rd rd = rd_slice(s.body);
	(void)rd_u32(&rd);
	if (!gateways_get(&rd, out, GATEWAYS_MAX, UINT16_MAX))
		out->cnt = 0;
}

struct slice gateways_of_nodes(const struct cache *c, const struct cache_record *r)
{
	struct cache_state s;
	return r->parts && cache_state_of_kind(c, r, app_s6a, CACHE_DATA, &s) ? s.body : (struct slice){0};
}

void gateways_of(const struct cache *c, const struct cache_record *r, const struct cache_profile *p, struct gateways *out)
{
	struct gateways nodes;
	out->cnt = 0;
	if (!r->parts)
		return;
	of_wifi(c, r, out);
	gateways_read(gateways_of_nodes(c, r), p, &nodes);
	for (unsigned i = 0; i < nodes.cnt && out->cnt < GATEWAYS_MAX; i++)
		if (!gateway_of(out, nodes.one[i].apn))
			out->one[out->cnt++] = nodes.one[i];
}

// ---- what nodes have told: a chunk for each NOR or ULR, oldest first, with its AVPs

// The child of the profile's APN profile; false: it has none.
static bool apns_of(const struct cache_profile *p, struct rd *apns)
{
	struct avp all;
	if (!p || !avp_find(slice_of(p->avps + p->head_len, p->epc_len), AVP_CODE_APN_Configuration_Profile, VENDOR, &all))
		return false;
	*apns = rd_slice(all.data);
	return true;
}

static bool next_apn(struct rd *apns, struct avp *config, struct avp *name)
{
	while (avp_next(apns, config) == AVP_WALK_ONE)
		if (config->code == AVP_CODE_APN_Configuration && config->vendor == VENDOR &&
		    avp_find(config->data, AVP_CODE_Service_Selection, 0, name))
			return true;
	return false;
}

// The name of the APN with this Context-Identifier; empty: none.
static struct slice name_of(const struct cache_profile *p, struct slice context)
{
	struct rd apns;
	struct avp config, name, id;
	if (apns_of(p, &apns))
		while (next_apn(&apns, &config, &name))
			if (avp_find(config.data, AVP_CODE_Context_Identifier, VENDOR, &id) && slice_eq(id.data, context))
				return name.data;
	return (struct slice){0};
}

// The gateway that AVPs side by side tell of: those of a NOR, or inside of Active-APN. That for emergency calls is no APN's.
static void take(struct slice avps, const struct cache_profile *p, struct gateways *out)
{
	struct avp info, a;
	struct gateway g = {.apn = {0}};
	if (!avp_find(avps, AVP_CODE_MIP6_Agent_Info, 0, &info) || avp_find(avps, AVP_CODE_Emergency_Services, VENDOR, &a))
		return;
	g.info = info.data;
	if (avp_find(avps, AVP_CODE_Visited_Network_Identifier, VENDOR, &a))
		g.network = a.data;
	if (avp_find(avps, AVP_CODE_Service_Selection, 0, &a))
		g.apn = a.data;
	else if (avp_find(avps, AVP_CODE_Context_Identifier, VENDOR, &a))
		g.apn = name_of(p, a.data);
	struct gateway *there = (struct gateway *)(uintptr_t)gateway_of(out, g.apn);
	if (g.apn.len && g.apn.len <= GATEWAY_APN_MAX && there)
		*there = g;
	else if (g.apn.len && g.apn.len <= GATEWAY_APN_MAX && out->cnt < GATEWAYS_MAX)
		out->one[out->cnt++] = g;
}

void gateways_read(struct slice told, const struct cache_profile *p, struct gateways *out)
{
	struct rd chunks = rd_slice(told);
	out->cnt = 0;
	while (!chunks.err && rd_left(&chunks)) {
		struct slice chunk = rd_blob16(&chunks);
		struct rd rd = rd_slice(chunk);
		struct avp a;
		if (chunks.err)
			break;
		take(chunk, p, out);
		while (avp_next(&rd, &a) == AVP_WALK_ONE)
			if (a.code == AVP_CODE_Active_APN && a.vendor == VENDOR)
				take(a.data, p, out);
	}
}

// ---- APN-Configuration

static bool is_wildcard(struct slice apn)
{
	return slice_eq(apn, slice_str("*"));
}

static bool is_named(const struct cache_profile *p, struct slice apn)
{
	struct rd apns;
	struct avp config, name;
	if (apns_of(p, &apns))
		while (next_apn(&apns, &config, &name))
			if (slice_eq_nocase(name.data, apn))
				return true;
	return false;
}

static void put_gateway(struct wr *w, const struct gateway *g)
{
	avp_put_slice(w, AVP_CODE_MIP6_Agent_Info, 0, AVP_M, g->info);
	if (g->network.len)
		avp_put_slice(w, AVP_CODE_Visited_Network_Identifier, VENDOR, AVP_M, g->network);
}

static void put_specific(struct wr *w, const struct cache_profile *p, const struct gateways *g)
{
	for (unsigned i = 0; i < g->cnt; i++) {
		if (is_named(p, g->one[i].apn))
			continue;
		size_t at = avp_group_begin(w, AVP_CODE_Specific_APN_Info, VENDOR, AVP_M);
		avp_put_slice(w, AVP_CODE_Service_Selection, 0, AVP_M, g->one[i].apn);
		put_gateway(w, &g->one[i]);
		avp_group_end(w, at);
	}
}

void gateways_put_apn(struct wr *w, const struct cache_profile *p, struct slice config, const struct gateways *g)
{
	struct avp name = {.code = 0}, fixed;
	(void)avp_find(config, AVP_CODE_Service_Selection, 0, &name);
	const struct gateway *one = gateway_of(g, name.data);
	size_t at = avp_group_begin(w, AVP_CODE_APN_Configuration, VENDOR, AVP_M);
	wr_slice(w, config);
	wr_zero(w, -config.len & 3u);
	if (one && !avp_find(config, AVP_CODE_MIP6_Agent_Info, 0, &fixed)) {
		put_gateway(w, one);
		avp_put_u32(w, AVP_CODE_PDN_GW_Allocation_Type, VENDOR, AVP_M, DYNAMIC);
	}
	if (is_wildcard(name.data))
		put_specific(w, p, g);
	avp_group_end(w, at);
}

void gateways_put_profile(struct wr *w, const struct cache_profile *p, const struct gateways *g)
{
	struct rd rd;
	struct avp a;
	if (!g->cnt || !apns_of(p, &rd)) {
		wr_bytes(w, p->avps + p->head_len, p->epc_len);
		return;
	}
	size_t at = avp_group_begin(w, AVP_CODE_APN_Configuration_Profile, VENDOR, AVP_M);
	while (avp_next(&rd, &a) == AVP_WALK_ONE)
		if (a.code == AVP_CODE_APN_Configuration && a.vendor == VENDOR) {
			gateways_put_apn(w, p, a.data, g);
		} else {
			wr_slice(w, a.whole);
			wr_zero(w, -a.whole.len & 3u);
		}
	avp_group_end(w, at);
}

size_t gateways_room(const struct gateways *g)
{
	size_t n = 0;
	for (unsigned i = 0; i < g->cnt; i++)
		n += g->one[i].apn.len + g->one[i].info.len + g->one[i].network.len + 64;
	return n;
}

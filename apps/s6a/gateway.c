// Finds the PDN-GW of an APN among the AVPs that are kept (gateway.h). No state.
#include "apps/s6a/gateway.h"
#include "apps/apps.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"

#define VENDOR_3GPP 10415

struct slice s6a_gateways_of(const struct cache *c, const struct cache_record *r)
{
	struct cache_state s;
	return cache_state_of_kind(c, r, app_s6a, CACHE_DATA, &s) ? s.body : (struct slice){0};
}

// Is it about this APN? AVPs beside each other: those of a NOR, or inside of an Active-APN.
static bool take(struct slice avps, struct slice context, struct slice name, struct s6a_gateway *out)
{
	struct avp a, id;
	if (!avp_find(avps, AVP_CODE_MIP6_Agent_Info, 0, &a) || avp_find(avps, AVP_CODE_Emergency_Services, VENDOR_3GPP, &id))
		return false;
	bool by_context = avp_find(avps, AVP_CODE_Context_Identifier, VENDOR_3GPP, &id);
	bool fits = by_context ? slice_eq(id.data, context)
			       : avp_find(avps, AVP_CODE_Service_Selection, 0, &id) && slice_eq_nocase(id.data, name);
	if (!fits)
		return false;
	*out = (struct s6a_gateway){.agent = a.whole};
	if (avp_find(avps, AVP_CODE_Visited_Network_Identifier, VENDOR_3GPP, &a))
		out->network = a.whole;
	return true;
}

bool s6a_gateway_find(struct slice gateways, struct slice context, struct slice name, struct s6a_gateway *out)
{
	struct rd chunks = rd_slice(gateways);
	bool found = false;
	while (rd_left(&chunks)) { // the last word counts
		struct slice chunk = rd_blob16(&chunks);
		struct rd avps = rd_slice(chunk);
		struct avp a;
		if (chunks.err)
			break;
		found |= take(chunk, context, name, out);
		while (avp_next(&avps, &a) == AVP_WALK_ONE)
			if (a.code == AVP_CODE_Active_APN && a.vendor == VENDOR_3GPP)
				found |= take(a.data, context, name, out);
	}
	return found;
}

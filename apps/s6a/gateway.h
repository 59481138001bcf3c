// The PDN-GWs that serve a subscriber's APNs, as nodes have told (NOR; Active-APN of a ULR), for the node that takes over (TS
// 29.272 5.2.1.1.3): it gets them in its Subscription-Data, so that a session can move. They are kept as the AVPs that came
// (pur_nor.c, ulr.c), published as S6a's data. Pure.
#pragma once
#include "cache/state.h"

struct s6a_gateway {
	struct slice agent;   // MIP6-Agent-Info, the whole AVP
	struct slice network; // Visited-Network-Identifier, the same; empty: none
};
// What is kept of a subscriber; empty: nothing.
struct slice s6a_gateways_of(const struct cache *c, const struct cache_record *r);
// The gateway of an APN, by the octets of its Context-Identifier or else by name. false: none is known.
bool s6a_gateway_find(struct slice gateways, struct slice context, struct slice name, struct s6a_gateway *out);

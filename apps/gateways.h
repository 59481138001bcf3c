// The PDN-GWs of a subscriber's APNs, which a phone keeps when it moves to another MME (TS 29.272 5.2.1.1.3) or between LTE and
// Wi-Fi (TS 23.402 8): below the applications, since MMEs tell S6a of theirs (NOR, Active-APN of a ULR) and AAA servers tell SWx
// (SAR), and each is sent the other's. They are read from what the two publish: SWx's state, and the AVPs that S6a keeps as they
// came (pur_nor.c, ulr.c; its data). Pure functions, for workers and the loader.
#pragma once
#include "cache/state.h"
#include "lib/base/wire.h"

#define GATEWAYS_MAX	50  // as many as a profile has APNs
#define GATEWAY_APN_MAX 100

// The PDN-GW of an APN. Slices are borrowed.
struct gateway {
	struct slice apn;
	struct slice info;    // data of MIP6-Agent-Info, as it came
	struct slice network; // of Visited-Network-Identifier; empty: none
};
struct gateways {
	unsigned cnt;
	struct gateway one[GATEWAYS_MAX];
};

// Octets of APN and info. `info_max`: what more is an error, in both.
void gateways_put(struct wr *w, const struct gateways *g, uint32_t info_max);
// To the end of the octets, at most `max`. false: they are none.
bool gateways_get(struct rd *r, struct gateways *g, unsigned max, uint32_t info_max);
// The gateway of an APN; NULL: there is none.
const struct gateway *gateway_of(const struct gateways *g, struct slice apn);

// All that are known: those that AAA servers have told of and, for other APNs, those of MMEs and SGSNs.
void gateways_of(const struct cache *c, const struct cache_record *r, const struct cache_profile *p, struct gateways *out);
// What S6a has published of them; empty: nothing.
struct slice gateways_of_nodes(const struct cache *c, const struct cache_record *r);
// Reads that. Names are those of the profile's APNs where a node has told a Context-Identifier alone; the newest counts.
void gateways_read(struct slice told, const struct cache_profile *p, struct gateways *out);

// Appends an APN-Configuration whose content is `config`, with the PDN-GW of its APN if it has no static one; that of the
// wildcard has those of APNs that only the wildcard stands for (TS 29.272 7.3.82).
void gateways_put_apn(struct wr *w, const struct cache_profile *p, struct slice config, const struct gateways *g);
// Appends the profile's APN-Configuration-Profile with them.
void gateways_put_profile(struct wr *w, const struct cache_profile *p, const struct gateways *g);
// Room that they need beside the profile's own octets, at most.
size_t gateways_room(const struct gateways *g);

// What a subscriber's document says of non-3GPP access (member `non_3gpp`), as octets that workers read without parsing text;
// and the Non-3GPP-User-Data (TS 29.273 8.2.3.1) that follow from it and from the subscription profile, which the cache has
// encoded. Pure functions, for workers and the loader.
#pragma once
#include "apps/swx/state.h"

#define SWX_APNS_MAX	50
#define SWX_VISITED_MAX 16

// RAT-Types (TS 29.212 5.3.31) that are no 3GPP access, as bits of swx_data.rats
enum swx_rat {
	SWX_RAT_WLAN,
	SWX_RAT_VIRTUAL,
	SWX_RAT_TRUSTED_N3GA,
	SWX_RAT_WIRELINE,
	SWX_RAT_CDMA2000_1X,
	SWX_RAT_HRPD,
	SWX_RAT_UMB,
	SWX_RAT_EHRPD,
	SWX_RAT_CNT
};
// Its name in documents.
extern const char *const swx_rat_name[SWX_RAT_CNT];

// Slices are borrowed. All zero, as a document without the member has it: no restriction.
struct swx_data {
	bool denied;	// no non-3GPP subscription
	bool no_apns;	// Non-3GPP-IP-Access-APN: NON_3GPP_APNS_DISABLE
	uint16_t rats;	// those that are allowed, 1 << enum swx_rat; 0: all
	unsigned apn_cnt, visited_cnt; // 0: all
	struct slice apn[SWX_APNS_MAX];
	struct slice visited[SWX_VISITED_MAX]; // networks where the user may roam
};

void swx_data_put(struct wr *w, const struct swx_data *d);
// false: not the octets of one; *out is as without the member.
bool swx_data_get(struct slice body, struct swx_data *out);
// What the cache keeps; without a part as without the member.
void swx_data_of(const struct cache *c, const struct cache_record *r, struct swx_data *out);

bool swx_rat_allowed(const struct swx_data *d, uint32_t rat_type);
bool swx_visited_allowed(const struct swx_data *d, struct slice network);

// May the user use non-3GPP access, with one APN at least? `p` is the subscription profile; NULL: none.
bool swx_may_use(const struct swx_data *d, const struct cache_profile *p);
// Is this APN subscribed and allowed, by its name or by the wildcard?
bool swx_apn_subscribed(const struct swx_data *d, const struct cache_profile *p, struct slice apn);
// Appends Non-3GPP-User-Data, with these PDN-GWs.
void swx_put_user_data(struct wr *w, const struct cache_record *r, const struct swx_data *d, const struct cache_profile *p,
		       const struct gateways *g);
// Room that it needs at most.
static inline size_t swx_user_data_room(const struct cache_profile *p, const struct gateways *g)
{
	return (p ? p->len : 0) + gateways_room(g) + 256;
}

// S6a/S6d messages: from slots to typed values, and from typed values to AVPs. No decisions here.
#pragma once
#include "apps/gateways.h"
#include "cache/lookup.h"
#include "lib/auth/vectors.h"
#include "worker/request.h"

// Features that this HSS supports (TS 29.272 7.3.10), by feature list.
// list 1: ODB all APN, ODB HPLMN APN, ODB VPLMN APN, partial purge, additional MSISDN
#define S6A_FEATURES_1 ((1u << 0) | (1u << 1) | (1u << 2) | (1u << 29) | (1u << 31))
// list 2: NR as secondary RAT (extended bandwidths)
#define S6A_FEATURES_2 (1u << 27)

struct s6a_features {
	bool asked;	  // the request has Supported-Features of ours
	uint32_t list[2]; // what the node supports, lists 1 and 2
};

struct s6a_auth_group {
	bool present;
	bool immediate; // Immediate-Response-Preferred
	uint32_t wanted; // Number-Of-Requested-Vectors, 1 when absent
	struct slice resync; // Re-Synchronization-Info
};

enum ulr_flag {
	ULR_SINGLE_REGISTRATION = 1 << 0,
	ULR_S6A = 1 << 1,
	ULR_SKIP_SUBSCRIBER_DATA = 1 << 2,
	ULR_GPRS_DATA = 1 << 3,
	ULR_NODE_COMBINED = 1 << 4,
	ULR_INITIAL_ATTACH = 1 << 5,
};

// Reads all Supported-Features of the request; `slot` is that AVP's in this command.
void s6a_features_read(const struct request *r, unsigned slot, struct s6a_features *f);
// Requested-EUTRAN- or -UTRAN-GERAN-Authentication-Info.
void s6a_auth_group_read(struct slice group, bool present, struct s6a_auth_group *g);
// IMEI and Software-Version of Terminal-Information as one number like an IMSI's; 0 when absent or not digits.
uint64_t s6a_imeisv_read(struct slice terminal_information);

// Keeps a copy of an AVP of the request for later; what does not fit any more is left out.
void s6a_keep_avp(struct wr *w, const struct avp *a);

// The answer's own lists, when the request had the AVP.
void s6a_features_put(struct wr *w, const struct s6a_features *f);
void s6a_put_eutran_vector(struct wr *w, uint32_t item, const struct eutran_vector *v);
void s6a_put_utran_vector(struct wr *w, uint32_t item, const struct utran_vector *v);

// Subscription-Data (TS 29.272 7.3.2): the subscriber's own AVPs, then the shared profile's. `epc`, `gprs`: which of the
// profile's parts the node gets. `g`: the PDN-GWs that are known.
void s6a_put_subscription(struct wr *w, const struct cache_record *rec, const struct cache_profile *p, bool epc,
			  bool gprs, bool additional_msisdn, const struct gateways *g);
// Room that s6a_put_subscription needs at most.
static inline size_t s6a_subscription_room(const struct cache_profile *p, const struct gateways *g)
{
	return (p ? p->len : 0) + 128 + gateways_room(g);
}

// What a serving node is sent of a subscription: Subscription-Data (TS 29.272 7.3.2) as the ULA has them, in items that can be
// sent alone; and the mark by which data that a node has are told from others. Pure; workers and loader.
#pragma once
#include "apps/s6a/state.h"

// What a node gets of a profile.
struct s6a_view {
	bool gprs;	 // GPRS-Subscription-Data, too (it asked so: ULR-Flags bit 3)
	bool one_msisdn; // not the additional MSISDN: it lacks the feature
};
struct s6a_view s6a_view_of(const struct s6a_serving *v);

// Items of Subscription-Data: a bit each, in the order of the table in data.c. Kept in rows.
enum s6a_item {
	ITEM_MSISDN,
	ITEM_A_MSISDN,
	ITEM_STATUS, // Subscriber-Status with Operator-Determined-Barring
	ITEM_ACCESS_MODE,
	ITEM_ACCESS_RESTRICTION,
	ITEM_CORE_RESTRICTIONS,
	ITEM_ZONES,
	ITEM_CHARGING,
	ITEM_AMBR,
	ITEM_TIMER,
	ITEM_APNS,
	ITEM_GPRS,
	ITEM_APN_OI,
	ITEM_STN_SR,
	ITEM_RFSP,
	ITEM_UE_USAGE,
	ITEM_MPS,
	ITEM_VSRVCC,
	ITEM_ICS,
	ITEM_ACTIVE_TIME,
	ITEM_SERVICE_GAP,
	ITEM_OTHER, // an AVP that the table does not have
	ITEM_CNT
};
#define ITEMS_ALL UINT32_MAX

// What of `before` a node must be told to have `now`. A profile may be NULL.
struct s6a_difference {
	uint32_t changed; // items to be inserted
	uint32_t gone;	  // items to be deleted
};
struct s6a_difference s6a_differs(const struct cache *c, const struct cache_record *before, const struct cache_record *now,
				  const struct s6a_view *view);

// Writes the AVPs of these items (the members of Subscription-Data). false: there is none of them any more.
bool s6a_put_items(struct wr *w, const struct cache_record *r, const struct cache_profile *p, const struct s6a_view *view,
		   uint32_t items);
// DSR-Flags (TS 29.272 7.3.25) for those of these items that the subscription does not have now; 0: none.
uint32_t s6a_deletion_flags(const struct cache_record *r, const struct cache_profile *p, const struct s6a_view *view,
			    uint32_t items);

// A mark of the data that a node gets: equal data have equal marks. Never 0.
uint32_t s6a_data_mark(const struct cache_record *r, const struct cache_profile *p, const struct s6a_view *view);

// The `data` of a row of Insert- or Delete-Subscriber-Data: the items that it is about.
#define S6A_ITEMS_LEN 4
struct slice s6a_items_data(uint32_t items, uint8_t out[S6A_ITEMS_LEN]);
uint32_t s6a_items_get(struct slice data);

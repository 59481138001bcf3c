// S6a's part of a subscriber's document (TS 29.272 7.3.2): what the subscription allows, and where the document says that the
// subscriber is. Values that a document leaves out get the defaults of the schema: ARD 32, status 0, access mode 0, timer 12
// minutes, QCI 9, priority 8, pre-emption off, AMBR 1 Gbit/s both ways, PDN type IPv4v6. Pure; loader process, any thread.
#pragma once
#include "apps/s6a/policy.h"
#include "apps/s6a/said.h"
#include "cache/layout.h"
#include "loader/document/apn.h"
#include "loader/document/reader.h"

#define ZONE_MAX 10 // TS 29.272 7.3.2

struct apn {
	struct slice name;
	uint8_t pdn_type; // PDN-Type of TS 29.272: 0 IPv4, 1 IPv6, 2 IPv4v6
	uint8_t qci;
	uint8_t priority;
	uint8_t capability;    // 0 may pre-empt
	uint8_t vulnerability; // 0 may be pre-empted
	bool vplmn_allowed;
	bool ue4, ue6, gw4, gw6;
	uint8_t ue_v4[4], ue_v6[16], gw_v4[4], gw_v6[16];
	uint64_t ul, dl; // bit/s
	struct slice charging;
};

// Members that become one AVP with a number.
enum s6a_option {
	OPTION_RFSP,
	OPTION_UE_USAGE,
	OPTION_MPS,
	OPTION_VSRVCC,
	OPTION_ICS,
	OPTION_ACTIVE_TIME,
	OPTION_SERVICE_GAP,
	S6A_OPTION_CNT
};

// Slices point into the document.
struct s6a_subscription {
	struct s6a_said said;
	uint32_t ard, odb, status, nam; // odb: bits of Operator-Determined-Barring
	uint32_t core_restrictions; // bits of Core-Network-Restrictions
	uint8_t own[S6A_OWN_MAX];   // roaming (policy.h)
	uint32_t own_len;
	uint8_t zone[ZONE_MAX][2];
	unsigned zone_cnt;
	struct slice stn_sr, apn_oi, default_apn; // empty: none
	uint32_t option[S6A_OPTION_CNT];
	uint32_t options; // 1 << enum s6a_option: those that are there
	uint64_t rau_s;
	uint64_t ul, dl;
	struct slice charging;
	// while it is read
	bool has_slices;
	unsigned slice; // whose APNs count
	bool dropped, foreign_type; // an APN was left out; because of its type
	unsigned apn_cnt;
	struct apn apn[APN_LIST_MAX];
};

extern const struct doc_reader s6a_reader;

// The bits of Operator-Determined-Barring (TS 29.272 7.3.30) that a document's number stands for. 0 to 8, which is what
// Open5GS's WebUI offers by name, is the position of one bit: 0 bars all packet services. A larger number can only
// come from a writer who meant the AVP itself: it is taken as the bits.
static inline uint32_t s6a_odb_bits(uint32_t number)
{
	return number <= 8 ? 1u << number : number;
}

// roaming.c: the member roaming, a text or a list, as octets of policy.h.
enum doc_result s6a_take_roaming(struct doc_walk *w, const struct doc_value *v, struct s6a_subscription *s);

// The place of the default APN: never the wildcard (TS 29.272 7.3.33). -1: default_apn names none, or there is only a wildcard.
int s6a_default_apn(const struct s6a_subscription *s);

// profile.c: the profile's bytes. false when they do not fit into `cap`.
bool s6a_encode_profile(const struct s6a_subscription *s, struct cache_profile *out, size_t cap) MUST_USE;

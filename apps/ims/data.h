// What a subscriber's document says of its IMS subscription (member `ims`), as octets that workers read without
// parsing text: the row of data of entry.h. Filter criteria stand behind the rest, a fragment for each service profile
// (lib/ims), so that the cache keeps equal ones once. Pure functions, for workers and the loader.
#pragma once
#include "cache/state.h"
#include "lib/base/subject.h"
#include "lib/base/wire.h"

#define IMS_PRIVATES_MAX	    16
#define IMS_PUBLICS_MAX	    48
#define IMS_PROFILES_MAX	    CACHE_STATE_SHARED_MAX
#define IMS_SHARED_SETS_MAX  16 // shared sets of filter criteria that a profile names
#define IMS_CAPABILITIES_MAX 16 // mandatory, and as many optional
#define IMS_VISITED_MAX	    16
#define IMS_CHARGING_CNT	    4

enum ims_scheme { IMS_AKA = 0, IMS_DIGEST = 1, IMS_SCHEME_CNT };

struct ims_private {
	struct slice identity;
	uint32_t device; // as states name it
	uint8_t scheme;	 // enum ims_scheme
	struct slice realm, ha1; // of IMS_DIGEST; ha1 is secret: 16 octets
};

// Identity types of TS 29.228 annex E
enum ims_public_type { IMS_PUBLIC_USER = 0, IMS_PSI = 1, IMS_WILDCARDED_PSI = 2, IMS_WILDCARDED_USER = 4 };

struct ims_public {
	struct slice identity;
	uint8_t set; // implicit registration set
	bool barred;
	bool first; // the default identity of its set
	uint8_t type; // enum ims_public_type
	uint8_t profile;
	struct slice display;
	struct slice server; // of a PSI: the application server that serves it directly; empty: an S-CSCF does
};

struct ims_profile {
	struct slice criteria;	     // compiled fragment (lib/ims); empty: none of its own
	uint32_t shared[IMS_SHARED_SETS_MAX]; // numbers of shared sets
	unsigned shared_cnt;
	bool is_template; // the criteria are those of ims.filter_criteria_file
};

enum ims_charging { IMS_PRIMARY_ECF, IMS_SECONDARY_ECF, IMS_PRIMARY_CCF, IMS_SECONDARY_CCF };

struct ims_capabilities {
	uint32_t mandatory[IMS_CAPABILITIES_MAX], optional[IMS_CAPABILITIES_MAX];
	unsigned mandatory_cnt, optional_cnt;
};

// Slices are borrowed.
struct ims_data {
	struct ims_private priv[IMS_PRIVATES_MAX];
	struct ims_public pub[IMS_PUBLICS_MAX];
	struct ims_profile profile[IMS_PROFILES_MAX];
	unsigned priv_cnt, pub_cnt, profile_cnt;
	struct slice charging[IMS_CHARGING_CNT];
	struct slice scscf; // SIP URI of the S-CSCF that is to serve the user; empty: any
	struct ims_capabilities capabilities;
	struct slice visited[IMS_VISITED_MAX]; // networks from which the user may register; none: all
	unsigned visited_cnt;
};

// Writes the row. w->err: it does not fit.
void ims_data_put(struct wr *w, const struct ims_data *d);
// Reads the row. false: not the octets of one; *out is empty.
bool ims_data_get(struct slice body, struct ims_data *out);
// Reads what the cache keeps; false: the subscriber has none.
bool ims_data_of(const struct cache *c, const struct cache_record *r, struct ims_data *out);
// The same octets, as the cache keeps them (loader/app.h, pack).
bool ims_data_pack(struct builder *b, struct cache_state *s, uint8_t *buf);
// The hashes that lead to the subscriber, of a row (loader/app.h, identities): of each identity; of a wildcarded one
// ims_wildcard_hash.
unsigned ims_data_identities(struct slice row, uint64_t *hash, unsigned max);
// All wildcarded identities of a domain are found by one hash.
uint64_t ims_wildcard_hash(struct slice domain);
// The domain of a wildcarded identity: sip:list-!.*!@DOMAIN; empty: it has none.
struct slice ims_wildcard_domain(struct slice identity);

// The registration state of one IMS subscription (TS 29.228 6.1; procedures D): which S-CSCF serves it, and which of its
// public identities are registered by which of its private ones. Public identities of one implicit registration set share
// their state, so a state names sets. The local database has it as octets in a row; in the cache, what many subscribers
// have in common (the S-CSCF) is shared, and the usual state, one device and one set, costs four octets beside the part's
// own. Pure functions, for workers and the loader.
#pragma once
#include "cache/state.h"
#include "lib/base/wire.h"

#define IMS_PAIRS_MAX	   64
#define IMS_RESTORATION_MAX 8    // devices whose restoration information is kept
#define IMS_STATE_MAX	   (12u << 10)

enum ims_pair_flag {
	IMS_REGISTERED = 1,
	IMS_UNREGISTERED = 2, // served for unregistered services, or the S-CSCF's name is kept
	IMS_PENDING = 4,	     // authentication pending
};

// A private identity and an implicit registration set.
struct ims_pair {
	uint32_t device; // ims_device_of the private identity
	uint8_t set;
	uint8_t flags; // enum ims_pair_flag
};

// SCSCF-Restoration-Info of one device, as it came.
struct ims_restoration {
	uint32_t device;
	struct slice avps;
};

// Slices are borrowed.
struct ims_state {
	struct slice scscf;	  // SIP URI of the S-CSCF; empty: none is assigned
	struct slice host, realm; // the Diameter client that it is; may be empty when only the name is known
	uint32_t time_s;	  // of the last change: later than any before
	bool reassignment;	  // S-CSCF reassignment pending
	unsigned pair_cnt, restoration_cnt;
	struct ims_pair pair[IMS_PAIRS_MAX];
	struct ims_restoration restoration[IMS_RESTORATION_MAX];
	uint16_t version; // read from the cache: for the CHANGE
};

// A private identity as states name it; never 0. The one that follows from the IMSI is IMS_DEVICE_IMSI, whatever the domain.
#define IMS_DEVICE_IMSI 1
uint32_t ims_device_of(struct slice private_identity);

// A state of which nothing is to be kept but its time.
bool ims_state_is_empty(const struct ims_state *s);
// Writes the row. An empty state gives no octets, unless its time must be kept for other nodes on one upstream. w->err: it
// does not fit.
void ims_state_put(struct wr *w, const struct ims_state *s, bool keep_time);
// false: not the octets of a state; *out is empty.
bool ims_state_get(struct slice body, struct ims_state *out);
// From the cache. Without a state *out is empty, its version 0.
void ims_state_of(const struct cache *c, const struct cache_record *r, struct ims_state *out);
// The same octets, as the cache keeps them (loader/app.h, pack).
bool ims_state_pack(struct builder *b, struct cache_state *s, uint8_t *buf);

enum ims_set_state { IMS_SET_NOT_REGISTERED, IMS_SET_UNREGISTERED, IMS_SET_REGISTERED };
enum ims_set_state ims_set_state(const struct ims_state *s, uint8_t set);
bool ims_set_pending(const struct ims_state *s, uint8_t set);
// Is any set registered or unregistered, or any authentication pending?
bool ims_state_any(const struct ims_state *s);
// Devices that have registered the set.
unsigned ims_devices_of(const struct ims_state *s, uint8_t set);
// The pair; NULL: there is none.
const struct ims_pair *ims_pair_find(const struct ims_state *s, uint32_t device, uint8_t set);

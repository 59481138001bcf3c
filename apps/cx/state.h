// The registration state of one IMS subscription (TS 29.228 6.1; procedures D): which S-CSCF serves it, and which of its
// public identities are registered by which of its private ones. Public identities of one implicit registration set share
// their state, so a state names sets. The local database has it as octets in a row; in the cache, what many subscribers
// have in common (the S-CSCF) is shared, and the usual state, one device and one set, costs four octets beside the part's
// own. Pure functions, for workers and the loader.
#pragma once
#include "cache/state.h"
#include "lib/base/wire.h"

#define CX_PAIRS_MAX	   64
#define CX_RESTORATION_MAX 8    // devices whose restoration information is kept
#define CX_STATE_MAX	   (12u << 10)

enum cx_pair_flag {
	CX_REGISTERED = 1,
	CX_UNREGISTERED = 2, // served for unregistered services, or the S-CSCF's name is kept
	CX_PENDING = 4,	     // authentication pending
};

// A private identity and an implicit registration set.
struct cx_pair {
	uint32_t device; // cx_device_of the private identity
	uint8_t set;
	uint8_t flags; // enum cx_pair_flag
};

// SCSCF-Restoration-Info of one device, as it came.
struct cx_restoration {
	uint32_t device;
	struct slice avps;
};

// Slices are borrowed.
struct cx_state {
	struct slice scscf;	  // SIP URI of the S-CSCF; empty: none is assigned
	struct slice host, realm; // the Diameter client that it is; may be empty when only the name is known
	uint32_t time_s;	  // of the last change: later than any before
	bool reassignment;	  // S-CSCF reassignment pending
	unsigned pair_cnt, restoration_cnt;
	struct cx_pair pair[CX_PAIRS_MAX];
	struct cx_restoration restoration[CX_RESTORATION_MAX];
	uint16_t version; // read from the cache: for the CHANGE
};

// A private identity as states name it; never 0. The one that follows from the IMSI is CX_DEVICE_IMSI, whatever the domain.
#define CX_DEVICE_IMSI 1
uint32_t cx_device_of(struct slice private_identity);

// A state of which nothing is to be kept but its time.
bool cx_state_is_empty(const struct cx_state *s);
// Writes the row. An empty state gives no octets, unless its time must be kept for other nodes on one upstream. w->err: it
// does not fit.
void cx_state_put(struct wr *w, const struct cx_state *s, bool keep_time);
// false: not the octets of a state; *out is empty.
bool cx_state_get(struct slice body, struct cx_state *out);
// From the cache. Without a state *out is empty, its version 0.
void cx_state_of(const struct cache *c, const struct cache_record *r, struct cx_state *out);
// The same octets, as the cache keeps them (loader/app.h, pack).
bool cx_state_pack(struct builder *b, struct cache_state *s, uint8_t *buf);

enum cx_set_state { CX_SET_NOT_REGISTERED, CX_SET_UNREGISTERED, CX_SET_REGISTERED };
enum cx_set_state cx_set_state(const struct cx_state *s, uint8_t set);
bool cx_set_pending(const struct cx_state *s, uint8_t set);
// Is any set registered or unregistered, or any authentication pending?
bool cx_any(const struct cx_state *s);
// Devices that have registered the set.
unsigned cx_devices_of(const struct cx_state *s, uint8_t set);
// The pair; NULL: there is none.
const struct cx_pair *cx_pair_find(const struct cx_state *s, uint32_t device, uint8_t set);

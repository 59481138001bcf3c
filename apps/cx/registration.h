// What MAR, SAR, UAR and an operator do to the registration state of an IMS subscription (TS 29.228 6.1; procedures D):
// from a state and a request to the next state, the answer, and the S-CSCFs that must be told. Pure functions.
#pragma once
#include "apps/ims/user.h"
#include "apps/ims/state.h"

// Server-Assignment-Type (TS 29.229 6.3.15)
enum cx_assignment {
	CX_NO_ASSIGNMENT = 0,
	CX_REGISTRATION = 1,
	CX_RE_REGISTRATION = 2,
	CX_UNREGISTERED_USER = 3,
	CX_TIMEOUT_DEREGISTRATION = 4,
	CX_USER_DEREGISTRATION = 5,
	CX_TIMEOUT_DEREGISTRATION_STORE = 6,
	CX_USER_DEREGISTRATION_STORE = 7,
	CX_ADMINISTRATIVE_DEREGISTRATION = 8,
	CX_AUTHENTICATION_FAILURE = 9,
	CX_AUTHENTICATION_TIMEOUT = 10,
	CX_DEREGISTRATION_TOO_MUCH_DATA = 11,
	CX_ASSIGNMENT_CNT
};

// Reason-Code of RTR (TS 29.229 6.3.17)
enum cx_reason {
	CX_PERMANENT_TERMINATION = 0,
	CX_NEW_SERVER_ASSIGNED = 1,
	CX_SERVER_CHANGE = 2,
	CX_REMOVE_SCSCF = 3,
	CX_REASON_CNT
};

struct cx_server {
	struct slice scscf; // SIP URI
	struct slice host, realm;
};

#define CX_TERMINATE_MAX 12 // as a CHANGE has room for

// An RTR that must follow.
#define CX_ALL_SETS 256
struct cx_terminate {
	enum cx_reason reason;
	uint32_t device; // which private identity
	uint16_t set;	 // whose public identities are listed; CX_ALL_SETS: of several
	struct slice host, realm;
};

// What a request does. `next` borrows from the state before and from the request.
struct cx_decision {
	struct ims_state next;
	bool changed; // next differs from the state before
	uint32_t result;
	bool experimental;
	bool profile;	  // the answer holds the user's data
	bool server_name; // it names the S-CSCF that is assigned
	bool restoration; // it holds what is kept for the restoration of an S-CSCF
	struct cx_terminate terminate[CX_TERMINATE_MAX];
	unsigned terminate_cnt;
};

// MAR: this S-CSCF is about to authenticate the user (D2 step 5).
void cx_authenticate(const struct ims_state *now, uint32_t device, uint8_t set, const struct cx_server *by, uint32_t time_s,
		     struct cx_decision *d);

struct cx_assign {
	enum cx_assignment type;
	uint32_t device; // 0: the request has no User-Name
	uint32_t only_device; // the subscription's only or first private identity
	uint8_t set[IMS_PUBLICS_MAX]; // those of the public identities
	unsigned set_cnt; // 0: the request names none: all of the device's
	struct cx_server by;
	struct slice restoration; // SCSCF-Restoration-Info, whole AVPs; empty: none
	bool can_restore;	  // both sides have the feature
	bool multiple;		  // Multiple-Registration-Indication
	bool keep_server;	  // our policy for the ..._STORE types
	uint32_t time_s;
};
// SAR (D3 step 5).
void cx_assign(const struct ims_state *now, const struct cx_assign *q, struct cx_decision *d);

// The HSS ends registrations: of one device (0: all) and one set (-1: all), with this reason; tells the S-CSCF.
void cx_deregister(const struct ims_state *now, uint32_t device, int set, enum cx_reason reason, uint32_t time_s,
		   struct cx_decision *d);

// The purposes of Cx's HSS-initiated requests; kept in rows.
enum cx_purpose {
	CX_PUSH = 1,
	CX_TERMINATE = 2,
};
// The `data` of a row: what an RTR says that the state does not (any more), at most 255 octets; of a PPR the set.
#define CX_ROW_MAX 255
#define CX_PUSH_SECRET 1 // a password has changed: the PPR brings the new digest
struct cx_row {
	uint8_t reason; // enum cx_reason; of a PPR: CX_PUSH_SECRET
	uint16_t set; // of an RTR: or CX_ALL_SETS
	uint32_t device;
	uint32_t time_s;	// of the state that the row follows from: an RTR is overtaken by a newer registration there
	struct slice user;	// the private identity
	struct slice text;	// Reason-Info
};
// false: does not fit (a text that is too long is left out instead).
bool cx_row_put(struct wr *w, const struct cx_row *row);
bool cx_row_get(struct slice data, struct cx_row *out);
// Of two requests of one purpose for one node, does the newer say all that the older would (loader/app.h)? An RTR is of one
// private identity and set, a PPR of one set, and may be the one that brings a new password.
bool cx_row_replaces(uint8_t purpose, struct slice newer, struct slice older, struct wr *joined);

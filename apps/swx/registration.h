// What MAR, SAR and an operator do to a user's registration over non-3GPP access (TS 29.273 8.1.2; procedures F): from a state
// and a request to the next state, the answer, and whether the former AAA server must be told. Pure functions.
#pragma once
#include "apps/swx/state.h"

// Server-Assignment-Type (TS 29.229 6.3.15), those that TS 29.273 8.1.2.2 has
enum swx_assignment {
	SWX_REGISTRATION = 1,
	SWX_TIMEOUT_DEREGISTRATION = 4,
	SWX_USER_DEREGISTRATION = 5,
	SWX_ADMINISTRATIVE_DEREGISTRATION = 8,
	SWX_AUTHENTICATION_FAILURE = 9,
	SWX_AUTHENTICATION_TIMEOUT = 10,
	SWX_USER_DATA_REQUEST = 12,
	SWX_PGW_UPDATE = 13,
	SWX_RESTORATION = 14,
	SWX_ASSIGNMENT_CNT
};

// Reason-Code of RTR (TS 29.229 6.3.17)
enum swx_reason { SWX_PERMANENT_TERMINATION = 0, SWX_NEW_SERVER_ASSIGNED = 1 };

struct swx_server {
	struct slice host, realm;
};

// What a request does. `next` borrows from the state before and from the request.
struct swx_decision {
	struct swx_state next;
	bool changed; // next differs from the state before
	uint32_t result;
	bool experimental;
	bool profile;	  // the answer holds the user's data
	bool server_name; // it names the AAA server that is stored
	bool terminate;	  // the server of before gets an RTR
	enum swx_reason reason;
};

// MAR: this server is about to authenticate the user (F1 steps 5 and 8). `failed`: it says that the server of before has
// failed (AAA-Failure-Indication).
void swx_authenticate(const struct swx_state *now, const struct swx_server *by, bool failed, uint32_t time_s,
		      struct swx_decision *d);

struct swx_assign {
	enum swx_assignment type;
	struct swx_server by;
	bool repeated;	  // the request has the T flag
	bool may_use;	  // non-3GPP access is allowed to the user, with one APN at least
	struct gateways gateways; // what the request says of PDN-GWs; one without `info` is not used any more
	uint32_t time_s;
};
// Is this the server that is stored?
bool swx_serves(const struct swx_state *now, const struct swx_server *by);
// SAR (F2).
void swx_assign(const struct swx_state *now, const struct swx_assign *q, struct swx_decision *d);

// The HSS ends the registration, with this reason, and tells the AAA server.
void swx_deregister(const struct swx_state *now, enum swx_reason reason, uint32_t time_s, struct swx_decision *d);

// The purposes of SWx's HSS-initiated requests; kept in rows.
enum swx_purpose { SWX_PUSH = 1, SWX_TERMINATE = 2 };
// The `data` of a row: the reason, and the time of the state that it follows from. A newer registration there overtakes an RTR.
#define SWX_ROW_LEN 5
struct slice swx_row_put(uint8_t out[SWX_ROW_LEN], enum swx_reason reason, uint32_t time_s);
bool swx_row_get(struct slice data, uint8_t *reason, uint32_t *time_s);

// The peer state machine as data (RFC 6733 5.6): what follows from an event in a state. No I/O, no
// connection.
#include <ctype.h>
#include <stddef.h>
#include "frontend/peer.h"

// A pair without a row is an error of whoever raised the event: everything of that peer is closed.
// clang-format off
static const struct peer_row table[PEER_STATE_CNT][PEER_EVENT_CNT] = {
	[PEER_CLOSED] = {
		[PEER_EV_START] = {PEER_DO_CONNECT, PEER_WAIT_CONN_ACK},
		[PEER_EV_R_CONN_CER] = {PEER_DO_ACCEPT, PEER_R_OPEN},
		[PEER_EV_TIMEOUT] = {PEER_DO_CLOSE, PEER_CLOSED}, // no CER in time
		[PEER_EV_R_DISC] = {PEER_DO_CLOSE, PEER_CLOSED},
		[PEER_EV_STOP] = {PEER_DO_CLOSE, PEER_CLOSED},
	},
	[PEER_WAIT_CONN_ACK] = {
		[PEER_EV_I_CONN_ACK] = {PEER_DO_SEND_CER, PEER_WAIT_I_CEA},
		[PEER_EV_I_CONN_NACK] = {PEER_DO_CLEANUP, PEER_CLOSED},
		[PEER_EV_R_CONN_CER] = {PEER_DO_HOLD, PEER_WAIT_CONN_ACK_ELECT},
		[PEER_EV_TIMEOUT] = {PEER_DO_ERROR, PEER_CLOSED},
		[PEER_EV_STOP] = {PEER_DO_CLEANUP, PEER_CLOSED},
	},
	[PEER_WAIT_I_CEA] = {
		[PEER_EV_I_CEA] = {PEER_DO_PROCESS_CEA, PEER_I_OPEN},
		[PEER_EV_R_CONN_CER] = {PEER_DO_HOLD_ELECT, PEER_WAIT_RETURNS},
		[PEER_EV_I_DISC] = {PEER_DO_CLOSE, PEER_CLOSED},
		[PEER_EV_I_NON_CEA] = {PEER_DO_ERROR, PEER_CLOSED},
		[PEER_EV_TIMEOUT] = {PEER_DO_ERROR, PEER_CLOSED},
		[PEER_EV_STOP] = {PEER_DO_CLEANUP, PEER_CLOSED},
	},
	[PEER_WAIT_CONN_ACK_ELECT] = {
		[PEER_EV_I_CONN_ACK] = {PEER_DO_CER_ELECT, PEER_WAIT_RETURNS},
		[PEER_EV_I_CONN_NACK] = {PEER_DO_SEND_R_CEA, PEER_R_OPEN},
		[PEER_EV_R_DISC] = {PEER_DO_CLOSE_R, PEER_WAIT_CONN_ACK},
		[PEER_EV_R_CONN_CER] = {PEER_DO_REJECT, PEER_WAIT_CONN_ACK_ELECT},
		[PEER_EV_TIMEOUT] = {PEER_DO_ERROR, PEER_CLOSED},
		[PEER_EV_STOP] = {PEER_DO_CLEANUP, PEER_CLOSED},
	},
	[PEER_WAIT_RETURNS] = {
		[PEER_EV_WIN_ELECTION] = {PEER_DO_SEND_R_CEA, PEER_R_OPEN},
		[PEER_EV_I_DISC] = {PEER_DO_SEND_R_CEA, PEER_R_OPEN},
		[PEER_EV_I_CEA] = {PEER_DO_CEA_CLOSE_R, PEER_I_OPEN},
		[PEER_EV_R_DISC] = {PEER_DO_CLOSE_R, PEER_WAIT_I_CEA},
		[PEER_EV_R_CONN_CER] = {PEER_DO_REJECT, PEER_WAIT_RETURNS},
		[PEER_EV_TIMEOUT] = {PEER_DO_ERROR, PEER_CLOSED},
		[PEER_EV_STOP] = {PEER_DO_CLEANUP, PEER_CLOSED},
	},
	[PEER_R_OPEN] = {
		[PEER_EV_MESSAGE] = {PEER_DO_PROCESS, PEER_R_OPEN},
		[PEER_EV_DWR] = {PEER_DO_SEND_DWA, PEER_R_OPEN},
		[PEER_EV_DWA] = {PEER_DO_PROCESS_DWA, PEER_R_OPEN},
		[PEER_EV_R_CONN_CER] = {PEER_DO_REJECT, PEER_R_OPEN},
		[PEER_EV_CER_AGAIN] = {PEER_DO_REFUSE_CER, PEER_CLOSED},
		[PEER_EV_STOP] = {PEER_DO_SEND_DPR, PEER_CLOSING},
		[PEER_EV_DPR] = {PEER_DO_SEND_DPA, PEER_CLOSING},
		[PEER_EV_DPA] = {PEER_DO_NOTHING, PEER_R_OPEN}, // to no DPR of ours
		[PEER_EV_R_DISC] = {PEER_DO_CLOSE, PEER_CLOSED},
	},
	[PEER_I_OPEN] = {
		[PEER_EV_MESSAGE] = {PEER_DO_PROCESS, PEER_I_OPEN},
		[PEER_EV_DWR] = {PEER_DO_SEND_DWA, PEER_I_OPEN},
		[PEER_EV_DWA] = {PEER_DO_PROCESS_DWA, PEER_I_OPEN},
		[PEER_EV_R_CONN_CER] = {PEER_DO_REJECT, PEER_I_OPEN},
		[PEER_EV_CER_AGAIN] = {PEER_DO_REFUSE_CER, PEER_CLOSED},
		[PEER_EV_STOP] = {PEER_DO_SEND_DPR, PEER_CLOSING},
		[PEER_EV_DPR] = {PEER_DO_SEND_DPA, PEER_CLOSING},
		[PEER_EV_DPA] = {PEER_DO_NOTHING, PEER_I_OPEN},
		[PEER_EV_I_DISC] = {PEER_DO_CLOSE, PEER_CLOSED},
	},
	[PEER_CLOSING] = {
		[PEER_EV_DPA] = {PEER_DO_CLOSE, PEER_CLOSED},
		[PEER_EV_TIMEOUT] = {PEER_DO_CLOSE, PEER_CLOSED},
		[PEER_EV_R_DISC] = {PEER_DO_CLOSE, PEER_CLOSED},
		[PEER_EV_I_DISC] = {PEER_DO_CLOSE, PEER_CLOSED},
		// both sides may say DPR at once, and what was on its way before the DPR still comes (RFC 6733 5.4)
		[PEER_EV_DPR] = {PEER_DO_SEND_DPA, PEER_CLOSING},
		[PEER_EV_DWR] = {PEER_DO_SEND_DWA, PEER_CLOSING},
		[PEER_EV_DWA] = {PEER_DO_PROCESS_DWA, PEER_CLOSING},
		[PEER_EV_MESSAGE] = {PEER_DO_PROCESS, PEER_CLOSING},
		[PEER_EV_STOP] = {PEER_DO_NOTHING, PEER_CLOSING},
		// the peer comes back before its old connection is down
		[PEER_EV_R_CONN_CER] = {PEER_DO_ACCEPT, PEER_R_OPEN},
	},
};
// clang-format on

struct peer_row peer_step(enum peer_state state, enum peer_event event)
{
	if ((unsigned)state >= PEER_STATE_CNT || (unsigned)event >= PEER_EVENT_CNT)
		return (struct peer_row){PEER_DO_ERROR, PEER_CLOSED};
	return table[state][event];
}

const char *peer_state_name(enum peer_state state)
{
	static const char *const name[PEER_STATE_CNT] = {
	    "closed",       "wait-conn-ack", "wait-i-cea", "wait-conn-ack-elect",
	    "wait-returns", "open",          "open",       "closing",
	};
	return (unsigned)state < PEER_STATE_CNT ? name[state] : "unknown";
}

bool peer_election_won(const char *own_host, const char *peer_host)
{
	for (size_t i = 0;; i++) {
		int own = tolower((unsigned char)own_host[i]), peer = tolower((unsigned char)peer_host[i]);
		// the longer one is the greater when the other is its beginning
		if (own != peer)
			return own > peer;
		if (own == 0)
			return false;
	}
}

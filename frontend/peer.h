// The peer state machine of RFC 6733 5.6 as a table (states x events -> action, next state), and what its
// actions do on a connection, accepted (Closed until its CER) or opened by dial.c (Wait-Conn-Ack,
// Wait-I-CEA): capabilities exchange, watchdog, disconnect. Runs in hss-frontend.
//
// Elections are decided as soon as both sides are known, see dial.h: the states Wait-Conn-Ack/Elect and
// Wait-Returns of the table are passed through at once.
//
// The same Origin-Host twice: as responder without a connection of our own there is nothing to elect between,
// so the Open row decides: R-Conn-CER is rejected (CEA 4003), the old connection stays. If the old one is
// dead, the rejected CER makes us find out: it is probed with a DWR at once, and a connection whose watchdog
// is in SUSPECT gives way, at this frontend or at another one (it leaves the directory). A suspect that comes
// back when it was replaced is closed.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/diameter/base.h"

struct conn;

enum peer_state {
	PEER_CLOSED,
	PEER_WAIT_CONN_ACK,
	PEER_WAIT_I_CEA,
	PEER_WAIT_CONN_ACK_ELECT,
	PEER_WAIT_RETURNS,
	PEER_R_OPEN,
	PEER_I_OPEN,
	PEER_CLOSING,
	PEER_STATE_CNT
};

enum peer_event {
	PEER_EV_START,      // we want a connection
	PEER_EV_R_CONN_CER, // a CER on an accepted connection
	PEER_EV_I_CONN_ACK, // our connection is up
	PEER_EV_I_CONN_NACK,
	PEER_EV_I_CEA,
	PEER_EV_I_NON_CEA,
	PEER_EV_I_DISC, // our connection was closed
	PEER_EV_R_DISC, // the accepted one was closed
	PEER_EV_WIN_ELECTION,
	PEER_EV_TIMEOUT,
	PEER_EV_MESSAGE,   // a request of an application, or any answer to one
	PEER_EV_CER_AGAIN, // a second CER on an open connection
	PEER_EV_DWR,
	PEER_EV_DWA,
	PEER_EV_DPR,
	PEER_EV_DPA,
	PEER_EV_STOP, // we stop
	PEER_EVENT_CNT
};

enum peer_action {
	PEER_DO_ERROR = 0, // no row: close everything of this peer
	PEER_DO_NOTHING,
	PEER_DO_CONNECT,
	PEER_DO_SEND_CER,
	PEER_DO_ACCEPT,     // take the connection, process the CER, send the CEA
	PEER_DO_HOLD,       // take the connection, process the CER, no CEA yet
	PEER_DO_HOLD_ELECT, // ... and elect
	PEER_DO_CER_ELECT,  // send a CER on ours, elect
	PEER_DO_REJECT,     // refuse the new connection
	PEER_DO_SEND_R_CEA, // close ours, answer on the accepted one
	PEER_DO_PROCESS_CEA,
	PEER_DO_CEA_CLOSE_R, // process the CEA on ours, close the accepted one
	PEER_DO_CLOSE_R,
	PEER_DO_CLEANUP,
	PEER_DO_CLOSE,
	PEER_DO_PROCESS,
	PEER_DO_REFUSE_CER, // answer a repeated CER 5012 and close
	PEER_DO_SEND_DWA,
	PEER_DO_PROCESS_DWA,
	PEER_DO_SEND_DPR,
	PEER_DO_SEND_DPA,
	PEER_ACTION_CNT
};

struct peer_row {
	uint8_t action; // enum peer_action
	uint8_t next;   // enum peer_state
};

struct peer_row peer_step(enum peer_state state, enum peer_event event);
const char *peer_state_name(enum peer_state state);

// The election when both sides have connected at once (RFC 6733 5.6.4). true: our own host is the greater
// octet string, case folded; we keep the accepted connection.
bool peer_election_won(const char *own_host, const char *peer_host);

// ---- what happens on a connection
void peer_connected(struct conn *c, uint64_t now_ms);
// For a connection that we opened: it is being connected; it is connected, and the CER is sent.
void peer_dialling(struct conn *c, uint64_t now_ms);
void peer_established(struct conn *c);
void peer_message(struct conn *c, const uint8_t *msg, uint32_t len);
// At least one message came with this read (RFC 3539: any message resets Tw).
void peer_heard(struct conn *c);
// One of its pending requests has been answered. A peer that only waited for its last answer is closed.
void peer_answered(struct conn *c);
void peer_timeout(struct conn *c);
void peer_watchdog(struct conn *c, uint64_t now_ms);
// Ends the connection from our side: DPR with this cause, and some seconds for the DPA.
void peer_stop(struct conn *c, enum base_disconnect_cause cause);
// The connection ends; takes the peer out of the directory. May be called again.
void peer_gone(struct conn *c, const char *why);
// Brings the directory's counters up to date.
void peer_publish(struct conn *c);
bool peer_is_open(const struct conn *c);

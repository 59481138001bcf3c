// The watchdog of one connection (RFC 3539 3.4.1): pure state, no I/O. The caller tells what happened and
// does what the returned actions say. Times are monotonic milliseconds.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum watchdog_state { WATCHDOG_INITIAL, WATCHDOG_OKAY, WATCHDOG_SUSPECT, WATCHDOG_DOWN, WATCHDOG_REOPEN };

enum watchdog_action {
	WATCHDOG_SEND_DWR = 1,
	WATCHDOG_FAILOVER = 2, // send no HSS-initiated requests there any more
	WATCHDOG_FAILBACK = 4,
	WATCHDOG_CLOSE = 8,
	WATCHDOG_OPEN = 16,  // try to connect (connections that we open)
	WATCHDOG_THROW = 32, // do not serve this message (REOPEN)
};

struct watchdog {
	uint64_t deadline_ms; // when Tw expires
	uint64_t random;      // state of the jitter
	uint32_t tw_ms;       // Twinit
	int8_t num_dwa;
	bool pending; // a DWR is unanswered
	uint8_t state;
};

// `tw_ms`: Twinit, at least 6 s (RFC 3539 3.4.1). `seed` makes the jitter differ between connections.
void watchdog_init(struct watchdog *w, uint32_t tw_ms, uint64_t seed);

// Each returns a set of enum watchdog_action.
unsigned watchdog_up(struct watchdog *w, uint64_t now_ms);   // the peer has been accepted
unsigned watchdog_down(struct watchdog *w, uint64_t now_ms); // the connection is gone
// A message came from the peer. `dwa`: it is the answer to our DWR.
unsigned watchdog_receive(struct watchdog *w, uint64_t now_ms, bool dwa);
// Tw expired: call when now has reached deadline_ms.
unsigned watchdog_expire(struct watchdog *w, uint64_t now_ms);
// Asks for a DWR out of turn, because this connection may be dead (its peer has come on another one).
// WATCHDOG_SEND_DWR when none is pending.
unsigned watchdog_probe(struct watchdog *w, uint64_t now_ms);

const char *watchdog_state_name(enum watchdog_state state);

// Connections that this HSS opens to peers of peers.list with `connect: true` (a DRA, a CSCF). Runs in
// hss-frontend; with several frontends each dials its share of the list.
//
// With peers.dial_back the peers that hssd remembers from before a restart are dialled too, for ten minutes
// or until they were here: at the address of their CER and at the one that they came from, in turn.
//
// A peer that is not connected is dialled; after a failure, or when the connection ends, again after a delay
// that doubles from 1 s to 30 s, each a quarter longer or shorter by chance. A peer that is connected by
// itself is left alone. RFC 6733 5.4.3: after DO_NOT_WANT_TO_TALK_TO_YOU, from either side, it is not dialled
// until a reload; after BUSY in 30 s at the earliest.
//
// The election (RFC 6733 5.6.4): a CER comes from a peer that we are dialling. If we are not connected yet,
// or our identity is the greater one, our attempt is given up and the CER accepted. Otherwise the CER is
// refused with 4003: the peer wins the election on its side, too, and expects that answer.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/wire.h"
#include "lib/diameter/base.h"

struct conn;
struct frontend;

// How far we are with one peer of peers.list that is not connected.
struct dial_status {
	bool dialled;       // we connect to it, unless it has given_up
	bool given_up;      // until a reload
	bool connecting;    // there is a connection that is not a peer yet
	uint32_t next_ms;   // until the next attempt
	const char *reason; // why the last attempt or connection ended; "" when there was none. The dialer's.
};

// 0 or a negative errno.
int dial_new(struct frontend *fe) MUST_USE;
void dial_free(struct frontend *fe);
// Takes the peers to dial from the configuration. Connected peers stay.
void dial_configure(struct frontend *fe);
// Dials the peers that are due. Called every FRONTEND_TICK_MS.
void dial_tick(struct frontend *fe, uint64_t now_ms);
// The connection to this host that is being set up, NULL when there is none.
struct conn *dial_pending(struct frontend *fe, struct slice host);
// Where a peer says that it listens: the first address of its CER (or CEA) that can be reached from here. "": none.
void dial_listens(const struct conn *c, const struct base_cer *cer, char out[64]);
// The host that this connection was dialled for.
const char *dial_host(const struct conn *c);
// Events of a dialled connection: it became a peer; a DPR with this cause was received or sent; it ended.
void dial_up(struct conn *c);
void dial_leave(struct conn *c, uint32_t cause);
void dial_gone(struct conn *c, const char *why);
// The state of peers.list[i].
struct dial_status dial_status(const struct frontend *fe, uint32_t i, uint64_t now_ms);

// A thread for the steps of TLS handshakes, which cost a thousand times what a message does: they would make
// everybody else wait for as long. Runs in hss-frontend, at a lower priority than its event loop.
//
// One step at a time. The loop keeps the connections that are to have one, first come first served, and hands
// the next transport over when the thread has returned the last one. Who is listed or handed over is neither
// read nor written by the loop (conn.c), so that a transport belongs to one thread at any time, and nothing
// but that handing over needs a lock. What a transport's step touches besides is its own thread's
// (transport_tls.c, tls.c).
#pragma once
#include <stdbool.h>
#include "lib/base/err.h"

struct conn;
struct frontend;
struct handshake;

// Starts the thread; before the sandbox, and after the frontend's tables are there. 0 or a negative errno.
// Without it the loop takes the steps itself.
int handshake_start(struct frontend *fe) MUST_USE;
void handshake_stop(struct frontend *fe);

// The connection's next recv or establish is a step: conn_shaken follows from the loop. false: no thread is
// there.
bool handshake_take(struct conn *c);
// The connection is to be closed: waits for a step that has begun (some milliseconds at most, and rare).
void handshake_give_up(struct conn *c);

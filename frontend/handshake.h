// A thread for the steps of TLS handshakes. One step costs a thousand times what a message does; in the event
// loop it would hold up all other peers. Runs in hss-frontend, at a lower priority than its event loop.
//
// It takes one step at a time. The loop queues the connections that need one, first come first served, and
// hands over the next transport when the thread has returned the last one. The loop neither reads nor writes
// a connection that is queued or handed over (conn.c), so a transport belongs to one thread at any time and
// only the hand-over needs a lock. Everything else that a step touches belongs to its thread alone
// (transport_tls.c, tls.c).
#pragma once
#include <stdbool.h>
#include "lib/base/err.h"

struct conn;
struct frontend;
struct handshake;

// Starts the thread: after the frontend's tables are made, before the sandbox. 0 or a negative errno. Without
// the thread the loop takes the steps itself.
int handshake_start(struct frontend *fe) MUST_USE;
void handshake_stop(struct frontend *fe);

// The connection's next recv or establish is a step: the thread takes it, and the loop calls conn_shaken
// afterwards. false: there is no thread.
bool handshake_take(struct conn *c);
// The connection is being closed: waits until the thread has left it (some milliseconds at most, and rarely).
void handshake_give_up(struct conn *c);

// Requests of our own: CLR now (TS 29.272 5.2.1.2). The loader has stored them; a worker composes them, sends
// them through the frontend that holds the peer, and tells the loader how it ended.
#pragma once
#include "lib/base/err.h"
#include "lib/ipc/messages.h"

struct worker;
struct own; // opaque, heap

struct own *own_new(void);
void own_free(struct own **o);

// A stored CLR (DELIVER): sent when its node is a connected peer, otherwise reported as DELIVERED_UNSENT at
// once.
void own_deliver(struct worker *w, const struct ipc_hdr *hdr, const uint8_t *body);
// How a request of ours ended (OWN_ANSWER).
void own_answered(struct worker *w, const struct ipc_hdr *hdr, const uint8_t *body);
// A frontend died: what was on its way through it needs another one.
void own_frontend_lost(struct worker *w, unsigned frontend);

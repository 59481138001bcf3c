// Requests on their way to workers and back (laws 3, 9): which worker serves a subscriber, and the table of
// what is pending, where each request ends with exactly one answer: the worker's, or our own 3004 when the
// worker died, took too long, or could not be asked. Runs in hss-frontend.
//
// The table is allocated at start (ROUTE_PENDING_MAX entries); an entry's number and generation are the
// message id that the answer carries back, so that a late answer finds nothing. Pending entries form a list
// in order of arrival: the time-out looks at its head only. Each entry keeps what an answer of ours needs:
// header, Session-Id and the Proxy-Infos of the request, up to ROUTE_STUB_MAX octets.
#pragma once
#include "frontend/frontend.h"
#include "lib/diameter/grammar.h"

#define ROUTE_PENDING_MAX 65536u
#define ROUTE_STUB_MAX    512u

struct route *route_new(void);
void route_free(struct route **r);

// Can a further request of this peer be taken now? If not, it is answered 3004.
bool route_has_room(const struct frontend *fe, const struct conn *c);
// Sends a checked request to its worker. false: no worker can take it now (3004).
bool route_request(struct frontend *fe, struct conn *c, const struct command *cmd, const uint8_t *msg,
		   uint32_t len, const struct avp_slot *slots);
// ANSWER from a worker.
void route_answer(struct frontend *fe, struct frontend_worker *w, const struct ipc_hdr *hdr,
		  const uint8_t *body);
// Answers 3004 to all requests that this worker has.
void route_worker_lost(struct frontend *fe, uint32_t worker);
// Answers 3004 to requests that have waited longer than request_timeout_ms.
void route_tick(struct frontend *fe, uint64_t now_us);
uint32_t route_pending(const struct frontend *fe);

// Answers a request at once with this verdict; counted under `cmd` (or NULL).
void route_refuse(struct frontend *fe, struct conn *c, const struct command *cmd, const uint8_t *msg,
		  uint32_t len, const struct verdict *v, const char *why);
// Counts a request that was answered here with this Result-Code (the base protocol's).
void route_count(struct frontend *fe, unsigned command, uint32_t result);

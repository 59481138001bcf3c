// Requests of our own (CLR): a worker hands them over, the frontend that holds the peer sends them under a
// Hop-by-Hop of its own and tells the worker how each one ended: answered, not sent, no answer in time,
// connection lost. Bounded: OUTBOUND_MAX on their way, further ones are refused (OWN_NOT_SENT). Runs in
// hss-frontend.
#pragma once
#include "lib/ipc/channel.h"

#define OUTBOUND_MAX 4096

struct conn;
struct frontend;
struct frontend_worker;
struct outbound;

struct outbound *outbound_new(void);
void outbound_free(struct outbound **o);

// OWN_REQUEST from a worker.
void outbound_send(struct frontend *fe, struct frontend_worker *w, const struct ipc_hdr *hdr,
		   const uint8_t *body);
// An answer from a peer. false when it matches no request of ours on this connection (or is malformed):
// dropped.
bool outbound_answer(struct frontend *fe, struct conn *c, const uint8_t *msg, uint32_t len);
void outbound_conn_lost(struct frontend *fe, struct conn *c);
// The worker is gone: nobody waits for these any more.
void outbound_worker_lost(struct frontend *fe, uint32_t worker);
void outbound_tick(struct frontend *fe, uint64_t now_ms);
uint32_t outbound_pending(const struct frontend *fe);

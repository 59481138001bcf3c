// HSS-initiated requests on their way through a frontend. A worker composes the message; the frontend that
// holds the peer's connection sends it with a Hop-by-Hop identifier of its own, and tells the worker how it
// ended: answered, not sent, no answer in time, connection lost. At most HSS_REQUESTS_MAX are on their way;
// further ones are refused (HSS_NOT_SENT). Runs in hss-frontend.
#pragma once
#include "lib/ipc/channel.h"

#define HSS_REQUESTS_MAX 4096

struct conn;
struct frontend;
struct frontend_worker;
struct hss_sent;

struct hss_sent *hss_sent_new(void);
void hss_sent_free(struct hss_sent **o);

// HSS_REQUEST of a worker.
void hss_sent_send(struct frontend *fe, struct frontend_worker *w, const struct ipc_hdr *hdr,
		   const uint8_t *body);
// An answer from a peer. false: it matches no HSS-initiated request on this connection, or it is malformed;
// it is dropped.
bool hss_sent_answer(struct frontend *fe, struct conn *c, const uint8_t *msg, uint32_t len);
void hss_sent_conn_lost(struct frontend *fe, struct conn *c);
// The worker is gone: its requests are forgotten, since nobody waits for their answers.
void hss_sent_worker_lost(struct frontend *fe, uint32_t worker);
void hss_sent_tick(struct frontend *fe, uint64_t now_ms);
uint32_t hss_sent_pending(const struct frontend *fe);

// `hssctl trace`: the messages about one subject, or of one peer, as they pass this frontend, row by row to
// hss-admin while the call lasts. Runs in hss-frontend. Without a trace it costs a look at frontend.tracing;
// with one, messages are read a second time, and memory is taken for the rows of those that match. Bounded:
// traces, rows, time, rows and octets that the client has not taken; what is too much is left out and
// counted, and no message ever waits.
#pragma once
#include <jansson.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"

#define TRACES_MAX 4

struct channel;
struct conn;
struct frontend;

// 0 or a negative errno.
int trace_new(struct frontend *fe) MUST_USE;
void trace_free(struct frontend *fe);

// Begins a trace for the call `id` of hss-admin. NULL, or why not. `admin` is borrowed until
// trace_cancel_all.
const char *trace_begin(struct frontend *fe, struct channel *admin, uint64_t id, const json_t *args);
// The client has taken so many rows.
void trace_taken(struct frontend *fe, uint64_t id, uint64_t rows);
// The client went away; the channel to hss-admin did.
void trace_cancel(struct frontend *fe, uint64_t id);
void trace_cancel_all(struct frontend *fe);
// Ends the traces whose time is over, and tells of requests that were never answered.
void trace_tick(struct frontend *fe, uint64_t now_ms);

// A whole message that came, or that was composed for the peer. Call them when frontend.tracing is not 0
// only; the reason of an answer is in frontend.trace_why.
void trace_in(struct conn *c, const uint8_t *msg, uint32_t len);
void trace_out(struct conn *c, const uint8_t *msg, uint32_t len);

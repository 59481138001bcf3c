// Counters of the control segment as Prometheus text, and as rows for `hssctl stats`. hss-admin; reads only.
#pragma once
#include <event2/buffer.h>
#include <jansson.h>
#include "cache/control.h"

// Appends the whole exposition (text format 0.0.4).
void metrics_write(struct evbuffer *out, const struct control *c);
// Calls row(ctx, {"metric":..,"labels":..,"value":..}) for every counter, summed over the processes; answers
// and requests only where they are not zero. The callback owns the row.
void metrics_rows(const struct control *c, void (*row)(void *ctx, json_t *row_taken), void *ctx);
// How many entries of the directory of peers are in this state.
unsigned metrics_peers(const struct control *c, enum peer_slot_state state);

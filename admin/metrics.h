// Counters of the control segment as Prometheus text, and as rows for `hssctl stats`. hss-admin; reads only.
#pragma once
#include <event2/buffer.h>
#include <jansson.h>
#include "cache/control.h"
#include "config/config.h"

// Appends the whole exposition (text format 0.0.4).
void metrics_write(struct evbuffer *out, const struct control *c);
// Calls row(ctx, {"metric":..,"labels":..,"value":..}) for every counter, summed over the processes; answers
// and requests only where they are not zero. The callback owns the row.
void metrics_rows(const struct control *c, void (*row)(void *ctx, json_t *row_taken), void *ctx);
// The sum of this counter over the processes.
json_int_t metrics_sum(const struct control *c, enum stat_id id);
// Is a peer with this hash of its Origin-Host connected and open?
bool metrics_peer_open(const struct control *c, uint64_t host_hash);
// How many peers of peers.list, patterns apart, are connected; *listed: how many there are.
unsigned metrics_peers_listed(const struct control *c, const struct config *config, unsigned *listed);
// How many entries of the directory of peers are in this state.
unsigned metrics_peers(const struct control *c, enum peer_slot_state state);

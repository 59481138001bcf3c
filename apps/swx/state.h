// Which 3GPP AAA server serves a user over non-3GPP access, and the PDN-GWs that it has told of (TS 29.273 8.1.2). The local
// database has it as octets in a row; in the cache the server, which many subscribers have in common, is shared. Pure
// functions, for workers and the loader.
#pragma once
#include "apps/gateways.h"
#include "cache/state.h"
#include "lib/base/wire.h"

#define SWX_GATEWAYS_MAX     16
#define SWX_GATEWAY_INFO_MAX 256 // octets of MIP6-Agent-Info that are kept
#define SWX_STATE_MAX	     (16 + 2 * 258 + SWX_GATEWAYS_MAX * (GATEWAY_APN_MAX + SWX_GATEWAY_INFO_MAX + 3))

enum swx_flag {
	SWX_PENDING = 1, // the server has asked for vectors: authentication pending
	SWX_REGISTERED = 2,
	SWX_ELSEWHERE = 4, // at another node on the same upstream, which tells the server of changes; not written there
};

// Slices are borrowed.
struct swx_state {
	struct slice host, realm; // the AAA server; empty: none is stored
	uint8_t flags;		  // enum swx_flag
	uint32_t time_s;	  // of the last change: later than any before
	struct gateways gateways;
	uint16_t version; // read from the cache: for the CHANGE
};

// Writes the row. Without a server there are no octets, unless the time must be kept for other nodes on one upstream.
// w->err: it does not fit.
void swx_state_put(struct wr *w, const struct swx_state *s, bool keep_time);
// false: not the octets of a state; *out is empty.
bool swx_state_get(struct slice body, struct swx_state *out);
// From the cache. Without a state *out is empty, its version 0.
void swx_state_of(const struct cache *c, const struct cache_record *r, struct swx_state *out);
// The same octets, as the cache keeps them (loader/app.h, pack).
bool swx_state_pack(struct builder *b, struct cache_state *s, uint8_t *buf);

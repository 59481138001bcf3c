// The 20-octet Diameter header (RFC 6733 3).
#pragma once
#include "lib/base/err.h"
#include "lib/base/wire.h"

#define DIAMETER_HEADER_LEN 20
#define DIAMETER_VERSION    1

enum header_flag {
	HEADER_R = 0x80, // request
	HEADER_P = 0x40, // proxiable
	HEADER_E = 0x20, // error
	HEADER_T = 0x10, // potentially retransmitted
};

enum app_id {
#define APP_ID(name, number, interface, word) APP_##name = (number),
#include "lib/diameter/applications.def"
#undef APP_ID
};
#define APP_RELAY 0xffffffffu
#define VENDOR_3GPP 10415

struct header {
	uint32_t len; // whole message
	uint8_t version;
	uint8_t flags;
	uint32_t code; // 24 bits
	uint32_t app;
	uint32_t hop_by_hop;
	uint32_t end_to_end;
};

// Reads the header of a message of at least 20 octets; checks nothing.
static inline void header_get(const uint8_t *p, struct header *h)
{
	h->version = p[0];
	h->len = be24_get(p + 1);
	h->flags = p[4];
	h->code = be24_get(p + 5);
	h->app = be32_get(p + 8);
	h->hop_by_hop = be32_get(p + 12);
	h->end_to_end = be32_get(p + 16);
}

// Appends a header with length 0; header_finish sets the length when the message is complete.
static inline void header_begin(struct wr *w, uint8_t flags, uint32_t code, uint32_t app, uint32_t hop_by_hop,
				uint32_t end_to_end)
{
	uint8_t *p = wr_reserve(w, DIAMETER_HEADER_LEN);
	if (!p)
		return;
	be32_put(p, (uint32_t)DIAMETER_VERSION << 24);
	be32_put(p + 4, (uint32_t)flags << 24 | code);
	be32_put(p + 8, app);
	be32_put(p + 12, hop_by_hop);
	be32_put(p + 16, end_to_end);
}

// `start`: where header_begin wrote (offset into the writer). Refuses messages of 2^24 octets and more.
static inline void header_finish(struct wr *w, size_t start)
{
	size_t len = wr_len(w) - start;
	if (w->err || len > 0xffffff) {
		w->err = true;
		return;
	}
	be24_put(w->base + start + 1, (uint32_t)len);
}

#define HEADER_HBH_OFFSET 12

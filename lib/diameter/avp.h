// One AVP at a time (RFC 6733 4.1): walking a message or a group, and appending. A grouped AVP is a child slice
// that is walked in the same way. Reading never looks past the slice that it was given.
#pragma once
#include "lib/base/wire.h"

enum avp_flag { AVP_V = 0x80, AVP_M = 0x40, AVP_P = 0x20 };

struct avp {
	uint32_t code;
	uint32_t vendor; // 0 when the V bit is clear
	uint8_t flags;
	struct slice data;  // without header and padding
	struct slice whole; // with header, without padding
};

enum avp_walk { AVP_WALK_END = 0, AVP_WALK_ONE = 1, AVP_WALK_BROKEN = -1 };

// Takes the next AVP. AVP_WALK_BROKEN when its length is below its header or runs past the slice: `out->whole`
// then holds what is there of its header, and `r` has the sticky error. The padding of the last AVP may be missing.
static inline enum avp_walk avp_next(struct rd *r, struct avp *out)
{
	size_t left = rd_left(r);
	if (left == 0)
		return AVP_WALK_END;
	const uint8_t *p = r->p;
	if (left < 8)
		goto broken;
	uint32_t len = be24_get(p + 5), head = p[4] & AVP_V ? 12 : 8;
	if (len < head || len > left)
		goto broken;
	out->code = be32_get(p);
	out->flags = p[4];
	out->vendor = p[4] & AVP_V ? be32_get(p + 8) : 0;
	out->data = slice_of(p + head, len - head);
	out->whole = slice_of(p, len);
	uint32_t padded = (len + 3) & ~3u;
	r->p += padded > left ? left : padded;
	return AVP_WALK_ONE;
broken:
	out->whole = slice_of(p, left < 12 ? left : 12);
	out->data = (struct slice){0};
	r->err = true;
	return AVP_WALK_BROKEN;
}

// First AVP with this code and vendor in a group or message body; false when there is none (or it is broken).
bool avp_find(struct slice group, uint32_t code, uint32_t vendor, struct avp *out);

// Values of fixed types; false when the length does not fit (the caller's verdict is then 5014).
static inline bool avp_u32(struct slice data, uint32_t *out)
{
	if (data.len != 4)
		return false;
	*out = be32_get(data.p);
	return true;
}

// ---- writing -------------------------------------------------------------------------------------------------
// `flags` are given without V: a vendor other than 0 sets it.

static inline void avp_put_header(struct wr *w, uint32_t code, uint32_t vendor, uint8_t flags, uint32_t data_len)
{
	uint32_t head = vendor ? 12 : 8;
	uint8_t *p = wr_reserve(w, head);
	if (!p)
		return;
	be32_put(p, code);
	be32_put(p + 4, (uint32_t)(vendor ? flags | AVP_V : flags) << 24 | (head + data_len));
	if (vendor)
		be32_put(p + 8, vendor);
}

static inline void avp_put(struct wr *w, uint32_t code, uint32_t vendor, uint8_t flags, const void *data, uint32_t len)
{
	avp_put_header(w, code, vendor, flags, len);
	wr_bytes(w, data, len);
	wr_zero(w, -len & 3u);
}

static inline void avp_put_u32(struct wr *w, uint32_t code, uint32_t vendor, uint8_t flags, uint32_t v)
{
	avp_put_header(w, code, vendor, flags, 4);
	wr_u32(w, v);
}

static inline void avp_put_u64(struct wr *w, uint32_t code, uint32_t vendor, uint8_t flags, uint64_t v)
{
	avp_put_header(w, code, vendor, flags, 8);
	wr_u64(w, v);
}

static inline void avp_put_slice(struct wr *w, uint32_t code, uint32_t vendor, uint8_t flags, struct slice s)
{
	avp_put(w, code, vendor, flags, s.p, s.len);
}

// A group: begin, append the children, end. Returns the offset that avp_group_end takes.
static inline size_t avp_group_begin(struct wr *w, uint32_t code, uint32_t vendor, uint8_t flags)
{
	size_t at = wr_len(w);
	avp_put_header(w, code, vendor, flags, 0);
	return at;
}

static inline void avp_group_end(struct wr *w, size_t at)
{
	if (w->err)
		return;
	size_t len = wr_len(w) - at;
	if (len > 0xffffff) {
		w->err = true;
		return;
	}
	be24_put(w->base + at + 5, (uint32_t)len);
}

// Bounded reading and writing of bytes. Every byte that comes from a peer, a sibling process or a file is read
// through `struct rd`, every message is composed through `struct wr`. Both have a sticky error: after the first
// refused operation reads yield zeros and writes do nothing, so that a caller checks once, at the end.
// Numbers on the wire are big-endian. Nothing here allocates or copies behind the caller's back.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Borrowed bytes: valid as long as the buffer they point into.
struct slice {
	const uint8_t *p;
	uint32_t len;
};

struct rd {
	const uint8_t *p;
	const uint8_t *end;
	bool err;
};

struct wr {
	uint8_t *base;
	uint8_t *p;
	uint8_t *end;
	bool err; // something did not fit: the whole message is void
};

static inline struct slice slice_of(const void *p, size_t len)
{
	return (struct slice){.p = p, .len = (uint32_t)len};
}

static inline struct slice slice_str(const char *s)
{
	return slice_of(s, strlen(s));
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

// ASCII case-insensitive, as DiameterIdentity is compared (RFC 6733 4.3.1).
bool slice_eq_nocase(struct slice a, struct slice b);

// NULL + 0 is undefined in C, and empty slices are {NULL, 0}: bytes_end and the steps below look at the length first
// (which compilers turn back into a plain addition).
static inline const uint8_t *bytes_end(const void *p, size_t len)
{
	return len ? (const uint8_t *)p + len : p;
}

static inline struct rd rd_of(const void *p, size_t len)
{
	return (struct rd){.p = p, .end = bytes_end(p, len)};
}

static inline struct rd rd_slice(struct slice s)
{
	return rd_of(s.p, s.len);
}

static inline size_t rd_left(const struct rd *r)
{
	return r->err ? 0 : (size_t)(r->end - r->p);
}

// Takes n bytes, or NULL and the sticky error when fewer are left.
static inline const uint8_t *rd_take(struct rd *r, size_t n)
{
	if (r->err || (size_t)(r->end - r->p) < n) {
		r->err = true;
		return NULL;
	}
	const uint8_t *p = r->p;
	r->p = bytes_end(p, n);
	return p;
}

static inline struct slice rd_bytes(struct rd *r, size_t n)
{
	const uint8_t *p = rd_take(r, n);
	return (struct slice){.p = p, .len = p ? (uint32_t)n : 0};
}

static inline uint8_t rd_u8(struct rd *r)
{
	const uint8_t *p = rd_take(r, 1);
	return p ? p[0] : 0;
}

static inline uint16_t be16_get(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be24_get(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t be32_get(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, 4);
	return __builtin_bswap32(v);
}

static inline uint64_t be64_get(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, 8);
	return __builtin_bswap64(v);
}

static inline void be16_put(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void be24_put(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 16);
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)v;
}

static inline void be32_put(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}

static inline void be64_put(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, 8);
}

static inline uint16_t rd_u16(struct rd *r)
{
	const uint8_t *p = rd_take(r, 2);
	return p ? be16_get(p) : 0;
}

static inline uint32_t rd_u24(struct rd *r)
{
	const uint8_t *p = rd_take(r, 3);
	return p ? be24_get(p) : 0;
}

static inline uint32_t rd_u32(struct rd *r)
{
	const uint8_t *p = rd_take(r, 4);
	return p ? be32_get(p) : 0;
}

static inline uint64_t rd_u64(struct rd *r)
{
	const uint8_t *p = rd_take(r, 8);
	return p ? be64_get(p) : 0;
}

// A string or blob with an 8-bit length before it.
static inline struct slice rd_blob8(struct rd *r)
{
	return rd_bytes(r, rd_u8(r));
}

// The same with a 16-bit length, the form our own messages use.
static inline struct slice rd_blob16(struct rd *r)
{
	return rd_bytes(r, rd_u16(r));
}

static inline struct slice rd_blob32(struct rd *r)
{
	return rd_bytes(r, rd_u32(r));
}

static inline struct wr wr_of(void *p, size_t cap)
{
	return (struct wr){.base = p, .p = p, .end = (uint8_t *)bytes_end(p, cap)};
}

static inline size_t wr_len(const struct wr *w)
{
	return (size_t)(w->p - w->base);
}

static inline size_t wr_room(const struct wr *w)
{
	return w->err ? 0 : (size_t)(w->end - w->p);
}

// Reserves n bytes to fill in later, or NULL and the sticky error.
static inline uint8_t *wr_reserve(struct wr *w, size_t n)
{
	if (w->err || (size_t)(w->end - w->p) < n) {
		w->err = true;
		return NULL;
	}
	uint8_t *p = w->p;
	w->p = (uint8_t *)bytes_end(p, n);
	return p;
}

static inline void wr_bytes(struct wr *w, const void *src, size_t n)
{
	uint8_t *p = wr_reserve(w, n);
	if (p && n)
		memcpy(p, src, n);
}

static inline void wr_slice(struct wr *w, struct slice s)
{
	wr_bytes(w, s.p, s.len);
}

static inline void wr_zero(struct wr *w, size_t n)
{
	uint8_t *p = wr_reserve(w, n);
	if (p && n)
		memset(p, 0, n);
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	uint8_t *p = wr_reserve(w, 1);
	if (p)
		*p = v;
}

static inline void wr_u16(struct wr *w, uint16_t v)
{
	uint8_t *p = wr_reserve(w, 2);
	if (p)
		be16_put(p, v);
}

static inline void wr_u24(struct wr *w, uint32_t v)
{
	uint8_t *p = wr_reserve(w, 3);
	if (p)
		be24_put(p, v);
}

static inline void wr_u32(struct wr *w, uint32_t v)
{
	uint8_t *p = wr_reserve(w, 4);
	if (p)
		be32_put(p, v);
}

static inline void wr_u64(struct wr *w, uint64_t v)
{
	uint8_t *p = wr_reserve(w, 8);
	if (p)
		be64_put(p, v);
}

static inline void wr_blob8(struct wr *w, struct slice s)
{
	if (s.len > UINT8_MAX) {
		w->err = true;
		return;
	}
	wr_u8(w, (uint8_t)s.len);
	wr_slice(w, s);
}

static inline void wr_blob16(struct wr *w, struct slice s)
{
	if (s.len > UINT16_MAX) {
		w->err = true;
		return;
	}
	wr_u16(w, (uint16_t)s.len);
	wr_slice(w, s);
}

static inline void wr_blob32(struct wr *w, struct slice s)
{
	wr_u32(w, s.len);
	wr_slice(w, s);
}

// What has been written so far; empty after an error.
static inline struct slice wr_done(const struct wr *w)
{
	return w->err ? (struct slice){0} : slice_of(w->base, wr_len(w));
}

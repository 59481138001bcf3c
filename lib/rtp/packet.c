// RTP packets and their header extensions, to and from octets.
#include "lib/rtp/rtp.h"

#define HEADER_LEN 12
#define PADDING    0x20
#define EXTENSION  0x10
#define MARKER     0x80

static const struct {
	const char *name;
	unsigned clock;
} payloads[] = {
    [0] = {"PCMU", 8000},   [3] = {"GSM", 8000},    [4] = {"G723", 8000},  [5] = {"DVI4", 8000},   [6] = {"DVI4", 16000},
    [7] = {"LPC", 8000},    [8] = {"PCMA", 8000},   [9] = {"G722", 8000},  [10] = {"L16", 44100},  [11] = {"L16", 44100},
    [12] = {"QCELP", 8000}, [13] = {"CN", 8000},    [14] = {"MPA", 90000}, [15] = {"G728", 8000},  [16] = {"DVI4", 11025},
    [17] = {"DVI4", 22050}, [18] = {"G729", 8000},  [25] = {"CelB", 90000}, [26] = {"JPEG", 90000}, [28] = {"nv", 90000},
    [31] = {"H261", 90000}, [32] = {"MPV", 90000},  [33] = {"MP2T", 90000}, [34] = {"H263", 90000},
};

const char *rtp_payload_name(unsigned payload_type)
{
	return payload_type < sizeof payloads / sizeof *payloads ? payloads[payload_type].name : NULL;
}

unsigned rtp_clock_rate(unsigned payload_type)
{
	return payload_type < sizeof payloads / sizeof *payloads ? payloads[payload_type].clock : 0;
}

static bool fail(struct rtp_fault *fault, uint32_t offset, const char *what)
{
	*fault = (struct rtp_fault){offset, what};
	return false;
}

static bool decode_padding(struct slice bytes, struct rtp_packet *p, struct rtp_fault *fault)
{
	uint8_t len;

	if (!p->payload.len)
		return fail(fault, bytes.len, "padding that isn't there");
	len = bytes.p[bytes.len - 1];
	if (len == 0 || len > p->payload.len)
		return fail(fault, bytes.len - 1, "padding of a length that can't be");
	p->payload.len -= len;
	p->padding = slice_of(bytes.p + bytes.len - len, len);
	return true;
}

static bool decode(struct slice bytes, bool whole, struct rtp_packet *p, struct rtp_fault *fault)
{
	struct rd r = rd_slice(bytes);
	uint8_t first = rd_u8(&r), second = rd_u8(&r);

	*p = (struct rtp_packet){
	    .extension = first & EXTENSION,
	    .marker = second & MARKER,
	    .csrc_cnt = first & 0x0f,
	    .payload_type = second & 0x7f,
	};
	if (!r.err && first >> 6 != RTP_VERSION)
		return fail(fault, 0, "not version 2");
	p->sequence = rd_u16(&r);
	p->timestamp = rd_u32(&r);
	p->ssrc = rd_u32(&r);
	if (r.err)
		return fail(fault, bytes.len, "it ends within its header");
	for (unsigned i = 0; i < p->csrc_cnt; i++)
		p->csrc[i] = rd_u32(&r);
	if (r.err)
		return fail(fault, bytes.len, "it ends within its contributing sources");
	if (p->extension) {
		p->profile = rd_u16(&r);
		uint16_t words = rd_u16(&r);
		p->ext = rd_bytes(&r, 4u * words);
	}
	if (r.err)
		return fail(fault, bytes.len, "it ends within its header extension");
	p->payload = rd_bytes(&r, rd_left(&r));
	return !whole || !(first & PADDING) || decode_padding(bytes, p, fault);
}

bool rtp_decode(struct slice bytes, struct rtp_packet *p, struct rtp_fault *fault)
{
	return decode(bytes, true, p, fault);
}

bool rtp_decode_cut(struct slice bytes, struct rtp_packet *p, struct rtp_fault *fault)
{
	return decode(bytes, false, p, fault);
}

bool rtp_encode(const struct rtp_packet *p, struct wr *w)
{
	const struct slice *pad = &p->padding;

	if (p->csrc_cnt > RTP_CSRC_MAX || p->payload_type > 0x7f || p->ext.len % 4 || p->ext.len / 4 > UINT16_MAX ||
	    (pad->len && (pad->len > UINT8_MAX || pad->p[pad->len - 1] != pad->len)))
		return false;
	wr_u8(w, (uint8_t)(RTP_VERSION << 6 | (pad->len ? PADDING : 0) | (p->extension ? EXTENSION : 0) | p->csrc_cnt));
	wr_u8(w, (uint8_t)((p->marker ? MARKER : 0) | p->payload_type));
	wr_u16(w, p->sequence);
	wr_u32(w, p->timestamp);
	wr_u32(w, p->ssrc);
	for (unsigned i = 0; i < p->csrc_cnt; i++)
		wr_u32(w, p->csrc[i]);
	if (p->extension) {
		wr_u16(w, p->profile);
		wr_u16(w, (uint16_t)(p->ext.len / 4));
		wr_slice(w, p->ext);
	}
	wr_slice(w, p->payload);
	wr_slice(w, *pad);
	return !w->err;
}

bool rtp_is_rtcp(struct slice bytes)
{
	return bytes.len >= 2 && bytes.p[0] >> 6 == RTP_VERSION && bytes.p[1] >= 192 && bytes.p[1] <= 223;
}

// --- Header extensions

enum rtp_ext_form rtp_ext_form(uint16_t profile)
{
	if (profile == 0xbede)
		return RTP_EXT_ONE_BYTE;
	return (profile & 0xfff0) == 0x1000 ? RTP_EXT_TWO_BYTE : RTP_EXT_OPAQUE;
}

int rtp_ext_next(struct rd *r, enum rtp_ext_form form, struct rtp_ext_element *e, struct rtp_fault *fault)
{
	const uint8_t *from = r->p;
	unsigned len;

	while (rd_left(r) && *r->p == 0)
		rd_take(r, 1);
	if (!rd_left(r) || form == RTP_EXT_OPAQUE)
		return 0;
	const uint8_t *at = r->p;
	uint8_t first = rd_u8(r);
	if (form == RTP_EXT_ONE_BYTE) {
		e->id = first >> 4;
		len = (first & 0x0f) + 1u;
		if (e->id == 15) // reserved: what follows is not to be read (RFC 8285 4.2)
			return 0;
		if (e->id == 0) { // padding has the length 0
			*fault = (struct rtp_fault){(uint32_t)(at - from), "an element with the id 0"};
			return -1;
		}
	} else {
		e->id = first;
		len = rd_u8(r);
	}
	e->data = rd_bytes(r, len);
	if (!r->err)
		return 1;
	*fault = (struct rtp_fault){(uint32_t)(at - from), "an element that is longer than the extension"};
	return -1;
}

bool rtp_ext_write(struct wr *w, enum rtp_ext_form form, const struct rtp_ext_element *e)
{
	if (form == RTP_EXT_ONE_BYTE && e->id >= 1 && e->id <= 14 && e->data.len >= 1 && e->data.len <= 16) {
		wr_u8(w, (uint8_t)(e->id << 4 | (e->data.len - 1)));
	} else if (form == RTP_EXT_TWO_BYTE && e->id >= 1 && e->data.len <= UINT8_MAX) {
		wr_u8(w, e->id);
		wr_u8(w, (uint8_t)e->data.len);
	} else {
		return false;
	}
	wr_slice(w, e->data);
	return !w->err;
}

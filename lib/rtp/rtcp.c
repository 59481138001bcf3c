// RTCP: compound packets, reports, descriptions, to and from octets (RFC 3550 6).
#include "lib/rtp/rtp.h"

#define PADDING 0x20

static const char *const type_names[] = {"SR", "RR", "SDES", "BYE", "APP", "RTPFB", "PSFB", "XR"};
static const char *const item_names[] = {"END", "CNAME", "NAME", "EMAIL", "PHONE", "LOC", "TOOL", "NOTE", "PRIV"};

const char *rtcp_type_name(unsigned type)
{
	return type >= RTCP_SR && type <= RTCP_XR ? type_names[type - RTCP_SR] : NULL;
}

const char *rtcp_item_name(unsigned type)
{
	return type < sizeof item_names / sizeof *item_names ? item_names[type] : NULL;
}

static int fail(struct rtp_fault *fault, size_t offset, const char *what)
{
	*fault = (struct rtp_fault){(uint32_t)offset, what};
	return -1;
}

int rtcp_next(struct rd *r, const uint8_t *base, struct rtcp_packet *p, struct rtp_fault *fault)
{
	size_t offset = (size_t)(r->p - base);

	*p = (struct rtcp_packet){.offset = (uint32_t)offset};
	if (!r->err && !rd_left(r))
		return 0;
	uint8_t first = rd_u8(r);
	p->type = rd_u8(r);
	uint16_t words = rd_u16(r);
	p->body = rd_bytes(r, 4u * words);
	if (first >> 6 != RTP_VERSION)
		return fail(fault, offset, "not version 2");
	if (r->err)
		return fail(fault, (size_t)(r->end - base), "it ends within a packet");
	p->count = first & 0x1f;
	if (!(first & PADDING))
		return 1;
	if (rd_left(r))
		return fail(fault, offset, "padding of another packet than the last");
	uint8_t len = p->body.len ? p->body.p[p->body.len - 1] : 0;
	if (len == 0 || len % 4 || len > p->body.len)
		return fail(fault, (size_t)(r->p - base) - 1, "padding of a length that can't be");
	p->body.len -= len;
	p->padding = slice_of(p->body.p + p->body.len, len);
	return 1;
}

bool rtcp_write(struct wr *w, const struct rtcp_packet *p)
{
	uint32_t len = (p->body.len + 3) / 4 * 4;
	const struct slice *pad = &p->padding;

	if (p->count > 0x1f || (len + pad->len) / 4 > UINT16_MAX ||
	    (pad->len && (pad->len % 4 || pad->len > UINT8_MAX || pad->p[pad->len - 1] != pad->len)))
		return false;
	wr_u8(w, (uint8_t)(RTP_VERSION << 6 | (pad->len ? PADDING : 0) | p->count));
	wr_u8(w, p->type);
	wr_u16(w, (uint16_t)((len + pad->len) / 4));
	wr_slice(w, p->body);
	wr_zero(w, len - p->body.len);
	wr_slice(w, *pad);
	return !w->err;
}

void rtcp_sender_read(struct rd *r, struct rtcp_sender *s)
{
	s->ntp_seconds = rd_u32(r);
	s->ntp_fraction = rd_u32(r);
	s->rtp_timestamp = rd_u32(r);
	s->packets = rd_u32(r);
	s->octets = rd_u32(r);
}

void rtcp_sender_write(struct wr *w, const struct rtcp_sender *s)
{
	wr_u32(w, s->ntp_seconds);
	wr_u32(w, s->ntp_fraction);
	wr_u32(w, s->rtp_timestamp);
	wr_u32(w, s->packets);
	wr_u32(w, s->octets);
}

void rtcp_report_read(struct rd *r, struct rtcp_report *report)
{
	report->ssrc = rd_u32(r);
	report->fraction_lost = rd_u8(r);
	uint32_t lost = rd_u24(r);
	report->lost = lost & 0x800000 ? (int32_t)lost - 0x1000000 : (int32_t)lost;
	report->highest_sequence = rd_u32(r);
	report->jitter = rd_u32(r);
	report->last_sr = rd_u32(r);
	report->delay_since_last_sr = rd_u32(r);
}

void rtcp_report_write(struct wr *w, const struct rtcp_report *report)
{
	wr_u32(w, report->ssrc);
	wr_u8(w, report->fraction_lost);
	wr_u24(w, (uint32_t)report->lost & 0xffffff);
	wr_u32(w, report->highest_sequence);
	wr_u32(w, report->jitter);
	wr_u32(w, report->last_sr);
	wr_u32(w, report->delay_since_last_sr);
}

int rtcp_item_next(struct rd *r, const uint8_t *body, struct rtcp_item *item)
{
	item->type = rd_u8(r);
	if (r->err)
		return -1;
	if (item->type == 0) {
		while (rd_left(r) && (r->p - body) % 4)
			if (rd_u8(r) != 0)
				return -1;
		return 0;
	}
	item->text = rd_bytes(r, rd_u8(r));
	return r->err ? -1 : 1;
}

void rtcp_chunk_end(struct wr *w, const uint8_t *chunk)
{
	if (!w->err)
		wr_zero(w, 4 - (size_t)(w->p - chunk) % 4);
}

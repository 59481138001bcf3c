// RTCP compound packets as JSON: {"rtcp": [packet, ...]}, to and from octets. A packet that isn't taken apart here keeps its
// octets as "data"; so do those behind what its type says ("extension").
#include <string.h>
#include "tools/imstool/rtp.h"

// --- To JSON

static json_t *reports_json(struct rd *r, unsigned count)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++) {
		struct rtcp_report b;
		rtcp_report_read(r, &b);
		if (r->err)
			break;
		json_array_append_new(
		    list, json_pack("{s:I, s:i, s:i, s:I, s:I, s:I, s:I}", "ssrc", (json_int_t)b.ssrc, "fraction_lost",
				    b.fraction_lost, "lost", b.lost, "highest_sequence", (json_int_t)b.highest_sequence,
				    "jitter", (json_int_t)b.jitter, "last_sr", (json_int_t)b.last_sr, "delay_since_last_sr",
				    (json_int_t)b.delay_since_last_sr));
	}
	return list;
}

static void add_reports(json_t *o, struct rd *r, const struct rtcp_packet *p)
{
	struct rtcp_sender s;

	json_object_set_new(o, "ssrc", json_integer(rd_u32(r)));
	if (p->type == RTCP_SR) {
		rtcp_sender_read(r, &s);
		json_object_set_new(o, "ntp_seconds", json_integer(s.ntp_seconds));
		json_object_set_new(o, "ntp_fraction", json_integer(s.ntp_fraction));
		json_object_set_new(o, "rtp_timestamp", json_integer(s.rtp_timestamp));
		json_object_set_new(o, "packets", json_integer(s.packets));
		json_object_set_new(o, "octets", json_integer(s.octets));
	}
	json_object_set_new(o, "reports", reports_json(r, p->count));
}

static void add_chunks(json_t *o, struct rd *r, const struct rtcp_packet *p)
{
	json_t *chunks = json_array();

	for (unsigned i = 0; i < p->count && !r->err; i++) {
		json_t *items = json_array();
		uint32_t ssrc = rd_u32(r);
		struct rtcp_item item;
		int rc;
		while ((rc = rtcp_item_next(r, p->body.p, &item)) > 0) {
			json_t *one = json_pack("{s:i, s:o}", "type", item.type, "data", im_json_hex(item.text));
			const char *name = rtcp_item_name(item.type);
			if (name && item.type != 8) { // PRIV is not text alone
				json_object_set_new(one, "name", json_string(name));
				json_object_set_new(one, "text", im_json_text(item.text));
			}
			json_array_append_new(items, one);
		}
		r->err |= rc < 0;
		json_array_append_new(chunks, json_pack("{s:I, s:o}", "ssrc", (json_int_t)ssrc, "items", items));
	}
	json_object_set_new(o, "chunks", chunks);
}

static void add_bye(json_t *o, struct rd *r, const struct rtcp_packet *p)
{
	json_t *sources = json_array();
	struct slice reason;

	for (unsigned i = 0; i < p->count && !r->err; i++)
		json_array_append_new(sources, json_integer(rd_u32(r)));
	json_object_set_new(o, "sources", sources);
	if (!rd_left(r))
		return;
	reason = rd_bytes(r, rd_u8(r));
	json_object_set_new(o, "reason", im_json_text(reason));
	json_object_set_new(o, "reason_octets", im_json_hex(reason));
	while (rd_left(r) && (r->p - p->body.p) % 4) // zeros up to a whole word (RFC 3550 6.6)
		r->err |= rd_u8(r) != 0;
}

static void add_app(json_t *o, struct rd *r)
{
	json_object_set_new(o, "ssrc", json_integer(rd_u32(r)));
	struct slice name = rd_bytes(r, 4);
	json_object_set_new(o, "name", im_json_text(name));
	json_object_set_new(o, "name_octets", im_json_hex(name)); // it may be no text
}

static void add_feedback(json_t *o, struct rd *r)
{
	json_object_set_new(o, "ssrc", json_integer(rd_u32(r)));
	json_object_set_new(o, "media_ssrc", json_integer(rd_u32(r)));
}

static json_t *packet_json(const struct rtcp_packet *p, const uint8_t *base, struct rtp_fault *fault)
{
	const char *name = rtcp_type_name(p->type);
	json_t *o = json_pack("{s:i, s:i, s:i, s:i}", "version", RTP_VERSION, "padding", p->padding.len != 0, "count",
			      p->count, "packet_type", p->type);
	struct rd r = rd_slice(p->body);

	if (name)
		json_object_set_new(o, "type", json_string(name));
	if (p->type == RTCP_SR || p->type == RTCP_RR)
		add_reports(o, &r, p);
	else if (p->type == RTCP_SDES)
		add_chunks(o, &r, p);
	else if (p->type == RTCP_BYE)
		add_bye(o, &r, p);
	else if (p->type == RTCP_APP)
		add_app(o, &r);
	else if (p->type == RTCP_RTPFB || p->type == RTCP_PSFB)
		add_feedback(o, &r);
	if (r.err) {
		*fault = (struct rtp_fault){(uint32_t)(r.p - base), "a packet whose content doesn't fit what it says"};
		json_decref(o);
		return NULL;
	}
	if (rd_left(&r))
		json_object_set_new(o, "data", im_json_hex(rd_bytes(&r, rd_left(&r))));
	if (p->padding.len)
		json_object_set_new(o, "padding_octets", im_json_hex(p->padding));
	return o;
}

json_t *im_rtcp_to_json(struct slice bytes, struct rtp_fault *fault)
{
	json_t *list = json_array(), *one;
	struct rd r = rd_slice(bytes);
	struct rtcp_packet p;
	int rc;

	while ((rc = rtcp_next(&r, bytes.p, &p, fault)) > 0) {
		one = packet_json(&p, bytes.p, fault);
		if (!one || json_array_append_new(list, one)) {
			rc = -1;
			break;
		}
	}
	if (rc == 0)
		return json_pack("{s:o}", "rtcp", list);
	json_decref(list);
	return NULL;
}

// --- From JSON

static uint32_t number(const json_t *o, const char *name, const char **wrong)
{
	return (uint32_t)im_member(o, name, UINT32_MAX, true, wrong);
}

static void write_report(const json_t *b, struct wr *w, const char **wrong)
{
	json_int_t lost = json_integer_value(json_object_get(b, "lost"));
	struct rtcp_report report = {
	    .ssrc = number(b, "ssrc", wrong),
	    .fraction_lost = (uint8_t)im_member(b, "fraction_lost", UINT8_MAX, true, wrong),
	    .lost = (int32_t)lost,
	    .highest_sequence = number(b, "highest_sequence", wrong),
	    .jitter = number(b, "jitter", wrong),
	    .last_sr = number(b, "last_sr", wrong),
	    .delay_since_last_sr = number(b, "delay_since_last_sr", wrong),
	};

	if (!json_is_integer(json_object_get(b, "lost")) || lost < -0x800000 || lost > 0x7fffff)
		*wrong = *wrong ? *wrong : "lost: expected a number from -8388608 to 8388607";
	rtcp_report_write(w, &report);
}

static void write_reports(const json_t *o, const struct rtcp_packet *p, struct wr *w, const char **wrong)
{
	const json_t *report;
	size_t i;

	wr_u32(w, number(o, "ssrc", wrong));
	if (p->type == RTCP_SR) {
		struct rtcp_sender s = {
		    .ntp_seconds = number(o, "ntp_seconds", wrong),
		    .ntp_fraction = number(o, "ntp_fraction", wrong),
		    .rtp_timestamp = number(o, "rtp_timestamp", wrong),
		    .packets = number(o, "packets", wrong),
		    .octets = number(o, "octets", wrong),
		};
		rtcp_sender_write(w, &s);
	}
	json_array_foreach(json_object_get(o, "reports"), i, report)
		write_report(report, w, wrong);
}

// A length and the octets, as hex in `hex` or else as text in `text`.
static void write_text(const json_t *o, const char *hex, const char *text, struct wr *w, const char **wrong)
{
	uint8_t *len = wr_reserve(w, 1), *from = w->p;

	if (json_object_get(o, hex))
		im_octets(o, hex, w, wrong);
	else if (json_is_string(json_object_get(o, text)))
		wr_slice(w, slice_str(json_string_value(json_object_get(o, text))));
	if (w->p - from > UINT8_MAX)
		*wrong = *wrong ? *wrong : "a text above 255 octets";
	if (len)
		*len = (uint8_t)(w->p - from);
}

static void write_chunks(const json_t *o, struct wr *w, const char **wrong)
{
	const json_t *chunk, *item;
	size_t i, k;

	json_array_foreach(json_object_get(o, "chunks"), i, chunk) {
		uint8_t *from = w->p;
		wr_u32(w, number(chunk, "ssrc", wrong));
		json_array_foreach(json_object_get(chunk, "items"), k, item) {
			wr_u8(w, (uint8_t)im_member(item, "type", UINT8_MAX, true, wrong));
			write_text(item, "data", "text", w, wrong);
		}
		rtcp_chunk_end(w, from);
	}
}

static void write_bye(const json_t *o, struct wr *w, const char **wrong)
{
	const json_t *source;
	size_t i;

	json_array_foreach(json_object_get(o, "sources"), i, source) {
		if (!json_is_integer(source) || (uint64_t)json_integer_value(source) > UINT32_MAX)
			*wrong = *wrong ? *wrong : "sources: expected numbers from 0 to 4294967295";
		wr_u32(w, (uint32_t)json_integer_value(source));
	}
	if (json_object_get(o, "reason") || json_object_get(o, "reason_octets"))
		write_text(o, "reason_octets", "reason", w, wrong);
}

static void write_name(const json_t *o, struct wr *w, const char **wrong)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	struct slice octets = {0};

	if (json_object_get(o, "name_octets"))
		octets = im_octets(o, "name_octets", w, wrong);
	else if (name && strlen(name) == 4) {
		wr_bytes(w, name, 4);
		return;
	}
	if (octets.len != 4 && !*wrong)
		*wrong = "name: expected 4 octets";
}

static void write_body(const json_t *o, const struct rtcp_packet *p, struct wr *w, const char **wrong)
{
	uint8_t *from = w->p;

	if (p->type == RTCP_SR || p->type == RTCP_RR)
		write_reports(o, p, w, wrong);
	else if (p->type == RTCP_SDES)
		write_chunks(o, w, wrong);
	else if (p->type == RTCP_BYE)
		write_bye(o, w, wrong);
	else if (p->type >= RTCP_APP && p->type <= RTCP_PSFB)
		wr_u32(w, number(o, "ssrc", wrong));
	if (p->type == RTCP_RTPFB || p->type == RTCP_PSFB)
		wr_u32(w, number(o, "media_ssrc", wrong));
	if (p->type == RTCP_APP)
		write_name(o, w, wrong);
	if (!w->err && p->type != RTCP_SDES)
		wr_zero(w, -(size_t)(w->p - from) & 3);
	im_octets(o, "data", w, wrong);
}

// How many there are of what the packet counts; a subtype is taken from the object.
static uint8_t count_of(const json_t *o, unsigned type, const char **wrong)
{
	static const char *const lists[] = {"reports", "reports", "chunks", "sources"};
	size_t size;

	if (type > RTCP_BYE || type < RTCP_SR)
		return (uint8_t)im_member(o, "count", 0x1f, false, wrong);
	size = json_array_size(json_object_get(o, lists[type - RTCP_SR]));
	if (!*wrong && (size > 0x1f || (json_object_get(o, "count") && im_member(o, "count", 0x1f, true, wrong) != size)))
		*wrong = "count: expected as many as there are, at most 31";
	return (uint8_t)size;
}

const char *im_rtcp_of_json(const json_t *object, struct wr *w)
{
	static uint8_t room[IM_PACKET_MAX], pad_room[UINT8_MAX];
	const json_t *one;
	const char *wrong = NULL;
	size_t i;

	json_array_foreach(json_object_get(object, "rtcp"), i, one) {
		struct wr body = wr_of(room, sizeof room), pad = wr_of(pad_room, sizeof pad_room);
		struct rtcp_packet p = {.type = (uint8_t)im_member(one, "packet_type", UINT8_MAX, true, &wrong)};
		p.count = count_of(one, p.type, &wrong);
		if (!wrong)
			write_body(one, &p, &body, &wrong);
		p.padding = im_octets(one, "padding_octets", &pad, &wrong);
		p.body = wr_done(&body);
		if (wrong)
			return wrong;
		if (body.err || !rtcp_write(w, &p))
			return "a packet that is too long, or padding that isn't whole words with their number in the last";
	}
	return wr_len(w) ? NULL : "rtcp: expected a list of packets";
}

// RTP packets as JSON objects, to and from octets. The members of the header have the names that scripts know; what decode
// prints, encode reads, and gives the same octets.
#include <stdlib.h>
#include <string.h>
#include "lib/base/ident.h"
#include "tools/imstool/rtp.h"

json_t *im_json_hex(struct slice octets)
{
	char *text = malloc(2 * (size_t)octets.len + 1);
	json_t *value;

	if (!text)
		return NULL;
	text[0] = 0;
	if (octets.len)
		hex_text(octets.p, octets.len, text);
	value = json_string(text);
	free(text);
	return value;
}

uint64_t im_member(const json_t *object, const char *name, uint64_t max, bool needed, const char **wrong)
{
	static _Thread_local char text[96];
	const json_t *value = json_object_get(object, name);
	uint64_t v = json_is_true(value) ? 1 : json_is_integer(value) ? (uint64_t)json_integer_value(value) : 0;

	if (*wrong || (!value && !needed))
		return 0;
	if (value && (json_is_boolean(value) || json_is_integer(value)) && v <= max)
		return v;
	snprintf(text, sizeof text, "%s: expected a number from 0 to %llu", name, (unsigned long long)max);
	*wrong = text;
	return 0;
}

struct slice im_octets(const json_t *object, const char *name, struct wr *w, const char **wrong)
{
	static _Thread_local char text[96];
	const json_t *value = json_object_get(object, name);
	struct slice hex = json_is_string(value) ? slice_of(json_string_value(value), json_string_length(value))
						 : (struct slice){0};
	uint8_t *room;

	if (*wrong || !value)
		return (struct slice){0};
	room = wr_reserve(w, hex.len / 2);
	if (json_is_string(value) && hex.len % 2 == 0 && room && hex_parse(hex, room, hex.len / 2))
		return slice_of(room, hex.len / 2);
	snprintf(text, sizeof text, "%s: expected an even number of hex digits", name);
	*wrong = room ? text : "a packet that is too long";
	return (struct slice){0};
}

// --- To JSON

static json_t *extension_json(const struct rtp_packet *p, struct slice bytes, struct rtp_fault *fault)
{
	enum rtp_ext_form form = rtp_ext_form(p->profile);
	json_t *object = json_pack("{s:i, s:o}", "profile", p->profile, "data", im_json_hex(p->ext));
	json_t *list = form == RTP_EXT_OPAQUE ? NULL : json_array();
	struct rd r = rd_slice(p->ext);
	struct rtp_ext_element e;
	int rc = 0;

	while (list && (rc = rtp_ext_next(&r, form, &e, fault)) > 0)
		json_array_append_new(list, json_pack("{s:i, s:o}", "id", e.id, "data", im_json_hex(e.data)));
	if (list)
		json_object_set_new(object, "elements", list);
	if (rc == 0)
		return object;
	fault->offset = (uint32_t)(r.end - bytes.p) - p->ext.len;
	json_decref(object);
	return NULL;
}

json_t *im_rtp_to_json(struct slice bytes, struct rtp_fault *fault)
{
	struct rtp_packet p;
	json_t *o, *extension = NULL, *csrc;

	if (!rtp_decode(bytes, &p, fault) || (p.extension && !(extension = extension_json(&p, bytes, fault))))
		return NULL;
	o = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:I, s:I}", "version", RTP_VERSION, "padding", p.padding.len != 0,
		      "extension", p.extension, "csi_count", p.csrc_cnt, "marker", p.marker, "payload_type", p.payload_type,
		      "sequence_number", p.sequence, "timestamp", (json_int_t)p.timestamp, "ssrc", (json_int_t)p.ssrc);
	if (p.csrc_cnt) {
		csrc = json_array();
		for (unsigned i = 0; i < p.csrc_cnt; i++)
			json_array_append_new(csrc, json_integer(p.csrc[i]));
		json_object_set_new(o, "csrc", csrc);
	}
	if (extension)
		json_object_set_new(o, "header_extension", extension);
	json_object_set_new(o, "payload", im_json_hex(p.payload));
	if (p.padding.len)
		json_object_set_new(o, "padding_octets", im_json_hex(p.padding));
	return o;
}

// --- From JSON

static void take_elements(const json_t *list, enum rtp_ext_form form, struct wr *w, const char **wrong)
{
	const json_t *element;
	size_t i;

	json_array_foreach(list, i, element) {
		uint8_t room[UINT8_MAX];
		struct wr octets = wr_of(room, sizeof room);
		struct rtp_ext_element e = {.id = (uint8_t)im_member(element, "id", UINT8_MAX, true, wrong)};
		e.data = im_octets(element, "data", &octets, wrong);
		if (!*wrong && !rtp_ext_write(w, form, &e))
			*wrong = "header_extension: an element that its profile can't hold";
	}
}

static void take_extension(const json_t *o, struct rtp_packet *p, struct wr *scratch, const char **wrong)
{
	const json_t *extension = json_object_get(o, "header_extension");
	uint8_t *from = scratch->p;

	if (*wrong)
		return;
	if (!extension == p->extension) {
		*wrong = "header_extension: it belongs to extension 1";
		return;
	}
	if (!extension)
		return;
	p->profile = (uint16_t)im_member(extension, "profile", UINT16_MAX, true, wrong);
	if (json_object_get(extension, "data"))
		im_octets(extension, "data", scratch, wrong);
	else
		take_elements(json_object_get(extension, "elements"), rtp_ext_form(p->profile), scratch, wrong);
	if (!*wrong)
		wr_zero(scratch, -(size_t)(scratch->p - from) & 3);
	p->ext = slice_of(from, (size_t)(scratch->p - from));
}

static void take_csrc(const json_t *o, struct rtp_packet *p, const char **wrong)
{
	const json_t *list = json_object_get(o, "csrc"), *value;
	size_t i;

	if (!*wrong && json_array_size(list) != p->csrc_cnt)
		*wrong = "csrc: expected a list of csi_count numbers";
	json_array_foreach(list, i, value)
		if (!*wrong) {
			if (!json_is_integer(value) || (uint64_t)json_integer_value(value) > UINT32_MAX)
				*wrong = "csrc: expected numbers from 0 to 4294967295";
			else
				p->csrc[i] = (uint32_t)json_integer_value(value);
		}
}

// Given octets, or as many zeros as make whole words of the packet, and their number.
static void take_padding(const json_t *o, struct rtp_packet *p, struct wr *scratch, const char **wrong)
{
	bool padding = im_member(o, "padding", 1, false, wrong);
	uint8_t len = (uint8_t)(4 - p->payload.len % 4), *room;

	if (*wrong || padding != (json_object_get(o, "padding_octets") != NULL)) {
		if (*wrong)
			return;
		if (!padding) {
			*wrong = "padding_octets: they belong to padding 1";
			return;
		}
		room = wr_reserve(scratch, len);
		if (room) {
			memset(room, 0, len);
			room[len - 1] = len;
			p->padding = slice_of(room, len);
		}
	} else if (padding) {
		p->padding = im_octets(o, "padding_octets", scratch, wrong);
		if (!*wrong && (!p->padding.len || p->padding.p[p->padding.len - 1] != p->padding.len))
			*wrong = "padding_octets: expected their number in the last";
	}
}

const char *im_rtp_of_json(const json_t *o, struct wr *w)
{
	static uint8_t room[IM_PACKET_MAX];
	struct wr scratch = wr_of(room, sizeof room);
	const char *wrong = NULL;
	struct rtp_packet p = {0};

	if (json_object_get(o, "version") && im_member(o, "version", RTP_VERSION, true, &wrong) != RTP_VERSION)
		return "version: expected 2";
	p.extension = im_member(o, "extension", 1, false, &wrong);
	p.csrc_cnt = (uint8_t)im_member(o, "csi_count", RTP_CSRC_MAX, false, &wrong);
	p.marker = im_member(o, "marker", 1, false, &wrong);
	p.payload_type = (uint8_t)im_member(o, "payload_type", 0x7f, true, &wrong);
	p.sequence = (uint16_t)im_member(o, "sequence_number", UINT16_MAX, true, &wrong);
	p.timestamp = (uint32_t)im_member(o, "timestamp", UINT32_MAX, true, &wrong);
	p.ssrc = (uint32_t)im_member(o, "ssrc", UINT32_MAX, true, &wrong);
	take_csrc(o, &p, &wrong);
	take_extension(o, &p, &scratch, &wrong);
	p.payload = im_octets(o, "payload", &scratch, &wrong);
	take_padding(o, &p, &scratch, &wrong);
	if (wrong)
		return wrong;
	return !scratch.err && rtp_encode(&p, w) ? NULL : "a packet that is too long";
}

// See fragment.h. Owns nothing.
#include "lib/ims/fragment.h"
#include <stdio.h>
#include <string.h>

void ims_put(struct wr *w, const char *xml)
{
	wr_bytes(w, xml, strlen(xml));
}

static const char *escaped(uint8_t c)
{
	switch (c) {
	case '&': return "&amp;";
	case '<': return "&lt;";
	case '>': return "&gt;";
	case '"': return "&quot;";
	case '\'': return "&apos;";
	default: return NULL;
	}
}

void ims_put_value(struct wr *w, struct slice value)
{
	uint32_t from = 0;
	for (uint32_t i = 0; i < value.len; i++) {
		const char *with = escaped(value.p[i]);
		if (value.p[i] < 0x20 && value.p[i] != '\t' && value.p[i] != '\n' && value.p[i] != '\r')
			w->err = true;
		if (!with)
			continue;
		wr_bytes(w, value.p + from, i - from);
		ims_put(w, with);
		from = i + 1;
	}
	if (value.len > from)
		wr_bytes(w, value.p + from, value.len - from);
}

void ims_put_element(struct wr *w, const char *name, struct slice value)
{
	ims_put(w, "<");
	ims_put(w, name);
	ims_put(w, ">");
	ims_put_value(w, value);
	ims_put(w, "</");
	ims_put(w, name);
	ims_put(w, ">");
}

void ims_put_number(struct wr *w, const char *name, uint32_t value)
{
	char digits[16];
	ims_put_element(w, name, slice_of(digits, (size_t)snprintf(digits, sizeof digits, "%u", value)));
}

void ims_put_fragment(struct wr *w, struct slice fragment, const struct ims_names *names)
{
	uint32_t from = 0;
	for (uint32_t i = 0; i < fragment.len; i++) {
		if (fragment.p[i] == 0 || fragment.p[i] >= IMS_MARK_CNT)
			continue;
		wr_bytes(w, fragment.p + from, i - from);
		ims_put_value(w, names->by_mark[fragment.p[i]]);
		from = i + 1;
	}
	if (fragment.len > from)
		wr_bytes(w, fragment.p + from, fragment.len - from);
}

size_t ims_fragment_room(struct slice fragment, const struct ims_names *names)
{
	size_t room = fragment.len;
	for (uint32_t i = 0; i < fragment.len; i++)
		if (fragment.p[i] && fragment.p[i] < IMS_MARK_CNT)
			room += ims_value_room(names->by_mark[fragment.p[i]]);
	return room;
}

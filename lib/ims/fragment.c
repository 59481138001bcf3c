// See fragment.h. Owns nothing. Runs for each profile that an S-CSCF is sent, so text is copied in runs, and the octets
// between marks are looked at eight at a time.
#include "lib/ims/fragment.h"
#include <string.h>

const char *const ims_mark_names[IMS_MARK_CNT] = {
	[IMS_MARK_IMSI] = "imsi", [IMS_MARK_MSISDN] = "msisdn", [IMS_MARK_DOMAIN] = "domain", [IMS_MARK_MCC] = "mcc",
	[IMS_MARK_MNC] = "mnc",	  [IMS_MARK_PRIVATE] = "impi",	[IMS_MARK_PUBLIC] = "impu",
};

void ims_put(struct wr *w, const char *xml)
{
	wr_bytes(w, xml, strlen(xml));
}

// The octets that are not written as they are.
static const uint8_t special[256] = {
	[0 ... 0x1f] = 1, ['&'] = 1, ['<'] = 1, ['>'] = 1, ['"'] = 1, ['\''] = 1, [0x7f] = 1,
};

static const char *escaped(uint8_t c)
{
	switch (c) {
	case '&': return "&amp;";
	case '<': return "&lt;";
	case '>': return "&gt;";
	case '"': return "&quot;";
	case '\'': return "&apos;";
	case '\t': return "&#9;";
	case '\n': return "&#10;";
	case '\r': return "&#13;";
	default: return NULL;
	}
}

void ims_put_value(struct wr *w, struct slice value)
{
	uint32_t from = 0;
	for (uint32_t i = 0; i < value.len; i++) {
		if (!special[value.p[i]])
			continue;
		const char *with = escaped(value.p[i]);
		wr_bytes(w, value.p + from, i - from);
		if (with)
			ims_put(w, with);
		else
			w->err = true;
		from = i + 1;
	}
	if (value.len > from)
		wr_bytes(w, value.p + from, value.len - from);
}

// <name> or </name>
static void put_tag(struct wr *w, const char *lead, const char *name, size_t len)
{
	size_t n = strlen(lead);
	uint8_t *p = wr_reserve(w, n + len + 1);
	if (!p)
		return;
	memcpy(p, lead, n);
	memcpy(p + n, name, len);
	p[n + len] = '>';
}

void ims_put_element(struct wr *w, const char *name, struct slice value)
{
	size_t len = strlen(name);
	put_tag(w, "<", name, len);
	ims_put_value(w, value);
	put_tag(w, "</", name, len);
}

void ims_put_number(struct wr *w, const char *name, uint32_t value)
{
	char digits[10];
	unsigned at = sizeof digits;
	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	ims_put_element(w, name, slice_of(digits + at, sizeof digits - at));
}

// A value in a regular expression: what is special in an ERE (POSIX XBD 9.4.3) gets a backslash.
static void put_literal(struct wr *w, struct slice value, void (*put)(struct wr *w, struct slice s))
{
	for (uint32_t i = 0; i < value.len; i++) {
		if (value.p[i] && strchr(".[]\\()*+?{}|^$", value.p[i]))
			wr_u8(w, '\\');
		put(w, slice_of(value.p + i, 1));
	}
}

// Is one of these eight octets below IMS_MARK_END? The subtraction borrows into the high bit of such an octet.
static bool has_mark(const uint8_t *p)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return ((v - ones * IMS_MARK_END) & ~v & high) != 0;
}

// Offset of the first mark from `at` on; the length when there is none.
static uint32_t next_mark(struct slice s, uint32_t at)
{
	while (s.len - at >= 8 && !has_mark(s.p + at))
		at += 8;
	while (at < s.len && s.p[at] >= IMS_MARK_END)
		at++;
	return at;
}

static enum ims_mark mark_of(uint8_t octet)
{
	uint8_t mark = octet & (IMS_MARK_ERE - 1);
	return mark < IMS_MARK_CNT ? mark : IMS_MARK_NONE;
}

// `put` writes a value.
static void fill(struct wr *w, struct slice fragment, const struct ims_names *names, void (*put)(struct wr *w, struct slice s))
{
	uint32_t from = 0;
	for (uint32_t at; (at = next_mark(fragment, from)) < fragment.len; from = at + 1) {
		enum ims_mark mark = mark_of(fragment.p[at]);
		wr_bytes(w, fragment.p + from, at - from);
		if (mark == IMS_MARK_NONE)
			w->err = true;
		else if (fragment.p[at] & IMS_MARK_ERE)
			put_literal(w, names->by_mark[mark], put);
		else
			put(w, names->by_mark[mark]);
	}
	if (fragment.len > from)
		wr_bytes(w, fragment.p + from, fragment.len - from);
}

void ims_put_fragment(struct wr *w, struct slice fragment, const struct ims_names *names)
{
	fill(w, fragment, names, ims_put_value);
}

void ims_fill(struct wr *w, struct slice text, const struct ims_names *names)
{
	fill(w, text, names, wr_slice);
}

unsigned ims_fragment_marks(struct slice fragment)
{
	unsigned set = 0;
	for (uint32_t at = 0; (at = next_mark(fragment, at)) < fragment.len; at++)
		set |= 1u << mark_of(fragment.p[at]);
	return set & ~1u;
}

size_t ims_fragment_room(struct slice fragment, const struct ims_names *names)
{
	size_t room = fragment.len;
	for (uint32_t at = 0; (at = next_mark(fragment, at)) < fragment.len; at++)
		room += ims_value_room(names->by_mark[mark_of(fragment.p[at])]);
	return room;
}

// See sh_read.h. A pull parser: `next` takes one piece of markup or text after the other and keeps the names of the elements
// that are open, so that each end tag is held against its start tag. Every loop ends with the text.
#include "lib/ims/sh_read.h"

struct reader {
	const uint8_t *p, *end;
	const char *why; // the first defect; NULL: none
	struct slice open[SH_READ_DEPTH_MAX];
	unsigned depth;
};

// What `next` has found.
enum piece { PIECE_END, PIECE_START, PIECE_EMPTY, PIECE_STOP, PIECE_TEXT, PIECE_BROKEN };

static enum piece broken(struct reader *r, const char *why)
{
	if (!r->why)
		r->why = why;
	return PIECE_BROKEN;
}

static bool begins(const struct reader *r, const char *with)
{
	size_t n = strlen(with);
	return (size_t)(r->end - r->p) >= n && memcmp(r->p, with, n) == 0;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct reader *r)
{
	while (r->p < r->end && is_space(*r->p))
		r->p++;
}

// ---- characters: UTF-8 of what XML 1.0 2.2 allows

// Octets of the character at p; 0: none that may stand here.
static unsigned char_len(const uint8_t *p, const uint8_t *end)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned n = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0;
	if (n == 0 || (size_t)(end - p) < n)
		return 0;
	if (n == 1)
		return *p >= 0x20 || is_space(*p) ? 1 : 0;
	uint32_t c = *p & (0x7fu >> n);
	for (unsigned i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < least[n] || (c >= 0xd800 && c < 0xe000) || c == 0xfffe || c == 0xffff || c > 0x10ffff ? 0 : n;
}

static bool chars_are_valid(struct slice s)
{
	for (uint32_t i = 0; i < s.len;) {
		unsigned n = char_len(s.p + i, s.p + s.len);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

bool sh_text_valid(struct slice s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return chars_are_valid(s);
}

// Of names: letters and digits of ASCII, and all beyond it but what XML forbids; lenient there.
static bool begins_name(uint8_t c)
{
	uint8_t low = c | 0x20;
	return (low >= 'a' && low <= 'z') || c == '_' || c == ':' || c >= 0x80;
}

static struct slice take_name(struct reader *r)
{
	const uint8_t *from = r->p;
	if (r->p < r->end && begins_name(*r->p))
		while (r->p < r->end && (begins_name(*r->p) || (*r->p >= '0' && *r->p <= '9') || *r->p == '-' || *r->p == '.'))
			r->p++;
	struct slice name = slice_of(from, (size_t)(r->p - from));
	return chars_are_valid(name) ? name : (struct slice){0};
}

// Takes the reference at r->p (XML 1.0 4.1): its character in UTF-8 into `out`. Returns its octets; 0: it is none.
static unsigned take_reference(struct reader *r, uint8_t out[4])
{
	static const struct {
		const char *text;
		char c;
	} named[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
	for (unsigned i = 0; i < sizeof named / sizeof *named; i++)
		if (begins(r, named[i].text)) {
			r->p += strlen(named[i].text);
			out[0] = (uint8_t)named[i].c;
			return 1;
		}
	if (!begins(r, "&#"))
		return 0;
	r->p += 2;
	bool hex = r->p < r->end && *r->p == 'x';
	r->p += hex;
	uint32_t v = 0;
	unsigned digits = 0;
	for (; r->p < r->end && *r->p != ';' && digits < 8; r->p++, digits++) {
		uint8_t c = *r->p, low = c | 0x20;
		if (c >= '0' && c <= '9')
			v = v * (hex ? 16 : 10) + (uint32_t)(c - '0');
		else if (hex && low >= 'a' && low <= 'f')
			v = v * 16 + (uint32_t)(low - 'a' + 10);
		else
			return 0;
	}
	if (digits == 0 || r->p == r->end || *r->p != ';' || v > 0x10ffff)
		return 0;
	r->p++;
	unsigned n = v < 0x80 ? 1 : v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;
	static const uint8_t mark[5] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (unsigned i = n; i-- > 1; v >>= 6)
		out[i] = (uint8_t)(0x80 | (v & 0x3f));
	out[0] = (uint8_t)(mark[n] | v);
	return char_len(out, out + n) ? n : 0;
}

// ---- markup

static bool take_until(struct reader *r, const char *what, struct slice *inside)
{
	const uint8_t *from = r->p;
	size_t n = strlen(what);
	const uint8_t *at = memmem(r->p, (size_t)(r->end - r->p), what, n);
	if (!at)
		return false;
	*inside = slice_of(from, (size_t)(at - from));
	r->p = at + n;
	return chars_are_valid(*inside);
}

static bool take_attribute_value(struct reader *r)
{
	uint8_t quote = r->p < r->end ? *r->p : 0, octets[4];
	if (quote != '"' && quote != '\'')
		return false;
	r->p++;
	while (r->p < r->end && *r->p != quote) {
		unsigned n = char_len(r->p, r->end);
		if (*r->p == '<' || n == 0)
			return false;
		if (*r->p == '&') {
			if (!take_reference(r, octets))
				return false;
		} else {
			r->p += n;
		}
	}
	if (r->p == r->end)
		return false;
	r->p++;
	return true;
}

// Behind the name of a start tag. false: broken.
static bool take_attributes(struct reader *r)
{
	struct slice seen[SH_READ_ATTRIBUTES_MAX];
	unsigned cnt = 0;
	for (;;) {
		const uint8_t *before = r->p;
		skip_space(r);
		if (r->p == r->end || *r->p == '>' || *r->p == '/')
			return true;
		struct slice name = take_name(r);
		if (!name.len || name.p == before || cnt == SH_READ_ATTRIBUTES_MAX)
			return false; // no name; not behind white space; too many
		for (unsigned i = 0; i < cnt; i++)
			if (slice_eq(seen[i], name))
				return false;
		seen[cnt++] = name;
		skip_space(r);
		if (r->p == r->end || *r->p++ != '=')
			return false;
		skip_space(r);
		if (!take_attribute_value(r))
			return false;
	}
}

static enum piece take_start(struct reader *r, struct slice *name)
{
	r->p++;
	*name = take_name(r);
	if (!name->len || !take_attributes(r) || r->p == r->end)
		return broken(r, "a start tag is not well-formed");
	if (begins(r, "/>")) {
		r->p += 2;
		return PIECE_EMPTY;
	}
	if (*r->p != '>')
		return broken(r, "a start tag is not well-formed");
	if (r->depth == SH_READ_DEPTH_MAX)
		return broken(r, "elements are nested too deep");
	r->p++;
	r->open[r->depth++] = *name;
	return PIECE_START;
}

static enum piece take_stop(struct reader *r, struct slice *name)
{
	r->p += 2;
	*name = take_name(r);
	skip_space(r);
	if (r->p == r->end || *r->p != '>' || r->depth == 0 || !slice_eq(r->open[r->depth - 1], *name))
		return broken(r, "an end tag does not fit its start tag");
	r->p++;
	r->depth--;
	return PIECE_STOP;
}

// Comments and instructions. false: broken.
static bool take_aside(struct reader *r)
{
	struct slice inside;
	if (begins(r, "<!--")) {
		r->p += 4;
		return take_until(r, "--", &inside) && r->p < r->end && *r->p++ == '>';
	}
	r->p += 2;
	struct slice name = take_name(r);
	bool reserved = name.len == 3 && (name.p[0] | 0x20) == 'x' && (name.p[1] | 0x20) == 'm' && (name.p[2] | 0x20) == 'l';
	if (!name.len || reserved || !(begins(r, "?>") || (r->p < r->end && is_space(*r->p))))
		return false;
	return take_until(r, "?>", &inside);
}

// Takes octets of ASCII that mean nothing but themselves: most of all text.
static void take_plain(struct reader *r, struct wr *collect)
{
	const uint8_t *from = r->p, *p = from;
	while (p < r->end && *p >= 0x20 && *p < 0x80 && *p != '<' && *p != '&' && *p != ']')
		p++;
	r->p = p;
	if (collect)
		wr_bytes(collect, from, (size_t)(p - from));
}

// Text up to the next markup. `collect`: where its characters go; may be NULL.
static enum piece take_text(struct reader *r, struct wr *collect)
{
	uint8_t octets[4];
	for (take_plain(r, collect); r->p < r->end && *r->p != '<'; take_plain(r, collect)) {
		unsigned n;
		if (*r->p == '&') {
			if (!(n = take_reference(r, octets)))
				return broken(r, "a reference is none of XML's");
			if (collect)
				wr_bytes(collect, octets, n);
			continue;
		}
		if (!(n = char_len(r->p, r->end)))
			return broken(r, "an octet is no character of UTF-8");
		if (begins(r, "]]>"))
			return broken(r, "]]> stands in text");
		if (collect)
			wr_bytes(collect, r->p, n);
		r->p += n;
	}
	return PIECE_TEXT;
}

// Takes one piece. Comments and instructions are skipped. `collect`: as take_text.
static enum piece next(struct reader *r, struct slice *name, struct wr *collect)
{
	struct slice inside;
	for (;;) {
		if (r->why)
			return PIECE_BROKEN;
		if (r->p == r->end)
			return PIECE_END;
		if (*r->p != '<')
			return take_text(r, collect);
		if (begins(r, "</"))
			return take_stop(r, name);
		if (begins(r, "<![CDATA[") && r->depth) {
			r->p += 9;
			if (!take_until(r, "]]>", &inside))
				return broken(r, "a CDATA section has no end");
			if (collect)
				wr_slice(collect, inside);
			return PIECE_TEXT;
		}
		if (!begins(r, "<!--") && !begins(r, "<?")) {
			if (begins(r, "<!"))
				return broken(r, "a declaration (DOCTYPE) is not taken");
			return take_start(r, name);
		}
		if (!take_aside(r))
			return broken(r, "a comment or an instruction is not well-formed");
	}
}

// ---- Sh-Data

static struct slice local_part(struct slice name)
{
	const uint8_t *colon = memchr(name.p, ':', name.len);
	return colon ? slice_of(colon + 1, (size_t)(name.p + name.len - colon - 1)) : name;
}

static bool is(struct slice name, const char *what)
{
	return slice_eq(local_part(name), slice_str(what));
}

// Goes on to the end of the element that has just begun.
static bool skip_element(struct reader *r)
{
	struct slice name;
	for (unsigned depth = r->depth; r->depth >= depth;)
		switch (next(r, &name, NULL)) {
		case PIECE_END: broken(r, "an element has no end"); return false;
		case PIECE_BROKEN: return false;
		default: break;
		}
	return true;
}

// The text of an element that has just begun and holds nothing else. false: broken.
static bool text_of(struct reader *r, struct wr *out)
{
	struct slice name;
	for (;;)
		switch (next(r, &name, out)) {
		case PIECE_TEXT: break;
		case PIECE_STOP: return true;
		default: broken(r, "an element holds other elements, or has no end"); return false;
		}
}

static struct slice trimmed(struct slice s)
{
	while (s.len && is_space(s.p[0]))
		s = slice_of(s.p + 1, s.len - 1);
	while (s.len && is_space(s.p[s.len - 1]))
		s.len--;
	return s;
}

static bool take_indication(struct reader *r, struct sh_instance *i)
{
	struct wr w = wr_of(i->indication, sizeof i->indication);
	if (!text_of(r, &w))
		return false;
	i->indication_len = (uint32_t)wr_len(&w);
	if (w.err || i->indication_len == 0 || !sh_text_valid(wr_done(&w)))
		broken(r, "ServiceIndication is empty, too long, or holds control characters");
	return !r->why;
}

static bool take_sequence(struct reader *r, struct sh_instance *i)
{
	char text[16];
	struct wr w = wr_of(text, sizeof text);
	uint32_t v = 0;
	if (!text_of(r, &w))
		return false;
	struct slice s = trimmed(wr_done(&w));
	for (uint32_t k = 0; k < s.len && v <= UINT16_MAX; k++)
		v = s.p[k] >= '0' && s.p[k] <= '9' ? v * 10 + (s.p[k] - '0') : UINT16_MAX + 1u;
	if (s.len == 0 || v > UINT16_MAX)
		broken(r, "SequenceNumber is no number from 0 to 65535");
	i->sequence = (uint16_t)v;
	return !r->why;
}

static bool take_data(struct reader *r, struct sh_instance *i)
{
	const uint8_t *from = r->p;
	struct slice name = {0};
	for (unsigned depth = r->depth; r->depth >= depth;) {
		enum piece piece = next(r, &name, NULL);
		if (piece == PIECE_END || piece == PIECE_BROKEN) {
			broken(r, "ServiceData has no end");
			return false;
		}
	}
	i->has_data = true;
	i->data = slice_of(from, (size_t)(name.p - 2 - from)); // up to the "</" of its end tag
	if (i->data.len == 0)
		broken(r, "ServiceData is empty");
	return !r->why;
}

static bool take_instance(struct reader *r, struct sh_instance *i)
{
	bool has_indication = false, has_sequence = false;
	struct slice name;
	*i = (struct sh_instance){.sequence = 0};
	for (;;)
		switch (next(r, &name, NULL)) {
		case PIECE_TEXT: break;
		case PIECE_STOP:
			if (!has_indication || !has_sequence)
				broken(r, "RepositoryData without ServiceIndication or SequenceNumber");
			return !r->why;
		case PIECE_START:
			if (is(name, "ServiceIndication") && !has_indication)
				has_indication = take_indication(r, i);
			else if (is(name, "SequenceNumber") && !has_sequence)
				has_sequence = take_sequence(r, i);
			else if (is(name, "ServiceData") && !i->has_data)
				(void)take_data(r, i);
			else if (is(name, "Extension"))
				(void)skip_element(r);
			else
				broken(r, "RepositoryData holds an element that it may not hold, or twice");
			break;
		case PIECE_EMPTY:
			if (!is(name, "Extension"))
				broken(r, "RepositoryData holds an empty element");
			break;
		default: broken(r, "RepositoryData has no end"); return false;
		}
}

static void take_parts(struct reader *r, struct sh_update *out)
{
	struct slice name;
	for (;;)
		switch (next(r, &name, NULL)) {
		case PIECE_TEXT: break;
		case PIECE_EMPTY:
			if (is(name, "RepositoryData"))
				broken(r, "RepositoryData is empty");
			out->has_other = true;
			break;
		case PIECE_START:
			if (!is(name, "RepositoryData")) {
				out->has_other = true;
				(void)skip_element(r);
			} else if (out->cnt == SH_READ_INSTANCES_MAX) {
				broken(r, "too many RepositoryData");
			} else if (take_instance(r, &out->instance[out->cnt])) {
				out->cnt++;
			}
			break;
		case PIECE_STOP: return;
		default: broken(r, "Sh-Data has no end"); return;
		}
}

// Behind the root element, and before it: nothing but white space, comments and instructions.
static enum piece take_outside(struct reader *r, struct slice *name)
{
	for (;;) {
		skip_space(r);
		if (r->p < r->end && *r->p != '<')
			return broken(r, "text stands outside of the root element");
		if (!begins(r, "<!--") && !begins(r, "<?"))
			return next(r, name, NULL);
		if (!take_aside(r))
			return broken(r, "a comment or an instruction is not well-formed");
	}
}

static bool is_any_case(struct slice s, const char *what)
{
	return slice_eq_nocase(s, slice_str(what));
}

// One pseudo attribute of the XML declaration, of those that may still come. false: broken.
static bool take_declared(struct reader *r, unsigned *next_one)
{
	static const char *const names[] = {"version", "encoding", "standalone"};
	struct slice name = take_name(r), value;
	unsigned at = *next_one;
	while (at < 3 && !slice_eq(name, slice_str(names[at])))
		at++;
	if (at == 3 || (*next_one == 0 && at != 0))
		return false;
	*next_one = at + 1;
	skip_space(r);
	if (r->p == r->end || *r->p++ != '=')
		return false;
	skip_space(r);
	if (r->p == r->end || (*r->p != '"' && *r->p != '\''))
		return false;
	const char quote[2] = {(char)*r->p++, 0};
	if (!take_until(r, quote, &value))
		return false;
	switch (at) {
	case 0: return slice_eq(value, slice_str("1.0"));
	case 1: return is_any_case(value, "UTF-8");
	default: return slice_eq(value, slice_str("yes")) || slice_eq(value, slice_str("no"));
	}
}

// Byte order mark and XML declaration, where there are any.
static void take_head(struct reader *r)
{
	unsigned next_one = 0;
	if (begins(r, "\xef\xbb\xbf"))
		r->p += 3;
	if (!begins(r, "<?xml") || r->end - r->p < 6 || !is_space(r->p[5]))
		return;
	for (r->p += 5;;) {
		const uint8_t *before = r->p;
		skip_space(r);
		if (begins(r, "?>") && next_one)
			break;
		if (r->p == before || !take_declared(r, &next_one)) {
			broken(r, "the XML declaration is none of version 1.0 in UTF-8");
			return;
		}
	}
	r->p += 2;
}

const char *sh_update_read(struct slice text, struct sh_update *out)
{
	struct reader r = {.p = text.p, .end = bytes_end(text.p, text.len)};
	struct slice name;
	out->cnt = 0;
	out->has_other = false;
	if (text.len == 0 || text.len > SH_READ_OCTETS_MAX)
		return text.len ? "the text is too long" : "the text is empty";
	take_head(&r);
	enum piece piece = take_outside(&r, &name);
	if (piece == PIECE_BROKEN)
		return r.why;
	if ((piece != PIECE_START && piece != PIECE_EMPTY) || !is(name, "Sh-Data"))
		return "the root element is not Sh-Data";
	if (piece == PIECE_START)
		take_parts(&r, out);
	if (!r.why && take_outside(&r, &name) != PIECE_END)
		broken(&r, "something stands behind the root element");
	return r.why;
}

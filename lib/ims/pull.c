// See pull.h. Every loop ends with the text; `ims_pull_next` keeps the names of the elements that are open, so that each end tag is
// held against its start tag.
#include "lib/ims/pull.h"

enum ims_piece ims_pull_broken(struct ims_pull *r, const char *why)
{
	if (!r->why)
		r->why = why;
	return IMS_PIECE_BROKEN;
}

static bool begins(const struct ims_pull *r, const char *with)
{
	size_t n = strlen(with);
	return (size_t)(r->end - r->p) >= n && memcmp(r->p, with, n) == 0;
}

static void skip_space(struct ims_pull *r)
{
	while (r->p < r->end && ims_is_space(*r->p))
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
		return *p >= 0x20 || ims_is_space(*p) ? 1 : 0;
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

bool ims_text_valid(struct slice s)
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

static struct slice take_name(struct ims_pull *r)
{
	const uint8_t *from = r->p;
	if (r->p < r->end && begins_name(*r->p))
		while (r->p < r->end && (begins_name(*r->p) || (*r->p >= '0' && *r->p <= '9') || *r->p == '-' || *r->p == '.'))
			r->p++;
	struct slice name = slice_of(from, (size_t)(r->p - from));
	return chars_are_valid(name) ? name : (struct slice){0};
}

// Takes the reference at r->p (XML 1.0 4.1): its character in UTF-8 into `out`. Returns its octets; 0: it is none.
static unsigned take_reference(struct ims_pull *r, uint8_t out[4])
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

static bool take_until(struct ims_pull *r, const char *what, struct slice *inside)
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

// *empty: nothing stands between the quotes.
static bool take_attribute_value(struct ims_pull *r, bool *empty)
{
	uint8_t quote = r->p < r->end ? *r->p : 0, octets[4];
	if (quote != '"' && quote != '\'')
		return false;
	r->p++;
	*empty = r->p < r->end && *r->p == quote;
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

// ---- prefixes (Namespaces in XML 1.0): each must be declared where it is used

static struct slice prefix_of(struct slice name)
{
	const uint8_t *colon = name.len ? memchr(name.p, ':', name.len) : NULL;
	return colon ? slice_of(name.p, (size_t)(colon - name.p)) : (struct slice){0};
}

struct slice ims_pull_local(struct slice name)
{
	struct slice prefix = prefix_of(name);
	return prefix.p ? slice_of(name.p + prefix.len + 1, name.len - prefix.len - 1) : name;
}

static bool is_declared(const struct ims_pull *r, struct slice prefix)
{
	for (unsigned i = r->prefix_base; i < r->prefix_cnt; i++)
		if (slice_eq(r->prefix[i].name, prefix))
			return true;
	return slice_eq(prefix, slice_str("xml"));
}

// Has the name at most one prefix, and is that declared?
static bool name_is_known(const struct ims_pull *r, struct slice name)
{
	struct slice prefix = prefix_of(name), local = ims_pull_local(name);
	if (!prefix.p)
		return true;
	bool qualified = prefix.len && local.len && !memchr(local.p, ':', local.len) && local.p[0] != '-' && local.p[0] != '.' &&
			 !(local.p[0] >= '0' && local.p[0] <= '9');
	return qualified && (slice_eq(prefix, slice_str("xmlns")) || is_declared(r, prefix));
}

// A declaration that counts for the element that begins, and for what is inside of it.
static bool declare(struct ims_pull *r, struct slice attribute, bool empty)
{
	if (!slice_eq(prefix_of(attribute), slice_str("xmlns")))
		return true;
	struct slice prefix = ims_pull_local(attribute);
	if (empty || r->prefix_cnt == IMS_PULL_PREFIXES_MAX || slice_eq(prefix, slice_str("xml")) ||
	    slice_eq(prefix, slice_str("xmlns")))
		return false;
	r->prefix[r->prefix_cnt].name = prefix;
	r->prefix[r->prefix_cnt++].depth = r->depth + 1;
	return true;
}

static void forget_prefixes(struct ims_pull *r)
{
	while (r->prefix_cnt && r->prefix[r->prefix_cnt - 1].depth > r->depth)
		r->prefix_cnt--;
}

// Behind the name of a start tag. false: broken.
static bool take_attributes(struct ims_pull *r)
{
	bool empty;
	r->attribute_cnt = 0;
	for (;;) {
		const uint8_t *before = r->p;
		skip_space(r);
		if (r->p == r->end || *r->p == '>' || *r->p == '/')
			return true;
		struct slice name = take_name(r);
		if (!name.len || name.p == before || r->attribute_cnt == IMS_PULL_ATTRIBUTES_MAX)
			return false; // no name; not behind white space; too many
		for (unsigned i = 0; i < r->attribute_cnt; i++)
			if (slice_eq(r->attribute[i], name))
				return false;
		r->attribute[r->attribute_cnt++] = name;
		skip_space(r);
		if (r->p == r->end || *r->p++ != '=')
			return false;
		skip_space(r);
		if (!take_attribute_value(r, &empty) || !declare(r, name, empty))
			return false;
	}
}

static bool names_are_known(const struct ims_pull *r, struct slice element)
{
	for (unsigned i = 0; i < r->attribute_cnt; i++)
		if (!name_is_known(r, r->attribute[i]))
			return false;
	return name_is_known(r, element) && !slice_eq(prefix_of(element), slice_str("xmlns"));
}

static enum ims_piece take_start(struct ims_pull *r, struct slice *name)
{
	r->p++;
	*name = take_name(r);
	if (!name->len || !take_attributes(r) || r->p == r->end)
		return ims_pull_broken(r, "a start tag is not well-formed");
	if (!names_are_known(r, *name))
		return ims_pull_broken(r, "a prefix is not declared inside of the data");
	if (begins(r, "/>")) {
		r->p += 2;
		forget_prefixes(r);
		return IMS_PIECE_EMPTY;
	}
	if (*r->p != '>')
		return ims_pull_broken(r, "a start tag is not well-formed");
	if (r->depth == IMS_PULL_DEPTH_MAX)
		return ims_pull_broken(r, "elements are nested too deep");
	r->p++;
	r->open[r->depth++] = *name;
	return IMS_PIECE_START;
}

static enum ims_piece take_stop(struct ims_pull *r, struct slice *name)
{
	r->p += 2;
	*name = take_name(r);
	skip_space(r);
	if (r->p == r->end || *r->p != '>' || r->depth == 0 || !slice_eq(r->open[r->depth - 1], *name))
		return ims_pull_broken(r, "an end tag does not fit its start tag");
	r->p++;
	r->depth--;
	forget_prefixes(r);
	return IMS_PIECE_STOP;
}

// Comments and instructions. false: broken.
static bool take_aside(struct ims_pull *r)
{
	struct slice inside;
	if (begins(r, "<!--")) {
		r->p += 4;
		return take_until(r, "--", &inside) && r->p < r->end && *r->p++ == '>';
	}
	r->p += 2;
	struct slice name = take_name(r);
	bool reserved = name.len == 3 && (name.p[0] | 0x20) == 'x' && (name.p[1] | 0x20) == 'm' && (name.p[2] | 0x20) == 'l';
	if (!name.len || memchr(name.p, ':', name.len) || reserved || !(begins(r, "?>") || (r->p < r->end && ims_is_space(*r->p))))
		return false;
	return take_until(r, "?>", &inside);
}

// Takes octets of ASCII that mean nothing but themselves: most of all text.
static void take_plain(struct ims_pull *r, struct wr *collect)
{
	const uint8_t *from = r->p, *p = from;
	while (p < r->end && *p >= 0x20 && *p < 0x80 && *p != '<' && *p != '&' && *p != ']')
		p++;
	r->p = p;
	if (collect)
		wr_bytes(collect, from, (size_t)(p - from));
}

// Text up to the next markup. `collect`: where its characters go; may be NULL.
static enum ims_piece take_text(struct ims_pull *r, struct wr *collect)
{
	uint8_t octets[4];
	for (take_plain(r, collect); r->p < r->end && *r->p != '<'; take_plain(r, collect)) {
		unsigned n;
		if (*r->p == '&') {
			if (!(n = take_reference(r, octets)))
				return ims_pull_broken(r, "a reference is none of XML's");
			if (collect)
				wr_bytes(collect, octets, n);
			continue;
		}
		if (!(n = char_len(r->p, r->end)))
			return ims_pull_broken(r, "an octet is no character of UTF-8");
		if (begins(r, "]]>"))
			return ims_pull_broken(r, "]]> stands in text");
		if (collect)
			wr_bytes(collect, r->p, n);
		r->p += n;
	}
	return IMS_PIECE_TEXT;
}

enum ims_piece ims_pull_next(struct ims_pull *r, struct slice *name, struct wr *collect)
{
	struct slice inside;
	for (;;) {
		if (r->why)
			return IMS_PIECE_BROKEN;
		if (r->p == r->end)
			return IMS_PIECE_END;
		if (*r->p != '<')
			return take_text(r, collect);
		if (begins(r, "</"))
			return take_stop(r, name);
		if (begins(r, "<![CDATA[") && r->depth) {
			r->p += 9;
			if (!take_until(r, "]]>", &inside))
				return ims_pull_broken(r, "a CDATA section has no end");
			if (collect)
				wr_slice(collect, inside);
			return IMS_PIECE_TEXT;
		}
		if (!begins(r, "<!--") && !begins(r, "<?")) {
			if (begins(r, "<!"))
				return ims_pull_broken(r, "a declaration (DOCTYPE) is not taken");
			return take_start(r, name);
		}
		if (!take_aside(r))
			return ims_pull_broken(r, "a comment or an instruction is not well-formed");
	}
}

// ---- the document

enum ims_piece ims_pull_outside(struct ims_pull *r, struct slice *name)
{
	for (;;) {
		skip_space(r);
		if (r->p < r->end && *r->p != '<')
			return ims_pull_broken(r, "text stands outside of the root element");
		if (!begins(r, "<!--") && !begins(r, "<?"))
			return ims_pull_next(r, name, NULL);
		if (!take_aside(r))
			return ims_pull_broken(r, "a comment or an instruction is not well-formed");
	}
}

static bool is_any_case(struct slice s, const char *what)
{
	return slice_eq_nocase(s, slice_str(what));
}

// One pseudo attribute of the XML declaration, of those that may still come. false: broken.
static bool take_declared(struct ims_pull *r, unsigned *next_one)
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

void ims_pull_head(struct ims_pull *r)
{
	unsigned next_one = 0;
	if (begins(r, "\xef\xbb\xbf"))
		r->p += 3;
	if (!begins(r, "<?xml") || r->end - r->p < 6 || !ims_is_space(r->p[5]))
		return;
	for (r->p += 5;;) {
		const uint8_t *before = r->p;
		skip_space(r);
		if (begins(r, "?>") && next_one)
			break;
		if (r->p == before || !take_declared(r, &next_one)) {
			ims_pull_broken(r, "the XML declaration is none of version 1.0 in UTF-8");
			return;
		}
	}
	r->p += 2;
}

// Reads Digest credentials out of a request that somebody copied from a trace. Lenient where only one meaning is
// possible (quotes of all kinds, folds, line ends), and a fault with its offset where there would be two.
//
// The text is read line by line. A line that begins with more blanks than the first one continues the line before.
// Only the request line, CSeq, From, To and (Proxy-)Authorization are understood; other lines are passed over, so that the
// captions of the tool they were copied from do no harm. An empty line after the request line begins the body.
#include "lib/sip/digest.h"

static const char *const param_names[DIGEST_PARAM_CNT] = {
    [DIGEST_P_USERNAME] = "username", [DIGEST_P_REALM] = "realm",       [DIGEST_P_NONCE] = "nonce",
    [DIGEST_P_URI] = "uri",           [DIGEST_P_RESPONSE] = "response", [DIGEST_P_ALGORITHM] = "algorithm",
    [DIGEST_P_CNONCE] = "cnonce",     [DIGEST_P_NC] = "nc",             [DIGEST_P_QOP] = "qop",
    [DIGEST_P_OPAQUE] = "opaque",     [DIGEST_P_AUTS] = "auts",         [DIGEST_P_USERHASH] = "userhash",
};

const char *digest_param_name(enum digest_param param)
{
	return param_names[param];
}

struct parser {
	uint8_t *text;
	struct digest_request *r;
	struct digest_fault *fault;
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool is_space(uint8_t c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

static struct slice trim(struct slice s)
{
	while (s.len && is_space(s.p[0]))
		s = slice_of(s.p + 1, s.len - 1);
	while (s.len && is_space(s.p[s.len - 1]))
		s.len--;
	return s;
}

static bool fail(struct parser *parser, const uint8_t *at, const char *what)
{
	*parser->fault = (struct digest_fault){(uint32_t)(at - parser->text), what};
	return false;
}

static bool begins(const struct rd *r, const char *text)
{
	size_t len = strlen(text);
	return rd_left(r) >= len && memcmp(r->p, text, len) == 0;
}

// --- One header's value

// The kinds of quotes that a value may begin with. Each is closed by one of its own kind.
static const struct quote {
	const char *open, *close;
} quotes[] = {
    {"\"", "\""},
    {"\\\"", "\\\""}, // copied out of a log or a JSON text
    {"&quot;", "&quot;"},
    {"\xe2\x80\x9c", "\xe2\x80\x9d"}, // what word processors make of them
    {"\xe2\x80\x9d", "\xe2\x80\x9d"},
    {"\xe2\x80\x98", "\xe2\x80\x99"},
    {"'", "'"},
};

static const struct quote *take_quote(struct rd *r)
{
	for (unsigned i = 0; i < sizeof quotes / sizeof *quotes; i++)
		if (begins(r, quotes[i].open)) {
			rd_take(r, strlen(quotes[i].open));
			return &quotes[i];
		}
	return NULL;
}

static void skip_spaces(struct rd *r)
{
	while (rd_left(r) && is_space(*r->p))
		rd_take(r, 1);
}

// A fold is one blank (RFC 3261 7.3.1): the value is rewritten in place, which makes it shorter.
static uint32_t unfold(uint8_t *p, uint32_t len)
{
	uint32_t out = 0;

	for (uint32_t i = 0; i < len;) {
		if (p[i] != '\r' && p[i] != '\n') {
			p[out++] = p[i++];
			continue;
		}
		while (out && is_blank(p[out - 1]))
			out--;
		while (i < len && is_space(p[i]))
			i++;
		p[out++] = ' ';
	}
	return out;
}

// Up to the closing quote. A backslash takes the next octet with it, unless backslashes belong to the quotes.
static bool take_quoted(struct parser *parser, struct rd *r, const struct quote *quote, struct slice *value)
{
	const uint8_t *from = r->p;
	bool escapes = quote->open[0] == '"';

	while (rd_left(r) && !begins(r, quote->close))
		rd_take(r, escapes && *r->p == '\\' && rd_left(r) > 1 ? 2 : 1);
	if (!rd_left(r))
		return fail(parser, from, "a quoted value that doesn't end");
	uint32_t len = (uint32_t)(r->p - from);
	*value = slice_of(from, unfold(parser->text + (from - parser->text), len));
	rd_take(r, strlen(quote->close));
	return true;
}

static struct slice take_token(struct rd *r, const char *end)
{
	const uint8_t *from = r->p;

	while (rd_left(r) && !is_space(*r->p) && !strchr(end, *r->p))
		rd_take(r, 1);
	return slice_of(from, (size_t)(r->p - from));
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// username*=UTF-8''J%C3%A4s (RFC 7616 3.4, RFC 5987): decoded in place.
static bool decode_extended(struct parser *parser, struct slice *value)
{
	struct rd r = rd_slice(*value);
	uint8_t *out, *base;

	if (value->len < 7 || !slice_eq_nocase(rd_bytes(&r, 7), slice_str("UTF-8''")))
		return fail(parser, value->p, "expected UTF-8'' before the user name");
	out = base = parser->text + (r.p - parser->text);
	while (rd_left(&r)) {
		uint8_t c = rd_u8(&r);
		if (c == '%') {
			int high = hex_digit(rd_u8(&r)), low = hex_digit(rd_u8(&r));
			if (r.err || high < 0 || low < 0)
				return fail(parser, value->p, "a % without two hex digits");
			c = (uint8_t)(high << 4 | low);
		}
		*out++ = c;
	}
	*value = slice_of(base, (size_t)(out - base));
	return true;
}

static bool keep_param(struct parser *parser, struct digest_auth *a, struct slice name, struct slice value)
{
	bool extended = name.len == 9 && name.p[8] == '*';

	if (extended)
		name.len--;
	for (unsigned i = 0; i < DIGEST_PARAM_CNT; i++) {
		if (!slice_eq_nocase(name, slice_str(param_names[i])))
			continue;
		if (a->given & 1u << i)
			return fail(parser, name.p, "a parameter that is there twice");
		if (extended && !decode_extended(parser, &value))
			return false;
		a->given |= 1u << i;
		a->param[i] = value;
	}
	return true;
}

static bool take_param(struct parser *parser, struct rd *r, struct digest_auth *a)
{
	struct slice name = take_token(r, "=,\""), value;
	const struct quote *quote;

	skip_spaces(r);
	if (!name.len || !begins(r, "="))
		return fail(parser, name.p, "expected NAME=VALUE");
	rd_take(r, 1);
	skip_spaces(r);
	quote = take_quote(r);
	if (!quote)
		value = take_token(r, ",");
	else if (!take_quoted(parser, r, quote, &value))
		return false;
	skip_spaces(r);
	if (begins(r, "\"")) // one too many
		rd_take(r, 1);
	return keep_param(parser, a, name, value);
}

// The credentials behind the word Digest.
static bool take_credentials(struct parser *parser, struct slice text, bool proxy)
{
	struct digest_request *r = parser->r;
	struct digest_auth *a = &r->auth[r->auth_cnt];
	struct rd rd = rd_slice(text);

	if (r->auth_cnt == DIGEST_AUTH_MAX)
		return fail(parser, text.p, "too many credentials");
	*a = (struct digest_auth){.proxy = proxy};
	for (;;) {
		while (rd_left(&rd) && (is_space(*rd.p) || *rd.p == ','))
			rd_take(&rd, 1);
		if (!rd_left(&rd))
			break;
		if (!take_param(parser, &rd, a))
			return false;
	}
	if (!a->given)
		return fail(parser, text.p, "expected NAME=VALUE");
	r->auth_cnt++;
	return true;
}

// --- Lines

static bool is_scheme(struct slice *value)
{
	static const char scheme[] = "digest";
	const uint32_t len = sizeof scheme - 1;

	if (value->len <= len || !slice_eq_nocase(slice_of(value->p, len), slice_of(scheme, len)) ||
	    !is_space(value->p[len]))
		return false;
	*value = slice_of(value->p + len, value->len - len);
	return true;
}

static bool is_name(struct slice name, const char *whole, char compact)
{
	return slice_eq_nocase(name, slice_str(whole)) || (name.len == 1 && (name.p[0] | 0x20) == compact);
}

// Bob <sip:bob@example.com>;tag=1 or sip:bob@example.com;tag=1
static struct slice uri_of(struct slice value)
{
	const uint8_t *open = value.len ? memchr(value.p, '<', value.len) : NULL;
	struct rd r = open ? rd_of(open + 1, (size_t)(value.p + value.len - open) - 1) : rd_slice(value);

	return take_token(&r, open ? ">" : ";");
}

static bool take_header(struct parser *parser, struct slice line)
{
	const uint8_t *colon = line.len ? memchr(line.p, ':', line.len) : NULL;
	struct slice name, value;
	bool proxy;

	if (is_scheme(&line))
		return take_credentials(parser, line, false);
	if (!colon)
		return true;
	name = trim(slice_of(line.p, (size_t)(colon - line.p)));
	value = trim(slice_of(colon + 1, line.len - (size_t)(colon - line.p) - 1));
	proxy = slice_eq_nocase(name, slice_str("proxy-authorization"));
	if (proxy || slice_eq_nocase(name, slice_str("authorization")))
		return !is_scheme(&value) || take_credentials(parser, value, proxy);
	if (slice_eq_nocase(name, slice_str("cseq"))) {
		struct rd r = rd_slice(value);
		take_token(&r, "");
		skip_spaces(&r);
		parser->r->cseq_method = take_token(&r, "");
	}
	if (is_name(name, "from", 'f'))
		parser->r->from = uri_of(value);
	if (is_name(name, "to", 't'))
		parser->r->to = uri_of(value);
	return true;
}

// METHOD URI SIP/2.0, or HTTP/1.1. False: it isn't one.
static bool take_request_line(struct digest_request *request, struct slice line)
{
	struct rd r = rd_slice(line);
	struct slice method = take_token(&r, ":\"=,"), uri, version;

	skip_spaces(&r);
	uri = take_token(&r, "");
	skip_spaces(&r);
	version = take_token(&r, "");
	if (!method.len || !uri.len || rd_left(&r) || version.len < 5 ||
	    (memcmp(version.p, "SIP/", 4) != 0 && memcmp(version.p, "HTTP/", 5) != 0))
		return false;
	request->method = method;
	request->uri = uri;
	return true;
}

static bool is_answer(struct slice line)
{
	return line.len > 8 && (memcmp(line.p, "SIP/2.0 ", 8) == 0 || memcmp(line.p, "HTTP/1.", 7) == 0);
}

// The next line without its end, which may also be the four characters \r\n that viewers show.
static struct slice next_line(struct rd *r)
{
	const uint8_t *end = rd_left(r) ? memchr(r->p, '\n', rd_left(r)) : NULL;
	struct slice line = rd_bytes(r, end ? (size_t)(end - r->p) : rd_left(r));

	if (end)
		rd_take(r, 1);
	if (line.len && line.p[line.len - 1] == '\r')
		line.len--;
	if (line.len >= 4 && memcmp(line.p + line.len - 4, "\\r\\n", 4) == 0)
		line.len -= 4;
	return line;
}

static uint32_t indentation(struct slice line)
{
	uint32_t n = 0;

	while (n < line.len && is_blank(line.p[n]))
		n++;
	return n;
}

// The next header with the lines that continue it, or an empty slice at an empty line.
static struct slice next_header(struct parser *parser, struct rd *r, uint32_t indent)
{
	struct slice line = next_line(r), more;
	struct rd ahead = *r;

	if (!trim(line).len)
		return (struct slice){.p = line.p};
	for (; rd_left(&ahead); *r = ahead) {
		more = next_line(&ahead);
		if (indentation(more) <= indent || !trim(more).len)
			break;
		// a written \r\n between the lines would become part of a value
		for (uint8_t *p = parser->text + (line.p + line.len - parser->text); p < more.p; p++)
			*p = *p == '\n' ? '\n' : ' ';
		line.len = (uint32_t)(more.p + more.len - line.p);
	}
	return trim(line);
}

static bool parse_lines(struct parser *parser, struct rd *r)
{
	struct rd first = *r;
	uint32_t indent = indentation(next_line(&first));

	while (rd_left(r)) {
		struct slice line = next_header(parser, r, indent);
		if (!line.len && parser->r->method.len) {
			parser->r->body = slice_of(r->p, rd_left(r));
			return true;
		}
		if (!line.len)
			continue;
		if (!parser->r->method.len && is_answer(line))
			return fail(parser, line.p, "an answer: its request has the credentials");
		if (!parser->r->method.len && take_request_line(parser->r, line))
			continue;
		if (!take_header(parser, line))
			return false;
	}
	return true;
}

bool digest_request_parse(uint8_t *text, size_t len, struct digest_request *r, struct digest_fault *fault)
{
	struct parser parser = {text, r, fault};
	struct rd rd = rd_of(text, len);

	*r = (struct digest_request){0};
	while (rd_left(&rd) && (*rd.p == '\r' || *rd.p == '\n'))
		rd_take(&rd, 1);
	if (!parse_lines(&parser, &rd))
		return false;
	return r->auth_cnt || fail(&parser, text, "no Digest credentials in it");
}

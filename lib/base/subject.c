// Reads identities into their canonical form (see subject.h for what that is). Each form has a reader that
// writes through the bounded writer into subject.text: what does not fit is refused at the end, at one place.
#include "lib/base/subject.h"
#include "lib/base/utf8.h"

// What a character may be, as bits.
enum {
	USER = 1,      // user's part of a SIP URI: unreserved, user-unreserved of RFC 3261 25.1
	HOST = 2,      // host name or IPv6 reference
	SEPARATOR = 4, // visual separator of a telephone number (RFC 3966 3)
	DIGIT = 8,     // telephone digit: 0 to 9, a to f, * and #
};

static const uint8_t kind_of[256] = {
    ['0' ... '9'] = USER | HOST | DIGIT,
    ['a' ... 'f'] = USER | HOST | DIGIT,
    ['A' ... 'F'] = USER | HOST | DIGIT,
    ['g' ... 'z'] = USER | HOST,
    ['G' ... 'Z'] = USER | HOST,
    ['-'] = USER | HOST | SEPARATOR,
    ['.'] = USER | HOST | SEPARATOR,
    ['('] = USER | SEPARATOR,
    [')'] = USER | SEPARATOR,
    ['*'] = USER | DIGIT,
    ['#'] = DIGIT,
    ['_'] = USER | HOST, // no host name of RFC 1123, yet found in the field
    ['!'] = USER,
    ['~'] = USER,
    ['\''] = USER,
    ['&'] = USER,
    ['='] = USER,
    ['+'] = USER,
    ['$'] = USER,
    [','] = USER,
    [';'] = USER,
    ['?'] = USER,
    ['/'] = USER,
};

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool is_decimal(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static struct slice from(struct slice s, uint32_t at)
{
	return slice_of(s.p + at, s.len - at);
}

// Where `c` is for the first time; s.len when it is not there.
static uint32_t find(struct slice s, uint8_t c)
{
	const uint8_t *p = s.len ? memchr(s.p, c, s.len) : NULL;
	return p ? (uint32_t)(p - s.p) : s.len;
}

static bool starts_with(struct slice s, const char *what)
{
	struct slice w = slice_str(what);
	return s.len >= w.len && slice_eq_nocase(slice_of(s.p, w.len), w);
}

// 1 to 15 decimal digits as msisdn_t and imsi_t pack them; 0 when `s` is anything else.
static uint64_t pack(struct slice s)
{
	msisdn_t m;
	return s.len && s.p[0] != '+' && msisdn_parse(s, &m) ? m.v : 0;
}

static int hex_value(uint8_t c)
{
	c = lower(c);
	return is_decimal(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The character that an escape at s.p[*i] stands for, or the character itself; *i moves to its last octet.
// -1: a broken escape, or an escaped NUL.
static int unescape(struct slice s, uint32_t *i)
{
	if (s.p[*i] != '%')
		return s.p[*i];
	if (s.len - *i < 3)
		return -1;
	int high = hex_value(s.p[*i + 1]), low = hex_value(s.p[*i + 2]);
	*i += 2;
	return high < 0 || low < 0 || (high | low) == 0 ? -1 : high << 4 | low;
}

static void put_escaped(struct wr *w, uint8_t c)
{
	static const char digits[] = "0123456789ABCDEF";
	const uint8_t three[] = {'%', (uint8_t)digits[c >> 4], (uint8_t)digits[c & 15]};
	wr_bytes(w, three, sizeof three);
}

static bool is_control(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

// What surrounds URIs in other text, and is in none of them.
static bool ends_uri(uint8_t c)
{
	return c == ' ' || c == '<' || c == '>' || c == '"';
}

// ---- SIP URIs ------------------------------------------------------------------------------------

// A character of the user's part: as it is where it may stand there, otherwise as an escape.
static bool put_user_char(struct wr *w, int c, bool escaped)
{
	if (c < 0)
		return false;
	if (kind_of[c] & USER)
		wr_u8(w, (uint8_t)c);
	else if (!escaped && (ends_uri((uint8_t)c) || c == '@'))
		return false;
	else
		put_escaped(w, (uint8_t)c);
	return true;
}

// user[:password], escapes resolved where that changes nothing.
static bool put_user(struct wr *w, struct slice user)
{
	bool password = false;
	for (uint32_t i = 0; i < user.len; i++) {
		bool escaped = user.p[i] == '%';
		int c = unescape(user, &i);
		if (c == ':' && !escaped && !password) {
			password = true;
			wr_u8(w, ':');
		} else if (!put_user_char(w, c, escaped)) {
			return false;
		}
	}
	return user.len && user.p[0] != ':';
}

// The number of a user that is a telephone number: true when it is one and was written, without '+',
// separators and parameters. Otherwise the writer is as it was.
static bool put_phone_user(struct wr *w, struct slice user)
{
	struct wr before = *w;
	uint32_t cnt = 0;
	for (uint32_t i = 0; i < user.len; i++) {
		uint32_t at = i;
		int c = unescape(user, &i);
		if (c == ';')
			break;
		if (c == '+' && at == 0)
			continue;
		if (c < 0 || !(kind_of[c] & (DIGIT | SEPARATOR)))
			goto none;
		if (kind_of[c] & SEPARATOR)
			continue;
		if (kind_of[c] & USER)
			wr_u8(w, lower((uint8_t)c));
		else
			put_escaped(w, (uint8_t)c);
		cnt++;
	}
	if (cnt && !w->err)
		return true;
none:
	*w = before;
	return false;
}

// host[:port], the port without leading zeros. `uri` begins at the host; returns how much of it that is, 0:
// broken.
static uint32_t put_host(struct wr *w, struct slice uri)
{
	uint32_t end = 0, port = 0;
	bool ipv6 = uri.len && uri.p[0] == '[';
	if (ipv6) {
		end = find(uri, ']') + 1;
		if (end < 4 || end > uri.len)
			return 0;
		for (uint32_t i = 1; i < end - 1; i++)
			if (hex_value(uri.p[i]) < 0 && uri.p[i] != ':' && uri.p[i] != '.')
				return 0;
	} else {
		while (end < uri.len && kind_of[uri.p[end]] & HOST)
			end++;
	}
	// without the final dot of an absolute name
	uint32_t len = !ipv6 && end > 1 && uri.p[end - 1] == '.' ? end - 1 : end;
	if (len == 0 || uri.p[0] == '.' || (!ipv6 && uri.p[len - 1] == '.'))
		return 0;
	for (uint32_t i = 0; i < len; i++) {
		if (!ipv6 && i && uri.p[i] == '.' && uri.p[i - 1] == '.')
			return 0; // an empty label
		wr_u8(w, lower(uri.p[i]));
	}
	if (end == uri.len || uri.p[end] != ':')
		return end;
	uint32_t first = ++end;
	while (end < uri.len && is_decimal(uri.p[end]) && end - first < 5)
		port = port * 10 + (uint32_t)(uri.p[end++] - '0');
	if (port == 0 || port > UINT16_MAX)
		return 0;
	char digits[5];
	uint32_t n = sizeof digits;
	for (; port; port /= 10)
		digits[--n] = (char)('0' + port % 10);
	wr_u8(w, ':');
	wr_bytes(w, digits + n, sizeof digits - n);
	return end;
}

// Parameters and headers after the host: looked at, not kept. *phone: one is user=phone.
static bool parameters_read(struct slice s, bool *phone)
{
	*phone = false;
	if (s.len && s.p[0] != ';' && s.p[0] != '?')
		return false;
	for (uint32_t i = 0; i < s.len; i++) {
		if (ends_uri(s.p[i]) || s.p[i] == '@')
			return false;
		if (s.p[i] == '?')
			break; // the headers follow; what they hold is nobody's name
		struct slice rest = from(s, i);
		if (s.p[i] == ';' && starts_with(rest, ";user=phone") &&
		    (rest.len == 11 || rest.p[11] == ';' || rest.p[11] == '?'))
			*phone = true;
	}
	return true;
}

static bool read_sip(struct slice uri, struct wr *w, struct subject *out)
{
	bool phone = false;
	uint32_t scheme = starts_with(uri, "sips:") ? 5 : 4;
	struct slice rest = from(uri, scheme), user = {0};
	wr_bytes(w, "sips:", scheme - 1);
	wr_u8(w, ':');
	uint32_t at = find(rest, '@');
	bool has_user = at < rest.len;
	if (has_user) {
		user = slice_of(rest.p, at);
		rest = from(rest, at + 1);
	}
	// the parameters say what the user's part is, so the host is read first
	char host_text[SUBJECT_TEXT_MAX];
	struct wr host = wr_of(host_text, sizeof host_text);
	uint32_t host_len = put_host(&host, rest);
	if (host_len == 0 || !parameters_read(from(rest, host_len), &phone))
		return false;
	if (has_user) {
		uint32_t user_at = (uint32_t)wr_len(w);
		bool plus = user.len && (user.p[0] == '+' || starts_with(user, "%2b"));
		out->phone = (phone || plus) && put_phone_user(w, user);
		if (!out->phone && !put_user(w, user))
			return false;
		if (w->err)
			return false;
		out->digits = pack(slice_of(w->base + user_at, wr_len(w) - user_at));
		wr_u8(w, '@');
	}
	out->domain = (uint16_t)wr_len(w);
	wr_slice(w, wr_done(&host));
	return !host.err;
}

// ---- tel URIs ------------------------------------------------------------------------------------

// The value of phone-context=, empty when it has none.
static struct slice phone_context(struct slice parameters)
{
	static const char name[] = ";phone-context=";
	for (uint32_t i = 0; i < parameters.len; i++) {
		struct slice rest = from(parameters, i);
		if (parameters.p[i] != ';' || !starts_with(rest, name))
			continue;
		rest = from(rest, sizeof name - 1);
		return slice_of(rest.p, find(rest, ';'));
	}
	return (struct slice){0};
}

// A domain, or '+' and digits (RFC 3966 5.1.5).
static bool put_context(struct wr *w, struct slice context)
{
	bool number = context.p[0] == '+';
	wr_slice(w, slice_str(";phone-context="));
	for (uint32_t i = 0; i < context.len; i++) {
		uint8_t c = context.p[i];
		if (number ? !(i == 0 || is_decimal(c) || kind_of[c] & SEPARATOR) : !(kind_of[c] & HOST))
			return false;
		if (!number || !(kind_of[c] & SEPARATOR))
			wr_u8(w, lower(c));
	}
	return true;
}

static bool read_tel(struct slice uri, struct wr *w, struct subject *out)
{
	struct slice number = from(uri, 4);
	uint32_t end = 0, cnt = 0;
	bool global = false, decimal = true;
	wr_slice(w, slice_str("tel:"));
	for (; end < number.len && number.p[end] != ';'; end++) {
		uint32_t at = end;
		int c = unescape(number, &end);
		if (c == '+' && at == 0) {
			global = true;
			continue;
		}
		if (c < 0 || !(kind_of[c] & (DIGIT | SEPARATOR)))
			return false;
		if (kind_of[c] & SEPARATOR)
			continue;
		decimal = decimal && is_decimal((uint8_t)c);
		wr_u8(w, lower((uint8_t)c));
		cnt++;
	}
	if (cnt == 0 || w->err || (global && !decimal))
		return false;
	struct slice parameters = from(number, end), context = phone_context(parameters);
	for (uint32_t i = 0; i < parameters.len; i++)
		if (ends_uri(parameters.p[i]))
			return false;
	if (decimal && (global || context.len == 0)) {
		out->digits = pack(slice_of(w->base + 4, cnt));
		out->phone = true;
		return true;
	}
	return context.len == 0 || put_context(w, context);
}

// ---- the other forms -----------------------------------------------------------------------------

static bool read_public(struct slice s, struct wr *w, struct subject *out)
{
	if (starts_with(s, "sip:") || starts_with(s, "sips:"))
		return read_sip(s, w, out);
	return starts_with(s, "tel:") && read_tel(s, w, out);
}

// user@realm (RFC 7542); the last '@' counts, as a decorated name holds none before it and a quoted one may.
static bool read_private(struct slice s, struct wr *w, struct subject *out)
{
	uint32_t at = s.len;
	while (at > 0 && s.p[at - 1] != '@')
		at--;
	struct slice user = at ? slice_of(s.p, at - 1) : s;
	if (user.len == 0 || (at && at == s.len))
		return false;
	out->digits = pack(user);
	wr_slice(w, user);
	if (at == 0)
		return true;
	wr_u8(w, '@');
	out->domain = (uint16_t)at;
	for (uint32_t i = at; i < s.len; i++) {
		if (!(kind_of[s.p[i]] & HOST) && s.p[i] < 0x80)
			return false;
		wr_u8(w, lower(s.p[i]));
	}
	return true;
}

static bool read_number(enum subject_type type, struct slice digits, struct wr *w, struct subject *out)
{
	out->digits = pack(digits);
	out->phone = type == SUBJECT_MSISDN;
	wr_slice(w, digits);
	return out->digits != 0;
}

static bool read_imsi(struct slice s, struct wr *w, struct subject *out)
{
	return s.len >= 5 && read_number(SUBJECT_IMSI, s, w, out);
}

static bool read_tbcd(struct slice s, struct wr *w, struct subject *out)
{
	uint8_t digits[IMSI_MAX_DIGITS + 1];
	uint32_t n = 0;
	if (s.len == 0 || s.len > (MSISDN_MAX_DIGITS + 1) / 2)
		return false;
	for (uint32_t i = 0; i < 2 * s.len; i++) {
		uint8_t half = i % 2 ? s.p[i / 2] >> 4 : s.p[i / 2] & 15;
		if (half == 15 && i == 2 * s.len - 1)
			break; // the filler
		if (half > 9)
			return false;
		digits[n++] = '0' + half;
	}
	return read_number(SUBJECT_MSISDN, slice_of(digits, n), w, out);
}

static bool read_imei(struct slice s, struct wr *w, struct subject *out)
{
	if (s.len < 14 || s.len > 16)
		return false;
	for (uint32_t i = 14; i < s.len; i++)
		if (!is_decimal(s.p[i]))
			return false;
	return read_number(SUBJECT_IMEI, slice_of(s.p, 14), w, out);
}

// Whether the realm is that of the network to which `imsi` belongs: it holds "mcc" and the three digits of
// it.
static bool realm_has_mcc(struct slice realm, struct slice imsi)
{
	for (uint32_t i = 0; i + 6 <= realm.len; i++)
		if (slice_eq_nocase(slice_of(realm.p + i, 3), slice_str("mcc")))
			return memcmp(realm.p + i + 3, imsi.p, 3) == 0;
	return false;
}

// The IMSI in the user name of EAP: behind the digit that says which method it is for, and behind '!' in a
// decorated name. A node that leaves that digit out is understood by the realm. Empty when it holds none.
static struct slice nai_imsi(struct slice s)
{
	uint32_t at = find(s, '@');
	struct slice user = slice_of(s.p, at), realm = at < s.len ? from(s, at + 1) : (struct slice){0};
	for (uint32_t i = user.len; i > 0; i--)
		if (user.p[i - 1] == '!') {
			user = from(user, i);
			break;
		}
	for (uint32_t i = 0; i < user.len; i++)
		if (!is_decimal(user.p[i]))
			return (struct slice){0};
	bool method = user.len && (user.p[0] == '0' || user.p[0] == '1' || user.p[0] == '6');
	if (user.len == IMSI_MAX_DIGITS + 1)
		return method ? from(user, 1) : (struct slice){0};
	if (user.len < 6 || user.len > IMSI_MAX_DIGITS)
		return user.len == 5 ? user : (struct slice){0};
	if (method && realm_has_mcc(realm, from(user, 1)) && !realm_has_mcc(realm, user))
		return from(user, 1);
	return user;
}

static bool read_form(enum subject_form form, struct slice s, struct wr *w, struct subject *out)
{
	static const uint8_t type_of[SUBJECT_FORM_CNT] = {
	    [SUBJECT_FORM_IMSI] = SUBJECT_IMSI,       [SUBJECT_FORM_NAI] = SUBJECT_IMSI,
	    [SUBJECT_FORM_PRIVATE] = SUBJECT_PRIVATE, [SUBJECT_FORM_PUBLIC] = SUBJECT_PUBLIC,
	    [SUBJECT_FORM_MSISDN] = SUBJECT_MSISDN,   [SUBJECT_FORM_MSISDN_TBCD] = SUBJECT_MSISDN,
	    [SUBJECT_FORM_IMEI] = SUBJECT_IMEI,
	};
	out->type = form < SUBJECT_FORM_CNT ? type_of[form] : SUBJECT_NONE;
	switch (form) {
	case SUBJECT_FORM_IMSI:
		return read_imsi(s, w, out);
	case SUBJECT_FORM_NAI: {
		struct slice imsi = nai_imsi(s);
		if (imsi.len)
			return read_imsi(imsi, w, out);
		out->type = SUBJECT_PRIVATE;
		return read_private(s, w, out);
	}
	case SUBJECT_FORM_PRIVATE:
		return read_private(s, w, out);
	case SUBJECT_FORM_PUBLIC:
		return read_public(s, w, out);
	case SUBJECT_FORM_MSISDN:
		return read_number(SUBJECT_MSISDN, s.p[0] == '+' ? from(s, 1) : s, w, out);
	case SUBJECT_FORM_MSISDN_TBCD:
		return read_tbcd(s, w, out);
	case SUBJECT_FORM_IMEI:
		return read_imei(s, w, out);
	default:
		return false;
	}
}

// The numbers' readers allow digits only, and TBCD is no text.
static bool text_ok(enum subject_form form, struct slice s)
{
	if (form != SUBJECT_FORM_NAI && form != SUBJECT_FORM_PRIVATE && form != SUBJECT_FORM_PUBLIC)
		return true;
	for (uint32_t i = 0; i < s.len; i++)
		if (is_control(s.p[i]))
			return false;
	return utf8_valid(s);
}

void subject_none(struct subject *out)
{
	out->hash = out->digits = 0;
	out->type = SUBJECT_NONE;
	out->phone = false;
	out->len = out->domain = 0;
	out->text[0] = 0;
}

bool subject_read(enum subject_form form, struct slice spelling, struct subject *out)
{
	struct wr w = wr_of(out->text, SUBJECT_TEXT_MAX);
	out->digits = 0;
	out->phone = false;
	out->domain = 0;
	if (spelling.len == 0 || spelling.len > SUBJECT_INPUT_MAX || !text_ok(form, spelling) ||
	    !read_form(form, spelling, &w, out) || w.err) {
		subject_none(out);
		return false;
	}
	out->len = (uint16_t)wr_len(&w);
	out->text[out->len] = 0;
	bool number = out->type == SUBJECT_IMSI || out->type == SUBJECT_MSISDN || out->type == SUBJECT_IMEI;
	uint64_t hash = number ? ident_hash(out->digits) : ident_hash_bytes(subject_text(out), false);
	out->hash = hash ? hash : 1;
	return true;
}

struct slice subject_domain(const struct subject *s)
{
	if (s->domain == 0)
		return (struct slice){0};
	struct slice host = slice_of(s->text + s->domain, s->len - s->domain);
	if (s->type != SUBJECT_PUBLIC || host.p[0] == '[')
		return host.len && host.p[0] == '[' ? slice_of(host.p, find(host, ']') + 1) : host;
	return slice_of(host.p, find(host, ':'));
}

imsi_t subject_imsi(const struct subject *s)
{
	bool may = s->type == SUBJECT_IMSI || s->type == SUBJECT_PRIVATE || s->type == SUBJECT_PUBLIC;
	return (imsi_t){may && !s->phone && s->digits >> 60 >= 5 ? s->digits : 0};
}

msisdn_t subject_msisdn(const struct subject *s)
{
	bool may = s->type == SUBJECT_MSISDN || s->type == SUBJECT_PUBLIC;
	return (msisdn_t){may ? s->digits : 0};
}

// Rewrites what MongoDB's shells print as Extended JSON (shell.h). One pass from left to right knows quoted
// text, and names with their arguments; everything else is copied as it stands. Pure; loader process.
#include "loader/document/shell.h"
#include <string.h>

#define ARG_MAX   3u
#define DEPTH_MAX 64u

struct shell {
	struct rd in;
	struct wr *out;
	const char *why; // the first thing that was not understood
	unsigned depth;
};

static bool not_understood(struct shell *s, const char *why)
{
	if (!s->why)
		s->why = why;
	return false;
}

static uint8_t peek(const struct shell *s)
{
	return rd_left(&s->in) ? *s->in.p : 0;
}

static void skip_blanks(struct shell *s)
{
	while (rd_left(&s->in) && strchr(" \t\r\n", peek(s)) && peek(s))
		s->in.p++;
}

static bool begins_name(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}

static struct slice take_name(struct shell *s)
{
	const uint8_t *from = s->in.p;
	while (begins_name(peek(s)) || (s->in.p > from && ((peek(s) >= '0' && peek(s) <= '9') || peek(s) == '.')))
		s->in.p++;
	return slice_of(from, (size_t)(s->in.p - from));
}

static void put(struct shell *s, const char *text)
{
	wr_bytes(s->out, text, strlen(text));
}

// ---- text

// The octets between two quotes of any kind, escapes as they stand.
static bool take_quoted(struct shell *s, struct slice *inside, uint8_t *quote)
{
	*quote = rd_u8(&s->in);
	const uint8_t *from = s->in.p;
	while (rd_left(&s->in)) {
		uint8_t c = *s->in.p++;
		if (c == *quote) {
			*inside = slice_of(from, (size_t)(s->in.p - 1 - from));
			return true;
		}
		if (c == '\\' && rd_left(&s->in))
			s->in.p++;
	}
	return not_understood(s, "a text without its closing quote");
}

// As JSON writes it: the escapes that only JavaScript has are undone.
static void put_text(struct shell *s, struct slice text)
{
	wr_u8(s->out, '"');
	for (uint32_t i = 0; i < text.len; i++) {
		uint8_t c = text.p[i], next = i + 1 < text.len ? text.p[i + 1] : 0;
		if (c == '\\' && (next == '\'' || next == '`')) {
			wr_u8(s->out, next);
			i++;
		} else if (c == '\\' && next) {
			wr_u8(s->out, c);
			wr_u8(s->out, next);
			i++;
		} else if (c == '"') {
			put(s, "\\\"");
		} else {
			wr_u8(s->out, c);
		}
	}
	wr_u8(s->out, '"');
}

// ---- names with arguments

// Text, or a bare number, which ends before a comma or parenthesis.
static bool take_argument(struct shell *s, struct slice *out)
{
	uint8_t quote;
	skip_blanks(s);
	if (peek(s) == '"' || peek(s) == '\'' || peek(s) == '`')
		return take_quoted(s, out, &quote);
	const uint8_t *from = s->in.p;
	while (rd_left(&s->in) && !strchr(",) \t\r\n", peek(s)))
		s->in.p++;
	*out = slice_of(from, (size_t)(s->in.p - from));
	return out->len > 0 || not_understood(s, "a name without its value");
}

static bool take_arguments(struct shell *s, struct slice arg[ARG_MAX], unsigned *cnt)
{
	(void)rd_u8(&s->in); // the parenthesis
	for (*cnt = 0; *cnt < ARG_MAX; ++*cnt) {
		skip_blanks(s);
		if (*cnt == 0 && peek(s) == ')')
			break;
		if (!take_argument(s, &arg[*cnt]))
			return false;
		skip_blanks(s);
		if (peek(s) != ',') {
			++*cnt;
			break;
		}
		s->in.p++;
	}
	return rd_u8(&s->in) == ')' || not_understood(s, "a value with too many arguments");
}

static void put_member(struct shell *s, const char *before, struct slice text, const char *after)
{
	put(s, before);
	put_text(s, text);
	put(s, after);
}

static bool is_whole(struct slice s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if ((s.p[i] < '0' || s.p[i] > '9') && !(i == 0 && s.p[i] == '-' && s.len > 1))
			return false;
	return s.len > 0;
}

enum call { CALL_TEXT, CALL_NUMBER, CALL_BINARY, CALL_TIMESTAMP };
static const struct {
	const char *name;
	enum call call;
	const char *before, *after; // around the argument
} calls[] = {
    {"ObjectId", CALL_TEXT, "{\"$oid\":", "}"},
    {"ObjectID", CALL_TEXT, "{\"$oid\":", "}"},
    {"NumberLong", CALL_TEXT, "{\"$numberLong\":", "}"},
    {"Long", CALL_TEXT, "{\"$numberLong\":", "}"},
    {"Long.fromString", CALL_TEXT, "{\"$numberLong\":", "}"},
    {"NumberDecimal", CALL_TEXT, "{\"$numberDecimal\":", "}"},
    {"Decimal128", CALL_TEXT, "{\"$numberDecimal\":", "}"},
    {"Double", CALL_TEXT, "{\"$numberDouble\":", "}"},
    {"NumberInt", CALL_NUMBER, "", ""},
    {"Int32", CALL_NUMBER, "", ""},
    {"ISODate", CALL_TEXT, "{\"$date\":", "}"},
    {"Date", CALL_TEXT, "{\"$date\":", "}"},
    {"UUID", CALL_TEXT, "{\"$uuid\":", "}"},
    {"BinData", CALL_BINARY, "1", "0"}, // where the base64 and the subtype stand
    {"Binary.createFromBase64", CALL_BINARY, "0", "1"},
    {"Timestamp", CALL_TIMESTAMP, "", ""},
};

static bool put_binary(struct shell *s, const struct slice arg[], unsigned cnt, unsigned data, unsigned type)
{
	char sub[4] = "00";
	if (cnt != 2)
		return not_understood(s, "binary data without subtype");
	uint8_t digit = arg[type].len == 1 ? arg[type].p[0] : '0';
	sub[1] = (char)digit;
	put_member(s, "{\"$binary\":{\"base64\":", arg[data], ",\"subType\":");
	put_text(s, slice_str(sub));
	put(s, "}}");
	return true;
}

static bool put_call(struct shell *s, struct slice name)
{
	struct slice arg[ARG_MAX];
	unsigned cnt;
	if (name.len > 3 && memcmp(name.p, "new", 3) == 0 && name.p[3] < 'a') // "new Date", the blank may have gone
		name = slice_of(name.p + 3, name.len - 3);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (!slice_eq(name, slice_str(calls[i].name)))
			continue;
		if (!take_arguments(s, arg, &cnt))
			return false;
		if (cnt == 0)
			return not_understood(s, "a name without its value");
		switch (calls[i].call) {
		case CALL_TEXT:
			put_member(s, calls[i].before, arg[0], calls[i].after);
			return true;
		case CALL_NUMBER:
			wr_slice(s->out, arg[0]);
			return is_whole(arg[0]) || not_understood(s, "an integer that is none");
		case CALL_BINARY:
			return put_binary(s, arg, cnt, calls[i].before[0] == '1', calls[i].after[0] == '1');
		case CALL_TIMESTAMP:
			if (cnt != 2 || !is_whole(arg[0]) || !is_whole(arg[1]))
				return not_understood(s, "a Timestamp without its two numbers");
			put(s, "{\"$timestamp\":{\"t\":");
			wr_slice(s->out, arg[0]);
			put(s, ",\"i\":");
			wr_slice(s->out, arg[1]);
			put(s, "}}");
			return true;
		}
	}
	return not_understood(s, "a kind of value that is not known here");
}

// A bare name: a member's, a value, or one with arguments.
static bool take_word(struct shell *s)
{
	struct slice name = take_name(s);
	skip_blanks(s);
	if (slice_eq(name, slice_str("new")) && begins_name(peek(s))) {
		name = take_name(s);
		skip_blanks(s);
	}
	if (peek(s) == '(')
		return put_call(s, name);
	if (peek(s) == ':') {
		put_text(s, name);
	} else if (slice_eq(name, slice_str("true")) || slice_eq(name, slice_str("false")) ||
		   slice_eq(name, slice_str("null"))) {
		wr_slice(s->out, name);
	} else if (slice_eq(name, slice_str("undefined"))) {
		put(s, "null");
	} else if (slice_eq(name, slice_str("NaN")) || slice_eq(name, slice_str("Infinity"))) {
		put_member(s, "{\"$numberDouble\":", name, "}");
	} else if (slice_eq(name, slice_str("Object")) || slice_eq(name, slice_str("Array"))) {
		return not_understood(s, "[Object], which the shell prints in place of what is too deep: export with "
					 "mongoexport");
	} else {
		return not_understood(s, "a word that is no value");
	}
	return true;
}

// ---- the whole

static bool take_one(struct shell *s)
{
	struct slice text;
	uint8_t c = peek(s), quote;
	if (c == '"' || c == '\'' || c == '`') {
		if (!take_quoted(s, &text, &quote))
			return false;
		put_text(s, text);
		return true;
	}
	if (begins_name(c))
		return take_word(s);
	if (c == '-' || c == '+' || (c >= '0' && c <= '9')) {
		do
			wr_u8(s->out, rd_u8(&s->in));
		while (peek(s) && strchr("0123456789.eE+-", peek(s)));
		return true;
	}
	s->in.p++;
	if (c == '{' || c == '[') {
		if (++s->depth > DEPTH_MAX)
			return not_understood(s, "too many levels");
	} else if ((c == '}' || c == ']') && s->depth) {
		s->depth--;
	}
	if (c == ',') {
		skip_blanks(s);
		if (peek(s) == '}' || peek(s) == ']')
			return true;
	}
	wr_u8(s->out, c);
	return true;
}

const char *shell_to_json(struct slice in, struct wr *out)
{
	struct shell s = {.in = rd_slice(in), .out = out};
	while (rd_left(&s.in) && !out->err && !s.why)
		if (!take_one(&s))
			break;
	if (out->err)
		return "it is too long";
	return s.why;
}

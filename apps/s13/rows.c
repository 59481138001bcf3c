// Reads rows of equipment (rows.h). No state.
#include "apps/s13/rows.h"
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct row {
	char text[S13_COLUMN_CNT][S13_NOTE_MAX + 1];
};

static int column_of(struct slice name)
{
	static const struct {
		const char *name;
		enum s13_column column;
	} names[] = {{"imei", COLUMN_IMEI},   {"tac", COLUMN_IMEI},   {"range", COLUMN_IMEI}, {"imsi", COLUMN_IMSI},
		     {"color", COLUMN_COLOR}, {"colour", COLUMN_COLOR}, {"status", COLUMN_COLOR}, {"match_response_code", COLUMN_COLOR},
		     {"note", COLUMN_NOTE},   {"regex_mode", COLUMN_REGEX}};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (slice_eq_nocase(name, slice_str(names[i].name)))
			return (int)names[i].column;
	return -1;
}

// The next field of a row of CSV, without blanks and quotes around it. false: the row is over.
static bool next_field(struct slice *rest, char separator, struct slice *out)
{
	if (!rest->p)
		return false;
	bool quoted = rest->len && rest->p[0] == '"';
	uint32_t n = quoted;
	while (n < rest->len && (quoted ? rest->p[n] != '"' : rest->p[n] != (uint8_t)separator))
		n++;
	*out = slice_of(rest->p + quoted, n - quoted);
	while (n < rest->len && rest->p[n] != (uint8_t)separator)
		n++;
	*rest = n < rest->len ? slice_of(rest->p + n + 1, rest->len - n - 1) : (struct slice){0};
	while (out->len && isspace(out->p[out->len - 1]))
		out->len--;
	while (out->len && isspace(out->p[0]))
		*out = slice_of(out->p + 1, out->len - 1);
	return true;
}

bool s13_columns_read(struct slice header, struct s13_columns *out)
{
	struct slice name;
	*out = (struct s13_columns){.csv = header.len != 0, .separator = ','};
	if (!out->csv)
		return true;
	for (uint32_t i = 0; i < header.len; i++)
		if (header.p[i] == ';')
			out->separator = ';';
	for (uint8_t at = 1; at < 64 && next_field(&header, out->separator, &name); at++) {
		int column = column_of(name);
		if (column >= 0 && !out->place[column])
			out->place[column] = at;
	}
	return out->place[COLUMN_IMEI] != 0;
}

static bool take(struct row *r, enum s13_column column, struct slice value, char *error, size_t room)
{
	if (value.len > S13_NOTE_MAX) {
		snprintf(error, room, "expected at most %u octets in a field, got %u", S13_NOTE_MAX, value.len);
		return false;
	}
	memcpy(r->text[column], value.p ? value.p : (const uint8_t *)"", value.len);
	return true;
}

static bool read_csv(const struct s13_columns *c, struct slice line, struct row *r, char *error, size_t room)
{
	struct slice field;
	for (uint8_t at = 1; at < 64 && next_field(&line, c->separator, &field); at++)
		for (unsigned column = 0; column < S13_COLUMN_CNT; column++)
			if (c->place[column] == at && !take(r, (enum s13_column)column, field, error, room))
				return false;
	return true;
}

static bool take_json(struct row *r, enum s13_column column, const json_t *v, char *error, size_t room)
{
	char number[32];
	if (json_is_string(v))
		return take(r, column, slice_of(json_string_value(v), json_string_length(v)), error, room);
	if (json_is_integer(v) || json_is_boolean(v)) {
		json_int_t n = json_is_true(v) ? 1 : json_integer_value(v);
		return take(r, column, slice_of(number, (uint32_t)snprintf(number, sizeof number, "%lld", (long long)n)), error, room);
	}
	if (json_is_null(v))
		return true;
	snprintf(error, room, "expected texts and numbers, got something else");
	return false;
}

static bool read_json(struct slice line, struct row *r, char *error, size_t room)
{
	json_error_t e;
	json_t *doc = json_loadb((const char *)line.p, line.len, JSON_REJECT_DUPLICATES, &e), *v;
	const char *name;
	bool good = json_is_object(doc);
	if (!good)
		snprintf(error, room, "expected a JSON object: %s", doc ? "got something else" : e.text);
	json_object_foreach(doc, name, v)
	{
		int column = column_of(slice_str(name));
		if (good && column >= 0)
			good = take_json(r, (enum s13_column)column, v, error, room);
	}
	json_decref(doc);
	return good;
}

static bool color_read(const char *text, uint8_t *out)
{
	static const struct {
		const char *word;
		uint8_t color;
	} words[] = {{"white", S13_WHITE},	{"0", S13_WHITE},  {"whitelist", S13_WHITE}, {"whitelisted", S13_WHITE},
		     {"black", S13_BLACK},	{"1", S13_BLACK},  {"blacklist", S13_BLACK}, {"blacklisted", S13_BLACK},
		     {"grey", S13_GREY},	{"2", S13_GREY},   {"greylist", S13_GREY},   {"greylisted", S13_GREY},
		     {"gray", S13_GREY}};
	for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
		if (strcasecmp(text, words[i].word) == 0) {
			*out = words[i].color;
			return true;
		}
	return false;
}

// An expression of PyHSS that is a number, or a number's beginning: "^35622506.*". Others are refused: what they match, and how
// long that takes, nobody can tell.
static bool plain_of(char *text, char *error, size_t room)
{
	char *p = text, *end;
	if (*p == '^')
		p++;
	size_t n = strspn(p, "0123456789");
	end = p + n;
	bool prefix = strcmp(end, ".*") == 0 || strcmp(end, ".*$") == 0 || (*end == 0 && n == 8);
	if (n && ((prefix && n == 8) || (n >= 14 && n <= 16 && (*end == 0 || strcmp(end, "$") == 0)))) {
		memmove(text, p, n);
		text[n] = 0;
		return true;
	}
	snprintf(error, room, "an expression: only those are taken that are an IMEI, or begin with a TAC of 8 digits");
	return false;
}

// The same of an IMSI: one of 15 digits, or of fewer when the expression ends there; ".*" is any, as when no IMSI is given.
static bool plain_imsi_of(char *text, char *error, size_t room)
{
	char *p = text;
	if (*p == '^')
		p++;
	size_t n = strspn(p, "0123456789");
	bool any = strcmp(p, ".*") == 0 || strcmp(p, ".*$") == 0;
	if (any || (n && (strcmp(p + n, "$") == 0 || (n == 15 && p[n] == 0)))) {
		memmove(text, p, n);
		text[n] = 0;
		return true;
	}
	snprintf(error, room, "an expression: of an IMSI only those are taken that are all of its digits, or .*");
	return false;
}

bool s13_row_read(const struct s13_columns *columns, struct slice line, struct s13_item *item, char *kept, struct slice *note,
		  char *error, size_t room)
{
	struct row r = {0};
	const char *expected;
	bool check;
	imsi_t imsi = {0};
	if (!(columns->csv ? read_csv(columns, line, &r, error, room) : read_json(line, &r, error, room)))
		return false;
	const char *regex = r.text[COLUMN_REGEX];
	bool expression = *regex && strcmp(regex, "0") != 0 && strcasecmp(regex, "false") != 0;
	char *user = r.text[COLUMN_IMSI];
	if (expression && (!plain_of(r.text[COLUMN_IMEI], error, room) || (*user && !plain_imsi_of(user, error, room))))
		return false;
	if (*user && !imsi_parse(slice_str(user), &imsi)) {
		snprintf(error, room, "imsi: expected 5 to 15 digits");
		return false;
	}
	if (!s13_key_read(slice_str(r.text[COLUMN_IMEI]), imsi, &item->key, &check, &expected)) {
		snprintf(error, room, "imei: expected %s", expected);
		return false;
	}
	item->color = S13_BLACK; // of a list without colors
	if ((*r.text[COLUMN_COLOR] || columns->place[COLUMN_COLOR]) && !color_read(r.text[COLUMN_COLOR], &item->color)) {
		snprintf(error, room, "color: expected white, grey or black, or 0, 2 or 1");
		return false;
	}
	memcpy(kept, r.text[COLUMN_NOTE], sizeof r.text[COLUMN_NOTE]);
	*note = slice_str(kept);
	return true;
}

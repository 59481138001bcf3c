// Rows as text: lists as aligned tables, single things as "name: value" lines. A table's widths come from its
// first rows; the others stream, so a million rows cost what a hundred cost. Values may come from peers and
// other people's documents: control characters never reach the terminal.
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "admin/cli/cli.h"
#include "lib/diameter/app_name.h"

#define COLUMN_MAX 9
#define HELD_MAX   100

struct column {
	const char *member, *title;
};

static const struct table {
	const char *words;
	struct column column[COLUMN_MAX];
} tables[] = {
    {"subscriber list",
     {{"imsi", "IMSI"}, {"msisdn", "MSISDN"}, {"status", "STATUS"},
#define COLUMN(member, title) {member, title},
#include "apps/columns.def"
#undef COLUMN
     }},
    {"explain",
     {{"request", "REQUEST"},
      {"time_us", "WHEN"},
      {"plmn", "PLMN"},
      {"node", "NODE"},
      {"result", "RESULT"},
      {"diagnostic", "DIAGNOSTIC"},
      {"rule", "RULE"}}},
    {"request list",
     {{"imsi", "IMSI"},
      {"application", "APPLICATION"},
      {"command", "COMMAND"},
      {"node", "NODE"},
      {"age_s", "AGE S"},
      {"tries", "TRIES"},
      {"state", "STATE"}}},
    {"equipment show",
     {{"imei", "IMEI"}, {"tac", "TAC"}, {"range", "RANGE"}, {"imsi", "IMSI"}, {"color", "COLOR"}, {"note", "NOTE"}}},
    {"equipment list",
     {{"imei", "IMEI"}, {"tac", "TAC"}, {"range", "RANGE"}, {"imsi", "IMSI"}, {"color", "COLOR"}, {"note", "NOTE"}}},
    {"subscriber problems", {{"where", "WHERE"}, {"imsi", "IMSI"}, {"error", "REASON"}}},
    {"peer list",
     {{"host", "HOST"},
      {"state", "STATE"},
      {"transport", "VIA"},
      {"address", "ADDRESS"},
      {"apps", "APPLICATIONS"},
      {"requests", "REQUESTS"},
      {"rejected", "REJECTED"},
      {"pending", "PENDING"},
      {"since", "SINCE"}}},
    {"stats", {{"metric", "METRIC"}, {"labels", "LABELS"}, {"value", "VALUE"}}},
};

struct cli_output {
	FILE *f;
	const struct admin_command *command;
	const struct table *table; // NULL: single things
	bool widths_known;
	size_t width[COLUMN_MAX];
	json_t *held[HELD_MAX]; // until the widths are known
	unsigned held_cnt;
	unsigned rows;
};

static const struct table *table_find(const char *words)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (strcmp(tables[i].words, words) == 0)
			return &tables[i];
	}
	return NULL;
}

// Printable copy of at most 255 octets.
static void printable(const char *text, char out[256])
{
	size_t n = 0;

	for (; *text && n < 255; text++)
		out[n++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
	out[n] = 0;
}

static void time_text(time_t t, char out[256])
{
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(out, 256, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(out, 256, "-");
}

static void duration_text(json_int_t s, char out[256])
{
	if (s >= 86400)
		snprintf(out, 256, "%lldd %02lld:%02lld", (long long)(s / 86400), (long long)(s / 3600 % 24),
			 (long long)(s / 60 % 60));
	else
		snprintf(out, 256, "%02lld:%02lld:%02lld", (long long)(s / 3600), (long long)(s / 60 % 60),
			 (long long)(s % 60));
}

// A value in one cell. `member` decides how numbers read.
static void cell(const char *member, const json_t *v, char out[256])
{
	size_t len = strlen(member), i, n = 0;
	json_t *item;

	if (json_is_null(v) && (strcmp(member, "plmn") == 0 || strcmp(member, "time_us") == 0)) {
		snprintf(out, 256, "unknown");
	} else if (!v || json_is_null(v)) {
		snprintf(out, 256, "-");
	} else if (json_is_string(v)) {
		printable(json_string_value(v), out);
	} else if (json_is_boolean(v)) {
		snprintf(out, 256, json_is_true(v) ? "yes" : "no");
	} else if (json_is_real(v)) {
		snprintf(out, 256, "%g", json_real_value(v));
	} else if (json_is_integer(v) && strcmp(member, "uptime_s") == 0) {
		duration_text(json_integer_value(v), out);
	} else if (json_is_integer(v) && (strcmp(member, "since") == 0 || strcmp(member, "time_us") == 0)) {
		time_text((time_t)(json_integer_value(v) / (*member == 't' ? 1000000 : 1)), out);
	} else if (json_is_integer(v)) {
		snprintf(out, 256, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	} else if (json_is_array(v)) {
		out[0] = 0;
		json_array_foreach(v, i, item)
		{
			char one[256];

			const char *app = strcmp(member, "apps") == 0 ? app_word((uint32_t)json_integer_value(item)) : NULL;

			if (app)
				snprintf(one, sizeof(one), "%s", app);
			else if (json_is_object(item))
				snprintf(one, sizeof(one), "{...}");
			else
				cell(len ? "" : member, item, one);
			if (n + strlen(one) + 2 < 256)
				n += (size_t)snprintf(out + n, 256 - n, "%s%s", n ? "," : "", one);
		}
		if (n == 0)
			snprintf(out, 256, "-");
	} else {
		snprintf(out, 256, "{...}");
	}
}

// --- tables

static void table_line(const struct cli_output *o, const json_t *row)
{
	char text[256];

	for (unsigned i = 0; i < COLUMN_MAX && o->table->column[i].member; i++) {
		bool last = i + 1 == COLUMN_MAX || !o->table->column[i + 1].member;

		if (row)
			cell(o->table->column[i].member, json_object_get(row, o->table->column[i].member),
			     text);
		else
			snprintf(text, sizeof(text), "%s", o->table->column[i].title);
		fprintf(o->f, "%s%-*s", i ? "  " : "", last ? 0 : (int)o->width[i], text);
	}
	fputc('\n', o->f);
}

static void table_begin(struct cli_output *o)
{
	char text[256];

	o->widths_known = true;
	for (unsigned i = 0; i < COLUMN_MAX && o->table->column[i].member; i++) {
		o->width[i] = strlen(o->table->column[i].title);
		for (unsigned r = 0; r < o->held_cnt; r++) {
			const char *member = o->table->column[i].member;

			cell(member, json_object_get(o->held[r], member), text);
			if (strlen(text) > o->width[i])
				o->width[i] = strlen(text);
		}
	}
	table_line(o, NULL);
	for (unsigned r = 0; r < o->held_cnt; r++) {
		table_line(o, o->held[r]);
		json_decref(o->held[r]);
	}
	o->held_cnt = 0;
}

static void table_row(struct cli_output *o, json_t *row_taken)
{
	if (!o->widths_known && o->held_cnt < HELD_MAX) {
		o->held[o->held_cnt++] = row_taken;
		return;
	}
	if (!o->widths_known)
		table_begin(o);
	table_line(o, row_taken);
	json_decref(row_taken);
}

// --- single things

#define FLAT_NAME_MAX 60 // names beyond it push their value to the right
#define FLAT_DEPTH    12

// One walk over a document's members: the first measures the names, the second prints.
struct flat {
	FILE *f; // NULL: measure
	size_t width;
	bool document; // a subscriber's
};

static void flat_walk(struct flat *w, const char *prefix, const json_t *v, unsigned depth);

static void flat_member(struct flat *w, const char *prefix, const char *name, const json_t *v, unsigned depth)
{
	char shown[256], full[512], text[256];
	const json_t *first = json_array_get(v, 0);
	bool said;

	printable(name, shown);
	snprintf(full, sizeof(full), "%.250s%s%s", prefix, *prefix ? "." : "", shown);
	said = w->document && cli_document_value(full, v, text);
	if (!said && depth < FLAT_DEPTH && (json_is_object(v) || json_is_object(first) || json_is_array(first))) {
		flat_walk(w, full, v, depth + 1);
		return;
	}
	if (!w->f) {
		size_t len = strlen(full);

		if (len > w->width)
			w->width = len < FLAT_NAME_MAX ? len : FLAT_NAME_MAX;
		return;
	}
	if (!said)
		cell(name, v, text);
	fprintf(w->f, "%-*s  %s\n", (int)w->width, full, text);
}

static void flat_walk(struct flat *w, const char *prefix, const json_t *v, unsigned depth)
{
	const char *name;
	json_t *member;
	size_t i;

	json_object_foreach((json_t *)v, name, member)
	{
		flat_member(w, prefix, name, member, depth);
	}
	json_array_foreach(v, i, member)
	{
		char number[24];

		snprintf(number, sizeof(number), "%zu", i);
		flat_member(w, prefix, number, member, depth);
	}
}

static void flat(FILE *f, const json_t *v, bool document)
{
	struct flat w = {.document = document};

	flat_walk(&w, "", v, 0);
	w.f = f;
	flat_walk(&w, "", v, 0);
}

// Line by line, control characters apart.
static void whole_text(FILE *f, const char *text)
{
	const char *c = text ? text : "";
	for (; *c; c++)
		fputc(((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f ? '?' : *c, f);
	if (c == text || (text && c[-1] != '\n'))
		fputc('\n', f);
}

struct cli_output *cli_text_new(const struct admin_command *command, FILE *f)
{
	struct cli_output *o = calloc(1, sizeof(*o));

	if (o) {
		o->f = f;
		o->command = command;
		o->table = table_find(command->words);
	}
	return o;
}

void cli_text_row(struct cli_output *o, const char *text, size_t len)
{
	json_t *row = json_loadb(text, len, 0, NULL);

	if (!json_is_object(row)) {
		json_decref(row);
		return;
	}
	if (o->table && json_object_size(row) == 1 && json_object_get(row, "count"))
		o->table = NULL; // of a list only how many
	if (o->table) {
		table_row(o, row);
		return;
	}
	if (o->rows++ > 0)
		fputc('\n', o->f);
	if (o->command->flags & ADMIN_FLAG_TEXT)
		whole_text(o->f, json_string_value(json_object_iter_value(json_object_iter(row))));
	else
		flat(o->f, row, strcmp(o->command->words, "subscriber show") == 0);
	json_decref(row);
}

void cli_text_end(struct cli_output **o, bool complete)
{
	if (*o && (*o)->table && !(*o)->widths_known && (complete || (*o)->held_cnt))
		table_begin(*o);
	free(*o);
	*o = NULL;
}

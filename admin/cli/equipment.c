// `hssctl equipment import`: sends a file in pieces, each of which is durable before the next one is sent. The loader
// understands the rows; here lines are cut, and the first one of CSV is told from JSON.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "admin/cli/cli.h"
#include "lib/base/clock.h"

#define PIECE_LINES 400u
#define PIECE_TEXT  (40u << 10) // octets of lines in one request, which has at most ADMIN_REQUEST_MAX
#define LINE_LIMIT  4096u

struct import {
	struct cli_session *s;
	const struct cli_args *a;
	FILE *f;
	json_t *lines;	    // of the piece, owned
	json_t *columns;    // the header of CSV, or null; owned
	size_t text;	    // octets in it
	uint64_t line, first; // the last one read; the first one of the piece
	unsigned long long rows, errors;
	uint32_t id; // tells the loader which pieces belong together
};

static void tell(struct import *im, const char *text, size_t len)
{
	json_t *row = json_loads(text, 0, NULL), *rows = json_object_get(row, "rows");
	const char *error = json_string_value(json_object_get(row, "error"));

	if (rows)
		im->rows += (unsigned long long)json_integer_value(rows);
	if (rows)
		im->errors += (unsigned long long)json_integer_value(json_object_get(row, "errors"));
	if (error && im->a->json)
		cli_json_row(stdout, text, len);
	else if (error)
		fprintf(stderr, "line %" JSON_INTEGER_FORMAT ": %s\n", json_integer_value(json_object_get(row, "line")), error);
	json_decref(row);
}

// Sends what has been gathered, and waits for its end.
static int send_piece(struct import *im, bool last)
{
	struct cli_args piece = *im->a;
	char *text;
	size_t len;
	int rc = CLI_REFUSED;

	piece.args = json_pack("{s:{s:I,s:I,s:O,s:O,s:b}}", "rows", "import", (json_int_t)im->id, "first", (json_int_t)im->first, "lines", im->lines, "columns",
			       im->columns, "last", last);
	bool more = piece.args && cli_session_request(im->s, &piece);
	while (more) {
		switch (cli_session_next(im->s, true, &text, &len)) {
		case CLI_LINE_ROW:
			tell(im, text, len);
			break;
		case CLI_LINE_END:
			rc = cli_session_end(text, im->a->command);
			more = false;
			break;
		default:
			more = false;
			break;
		}
	}
	json_decref(piece.args);
	json_array_clear(im->lines);
	im->text = 0;
	im->first = im->line + 1;
	return rc;
}

// The first line says what the file is: JSON objects, or the header of CSV.
static bool take_first(struct import *im, const char *line, size_t len)
{
	if (*line == '{')
		return false;
	json_decref(im->columns);
	im->columns = json_stringn(line, len);
	im->first = im->line + 1;
	return true;
}

static int take_line(struct import *im, char *line, size_t len, bool *begun)
{
	while (len && strchr("\r\n", line[len - 1]))
		len--;
	im->line++;
	bool header = len && !*begun && take_first(im, line, len);
	*begun |= len != 0;
	if (header)
		return CLI_DONE;
	json_t *text = len <= LINE_LIMIT ? json_stringn(line, len) : NULL;
	if (!text) {
		fprintf(stderr, "line %llu: expected UTF-8 of at most %u octets\n", (unsigned long long)im->line, LINE_LIMIT);
		im->errors++;
		text = json_string("");
	}
	json_array_append_new(im->lines, text);
	im->text += len;
	return json_array_size(im->lines) == PIECE_LINES || im->text >= PIECE_TEXT ? send_piece(im, false) : CLI_DONE;
}

static int import_file(struct import *im)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	bool begun = false;
	int rc = CLI_DONE;

	while (rc == CLI_DONE && (n = getline(&line, &cap, im->f)) > 0)
		rc = take_line(im, line, (size_t)n, &begun);
	free(line);
	if (rc == CLI_DONE && ferror(im->f)) {
		fprintf(stderr, "hssctl: %s: %s\n", im->a->file, err_text(errno));
		rc = CLI_REFUSED;
	}
	return rc == CLI_DONE ? send_piece(im, true) : rc;
}

int cli_equipment_import(struct cli_session *s, const struct cli_args *a)
{
	bool standard = strcmp(a->file, "-") == 0;
	struct import im = {.s = s,
			    .a = a,
			    .first = 1,
			    .lines = json_array(),
			    .columns = json_null(),
			    .id = (uint32_t)clock_wall_us() | 1};

	im.f = standard ? stdin : fopen(a->file, "re");
	if (!im.f) {
		fprintf(stderr, "hssctl: %s: %s\n", a->file, err_text(errno));
		json_decref(im.lines);
		return CLI_REFUSED;
	}
	int rc = import_file(&im);
	if (a->json)
		printf("{\"rows\":%llu,\"errors\":%llu}\n", im.rows, im.errors);
	else if (rc == CLI_DONE)
		printf("%llu imported, %llu refused\n", im.rows, im.errors);
	if (!standard)
		fclose(im.f);
	json_decref(im.lines);
	json_decref(im.columns);
	return rc == CLI_DONE && im.errors ? CLI_REFUSED : rc;
}

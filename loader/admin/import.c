// `subscriber import`: frames of whole lines, each line a JSON document or a row of CSV. A row counts when it
// is durable; a bad one names its line and its reason and the others go in. The sender is held back when the
// fold thread falls behind.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/document/csv.h"
#include "loader/document/import_doc.h"
#include "loader/admin/provision.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define IMPORT_PROGRESS_MS 100u

void import_begin(struct loader *l, struct call *c)
{
	const char *format = json_string_value(json_object_get(c->args, "format"));
	c->progress_ms = clock_mono_ms();
	if (format && strcmp(format, "csv") == 0)
		c->csv = csv_new();
	else
		c->docs = import_docs_new();
	if (!c->docs && !c->csv)
		admin_end(l, c, ADMIN_REFUSED, "out of memory");
}

// `number`: of the line, and above it that of the document in its file (0: a line each).
#define LINE_BITS 40
#define LINE_MASK ((1ull << LINE_BITS) - 1)

static void error_row(struct loader *l, struct call *c, uint64_t number, const char *text)
{
	if (++c->errors > ADMIN_ERRORS_MAX)
		return;
	json_t *row = json_pack("{s:I,s:s}", "line", (json_int_t)(number & LINE_MASK), "error", text);
	if (number > LINE_MASK)
		json_object_set_new(row, "document", json_integer((json_int_t)(number >> LINE_BITS)));
	admin_row_take(l, c, row, false);
}

static void progress(struct loader *l, struct call *c)
{
	c->progress_ms = clock_mono_ms();
	admin_row_take(l, c,
		       json_pack("{s:{s:I,s:I}}", "progress", "rows", (json_int_t)c->rows, "errors",
				 (json_int_t)c->errors),
		       false);
}

static void finish_if_over(struct loader *l, struct call *c)
{
	if (!c->ended || c->in_flight)
		return;
	progress(l, c);
	json_t *m = json_pack("{s:i,s:I,s:I}", "status", c->failed ? ADMIN_REFUSED : ADMIN_OK, "rows",
			      (json_int_t)c->rows, "errors", (json_int_t)c->errors);
	if (c->failed)
		json_object_set_new(m, "error", json_string("some rows could not be made durable"));
	admin_end_take(l, c, m);
}

static void on_row(struct loader *l, struct op *op, int error)
{
	struct call *c = admin_call(l, op->id);
	if (!c)
		return;
	c->in_flight--;
	if (error) {
		c->failed = true;
		error_row(l, c, op->answer[0], err_text(error));
	} else {
		c->rows++;
	}
	finish_if_over(l, c);
}

static void row_refused(struct loader *l, uint64_t id, uint64_t answer, const char *text)
{
	struct call *c = admin_call(l, id);
	if (!c)
		return;
	c->in_flight--;
	error_row(l, c, answer, text);
	finish_if_over(l, c);
}

// Checks and begins one row; what is wrong with it goes into its error row.
static void import_row(struct loader *l, struct call *c, const json_t *doc, struct slice text)
{
	struct record_error e;
	// before: with a full batch the commit may answer rows of this call
	c->in_flight++;
	uint64_t number = c->line;
	bool ok = provision_change(l,
				   &(struct put){.document = doc,
						 .text = text,
						 .mode = PUT_REPLACE,
						 .done = on_row,
						 .refused = row_refused,
						 .id = c->serial,
						 .answer = number},
				   &e);
	if (!ok) {
		c->in_flight--;
		error_row(l, c, number, e.text);
	}
}

static void import_json(struct loader *l, struct call *c, struct slice line)
{
	json_error_t where;
	char text[200];
	json_t *doc = import_docs_parse(c->docs, line, &where);
	if (doc) {
		import_row(l, c, doc, line);
	} else {
		snprintf(text, sizeof(text), "not JSON: %.150s (column %d)", where.text, where.column);
		error_row(l, c, c->line, text);
	}
	json_decref(doc);
}

static void import_csv(struct loader *l, struct call *c, struct slice line)
{
	struct record_error e;
	struct csv_row row;
	enum csv_line kind = csv_read(c->csv, line, &row, &e);
	if (kind == CSV_BAD)
		error_row(l, c, c->line, e.text);
	if (kind != CSV_ROW)
		return;
	json_t *doc = csv_document(c->csv, &row);
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	if (text) {
		import_row(l, c, doc, slice_str(text));
		secret_wipe(text, strlen(text));
	} else {
		error_row(l, c, c->line, "out of memory");
	}
	free(text);
	json_decref(doc);
}

// "#LINE DOCUMENT": where the next document began, when a file has not one in each line.
static void line_is(struct call *c, struct slice line)
{
	uint64_t n[2] = {0, 0};
	unsigned at = 0;
	for (uint32_t i = 1; i < line.len; i++) {
		if (line.p[i] == ' ' && at == 0)
			at = 1;
		else if (line.p[i] >= '0' && line.p[i] <= '9' && n[at] < LINE_MASK / 10)
			n[at] = n[at] * 10 + (line.p[i] - '0');
	}
	c->line = n[1] << LINE_BITS | (n[0] ? n[0] - 1 : 0);
}

static void import_line(struct loader *l, struct call *c, struct slice line)
{
	while (line.len && (line.p[line.len - 1] == '\r' || line.p[line.len - 1] == ' '))
		line.len--;
	if (c->docs && line.len && line.p[0] == '#') {
		line_is(c, line);
		return;
	}
	c->line++;
	if (line.len && c->csv)
		import_csv(l, c, line);
	else if (line.len)
		import_json(l, c, line);
}

static void credit(struct loader *l, struct call *c)
{
	uint64_t n = c->owed;
	if (n == 0 || local_is_behind(l->local)) // no credit until the fold thread has caught up
		return;
	c->owed = 0;
	l->send(l, ROLE_ADMIN, 0, IPC_ADMIN_CREDIT, c->id, &n, sizeof(n));
}

void import_data(struct loader *l, struct call *c, struct slice data)
{
	if (c->command->run != import_begin || c->ended)
		return;
	if (data.len == 0) {
		c->ended = true;
		finish_if_over(l, c);
		return;
	}
	struct rd r = rd_slice(data);
	while (rd_left(&r)) {
		const uint8_t *end = memchr(r.p, '\n', rd_left(&r));
		struct slice line = rd_bytes(&r, end ? (size_t)(end - r.p) : rd_left(&r));
		(void)rd_take(&r, end ? 1 : 0);
		import_line(l, c, line);
	}
	c->owed += data.len;
	credit(l, c);
}

void import_resume(struct loader *l, struct call *c)
{
	if (c->command->run == import_begin)
		credit(l, c);
}

void import_tick(struct loader *l, struct call *c)
{
	if (c->command->run == import_begin && clock_mono_ms() - c->progress_ms >= IMPORT_PROGRESS_MS)
		progress(l, c);
}

// `subscriber import`: frames of whole lines, each line a JSON document or a row of CSV. A row counts when it
// is durable; a bad one names its line and its reason and the others go in. The sender is held back when the
// fold thread falls behind.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/document/csv.h"
#include "loader/document/import_doc.h"
#include "loader/document/shell.h"
#include "loader/admin/provision.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define IMPORT_PROGRESS_MS 100u

void import_begin(struct loader *l, struct call *c)
{
	const char *format = json_string_value(json_object_get(c->args, "format"));
	c->progress_ms = clock_mono_ms();
	c->dry = json_is_true(json_object_get(c->args, "dry_run"));
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

static void told_row(struct loader *l, struct call *c, uint64_t number, const char *what, const char *text)
{
	json_t *row = json_pack("{s:I,s:s}", "line", (json_int_t)(number & LINE_MASK), what, text);
	if (number > LINE_MASK)
		json_object_set_new(row, "document", json_integer((json_int_t)(number >> LINE_BITS)));
	admin_row_take(l, c, row, false);
}

static void error_row(struct loader *l, struct call *c, uint64_t number, const char *text)
{
	if (++c->errors <= ADMIN_ERRORS_MAX)
		told_row(l, c, number, "error", text);
}

// The row is taken all the same.
static void warning_row(struct loader *l, struct call *c, uint64_t number, const char *text)
{
	if (++c->warnings <= ADMIN_ERRORS_MAX)
		told_row(l, c, number, "warning", text);
}

// ---- IMSIs that are shorter than the others

static void length_seen(struct call *c, const json_t *doc)
{
	const json_t *text = json_object_get(doc, "imsi");
	size_t digits = json_string_length(text);
	struct imsi_lengths *n = &c->lengths;
	imsi_t imsi;
	if (digits == 0 || digits > IMSI_DIGITS_MAX || !imsi_parse(slice_of(json_string_value(text), digits), &imsi))
		return;
	if (n->cnt[digits]++ > 0)
		return;
	n->line[digits] = c->line;
	n->first[digits] = imsi;
}

static void lengths_tell(struct loader *l, struct call *c)
{
	const struct imsi_lengths *n = &c->lengths;
	unsigned usual = 0;
	char text[200], imsi[16];
	for (unsigned i = 1; i <= IMSI_DIGITS_MAX; i++)
		if (n->cnt[i] >= n->cnt[usual])
			usual = i;
	for (unsigned i = 1; i < usual; i++) {
		if (n->cnt[i] == 0)
			continue;
		imsi_text(n->first[i], imsi);
		snprintf(text, sizeof(text), "IMSI %s has %u digits, most of this file have %u (%llu of %llu)", imsi, i, usual,
			 (unsigned long long)n->cnt[i], (unsigned long long)(n->cnt[i] + n->cnt[usual]));
		warning_row(l, c, n->line[i], text);
	}
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
	lengths_tell(l, c);
	progress(l, c);
	json_t *m = json_pack("{s:i,s:I,s:I,s:I,s:b}", "status", c->failed || c->errors ? ADMIN_REFUSED : ADMIN_OK,
			      "rows", (json_int_t)c->rows, "errors", (json_int_t)c->errors, "warnings",
			      (json_int_t)c->warnings, "dry_run", c->dry);
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
	struct record_error e = {""};
	uint64_t number = c->line;
	length_seen(c, doc);
	if (c->dry) {
		if (!provision_check(l, doc, &e))
			error_row(l, c, number, e.text);
		else if (c->rows++, e.text[0])
			warning_row(l, c, number, e.text);
		return;
	}
	// before: with a full batch the commit may answer rows of this call
	c->in_flight++;
	bool ok = provision_change(l,
				   &(struct put){.document = doc,
						 .text = text,
						 .mode = PUT_REPLACE,
						 .done = on_row,
						 .refused = row_refused,
						 .id = c->serial,
						 .answer = number},
				   &e);
	if (!ok)
		c->in_flight--;
	if (e.text[0])
		(ok ? warning_row : error_row)(l, c, number, e.text);
}

// As the shells of MongoDB print it. NULL: told.
static json_t *import_shell(struct loader *l, struct call *c, struct slice line, json_error_t *where, struct wr *out)
{
	char text[220];
	const char *why = shell_to_json(line, out);
	json_t *doc = why ? NULL : import_docs_parse(c->docs, wr_done(out), where);
	if (doc)
		return doc;
	if (line.len >= 4 && memcmp(line.p, "Type", 4) == 0)
		snprintf(text, sizeof(text), "the shell stopped here, further documents are missing: export with mongoexport");
	else if (why && line.p[0] == '{' && memchr(line.p, '(', line.len))
		snprintf(text, sizeof(text), "not understood: %s", why);
	else
		snprintf(text, sizeof(text), "not JSON: %.150s (column %d)", where->text, where->column);
	error_row(l, c, c->line, text);
	return NULL;
}

static void import_json(struct loader *l, struct call *c, struct slice line)
{
	json_error_t where;
	json_t *doc = import_docs_parse(c->docs, line, &where);
	struct wr out = {0};
	size_t room = 0;
	uint8_t *json = NULL;
	if (!doc) {
		room = 4 * (size_t)line.len + 256;
		json = malloc(room);
		out = wr_of(json, json ? room : 0);
		doc = import_shell(l, c, line, &where, &out);
		line = wr_done(&out);
	}
	if (doc)
		import_row(l, c, doc, line);
	json_decref(doc);
	if (json)
		secret_wipe(json, room);
	free(json);
}

static void import_csv(struct loader *l, struct call *c, struct slice line)
{
	struct record_error e;
	struct csv_row row;
	enum csv_line kind = csv_read(c->csv, line, &row, &e);
	if (kind == CSV_BAD)
		error_row(l, c, c->line, e.text);
	if (!c->columns_told && csv_unused(c->csv)[0]) {
		char text[300];
		snprintf(text, sizeof(text), "columns that are not used: %s", csv_unused(c->csv));
		c->columns_told = true;
		warning_row(l, c, c->line, text);
	}
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
	if (n == 0 || txn_is_behind(l)) // no credit until the fold thread has caught up
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

// `subscriber import`: JSON lines in frames of whole lines, each line a document. A row counts when it is
// durable; a bad one names its line and its reason and the others go in. The sender is held back when the
// fold thread falls behind.
#include <errno.h>
#include "cache/loader/import_doc.h"
#include "cache/loader/provision.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define IMPORT_BACKLOG                                                                                       \
	60000u // journal entries: beyond, no credit is given until the fold thread has caught up
#define IMPORT_PROGRESS_MS 100u

void import_begin(struct loader *l, struct call *c)
{
	c->progress_ms = clock_mono_ms();
	c->docs = import_docs_new();
	if (!c->docs)
		admin_end(l, c, ADMIN_REFUSED, "out of memory");
}

static void error_row(struct loader *l, struct call *c, uint64_t line, const char *text)
{
	if (++c->errors > ADMIN_ERRORS_MAX)
		return;
	admin_row_take(l, c, json_pack("{s:I,s:s}", "line", (json_int_t)line, "error", text), false);
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

static void import_line(struct loader *l, struct call *c, struct slice line)
{
	struct record_error e;
	json_error_t where;
	c->line++;
	while (line.len && (line.p[line.len - 1] == '\r' || line.p[line.len - 1] == ' '))
		line.len--;
	if (line.len == 0)
		return;
	json_t *doc = import_docs_parse(c->docs, line, &where);
	if (!doc) {
		snprintf(e.text, sizeof(e.text), "not JSON: %.150s (column %d)", where.text, where.column);
		error_row(l, c, c->line, e.text);
		return;
	}
	// before: with a full batch the commit may answer rows of this call
	c->in_flight++;
	uint64_t serial = c->serial, number = c->line;
	bool ok = provision_change(l,
				&(struct put){.document = doc,
					      .text = line,
					      .mode = PUT_REPLACE,
					      .done = on_row,
					      .refused = row_refused,
					      .id = serial,
					      .answer = number},
				&e);
	json_decref(doc);
	if (!ok) {
		c->in_flight--;
		error_row(l, c, number, e.text);
	}
}

static void credit(struct loader *l, struct call *c)
{
	uint64_t n = c->owed;
	if (n == 0 || local_seq(l->local) - local_folded(l->local) > IMPORT_BACKLOG)
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

// Collects what is wrong, bounded.
#include <stdarg.h>
#include <string.h>
#include "lib/ims/report.h"

// What comes from files and documents goes to terminals and logs.
static void printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

__attribute__((format(printf, 4, 0))) static void add(struct ims_report *r, bool warning, struct ims_at at, const char *fmt, va_list ap)
{
	r->errors += !warning;
	if (r->cnt++ >= IMS_FINDING_MAX)
		return;
	struct ims_finding *f = &r->finding[r->cnt - 1];
	f->line = at.line;
	f->warning = warning;
	snprintf(f->path, sizeof f->path, "%s", at.path ? at.path : "");
	vsnprintf(f->text, sizeof f->text, fmt, ap);
	printable(f->path);
	printable(f->text);
}

void ims_report_error(struct ims_report *r, struct ims_at at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, false, at, fmt, ap);
	va_end(ap);
}

void ims_report_warning(struct ims_report *r, struct ims_at at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, true, at, fmt, ap);
	va_end(ap);
}

static unsigned kept(const struct ims_report *r)
{
	return r->cnt < IMS_FINDING_MAX ? r->cnt : IMS_FINDING_MAX;
}

void ims_report_print(const struct ims_report *r, const char *file, FILE *to)
{
	for (unsigned i = 0; i < kept(r); i++) {
		const struct ims_finding *f = &r->finding[i];

		fputs(file, to);
		if (f->line)
			fprintf(to, ":%u", f->line);
		fprintf(to, ": %s%s%s%s\n", f->warning ? "warning: " : "", f->path, f->path[0] ? ": " : "", f->text);
	}
	if (r->cnt > IMS_FINDING_MAX)
		fprintf(to, "%s: %u more findings\n", file, r->cnt - IMS_FINDING_MAX);
}

const char *ims_report_text(const struct ims_report *r, const char *file, char *room, size_t cap)
{
	FILE *to = fmemopen(room, cap, "w");
	char *end;

	room[0] = 0;
	if (!to)
		return room;
	ims_report_print(r, file, to);
	fclose(to);
	room[cap - 1] = 0;
	end = strrchr(room, '\n');
	if (end)
		*end = 0;
	return room;
}

const char *ims_report_first(const struct ims_report *r, char *room, size_t cap)
{
	const struct ims_finding *f = NULL;
	int n;

	for (unsigned i = 0; i < kept(r) && !f; i++)
		f = r->finding[i].warning ? NULL : &r->finding[i];
	snprintf(room, cap, "%s", r->errors ? "too many findings" : "");
	if (!f)
		return room;
	if (f->line)
		n = snprintf(room, cap, "line %u: %s", f->line, f->text);
	else
		n = snprintf(room, cap, "%s%s%s", f->path, f->path[0] ? ": " : "", f->text);
	if (r->errors > 1 && n > 0 && (size_t)n < cap)
		snprintf(room + n, cap - (size_t)n, " (and %u more)", r->errors - 1);
	return room;
}

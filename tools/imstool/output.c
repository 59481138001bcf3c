// What imstool prints: text of others made harmless, JSON, tables.
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "tools/imstool/imstool.h"

// Octets of the UTF-8 character at the beginning; 0: it isn't one, or one that steers terminals.
static unsigned character(const uint8_t *p, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned len = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	uint32_t v = len == 1 ? p[0] : p[0] & (0x7fu >> len);

	if (len > left || (p[0] >= 0x80 && p[0] < 0xc2) || p[0] > 0xf4)
		return 0;
	for (unsigned i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3f);
	}
	if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	return v < 0x20 || (v >= 0x7f && v < 0xa0) ? 0 : len;
}

void im_print_text(FILE *f, struct slice text)
{
	for (uint32_t i = 0; i < text.len;) {
		unsigned len = character(text.p + i, text.len - i);
		if (len)
			fwrite(text.p + i, 1, len, f);
		else
			fprintf(f, "\\x%02x", text.p[i]);
		i += len ? len : 1;
	}
}

json_t *im_json_text(struct slice text)
{
	char *copy;
	size_t out = 0;
	json_t *value = json_stringn(text.p ? (const char *)text.p : "", text.len);

	if (value)
		return value;
	copy = malloc(3 * (size_t)text.len);
	for (uint32_t i = 0; copy && i < text.len;) {
		unsigned len = text.p[i] < 0x80 ? 1 : character(text.p + i, text.len - i);
		memcpy(copy + out, len ? (const char *)text.p + i : "\xef\xbf\xbd", len ? len : 3);
		out += len ? len : 3;
		i += len ? len : 1;
	}
	value = copy ? json_stringn(copy, out) : NULL;
	free(copy);
	return value;
}

void im_print_json_take(json_t *value)
{
	if (json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY) == 0)
		fputc('\n', stdout);
	else
		fputs("imstool: the answer can't be written as JSON\n", stderr);
	json_decref(value);
}

struct im_table {
	unsigned columns;
	size_t cell_cnt;
	char **cell;
};

struct im_table *im_table_new(unsigned columns)
{
	struct im_table *t = calloc(1, sizeof *t);
	if (!t || columns > IM_COLUMNS_MAX)
		bug("no memory");
	t->columns = columns;
	return t;
}

// Text that came from elsewhere is shown as im_print_text does.
static char *harmless(const char *text)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	if (!f)
		bug("no memory");
	im_print_text(f, slice_str(text));
	if (fclose(f))
		bug("no memory");
	return out;
}

void im_cell(struct im_table *t, const char *fmt, ...)
{
	char *raw;
	va_list ap;

	va_start(ap, fmt);
	int rc = vasprintf(&raw, fmt, ap);
	va_end(ap);
	t->cell = rc < 0 ? NULL : reallocarray(t->cell, t->cell_cnt + 1, sizeof *t->cell);
	if (!t->cell)
		bug("no memory");
	t->cell[t->cell_cnt++] = harmless(raw);
	free(raw);
}

// Columns on a terminal: characters, not octets.
static size_t width(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

void im_table_print_free(struct im_table **table, FILE *f)
{
	struct im_table *t = *table;
	size_t widest[IM_COLUMNS_MAX] = {0};

	for (size_t i = 0; i < t->cell_cnt; i++) {
		size_t *w = &widest[i % t->columns], n = width(t->cell[i]);
		*w = n > *w ? n : *w;
	}
	for (size_t i = 0; i < t->cell_cnt; i++) {
		unsigned column = (unsigned)(i % t->columns);
		bool last = column == t->columns - 1;
		fputs(t->cell[i], f);
		fprintf(f, "%*s", last ? 0 : (int)(widest[column] - width(t->cell[i]) + 2), "");
		if (last)
			fputc('\n', f);
	}
	for (size_t i = 0; i < t->cell_cnt; i++)
		free(t->cell[i]);
	free(t->cell);
	free(t);
	*table = NULL;
}

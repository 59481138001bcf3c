// The effective configuration as YAML that config_parse accepts again, except that a uri's password is
// masked.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "config/options.h"
#include "config/uri.h"

// Double-quoted YAML; the parser lets no control characters in.
static void print_quoted(FILE *f, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"' || text[i] == '\\')
			fputc('\\', f);
		if (strncmp(text + i, "${", 2) == 0) // no variable: it was one, or "$${"
			fputc('$', f);
		fputc(text[i], f);
	}
}

static void print_value(FILE *f, const struct config *c, const struct option_row *o, size_t at)
{
	const char *member = (const char *)c + o->offset + at;
	const char *const *words = option_words(o->kind);
	char masked[CONFIG_URI_MAX];
	uint32_t u32;
	uint16_t u16;

	if (words) {
		fputs(words[*(const uint8_t *)member], f);
		return;
	}
	switch (o->kind) {
	case OPTION_U32:
		memcpy(&u32, member, sizeof(u32));
		fprintf(f, "%" PRIu32, u32);
		return;
	case OPTION_U16:
		memcpy(&u16, member, sizeof(u16));
		fprintf(f, "%u", u16);
		return;
	case OPTION_BOOL:
		fputs(*(const bool *)member ? "true" : "false", f);
		return;
	default:
		break;
	}
	fputc('"', f);
	if (o->kind == OPTION_URI) {
		config_uri_mask(member, masked, sizeof(masked));
		member = masked;
	}
	print_quoted(f, member, strlen(member));
	fputc('"', f);
}

static uint32_t list_count(const struct config *c, const struct option_row *list, size_t at)
{
	uint32_t n;

	memcpy(&n, (const char *)c + list->count_offset + at, sizeof(n));
	return n;
}

// A list of plain values inside an item of another one; `row` is that of the values.
static void print_inner(FILE *f, const struct config *c, unsigned row, size_t at)
{
	const struct option_row *list = &option_rows[row - 1];
	uint32_t n = list_count(c, list, at);

	fputc('[', f);
	for (uint32_t i = 0; i < n; i++) {
		fputs(i ? ", " : "", f);
		print_value(f, c, &option_rows[row], at + (size_t)i * list->stride);
	}
	fputc(']', f);
}

// The list of row `row`; its members follow it in the table.
static void print_list(FILE *f, const struct config *c, unsigned row, int indent)
{
	const struct option_row *list = &option_rows[row];
	size_t len = strlen(list->path);
	uint32_t n = list_count(c, list, 0);

	fputs(n ? "\n" : " []\n", f);
	for (uint32_t i = 0; i < n; i++) {
		fprintf(f, "%*s- ", indent, "");
		for (unsigned m = row + 1;
		     m < option_cnt && strncmp(option_rows[m].path, list->path, len) == 0; m++) {
			const char *name = option_rows[m].path + len;

			if (strncmp(name, "[]", 2) != 0)
				break;
			if (strchr(name + 2, '[')) // printed with its list
				continue;
			if (name[2] == '.')
				fprintf(f, "%s%s: ", m == row + 1 ? "{ " : ", ", name + 3);
			if (option_rows[m].kind == OPTION_LIST)
				print_inner(f, c, m + 1, (size_t)i * list->stride);
			else
				print_value(f, c, &option_rows[m], (size_t)i * list->stride);
		}
		fputs(strncmp(option_rows[row + 1].path + len, "[].", 3) == 0 ? " }\n" : "\n", f);
	}
}

char *config_text(const struct config *c)
{
	char *text = NULL;
	size_t len = 0, section_len = 0;
	const char *section = "";
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	for (unsigned i = 0; i < option_cnt; i++) {
		const struct option_row *o = &option_rows[i];
		const char *dot = strchr(o->path, '.');

		if (strstr(o->path, "[]"))
			continue;
		if (dot &&
		    (section_len != (size_t)(dot - o->path) || strncmp(section, o->path, section_len) != 0)) {
			section = o->path;
			section_len = (size_t)(dot - o->path);
			fprintf(f, "%.*s:\n", (int)section_len, section);
		}
		fprintf(f, "%s%s:", dot ? "  " : "", dot ? dot + 1 : o->path);
		if (o->kind == OPTION_LIST) {
			print_list(f, c, i, dot ? 4 : 2);
			continue;
		}
		fputc(' ', f);
		print_value(f, c, o, 0);
		fputc('\n', f);
	}
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

void config_print(const struct config *c, int fd)
{
	char *text = config_text(c);
	size_t len = text ? strlen(text) : 0, done = 0;

	while (done < len) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	free(text);
}

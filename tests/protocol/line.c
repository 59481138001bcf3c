// Scenario lines (see line.h).
#include "tests/protocol/line.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool line_parse(struct line *l, const char *text)
{
	char *save = NULL;
	snprintf(l->text, sizeof l->text, "%s", text);
	char *hash = strchr(l->text, '#');
	if (hash)
		*hash = 0;
	l->word_cnt = 0;
	for (char *w = strtok_r(l->text, " \t\r\n", &save); w; w = strtok_r(NULL, " \t\r\n", &save)) {
		if (l->word_cnt == LINE_WORDS_MAX)
			line_fail(l, "too many words");
		l->word[l->word_cnt++] = w;
	}
	return l->word_cnt > 0;
}

const char *line_value(const struct line *l, const char *key, unsigned n)
{
	size_t len = strlen(key);
	for (unsigned i = 0; i < l->word_cnt; i++)
		if (strncmp(l->word[i], key, len) == 0 && l->word[i][len] == '=' && n-- == 0)
			return l->word[i] + len + 1;
	return NULL;
}

uint64_t line_number(const struct line *l, const char *key, uint64_t otherwise)
{
	const char *v = line_value(l, key, 0);
	return v ? strtoull(v, NULL, 0) : otherwise;
}

bool line_flag(const struct line *l, const char *word)
{
	for (unsigned i = 0; i < l->word_cnt; i++)
		if (strcmp(l->word[i], word) == 0)
			return true;
	return false;
}

void line_fail(const struct line *l, const char *fmt, ...)
{
	va_list ap;
	fprintf(stderr, "%s:%u: ", l->file, l->number);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n    ");
	for (unsigned i = 0; i < l->word_cnt; i++)
		fprintf(stderr, "%s ", l->word[i]);
	fprintf(stderr, "\n");
	exit(1);
}

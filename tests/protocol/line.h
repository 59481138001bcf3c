// One line of a scenario: words and key=value pairs.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/diameter/grammar.h"

#define LINE_WORDS_MAX 48

struct line {
	const char *file;
	unsigned number;
	char text[4096];
	char *word[LINE_WORDS_MAX];
	unsigned word_cnt;
};

// Cuts a line into words; '#' begins a comment. false when nothing is left.
bool line_parse(struct line *l, const char *text);
// The value of key=..., NULL when absent; the n-th occurrence for repeated keys.
const char *line_value(const struct line *l, const char *key, unsigned n);
uint64_t line_number(const struct line *l, const char *key, uint64_t otherwise);
bool line_flag(const struct line *l, const char *word);

// Tells where and why, and ends the test.
__attribute__((noreturn, format(printf, 2, 3))) void line_fail(const struct line *l, const char *fmt, ...);

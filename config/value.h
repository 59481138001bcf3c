// One value of the configuration file: its environment variables, its check against the row of its option, its place in
// struct config. hssd, while it parses.
#pragma once
#include "config/options.h"

#define VALUE_TEXT_MAX 1024

// Stores a value that is given as text in the member of this row, `at` octets behind that of the first item. `plain`: it was not
// quoted. false: it is not what the row wants, and nothing is stored.
bool value_set(struct config *c, const struct option_row *o, size_t at, const char *text, bool plain) MUST_USE;
// What the row wants, for messages.
void value_expected(const struct option_row *o, char out[160]);
bool value_is_string(enum option_kind kind);
// The value with its ${NAME} and ${NAME:-text} replaced; "$${" stands for "${". NULL: refused, and *got says why.
const char *value_expand(const char *text, char *out, size_t cap, char got[160]);

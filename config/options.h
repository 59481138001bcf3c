// The rows of options.def as a table, shared by the parser, the checks and the printer of this folder.
// Offsets are those of the first item for members of list items; `stride` of the list leads to the others.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "config/config.h"

enum option_kind {
	OPTION_U32,
	OPTION_U16,
	OPTION_BOOL,
	OPTION_NAME,
	OPTION_TEXT,
	OPTION_URI,
	OPTION_PATH,
	OPTION_ADDRESS,
	OPTION_HOST,
	OPTION_PATTERN,
	OPTION_TRANSPORT,
	OPTION_STORE,
	OPTION_ACCEPT,
	OPTION_VERIFY,
	OPTION_VIA,
	OPTION_APPLICATION,
	OPTION_LEVEL,
	OPTION_FORMAT,
	OPTION_PLMN,
	OPTION_LIST,
#define WORDS(kind, ...) OPTION_##kind,
#include "apps/options_words.def"
#undef WORDS
};

struct option_row {
	const char *path;
	const char *fallback; // NULL: required
	uint32_t offset, size;
	uint32_t min, max;
	uint32_t count_offset, stride; // lists
	uint32_t lines_offset;	       // of a list: where the lines of its items go; 0: nowhere
	uint8_t kind;                  // enum option_kind
	bool live;                     // SIGHUP applies it
	const char *unit;
};

extern const struct option_row option_rows[];
extern const unsigned option_cnt;

// The words of an enumeration kind, NULL-terminated, in the order of their values; NULL for other kinds.
const char *const *option_words(enum option_kind kind);
// Row number by path, which must exist.
unsigned option_index(const char *path);

// Contradictions between valid values: all of them are added to *e. 0 or -EINVAL.
int config_check(const struct config *c, const struct config_lines *lines, const char *name,
		 struct config_error *e) MUST_USE;
// Adds "NAME:LINE: KEY: expected EXPECTED, got GOT". Returns -EINVAL.
int config_refuse(struct config_error *e, const char *name, uint32_t line, const char *key,
		  const char *expected, const char *got);
// Letters, digits, '-' and '.', labels of 1 to 63 that neither start nor end with '-' (RFC 6733 4.3.1, RFC
// 1123).
bool config_identity_valid(const char *text);
// A name that the resolver may be asked for: as an identity, but no address that is mistyped (its last label has a letter).
bool config_host_valid(const char *text);

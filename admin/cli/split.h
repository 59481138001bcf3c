// What a file of subscribers is, and its documents one by one where they are not one a line: a streaming cut
// at brackets, without a buffer and without understanding what is between them. hssctl. Pure.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cli_format {
	CLI_FORMAT_MORE,   // not seen yet
	CLI_FORMAT_LINES,  // a document a line (mongoexport)
	CLI_FORMAT_BLOCKS, // an array (mongoexport --jsonArray), or documents over many lines (--pretty)
	CLI_FORMAT_CSV,
};
// From the file's beginning. `all`: no more of it can be had; the answer is not CLI_FORMAT_MORE then.
enum cli_format cli_format_of(const char *p, size_t len, bool all);

struct cli_split {
	uint64_t line, document; // where we are, from 1; documents begun
	unsigned depth;
	char quote; // that the string began with
	bool in_document, in_string, escaped,
	    odd; // odd: not begun by a brace: taken up to the next comma or line
	bool array, closed;
};
void cli_split_init(struct cli_split *s);
// Takes octets of the file, writes "#LINE DOCUMENT", a line feed, the document in one line, a line feed, for
// each. Returns how many it took: it stops when `out` is nearly full. Appends at *out_len; cap >= 64.
size_t cli_split_next(struct cli_split *s, const char *p, size_t len, char *out, size_t cap, size_t *out_len);
// At the end of the file: an array that was begun did not end.
bool cli_split_unfinished(const struct cli_split *s);

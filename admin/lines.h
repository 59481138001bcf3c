// Cuts the document lines of an import into chunks of whole lines that the loader has credit for. Pure.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMIN_LINE_MAX                                                                                       \
	(64u << 10) // longer lines are cut off here, so that they are refused under their number

struct admin_lines {
	bool skip; // the rest of a line that was too long is thrown away
};

struct admin_chunk {
	size_t forward;   // octets from the start that go to the loader now
	size_t consume;   // octets to drop from the input afterwards (>= forward)
	bool add_newline; // the chunk is a line that was cut off
	bool end;         // the empty line: the import is complete
};

// The next step for the `len` octets at `p`, which begin at the start of a line (or inside a skipped one); at
// most `room` octets may be forwarded, counting an added line feed. All zero: more input or more room is
// needed.
struct admin_chunk admin_lines_next(struct admin_lines *l, const uint8_t *p, size_t len, size_t room);

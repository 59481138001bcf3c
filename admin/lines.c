// Import lines: see lines.h. hss-admin; the bytes come from the operator and are not looked into beyond line
// feeds.
#include "admin/lines.h"
#include <string.h>

struct admin_chunk admin_lines_next(struct admin_lines *l, const uint8_t *p, size_t len, size_t room)
{
	struct admin_chunk c = {0};
	size_t limit = len < room ? len : room;
	const uint8_t *at;

	if (len == 0)
		return c;
	if (l->skip) {
		at = memchr(p, '\n', len);
		l->skip = !at;
		c.consume = at ? (size_t)(at - p) + 1 : len;
		return c;
	}
	if (p[0] == '\n') {
		c.end = true;
		c.consume = 1;
		return c;
	}
	// whole lines, but nothing behind an empty one
	at = memmem(p, limit, "\n\n", 2);
	if (!at)
		at = memrchr(p, '\n', limit);
	if (at) {
		c.forward = c.consume = (size_t)(at - p) + 1;
		return c;
	}
	if (len >= ADMIN_LINE_MAX && room > ADMIN_LINE_MAX && !memchr(p, '\n', ADMIN_LINE_MAX)) {
		c.forward = c.consume = ADMIN_LINE_MAX;
		c.add_newline = true;
		l->skip = true;
	}
	return c;
}

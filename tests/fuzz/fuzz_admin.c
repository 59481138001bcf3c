// What an operator's process may send to hss-admin: a request line, then import lines. The first octet
// chooses which of the two the rest is, and how much credit there is.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "admin/command.h"
#include "admin/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A request that is accepted says the same when it is read again.
static void request(const uint8_t *data, size_t size)
{
	struct admin_request r, again;
	char error[256] = "";
	char *text, *second;

	if (admin_request_parse(slice_of(data, size), &r, error)) {
		if (error[0] == 0 || memchr(error, 0, sizeof(error)) == NULL)
			abort();
		return;
	}
	text = admin_request_text(&r);
	if (!text || strchr(text, '\n'))
		abort();
	if (admin_request_parse(slice_str(text), &again, error))
		abort();
	second = admin_request_text(&again);
	if (!second || strcmp(text, second) != 0)
		abort();
	free(text);
	free(second);
	admin_request_fini(&r);
	admin_request_fini(&again);
}

// Every octet is consumed once, chunks are whole lines within the room, and the end is where the first empty
// line is.
static void lines(const uint8_t *data, size_t size, size_t room)
{
	struct admin_lines l = {0};
	size_t at = 0;

	for (;;) {
		struct admin_chunk c = admin_lines_next(&l, data + at, size - at, room);

		if (c.consume == 0)
			break;
		if (c.consume > size - at || c.forward > c.consume || c.forward + c.add_newline > room)
			abort();
		if (c.forward && !c.add_newline && data[at + c.forward - 1] != '\n')
			abort();
		if (c.forward && memmem(data + at, c.forward, "\n\n", 2))
			abort();
		at += c.consume;
		if (c.end) {
			if (at > 1 && data[at - 2] != '\n')
				abort();
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		lines(data + 1, size - 1, data[0] > 200 ? SIZE_MAX : (size_t)data[0] << 9);
	else
		request(data + 1, size - 1);
	return 0;
}

// Any bytes from a sibling: the first octet says how they are cut into writes. The channel gives whole frames of its table
// only, aligned, inside of what came, and ends itself at the first one that isn't.
#include <unistd.h>
#include "lib/ipc/channel.h"
#include "tests/support/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	struct channel *ch;
	size_t octets;
	volatile uint8_t sum;
	unsigned downs;
};

static void on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct seen *s = ctx;
	size_t len = hdr->len - sizeof *hdr, cursor = 0;
	const uint8_t *next;
	struct ipc_hdr ahead;
	uint8_t sum = 0;
	CHECK((uintptr_t)body % 8 == 0 && ipc_length_valid(hdr->type, (uint32_t)len) && s->downs == 0);
	for (size_t i = 0; i < len; i++)
		sum ^= body[i];
	while (channel_ahead(ch, &cursor, &ahead, &next))
		sum ^= next[0];
	s->sum = sum; // every octet was read
	s->octets += hdr->len;
}

static void on_down(void *ctx, struct channel *ch, int why)
{
	struct seen *s = ctx;
	(void)ch;
	(void)why;
	s->downs++;
	channel_free(&s->ch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct channel_ops ops = {.on_frame = on_frame, .on_down = on_down};
	static struct event_base *base;
	struct seen s = {0};
	int fds[2];
	if (!base)
		base = event_base_new();
	if (size < 2 || size > 100000 || channel_pair(fds) < 0)
		return 0;
	s.ch = channel_new_take(base, fds[1], 1 << 16, &ops, &s);
	CHECK(base && s.ch);
	size_t piece = data[0] ? data[0] * 3u : size;
	for (size_t at = 1; at < size && s.ch;) {
		size_t n = size - at < piece ? size - at : piece;
		ssize_t done = write(fds[0], data + at, n);
		if (done <= 0)
			break;
		at += (size_t)done;
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	close(fds[0]);
	for (unsigned i = 0; i < 10000 && s.ch; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	CHECK(s.downs == 1 && s.octets < size);
	return 0;
}

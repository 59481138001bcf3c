// A framed stream between two processes: a Unix socket pair on libevent. Many frames a system call in both directions
// (law 7); frames of one batch are written when the batch's callback returns. Bounded: above high water `channel_begin`
// refuses, and the caller refuses its request (3004). A broken frame closes the channel: the sibling is faulty.
#pragma once
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/ipc/messages.h"

struct channel; // opaque, heap

struct channel_ops {
	// One frame. `body` is valid until the callback returns. hdr->len was checked against the protocol table.
	void (*on_frame)(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body);
	// All frames of one read have been given: flush what they caused. May be NULL.
	void (*on_batch)(void *ctx, struct channel *ch);
	// End of file or a broken frame; the channel may be freed inside. `why` is 0 or a negative errno.
	void (*on_down)(void *ctx, struct channel *ch, int why);
	// Below low water again after channel_begin refused. May be NULL.
	void (*on_drain)(void *ctx, struct channel *ch);
};

// Takes the descriptor. `high_water`: octets of unsent output. NULL with errno on failure.
struct channel *channel_new_take(struct event_base *base, int fd, size_t high_water, const struct channel_ops *ops,
				 void *ctx);
void channel_free(struct channel **ch);

// Composing a frame in place: begin reserves room for a body of at most `max` octets and returns where to write it
// (8-aligned), NULL when the channel is above high water or down; commit ends the frame with its real length.
// Nothing else may be done with the channel in between. Sends nothing yet.
uint8_t *channel_begin(struct channel *ch, uint16_t type, uint16_t flags, uint64_t id, size_t max);
void channel_commit(struct channel *ch, size_t body_len);
// Gives up a begun frame.
void channel_abandon(struct channel *ch);
// begin + copy + commit. false when refused.
bool channel_send(struct channel *ch, uint16_t type, uint64_t id, const void *body, size_t len);
// A frame with descriptors beside it (supervisor's channels only; flushes what is before it). They are closed by the
// caller. At most 32.
bool channel_send_fds(struct channel *ch, uint16_t type, uint64_t id, const void *body, size_t len, const int *fds,
		      unsigned fd_cnt);
// Writes out what is composed, as far as the socket takes it; the rest goes when it is writable. Called by the
// channel itself after on_batch; call it after composing outside of a batch.
void channel_flush(struct channel *ch);

// Descriptors that came with the frame being handled; ownership goes to the caller. Returns how many (at most `max`).
unsigned channel_take_fds(struct channel *ch, int *fds, unsigned max);

bool channel_is_up(const struct channel *ch);
size_t channel_unsent(const struct channel *ch);
void channel_set_ctx(struct channel *ch, void *ctx);

// A connected pair for a new edge; both ends non-blocking and close-on-exec. 0 or a negative errno.
int channel_pair(int fds[2]) MUST_USE;

// The protocol table: does this role (enum role, cache/control.h) send this type with this body length?
bool ipc_length_valid(uint16_t type, uint32_t body_len);
const char *ipc_type_name(uint16_t type);

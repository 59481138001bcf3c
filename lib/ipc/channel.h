// A framed stream between two processes: a Unix socket pair on libevent. Many frames a system call in both
// directions (law 7); frames of one batch are written when the batch's callback returns. Bounded: above high
// water `channel_begin` refuses, and the caller refuses its request (3004). A broken frame closes the
// channel: the sibling is faulty.
#pragma once
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/ipc/messages.h"

#define CHANNEL_FD_MAX 32

struct channel; // opaque, heap

struct channel_ops {
	// One frame. `body` is valid until the callback returns. hdr->len was checked against the protocol
	// table.
	void (*on_frame)(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body);
	// All frames of one read have been given: flush what they caused. May be NULL.
	void (*on_batch)(void *ctx, struct channel *ch);
	// End of file or a broken frame; the channel may be freed inside. `why` is 0 or a negative errno.
	void (*on_down)(void *ctx, struct channel *ch, int why);
	// Below low water again after channel_begin refused. May be NULL.
	void (*on_drain)(void *ctx, struct channel *ch);
};

// Takes the descriptor (closed on failure as well). `high_water`: octets of unsent output. NULL with errno on
// failure.
struct channel *channel_new_take(struct event_base *base, int fd, size_t high_water,
				 const struct channel_ops *ops, void *ctx);
// Allowed inside every callback of the channel; what is composed and not sent is lost.
void channel_free(struct channel **ch);
// Also receives descriptors (hssd's channels only: the others read with a cheaper call, and a descriptor that
// a sibling sends there is dropped by the kernel).
void channel_accept_fds(struct channel *ch);
// From now on the channel's buffers keep nothing of frames that were given, sent or lost: for channels that carry keys,
// not for the hot path.
void channel_set_wipe(struct channel *ch);
// From now on frames that do not go `from` this side `to` that one (messages.def) are broken frames. Without
// it, and for IPC_SIDE_ANY, every direction is taken.
void channel_set_sides(struct channel *ch, enum ipc_side from, enum ipc_side to);
// The receiver found a body that can't be: no further frame is given, on_down(why) follows from the event
// loop.
void channel_fail(struct channel *ch, int why);

// The frame that follows the one being handled, when all of it is in the buffer: a look ahead, to prefetch what it will
// need. `cursor` starts at 0; each call goes one frame further. Nothing is checked yet but the length.
bool channel_ahead(const struct channel *ch, size_t *cursor, struct ipc_hdr *hdr, const uint8_t **body);

// Composing a frame in place: begin reserves room for a body of at most `max` octets and returns where to
// write it (8-aligned), NULL when the channel is above high water or down; commit ends the frame with its
// real length. Nothing else may be done with the channel in between. Sends nothing yet.
uint8_t *channel_begin(struct channel *ch, uint16_t type, uint16_t flags, uint64_t id, size_t max);
void channel_commit(struct channel *ch, size_t body_len);
// Gives up a begun frame.
void channel_abandon(struct channel *ch);
// begin + copy + commit. false when refused.
bool channel_send(struct channel *ch, uint16_t type, uint64_t id, const void *body, size_t len);
// A frame with descriptors beside it (supervisor's channels only; flushes what is before it). They are closed
// by the caller. At most CHANNEL_FD_MAX. false also when the socket does not take it now: then nothing was
// sent.
bool channel_send_fds(struct channel *ch, uint16_t type, uint64_t id, const void *body, size_t len,
		      const int *fds, unsigned fd_cnt);
// Writes out what is composed, as far as the socket takes it; the rest goes when it is writable. Called by
// the channel itself after on_batch; call it after composing outside of a batch.
void channel_flush(struct channel *ch);

// Descriptors that came with the frame being handled; ownership goes to the caller. Returns how many (at most
// `max`). What the callback does not take is closed when it returns.
unsigned channel_take_fds(struct channel *ch, int *fds, unsigned max);

bool channel_is_up(const struct channel *ch);
size_t channel_unsent(const struct channel *ch);
void channel_set_ctx(struct channel *ch, void *ctx);

// A connected pair for a new edge; both ends non-blocking and close-on-exec. 0 or a negative errno.
int channel_pair(int fds[2]) MUST_USE;

// The protocol table: is this a type, and can its body be this long? Does this side send it to that one?
bool ipc_sides_valid(uint16_t type, enum ipc_side from, enum ipc_side to);
bool ipc_length_valid(uint16_t type, uint32_t body_len);
const char *ipc_type_name(uint16_t type);

// A framed stream between two processes. One read a readiness, callbacks for all whole frames in it, one
// write for what they composed: system calls are counted per batch, not per message (law 7). All processes;
// one thread.
//
// Input: a buffer of IN_CAP octets, room for more than the longest frame. Frames are padded to 8 octets, so
// every frame starts aligned; what is left of the last one moves to the front once a read, not once a frame.
// Output: one buffer that holds [out_pos, out_end) unsent; it keeps its memory, moves its content only when
// at least as much was sent as is left (each octet moves once on average), and grows to 2 * high water + a
// frame at most.
//
// Callbacks may free the channel: `busy` counts the callbacks we are in, the memory goes when the last one
// returned. A failed write is never reported from inside of the caller that composed: on_down comes from the
// event loop, after what the other side had still sent was given.
#include "lib/ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/beat.h"
#include "lib/base/secret.h"

#define IN_CAP       (416u << 10)
#define OUT_START    (32u << 10)
#define SOCKET_BYTES (1 << 20)
#define HDR_LEN      sizeof(struct ipc_hdr)

static_assert(IN_CAP >= IPC_BODY_MAX + 2 * sizeof(struct ipc_hdr), "the longest frame fits");

struct channel {
	struct event *readable, *writable;
	const struct channel_ops *ops;
	void *ctx;
	int fd;
	int why;       // first failure, negative errno
	unsigned busy; // callbacks we are in
	bool freed;    // by a callback
	bool down;     // nothing can be sent any more; on_down(why) is due or was given
	bool deaf;     // the input is broken: no further frame is given
	bool told;     // on_down was given
	bool blocked;  // the socket took less than all; waiting for it
	bool refused;  // begin said no; on_drain is owed
	bool takes_fds;
	bool wipes; // channel_set_wipe
	uint8_t from, to; // enum ipc_side of what is received

	size_t in_pos, in_end;
	uint8_t *in;

	uint8_t *out;
	size_t out_pos, out_end, out_cap, high_water;
	size_t begun_max; // of the frame at out_end; 0: none
	bool begun;

	unsigned fd_cnt;
	unsigned fd_frame; // how many belong to the frame being handled
	int fds[2 * CHANNEL_FD_MAX];
};

static size_t padded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static void fds_drop(struct channel *ch, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		close(ch->fds[i]);
	ch->fd_cnt -= cnt;
	memmove(ch->fds, ch->fds + cnt, ch->fd_cnt * sizeof(ch->fds[0]));
}

// Octets that were given or sent, and are of no use any more.
static void used_up(const struct channel *ch, uint8_t *p, size_t n)
{
	if (ch->wipes && n)
		secret_wipe(p, n);
}

static void release(struct channel *ch)
{
	if (ch->in)
		used_up(ch, ch->in, IN_CAP);
	if (ch->out)
		used_up(ch, ch->out, ch->out_cap);
	free(ch->in);
	free(ch->out);
	free(ch);
}

// Leaves a callback; true when the channel is gone.
static bool leave(struct channel *ch)
{
	if (--ch->busy == 0 && ch->freed) {
		release(ch);
		return true;
	}
	return ch->freed;
}

static void fail(struct channel *ch, int why)
{
	if (ch->down)
		return;
	ch->down = true;
	ch->why = why;
	used_up(ch, ch->out, ch->out_end);
	ch->out_pos = ch->out_end = 0;
	event_del(ch->writable);
	event_active(ch->readable, EV_READ, 0);
}

void channel_fail(struct channel *ch, int why)
{
	ch->deaf = true;
	fail(ch, why);
}

// Tells the owner, once; the channel may be gone afterwards.
static void tell_down(struct channel *ch)
{
	event_del(ch->readable);
	event_del(ch->writable);
	if (ch->told)
		return;
	ch->told = true;
	ch->busy++;
	ch->ops->on_down(ch->ctx, ch, ch->why);
	leave(ch);
}

// --- input

static void collect_fds(struct channel *ch, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t cnt = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < cnt; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (ch->fd_cnt < sizeof(ch->fds) / sizeof(ch->fds[0]))
				ch->fds[ch->fd_cnt++] = fd;
			else
				close(fd); // the frame that they belong to will miss them and be broken
		}
	}
}

static ssize_t read_some(struct channel *ch)
{
	uint8_t *room = ch->in + ch->in_end;
	size_t len = IN_CAP - ch->in_end;
	if (!ch->takes_fds)
		return recv(ch->fd, room, len, MSG_DONTWAIT);

	union {
		char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_FD_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = room, .iov_len = len};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(ch->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n >= 0)
		collect_fds(ch, &msg);
	return n;
}

// How many descriptors come with this frame. They arrive with its first octet (unix(7)), so a whole frame has
// them.
static unsigned frame_fds(const struct channel *ch, const struct ipc_hdr *hdr)
{
	bool carries = hdr->type == IPC_BOOT || hdr->type == IPC_EDGE || hdr->type == IPC_RELOAD;
	return ch->takes_fds && carries ? hdr->flags : 0;
}

static bool hdr_valid(const struct channel *ch, const struct ipc_hdr *hdr)
{
	return hdr->len >= HDR_LEN && ipc_length_valid(hdr->type, hdr->len - (uint32_t)HDR_LEN) &&
	       ipc_sides_valid(hdr->type, ch->from, ch->to);
}

// Gives every whole frame. false: the channel is gone.
static bool give_frames(struct channel *ch)
{
	while (!ch->deaf && ch->in_end - ch->in_pos >= HDR_LEN) {
		struct ipc_hdr hdr;
		memcpy(&hdr, ch->in + ch->in_pos, HDR_LEN);
		if (!hdr_valid(ch, &hdr)) {
			channel_fail(ch, -EPROTO);
			break;
		}
		size_t len = padded(hdr.len);
		if (ch->in_end - ch->in_pos < len)
			break;
		ch->fd_frame = frame_fds(ch, &hdr);
		if (ch->fd_frame > ch->fd_cnt) {
			ch->fd_frame = 0;
			channel_fail(ch, -EPROTO);
			break;
		}
		const uint8_t *body = ch->in + ch->in_pos + HDR_LEN;
		ch->in_pos += len;
		beat(); // many frames in one batch are progress
		ch->ops->on_frame(ch->ctx, ch, &hdr, body);
		if (ch->freed)
			return false;
		if (ch->fd_frame) {
			fds_drop(ch, ch->fd_frame);
			ch->fd_frame = 0;
		}
	}
	return true;
}

bool channel_ahead(const struct channel *ch, size_t *cursor, struct ipc_hdr *hdr, const uint8_t **body)
{
	size_t at = ch->in_pos + *cursor, left = ch->in_end - at;
	if (ch->deaf || left < HDR_LEN)
		return false;
	memcpy(hdr, ch->in + at, HDR_LEN);
	if (hdr->len < HDR_LEN || left < hdr->len)
		return false;
	*body = ch->in + at + HDR_LEN;
	*cursor += padded(hdr->len) <= left ? padded(hdr->len) : left;
	return true;
}

static void compact_input(struct channel *ch)
{
	size_t left = ch->in_end - ch->in_pos;
	if (left && ch->in_pos)
		memmove(ch->in, ch->in + ch->in_pos, left);
	used_up(ch, ch->in + left, ch->in_end - left);
	ch->in_pos = 0;
	ch->in_end = left;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct channel *ch = arg;

	ssize_t n = ch->deaf ? 0 : read_some(ch);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (ch->down)
			tell_down(ch);
		return;
	}
	if (n <= 0) {
		if (!ch->down)
			ch->why = n < 0 ? -errno : ch->in_end ? -EPROTO : 0;
		ch->down = true;
		tell_down(ch);
		return;
	}
	ch->in_end += (size_t)n;
	ch->busy++;
	if (give_frames(ch) && !ch->deaf && ch->ops->on_batch)
		ch->ops->on_batch(ch->ctx, ch);
	if (leave(ch))
		return;
	compact_input(ch);
	if (ch->down)
		event_active(ch->readable, EV_READ, 0); // there may be more to give before on_down
	else
		channel_flush(ch);
}

// --- output

// Room for `need` octets at out_end. false: no memory.
static bool out_reserve(struct channel *ch, size_t need)
{
	if (ch->out_cap - ch->out_end >= need)
		return true;
	// Shifted by a multiple of 8: a frame stays aligned however much of the one before it was sent.
	size_t shift = ch->out_pos & ~(size_t)7;
	if (shift && shift >= ch->out_end - ch->out_pos) {
		memmove(ch->out, ch->out + shift, ch->out_end - shift);
		used_up(ch, ch->out + ch->out_end - shift, shift);
		ch->out_pos -= shift;
		ch->out_end -= shift;
		if (ch->out_cap - ch->out_end >= need)
			return true;
	}
	size_t cap = ch->out_cap ? ch->out_cap : OUT_START;
	while (cap - ch->out_end < need)
		cap *= 2;
	uint8_t *grown = ch->wipes ? malloc(cap) : realloc(ch->out, cap);
	if (!grown)
		return false;
	if (ch->wipes && ch->out) { // realloc would leave a copy behind
		memcpy(grown, ch->out, ch->out_end);
		used_up(ch, ch->out, ch->out_cap);
		free(ch->out);
	}
	ch->out = grown;
	ch->out_cap = cap;
	return true;
}

uint8_t *channel_begin(struct channel *ch, uint16_t type, uint16_t flags, uint64_t id, size_t max)
{
	if (ch->begun)
		bug("a frame is begun already");
	if (ch->down || max > IPC_BODY_MAX)
		return NULL;
	if (ch->out_end - ch->out_pos >= ch->high_water) {
		ch->refused = true;
		return NULL;
	}
	if (!out_reserve(ch, HDR_LEN + padded(max)))
		return NULL;
	struct ipc_hdr hdr = {.type = type, .flags = flags, .id = id};
	memcpy(ch->out + ch->out_end, &hdr, HDR_LEN);
	ch->begun = true;
	ch->begun_max = max;
	return ch->out + ch->out_end + HDR_LEN;
}

void channel_commit(struct channel *ch, size_t body_len)
{
	if (!ch->begun || body_len > ch->begun_max)
		bug("frame of %zu octets where %zu were begun", body_len, ch->begun_max);
	uint8_t *at = ch->out + ch->out_end;
	uint32_t len = (uint32_t)(HDR_LEN + body_len);
	memcpy(at, &len, sizeof(len));
	memset(at + len, 0, padded(len) - len);
	ch->out_end += padded(len);
	ch->begun = false;
}

void channel_abandon(struct channel *ch)
{
	ch->begun = false;
}

bool channel_send(struct channel *ch, uint16_t type, uint64_t id, const void *body, size_t len)
{
	uint8_t *p = channel_begin(ch, type, 0, id, len);
	if (!p)
		return false;
	if (len)
		memcpy(p, body, len);
	channel_commit(ch, len);
	return true;
}

// `n` octets went out. Waits for the socket while some are left, and when on_drain is owed: it is given from
// the loop.
static void sent(struct channel *ch, size_t n)
{
	used_up(ch, ch->out + ch->out_pos, n);
	ch->out_pos += n;
	if (ch->out_pos == ch->out_end)
		ch->out_pos = ch->out_end = 0;
	ch->blocked = ch->out_end != 0;
	if (ch->blocked || ch->refused)
		event_add(ch->writable, NULL);
}

void channel_flush(struct channel *ch)
{
	if (ch->down || ch->blocked || ch->out_pos == ch->out_end)
		return;
	ssize_t n =
	    send(ch->fd, ch->out + ch->out_pos, ch->out_end - ch->out_pos, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0)
		sent(ch, (size_t)n);
	else if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
		sent(ch, 0);
	else
		fail(ch, -errno);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct channel *ch = arg;

	ch->blocked = false;
	channel_flush(ch);
	if (!ch->down && ch->refused && ch->out_end - ch->out_pos <= ch->high_water / 2) {
		ch->refused = false;
		ch->busy++;
		if (ch->ops->on_drain)
			ch->ops->on_drain(ch->ctx, ch);
		if (leave(ch))
			return;
		channel_flush(ch);
	}
}

bool channel_send_fds(struct channel *ch, uint16_t type, uint64_t id, const void *body, size_t len,
		      const int *fds, unsigned fd_cnt)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_FD_MAX)];
		struct cmsghdr align;
	} control = {0};

	if (fd_cnt == 0 || fd_cnt > CHANNEL_FD_MAX)
		return false;
	channel_flush(ch);
	if (ch->down || ch->out_end != ch->out_pos)
		return false;
	uint8_t *p = channel_begin(ch, type, (uint16_t)fd_cnt, id, len);
	if (!p)
		return false;
	if (len)
		memcpy(p, body, len);
	channel_commit(ch, len);

	struct iovec iov = {.iov_base = ch->out, .iov_len = ch->out_end};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
	msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_cnt);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * fd_cnt);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_cnt);

	ssize_t n = sendmsg(ch->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n <= 0) {
		ch->out_pos = ch->out_end = 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
			fail(ch, -errno);
		return false;
	}
	sent(ch, (size_t)n); // the descriptors went with the first octet
	return true;
}

unsigned channel_take_fds(struct channel *ch, int *fds, unsigned max)
{
	unsigned cnt = ch->fd_frame < max ? ch->fd_frame : max;
	memcpy(fds, ch->fds, cnt * sizeof(fds[0]));
	ch->fd_cnt -= cnt;
	ch->fd_frame -= cnt;
	memmove(ch->fds, ch->fds + cnt, ch->fd_cnt * sizeof(ch->fds[0]));
	return cnt;
}

// --- life

struct channel *channel_new_take(struct event_base *base, int fd, size_t high_water,
				 const struct channel_ops *ops, void *ctx)
{
	struct channel *ch = calloc(1, sizeof(*ch));
	if (!ch)
		goto fail;
	ch->fd = fd;
	ch->ops = ops;
	ch->ctx = ctx;
	ch->high_water = high_water;
	ch->from = ch->to = IPC_SIDE_ANY;
	ch->in = malloc(IN_CAP);
	ch->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, ch);
	ch->writable = event_new(base, fd, EV_WRITE, on_writable, ch);
	if (!ch->in || !ch->readable || !ch->writable)
		goto fail;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		goto fail;
	if (event_add(ch->readable, NULL) < 0)
		goto fail;
	return ch;
fail:
	if (ch && ch->readable)
		event_free(ch->readable);
	if (ch && ch->writable)
		event_free(ch->writable);
	if (ch)
		release(ch);
	close(fd);
	errno = ENOMEM;
	return NULL;
}

void channel_free(struct channel **chp)
{
	struct channel *ch = *chp;
	*chp = NULL;
	if (!ch || ch->freed)
		return;
	event_free(ch->readable);
	event_free(ch->writable);
	close(ch->fd);
	fds_drop(ch, ch->fd_cnt);
	ch->freed = true;
	if (ch->busy == 0)
		release(ch);
}

void channel_accept_fds(struct channel *ch)
{
	ch->takes_fds = true;
}

void channel_set_wipe(struct channel *ch)
{
	ch->wipes = true;
}

void channel_set_sides(struct channel *ch, enum ipc_side from, enum ipc_side to)
{
	ch->from = (uint8_t)from;
	ch->to = (uint8_t)to;
}

bool channel_is_up(const struct channel *ch)
{
	return !ch->down;
}

size_t channel_unsent(const struct channel *ch)
{
	return ch->out_end - ch->out_pos;
}

void channel_set_ctx(struct channel *ch, void *ctx)
{
	ch->ctx = ctx;
}

int channel_pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		int bytes = SOCKET_BYTES;
		// Whatever the system allows: a smaller buffer costs more system calls, nothing else.
		if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
			(void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	}
	return 0;
}

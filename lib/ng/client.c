// The client: one request at a time over a datagram socket or a connection. A datagram may be lost, delayed, duplicated or
// garbled: a request is sent again with the same cookie, by which the server knows it, until its answer comes; all other
// datagrams are counted and dropped. A connection is in order or at its end.
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib/base/clock.h"
#include "lib/ng/ng.h"

#define IN_SIZE  (NG_MESSAGE_MAX + 65536)
#define OUT_SIZE (NG_MESSAGE_MAX + NG_WS_HEADER)

struct ng_client {
	struct ng_options o;
	int fd;
	struct ng_counts counts;
	char why[256];
	char host[300]; // of the handshake
	unsigned address; // which of the name's addresses comes next
	bool more;        // and whether there is one
	char key[NG_WS_KEY_SIZE];
	uint64_t deadline_ms;
	uint8_t *in; // what has come of a connection and isn't used yet
	size_t in_len;
	uint8_t *message; // of WebSocket: the frames of a message so far
	size_t message_len;
	uint8_t *out;
};

__attribute__((format(printf, 3, 4))) static int fail(struct ng_client *c, int error, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(c->why, sizeof c->why, fmt, ap);
	va_end(ap);
	return error;
}

// Waits for `events` until `until_ms`. 0; -ETIMEDOUT; other negative errno.
static int wait_for(struct ng_client *c, short events, uint64_t until_ms)
{
	for (;;) {
		uint64_t now = clock_mono_ms();
		struct pollfd p = {.fd = c->fd, .events = events};
		int rc = poll(&p, 1, until_ms > now ? (int)(until_ms - now) : 0);
		if (rc > 0)
			return 0;
		if (rc == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

// --- The socket

static int connect_to(struct ng_client *c, const struct addrinfo *to)
{
	int error = 0;
	socklen_t len = sizeof error;

	c->fd = socket(to->ai_family, to->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, to->ai_protocol);
	if (c->fd < 0)
		return -errno;
	if (connect(c->fd, to->ai_addr, to->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	int rc = wait_for(c, POLLOUT, c->deadline_ms);
	if (rc)
		return rc;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return -errno;
	return -error;
}

// The next of the name's addresses that works.
static int open_socket(struct ng_client *c)
{
	struct addrinfo hints = {.ai_socktype = c->o.transport == NG_UDP ? SOCK_DGRAM : SOCK_STREAM}, *found = NULL;
	int rc = getaddrinfo(c->o.host, c->o.port, &hints, &found);

	if (rc)
		return fail(c, -EHOSTUNREACH, "%s: %s", c->o.host, gai_strerror(rc));
	rc = -EHOSTUNREACH;
	unsigned i = 0;
	for (struct addrinfo *to = found; to && rc; to = to->ai_next) {
		if (i++ < c->address)
			continue;
		if (c->fd >= 0)
			close(c->fd);
		rc = connect_to(c, to);
		c->address = i;
		c->more = to->ai_next;
	}
	freeaddrinfo(found);
	return rc ? fail(c, rc, "%s port %s: %s", c->o.host, c->o.port, err_text(rc)) : 0;
}

static int send_all(struct ng_client *c, struct slice s)
{
	while (s.len) {
		ssize_t n = send(c->fd, s.p, s.len, MSG_NOSIGNAL);
		if (n >= 0) {
			s = slice_of(s.p + n, s.len - (size_t)n);
			continue;
		}
		int rc = errno == EAGAIN ? wait_for(c, POLLOUT, c->deadline_ms) : errno == EINTR ? 0 : -errno;
		if (rc)
			return fail(c, rc, "sending: %s", err_text(rc));
	}
	return 0;
}

// Adds what comes next to c->in.
static int receive(struct ng_client *c)
{
	int rc = wait_for(c, POLLIN, c->deadline_ms);
	ssize_t n;

	if (rc)
		return rc == -ETIMEDOUT ? fail(c, rc, "no answer for %u ms", c->o.timeout_ms)
					: fail(c, rc, "receiving: %s", err_text(rc));
	if (c->in_len == IN_SIZE)
		return fail(c, -EBADMSG, "an answer above %u octets", NG_MESSAGE_MAX);
	n = recv(c->fd, c->in + c->in_len, IN_SIZE - c->in_len, 0);
	if (n == 0)
		return fail(c, -ECONNRESET, "the server closed the connection");
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return fail(c, -errno, "receiving: %s", err_text(errno));
	c->in_len += n > 0 ? (size_t)n : 0;
	return 0;
}

static void consume(struct ng_client *c, size_t n)
{
	memmove(c->in, c->in + n, c->in_len - n);
	c->in_len -= n;
}

// --- WebSocket

static int shake_hands(struct ng_client *c)
{
	struct wr w = wr_of(c->out, OUT_SIZE);
	struct ng_fault fault;
	enum ng_read rc;
	size_t used = 0;
	int error;

	ng_ws_key(c->key);
	if (!ng_ws_handshake_write(c->host, c->o.path ? c->o.path : "/", c->key, &w))
		return fail(c, -EINVAL, "the host or the path is too long");
	error = send_all(c, wr_done(&w));
	while (!error) {
		rc = ng_ws_handshake_read(slice_of(c->in, c->in_len), c->key, &used, &fault);
		if (rc == NG_READ_OK) {
			consume(c, used);
			return 0;
		}
		if (rc == NG_READ_BAD)
			return fail(c, -EPROTO, "%s", fault.what);
		error = receive(c);
	}
	return error;
}

static int send_frame(struct ng_client *c, enum ng_ws_opcode opcode, struct slice payload)
{
	struct wr w = wr_of(c->out, OUT_SIZE);

	if (!ng_ws_frame_write(opcode, payload, &w))
		return fail(c, -EMSGSIZE, "a request above %u octets", NG_MESSAGE_MAX);
	return send_all(c, wr_done(&w));
}

// 1: a message is whole in c->message; 0: not yet; negative: the connection is of no more use.
static int take_frame(struct ng_client *c, const struct ng_ws_frame *f)
{
	switch (f->opcode) {
	case NG_WS_CLOSE:
		return fail(c, -ECONNRESET, "the server closed the connection");
	case NG_WS_PING:
		return send_frame(c, NG_WS_PONG, f->payload);
	case NG_WS_PONG:
		return 0;
	case NG_WS_TEXT:
	case NG_WS_BINARY:
		c->message_len = 0;
		break;
	case NG_WS_MORE:
		break;
	default:
		return fail(c, -EBADMSG, "a frame of an unknown kind");
	}
	if (c->message_len + f->payload.len > NG_MESSAGE_MAX)
		return fail(c, -EBADMSG, "an answer above %u octets", NG_MESSAGE_MAX);
	if (f->payload.len)
		memcpy(c->message + c->message_len, f->payload.p, f->payload.len);
	c->message_len += f->payload.len;
	return f->last;
}

// The next whole message.
static int next_message(struct ng_client *c, struct slice *message)
{
	struct ng_ws_frame frame;
	struct ng_fault fault;

	for (;;) {
		struct rd r = rd_of(c->in, c->in_len);
		enum ng_read rc = ng_ws_frame_read(&r, &frame, &fault);
		int error = rc == NG_READ_CUT ? receive(c) : 0;
		if (rc == NG_READ_BAD)
			return fail(c, -EBADMSG, "%s", fault.what);
		if (rc == NG_READ_OK) {
			error = take_frame(c, &frame);
			consume(c, (size_t)(r.p - c->in));
		}
		if (error == 1) {
			*message = slice_of(c->message, c->message_len);
			return 0;
		}
		if (error < 0)
			return error;
	}
}

// --- The answer

// Whether this is the answer that is waited for; if it isn't, it is dropped.
static bool is_ours(struct ng_client *c, const char *cookie, struct slice got, json_t **answer)
{
	if (slice_eq(got, slice_str(cookie)))
		return true;
	c->counts.foreign++;
	json_decref(*answer);
	*answer = NULL;
	return false;
}

static int await_websocket(struct ng_client *c, const char *cookie, json_t **answer)
{
	struct slice message, got;
	struct ng_fault fault;

	for (;;) {
		int error = next_message(c, &message);
		if (error)
			return error;
		if (ng_message_read(message, &got, answer, &fault) != NG_READ_OK)
			return fail(c, -EBADMSG, "an answer that can't be read: octet %u: %s", fault.offset, fault.what);
		if (is_ours(c, cookie, got, answer))
			return 0;
	}
}

static int await_stream(struct ng_client *c, const char *cookie, json_t **answer)
{
	struct slice got;
	struct ng_fault fault;
	size_t used;

	for (;;) {
		enum ng_read rc = ng_stream_read(slice_of(c->in, c->in_len), &used, &got, answer, &fault);
		bool ours = rc == NG_READ_OK && is_ours(c, cookie, got, answer);
		int error = rc == NG_READ_CUT ? receive(c) : 0;
		if (rc == NG_READ_BAD)
			return fail(c, -EBADMSG, "an answer that can't be read: octet %u: %s", fault.offset, fault.what);
		if (rc == NG_READ_OK)
			consume(c, used);
		if (ours || error)
			return error;
	}
}

// One datagram. 0: *answer, or NULL when it was none of ours.
static int take_datagram(struct ng_client *c, const char *cookie, json_t **answer)
{
	ssize_t n = recv(c->fd, c->in, IN_SIZE, 0);
	struct slice got = {0};
	struct ng_fault fault;

	*answer = NULL;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : fail(c, -errno, "%s", err_text(errno));
	if (ng_message_read(slice_of(c->in, (size_t)n), &got, answer, &fault) == NG_READ_OK) {
		is_ours(c, cookie, got, answer);
	} else if (slice_eq(got, slice_str(cookie))) {
		c->counts.unreadable++;
		fail(c, 0, "an answer that can't be read: octet %u: %s", fault.offset, fault.what);
	} else {
		c->counts.foreign++;
	}
	return 0;
}

// Sends, and sends again, until an answer comes or the time is over.
static int call_datagram(struct ng_client *c, struct slice message, const char *cookie, json_t **answer)
{
	uint64_t interval_ms = c->o.repeat_ms ? c->o.repeat_ms : 1;
	unsigned sends = 0;

	for (;; interval_ms *= 2) {
		uint64_t until_ms = clock_mono_ms() + interval_ms;
		int rc = send_all(c, message);
		if (rc)
			return rc;
		c->counts.sent++;
		c->counts.repeated += sends++ > 0;
		for (;;) {
			rc = wait_for(c, POLLIN, until_ms < c->deadline_ms ? until_ms : c->deadline_ms);
			if (rc == -ETIMEDOUT)
				break;
			if (!rc)
				rc = take_datagram(c, cookie, answer);
			if (rc || *answer)
				return rc;
		}
		if (clock_mono_ms() < c->deadline_ms)
			continue;
		return c->why[0] ? -ETIMEDOUT
				 : fail(c, -ETIMEDOUT, "no answer for %u ms, sent %u times", c->o.timeout_ms, sends);
	}
}

// A datagram socket is connected to any address; whether somebody listens there, the first answer tells.
static int call_somewhere(struct ng_client *c, struct slice message, const char *cookie, json_t **answer)
{
	int rc = call_datagram(c, message, cookie, answer);

	while (rc == -ECONNREFUSED && c->more) {
		rc = open_socket(c);
		if (!rc)
			rc = call_datagram(c, message, cookie, answer);
	}
	if (rc == -ECONNREFUSED)
		fail(c, rc, "%s port %s: %s", c->o.host, c->o.port, err_text(rc));
	return rc;
}

// --- Public

int ng_client_new(struct ng_client **out, const struct ng_options *o, char *why, size_t why_size)
{
	struct ng_client *c = calloc(1, sizeof *c);
	bool is_v6 = strchr(o->host, ':') != NULL;
	int rc;

	*out = NULL;
	if (!c)
		return -ENOMEM;
	c->o = *o;
	c->fd = -1;
	c->in = malloc(IN_SIZE);
	c->message = malloc(NG_MESSAGE_MAX);
	c->out = malloc(OUT_SIZE);
	c->deadline_ms = clock_mono_ms() + o->timeout_ms;
	snprintf(c->host, sizeof c->host, is_v6 ? "[%s]:%s" : "%s:%s", o->host, o->port);
	rc = c->in && c->message && c->out ? open_socket(c) : fail(c, -ENOMEM, "no memory");
	if (!rc && o->transport == NG_WS)
		rc = shake_hands(c);
	if (rc) {
		snprintf(why, why_size, "%s", c->why);
		ng_client_free(&c);
		return rc;
	}
	*out = c;
	return 0;
}

void ng_client_free(struct ng_client **client)
{
	struct ng_client *c = *client;

	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	free(c->in);
	free(c->message);
	free(c->out);
	free(c);
	*client = NULL;
}

int ng_client_call(struct ng_client *c, const json_t *request, json_t **answer)
{
	bool datagram = c->o.transport == NG_UDP;
	size_t max = datagram ? NG_DATAGRAM_MAX : NG_MESSAGE_MAX;
	char cookie[NG_COOKIE_SIZE];
	uint8_t *buffer = malloc(max);
	struct wr w = wr_of(buffer, buffer ? max : 0);
	int rc = 0;

	*answer = NULL;
	c->why[0] = 0;
	c->deadline_ms = clock_mono_ms() + c->o.timeout_ms;
	ng_cookie(cookie);
	if (!ng_message_write(cookie, request, c->o.format, &w))
		rc = w.err ? fail(c, -EMSGSIZE, "a request above %zu octets", max)
			   : fail(c, -EINVAL, "the request has a value that can't be sent");
	else if (datagram)
		rc = call_somewhere(c, wr_done(&w), cookie, answer);
	else if (c->o.transport == NG_WS)
		rc = send_frame(c, c->o.format == NG_JSON ? NG_WS_TEXT : NG_WS_BINARY, wr_done(&w));
	else
		rc = send_all(c, wr_done(&w));
	if (!rc && !datagram) {
		c->counts.sent++;
		rc = c->o.transport == NG_WS ? await_websocket(c, cookie, answer) : await_stream(c, cookie, answer);
	}
	free(buffer);
	return rc;
}

const char *ng_client_why(const struct ng_client *c)
{
	return c->why;
}

const struct ng_counts *ng_client_counts(const struct ng_client *c)
{
	return &c->counts;
}

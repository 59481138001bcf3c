// SCTP, one-to-one sockets, over IPv4 and IPv6 (RFC 6733 2.1.1, RFC 6458 4). Runs in hss-frontend.
//
// Sending: one Diameter message is one user message, since receivers take it for one (freeDiameter does). All
// go out in order on stream 0. RFC 6733 2.1.1 recommends unordered delivery there, against head-of-line
// blocking, and lets a node choose otherwise. Unordered, a Cancel-Location could overtake the answer to the
// Update-Location that it cancels, a DPA what was asked before, and an answer the CEA (the race that 2.1.1
// tells of): a node would keep a subscriber who is elsewhere. Here a lost packet delays what follows by a
// retransmission, as over TCP.
//
// Receiving: any stream, ordered or not, any payload protocol identifier (older peers send 0). Octets are
// taken as a stream and framed by the length in the Diameter header, so that it does not matter whether the
// kernel hands a long message out in pieces (MSG_EOR only marks the last one): the pieces of one message are
// never interleaved with others, see sctp_take.
#include "frontend/transport.h"
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h> // before linux/sctp.h, which needs its types
#include <linux/sctp.h>
#include <unistd.h>
#include "lib/diameter/header.h"
#include "lib/ipc/sctp.h"

#define PPID_DIAMETER 46 // in clear text; 47 is that of DTLS, which is not spoken here
#define RECV_BATCH    64 // user messages that one read takes at most

// What each association needs to be a transport. The socket is closed when it can't have it.
static int sctp_take(int fd, struct transport *t)
{
	const int on = 1, never = 0;
	const struct linger abort = {.l_onoff = 1}; // a peer that is closed must not cost memory for minutes
	const struct sctp_sndinfo out = {.snd_ppid = htonl(PPID_DIAMETER)};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
	setsockopt(fd, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on);
	// Without these two the octets are not a stream, or nobody knows whose they are.
	if (setsockopt(fd, IPPROTO_SCTP, SCTP_FRAGMENT_INTERLEAVE, &never, sizeof never) < 0 ||
	    setsockopt(fd, IPPROTO_SCTP, SCTP_DEFAULT_SNDINFO, &out, sizeof out) < 0) {
		int err = -errno;
		close(fd);
		return err;
	}
	*t = (struct transport){.ops = &transport_sctp, .fd = fd};
	return 0;
}

static int sctp_accept(int listener, struct transport *t)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return sctp_take(fd, t);
}

// Whether IPv6 is among packed addresses: then the socket must be of that family, and takes IPv4, too.
static bool has_v6(const struct sockaddr *packed, size_t len)
{
	const uint8_t *p = (const uint8_t *)packed;
	struct sockaddr_in v4;
	while (len >= sizeof v4) {
		memcpy(&v4, p, sizeof v4);
		if (v4.sin_family != AF_INET)
			return true;
		p += sizeof v4;
		len -= sizeof v4;
	}
	return false;
}

// An association with all addresses of the peer: INIT goes to the next one when one is silent (RFC 9260 5.1).
static int sctp_connect(const struct transport_path *path, struct transport *t)
{
	bool v6 = has_v6(path->to, path->to_len) || has_v6(path->from, path->from_len);
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_SCTP);
	if (fd < 0)
		return -errno;
	int err = sctp_set_paths(fd);
	if (err) {
		close(fd);
		return err;
	}
	err = sctp_take(fd, t);
	if (err)
		return err;
	if ((path->from_len &&
	     setsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_BINDX_ADD, path->from, path->from_len) < 0) ||
	    (setsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX, path->to, path->to_len) < 0 &&
	     errno != EINPROGRESS)) {
		err = -errno;
		close(fd);
		return err;
	}
	return 0;
}

// The kernel gives one user message a call: several are taken, so that they reach the workers as one batch.
// An end or an error behind some octets shows again at the next call.
static ssize_t sctp_recv(struct transport *t, void *buf, size_t cap)
{
	size_t have = 0;
	ssize_t n = 0;
	for (unsigned i = 0; i < RECV_BATCH && have < cap; i++) {
		do
			n = recv(t->fd, (uint8_t *)buf + have, cap - have, MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	if (have)
		return (ssize_t)have;
	return n >= 0 ? n : errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

// The kernel takes a user message whole or not at all.
static ssize_t sctp_send(struct transport *t, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t sent = 0;
	while (len - sent >= DIAMETER_HEADER_LEN) {
		size_t one = be24_get(p + sent + 1);
		if (one < DIAMETER_HEADER_LEN || one > len - sent)
			bug("output is not whole messages");
		ssize_t n = send(t->fd, p + sent, one, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && sent == 0)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		if (n < 0)
			break; // an error shows again at the next call
		sent += one;
	}
	return (ssize_t)sent;
}

// There is no half-closed association: what is unsent is sent, then both directions end.
static void sctp_shut(struct transport *t)
{
	shutdown(t->fd, SHUT_WR);
}

static void sctp_close(struct transport *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

static uint32_t sctp_local(const struct transport *t, struct base_addr out[BASE_ADDRS_MAX])
{
	union {
		struct sctp_getaddrs head;
		uint8_t room[sizeof(struct sctp_getaddrs) + 64 * sizeof(struct sockaddr_in6)];
	} u = {0};
	socklen_t size = sizeof u;
	uint32_t cnt = 0;
	size_t at = offsetof(struct sctp_getaddrs, addrs);
	if (getsockopt(t->fd, IPPROTO_SCTP, SCTP_GET_LOCAL_ADDRS, &u, &size) < 0)
		return 0;
	for (uint32_t i = 0; i < u.head.addr_num && cnt < BASE_ADDRS_MAX; i++) {
		struct sockaddr_in6 sa = {0}; // the longer one; they lie packed behind each other
		size_t left = sizeof u - at;
		memcpy(&sa, u.room + at, left < sizeof sa ? left : sizeof sa);
		size_t one = sa.sin6_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof sa;
		if (one > left || !transport_octets((const struct sockaddr *)&sa, &out[cnt]))
			break;
		cnt++;
		at += one;
	}
	return cnt;
}

const struct transport_ops transport_sctp = {
    .name = "sctp",
    .kind = TRANSPORT_SCTP,
    .accept = sctp_accept,
    .connect = sctp_connect,
    .establish = transport_establish,
    .recv = sctp_recv,
    .send = sctp_send,
    .shut = sctp_shut,
    .close = sctp_close,
    .local = sctp_local,
    .remote = transport_remote,
};

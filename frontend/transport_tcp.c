// TCP, over IPv4 and IPv6. Runs in hss-frontend.
#include "frontend/transport.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

static int tcp_accept(int listener, struct transport *t)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	int on = 1;
	// answers go out as whole batches: waiting for more to send would only delay them
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	*t = (struct transport){.ops = &transport_tcp, .fd = fd};
	return 0;
}

static ssize_t tcp_recv(struct transport *t, void *buf, size_t cap)
{
	ssize_t n;
	do
		n = recv(t->fd, buf, cap, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n >= 0 ? n : errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static ssize_t tcp_send(struct transport *t, const void *buf, size_t len)
{
	ssize_t n;
	do
		n = send(t->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n > 0 ? n : n == 0 || errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static void tcp_shut(struct transport *t)
{
	shutdown(t->fd, SHUT_WR);
}

static void tcp_close(struct transport *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

// IPv4 in IPv6 form (a listener on ::) is shown and announced as what it is.
static const uint8_t *octets(const union address *a, uint8_t *len)
{
	if (a->any.sa_family == AF_INET) {
		*len = 4;
		return (const uint8_t *)&a->v4.sin_addr;
	}
	if (a->any.sa_family != AF_INET6) {
		*len = 0;
		return NULL;
	}
	const uint8_t *p = a->v6.sin6_addr.s6_addr;
	*len = IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr) ? 4 : 16;
	return *len == 4 ? p + 12 : p;
}

static void tcp_local(const struct transport *t, struct base_addr *out)
{
	union address a = {0};
	socklen_t n = sizeof a;
	out->len = 0;
	if (getsockname(t->fd, &a.any, &n) != 0)
		return;
	const uint8_t *p = octets(&a, &out->len);
	if (p)
		memcpy(out->octets, p, out->len);
}

static void tcp_remote(const struct transport *t, char *out, size_t cap)
{
	union address a = {0};
	socklen_t n = sizeof a;
	char text[INET6_ADDRSTRLEN];
	uint8_t len;
	snprintf(out, cap, "unknown");
	if (getpeername(t->fd, &a.any, &n) != 0)
		return;
	const uint8_t *p = octets(&a, &len);
	if (!p || !inet_ntop(len == 4 ? AF_INET : AF_INET6, p, text, sizeof text))
		return;
	unsigned port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
	snprintf(out, cap, len == 4 ? "%s:%u" : "[%s]:%u", text, port);
}

const struct transport_ops transport_tcp = {
    .name = "tcp",
    .accept = tcp_accept,
    .recv = tcp_recv,
    .send = tcp_send,
    .shut = tcp_shut,
    .close = tcp_close,
    .local = tcp_local,
    .remote = tcp_remote,
};

const struct transport_ops *transport_find(enum config_transport kind)
{
	switch (kind) {
	case TRANSPORT_TCP:
		return &transport_tcp;
	case TRANSPORT_SCTP:
	case TRANSPORT_TLS:
		break;
	}
	return NULL;
}

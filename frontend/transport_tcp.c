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

static int tcp_connect(const struct transport_path *path, struct transport *t)
{
	const struct sockaddr *to = path->to;
	socklen_t len = to->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int on = 1, fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	if (connect(fd, to, len) < 0 && errno != EINPROGRESS) {
		int err = -errno;
		close(fd);
		return err;
	}
	*t = (struct transport){.ops = &transport_tcp, .fd = fd};
	return 0;
}

int transport_establish(struct transport *t)
{
	int err = 0;
	socklen_t len = sizeof err;
	return getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 ? -errno : -err;
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

bool transport_octets(const struct sockaddr *any, struct base_addr *out)
{
	union address a = {0};
	if (any->sa_family == AF_INET) {
		memcpy(&a.v4, any, sizeof a.v4);
		out->len = 4;
		memcpy(out->octets, &a.v4.sin_addr, 4);
		return true;
	}
	if (any->sa_family != AF_INET6)
		return false;
	memcpy(&a.v6, any, sizeof a.v6);
	const uint8_t *p = a.v6.sin6_addr.s6_addr;
	out->len = IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr) ? 4 : 16;
	memcpy(out->octets, out->len == 4 ? p + 12 : p, out->len);
	return true;
}

bool transport_source(const struct transport *t, struct base_addr *out)
{
	union address a = {0};
	socklen_t n = sizeof a;
	return getpeername(t->fd, &a.any, &n) == 0 && transport_octets(&a.any, out);
}

void transport_remote(const struct transport *t, char *out, size_t cap)
{
	union address a = {0};
	socklen_t n = sizeof a;
	char text[INET6_ADDRSTRLEN];
	struct base_addr addr;
	snprintf(out, cap, "unknown");
	if (getpeername(t->fd, &a.any, &n) != 0 || !transport_octets(&a.any, &addr) ||
	    !inet_ntop(addr.len == 4 ? AF_INET : AF_INET6, addr.octets, text, sizeof text))
		return;
	unsigned port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
	snprintf(out, cap, addr.len == 4 ? "%s:%u" : "[%s]:%u", text, port);
}

static uint32_t tcp_local(const struct transport *t, struct base_addr out[BASE_ADDRS_MAX])
{
	union address a = {0};
	socklen_t n = sizeof a;
	return getsockname(t->fd, &a.any, &n) == 0 && transport_octets(&a.any, &out[0]) ? 1 : 0;
}

const struct transport_ops transport_tcp = {
    .name = "tcp",
    .kind = TRANSPORT_TCP,
    .accept = tcp_accept,
    .connect = tcp_connect,
    .establish = transport_establish,
    .recv = tcp_recv,
    .send = tcp_send,
    .shut = tcp_shut,
    .close = tcp_close,
    .local = tcp_local,
    .remote = transport_remote,
};

const struct transport_ops *transport_find(enum config_transport kind)
{
	switch (kind) {
	case TRANSPORT_TCP:
		return &transport_tcp;
	case TRANSPORT_SCTP:
		return &transport_sctp;
	case TRANSPORT_TLS:
		return &transport_tls;
	}
	return NULL;
}

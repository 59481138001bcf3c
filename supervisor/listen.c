// The listening sockets. hssd makes them before it changes its user, and keeps them as long as it lives, so that no port is lost
// while a role restarts. Failures are told on stderr, since nothing runs yet.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h> // before linux/sctp.h, which needs its types
#include <linux/sctp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/ipc/sctp.h"
#include "supervisor/hssd.h"

#define BACKLOG 1024

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} u;
	socklen_t len;
};

static bool address_parse(const char *text, uint16_t port, struct address *a)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, &a->u.v4.sin_addr) == 1) {
		a->u.v4.sin_family = AF_INET;
		a->u.v4.sin_port = htons(port);
		a->len = sizeof(a->u.v4);
		return true;
	}
	if (inet_pton(AF_INET6, text, &a->u.v6.sin6_addr) == 1) {
		a->u.v6.sin6_family = AF_INET6;
		a->u.v6.sin6_port = htons(port);
		a->len = sizeof(a->u.v6);
		return true;
	}
	return false;
}

// "::" takes IPv4, too, unless somebody else listens on an IPv4 address and this port: then each means its own family, and both can
// be there. Any other IPv6 address is of IPv6 alone.
static bool v6_only(const struct config *c, const char *text, uint16_t port, bool sctp)
{
	bool v6_only = strcmp(text, "::") != 0;
	for (uint32_t i = 0; i < c->listen_cnt; i++) {
		const struct config_listen *l = &c->listen[i];
		v6_only |= (l->transport == TRANSPORT_SCTP) == sctp && l->port == port && !strchr(l->address, ':');
	}
	return v6_only;
}

static int set_v6_only(int fd, bool on)
{
	int value = on;
	return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof(value)) < 0 ? -errno : 0;
}

// An address that no interface has yet may be bound (IP_FREEBIND is a socket's, of either family).
static int set_freebind(int fd)
{
	int on = 1;
	return setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0 ? -errno : 0;
}

// A bound, listening TCP socket, or a negative errno.
static int inet_listen(const struct config *c, const char *text, uint16_t port, bool freebind)
{
	struct address a;
	int on = 1, rc = 0;

	if (!address_parse(text, port, &a))
		return -EINVAL;
	int fd = socket(a.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		rc = -errno;
	if (!rc && a.u.any.sa_family == AF_INET6)
		rc = set_v6_only(fd, v6_only(c, text, port, false));
	if (!rc && freebind)
		rc = set_freebind(fd);
	if (!rc && (bind(fd, &a.u.any, a.len) < 0 || listen(fd, BACKLOG) < 0))
		rc = -errno;
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

// A listening one-to-one SCTP socket with all addresses of the configuration's row, or a negative errno. A
// row with addresses of both families is one IPv6 socket that takes IPv4, too.
static int sctp_listen(const struct config *c, const struct config_listen *l)
{
	struct address a[1 + CONFIG_ADDRESS_MAX];
	unsigned cnt = 1 + l->address_cnt, v6_cnt = 0;
	int on = 1, rc = 0;

	for (unsigned i = 0; i < cnt; i++) {
		if (!address_parse(i ? l->addresses[i - 1] : l->address, l->port, &a[i]))
			return -EINVAL;
		v6_cnt += a[i].u.any.sa_family == AF_INET6;
	}
	int fd =
	    socket(v6_cnt ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_SCTP);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		rc = -errno;
	if (!rc && v6_cnt == cnt)
		rc = set_v6_only(fd, v6_only(c, l->address, l->port, true));
	if (!rc && l->freebind)
		rc = set_freebind(fd);
	rc = rc ? rc : sctp_set_paths(fd);
	for (unsigned i = 0; i < cnt && !rc; i++) {
		if (setsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_BINDX_ADD, &a[i].u, a[i].len) < 0)
			rc = -errno;
	}
	if (!rc && listen(fd, BACKLOG) < 0)
		rc = -errno;
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

// The key of the configuration that wants SCTP, NULL when none does.
static const char *wants_sctp(const struct config *c, char *key, size_t cap)
{
	for (unsigned i = 0; i < c->listen_cnt; i++) {
		if (c->listen[i].transport != TRANSPORT_SCTP)
			continue;
		snprintf(key, cap, "listen[%u].transport", i);
		return key;
	}
	for (unsigned i = 0; i < c->peer_cnt; i++) {
		if (!c->peer[i].connect || c->peer[i].via != VIA_SCTP)
			continue;
		snprintf(key, cap, "peers.list[%u].transport", i);
		return key;
	}
	return NULL;
}

void listen_check(const struct hssd *h, struct config_error *e)
{
	char room[48];
	const char *key = wants_sctp(&h->config, room, sizeof(room));
	if (!key)
		return;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);
	if (fd >= 0)
		close(fd);
	else
		config_tell(e, h->config_path, key, "sctp: %s",
			    errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT ? "this kernel has no SCTP (module sctp)"
										 : err_text(errno));
}

// A socket file that nobody answers on is what a killed HSS left behind. Anything else stays and is an error.
static int stale_remove(const struct sockaddr_un *name)
{
	struct stat st;
	if (lstat(name->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int rc = connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 ? errno : 0;
	close(fd);
	if (rc != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(name->sun_path) < 0 ? -errno : 0;
}

static int admin_listen(const char *path, const char *group)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	gid_t gid = (gid_t)-1;

	if (strlen(path) >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	memcpy(name.sun_path, path, strlen(path) + 1);
	if (group[0]) {
		const struct group *g = getgrnam(group);
		if (!g)
			return -ENOENT;
		gid = g->gr_gid;
	}
	int rc = stale_remove(&name);
	if (rc < 0)
		return rc;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	mode_t mask = umask(0177); // closed to all others until group and mode are set
	rc = bind(fd, (const struct sockaddr *)&name, sizeof(name)) < 0 ? -errno : 0;
	umask(mask);
	if (rc) {
		close(fd);
		return rc;
	}
	if ((gid != (gid_t)-1 && chown(path, (uid_t)-1, gid) < 0) || chmod(path, 0660) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		rc = -errno;
		unlink(path);
		close(fd);
		return rc;
	}
	return fd;
}

static bool diameter_open(struct hssd *h)
{
	static const char *const transports[] = {"tcp", "sctp", "tls"};
	for (unsigned i = 0; i < h->config.listen_cnt; i++) {
		const struct config_listen *l = &h->config.listen[i];
		int fd = l->transport == TRANSPORT_SCTP ? sctp_listen(&h->config, l)
							: inet_listen(&h->config, l->address, l->port, l->freebind);
		if (fd < 0) {
			say("listen: { transport: %s, address: %s, port: %u }: %s",
				transports[l->transport], l->address, l->port, err_text(fd));
			return false;
		}
		h->diameter_fd[h->diameter_cnt++] = fd;
	}
	return true;
}

// Negative: told. `kind`: what the names of its options begin with.
static int admin_open(const char *kind, const char *path, const char *group)
{
	int fd = admin_listen(path, group);
	if (fd < 0)
		say("admin: { %ssocket: %s%s%s%s%s }: %s", kind, path, group[0] ? ", " : "",
			group[0] ? kind : "", group[0] ? "group: " : "", group,
			fd == -ENOENT && group[0] ? "no such directory or group" : err_text(fd));
	return fd;
}

bool listen_open(struct hssd *h)
{
	const struct config *c = &h->config;

	if (!diameter_open(h))
		return false;
	if (c->metrics_address[0]) {
		h->metrics_fd = inet_listen(c, c->metrics_address, c->metrics_port, false);
		if (h->metrics_fd < 0) {
			say("metrics: { address: %s, port: %u }: %s", c->metrics_address,
				c->metrics_port, err_text(h->metrics_fd));
			return false;
		}
	}
	h->admin_fd = admin_open("", c->admin_socket, c->admin_group);
	if (h->admin_fd < 0 || !c->admin_readonly_socket[0])
		return h->admin_fd >= 0;
	h->readonly_fd = admin_open("readonly_", c->admin_readonly_socket,
				    c->admin_readonly_group[0] ? c->admin_readonly_group : c->admin_group);
	return h->readonly_fd >= 0;
}

void listen_unlink(const struct hssd *h)
{
	// May fail once the user was changed; the next start then finds it stale and removes it.
	if (h->admin_fd >= 0)
		(void)unlink(h->config.admin_socket);
	if (h->readonly_fd >= 0)
		(void)unlink(h->config.admin_readonly_socket);
}

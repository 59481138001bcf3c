// Telling systemd how hssd is doing (sd_notify(3)): one datagram a message to $NOTIFY_SOCKET. Written here
// because libsystemd's sd_notify blocks while the receiver's queue is full, and hssd must never wait for
// anybody: what does not go at once waits here and goes when the socket takes it. hssd.
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "supervisor/hssd.h"

#define WAITING_MAX 16
#define MESSAGE_MAX 256

static struct {
	int fd; // -1: nobody is to be told
	struct event *writable, *watchdog;
	char waiting[WAITING_MAX][MESSAGE_MAX];
	unsigned waiting_cnt;
} notify = {.fd = -1};

// false: not now.
static bool put(const char *text)
{
	if (send(notify.fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	return errno != EAGAIN && errno != ENOBUFS; // gone for good: nobody listens
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	unsigned sent = 0;
	(void)fd;
	(void)what;
	(void)arg;
	while (sent < notify.waiting_cnt && put(notify.waiting[sent]))
		sent++;
	notify.waiting_cnt -= sent;
	memmove(notify.waiting, notify.waiting + sent, notify.waiting_cnt * sizeof(notify.waiting[0]));
	if (notify.waiting_cnt)
		event_add(notify.writable, NULL);
}

static bool only_status(const char *text)
{
	return strncmp(text, "STATUS=", 7) == 0;
}

void notify_send(const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list ap;

	if (notify.fd < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (notify.waiting_cnt == 0 && put(text))
		return;
	// A status that nobody has read yet is replaced by the next one: what changes the state of the unit
	// stays.
	unsigned at = notify.waiting_cnt;
	if (at && only_status(text) && only_status(notify.waiting[at - 1]))
		at--;
	if (at == WAITING_MAX)
		memmove(notify.waiting, notify.waiting + 1, --at * sizeof(notify.waiting[0]));
	memcpy(notify.waiting[at], text, sizeof(text));
	notify.waiting_cnt = at + 1;
	event_add(notify.writable, NULL);
}

static void feed(void)
{
	if (notify.waiting_cnt == 0)
		notify_send("WATCHDOG=1");
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	probe_start(arg, feed);
}

// The interval that systemd watches in microseconds; 0: it does not.
static uint64_t watchdog_us(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
		return 0;
	return strtoull(usec, NULL, 10);
}

static bool watchdog_start(struct hssd *h)
{
	uint64_t us = watchdog_us() / 3;
	struct timeval tv = {.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
	if (us == 0)
		return true;
	notify.watchdog = event_new(h->base, -1, EV_PERSIST, on_watchdog, h);
	return notify.watchdog && event_add(notify.watchdog, &tv) == 0;
}

bool notify_open(struct hssd *h)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	if (len < 2 || len >= sizeof(name.sun_path) || (path[0] != '/' && path[0] != '@'))
		return true;
	memcpy(name.sun_path, path, len);
	if (path[0] == '@')
		name.sun_path[0] = '\0';
	notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (notify.fd < 0)
		return false;
	if (connect(notify.fd, (struct sockaddr *)&name,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
		log_warn("notify_socket", LOG_STR("error", err_text(errno)));
		close(notify.fd);
		notify.fd = -1;
		return true;
	}
	notify.writable = event_new(h->base, notify.fd, EV_WRITE, on_writable, NULL);
	return notify.writable && watchdog_start(h);
}

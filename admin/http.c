// A few lines of HTTP/1.1 on bufferevents rather than libevent's evhttp: 2.1's can't bound its connections,
// and what a scraper needs is one request, one answer, close. hss-admin. The bytes are those of anybody who
// reaches the port: bounded in size, time and number, and never interpreted beyond the request line.
#include "admin/http.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "admin/alarm.h"
#include "admin/health.h"
#include "admin/metrics.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

struct scraper {
	struct metrics_server *server;
	struct bufferevent *bev; // NULL: free
	bool answered;
	uint64_t since_ms;
};

struct metrics_server {
	struct event_base *base;
	struct evconnlistener *listener;
	const struct control *control;
	const struct alarms *alarms;
	struct scraper scraper[METRICS_CLIENT_MAX];
};

static void scraper_close(struct scraper *s)
{
	bufferevent_free(s->bev);
	s->bev = NULL;
}

// What a HEAD is answered has the length of the body, and no body (RFC 9110 9.3.2).
static void answer(struct scraper *s, const char *status, const char *type, struct evbuffer *body, bool head)
{
	struct evbuffer *out = bufferevent_get_output(s->bev);

	evbuffer_add_printf(
	    out, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
	    status, type, evbuffer_get_length(body));
	if (!head)
		evbuffer_add_buffer(out, body);
	s->answered = true;
	bufferevent_disable(s->bev, EV_READ);
}

// Takes this word from the line, with the space behind it.
static bool take_method(const char **line, size_t *len, const char *method)
{
	size_t n = strlen(method);
	if (*len <= n || memcmp(*line, method, n) != 0 || (*line)[n] != ' ')
		return false;
	*line += n + 1;
	*len -= n + 1;
	return true;
}

// Whether the target of the request is this path, with or without a query behind it.
static bool target_is(const char *line, size_t len, const char *path)
{
	size_t n = strlen(path);

	return len > n && memcmp(line, path, n) == 0 && (line[n] == ' ' || line[n] == '?');
}

static void answer_health(struct scraper *s, bool good, struct evbuffer *why, bool head)
{
	if (good)
		evbuffer_add_printf(why, "ok\n");
	answer(s, good ? "200 OK" : "503 Service Unavailable", "text/plain; charset=utf-8", why, head);
}

static void serve(struct scraper *s, const char *line, size_t len)
{
	const struct control *c = s->server->control;
	struct evbuffer *body = evbuffer_new();

	if (!body) {
		scraper_close(s);
		return;
	}
	bool head = take_method(&line, &len, "HEAD");
	bool known = head || take_method(&line, &len, "GET");
	if (known && target_is(line, len, "/metrics")) {
		metrics_write(body, c);
		if (s->server->alarms)
			alarms_metrics(s->server->alarms, body);
		answer(s, "200 OK", "text/plain; version=0.0.4; charset=utf-8", body, head);
	} else if (known && target_is(line, len, "/healthz")) {
		answer_health(s, health_alive(c, body), body, head);
	} else if (known && target_is(line, len, "/readyz")) {
		answer_health(s, health_ready(c, body), body, head);
	} else {
		evbuffer_add_printf(body, "There are /metrics, /healthz and /readyz, to be read with GET.\n");
		answer(s, "404 Not Found", "text/plain; charset=utf-8", body, head);
	}
	evbuffer_free(body);
}

static void on_read(struct bufferevent *bev, void *ctx)
{
	struct scraper *s = ctx;
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t len = evbuffer_get_length(in);
	const char *p = (const char *)evbuffer_pullup(in, (ssize_t)len);
	const char *eol = p ? memchr(p, '\n', len) : NULL;

	if (s->answered || !eol || (!memmem(p, len, "\r\n\r\n", 4) && !memmem(p, len, "\n\n", 2))) {
		if (len >= METRICS_REQUEST_MAX)
			scraper_close(s);
		return;
	}
	serve(s, p, (size_t)(eol - p));
}

static void on_write(struct bufferevent *bev, void *ctx)
{
	struct scraper *s = ctx;

	if (s->answered && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		scraper_close(s);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
	(void)bev;
	(void)what;
	scraper_close(ctx);
}

// A place for one more. When all are taken, by clients that send or read nothing, the one that came first goes: a scraper that
// asks and reads needs a moment only.
static struct scraper *scraper_take(struct metrics_server *server)
{
	struct scraper *oldest = &server->scraper[0];
	for (unsigned i = 0; i < METRICS_CLIENT_MAX; i++) {
		struct scraper *s = &server->scraper[i];
		if (!s->bev)
			return s;
		if (s->since_ms < oldest->since_ms)
			oldest = s;
	}
	scraper_close(oldest);
	return oldest;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
		      int from_len, void *ctx)
{
	const struct timeval timeout = {.tv_sec = METRICS_TIMEOUT_S};
	struct metrics_server *server = ctx;

	(void)listener;
	(void)from;
	(void)from_len;
	struct scraper *s = scraper_take(server);
	*s = (struct scraper){.server = server, .since_ms = clock_mono_ms()};
	s->bev = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!s->bev) {
		close(fd);
		return;
	}
	bufferevent_setcb(s->bev, on_read, on_write, on_event, s);
	bufferevent_setwatermark(s->bev, EV_READ, 0, METRICS_REQUEST_MAX);
	bufferevent_set_timeouts(s->bev, &timeout, &timeout);
	bufferevent_enable(s->bev, EV_READ | EV_WRITE);
}

struct metrics_server *metrics_server_new(struct event_base *base, int listener,
					  const struct control *control, const struct alarms *alarms)
{
	struct metrics_server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->base = base;
	server->control = control;
	server->alarms = alarms;
	server->listener = evconnlistener_new(base, on_accept, server, LEV_OPT_CLOSE_ON_EXEC, 0, listener);
	if (!server->listener) {
		log_error("metrics_listen", LOG_STR("error", err_text(errno)));
		metrics_server_free(&server);
	}
	return server;
}

void metrics_server_free(struct metrics_server **server)
{
	if (!*server)
		return;
	if ((*server)->listener)
		evconnlistener_free((*server)->listener);
	for (unsigned i = 0; i < METRICS_CLIENT_MAX; i++) {
		if ((*server)->scraper[i].bev)
			scraper_close(&(*server)->scraper[i]);
	}
	free(*server);
	*server = NULL;
}

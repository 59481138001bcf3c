// Connections of the admin socket. hss-admin.
//
//	IDLE -> request line -> ROWS ------------------> end -> IDLE
//	                     \-> INPUT (import) -> ROWS /
//	                             \-> end before its input is over -> DRAIN -> IDLE
//
// A client that reads slowly holds back only its own rows: the loader hears ADMIN_MORE when the client's
// output has drained. One that goes away cancels its call. All is bounded: clients, request lines, input,
// output.
#include "admin/client.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "admin/lines.h"
#include "admin/local.h"
#include "admin/rights.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define INPUT_HIGH    (256u << 10)
#define OUTPUT_LOW    (64u << 10)
#define OUTPUT_MAX    (16u << 20)
#define IDLE_S        120
#define STALL_S       3600 // somebody who pages through a long list
#define GROUPS_MAX    256
#define STEPS_AT_ONCE 8 // chunks of one client before the others have their turn

enum client_state { CLIENT_IDLE, CLIENT_ROWS, CLIENT_INPUT, CLIENT_DRAIN };

struct admin_client {
	struct admin_server *server;
	struct bufferevent *bev; // NULL: free
	enum client_state state;
	uint64_t call; // 0: none
	struct admin_lines lines;
	bool eof;      // no further requests will come
	bool live;     // its command goes on until it leaves
	bool closing;  // close when the output is out
	uid_t uid;     // who is at the other end
	pid_t pid;
	json_t *note;  // owned: what the audit log is told when the command ends; NULL: nothing, or the loader does it
	unsigned mark; // local.c's
	struct event *again, *timer;
	void (*on_time)(struct admin_client *cl);
};

struct admin_server {
	struct role_env *env;
	struct admin_calls *calls;
	struct evconnlistener *listener;
	gid_t gid;
	bool read_only;
	struct admin_client client[ADMIN_CLIENT_MAX];
};

static void client_work(struct admin_client *cl);

static void client_close(struct admin_client *cl)
{
	admin_call_cancel(cl->server->calls, cl->call);
	json_decref(cl->note);
	event_free(cl->again);
	event_free(cl->timer);
	bufferevent_free(cl->bev);
	*cl = (struct admin_client){.server = cl->server};
}

static void client_timeouts(struct admin_client *cl)
{
	const struct timeval idle = {.tv_sec = IDLE_S}, stall = {.tv_sec = STALL_S};

	// A client that waits for rows owes us nothing; one that pipes a document in may take its time.
	bufferevent_set_timeouts(cl->bev,
				 cl->state == CLIENT_ROWS    ? NULL
				 : cl->state == CLIENT_INPUT ? &stall
							     : &idle,
				 &stall);
}

static void client_state(struct admin_client *cl, enum client_state state)
{
	cl->state = state;
	client_timeouts(cl);
}

// --- answers

static void put_row(struct admin_client *cl, struct slice row)
{
	struct evbuffer *out = bufferevent_get_output(cl->bev);

	if (evbuffer_get_length(out) > OUTPUT_MAX) { // a role that does not wait for ADMIN_MORE
		log_warn("admin_client_too_slow");
		cl->closing = true;
		return;
	}
	if (evbuffer_add(out, "{\"row\":", 7) || evbuffer_add(out, row.p, row.len) ||
	    evbuffer_add(out, "}\n", 2))
		cl->closing = true; // no memory: half an answer must not look like a whole one
}

static void drop_row(void *ctx, struct slice row)
{
	(void)ctx;
	(void)row;
}

static void drop_end(void *ctx, int status, json_t *end)
{
	(void)ctx;
	(void)status;
	(void)end;
}

static void on_row(void *ctx, struct slice row)
{
	struct admin_client *cl = ctx;

	if (!cl->closing)
		put_row(cl, row); // on_write says so when it is out
}

// What this process or a frontend did for an operator goes into the audit log, too; the answer does not wait for that.
static void note_end(struct admin_client *cl, const json_t *end)
{
	static const struct admin_command note = {.words = "audit note", .served = ADMIN_SERVED_LOADER};
	static const struct admin_call_ops nobody = {.on_row = drop_row, .on_end = drop_end};
	struct admin_request request = {.command = &note, .args = cl->note};
	const char *why = NULL;

	if (!cl->note)
		return;
	json_object_update(cl->note, (json_t *)end);
	if (!admin_call_start(cl->server->calls, &request, &nobody, NULL, &why))
		log_error("audit_write_failed", LOG_STR("reason", why));
	json_decref(cl->note);
	cl->note = NULL;
}

// A command that ends when its client leaves is written down when it begins.
static void note_begin(struct admin_client *cl)
{
	json_t *begun = json_pack("{s:i}", "status", 0);

	note_end(cl, begun);
	json_decref(begun);
}

static void put_end(struct admin_client *cl, const json_t *end)
{
	note_end(cl, end);
	char *text = json_dumps(end, JSON_COMPACT);

	if (!text || evbuffer_add_printf(bufferevent_get_output(cl->bev), "{\"end\":%s}\n", text) < 0)
		cl->closing = true;
	admin_json_free(text);
	cl->call = 0;
	event_del(cl->timer);
	client_state(cl, cl->state == CLIENT_INPUT ? CLIENT_DRAIN : CLIENT_IDLE);
	event_active(cl->again, EV_TIMEOUT, 0); // the next request may be here already
}

static void on_end(void *ctx, int status, json_t *end)
{
	(void)status;
	put_end(ctx, end);
}

static void on_credit(void *ctx)
{
	client_work(ctx);
}

static const struct admin_call_ops client_ops = {.on_row = on_row, .on_credit = on_credit, .on_end = on_end};

struct role_env *admin_client_env(const struct admin_client *cl)
{
	return cl->server->env;
}

struct admin_calls *admin_client_calls(const struct admin_client *cl)
{
	return cl->server->calls;
}

void admin_client_row(struct admin_client *cl, json_t *row_taken)
{
	char *text = json_dumps(row_taken, JSON_COMPACT);

	if (text)
		put_row(cl, slice_str(text));
	else
		cl->closing = true;
	admin_json_free(text);
	json_decref(row_taken);
}

void admin_client_end(struct admin_client *cl, int status, const char *error)
{
	json_t *end = json_pack("{s:i, s:s*}", "status", status, "error", error);

	put_end(cl, end);
	json_decref(end);
}

void admin_client_call_set(struct admin_client *cl, uint64_t id)
{
	cl->call = id;
}

void admin_client_timeout(struct admin_client *cl, unsigned ms, void (*fn)(struct admin_client *cl))
{
	const struct timeval after = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	cl->on_time = fn;
	event_add(cl->timer, &after);
}

unsigned *admin_client_mark(struct admin_client *cl)
{
	return &cl->mark;
}

// --- requests

// The loader writes down what it does itself, with what was before and after; of other commands it is told when they end.
static void audited(struct admin_client *cl, struct admin_request *request)
{
	json_t *by = json_pack("{s:I, s:I}", "uid", (json_int_t)cl->uid, "pid", (json_int_t)cl->pid);

	if (request->command->served == ADMIN_SERVED_LOADER)
		request->by = by;
	else
		cl->note = json_pack("{s:s, s:O, s:o}", "command", request->command->words, "args", request->args, "by", by);
}

static void request_start(struct admin_client *cl, struct slice line)
{
	struct admin_request request;
	const char *why = NULL;
	char error[256];

	client_state(cl, CLIENT_ROWS);
	if (admin_request_parse(line, &request, error)) {
		admin_client_end(cl, 2, error);
		return;
	}
	const char *imsi = json_string_value(json_object_get(request.args, "imsi"));
	if (imsi)
		log_info("admin_command", LOG_STR("command", request.command->words), LOG_IMSI("imsi", imsi));
	else
		log_info("admin_command", LOG_STR("command", request.command->words));
	if (cl->server->read_only && !rights_only_looks(&request)) {
		admin_client_end(cl, 1, "this socket is for looking only (admin.readonly_socket)");
		admin_request_fini(&request);
		return;
	}
	if (rights_audited(&request))
		audited(cl, &request);
	if (request.command->served == ADMIN_SERVED_ADMIN) {
		admin_local(cl, &request);
	} else {
		// the answer may come from inside: the state is set before
		if (request.command->flags & ADMIN_FLAG_INPUT)
			client_state(cl, CLIENT_INPUT);
		cl->lines = (struct admin_lines){0};
		cl->live = request.command->flags & ADMIN_FLAG_LIVE;
		cl->call = admin_call_start(cl->server->calls, &request, &client_ops, cl, &why);
		if (!cl->call)
			admin_client_end(cl, 1, why);
		else if (cl->live)
			note_begin(cl);
	}
	admin_request_fini(&request);
}

// Takes a request line from the input. false: there is none yet (or the client is closed).
static bool request_take(struct admin_client *cl)
{
	struct evbuffer *in = bufferevent_get_input(cl->bev);
	size_t len = evbuffer_get_length(in);
	uint8_t *p = evbuffer_pullup(in, len > ADMIN_REQUEST_MAX + 1 ? ADMIN_REQUEST_MAX + 1 : (ssize_t)len);
	const uint8_t *at = NULL;
	size_t taken;

	if (len > ADMIN_REQUEST_MAX + 1)
		len = ADMIN_REQUEST_MAX + 1;
	if (p)
		at = memchr(p, '\n', len);
	if (!at && len > ADMIN_REQUEST_MAX) {
		// where the next request begins can't be known
		admin_client_end(cl, 2, "the request line is too long");
		cl->closing = true;
		return false;
	}
	if (!at)
		return false;
	taken = (size_t)(at - p) + 1;
	request_start(cl, slice_of(p, taken - 1));
	secret_wipe(p, taken); // it may hold keys
	evbuffer_drain(in, taken);
	return true;
}

// --- import lines

// One step of the input; false: it waits for octets or for credit.
static bool input_take(struct admin_client *cl)
{
	struct evbuffer *in = bufferevent_get_input(cl->bev);
	size_t len = evbuffer_get_length(in);
	uint8_t *p = evbuffer_pullup(in, (ssize_t)len);
	size_t room = cl->state == CLIENT_DRAIN ? SIZE_MAX : admin_call_room(cl->server->calls, cl->call);
	struct admin_chunk c = admin_lines_next(&cl->lines, p, len, room);

	if (c.consume == 0)
		return false;
	if (cl->state == CLIENT_INPUT && (c.forward || c.end) &&
	    !admin_call_input(cl->server->calls, cl->call, slice_of(p, c.forward), c.add_newline)) {
		if (c.add_newline)
			cl->lines.skip = false; // the step was not taken
		return false;
	}
	secret_wipe(p, c.consume);
	evbuffer_drain(in, c.consume);
	if (c.end)
		client_state(cl, cl->state == CLIENT_DRAIN ? CLIENT_IDLE : CLIENT_ROWS);
	return true;
}

// Does what the client's input allows, a few steps at a time so that others have their turn.
static void client_work(struct admin_client *cl)
{
	bool more = true;

	for (unsigned i = 0; more && !cl->closing; i++) {
		if (i == STEPS_AT_ONCE) {
			event_active(cl->again, EV_TIMEOUT, 0);
			break;
		}
		if (cl->state == CLIENT_IDLE)
			more = request_take(cl);
		else if (cl->state == CLIENT_ROWS)
			more = false;
		else
			more = input_take(cl);
	}
	if (!more && cl->eof && cl->state == CLIENT_IDLE)
		cl->closing = true;
	// At its high-water mark libevent calls on_read again and again: not while there is nothing to do.
	if (cl->closing || cl->eof || evbuffer_get_length(bufferevent_get_input(cl->bev)) >= INPUT_HIGH)
		bufferevent_disable(cl->bev, EV_READ);
	else
		bufferevent_enable(cl->bev, EV_READ);
	if (cl->closing && evbuffer_get_length(bufferevent_get_output(cl->bev)) == 0)
		client_close(cl);
}

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	client_work(ctx);
}

static void on_time(evutil_socket_t fd, short what, void *ctx)
{
	struct admin_client *cl = ctx;

	(void)fd;
	(void)what;
	admin_call_cancel(cl->server->calls, cl->call);
	cl->call = 0;
	cl->on_time(cl);
}

static void on_read(struct bufferevent *bev, void *ctx)
{
	(void)bev;
	client_work(ctx);
}

static void on_write(struct bufferevent *bev, void *ctx)
{
	struct admin_client *cl = ctx;

	if (cl->closing && evbuffer_get_length(bufferevent_get_output(bev)) == 0) {
		client_close(cl);
		return;
	}
	if (cl->call)
		admin_call_taken(cl->server->calls, cl->call);
}

// Everything of an import is here already, though its client has closed its side.
static bool input_complete(struct admin_client *cl)
{
	struct evbuffer *in = bufferevent_get_input(cl->bev);
	size_t len = evbuffer_get_length(in);
	const uint8_t *p = evbuffer_pullup(in, (ssize_t)len);

	return len > 0 && p[len - 1] == '\n' && (len == 1 || p[len - 2] == '\n');
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
	struct admin_client *cl = ctx;

	// Half closed: the answers to what was asked are still wanted, if they have an end. Input that breaks off is no import.
	if ((what & BEV_EVENT_EOF) && !(cl->live && cl->call) && (cl->state != CLIENT_INPUT || input_complete(cl))) {
		cl->eof = true;
		bufferevent_disable(bev, EV_READ);
		client_work(cl);
		return;
	}
	client_close(cl);
}

// --- the listener

bool admin_peer_allowed(int fd, gid_t gid)
{
	struct ucred peer;
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	if (gid == (gid_t)-1)
		return false;
	if (peer.gid == gid)
		return true;
	len = sizeof(groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++) {
		if (groups[i] == gid)
			return true;
	}
	return false;
}

static struct admin_client *client_slot(struct admin_server *server)
{
	for (unsigned i = 0; i < ADMIN_CLIENT_MAX; i++) {
		if (!server->client[i].bev)
			return &server->client[i];
	}
	return NULL;
}

static void refuse(int fd, const char *text)
{
	// best effort: a fresh socket takes a short line
	(void)!send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
		      int from_len, void *ctx)
{
	static const char denied[] = "{\"end\":{\"status\":1,\"error\":\"you may not use this socket\"}}\n";
	static const char full[] = "{\"end\":{\"status\":1,\"error\":\"too many clients\"}}\n";
	struct admin_server *server = ctx;
	struct admin_client *cl = client_slot(server);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	(void)listener;
	(void)from;
	(void)from_len;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || !admin_peer_allowed(fd, server->gid)) {
		static struct log_limit limit;

		if (log_limit_pass(&limit, 1))
			log_warn("admin_client_refused", LOG_INT("suppressed", limit.suppressed));
		refuse(fd, denied);
		return;
	}
	if (!cl) {
		refuse(fd, full);
		return;
	}
	*cl = (struct admin_client){.server = server, .uid = peer.uid, .pid = peer.pid};
	cl->bev = bufferevent_socket_new(server->env->base, fd, BEV_OPT_CLOSE_ON_FREE);
	cl->again = event_new(server->env->base, -1, 0, on_again, cl);
	cl->timer = event_new(server->env->base, -1, 0, on_time, cl);
	if (!cl->bev || !cl->again || !cl->timer) {
		if (cl->again)
			event_free(cl->again);
		if (cl->timer)
			event_free(cl->timer);
		if (cl->bev)
			bufferevent_free(cl->bev);
		else
			close(fd);
		*cl = (struct admin_client){.server = server};
		return;
	}
	bufferevent_setcb(cl->bev, on_read, on_write, on_event, cl);
	bufferevent_setwatermark(cl->bev, EV_READ, 0, INPUT_HIGH);
	bufferevent_setwatermark(cl->bev, EV_WRITE, OUTPUT_LOW, 0);
	bufferevent_set_max_single_read(cl->bev, INPUT_HIGH);
	bufferevent_set_max_single_write(cl->bev, INPUT_HIGH);
	client_state(cl, CLIENT_IDLE);
	bufferevent_enable(cl->bev, EV_READ | EV_WRITE);
}

struct admin_server *admin_server_new(struct role_env *env, struct admin_calls *calls, int listener,
				      const char *group)
{
	struct admin_server *server = calloc(1, sizeof(*server));
	const struct group *entry = group[0] ? getgrnam(group) : NULL;

	if (!server)
		return NULL;
	server->env = env;
	server->calls = calls;
	server->gid = entry ? entry->gr_gid : (gid_t)-1;
	if (group[0] && !entry)
		log_warn("admin_group_unknown", LOG_STR("group", group));
	for (unsigned i = 0; i < ADMIN_CLIENT_MAX; i++)
		server->client[i].server = server;
	server->listener =
	    evconnlistener_new(env->base, on_accept, server, LEV_OPT_CLOSE_ON_EXEC, 0, listener);
	if (!server->listener) {
		log_error("admin_listen", LOG_STR("error", err_text(errno)));
		admin_server_free(&server);
	}
	return server;
}

void admin_server_read_only(struct admin_server *server)
{
	server->read_only = true;
}

void admin_server_stop(struct admin_server *server)
{
	if (server->listener)
		evconnlistener_free(server->listener);
	server->listener = NULL;
	for (unsigned i = 0; i < ADMIN_CLIENT_MAX; i++) {
		if (server->client[i].bev)
			client_close(&server->client[i]);
	}
}

void admin_server_free(struct admin_server **server)
{
	if (!*server)
		return;
	admin_server_stop(*server);
	free(*server);
	*server = NULL;
}

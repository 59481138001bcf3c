// Calls and links. hss-admin. What siblings send is semi-trusted: a row with a line break or an end that is
// no JSON object would break the protocol with the client, so it ends the call with an error instead.
#include "admin/call.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define LINK_LOADER     0
#define LINK_FRONTEND   1 // + index
#define LINK_WORKER     (LINK_FRONTEND + FRONTEND_MAX)
#define LINK_CNT        (LINK_WORKER + WORKER_MAX)
#define LINK_HIGH_WATER (4u << 20)
#define CREDIT_START    (1u << 20) // loader/README.md
#define CREDIT_MAX      (16u << 20)
#define INPUT_MAX       (IPC_BODY_MAX - 16)

struct link {
	struct admin_calls *calls;
	struct channel *ch;
	enum role role;
};

struct call {
	uint64_t id; // 0: free
	const struct admin_call_ops *ops;
	void *ctx;
	unsigned waiting;         // links that have not ended
	bool waits[LINK_CNT];     // for which links
	uint32_t given[LINK_CNT]; // rows since the last MORE
	size_t credit;
	int status;
	json_t *end; // that of the best status so far
};

struct admin_calls {
	struct event_base *base;
	uint64_t last_id;
	struct link link[LINK_CNT];
	struct call call[ADMIN_CALL_MAX];
};

static struct call *call_find(const struct admin_calls *calls, uint64_t id)
{
	for (unsigned i = 0; id && i < ADMIN_CALL_MAX; i++) {
		if (calls->call[i].id == id)
			return (struct call *)&calls->call[i];
	}
	return NULL;
}

static void call_release(struct call *c)
{
	json_decref(c->end);
	*c = (struct call){0};
}

// One link has ended its part; the last one ends the call. Of several frontends one that did it is enough (a
// peer is connected to one). Takes `end`. The call may be gone afterwards.
static void call_part_ended(struct call *c, unsigned link, int status, json_t *end)
{
	c->waits[link] = false;
	c->waiting--;
	if (!c->end || status < c->status) {
		json_decref(c->end);
		c->end = end;
		c->status = status;
	} else {
		json_decref(end);
	}
	if (c->waiting)
		return;
	struct call done = *c;

	*c = (struct call){0}; // the callback may start the next call
	done.ops->on_end(done.ctx, done.status, done.end);
	json_decref(done.end);
}

static json_t *end_of(int status, const char *error)
{
	return json_pack("{s:i, s:s}", "status", status, "error", error);
}

static void on_end(struct call *c, unsigned link, struct slice body)
{
	json_t *end = json_loadb((const char *)body.p, body.len, 0, NULL);
	json_t *status = json_object_get(end, "status");
	json_int_t v = json_integer_value(status);

	if (!json_is_integer(status) || v < 0 || v > 2) {
		json_decref(end);
		v = 1;
		end = end_of(1, "the answer of another process could not be read");
	}
	call_part_ended(c, link, (int)v, end);
}

static void on_row(struct call *c, struct channel *ch, unsigned link, struct slice row)
{
	if (row.len < 2 || row.p[0] != '{' || memchr(row.p, '\n', row.len) || memchr(row.p, 0, row.len)) {
		log_error("admin_row_refused");
		(void)channel_send(ch, IPC_ADMIN_CANCEL, c->id, NULL, 0);
		call_part_ended(c, link, 1, end_of(1, "the answer of another process could not be read"));
		return;
	}
	c->given[link]++;
	c->ops->on_row(c->ctx, row);
}

static void on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct link *l = ctx;
	unsigned link = (unsigned)(l - l->calls->link);
	struct call *c = call_find(l->calls, hdr->id);
	struct slice s = slice_of(body, hdr->len - sizeof(*hdr));
	uint64_t credit;

	if (!c || !c->waits[link]) // cancelled
		return;
	switch (hdr->type) {
	case IPC_ADMIN_ROW:
		on_row(c, ch, link, s);
		break;
	case IPC_ADMIN_END:
		on_end(c, link, s);
		break;
	case IPC_ADMIN_CREDIT:
		memcpy(&credit, body, sizeof(credit)); // length: protocol table
		c->credit = credit > CREDIT_MAX - c->credit ? CREDIT_MAX : c->credit + (size_t)credit;
		if (c->ops->on_credit)
			c->ops->on_credit(c->ctx);
		break;
	default:
		channel_fail(ch, -EPROTO);
	}
}

static void on_down(void *ctx, struct channel *ch, int why)
{
	static const char lost[] =
	    "the process that serves this ended; what was asked may have been done or not";
	struct link *l = ctx;
	unsigned link = (unsigned)(l - l->calls->link);

	(void)ch;
	(void)why; // hssd tells of the death
	channel_free(&l->ch);
	for (unsigned i = 0; i < ADMIN_CALL_MAX; i++) {
		if (l->calls->call[i].id && l->calls->call[i].waits[link])
			call_part_ended(&l->calls->call[i], link, 1, end_of(1, lost));
	}
}

static void on_drain(void *ctx, struct channel *ch)
{
	struct link *l = ctx;
	unsigned link = (unsigned)(l - l->calls->link);

	(void)ch;
	for (unsigned i = 0; i < ADMIN_CALL_MAX; i++) {
		struct call *c = &l->calls->call[i];

		if (c->id && c->waits[link] && c->credit && c->ops->on_credit)
			c->ops->on_credit(c->ctx);
	}
}

static const struct channel_ops link_ops = {.on_frame = on_frame, .on_down = on_down, .on_drain = on_drain};

struct admin_calls *admin_calls_new(struct event_base *base)
{
	struct admin_calls *calls = calloc(1, sizeof(*calls));

	if (!calls)
		return NULL;
	calls->base = base;
	for (unsigned i = 0; i < LINK_CNT; i++) {
		calls->link[i].calls = calls;
		calls->link[i].role = i >= LINK_WORKER     ? ROLE_WORKER
				      : i >= LINK_FRONTEND ? ROLE_FRONTEND
							   : ROLE_LOADER;
	}
	return calls;
}

void admin_calls_free(struct admin_calls **calls)
{
	if (!*calls)
		return;
	for (unsigned i = 0; i < LINK_CNT; i++)
		channel_free(&(*calls)->link[i].ch);
	for (unsigned i = 0; i < ADMIN_CALL_MAX; i++)
		call_release(&(*calls)->call[i]);
	free(*calls);
	*calls = NULL;
}

void admin_calls_edge(struct admin_calls *calls, enum role role, unsigned index, int fd)
{
	struct link *l = role == ROLE_LOADER     ? &calls->link[LINK_LOADER]
			 : role == ROLE_FRONTEND ? &calls->link[LINK_FRONTEND + index % FRONTEND_MAX]
						 : &calls->link[LINK_WORKER + index % WORKER_MAX];

	if (l->ch) // its end of file has not been read yet
		on_down(l, l->ch, 0);
	l->ch = channel_new_take(calls->base, fd, LINK_HIGH_WATER, &link_ops, l);
	if (!l->ch) {
		log_error("edge_failed", LOG_STR("role", role_name(role)), LOG_STR("error", err_text(errno)));
		return;
	}
	if (role == ROLE_LOADER)
		channel_set_wipe(l->ch); // the only one that keys pass through
	channel_set_sides(l->ch, (enum ipc_side)role, IPC_SIDE_ADMIN);
}

static struct call *call_new(struct admin_calls *calls, const struct admin_call_ops *ops, void *ctx)
{
	for (unsigned i = 0; i < ADMIN_CALL_MAX; i++) {
		struct call *c = &calls->call[i];

		if (c->id)
			continue;
		*c = (struct call){.id = ++calls->last_id, .ops = ops, .ctx = ctx, .credit = CREDIT_START};
		return c;
	}
	return NULL;
}

uint64_t admin_call_start(struct admin_calls *calls, const struct admin_request *request,
			  const struct admin_call_ops *ops, void *ctx, const char **error)
{
	bool loader = request->command->served == ADMIN_SERVED_LOADER;
	unsigned first = loader ? LINK_LOADER : LINK_FRONTEND;
	unsigned cnt = loader ? 1 : FRONTEND_MAX;
	char *text = admin_request_text(request);
	struct call *c = text ? call_new(calls, ops, ctx) : NULL;
	size_t len = text ? strlen(text) : 0;
	uint64_t id = 0;

	*error = "too many commands at once";
	if (!c)
		goto out;
	for (unsigned i = first; i < first + cnt; i++) {
		struct link *l = &calls->link[i];

		if (!l->ch || !channel_send(l->ch, IPC_ADMIN_CALL, c->id, text, len))
			continue;
		channel_flush(l->ch);
		c->waits[i] = true;
		c->waiting++;
	}
	if (c->waiting) {
		id = c->id;
	} else {
		*error = loader ? "the loader is not running" : "no frontend is running";
		call_release(c);
	}
out:
	if (text)
		secret_wipe(text, len);
	free(text);
	return id;
}

void admin_call_taken(struct admin_calls *calls, uint64_t id)
{
	struct call *c = call_find(calls, id);

	for (unsigned i = 0; c && i < LINK_CNT; i++) {
		uint64_t rows = c->given[i];

		// a refused one is said again with the next rows, or on the next call of this function
		if (!rows || !c->waits[i] ||
		    !channel_send(calls->link[i].ch, IPC_ADMIN_MORE, id, &rows, sizeof(rows)))
			continue;
		channel_flush(calls->link[i].ch);
		c->given[i] = 0;
	}
}

size_t admin_call_room(const struct admin_calls *calls, uint64_t id)
{
	const struct call *c = call_find(calls, id);

	if (!c)
		return 0;
	return c->credit < INPUT_MAX ? c->credit : INPUT_MAX;
}

bool admin_call_input(struct admin_calls *calls, uint64_t id, struct slice chunk, bool newline)
{
	struct call *c = call_find(calls, id);
	struct link *l = &calls->link[LINK_LOADER]; // the only one that takes input
	size_t len = (size_t)chunk.len + (newline ? 1 : 0);
	uint8_t *body;

	if (!c || !c->waits[LINK_LOADER] || len > admin_call_room(calls, id))
		return false;
	body = channel_begin(l->ch, IPC_ADMIN_DATA, 0, id, len);
	if (!body)
		return false;
	if (chunk.len)
		memcpy(body, chunk.p, chunk.len);
	if (newline)
		body[chunk.len] = '\n';
	channel_commit(l->ch, len);
	channel_flush(l->ch);
	c->credit -= len;
	return true;
}

void admin_call_cancel(struct admin_calls *calls, uint64_t id)
{
	struct call *c = call_find(calls, id);

	for (unsigned i = 0; c && i < LINK_CNT; i++) {
		// a role that is so far behind that this does not fit stops at its window anyway
		if (c->waits[i] && channel_send(calls->link[i].ch, IPC_ADMIN_CANCEL, id, NULL, 0))
			channel_flush(calls->link[i].ch);
	}
	if (c)
		call_release(c);
}

// The table of calls of hss-admin, their rows and their credit (admin.h). Loader process, main thread.
#include "loader/admin/admin.h"
#include "loader/app.h"
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/admin/audit.h"
#include "loader/admin/backup.h"
#include "loader/document/csv.h"
#include "loader/document/import_doc.h"
#include "loader/upstream/upstream_csv.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

struct admin {
	const struct admin_command *commands; // of the loader itself
	struct call *call[ADMIN_CALLS_MAX];
	struct event *again; // lists that go on after others had their turn
	uint64_t serial;
};

int admin_new(struct loader *l, const struct admin_command *commands)
{
	l->admin = calloc(1, sizeof(*l->admin));
	if (!l->admin)
		return -ENOMEM;
	l->admin->commands = commands;
	return 0;
}

static void call_free(struct loader *l, struct call **c)
{
	if (!*c)
		return;
	audit_end(l, &(*c)->audit, ADMIN_REFUSED, "nobody waited for the end: it may have been done or not");
	json_decref((*c)->args);
	import_docs_free(&(*c)->docs);
	csv_free(&(*c)->csv);
	backup_free(&(*c)->backup);
	free(*c);
	*c = NULL;
}

void admin_gone(struct loader *l)
{
	for (unsigned i = 0; i < ADMIN_CALLS_MAX; i++)
		call_free(l, &l->admin->call[i]);
}

void admin_free(struct loader *l)
{
	if (!l->admin)
		return;
	admin_gone(l);
	if (l->admin->again)
		event_free(l->admin->again);
	free(l->admin);
	l->admin = NULL;
}

struct call *admin_call(struct loader *l, uint64_t serial)
{
	for (unsigned i = 0; i < ADMIN_CALLS_MAX; i++)
		if (l->admin->call[i] && l->admin->call[i]->serial == serial)
			return l->admin->call[i];
	return NULL;
}

static struct call **by_id(struct loader *l, uint64_t id)
{
	for (unsigned i = 0; i < ADMIN_CALLS_MAX; i++)
		if (l->admin->call[i] && l->admin->call[i]->id == id)
			return &l->admin->call[i];
	return NULL;
}

static bool send_json(struct loader *l, uint16_t type, uint64_t id, const json_t *v, bool secret)
{
	char *text = json_dumps(v, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	bool fits = text && len <= IPC_BODY_MAX;
	if (fits)
		l->send(l, ROLE_ADMIN, 0, type, id, text, len);
	if (secret && text)
		secret_wipe(text, len);
	free(text);
	return fits;
}

void admin_row_take(struct loader *l, struct call *c, json_t *row, bool secret)
{
	// a document that is too large for a frame can't have come in by one either, but for `set` in many
	// steps
	if (!row || !send_json(l, IPC_ADMIN_ROW, c->id, row, secret))
		log_error("admin_row_too_large");
	if (c->window)
		c->window--;
	json_decref(row);
}

static void end(struct loader *l, struct call *c, const json_t *members)
{
	audit_end(l, &c->audit, (int)json_integer_value(json_object_get(members, "status")),
		  json_string_value(json_object_get(members, "error")));
	send_json(l, IPC_ADMIN_END, c->id, members, false);
	struct call **at = by_id(l, c->id);
	if (at)
		call_free(l, at);
}

void admin_end(struct loader *l, struct call *c, enum admin_status status, const char *error, ...)
{
	char text[512] = "";
	va_list ap;
	va_start(ap, error);
	if (error)
		vsnprintf(text, sizeof(text), error, ap);
	va_end(ap);
	json_t *m = json_pack("{s:i}", "status", (int)status);
	if (error)
		json_object_set_new(m, "error", json_string(text));
	else if (c->warning[0])
		json_object_set_new(m, "warning", json_string(c->warning));
	end(l, c, m);
	json_decref(m);
}

void admin_end_take(struct loader *l, struct call *c, json_t *members)
{
	end(l, c, members);
	json_decref(members);
}

static void refuse(struct loader *l, uint64_t id, enum admin_status status, const char *error)
{
	json_t *m = json_pack("{s:i,s:s}", "status", (int)status, "error", error);
	send_json(l, IPC_ADMIN_END, id, m, false);
	json_decref(m);
}

static const struct admin_command *command_in(const struct admin_command *c, const char *name)
{
	for (; c && c->name; c++)
		if (name && strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

// Of the loader itself, or of an application.
static const struct admin_command *command_find(const struct loader *l, const char *name)
{
	const struct admin_command *found = command_in(l->admin->commands, name);
	for (unsigned i = 0; i < CACHE_APP_MAX && !found; i++)
		if (l->app[i])
			found = command_in(l->app[i]->commands, name);
	return found;
}

static void call_begin(struct loader *l, uint64_t id, const uint8_t *body, uint32_t len)
{
	json_t *v = json_loadb((const char *)body, len, JSON_REJECT_DUPLICATES, NULL);
	const struct admin_command *command = command_find(l, json_string_value(json_object_get(v, "cmd")));
	struct call **slot = NULL;
	const char *refusal;
	for (unsigned i = 0; i < ADMIN_CALLS_MAX && !slot; i++)
		if (!l->admin->call[i])
			slot = &l->admin->call[i];
	if (!command || by_id(l, id))
		refuse(l, id, ADMIN_USAGE, command ? "the call's number is in use" : "no such command");
	else if ((refusal = upstream_csv_refusal(l, command->name)))
		refuse(l, id, ADMIN_REFUSED, refusal);
	else if (!slot || !(*slot = calloc(1, sizeof(**slot))))
		refuse(l, id, ADMIN_REFUSED, "too many calls at a time");
	else {
		json_t *args = json_object_get(v, "args");
		**slot = (struct call){.id = id,
				       .serial = ++l->admin->serial,
				       .command = command,
				       .args = json_is_object(args) ? json_incref(args) : json_object(),
				       .window = ADMIN_WINDOW,
				       .cursor = LOCAL_SCAN_START,
				       .need_seq = local_seq(l->local)};
		(*slot)->audit = audit_begin(l, command->name, (*slot)->args, json_object_get(v, "by"));
		command->run(l, *slot);
	}
	json_decref(v);
}

static void pump(struct loader *l, struct call *c)
{
	if (c->command->pump && c->started && c->window)
		c->command->pump(l, c);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct loader *l = arg;
	(void)fd;
	(void)what;
	for (unsigned i = 0; i < ADMIN_CALLS_MAX; i++)
		if (l->admin->call[i])
			pump(l, l->admin->call[i]);
}

void admin_again(struct loader *l)
{
	if (!l->admin->again && l->base)
		l->admin->again = event_new(l->base, -1, 0, on_again, l);
	if (l->admin->again)
		event_add(l->admin->again, &(struct timeval){0});
}

void admin_frame(struct loader *l, const struct ipc_hdr *hdr, const uint8_t *body, uint32_t len)
{
	if (hdr->type == IPC_ADMIN_CALL) {
		call_begin(l, hdr->id, body, len);
		return;
	}
	struct call **c = by_id(l, hdr->id);
	uint64_t rows = 0;
	if (!c)
		return;
	switch (hdr->type) {
	case IPC_ADMIN_CANCEL:
		call_free(l, c);
		break;
	case IPC_ADMIN_DATA:
		if ((*c)->backup)
			restore_data(l, *c, slice_of(body, len));
		else
			import_data(l, *c, slice_of(body, len));
		break;
	case IPC_ADMIN_MORE:
		if (len == sizeof(rows))
			memcpy(&rows, body, sizeof(rows));
		(*c)->window =
		    rows > ADMIN_WINDOW - (*c)->window ? ADMIN_WINDOW : (*c)->window + (unsigned)rows;
		pump(l, *c);
		break;
	default:
		break;
	}
}

void admin_folded(struct loader *l)
{
	for (unsigned i = 0; i < ADMIN_CALLS_MAX; i++) {
		struct call *c = l->admin->call[i];
		if (!c)
			continue;
		import_resume(l, c);
		if (c->command->pump && !c->started && local_folded_to(l->local, c->need_seq)) {
			c->started = true;
			pump(l, c);
		}
	}
}

void admin_tick(struct loader *l)
{
	admin_folded(l);
	for (unsigned i = 0; i < ADMIN_CALLS_MAX; i++) {
		struct call *c = l->admin->call[i];

		if (c && c->backup)
			backup_tick(l, c);
		else if (c)
			import_tick(l, c);
	}
}

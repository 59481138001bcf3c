// Writes the audit log: one line for each change that an operator asked for (audit.h).
#include "loader/admin/audit.h"
#include "apps/documents.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "loader/admin/provision.h"

#define FILE_MAX  (16 << 20)
#define LINE_MAX_ (64u << 10)
#define PATH_LEN  160

struct audit {
	json_t *line, *before; // before: NULL when it is about no subscriber
	imsi_t imsi;
};

// --- documents as members: "slice.0.session.1.name" -> value

static bool is_key(const char *name)
{
	const struct doc_node *n = schema_find(documents_schema(), name);
	return n && n->member->flags & DOC_F_SECRET;
}

static void flatten(json_t *out, const char *path, json_t *v)
{
	char inner[PATH_LEN];
	const char *name;
	json_t *member;
	size_t i;

	if (!json_is_object(v) && !json_is_array(v)) {
		json_object_set(out, path, v);
		return;
	}
	json_object_foreach(v, name, member)
	{
		snprintf(inner, sizeof(inner), "%s%s%s", path, path[0] ? "." : "", name);
		flatten(out, inner, member);
	}
	json_array_foreach(v, i, member)
	{
		snprintf(inner, sizeof(inner), "%s.%zu", path, i);
		flatten(out, inner, member);
	}
}

static json_t *members_of(struct loader *l, imsi_t imsi)
{
	json_t *document = provision_document(l, imsi), *out = json_object();

	if (document && out)
		flatten(out, "", document);
	json_decref(document);
	return out;
}

// Those of `from` that `other` has not, or has differently.
static json_t *differing(json_t *from, const json_t *other)
{
	json_t *out = json_object(), *value;
	const char *name;

	json_object_foreach(from, name, value)
	{
		if (json_equal(value, json_object_get(other, name)))
			continue;
		if (is_key(name) && !json_is_null(value))
			json_object_set_new(out, name, json_string("***"));
		else
			json_object_set(out, name, value);
	}
	return out;
}

// --- the file

static int open_log(const struct loader *l, const char *suffix, int flags)
{
	char path[sizeof(l->dir) + 32];

	snprintf(path, sizeof(path), "%s/audit.log%s", l->dir, suffix);
	return open(path, flags | O_CLOEXEC, 0600);
}

static void rotate(const struct loader *l, int fd)
{
	char from[sizeof(l->dir) + 32], to[sizeof(from)];
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size < FILE_MAX)
		return;
	snprintf(from, sizeof(from), "%s/audit.log", l->dir);
	snprintf(to, sizeof(to), "%s/audit.log.1", l->dir);
	if (rename(from, to) < 0)
		log_error("audit_rotate_failed", LOG_STR("reason", err_text(errno)));
}

static void append(const struct loader *l, const char *text)
{
	int fd = open_log(l, "", O_WRONLY | O_CREAT | O_APPEND);
	size_t len = strlen(text);
	char *line = malloc(len + 2);

	if (line)
		snprintf(line, len + 2, "%s\n", text);
	// one write: a line is whole or not there
	if (fd < 0 || !line || write(fd, line, len + 1) != (ssize_t)len + 1)
		log_error("audit_write_failed", LOG_STR("reason", err_text(errno)));
	if (fd >= 0) {
		rotate(l, fd);
		close(fd);
	}
	free(line);
}

static void now_text(char out[32])
{
	time_t t = (time_t)(clock_wall_us() / 1000000);
	struct tm tm;

	out[0] = 0;
	if (gmtime_r(&t, &tm))
		strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

// --- a command

static bool text_argument(const char *name)
{
	static const char *const shown[] = {"imsi", "host", "level", "sqn", "by", "file", "secrets", "force", "what", "dry_run"};

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (strcmp(name, shown[i]) == 0)
			return true;
	return false;
}

struct audit *audit_begin(struct loader *l, const char *command, const json_t *args, const json_t *by)
{
	struct audit *a = json_is_object(by) ? calloc(1, sizeof(*a)) : NULL;
	const char *imsi = json_string_value(json_object_get(args, "imsi")), *name;
	char when[32];
	json_t *value;

	if (!a)
		return NULL;
	now_text(when);
	a->line = json_pack("{s:s}", "time", when);
	json_object_update(a->line, (json_t *)by);
	json_object_set_new(a->line, "command", json_string(command));
	json_object_foreach((json_t *)args, name, value)
	{
		if (text_argument(name))
			json_object_set(a->line, name, value);
	}
	if (imsi && imsi_parse(slice_str(imsi), &a->imsi))
		a->before = members_of(l, a->imsi);
	return a;
}

void audit_end(struct loader *l, struct audit **ap, int status, const char *error)
{
	struct audit *a = *ap;

	*ap = NULL;
	if (!a)
		return;
	json_object_set_new(a->line, "status", json_integer(status));
	if (error)
		json_object_set_new(a->line, "error", json_string(error));
	if (a->before) {
		json_t *after = members_of(l, a->imsi);

		json_object_set_new(a->line, "before", differing(a->before, after));
		json_object_set_new(a->line, "after", differing(after, a->before));
		json_decref(after);
	}
	char *text = json_dumps(a->line, JSON_COMPACT);
	if (text)
		append(l, text);
	free(text);
	json_decref(a->line);
	json_decref(a->before);
	free(a);
}

void audit_note(struct loader *l, struct call *c)
{
	const char *command = json_string_value(json_object_get(c->args, "command"));
	struct audit *a = audit_begin(l, command ? command : "-", json_object_get(c->args, "args"), json_object_get(c->args, "by"));

	audit_end(l, &a, (int)json_integer_value(json_object_get(c->args, "status")),
		  json_string_value(json_object_get(c->args, "error")));
	admin_end(l, c, ADMIN_OK, NULL);
}

// --- hssctl audit

void audit_show(struct loader *l, struct call *c)
{
	c->started = true;
	c->errors = 0; // which file: 0 the older one, 1 the newer one, 2 none
	c->line = 0;   // where in it
	audit_pump(l, c);
}

// The next line of the file that the call reads. NULL: the file is over.
static char *next_line(struct loader *l, struct call *c, char *room, size_t cap)
{
	int fd = open_log(l, c->errors ? "" : ".1", O_RDONLY);
	ssize_t n = fd < 0 ? 0 : pread(fd, room, cap - 1, (off_t)c->line);

	if (fd >= 0)
		close(fd);
	char *eol = n > 0 ? memchr(room, '\n', (size_t)n) : NULL;
	if (!eol)
		return NULL;
	*eol = 0;
	c->line += (uint64_t)(eol - room) + 1;
	return room;
}

static bool wanted(const struct call *c, const json_t *row)
{
	const char *want = json_string_value(json_object_get(c->args, "imsi"));
	const char *has = json_string_value(json_object_get(row, "imsi"));

	return json_is_object(row) && (!want || (has && strcmp(want, has) == 0));
}

void audit_pump(struct loader *l, struct call *c)
{
	char *room = malloc(LINE_MAX_);

	while (room && c->window && c->errors < 2) {
		const char *text = next_line(l, c, room, LINE_MAX_);

		if (!text) {
			c->errors++;
			c->line = 0;
			continue;
		}
		json_t *row = json_loads(text, 0, NULL);
		if (wanted(c, row))
			admin_row_take(l, c, row, false);
		else
			json_decref(row);
	}
	free(room);
	if (c->errors == 2 || !room)
		admin_end(l, c, room ? ADMIN_OK : ADMIN_REFUSED, room ? NULL : "no memory");
}

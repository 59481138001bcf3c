// The native protocol of systemd-journald: one datagram an entry, NAME=value lines. Our lines hold no line feeds and no octets
// that are not printable (lib/base/log.c escapes them), so no value needs the protocol's binary form.
//
// Of a line "2026-12-01T10:00:00.000Z warn  worker-0: event key="value" other=7" become
//
//	MESSAGE=event key="value" other=7      PRIORITY=4            SYSLOG_IDENTIFIER=corehss
//	HSS_ROLE=worker-0                      HSS_EVENT=event       HSS_KEY=value          HSS_OTHER=7
//
// A line of another form, which is what libraries say and what log.format json writes, is a MESSAGE of its own.
#include "supervisor/journal.h"
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_PATH "/run/systemd/journal/socket"
#define LINE_ROOM   8192 // lib/base/log.c's lines are shorter than PIPE_BUF
#define ENTRY_ROOM  (2 * LINE_ROOM + 512)

static struct {
	int fd; // -1: not open
	char line[LINE_ROOM];
	size_t len;
} journal = {.fd = -1};

bool journal_open(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2 || fstat(STDERR_FILENO, &st) < 0 ||
	    st.st_dev != (dev_t)device || st.st_ino != (ino_t)inode)
		return false;
	journal.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (journal.fd >= 0 && connect(journal.fd, (const struct sockaddr *)&name, sizeof(name)) == 0)
		return true;
	if (journal.fd >= 0)
		close(journal.fd);
	journal.fd = -1;
	return false;
}

// --- one line

struct out {
	char *p;
	size_t len, cap;
};

static void add(struct out *o, const char *p, size_t n)
{
	if (n <= o->cap - o->len) {
		memcpy(o->p + o->len, p, n);
		o->len += n;
	} else {
		o->len = o->cap; // full for good
	}
}

static void add_text(struct out *o, const char *text)
{
	add(o, text, strlen(text));
}

static void add_field(struct out *o, const char *name, const char *value, size_t len)
{
	add_text(o, name);
	add(o, "=", 1);
	add(o, value, len);
	add(o, "\n", 1);
}

static const char *priority_of(const char *level, size_t len)
{
	static const struct {
		const char *level, *priority;
	} rows[] = {{"error", "3"}, {"warn", "4"}, {"info", "6"}, {"debug", "7"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strlen(rows[i].level) == len && memcmp(rows[i].level, level, len) == 0)
			return rows[i].priority;
	return NULL;
}

// The next word from *at on, up to a space; *at is then behind the spaces that follow it.
static const char *word(const char **at, const char *end, size_t *len)
{
	const char *begin = *at, *p = begin;

	while (p < end && *p != ' ')
		p++;
	*len = (size_t)(p - begin);
	while (p < end && *p == ' ')
		p++;
	*at = p;
	return begin;
}

// key=value or key="value" from *at on. false: nothing of that form.
static bool add_member(struct out *o, const char **at, const char *end)
{
	const char *equals = memchr(*at, '=', (size_t)(end - *at));
	char name[72] = "HSS_";
	size_t n = 4;

	if (!equals || (size_t)(equals - *at) > 60 || equals == *at)
		return false;
	for (const char *p = *at; p < equals; p++) {
		if (!isalnum((unsigned char)*p) && *p != '_')
			return false;
		name[n++] = (char)toupper((unsigned char)*p);
	}
	const char *value = equals + 1, *stop = value;
	bool quoted = value < end && *value == '"';
	if (quoted) {
		for (stop = ++value; stop < end && *stop != '"'; stop++)
			stop += *stop == '\\' && stop + 1 < end;
	} else {
		while (stop < end && *stop != ' ')
			stop++;
	}
	add_field(o, name, value, (size_t)(stop - value));
	stop += quoted && stop < end;
	while (stop < end && *stop == ' ')
		stop++;
	*at = stop;
	return true;
}

size_t journal_entry(const char *line, size_t len, char *out, size_t cap)
{
	struct out o = {.p = out, .cap = cap};
	const char *at = line, *end = line + len;
	size_t time_len, level_len, role_len, event_len;

	(void)word(&at, end, &time_len);
	const char *level = word(&at, end, &level_len), *role = word(&at, end, &role_len);
	const char *message = at, *event = word(&at, end, &event_len);
	const char *priority = priority_of(level, level_len);

	add_text(&o, "SYSLOG_IDENTIFIER=corehss\n");
	if (!priority || role_len < 2 || role[role_len - 1] != ':' || event_len == 0) {
		add_text(&o, "PRIORITY=6\n");
		add_field(&o, "MESSAGE", line, len);
		return o.len < cap ? o.len : 0;
	}
	add_field(&o, "PRIORITY", priority, 1);
	add_field(&o, "MESSAGE", message, (size_t)(end - message));
	add_field(&o, "HSS_ROLE", role, role_len - 1);
	add_field(&o, "HSS_EVENT", event, event_len);
	while (at < end && add_member(&o, &at, end))
		continue;
	return o.len < cap ? o.len : 0;
}

// --- all of them

static void send_line(void)
{
	static char entry[ENTRY_ROOM];
	size_t n = journal_entry(journal.line, journal.len, entry, sizeof(entry));

	journal.len = 0;
	while (n && send(journal.fd, entry, n, MSG_NOSIGNAL) < 0 && errno == EINTR)
		continue;
}

void journal_write(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n')
			send_line();
		else if (journal.len < sizeof(journal.line))
			journal.line[journal.len++] = p[i];
	}
}

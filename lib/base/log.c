// Formats log lines and writes each with one write(2), so that lines of several processes on one stderr never mix.
//
// A process that serves must never wait for whoever reads its log. So hssd gives every role (and itself) a pipe that
// does not block (supervisor/log_pump.c); a line that it does not take is dropped and counted here, and the next line
// that passes is preceded by one that says how many are missing. The threads of a process share all of this.
#include "lib/base/log.h"
#include "lib/base/clock.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN  2048
#define LINE_TAIL     2   // "}" and the newline always fit
#define VALUE_MAX_LEN 256 // octets of one value that are shown

static struct {
	const char *role;
	enum log_level level;
	bool json;
	bool mask_imsi;
	int fd;
} conf = {.role = "-", .level = LOG_LEVEL_INFO, .fd = STDERR_FILENO};

static _Atomic uint64_t dropped_here; // until log_count_dropped names another place
static _Atomic uint64_t *dropped = &dropped_here;
static _Atomic uint64_t unsaid; // of them: no line has told of these yet

static const char *const names[] = {"error", "warn", "info", "debug"};

struct line {
	char text[LINE_MAX_LEN];
	size_t len;
	bool full; // something did not fit
};

void log_init(const char *role, enum log_level level, bool json, bool mask_imsi)
{
	conf.role = role;
	conf.json = json;
	conf.mask_imsi = mask_imsi;
	__atomic_store_n(&conf.level, level, __ATOMIC_RELAXED);
}

void log_set_level(enum log_level level)
{
	__atomic_store_n(&conf.level, level, __ATOMIC_RELAXED);
}

void log_set_fd(int fd)
{
	conf.fd = fd;
}

void log_count_dropped(_Atomic uint64_t *counter)
{
	dropped = counter;
}

uint64_t log_dropped(void)
{
	return __atomic_load_n((uint64_t *)dropped, __ATOMIC_RELAXED);
}

bool log_enabled(enum log_level level)
{
	return level <= __atomic_load_n(&conf.level, __ATOMIC_RELAXED);
}

bool log_level_parse(const char *text, enum log_level *out)
{
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (strcasecmp(text, names[i]) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	return false;
}

const char *log_level_name(enum log_level level)
{
	return (unsigned)level < sizeof names / sizeof *names ? names[level] : "?";
}

// All or nothing, so that no escape sequence is cut in two.
static void put_raw(struct line *l, const char *s, size_t n)
{
	if (n > sizeof l->text - LINE_TAIL - l->len) {
		l->full = true;
		return;
	}
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

static void put(struct line *l, const char *s)
{
	put_raw(l, s, strlen(s));
}

// Escapes quotes, backslashes, control and non-ASCII bytes: what a peer sent can't end the value or the line.
// A long one is cut: its length must not push the other fields out of the line.
static void put_escaped(struct line *l, const uint8_t *p, size_t n)
{
	size_t shown = n > VALUE_MAX_LEN ? VALUE_MAX_LEN : n;
	for (size_t i = 0; i < shown; i++) {
		char esc[8];
		if (p[i] == '"' || p[i] == '\\') {
			esc[0] = '\\';
			esc[1] = (char)p[i];
			put_raw(l, esc, 2);
		} else if (p[i] < 0x20 || p[i] >= 0x7f) {
			put_raw(l, esc, (size_t)snprintf(esc, sizeof esc, "\\u%04x", p[i]));
		} else {
			put_raw(l, (const char *)p + i, 1);
		}
	}
	if (shown < n)
		put(l, "...");
}

static void put_masked_imsi(struct line *l, const char *imsi)
{
	size_t n = strlen(imsi), shown = conf.mask_imsi && n > 5 ? 5 : n;
	put_escaped(l, (const uint8_t *)imsi, shown);
	for (size_t i = shown; i < n; i++)
		put_raw(l, "*", 1);
}

static void put_value(struct line *l, const struct log_field *f)
{
	char num[32];
	switch (f->kind) {
	case LOG_F_INT:
		put_raw(l, num, (size_t)snprintf(num, sizeof num, "%lld", (long long)f->num));
		return;
	case LOG_F_STR:
		put(l, "\"");
		put_escaped(l, (const uint8_t *)(f->str ? f->str : ""), f->str ? strlen(f->str) : 0);
		break;
	case LOG_F_IMSI:
		put(l, "\"");
		put_masked_imsi(l, f->str ? f->str : "");
		break;
	case LOG_F_SLICE:
	case LOG_F_HEX:
	case LOG_F_END:
		put(l, "\"");
		put_escaped(l, f->bytes.p, f->bytes.len);
		break;
	}
	put(l, "\"");
}

// A field that does not fit is left out whole: a line of JSON stays JSON.
static void put_field(struct line *l, const struct log_field *f)
{
	size_t before = l->len;
	l->full = false;
	put(l, conf.json ? ",\"" : " ");
	put(l, f->key);
	put(l, conf.json ? "\":" : "=");
	put_value(l, f);
	if (l->full)
		l->len = before;
}

// The whole line, as far as its fields fit.
static void compose(struct line *l, enum log_level level, const char *event, const struct log_field *fields)
{
	char head[160];
	uint64_t us = clock_wall_us();
	time_t s = (time_t)(us / 1000000);
	struct tm tm;
	gmtime_r(&s, &tm);
	char when[32];
	size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + n, sizeof when - n, ".%03uZ", (unsigned)(us / 1000 % 1000));
	if (conf.json)
		snprintf(head, sizeof head, "{\"time\":\"%s\",\"level\":\"%s\",\"role\":\"%s\",\"pid\":%d,\"event\":\"%s\"",
			 when, log_level_name(level), conf.role, (int)getpid(), event);
	else
		snprintf(head, sizeof head, "%s %-5s %s: %s", when, log_level_name(level), conf.role, event);
	l->len = 0;
	put(l, head);
	for (; fields->kind != LOG_F_END; fields++)
		put_field(l, fields);
	if (conf.json)
		l->text[l->len++] = '}';
	l->text[l->len++] = '\n';
}

static bool write_line(const struct line *l)
{
	return write(conf.fd, l->text, l->len) == (ssize_t)l->len;
}

// Tells of the lines that were dropped since the last time. false: there is no room for that yet.
static bool say_dropped(void)
{
	uint64_t lines = __atomic_exchange_n((uint64_t *)&unsaid, 0, __ATOMIC_RELAXED);
	struct line l;
	if (lines == 0)
		return true;
	compose(&l, LOG_LEVEL_WARN, "log_dropped",
		(const struct log_field[]){LOG_INT("lines", lines), {.kind = LOG_F_END}});
	if (write_line(&l))
		return true;
	__atomic_fetch_add((uint64_t *)&unsaid, lines, __ATOMIC_RELAXED);
	return false;
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields)
{
	struct line l;
	compose(&l, level, event, fields);
	if (say_dropped() && write_line(&l))
		return;
	__atomic_fetch_add((uint64_t *)dropped, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add((uint64_t *)&unsaid, 1, __ATOMIC_RELAXED);
}

bool log_limit_pass(struct log_limit *l, uint32_t per_second)
{
	uint64_t s = clock_mono_ms() / 1000;
	if (s != l->window_s) {
		l->window_s = s;
		l->passed = 0;
	}
	if (l->passed >= per_second) {
		l->suppressed++;
		return false;
	}
	l->passed++;
	return true;
}

// The table of options and what can be answered from it alone: words of enumerations, what a reload can't
// change, lookups in the lists. Pure functions, any process.
#include "config/options.h"
#include <errno.h>
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "lib/base/err.h"

enum { LIVE = true, RESTART = false };

#define LIST(PATH, MEMBER, COUNT, MAX, RELOAD, HELP)                                                         \
	{.path = PATH,                                                                                       \
	 .fallback = "",                                                                                     \
	 .offset = offsetof(struct config, MEMBER),                                                          \
	 .size = sizeof(((struct config *)0)->MEMBER),                                                       \
	 .max = MAX,                                                                                         \
	 .count_offset = offsetof(struct config, COUNT),                                                     \
	 .stride = sizeof(((struct config *)0)->MEMBER[0]),                                                  \
	 .kind = OPTION_LIST,                                                                                \
	 .live = RELOAD,                                                                                     \
	 .unit = ""},
#define LIST_AT(PATH, MEMBER, COUNT, MAX, LINES, RELOAD, HELP)                                               \
	{.path = PATH,                                                                                       \
	 .fallback = "",                                                                                     \
	 .offset = offsetof(struct config, MEMBER),                                                          \
	 .size = sizeof(((struct config *)0)->MEMBER),                                                       \
	 .max = MAX,                                                                                         \
	 .count_offset = offsetof(struct config, COUNT),                                                     \
	 .stride = sizeof(((struct config *)0)->MEMBER[0]),                                                  \
	 .lines_offset = offsetof(struct config, LINES),                                                     \
	 .kind = OPTION_LIST,                                                                                \
	 .live = RELOAD,                                                                                     \
	 .unit = ""},
#define OPTION(PATH, MEMBER, KIND, MIN, MAX, DEFAULT, RELOAD, UNIT, HELP)                                    \
	{.path = PATH,                                                                                       \
	 .fallback = DEFAULT,                                                                                \
	 .offset = offsetof(struct config, MEMBER),                                                          \
	 .size = sizeof(((struct config *)0)->MEMBER),                                                       \
	 .min = MIN,                                                                                         \
	 .max = MAX,                                                                                         \
	 .kind = OPTION_##KIND,                                                                              \
	 .live = RELOAD,                                                                                     \
	 .unit = UNIT},
const struct option_row option_rows[] = {
#include "config/options.def"
#include "apps/options.def"
};
#undef LIST
#undef LIST_AT
#undef OPTION

const unsigned option_cnt = sizeof(option_rows) / sizeof(option_rows[0]);
static_assert(sizeof(option_rows) / sizeof(option_rows[0]) <= OPTION_CNT_MAX, "raise OPTION_CNT_MAX");

const char *const *option_words(enum option_kind kind)
{
	static const char *const transport[] = {"tcp", "sctp", "tls", NULL};
	static const char *const store[] = {"sqlite", "mongodb", "csv", NULL};
	static const char *const accept[] = {"any", "listed", NULL};
	static const char *const verify[] = {"required", "optional", NULL};
	static const char *const via[] = {"any", "tcp", "sctp", "tls", NULL};
	static const char *const application[] = {
#define APP(number, folder, id) #folder,
#include "apps/apps.def"
#undef APP
	    NULL};
	static const char *const level[] = {"error", "warn", "info", "debug", NULL};
	static const char *const format[] = {"text", "json", NULL};

#define WORDS(kind, ...) static const char *const words_##kind[] = {__VA_ARGS__, NULL};
#include "apps/options_words.def"
#undef WORDS

	switch (kind) {
#define WORDS(kind, ...)                                                                                     \
	case OPTION_##kind:                                                                                  \
		return words_##kind;
#include "apps/options_words.def"
#undef WORDS
	case OPTION_TRANSPORT:
		return transport;
	case OPTION_STORE:
		return store;
	case OPTION_ACCEPT:
		return accept;
	case OPTION_VERIFY:
		return verify;
	case OPTION_VIA:
		return via;
	case OPTION_APPLICATION:
		return application;
	case OPTION_LEVEL:
		return level;
	case OPTION_FORMAT:
		return format;
	default:
		return NULL;
	}
}

unsigned option_index(const char *path)
{
	for (unsigned i = 0; i < option_cnt; i++) {
		if (strcmp(option_rows[i].path, path) == 0)
			return i;
	}
	bug("no option %s", path);
}

// One more line, whole or not at all.
static void add_line(struct config_error *e, const char *line)
{
	size_t used = strlen(e->text), len = strlen(line);
	e->cnt++;
	if (used + len + 2 > sizeof(e->text))
		return;
	if (used)
		e->text[used++] = '\n';
	memcpy(e->text + used, line, len + 1);
}

int config_refuse(struct config_error *e, const char *name, uint32_t line, const char *key,
		  const char *expected, const char *got)
{
	char text[1024];
	snprintf(text, sizeof(text), "%s:%u: %s: expected %s, got %s", name, line, key, expected, got);
	add_line(e, text);
	return -EINVAL;
}

// The line of "listen[2].address", "peers.list[7]" or "tls.key"; that of its section, or 1, when the file does not have it.
static uint32_t line_of_key(const struct config_lines *lines, const char *key)
{
	unsigned item;
	char path[128];
	if (sscanf(key, "listen[%u]", &item) == 1 && item < CONFIG_LISTEN_MAX)
		return lines->listen[item];
	if (sscanf(key, "peers.list[%u]", &item) == 1 && item < CONFIG_PEER_MAX)
		return lines->peer[item];
	snprintf(path, sizeof(path), "%s", key);
	for (unsigned pass = 0; pass < 2; pass++) {
		size_t len = strlen(path);
		for (unsigned i = 0; i < option_cnt; i++) {
			const char *full = option_rows[i].path;
			if (strncmp(full, path, len) == 0 && (!full[len] || full[len] == '.') && lines->option[i])
				return lines->option[i];
		}
		path[strcspn(path, ".")] = 0;
	}
	return 1;
}

void config_tell(struct config_error *e, const char *name, const char *key, const char *fmt, ...)
{
	char why[800], text[1024];
	uint32_t line = line_of_key(&e->lines, key);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	snprintf(text, sizeof(text), "%s:%u: %s: %s", name, line ? line : 1, key, why);
	add_line(e, text);
}

bool config_identity_valid(const char *text)
{
	size_t label = 0, i;

	for (i = 0; text[i]; i++) {
		char ch = text[i];
		bool alnum = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');

		if (ch == '.') {
			if (label == 0 || text[i - 1] == '-')
				return false;
			label = 0;
		} else if ((alnum || (ch == '-' && label > 0)) && label < 63) {
			label++;
		} else {
			return false;
		}
	}
	return label > 0 && i < CONFIG_NAME_MAX && text[i - 1] != '-';
}

const char *config_changed(const struct config *old, const struct config *fresh, unsigned *at, bool *live)
{
	while (*at < option_cnt) {
		const struct option_row *o = &option_rows[(*at)++];

		// A list's row covers its items. Members are zero-filled behind their value: bytes compare.
		if (strstr(o->path, "[]"))
			continue;
		*live = o->live;
		if (memcmp((const char *)old + o->offset, (const char *)fresh + o->offset, o->size) != 0)
			return o->path;
	}
	return NULL;
}

const char *config_not_reloadable(const struct config *old, const struct config *new_)
{
	unsigned at = 0;
	bool live;
	const char *path;

	while ((path = config_changed(old, new_, &at, &live)) && live)
		continue;
	return path;
}

void config_keep(const struct config *old, struct config *fresh, const char *key)
{
	const struct option_row *o = &option_rows[option_index(key)];

	memcpy((char *)fresh + o->offset, (const char *)old + o->offset, o->size);
	if (o->kind == OPTION_LIST)
		memcpy((char *)fresh + o->count_offset, (const char *)old + o->count_offset,
		       sizeof(uint32_t));
}

bool config_realm_served(const struct config *c, struct slice realm)
{
	if (slice_eq_nocase(realm, slice_str(c->realm)) || slice_eq_nocase(realm, slice_str(c->ims_domain)))
		return true;
	for (uint32_t i = 0; i < c->realm_cnt; i++) {
		if (slice_eq_nocase(realm, slice_str(c->realms[i])))
			return true;
	}
	return false;
}

bool config_host_valid(const char *text)
{
	const char *last = strrchr(text, '.');
	if (!config_identity_valid(text))
		return false;
	for (last = last ? last + 1 : text; *last; last++) {
		if ((*last | 0x20) >= 'a' && (*last | 0x20) <= 'z')
			return true;
	}
	return false;
}

bool config_peer_is_pattern(const struct config_peer *p)
{
	return p->host[0] == '*';
}

const char *config_option_at(size_t offset)
{
	for (unsigned i = 0; i < option_cnt; i++)
		if (option_rows[i].kind != OPTION_LIST && option_rows[i].offset == offset)
			return option_rows[i].path;
	bug("no option is at %zu of the configuration", offset);
}

// Of a pattern what is behind the star, with its dot, is the end of this host, and something is before it.
bool config_host_matches(const char *pattern, struct slice host)
{
	if (pattern[0] != '*')
		return slice_eq_nocase(host, slice_str(pattern));
	struct slice end = slice_str(pattern + 1);
	return host.len > end.len && slice_eq_nocase(slice_of(host.p + host.len - end.len, end.len), end);
}

const struct config_peer *config_peer_find(const struct config *c, struct slice host)
{
	const struct config_peer *best = NULL;
	for (uint32_t i = 0; i < c->peer_cnt; i++) {
		const struct config_peer *p = &c->peer[i];
		if (slice_eq_nocase(host, slice_str(p->host)))
			return p;
		if (config_host_matches(p->host, host) && (!best || strlen(p->host) > strlen(best->host)))
			best = p;
	}
	return best;
}

bool config_connects(const struct config *c)
{
	if (c->dial_back)
		return true;
	for (uint32_t i = 0; i < c->peer_cnt; i++) {
		if (c->peer[i].connect)
			return true;
	}
	return false;
}

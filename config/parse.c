// YAML to struct config (hssd). libyaml gives events; a recursive descent follows the table of options, so
// that the nesting is that of the table (at most 4) and never the file's. The first defect is told and ends
// it: unknown key, key given twice, wrong type, out of range, too many items, anchor, alias, tag. Defaults
// are parsed like values.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>
#include "config/options.h"

#define FILE_MAX (1u << 20)
#define KEY_MAX  128

struct parse {
	yaml_parser_t yaml;
	yaml_event_t event;
	bool have_event;
	const char *name;
	const char *text;
	size_t len;
	struct config *out;
	struct config_error *e;
	struct config_lines lines;
};

static uint32_t line_of(const struct parse *p)
{
	return (uint32_t)p->event.start_mark.line + 1;
}

// The value as it may be shown: quoted, printable, cut off; never that of an option that may hold a password.
static void got_text(const yaml_event_t *ev, bool secret, char out[96])
{
	const unsigned char *v = ev->data.scalar.value;
	size_t n = 0;

	if (secret) {
		snprintf(out, 96, "***");
		return;
	}
	out[n++] = '"';
	for (size_t i = 0; i < ev->data.scalar.length && n < 70; i++)
		out[n++] = v[i] >= 0x20 && v[i] < 0x7f && v[i] != '"' ? (char)v[i] : '?';
	out[n] = 0;
	snprintf(out + n, 96 - n, "%s", ev->data.scalar.length > n - 1 ? "...\"" : "\"");
}

static const char *got_event(const yaml_event_t *ev, char out[96])
{
	switch (ev->type) {
	case YAML_MAPPING_START_EVENT:
		return "a mapping";
	case YAML_SEQUENCE_START_EVENT:
		return "a list";
	case YAML_ALIAS_EVENT:
		return "an alias";
	case YAML_SCALAR_EVENT:
		if (ev->data.scalar.length == 0)
			return "nothing";
		got_text(ev, false, out);
		return out;
	default:
		return "nothing";
	}
}

// Fetches the next event; anchors and tags are refused here, at one place. 0 or -EINVAL.
static int next_event(struct parse *p, const char *key)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (p->have_event)
		yaml_event_delete(&p->event);
	p->have_event = false;
	if (!yaml_parser_parse(&p->yaml, &p->event)) {
		const char *why = p->yaml.problem ? p->yaml.problem : "no memory";
		size_t line = p->yaml.problem_mark.line;

		if (p->yaml.error == YAML_READER_ERROR) { // it has an offset only, past what was parsed
			why = "bytes that are not UTF-8 text";
			line = 0;
			for (size_t i = 0; i < p->len && i < p->yaml.problem_offset; i++)
				line += p->text[i] == '\n';
		}
		return config_refuse(p->e, p->name, (uint32_t)line + 1, *key ? key : "file",
				     "well-formed YAML", why);
	}
	p->have_event = true;
	switch (p->event.type) {
	case YAML_ALIAS_EVENT:
		return config_refuse(p->e, p->name, line_of(p), *key ? key : "file", "a value", "an alias");
	case YAML_SCALAR_EVENT:
		anchor = p->event.data.scalar.anchor;
		tag = p->event.data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = p->event.data.sequence_start.anchor;
		tag = p->event.data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = p->event.data.mapping_start.anchor;
		tag = p->event.data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor || tag)
		return config_refuse(p->e, p->name, line_of(p), *key ? key : "file", "a plain value",
				     anchor ? "an anchor" : "a tag");
	return 0;
}

static bool number_parse(const char *text, uint32_t *out)
{
	uint64_t v = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		v = v * 10 + (uint64_t)(*text - '0');
		if (v > UINT32_MAX)
			return false;
	}
	*out = (uint32_t)v;
	return true;
}

static bool address_valid(const char *text)
{
	uint8_t buf[16];

	return inet_pton(AF_INET, text, buf) == 1 || inet_pton(AF_INET6, text, buf) == 1;
}

static bool string_valid(const struct option_row *o, const char *text)
{
	size_t len = strlen(text);

	if (len < o->min || len > o->max)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < 0x20 || text[i] >= 0x7f)
			return false;
	}
	if (len == 0) // allowed by min: "none"
		return true;
	switch (o->kind) {
	case OPTION_NAME:
		return config_identity_valid(text);
	case OPTION_ADDRESS:
		return address_valid(text);
	case OPTION_PATH:
		return text[0] == '/';
	default:
		return true;
	}
}

// One value as text into its member of item `index`. `plain`: not quoted. false: refused.
static bool option_set(struct config *c, const struct option_row *o, size_t at, const char *text, bool plain)
{
	char *member = (char *)c + o->offset + at;
	const char *const *words = option_words(o->kind);
	uint32_t v = 0;

	if (words) {
		for (; words[v]; v++) {
			if (strcmp(words[v], text) == 0) {
				*(uint8_t *)member = (uint8_t)v;
				return true;
			}
		}
		return false;
	}
	switch (o->kind) {
	case OPTION_U32:
	case OPTION_U16:
		if (!plain || !number_parse(text, &v) || v < o->min || v > o->max)
			return false;
		if (o->kind == OPTION_U32)
			memcpy(member, &v, sizeof(v));
		else
			memcpy(member, &(uint16_t){(uint16_t)v}, sizeof(uint16_t));
		return true;
	case OPTION_BOOL:
		v = strcmp(text, "true") == 0;
		if (!plain || (!v && strcmp(text, "false") != 0))
			return false;
		*(bool *)member = v;
		return true;
	default:
		break;
	}
	if (!string_valid(o, text))
		return false;
	memset(member, 0, o->size);
	for (size_t i = 0; text[i]; i++) // identities are kept in lower case: they are compared without it
		member[i] = o->kind == OPTION_NAME && text[i] >= 'A' && text[i] <= 'Z'
				? (char)(text[i] | 0x20)
				: text[i];
	return true;
}

static void expected_text(const struct option_row *o, char out[160])
{
	const char *const *words = option_words(o->kind);
	size_t n = 0;

	if (words) {
		for (unsigned i = 0; words[i]; i++)
			n += (size_t)snprintf(out + n, 160 - n, "%s%s",
					      i == 0         ? ""
					      : words[i + 1] ? ", "
							     : " or ",
					      words[i]);
		return;
	}
	switch (o->kind) {
	case OPTION_U32:
	case OPTION_U16:
		snprintf(out, 160, "a whole number from %u to %u%s%s", o->min, o->max, *o->unit ? " " : "",
			 o->unit);
		break;
	case OPTION_BOOL:
		snprintf(out, 160, "true or false");
		break;
	case OPTION_NAME:
		snprintf(out, 160, "a DiameterIdentity (a domain name of at most %u characters)", o->max);
		break;
	case OPTION_ADDRESS:
		snprintf(out, 160, "a numeric IPv4 or IPv6 address%s", o->min == 0 ? " or \"\"" : "");
		break;
	case OPTION_PATH:
		snprintf(out, 160, "an absolute path of at most %u octets%s", o->max,
			 o->min == 0 ? " or \"\"" : "");
		break;
	default:
		snprintf(out, 160, "text of %u to %u printable ASCII characters", o->min, o->max);
		break;
	}
}

static bool string_kind(enum option_kind kind)
{
	return kind == OPTION_NAME || kind == OPTION_TEXT || kind == OPTION_URI || kind == OPTION_PATH ||
	       kind == OPTION_ADDRESS || option_words(kind) != NULL;
}

static int scalar_take(struct parse *p, unsigned row, size_t at, const char *key)
{
	const struct option_row *o = &option_rows[row];
	char expected[160], got[112];
	const char *seen;

	expected_text(o, expected);
	if (p->event.type == YAML_SCALAR_EVENT) {
		const char *text = (const char *)p->event.data.scalar.value;
		bool plain = p->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

		// libyaml turns "\0" into a NUL octet: the length tells
		if (strlen(text) == p->event.data.scalar.length && option_set(p->out, o, at, text, plain))
			return 0;
		if (p->event.data.scalar.length == 0) {
			seen = "nothing";
		} else {
			size_t n = !plain && !string_kind(o->kind)
				       ? (size_t)snprintf(got, sizeof(got), "quoted ")
				       : 0;

			got_text(&p->event, o->kind == OPTION_URI, got + n);
			seen = got;
		}
	} else {
		seen = got_event(&p->event, got);
	}
	return config_refuse(p->e, p->name, line_of(p), key, expected, seen);
}

// Row that is `path` itself or the first below it ("peers" -> "peers.accept"); -1 when there is none.
static int row_find(const char *path, bool *exact)
{
	size_t len = strlen(path);

	for (unsigned i = 0; i < option_cnt; i++) {
		const char *full = option_rows[i].path;

		if (strncmp(full, path, len) != 0)
			continue;
		*exact = full[len] == 0;
		if (*exact || full[len] == '.')
			return (int)i;
	}
	return -1;
}

static int list_take(struct parse *p, unsigned row, const char *path, const char *key, size_t at);

// Line of the section that a top-level row belongs to; 1 when the file does not have it.
static uint32_t section_line(const struct parse *p, const char *path)
{
	char section[KEY_MAX];
	bool exact;
	int row;

	snprintf(section, sizeof(section), "%.*s", (int)strcspn(path, "."), path);
	row = row_find(section, &exact);
	return row >= 0 && p->lines.option[row] ? p->lines.option[row] : 1;
}

// Required members and defaults of the rows directly below `path` that the file did not give.
static int defaults_fill(struct parse *p, const char *path, const char *key, const bool seen[], size_t at,
			 uint32_t line)
{
	size_t len = strlen(path);

	for (unsigned i = 0; i < option_cnt; i++) {
		const struct option_row *o = &option_rows[i];
		char full[2 * KEY_MAX], expected[160];

		if (strncmp(o->path, path, len) != 0 || strchr(o->path + len, '[') ||
		    o->kind == OPTION_LIST || seen[i])
			continue;
		if (o->fallback) {
			if (!option_set(p->out, o, at, o->fallback, true))
				bug("default of %s", o->path);
			continue;
		}
		snprintf(full, sizeof(full), "%s%s", key, o->path + len);
		expected_text(o, expected);
		return config_refuse(p->e, p->name, line ? line : section_line(p, o->path), full, expected,
				     "nothing");
	}
	return 0;
}

// A mapping whose start has been read. `path` is that of the table ("listen[]"), `key` that of the file
// ("listen[2]"). `seen` is shared by the sections of one item, since a row belongs to exactly one of them.
static int mapping_take(struct parse *p, const char *path, const char *key, size_t at, bool seen[])
{
	bool section[OPTION_CNT_MAX] = {false};

	for (;;) {
		char full[KEY_MAX], shown[KEY_MAX], name[96];
		bool exact = false;
		int row, rc;

		rc = next_event(p, key);
		if (rc)
			return rc;
		if (p->event.type == YAML_MAPPING_END_EVENT)
			return 0;
		if (p->event.type != YAML_SCALAR_EVENT)
			return config_refuse(p->e, p->name, line_of(p), *key ? key : "file",
					     "the name of an option", got_event(&p->event, name));
		got_text(&p->event, false, name);
		size_t len = p->event.data.scalar.length;
		const char *text = (const char *)p->event.data.scalar.value;

		snprintf(full, sizeof(full), "%s%s%s", path, *path ? "." : "", len < 48 ? text : "?");
		snprintf(shown, sizeof(shown), "%s%s%s", key, *key ? "." : "", len < 48 ? text : "?");
		row = len > 0 && len < 48 && strlen(text) == len && !strpbrk(text, ".[")
			  ? row_find(full, &exact)
			  : -1;
		if (row < 0)
			return config_refuse(p->e, p->name, line_of(p), *key ? key : "file",
					     "the name of an option", name);
		if (section[row] || (exact && seen[row]))
			return config_refuse(p->e, p->name, line_of(p), shown, "to be given once",
					     "it again");
		section[row] = true;
		rc = next_event(p, shown);
		if (rc)
			return rc;
		// a section's line stands for its first row until that is found itself
		if (exact || p->lines.option[row] == 0)
			p->lines.option[row] = line_of(p);
		if (exact)
			seen[row] = true;
		if (exact && option_rows[row].kind == OPTION_LIST)
			rc = list_take(p, (unsigned)row, full, shown, at);
		else if (exact)
			rc = scalar_take(p, (unsigned)row, at, shown);
		else if (p->event.type == YAML_MAPPING_START_EVENT)
			rc = mapping_take(p, full, shown, at, seen);
		else
			rc = config_refuse(p->e, p->name, line_of(p), shown, "a mapping",
					   got_event(&p->event, name));
		if (rc)
			return rc;
	}
}

static void item_line_set(struct parse *p, unsigned row, uint32_t item)
{
	if (option_rows[row].offset == offsetof(struct config, listen))
		p->lines.listen[item] = line_of(p);
	if (option_rows[row].offset == offsetof(struct config, peer))
		p->lines.peer[item] = line_of(p);
}

static int item_take(struct parse *p, unsigned row, const char *path, const char *key, size_t at,
		     uint32_t item)
{
	bool seen[OPTION_CNT_MAX] = {false};
	uint32_t line = line_of(p);
	char below[KEY_MAX + 8], shown[KEY_MAX + 8], got[96];
	bool exact = false;
	int rc;

	item_line_set(p, row, item);
	if (row_find(path, &exact) >= 0 && exact)
		return scalar_take(p, row + 1, at, key);
	if (p->event.type != YAML_MAPPING_START_EVENT)
		return config_refuse(p->e, p->name, line, key, "a mapping", got_event(&p->event, got));
	rc = mapping_take(p, path, key, at, seen);
	snprintf(below, sizeof(below), "%s.", path);
	snprintf(shown, sizeof(shown), "%s.", key);
	return rc ? rc : defaults_fill(p, below, shown, seen, at, line);
}

// A list whose start has been read; `at`: offset of the item that it is in, 0 when it is in none.
static int list_take(struct parse *p, unsigned row, const char *path, const char *key, size_t at)
{
	const struct option_row *o = &option_rows[row];
	char items[KEY_MAX], shown[KEY_MAX], got[96], expected[48];
	uint32_t n = 0;

	if (p->event.type != YAML_SEQUENCE_START_EVENT)
		return config_refuse(p->e, p->name, line_of(p), key, "a list", got_event(&p->event, got));
	snprintf(items, sizeof(items), "%.60s[]", path);
	for (;; n++) {
		snprintf(shown, sizeof(shown), "%.60s[%u]", key, n);
		int rc = next_event(p, shown);

		if (rc)
			return rc;
		if (p->event.type == YAML_SEQUENCE_END_EVENT)
			break;
		if (n == o->max) {
			snprintf(expected, sizeof(expected), "at most %u items", o->max);
			return config_refuse(p->e, p->name, line_of(p), key, expected, "more");
		}
		rc = item_take(p, row, items, shown, at + (size_t)n * o->stride, n);
		if (rc)
			return rc;
	}
	memcpy((char *)p->out + o->count_offset + at, &n, sizeof(n));
	return 0;
}

static int document_take(struct parse *p)
{
	bool seen[OPTION_CNT_MAX] = {false};
	char got[96];
	int rc;

	rc = next_event(p, ""); // stream start
	if (!rc)
		rc = next_event(p, "");
	if (!rc && p->event.type == YAML_STREAM_END_EVENT)
		return defaults_fill(p, "", "", seen, 0, 0);
	if (!rc)
		rc = next_event(p, "");
	if (!rc && p->event.type != YAML_MAPPING_START_EVENT)
		return config_refuse(p->e, p->name, line_of(p), "file", "a mapping of options",
				     got_event(&p->event, got));
	if (!rc)
		rc = mapping_take(p, "", "", 0, seen);
	if (!rc)
		rc = next_event(p, ""); // document end
	if (!rc)
		rc = next_event(p, "");
	if (!rc && p->event.type != YAML_STREAM_END_EVENT)
		return config_refuse(p->e, p->name, line_of(p), "file", "one document", "a second one");
	if (!rc)
		rc = defaults_fill(p, "", "", seen, 0, 0);
	if (rc || seen[option_index("listen")])
		return rc;
	p->out->listen_cnt = 1;
	p->out->listen[0] =
	    (struct config_listen){.transport = TRANSPORT_TCP, .port = 3868, .address = "127.0.0.1"};
	return 0;
}

static void default_ports(struct config *c)
{
	for (uint32_t i = 0; i < c->listen_cnt; i++)
		if (c->listen[i].port == 0)
			c->listen[i].port = c->listen[i].transport == TRANSPORT_TLS ? 5868 : 3868;
}

int config_parse(const char *text, size_t len, const char *name, struct config *out, struct config_error *e)
{
	struct parse p = {.name = name, .text = text, .len = len, .out = out, .e = e};
	int rc;

	memset(out, 0, sizeof(*out));
	e->text[0] = 0;
	if (len > FILE_MAX)
		return config_refuse(e, name, 1, "file", "at most 1048576 octets", "more");
	if (!yaml_parser_initialize(&p.yaml)) {
		snprintf(e->text, sizeof(e->text), "%s: no memory", name);
		return -ENOMEM;
	}
	yaml_parser_set_input_string(&p.yaml, (const unsigned char *)text, len);
	rc = document_take(&p);
	default_ports(out);
	if (!rc)
		rc = config_check(out, &p.lines, name, e);
	if (p.have_event)
		yaml_event_delete(&p.event);
	yaml_parser_delete(&p.yaml);
	return rc;
}

int config_load(const char *path, struct config *out, struct config_error *e)
{
	char *text = malloc(FILE_MAX + 1);
	size_t len = 0;
	ssize_t n = -1;
	int rc = 0, fd = -1;

	if (!text) {
		rc = -ENOMEM;
		goto out;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		rc = -errno;
		goto out;
	}
	while (len <= FILE_MAX && (n = read(fd, text + len, FILE_MAX + 1 - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = -errno;
			goto out;
		}
		len += (size_t)n;
	}
	rc = config_parse(text, len, path, out, e);
	goto done;
out:
	snprintf(e->text, sizeof(e->text), "%s: %s", path, err_text(rc));
done:
	if (fd >= 0)
		close(fd);
	free(text);
	return rc;
}

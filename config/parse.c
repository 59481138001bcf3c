// YAML to struct config (hssd). libyaml gives events; a recursive descent follows the table of options, so
// that the nesting is that of the table (at most 4) and never the file's. A defect (unknown key, key given twice, wrong type, out
// of range, too many items) is told, its value is skipped, and the parse goes on: all are shown at once. What is no YAML, an
// anchor, an alias or a tag ends it. Values may name environment variables. Defaults are parsed like values.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>
#include "config/options.h"
#include "config/value.h"

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
	struct config_lines *lines; // those of *e
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

// An unclosed brace is noticed somewhere behind it: where it was opened is what has to be looked at.
static int yaml_broken(struct parse *p, const char *key, uint32_t line, const char *why)
{
	const char *context = p->yaml.context ? p->yaml.context : "";
	uint32_t from = (uint32_t)p->yaml.context_mark.line + 1;
	char got[192];
	key = *key ? key : "file";
	if (!strstr(context, "flow"))
		return config_refuse(p->e, p->name, line, key, "well-formed YAML", why);
	snprintf(got, sizeof(got), "none up to line %u (%s)", line, why);
	p->e->text[0] = 0; // what was told of its values was misread
	p->e->cnt = 0;
	return config_refuse(p->e, p->name, from, key,
			     strstr(context, "mapping") ? "a '}' for the '{' of this line"
							: "a ']' for the '[' of this line",
			     got);
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
		return yaml_broken(p, key, (uint32_t)line + 1, why);
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

// The rest of a value whose first event is the current one.
static int skip_value(struct parse *p)
{
	unsigned depth = 0;
	for (;;) {
		switch (p->event.type) {
		case YAML_MAPPING_START_EVENT:
		case YAML_SEQUENCE_START_EVENT:
			depth++;
			break;
		case YAML_MAPPING_END_EVENT:
		case YAML_SEQUENCE_END_EVENT:
			depth--;
			break;
		default:
			break;
		}
		if (depth == 0)
			return 0;
		int rc = next_event(p, "");
		if (rc)
			return rc;
	}
}

// Tells of a defect of the current value, and skips it. 0: the parse goes on.
static int refuse_value(struct parse *p, const char *key, const char *expected, const char *got)
{
	(void)config_refuse(p->e, p->name, line_of(p), key, expected, got);
	return skip_value(p);
}

static int scalar_take(struct parse *p, unsigned row, size_t at, const char *key)
{
	const struct option_row *o = &option_rows[row];
	char expected[160], got[160], room[VALUE_TEXT_MAX];
	const char *seen;

	value_expected(o, expected);
	if (p->event.type == YAML_SCALAR_EVENT) {
		const char *text = (const char *)p->event.data.scalar.value;
		bool plain = p->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

		// libyaml turns "\0" into a NUL octet: the length tells
		if (strlen(text) == p->event.data.scalar.length && strstr(text, "${")) {
			text = value_expand(text, room, sizeof(room), got);
			if (!text)
				return refuse_value(p, key, expected, got);
			if (value_set(p->out, o, at, text, plain))
				return 0;
		} else if (strlen(text) == p->event.data.scalar.length && value_set(p->out, o, at, text, plain)) {
			return 0;
		}
		if (p->event.data.scalar.length == 0) {
			seen = "nothing";
		} else {
			size_t n = !plain && !value_is_string(o->kind)
				       ? (size_t)snprintf(got, sizeof(got), "quoted ")
				       : 0;

			got_text(&p->event, o->kind == OPTION_URI, got + n);
			seen = got;
		}
	} else {
		seen = got_event(&p->event, got);
	}
	return refuse_value(p, key, expected, seen);
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
	return row >= 0 && p->lines->option[row] ? p->lines->option[row] : 1;
}

// Defaults, and complaints about required members, of the rows directly below `path` that the file did not give.
static void defaults_fill(struct parse *p, const char *path, const char *key, const bool seen[], size_t at,
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
			if (!value_set(p->out, o, at, o->fallback, true))
				bug("default of %s", o->path);
			continue;
		}
		snprintf(full, sizeof(full), "%s%s", key, o->path + len);
		value_expected(o, expected);
		(void)config_refuse(p->e, p->name, line ? line : section_line(p, o->path), full, expected, "nothing");
	}
}

// What a key of a mapping is called: in the table, in messages, and as it is in the file.
struct key_name {
	char full[KEY_MAX], shown[KEY_MAX], text[96];
};

// The row of the key that is the current event; -1: there is none of this name.
static int key_read(struct parse *p, const char *path, const char *key, struct key_name *k, bool *exact)
{
	size_t len = p->event.data.scalar.length;
	const char *text = (const char *)p->event.data.scalar.value;

	got_text(&p->event, false, k->text);
	snprintf(k->full, sizeof(k->full), "%s%s%s", path, *path ? "." : "", len < 48 ? text : "?");
	snprintf(k->shown, sizeof(k->shown), "%s%s%s", key, *key ? "." : "", len < 48 ? text : "?");
	return len > 0 && len < 48 && strlen(text) == len && !strpbrk(text, ".[") ? row_find(k->full, exact) : -1;
}

static int mapping_take(struct parse *p, const char *path, const char *key, size_t at, bool seen[]);

// The value of a key; it is the current event.
static int member_take(struct parse *p, unsigned row, bool exact, const struct key_name *k, size_t at, bool seen[])
{
	char got[96];

	// a section's line stands for its first row until that is found itself
	if (exact || p->lines->option[row] == 0)
		p->lines->option[row] = line_of(p);
	if (exact)
		seen[row] = true;
	if (exact && option_rows[row].kind == OPTION_LIST)
		return list_take(p, row, k->full, k->shown, at);
	if (exact)
		return scalar_take(p, row, at, k->shown);
	if (p->event.type == YAML_MAPPING_START_EVENT)
		return mapping_take(p, k->full, k->shown, at, seen);
	return refuse_value(p, k->shown, "a mapping", got_event(&p->event, got));
}

// A mapping whose start has been read. `path` is that of the table ("listen[]"), `key` that of the file
// ("listen[2]"). `seen` is shared by the sections of one item, since a row belongs to exactly one of them.
static int mapping_take(struct parse *p, const char *path, const char *key, size_t at, bool seen[])
{
	bool section[OPTION_CNT_MAX] = {false};

	for (;;) {
		struct key_name k;
		char got[96];
		bool exact = false;
		int row = -1, rc = next_event(p, key);

		if (rc)
			return rc;
		if (p->event.type == YAML_MAPPING_END_EVENT)
			return 0;
		bool scalar = p->event.type == YAML_SCALAR_EVENT;
		if (scalar)
			row = key_read(p, path, key, &k, &exact);
		bool again = row >= 0 && (section[row] || (exact && seen[row]));
		uint32_t line = line_of(p);
		if (row < 0)
			rc = refuse_value(p, *key ? key : "file", "the name of an option",
					  scalar ? k.text : got_event(&p->event, got));
		else if (again)
			(void)config_refuse(p->e, p->name, line, k.shown, "to be given once", "it again");
		rc = rc ? rc : next_event(p, row < 0 ? key : k.shown);
		if (!rc && (row < 0 || again)) {
			rc = skip_value(p);
		} else if (!rc) {
			section[row] = true;
			rc = member_take(p, (unsigned)row, exact, &k, at, seen);
		}
		if (rc)
			return rc;
	}
}

static void item_line_set(struct parse *p, unsigned row, uint32_t item)
{
	if (option_rows[row].offset == offsetof(struct config, listen))
		p->lines->listen[item] = line_of(p);
	if (option_rows[row].offset == offsetof(struct config, peer))
		p->lines->peer[item] = line_of(p);
	if (option_rows[row].lines_offset)
		memcpy((char *)p->out + option_rows[row].lines_offset + item * sizeof(uint32_t), &(uint32_t){line_of(p)},
		       sizeof(uint32_t));
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
		return refuse_value(p, key, "a mapping", got_event(&p->event, got));
	rc = mapping_take(p, path, key, at, seen);
	snprintf(below, sizeof(below), "%s.", path);
	snprintf(shown, sizeof(shown), "%s.", key);
	if (!rc)
		defaults_fill(p, below, shown, seen, at, line);
	return rc;
}

// A list whose start has been read; `at`: offset of the item that it is in, 0 when it is in none.
static int list_take(struct parse *p, unsigned row, const char *path, const char *key, size_t at)
{
	const struct option_row *o = &option_rows[row];
	char items[KEY_MAX], shown[KEY_MAX], got[96], expected[48];
	uint32_t n = 0;

	if (p->event.type != YAML_SEQUENCE_START_EVENT)
		return refuse_value(p, key, "a list", got_event(&p->event, got));
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
			(void)config_refuse(p->e, p->name, line_of(p), key, expected, "more");
		}
		rc = n >= o->max ? skip_value(p) : item_take(p, row, items, shown, at + (size_t)n * o->stride, n);
		if (rc)
			return rc;
	}
	n = n < o->max ? n : o->max;
	memcpy((char *)p->out + o->count_offset + at, &n, sizeof(n));
	return 0;
}

// The one mapping of the file. 0, or -EINVAL when the rest can't be read.
static int document_take(struct parse *p, bool seen[])
{
	char got[96];
	int rc = next_event(p, ""); // stream start

	rc = rc ? rc : next_event(p, "");
	if (rc || p->event.type == YAML_STREAM_END_EVENT)
		return rc;
	rc = next_event(p, "");
	if (rc)
		return rc;
	if (p->event.type != YAML_MAPPING_START_EVENT)
		return config_refuse(p->e, p->name, line_of(p), "file", "a mapping of options",
				     got_event(&p->event, got));
	rc = mapping_take(p, "", "", 0, seen);
	rc = rc ? rc : next_event(p, ""); // document end
	rc = rc ? rc : next_event(p, "");
	if (!rc && p->event.type != YAML_STREAM_END_EVENT)
		rc = config_refuse(p->e, p->name, line_of(p), "file", "one document", "a second one");
	return rc;
}

// Everything that the file says, and the defaults of what it does not say.
static int file_take(struct parse *p)
{
	bool seen[OPTION_CNT_MAX] = {false};
	int rc = document_take(p, seen);

	if (rc)
		return rc;
	defaults_fill(p, "", "", seen, 0, 0);
	if (seen[option_index("listen")])
		return 0;
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

// TS 23.003 13.2: the home network's domain of IMS is that of the EPC, with ims in place of epc.
static void default_domain(struct config *c)
{
	bool epc = strncmp(c->realm, "epc.", 4) == 0;
	if (!c->ims_domain[0])
		snprintf(c->ims_domain, sizeof(c->ims_domain), "%s%.*s", epc ? "ims." : "", CONFIG_NAME_MAX - 5,
			 c->realm + (epc ? 4 : 0));
}

int config_parse(const char *text, size_t len, const char *name, struct config *out, struct config_error *e)
{
	struct parse p = {.name = name, .text = text, .len = len, .out = out, .e = e, .lines = &e->lines};
	int rc;

	memset(out, 0, sizeof(*out));
	memset(e, 0, sizeof(*e));
	snprintf(out->file, sizeof(out->file), "%s", name);
	if (len > FILE_MAX)
		return config_refuse(e, name, 1, "file", "at most 1048576 octets", "more");
	if (!yaml_parser_initialize(&p.yaml)) {
		snprintf(e->text, sizeof(e->text), "%s: no memory", name);
		return -ENOMEM;
	}
	yaml_parser_set_input_string(&p.yaml, (const unsigned char *)text, len);
	rc = file_take(&p);
	default_ports(out);
	default_domain(out);
	if (!rc)
		rc = config_check(out, &e->lines, name, e);
	if (e->cnt)
		rc = -EINVAL;
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

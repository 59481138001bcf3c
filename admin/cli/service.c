// Commands about the HSS as a service whose rows are not a table: the configuration, a reload, the audit log.
#include <pwd.h>
#include <string.h>
#include "admin/cli/cli.h"

int cli_each_row(struct cli_session *s, const struct cli_args *a, void (*put)(const json_t *row))
{
	char *text;
	size_t len;
	json_t *row;

	if (!cli_session_request(s, a))
		return CLI_REFUSED;
	for (;;) {
		switch (cli_session_next(s, true, &text, &len)) {
		case CLI_LINE_ROW:
			if (a->json) {
				cli_json_row(stdout, text, len);
				break;
			}
			row = json_loads(text, 0, NULL);
			put(row);
			json_decref(row);
			break;
		case CLI_LINE_END:
			return cli_session_end(text, a->command);
		default:
			return CLI_REFUSED;
		}
	}
}

static void put_line(const json_t *row)
{
	const char *line = json_string_value(json_object_get(row, "line"));

	puts(line ? line : "");
}

int cli_config_show(struct cli_session *s, const struct cli_args *a)
{
	return cli_each_row(s, a, put_line);
}

static unsigned changes;

static void put_change(const json_t *row)
{
	const char *option = json_string_value(json_object_get(row, "option"));
	const char *change = json_string_value(json_object_get(row, "change"));

	printf("%s: %s\n", option ? option : "-", change ? change : "-");
	changes++;
}

int cli_reload(struct cli_session *s, const struct cli_args *a)
{
	int rc = cli_each_row(s, a, put_change);

	if (rc == CLI_DONE && !changes && !a->json)
		puts("nothing has changed");
	return rc;
}

// --- the audit log

static const char *user_of(uid_t uid, char room[24])
{
	const struct passwd *pw = getpwuid(uid);

	snprintf(room, 24, "%lld", (long long)uid);
	return pw ? pw->pw_name : room;
}

// A value in one line: what is no text as JSON.
static void put_value(const json_t *v)
{
	char *text = json_is_string(v) || !v ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
	const char *p = text ? text : v ? json_string_value(v) : "-";

	for (; *p; p++)
		putchar((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p); // other people's documents
	admin_json_free(text);
}

static void put_members(const json_t *before, const json_t *after)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)before, name, value)
	{
		printf("    %s: ", name);
		put_value(value);
		fputs(" -> ", stdout);
		put_value(json_object_get(after, name));
		putchar('\n');
	}
	json_object_foreach((json_t *)after, name, value)
	{
		if (json_object_get(before, name))
			continue;
		printf("    %s: - -> ", name);
		put_value(value);
		putchar('\n');
	}
}

static void put_audit(const json_t *row)
{
	static const char *const of[] = {"imsi", "host", "level"};
	const char *time = json_string_value(json_object_get(row, "time"));
	const char *command = json_string_value(json_object_get(row, "command"));
	const char *error = json_string_value(json_object_get(row, "error"));
	char room[24];

	printf("%s %s: %s", time ? time : "-", user_of((uid_t)json_integer_value(json_object_get(row, "uid")), room),
	       command ? command : "-");
	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
		const json_t *v = json_object_get(row, of[i]);

		if (!v)
			continue;
		putchar(' ');
		put_value(v);
	}
	if (json_integer_value(json_object_get(row, "status")) != 0)
		printf(": refused: %s", error ? error : "-");
	putchar('\n');
	put_members(json_object_get(row, "before"), json_object_get(row, "after"));
}

int cli_audit(struct cli_session *s, const struct cli_args *a)
{
	return cli_each_row(s, a, put_audit);
}

// Commands about the HSS as a service whose rows are not a table: the configuration, a reload.
#include <string.h>
#include "admin/cli/cli.h"

// Gives every row to `put` until the end, whose status is returned.
static int each_row(struct cli_session *s, const struct cli_args *a, void (*put)(const json_t *row))
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
	return each_row(s, a, put_line);
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
	int rc = each_row(s, a, put_change);

	if (rc == CLI_DONE && !changes && !a->json)
		puts("nothing has changed");
	return rc;
}

// `hssctl alarm list`: a paragraph for each alarm, with what follows from it and what to do.
#include <string.h>
#include "admin/cli/cli.h"
#include "admin/cli/screen.h"

static unsigned shown;

static const char *text_of(const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));

	return text ? text : "";
}

static void put_alarm(const json_t *row)
{
	const json_t *since = json_object_get(row, "since");
	bool raised = json_is_integer(since), critical = strcmp(text_of(row, "severity"), "critical") == 0;
	char text[512], subject[160], when[32] = "not raised";

	if (shown++)
		putchar('\n');
	if (raised)
		screen_time((time_t)json_integer_value(since), when);
	screen_text(text_of(row, "subject"), subject, sizeof(subject));
	screen_text(text_of(row, "text"), text, sizeof(text));
	printf("%s%-8s  %s%s  %s%s%s%s\n", raised ? screen_colour(critical ? SCREEN_RED : SCREEN_YELLOW) : "",
	       text_of(row, "severity"), text_of(row, "alarm"), raised ? screen_colour(SCREEN_PLAIN) : "",
	       subject,
	       *subject ? "  " : "", raised ? "since " : "", when);
	screen_fold(stdout, "          ", 10, text);
	screen_fold(stdout, "  effect  ", 10, text_of(row, "effect"));
	screen_fold(stdout, "  do      ", 10, text_of(row, "action"));
}

int cli_alarm_list(struct cli_session *s, const struct cli_args *a)
{
	int rc = cli_each_row(s, a, put_alarm);

	if (rc == CLI_DONE && !shown && !a->json)
		puts("no alarms");
	return rc;
}

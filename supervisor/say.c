// What hssd says outside of its log: before the log runs, to whoever typed the command. As plain text, or as a line of JSON when
// the configuration wants JSON and is known: a reader of JSON lines never meets anything else. hssd.
#include <stdarg.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "supervisor/hssd.h"

static bool as_log_line;

void say_as_log(void)
{
	as_log_line = true;
}

void say(const char *fmt, ...)
{
	char text[9000]; // all errors of a configuration
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (as_log_line)
		log_error("start_failed", LOG_STR("reason", text));
	else
		fprintf(stderr, "hssd: %s\n", text);
}

void say_lines(const char *event, const char *text)
{
	while (*text) {
		int len = (int)strcspn(text, "\n");
		char line[1100];
		snprintf(line, sizeof(line), "%.*s", len, text);
		if (event)
			log_error(event, LOG_STR("why", line));
		else
			say("%s", line);
		text += len + (text[len] == '\n');
	}
}

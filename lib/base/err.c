// Texts of error codes, and the end of a process that has found a bug of ours (err.h).
#include "lib/base/err.h"
#include "lib/base/log.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void bug_at(const char *file, int line, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_set_fd(STDERR_FILENO); // whatever else it was: nobody may be left to pass the line on
	log_event(LOG_LEVEL_ERROR, "bug", LOG_STR("at", file), LOG_INT("line", line), LOG_STR("what", text));
	abort();
}

const char *err_text(int error)
{
	error = error < 0 ? -error : error;
	if (error == EUCLEAN) // a database of ours, not a file system
		return "the file is damaged";
	const char *text = strerrordesc_np(error);
	return text ? text : "unknown error";
}

// hssctl's pages: see screen.h.
#include "admin/cli/screen.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool size_of(struct winsize *size)
{
	return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, size) == 0 && size->ws_row > 4 &&
	    size->ws_col > 20;
}

unsigned screen_width(void)
{
	struct winsize size;

	return size_of(&size) ? size.ws_col : SCREEN_WIDTH;
}

unsigned screen_height(void)
{
	struct winsize size;

	return size_of(&size) ? size.ws_row : 24;
}

const char *screen_colour(enum screen_colour colour)
{
	static const char *const codes[] = {"\033[0m", "\033[1m", "\033[1;31m", "\033[1;33m", "\033[32m"};
	const char *refused = getenv("NO_COLOR"), *term = getenv("TERM");

	if (!isatty(STDOUT_FILENO) || (refused && *refused) || !term || strcmp(term, "dumb") == 0)
		return "";
	return codes[colour];
}

void screen_text(const char *text, char *out, size_t room)
{
	size_t n = 0;

	for (; *text && n + 1 < room; text++)
		out[n++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
	out[n] = 0;
}

void screen_fold(FILE *f, const char *head, unsigned indent, const char *text)
{
	unsigned width = screen_width(), at = (unsigned)strlen(head);
	bool first = true;

	fputs(head, f);
	while (*text) {
		size_t n = strcspn(text, " ");

		if (!first && at + 1 + n > width) {
			fprintf(f, "\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		fprintf(f, "%s%.*s", first ? "" : " ", (int)n, text);
		at += (unsigned)n + !first;
		first = false;
		text += n + (text[n] == ' ');
	}
	fputc('\n', f);
}

void screen_time(time_t t, char out[32])
{
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(out, 32, "-");
}

static void page_put(struct page *p, const char *before, const char *after, const char *fmt, va_list ap)
{
	char text[1024], shown[1024];

	if (p->left == 0)
		return;
	p->left--;
	vsnprintf(text, sizeof(text), fmt, ap);
	screen_text(text, shown, sizeof(shown));
	fprintf(p->f, "%s%.*s%s\n", before, (int)p->width, shown, after);
}

void page_line(struct page *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	page_put(p, "", "", fmt, ap);
	va_end(ap);
}

void page_coloured(struct page *p, enum screen_colour colour, const char *fmt, ...)
{
	const char *before = screen_colour(colour);
	va_list ap;

	va_start(ap, fmt);
	page_put(p, before, *before ? screen_colour(SCREEN_PLAIN) : "", fmt, ap);
	va_end(ap);
}

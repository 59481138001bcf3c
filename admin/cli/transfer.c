// Import: the documents or rows of a file through one connection, in constant memory.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "admin/cli/cli.h"
#include "admin/cli/split.h"
#include "lib/base/clock.h"
#include "lib/base/secret.h"

#define CHUNK (128u << 10)

struct import {
	struct cli_session *session;
	const struct cli_args *args;
	const char *name; // of the file, in messages
	int fd;
	uint64_t size, taken; // octets of the file; 0: not known
	char raw[CHUNK], out[2 * CHUNK + 8];
	size_t raw_start, raw_len;
	size_t out_start, out_len;
	bool line_start, eof, last;
	bool blocks; // documents over many lines, or many in one
	struct cli_split split;
	json_int_t rows, errors;
	bool terminal, bar_shown;
	uint64_t began_us, bar_us, moved_us;
};

// --- progress

static void bar_clear(struct import *im)
{
	if (im->bar_shown)
		fputs("\r\033[K", stderr);
	im->bar_shown = false;
}

static void bar_show(struct import *im, bool now)
{
	uint64_t at = clock_mono_us();
	double seconds = (double)(at - im->began_us) / 1e6;
	double done = im->size ? (double)(im->taken < im->size ? im->taken : im->size) / (double)im->size : 0;

	if (!im->terminal || (!now && at - im->bar_us < 200000))
		return;
	im->bar_us = at;
	im->bar_shown = true;
	fprintf(stderr, "\r\033[K%lld rows  %.0f rows/s", (long long)im->rows,
		seconds > 0 ? (double)im->rows / seconds : 0);
	if (im->size && done > 0) {
		static const char full[] = "########################";
		unsigned left = (unsigned)(seconds / done * (1 - done) + 0.5);

		fprintf(stderr, "  [%-24.*s] %3.0f %%  %u:%02u left", (int)(done * 24), full, done * 100,
			left / 60, left % 60);
	}
	fflush(stderr);
}

// --- what comes back

static void import_row(struct import *im, const char *text)
{
	json_t *row = json_loads(text, 0, NULL);
	json_t *progress = json_object_get(row, "progress"), *line = json_object_get(row, "line");
	json_t *document = json_object_get(row, "document");
	const char *error = json_string_value(json_object_get(row, "error"));
	const char *warning = json_string_value(json_object_get(row, "warning"));

	if (json_is_object(progress)) {
		im->rows = json_integer_value(json_object_get(progress, "rows"));
		im->errors = json_integer_value(json_object_get(progress, "errors"));
		bar_show(im, false);
	} else if (line && (error || warning)) {
		bar_clear(im);
		fprintf(stderr, "hssctl: %s:%lld: ", im->name, (long long)json_integer_value(line));
		if (document)
			fprintf(stderr, "document %lld: ", (long long)json_integer_value(document));
		fprintf(stderr, "%s%s\n", error ? "" : "warning: ", error ? error : warning);
	}
	if (im->args->json && progress == NULL)
		cli_json_row(stdout, text, strlen(text));
	json_decref(row);
}

// Rows that were refused are told one by one; only what concerns the whole has an error of its own.
static int import_end(struct import *im, const char *text)
{
	json_t *end = json_loads(text, 0, NULL);
	json_t *rows = json_object_get(end, "rows"), *errors = json_object_get(end, "errors");
	json_int_t warnings = json_integer_value(json_object_get(end, "warnings"));
	bool whole = json_is_integer(rows) && !json_object_get(end, "error");
	int status = CLI_REFUSED;

	bar_show(im, true);
	bar_clear(im);
	if (!whole)
		status = cli_session_end(text, im->args->command);
	if (json_is_integer(rows))
		im->rows = json_integer_value(rows);
	if (json_is_integer(errors))
		im->errors = json_integer_value(errors);
	if (whole)
		status = im->errors ? CLI_REFUSED : CLI_DONE;
	if (im->args->json) {
		cli_json_row(stdout, text, strlen(text));
	} else if (whole) {
		double seconds = (double)(clock_mono_us() - im->began_us) / 1e6;
		bool dry = json_is_true(json_object_get(end, "dry_run"));

		printf("%lld %s, %lld refused, ", (long long)im->rows, dry ? "would be imported" : "imported",
		       (long long)im->errors);
		if (warnings)
			printf("%lld warnings, ", (long long)warnings);
		printf("%.1f s\n", seconds);
	}
	json_decref(end);
	return status;
}

// --- what goes out

// Copies file octets to the output. An empty line would end the import: it becomes a blank one, so that the
// lines keep their numbers.
static void queue_lines(struct import *im, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (im->line_start && p[i] == '\n')
			im->out[im->out_len++] = ' ';
		const char *at = memchr(p + i, '\n', len - i);
		size_t n = at ? (size_t)(at - (p + i)) + 1 : len - i;

		memcpy(im->out + im->out_len, p + i, n);
		im->out_len += n;
		im->line_start = at != NULL;
		i += n - 1;
	}
}

// More of the file, behind what is there. false: it can't be read (told).
static bool read_some(struct import *im)
{
	ssize_t n;

	do {
		n = read(im->fd, im->raw + im->raw_len, sizeof(im->raw) - im->raw_len);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		bar_clear(im);
		fprintf(stderr, "hssctl: %s: %s\n", im->name, err_text(errno));
		return false;
	}
	im->taken += (uint64_t)n;
	im->raw_len += (size_t)n;
	im->eof = n == 0;
	return true;
}

// The next piece of the file, once the one before is out. false: it can't be read (told).
static bool refill(struct import *im)
{
	im->out_start = im->out_len = 0;
	if (im->raw_start == im->raw_len) {
		im->raw_start = im->raw_len = 0;
		if (!im->eof && !read_some(im))
			return false;
	}
	if (im->blocks) {
		im->raw_start +=
		    cli_split_next(&im->split, im->raw + im->raw_start, im->raw_len - im->raw_start, im->out,
				   sizeof(im->out) - 8, &im->out_len);
	} else {
		queue_lines(im, im->raw + im->raw_start, im->raw_len - im->raw_start);
		im->raw_start = im->raw_len;
	}
	if (!im->eof || im->raw_start < im->raw_len)
		return true;
	im->last = true;
	if (im->blocks ? im->split.in_document : !im->line_start)
		im->out[im->out_len++] = '\n';
	im->out[im->out_len++] = '\n';
	return true;
}

// What the file is, from its beginning, unless it was said. false: told.
static bool recognise(struct import *im)
{
	const char *said = json_string_value(json_object_get(im->args->args, "format"));
	enum cli_format format = CLI_FORMAT_MORE;

	while (format == CLI_FORMAT_MORE) {
		if (!read_some(im))
			return false;
		format = cli_format_of(im->raw, im->raw_len, im->eof || im->raw_len == sizeof(im->raw));
	}
	if (said && (strcmp(said, "csv") == 0) != (format == CLI_FORMAT_CSV))
		format = strcmp(said, "csv") == 0 ? CLI_FORMAT_CSV : CLI_FORMAT_LINES;
	im->blocks = format == CLI_FORMAT_BLOCKS;
	cli_split_init(&im->split);
	return json_object_set_new(im->args->args, "format",
				   json_string(format == CLI_FORMAT_CSV ? "csv" : "mongo")) == 0;
}

static bool send_some(struct import *im)
{
	ssize_t n = send(im->session->fd, im->out + im->out_start, im->out_len - im->out_start,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		bar_clear(im);
		fprintf(stderr, "hssctl: the connection was lost: %s\n", err_text(errno));
		return false;
	}
	if (n > 0) {
		im->out_start += (size_t)n;
		im->moved_us = clock_mono_us();
	}
	return true;
}

// Neither direction has moved for the timeout (told).
static bool stalled(struct import *im)
{
	uint64_t limit_us = im->session->timeout_s * UINT64_C(1000000);

	if (!limit_us || clock_mono_us() - im->moved_us < limit_us)
		return false;
	bar_clear(im);
	cli_session_silent(im->session);
	return true;
}

// Both directions until the end arrives: the loader tells of bad lines while others are still going out.
static int import_run(struct import *im)
{
	char *text;
	size_t len;

	for (;;) {
		bool out = im->out_start < im->out_len;
		struct pollfd fds[1] = {
		    {.fd = im->session->fd, .events = (short)(POLLIN | (out ? POLLOUT : 0))}};

		if (!out && !im->last) {
			if (!refill(im))
				return CLI_REFUSED;
			im->moved_us = clock_mono_us(); // standard input may take its time
			continue;
		}
		if (poll(fds, 1, 500) < 0 && errno != EINTR)
			return CLI_REFUSED;
		if (stalled(im))
			return CLI_REFUSED;
		if ((fds[0].revents & POLLOUT) && !send_some(im))
			return CLI_REFUSED;
		if (!(fds[0].revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		im->moved_us = clock_mono_us();
		for (;;) {
			enum cli_line kind = cli_session_next(im->session, false, &text, &len);

			if (kind == CLI_LINE_NONE)
				break;
			if (kind == CLI_LINE_BROKEN)
				return CLI_REFUSED;
			if (kind == CLI_LINE_END)
				return import_end(im, text);
			import_row(im, text);
		}
	}
}

int cli_import(struct cli_session *s, const struct cli_args *a)
{
	bool standard = strcmp(a->file, "-") == 0;
	struct import *im = calloc(1, sizeof(*im));
	struct stat st;
	int rc = CLI_REFUSED;

	if (!im)
		return CLI_REFUSED;
	im->session = s;
	im->args = a;
	im->name = standard ? "standard input" : a->file;
	im->line_start = true;
	im->terminal = isatty(STDERR_FILENO);
	im->began_us = im->moved_us = clock_mono_us();
	im->fd = standard ? STDIN_FILENO : open(a->file, O_RDONLY | O_CLOEXEC);
	if (im->fd < 0) {
		fprintf(stderr, "hssctl: %s: %s\n", im->name, err_text(errno));
		goto out;
	}
	if (fstat(im->fd, &st) == 0 && S_ISREG(st.st_mode))
		im->size = (uint64_t)st.st_size;
	if (recognise(im) && cli_session_request(s, a))
		rc = import_run(im);
	if (rc != CLI_USAGE && im->eof && cli_split_unfinished(&im->split)) {
		fprintf(stderr, "hssctl: %s: the array does not end: the file is cut off\n", im->name);
		rc = CLI_REFUSED;
	}
	if (!standard)
		close(im->fd);
out:
	secret_wipe(im, sizeof(*im));
	free(im);
	return rc;
}

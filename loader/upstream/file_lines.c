// Reads a file in large pieces and cuts it into lines (file_lines.h). Owns the buffer, and wipes it. Loader
// process, main thread.
#include "loader/upstream/file_lines.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "lib/base/secret.h"

#define BUFFER (256u << 10)

int file_lines_open(struct file_lines *f, int dir_fd, const char *name)
{
	*f = (struct file_lines){.fd = -1};
	if (dir_fd < 0)
		return -ENOENT;
	// not for long on a pipe without a writer
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	f->buffer = malloc(BUFFER);
	if (!f->buffer) {
		close(fd);
		return -ENOMEM;
	}
	f->fd = fd;
	return 0;
}

void file_lines_close(struct file_lines *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->buffer) {
		secret_wipe(f->buffer, BUFFER);
		free(f->buffer);
	}
	*f = (struct file_lines){.fd = -1};
}

void file_lines_rewind(struct file_lines *f)
{
	f->start = f->have = 0;
	f->offset = 0;
	f->line = 0;
	f->eof = f->cut = false;
}

static int read_more(struct file_lines *f)
{
	ssize_t n;
	memmove(f->buffer, f->buffer + f->start, f->have - f->start);
	f->have -= f->start;
	f->start = 0;
	do
		n = pread(f->fd, f->buffer + f->have, BUFFER - f->have, f->offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	f->offset += n;
	f->have += (size_t)n;
	f->eof = n == 0;
	return 0;
}

int file_lines_next(struct file_lines *f, struct slice *line)
{
	for (;;) {
		size_t left = f->have - f->start;
		const uint8_t *p = f->buffer + f->start, *end = left ? memchr(p, '\n', left) : NULL;
		if (!end && !f->eof && left < BUFFER) {
			int rc = read_more(f);
			if (rc)
				return rc;
			continue;
		}
		if (left == 0)
			return 0;
		*line = slice_of(p, end ? (size_t)(end - p) : left);
		f->start += line->len + (end ? 1 : 0);
		bool rest = f->cut; // of a line whose beginning was given
		f->cut = !end && !f->eof;
		if (rest)
			continue;
		f->line++;
		return 1;
	}
}

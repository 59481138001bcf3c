// The lines of a file, read in large pieces and bounded memory; the file may be read more than once. What was
// read is wiped: it holds keys. Loader process, main thread.
#pragma once
#include <sys/types.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"

struct file_lines {
	int fd;        // -1: none
	uint64_t line; // number of the last line that was given
	// inside
	uint8_t *buffer;
	size_t start, have;
	off_t offset;
	bool eof, cut;
};

// Opens `name` in the directory. 0 or a negative errno. `f` was closed before, or has fd -1.
int file_lines_open(struct file_lines *f, int dir_fd, const char *name) MUST_USE;
void file_lines_close(struct file_lines *f);
void file_lines_rewind(struct file_lines *f);
// 1 and the next line without its line feed, valid until the next call; 0 at the end; a negative errno. Of a
// line beyond 256 KiB the beginning.
int file_lines_next(struct file_lines *f, struct slice *line) MUST_USE;

// Where tests put their files: below $TMPDIR, which `./check` makes a directory in memory, or /tmp.
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include "tests/support/check.h"

// Fills `path` with DIRECTORY/name, whatever exists there.
static inline void tmp_path(char *path, size_t cap, const char *name)
{
	const char *dir = getenv("TMPDIR");
	int len = snprintf(path, cap, "%s/%s", dir && dir[0] ? dir : "/tmp", name);
	CHECK(len > 0 && (size_t)len < cap);
}

// Makes a new directory and fills `path` with its name; `name` ends with XXXXXX.
static inline void tmp_dir(char *path, size_t cap, const char *name)
{
	tmp_path(path, cap, name);
	CHECK(mkdtemp(path) != NULL);
}

// Files that imstool reads as a whole.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tools/imstool/imstool.h"

static bool read_all(FILE *f, uint8_t **out, size_t *len)
{
	size_t cap = 0, n;

	*len = 0;
	do {
		if (*len == cap) {
			uint8_t *more = cap < IM_FILE_MAX ? realloc(*out, (cap ? 2 * cap : 4096) + 1) : NULL;
			if (!more) {
				errno = cap < IM_FILE_MAX ? ENOMEM : EFBIG;
				return false;
			}
			*out = more;
			cap = cap ? 2 * cap : 4096;
		}
		n = fread(*out + *len, 1, cap - *len, f);
		*len += n;
	} while (n);
	(*out)[*len] = 0;
	return !ferror(f);
}

bool im_read_file(const struct im_args *a, const char *path, uint8_t **out, size_t *len)
{
	bool is_stdin = strcmp(path, "-") == 0, ok;
	FILE *f = is_stdin ? stdin : fopen(path, "rbe");

	*out = NULL;
	ok = f && read_all(f, out, len);
	if (!ok) {
		im_no(a, "%s: %s", is_stdin ? "standard input" : path, err_text(errno));
		free(*out);
		*out = NULL;
	}
	if (f && !is_stdin)
		fclose(f);
	return ok;
}

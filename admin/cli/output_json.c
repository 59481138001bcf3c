// --json: every row as it came, one a line; what programs read.
#include "admin/cli/cli.h"

void cli_json_row(FILE *f, const char *text, size_t len)
{
	fwrite(text, 1, len, f);
	fputc('\n', f);
}

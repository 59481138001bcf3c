// The configuration parser: any text is either refused with lines of text, or printed and then accepted
// again with the same meaning.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct config *c)
{
	static char text[1 << 20];
	static struct config second;
	static struct config_error e;
	int fd = memfd_create("config", MFD_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		abort();
	config_print(c, fd);
	len = pread(fd, text, sizeof(text), 0);
	close(fd);
	if (len <= 0)
		abort();
	if (config_parse(text, (size_t)len, "printed", &second, &e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	if (config_not_reloadable(c, &second))
		abort();
}

static void lines_are_ours(const char *text)
{
	do {
		if (strncmp(text, "fuzz:", 5) != 0)
			abort();
		text = strchr(text, '\n');
	} while (text && *++text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config c;
	static struct config_error e;
	int rc = config_parse((const char *)data, size, "fuzz", &c, &e);

	if (rc == 0)
		again(&c);
	else
		lines_are_ours(e.text);
	return 0;
}

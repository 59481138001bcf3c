// Runs a fuzz target without libFuzzer: every file of the corpus directories given, and truncations of the small ones,
// each in a heap block of its exact size so that AddressSanitizer sees one octet too many.
//
// REPLAY_STEP says which truncations: 1 all of them; n every n-th, beginning at another length in each file, so that
// the corpus as a whole has all of them; 0 none, for targets whose runs take long.
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifndef REPLAY_STEP
#define REPLAY_STEP 1
#endif
#define SMALL 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int run_file(const char *path, unsigned number)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	uint8_t *data = NULL;
	int rc = -1;

	if (!f || fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode))
		goto out;
	data = malloc((size_t)st.st_size + 1);
	if (!data || fread(data, 1, (size_t)st.st_size, f) != (size_t)st.st_size)
		goto out;
	run(data, (size_t)st.st_size);
#if REPLAY_STEP
	for (off_t n = number % REPLAY_STEP; st.st_size <= SMALL && n < st.st_size; n += REPLAY_STEP)
		run(data, (size_t)n);
#else
	(void)number;
#endif
	rc = 0;
out:
	if (rc)
		fprintf(stderr, "%s: can't be read\n", path);
	free(data);
	if (f)
		fclose(f);
	return rc;
}

int main(int argc, char **argv)
{
	unsigned files = 0;

	for (int i = 1; i < argc; i++) {
		struct dirent **entry;
		int cnt = scandir(argv[i], &entry, NULL, alphasort);

		for (int k = 0; k < cnt; k++) {
			char path[4096];

			snprintf(path, sizeof(path), "%s/%s", argv[i], entry[k]->d_name);
			if (entry[k]->d_name[0] != '.' && run_file(path, files++) != 0)
				return 1;
			free(entry[k]);
		}
		if (cnt >= 0)
			free(entry);
	}
	printf("%u files\n", files);
	return files ? 0 : 1; // an empty corpus is a mistake in the build
}

// Runs a fuzz target without libFuzzer: every file of the corpus directories given, and every truncation of
// the small ones, each in a heap block of its exact size so that AddressSanitizer sees one octet too many.
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifdef REPLAY_WHOLE // each run has handshakes: thousands of truncations would take minutes
#define SMALL 0
#else
#define SMALL 4096
#endif

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

static int run_file(const char *path)
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
	for (off_t n = 0; st.st_size <= SMALL && n < st.st_size; n++)
		run(data, (size_t)n);
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
		DIR *dir = opendir(argv[i]);
		struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			char path[4096];

			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
			if (run_file(path) != 0)
				return 1;
			files++;
		}
		if (dir)
			closedir(dir);
	}
	printf("%u files\n", files);
	return files ? 0 : 1; // an empty corpus is a mistake in the build
}

// The start of imstool: finds the command, reads its options, runs it.
#include <errno.h>
#include <string.h>
#include "tools/imstool/imstool.h"

const struct im_command *const im_commands[] = {&im_digest, &im_ng, &im_rtp, NULL};

static const struct im_command *find(const char *name)
{
	for (unsigned i = 0; im_commands[i]; i++)
		if (strcmp(name, im_commands[i]->name) == 0)
			return im_commands[i];
	return NULL;
}

// What was printed must have arrived, or a script would take half an answer for a whole one.
static int flush(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "imstool: standard output: %s\n", err_text(errno));
	return IM_NO;
}

static int run(const struct im_command *command, int argc, char **argv)
{
	struct im_args a;
	int status = im_args_parse(&a, command, argc, argv);

	if (!status)
		status = command->run(&a);
	im_args_fini(&a);
	return status;
}

int main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : "";
	const struct im_command *command = find(first);

	if (command) {
		for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
			if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
				im_help(stdout, command);
				return flush(IM_YES);
			}
		return flush(run(command, argc - 1, argv + 1));
	}
	if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0)
		im_help(stdout, argc > 2 ? find(argv[2]) : NULL);
	else if (strcmp(first, "--version") == 0)
		printf("imstool %s\n", HSS_VERSION);
	else if (strcmp(first, "--commands") == 0)
		im_list_commands(stdout);
	else {
		if (*first)
			fprintf(stderr, "imstool: unknown command %s\n", first);
		im_help(stderr, NULL);
		return IM_USAGE;
	}
	return flush(IM_YES);
}

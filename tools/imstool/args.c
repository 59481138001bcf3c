// The command line: options from each command's table, help made of the same table.
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/secret.h"
#include "tools/imstool/imstool.h"

static const char common_help[] = "  --json                    for programs: JSON in place of tables\n"
				  "  --help                    this\n"
				  "exit status: 0 yes or found; 1 no, not found or no answer; 2 usage\n";

static void complain(const struct im_args *a, const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "imstool %s: ", a->command->name);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int im_usage(const struct im_args *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	complain(a, fmt, ap);
	va_end(ap);
	fprintf(stderr, "`imstool %s --help' says more\n", a->command->name);
	return IM_USAGE;
}

int im_no(const struct im_args *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	complain(a, fmt, ap);
	va_end(ap);
	return IM_NO;
}

bool im_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	*out = v;
	return v >= min && v <= max;
}

static bool keep(struct im_args *a, unsigned index, char *value)
{
	if (!a->command->options[index].secret) {
		a->value[index] = value;
		return true;
	}
	a->copy[index] = strdup(value);
	if (!a->copy[index])
		return false;
	a->value[index] = a->copy[index];
	memset(value, '*', strlen(value));
	return true;
}

int im_args_parse(struct im_args *a, const struct im_command *command, int argc, char **argv)
{
	struct option options[IM_OPTIONS_MAX + 2] = {{"json", no_argument, NULL, IM_OPTIONS_MAX}};
	int id, index = 0;

	*a = (struct im_args){.command = command};
	for (unsigned i = 0; command->options[i].name; i++)
		options[i + 1] = (struct option){command->options[i].name,
						 command->options[i].arg ? required_argument : no_argument, NULL, (int)i};
	opterr = 0;
	while ((id = getopt_long(argc, argv, ":", options, &index)) != -1) {
		if (id == ':')
			return im_usage(a, "%s: a value is missing", argv[optind - 1]);
		if (id < 0 || id > IM_OPTIONS_MAX)
			return im_usage(a, "unknown option %s", argv[optind - 1]);
		if (id == IM_OPTIONS_MAX) {
			a->json = true;
			continue;
		}
		if (a->value[id])
			return im_usage(a, "--%s is given twice", command->options[id].name);
		if (!optarg)
			a->value[id] = "";
		else if (!keep(a, (unsigned)id, optarg))
			return im_no(a, "no memory");
	}
	a->word = argv + optind;
	a->word_cnt = argc - optind;
	return 0;
}

void im_args_fini(struct im_args *a)
{
	for (unsigned i = 0; i < IM_OPTIONS_MAX; i++) {
		if (a->copy[i])
			secret_wipe(a->copy[i], strlen(a->copy[i]));
		free(a->copy[i]);
	}
	*a = (struct im_args){0};
}

static void print_synopsis(FILE *f, const struct im_command *command, const char *head)
{
	const char *line = command->synopsis;

	for (; *line; head = "       ") {
		size_t len = strcspn(line, "\n");
		fprintf(f, "%simstool %.*s\n", head, (int)len, line);
		line += len + (line[len] == '\n');
	}
}

void im_help(FILE *f, const struct im_command *command)
{
	if (command) {
		print_synopsis(f, command, "usage: ");
		fprintf(f, "%s\n", command->details);
		for (const struct im_option *o = command->options; o->name; o++) {
			char head[64];
			snprintf(head, sizeof head, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
			fprintf(f, "  %-25s %s\n", head, o->help);
		}
		fputs(common_help, f);
		fprintf(f, "examples:\n%s", command->examples);
		return;
	}
	for (unsigned i = 0; im_commands[i]; i++)
		print_synopsis(f, im_commands[i], i ? "       " : "usage: ");
	for (unsigned i = 0; im_commands[i]; i++)
		fprintf(f, "  %-8s %s\n", im_commands[i]->name, im_commands[i]->summary);
	fputs("`imstool COMMAND --help' has its options and examples; imstool(1) is the manual page.\n"
	      "  --version                 the version of this program\n",
	      f);
}

void im_list_commands(FILE *f)
{
	for (unsigned i = 0; im_commands[i]; i++) {
		fprintf(f, "%s: %s --json --help", im_commands[i]->name, im_commands[i]->words);
		for (const struct im_option *o = im_commands[i]->options; o->name; o++)
			fprintf(f, " --%s%s%s", o->name, o->arg ? "=" : "", o->arg ? o->arg : "");
		fputc('\n', f);
	}
}

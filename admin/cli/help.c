// Usage texts, made from the table of commands.
#include <ctype.h>
#include <string.h>
#include "admin/cli/cli.h"

static void upper(FILE *f, const char *text)
{
	for (; *text; text++)
		fputc(toupper((unsigned char)*text), f);
}

static const char *type_word(enum admin_type type)
{
	switch (type) {
	case ADMIN_TYPE_KEY:
	case ADMIN_TYPE_AMF:
		return "HEX";
	case ADMIN_TYPE_FORMAT:
		return "FORMAT";
	case ADMIN_TYPE_MSISDN:
	case ADMIN_TYPE_SQN:
	case ADMIN_TYPE_COUNT:
		return "N";
	default:
		return "NAME";
	}
}

static void usage_line(FILE *f, const struct admin_command *c)
{
	fprintf(f, "hssctl %s", c->words);
	for (unsigned i = 0; i < ADMIN_ARG_MAX && c->arg[i].name; i++) {
		const struct admin_arg *arg = &c->arg[i];

		switch (arg->how) {
		case ADMIN_HOW_NEEDED:
		case ADMIN_HOW_FILE:
			fputc(' ', f);
			upper(f, arg->name);
			break;
		case ADMIN_HOW_PAIRS:
			fputs(" KEY=VALUE...", f);
			break;
		case ADMIN_HOW_SENT:
			break;
		case ADMIN_HOW_FLAG:
			fprintf(f, " [--%s]", arg->name);
			break;
		default:
			fprintf(f, " [--%s %s]%s", arg->name, type_word(arg->type),
				arg->how == ADMIN_HOW_MANY ? "..." : "");
			break;
		}
	}
	fputc('\n', f);
}

static void help_command(FILE *f, const struct admin_command *c)
{
	fputs("usage: ", f);
	usage_line(f, c);
	fprintf(f, "\n%s\n", c->help);
	if (c->arg[0].name)
		fputc('\n', f);
	for (unsigned i = 0; i < ADMIN_ARG_MAX && c->arg[i].name; i++) {
		const struct admin_arg *arg = &c->arg[i];
		bool option =
		    arg->how == ADMIN_HOW_OPTION || arg->how == ADMIN_HOW_MANY || arg->how == ADMIN_HOW_FLAG;
		char name[40];

		if (arg->how == ADMIN_HOW_SENT)
			continue;
		snprintf(name, sizeof(name), "%s%s", option ? "--" : "",
			 arg->how == ADMIN_HOW_PAIRS ? "KEY=VALUE" : arg->name);
		if (!option && arg->how != ADMIN_HOW_PAIRS) {
			for (char *p = name; *p; p++)
				*p = (char)toupper((unsigned char)*p);
		}
		fprintf(f, "  %-14s %s\n", name, arg->help);
	}
}

void cli_help(FILE *f, const struct admin_command *command)
{
	if (command) {
		help_command(f, command);
		return;
	}
	fputs("usage: hssctl [--socket PATH] [--json] [--timeout SECONDS] COMMAND ...\n\n"
	      "Talks to a running corehss. Exit status: 0 done, 1 refused or not found, 2 usage.\n\n"
	      "  --socket PATH  admin socket (" CLI_SOCKET ", or $COREHSS_SOCKET)\n"
	      "  --json         rows as JSON, one a line\n"
	      "  --timeout SECONDS\n"
	      "                 give up when nothing has come for so long (30; 0: never, as\n"
	      "                 store index, verify and accept-loss do)\n"
	      "  --help         this text; with a command, what that takes\n"
	      "  --version      version of this program\n\nCommands:\n",
	      f);
	for (unsigned i = 0; i < admin_command_cnt; i++)
		fprintf(f, "  %-19s %s\n", admin_command_rows[i].words, admin_command_rows[i].help);
}

void cli_commands(FILE *f)
{
	for (unsigned i = 0; i < admin_command_cnt; i++) {
		const struct admin_command *c = &admin_command_rows[i];

		fprintf(f, "%s:", c->words);
		for (unsigned n = 0; n < ADMIN_ARG_MAX && c->arg[n].name; n++) {
			const struct admin_arg *arg = &c->arg[n];

			if (arg->how == ADMIN_HOW_OPTION || arg->how == ADMIN_HOW_MANY ||
			    arg->how == ADMIN_HOW_FLAG)
				fprintf(f, " --%s", arg->name);
			if (arg->type == ADMIN_TYPE_KEY)
				fprintf(f, " --%s-file", arg->name);
			if (arg->how == ADMIN_HOW_FILE)
				fputs(" FILE", f);
			if (arg->type == ADMIN_TYPE_LEVEL)
				fputs(" error warn info debug", f);
			if (arg->type == ADMIN_TYPE_FORMAT)
				fputs(" mongo csv", f);
		}
		fputc('\n', f);
	}
}

// Usage texts, made from the table of commands.
#include <ctype.h>
#include <string.h>
#include "admin/cli/cli.h"
#include "admin/cli/screen.h"

bool cli_is_option(const struct admin_arg *arg)
{
	return arg->how == ADMIN_HOW_OPTION || arg->how == ADMIN_HOW_MANY || arg->how == ADMIN_HOW_FLAG ||
	       arg->how == ADMIN_HOW_FILE_OPTION;
}

void cli_option_name(const struct admin_arg *arg, char out[40])
{
	snprintf(out, 40, "%s", arg->name);
	for (char *p = out; (p = strchr(p, '_'));)
		*p = '-';
}

const char *cli_word_name(const struct admin_arg *arg)
{
	static char name[40];

	snprintf(name, sizeof(name), "%s", arg->name);
	for (char *p = name; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return name;
}

static const char *type_word(enum admin_type type)
{
	switch (type) {
	case ADMIN_TYPE_KEY:
	case ADMIN_TYPE_AMF:
		return "HEX";
	case ADMIN_TYPE_FORMAT:
		return "mongo|csv";
	case ADMIN_TYPE_STATUS:
		return "granted|barred";
	case ADMIN_TYPE_DIGITS:
		return "DIGITS";
	case ADMIN_TYPE_MSISDN:
	case ADMIN_TYPE_SQN:
	case ADMIN_TYPE_COUNT:
		return "N";
	default:
		return "TEXT";
	}
}

void cli_usage_line(FILE *f, const struct admin_command *c)
{
	char name[40];

	fprintf(f, "hssctl %s", c->words);
	for (unsigned i = 0; i < ADMIN_ARG_MAX && c->arg[i].name; i++) {
		const struct admin_arg *arg = &c->arg[i];

		cli_option_name(arg, name);
		switch (arg->how) {
		case ADMIN_HOW_NEEDED:
		case ADMIN_HOW_FILE:
			fprintf(f, " %s", cli_word_name(arg));
			break;
		case ADMIN_HOW_WORD:
			fprintf(f, " [%s]", cli_word_name(arg));
			break;
		case ADMIN_HOW_FILE_OPTION:
			fprintf(f, " [--%s FILE]", name);
			break;
		case ADMIN_HOW_PAIRS:
			fputs(" MEMBER=VALUE...", f);
			break;
		case ADMIN_HOW_SENT:
			break;
		case ADMIN_HOW_FLAG:
			fprintf(f, " [--%s]", name);
			break;
		default:
			fprintf(f, " [--%s %s]%s", name, type_word(arg->type), arg->how == ADMIN_HOW_MANY ? "..." : "");
			break;
		}
	}
	fputc('\n', f);
}

// A name and what it means, in lines that fit.
static void help_line(FILE *f, const char *name, unsigned width, const char *text)
{
	char head[64];

	snprintf(head, sizeof(head), "  %-*s ", (int)width, name);
	screen_fold(f, head, width + 3, text);
}

static void help_command(FILE *f, const struct admin_command *c)
{
	fputs("usage: ", f);
	cli_usage_line(f, c);
	fputc('\n', f);
	screen_fold(f, "", 0, c->help);
	if (c->arg[0].name)
		fputc('\n', f);
	for (unsigned i = 0; i < ADMIN_ARG_MAX && c->arg[i].name; i++) {
		const struct admin_arg *arg = &c->arg[i];
		char option[40], name[48];

		if (arg->how == ADMIN_HOW_SENT)
			continue;
		cli_option_name(arg, option);
		snprintf(name, sizeof(name), "%s%s", cli_is_option(arg) ? "--" : "",
			 cli_is_option(arg)		 ? option
			 : arg->how == ADMIN_HOW_PAIRS ? "MEMBER=VALUE"
						       : cli_word_name(arg));
		help_line(f, name, 14, arg->help);
	}
	fprintf(f, "\nexample: hssctl %s\n", c->example);
}

static void help_noun(FILE *f, const char *noun)
{
	size_t n = strlen(noun);

	fprintf(f, "usage: hssctl %s VERB ...   (hssctl %s VERB --help tells more)\n\n", noun, noun);
	for (unsigned i = 0; i < admin_command_cnt; i++) {
		const struct admin_command *c = &admin_command_rows[i];

		if (strncmp(c->words, noun, n) == 0 && c->words[n] == ' ') {
			help_line(f, c->words, 19, c->help);
			fprintf(f, "  %19s e.g. hssctl %s\n", "", c->example);
		}
	}
}

void cli_help(FILE *f, const struct admin_command *command, const char *noun)
{
	if (command) {
		help_command(f, command);
		return;
	}
	if (noun) {
		help_noun(f, noun);
		return;
	}
	fputs("usage: hssctl [--socket PATH] [--json] [--timeout SECONDS] COMMAND ...\n\n"
	      "Talks to a running corehss. Exit status: 0 done, 1 refused or not found, 2 usage.\n\n"
	      "  --socket PATH  admin socket (" CLI_SOCKET ", or $COREHSS_SOCKET)\n"
	      "  --json         rows as JSON, one a line\n"
	      "  --timeout SECONDS\n"
	      "                 give up when nothing has come for so long (30; 0: never, as\n"
	      "                 store index, verify and accept-loss do)\n"
	      "  --help, help   this text; with a noun its verbs, with a command what that takes\n"
	      "  --version      version of this program\n\n"
	      "Examples: hssctl status\n"
	      "          hssctl subscriber add 001010000000001 --k-file k.hex --opc-file opc.hex\n"
	      "          hssctl explain 001010000000001\n\nCommands:\n",
	      f);
	for (unsigned i = 0; i < admin_command_cnt; i++)
		help_line(f, admin_command_rows[i].words, 19, admin_command_rows[i].help);
}

void cli_commands(FILE *f)
{
	for (unsigned i = 0; i < admin_command_cnt; i++) {
		const struct admin_command *c = &admin_command_rows[i];

		fprintf(f, "%s:", c->words);
		for (unsigned n = 0; n < ADMIN_ARG_MAX && c->arg[n].name; n++) {
			const struct admin_arg *arg = &c->arg[n];
			char name[40];

			cli_option_name(arg, name);
			if (cli_is_option(arg))
				fprintf(f, " --%s", name);
			if (arg->type == ADMIN_TYPE_KEY)
				fprintf(f, " --%s-file", arg->name);
			if (arg->how == ADMIN_HOW_FILE)
				fputs(" FILE", f);
			if (arg->type == ADMIN_TYPE_LEVEL)
				fputs(" error warn info debug", f);
		}
		fputc('\n', f);
	}
}

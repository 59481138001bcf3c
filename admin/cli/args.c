// The command line against the table of commands. Keys are taken out of argv once they are read, since every
// user of the machine can see the arguments of a process; a file is the better way to hand them over.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "admin/cli/cli.h"
#include "apps/documents.h"
#include "lib/base/secret.h"
#include "lib/base/similar.h"

#define KEY_FILE_MAX 512

static int usage(struct cli_args *a, const char *what, const char *why)
{
	snprintf(a->error, sizeof(a->error), "%.200s: %.250s", what, why);
	return CLI_USAGE;
}

// A key's file: hex digits, white space around and between them.
static json_t *key_from_file(struct cli_args *a, const char *path)
{
	char text[KEY_FILE_MAX];
	json_t *value = NULL;
	FILE *f = fopen(path, "re");
	size_t len, n = 0;

	if (!f) {
		(void)usage(a, path, err_text(errno));
		return NULL;
	}
	setvbuf(f, NULL, _IONBF, 0); // no copy of it in a buffer
	len = fread(text, 1, sizeof(text), f);
	fclose(f);
	for (size_t i = 0; i < len; i++) {
		if (!strchr(" \t\r\n", text[i]) || !text[i])
			text[n++] = text[i];
	}
	value = len < sizeof(text) ? json_stringn(text, n) : NULL;
	secret_wipe(text, sizeof(text));
	if (!value)
		(void)usage(a, path, "expected hex digits");
	return value;
}

static json_t *value_of(enum admin_type type, const char *text)
{
	char *end;
	unsigned long long v;

	if (type != ADMIN_TYPE_COUNT)
		return json_string(text);
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || v > UINT32_MAX)
		return json_string(text); // refused with the others
	return json_integer((json_int_t)v);
}

static int arg_put(struct cli_args *a, const struct admin_arg *arg, const char *shown, json_t *value)
{
	const char *expected = "";
	json_t *list;
	int rc = CLI_DONE;

	if (!value)
		return usage(a, shown, "expected UTF-8 text");
	if (arg->how != ADMIN_HOW_PAIRS && !admin_value_valid(arg->type, value, &expected)) {
		char why[200];

		snprintf(why, sizeof(why), "expected %s", expected);
		json_decref(value);
		return usage(a, shown, why);
	}
	if (arg->how == ADMIN_HOW_MANY) {
		list = json_object_get(a->args, arg->name);
		if (!list) {
			list = json_array();
			json_object_set_new(a->args, arg->name, list);
		}
		json_array_append_new(list, value);
		return rc;
	}
	if (json_object_get(a->args, arg->name))
		rc = usage(a, shown, "given twice");
	json_object_set_new(a->args, arg->name, value);
	return rc;
}

// Members whose values are text although they may look like numbers.
static bool member_is_text(const char *path)
{
	const struct doc_node *n = schema_find(documents_schema(), path);

	return n && doc_member_is_text(n->member);
}

static int pair_put(struct cli_args *a, const struct admin_arg *arg, char *word)
{
	char *eq = strchr(word, '=');
	json_t *object = json_object_get(a->args, arg->name), *value;

	if (!eq || eq == word)
		return usage(a, word, "expected MEMBER=VALUE, like subscriber_status=1");
	*eq = 0;
	if (!object) {
		object = json_object();
		json_object_set_new(a->args, arg->name, object);
	}
	value = json_loads(eq + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	if (!value || ((json_is_number(value)) && member_is_text(word))) {
		json_decref(value);
		value = json_string(eq + 1);
	}
	secret_wipe(eq + 1, strlen(eq + 1)); // it may be a key
	if (!value || json_object_set_new(object, word, value) != 0)
		return usage(a, word, "expected UTF-8 text");
	return CLI_DONE;
}

static const char *const common_options[] = {"json", "help", "version", "commands", "socket", "timeout"};

static void offer_common(struct similar *like)
{
	for (size_t i = 0; i < sizeof(common_options) / sizeof(common_options[0]); i++)
		similar_offer(like, common_options[i]);
}

// Names the option that may have been meant.
static int option_unknown(struct cli_args *a, const char *shown)
{
	struct similar like = similar_to(shown + 2);
	char why[200], name[ADMIN_ARG_MAX][40];

	for (unsigned i = 0; i < ADMIN_ARG_MAX && a->command->arg[i].name; i++) {
		if (!cli_is_option(&a->command->arg[i]))
			continue;
		cli_option_name(&a->command->arg[i], name[i]);
		similar_offer(&like, name[i]);
	}
	offer_common(&like);
	snprintf(why, sizeof(why), "%s has no such option%s%s%s (hssctl %s --help)", a->command->words,
		 like.best ? "; did you mean --" : "", like.best ? like.best : "", like.best ? "?" : "", a->command->words);
	return usage(a, shown, why);
}

// --name or --name-file of the command; NULL: none of its options.
static const struct admin_arg *option_find(const struct admin_command *c, const char *name, size_t len,
					   bool *file)
{
	for (unsigned i = 0; i < ADMIN_ARG_MAX && c->arg[i].name; i++) {
		const struct admin_arg *arg = &c->arg[i];
		size_t n = strlen(arg->name);
		char option[40];

		if (!cli_is_option(arg))
			continue;
		cli_option_name(arg, option);
		*file = arg->type == ADMIN_TYPE_KEY && len == n + 5 && memcmp(name + n, "-file", 5) == 0;
		if ((len == n || *file) && memcmp(option, name, n) == 0)
			return arg;
	}
	return NULL;
}

// An option at argv[*i]; moves *i over its value.
static int option_take(struct cli_args *a, int argc, char **argv, int *i)
{
	char *word = argv[*i], *eq = strchr(word, '=');
	size_t len = eq ? (size_t)(eq - word) : strlen(word);
	const struct admin_arg *arg;
	char shown[64], *value;
	bool file = false;
	int rc;

	snprintf(shown, sizeof(shown), "%.*s", (int)len, word);
	arg = option_find(a->command, word + 2, len - 2, &file);
	if (!arg)
		return option_unknown(a, shown);
	if (arg->how == ADMIN_HOW_FLAG)
		return eq ? usage(a, shown, "takes no value") : arg_put(a, arg, shown, json_true());
	if (!eq && *i + 1 >= argc)
		return usage(a, shown, "expected a value");
	value = eq ? eq + 1 : argv[++*i];
	if (arg->how == ADMIN_HOW_FILE_OPTION) {
		a->file = value;
		return *value ? CLI_DONE : usage(a, shown, "expected a path");
	}
	if (file) {
		json_t *key = key_from_file(a, value);

		return key ? arg_put(a, arg, shown, key) : CLI_USAGE;
	}
	rc = arg_put(a, arg, shown, value_of(arg->type, value));
	if (arg->type == ADMIN_TYPE_KEY)
		secret_wipe(value, strlen(value));
	return rc;
}

// The next word that is not an option goes to the first argument without a value.
static int word_take(struct cli_args *a, char *word)
{
	for (unsigned i = 0; i < ADMIN_ARG_MAX && a->command->arg[i].name; i++) {
		const struct admin_arg *arg = &a->command->arg[i];

		if ((arg->how == ADMIN_HOW_NEEDED || arg->how == ADMIN_HOW_WORD) && !json_object_get(a->args, arg->name))
			return arg_put(a, arg, cli_word_name(arg), value_of(arg->type, word));
		if (arg->how == ADMIN_HOW_FILE && !a->file) {
			a->file = word;
			return CLI_DONE;
		}
		if (arg->how == ADMIN_HOW_PAIRS)
			return pair_put(a, arg, word);
	}
	char why[160];

	snprintf(why, sizeof(why), "%s (hssctl %s --help tells what it takes)",
		 word[0] == '-' ? "no such option" : "one word too many", a->command->words);
	return usage(a, word, why);
}

static int complete(struct cli_args *a)
{
	char line[256], why[300], *end;

	for (unsigned i = 0; i < ADMIN_ARG_MAX && a->command->arg[i].name; i++) {
		const struct admin_arg *arg = &a->command->arg[i];
		bool there = arg->how == ADMIN_HOW_FILE ? a->file != NULL
							: json_object_get(a->args, arg->name) != NULL;
		FILE *f;

		if (there || (arg->how != ADMIN_HOW_NEEDED && arg->how != ADMIN_HOW_PAIRS && arg->how != ADMIN_HOW_FILE))
			continue;
		f = fmemopen(line, sizeof(line), "w");
		if (f) {
			cli_usage_line(f, a->command);
			fclose(f);
		}
		line[sizeof(line) - 1] = 0;
		end = strchr(line, '\n');
		if (end)
			*end = 0;
		snprintf(why, sizeof(why), "is missing: %s", f ? line : a->command->words);
		return usage(a, arg->how == ADMIN_HOW_PAIRS ? "MEMBER=VALUE" : cli_word_name(arg), why);
	}
	if (strcmp(a->command->words, "trace") == 0 && !json_object_get(a->args, "subject") == !json_object_get(a->args, "peer"))
		return usage(a, "trace", "expected a subscriber, or --peer HOST (hssctl trace --help)");
	if (strcmp(a->command->words, "subscriber add") == 0 && !json_object_get(a->args, "k"))
		return usage(a, "subscriber add", "--k or --k-file is needed");
	return CLI_DONE;
}

// Seconds; more than CLI_TIMEOUT_S_MAX when that is what it says, or when it is no number.
static unsigned seconds_of(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	return *end || *text < '0' || *text > '9' || v > CLI_TIMEOUT_S_MAX ? CLI_TIMEOUT_S_MAX + 1
									   : (unsigned)v;
}

// Options before and between the words that belong to no command. Returns how many words it took, 0: not one
// of them.
static int common_take(struct cli_args *a, int left, char **argv)
{
	if (strcmp(argv[0], "--json") == 0)
		a->json = true;
	else if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
		a->help = true;
	else if (strcmp(argv[0], "--version") == 0)
		a->version = true;
	else if (strcmp(argv[0], "--commands") == 0)
		a->commands = true;
	else if (strncmp(argv[0], "--socket=", 9) == 0)
		a->socket = argv[0] + 9;
	else if (strcmp(argv[0], "--socket") == 0 && left > 1) {
		a->socket = argv[1];
		return 2;
	} else if (strncmp(argv[0], "--timeout=", 10) == 0) {
		a->timeout_s = seconds_of(argv[0] + 10);
	} else if (strcmp(argv[0], "--timeout") == 0 && left > 1) {
		a->timeout_s = seconds_of(argv[1]);
		return 2;
	} else {
		return 0;
	}
	return 1;
}

// One or two words; the longer name wins. Returns how many were taken, 0: no such command.
static int command_take(struct cli_args *a, int left, char **argv)
{
	char words[64];

	if (left > 1) {
		snprintf(words, sizeof(words), "%.30s %.30s", argv[0], argv[1]);
		a->command = admin_command_find(words);
		if (a->command)
			return 2;
	}
	a->command = admin_command_find(argv[0]);
	return a->command ? 1 : 0;
}

// Is it the first word of commands?
static bool is_noun(const char *word)
{
	for (unsigned i = 0; i < admin_command_cnt; i++) {
		size_t n = strcspn(admin_command_rows[i].words, " ");

		if (strlen(word) == n && memcmp(word, admin_command_rows[i].words, n) == 0)
			return true;
	}
	return false;
}

// Of the verbs of a noun the one that may have been meant. A noun with a value in place of a verb is one to be shown.
static void no_such_verb(struct cli_args *a, const char *noun, const char *verb)
{
	struct similar like = similar_to(verb);
	size_t n = strlen(noun);
	char words[64], why[200];

	for (unsigned i = 0; i < admin_command_cnt; i++) {
		const char *candidate = admin_command_rows[i].words;

		if (strncmp(candidate, noun, n) == 0 && candidate[n] == ' ')
			similar_offer(&like, candidate + n + 1);
	}
	snprintf(words, sizeof(words), "%.30s show", noun);
	if (like.best)
		snprintf(why, sizeof(why), "no such command; did you mean hssctl %.30s %.30s?", noun, like.best);
	else if (admin_command_find(words) && verb[strcspn(verb, "0123456789@:.")])
		snprintf(why, sizeof(why), "no such command; did you mean hssctl %s %.60s?", words, verb);
	else
		snprintf(why, sizeof(why), "no such command (hssctl %.30s lists them)", noun);
	snprintf(words, sizeof(words), "%.30s %.30s", noun, verb);
	(void)usage(a, words, why);
}

// Of all commands and nouns the one that may have been meant: by both words, the other way round, or by the first alone.
static void no_such_command(struct cli_args *a, const char *noun, const char *verb)
{
	char words[64], swapped[64], nouns[32][32], why[160];
	const char *best;
	unsigned cnt = 0;

	snprintf(words, sizeof(words), "%.30s%s%.30s", noun, *verb ? " " : "", verb);
	snprintf(swapped, sizeof(swapped), "%.30s %.30s", verb, noun);
	struct similar both = similar_to(words), first = similar_to(noun);
	for (unsigned i = 0; i < admin_command_cnt; i++) {
		const char *candidate = admin_command_rows[i].words;
		size_t n = strcspn(candidate, " ");

		similar_offer(&both, candidate);
		if (cnt < 32 && n < sizeof(nouns[0]) && (cnt == 0 || strncmp(nouns[cnt - 1], candidate, n) != 0)) {
			snprintf(nouns[cnt], sizeof(nouns[cnt]), "%.*s", (int)n, candidate);
			similar_offer(&first, nouns[cnt++]);
		}
	}
	best = admin_command_find(swapped) ? swapped : both.best ? both.best : first.best;
	if (best)
		snprintf(why, sizeof(why), "no such command; did you mean hssctl %.60s?", best);
	else
		snprintf(why, sizeof(why), "no such command (hssctl help lists them)");
	(void)usage(a, noun, why);
}

// Words that are no command: `help`, a noun alone, or a slip, with what may have been meant. Returns as command_take;
// when it takes nothing a->error says why.
static int other_take(struct cli_args *a, int left, char **argv)
{
	bool two = left > 1 && argv[1][0] != '-';

	if (strcmp(argv[0], "help") == 0) {
		a->help = true;
		return 1;
	}
	if (is_noun(argv[0]) && (!two || a->help)) {
		a->noun = argv[0];
		return 1;
	}
	if (is_noun(argv[0]) && two)
		no_such_verb(a, argv[0], argv[1]);
	else
		no_such_command(a, argv[0], two ? argv[1] : "");
	return 0;
}

// Before a command.
static int option_unknown_here(struct cli_args *a, const char *shown)
{
	struct similar like = similar_to(strncmp(shown, "--", 2) == 0 ? shown + 2 : "");
	char why[120];

	offer_common(&like);
	snprintf(why, sizeof(why), "no such option%s%s%s (hssctl --help)", like.best ? "; did you mean --" : "",
		 like.best ? like.best : "", like.best ? "?" : "");
	return usage(a, shown, why);
}

int cli_args_parse(int argc, char **argv, struct cli_args *a)
{
	const char *env = getenv("COREHSS_SOCKET");
	bool words_only = false;
	int rc = CLI_DONE;

	*a = (struct cli_args){
	    .socket = env && *env ? env : CLI_SOCKET, .timeout_s = CLI_TIMEOUT_NONE, .args = json_object()};
	if (!a->args)
		return usage(a, "hssctl", "no memory");
	for (int i = 1; i < argc && rc == CLI_DONE; i++) {
		int taken = words_only ? 0 : common_take(a, argc - i, argv + i);

		if (taken) {
			i += taken - 1;
		} else if (!a->command) {
			if (argv[i][0] == '-')
				return option_unknown_here(a, argv[i]);
			taken = command_take(a, argc - i, argv + i);
			if (!taken)
				taken = other_take(a, argc - i, argv + i);
			if (!taken)
				return CLI_USAGE;
			i += taken - 1;
		} else if (!words_only && strcmp(argv[i], "--") == 0) {
			words_only = true;
		} else if (!words_only && strncmp(argv[i], "--", 2) == 0) {
			rc = option_take(a, argc, argv, &i);
		} else {
			rc = word_take(a, argv[i]);
		}
	}
	a->help |= a->noun != NULL; // a noun alone
	if (a->help || a->version || a->commands)
		return CLI_DONE;
	if (a->timeout_s == CLI_TIMEOUT_NONE) // an end is certain: the loader's, or hss-admin's when the loader goes
		a->timeout_s = a->command && a->command->flags & (ADMIN_FLAG_SLOW | ADMIN_FLAG_LIVE) ? 0 : CLI_TIMEOUT_S;
	if (rc == CLI_DONE && a->timeout_s > CLI_TIMEOUT_S_MAX)
		return usage(a, "--timeout", "expected seconds, 0 (for ever) to 86400");
	if (rc == CLI_DONE && !a->command)
		return usage(a, "hssctl", "a command is needed; begin with hssctl status, or hssctl subscriber add --help (hssctl help lists them all)");
	return rc == CLI_DONE ? complete(a) : rc;
}

void cli_args_fini(struct cli_args *a)
{
	json_decref(a->args);
	a->args = NULL;
}

// Commands as rows, requests as checked JSON. hss-admin and hssctl. Whatever a client sends, what comes out
// of here is a row of the table and arguments of the types that it names.
#include "admin/command.h"
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/ident.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define SQN_LIMIT (1ull << 48)
#define TEXT_MAX  512
#define MANY_MAX  64

// clang-format off
#define ARG(NAME, TYPE, HOW, HELP) {.name = NAME, .type = ADMIN_TYPE_##TYPE, .how = ADMIN_HOW_##HOW, .help = HELP},
#define INPUT ADMIN_FLAG_INPUT
#define SLOW  ADMIN_FLAG_SLOW
#define TEXT_ROW ADMIN_FLAG_TEXT
#define HERE  ADMIN_FLAG_HERE
#define LOOKS ADMIN_FLAG_LOOKS
#define LIVE  ADMIN_FLAG_LIVE
#define COMMAND(WORDS, SERVED, FLAGS, HELP, EXAMPLE, ARGS)                                                            \
	{.words = WORDS, .served = ADMIN_SERVED_##SERVED, .flags = FLAGS, .help = HELP, .example = EXAMPLE, .arg = {ARGS}},
// clang-format on
const struct admin_command admin_command_rows[] = {
#include "admin/command.def"
};
#undef COMMAND
#undef INPUT
#undef SLOW
#undef TEXT_ROW
#undef HERE
#undef LOOKS
#undef LIVE
#undef ARG
const unsigned admin_command_cnt = sizeof(admin_command_rows) / sizeof(admin_command_rows[0]);

const struct admin_command *admin_command_find(const char *words)
{
	for (unsigned i = 0; i < admin_command_cnt; i++) {
		if (strcmp(admin_command_rows[i].words, words) == 0)
			return &admin_command_rows[i];
	}
	return NULL;
}

static bool text_valid(struct slice s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	}
	return s.len > 0 && s.len <= TEXT_MAX;
}

static bool hex_valid(struct slice s, unsigned digits)
{
	uint8_t bytes[32];
	bool ok = s.len == digits && hex_parse(s, bytes, digits / 2);

	secret_wipe(bytes, sizeof(bytes));
	return ok;
}

// A decimal number, as text or as a JSON integer: shells pass text, and 48 bits fit both.
static bool sqn_valid(const json_t *value)
{
	const char *text = json_string_value(value);
	uint64_t v = 0;

	if (json_is_integer(value))
		return json_integer_value(value) >= 0 && (uint64_t)json_integer_value(value) < SQN_LIMIT;
	if (!text || !*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || v >= SQN_LIMIT)
			return false;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	return v < SQN_LIMIT;
}

bool admin_value_valid(enum admin_type type, const json_t *value, const char **expected)
{
	struct slice s = slice_of(json_string_value(value), json_string_length(value));
	bool text = json_is_string(value);
	enum log_level level;
	msisdn_t msisdn;
	imsi_t imsi;

	switch (type) {
	case ADMIN_TYPE_IMSI:
		*expected = "5 to 15 digits";
		return text && imsi_parse(s, &imsi);
	case ADMIN_TYPE_MSISDN:
		*expected = "1 to 15 digits";
		return text && msisdn_parse(s, &msisdn);
	case ADMIN_TYPE_KEY:
		*expected = "32 hex digits";
		return text && hex_valid(s, 32);
	case ADMIN_TYPE_AMF:
		*expected = "4 hex digits";
		return text && hex_valid(s, 4);
	case ADMIN_TYPE_SQN:
		*expected = "a decimal number below 281474976710656";
		return sqn_valid(value);
	case ADMIN_TYPE_COUNT:
		*expected = "a whole number from 1 to 4294967295";
		return json_is_integer(value) && json_integer_value(value) >= 1 &&
		       json_integer_value(value) <= UINT32_MAX;
	case ADMIN_TYPE_DIGITS:
		*expected = "1 to 15 digits";
		return text && s.len <= 15 && s.len > 0 && strspn(json_string_value(value), "0123456789") == s.len;
	case ADMIN_TYPE_STATUS:
		*expected = "granted or barred";
		return text && (slice_eq(s, slice_str("granted")) || slice_eq(s, slice_str("barred")));
	case ADMIN_TYPE_TEXT:
		*expected = "1 to 512 octets of text without control characters";
		return text && text_valid(s);
	case ADMIN_TYPE_LEVEL:
		*expected = "error, warn, info or debug";
		return text && strlen(json_string_value(value)) == s.len &&
		       log_level_parse(json_string_value(value), &level);
	case ADMIN_TYPE_FORMAT:
		*expected = "mongo or csv";
		return text && (slice_eq(s, slice_str("mongo")) || slice_eq(s, slice_str("csv")));
	case ADMIN_TYPE_BOOL:
		*expected = "true or false";
		return json_is_boolean(value);
	case ADMIN_TYPE_OBJECT:
		*expected = "at least one KEY=VALUE";
		return json_is_object(value) && json_object_size(value) > 0;
	}
	return false;
}

static bool arg_valid(const struct admin_arg *arg, const json_t *value, const char **expected)
{
	size_t i;
	json_t *item;

	if (arg->how != ADMIN_HOW_MANY)
		return admin_value_valid(arg->type, value, expected);
	if (!json_is_array(value) || json_array_size(value) > MANY_MAX) {
		*expected = "a list of at most 64 values";
		return false;
	}
	json_array_foreach(value, i, item)
	{
		if (!admin_value_valid(arg->type, item, expected))
			return false;
	}
	return true;
}

static const struct admin_arg *arg_find(const struct admin_command *c, const char *name)
{
	for (unsigned i = 0; i < ADMIN_ARG_MAX && c->arg[i].name; i++) {
		if (c->arg[i].how != ADMIN_HOW_FILE && c->arg[i].how != ADMIN_HOW_FILE_OPTION && strcmp(c->arg[i].name, name) == 0)
			return &c->arg[i];
	}
	return NULL;
}

static int args_check(const struct admin_command *c, json_t *args, char error[256])
{
	const char *name, *expected = "";
	json_t *value;

	json_object_foreach(args, name, value)
	{
		const struct admin_arg *arg = arg_find(c, name);

		if (!arg) {
			snprintf(error, 256, "%s: an argument that it does not have", c->words);
			return -EINVAL;
		}
		if (!arg_valid(arg, value, &expected)) {
			snprintf(error, 256, "%s: %s: expected %s", c->words, arg->name, expected);
			return -EINVAL;
		}
	}
	for (unsigned i = 0; i < ADMIN_ARG_MAX && c->arg[i].name; i++) {
		const struct admin_arg *arg = &c->arg[i];

		if ((arg->how == ADMIN_HOW_NEEDED || arg->how == ADMIN_HOW_PAIRS) &&
		    !json_object_get(args, arg->name)) {
			snprintf(error, 256, "%s: %s is missing", c->words, arg->name);
			return -EINVAL;
		}
	}
	return 0;
}

int admin_request_parse(struct slice line, struct admin_request *out, char error[256])
{
	json_error_t why;
	json_t *root = NULL, *args;
	const char *words, *name;
	json_t *value;
	int rc = -EINVAL;

	*out = (struct admin_request){0};
	if (line.len <= ADMIN_REQUEST_MAX)
		root = json_loadb((const char *)line.p, line.len, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(root)) {
		snprintf(error, 256, "expected a JSON object on one line of at most %u octets",
			 ADMIN_REQUEST_MAX);
		goto out;
	}
	json_object_foreach(root, name, value)
	{
		if (strcmp(name, "cmd") != 0 && strcmp(name, "args") != 0) {
			snprintf(error, 256, "expected the members cmd and args only");
			goto out;
		}
	}
	words = json_string_value(json_object_get(root, "cmd"));
	args = json_object_get(root, "args");
	out->command = words ? admin_command_find(words) : NULL;
	if (!out->command) {
		snprintf(error, 256, "cmd: expected the name of a command");
		goto out;
	}
	if (args && !json_is_object(args)) {
		snprintf(error, 256, "%s: args: expected an object", out->command->words);
		goto out;
	}
	out->args = args ? json_incref(args) : json_object();
	rc = out->args ? args_check(out->command, out->args, error) : -EINVAL;
out:
	json_decref(root);
	if (rc)
		admin_request_fini(out);
	return rc;
}

void admin_request_fini(struct admin_request *r)
{
	json_decref(r->args);
	json_decref(r->by);
	*r = (struct admin_request){0};
}

char *admin_request_text(const struct admin_request *r)
{
	json_t *root = json_pack("{s:s, s:O, s:O*}", "cmd", r->command->words, "args", r->args, "by", r->by);
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

	json_decref(root);
	return text;
}

void admin_json_free(void *p)
{
	if (p)
		secret_wipe(p, malloc_usable_size(p));
	free(p);
}

void admin_json_init(void)
{
	json_set_alloc_funcs(malloc, admin_json_free);
}

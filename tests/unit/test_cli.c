// hssctl without a socket: its command line, that keys leave argv, and that what peers and documents say
// can't reach the terminal as control characters.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "admin/cli/cli.h"

#define K        "465B5CE8B199B49FAA5F0A2EE238A6BC"
#define OPC      "E8ED289DEBA952E4283B54E88E6183CA"
#define WORD_MAX 16

static char words[WORD_MAX][512];
static char *argv[WORD_MAX + 1];
static struct cli_args a;

// Words separated by single blanks, each in a buffer that may be overwritten.
static int parse(const char *line)
{
	int argc = 1;

	cli_args_fini(&a);
	argv[0] = words[0];
	for (const char *p = line; *p && argc < WORD_MAX; argc++) {
		size_t len = strcspn(p, " ");

		snprintf(words[argc], sizeof(words[0]), "%.*s", (int)len, p);
		argv[argc] = words[argc];
		p += len + (p[len] == ' ');
	}
	argv[argc] = NULL;
	return cli_args_parse(argc, argv, &a);
}

static const struct {
	const char *line, *request; // NULL: refused
	const char *error;
} lines[] = {
    {"status", "{\"cmd\":\"status\",\"args\":{}}", NULL},
    {"--json sqn show 00101", "{\"cmd\":\"sqn show\",\"args\":{\"imsi\":\"00101\"}}", NULL},
    {"sqn show 00101 --json", "{\"cmd\":\"sqn show\",\"args\":{\"imsi\":\"00101\"}}", NULL},
    {"sqn set --force 00101 64",
     "{\"cmd\":\"sqn set\",\"args\":{\"force\":true,\"imsi\":\"00101\",\"sqn\":\"64\"}}", NULL},
    {"sqn jump --by 7", "{\"cmd\":\"sqn jump\",\"args\":{\"by\":7}}", NULL},
    {"subscriber add 00101 --k " K " --opc=" OPC " --msisdn 1 --msisdn 2 --apn ims",
     "{\"cmd\":\"subscriber add\",\"args\":{\"imsi\":\"00101\",\"k\":\"" K "\",\"opc\":\"" OPC
     "\",\"msisdn\":[\"1\",\"2\"],\"apn\":[\"ims\"]}}",
     NULL},
    {"subscriber set 00101 a.b=1 c=x security.amf=8000 d=null e={\"f\":[1]} g=",
     "{\"cmd\":\"subscriber "
     "set\",\"args\":{\"imsi\":\"00101\",\"fields\":{\"a.b\":1,\"c\":\"x\",\"security.amf\":"
     "\"8000\",\"d\":null,\"e\":{\"f\":[1]},\"g\":\"\"}}}",
     NULL},
    {"subscriber import -- --file", "{\"cmd\":\"subscriber import\",\"args\":{}}", NULL},
    {"subscriber list --limit 5 --count --prefix 001 --status barred --node m",
     "{\"cmd\":\"subscriber list\",\"args\":{\"limit\":5,\"count\":true,\"prefix\":\"001\",\"status\":\"barred\",\"node\":\"m\"}}",
     NULL},
    {"subscriber import --dry-run f", "{\"cmd\":\"subscriber import\",\"args\":{\"dry_run\":true}}", NULL},
    {"subscriber set 00101 iccid=8988211 slice.0.session.0.name=42 x.y=42 --force",
     "{\"cmd\":\"subscriber set\",\"args\":{\"imsi\":\"00101\",\"fields\":{\"iccid\":\"8988211\",\"slice.0.session.0.name\":"
     "\"42\",\"x.y\":42},\"force\":true}}",
     NULL},
    {"", NULL, "hssctl: a command is needed; begin with hssctl status, or hssctl subscriber add --help (hssctl help lists them all)"},
    {"sqn eat", NULL, "sqn eat: no such command (hssctl sqn lists them)"},
    {"sqn shwo 1", NULL, "sqn shwo: no such command; did you mean hssctl sqn show?"},
    {"subscriber lst", NULL, "subscriber lst: no such command; did you mean hssctl subscriber list?"},
    {"subcriber list", NULL, "subcriber: no such command; did you mean hssctl subscriber list?"},
    {"peers", NULL, "peers: no such command; did you mean hssctl peer?"},
    {"trcae 00101", NULL, "trcae: no such command; did you mean hssctl trace?"},
    {"list subscriber", NULL, "list: no such command; did you mean hssctl subscriber list?"},
    {"subscriber 00101", NULL, "subscriber 00101: no such command; did you mean hssctl subscriber show 00101?"},
    {"status --josn", NULL, "--josn: status has no such option; did you mean --json? (hssctl status --help)"},
    {"--josn status", NULL, "--josn: no such option; did you mean --json? (hssctl --help)"},
    {"-x status", NULL, "-x: no such option (hssctl --help)"},
    {"alarm list -a", NULL, "-a: no such option (hssctl alarm list --help tells what it takes)"},
    {"trace", NULL, "trace: expected a subscriber, or --peer HOST (hssctl trace --help)"},
    {"trace 00101 --peer x", NULL, "trace: expected a subscriber, or --peer HOST (hssctl trace --help)"},
    {"trace 00101 --limit 5", "{\"cmd\":\"trace\",\"args\":{\"subject\":\"00101\",\"limit\":5}}", NULL},
    {"trace --peer a.test --pcap f", "{\"cmd\":\"trace\",\"args\":{\"peer\":\"a.test\"}}", NULL},
    {"stauts", NULL, "stauts: no such command; did you mean hssctl status?"},
    {"subscriber frobnicate", NULL, "subscriber frobnicate: no such command (hssctl subscriber lists them)"},
    {"frobnicate", NULL, "frobnicate: no such command (hssctl help lists them)"},
    {"--loud", NULL, "--loud: no such option (hssctl --help)"},
    {"sqn show", NULL, "IMSI: is missing: hssctl sqn show IMSI"},
    {"sqn show 1x", NULL, "IMSI: expected 5 to 15 digits"},
    {"sqn show 00101 00102", NULL, "00102: one word too many (hssctl sqn show --help tells what it takes)"},
    {"sqn set 00101 1 --froce", NULL,
     "--froce: sqn set has no such option; did you mean --force? (hssctl sqn set --help)"},
    {"sqn show 00101 --xyz=1", NULL, "--xyz: sqn show has no such option (hssctl sqn show --help)"},
    {"subscriber list --prefix NAME", NULL, "--prefix: expected 1 to 15 digits"},
    {"subscriber list --status x", NULL, "--status: expected granted or barred"},
    {"sqn set 00101 1 --force=1", NULL, "--force: takes no value"},
    {"sqn jump --by", NULL, "--by: expected a value"},
    {"sqn jump --by x", NULL, "--by: expected a whole number from 1 to 4294967295"},
    {"sqn jump --by 1 --by 2", NULL, "--by: given twice"},
    {"subscriber add 00101", NULL, "subscriber add: --k or --k-file is needed"},
    {"subscriber add 00101 --k " K, "{\"cmd\":\"subscriber add\",\"args\":{\"imsi\":\"00101\",\"k\":\"" K "\"}}",
     NULL}, // s6a.op_file may be set
    {"subscriber add 00101 --k 46 --opc " OPC, NULL, "--k: expected 32 hex digits"},
    {"subscriber add 00101 --k-file /nonexistent", NULL, "/nonexistent: No such file or directory"},
    {"subscriber set 00101", NULL, "MEMBER=VALUE: is missing: hssctl subscriber set IMSI MEMBER=VALUE... [--force]"},
    {"subscriber set 00101 x", NULL, "x: expected MEMBER=VALUE, like subscriber_status=1"},
    {"subscriber export", NULL, "FILE: is missing: hssctl subscriber export FILE [--format mongo|csv]"},
    {"log level loud", NULL, "LEVEL: expected error, warn, info or debug"},
};

static void command_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct admin_request r;
		char error[256], *text;
		int rc = parse(lines[i].line);

		if (!lines[i].request) {
			assert_int_equal(rc, CLI_USAGE);
			assert_string_equal(a.error, lines[i].error);
			continue;
		}
		if (rc != CLI_DONE)
			fail_msg("%s: %s", lines[i].line, a.error);
		r = (struct admin_request){.command = a.command, .args = a.args};
		text = admin_request_text(&r);
		assert_string_equal(text, lines[i].request);
		// hss-admin takes what hssctl composes
		assert_int_equal(admin_request_parse(slice_str(text), &r, error), 0);
		admin_request_fini(&r);
		free(text);
	}
	cli_args_fini(&a);
}

static char *help_of(const char *line)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(parse(line), CLI_DONE);
	assert_true(a.help);
	cli_help(f, a.command, a.noun);
	fclose(f);
	cli_args_fini(&a);
	return text;
}

// However somebody asks for help, it comes, with an example.
static void help_in_every_form(void **state)
{
	static const struct {
		const char *line, *has;
	} asked[] = {{"help", "\n  subscriber bar "},
		     {"--help", "\n  subscriber bar "},
		     {"subscriber", "e.g. hssctl subscriber list --status"},
		     {"subscriber --help", "e.g. hssctl subscriber add"},
		     {"help subscriber", "e.g. hssctl subscriber add"},
		     {"sqn", "sqn jump"},
		     {"help sqn set", "example: hssctl sqn set 001010000000001"},
		     {"sqn set --help", "usage: hssctl sqn set IMSI SQN [--force]"},
		     {"subscriber import --help", "--dry-run"},
		     {"status --help", "example: hssctl status"}};

	(void)state;
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		char *text = help_of(asked[i].line);

		if (!strstr(text, asked[i].has))
			fail_msg("%s: %s", asked[i].line, text);
		free(text);
	}
	// and every example is a command
	for (unsigned i = 0; i < admin_command_cnt; i++) {
		char *copy = strdup(admin_command_rows[i].example);

		assert_memory_equal(copy, admin_command_rows[i].words, strlen(admin_command_rows[i].words));
		if (!strstr(copy, "-file"))
			assert_int_equal(parse(copy), CLI_DONE);
		free(copy);
	}
	cli_args_fini(&a);
}

static void keys_leave_argv(void **state)
{
	(void)state;
	assert_int_equal(parse("subscriber add 00101 --k " K " --opc=" OPC), CLI_DONE);
	assert_int_equal(parse("subscriber add 00101 --k " K " --op " OPC "00"), CLI_USAGE);
	for (unsigned i = 0; i < WORD_MAX; i++) {
		assert_null(strstr(words[i], K));
		assert_null(strstr(words[i], OPC));
		for (size_t n = 0; n + 32 <= sizeof(words[0]); n++)
			assert_memory_not_equal(words[i] + n, K, 32);
	}
	assert_int_equal(parse("subscriber set 00101 security.k=" K), CLI_DONE);
	assert_memory_not_equal(strchr(words[4], 0) + 1, K, 32);
	cli_args_fini(&a);
}

static void environment(void **state)
{
	(void)state;
	unsetenv("COREHSS_SOCKET");
	assert_int_equal(parse("stats"), CLI_DONE);
	assert_string_equal(a.socket, CLI_SOCKET);
	setenv("COREHSS_SOCKET", "/a", 1);
	assert_int_equal(parse("stats"), CLI_DONE);
	assert_string_equal(a.socket, "/a");
	assert_int_equal(parse("--socket=/b stats"), CLI_DONE);
	assert_string_equal(a.socket, "/b");
	assert_int_equal(parse("--socket /c stats --json"), CLI_DONE);
	assert_string_equal(a.socket, "/c");
	assert_true(a.json);
	cli_args_fini(&a);
	unsetenv("COREHSS_SOCKET");
}

static char *printed(const char *command, const char *const rows[])
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct cli_output *o = cli_text_new(admin_command_find(command), f);

	assert_non_null(o);
	for (unsigned i = 0; rows[i]; i++)
		cli_text_row(o, rows[i], strlen(rows[i]));
	cli_text_end(&o, true);
	fclose(f);
	return text;
}

static void tables(void **state)
{
	char *text = printed(
	    "subscriber list",
	    (const char *const[]){"{\"imsi\":\"001010000000001\",\"msisdn\":[\"1\",\"22\"],\"status\":"
				  "\"granted\",\"mme\":null,\"sgsn\":\"s.test\"}",
				  "{\"imsi\":\"00101\",\"mme\":\"evil\\u001b[2Jhost\\n\"}", "[]", NULL});

	(void)state;
	assert_string_equal(text, "IMSI             MSISDN  STATUS   MME            SGSN\n"
				  "001010000000001  1,22    granted  -              s.test\n"
				  "00101            -       -        evil?[2Jhost?  -\n");
	free(text);
	text = printed("subscriber list", (const char *const[]){NULL});
	assert_string_equal(text, "IMSI  MSISDN  STATUS  MME  SGSN\n");
	free(text);
}

static void documents(void **state)
{
	char *text = printed("location show",
			     (const char *const[]){"{\"imsi\":\"00101\",\"mme\":{\"host\":\"m\\u0007\","
						   "\"time_us\":1000000,\"purged\":false},\"list\":[],"
						   "\"slice\":[{\"sst\":1,\"x\":2.5}],\"bad\\u001bname\":1}",
						   NULL});

	(void)state;
	assert_string_equal(text, "imsi         00101\n"
				  "mme.host     m?\n"
				  "mme.time_us  1970-01-01 00:00:01 UTC\n"
				  "mme.purged   no\n"
				  "list         -\n"
				  "slice.0.sst  1\n"
				  "slice.0.x    2.5\n"
				  "bad?name     1\n");
	free(text);
}

static void a_subscriber_in_words(void **state)
{
	char *text = printed(
	    "subscriber show",
	    (const char *const[]){"{\"imsi\":\"00101\",\"ambr\":{\"downlink\":{\"value\":1,\"unit\":3}},\"slice\":[{\"session\":[{"
				  "\"type\":3,\"qos\":{\"arp\":{\"pre_emption_capability\":1}}}]}],\"subscriber_status\":1,"
				  "\"operator_determined_barring\":0,\"access_restriction_data\":32,"
				  "\"subscribed_rau_tau_timer\":12,\"network_access_mode\":7}",
				  NULL});

	(void)state;
	assert_string_equal(text, "imsi                                              00101\n"
				  "ambr.downlink                                     1 Gbit/s\n"
				  "slice.0.session.0.type                            3 (IPv4v6)\n"
				  "slice.0.session.0.qos.arp.pre_emption_capability  1 (off)\n"
				  "subscriber_status                                 1 (barred)\n"
				  "operator_determined_barring                       0 (all packet services)\n"
				  "access_restriction_data                           32 (no handover to non-3GPP access)\n"
				  "subscribed_rau_tau_timer                          12 min\n"
				  "network_access_mode                               7\n");
	free(text);
	text = printed("subscriber list", (const char *const[]){"{\"count\":7}", NULL});
	assert_string_equal(text, "count  7\n");
	free(text);
}

static void deep_documents(void **state)
{
	char row[8192] = "", *text;
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		n += (size_t)snprintf(row + n, sizeof(row) - n, "{\"a\":");
	n += (size_t)snprintf(row + n, sizeof(row) - n, "1");
	memset(row + n, '}', 1000);
	text = printed("location show", (const char *const[]){row, NULL});
	assert_non_null(strstr(text, "{...}"));
	assert_true(strlen(text) < 200);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(command_lines), cmocka_unit_test(help_in_every_form),
	    cmocka_unit_test(keys_leave_argv),
	    cmocka_unit_test(environment),   cmocka_unit_test(tables),
	    cmocka_unit_test(documents),     cmocka_unit_test(a_subscriber_in_words),
	    cmocka_unit_test(deep_documents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

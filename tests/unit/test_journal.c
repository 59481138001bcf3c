// Log lines as entries of systemd's journal.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "supervisor/journal.h"

static void assert_entry(const char *line, const char *expected)
{
	char out[2048];
	size_t n = journal_entry(line, strlen(line), out, sizeof(out));

	out[n] = 0;
	assert_string_equal(out, expected);
	for (size_t cap = 0; cap <= n; cap++) // too small a room is seen, and never left
		assert_int_equal(journal_entry(line, strlen(line), out, cap), 0);
}

static void fields(void **state)
{
	(void)state;
	assert_entry("2026-12-01T10:00:00.000Z warn  frontend-0: peer_rejected peer=\"mme.test\" result=3010 reason=\"not \\\"listed\\\"\"",
		     "SYSLOG_IDENTIFIER=corehss\nPRIORITY=4\n"
		     "MESSAGE=peer_rejected peer=\"mme.test\" result=3010 reason=\"not \\\"listed\\\"\"\n"
		     "HSS_ROLE=frontend-0\nHSS_EVENT=peer_rejected\nHSS_PEER=mme.test\nHSS_RESULT=3010\n"
		     "HSS_REASON=not \\\"listed\\\"\n");
	assert_entry("2026-12-01T10:00:00.000Z error hssd: stopped",
		     "SYSLOG_IDENTIFIER=corehss\nPRIORITY=3\nMESSAGE=stopped\nHSS_ROLE=hssd\nHSS_EVENT=stopped\n");
	assert_entry("2026-12-01T10:00:00.000Z debug worker-1: x empty=\"\" imsi=\"00101\" open=\"no end",
		     "SYSLOG_IDENTIFIER=corehss\nPRIORITY=7\nMESSAGE=x empty=\"\" imsi=\"00101\" open=\"no end\n"
		     "HSS_ROLE=worker-1\nHSS_EVENT=x\nHSS_EMPTY=\nHSS_IMSI=00101\nHSS_OPEN=no end\n");
}

static void other_lines(void **state)
{
	static const char *const lines[] = {"what a library says", "", "{\"time\":\"x\",\"event\":\"y\"}",
					    "2026-12-01T10:00:00.000Z info", "a info hssd: ", "a info : event"};
	char expected[256];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		strcpy(expected, "SYSLOG_IDENTIFIER=corehss\nPRIORITY=6\nMESSAGE=");
		strcat(strcat(expected, lines[i]), "\n");
		assert_entry(lines[i], expected);
	}
}

static void names_of_fields(void **state)
{
	(void)state;
	// what is no name of a field ends the fields; the message has it all the same
	assert_entry("t info hssd: event good=1 b-d=2 later=3",
		     "SYSLOG_IDENTIFIER=corehss\nPRIORITY=6\nMESSAGE=event good=1 b-d=2 later=3\nHSS_ROLE=hssd\n"
		     "HSS_EVENT=event\nHSS_GOOD=1\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields),
	    cmocka_unit_test(other_lines),
	    cmocka_unit_test(names_of_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

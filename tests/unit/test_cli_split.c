// What a file of subscribers is, by its beginning, and its documents one by one: whatever the pieces in which
// it is read.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "admin/cli/split.h"

static void formats(void **state)
{
	static const struct {
		const char *text;
		enum cli_format more, all;
	} rows[] = {
	    {"", CLI_FORMAT_MORE, CLI_FORMAT_LINES},
	    {" \n\n", CLI_FORMAT_MORE, CLI_FORMAT_LINES},
	    {"{\"imsi\":\"1\"", CLI_FORMAT_MORE, CLI_FORMAT_LINES},
	    {"{\"imsi\":\"1\"}\n", CLI_FORMAT_MORE, CLI_FORMAT_LINES},
	    {"{\"imsi\":\"{\\\"\"}\n{", CLI_FORMAT_LINES, CLI_FORMAT_LINES},
	    {"{\n{", CLI_FORMAT_LINES, CLI_FORMAT_LINES}, // one that broke off
	    {"{\n\t\"imsi\"", CLI_FORMAT_BLOCKS, CLI_FORMAT_BLOCKS},
	    {"\xef\xbb\xbf [", CLI_FORMAT_BLOCKS, CLI_FORMAT_BLOCKS},
	    {"001010000000001,", CLI_FORMAT_CSV, CLI_FORMAT_CSV},
	    {"\n\xef", CLI_FORMAT_MORE, CLI_FORMAT_LINES},
	    {"#IMSI,K", CLI_FORMAT_CSV, CLI_FORMAT_CSV},
	    {"IMSI,K", CLI_FORMAT_CSV, CLI_FORMAT_CSV},
	    {"\"001", CLI_FORMAT_CSV, CLI_FORMAT_CSV},
	    {"<html>", CLI_FORMAT_MORE, CLI_FORMAT_LINES},
	    {"<html>\n", CLI_FORMAT_LINES, CLI_FORMAT_LINES},
	    {"ACC;Ki;IMSI;OPC\n", CLI_FORMAT_CSV, CLI_FORMAT_CSV},
	    {"{ _id: '{', x: 1 }\n{", CLI_FORMAT_LINES, CLI_FORMAT_LINES},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(cli_format_of(rows[i].text, strlen(rows[i].text), false), rows[i].more);
		assert_int_equal(cli_format_of(rows[i].text, strlen(rows[i].text), true), rows[i].all);
	}
}

// The same for pieces of every size, input and output.
static void split(const char *text, const char *expected, bool unfinished)
{
	for (size_t piece = 1; piece <= strlen(text); piece++)
		for (size_t cap = 65; cap < 140; cap += 37) {
			struct cli_split s;
			char out[140], all[2000];
			size_t n = 0, len = strlen(text);

			cli_split_init(&s);
			for (size_t i = 0; i < len;) {
				size_t have = len - i < piece ? len - i : piece, wrote = 0;

				i += cli_split_next(&s, text + i, have, out, cap, &wrote);
				assert_true(wrote <= cap && n + wrote < sizeof(all));
				memcpy(all + n, out, wrote);
				n += wrote;
			}
			all[n] = 0;
			assert_string_equal(all, expected);
			assert_int_equal(cli_split_unfinished(&s), unfinished);
		}
}

static void documents(void **state)
{
	(void)state;
	split("[{\"a\":1},{\"b\":[{}]}]\n", "#1 1\n{\"a\":1}\n#1 2\n{\"b\":[{}]}\n", false);
	split("[\n\t{\n\t\t\"a\" : \"x } \\\" y\"\n\t},\n\n\t{ }\n]\n",
	      "#2 1\n{\"a\":\"x } \\\" y\"}\n#6 2\n{}\n", false);
	split("{\n \"a\": 1\n}\n{\n \"b\": 2 }\n", "#1 1\n{\"a\":1}\n#4 2\n{\"b\":2}\n", false);
	split("\xef\xbb\xbf[]", "", false);
	split(" ", "", false);
}

// As mongosh and the former shell print them.
static void documents_of_a_shell(void **state)
{
	(void)state;
	split("[\n  {\n    _id: ObjectId('5'),\n    a: 'x } \\' \"',\n  }\n]\n",
	      "#2 1\n{_id:ObjectId('5'),a:'x } \\' \"',}\n", false);
	split("{ \"_id\" : ObjectId(\"5\"),\n\t\"a\" : NumberLong(1) }\n", "#1 1\n{\"_id\":ObjectId(\"5\"),\"a\":NumberLong(1)}\n",
	      false);
}

static void broken(void **state)
{
	(void)state;
	split("[{\"a\":1},\n{\"b\"", "#1 1\n{\"a\":1}\n#2 2\n{\"b\"", true);
	split("[{\"a\":1}\n", "#1 1\n{\"a\":1}\n", true);
	split("[null, {\"a\":1}, 12\n]", "#1 1\nnull\n#1 2\n{\"a\":1}\n#1 3\n12\n", false);
	// a string that does not end costs its own document only
	split("[\n{\"a\":\"x\n},\n{\"b\":1}\n]", "#2 1\n{\"a\":\"x\x01}\n#4 2\n{\"b\":1}\n", false);
	split("[]]", "#1 1\n]", false);
	split("{}[", "#1 1\n{}\n#1 2\n[", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(formats),
	    cmocka_unit_test(documents),
	    cmocka_unit_test(documents_of_a_shell),
	    cmocka_unit_test(broken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

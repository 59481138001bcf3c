// Documents as MongoDB's shells print them become Extended JSON, and what is no document is told.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
// cmocka wants the above
#include <cmocka.h>
#include <jansson.h>
#include <string.h>
#include "loader/document/shell.h"
#include "tests/support/guard.h"

static char room[8192];

static const char *convert(struct slice in, struct slice *out)
{
	struct wr w = wr_of(room, sizeof(room));
	const char *why = shell_to_json(in, &w);
	*out = wr_done(&w);
	return why;
}

static const struct {
	const char *shell, *json;
} rows[] = {
    {"{ _id: ObjectId('64c000000000000000000001'), a: 'x' }",
     "{\"_id\":{\"$oid\":\"64c000000000000000000001\"},\"a\":\"x\"}"},
    {"{ \"_id\" : ObjectId(\"64c000000000000000000001\"), \"a\" : NumberLong(5), \"b\" : NumberLong(\"-6\") }",
     "{\"_id\":{\"$oid\":\"64c000000000000000000001\"},\"a\":{\"$numberLong\":\"5\"},\"b\":{\"$numberLong\":\"-6\"}}"},
    {"{a:Long('4129'),b:Int32(7),c:NumberInt(8),d:Double('1.5'),e:NumberInt(\"9\"),}",
     "{\"a\":{\"$numberLong\":\"4129\"},\"b\":7,\"c\":8,\"d\":{\"$numberDouble\":\"1.5\"},\"e\":9}"},
    {"{ t: ISODate(\"2024-01-02T03:04:05.678Z\"), u: newDate('2024-01-02'), v: new Date(1700000000000) }",
     "{\"t\":{\"$date\":\"2024-01-02T03:04:05.678Z\"},\"u\":{\"$date\":\"2024-01-02\"},\"v\":{\"$date\":\"1700000000000\"}}"},
    {"{ u: UUID('3b241101-e2bb-4255-8caf-4136c566a962'), b: BinData(0,\"AAEC\"), "
     "c: Binary.createFromBase64('AAEC', 4) }",
     "{\"u\":{\"$uuid\":\"3b241101-e2bb-4255-8caf-4136c566a962\"},\"b\":{\"$binary\":{\"base64\":\"AAEC\",\"subType\":\"00\"}},"
     "\"c\":{\"$binary\":{\"base64\":\"AAEC\",\"subType\":\"04\"}}}"},
    {"{ d: NumberDecimal('1.10'), t: Timestamp(1, 2), n: NaN, i: Infinity, u: undefined, z: null, f: false }",
     "{\"d\":{\"$numberDecimal\":\"1.10\"},\"t\":{\"$timestamp\":{\"t\":1,\"i\":2}},\"n\":{\"$numberDouble\":\"NaN\"},"
     "\"i\":{\"$numberDouble\":\"Infinity\"},\"u\":null,\"z\":null,\"f\":false}"},
    {"{ a: [ 'it\\'s \"so\"', `b`, ], $c: { d: [ ], }, }", "{\"a\":[\"it's \\\"so\\\"\",\"b\"],\"$c\":{\"d\":[]}}"},
    {"{'a b': -1.5e3, \"c\\\"d\": \"\\u00e9\\\\\"}", "{\"a b\":-1.5e3,\"c\\\"d\":\"\\u00e9\\\\\"}"},
};

static void what_the_shells_print(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice out;
		const char *why = convert(slice_str(rows[i].shell), &out);
		if (why)
			fail_msg("%s: %s", rows[i].shell, why);
		json_t *got = json_loadb((const char *)out.p, out.len, 0, NULL);
		json_t *wanted = json_loads(rows[i].json, 0, NULL);
		if (!got || !wanted || !json_equal(got, wanted))
			fail_msg("%s: %.*s", rows[i].shell, (int)out.len, (const char *)out.p);
		json_decref(got);
		json_decref(wanted);
	}
}

static void what_is_no_document(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {{"{ a: [Object] }", "[Object], which the shell prints in place of what is too deep: export with mongoexport"},
		   {"{ a: Frob(1) }", "a kind of value that is not known here"},
		   {"{ a: 'x }", "a text without its closing quote"},
		   {"{ a: ObjectId() }", "a name without its value"},
		   {"{ a: NumberInt(1x) }", "an integer that is none"},
		   {"{ a: Timestamp(1) }", "a Timestamp without its two numbers"},
		   {"{ a: BinData(0) }", "binary data without subtype"},
		   {"{ a: Long(1,2,3,4) }", "a value with too many arguments"},
		   {"hello", "a word that is no value"}};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct slice out;
		const char *why = convert(slice_str(bad[i].text), &out);
		assert_non_null(why);
		assert_string_equal(why, bad[i].why);
	}
}

// Every beginning of every row, at the end of a page: nothing is read beyond it.
static void truncated(void **state)
{
	struct guard g;
	(void)state;
	guard_init(&g, 1000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t n = 0; n <= strlen(rows[i].shell); n++) {
			struct slice out;
			(void)!convert(slice_of(guard_copy(&g, rows[i].shell, n), n), &out);
		}
	guard_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_the_shells_print),
	    cmocka_unit_test(what_is_no_document),
	    cmocka_unit_test(truncated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

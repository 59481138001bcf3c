// The schema of a subscriber's document: its tables fit together, names are found, and slips are recognised.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
// cmocka wants the above
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "apps/documents.h"
#include "lib/base/similar.h"

static void every_row_is_found_by_its_path(void **state)
{
	const struct doc_schema *s = documents_schema();
	char path[128];
	(void)state;
	for (unsigned i = 1; i < s->cnt; i++) {
		const char *from = s->node[i].member->path;
		size_t n = 0;
		for (; *from; from++) {
			if (*from == '[')
				path[n++] = '.';
			path[n++] = *from == '[' ? '3' : *from;
			from += *from == '[';
		}
		path[n] = 0;
		assert_ptr_equal(schema_find(s, path), &s->node[i]);
	}
}

static void paths_of_operators(void **state)
{
	static const struct {
		const char *path, *member; // NULL: unknown
	} cases[] = {{"subscriber_status", "subscriber_status"},
		     {"slice.0.session.12.qos.index", "slice[].session[].qos.index"},
		     {"ambr.downlink.value", "ambr.downlink"},
		     {"ambr.downlink.valeu", NULL},
		     {"subscriber_stauts", NULL},
		     {"slice.x.session", NULL},
		     {"slice.0.session.0.pcc_rule.0.flow", "slice[].session[].pcc_rule"},
		     {"", NULL},
		     {".", NULL},
		     {"security.k.x", NULL}};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct doc_node *n = schema_find(documents_schema(), cases[i].path);
		if (!cases[i].member)
			assert_null(n);
		else
			assert_string_equal(n->member->path, cases[i].member);
	}
}

static void slips_are_recognised(void **state)
{
	static const struct {
		const char *path, *meant;
	} cases[] = {{"Subscriber_Status", "subscriber_status"},
		     {"subscriber_stauts", "subscriber_status"},
		     {"ambr.downlink.valeu", "ambr.downlink.value"},
		     {"slice.2.session.1.qos.indx", "slice.2.session.1.qos.index"},
		     {"MSISDN", "msisdn"}};
	char out[128];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(schema_suggest(documents_schema(), cases[i].path, out, sizeof(out)));
		assert_string_equal(out, cases[i].meant);
	}
	assert_false(schema_suggest(documents_schema(), "completely_different", out, sizeof(out)));
}

static void a_table_that_does_not_fit_is_refused(void **state)
{
	static const struct doc_member twice[] = {{.path = "imsi", .help = ""}, {.path = "imsi", .help = ""}},
				       alone[] = {{.path = "a.b", .help = ""}};
	static const struct doc_table t = {"x", twice, 2}, u = {"y", alone, 1};
	static struct doc_schema s;
	(void)state;
	assert_int_equal(schema_init(&s, (const struct doc_table *const[]){&t}, 1), -EINVAL);
	assert_int_equal(schema_init(&s, (const struct doc_table *const[]){&u}, 1), -EINVAL);
}

static void distances(void **state)
{
	(void)state;
	assert_int_equal(similar_distance("lst", "list"), 1);
	assert_int_equal(similar_distance("stauts", "status"), 1);
	assert_int_equal(similar_distance("", "abc"), 3);
	assert_int_equal(similar_distance("LIST", "list"), 0);
	assert_int_equal(similar_distance("show", "set"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_row_is_found_by_its_path),
	    cmocka_unit_test(paths_of_operators),
	    cmocka_unit_test(slips_are_recognised),
	    cmocka_unit_test(a_table_that_does_not_fit_is_refused),
	    cmocka_unit_test(distances),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

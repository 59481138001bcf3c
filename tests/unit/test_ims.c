// lib/ims: escaping and marks, wildcards against POSIX regular expressions on random input, criteria of JSON (what is the same
// in XML gives the same octets), and each thing that may be wrong by its place. test_ims_template.c has the files.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
// cmocka wants the four above
#include <cmocka.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include "lib/ims/fragment.h"
#include "lib/ims/template.h"
#include "lib/ims/wildcard.h"
#include "tests/support/guard.h"

static char out[IMS_FRAGMENT_MAX + 1];

static const char *text_of(const struct wr *w)
{
	assert_false(w->err);
	out[wr_len(w)] = 0;
	return out;
}

static void values_are_escaped(void **state)
{
	(void)state;
	struct wr w = wr_of(out, IMS_FRAGMENT_MAX);
	ims_put_element(&w, "X", slice_str("a<b>&\"c'"));
	ims_put_number(&w, "N", 4294967295u);
	assert_string_equal(text_of(&w), "<X>a&lt;b&gt;&amp;&quot;c&apos;</X><N>4294967295</N>");
	w = wr_of(out, IMS_FRAGMENT_MAX);
	ims_put_value(&w, slice_of("a\1b", 3));
	assert_true(w.err);
	w = wr_of(out, IMS_FRAGMENT_MAX);
	ims_put_value(&w, slice_str("\ta\nb\r"));
	assert_string_equal(text_of(&w), "&#9;a&#10;b&#13;");
	w = wr_of(out, 4);
	ims_put_value(&w, slice_str("&"));
	assert_true(w.err);
}

// Wherever a mark lies in a word of eight octets; and no block that is too small is written beyond its end.
static void marks_are_replaced(void **state)
{
	const struct ims_names names = {.by_mark = {[IMS_MARK_IMSI] = slice_str("001"), [IMS_MARK_MSISDN] = slice_str("49"),
						    [IMS_MARK_DOMAIN] = slice_str("a.b"), [IMS_MARK_MCC] = slice_str("262"),
						    [IMS_MARK_MNC] = slice_str("042"), [IMS_MARK_PRIVATE] = slice_str("p@x"),
						    [IMS_MARK_PUBLIC] = slice_str("sip:+1&'@x")}};
	static const char text[] = "<x>\1@\3|\2\4\5</x><y>\6\7</y><z>\27\23</z>";
	static const char want[] = "<x>001@a.b|49262042</x><y>p@xsip:+1&amp;&apos;@x</y><z>sip:\\+1&amp;&apos;@xa\\.b</z>";
	struct guard g;
	(void)state;
	guard_init(&g, 4096);
	for (unsigned shift = 0; shift < 17; shift++) {
		char moved[100], wanted[200];
		struct slice fragment = slice_of(moved, shift + sizeof(text) - 1);
		memset(moved, 'p', sizeof(moved));
		memset(wanted, 'p', sizeof(wanted));
		memcpy(moved + shift, text, sizeof(text) - 1);
		memcpy(wanted + shift, want, sizeof(want));
		fragment.p = guard_copy(&g, moved, fragment.len);
		struct wr w = wr_of(out, IMS_FRAGMENT_MAX);
		ims_put_fragment(&w, fragment, &names);
		assert_string_equal(text_of(&w), wanted);
		assert_true(wr_len(&w) <= ims_fragment_room(fragment, &names));
		assert_int_equal(ims_fragment_marks(fragment), 0xfe);
	}
	for (size_t cap = 0; cap < sizeof(want) - 1; cap++) {
		struct wr w = wr_of(guard_room(&g, cap), cap);
		ims_put_fragment(&w, slice_str(text), &names);
		assert_true(w.err);
	}
	guard_fini(&g);
	assert_int_equal(ims_fragment_marks(slice_str("<a>\22</a>")), 1u << IMS_MARK_MSISDN);
	assert_int_equal(ims_fragment_marks((struct slice){0}), 0);
	// what no loader makes, but shared memory may hold
	for (unsigned c = 0; c < 0x20; c++) {
		const char octet[] = {'a', (char)c, 'b'};
		struct wr w = wr_of(out, IMS_FRAGMENT_MAX);
		ims_put_fragment(&w, slice_of(octet, 3), &names);
		assert_int_equal(w.err, (c & 15) == 0 || (c & 15) >= IMS_MARK_CNT);
	}
}

// ---- wildcards

static void wildcards(void **state)
{
	static const struct {
		const char *pattern, *identity;
		bool match;
	} rows[] = {
		{"sip:list-!.*!@ims.example", "sip:list-42@ims.example", true},
		{"sip:list-!.*!@ims.example", "sip:list-@ims.example", true},
		{"sip:list-!.+!@ims.example", "sip:list-@ims.example", false},
		{"sip:list-!.*!@ims.example", "sip:list-42@ims.example.org", false},
		{"sip:list-!.*!@ims.example", "sip:list", false},
		{"sip:!\\.!@x", "sip:.@x", true},
		{"sip:!\\.!@x", "sip:a@x", false},
		{"sip:![0-9]+x?!@x", "sip:12x@x", true},
		{"sip:![^0-9]+!@x", "sip:a1@x", false},
		{"sip:![]a]!@x", "sip:]@x", true},
		{"tel:49!.*!", "tel:4930", true},
		{"sip:a@x", "sip:a@x", false}, // no wildcard
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ims_wildcard_match(slice_str(rows[i].pattern), slice_str(rows[i].identity)) != rows[i].match)
			fail_msg("%s %s", rows[i].pattern, rows[i].identity);
	static const char *const wrong[] = {"sip:!(a|b)!@x", "sip:!*!@x", "sip:![a!@x", "sip:!\\!", "sip:!a", "sip:!a{2}!@x", "",
					   "sip:![[:digit:]]+!@x", "sip:![z-a]!@x", "sip:![[=a=]]!@x", "sip:![b-a]!@x"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(ims_wildcard_valid(slice_str(wrong[i])));
	assert_false(ims_wildcard_valid(slice_of("sip:!a\0!@x", 10)));
}

// What POSIX says of the same expression.
static void wildcards_as_posix(void **state)
{
	static const char *const atoms[] = {"a", "b", ".", "[ab]", "[^a]", "[a-c]", "\\."};
	unsigned matched = 0;
	(void)state;
	srand(3);
	for (unsigned n = 0; n < 20000; n++) {
		char expression[128] = "", pattern[160], posix[160], subject[12], identity[40];
		for (int k = rand() % 6; k >= 0; k--) {
			strcat(expression, atoms[rand() % 7]);
			if (rand() % 2)
				strcat(expression, (const char *[]){"*", "+", "?"}[rand() % 3]);
		}
		size_t len = (size_t)(rand() % 8);
		for (size_t i = 0; i < len; i++)
			subject[i] = "abcd."[rand() % 5];
		subject[len] = 0;
		snprintf(pattern, sizeof(pattern), "sip:!%s!@x", expression);
		snprintf(posix, sizeof(posix), "^%s$", expression);
		snprintf(identity, sizeof(identity), "sip:%s@x", subject);
		regex_t re;
		assert_int_equal(regcomp(&re, posix, REG_EXTENDED | REG_NOSUB), 0);
		bool want = regexec(&re, subject, 0, NULL, 0) == 0;
		regfree(&re);
		assert_true(ims_wildcard_valid(slice_str(pattern)));
		if (ims_wildcard_match(slice_str(pattern), slice_str(identity)) != want)
			fail_msg("%s %s: %d expected", pattern, identity, want);
		matched += want;
	}
	assert_true(matched > 1000);
}

// ---- criteria

#define WHOLE                                                                                                                \
	"<InitialFilterCriteria><Priority>7</Priority><TriggerPoint><ConditionTypeCNF>1</ConditionTypeCNF>"                  \
	"<SPT><ConditionNegated>0</ConditionNegated><Group>0</Group><Group>2</Group><Method>REGISTER</Method>"               \
	"<Extension><RegistrationType>0</RegistrationType><RegistrationType>2</RegistrationType></Extension></SPT>"          \
	"<SPT><ConditionNegated>1</ConditionNegated><Group>1</Group><RequestURI>sip:.*</RequestURI></SPT>"                   \
	"<SPT><ConditionNegated>0</ConditionNegated><Group>1</Group><SIPHeader><Header>To</Header>"                          \
	"<Content>a&amp;b</Content></SIPHeader></SPT>"                                                                        \
	"<SPT><ConditionNegated>0</ConditionNegated><Group>1</Group><SessionCase>4</SessionCase></SPT>"                      \
	"<SPT><ConditionNegated>0</ConditionNegated><Group>1</Group><SessionDescription><Line>m</Line>"                      \
	"</SessionDescription></SPT></TriggerPoint><ApplicationServer><ServerName>sip:as</ServerName>"                       \
	"<DefaultHandling>1</DefaultHandling><ServiceInfo>x</ServiceInfo><Extension><IncludeRegisterRequest/>"               \
	"<IncludeRegisterResponse/></Extension></ApplicationServer><ProfilePartIndicator>0</ProfilePartIndicator>"           \
	"</InitialFilterCriteria>"

static const char whole_json[] =
	"[{\"priority\":7,\"trigger_point\":{\"condition_type_cnf\":1,\"spt\":["
	"{\"group\":[0,2],\"method\":\"REGISTER\",\"registration_types\":[0,2]},"
	"{\"group\":1,\"negated\":true,\"request_uri\":\"sip:.*\"},"
	"{\"group\":1,\"sip_header\":{\"header\":\"To\",\"content\":\"a&b\"}},{\"group\":1,\"session_case\":4},"
	"{\"group\":1,\"session_description\":{\"line\":\"m\"}}]},"
	"\"application_server\":{\"server_name\":\"sip:as\",\"default_handling\":1,\"service_info\":\"x\","
	"\"include_register_request\":true,\"include_register_response\":true},\"profile_part_indicator\":0}]";

static struct ims_report report;

static void keep(struct ims_criteria *c)
{
	memcpy(out, c->fragment ? (const char *)c->fragment : "", c->fragment_len);
	out[c->fragment_len] = 0;
	ims_criteria_free(c);
}

static bool read_json(const char *text)
{
	json_t *list = json_loads(text, 0, NULL);
	struct ims_criteria c;
	assert_non_null(list);
	bool ok = ims_criteria_from_json(list, "ifc", &c, &report) == 0;
	assert_int_equal(ok, report.errors == 0);
	json_decref(list);
	keep(&c);
	return ok;
}

static bool read_xml(const char *text)
{
	struct ims_criteria c;
	bool ok = ims_template_parse(slice_str(text), &c, &report) == 0;
	keep(&c);
	return ok;
}

static void json_and_xml_say_the_same(void **state)
{
	static const char *const around[] = {"%s", "<IFCs>%s</IFCs>", "<IMSSubscription xmlns:x='y'><!-- c --><ServiceProfile>%s</ServiceProfile></IMSSubscription>"};
	char text[4096];
	(void)state;
	assert_true(read_json(whole_json));
	assert_string_equal(out, WHOLE);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), around[i], WHOLE); // NOLINT
		assert_true(read_xml(text));
		assert_string_equal(out, WHOLE);
	}
	assert_true(read_json("[{\"priority\":1,\"application_server\":{\"server_name\":\"SIPS:as\"}}]"));
	assert_string_equal(out, "<InitialFilterCriteria><Priority>1</Priority><ApplicationServer><ServerName>SIPS:as"
				 "</ServerName></ApplicationServer></InitialFilterCriteria>");
	assert_true(read_json("[]"));
	assert_string_equal(out, "");
}

// What Open5GS writes: other names, doubles, members of its own, empty texts for what is absent.
static void open5gs_spelling(void **state)
{
	(void)state;
	assert_true(read_json("[{\"_id\":{\"$oid\":\"x\"},\"priority\":1.0,\"trigger_point\":{\"condition_type_cnf\":1,\"spt\":["
			      "{\"condition_negated\":1,\"group\":0.0,\"sdp_line\":{\"line\":\"m\",\"content\":\"audio\"}},"
			      "{\"condition_negated\":0,\"group\":1,\"method\":null,\"sip_header\":{\"header\":\"To\",\"content\":\"\"}}]},"
			      "\"application_server\":{\"server_name\":\"sip:{msisdn}@as\",\"default_handling\":0}}]"));
	assert_string_equal(out, "<InitialFilterCriteria><Priority>1</Priority><TriggerPoint><ConditionTypeCNF>1</ConditionTypeCNF>"
				 "<SPT><ConditionNegated>1</ConditionNegated><Group>0</Group><SessionDescription><Line>m</Line>"
				 "<Content>audio</Content></SessionDescription></SPT>"
				 "<SPT><ConditionNegated>0</ConditionNegated><Group>1</Group><SIPHeader><Header>To</Header></SIPHeader></SPT>"
				 "</TriggerPoint><ApplicationServer><ServerName>sip:\2@as</ServerName><DefaultHandling>0</DefaultHandling>"
				 "</ApplicationServer></InitialFilterCriteria>");
}

static bool is_told(const char *path, const char *words)
{
	for (unsigned i = 0; i < report.cnt && i < IMS_FINDING_MAX; i++)
		if (strcmp(report.finding[i].path, path) == 0 && strstr(report.finding[i].text, words))
			return true;
	return false;
}

static void what_is_wrong_in_json(void **state)
{
#define AS "\"application_server\":{\"server_name\":\"sip:a\"}"
#define SPT(s) "[{\"priority\":1," AS ",\"trigger_point\":{\"condition_type_cnf\":0,\"spt\":[" s "]}}]"
	static const struct {
		const char *text, *path, *words;
	} rows[] = {
		{"{}", "ifc", "expected a list of at most 64"},
		{"[1]", "ifc[0]", "expected an object"},
		{"[{" AS "}]", "ifc[0]", "priority is missing"},
		{"[{\"priority\":null," AS "}]", "ifc[0]", "priority is missing"},
		{"[{\"priority\":-1," AS "}]", "ifc[0].priority", "expected a whole number from 0 to 2147483647"},
		{"[{\"priority\":1.5," AS "}]", "ifc[0].priority", "expected a whole number"},
		{"[{\"priority\":1e300," AS "}]", "ifc[0].priority", "expected a whole number"},
		{"[{\"priority\":\"1\"," AS "}]", "ifc[0].priority", "expected a whole number"},
		{"[{\"priority\":2147483648," AS "}]", "ifc[0].priority", "expected a whole number"},
		{"[{\"priority\":1,\"prio\":2," AS "}]", "ifc[0]", "prio is not known here"},
		{"[{\"priority\":1}]", "ifc[0]", "application_server is missing"},
		{"[{\"priority\":1,\"application_server\":7}]", "ifc[0].application_server", "expected an object"},
		{"[{\"priority\":1,\"application_server\":{}}]", "ifc[0].application_server", "server_name is missing"},
		{"[{\"priority\":1,\"application_server\":{\"server_name\":\"as\"}}]", "ifc[0].application_server.server_name",
		 "expected a SIP URI"},
		{"[{\"priority\":1,\"application_server\":{\"server_name\":\"sip:{imis}\"}}]", "ifc[0].application_server.server_name",
		 "{imis} is no placeholder"},
		{"[{\"priority\":1,\"application_server\":{\"server_name\":\"sip:a\",\"default_handling\":2}}]",
		 "ifc[0].application_server.default_handling", "from 0 to 1"},
		{"[{\"priority\":1,\"application_server\":{\"server_name\":\"sip:a\",\"service_info\":1}}]",
		 "ifc[0].application_server.service_info", "expected text"},
		{"[{\"priority\":1,\"application_server\":{\"server_name\":\"sip:a\",\"service_info\":\"\\ufffe\"}}]",
		 "ifc[0].application_server.service_info", "XML"},
		{"[{\"priority\":1,\"application_server\":{\"server_name\":\"sip:a\",\"include_register_request\":\"yes\"}}]",
		 "ifc[0].application_server.include_register_request", "expected true, false"},
		{"[{\"priority\":1," AS "},{\"priority\":1," AS "}]", "ifc[1]", "priority 1 is taken by ifc[0]"},
		{"[{\"priority\":1," AS ",\"profile_part_indicator\":2}]", "ifc[0].profile_part_indicator", "from 0 to 1"},
		{"[{\"priority\":1," AS ",\"trigger_point\":{\"spt\":[]}}]", "ifc[0].trigger_point", "condition_type_cnf is missing"},
		{SPT(""), "ifc[0].trigger_point", "expected at least one spt"},
		{SPT("1"), "ifc[0].trigger_point.spt[0]", "expected an object"},
		{SPT("{\"group\":0}"), "ifc[0].trigger_point.spt[0]", "no condition; expected one of"},
		{SPT("{\"group\":0,\"method\":\"INVITE\",\"session_case\":0}"), "ifc[0].trigger_point.spt[0]", "more than one condition"},
		{SPT("{\"method\":\"INVITE\"}"), "ifc[0].trigger_point.spt[0]", "group is missing"},
		{SPT("{\"group\":[],\"method\":\"INVITE\"}"), "ifc[0].trigger_point.spt[0].group", "at least one group"},
		{SPT("{\"group\":[1,1],\"method\":\"INVITE\"}"), "ifc[0].trigger_point.spt[0]", "group 1 is named twice"},
		{SPT("{\"group\":[1,\"2\"],\"method\":\"INVITE\"}"), "ifc[0].trigger_point.spt[0].group[1]", "expected a whole number"},
		{SPT("{\"group\":0,\"method\":\"invite\"}"), "ifc[0].trigger_point.spt[0].method", "expected a SIP method in capitals"},
		{SPT("{\"group\":0,\"session_case\":5}"), "ifc[0].trigger_point.spt[0].session_case", "from 0 to 4"},
		{SPT("{\"group\":0,\"method\":\"INVITE\",\"registration_types\":[0]}"), "ifc[0].trigger_point.spt[0]",
		 "only possible with the method REGISTER"},
		{SPT("{\"group\":0,\"method\":\"REGISTER\",\"registration_types\":[3]}"),
		 "ifc[0].trigger_point.spt[0].registration_types[0]", "from 0 to 2"},
		{SPT("{\"group\":0,\"method\":\"REGISTER\",\"registration_types\":0}"),
		 "ifc[0].trigger_point.spt[0].registration_types", "expected a list of at most 2"},
		{SPT("{\"group\":0,\"request_uri\":\"(\"}"), "ifc[0].trigger_point.spt[0].request_uri", "expected a regular expression"},
		{SPT("{\"group\":0,\"request_uri\":\"((((a{255}){255}){255}){255})\"}"), "ifc[0].trigger_point.spt[0].request_uri",
		 "smaller regular expression"},
		{SPT("{\"group\":0,\"request_uri\":\"\\u0001\"}"), "ifc[0].trigger_point.spt[0].request_uri", "no control characters"},
		{SPT("{\"group\":[0,1,2,3,4,5,6,7,8],\"method\":\"INVITE\"}"), "ifc[0].trigger_point.spt[0].group", "at most 8"},
		{SPT("{\"group\":0,\"sip_header\":\"x\"}"), "ifc[0].trigger_point.spt[0].sip_header", "expected an object"},
		{SPT("{\"group\":0,\"sip_header\":{\"content\":\"x\"}}"), "ifc[0].trigger_point.spt[0].sip_header", "header is missing"},
		{SPT("{\"group\":0,\"negated\":2,\"method\":\"A\"}"), "ifc[0].trigger_point.spt[0].negated", "from 0 to 1"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_false(read_json(rows[i].text));
		if (!is_told(rows[i].path, rows[i].words)) {
			ims_report_print(&report, "got", stderr);
			fail_msg("%s: want %s: %s", rows[i].text, rows[i].path, rows[i].words);
		}
	}
	// all of them
	assert_false(read_json("[{\"priority\":-1,\"application_server\":{\"server_name\":\"x\"}},{\"priority\":1}]"));
	assert_int_equal(report.errors, 3);
}

// More than any document means, and no end of memory or time for it.
static void json_bounds(void **state)
{
	json_t *list = json_array(), *spts = json_array();
	struct ims_criteria c;
	(void)state;
	for (unsigned i = 0; i < IMS_SPT_MAX; i++)
		json_array_append_new(spts, json_pack("{s:i, s:s}", "group", (int)i, "method", "INVITE"));
	for (unsigned i = 0; i < IMS_CRITERIA_MAX; i++)
		json_array_append_new(list, json_pack("{s:i, s:{s:i, s:O}, s:{s:s}}", "priority", (int)i, "trigger_point",
						      "condition_type_cnf", 1, "spt", spts, "application_server", "server_name", "sip:a"));
	assert_int_equal(ims_criteria_from_json(list, "ifc", &c, &report), -EINVAL);
	assert_true(report.errors > 0);
	json_array_append_new(spts, json_pack("{s:i, s:s}", "group", 1, "method", "INVITE"));
	while (json_array_size(list) > 1)
		json_array_remove(list, 1);
	assert_int_equal(ims_criteria_from_json(list, "ifc", &c, &report), -EINVAL);
	assert_true(is_told("ifc[0].trigger_point.spt", "expected a list of at most 64"));
	json_decref(list);
	json_decref(spts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_escaped),	 cmocka_unit_test(marks_are_replaced),
		cmocka_unit_test(wildcards),		 cmocka_unit_test(wildcards_as_posix),
		cmocka_unit_test(json_and_xml_say_the_same), cmocka_unit_test(open5gs_spelling),
		cmocka_unit_test(what_is_wrong_in_json), cmocka_unit_test(json_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

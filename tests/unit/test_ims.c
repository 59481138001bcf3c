// lib/ims: escaping and marks, wildcards against POSIX regular expressions on random input, criteria of JSON and of XML (what
// is the same gives the same octets), every truncation of a template, and each thing that may be wrong by its name.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
// cmocka wants the four above
#include <cmocka.h>
#include <regex.h>
#include <stdio.h>
#include "lib/ims/criteria_json.h"
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
	w = wr_of(out, 4);
	ims_put_value(&w, slice_str("&"));
	assert_true(w.err);
}

static void marks_are_replaced(void **state)
{
	const struct ims_names names = {.by_mark = {[IMS_MARK_IMSI] = slice_str("001"), [IMS_MARK_DOMAIN] = slice_str("a&b")}};
	struct slice fragment = slice_str("<x>\1@\3|\2</x>");
	(void)state;
	struct wr w = wr_of(out, IMS_FRAGMENT_MAX);
	ims_put_fragment(&w, fragment, &names);
	assert_string_equal(text_of(&w), "<x>001@a&amp;b|</x>");
	assert_true(wr_len(&w) <= ims_fragment_room(fragment, &names));
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
	static const char *const wrong[] = {"sip:!(a|b)!@x", "sip:!*!@x", "sip:![a!@x", "sip:!\\!", "sip:!a", "sip:!a{2}!@x", ""};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(ims_wildcard_valid(slice_str(wrong[i])));
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

static bool read_json(const char *text, struct ims_reason *why)
{
	json_t *list = json_loads(text, 0, NULL);
	struct wr w = wr_of(out, IMS_FRAGMENT_MAX);
	assert_non_null(list);
	why->text[0] = 0;
	bool ok = ims_criteria_read(list, &w, why);
	json_decref(list);
	if (ok)
		(void)text_of(&w);
	return ok;
}

static bool read_xml(const char *text, size_t len, struct ims_template_report *r)
{
	struct wr w = wr_of(out, IMS_FRAGMENT_MAX);
	bool ok = ims_template_read(slice_of(text, len), "t", &w, r);
	if (ok)
		(void)text_of(&w);
	return ok;
}

static void json_and_xml_say_the_same(void **state)
{
	struct ims_reason why;
	static struct ims_template_report r;
	static const char *const around[] = {"%s", "<IFCs>%s</IFCs>", "<IMSSubscription xmlns:x='y'><!-- c --><ServiceProfile>%s</ServiceProfile></IMSSubscription>"};
	char text[4096];
	(void)state;
	assert_true(read_json(whole_json, &why));
	assert_string_equal(out, WHOLE);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), around[i], WHOLE); // NOLINT
		assert_true(read_xml(text, strlen(text), &r));
		assert_string_equal(out, WHOLE);
		assert_int_equal(r.criteria, 1);
	}
	assert_true(read_json("[{\"priority\":1,\"application_server\":{\"server_name\":\"SIPS:as\"}}]", &why));
	assert_string_equal(out, "<InitialFilterCriteria><Priority>1</Priority><ApplicationServer><ServerName>SIPS:as"
				 "</ServerName></ApplicationServer></InitialFilterCriteria>");
}

static void what_is_wrong_in_json(void **state)
{
#define AS "\"application_server\":{\"server_name\":\"sip:a\"}"
#define SPT(s) "[{\"priority\":1," AS ",\"trigger_point\":{\"condition_type_cnf\":0,\"spt\":[" s "]}}]"
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"{}", ": expected an array"},
		{"[1]", "[0].expected an object"},
		{"[{" AS "}]", "[0].priority: expected a whole number, got nothing"},
		{"[{\"priority\":-1," AS "}]", "[0].priority: expected a whole number"},
		{"[{\"priority\":1.5," AS "}]", "[0].priority: expected a whole number"},
		{"[{\"priority\":1}]", "[0].application_server: expected an object"},
		{"[{\"priority\":1,\"application_server\":{\"server_name\":\"as\"}}]", "[0].application_server.server_name: expected a sip"},
		{"[{\"priority\":1," AS "},{\"priority\":1," AS "}]", "[1].priority: expected one that no other criterion has"},
		{"[{\"priority\":1," AS ",\"profile_part_indicator\":2}]", "[0].profile_part_indicator: expected 0 or 1, got 2"},
		{"[{\"priority\":1," AS ",\"trigger_point\":{\"spt\":[]}}]", "[0].trigger_point.condition_type_cnf: expected"},
		{SPT(""), "[0].trigger_point.spt: expected one at least"},
		{SPT("{\"group\":0}"), "[0].trigger_point.spt[0]: expected one of"},
		{SPT("{\"group\":0,\"method\":\"INVITE\",\"session_case\":0}"), "got 2"},
		{SPT("{\"method\":\"INVITE\"}"), "[0].trigger_point.spt[0].group: expected a number"},
		{SPT("{\"group\":0,\"method\":\"invite\"}"), "spt[0].method: expected a SIP method in capitals"},
		{SPT("{\"group\":0,\"session_case\":5}"), "spt[0].session_case: expected 0 to 4, got 5"},
		{SPT("{\"group\":0,\"method\":\"INVITE\",\"registration_types\":[0]}"), "only beside the method REGISTER"},
		{SPT("{\"group\":0,\"method\":\"REGISTER\",\"registration_types\":[3]}"), "expected 0 to 2, got 3"},
		{SPT("{\"group\":0,\"request_uri\":\"(\"}"), "expected an extended regular expression"},
		{SPT("{\"group\":0,\"request_uri\":\"\\u0001\"}"), "request_uri: expected no control character"},
		{SPT("{\"group\":[0,1,2,3,4,5,6,7,8],\"method\":\"INVITE\"}"), "group: expected at most 8"},
		{SPT("{\"group\":0,\"sip_header\":\"x\"}"), "sip_header: expected an object"},
	};
	struct ims_reason why;
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_false(read_json(rows[i].text, &why));
		if (!strstr(why.text, rows[i].why))
			fail_msg("%s: %s", rows[i].text, why.text);
	}
}

static void placeholders(void **state)
{
	static struct ims_template_report r;
	static const char text[] = "<a><InitialFilterCriteria><Priority>1</Priority><ApplicationServer><ServerName>sip:{imsi}@"
				   "{{ iFC_vars['domain'] }}{{mnc}}{x}</ServerName></ApplicationServer></InitialFilterCriteria></a>";
	(void)state;
	assert_true(read_xml(text, sizeof(text) - 1, &r));
	assert_int_equal(r.marks, 3);
	assert_non_null(strstr(out, "sip:\1@\3\5{x}"));
}

// No cut of a template is taken for one, none reads beyond its end; and errors are all told.
static void templates_cut_anywhere(void **state)
{
	static struct ims_template_report r;
	struct guard g;
	(void)state;
	guard_init(&g, sizeof(WHOLE));
	for (size_t len = 0; len < sizeof(WHOLE) - 1; len++) {
		assert_false(read_xml((const char *)guard_copy(&g, WHOLE, len), len, &r));
		assert_true(r.errors && strncmp(r.text, "t:", 2) == 0);
	}
	guard_fini(&g);
	static const char three[] = "<a>\n<InitialFilterCriteria/>\n<InitialFilterCriteria><Priority>x</Priority>"
				    "</InitialFilterCriteria>\n<InitialFilterCriteria><Foo/></InitialFilterCriteria></a>";
	assert_false(read_xml(three, sizeof(three) - 1, &r));
	assert_int_equal(r.errors, 3);
	assert_string_equal(r.text, "t:2: priority: expected a whole number, got nothing\n"
				    "t:3: Priority: expected a whole number, got \"x\"\nt:4: Foo: not expected in InitialFilterCriteria");
}

static void hostile_xml(void **state)
{
	static struct ims_template_report r;
	static char deep[60000];
	(void)state;
	char *p = deep;
	for (unsigned i = 0; i < 10000; i++)
		p += sprintf(p, "<a>");
	assert_false(read_xml(deep, strlen(deep), &r));
	static const char *const wrong[] = {
		"<!DOCTYPE a [<!ENTITY b \"cc\">]><a>&b;</a>",
		"<!DOCTYPE a SYSTEM \"http://127.0.0.1:1/x\"><a/>",
		"<a>&undefined;</a>",
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(read_xml(wrong[i], strlen(wrong[i]), &r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_escaped),	 cmocka_unit_test(marks_are_replaced),
		cmocka_unit_test(wildcards),		 cmocka_unit_test(wildcards_as_posix),
		cmocka_unit_test(json_and_xml_say_the_same), cmocka_unit_test(what_is_wrong_in_json),
		cmocka_unit_test(placeholders),		 cmocka_unit_test(templates_cut_anywhere),
		cmocka_unit_test(hostile_xml),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

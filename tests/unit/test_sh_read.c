// Sh-Data as application servers send it: what is taken and what comes out of it, what is refused; and a judge: whatever this
// reader takes libxml2 takes too, however the text was spoilt.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "lib/ims/pull.h"
#include "lib/ims/sh_read.h"
#include "lib/ims/xml.h"
#include "tests/support/guard.h"

#define ROOM 4096
#define ONE(data) "<Sh-Data><RepositoryData><ServiceIndication>a</ServiceIndication><SequenceNumber>7</SequenceNumber>" data \
		  "</RepositoryData></Sh-Data>"

static struct guard guard;
static struct ims_report report;

static const char *read_text(const char *text, struct sh_update *u)
{
	size_t len = strlen(text);
	return sh_update_read(slice_of(guard_copy(&guard, text, len), len), u);
}

static void is_data(const char *inside)
{
	char text[ROOM];
	struct sh_update u;
	snprintf(text, sizeof text, ONE("<ServiceData>%s</ServiceData>"), inside);
	const char *why = read_text(text, &u);
	if (why)
		fail_msg("%s: %s", text, why);
	assert_int_equal(u.cnt, 1);
	assert_true(u.instance[0].has_data && slice_eq(u.instance[0].data, slice_str(inside)));
	assert_int_equal(u.instance[0].sequence, 7);
	assert_true(slice_eq(sh_instance_indication(&u.instance[0]), slice_str("a")));
}

static void data_are_left_as_they_came(void **state)
{
	(void)state;
	is_data("<x/>");
	is_data("text");
	is_data(" <x a=\"1\" b='&lt;\"'>\t&#x20AC;&#10;</x >\r\n<!-- - -->");
	is_data("<x><![CDATA[</ServiceData>]] >]]></x>");
	is_data("<ServiceData><ServiceData/></ServiceData>");
	is_data("<p:x xmlns:p='u' p:a='1' a='2' xml:lang='de'><p:y/><q:z xmlns:q='v' xmlns:p='w'><p:y/></q:z></p:x>");
	is_data("<?p ?><x>\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 ] ]] ></x><?p q?><!---->");
}

static void documents_in_their_forms(void **state)
{
	struct sh_update u;
	(void)state;
	assert_null(read_text("\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?>\n<!-- x --><s:Sh-Data xmlns:s='u'><s:RepositoryData>"
			      "<s:ServiceIndication>a&amp;<![CDATA[<]]></s:ServiceIndication><s:SequenceNumber> 65535 </s:SequenceNumber>"
			      "<s:Extension><x/></s:Extension></s:RepositoryData></s:Sh-Data> <?end?>\n",
			      &u));
	assert_true(u.cnt == 1 && !u.instance[0].has_data && !u.has_other && u.instance[0].sequence == 65535);
	assert_true(slice_eq(sh_instance_indication(&u.instance[0]), slice_str("a&<")));
	assert_null(read_text("<Sh-Data><Sh-IMS-Data><PSIActivation>1</PSIActivation></Sh-IMS-Data></Sh-Data>", &u));
	assert_true(u.cnt == 0 && u.has_other);
	assert_null(read_text("<Sh-Data/>", &u));
	assert_true(u.cnt == 0 && !u.has_other);
}

static void what_is_refused(void **state)
{
	static const char *const bad[] = {
		"", " ", "x", "<", "<Sh-Data", "<Sh-Data>", "</Sh-Data>", "<Sh-Data/><x/>", "<Sh-Data/>x", "x<Sh-Data/>", "<a/>",
		"<!DOCTYPE Sh-Data><Sh-Data/>", "<!ENTITY a 'b'><Sh-Data/>", "<Sh-Data><!DOCTYPE x></Sh-Data>", "<![CDATA[x]]><Sh-Data/>",
		"<Sh-Data/><![CDATA[ ]]>", "<?xml version='1.0' encoding='UTF-16'?><Sh-Data/>", "<Sh-Data/><?xml version='1.0'?>",
		"<Sh-Data><!-- -- --></Sh-Data>", "<Sh-Data><!-- ---></Sh-Data>", "<Sh-Data><x></y></Sh-Data>", "<Sh-Data a='1' a='2'/>",
		"<Sh-Data a=1/>", "<Sh-Data a/>", "<Sh-Data a='<'/>", "<Sh-Data a='&x;'/>", "<Sh-Data a='1'b='2'/>", "<Sh-Data>&x;</Sh-Data>",
		"<Sh-Data>&</Sh-Data>", "<Sh-Data>&#0;</Sh-Data>", "<Sh-Data>&#x110000;</Sh-Data>", "<Sh-Data>&#xD800;</Sh-Data>",
		"<Sh-Data>&#;</Sh-Data>", "<Sh-Data>]]></Sh-Data>", "<Sh-Data>\x01</Sh-Data>", "<Sh-Data>\xc0\x80</Sh-Data>",
		"<Sh-Data>\xed\xa0\x80</Sh-Data>", "<Sh-Data>\xff</Sh-Data>", "<Sh-Data>\xe2\x82</Sh-Data>",
		"<a:Sh-Data/>", "<Sh-Data a:b='1'/>", "<Sh-Data xmlns:a=''/>", "<Sh-Data xmlns:xml='u'/>", "<Sh-Data xmlns:a='u'><a:b:c/></Sh-Data>",
		"<Sh-Data xmlns:a='u'><:b/></Sh-Data>", "<Sh-Data xmlns:a='u'><a:/></Sh-Data>", "<Sh-Data><x xmlns:a='u'/><a:x/></Sh-Data>",
		"<Sh-Data><x xmlns:a='u'><y/></x><a:x/></Sh-Data>", "<Sh-Data><xmlns:a/></Sh-Data>", "<Sh-Data xmlns:a='u'><a:1/></Sh-Data>",
		"<Sh-Data xmlns:p='u'><RepositoryData><ServiceIndication>a</ServiceIndication><SequenceNumber>7</SequenceNumber><ServiceData>"
		"<p:x/></ServiceData></RepositoryData></Sh-Data>", // the data would lose what declares their prefix
		"<Sh-Data><RepositoryData/></Sh-Data>", "<Sh-Data><RepositoryData></RepositoryData></Sh-Data>",
		"<Sh-Data><RepositoryData><SequenceNumber>0</SequenceNumber></RepositoryData></Sh-Data>",
		ONE("<ServiceData></ServiceData>"), ONE("<ServiceData/>"), ONE("<ServiceIndication>b</ServiceIndication>"),
		ONE("<SequenceNumber>8</SequenceNumber>"), ONE("<ServiceData>a</ServiceData><ServiceData>b</ServiceData>"), ONE("<Other>x</Other>"),
	};
	static const char *const numbers[] = {"", " ", "-1", "65536", "1x", "+1", "99999999999999999999", "1 2", "<x>1</x>", "0x1"};
	char text[ROOM];
	struct sh_update u;
	(void)state;
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		if (!read_text(bad[i], &u))
			fail_msg("taken: %s", bad[i]);
	for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		snprintf(text, sizeof text, "<Sh-Data><RepositoryData><ServiceIndication>a</ServiceIndication><SequenceNumber>%s</SequenceNumber>"
			 "</RepositoryData></Sh-Data>", numbers[i]);
		if (!read_text(text, &u))
			fail_msg("taken: %s", numbers[i]);
	}
}

static void bounds(void **state)
{
	static char text[SH_READ_OCTETS_MAX + 16];
	struct sh_update u;
	struct wr w;
	(void)state;
	for (unsigned depth = IMS_PULL_DEPTH_MAX - 1; depth <= IMS_PULL_DEPTH_MAX; depth++) { // and Sh-Data itself
		w = wr_of(text, sizeof text);
		wr_slice(&w, slice_str("<Sh-Data>"));
		for (unsigned i = 0; i < depth; i++)
			wr_slice(&w, slice_str("<a>"));
		for (unsigned i = 0; i < depth; i++)
			wr_slice(&w, slice_str("</a>"));
		wr_slice(&w, slice_str("</Sh-Data>"));
		assert_int_equal(sh_update_read(wr_done(&w), &u) == NULL, depth < IMS_PULL_DEPTH_MAX);
	}
	for (unsigned n = SH_READ_INSTANCES_MAX; n <= SH_READ_INSTANCES_MAX + 1; n++) {
		w = wr_of(text, sizeof text);
		wr_slice(&w, slice_str("<Sh-Data>"));
		for (unsigned i = 0; i < n; i++)
			wr_slice(&w, slice_str("<RepositoryData><SequenceNumber>1</SequenceNumber><ServiceIndication>s</ServiceIndication>"
					       "</RepositoryData>"));
		wr_slice(&w, slice_str("</Sh-Data>"));
		assert_int_equal(sh_update_read(wr_done(&w), &u) == NULL, n == SH_READ_INSTANCES_MAX);
	}
	memset(text, ' ', sizeof text);
	memcpy(text, "<Sh-Data/>", 10);
	assert_null(sh_update_read(slice_of(text, SH_READ_OCTETS_MAX), &u));
	assert_non_null(sh_update_read(slice_of(text, SH_READ_OCTETS_MAX + 1), &u));
}

// What is taken is well-formed; each truncation is read up to a guard page.
static void libxml2_takes_what_is_taken(void **state)
{
	static const char whole[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Sh-Data><RepositoryData><ServiceIndication>s&amp;t"
				    "</ServiceIndication><SequenceNumber>12</SequenceNumber><ServiceData><x xmlns:x='u' a='1' x:b=\"&#x41;\"><x:y/>t"
				    "<![CDATA[<z>]]><!-- c --><?p i?>\xc3\xa4</x></ServiceData></RepositoryData><Extension><q></q></Extension></Sh-Data>";
	static const char letters[] = ":<>/&;'\"=!?-[]# axS:\t\n\x01\xc3\xa4\xffx1";
	char text[sizeof whole];
	unsigned taken = 0;
	struct sh_update u;
	(void)state;
	srand(29);
	for (size_t len = 0; len < sizeof whole - 1; len++)
		assert_non_null(sh_update_read(slice_of(guard_copy(&guard, whole, len), len), &u));
	for (unsigned n = 0; n < 60000; n++) {
		memcpy(text, whole, sizeof whole);
		size_t len = sizeof whole - 1;
		for (unsigned k = (unsigned)rand() % 3 + 1; k; k--) {
			size_t at = (size_t)rand() % len;
			if (rand() % 3)
				text[at] = letters[(size_t)rand() % (sizeof letters - 1)];
			else
				memmove(text + at, text + at + 1, --len - at);
		}
		struct slice s = slice_of(guard_copy(&guard, text, len), len);
		if (sh_update_read(s, &u))
			continue;
		report = (struct ims_report){0};
		xmlDoc *doc = ims_xml_parse(s, NULL, &report);
		if (!doc && strstr(report.finding[0].text, "is not a valid URI"))
			continue; // the names of namespaces are not looked at
		if (!doc)
			fail_msg("%.*s: %s", (int)len, text, report.finding[0].text);
		xmlFreeDoc(doc);
		taken++;
	}
	assert_true(taken > 1000);
}

static int setup(void **state)
{
	(void)state;
	guard_init(&guard, ROOM);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guard_fini(&guard);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_are_left_as_they_came), cmocka_unit_test(documents_in_their_forms),
		cmocka_unit_test(what_is_refused),	      cmocka_unit_test(bounds),
		cmocka_unit_test(libxml2_takes_what_is_taken),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

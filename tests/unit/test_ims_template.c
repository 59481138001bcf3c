// Templates of filter criteria: what is taken, what is refused and with which line and words, and what becomes of it in
// User-Data.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/ims/template.h"
#include "tests/support/guard.h"

#define ROOM 65536

static struct guard guard;
static struct ims_report report;
static struct ims_criteria c;

static int parse(const char *text)
{
	size_t len = strlen(text);

	return ims_template_parse(slice_of(guard_copy(&guard, text, len), len), &c, &report);
}

static void takes(const char *text, const char *fragment)
{
	char room[300];

	if (parse(text) != 0)
		fail_msg("%s\n%s", ims_report_first(&report, room, sizeof room), text);
	if (fragment && !slice_eq(ims_criteria_fragment(&c), slice_str(fragment)))
		fail_msg("got  %.*s\nwant %s", (int)c.fragment_len, (char *)c.fragment, fragment);
	ims_criteria_free(&c);
}

static bool has_finding(unsigned line, const char *words)
{
	for (unsigned i = 0; i < report.cnt && i < IMS_FINDING_MAX; i++)
		if (report.finding[i].line == line && strstr(report.finding[i].text, words))
			return true;
	return false;
}

static void refuses(const char *text, unsigned line, const char *words)
{
	assert_int_equal(parse(text), -EINVAL);
	assert_null(c.fragment);
	assert_true(report.errors > 0);
	if (!has_finding(line, words)) {
		ims_report_print(&report, "got", stderr);
		fail_msg("want %u: %s in\n%s", line, words, text);
	}
}

#define AS(name)   "<ApplicationServer><ServerName>" name "</ServerName></ApplicationServer>"
#define IFC(inner) "<InitialFilterCriteria>" inner "</InitialFilterCriteria>"
#define SPT(inner) "<SPT>" inner "</SPT>"
#define TP(inner)  "<TriggerPoint><ConditionTypeCNF>1</ConditionTypeCNF>" inner "</TriggerPoint>"
#define ONE(spt)   IFC("<Priority>1</Priority>" TP(SPT("<Group>0</Group>" spt)) AS("sip:as.ims.example"))
#define OUT(spt)                                                                                                       \
	"<InitialFilterCriteria><Priority>1</Priority><TriggerPoint><ConditionTypeCNF>1</ConditionTypeCNF><SPT>"       \
	"<ConditionNegated>0</ConditionNegated><Group>0</Group>" spt "</SPT></TriggerPoint>"                         \
	"<ApplicationServer><ServerName>sip:as.ims.example</ServerName></ApplicationServer></InitialFilterCriteria>"

static void test_roots(void **state)
{
	(void)state;
	static const char one[] = ONE("<Method>INVITE</Method>"), out[] = OUT("<Method>INVITE</Method>");
	char text[4096];

	takes(one, out);
	takes("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- < x -->\n" ONE("<Method>INVITE</Method>"), out);
	takes("\xef\xbb\xbf<IFCs>" ONE("<Method>INVITE</Method>") "</IFCs>", out);
	snprintf(text, sizeof text, "<ServiceProfile><!-- none --><PublicIdentity/>%s</ServiceProfile>", one);
	takes(text, out);
	snprintf(text, sizeof text, "<ServiceProfile xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
		 "xsi:noNamespaceSchemaLocation=\"CxDataType.xsd\">%s</ServiceProfile>", one);
	takes(text, out);
	snprintf(text, sizeof text, "<IMSSubscription><PrivateID>{{ anything }}</PrivateID><ServiceProfile><PublicIdentity>"
		 "<Identity>not sip</Identity></PublicIdentity>%s</ServiceProfile></IMSSubscription>", one);
	takes(text, out);
	snprintf(text, sizeof text, "<IMSSubscription><ServiceProfile>%s</ServiceProfile></IMSSubscription>", one);
	takes(text, out);
	// several roots: a list
	takes(ONE("<Method>INVITE</Method>") "\n" IFC("<Priority>2</Priority>" AS("sip:b.example")),
	      OUT("<Method>INVITE</Method>") IFC("<Priority>2</Priority>" AS("sip:b.example")));
	takes(IFC("<Priority>1</Priority>" AS("sip:[2001:db8::1]:5060")), IFC("<Priority>1</Priority>" AS("sip:[2001:db8::1]:5060")));
	takes("<ServiceProfile/>", "");
	takes("<x:ServiceProfile xmlns:x=\"urn:x\"/>", "");
	takes("<ServiceProfile><y:z xmlns:y=\"urn:y\"><q/></y:z></ServiceProfile>", ""); // foreign: passed over
}

static void test_content(void **state)
{
	(void)state;
	takes(ONE("<Method> INVITE\n</Method>"), OUT("<Method>INVITE</Method>"));
	takes(ONE("<Method><![CDATA[INVITE]]></Method>"), OUT("<Method>INVITE</Method>"));
	takes(ONE("<SessionCase>4</SessionCase>"), OUT("<SessionCase>4</SessionCase>"));
	takes(ONE("<RequestURI>^sip:[0-9]{3}@.*&amp;&lt;x&gt;</RequestURI>"), OUT("<RequestURI>^sip:[0-9]{3}@.*&amp;&lt;x&gt;</RequestURI>"));
	takes(ONE("<SIPHeader><Header>Accept-Contact</Header><Content>.*\"g\\.3gpp\".*</Content></SIPHeader>"),
	      OUT("<SIPHeader><Header>Accept-Contact</Header><Content>.*&quot;g\\.3gpp&quot;.*</Content></SIPHeader>"));
	takes(ONE("<SessionDescription><Line>m</Line><Content>video</Content></SessionDescription><Extension/>"),
	      OUT("<SessionDescription><Line>m</Line><Content>video</Content></SessionDescription>"));
	takes(ONE("<Method>REGISTER</Method><Extension><RegistrationType>2</RegistrationType><RegistrationType>0</RegistrationType></Extension>"),
	      OUT("<Method>REGISTER</Method><Extension><RegistrationType>0</RegistrationType><RegistrationType>2</RegistrationType></Extension>"));
	takes(IFC("<Priority>0</Priority><ApplicationServer><ServerName>sip:as.example;lr</ServerName><DefaultHandling>1</DefaultHandling>"
		  "<ServiceInfo> a\tb &#10;{\"k\":1} </ServiceInfo><Extension><IncludeRegisterRequest/><IncludeRegisterResponse></IncludeRegisterResponse>"
		  "</Extension></ApplicationServer><ProfilePartIndicator>1</ProfilePartIndicator>"),
	      IFC("<Priority>0</Priority><ApplicationServer><ServerName>sip:as.example;lr</ServerName><DefaultHandling>1</DefaultHandling>"
		  "<ServiceInfo>a&#9;b &#10;{&quot;k&quot;:1}</ServiceInfo><Extension><IncludeRegisterRequest/><IncludeRegisterResponse/>"
		  "</Extension></ApplicationServer><ProfilePartIndicator>1</ProfilePartIndicator>"));
	assert_int_equal(parse("<ServiceProfile><CoreNetworkServicesAuthorization><SubscribedMediaProfileId>7</SubscribedMediaProfileId>"
			       "<Extension><ListOfServiceIds><ServiceId>a&amp;b</ServiceId></ListOfServiceIds></Extension>"
			       "</CoreNetworkServicesAuthorization><Extension><SharedIFCSetID>3</SharedIFCSetID>"
			       "<SharedIFCSetID>1</SharedIFCSetID></Extension></ServiceProfile>"), 0);
	assert_int_equal(c.media_profile, 7);
	assert_int_equal(c.shared_set_cnt, 2);
	assert_int_equal(c.shared_sets[0], 3);
	assert_int_equal(c.shared_sets[1], 1);
	assert_int_equal(c.fragment_len, 0);
	assert_true(slice_eq(slice_of(c.services, c.services_len), slice_str("<ServiceId>a&amp;b</ServiceId>")));
	ims_criteria_free(&c);
}

static void test_placeholders(void **state)
{
	(void)state;
	takes(ONE("<RequestURI>^{impu}$|{imsi}{msisdn}</RequestURI>"), OUT("<RequestURI>^\x17$|\x11\x12</RequestURI>"));
	takes(IFC("<Priority>1</Priority>" AS("sip:{imsi}@as.mnc{mnc}.mcc{mcc}.{domain}")),
	      IFC("<Priority>1</Priority>" AS("sip:\x01@as.mnc\x05.mcc\x04.\x03")));
	takes(IFC("<Priority>1</Priority>" AS("sip:{{ iFC_vars['imsi'] }}@mnc{{iFC_vars[\"mnc\"]}}.mcc{{ iFC_vars.mcc }}.org")),
	      IFC("<Priority>1</Priority>" AS("sip:\x01@mnc\x05.mcc\x04.org")));
	takes(IFC("<Priority>1</Priority><ApplicationServer><ServerName>sip:a</ServerName><ServiceInfo>{impi} {impu} {} {1} {a b} {a</ServiceInfo>"
		  "</ApplicationServer>"),
	      IFC("<Priority>1</Priority><ApplicationServer><ServerName>sip:a</ServerName><ServiceInfo>\x06 \x07 {} {1} {a b} {a</ServiceInfo>"
		  "</ApplicationServer>"));
	assert_int_equal(parse(IFC("<Priority>1</Priority>" AS("sip:{msisdn}@{domain}"))), 0);
	assert_int_equal(c.marks, 1u << IMS_MARK_MSISDN | 1u << IMS_MARK_DOMAIN);
	ims_criteria_free(&c);
	static const char *const bad[] = {"{imis}",	"{{ iFC_vars['msisdn_list'] }}", "{{ imsi }}", "{{", "{% if x %}", "{# x #}",
					  "{{ iFC_vars['imsi'] | upper }}", "{{ iFC_vars['imsi }}", "{{ iFC_vars[imsi] }}", "{{ iFC_vars['imsi'}}"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char text[400];

		snprintf(text, sizeof text, IFC("<Priority>1</Priority>\n" AS("sip:%s.example")), bad[i]);
		refuses(text, 2, "expected ");
	}
	refuses(ONE("<Method>{imsi}</Method>"), 1, "expected a SIP method");
}

static const struct {
	const char *text;
	unsigned line;
	const char *words;
} wrong[] = {
    {"", 1, "no XML"},
    {"hello", 1, "no XML"},
    {"<", 1, "no well-formed XML"},
    {"<ServiceProfile>\n", 2, "no well-formed XML"},
    {"<ServiceProfile>\n<a></b></ServiceProfile>", 2, "no well-formed XML"},
    {"<ServiceProfile>\xff</ServiceProfile>", 1, "no well-formed XML"},
    {"<ServiceProfile>&x;</ServiceProfile>", 1, "no well-formed XML"},
    {"<!DOCTYPE ServiceProfile [<!ENTITY x \"y\">]>\n<ServiceProfile>&x;</ServiceProfile>", 1, "expected no DOCTYPE"},
    {"<!DOCTYPE ServiceProfile SYSTEM \"file:///etc/passwd\">\n<ServiceProfile/>", 1, "expected no DOCTYPE"},
    {"<html/>", 1, "html: expected IMSSubscription, ServiceProfile, IFCs or InitialFilterCriteria"},
    {"<IMSSubscription/>", 1, "IMSSubscription without ServiceProfile"},
    {"<IMSSubscription><ServiceProfile/>\n<ServiceProfile/></IMSSubscription>", 2, "a second ServiceProfile"},
    {"<ServiceProfile>\n<Foo/></ServiceProfile>", 2,
     "Foo in ServiceProfile: expected PublicIdentity, CoreNetworkServicesAuthorization, InitialFilterCriteria or Extension"},
    {"<ServiceProfile>\n{% if x %}</ServiceProfile>", 2, "text in ServiceProfile"},
    {"<ServiceProfile id=\"1\"/>", 1, "an attribute id: expected none"},
    {"<ServiceProfile><Extension/>\n" IFC("<Priority>1</Priority>" AS("sip:a")) "</ServiceProfile>", 2,
     "InitialFilterCriteria after Extension: expected it before"},
    {IFC(""), 1, "InitialFilterCriteria without Priority"},
    {IFC(""), 1, "InitialFilterCriteria without ApplicationServer"},
    {IFC("<Priority>-1</Priority>" AS("sip:a")), 1, "Priority: \"-1\": expected a whole number from 0 to 2147483647"},
    {IFC("<Priority>2147483648</Priority>" AS("sip:a")), 1, "expected a whole number"},
    {IFC("<Priority>1e1</Priority>" AS("sip:a")), 1, "expected a whole number"},
    {IFC("<Priority/>" AS("sip:a")), 1, "Priority: \"\": expected a whole number"},
    {IFC("<Priority><b/></Priority>" AS("sip:a")), 1, "b in Priority: expected text only"},
    {IFC("<Priority>1</Priority>\n<Priority>1</Priority>" AS("sip:a")), 2, "Priority: expected at most 1"},
    {IFC(AS("sip:a") "\n<Priority>1</Priority>"), 2, "Priority after ApplicationServer: expected it before"},
    {IFC("<Priority>1</Priority>" AS("")), 1, "ServerName: \"\": expected text"},
    {IFC("<Priority>1</Priority>" AS("tel:+15")), 1, "expected a SIP URI"},
    {IFC("<Priority>1</Priority>" AS("as.example")), 1, "expected a SIP URI, like"},
    {IFC("<Priority>1</Priority>" AS("sip:[2001:db8::g]")), 1, "valid host"},
    {IFC("<Priority>1</Priority>" AS("sip:a b@c")), 1, "valid host"},
    {IFC("<Priority>1</Priority>" AS("sip:")), 1, "valid host"},
    {IFC("<Priority>1</Priority><ApplicationServer><ServerName>sip:a</ServerName><DefaultHandling>2</DefaultHandling></ApplicationServer>"),
     1, "DefaultHandling: \"2\": expected a whole number from 0 to 1"},
    {IFC("<Priority>1</Priority><ApplicationServer><DefaultHandling>0</DefaultHandling>\n<ServerName>sip:a</ServerName></ApplicationServer>"),
     2, "ServerName after DefaultHandling"},
    {IFC("<Priority>1</Priority><ApplicationServer><ServerName>sip:a</ServerName><Extension><IncludeRegisterRequest>1</IncludeRegisterRequest>"
	 "</Extension></ApplicationServer>"),
     1, "expected nothing in it"},
    {IFC("<Priority>1</Priority>" AS("sip:a") "<ProfilePartIndicator>2</ProfilePartIndicator>"), 1, "from 0 to 1"},
    {IFC("<Priority>1</Priority>" AS("sip:a") "<Extension><Q/></Extension>"), 1, "Q in Extension: expected nothing"},
    {IFC("<Priority>1</Priority>" AS("sip:a")) "\n" IFC("<Priority>1</Priority>" AS("sip:a")), 2,
     "priority 1 is taken by the criterion of line 1"},
    {IFC("<Priority>1</Priority><TriggerPoint/>" AS("sip:a")), 1, "TriggerPoint without ConditionTypeCNF"},
    {IFC("<Priority>1</Priority><TriggerPoint/>" AS("sip:a")), 1, "TriggerPoint without SPT"},
    {IFC("<Priority>1</Priority><TriggerPoint><ConditionTypeCNF>2</ConditionTypeCNF></TriggerPoint>" AS("sip:a")), 1, "expected 0 or 1"},
    {IFC("<Priority>1</Priority>" TP(SPT("<Method>INVITE</Method>")) AS("sip:a")), 1, "SPT without Group"},
    {ONE(""), 1, "SPT without RequestURI, Method, SIPHeader, SessionCase or SessionDescription"},
    {ONE("<Method>INVITE</Method>\n<SessionCase>0</SessionCase>"), 2, "expected at most 1 of its kind in an SPT"},
    {ONE("<Method>INVITE</Method>\n<ConditionNegated>0</ConditionNegated>"), 2, "ConditionNegated after Method"},
    {ONE("<Method>IN VITE</Method>"), 1, "expected a SIP method"},
    {ONE("<Method></Method>"), 1, "expected text"},
    {ONE("<SessionCase>5</SessionCase>"), 1, "from 0 to 4"},
    {ONE("<RequestURI>a(b</RequestURI>"), 1, "expected a regular expression"},
    {ONE("<RequestURI>a[b</RequestURI>"), 1, "expected a regular expression"},
    {ONE("<RequestURI>*{1</RequestURI>"), 1, "expected a regular expression"},
    {ONE("<RequestURI>((((a{255}){255}){255}){255})</RequestURI>"), 1, "smaller"},
    {ONE("<RequestURI>(((a{,255}){,255}){,255})</RequestURI>"), 1, "smaller"},
    {ONE("<RequestURI>a++++++++++++++++++++++++++++++++++++++++</RequestURI>"), 1, "smaller"},
    {ONE("<RequestURI>(((((((((((((((((a)))))))))))))))))</RequestURI>"), 1, "smaller"},
    {ONE("<SIPHeader><Content>x</Content></SIPHeader>"), 1, "SIPHeader without Header"},
    {ONE("<SIPHeader><Header>X</Header><Content>(</Content></SIPHeader>"), 1, "Content: (: expected a regular expression"},
    {ONE("<SIPHeader><Header>X</Header><Content/></SIPHeader>"), 1, "expected a regular expression"},
    {ONE("<Group>0</Group><Method>INVITE</Method>"), 1, "group 0 is named twice"},
    {ONE("<Method>INVITE</Method><Extension><RegistrationType>0</RegistrationType></Extension>"), 1, "only possible with the method REGISTER"},
    {ONE("<SessionCase>0</SessionCase><Extension><RegistrationType>0</RegistrationType></Extension>"), 1, "only possible with"},
    {ONE("<Method>REGISTER</Method><Extension><RegistrationType>3</RegistrationType></Extension>"), 1, "from 0 to 2"},
    {ONE("<Method>REGISTER</Method><Extension><RegistrationType>0</RegistrationType><RegistrationType>1</RegistrationType>"
	 "\n<RegistrationType>2</RegistrationType></Extension>"),
     2, "at most 2"},
    {ONE("<Group>1</Group><Group>2</Group><Group>3</Group><Group>4</Group><Group>5</Group><Group>6</Group><Group>7</Group>"
	 "\n<Group>8</Group><Method>INVITE</Method>"),
     2, "at most 8 groups"},
    {"<ServiceProfile><Extension><SharedIFCSetID>x</SharedIFCSetID></Extension></ServiceProfile>", 1, "SharedIFCSetID: \"x\""},
};

static void test_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		refuses(wrong[i].text, wrong[i].line, wrong[i].words);
}

// Every error of a file is told, not the first one only; the list has an end.
static void test_all_errors(void **state)
{
	(void)state;
	static char text[16000], shown[16000];
	FILE *f;
	size_t len = 0;

	refuses(IFC("<Priority>x</Priority>\n<TriggerPoint><ConditionTypeCNF>7</ConditionTypeCNF>\n" SPT("<Group>-1</Group>\n<Method/>")
		    "</TriggerPoint>" AS("")), 1, "Priority");
	assert_true(has_finding(2, "ConditionTypeCNF"));
	assert_true(has_finding(3, "Group"));
	assert_true(has_finding(4, "Method"));
	assert_true(has_finding(4, "ServerName"));
	assert_int_equal(report.errors, 5);
	refuses(ONE("<RequestURI>(</RequestURI>") IFC("<Priority>1</Priority>" AS("as")), 1, "expected a SIP URI");
	assert_int_equal(report.errors, 3); // and the expression, and the priority

	// what is wrong with the structure of one criterion hides no value of another one
	refuses(IFC("<Priority>1</Priority><Foo/>" AS("sip:a")) "\n" IFC("<Priority>2</Priority>" AS("tas")), 1, "Foo in InitialFilterCriteria");
	assert_true(has_finding(2, "expected a SIP URI"));
	assert_int_equal(report.errors, 2);

	for (unsigned i = 0; i < IMS_FINDING_MAX + 7; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, IFC("<Priority>%u</Priority>" AS("as\x7f")) "\n", i);
	assert_int_equal(parse(text), -EINVAL);
	assert_int_equal(report.errors, IMS_FINDING_MAX + 7);
	f = fmemopen(shown, sizeof shown, "w");
	ims_report_print(&report, "file.xml", f);
	fclose(f);
	assert_true(strncmp(shown, "file.xml:1: ServerName: ", 24) == 0);
	assert_non_null(strstr(shown, "\nfile.xml:50: "));
	assert_null(strstr(shown, "\nfile.xml:51: "));
	assert_non_null(strstr(shown, "\nfile.xml: 7 more findings\n"));
	assert_null(strchr(shown, 0x7f));
}

// What is allowed and can't be meant.
static void test_warnings(void **state)
{
	(void)state;
	static const struct {
		const char *cnf, *spts;
		unsigned warnings;
	} rows[] = {
	    {"1", "0INVITE 1MESSAGE", 1}, {"1", "0INVITE 0MESSAGE", 0}, {"0", "0INVITE 0MESSAGE", 1},
	    {"0", "0INVITE 1MESSAGE", 0}, {"1", "0INVITE 1INVITE", 0},  {"1", "0INVITE 1MESSAGE 1INVITE", 0},
	    {"0", "0INVITE 0MESSAGE 0BYE", 2},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[2000];
		size_t len = (size_t)snprintf(text, sizeof text, "<InitialFilterCriteria><Priority>1</Priority><TriggerPoint>"
					      "<ConditionTypeCNF>%s</ConditionTypeCNF>", rows[i].cnf);

		for (const char *p = rows[i].spts; *p; p += strcspn(p, " "), p += *p == ' ')
			len += (size_t)snprintf(text + len, sizeof text - len, SPT("<Group>%c</Group><Method>%.*s</Method>"), *p,
						(int)strcspn(p + 1, " "), p + 1);
		snprintf(text + len, sizeof text - len, "</TriggerPoint>%s</InitialFilterCriteria>", AS("sip:a"));
		takes(text, NULL);
		assert_int_equal(report.errors, 0);
		assert_int_equal(report.cnt, rows[i].warnings);
		assert_true(!report.cnt || (report.finding[0].warning && strstr(report.finding[0].text, "never true")));
	}
}

static void test_bounds(void **state)
{
	(void)state;
	static char text[300000];
	size_t len = 0;

	for (unsigned i = 0; i <= IMS_CRITERIA_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, IFC("<Priority>%u</Priority>" AS("sip:a")), i);
	assert_int_equal(ims_template_parse(slice_of(text, len), &c, &report), -EINVAL);
	assert_true(has_finding(1, "at most 64 filter criteria"));
	len -= strlen(IFC("<Priority>64</Priority>" AS("sip:a")));
	assert_int_equal(ims_template_parse(slice_of(text, len), &c, &report), 0);
	assert_int_equal(c.criteria_cnt, IMS_CRITERIA_MAX);
	ims_criteria_free(&c);

	// octets in all
	len = 0;
	for (unsigned i = 0; i < 64; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, IFC("<Priority>%u</Priority><ApplicationServer><ServerName>sip:a"
					"</ServerName><ServiceInfo>%01000u</ServiceInfo></ApplicationServer>"), i, i);
	assert_int_equal(ims_template_parse(slice_of(text, len), &c, &report), -EINVAL);
	assert_true(has_finding(0, "longer than 65536 octets of User-Data"));
	memset(text, ' ', sizeof text);
	memcpy(text, "<ServiceProfile/>", 17);
	assert_int_equal(ims_template_parse(slice_of(text, sizeof text), &c, &report), -EINVAL);
	assert_true(has_finding(0, "longer than 262144 octets"));
	len = (size_t)snprintf(text, sizeof text, ONE("<Method>%01025u</Method>"), 1);
	assert_int_equal(ims_template_parse(slice_of(text, len), &c, &report), -EINVAL);
	assert_true(has_finding(1, "longer than 1024 octets"));
	for (len = 0; len + 3 < 100000; len += 3) // depth
		memcpy(text + len, "<a>", 3);
	assert_int_equal(ims_template_parse(slice_of(text, len), &c, &report), -EINVAL);
}

// --- files

static char *file(const char *path, size_t *len)
{
	static char text[ROOM + 1];
	FILE *f = fopen(path, "re");

	if (!f)
		fail_msg("%s", path);
	*len = fread(text, 1, sizeof text, f);
	fclose(f);
	assert_true(*len > 0 && *len < ROOM);
	return text;
}

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?><IMSSubscription><PrivateID>a@ims.example</PrivateID><ServiceProfile>" \
	     "<PublicIdentity><Identity>sip:a@ims.example</Identity></PublicIdentity>"
#define TAIL "</ServiceProfile></IMSSubscription>"

// A document of these criteria, checked by our tables, and by 3GPP's schema where Kamailio's documentation and xmllint are
// installed.
static void compose_and_check(const char *name)
{
	struct ims_names names = {0};
	static char doc[ROOM];
	struct wr w = wr_of(doc, sizeof doc);
	char room[300], command[400];

	for (unsigned v = 1; v < IMS_MARK_CNT; v++)
		names.by_mark[v] = slice_str("x");
	ims_put(&w, HEAD);
	ims_authorization_put(&w, &c);
	ims_put_fragment(&w, ims_criteria_fragment(&c), &names);
	ims_put(&w, TAIL);
	assert_false(w.err);
	if (ims_user_data_check(wr_done(&w), &report) != 0)
		fail_msg("%s: %s", name, ims_report_first(&report, room, sizeof room));
	snprintf(command, sizeof command, "schema=/usr/share/doc/kamailio/examples/ims/scscf/CxDataType_Rel8.xsd; "
		 "[ ! -r $schema ] || ! command -v xmllint >/dev/null || xmllint --noout --schema $schema - 2>/dev/null");
	FILE *lint = popen(command, "w");
	assert_non_null(lint);
	(void)!fwrite(doc, 1, wr_len(&w), lint);
	if (pclose(lint) != 0)
		fail_msg("%s: xmllint refuses %.*s", name, (int)wr_len(&w), doc);
}

// The check of whole documents, which tests rely on: it has to refuse what the schema refuses.
static void test_user_data_check(void **state)
{
	(void)state;
#define ID(inner) "<IMSSubscription><PrivateID>a</PrivateID><ServiceProfile><PublicIdentity>" inner "</PublicIdentity>" TAIL
#define WILD	  "<Extension><Extension><WildcardedIMPU>sip:!.*!@x</WildcardedIMPU></Extension></Extension>"
	static const struct {
		const char *text, *words; // NULL: it is right
	} rows[] = {
	    {HEAD TAIL, NULL},
	    {HEAD "<Extension><SharedIFCSetID>1</SharedIFCSetID></Extension>" TAIL, NULL},
	    {HEAD ONE("<RequestURI>{imsi}</RequestURI>") TAIL, "expected a regular expression"}, // nothing was put in its place
	    {"<IMSSubscription><PrivateID>a</PrivateID></IMSSubscription>", "without ServiceProfile"},
	    {"<IMSSubscription><PrivateID/><ServiceProfile/></IMSSubscription>", "PrivateID: \"\": expected text"},
	    {"<IMSSubscription><PrivateID>a</PrivateID><ServiceProfile/></IMSSubscription>", "ServiceProfile without PublicIdentity"},
	    {"<ServiceProfile/>", "expected IMSSubscription"},
	    {ID(""), "PublicIdentity without Identity"},
	    {ID("<Identity>alice</Identity>"), "expected a sip: or tel: URI"},
	    {ID("<Identity>tel:+15550100001</Identity><Extension><IdentityType>0</IdentityType></Extension>"), NULL},
	    {ID("<Identity>tel:+15550100001</Identity><Extension><IdentityType>5</IdentityType></Extension>"), "from 0 to 4"},
	    {ID("<Identity>tel:+15550100001</Identity><BarringIndication>1</BarringIndication>"), "BarringIndication after Identity"},
	    {ID("<Identity>sip:b@x</Identity><Extension><IdentityType>3</IdentityType></Extension>"), "without WildcardedIMPU"},
	    {ID("<Identity>sip:b@x</Identity><Extension><IdentityType>3</IdentityType>" WILD "</Extension>"), NULL},
	    {ID("<Identity>sip:!.*!@x</Identity><Extension><IdentityType>4</IdentityType>" WILD "</Extension>"), NULL},
	    {ID("<Identity>sip:b@x</Identity><Extension>" WILD "</Extension>"), "expected 3 or 4"},
	    {HEAD ONE("<Method>A</Method>") ONE("<Method>A</Method>") TAIL, "priority 1 is taken"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int rc = ims_user_data_check(slice_str(rows[i].text), &report);

		if (!rows[i].words ? rc != 0 : rc != -EINVAL || !strstr(report.finding[0].text, rows[i].words)) {
			ims_report_print(&report, "got", stderr);
			fail_msg("%s", rows[i].text);
		}
	}
}

static void test_files(void **state)
{
	(void)state;
	static const char *const names[] = {"../../packaging/examples/filter-criteria.xml", "ims/pyhss.xml", "ims/all.xml"};
	char path[500];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, TEST_DATA "/%s", names[i]);
		// a file can't have shared sets; all.xml does
		if (ims_template_read(path, &c, &report) != 0 || report.cnt > (i == 2)) {
			ims_report_print(&report, path, stderr);
			fail_msg("%s", path);
		}
		assert_true(c.criteria_cnt >= 3);
		compose_and_check(names[i]);
		ims_criteria_free(&c);
	}
	assert_int_equal(ims_template_read("/nonexistent", &c, &report), -ENOENT);
	assert_true(has_finding(0, "No such file"));
}

// The examples of the documentation, each between a line of three ` with its kind and another one.
static unsigned examples(char *text, const char *kind, int (*check)(const char *example))
{
	char room[20];
	unsigned cnt = 0;

	snprintf(room, sizeof room, "\n```%s\n", kind);
	for (char *p = text, *end; (p = strstr(p, room)) != NULL; p = end + 4, cnt++) {
		p += strlen(room);
		end = strstr(p, "\n```");
		assert_non_null(end);
		*end = 0;
		if (check(p) != 0 || report.cnt) {
			ims_report_print(&report, "docs", stderr);
			fail_msg("%s", p);
		}
		*end = '\n';
		ims_criteria_free(&c);
	}
	return cnt;
}

static int check_json(const char *example)
{
	json_t *list = json_loads(example, 0, NULL);
	int rc = list ? ims_criteria_from_json(list, "docs", &c, &report) : -EINVAL;

	json_decref(list);
	return rc;
}

static void test_documentation(void **state)
{
	(void)state;
	size_t len;
	char *text = file(TEST_DATA "/../../docs/ims-filter-criteria.md", &len), told[100];

	text[len] = 0;
	assert_int_equal(examples(text, "xml", parse), 2);
	assert_int_equal(examples(text, "json", check_json), 1);
	// what hssctl says of the packaged example
	assert_int_equal(ims_template_read(TEST_DATA "/../../packaging/examples/filter-criteria.xml", &c, &report), 0);
	snprintf(told, sizeof told, ": good, %u filter criteria, %u octets\nservers: ", c.criteria_cnt, c.fragment_len);
	assert_non_null(strstr(text, told));
	ims_criteria_free(&c);
}

// A file that ends too early is refused, wherever; and nothing is read beyond its end.
static void test_truncations(void **state)
{
	(void)state;
	size_t len;
	char *text = file(TEST_DATA "/ims/all.xml", &len);

	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	for (size_t n = 0; n < len; n++) {
		assert_int_equal(ims_template_parse(slice_of(guard_copy(&guard, text, n), n), &c, &report), -EINVAL);
		assert_true(report.errors > 0);
	}
	assert_int_equal(ims_template_parse(slice_of(guard_copy(&guard, text, len), len), &c, &report), 0);
	ims_criteria_free(&c);
}

static void test_tell(void **state)
{
	(void)state;
	char out[2000] = "", err[2000] = "";
	FILE *o = fmemopen(out, sizeof out, "w"), *e = fmemopen(err, sizeof err, "w");

	assert_true(ims_template_tell(TEST_DATA "/ims/pyhss.xml", false, o, e));
	fclose(o);
	fclose(e);
	assert_string_equal(err, "");
	assert_non_null(strstr(out, "pyhss.xml: good, 3 filter criteria, "));
	assert_non_null(strstr(out, "\nservers: sip:call.ims.mnc{mnc}.mcc{mcc}.3gppnetwork.org:5060 sip:smsc.mnc{mnc}.mcc{mcc}.3gppnetwork.org:5060\n"));
	assert_non_null(strstr(out, "\nplaceholders: {mcc} {mnc}\n"));
	o = fmemopen(out, sizeof out, "w");
	assert_true(ims_template_tell(TEST_DATA "/ims/all.xml", true, o, stderr));
	fclose(o);
	json_t *told = json_loads(out, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(told, "filter_criteria")), 3);
	assert_int_equal(json_integer_value(json_object_get(told, "media_profile")), 2);
	assert_int_equal(json_array_size(json_object_get(told, "servers")), 3);
	assert_int_equal(json_array_size(json_object_get(told, "placeholders")), 6);
	json_decref(told);
	e = fmemopen(err, sizeof err, "w");
	assert_false(ims_template_tell("/dev/null", false, stdout, e));
	fclose(e);
	assert_string_equal(err, "/dev/null:1: no XML: expected an element\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_roots),	cmocka_unit_test(test_content),	 cmocka_unit_test(test_placeholders),
	    cmocka_unit_test(test_wrong),	cmocka_unit_test(test_all_errors), cmocka_unit_test(test_warnings),
	    cmocka_unit_test(test_bounds),	cmocka_unit_test(test_files),	 cmocka_unit_test(test_truncations),
	    cmocka_unit_test(test_tell),		cmocka_unit_test(test_user_data_check),
	    cmocka_unit_test(test_documentation),
	};

	guard_init(&guard, ROOM);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

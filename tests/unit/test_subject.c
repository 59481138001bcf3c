// Subjects: which spellings are one identity, which are two, which are none.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/base/subject.h"
#include "tests/support/guard.h"

static struct guard guard;

static bool read_as(enum subject_form form, const char *s, struct subject *out)
{
	size_t len = strlen(s);
	memset(out, 0xa5, sizeof *out);
	return subject_read(form, slice_of(guard_copy(&guard, s, len), len), out);
}

static void is_none(const struct subject *s)
{
	assert_int_equal(s->type, SUBJECT_NONE);
	assert_int_equal(s->hash, 0);
	assert_int_equal(s->digits, 0);
	assert_int_equal(s->len, 0);
	assert_int_equal(s->domain, 0);
	assert_false(s->phone);
	assert_string_equal(s->text, "");
}

static void refused(enum subject_form form, const char *spelling)
{
	struct subject s;
	if (read_as(form, spelling, &s))
		fail_msg("%s was taken as %s", spelling, s.text);
	is_none(&s);
}

// What a spelling becomes, and that the canonical form is its own canonical form.
static void becomes(enum subject_form form, const char *spelling, const char *want)
{
	struct subject s, again;
	if (!read_as(form, spelling, &s))
		fail_msg("%s was refused", spelling);
	assert_string_equal(s.text, want);
	assert_int_equal(s.len, strlen(want));
	assert_true(s.hash != 0);
	if (form == SUBJECT_FORM_PRIVATE || form == SUBJECT_FORM_PUBLIC) {
		assert_true(read_as(form, want, &again));
		assert_string_equal(again.text, want);
		assert_int_equal(again.hash, s.hash);
		assert_int_equal(again.digits, s.digits);
	}
}

static void public_becomes(const char *spelling, const char *want)
{
	becomes(SUBJECT_FORM_PUBLIC, spelling, want);
}

static void test_sip_equal(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
	    // RFC 3261 19.1.4, its examples first
	    {"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@atlanta.com"},
	    {"sip:alice@AtLanTa.CoM;Transport=tcp", "sip:alice@atlanta.com"},
	    {"sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com"},
	    {"sip:carol@chicago.com;security=on", "sip:carol@chicago.com"},
	    {"sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com"},
	    {"sip:bob@ims.example?a=@", "sip:bob@ims.example"},
	    {"SIP:bob@IMS.Example", "sip:bob@ims.example"},
	    {"SipS:bob@ims.example", "sips:bob@ims.example"},
	    {"sip:bob@ims.example.", "sip:bob@ims.example"},
	    {"sip:bob@ims.example:5060", "sip:bob@ims.example:5060"},
	    {"sip:bob@ims.example:05060;lr", "sip:bob@ims.example:5060"},
	    {"sip:bob@[2001:DB8::1]:5061", "sip:bob@[2001:db8::1]:5061"},
	    {"sip:bob@192.0.2.1", "sip:bob@192.0.2.1"},
	    {"sip:Bob@ims.example", "sip:Bob@ims.example"},
	    {"sip:bob:pass@ims.example", "sip:bob:pass@ims.example"},
	    {"sip:bob:@ims.example", "sip:bob:@ims.example"},
	    {"sip:service.ims.example", "sip:service.ims.example"},
	    {"sip:service.ims.example:5070;x=y", "sip:service.ims.example:5070"},
	    // escapes: gone where they change nothing, in capitals where they do
	    {"sip:b%6Fb@ims.example", "sip:bob@ims.example"},
	    {"sip:b%4fb@ims.example", "sip:bOb@ims.example"},
	    {"sip:a%40b@ims.example", "sip:a%40b@ims.example"},
	    {"sip:a%3ab@ims.example", "sip:a%3Ab@ims.example"},
	    {"sip:a%25b@ims.example", "sip:a%25b@ims.example"},
	    {"sip:a%20b@ims.example", "sip:a%20b@ims.example"},
	    {"sip:a%3cb@ims.example", "sip:a%3Cb@ims.example"},
	    {"sip:a%01b@ims.example", "sip:a%01b@ims.example"},
	    {"sip:%c3%bc@ims.example", "sip:%C3%BC@ims.example"},
	    {"sip:\xc3\xbc@ims.example", "sip:%C3%BC@ims.example"},
	    {"sip:a|b@ims.example", "sip:a%7Cb@ims.example"},
	    {"sip:a{}@ims.example", "sip:a%7B%7D@ims.example"},
	    {"sip:a;day=tuesday@atlanta.com", "sip:a;day=tuesday@atlanta.com"},
	    {"sip:a%3Bday=tuesday@atlanta.com", "sip:a;day=tuesday@atlanta.com"},
	    {"sip:a?b/c@ims.example", "sip:a?b/c@ims.example"},
	    // telephone numbers
	    {"sip:+15550100003@ims.example", "sip:15550100003@ims.example"},
	    {"sip:+15550100003@ims.example;user=phone", "sip:15550100003@ims.example"},
	    {"sip:%2b15550100003@ims.example", "sip:15550100003@ims.example"},
	    {"sip:15550100003@ims.example;USER=Phone", "sip:15550100003@ims.example"},
	    {"sip:15550100003@ims.example;lr;user=phone;x=1", "sip:15550100003@ims.example"},
	    {"sip:15550100003@ims.example;user=phone?Subject=x", "sip:15550100003@ims.example"},
	    {"sip:+1-555-(010).0003@ims.example", "sip:15550100003@ims.example"},
	    {"sip:1-555-010-0003@ims.example;user=phone", "sip:15550100003@ims.example"},
	    {"sip:+15550100003;phone-context=x;isub=1@ims.example;user=phone", "sip:15550100003@ims.example"},
	    {"sip:15550100003@ims.example", "sip:15550100003@ims.example"},
	    {"sip:*67%23@ims.example;user=phone", "sip:*67%23@ims.example"},
	    {"sip:+alice.b@ims.example", "sip:+alice.b@ims.example"},
	    {"sip:+@ims.example", "sip:+@ims.example"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		public_becomes(rows[i][0], rows[i][1]);
}

static void test_sip_not_equal(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
	    {"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"},
	    {"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"},
	    {"sip:bob@biloxi.com", "sips:bob@biloxi.com"},
	    {"sip:bob@biloxi.com", "sip:bob@biloxi.org"},
	    {"sip:bob@biloxi.com", "sip:bob:secret@biloxi.com"},
	    {"sip:a%40b@biloxi.com", "sip:a@biloxi.com"},
	    {"sip:1-5@biloxi.com", "sip:15@biloxi.com"}, // no number: nothing says so
	    {"sip:1@biloxi.com;user=phones", "sip:2@biloxi.com"},
	    {"sip:biloxi.com", "sip:biloxi.com@biloxi.com"},
	    {"tel:+1555", "sip:+1555@biloxi.com;user=phone"},
	    {"tel:911;phone-context=+1", "tel:911;phone-context=+44"},
	    {"tel:911;phone-context=+1", "tel:911"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct subject a, b;
		assert_true(read_as(SUBJECT_FORM_PUBLIC, rows[i][0], &a));
		assert_true(read_as(SUBJECT_FORM_PUBLIC, rows[i][1], &b));
		assert_string_not_equal(a.text, b.text);
		assert_true(a.hash != b.hash);
	}
}

static void test_tel(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
	    {"tel:+15550100003", "tel:15550100003"},
	    {"tel:15550100003", "tel:15550100003"},
	    {"TEL:+1-555-010-0003", "tel:15550100003"},
	    {"tel:+1(555)010.0003", "tel:15550100003"},
	    {"tel:%2B15550100003", "tel:15550100003"},
	    {"tel:+15550100003;ext=12;isub=3", "tel:15550100003"},
	    {"tel:+15550100003;phone-context=ims.example", "tel:15550100003"},
	    {"tel:911;Phone-Context=+1-5", "tel:911;phone-context=+15"},
	    {"tel:911;x=y;phone-context=IMS.example;z", "tel:911;phone-context=ims.example"},
	    {"tel:*67", "tel:*67"},
	    {"tel:#31#AB", "tel:#31#ab"},
	    {"tel:1234567890123456789012345", "tel:1234567890123456789012345"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		public_becomes(rows[i][0], rows[i][1]);
}

static void test_public_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "", "sip", "sip:", "sips:", "tel:", "tel:+", "tel:-", "tel:+;x", "tel:+12x", "tel:+1a", "tel:1+2",
	    "tel:+1 2", "tel:12@ims.example", "tel:911;phone-context=a b", "tel:911;phone-context=+1x", "tel:1;<",
	    "bob", "bob@ims.example", "mailto:bob@ims.example", "http://ims.example/", " sip:bob@ims.example",
	    "sip:@ims.example", "sip:bob@", "sip:bob@@ims.example", "sip:b@c@ims.example", "sip::x@ims.example",
	    "sip:bob@ims.example:", "sip:bob@ims.example:0", "sip:bob@ims.example:65536", "sip:bob@ims.example:123456",
	    "sip:bob@ims.example:5060x", "sip:bob@ims example", "sip:bob@ims.example ", "sip:bob@.example",
	    "sip:bob@ims..example", "sip:bob@ims.example..", "sip:bob@.", "sip:bob@[::1", "sip:bob@[]", "sip:bob@[::g]",
	    "sip:bob@ims.exam%70le", "sip:bo<b@ims.example", "sip:bo\"b@ims.example", "sip:bo b@ims.example",
	    "sip:bob%@ims.example", "sip:bob%4@ims.example", "sip:bob%zz@ims.example", "sip:bob%00@ims.example",
	    "sip:bob@ims.example;x=<y>", "sip:bob@ims.example/x", "sip:b\tb@ims.example",
	    "sip:b\x7f@ims.example", "sip:\xff@ims.example", "sip:\xc0\x80@ims.example", "sip:\xed\xa0\x80@ims.example",
	    "sip:bob@ims.ex\xc3\xa4mple",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refused(SUBJECT_FORM_PUBLIC, bad[i]);
	struct subject s;
	assert_false(subject_read(SUBJECT_FORM_PUBLIC, slice_of("sip:b\0b@ims.example", 19), &s));
	is_none(&s);
	assert_false(subject_read(SUBJECT_FORM_PUBLIC, (struct slice){0}, &s));
	is_none(&s);
}

static void test_private(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
	    {"001010000000001@IMS.mnc001.mcc001.3gppnetwork.org", "001010000000001@ims.mnc001.mcc001.3gppnetwork.org"},
	    {"Bob@Home.Example", "Bob@home.example"},
	    {"bob", "bob"},
	    {"001010000000001", "001010000000001"},
	    {"a@b@ims.example", "a@b@ims.example"},
	    {"\xc3\xbc@ims.example", "\xc3\xbc@ims.example"},
	};
	static const char *const bad[] = {"", "@", "bob@", "@ims.example", "bob@a b", "b\nb@ims.example", "b@\xff",
					  "\xe0\x80\x80@ims.example"};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		becomes(SUBJECT_FORM_PRIVATE, rows[i][0], rows[i][1]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refused(SUBJECT_FORM_PRIVATE, bad[i]);
}

static void test_numbers(void **state)
{
	(void)state;
	static const struct {
		enum subject_form form;
		const char *spelling, *want; // NULL: refused
	} rows[] = {
	    {SUBJECT_FORM_IMSI, "001010000000001", "001010000000001"},
	    {SUBJECT_FORM_IMSI, "00101", "00101"},
	    {SUBJECT_FORM_IMSI, "0010", NULL},
	    {SUBJECT_FORM_IMSI, "0010100000000012", NULL},
	    {SUBJECT_FORM_IMSI, "+00101000000001", NULL},
	    {SUBJECT_FORM_IMSI, "00101000000000x", NULL},
	    {SUBJECT_FORM_IMSI, "001010000000001@x", NULL},
	    {SUBJECT_FORM_MSISDN, "+15550100003", "15550100003"},
	    {SUBJECT_FORM_MSISDN, "1", "1"},
	    {SUBJECT_FORM_MSISDN, "+", NULL},
	    {SUBJECT_FORM_MSISDN, "++1", NULL},
	    {SUBJECT_FORM_MSISDN, "1234567890123456", NULL},
	    {SUBJECT_FORM_MSISDN_TBCD, "\x51\x55\x21\x43\x65\xf7", "15551234567"},
	    {SUBJECT_FORM_MSISDN_TBCD, "\x21\x43", "1234"},
	    {SUBJECT_FORM_MSISDN_TBCD, "\x21\xf3", "123"},
	    {SUBJECT_FORM_MSISDN_TBCD, "\x2f\x43", NULL},
	    {SUBJECT_FORM_MSISDN_TBCD, "\xff", NULL},
	    {SUBJECT_FORM_MSISDN_TBCD, "\xa1", NULL},
	    {SUBJECT_FORM_MSISDN_TBCD, "\x21\x43\x65\x87\x09\x21\x43\xf5", "123456789012345"},
	    {SUBJECT_FORM_MSISDN_TBCD, "\x21\x43\x65\x87\x09\x21\x43\x65", NULL},
	    {SUBJECT_FORM_MSISDN_TBCD, "\x21\x43\x65\x87\x09\x21\x43\x65\xf7", NULL},
	    {SUBJECT_FORM_IMEI, "35398506123456", "35398506123456"},
	    {SUBJECT_FORM_IMEI, "353985061234567", "35398506123456"},
	    {SUBJECT_FORM_IMEI, "3539850612345601", "35398506123456"},
	    {SUBJECT_FORM_IMEI, "3539850612345", NULL},
	    {SUBJECT_FORM_IMEI, "35398506123456012", NULL},
	    {SUBJECT_FORM_IMEI, "35398506123456x", NULL},
	    {SUBJECT_FORM_IMEI, "3539850612345x0", NULL},
	    {SUBJECT_FORM_NONE, "001010000000001", NULL},
	    {SUBJECT_FORM_CNT, "001010000000001", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].want)
			becomes(rows[i].form, rows[i].spelling, rows[i].want);
		else
			refused(rows[i].form, rows[i].spelling);
}

// The user name of SWx and of EAP (TS 23.003 14.3, 14.5, 19.3.2).
static void test_nai(void **state)
{
	(void)state;
	static const char *const imsi[][2] = {
	    {"001010000000001", "001010000000001"},
	    {"0001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org", "001010000000001"},
	    {"1001010000000001@wlan.mnc001.mcc001.3gppnetwork.org", "001010000000001"},
	    {"6001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org", "001010000000001"},
	    {"6001010000000001", "001010000000001"},
	    {"nai.epc.mnc015.mcc234.3gppnetwork.org!0001010000000001@nai.epc.mnc002.mcc310.3gppnetwork.org",
	     "001010000000001"},
	    // the digit was left out
	    {"001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org", "001010000000001"},
	    {"621300000000001@nai.epc.mnc030.mcc621.3gppnetwork.org", "621300000000001"},
	    // an IMSI of 14 digits with it
	    {"026201900000000@nai.epc.mnc001.mcc262.3gppnetwork.org", "26201900000000"},
	    {"626201900000000@nai.epc.mnc001.mcc262.3gppnetwork.org", "26201900000000"},
	    {"00101", "00101"},
	};
	static const char *const private[] = {"2a0b3c@nai.epc.mnc001.mcc001.3gppnetwork.org",
					      "7001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org",
					      "anonymous@nai.epc.mnc001.mcc001.3gppnetwork.org"};
	struct subject s;
	for (size_t i = 0; i < sizeof imsi / sizeof *imsi; i++) {
		becomes(SUBJECT_FORM_NAI, imsi[i][0], imsi[i][1]);
		assert_true(read_as(SUBJECT_FORM_NAI, imsi[i][0], &s));
		assert_int_equal(s.type, SUBJECT_IMSI);
	}
	for (size_t i = 0; i < sizeof private / sizeof *private; i++) {
		assert_true(read_as(SUBJECT_FORM_NAI, private[i], &s));
		assert_int_equal(s.type, SUBJECT_PRIVATE);
		assert_string_equal(s.text, private[i]);
	}
	refused(SUBJECT_FORM_NAI, "@");
	refused(SUBJECT_FORM_NAI, "!@ims.example!@");
}

// What a worker derives from an identity, and that one subscriber's requests meet.
static void test_derived(void **state)
{
	(void)state;
	struct subject imsi, impi, impu, msisdn, tel, sip;
	assert_true(read_as(SUBJECT_FORM_IMSI, "001010000000001", &imsi));
	assert_true(read_as(SUBJECT_FORM_PRIVATE, "001010000000001@IMS.example", &impi));
	assert_true(read_as(SUBJECT_FORM_PUBLIC, "sip:001010000000001@ims.example:5060", &impu));
	assert_int_equal(subject_imsi(&imsi).v, subject_imsi(&impi).v);
	assert_int_equal(subject_imsi(&imsi).v, subject_imsi(&impu).v);
	assert_true(slice_eq(subject_domain(&impi), slice_str("ims.example")));
	assert_true(slice_eq(subject_domain(&impu), slice_str("ims.example")));
	assert_int_equal(subject_domain(&imsi).len, 0);
	assert_int_equal(imsi.hash, ident_hash(subject_imsi(&imsi).v));
	assert_int_equal(subject_meeting_hash(&imsi), subject_meeting_hash(&impi));
	assert_int_equal(subject_meeting_hash(&imsi), subject_meeting_hash(&impu));
	assert_true(impi.hash != impu.hash && impi.hash != imsi.hash);

	assert_true(read_as(SUBJECT_FORM_MSISDN, "+15550100003", &msisdn));
	assert_true(read_as(SUBJECT_FORM_PUBLIC, "tel:+1-555-010-0003", &tel));
	assert_true(read_as(SUBJECT_FORM_PUBLIC, "sip:+15550100003@[::1]:5060;user=phone", &sip));
	assert_int_equal(subject_msisdn(&msisdn).v, subject_msisdn(&tel).v);
	assert_int_equal(subject_msisdn(&msisdn).v, subject_msisdn(&sip).v);
	assert_int_equal(subject_meeting_hash(&tel), subject_meeting_hash(&sip));
	assert_true(tel.phone && sip.phone && msisdn.phone && !impu.phone);
	assert_int_equal(subject_imsi(&tel).v, 0);
	assert_int_equal(subject_imsi(&sip).v, 0);
	assert_int_equal(subject_imsi(&msisdn).v, 0);
	assert_int_equal(subject_msisdn(&imsi).v, 0);
	assert_true(slice_eq(subject_domain(&sip), slice_str("[::1]")));

	assert_true(read_as(SUBJECT_FORM_PUBLIC, "sip:bob@ims.example", &sip));
	assert_int_equal(subject_imsi(&sip).v, 0);
	assert_int_equal(subject_meeting_hash(&sip), sip.hash);
	assert_true(read_as(SUBJECT_FORM_PUBLIC, "sip:1234@ims.example", &sip)); // too short for an IMSI
	assert_int_equal(subject_imsi(&sip).v, 0);
	assert_int_not_equal(subject_msisdn(&sip).v, 0);
}

// The longest identity is taken, one octet more is refused, whatever makes it that long.
static void test_bounds(void **state)
{
	(void)state;
	struct subject s;
	char text[4096];
	memset(text, 'a', sizeof text);
	memcpy(text, "sip:", 4);
	text[100] = '@';
	text[SUBJECT_TEXT_MAX] = 0;
	public_becomes(text, text);
	text[SUBJECT_TEXT_MAX] = 'a';
	text[SUBJECT_TEXT_MAX + 1] = 0;
	refused(SUBJECT_FORM_PUBLIC, text);
	memcpy(text, "aaaa", 4);
	refused(SUBJECT_FORM_PRIVATE, text);
	text[SUBJECT_TEXT_MAX] = 0;
	becomes(SUBJECT_FORM_PRIVATE, text, text);
	// an octet that becomes three does not get past the end
	for (unsigned n = 60; n < 120; n++) {
		memcpy(text, "sip:", 4);
		memset(text + 4, '|', n);
		memcpy(text + 4 + n, "@a", 3);
		assert_int_equal(read_as(SUBJECT_FORM_PUBLIC, text, &s), 4 + 3 * n + 2 <= SUBJECT_TEXT_MAX);
		memset(text, '9', 4 + n);
		memcpy(text, "tel:", 4);
		memcpy(text + 4 + n, "1", 2);
		assert_true(read_as(SUBJECT_FORM_PUBLIC, text, &s));
	}
	// what is left out may be long, up to a limit
	memset(text, 'x', sizeof text);
	memcpy(text, "sip:bob@ims.example;", 20);
	text[SUBJECT_INPUT_MAX] = 0;
	public_becomes(text, "sip:bob@ims.example");
	text[SUBJECT_INPUT_MAX] = 'x';
	text[SUBJECT_INPUT_MAX + 1] = 0;
	refused(SUBJECT_FORM_PUBLIC, text);
}

// Every octet at every place, and every truncation, in every form: the guard page is behind the last octet,
// and what is taken is canonical.
static void test_every_octet(void **state)
{
	(void)state;
	static const char *const seeds[] = {"sip:+1a%41:p@h.x:50;user=phone?a=b", "sips:b@[::1]:9", "tel:+1-2;phone-context=+3",
					    "6001010000000001@nai.mcc001", "001010000000001"};
	struct subject s, again;
	for (size_t n = 0; n < sizeof seeds / sizeof *seeds; n++)
		for (size_t len = strlen(seeds[n]), at = 0; at < len; at++)
			for (unsigned c = 0; c < 256; c++)
				for (unsigned form = 0; form <= SUBJECT_FORM_CNT; form++) {
					uint8_t *p = guard_copy(&guard, seeds[n], len);
					p[at] = (uint8_t)c;
					bool whole = subject_read(form, slice_of(p, len), &s);
					if (!whole)
						is_none(&s);
					else if (s.type == SUBJECT_PUBLIC)
						assert_true(subject_read(SUBJECT_FORM_PUBLIC, subject_text(&s), &again) &&
							    again.hash == s.hash && again.domain == s.domain);
					p = guard_copy(&guard, seeds[n], at + 1);
					p[at] = (uint8_t)c;
					subject_read(form, slice_of(p, at + 1), &s);
				}
}

static int open_guard(void **state)
{
	(void)state;
	guard_init(&guard, 8192);
	return 0;
}

static int close_guard(void **state)
{
	(void)state;
	guard_fini(&guard);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sip_equal),
	    cmocka_unit_test(test_sip_not_equal),
	    cmocka_unit_test(test_tel),
	    cmocka_unit_test(test_public_refused),
	    cmocka_unit_test(test_private),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_nai),
	    cmocka_unit_test(test_derived),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_every_octet),
	};
	return cmocka_run_group_tests(tests, open_guard, close_guard);
}

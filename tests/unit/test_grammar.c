// The defect table: for every way in which a request can be wrong, the result code, the E bit and the exact
// octets of the Failed-AVP (RFC 6733 7.1, 7.5). All of it on an AIR, built afresh by each test and checked at
// a guard page.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/diameter/avp.h"
#include "lib/diameter/grammar.h"
#include "tests/support/guard.h"

#define V3 VENDOR_3GPP

static struct guard guard;
static struct verdict verdict;
static struct avp_slot slots[GRAMMAR_SLOTS_MAX];
static uint8_t buffer[65536];
static struct wr w;

static void put_text(uint32_t code, const char *text)
{
	avp_put_slice(&w, code, 0, AVP_M, slice_str(text));
}

static void begin(uint8_t flags)
{
	w = wr_of(buffer, sizeof buffer);
	header_begin(&w, flags, 318, APP_S6A, 1, 2);
}

// All that an AIR needs, except what a test leaves out to put it wrongly.
enum part { SESSION = 1, STATE = 2, ORIGIN = 4, DESTINATION = 8, USER = 16, PLMN = 32, ALL = 63 };

static void put_parts(unsigned parts)
{
	if (parts & SESSION)
		put_text(AVP_CODE_Session_Id, "mme.example;1;2");
	if (parts & STATE)
		avp_put_u32(&w, AVP_CODE_Auth_Session_State, 0, AVP_M, 1);
	if (parts & ORIGIN) {
		put_text(AVP_CODE_Origin_Host, "mme.example");
		put_text(AVP_CODE_Origin_Realm, "example");
	}
	if (parts & DESTINATION)
		put_text(AVP_CODE_Destination_Realm, "home.example");
	if (parts & USER)
		put_text(AVP_CODE_User_Name, "001010000000001");
	if (parts & PLMN)
		avp_put(&w, AVP_CODE_Visited_PLMN_Id, V3, AVP_M, "\x00\xf1\x10", 3);
}

static void begin_air(unsigned parts)
{
	begin(HEADER_R | HEADER_P);
	put_parts(parts);
}

static bool check_as(bool request)
{
	header_finish(&w, 0);
	assert_false(w.err);
	struct slice m = wr_done(&w);
	return grammar_check(grammar_find(318, APP_S6A, request), guard_copy(&guard, m.p, m.len), m.len,
			     slots, &verdict);
}

static void expect_ok(void)
{
	assert_true(check_as(true));
	assert_int_equal(verdict.result, 0);
	assert_int_equal(verdict.failed_len, 0);
}

static void expect(uint32_t result, const void *failed, size_t failed_len)
{
	assert_false(check_as(true));
	assert_int_equal(verdict.result, result);
	assert_int_equal(verdict.e_bit, result / 1000 == 3);
	assert_int_equal(verdict.failed_len, failed_len);
	if (failed_len)
		assert_memory_equal(verdict.failed, failed, failed_len);
}
#define EXPECT(result, ...)                                                                                  \
	do {                                                                                                 \
		static const uint8_t failed_[] = {__VA_ARGS__};                                              \
		expect(result, failed_, sizeof failed_);                                                     \
	} while (0)
#define VENDOR_OCTETS 0, 0, 0x28, 0xaf

// ---- what is right ----

static void test_slots_point_at_the_values(void **state)
{
	(void)state;
	begin_air(ALL);
	for (int i = 0; i < 3; i++)
		put_text(AVP_CODE_Route_Record, i ? "b.example" : "dra.example");
	expect_ok();
	assert_memory_equal(buffer + slots[SLOT_AIR_User_Name].off, "001010000000001", 15);
	assert_int_equal(slots[SLOT_AIR_User_Name].len, 15);
	assert_int_equal(slots[SLOT_AIR_User_Name].cnt, 1);
	assert_int_equal(slots[SLOT_AIR_Route_Record].cnt, 3);
	assert_memory_equal(buffer + slots[SLOT_AIR_Route_Record].off, "dra.example", 11); // the first one
	assert_int_equal(slots[SLOT_AIR_AIR_Flags].cnt, 0);
	assert_int_equal(slots[SLOT_AIR_AIR_Flags].len, 0);
	assert_int_equal(verdict.session_id.len, 15);
	assert_memory_equal(verdict.session_id.p, "mme.example;1;2", 15);
	assert_string_equal(grammar_slot_avp(grammar_by_id(CMD_AIR), SLOT_AIR_User_Name)->name, "User-Name");
	assert_null(grammar_slot_avp(grammar_by_id(CMD_AIR), SLOT_AIR_CNT));
}

static void test_accepts_what_it_may_ignore(void **state)
{
	(void)state;
	begin_air(ALL);
	avp_put_u32(&w, 9999999, 0, 0, 1);                 // unknown, M clear
	avp_put_u32(&w, 7777, 4711, 0, 1);                 // unknown vendor, M clear
	avp_put_u32(&w, AVP_CODE_RAT_Type, V3, AVP_M, 1);  // known, of another command
	avp_put_u32(&w, AVP_CODE_AIR_Flags, V3, AVP_M, 1); // M although "must not"
	size_t at = avp_group_begin(&w, 9999998, 0, 0);    // an unknown group is not looked into
	avp_put_u32(&w, 9999999, 0, AVP_M, 1);
	avp_group_end(&w, at);
	expect_ok();
	begin_air(ALL & ~USER);
	avp_put_slice(&w, AVP_CODE_User_Name, 0, 0, slice_str("00101")); // M clear although "must"
	expect_ok();
	begin(HEADER_R | HEADER_P | 0x0f | HEADER_T); // reserved header bits are ignored
	put_parts(ALL);
	expect_ok();
}

// open5gs #4309: an enumerated value beyond those that are defined is the application's to answer.
static void test_unknown_enumerators_pass(void **state)
{
	(void)state;
	static const uint32_t values[] = {0x7fffffff, 0xffffffff, 5000};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		begin_air(ALL & ~STATE);
		avp_put_u32(&w, AVP_CODE_Auth_Session_State, 0, AVP_M, values[i]);
		avp_put_u32(&w, AVP_CODE_RAT_Type, V3, AVP_M, values[i]);
		expect_ok();
	}
}

// ---- the header ----

static void test_3008_header_bits(void **state)
{
	(void)state;
	begin(HEADER_R | HEADER_P | HEADER_E);
	put_parts(ALL);
	expect(3008, NULL, 0);
	assert_memory_equal(verdict.session_id.p, "mme.example;1;2", 15);
	begin(HEADER_R);
	put_parts(ALL);
	expect(3008, NULL, 0);
	begin(HEADER_P | HEADER_T);
	put_parts(ALL);
	assert_false(check_as(false));
	assert_int_equal(verdict.result, 3008);
	begin(HEADER_P); // not what the command says
	put_parts(ALL);
	expect(3008, NULL, 0);
}

static void test_5011_version_5015_length(void **state)
{
	(void)state;
	const struct command *air = grammar_find(318, APP_S6A, true);
	begin_air(ALL);
	header_finish(&w, 0);
	struct slice m = wr_done(&w);
	buffer[0] = 2;
	assert_false(grammar_check(air, m.p, m.len, slots, &verdict));
	assert_int_equal(verdict.result, 5011);
	buffer[0] = 1;
	assert_false(grammar_check(air, m.p, m.len - 4, slots, &verdict));
	assert_int_equal(verdict.result, 5015);
	for (uint32_t len = 0; len < DIAMETER_HEADER_LEN; len++) {
		assert_false(grammar_check(air, guard_copy(&guard, m.p, len), len, slots, &verdict));
		assert_int_equal(verdict.result, 5015);
	}
}

static void test_finds_only_what_is_enabled(void **state)
{
	(void)state;
	assert_string_equal(grammar_find(318, APP_S6A, true)->name, "AIR");
	assert_string_equal(grammar_find(318, APP_S6A, false)->name, "AIA");
	assert_string_equal(grammar_find(257, APP_BASE, true)->name, "CER");
	assert_null(grammar_find(319, 0, true));
	assert_null(grammar_find(999, APP_S6A, true));
	assert_null(grammar_find(8388622, APP_SLH, true)); // nobody enabled it
	assert_false(grammar_app_enabled(APP_SLH));
	assert_true(grammar_app_enabled(APP_S6A));
	assert_true(grammar_app_enabled(APP_BASE));
	assert_null(grammar_by_id(CMD_NONE));
	assert_null(grammar_by_id(CMD_CNT));
}

// ---- AVPs ----

static void test_3009_vendor_bit_without_vendor(void **state)
{
	(void)state;
	begin_air(ALL);
	wr_bytes(&w, "\0\0\0\x01\xc0\0\0\x10\0\0\0\0abcd", 16);
	EXPECT(3009, 0, 0, 0, 1, 0xc0, 0, 0, 16, 0, 0, 0, 0, 'a', 'b', 'c', 'd');
}

static void test_5001_unknown_avp_with_m(void **state)
{
	(void)state;
	begin_air(ALL);
	avp_put(&w, 0x123456, 0, AVP_M, "xyz", 3);
	EXPECT(5001, 0, 0x12, 0x34, 0x56, 0x40, 0, 0, 11, 'x', 'y', 'z', 0);
	// The vendor is part of the identity: User-Name of 3GPP does not exist.
	begin_air(ALL);
	avp_put(&w, 1, V3, AVP_M, "xyzw", 4);
	EXPECT(5001, 0, 0, 0, 1, 0xc0, 0, 0, 16, VENDOR_OCTETS, 'x', 'y', 'z', 'w');
	begin_air(ALL);
	avp_put(&w, AVP_CODE_AIR_Flags, 0, AVP_M, "\0\0\0\1", 4);
	EXPECT(5001, 0, 0, 0x06, 0x8f, 0x40, 0, 0, 12, 0, 0, 0, 1);
}

static void put_requested(uint8_t flags, uint8_t member_flags)
{
	size_t at = avp_group_begin(&w, AVP_CODE_Requested_EUTRAN_Authentication_Info, V3, flags);
	avp_put_u32(&w, AVP_CODE_Number_Of_Requested_Vectors, V3, AVP_M, 1);
	avp_put_u32(&w, 0x999999, 0, member_flags, 5);
	avp_put_u32(&w, AVP_CODE_Immediate_Response_Preferred, V3, AVP_M, 1);
	avp_group_end(&w, at);
}

static void test_5001_inside_a_group_shows_only_the_offender(void **state)
{
	(void)state;
	begin_air(ALL);
	put_requested(AVP_M, AVP_M);
	EXPECT(5001, 0, 0, 0x05, 0x80, 0xc0, 0, 0, 24, VENDOR_OCTETS, 0, 0x99, 0x99, 0x99, 0x40, 0, 0, 12, 0,
	       0, 0, 5);
	begin_air(ALL);
	put_requested(0, AVP_M); // the group itself may be ignored
	expect_ok();
	begin_air(ALL);
	put_requested(AVP_M, 0);
	expect_ok();
}

static void test_5004_values(void **state)
{
	(void)state;
	begin_air(ALL & ~USER); // open5gs #4675
	put_text(AVP_CODE_User_Name, "");
	EXPECT(5004, 0, 0, 0, 1, 0x40, 0, 0, 8);
	begin_air(ALL & ~USER);
	avp_put(&w, AVP_CODE_User_Name, 0, AVP_M, "0\0001", 3);
	EXPECT(5004, 0, 0, 0, 1, 0x40, 0, 0, 11, '0', 0, '1', 0);
	begin(HEADER_R | HEADER_P); // open5gs #4644
	avp_put(&w, AVP_CODE_Session_Id, 0, AVP_M, "a;\0;2", 5);
	put_parts(ALL & ~SESSION);
	EXPECT(5004, 0, 0, 1, 7, 0x40, 0, 0, 13, 'a', ';', 0, ';', '2', 0, 0, 0);
	begin_air(ALL);
	put_text(AVP_CODE_Destination_Host, "");
	EXPECT(5004, 0, 0, 1, 0x25, 0x40, 0, 0, 8);
	begin_air(ALL);
	avp_put(&w, AVP_CODE_Destination_Host, 0, AVP_M, "a\0b", 3);
	EXPECT(5004, 0, 0, 1, 0x25, 0x40, 0, 0, 11, 'a', 0, 'b', 0);
	begin_air(ALL);
	put_text(AVP_CODE_Destination_Host, "a b");
	EXPECT(5004, 0, 0, 1, 0x25, 0x40, 0, 0, 11, 'a', ' ', 'b', 0);
	char long_name[257];
	memset(long_name, 'a', 256);
	long_name[256] = 0;
	begin_air(ALL);
	put_text(AVP_CODE_Destination_Host, long_name);
	assert_false(check_as(true));
	assert_int_equal(verdict.result, 5004);
	assert_int_equal(verdict.failed_len, 264);
	begin_air(ALL);
	put_text(AVP_CODE_Destination_Host, long_name + 1); // 255
	expect_ok();
}

static bool user_name_ok(const char *text, size_t len)
{
	begin_air(ALL & ~USER);
	avp_put(&w, AVP_CODE_User_Name, 0, AVP_M, text, (uint32_t)len);
	return check_as(true);
}

static void test_5004_utf8(void **state)
{
	(void)state;
	static const char *const good[] = {"\xc2\x80",         "\xdf\xbf",
					   "\xe0\xa0\x80",     "\xed\x9f\xbf",
					   "\xee\x80\x80",     "\xef\xbf\xbf",
					   "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
					   "12345678\xc3\xa9", "1234567\xc3\xa9zzzzzzzz"};
	static const char *const bad[] = {"\x80",
					  "\xbf",
					  "\xc0\x80",
					  "\xc1\xbf",
					  "\xc2",
					  "\xc2\x41",
					  "\xe0\x9f\xbf",
					  "\xe1\x80",
					  "\xed\xa0\x80",
					  "\xed\xbf\xbf",
					  "\xf0\x8f\xbf\xbf",
					  "\xf0\x90\x80",
					  "\xf4\x90\x80\x80",
					  "\xf5\x80\x80\x80",
					  "\xff",
					  "12345678\xff",
					  "1234567\xc3",
					  "\xe1\x80\x41",
					  "\xf1\x80\x80\x41"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(user_name_ok(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(user_name_ok(bad[i], strlen(bad[i])));
		assert_int_equal(verdict.result, 5004);
	}
	for (size_t at = 0; at < 20; at++) { // NUL at every place of the eight-octet steps
		char text[20];
		memset(text, 'x', sizeof text);
		assert_true(user_name_ok(text, sizeof text));
		text[at] = 0;
		assert_false(user_name_ok(text, sizeof text));
	}
}

static void test_5005_missing(void **state)
{
	(void)state;
	begin_air(ALL & ~USER);
	EXPECT(5005, 0, 0, 0, 1, 0x40, 0, 0, 8);
	begin_air(ALL & ~STATE);
	EXPECT(5005, 0, 0, 1, 0x15, 0x40, 0, 0, 12, 0, 0, 0, 0);
	begin_air(ALL & ~PLMN);
	EXPECT(5005, 0, 0, 5, 0x7f, 0xc0, 0, 0, 12, VENDOR_OCTETS);
	begin_air(ALL & ~SESSION);
	EXPECT(5005, 0, 0, 1, 7, 0x40, 0, 0, 8);
	assert_int_equal(verdict.session_id.len, 0);
	begin_air(0);
	EXPECT(5005, 0, 0, 1, 7, 0x40, 0, 0, 8); // the first of several
}

static void test_5005_missing_in_a_group(void **state)
{
	(void)state;
	begin_air(ALL);
	size_t at = avp_group_begin(&w, AVP_CODE_Supported_Features, V3, 0);
	avp_put_u32(&w, AVP_CODE_Feature_List_ID, V3, 0, 1); // Vendor-Id is missed by nobody, Feature-List is
	avp_group_end(&w, at);
	EXPECT(5005, 0, 0, 2, 0x74, 0x80, 0, 0, 28, VENDOR_OCTETS, 0, 0, 2, 0x76, 0x80, 0, 0, 16,
	       VENDOR_OCTETS, 0, 0, 0, 0);
}

static void test_5008_in_a_closed_group(void **state)
{
	(void)state;
	begin_air(ALL);
	size_t at = avp_group_begin(&w, AVP_CODE_Vendor_Specific_Application_Id, 0, AVP_M);
	avp_put_u32(&w, AVP_CODE_Vendor_Id, 0, AVP_M, V3);
	avp_put(&w, AVP_CODE_User_Name, 0, AVP_M, "x", 1);
	avp_group_end(&w, at);
	EXPECT(5008, 0, 0, 1, 4, 0x40, 0, 0, 20, 0, 0, 0, 1, 0x40, 0, 0, 9, 'x', 0, 0, 0);
}

// open5gs #4145: many of what may be there once.
static void test_5009_shows_the_first_over_the_limit(void **state)
{
	(void)state;
	begin_air(ALL);
	put_text(AVP_CODE_User_Name, "2");
	for (int i = 0; i < 64; i++)
		put_text(AVP_CODE_User_Name, "345");
	EXPECT(5009, 0, 0, 0, 1, 0x40, 0, 0, 9, '2', 0, 0, 0);
	begin_air(ALL);
	for (int i = 0; i < 64; i++)
		put_text(AVP_CODE_Origin_Host, "x");
	EXPECT(5009, 0, 0, 1, 8, 0x40, 0, 0, 9, 'x', 0, 0, 0);
}

static void test_5009_in_a_group(void **state)
{
	(void)state;
	begin_air(ALL);
	size_t at = avp_group_begin(&w, AVP_CODE_Requested_EUTRAN_Authentication_Info, V3, AVP_M);
	for (uint32_t i = 1; i <= 3; i++)
		avp_put_u32(&w, AVP_CODE_Number_Of_Requested_Vectors, V3, AVP_M, i);
	avp_group_end(&w, at);
	EXPECT(5009, 0, 0, 5, 0x80, 0xc0, 0, 0, 28, VENDOR_OCTETS, 0, 0, 5, 0x82, 0xc0, 0, 0, 16,
	       VENDOR_OCTETS, 0, 0, 0, 2);
}

static void test_5012_session_id_not_first(void **state)
{
	(void)state;
	begin_air(STATE);
	put_parts(ALL & ~STATE);
	EXPECT(5012, 0, 0, 1, 7, 0x40, 0, 0, 23, 'm', 'm', 'e', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', ';',
	       '1', ';', '2', 0);
	assert_int_equal(verdict.session_id.len, 15);
}

static void test_5014_length_of_a_fixed_type(void **state)
{
	(void)state;
	begin_air(ALL);
	avp_put(&w, AVP_CODE_AIR_Flags, V3, 0, "\1\2\3", 3);
	EXPECT(5014, 0, 0, 6, 0x8f, 0x80, 0, 0, 15, VENDOR_OCTETS, 1, 2, 3, 0);
	begin_air(ALL);
	avp_put(&w, AVP_CODE_RAT_Type, V3, 0, "\1\2\3\4\5", 5);
	EXPECT(5014, 0, 0, 4, 8, 0x80, 0, 0, 17, VENDOR_OCTETS, 1, 2, 3, 4, 5, 0, 0, 0);
	begin_air(ALL);
	avp_put(&w, AVP_CODE_OC_Feature_Vector, 0, 0, "\1\2\3\4", 4);
	EXPECT(5014, 0, 0, 2, 0x6e, 0, 0, 0, 12, 1, 2, 3, 4);
}

// open5gs #4334: Address AVPs whose length does not fit their family.
static void test_5014_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *data;
		uint32_t len;
		bool ok;
	} cases[] = {
	    {"", 0, false},
	    {"\0", 1, false},
	    {"\0\1", 2, false},
	    {"\0\1\1\2\3", 5, false},
	    {"\0\1\1\2\3\4", 6, true},
	    {"\0\1\1\2\3\4\5", 7, false},
	    {"\0\2\1\2\3\4\5\6\7\1\2\3\4\5\6\7\1", 17, false},
	    {"\0\2\1\2\3\4\5\6\7\1\2\3\4\5\6\7\1\2", 18, true},
	    {"\0\2\1\2\3\4", 6, false},
	    {"\0\x08"
	     "49170",
	     7, true}, // E.164
	    {"\0\x08", 2, true},
	    {"\xff\xff\1", 3, true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin_air(ALL);
		avp_put(&w, AVP_CODE_GMLC_Address, V3, AVP_M, cases[i].data, cases[i].len);
		assert_int_equal(check_as(true), cases[i].ok);
		assert_int_equal(verdict.result, cases[i].ok ? 0 : 5014);
		if (!cases[i].ok)
			assert_int_equal(verdict.failed_len, (12 + cases[i].len + 3) & ~3u);
	}
}

// The AVP's length can't be right: header and a zero value of the shortest length.
static void test_5014_length_beyond_the_message(void **state)
{
	(void)state;
	begin_air(ALL);
	wr_bytes(&w, "\0\0\x06\x8f\x80\0\1\0\0\0\x28\xaf\0\0\0\7", 16);
	EXPECT(5014, 0, 0, 6, 0x8f, 0x80, 0, 0, 16, VENDOR_OCTETS, 0, 0, 0, 0);
	begin_air(ALL);
	wr_bytes(&w, "\0\0\0\1\x40\xff\xff\xff", 8);
	EXPECT(5014, 0, 0, 0, 1, 0x40, 0, 0, 8);
	begin_air(ALL); // a group: its header, empty
	wr_bytes(&w, "\0\0\x05\x80\xc0\0\0\xf0\0\0\x28\xaf", 12);
	EXPECT(5014, 0, 0, 5, 0x80, 0xc0, 0, 0, 12, VENDOR_OCTETS);
}

static void test_5014_length_below_the_header(void **state)
{
	(void)state;
	begin_air(ALL);
	wr_bytes(&w, "\0\0\1\x15\x40\0\0\7\0\0\0\1", 12);
	EXPECT(5014, 0, 0, 1, 0x15, 0x40, 0, 0, 12, 0, 0, 0, 0);
	begin_air(ALL);
	wr_bytes(&w, "\0\0\6\x8f\xc0\0\0\x0b\0\0\x28\xaf", 12);
	EXPECT(5014, 0, 0, 6, 0x8f, 0xc0, 0, 0, 16, VENDOR_OCTETS, 0, 0, 0, 0);
	begin_air(ALL); // a header that is cut off is padded with zeros
	wr_bytes(&w, "\0\0\1\x15", 4);
	EXPECT(5014, 0, 0, 1, 0x15, 0, 0, 0, 12, 0, 0, 0, 0);
	begin_air(ALL);
	wr_bytes(&w, "\0\0\6\x8f\xc0\0\0\x10", 8);
	EXPECT(5014, 0, 0, 6, 0x8f, 0xc0, 0, 0, 12, 0, 0, 0, 0);
}

static void test_5014_inside_a_group(void **state)
{
	(void)state;
	begin_air(ALL);
	size_t at = avp_group_begin(&w, AVP_CODE_Vendor_Specific_Application_Id, 0, AVP_M);
	wr_bytes(&w, "\0\0\1\x0a\x40\0\0\x40\0\0\x28\xaf", 12);
	avp_group_end(&w, at);
	EXPECT(5014, 0, 0, 1, 4, 0x40, 0, 0, 20, 0, 0, 1, 0x0a, 0x40, 0, 0, 12, 0, 0, 0, 0);
}

static void test_reports_framing_before_meaning(void **state)
{
	(void)state;
	begin_air(ALL & ~USER & ~PLMN);                     // 5005, and
	put_text(AVP_CODE_Destination_Host, "");            // 5004
	put_text(AVP_CODE_Origin_Host, "again");            // 5009
	avp_put_u32(&w, 0x123456, 0, AVP_M, 1);             // 5001
	wr_bytes(&w, "\0\0\0\x01\xc0\0\0\x0c\0\0\0\0", 12); // 3009
	size_t good = wr_len(&w);
	avp_put(&w, AVP_CODE_Auth_Session_State, 0, 0, "x", 1); // 5014
	EXPECT(5014, 0, 0, 1, 0x15, 0, 0, 0, 9, 'x', 0, 0, 0);
	w.p = w.base + good;
	EXPECT(3009, 0, 0, 0, 1, 0xc0, 0, 0, 12, 0, 0, 0, 0);
	w.p = w.base + (good -= 12);
	EXPECT(5001, 0, 0x12, 0x34, 0x56, 0x40, 0, 0, 12, 0, 0, 0, 1);
	w.p = w.base + (good -= 12);
	EXPECT(5009, 0, 0, 1, 8, 0x40, 0, 0, 13, 'a', 'g', 'a', 'i', 'n', 0, 0, 0);
	w.p = w.base + (good -= 16);
	EXPECT(5005, 0, 0, 0, 1, 0x40, 0, 0, 8);
	put_parts(USER | PLMN);
	EXPECT(5004, 0, 0, 1, 0x25, 0x40, 0, 0, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_slots_point_at_the_values),
	    cmocka_unit_test(test_accepts_what_it_may_ignore),
	    cmocka_unit_test(test_unknown_enumerators_pass),
	    cmocka_unit_test(test_3008_header_bits),
	    cmocka_unit_test(test_5011_version_5015_length),
	    cmocka_unit_test(test_finds_only_what_is_enabled),
	    cmocka_unit_test(test_3009_vendor_bit_without_vendor),
	    cmocka_unit_test(test_5001_unknown_avp_with_m),
	    cmocka_unit_test(test_5001_inside_a_group_shows_only_the_offender),
	    cmocka_unit_test(test_5004_values),
	    cmocka_unit_test(test_5004_utf8),
	    cmocka_unit_test(test_5005_missing),
	    cmocka_unit_test(test_5005_missing_in_a_group),
	    cmocka_unit_test(test_5008_in_a_closed_group),
	    cmocka_unit_test(test_5009_shows_the_first_over_the_limit),
	    cmocka_unit_test(test_5009_in_a_group),
	    cmocka_unit_test(test_5012_session_id_not_first),
	    cmocka_unit_test(test_5014_length_of_a_fixed_type),
	    cmocka_unit_test(test_5014_addresses),
	    cmocka_unit_test(test_5014_length_beyond_the_message),
	    cmocka_unit_test(test_5014_length_below_the_header),
	    cmocka_unit_test(test_5014_inside_a_group),
	    cmocka_unit_test(test_reports_framing_before_meaning),
	};
	guard_init(&guard, sizeof buffer);
	grammar_enable(APP_S6A);
	grammar_enable(APP_S6A);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

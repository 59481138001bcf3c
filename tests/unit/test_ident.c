// Identities: what becomes one and what does not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/base/ident.h"
#include "tests/support/guard.h"

static struct guard guard;

static struct slice text(const char *s)
{
	size_t len = strlen(s);
	return slice_of(guard_copy(&guard, s, len), len);
}

static void test_imsi(void **state)
{
	(void)state;
	static const char *const good[] = {"00101", "001010000000001", "999999999999999", "000000000000000",
					   "262019"};
	static const char *const bad[] = {"",         "0010",   "0010100000000012", "00101000000000a",
					  " 00101",   "00101 ", "+00101",           "-1234567",
					  "0x101010", "001.01", "001010000/",       "001010000:"};
	imsi_t imsi;
	char out[16];
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(imsi_parse(text(good[i]), &imsi));
		assert_int_not_equal(imsi.v, 0);
		assert_int_equal(imsi_text(imsi, out), strlen(good[i]));
		assert_string_equal(out, good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		imsi.v = 5;
		assert_false(imsi_parse(text(bad[i]), &imsi));
		assert_int_equal(imsi.v, 0);
	}
	assert_false(imsi_parse(slice_of("00101\0", 6), &imsi)); // a NUL is no digit
	assert_false(imsi_parse((struct slice){0}, &imsi));
}

static void test_leading_zeros_count(void **state)
{
	(void)state;
	imsi_t a, b;
	assert_true(imsi_parse(text("001010"), &a));
	assert_true(imsi_parse(text("0001010"), &b));
	assert_int_not_equal(a.v, b.v);
}

static void test_msisdn(void **state)
{
	(void)state;
	msisdn_t a, b;
	char out[16];
	assert_true(msisdn_parse(text("+491701234567"), &a));
	assert_true(msisdn_parse(text("491701234567"), &b));
	assert_int_equal(a.v, b.v);
	assert_int_equal(msisdn_text(a, out), 12);
	assert_string_equal(out, "491701234567");
	assert_true(msisdn_parse(text("1"), &a));
	assert_true(msisdn_parse(text("123456789012345"), &a));
	assert_false(msisdn_parse(text("1234567890123456"), &a));
	assert_false(msisdn_parse(text(""), &a));
	assert_false(msisdn_parse(text("+"), &a));
	assert_false(msisdn_parse(text("++1"), &a));
	assert_int_equal(a.v, 0);
}

static void test_tbcd(void **state)
{
	(void)state;
	msisdn_t m;
	uint8_t out[8];
	assert_true(msisdn_parse(text("491701234567"), &m));
	assert_int_equal(msisdn_tbcd(m, out), 6);
	assert_memory_equal(out, "\x94\x71\x10\x32\x54\x76", 6);
	assert_true(msisdn_parse(text("123"), &m));
	assert_int_equal(msisdn_tbcd(m, out), 2);
	assert_memory_equal(out, "\x21\xf3", 2);
	assert_true(msisdn_parse(text("123456789012345"), &m));
	assert_int_equal(msisdn_tbcd(m, out), 8);
	assert_memory_equal(out, "\x21\x43\x65\x87\x09\x21\x43\xf5", 8);
}

static void test_plmn(void **state)
{
	(void)state;
	char out[7];
	plmn_text((const uint8_t *)"\x00\xf1\x10", out); // TS 24.301: MNC of two digits has a filler
	assert_string_equal(out, "00101");
	plmn_text((const uint8_t *)"\x13\x00\x14", out);
	assert_string_equal(out, "310410");
	assert_true(plmn_valid((const uint8_t *)"\x00\xf1\x10"));
	assert_true(plmn_valid((const uint8_t *)"\x13\x00\x14"));
	static const char *const bad[] = {"\x0a\xf1\x10", "\xa0\xf1\x10", "\x00\xfa\x10", "\x00\xa1\x10",
					  "\x00\xe1\x10", "\x00\xf1\x1a", "\x00\xf1\xa0", "\xff\xff\xff"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(plmn_valid(guard_copy(&guard, bad[i], 3)));
}

static void test_hex(void **state)
{
	(void)state;
	uint8_t out[4];
	char back[9];
	assert_true(hex_parse(text("00ff A5\t3c"), out, 4));
	assert_memory_equal(out, "\x00\xff\xa5\x3c", 4);
	hex_text(out, 4, back);
	assert_string_equal(back, "00ffa53c");
	static const char *const bad[] = {"",         "00",       "00ffa53",   "00ffa53c0",
					  "00ffa53g", "00ffa5:3", "00ffa53c\n"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		memset(out, 0x55, sizeof out);
		assert_false(hex_parse(text(bad[i]), out, 4));
		assert_memory_equal(out, "\0\0\0\0", 4); // half a key is wiped
	}
}

static void test_hash_folds_case_on_request(void **state)
{
	(void)state;
	assert_int_equal(ident_hash_bytes(text("MME.Example"), true),
			 ident_hash_bytes(text("mme.example"), true));
	assert_int_not_equal(ident_hash_bytes(text("MME.Example"), false),
			     ident_hash_bytes(text("mme.example"), false));
	assert_int_not_equal(ident_hash_bytes(text("@"), true), ident_hash_bytes(text("`"), true));
	// Stable: it decides which worker has a subscriber's requests, in every process.
	assert_int_equal(ident_hash_bytes(text(""), false), ident_hash(0xcbf29ce484222325ull));
}

// Consecutive IMSIs must spread over few buckets evenly.
static void test_hash_spreads(void **state)
{
	(void)state;
	unsigned bucket[8] = {0};
	for (uint64_t i = 0; i < 8000; i++)
		bucket[ident_hash(0xf0038d7ea4c68000ull + i) % 8]++;
	for (unsigned i = 0; i < 8; i++)
		assert_in_range(bucket[i], 850, 1150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_imsi),
	    cmocka_unit_test(test_leading_zeros_count),
	    cmocka_unit_test(test_msisdn),
	    cmocka_unit_test(test_tbcd),
	    cmocka_unit_test(test_plmn),
	    cmocka_unit_test(test_hex),
	    cmocka_unit_test(test_hash_folds_case_on_request),
	    cmocka_unit_test(test_hash_spreads),
	};
	guard_init(&guard, 4096);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

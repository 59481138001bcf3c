// Base64: the vectors of RFC 4648 10, every length, and what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/base64.h"

static void vectors(void **state)
{
	static const char *const pairs[][2] = {{"", ""},	     {"f", "Zg=="},	    {"fo", "Zm8="},	 {"foo", "Zm9v"},
					       {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char text[16];
		uint8_t back[16];
		size_t len;

		base64_encode(slice_str(pairs[i][0]), text);
		assert_memory_equal(text, pairs[i][1], strlen(pairs[i][1]));
		assert_int_equal(BASE64_LEN(strlen(pairs[i][0])), strlen(pairs[i][1]));
		assert_true(base64_decode(slice_str(pairs[i][1]), back, &len));
		assert_int_equal(len, strlen(pairs[i][0]));
		assert_memory_equal(back, pairs[i][0], len);
	}
}

static void all_octets(void **state)
{
	uint8_t in[256], back[BASE64_LEN(256) / 4 * 3];
	char text[BASE64_LEN(256)];
	size_t len;

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		in[i] = (uint8_t)(i * 7);
	for (size_t n = 0; n <= 256; n++) {
		base64_encode(slice_of(in, n), text);
		assert_true(base64_decode(slice_of(text, BASE64_LEN(n)), back, &len));
		assert_int_equal(len, n);
		assert_memory_equal(back, in, n);
	}
}

static void refused(void **state)
{
	static const char *const bad[] = {"Z",	  "Zg",	  "Zg=",      "Zg==Zg==", "=g==", "Z===",   "====",
					  "Zh==", "Zm9=", "Zm9v\n", "Zm\x80v",  "Zm-v", "Zm9vZg", " Zm9"};
	uint8_t out[16];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(base64_decode(slice_str(bad[i]), out, &len));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(vectors),
	    cmocka_unit_test(all_octets),
	    cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

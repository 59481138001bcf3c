// Per-request memory and the handling of secrets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "lib/base/arena.h"
#include "lib/base/secret.h"

// AddressSanitizer aborts on impossible sizes unless told that malloc may fail.
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void test_takes_aligned_and_zeroed(void **state)
{
	(void)state;
	struct arena a;
	assert_int_equal(arena_init(&a, 4096), 0);
	for (size_t n = 1; n < 40; n++) {
		uint8_t *p = arena_take(&a, n);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n);
	}
	arena_fini(&a);
	assert_null(a.base);
}

static void test_refuses_what_does_not_fit(void **state)
{
	(void)state;
	struct arena a;
	assert_int_equal(arena_init(&a, 100), 0);
	assert_non_null(arena_take(&a, 90));
	assert_null(arena_take(&a, 16));
	assert_null(arena_take(&a, 1));
	assert_null(arena_take(&a, SIZE_MAX));
	assert_null(arena_take(&a, SIZE_MAX - 15));
	arena_reset(&a);
	assert_non_null(arena_take(&a, 96));
	arena_fini(&a);
	assert_null(arena_take(&a, 1));
}

static void test_reset_wipes(void **state)
{
	(void)state;
	struct arena a;
	assert_int_equal(arena_init(&a, 256), 0);
	uint8_t *p = arena_take(&a, 32);
	assert_non_null(p);
	memset(p, 0xaa, 32);
	arena_reset(&a);
	for (int i = 0; i < 32; i++)
		assert_int_equal(p[i], 0);
	assert_ptr_equal(arena_take(&a, 32), p);
	arena_fini(&a);
}

static void test_an_impossible_size(void **state)
{
	(void)state;
	struct arena a;
	assert_int_equal(arena_init(&a, (size_t)1 << 60), -ENOMEM);
	assert_null(arena_take(&a, 1));
	arena_fini(&a);
}

static void test_secrets(void **state)
{
	(void)state;
	uint8_t a[16] = "0123456789abcde", b[16] = "0123456789abcde";
	assert_true(secret_equal(a, b, sizeof a));
	for (size_t i = 0; i < sizeof a; i++) {
		b[i] ^= 1;
		assert_false(secret_equal(a, b, sizeof a));
		b[i] ^= 1;
	}
	secret_wipe(a, 15);
	for (int i = 0; i < 15; i++)
		assert_int_equal(a[i], 0);
	assert_string_equal(SECRET_MASK, "***");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_takes_aligned_and_zeroed),
	    cmocka_unit_test(test_refuses_what_does_not_fit),
	    cmocka_unit_test(test_reset_wipes),
	    cmocka_unit_test(test_an_impossible_size),
	    cmocka_unit_test(test_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

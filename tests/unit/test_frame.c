// Framing: what is too short, too long or odd is refused as soon as the length field is there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/diameter/frame.h"
#include "lib/base/wire.h"
#include "tests/support/guard.h"

static struct guard guard;

static int frame_of(uint32_t claimed, size_t there, uint32_t max)
{
	uint8_t *p = guard_room(&guard, there);
	memset(p, 0, there);
	if (there >= 4)
		be32_put(p, 1u << 24 | claimed);
	return frame_next(p, there, max);
}

static void test_waits_for_what_is_missing(void **state)
{
	(void)state;
	for (size_t there = 0; there < 4; there++)
		assert_int_equal(frame_of(20, there, 65536), FRAME_MORE);
	for (size_t there = 4; there < 24; there++)
		assert_int_equal(frame_of(24, there, 65536), FRAME_MORE);
	assert_int_equal(frame_of(24, 24, 65536), 24);
	assert_int_equal(frame_of(24, 100, 65536), 24);
}

// kamailio #4876: a length below the header's, before any CER.
static void test_refuses_a_length_below_the_header(void **state)
{
	(void)state;
	for (uint32_t len = 0; len < 20; len++)
		assert_int_equal(frame_of(len, 4, 65536), FRAME_BROKEN);
	assert_int_equal(frame_of(20, 20, 65536), 20);
}

static void test_refuses_more_than_the_maximum_at_once(void **state)
{
	(void)state;
	assert_int_equal(frame_of(65536, 4, 65536), FRAME_MORE);
	assert_int_equal(frame_of(65540, 4, 65536), FRAME_BROKEN);
	assert_int_equal(frame_of(0xffffff, 4, 65536), FRAME_BROKEN);
	assert_int_equal(frame_of(0xfffffc, 4, 0xffffff), FRAME_MORE);
}

static void test_refuses_lengths_that_are_no_multiple_of_four(void **state)
{
	(void)state;
	for (uint32_t len = 21; len < 64; len++)
		assert_int_equal(frame_of(len, 4, 65536), len % 4 ? FRAME_BROKEN : FRAME_MORE);
}

static void test_does_not_judge_the_version(void **state)
{
	(void)state;
	uint8_t *p = guard_room(&guard, 20);
	memset(p, 0, 20);
	be32_put(p, 9u << 24 | 20);
	assert_int_equal(frame_next(p, 20, 65536), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_waits_for_what_is_missing),
	    cmocka_unit_test(test_refuses_a_length_below_the_header),
	    cmocka_unit_test(test_refuses_more_than_the_maximum_at_once),
	    cmocka_unit_test(test_refuses_lengths_that_are_no_multiple_of_four),
	    cmocka_unit_test(test_does_not_judge_the_version),
	};
	guard_init(&guard, 4096);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

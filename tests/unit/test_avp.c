// AVPs one at a time: walking at the edge of readable memory, and writing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/diameter/avp.h"
#include "tests/support/guard.h"

static struct guard guard;

static struct rd rd_guarded(const void *p, size_t len)
{
	return rd_of(guard_copy(&guard, p, len), len);
}

static const uint8_t two_avps[] = {
    0, 0, 0, 1,    0x40, 0, 0, 11, 'a', 'b', 'c',  0,                            // 1, 3 octets and padding
    0, 0, 5, 0x80, 0xc0, 0, 0, 16, 0,   0,   0x28, 0xaf, 0xde, 0xad, 0xbe, 0xef, // 1408 of 3GPP
};

static void test_walks_a_list(void **state)
{
	(void)state;
	struct rd r = rd_guarded(two_avps, sizeof two_avps);
	struct avp a;
	assert_int_equal(avp_next(&r, &a), AVP_WALK_ONE);
	assert_int_equal(a.code, 1);
	assert_int_equal(a.vendor, 0);
	assert_int_equal(a.flags, AVP_M);
	assert_memory_equal(a.data.p, "abc", 3);
	assert_int_equal(a.whole.len, 11);
	assert_int_equal(avp_next(&r, &a), AVP_WALK_ONE);
	assert_int_equal(a.code, 1408);
	assert_int_equal(a.vendor, 10415);
	uint32_t v = 0;
	assert_true(avp_u32(a.data, &v));
	assert_int_equal(v, 0xdeadbeef);
	assert_int_equal(avp_next(&r, &a), AVP_WALK_END);
	assert_false(r.err);
}

static void test_last_padding_may_be_missing(void **state)
{
	(void)state;
	struct rd r = rd_guarded(two_avps, 11);
	struct avp a;
	assert_int_equal(avp_next(&r, &a), AVP_WALK_ONE);
	assert_int_equal(a.data.len, 3);
	assert_int_equal(avp_next(&r, &a), AVP_WALK_END);
}

static void test_every_truncation_is_broken_or_ends(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof two_avps; len++) {
		struct rd r = rd_guarded(two_avps, len);
		struct avp a;
		unsigned whole = 0;
		enum avp_walk step;
		while ((step = avp_next(&r, &a)) == AVP_WALK_ONE)
			whole++;
		assert_int_equal(whole, len >= 11);
		assert_int_equal(step, len == 0 || len == 11 || len == 12 ? AVP_WALK_END : AVP_WALK_BROKEN);
		if (step == AVP_WALK_BROKEN) {
			size_t left = len > 12 ? len - 12 : len;
			assert_int_equal(a.whole.len, left < 12 ? left : 12);
			assert_int_equal(avp_next(&r, &a), AVP_WALK_END); // the error is sticky
		}
	}
}

static void test_every_length_of_one_avp(void **state)
{
	(void)state;
	for (uint32_t len = 0; len <= 64; len++)
		for (int vendor = 0; vendor < 2; vendor++) {
			uint8_t m[24] = {0, 0, 0, 1, vendor ? 0x80 : 0};
			be24_put(m + 5, len);
			struct rd r = rd_guarded(m, sizeof m);
			struct avp a;
			bool fits = len >= (vendor ? 12 : 8) && len <= sizeof m;
			assert_int_equal(avp_next(&r, &a), fits ? AVP_WALK_ONE : AVP_WALK_BROKEN);
			if (fits)
				assert_int_equal(a.data.len, len - (vendor ? 12 : 8));
		}
	uint8_t m[24] = {0, 0, 0, 1, 0, 0xff, 0xff, 0xff};
	struct rd r = rd_guarded(m, sizeof m);
	struct avp a;
	assert_int_equal(avp_next(&r, &a), AVP_WALK_BROKEN);
}

static void test_find(void **state)
{
	(void)state;
	struct slice list = slice_of(guard_copy(&guard, two_avps, sizeof two_avps), sizeof two_avps);
	struct avp a;
	assert_true(avp_find(list, 1408, 10415, &a));
	assert_int_equal(a.data.len, 4);
	assert_false(avp_find(list, 1408, 0, &a));
	assert_false(avp_find(list, 2, 0, &a));
	list.len = 20; // the second one is cut off
	assert_true(avp_find(list, 1, 0, &a));
	assert_false(avp_find(list, 1408, 10415, &a));
	assert_false(avp_find((struct slice){0}, 1, 0, &a));
}

static void test_writes_what_it_reads(void **state)
{
	(void)state;
	uint8_t out[sizeof two_avps];
	struct wr w = wr_of(out, sizeof out);
	avp_put(&w, 1, 0, AVP_M, "abc", 3);
	avp_put_u32(&w, 1408, 10415, AVP_M, 0xdeadbeef);
	assert_false(w.err);
	assert_int_equal(wr_len(&w), sizeof two_avps);
	assert_memory_equal(out, two_avps, sizeof two_avps);
	avp_put_u32(&w, 1, 0, 0, 1);
	assert_true(w.err);
	assert_int_equal(wr_done(&w).len, 0);
}

static void test_groups_get_the_length_of_their_children(void **state)
{
	(void)state;
	uint8_t out[64];
	struct wr w = wr_of(out, sizeof out);
	size_t at = avp_group_begin(&w, 260, 0, AVP_M), inner = avp_group_begin(&w, 1413, 10415, 0);
	avp_put(&w, 1, 0, 0, "x", 1);
	avp_group_end(&w, inner);
	avp_group_end(&w, at);
	assert_int_equal(wr_len(&w), 8 + 12 + 12);
	assert_int_equal(be24_get(out + 5), 32);
	assert_int_equal(be24_get(out + 8 + 5), 24); // the padding inside counts
	assert_memory_equal(out + 29, "\0\0\0", 3);
}

static void test_a_group_of_16_mib_is_refused(void **state)
{
	(void)state;
	static uint8_t big[1 << 24];
	struct wr w = wr_of(big, sizeof big);
	size_t at = avp_group_begin(&w, 260, 0, AVP_M);
	wr_zero(&w, sizeof big - 8);
	avp_group_end(&w, at);
	assert_true(w.err);
}

static void test_unsigned32_has_four_octets(void **state)
{
	(void)state;
	uint32_t v = 7;
	assert_false(avp_u32(slice_of("abc", 3), &v));
	assert_false(avp_u32(slice_of("abcde", 5), &v));
	assert_false(avp_u32((struct slice){0}, &v));
	assert_int_equal(v, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_walks_a_list),
	    cmocka_unit_test(test_last_padding_may_be_missing),
	    cmocka_unit_test(test_every_truncation_is_broken_or_ends),
	    cmocka_unit_test(test_every_length_of_one_avp),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_writes_what_it_reads),
	    cmocka_unit_test(test_groups_get_the_length_of_their_children),
	    cmocka_unit_test(test_a_group_of_16_mib_is_refused),
	    cmocka_unit_test(test_unsigned32_has_four_octets),
	};
	guard_init(&guard, 4096);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

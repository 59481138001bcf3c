// The bounded reader and writer: every operation at the very end of its bytes, and what comes after a
// refusal.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include "lib/base/wire.h"
#include "tests/support/guard.h"

static struct guard guard;

static struct rd rd_guarded(const void *p, size_t len)
{
	return rd_of(guard_copy(&guard, p, len), len);
}

static void test_numbers_are_big_endian(void **state)
{
	(void)state;
	struct rd r =
	    rd_guarded("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12", 18);
	assert_int_equal(rd_u8(&r), 0x01);
	assert_int_equal(rd_u16(&r), 0x0203);
	assert_int_equal(rd_u24(&r), 0x040506);
	assert_int_equal(rd_u32(&r), 0x0708090a);
	assert_int_equal(rd_u64(&r), 0x0b0c0d0e0f101112);
	assert_int_equal(rd_left(&r), 0);
	assert_false(r.err);
}

static void test_writing_is_the_inverse_of_reading(void **state)
{
	(void)state;
	uint8_t out[18];
	struct wr w = wr_of(out, sizeof out);
	wr_u8(&w, 0x01);
	wr_u16(&w, 0x0203);
	wr_u24(&w, 0x040506);
	wr_u32(&w, 0x0708090a);
	wr_u64(&w, 0x0b0c0d0e0f101112);
	assert_memory_equal(out, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12",
			    18);
	assert_int_equal(wr_room(&w), 0);
	assert_int_equal(wr_done(&w).len, 18);
}

// Each reader with fewer octets than it needs: zero, the sticky error, and nothing can be read any more.
static void test_a_refused_read_is_sticky(void **state)
{
	(void)state;
	static const uint8_t ones[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	for (unsigned len = 0; len < 8; len++) {
		struct rd r = rd_guarded(ones, len);
		assert_int_equal(rd_u64(&r), 0);
		assert_true(r.err);
		assert_int_equal(rd_left(&r), 0);
		assert_int_equal(rd_u8(&r), 0);
		assert_null(rd_take(&r, 0));
		if (len < 4) {
			r = rd_guarded(ones, len);
			assert_int_equal(rd_u32(&r), 0);
			assert_true(r.err);
		}
		if (len < 3) {
			r = rd_guarded(ones, len);
			assert_int_equal(rd_u24(&r), 0);
			assert_true(r.err);
		}
		if (len < 2) {
			r = rd_guarded(ones, len);
			assert_int_equal(rd_u16(&r), 0);
			assert_true(r.err);
		}
	}
	struct rd r = rd_guarded(ones, 3);
	assert_null(rd_take(&r, SIZE_MAX));
	assert_true(r.err);
}

static void test_blobs(void **state)
{
	(void)state;
	struct rd r = rd_guarded("\0\3abc\0\0\0\2de\0\5xy", 15);
	struct slice s = rd_blob16(&r);
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.p, "abc", 3);
	s = rd_blob32(&r);
	assert_int_equal(s.len, 2);
	assert_memory_equal(s.p, "de", 2);
	s = rd_blob16(&r); // says 5, has 2
	assert_int_equal(s.len, 0);
	assert_true(r.err);
	r = rd_guarded("\xff\xff\xff\xff", 4);
	assert_int_equal(rd_blob32(&r).len, 0);
	assert_true(r.err);
}

static void test_blobs_written(void **state)
{
	(void)state;
	uint8_t out[16];
	struct wr w = wr_of(out, sizeof out);
	wr_blob16(&w, slice_str("abc"));
	wr_blob32(&w, slice_str("de"));
	wr_blob16(&w, (struct slice){0});
	assert_int_equal(wr_done(&w).len, 13);
	assert_memory_equal(out, "\0\3abc\0\0\0\2de\0\0", 13);
	uint8_t *big = calloc(1, 70000);
	assert_non_null(big);
	uint8_t *to = malloc(70000);
	assert_non_null(to);
	w = wr_of(to, 70000);
	wr_blob16(&w, slice_of(big, 65535));
	assert_false(w.err);
	w = wr_of(to, 70000);
	wr_blob16(&w, slice_of(big, 65536)); // its length has no 16 bits
	assert_true(w.err);
	free(big);
	free(to);
}

static void test_a_refused_write_voids_everything(void **state)
{
	(void)state;
	for (unsigned cap = 0; cap < 12; cap++) {
		uint8_t *to = guard_room(&guard, cap);
		struct wr w = wr_of(to, cap);
		for (unsigned i = 0; i < 3; i++)
			wr_u32(&w, 0x01020304);
		assert_true(w.err);
		assert_int_equal(wr_done(&w).len, 0);
		assert_int_equal(wr_room(&w), 0);
		wr_u8(&w, 1); // would fit, but the message has a hole
		assert_int_equal(wr_len(&w), cap / 4 * 4);
		assert_null(wr_reserve(&w, 0));
	}
	struct wr w = wr_of(guard_room(&guard, 4), 4);
	assert_null(wr_reserve(&w, SIZE_MAX));
	assert_true(w.err);
}

static void test_empty_slices(void **state)
{
	(void)state;
	struct rd r = rd_slice((struct slice){0});
	assert_int_equal(rd_left(&r), 0);
	assert_int_equal(rd_bytes(&r, 0).len, 0);
	assert_false(r.err);
	struct wr w = wr_of(NULL, 0);
	wr_slice(&w, (struct slice){0});
	wr_zero(&w, 0);
	assert_false(w.err);
	assert_true(slice_eq((struct slice){0}, slice_str("")));
	assert_true(slice_eq_nocase((struct slice){0}, slice_str("")));
}

static void test_comparing(void **state)
{
	(void)state;
	assert_true(slice_eq(slice_str("abc"), slice_str("abc")));
	assert_false(slice_eq(slice_str("abc"), slice_str("abC")));
	assert_false(slice_eq(slice_str("abc"), slice_str("ab")));
	assert_true(slice_eq_nocase(slice_str("MME01.Example.ORG"), slice_str("mme01.example.org")));
	assert_false(slice_eq_nocase(slice_str("a"), slice_str("b")));
	assert_false(slice_eq_nocase(slice_str("ab"), slice_str("abc")));
	// Only letters fold: these differ by 0x20 as well.
	assert_false(slice_eq_nocase(slice_str("@"), slice_str("`")));
	assert_false(slice_eq_nocase(slice_str("["), slice_str("{")));
	assert_false(slice_eq_nocase(slice_str("\xc1"), slice_str("\xe1")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers_are_big_endian),
	    cmocka_unit_test(test_writing_is_the_inverse_of_reading),
	    cmocka_unit_test(test_a_refused_read_is_sticky),
	    cmocka_unit_test(test_blobs),
	    cmocka_unit_test(test_blobs_written),
	    cmocka_unit_test(test_a_refused_write_voids_everything),
	    cmocka_unit_test(test_empty_slices),
	    cmocka_unit_test(test_comparing),
	};
	guard_init(&guard, 4096);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

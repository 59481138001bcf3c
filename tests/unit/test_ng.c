// RTPengine's ng protocol: bencode in its one spelling, messages cut at every octet, WebSocket frames of all lengths,
// octets that are no text.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/ng/ng.h"
#include "tests/support/guard.h"

static struct ng_fault fault;

static enum ng_read read_text(const char *text, size_t len, json_t **out)
{
	struct rd r = rd_of(text, len);
	enum ng_read rc = ng_bencode_read(&r, out, &fault);

	if (rc == NG_READ_OK && rd_left(&r)) {
		json_decref(*out);
		fail_msg("%zu octets left of %s", rd_left(&r), text);
	}
	return rc;
}

static void expect_json(const json_t *value, const char *expected)
{
	char *got = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	assert_string_equal(got, expected);
	free(got);
}

static void values(void **state)
{
	static const char *const cases[][2] = {
	    {"i0e", "0"},
	    {"i-1e", "-1"},
	    {"i9223372036854775807e", "9223372036854775807"},
	    {"i-9223372036854775808e", "-9223372036854775808"},
	    {"0:", "\"\""},
	    {"4:ping", "\"ping\""},
	    {"le", "[]"},
	    {"de", "{}"},
	    {"l1:ai2ele1:be", "[\"a\",2,[],\"b\"]"},
	    {"d1:bi1e1:ali2eee", "{\"b\":1,\"a\":[2]}"}, // keys in any order
	    {"d0:i1ee", "{\"\":1}"},
	    {"d1:ad1:bd1:c1:deee", "{\"a\":{\"b\":{\"c\":\"d\"}}}"},
	};
	json_t *value;
	(void)state;

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(read_text(cases[i][0], strlen(cases[i][0]), &value), NG_READ_OK);
		expect_json(value, cases[i][1]);
		json_decref(value);
	}
}

static void malformed(void **state)
{
	static const struct {
		const char *text, *what;
		uint32_t offset;
	} cases[] = {
	    {"i-0e", "a negative zero", 1},
	    {"i01e", "a number with a leading zero", 1},
	    {"ie", "expected a digit", 1},
	    {"i-e", "expected a digit", 2},
	    {"i1.5e", "expected a digit", 2},
	    {"i9223372036854775808e", "a number that is too large", 1},
	    {"i-9223372036854775809e", "a number that is too large", 2},
	    {"-1:a", "expected a value", 0},
	    {"01:a", "a number with a leading zero", 0},
	    {"1048577:", "a number that is too large", 0},
	    {"99999999999999999999:", "a number that is too large", 0},
	    {"x", "expected a value", 0},
	    {"e", "expected a value", 0},
	    {"d1:ae", "expected a value", 4},
	    {"di1ei2ee", "expected a digit", 1},
	    {"dlei1ee", "expected a digit", 1},
	    {"d1:ai1e1:ai2ee", "a key that is there twice", 7},
	    {"lx", "expected a value", 1},
	};
	static const char nul[] = "d1:\0i1ee";
	json_t *value;
	(void)state;

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(read_text(cases[i].text, strlen(cases[i].text), &value), NG_READ_BAD);
		assert_null(value);
		assert_string_equal(fault.what, cases[i].what);
		assert_int_equal(fault.offset, cases[i].offset);
	}
	assert_int_equal(read_text(nul, sizeof nul - 1, &value), NG_READ_BAD);
	assert_string_equal(fault.what, "a key with a NUL");
}

static void nested(void **state)
{
	char text[4 * NG_DEPTH_MAX];
	json_t *value;
	(void)state;

	memset(text, 'l', NG_DEPTH_MAX);
	memset(text + NG_DEPTH_MAX, 'e', NG_DEPTH_MAX);
	assert_int_equal(read_text(text, 2 * NG_DEPTH_MAX, &value), NG_READ_OK);
	json_decref(value);
	memset(text, 'l', NG_DEPTH_MAX + 1);
	memset(text + NG_DEPTH_MAX + 1, 'e', NG_DEPTH_MAX + 1);
	assert_int_equal(read_text(text, 2 * NG_DEPTH_MAX + 2, &value), NG_READ_BAD);
	assert_string_equal(fault.what, "nested too deeply");
	assert_int_equal(fault.offset, NG_DEPTH_MAX);
}

static const char answer[] = "0a1b d6:result2:ok5:callsl3:one3:two0:e4:tagsd1:Ad6:mediasld5:indexi1e7:packetsi-12eeeeee";

static void cut_everywhere(void **state)
{
	struct guard g;
	struct slice cookie;
	json_t *value;
	size_t used;
	(void)state;

	guard_init(&g, sizeof answer);
	for (size_t len = 0; len < sizeof answer - 1; len++) {
		struct slice s = slice_of(guard_copy(&g, answer, len), len);
		assert_int_equal(ng_message_read(s, &cookie, &value, &fault), NG_READ_CUT);
		assert_null(value);
		assert_int_equal(fault.offset, len);
	}
	struct slice whole = slice_of(guard_copy(&g, answer, sizeof answer - 1), sizeof answer - 1);
	assert_int_equal(ng_message_read(whole, &cookie, &value, &fault), NG_READ_OK);
	assert_true(slice_eq(cookie, slice_str("0a1b")));
	expect_json(value, "{\"result\":\"ok\",\"calls\":[\"one\",\"two\",\"\"],\"tags\":{\"A\":{\"medias\":[{\"index\":1,"
			   "\"packets\":-12}]}}}");
	json_decref(value);
	guard_fini(&g);
	static const char two[] = "a de\nb d1:xi1ee";
	assert_int_equal(ng_stream_read(slice_str(two), &used, &cookie, &value, &fault), NG_READ_OK);
	assert_int_equal(used, 4);
	json_decref(value);
	assert_int_equal(ng_stream_read(slice_of(two + used, sizeof two - 1 - used), &used, &cookie, &value, &fault),
			 NG_READ_OK);
	assert_true(slice_eq(cookie, slice_str("b")));
	assert_int_equal(used, sizeof two - 1 - 4);
	json_decref(value);
}

static void messages(void **state)
{
	static const struct {
		const char *text;
		enum ng_read rc;
		const char *what;
		uint32_t offset;
	} cases[] = {
	    {" de", NG_READ_BAD, "expected a cookie", 0},
	    {"c le", NG_READ_BAD, "expected a dictionary", 2},
	    {"c 2:ok", NG_READ_BAD, "expected a dictionary", 2},
	    {"c dex", NG_READ_BAD, "something follows the message", 4},
	    {"c {\"a\":1", NG_READ_BAD, "no JSON object", 8},
	    {"c {\"a\":1,\"a\":2}", NG_READ_BAD, "no JSON object", 12},
	    {"c", NG_READ_CUT, "it ends before it is whole", 1},
	};
	char long_cookie[NG_COOKIE_MAX + 8];
	struct slice cookie;
	json_t *value;
	(void)state;

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(ng_message_read(slice_str(cases[i].text), &cookie, &value, &fault), cases[i].rc);
		assert_null(value);
		assert_string_equal(fault.what, cases[i].what);
		assert_int_equal(fault.offset, cases[i].offset);
	}
	assert_int_equal(ng_message_read(slice_str("c {\"result\":\"pong\"}"), &cookie, &value, &fault), NG_READ_OK);
	expect_json(value, "{\"result\":\"pong\"}");
	json_decref(value);
	for (size_t n = NG_COOKIE_MAX; n <= NG_COOKIE_MAX + 1; n++) {
		memset(long_cookie, 'c', n);
		strcpy(long_cookie + n, " de");
		assert_int_equal(ng_message_read(slice_str(long_cookie), &cookie, &value, &fault),
				 n == NG_COOKIE_MAX ? NG_READ_OK : NG_READ_BAD);
		json_decref(value);
	}
}

static void written(void **state)
{
	json_t *value = json_pack("{s:s, s:[s,i,b,b], s:{s:I}, s:s%}", "command", "list", "b", "x", -5, 1, 0, "a", "min",
				  (json_int_t)INT64_MIN, "a b", "y\0z", (size_t)3);
	static const char expected[] = "c d1:ad3:mini-9223372036854775808ee3:a b3:y\0z1:bl1:xi-5ei1ei0ee7:command4:liste";
	uint8_t out[256];
	struct slice cookie;
	json_t *again;
	(void)state;

	struct wr w = wr_of(out, sizeof out);
	assert_true(ng_message_write("c", value, NG_BENCODE, &w));
	assert_int_equal(wr_len(&w), sizeof expected - 1);
	assert_memory_equal(out, expected, sizeof expected - 1);
	assert_int_equal(ng_message_read(wr_done(&w), &cookie, &again, &fault), NG_READ_OK);
	json_decref(again);
	for (size_t room = 0; room < sizeof expected - 1; room++) {
		w = wr_of(out, room);
		assert_false(ng_message_write("c", value, NG_BENCODE, &w));
	}
	w = wr_of(out, sizeof out);
	assert_true(ng_message_write("c", value, NG_JSON, &w));
	assert_int_equal(ng_message_read(wr_done(&w), &cookie, &again, &fault), NG_READ_BAD); // a NUL in JSON
	json_object_set_new(value, "a b", json_real(1.5));
	w = wr_of(out, sizeof out);
	assert_false(ng_message_write("c", value, NG_BENCODE, &w));
	json_object_set_new(value, "a b", json_null());
	w = wr_of(out, sizeof out);
	assert_false(ng_message_write("c", value, NG_BENCODE, &w));
	json_decref(value);
}

static void cookies(void **state)
{
	char one[NG_COOKIE_SIZE], two[NG_COOKIE_SIZE];
	(void)state;

	ng_cookie(one);
	ng_cookie(two);
	assert_int_equal(strlen(one), NG_COOKIE_SIZE - 1);
	assert_string_not_equal(one, two);
}

static void octets_become_text(void **state)
{
	static const char text[] = "d3:a\xff" "b5:\xc3\xa4\xc3(xe";
	json_t *value, *clean;
	(void)state;

	assert_int_equal(read_text(text, sizeof text - 1, &value), NG_READ_OK);
	assert_null(json_dumps(value, 0));
	clean = ng_clean(value);
	expect_json(clean, "{\"a\xef\xbf\xbd" "b\":\"\xc3\xa4\xef\xbf\xbd(x\"}");
	json_decref(clean);
	json_decref(value);
}

// --- WebSocket

// What a server sends: no mask.
static size_t server_frame(uint8_t *out, size_t cap, uint8_t first, const uint8_t *p, size_t len)
{
	struct wr w = wr_of(out, cap);
	wr_u8(&w, first);
	if (len < 126) {
		wr_u8(&w, (uint8_t)len);
	} else if (len < 65536) {
		wr_u8(&w, 126);
		wr_u16(&w, (uint16_t)len);
	} else {
		wr_u8(&w, 127);
		wr_u64(&w, len);
	}
	wr_bytes(&w, p, len);
	assert_false(w.err);
	return wr_len(&w);
}

static uint8_t payload[70000], frame_octets[70100], back[70100];

static void frames(void **state)
{
	static const size_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, 70000};
	struct ng_ws_frame f;
	(void)state;

	for (size_t i = 0; i < sizeof payload; i++)
		payload[i] = (uint8_t)(i * 7);
	for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		size_t len = server_frame(frame_octets, sizeof frame_octets, 0x82, payload, lengths[i]);
		struct rd r = rd_of(frame_octets, len);
		assert_int_equal(ng_ws_frame_read(&r, &f, &fault), NG_READ_OK);
		assert_true(f.last && f.opcode == NG_WS_BINARY && f.payload.len == lengths[i]);
		assert_int_equal(rd_left(&r), 0);
		for (size_t cut = 0; cut < (len < 300 ? len : 300); cut++) {
			r = rd_of(frame_octets, cut);
			assert_int_equal(ng_ws_frame_read(&r, &f, &fault), NG_READ_CUT);
		}
		// ours: masked, and the same once the mask is taken off
		struct wr w = wr_of(back, sizeof back);
		assert_true(ng_ws_frame_write(NG_WS_BINARY, slice_of(payload, lengths[i]), &w));
		uint8_t *mask = w.p - lengths[i] - 4;
		assert_int_equal(wr_len(&w), len + 4);
		for (size_t k = 0; k < lengths[i]; k++)
			assert_int_equal(mask[4 + k] ^ mask[k % 4], payload[k]);
	}
}

static void bad_frames(void **state)
{
	static const struct {
		uint8_t octets[10];
		const char *what;
	} cases[] = {
	    {{0xc2, 0}, "a frame with an extension that nobody asked for"},
	    {{0x82, 0x80, 1, 2, 3, 4}, "a frame of a server with a mask"},
	    {{0x09, 0}, "a control frame that is too long or in pieces"},
	    {{0x89, 126, 0, 126}, "a control frame that is too long or in pieces"},
	    {{0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1}, "a frame that is too long"},
	    {{0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "a frame that is too long"},
	};
	struct ng_ws_frame f;
	(void)state;

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rd r = rd_of(cases[i].octets, sizeof cases[i].octets);
		assert_int_equal(ng_ws_frame_read(&r, &f, &fault), NG_READ_BAD);
		assert_string_equal(fault.what, cases[i].what);
	}
}

// RFC 6455 1.3: its key and the answer to it.
static void handshake(void **state)
{
	static const char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
	static const char good[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
				   "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
				   "Sec-WebSocket-Protocol: ng.rtpengine.com\r\n\r\n\x81\x00";
	char other[sizeof good];
	char own[NG_WS_KEY_SIZE];
	size_t used;
	struct guard g;
	(void)state;

	assert_int_equal(ng_ws_handshake_read(slice_of(good, sizeof good - 1), key, &used, &fault), NG_READ_OK);
	assert_int_equal(used, sizeof good - 3);
	guard_init(&g, sizeof good);
	for (size_t len = 0; len < used; len++)
		assert_int_equal(ng_ws_handshake_read(slice_of(guard_copy(&g, good, len), len), key, &used, &fault),
				 NG_READ_CUT);
	guard_fini(&g);
	assert_int_equal(ng_ws_handshake_read(slice_str("HTTP/1.1 404 Not Found\r\n\r\n"), key, &used, &fault), NG_READ_BAD);
	ng_ws_key(own);
	assert_int_equal(strlen(own), 24);
	assert_int_equal(ng_ws_handshake_read(slice_str(good), own, &used, &fault), NG_READ_BAD);
	assert_string_equal(fault.what, "the server answered another handshake");
	memcpy(other, good, sizeof good);
	memcpy(strstr(other, "ng.rtp"), "ab", 2);
	assert_int_equal(ng_ws_handshake_read(slice_str(other), key, &used, &fault), NG_READ_BAD);
	memset(payload, 'x', sizeof payload);
	assert_int_equal(ng_ws_handshake_read(slice_of(payload, 9000), key, &used, &fault), NG_READ_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values),   cmocka_unit_test(malformed),          cmocka_unit_test(nested),
	    cmocka_unit_test(messages), cmocka_unit_test(cut_everywhere),     cmocka_unit_test(written),
	    cmocka_unit_test(cookies),  cmocka_unit_test(octets_become_text), cmocka_unit_test(frames),
	    cmocka_unit_test(bad_frames), cmocka_unit_test(handshake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// RTP and RTCP: packets to and from octets, malformed ones with their offset, each cut at every octet; header extensions of
// both forms; what a stream's statistics make of loss, order and wraps; the samples of G.711.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/ident.h"
#include "lib/rtp/rtp.h"
#include "tests/support/guard.h"

static uint8_t octets[512];
static struct rtp_packet packet;
static struct rtp_fault fault;

static struct slice hex(const char *text)
{
	unsigned digits = 0;
	for (const char *p = text; *p; p++)
		digits += *p != ' ';
	assert_true(hex_parse(slice_str(text), octets, digits / 2));
	return slice_of(octets, digits / 2);
}

// The example header that scripts know.
static void header(void **state)
{
	(void)state;
	assert_true(rtp_decode(hex("8008d434 0000303c 0b12671a d5d5"), &packet, &fault));
	assert_int_equal(packet.payload_type, 8);
	assert_int_equal(packet.sequence, 54324);
	assert_int_equal(packet.timestamp, 12348);
	assert_int_equal(packet.ssrc, 185755418);
	assert_false(packet.marker || packet.extension || packet.csrc_cnt || packet.padding.len);
	assert_int_equal(packet.payload.len, 2);
	assert_string_equal(rtp_payload_name(8), "PCMA");
	assert_int_equal(rtp_clock_rate(8), 8000);
	assert_int_equal(rtp_clock_rate(14), 90000);
	for (unsigned type = 35; type < 256; type++)
		assert_true(!rtp_payload_name(type) && !rtp_clock_rate(type));
}

// Version, padding of 3, extension of 2 words, 2 sources, marker.
static const char whole[] = "b2e00102 03040506 0708090a 11111111 22222222 bede0002 10aa21bb cc000000 cafe 000003";

static void everything(void **state)
{
	uint8_t out[64];
	struct wr w = wr_of(out, sizeof out);
	struct slice bytes = hex(whole);
	(void)state;

	assert_true(rtp_decode(bytes, &packet, &fault));
	assert_true(packet.marker && packet.extension);
	assert_int_equal(packet.payload_type, 0x60);
	assert_int_equal(packet.csrc_cnt, 2);
	assert_int_equal(packet.csrc[1], 0x22222222);
	assert_int_equal(packet.profile, 0xbede);
	assert_int_equal(packet.ext.len, 8);
	assert_int_equal(packet.payload.len, 2);
	assert_int_equal(packet.padding.len, 3);
	assert_true(rtp_encode(&packet, &w));
	assert_true(slice_eq(wr_done(&w), bytes));
	for (size_t room = 0; room < bytes.len; room++) {
		w = wr_of(out, room);
		assert_false(rtp_encode(&packet, &w));
	}
	// what can't be said
	struct slice ext = packet.ext, padding = packet.padding;
	w = wr_of(out, sizeof out);
	packet.ext.len = 7;
	assert_false(rtp_encode(&packet, &w));
	packet.ext = ext;
	packet.padding.len = 2;
	assert_false(rtp_encode(&packet, &w));
	packet.padding = padding;
	packet.csrc_cnt = 16;
	assert_false(rtp_encode(&packet, &w));
}

static void cut_everywhere(void **state)
{
	struct guard g;
	struct slice bytes = hex(whole);
	(void)state;

	guard_init(&g, sizeof octets);
	for (size_t len = 0; len < bytes.len; len++) {
		struct slice s = slice_of(guard_copy(&g, bytes.p, len), len);
		bool header_whole = len >= 32;
		assert_int_equal(rtp_decode_cut(s, &packet, &fault), header_whole);
		if (!header_whole)
			assert_int_equal(fault.offset, len);
		// without its end, the octet that is last now says how much padding there is
		if (rtp_decode(s, &packet, &fault))
			assert_true(packet.padding.len == s.p[len - 1]);
		else
			assert_true(fault.offset <= len);
	}
	guard_fini(&g);
}

static void malformed(void **state)
{
	static const struct {
		const char *text, *what;
		uint32_t offset;
	} cases[] = {
	    {"", "it ends within its header", 0},
	    {"8008d4340000303c0b1267", "it ends within its header", 11},
	    {"4008d4340000303c0b12671a", "not version 2", 0},
	    {"c008d4340000303c0b12671a", "not version 2", 0},
	    {"8f08d4340000303c0b12671a00000001", "it ends within its contributing sources", 16},
	    {"9008d4340000303c0b12671a", "it ends within its header extension", 12},
	    {"9008d4340000303c0b12671abede000100", "it ends within its header extension", 17},
	    {"9008d4340000303c0b12671abedeffff00000000", "it ends within its header extension", 20},
	    {"a008d4340000303c0b12671a", "padding that isn't there", 12},
	    {"a008d4340000303c0b12671a00", "padding of a length that can't be", 12},
	    {"a008d4340000303c0b12671aff02ff04", "padding of a length that can't be", 15},
	};
	(void)state;

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (i == sizeof cases / sizeof *cases - 1)
			assert_true(rtp_decode(hex(cases[i].text), &packet, &fault)); // all of it is padding
		else {
			assert_false(rtp_decode(hex(cases[i].text), &packet, &fault));
			assert_string_equal(fault.what, cases[i].what);
			assert_int_equal(fault.offset, cases[i].offset);
		}
	}
	assert_int_equal(packet.payload.len, 0);
	assert_int_equal(packet.padding.len, 4);
	assert_false(rtp_decode((struct slice){0}, &packet, &fault)); // nothing, and nowhere
	assert_int_equal(fault.offset, 0);
}

static void elements(void **state)
{
	struct rtp_ext_element e;
	uint8_t out[64];
	struct wr w = wr_of(out, sizeof out);
	(void)state;

	struct rd r = rd_slice(hex("10aa 00 21bbcc 00f0ff"));
	assert_int_equal(rtp_ext_next(&r, RTP_EXT_ONE_BYTE, &e, &fault), 1);
	assert_int_equal(e.id, 1);
	assert_true(e.data.len == 1 && e.data.p[0] == 0xaa);
	assert_true(rtp_ext_write(&w, RTP_EXT_ONE_BYTE, &e));
	assert_int_equal(rtp_ext_next(&r, RTP_EXT_ONE_BYTE, &e, &fault), 1);
	assert_int_equal(e.id, 2);
	assert_true(rtp_ext_write(&w, RTP_EXT_ONE_BYTE, &e));
	assert_int_equal(rtp_ext_next(&r, RTP_EXT_ONE_BYTE, &e, &fault), 0); // 15 ends it
	assert_true(slice_eq(wr_done(&w), hex("10aa21bbcc")));
	r = rd_slice(hex("0500 06020102 0000"));
	assert_int_equal(rtp_ext_next(&r, RTP_EXT_TWO_BYTE, &e, &fault), 1);
	assert_true(e.id == 5 && e.data.len == 0);
	assert_int_equal(rtp_ext_next(&r, RTP_EXT_TWO_BYTE, &e, &fault), 1);
	assert_true(e.id == 6 && e.data.len == 2);
	assert_int_equal(rtp_ext_next(&r, RTP_EXT_TWO_BYTE, &e, &fault), 0);
	r = rd_slice(hex("12aa"));
	assert_int_equal(rtp_ext_next(&r, RTP_EXT_ONE_BYTE, &e, &fault), -1);
	assert_string_equal(fault.what, "an element that is longer than the extension");
	r = rd_slice(hex("02aa"));
	assert_int_equal(rtp_ext_next(&r, RTP_EXT_ONE_BYTE, &e, &fault), -1);
	r = rd_slice(hex("05"));
	assert_int_equal(rtp_ext_next(&r, RTP_EXT_TWO_BYTE, &e, &fault), -1);
	assert_int_equal(rtp_ext_form(0xbede), RTP_EXT_ONE_BYTE);
	assert_int_equal(rtp_ext_form(0x1007), RTP_EXT_TWO_BYTE);
	assert_int_equal(rtp_ext_form(0x1017), RTP_EXT_OPAQUE);
	static const struct {
		enum rtp_ext_form form;
		uint8_t id;
		uint32_t len;
		bool ok;
	} limits[] = {{RTP_EXT_ONE_BYTE, 14, 16, true}, {RTP_EXT_ONE_BYTE, 15, 1, false}, {RTP_EXT_ONE_BYTE, 0, 1, false},
		      {RTP_EXT_ONE_BYTE, 1, 0, false},  {RTP_EXT_ONE_BYTE, 1, 17, false}, {RTP_EXT_TWO_BYTE, 0, 1, false},
		      {RTP_EXT_TWO_BYTE, 255, 0, true}, {RTP_EXT_OPAQUE, 1, 1, false}};
	for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++) {
		w = wr_of(out, sizeof out);
		e = (struct rtp_ext_element){limits[i].id, slice_of(octets, limits[i].len)};
		assert_int_equal(rtp_ext_write(&w, limits[i].form, &e), limits[i].ok);
	}
}

// --- RTCP

// SR with a report, SDES with CNAME, BYE with a reason and padding.
static const char compound[] = "81c8000c 00000001 e0001234 80000000 00000320 00000005 00000320"
			       "00000002 19fffffd 0001ffff 0000001e 12340000 0000028f"
			       "81ca0003 00000001 01036140 62000000"
			       "a1cb0004 00000001 03627965 00000000 00000004";

static void rtcp_packets(void **state)
{
	struct slice bytes = hex(compound);
	struct rd r = rd_slice(bytes), body;
	struct rtcp_packet p;
	struct rtcp_sender s;
	struct rtcp_report report;
	struct rtcp_item item;
	uint8_t out[256];
	struct wr w = wr_of(out, sizeof out);
	(void)state;

	assert_true(rtp_is_rtcp(bytes));
	assert_int_equal(rtcp_next(&r, bytes.p, &p, &fault), 1);
	assert_true(p.type == RTCP_SR && p.count == 1 && p.offset == 0);
	assert_true(rtcp_write(&w, &p));
	body = rd_slice(p.body);
	assert_int_equal(rd_u32(&body), 1);
	rtcp_sender_read(&body, &s);
	assert_true(s.ntp_seconds == 0xe0001234 && s.packets == 5 && s.octets == 800);
	rtcp_report_read(&body, &report);
	assert_true(report.ssrc == 2 && report.fraction_lost == 25 && report.lost == -3 && report.jitter == 30);
	assert_true(!body.err && rd_left(&body) == 0);
	assert_int_equal(rtcp_next(&r, bytes.p, &p, &fault), 1);
	assert_true(p.type == RTCP_SDES);
	assert_true(rtcp_write(&w, &p));
	body = rd_slice(p.body);
	rd_u32(&body);
	assert_int_equal(rtcp_item_next(&body, p.body.p, &item), 1);
	assert_true(item.type == 1 && slice_eq(item.text, slice_str("a@b")));
	assert_int_equal(rtcp_item_next(&body, p.body.p, &item), 0);
	assert_int_equal(rd_left(&body), 0);
	assert_int_equal(rtcp_next(&r, bytes.p, &p, &fault), 1);
	assert_true(p.type == RTCP_BYE && p.padding.len == 4);
	assert_true(rtcp_write(&w, &p));
	assert_int_equal(rtcp_next(&r, bytes.p, &p, &fault), 0);
	assert_true(slice_eq(wr_done(&w), bytes));
	assert_string_equal(rtcp_type_name(200), "SR");
	assert_null(rtcp_type_name(208));
	assert_null(rtcp_type_name(199));
	assert_string_equal(rtcp_item_name(1), "CNAME");
	assert_null(rtcp_item_name(9));
}

static void rtcp_malformed(void **state)
{
	static const struct {
		const char *text, *what;
		uint32_t offset;
	} cases[] = {
	    {"80", "it ends within a packet", 1},
	    {"80c80001", "it ends within a packet", 4},
	    {"40c80000", "not version 2", 0},
	    {"a0c80001 00000004 80c80000", "padding of another packet than the last", 0},
	    {"a0c80001 00000000", "padding of a length that can't be", 7},
	    {"a0c80001 00000003", "padding of a length that can't be", 7},
	    {"a0c80001 00000008", "padding of a length that can't be", 7},
	    {"a0c80000", "padding of a length that can't be", 3},
	};
	struct guard g;
	struct rtcp_packet p;
	(void)state;

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct slice bytes = hex(cases[i].text);
		struct rd r = rd_slice(bytes);
		assert_int_equal(rtcp_next(&r, bytes.p, &p, &fault), -1);
		assert_string_equal(fault.what, cases[i].what);
		assert_int_equal(fault.offset, cases[i].offset);
	}
	struct slice bytes = hex(compound);
	guard_init(&g, sizeof octets);
	for (size_t len = 0; len < bytes.len; len++) {
		struct slice s = slice_of(guard_copy(&g, bytes.p, len), len);
		struct rd r = rd_slice(s);
		int rc;
		while ((rc = rtcp_next(&r, s.p, &p, &fault)) == 1)
			;
		assert_int_equal(rc, len == 0 || len == 52 || len == 68 ? 0 : -1);
	}
	guard_fini(&g);
}

static void sdes_chunks(void **state)
{
	uint8_t out[32];
	struct rtcp_item item;
	(void)state;

	for (unsigned text = 0; text < 8; text++) { // a chunk's end is a zero at least, and whole words
		struct wr w = wr_of(out, sizeof out);
		wr_u32(&w, 7);
		wr_u8(&w, 1);
		wr_u8(&w, (uint8_t)text);
		wr_zero(&w, text);
		rtcp_chunk_end(&w, out);
		assert_true(!w.err && wr_len(&w) % 4 == 0 && wr_len(&w) > 6 + text && wr_len(&w) <= 10 + text);
		struct rd r = rd_slice(wr_done(&w));
		rd_u32(&r);
		assert_int_equal(rtcp_item_next(&r, out, &item), 1);
		assert_int_equal(rtcp_item_next(&r, out, &item), 0);
		assert_int_equal(rd_left(&r), 0);
	}
	struct rd r = rd_slice(hex("0105 6162"));
	assert_int_equal(rtcp_item_next(&r, octets, &item), -1);
	r = rd_slice(hex("0000 0100"));
	assert_int_equal(rtcp_item_next(&r, octets, &item), -1); // what pads a chunk is zero
}

// --- Streams

static struct rtp_stream stream;

static void feed(uint16_t sequence, int64_t ms, uint32_t timestamp)
{
	struct rtp_packet p = {.payload_type = 8, .sequence = sequence, .timestamp = timestamp};
	assert_int_equal(rtp_stream_add(&stream, &p, ms * 1000000, 8000), 0);
}

static void feed_all(const uint16_t *sequences, unsigned cnt)
{
	rtp_stream_init(&stream, 1);
	for (unsigned i = 0; i < cnt; i++)
		feed(sequences[i], i * 20, i * 160u);
	rtp_stream_end(&stream);
}

#define FEED(...)                                                                                            \
	feed_all((const uint16_t[]){__VA_ARGS__}, sizeof((const uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t))

static void expect(uint64_t lost, uint64_t gaps, uint64_t longest, uint64_t reordered, uint64_t duplicates)
{
	assert_int_equal(stream.lost, lost);
	assert_int_equal(stream.gaps, gaps);
	assert_int_equal(stream.longest_gap, longest);
	assert_int_equal(stream.reordered, reordered);
	assert_int_equal(stream.duplicates, duplicates);
	rtp_stream_fini(&stream);
}

static void order_and_loss(void **state)
{
	(void)state;
	FEED(1, 2, 3);
	expect(0, 0, 0, 0, 0);
	FEED(65534, 65535, 0, 1);
	expect(0, 0, 0, 0, 0);
	FEED(65533, 65534, 2, 3);
	expect(3, 1, 3, 0, 0);
	FEED(1, 3, 2, 4);
	expect(0, 0, 0, 1, 0);
	FEED(1, 4, 2, 7, 8);
	expect(3, 2, 2, 1, 0);
	FEED(1, 2, 2, 2, 3);
	expect(0, 0, 0, 0, 2);
	FEED(65535, 1, 0, 65535, 2);
	expect(0, 0, 0, 1, 1);
	FEED(10, 9, 11); // what comes before the first is late, and no loss
	expect(0, 0, 0, 1, 0);
	FEED(5);
	expect(0, 0, 0, 0, 0);
	FEED(1, 3000, 3001); // one less than a new beginning
	expect(2998, 1, 2998, 0, 0);
}

static void new_beginnings(void **state)
{
	(void)state;
	FEED(1, 2, 30000, 30001, 30003);
	assert_int_equal(stream.restarts, 1);
	assert_int_equal(stream.strays, 0);
	expect(1, 1, 1, 0, 0);
	FEED(1, 2, 30000, 3, 4); // one that is far off
	assert_int_equal(stream.restarts, 0);
	assert_int_equal(stream.strays, 1);
	expect(0, 0, 0, 0, 0);
	FEED(1, 30000, 60000, 20000, 50000);
	assert_false(rtp_stream_is_likely(&stream));
	expect(0, 0, 0, 0, 0);
	FEED(1, 2, 3);
	assert_true(rtp_stream_is_likely(&stream));
	rtp_stream_fini(&stream);
	FEED(7, 7, 7, 7, 7); // one packet again and again is no stream
	assert_false(rtp_stream_is_likely(&stream));
	rtp_stream_fini(&stream);
}

// A.8 by hand: differences of 0, 8 and 8 ms.
static void jitter(void **state)
{
	(void)state;
	rtp_stream_init(&stream, 1);
	feed(1, 0, UINT32_MAX - 159);
	feed(2, 20, 0); // its timestamp has wrapped
	feed(3, 48, 160);
	feed(4, 60, 320);
	assert_true(stream.jitter > 0.00096 && stream.jitter < 0.00098); // 8/16 = 0.5, then 0.5 + 7.5/16 = 0.96875 ms
	assert_true(stream.max_jitter == stream.jitter);
	assert_int_equal(stream.jitter_cnt, 3);
	assert_int_equal(stream.max_delta_ns, 28000000);
	struct rtp_packet p = {.payload_type = 101, .sequence = 5, .timestamp = 7777777};
	assert_int_equal(rtp_stream_add(&stream, &p, 80000000, 0), 0); // of an unknown clock: it has no part
	assert_int_equal(stream.jitter_cnt, 3);
	assert_true(stream.payload_types[0] == 1u << 8 && stream.payload_types[1] == UINT64_C(1) << 37);
	rtp_stream_fini(&stream);
}

// --- G.711

static void samples(void **state)
{
	(void)state;
	assert_int_equal(rtp_alaw(0xd5), 8);
	assert_int_equal(rtp_alaw(0x55), -8);
	assert_int_equal(rtp_alaw(0xaa), 32256);
	assert_int_equal(rtp_alaw(0x2a), -32256);
	assert_int_equal(rtp_ulaw(0xff), 0);
	assert_int_equal(rtp_ulaw(0x7f), 0);
	assert_int_equal(rtp_ulaw(0x80), 32124);
	assert_int_equal(rtp_ulaw(0x00), -32124);
	for (unsigned i = 0; i < 256; i++) { // the sign bit alone makes the sign
		assert_int_equal(rtp_alaw((uint8_t)i), -rtp_alaw((uint8_t)(i ^ 0x80)));
		assert_int_equal(rtp_ulaw((uint8_t)i), -rtp_ulaw((uint8_t)(i ^ 0x80)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(header),         cmocka_unit_test(everything),     cmocka_unit_test(cut_everywhere),
	    cmocka_unit_test(malformed),      cmocka_unit_test(elements),       cmocka_unit_test(rtcp_packets),
	    cmocka_unit_test(rtcp_malformed), cmocka_unit_test(sdes_chunks),    cmocka_unit_test(order_and_loss),
	    cmocka_unit_test(new_beginnings), cmocka_unit_test(jitter),         cmocka_unit_test(samples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

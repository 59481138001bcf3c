// What a packet can do to the readers of RTP and RTCP, alone, as JSON that is read again, and as one of a stream: the input
// is then cut into packets, each with two octets of its length before it.
#include "tests/support/check.h"
#include "tools/imstool/rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t out[IM_PACKET_MAX];

// What was decoded, encodes to the same octets.
static void as_rtp(struct slice s)
{
	struct rtp_packet p;
	struct rtp_fault fault = {0};
	struct wr w = wr_of(out, sizeof out);

	if (rtp_decode(s, &p, &fault)) {
		CHECK(rtp_encode(&p, &w) && slice_eq(wr_done(&w), s));
		CHECK(rtp_decode_cut(s, &p, &fault));
	} else {
		CHECK(fault.what && fault.offset <= s.len);
	}
	json_t *object = im_rtp_to_json(s, &fault);
	if (object) {
		w = wr_of(out, sizeof out);
		CHECK(!im_rtp_of_json(object, &w) && slice_eq(wr_done(&w), s));
	} else {
		CHECK(fault.what && fault.offset <= s.len);
	}
	json_decref(object);
}

// A sender may write what this one would not (zeros behind a reason), so the octets may differ, but their meaning doesn't.
static void as_rtcp(struct slice s)
{
	struct rtp_fault fault = {0};
	json_t *object = im_rtcp_to_json(s, &fault), *again;
	struct wr w = wr_of(out, sizeof out);

	if (!object) {
		CHECK(fault.what && fault.offset <= s.len);
		return;
	}
	if (json_array_size(json_object_get(object, "rtcp"))) {
		CHECK(!im_rtcp_of_json(object, &w));
		again = im_rtcp_to_json(wr_done(&w), &fault);
		CHECK(again && json_equal(again, object));
		json_decref(again);
	}
	json_decref(object);
}

static void as_stream(struct slice s)
{
	struct rd r = rd_slice(s);
	struct rtp_stream stream;
	int64_t ns = 0;

	rtp_stream_init(&stream, 0);
	while (rd_left(&r)) {
		struct slice one = rd_blob16(&r);
		struct rtp_packet p;
		struct rtp_fault fault;
		ns += (int64_t)one.len * 1000000;
		if (rtp_decode(one, &p, &fault))
			CHECK(rtp_stream_add(&stream, &p, ns, rtp_clock_rate(p.payload_type)) == 0);
	}
	rtp_stream_end(&stream);
	CHECK(stream.duplicates + stream.reordered + stream.strays <= stream.packets);
	CHECK(stream.gaps <= stream.lost && stream.longest_gap <= stream.lost);
	rtp_stream_fini(&stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_of(data, size);

	if (size > 16384) // JSON is three times as long
		return 0;
	as_rtp(s);
	as_rtcp(s);
	as_stream(s);
	return 0;
}

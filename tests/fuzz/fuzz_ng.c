// What a server, or whoever answers in its place, can do to the reader of ng messages: a datagram, a stream of messages, a
// handshake and frames of WebSocket. What was read can be written, and is the same when it is read again.
#include "lib/ng/ng.h"
#include "tests/support/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t out[1 << 20];

static void write_again(const json_t *value)
{
	struct wr w = wr_of(out, sizeof out);
	struct ng_fault fault;
	struct slice cookie;
	json_t *again, *clean;

	if (ng_message_write("c", value, NG_BENCODE, &w)) { // JSON has values that bencode has not
		CHECK(ng_message_read(wr_done(&w), &cookie, &again, &fault) == NG_READ_OK);
		CHECK(json_object_size(again) == json_object_size(value));
		json_decref(again);
	}
	clean = ng_clean(value);
	char *text = json_dumps(clean, JSON_COMPACT);
	CHECK(text);
	free(text);
	json_decref(clean);
}

static void as_stream(struct slice s)
{
	struct ng_fault fault;
	struct slice cookie;
	json_t *value;
	size_t used;

	for (;;) {
		enum ng_read rc = ng_stream_read(s, &used, &cookie, &value, &fault);
		CHECK((value != NULL) == (rc == NG_READ_OK));
		if (rc != NG_READ_OK) {
			CHECK(fault.what && fault.offset <= s.len);
			return;
		}
		CHECK(used && used <= s.len && cookie.len);
		write_again(value);
		json_decref(value);
		s = slice_of(s.p + used, s.len - used);
	}
}

static void as_frames(struct slice s)
{
	struct rd r = rd_slice(s);
	struct ng_ws_frame frame;
	struct ng_fault fault;
	size_t used = 0;

	if (ng_ws_handshake_read(s, "dGhlIHNhbXBsZSBub25jZQ==", &used, &fault) == NG_READ_OK) {
		CHECK(used <= s.len);
		r = rd_of(s.p + used, s.len - used);
	}
	while (ng_ws_frame_read(&r, &frame, &fault) == NG_READ_OK)
		CHECK(!frame.payload.len || frame.payload.p + frame.payload.len <= s.p + s.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_of(data, size), cookie;
	struct ng_fault fault;
	json_t *value;
	enum ng_read rc = ng_message_read(s, &cookie, &value, &fault);

	CHECK((value != NULL) == (rc == NG_READ_OK));
	json_decref(value);
	as_stream(s);
	as_frames(s);
	return 0;
}

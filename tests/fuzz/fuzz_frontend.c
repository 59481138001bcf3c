// What a peer can do to a frontend with octets alone: a stream, cut into pieces, before or after its CER. The
// first octet says which: bit 0: after a good CER, the rest: how long the pieces are. A second peer must be
// served afterwards. All that it sends is traced, too: every row must be JSON.
#include <jansson.h>
#include <unistd.h>
#include "frontend/trace.h"
#include "tests/support/check.h"
#include "tests/support/frontend_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ff f;

static void on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct ipc_request q;
	(void)ctx, (void)ch;
	if (hdr->type != IPC_REQUEST)
		return;
	// what a worker relies on: slots inside of the message, and a message of the length said
	memcpy(&q, body, sizeof q);
	const struct avp_slot *slots = (const void *)(body + sizeof q);
	CHECK(sizeof *hdr + sizeof q + q.slot_cnt * sizeof *slots + q.msg_len == hdr->len);
	for (unsigned i = 0; i < q.slot_cnt; i++)
		CHECK(!slots[i].cnt || (uint64_t)slots[i].off + slots[i].len <= q.msg_len);
}

static void on_down(void *ctx, struct channel *ch, int why)
{
	(void)ctx, (void)ch, (void)why;
	abort();
}

static const struct channel_ops ops = {.on_frame = on_frame, .on_down = on_down};

static void on_row(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	json_t *row = json_loadb((const char *)body, hdr->len - sizeof *hdr, 0, NULL);
	(void)ctx, (void)ch;
	CHECK(json_is_object(row));
	json_decref(row);
}

static const struct channel_ops row_ops = {.on_frame = on_row, .on_down = on_down};

// Time goes on in here, and ends a trace now and then.
static void trace_everything(void)
{
	static struct channel *ours, *theirs;
	int fds[2];
	if (!ours) {
		CHECK(channel_pair(fds) == 0);
		ours = channel_new_take(f.base, fds[0], 1 << 20, &row_ops, NULL);
		theirs = channel_new_take(f.base, fds[1], 1 << 20, &row_ops, NULL);
		CHECK(ours && theirs);
	}
	trace_cancel_all(f.fe);
	json_t *peer_args = json_pack("{s:s, s:b}", "peer", "bad.example", "messages", 1);
	json_t *subject_args = json_pack("{s:s}", "subject", FF_IMSI);
	CHECK(!trace_begin(f.fe, theirs, 1, peer_args) && !trace_begin(f.fe, theirs, 2, subject_args));
	json_decref(peer_args);
	json_decref(subject_args);
}

static int peer(const char *host)
{
	uint8_t out[512];
	int fd = ff_connect(&f, NULL);
	CHECK(!host || ff_send(fd, out, ff_cer(out, sizeof out, host)));
	ff_pump(&f, 2);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!f.base) {
		ff_configure(&f);
		ff_open(&f, 1, 1000000000);
		ff_worker_start(&f, 0, &ops, NULL);
	}
	if (size < 1)
		return 0;
	trace_everything();
	int bad = peer(data[0] & 1 ? "bad.example" : NULL);
	size_t piece = (data[0] >> 1) * 7u + 1 + size / 40; // few enough to be quick
	ff_send_pieces(&f, bad, data + 1, size - 1, piece);
	ff_pump(&f, 2);
	int good = peer("good.example");
	CHECK(ff_drain(good) >= DIAMETER_HEADER_LEN);
	close(bad);
	close(good);
	// what is pending ends by its time-out, so that every input meets the same frontend
	ff_later(&f, 10000);
	CHECK(ff_at_rest(&f));
	return 0;
}

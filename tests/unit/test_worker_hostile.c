// REQUEST frames of a hostile sibling: cut anywhere, any field and any octet changed, identities that can't
// be.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "tests/support/guard.h"
#include "tests/support/worker_fixture.h"

// ---- hostile frames -----------------------------------------------------------------------------

// Straight into request_arrived, the body ends at a guard page. The frame is 8-aligned in a channel; here
// only where its length is.
static void arrive(struct wf *f, const struct guard *g, const uint8_t *body, size_t len)
{
	struct ipc_hdr hdr = {.len = (uint32_t)(sizeof hdr + len), .type = IPC_REQUEST, .id = 1};
	request_arrived(&f->w, 0, &hdr, guard_copy(g, body, len));
	worker_unpin(&f->w);
}

// Brings out what was answered without looking at it.
static void discard(struct wf *f)
{
	wf_flush(f);
	wf_run(f);
	f->answers[0].out = f->answers[0].in;
	f->asks.out = f->asks.in;
}

static void cut_everywhere(void **state)
{
	struct wf *f = *state;
	static uint8_t body[4096];
	struct guard g;
	guard_init(&g, sizeof body);
	struct wr w = wf_air(f, WF_IMSI, 1);
	header_finish(&w, 0);
	size_t len = wf_request_body(f->msg, (uint32_t)wr_len(&w), body, sizeof body, 0);
	for (size_t n = 0; n < len; n += 1)
		arrive(f, &g, body, n);
	wf_flush(f);
	wf_run(f);
	assert_int_equal(wf_answers(f, 0), 0);
	assert_int_equal(wf_asks(f), 0);
	// inside too: the message shorter than its slots say
	for (uint32_t n = 0; n < wr_len(&w); n++) {
		memcpy(body + offsetof(struct ipc_request, msg_len), &n, 4);
		arrive(f, &g, body, len);
	}
	wf_flush(f);
	wf_run(f);
	assert_int_equal(wf_answers(f, 0), 0);
	guard_fini(&g);
}

static void fields_out_of_range(void **state)
{
	struct wf *f = *state;
	static uint8_t body[4096], bad[4096];
	struct guard g;
	guard_init(&g, sizeof body);
	struct wr w = wf_air(f, WF_IMSI, 1);
	header_finish(&w, 0);
	size_t len = wf_request_body(f->msg, (uint32_t)wr_len(&w), body, sizeof body, 0);
	for (uint32_t cmd = 0; cmd < 300; cmd++) { // every command with every count of slots of others
		memcpy(bad, body, len);
		uint16_t v = (uint16_t)(cmd < 256 ? cmd : 65535 - cmd);
		memcpy(bad + offsetof(struct ipc_request, command), &v, 2);
		for (uint16_t cnt = 0; cnt < GRAMMAR_SLOTS_MAX + 2; cnt++) {
			memcpy(bad + offsetof(struct ipc_request, slot_cnt), &cnt, 2);
			arrive(f, &g, bad, len);
		}
		discard(f);
	}
	static const uint32_t values[] = {0,   1,     7,          8,          19,         20,
					  255, 65535, 0x7fffffff, 0x80000000, 0xfffffff4, 0xffffffff};
	for (unsigned slot = 0; slot < SLOT_AIR_CNT * 3; slot++) {
		for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
			memcpy(bad, body, len);
			memcpy(bad + sizeof(struct ipc_request) + slot * 4, &values[i], 4);
			arrive(f, &g, bad, len);
		}
		discard(f);
	}
	guard_fini(&g);
}

// Any octet changed, for each command: whatever comes out, nothing breaks and the channel to the loader stays
// up.
static void octets_changed(void **state)
{
	struct wf *f = *state;
	static uint8_t body[8192], bad[8192];
	struct guard g;
	guard_init(&g, sizeof body);
	for (unsigned kind = 0; kind < 4; kind++) {
		struct wr w = kind == 0   ? wf_air(f, WF_IMSI, 1)
			      : kind == 1 ? wf_ulr(f, WF_IMSI, 2, 1004)
					  : wf_begin(f, kind == 2 ? 321 : 323, WF_IMSI);
		size_t at = avp_group_begin(
		    &w, kind == 2 ? AVP_CODE_EPS_Location_Information : AVP_CODE_Terminal_Information,
		    VENDOR_3GPP, 0);
		if (kind != 2)
			avp_put_slice(&w, AVP_CODE_IMEI, VENDOR_3GPP, 0, slice_str("35622506141324"));
		avp_group_end(&w, at);
		wf_put_features(&w, 1, 7, 0);
		wf_put_proxies(&w, 1, 8);
		header_finish(&w, 0);
		size_t len = wf_request_body(f->msg, (uint32_t)wr_len(&w), body, sizeof body, 0);
		for (size_t n = 0; n < len; n++) {
			static const uint8_t values[] = {0x00, 0xff, 0x7f, 0x80};
			for (unsigned i = 0; i < sizeof values; i++) {
				memcpy(bad, body, len);
				bad[n] = values[i];
				arrive(f, &g, bad, len);
			}
			if (n % 64 == 0) {
				discard(f);
				assert_non_null(f->w.loader);
			}
			if (f->w.waiting.used > WAITING_MAX / 2)
				wf_frontend_dies(f, 0), wf_connect(f, &f->w.frontend[0], &f->fe[0]);
		}
	}
	guard_fini(&g);
}

// Identities that no frontend lets pass must not become frames that the loader takes for broken.
static void long_identities(void **state)
{
	struct wf *f = *state;
	static uint8_t body[IPC_BODY_MAX];
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct guard g;
	guard_init(&g, sizeof body);
	f->auto_ind = false;
	for (unsigned kind = 0; kind < 2; kind++) {
		struct wr w = kind == 0 ? wf_air(f, WF_IMSI, 1) : wf_ulr(f, WF_IMSI, 2, 1004);
		wf_put_proxies(&w, 2, 39000);
		header_finish(&w, 0);
		size_t len = wf_request_body(f->msg, (uint32_t)wr_len(&w), body, sizeof body, 0);
		memcpy(slots, body + sizeof(struct ipc_request), sizeof slots);
		unsigned slot = kind == 0 ? SLOT_AIR_Origin_Host : SLOT_ULR_Origin_Host;
		slots[slot].len = 70000;
		memcpy(body + sizeof(struct ipc_request), slots,
		       (kind == 0 ? SLOT_AIR_CNT : SLOT_ULR_CNT) * sizeof *slots);
		arrive(f, &g, body, len);
		wf_flush(f);
		wf_run(f);
		assert_non_null(f->w.loader);
		assert_true(channel_is_up(f->ld));
	}
	struct wf_frame *q = wf_ask(f, IPC_IND_HOST);
	assert_int_equal(q->len, 8 + 255);
	assert_int_equal(wf_asks(f), 0);
	guard_fini(&g);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, wf_setup, wf_teardown)
	const struct CMUnitTest tests[] = {
	    T(cut_everywhere),
	    T(fields_out_of_range),
	    T(octets_changed),
	    T(long_identities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// Resynchronisation in a worker (TS 33.102 6.3.5): MAC-S first, then the SQN moves, and never back.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "tests/support/worker_vectors.h"

// RAND || AUTS of a USIM whose highest SQN is `sqn_ms` (TS 33.102 6.3.3).
static void make_auts(struct wf *f, uint64_t sqn_ms, uint8_t out[30])
{
	struct auth_keys k = keys_of(record(f, WF_IMSI));
	uint8_t ak[6], mac_a[8];
	for (unsigned i = 0; i < 16; i++)
		out[i] = (uint8_t)(i * 11 + 3);
	assert_int_equal(milenage_f5star(&auth.milenage, k.k, k.opc, out, ak), 0);
	sqn_put(out + 16, sqn_ms);
	for (unsigned i = 0; i < 6; i++)
		out[16 + i] ^= ak[i];
	assert_int_equal(milenage_f1(&auth.milenage, k.k, k.opc, out, sqn_ms, 0, mac_a, out + 22), 0);
}

static void resync_send(struct wf *f, struct slice eutran, struct slice utran)
{
	struct wr w = wf_begin(f, 318, WF_IMSI);
	wf_put_auth_group(&w, AVP_CODE_Requested_EUTRAN_Authentication_Info, 1, true, eutran);
	if (utran.p)
		wf_put_auth_group(&w, AVP_CODE_Requested_UTRAN_GERAN_Authentication_Info, 1, true, utran);
	wf_put_plmn(&w, wf_plmn);
	wf_send(f, &w);
}

static void resync_good(void **state)
{
	struct wf *f = *state;
	uint8_t info[30];
	make_auts(f, 500 << 5 | 3, info);
	resync_send(f, slice_of(info, 30), (struct slice){0});
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(sqn_seq(vectors(f, &a).sqn[0]), 501);
	make_auts(f, 100 << 5 | 3, info); // an old one never moves it back
	resync_send(f, slice_of(info, 30), (struct slice){0});
	a = wf_take(f, 0);
	assert_int_equal(sqn_seq(vectors(f, &a).sqn[0]), 502);
	assert_int_equal(f->stats->c[STAT_RESYNCS], 2);
}

static void resync_beyond_the_limit(void **state)
{
	struct wf *f = *state;
	uint8_t info[30];
	struct ipc_sqn_block b;
	make_auts(f, 70000 << 5, info);
	resync_send(f, slice_of(info, 30), (struct slice){0});
	assert_int_equal(wf_answers(f, 0), 0);
	struct wf_frame *q = wf_ask(f, IPC_SQN_BLOCK);
	memcpy(&b, q->body, sizeof b);
	assert_int_equal(b.at_least, 70001);
	assert_int_equal(b.index, record(f, WF_IMSI)->sqn);
	assert_int_equal(b.imsi, record(f, WF_IMSI)->imsi.v);
	assert_int_equal(words(f)->next, 32);
	builder_sqn_limit(f->b, b.index, 70257);
	wf_reply(f, IPC_SQN_BLOCK_ACK, q->hdr.id, 1);
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(sqn_seq(vectors(f, &a).sqn[0]), 70001);
	// refused: no vectors, nothing moved
	make_auts(f, 90000 << 5, info);
	resync_send(f, slice_of(info, 30), (struct slice){0});
	q = wf_ask(f, IPC_SQN_BLOCK);
	wf_reply(f, IPC_SQN_BLOCK_ACK, q->hdr.id, 0);
	a = wf_take(f, 0);
	is_experimental(&a, EXP_AUTHENTICATION_DATA_UNAVAILABLE);
	assert_int_equal(words(f)->next, 70002);
}

static void resync_forged(void **state)
{
	struct wf *f = *state;
	uint8_t info[30];
	for (unsigned i = 0; i < 30; i++) { // every octet counts
		make_auts(f, 500 << 5, info);
		info[i] ^= 1;
		resync_send(f, slice_of(info, 30), (struct slice){0});
		struct wf_answer a = wf_take(f, 0);
		is_experimental(&a, EXP_AUTHENTICATION_DATA_UNAVAILABLE);
	}
	assert_int_equal(words(f)->next, 32);
	assert_int_equal(f->stats->c[STAT_RESYNC_MAC_FAILURES], 30);
	assert_int_equal(f->stats->c[STAT_RESYNCS], 0);
}

static void resync_misuse(void **state)
{
	struct wf *f = *state;
	uint8_t info[31] = {0};
	struct avp avp;
	make_auts(f, 500 << 5, info);
	resync_send(f, slice_of(info, 30), slice_of(info, 30));
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(a.result, RESULT_UNABLE_TO_COMPLY);
	assert_false(wf_find(&a, AVP_CODE_Authentication_Info, VENDOR_3GPP, &avp));
	static const uint32_t lens[] = {0, 1, 29, 31};
	for (unsigned i = 0; i < sizeof lens / sizeof *lens; i++) {
		resync_send(f, slice_of(info, lens[i]), (struct slice){0});
		a = wf_take(f, 0);
		is_failed(&a, RESULT_INVALID_AVP_VALUE, AVP_CODE_Requested_EUTRAN_Authentication_Info);
	}
	resync_send(f, slice_of(info, 0), slice_of(info, 30));
	a = wf_take(f, 0);
	assert_int_equal(a.result, RESULT_UNABLE_TO_COMPLY);
	assert_int_equal(words(f)->next, 32);
	// at the end of the numbers
	make_auts(f, SQN_MAX - 32, info);
	resync_send(f, slice_of(info, 30), (struct slice){0});
	a = wf_take(f, 0);
	is_experimental(&a, EXP_AUTHENTICATION_DATA_UNAVAILABLE);
	assert_int_equal(words(f)->next, 32);
	assert_int_equal(wf_asks(f), 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(resync_good),
	    T(resync_beyond_the_limit),
	    T(resync_forged),
	    T(resync_misuse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

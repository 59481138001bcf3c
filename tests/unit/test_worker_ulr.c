// ULR, PUR and NOR in a worker: what the loader is told, that the answer waits for it, and what the answer
// holds.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "lib/base/change_key.h"
#include "tests/support/worker_fixture.h"

#define RAT_EUTRAN 1004
#define ULR_S6A    2

static struct cache_record record(struct wf *f)
{
	imsi_t i;
	assert_true(imsi_parse(slice_str(WF_IMSI), &i));
	return *cache_find(builder_cache(f->b), i);
}

static void put(struct wf *f, const struct cache_record *r)
{
	assert_int_equal(builder_put(f->b, r), 0);
}

struct change {
	uint64_t id;
	uint16_t flags;
	struct wf_change x;
};

static struct change change(struct wf *f)
{
	struct wf_frame *q = wf_ask(f, IPC_CHANGE);
	return (struct change){.id = q->hdr.id, .flags = q->hdr.flags, .x = wf_read_change(q)};
}

// Sends a ULR, acknowledges its change as done, gives the answer.
static struct wf_answer ulr_done(struct wf *f, struct wr *w)
{
	wf_send(f, w);
	assert_int_equal(wf_answers(f, 0), 0); // law 6: not before it is on disk
	wf_change_ack(f, change(f).id, CHANGE_DONE);
	return wf_take(f, 0);
}

static void is_experimental(const struct wf_answer *a, uint32_t code)
{
	struct avp avp;
	assert_true(a->experimental);
	assert_int_equal(a->result, code);
	assert_false(wf_find(a, AVP_CODE_Subscription_Data, VENDOR_3GPP, &avp));
	assert_false(wf_find(a, AVP_CODE_ULA_Flags, VENDOR_3GPP, &avp));
}

static void diagnostic_is(const struct wf_answer *a, uint32_t value)
{
	struct avp avp;
	assert_true(wf_find(a, AVP_CODE_Error_Diagnostic, VENDOR_3GPP, &avp));
	assert_int_equal(be32_get(avp.data.p), value);
}

static void change_has_everything(void **state)
{
	struct wf *f = *state;
	struct avp avp;
	f->head_flags |= HEADER_T;
	struct wr w = wf_ulr(f, WF_IMSI, 0x33, RAT_EUTRAN);
	size_t at = avp_group_begin(&w, AVP_CODE_Terminal_Information, VENDOR_3GPP, AVP_M);
	avp_put_slice(&w, AVP_CODE_IMEI, VENDOR_3GPP, AVP_M, slice_str("35622506141324"));
	avp_put_slice(&w, AVP_CODE_Software_Version, VENDOR_3GPP, AVP_M, slice_str("09"));
	avp_group_end(&w, at);
	avp_put_u32(&w, AVP_CODE_UE_SRVCC_Capability, VENDOR_3GPP, 0, 1);
	wf_put_features(&w, 1, 7, 0);
	wf_send(f, &w);
	struct change c = change(f);
	const struct s6a_serving *mme = &c.x.s6a.serving[S6A_MME];
	assert_int_equal(c.flags, 0);
	assert_int_equal(c.x.c.imsi, record(f).imsi.v);
	assert_int_equal(c.x.c.version, record(f).version);
	assert_memory_equal(mme->plmn, wf_plmn, 3);
	assert_int_equal(mme->flags, SERVING_COMBINED | SERVING_HAS_DATA | SERVING_ONE_MSISDN);
	assert_true(mme->time_us > 0);
	assert_int_equal(c.x.s6a.imeisv, 3562250614132409ull | 15ull << 60);
	assert_int_equal(c.x.c.options, CHANGE_REPEATED | CHANGE_KEPT_0);
	assert_true(slice_eq(mme->host, slice_str(WF_HOST)));
	assert_true(slice_eq(mme->realm, slice_str(WF_REALM)));
	assert_true(avp_find(c.x.kept[0], AVP_CODE_UE_SRVCC_Capability, VENDOR_3GPP, &avp));
	assert_true(avp_find(c.x.kept[0], AVP_CODE_Supported_Features, VENDOR_3GPP, &avp));
	assert_int_not_equal(c.x.c.key, 0);
	wf_change_ack(f, c.id, CHANGE_DONE);
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(a.result, RESULT_SUCCESS);
	// the same request again has the same key, any other another one
	f->next_id--;
	free(f->sent[f->next_id].body);
	w = wf_ulr(f, WF_IMSI, 0x22, RAT_EUTRAN);
	wf_send(f, &w);
	struct change again = change(f);
	assert_true(change_key_same(again.x.c.key, c.x.c.key));
	assert_int_not_equal(again.id, c.id);
	assert_int_equal(again.x.s6a.serving[S6A_MME].flags, SERVING_HAS_DATA);
	assert_int_equal(again.x.s6a.imeisv, 0);
	wf_change_ack(f, again.id, CHANGE_DUPLICATE);
	a = wf_take(f, 0);
	assert_int_equal(a.result, RESULT_SUCCESS);
	w = wf_ulr(f, WF_IMSI, 2, RAT_EUTRAN);
	wf_send(f, &w);
	assert_false(change_key_same(change(f).x.c.key, c.x.c.key));
}

// More than is kept: the rest is left out, what is kept is whole.
static void many_active_apns(void **state)
{
	struct wf *f = *state;
	unsigned kept = 0;
	struct wr w = wf_ulr(f, WF_IMSI, ULR_S6A, RAT_EUTRAN);
	for (unsigned i = 0; i < 100; i++) {
		size_t at = avp_group_begin(&w, AVP_CODE_Active_APN, VENDOR_3GPP, 0);
		avp_put_u32(&w, AVP_CODE_Context_Identifier, VENDOR_3GPP, AVP_M, i);
		avp_put_slice(&w, AVP_CODE_Service_Selection, 0, AVP_M,
			      slice_str("a-rather-long-name.of.an.apn"));
		avp_group_end(&w, at);
	}
	wf_send(f, &w);
	struct change c = change(f);
	struct rd rd = rd_slice(c.x.kept[1]);
	assert_int_equal(rd_u16(&rd), c.x.kept[1].len - 2); // one chunk
	struct avp avp;
	enum avp_walk more;
	while ((more = avp_next(&rd, &avp)) == AVP_WALK_ONE)
		kept++;
	assert_int_equal(more, AVP_WALK_END);
	assert_int_equal(kept, 4094 / 64);
}

static void subscription_data(void **state)
{
	struct wf *f = *state;
	struct avp sd, avp;
	struct wr w = wf_ulr(f, WF_IMSI, ULR_S6A, RAT_EUTRAN);
	struct wf_answer a = ulr_done(f, &w);
	assert_int_equal(a.result, RESULT_SUCCESS);
	assert_true(wf_find(&a, AVP_CODE_ULA_Flags, VENDOR_3GPP, &avp));
	assert_int_equal(be32_get(avp.data.p), 1);
	assert_true(wf_find(&a, AVP_CODE_Subscription_Data, VENDOR_3GPP, &sd));
	assert_true(avp_find(sd.data, AVP_CODE_MSISDN, VENDOR_3GPP, &avp));
	assert_true(slice_eq(avp.data, slice_of("\x94\x71\x00\x00\x00\x10", 6)));
	assert_true(avp_find(sd.data, AVP_CODE_Network_Access_Mode, VENDOR_3GPP, &avp));
	assert_true(avp_find(sd.data, AVP_CODE_APN_Configuration_Profile, VENDOR_3GPP, &avp));
	assert_false(avp_find(sd.data, AVP_CODE_GPRS_Subscription_Data, VENDOR_3GPP, &avp));
	assert_int_equal(a.slots[SLOT_ULA_Supported_Features].cnt, 0);

	w = wf_ulr(f, WF_IMSI, ULR_S6A | 8, RAT_EUTRAN); // and the GPRS data
	a = ulr_done(f, &w);
	assert_true(wf_find(&a, AVP_CODE_Subscription_Data, VENDOR_3GPP, &sd));
	assert_true(avp_find(sd.data, AVP_CODE_APN_Configuration_Profile, VENDOR_3GPP, &avp));
	assert_true(avp_find(sd.data, AVP_CODE_GPRS_Subscription_Data, VENDOR_3GPP, &avp));
}

static void additional_msisdn(void **state)
{
	struct wf *f = *state;
	struct avp sd, avp;
	struct cache_record r = record(f);
	assert_true(msisdn_parse(slice_str("491700000002"), &r.msisdn[1]));
	put(f, &r);
	for (unsigned i = 0; i < 3; i++) {
		struct wr w = wf_ulr(f, WF_IMSI, ULR_S6A, RAT_EUTRAN);
		if (i)
			wf_put_features(&w, 1, i == 1 ? 1u << 31 : 0, 0);
		struct wf_answer a = ulr_done(f, &w);
		assert_true(wf_find(&a, AVP_CODE_Subscription_Data, VENDOR_3GPP, &sd));
		assert_int_equal(avp_find(sd.data, AVP_CODE_A_MSISDN, VENDOR_3GPP, &avp), i != 2);
		assert_int_equal(a.slots[SLOT_ULA_Supported_Features].cnt, i ? 2 : 0);
	}
}

// A ULR whose change becomes true in the cache, too.
static struct wf_answer ulr_stored(struct wf *f, uint32_t flags)
{
	struct wr w = wf_ulr(f, WF_IMSI, flags, RAT_EUTRAN);
	wf_send(f, &w);
	wf_change_done(f, wf_ask(f, IPC_CHANGE));
	return wf_take(f, 0);
}

static bool has_data(const struct wf_answer *a)
{
	struct avp avp;
	assert_int_equal(a->result, RESULT_SUCCESS);
	assert_true(wf_find(a, AVP_CODE_ULA_Flags, VENDOR_3GPP, &avp));
	return wf_find(a, AVP_CODE_Subscription_Data, VENDOR_3GPP, &avp);
}

// Skip-Subscriber-Data (TS 29.272 7.3.7) of the node that has the current data, and of no other.
static void skip_subscriber_data(void **state)
{
	struct wf *f = *state;
	struct wf_answer a = ulr_stored(f, ULR_S6A | 4); // never sent before
	assert_true(has_data(&a));
	a = ulr_stored(f, ULR_S6A | 4);
	assert_false(has_data(&a));
	f->host = "MME01.epc.mnc001.mcc001.3gppnetwork.org";
	a = ulr_stored(f, ULR_S6A | 4);
	assert_false(has_data(&a));
	a = ulr_stored(f, ULR_S6A);
	assert_true(has_data(&a));
	struct cache_record r = record(f);
	r.serving[S6A_MME].flags |= SERVING_PURGED; // what is purged is not there any more
	put(f, &r);
	a = ulr_stored(f, ULR_S6A | 4);
	assert_true(has_data(&a));
	f->host = "mme02.example.org";
	a = ulr_stored(f, ULR_S6A | 4);
	assert_true(has_data(&a));
	f->host = WF_HOST; // it had them once
	a = ulr_stored(f, ULR_S6A | 4);
	assert_true(has_data(&a));
}

// The node is the same one, the data are not: `subscriber set` in between, of whatever is a part of them.
static void skip_subscriber_data_after_a_change_of_the_data(void **state)
{
	struct wf *f = *state;
	struct wf_answer a = ulr_stored(f, ULR_S6A);
	struct cache_record r = record(f);
	r.profile = wf_profile(f, true, true, 32, 0);
	put(f, &r);
	a = ulr_stored(f, ULR_S6A | 4);
	assert_true(has_data(&a));
	a = ulr_stored(f, ULR_S6A | 4);
	assert_false(has_data(&a));
	r = record(f);
	assert_true(msisdn_parse(slice_str("491700000009"), &r.msisdn[1]));
	put(f, &r);
	a = ulr_stored(f, ULR_S6A | 4);
	assert_true(has_data(&a));
	a = ulr_stored(f, ULR_S6A | 4 | 8); // and now with GPRS data, which it never got
	assert_true(has_data(&a));
}

// The MME is sent new data; what the SGSN has is old from then on, though nothing was sent to it.
static void what_one_node_was_sent_the_other_has_not(void **state)
{
	struct wf *f = *state;
	struct wf_answer a = ulr_stored(f, 0); // as SGSN
	assert_true(has_data(&a));
	struct cache_record r = record(f);
	r.profile = wf_profile(f, true, true, 32, 0);
	put(f, &r);
	a = ulr_stored(f, ULR_S6A);
	assert_true(has_data(&a));
	a = ulr_stored(f, 4);
	assert_true(has_data(&a));
	a = ulr_stored(f, ULR_S6A | 4);
	assert_false(has_data(&a));
}

// Judged before the change: afterwards the node is always the one that is stored.
static void skip_is_judged_before(void **state)
{
	struct wf *f = *state;
	struct wr w = wf_ulr(f, WF_IMSI, ULR_S6A | 4, RAT_EUTRAN);
	wf_send(f, &w);
	struct wf_frame *q = wf_ask(f, IPC_CHANGE);
	struct change c = {.id = q->hdr.id, .x = wf_read_change(q)};
	struct cache_record r = record(f);
	r.serving[0].node = builder_node(f->b, slice_str(WF_HOST), slice_str(WF_REALM));
	r.serving[0].flags = SERVING_HAS_DATA;
	r.data_mark = c.x.s6a.data_mark;
	r.version++;
	put(f, &r);
	wf_loader_away(f); // and the same after a loader that dies before it says so
	wf_loader_back(f);
	struct change again = change(f);
	assert_int_equal(again.id, c.id);
	assert_int_equal(again.flags, 1);
	assert_true(change_key_same(again.x.c.key, c.x.c.key));
	wf_change_ack(f, again.id, CHANGE_DUPLICATE);
	struct wf_answer a = wf_take(f, 0);
	assert_true(has_data(&a));
}

// The answer to the first one was lost: whoever repeats it has not got the data.
static void a_repetition_is_sent_the_data(void **state)
{
	struct wf *f = *state;
	struct wf_answer a = ulr_stored(f, ULR_S6A);
	struct wr w = wf_ulr(f, WF_IMSI, ULR_S6A | 4, RAT_EUTRAN);
	wf_send(f, &w);
	wf_change_ack(f, change(f).id, CHANGE_DUPLICATE);
	a = wf_take(f, 0);
	assert_true(has_data(&a));
}

// The state changed between the decision and the commit: it is decided again, from what is there now.
static void a_conflict_is_decided_again(void **state)
{
	struct wf *f = *state;
	struct wr w = wf_ulr(f, WF_IMSI, ULR_S6A, RAT_EUTRAN);
	wf_send(f, &w);
	struct change first = change(f);
	assert_int_equal(first.x.c.request_cnt, 0);
	struct cache_record r = record(f);
	r.serving[S6A_MME] = (struct cache_serving){.node = builder_node(f->b, slice_str("mme9.test"), slice_str("test")),
						    .time_us = 77};
	r.version++;
	put(f, &r);
	wf_change_ack(f, first.id, CHANGE_CONFLICT);
	assert_int_equal(wf_answers(f, 0), 0);
	struct change second = change(f);
	assert_int_equal(second.x.c.version, r.version);
	assert_int_equal(second.x.c.request_cnt, 1);
	assert_true(slice_eq(second.x.cancel[0].host, slice_str("mme9.test")));
	assert_int_equal(second.x.cancel[0].registered_us, 77);
	wf_change_ack(f, second.id, CHANGE_DONE);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
	// not for ever
	w = wf_ulr(f, WF_IMSI, ULR_S6A, RAT_EUTRAN);
	wf_send(f, &w);
	unsigned n = 0;
	for (; wf_asks(f); n++)
		wf_change_ack(f, change(f).id, CHANGE_CONFLICT);
	assert_int_equal(n, REQUEST_TRIES_MAX);
	assert_int_equal(wf_take(f, 0).result, RESULT_TOO_BUSY);
}

static void from_an_sgsn(void **state)
{
	struct wf *f = *state;
	struct avp sd, avp;
	struct cache_record r = record(f);
	struct wr w = wf_ulr(f, WF_IMSI, 0x21, 1000); // single registration counts for MMEs only
	wf_send(f, &w);
	struct change c = change(f);
	assert_true(slice_eq(c.x.s6a.serving[S6A_SGSN].host, slice_str(WF_HOST)));
	assert_int_equal(c.x.s6a.serving[S6A_MME].host.len, 0);
	wf_change_ack(f, c.id, CHANGE_DONE);
	struct wf_answer a = wf_take(f, 0);
	assert_true(wf_find(&a, AVP_CODE_Subscription_Data, VENDOR_3GPP, &sd));
	assert_true(avp_find(sd.data, AVP_CODE_APN_Configuration_Profile, VENDOR_3GPP, &avp));
	assert_false(avp_find(sd.data, AVP_CODE_GPRS_Subscription_Data, VENDOR_3GPP, &avp));
	r.profile = wf_profile(f, false, true, 0, 0);
	r.flags = RECORD_NO_EPS;
	put(f, &r);
	w = wf_ulr(f, WF_IMSI, 0, 1000);
	a = ulr_done(f, &w);
	assert_true(wf_find(&a, AVP_CODE_Subscription_Data, VENDOR_3GPP, &sd));
	assert_true(avp_find(sd.data, AVP_CODE_GPRS_Subscription_Data, VENDOR_3GPP, &avp));
	w = wf_ulr(f, WF_IMSI, ULR_S6A, RAT_EUTRAN); // the same subscriber by an MME
	wf_send(f, &w);
	a = wf_take(f, 0);
	is_experimental(&a, EXP_UNKNOWN_EPS_SUBSCRIPTION);
	diagnostic_is(&a, 0);
	r.profile = wf_profile(f, false, false, 0, 0);
	put(f, &r);
	w = wf_ulr(f, WF_IMSI, 0, 1000);
	wf_send(f, &w);
	a = wf_take(f, 0);
	is_experimental(&a, EXP_UNKNOWN_EPS_SUBSCRIPTION);
	diagnostic_is(&a, 1);
}

static void access_restrictions(void **state)
{
	struct wf *f = *state;
	struct cache_record r = record(f);
	static const struct {
		uint32_t bit, rat;
		bool refused;
	} rows[] = {
	    {0, 1000, true},   {1, 1001, true},  {2, 1002, true},  {3, 1003, true},   {4, 1004, true},
	    {4, 1007, true},   {6, 1005, true},  {11, 1007, true}, {11, 1004, false}, {12, 1004, true},
	    {12, 1007, false}, {4, 1005, false}, {0, 1004, false}, {13, 1011, true},  {16, 1014, true},
	    {17, 1021, true},  {20, 1024, true}, {21, 1031, true}, {24, 1034, true},  {5, 1004, false},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		r.profile = wf_profile(f, true, true, 1u << rows[i].bit, 0);
		put(f, &r);
		struct wr w = wf_ulr(f, WF_IMSI, ULR_S6A, rows[i].rat);
		wf_send(f, &w);
		if (!rows[i].refused) {
			wf_change_ack(f, change(f).id, CHANGE_DONE);
			assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
			continue;
		}
		struct wf_answer a = wf_take(f, 0);
		is_experimental(&a, EXP_RAT_NOT_ALLOWED);
		assert_int_equal(wf_asks(f), 0);
	}
}

static void barring(void **state)
{
	struct wf *f = *state;
	struct cache_record r = record(f);
	static const uint8_t abroad[3] = {0x62, 0xf2, 0x10}; // 262 01
	static const struct {
		uint32_t odb, features;
		bool roams, refused;
		uint32_t diagnostic;
	} rows[] = {
	    {1, 0, false, true, 2}, {1, 0, true, true, 2},  {1, 1, true, false, 0}, {2, 0, false, false, 0},
	    {2, 0, true, true, 3},  {2, 2, true, false, 0}, {4, 0, true, true, 4},  {4, 0, false, false, 0},
	    {8, 0, true, false, 0}, {6, 2, true, true, 4},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		r.profile = wf_profile(f, true, true, 0, rows[i].odb);
		put(f, &r);
		struct wr w = wf_begin(f, 316, WF_IMSI);
		avp_put_u32(&w, AVP_CODE_RAT_Type, VENDOR_3GPP, AVP_M, RAT_EUTRAN);
		avp_put_u32(&w, AVP_CODE_ULR_Flags, VENDOR_3GPP, AVP_M, ULR_S6A);
		wf_put_plmn(&w, rows[i].roams ? abroad : wf_plmn);
		if (rows[i].features)
			wf_put_features(&w, 1, rows[i].features, AVP_M);
		wf_send(f, &w);
		if (!rows[i].refused) {
			wf_change_ack(f, change(f).id, CHANGE_DONE);
			assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
			continue;
		}
		struct wf_answer a = wf_take(f, 0);
		is_experimental(&a, EXP_ROAMING_NOT_ALLOWED);
		diagnostic_is(&a, rows[i].diagnostic);
	}
}

// What the loader says to a change, and what the peer is answered then.
struct outcome {
	uint32_t status, result;
	bool experimental;
};

static struct wf_answer acknowledged(struct wf *f, uint64_t id, const struct outcome *o)
{
	wf_change_ack(f, id, (enum change_status)o->status);
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(a.result, o->result);
	assert_int_equal(a.experimental, o->experimental);
	return a;
}

static void is_unknown_user(struct wf *f, struct wr *request)
{
	wf_send(f, request);
	struct wf_answer a = wf_take(f, 0);
	is_experimental(&a, EXP_USER_UNKNOWN);
}

static void ulr_statuses(void **state)
{
	struct wf *f = *state;
	static const struct outcome rows[] = {
	    {CHANGE_DONE, RESULT_SUCCESS, false},
	    {CHANGE_UNKNOWN_USER, EXP_USER_UNKNOWN, true},
	    {CHANGE_REFUSED, RESULT_UNABLE_TO_COMPLY, false},
	    {CHANGE_DUPLICATE, RESULT_SUCCESS, false},
	    {CHANGE_BUSY, RESULT_TOO_BUSY, false},
	    {77, RESULT_UNABLE_TO_COMPLY, false},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct wr w = wf_ulr(f, WF_IMSI, ULR_S6A, RAT_EUTRAN);
		wf_send(f, &w);
		acknowledged(f, change(f).id, &rows[i]);
	}
	struct wr w = wf_ulr(f, "001010000004711", ULR_S6A, RAT_EUTRAN);
	is_unknown_user(f, &w);
}

static void rat_types(void **state)
{
	struct wf *f = *state;
	static const uint32_t bad[] = {6,    999,  1009,       1010,       1015,
				       1035, 2005, 0x7fffffff, 0x80000000, 0xffffffff};
	struct avp failed, inner;
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct wr w = wf_ulr(f, WF_IMSI, ULR_S6A, bad[i]);
		wf_send(f, &w);
		struct wf_answer a = wf_take(f, 0);
		assert_int_equal(a.result, RESULT_INVALID_AVP_VALUE);
		assert_true(wf_find(&a, AVP_CODE_Failed_AVP, 0, &failed));
		assert_true(avp_find(failed.data, AVP_CODE_RAT_Type, VENDOR_3GPP, &inner));
		assert_int_equal(be32_get(inner.data.p), bad[i]);
	}
	assert_int_equal(wf_asks(f), 0);
}

// Row 14 of what the field sends: a feature that we lack, with the M bit, and a list without Vendor-Id.
static void unsupported_feature(void **state)
{
	struct wf *f = *state;
	struct wr w = wf_ulr(f, WF_IMSI, ULR_S6A, RAT_EUTRAN);
	uint64_t before = f->stats->c[STAT_FEATURES_MISSING];
	size_t at = avp_group_begin(&w, AVP_CODE_Supported_Features, VENDOR_3GPP, AVP_M);
	avp_put_u32(&w, AVP_CODE_Feature_List_ID, VENDOR_3GPP, 0, 1);
	avp_put_u32(&w, AVP_CODE_Feature_List, VENDOR_3GPP, 0, 1u << 26);
	avp_group_end(&w, at);
	wf_send(f, &w);
	assert_int_equal(wf_asks(f), 1); // it goes its way to the loader
	assert_int_equal(f->stats->c[STAT_FEATURES_MISSING], before + 1);
}

// The nodes that serve the subscriber; NULL: none.
static void serve(struct wf *f, const char *mme, const char *sgsn)
{
	const char *const host[S6A_KIND_CNT] = {[S6A_MME] = mme, [S6A_SGSN] = sgsn};
	struct cache_record r = record(f);
	for (unsigned i = 0; i < S6A_KIND_CNT; i++)
		r.serving[i] = (struct cache_serving){
		    .node = host[i] ? builder_node(f->b, slice_str(host[i]), slice_str(WF_REALM)) : 0, .time_us = 1000};
	put(f, &r);
}

static uint32_t pua_flags(struct wf *f, uint32_t pur_flags)
{
	struct avp avp;
	struct wr w = wf_begin(f, 321, WF_IMSI);
	avp_put_u32(&w, AVP_CODE_PUR_Flags, VENDOR_3GPP, 0, pur_flags);
	wf_send(f, &w);
	if (wf_asks(f))
		wf_change_done(f, wf_ask(f, IPC_CHANGE));
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(a.result, RESULT_SUCCESS);
	assert_true(wf_find(&a, AVP_CODE_PUA_Flags, VENDOR_3GPP, &avp));
	return be32_get(avp.data.p);
}

static void purge_of_a_combined_node(void **state)
{
	struct wf *f = *state;
	serve(f, WF_HOST, WF_HOST);
	assert_int_equal(pua_flags(f, 2), PUA_FREEZE_P_TMSI);
	assert_int_equal(record(f).serving[S6A_MME].flags, 0);
	assert_int_equal(record(f).serving[S6A_SGSN].flags, SERVING_PURGED);
	assert_int_equal(pua_flags(f, 0), PUA_FREEZE_M_TMSI | PUA_FREEZE_P_TMSI);
	assert_int_equal(record(f).serving[S6A_MME].flags, SERVING_PURGED);
}

// Success, and nothing changes (5.2.1.3.3).
static void purge_of_a_node_that_does_not_serve(void **state)
{
	struct wf *f = *state;
	serve(f, "mme02.example.org", NULL);
	assert_int_equal(pua_flags(f, 0), 0);
	assert_int_equal(record(f).serving[S6A_MME].flags, 0);
	assert_int_equal(record(f).version, 0);
}

static void purge(void **state)
{
	struct wf *f = *state;
	serve(f, WF_HOST, NULL);
	static const struct outcome rows[] = {
	    {CHANGE_DONE, RESULT_SUCCESS, false},
	    {CHANGE_DUPLICATE, RESULT_SUCCESS, false},
	    {CHANGE_UNKNOWN_USER, EXP_USER_UNKNOWN, true},
	    {CHANGE_REFUSED, RESULT_UNABLE_TO_COMPLY, false},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct avp avp;
		struct wr w = wf_begin(f, 321, WF_IMSI);
		avp_put_u32(&w, AVP_CODE_PUR_Flags, VENDOR_3GPP, 0, 2);
		size_t at = avp_group_begin(&w, AVP_CODE_EPS_Location_Information, VENDOR_3GPP, 0);
		size_t mme = avp_group_begin(&w, AVP_CODE_MME_Location_Information, VENDOR_3GPP, 0);
		avp_group_end(&w, mme);
		avp_group_end(&w, at);
		wf_send(f, &w);
		assert_int_equal(wf_answers(f, 0), 0);
		struct change c = change(f);
		assert_int_equal(c.x.s6a.serving[S6A_MME].flags, SERVING_PURGED);
		assert_true(slice_eq(c.x.s6a.serving[S6A_MME].host, slice_str(WF_HOST)));
		assert_int_equal(c.x.c.options, CHANGE_KEPT_1 | CHANGE_MERGE_1);
		assert_true(avp_find(c.x.kept[1], AVP_CODE_EPS_Location_Information, VENDOR_3GPP, &avp));
		struct wf_answer a = acknowledged(f, c.id, &rows[i]);
		bool success = a.result == RESULT_SUCCESS;
		assert_int_equal(wf_find(&a, AVP_CODE_PUA_Flags, VENDOR_3GPP, &avp), success);
		if (success)
			assert_int_equal(be32_get(avp.data.p), PUA_FREEZE_M_TMSI);
	}
	struct wr w = wf_begin(f, 321, "001010000004711");
	is_unknown_user(f, &w);
}

static void notify(void **state)
{
	struct wf *f = *state;
	serve(f, WF_HOST, NULL);
	static const struct outcome rows[] = {
	    {CHANGE_DONE, RESULT_SUCCESS, false},
	    {CHANGE_DUPLICATE, RESULT_SUCCESS, false},
	    {CHANGE_BUSY, RESULT_TOO_BUSY, false},
	    {CHANGE_UNKNOWN_USER, EXP_USER_UNKNOWN, true},
	    {CHANGE_REFUSED, RESULT_UNABLE_TO_COMPLY, false},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct avp avp;
		struct wr w = wf_begin(f, 323, WF_IMSI);
		avp_put_u32(&w, AVP_CODE_NOR_Flags, VENDOR_3GPP, 0, 8);
		avp_put_u32(&w, AVP_CODE_Context_Identifier, VENDOR_3GPP, 0, 1);
		avp_put_slice(&w, AVP_CODE_Service_Selection, 0, AVP_M, slice_str("internet"));
		size_t at = avp_group_begin(&w, AVP_CODE_MIP6_Agent_Info, 0, AVP_M);
		avp_put(&w, AVP_CODE_MIP_Home_Agent_Address, 0, AVP_M, "\x00\x01\x0a\x00\x00\x01", 6);
		avp_group_end(&w, at);
		wf_send(f, &w);
		assert_int_equal(wf_answers(f, 0), 0);
		struct change c = change(f);
		assert_int_equal(c.x.c.options, CHANGE_KEPT_1 | CHANGE_MERGE_1);
		assert_true(avp_find(c.x.kept[1], AVP_CODE_MIP6_Agent_Info, 0, &avp));
		assert_true(avp_find(c.x.kept[1], AVP_CODE_Service_Selection, 0, &avp));
		assert_true(avp_find(c.x.kept[1], AVP_CODE_Context_Identifier, VENDOR_3GPP, &avp));
		assert_false(avp_find(c.x.kept[1], AVP_CODE_User_Name, 0, &avp));
		acknowledged(f, c.id, &rows[i]);
	}
}

static void notify_of_a_node_that_does_not_serve(void **state)
{
	struct wf *f = *state;
	serve(f, "mme02.example.org", NULL);
	struct wr w = wf_begin(f, 323, WF_IMSI);
	wf_send(f, &w);
	struct wf_answer a = wf_take(f, 0);
	is_experimental(&a, EXP_UNKNOWN_SERVING_NODE);
	assert_int_equal(wf_asks(f), 0);
}

// Single-Registration-Indication (TS 29.272 5.2.5.1.3): the SGSN is told, and its registration ends.
static void notify_of_a_single_registration(void **state)
{
	struct wf *f = *state;
	serve(f, WF_HOST, "sgsn.example.org");
	struct wr w = wf_begin(f, 323, WF_IMSI);
	avp_put_u32(&w, AVP_CODE_NOR_Flags, VENDOR_3GPP, 0, 1);
	wf_send(f, &w);
	struct change c = change(f);
	assert_int_equal(c.x.s6a.serving[S6A_SGSN].host.len, 0);
	assert_int_equal(c.x.c.request_cnt, 1);
	assert_int_equal(c.x.cancel[0].type, CANCEL_SGSN_UPDATE);
	assert_true(slice_eq(c.x.cancel[0].host, slice_str("sgsn.example.org")));
}

// A PDN-GW is stored for a subscribed APN, for any when the wildcard is subscribed, or for emergency calls.
static void notify_pdn_gw(void **state)
{
	struct wf *f = *state;
	serve(f, WF_HOST, NULL);
	static const struct {
		const char *apn;
		uint32_t context, emergency;
		bool stored;
	} rows[] = {
	    {"internet", 1, 0, true}, {"INTERNET", 9, 0, true}, {"ims", 1, 0, false}, {NULL, 1, 0, true},
	    {NULL, 2, 0, false},      {NULL, 0, 0, false},      {NULL, 0, 1, true},   {"sos", 0, 1, true},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct wr w = wf_begin(f, 323, WF_IMSI);
		if (rows[i].context)
			avp_put_u32(&w, AVP_CODE_Context_Identifier, VENDOR_3GPP, 0, rows[i].context);
		if (rows[i].apn)
			avp_put_slice(&w, AVP_CODE_Service_Selection, 0, AVP_M, slice_str(rows[i].apn));
		if (rows[i].emergency)
			avp_put_u32(&w, AVP_CODE_Emergency_Services, VENDOR_3GPP, 0, rows[i].emergency);
		size_t at = avp_group_begin(&w, AVP_CODE_MIP6_Agent_Info, 0, AVP_M);
		avp_put(&w, AVP_CODE_MIP_Home_Agent_Address, 0, AVP_M, "\x00\x01\x0a\x00\x00\x01", 6);
		avp_group_end(&w, at);
		wf_send(f, &w);
		if (rows[i].stored)
			wf_change_ack(f, change(f).id, CHANGE_DONE);
		struct wf_answer a = wf_take(f, 0);
		assert_int_equal(a.result, rows[i].stored ? RESULT_SUCCESS : RESULT_UNABLE_TO_COMPLY);
		assert_int_equal(wf_asks(f), 0);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, wf_setup, wf_teardown)
	const struct CMUnitTest tests[] = {
	    T(change_has_everything),
	    T(many_active_apns),
	    T(subscription_data),
	    T(additional_msisdn),
	    T(skip_subscriber_data),
	    T(skip_subscriber_data_after_a_change_of_the_data),
	    T(what_one_node_was_sent_the_other_has_not),
	    T(skip_is_judged_before),
	    T(a_repetition_is_sent_the_data),
	    T(a_conflict_is_decided_again),
	    T(from_an_sgsn),
	    T(access_restrictions),
	    T(barring),
	    T(ulr_statuses),
	    T(rat_types),
	    T(unsupported_feature),
	    T(purge),
	    T(purge_of_a_combined_node),
	    T(purge_of_a_node_that_does_not_serve),
	    T(notify),
	    T(notify_of_a_node_that_does_not_serve),
	    T(notify_of_a_single_registration),
	    T(notify_pdn_gw),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

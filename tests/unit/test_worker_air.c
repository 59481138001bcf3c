// AIR in a worker, from the frontend's frame to its answer: who gets vectors, how many, from which SQN, and
// what the loader is asked.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "tests/support/worker_vectors.h"

#define IND_0 8u // node 1, k = 0
// ODB of all, HPLMN and VPLMN APNs, partial purge, additional MSISDN
#define FEATURES_1 0xa0000007u

static void counts_are_capped(void **state)
{
	struct wf *f = *state;
	static const struct {
		uint32_t wanted, given;
	} rows[] = {{0, 1}, {1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 5}, {32, 5}, {0xffffffff, 5}};
	uint64_t last = 0;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct wf_answer a = air(f, rows[i].wanted);
		struct got g = vectors(f, &a);
		assert_int_equal(g.eutran, rows[i].given);
		assert_int_equal(g.utran, 0);
		assert_int_equal(sqn_ind(g.sqn[0]), IND_0);
		assert_true(last == 0 ? sqn_seq(g.sqn[0]) == 32 : sqn_seq(g.sqn[0]) == last + 1);
		last = sqn_seq(g.sqn[g.eutran - 1]);
	}
	assert_int_equal(f->stats->c[STAT_VECTORS], 31);
	assert_int_equal(wf_asks(f), 0);
}

static void unknown_user(void **state)
{
	struct wf *f = *state;
	struct wr w = wf_air(f, "001010000009999", 1);
	wf_send(f, &w);
	struct wf_answer a = wf_take(f, 0);
	is_experimental(&a, EXP_USER_UNKNOWN);
	w = wf_air(f, "not-an-imsi", 1);
	wf_send(f, &w);
	a = wf_take(f, 0);
	is_experimental(&a, EXP_USER_UNKNOWN);
	assert_int_equal(wf_asks(f), 0);
}

static void no_packet_subscription(void **state)
{
	struct wf *f = *state;
	struct cache_record r = *record(f, WF_IMSI);
	r.flags |= RECORD_NO_PACKET;
	assert_int_equal(builder_put(f->b, &r), 0);
	struct wf_answer a = air(f, 1);
	is_experimental(&a, EXP_UNKNOWN_EPS_SUBSCRIPTION);
	assert_int_equal(words(f)->next, 32);
}

static void utran_and_both(void **state)
{
	struct wf *f = *state;
	for (unsigned both = 0; both < 3; both++) {
		struct wr w = wf_begin(f, 318, WF_IMSI);
		if (both) // 2: the UTRAN ones are wanted at once
			wf_put_auth_group(&w, AVP_CODE_Requested_EUTRAN_Authentication_Info, 4, both == 1,
					  (struct slice){0});
		wf_put_auth_group(&w, AVP_CODE_Requested_UTRAN_GERAN_Authentication_Info, 3, both != 1,
				  (struct slice){0});
		wf_put_plmn(&w, wf_plmn);
		wf_send(f, &w);
		struct wf_answer a = wf_take(f, 0);
		struct got g = vectors(f, &a);
		assert_int_equal(g.eutran, both == 0 ? 0 : both == 1 ? 4 : 2);
		assert_int_equal(g.utran, both == 1 ? 1 : 3);
	}
}

static void one_column_a_host(void **state)
{
	struct wf *f = *state;
	char host[64];
	f->auto_ind = false;
	for (unsigned i = 0; i < 7; i++) {
		snprintf(host, sizeof host, "mme%u.example.org", i);
		f->host = host;
		struct wr w = wf_air(f, WF_IMSI, 1);
		wf_send(f, &w);
		assert_int_equal(wf_answers(f, 0), 0);
		struct wf_frame *q = wf_ask(f, IPC_IND_HOST);
		uint64_t hash;
		memcpy(&hash, q->body, 8);
		assert_int_equal(hash, ident_hash_bytes(slice_str(host), true));
		assert_true(slice_eq(slice_of(q->body + 8, q->len - 8), slice_str(host)));
		assert_int_equal(builder_ind_add(f->b, hash), i);
		wf_reply(f, IPC_IND_HOST_ACK, q->hdr.id, i);
		struct wf_answer a = wf_take(f, 0);
		assert_int_equal(sqn_ind(vectors(f, &a).sqn[0]), 8 + i % 5);
		a = air(f, 1); // known now
		assert_int_equal(sqn_ind(vectors(f, &a).sqn[0]), 8 + i % 5);
	}
	// no place left: hashed, and never asked twice for one request
	f->host = "mme-without-a-place.example.org";
	struct wr w = wf_air(f, WF_IMSI, 1);
	wf_send(f, &w);
	struct wf_frame *q = wf_ask(f, IPC_IND_HOST);
	wf_reply(f, IPC_IND_HOST_ACK, q->hdr.id, UINT64_MAX);
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(sqn_ind(vectors(f, &a).sqn[0]), 8 + ident_hash_bytes(slice_str(f->host), true) % 5);
	assert_int_equal(wf_asks(f), 0);
}

// A host that has no place yet is served without a loader, too: from a hashed column. So is one that waited for its place.
static void place_without_a_loader(void **state)
{
	struct wf *f = *state;
	f->auto_ind = false;
	f->host = "mme-that-waits.example.org";
	struct wr w = wf_air(f, WF_IMSI, 1);
	wf_send(f, &w);
	(void)wf_ask(f, IPC_IND_HOST);
	wf_loader_away(f);
	wf_run(f);
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(sqn_ind(vectors(f, &a).sqn[0]), 8 + ident_hash_bytes(slice_str(f->host), true) % 5);
	f->host = "mme-that-comes-later.example.org";
	a = air(f, 1);
	assert_int_equal(sqn_ind(vectors(f, &a).sqn[0]), 8 + ident_hash_bytes(slice_str(f->host), true) % 5);
	wf_loader_back(f);
	w = wf_air(f, WF_IMSI, 1);
	wf_send(f, &w);
	struct wf_frame *q = wf_ask(f, IPC_IND_HOST); // asked again as soon as somebody can answer
	wf_reply(f, IPC_IND_HOST_ACK, q->hdr.id, UINT64_MAX);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
}

static void spare_column(void **state)
{
	struct wf *f = *state;
	struct cache_record r = *record(f, WF_IMSI);
	r.flags |= RECORD_IND_SPARE;
	// others draw with our column, or will after their next resynchronisation; not ours; not ours any more
	static const struct {
		uint8_t taken, drawn;
	} row[] = {{8, 15}, {7, 15}, {9, 8}, {6, 8}, {0, 8}};
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		r.taken_ind = row[i].taken;
		assert_int_equal(builder_put(f->b, &r), 0);
		struct wf_answer a = air(f, 1);
		assert_int_equal(sqn_ind(vectors(f, &a).sqn[0]), row[i].drawn);
	}
}

static void block_used_up(void **state)
{
	struct wf *f = *state;
	struct ipc_sqn_block b;
	builder_sqn_set(f->b, record(f, WF_IMSI)->sqn, 997, 1000);
	struct wf_answer a = air(f, 3);
	assert_int_equal(sqn_seq(vectors(f, &a).sqn[2]), 999);
	struct wf_frame *q = wf_ask(f, IPC_SQN_BLOCK); // ahead of need, nobody waits
	assert_int_equal(q->hdr.id, 0);
	struct wr w = wf_air(f, WF_IMSI, 2);
	wf_send(f, &w);
	assert_int_equal(wf_answers(f, 0), 0);
	q = wf_ask(f, IPC_SQN_BLOCK);
	assert_int_not_equal(q->hdr.id, 0);
	memcpy(&b, q->body, sizeof b);
	assert_int_equal(b.at_least, 0);
	builder_sqn_limit(f->b, b.index, 1256);
	wf_reply(f, IPC_SQN_BLOCK_ACK, q->hdr.id, 1);
	a = wf_take(f, 0);
	assert_int_equal(sqn_seq(vectors(f, &a).sqn[0]), 1000);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 0);
	// an acknowledgement twice, and one of nothing
	wf_reply(f, IPC_SQN_BLOCK_ACK, q->hdr.id, 1);
	wf_reply(f, IPC_SQN_BLOCK_ACK, 0x7fffffffffffffff, 1);
	assert_int_equal(wf_answers(f, 0), 0);
}

static void block_refused(void **state)
{
	struct wf *f = *state;
	builder_sqn_set(f->b, record(f, WF_IMSI)->sqn, 1000, 1000);
	struct wr w = wf_air(f, WF_IMSI, 2);
	wf_send(f, &w);
	struct wf_frame *q = wf_ask(f, IPC_SQN_BLOCK);
	wf_reply(f, IPC_SQN_BLOCK_ACK, q->hdr.id, 0);
	struct wf_answer a = wf_take(f, 0);
	is_experimental(&a, EXP_AUTHENTICATION_DATA_UNAVAILABLE);
}

// A loader that says "raised" and never raises: bounded.
static void asks_are_bounded(void **state)
{
	struct wf *f = *state;
	unsigned asked = 0;
	builder_sqn_set(f->b, record(f, WF_IMSI)->sqn, 1000, 1000);
	struct wr w = wf_air(f, WF_IMSI, 1);
	wf_send(f, &w);
	while (wf_asks(f)) {
		struct wf_frame *q = wf_ask(f, IPC_SQN_BLOCK);
		assert_true(++asked <= REQUEST_TRIES_MAX);
		wf_reply(f, IPC_SQN_BLOCK_ACK, q->hdr.id, 1);
	}
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(a.result, RESULT_TOO_BUSY);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 0);
}

static void end_of_numbers(void **state)
{
	struct wf *f = *state;
	builder_sqn_set(f->b, record(f, WF_IMSI)->sqn, SEQ_MAX - 2, SEQ_MAX);
	struct wf_answer a = air(f, 3);
	is_experimental(&a, EXP_AUTHENTICATION_DATA_UNAVAILABLE);
	assert_int_equal(f->stats->c[STAT_SQN_EXHAUSTED], 1);
	a = air(f, 1);
	assert_int_equal(sqn_seq(vectors(f, &a).sqn[0]), SEQ_MAX - 2);
}

static void loader_away(void **state)
{
	struct wf *f = *state;
	builder_sqn_set(f->b, record(f, WF_IMSI)->sqn, 1000, 1000);
	wf_loader_away(f);
	struct wr w = wf_air(f, WF_IMSI, 1);
	wf_send(f, &w);
	assert_int_equal(wf_answers(f, 0), 0);
	wf_loader_back(f);
	struct wf_frame *q = wf_ask(f, IPC_SQN_BLOCK);
	wf_loader_away(f); // dies with the question
	wf_loader_back(f);
	struct wf_frame *again = wf_ask(f, IPC_SQN_BLOCK);
	assert_int_not_equal(q->hdr.id, again->hdr.id); // a late reply to the first one is nobody's
	builder_sqn_limit(f->b, record(f, WF_IMSI)->sqn, 1256);
	wf_reply(f, IPC_SQN_BLOCK_ACK, again->hdr.id, 1);
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(sqn_seq(vectors(f, &a).sqn[0]), 1000);
}

// A flood of AIRs for one subscriber costs the loader one question a block, not one a request.
static void one_question_for_a_flood(void **state)
{
	struct wf *f = *state;
	builder_sqn_set(f->b, record(f, WF_IMSI)->sqn, 1000, 1000);
	for (unsigned i = 0; i < 20; i++) {
		struct wr w = wf_air(f, WF_IMSI, 1);
		wf_send(f, &w);
	}
	struct wf_frame *q = wf_ask(f, IPC_SQN_BLOCK);
	assert_int_equal(wf_asks(f), 0);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 20);
	// a block that is too small for all: the others ask again, once
	builder_sqn_limit(f->b, record(f, WF_IMSI)->sqn, 1012);
	wf_reply(f, IPC_SQN_BLOCK_ACK, q->hdr.id, 1);
	for (unsigned i = 0; i < 12; i++) {
		struct wf_answer a = wf_take(f, 0);
		assert_int_equal(sqn_seq(vectors(f, &a).sqn[0]), 1000 + i);
	}
	q = wf_ask(f, IPC_SQN_BLOCK); // a hint, for nobody
	while (q->hdr.id == 0)
		q = wf_ask(f, IPC_SQN_BLOCK);
	wf_reply(f, IPC_SQN_BLOCK_ACK, q->hdr.id, 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(wf_take(f, 0).result, EXP_AUTHENTICATION_DATA_UNAVAILABLE);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 0);
}

// Law 9: what its frontend has given up is not served late.
static void loader_away_too_long(void **state)
{
	struct wf *f = *state;
	builder_sqn_set(f->b, record(f, WF_IMSI)->sqn, 1000, 1000);
	wf_loader_away(f);
	struct wr w = wf_air(f, WF_IMSI, 1);
	wf_send(f, &w);
	clock_freeze_us(clock_mono_us() + 2100000);
	wf_loader_back(f);
	clock_freeze_us(0);
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(a.result, RESULT_TOO_BUSY);
	assert_int_equal(wf_asks(f), 0);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 0);
}

static void bad_values(void **state)
{
	struct wf *f = *state;
	struct wr w = wf_begin(f, 318, WF_IMSI);
	wf_put_plmn(&w, wf_plmn);
	wf_send(f, &w);
	struct wf_answer a = wf_take(f, 0);
	is_failed(&a, RESULT_MISSING_AVP, AVP_CODE_Requested_EUTRAN_Authentication_Info);
	static const struct {
		uint8_t plmn[4];
		uint32_t len;
	} bad[] = {{{0x00, 0xf1, 0x1b}, 3},
		   {{0x0a, 0xf1, 0x10}, 3},
		   {{0x00, 0xf1}, 2},
		   {{0x00, 0xf1, 0x10, 0}, 4},
		   {{0}, 0}};
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		w = wf_begin(f, 318, WF_IMSI);
		wf_put_auth_group(&w, AVP_CODE_Requested_EUTRAN_Authentication_Info, 1, true,
				  (struct slice){0});
		avp_put(&w, AVP_CODE_Visited_PLMN_Id, VENDOR_3GPP, AVP_M, bad[i].plmn, bad[i].len);
		wf_send(f, &w);
		a = wf_take(f, 0);
		is_failed(&a, RESULT_INVALID_AVP_VALUE, AVP_CODE_Visited_PLMN_Id);
	}
	assert_int_equal(words(f)->next, 32);
}

static void features(void **state)
{
	struct wf *f = *state;
	static const struct {
		uint32_t list, bits;
		uint8_t flags;
		bool missing;
	} rows[] = {
	    {1, FEATURES_1, AVP_M, false}, {1, 1u << 10, AVP_M, true}, {1, 1u << 10, 0, false},
	    {2, 1u << 27, AVP_M, false},   {2, 1u << 26, AVP_M, true}, {3, 1, AVP_M, true},
	    {3, 0, AVP_M, false},
	};
	uint64_t missing = f->stats->c[STAT_FEATURES_MISSING];
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct wr w = wf_air(f, WF_IMSI, 1);
		struct avp avp, bits;
		wf_put_features(&w, rows[i].list, rows[i].bits, rows[i].flags);
		wf_send(f, &w);
		struct wf_answer a = wf_take(f, 0);
		vectors(f, &a); // served without it, and noted
		missing += rows[i].missing;
		assert_int_equal(f->stats->c[STAT_FEATURES_MISSING], missing);
		assert_int_equal(a.slots[SLOT_AIA_Supported_Features].cnt, 2);
		assert_true(wf_find(&a, AVP_CODE_Supported_Features, VENDOR_3GPP, &avp));
		assert_false(avp.flags & AVP_M);
		assert_true(avp_find(avp.data, AVP_CODE_Feature_List, VENDOR_3GPP, &bits));
		assert_int_equal(be32_get(bits.data.p), FEATURES_1);
	}
	struct wf_answer a = air(f, 1);
	assert_int_equal(a.slots[SLOT_AIA_Supported_Features].cnt, 0);
}

static void refuse_in_aia(void **state)
{
	struct wf *f = *state;
	struct cache_record r = *record(f, WF_IMSI);
	struct avp avp;
	r.profile = wf_profile(f, true, false, 1u << 4, 0);
	assert_int_equal(builder_put(f->b, &r), 0);
	struct wf_answer a = air(f, 1);
	assert_int_equal(a.result, RESULT_SUCCESS); // not configured: the ULA will refuse
	struct wr w = wf_air(f, WF_IMSI, 1);
	wf_queue_request(f, &w, 0, IPC_PEER_REFUSE_IN_AIA);
	wf_run(f);
	a = wf_take(f, 0);
	is_experimental(&a, EXP_RAT_NOT_ALLOWED);
	r.profile = wf_profile(f, true, false, 0, 1);
	assert_int_equal(builder_put(f->b, &r), 0);
	w = wf_air(f, WF_IMSI, 1);
	wf_queue_request(f, &w, 0, IPC_PEER_REFUSE_IN_AIA);
	wf_run(f);
	a = wf_take(f, 0);
	is_experimental(&a, EXP_ROAMING_NOT_ALLOWED);
	assert_true(wf_find(&a, AVP_CODE_Error_Diagnostic, VENDOR_3GPP, &avp));
	assert_int_equal(be32_get(avp.data.p), 2);
	assert_int_equal(words(f)->next, 33);
}

static void read_through_while_loading(void **state)
{
	struct wf *f = *state;
	static const char other[] = "001010000000077";
	struct ipc_read_through m;
	wf_load_state(f, CACHE_LOADING);
	for (unsigned status = READ_THROUGH_FOUND; status <= READ_THROUGH_BUSY; status++) {
		struct wr w = wf_air(f, status == READ_THROUGH_FOUND ? other : "001010000000078", 1);
		wf_send(f, &w);
		assert_int_equal(wf_answers(f, 0), 0);
		struct wf_frame *q = wf_ask(f, IPC_READ_THROUGH);
		memcpy(&m, q->body, sizeof m);
		assert_int_equal(m.msisdn, 0);
		if (status == READ_THROUGH_FOUND)
			wf_subscriber(f, other, wf_profile(f, true, false, 0, 0), 1, 1000);
		wf_reply(f, IPC_READ_THROUGH_ACK, q->hdr.id, status);
		struct wf_answer a = wf_take(f, 0);
		if (status == READ_THROUGH_UNKNOWN)
			is_experimental(&a, EXP_USER_UNKNOWN);
		else
			assert_int_equal(a.result, status == READ_THROUGH_FOUND ? RESULT_SUCCESS : RESULT_TOO_BUSY);
	}
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 0);
}

static void algorithms(void **state)
{
	struct wf *f = *state;
	struct cache_record r = *record(f, WF_IMSI);
	r.alg = ALG_TUAK;
	assert_int_equal(builder_put(f->b, &r), 0);
	struct wf_answer a = air(f, 1);
	is_experimental(&a, EXP_AUTHENTICATION_DATA_UNAVAILABLE);
	r.alg = ALG_XOR; // not switched on
	assert_int_equal(builder_put(f->b, &r), 0);
	a = air(f, 1);
	is_experimental(&a, EXP_AUTHENTICATION_DATA_UNAVAILABLE);
	f->w.auth.test_algorithms = true;
	a = air(f, 1);
	assert_int_equal(a.result, RESULT_SUCCESS);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(counts_are_capped),  T(unknown_user),      T(no_packet_subscription),
	    T(utran_and_both),     T(one_column_a_host), T(place_without_a_loader), T(spare_column),
	    T(block_used_up),      T(block_refused),     T(asks_are_bounded),
	    T(end_of_numbers),     T(one_question_for_a_flood), T(loader_away),       T(loader_away_too_long),
	    T(bad_values),         T(features),          T(refuse_in_aia),
	    T(read_through_while_loading), T(algorithms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SWx in a worker, as hostile peers and frontends may have it: names of any octets, requests of which any octet is another,
// profiles of any octets, changes that the loader refuses. Each request has one answer or asks the loader, and no answer breaks
// its grammar.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "apps/apps.h"
#include "apps/swx/data.h"
#include "apps/swx/registration.h"
#include "tests/support/worker_fixture.h"

#define NAI "nai.epc.mnc001.mcc001.3gppnetwork.org"

enum kind { MAR_, SAR_, UPDATE_, RESTORATION_, KINDS };
static const uint32_t code_of[KINDS] = {303, 301, 301, 301};
static const uint32_t type_of[KINDS] = {0, SWX_REGISTRATION, SWX_PGW_UPDATE, SWX_RESTORATION};

static void put_agent(struct wr *w)
{
	size_t at = avp_group_begin(w, AVP_CODE_MIP6_Agent_Info, 0, AVP_M);
	avp_put(w, AVP_CODE_MIP_Home_Agent_Address, 0, AVP_M, "\0\1\12\0\0\1", 6);
	avp_group_end(w, at);
}

static void put_active(struct wr *w, const char *apn)
{
	size_t at = avp_group_begin(w, AVP_CODE_Active_APN, VENDOR_3GPP, 0);
	avp_put_u32(w, AVP_CODE_Context_Identifier, VENDOR_3GPP, AVP_M, 1);
	avp_put_slice(w, AVP_CODE_Service_Selection, 0, AVP_M, slice_str(apn));
	put_agent(w);
	avp_group_end(w, at);
}

static void put_mar(struct wr *w)
{
	avp_put_u32(w, AVP_CODE_RAT_Type, VENDOR_3GPP, 0, 0);
	avp_put_slice(w, AVP_CODE_ANID, VENDOR_3GPP, AVP_M, slice_str("WLAN"));
	size_t at = avp_group_begin(w, AVP_CODE_SIP_Auth_Data_Item, VENDOR_3GPP, AVP_M);
	avp_put_slice(w, AVP_CODE_SIP_Authentication_Scheme, VENDOR_3GPP, AVP_M, slice_str("EAP-AKA'"));
	avp_group_end(w, at);
	avp_put_u32(w, AVP_CODE_SIP_Number_Auth_Items, VENDOR_3GPP, AVP_M, 1);
}

static void compose(struct wf *f, struct wr *w, enum kind kind, struct slice user)
{
	*w = wr_of(f->msg, sizeof f->msg);
	header_begin(w, HEADER_R | HEADER_P, code_of[kind], APP_SWX, 7, 0xe0000000u + (uint32_t)f->next_id);
	avp_put_slice(w, AVP_CODE_Session_Id, 0, AVP_M, slice_str("mme01;1;2;x"));
	avp_put_u32(w, AVP_CODE_Auth_Session_State, 0, AVP_M, 1);
	avp_put_slice(w, AVP_CODE_Origin_Host, 0, AVP_M, slice_str("aaa.test"));
	avp_put_slice(w, AVP_CODE_Origin_Realm, 0, AVP_M, slice_str("test"));
	avp_put_slice(w, AVP_CODE_Destination_Realm, 0, AVP_M, slice_str(WF_REALM));
	avp_put_slice(w, AVP_CODE_User_Name, 0, AVP_M, user);
	if (kind == MAR_)
		put_mar(w);
	else
		avp_put_u32(w, AVP_CODE_Server_Assignment_Type, VENDOR_3GPP, AVP_M, type_of[kind]);
	if (kind == UPDATE_) {
		avp_put_slice(w, AVP_CODE_Service_Selection, 0, AVP_M, slice_str("internet"));
		put_agent(w);
	} else if (kind == RESTORATION_) {
		put_active(w, "internet");
		put_active(w, "gone");
	}
}

// The state of WF_IMSI: nothing, or registered at aaa.test with a gateway.
static void set_state(struct wf *f, struct cache_record *r, const struct swx_state *s)
{
	uint8_t row[SWX_STATE_MAX], packed[SWX_STATE_MAX], octets[CACHE_STATE_OVERHEAD + SWX_STATE_MAX];
	struct wr w = wr_of(row, sizeof row);
	swx_state_put(&w, s, true);
	struct cache_state c = {.version = 3, .body = wr_done(&w)};
	assert_true(swx_state_pack(f->b, &c, packed));
	const struct cache_part p = cache_state_part(app_swx, CACHE_STATE, &c, false, octets);
	assert_int_equal(builder_put_with(f->b, r, &(struct builder_extra){.part = &p, .part_cnt = 1}), 0);
}

static struct wf *fresh(bool registered)
{
	static const struct swx_state s = {.flags = SWX_REGISTERED, .time_s = 9};
	struct wf *f = wf_new(16);
	struct cache_record r = wf_subscriber(f, WF_IMSI, wf_profile(f, true, true, 0, 0), 32, 1ull << 42);
	if (registered) {
		struct swx_state now = s;
		now.host = slice_str("aaa.test");
		now.realm = slice_str("test");
		now.gateways.cnt = 1;
		now.gateways.one[0] = (struct gateway){.apn = slice_str("internet"), .info = slice_of("\0\0\1\x4e\x40\0\0\x0e\0\1\12\0\0\1\0\0", 16)};
		set_state(f, &r, &now);
	}
	return f;
}

// False if a frontend had refused the request by its grammar already, with 5004.
static bool ask(struct wf *f, enum kind kind, struct slice user, struct wf_answer *a)
{
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct verdict v;
	struct wr w;
	compose(f, &w, kind, user);
	header_finish(&w, 0);
	if (!grammar_check(grammar_find(code_of[kind], APP_SWX, true), f->msg, (uint32_t)wr_len(&w), slots, &v)) {
		assert_int_equal(v.result, RESULT_INVALID_AVP_VALUE);
		return false;
	}
	wf_send(f, &w);
	*a = wf_take(f, 0);
	return true;
}

// A name without an IMSI of ours is 5001, whatever it is.
static void names_of_any_octets(void **state)
{
	static const char letters[] = "0123456789!@.@!0123456789abc-+/= \t\1\x7f\xc3\xa9\xff";
	unsigned refused = 0, unknown = 0;
	(void)state;
	srand(13);
	for (unsigned round = 0; round < 40; round++) {
		struct wf *f = fresh(false);
		for (unsigned n = 0; n < 100; n++) {
			uint8_t text[1200];
			size_t len = (size_t)rand() % (n % 8 ? 30 : sizeof text);
			for (size_t i = 0; i < len; i++)
				text[i] = (uint8_t)(rand() % 50 ? letters[rand() % (sizeof letters - 1)] : rand());
			struct wf_answer a;
			if (!ask(f, (enum kind)(rand() % KINDS), slice_of(text, len), &a)) {
				refused++;
				continue;
			}
			assert_true(a.experimental && a.result == EXP_USER_UNKNOWN);
			unknown++;
		}
		wf_free(f);
	}
	assert_true(refused > 100 && unknown > 1000);
}

// A frontend that writes nonsense: any octet of the frame may be another one, or the rest missing.
static void frames_of_any_octets(void **state)
{
	static uint8_t body[4096];
	(void)state;
	for (unsigned kind = 0; kind < 2 * KINDS; kind++) {
		struct wf *f = fresh(kind >= KINDS);
		struct wr w;
		compose(f, &w, (enum kind)(kind % KINDS), slice_str("6" WF_IMSI "@" NAI));
		header_finish(&w, 0);
		size_t len = wf_request_body(f->msg, (uint32_t)wr_len(&w), body, sizeof body, 0);
		for (size_t i = 0; i < 2 * len; i++) {
			size_t cut = i < len ? len : i - len;
			uint8_t *copy = malloc(cut ? cut : 1), was = body[i % len]; // aligned, and ends where it ends
			struct ipc_hdr hdr = {.type = IPC_REQUEST, .id = 1, .len = (uint32_t)(sizeof hdr + cut)};
			assert_non_null(copy);
			if (i < len)
				body[i] ^= (uint8_t)(1u << (i % 8));
			memcpy(copy, body, cut);
			request_arrived(&f->w, 0, &hdr, copy);
			body[i % len] = was;
			free(copy);
			wf_flush(f);
			wf_run(f);
			request_frontend_lost(&f->w, 0);
			assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 0);
			wf_queue_free(&f->answers[0]);
			wf_queue_free(&f->asks);
			f->answers[0].in = f->answers[0].out = f->asks.in = f->asks.out = 0;
		}
		wf_free(f);
	}
}

// A registration is answered when it is on disk, and 5012 when it is not; a conflict makes it decide anew.
static void nothing_is_answered_before_it_is_durable(void **state)
{
	(void)state;
	for (unsigned refuse = 0; refuse < 2; refuse++) {
		struct wf *f = fresh(false);
		struct wr w;
		struct avp a;
		compose(f, &w, RESTORATION_, slice_str(WF_IMSI));
		wf_send(f, &w);
		assert_int_equal(wf_answers(f, 0), 0);
		wf_change_ack(f, wf_ask(f, IPC_CHANGE)->hdr.id, CHANGE_CONFLICT);
		assert_int_equal(wf_answers(f, 0), 0);
		wf_change_ack(f, wf_ask(f, IPC_CHANGE)->hdr.id, refuse ? CHANGE_REFUSED : CHANGE_DONE);
		struct wf_answer got = wf_take(f, 0);
		assert_int_equal(got.result, refuse ? RESULT_UNABLE_TO_COMPLY : RESULT_SUCCESS);
		assert_int_equal(wf_find(&got, AVP_CODE_Non_3GPP_User_Data, VENDOR_3GPP, &a), !refuse);
		wf_free(f);
	}
}

// The vectors of a first MAR leave when its AAA server is stored; the second one need not wait.
static void vectors_wait_for_the_server_to_be_stored(void **state)
{
	struct wf *f = fresh(false);
	struct wr w;
	struct avp a;
	(void)state;
	compose(f, &w, MAR_, slice_str(WF_IMSI));
	wf_send(f, &w);
	assert_int_equal(wf_answers(f, 0), 0);
	wf_change_ack(f, wf_ask(f, IPC_CHANGE)->hdr.id, CHANGE_DONE);
	struct wf_answer got = wf_take(f, 0);
	assert_int_equal(got.result, RESULT_SUCCESS);
	assert_true(wf_find(&got, AVP_CODE_SIP_Auth_Data_Item, VENDOR_3GPP, &a));
	wf_free(f);
	f = fresh(true);
	compose(f, &w, MAR_, slice_str(WF_IMSI));
	wf_send(f, &w);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
	wf_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_any_octets),
		cmocka_unit_test(frames_of_any_octets),
		cmocka_unit_test(nothing_is_answered_before_it_is_durable),
		cmocka_unit_test(vectors_wait_for_the_server_to_be_stored),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

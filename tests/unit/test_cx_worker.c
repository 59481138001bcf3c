// Cx in a worker, as hostile peers and frontends may have it: identities of any octets, requests of which any octet is
// another, changes that the loader refuses. Each request has one answer or asks the loader, and no answer breaks its grammar.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "apps/apps.h"
#include "apps/ims/state.h"
#include "apps/ims/user.h"
#include "lib/ims/fragment.h"
#include "tests/support/worker_fixture.h"

#define DOMAIN "ims.mnc001.mcc001.3gppnetwork.org"
#define USER   WF_IMSI "@" DOMAIN
#define IMPU   "sip:" WF_IMSI "@" DOMAIN

enum kind { UAR_, MAR_, SAR_, LIR_, KINDS };
static const uint32_t code_of[KINDS] = {300, 303, 301, 302};

static void begin(struct wf *f, struct wr *w, enum kind kind)
{
	*w = wr_of(f->msg, sizeof f->msg);
	header_begin(w, HEADER_R | HEADER_P, code_of[kind], APP_CX, 7, 0xe0000000u + (uint32_t)f->next_id);
	avp_put_slice(w, AVP_CODE_Session_Id, 0, AVP_M, slice_str("mme01;1;2;x"));
	avp_put_u32(w, AVP_CODE_Auth_Session_State, 0, AVP_M, 1);
	avp_put_slice(w, AVP_CODE_Origin_Host, 0, AVP_M, slice_str("scscf.test"));
	avp_put_slice(w, AVP_CODE_Origin_Realm, 0, AVP_M, slice_str("test"));
	avp_put_slice(w, AVP_CODE_Destination_Realm, 0, AVP_M, slice_str(WF_REALM));
}

static void put(struct wr *w, enum kind kind, struct slice user, struct slice impu, uint32_t type)
{
	if (kind != LIR_)
		avp_put_slice(w, AVP_CODE_User_Name, 0, AVP_M, user);
	avp_put_slice(w, AVP_CODE_Public_Identity, VENDOR_3GPP, AVP_M, impu);
	if (kind == UAR_)
		avp_put_slice(w, AVP_CODE_Visited_Network_Identifier, VENDOR_3GPP, AVP_M, slice_str("x"));
	if (kind == MAR_) {
		size_t at = avp_group_begin(w, AVP_CODE_SIP_Auth_Data_Item, VENDOR_3GPP, AVP_M);
		avp_put_slice(w, AVP_CODE_SIP_Authentication_Scheme, VENDOR_3GPP, AVP_M, slice_str("Unknown"));
		avp_group_end(w, at);
		avp_put_u32(w, AVP_CODE_SIP_Number_Auth_Items, VENDOR_3GPP, AVP_M, 1);
	}
	if (kind == MAR_ || kind == SAR_)
		avp_put_slice(w, AVP_CODE_Server_Name, VENDOR_3GPP, AVP_M, slice_str("sip:s"));
	if (kind == SAR_) {
		avp_put_u32(w, AVP_CODE_Server_Assignment_Type, VENDOR_3GPP, AVP_M, type);
		avp_put_u32(w, AVP_CODE_User_Data_Already_Available, VENDOR_3GPP, AVP_M, 0);
	}
}

static struct wf *fresh(void)
{
	struct wf *f = wf_new(16);
	snprintf(f->config.ims_domain, sizeof f->config.ims_domain, "%s", DOMAIN);
	wf_subscriber(f, WF_IMSI, wf_profile(f, true, true, 0, 0), 32, 1ull << 42);
	return f;
}

// False if a frontend had refused the request by its grammar already, with 5004.
static bool ask(struct wf *f, enum kind kind, struct slice user, struct slice impu, struct wf_answer *a)
{
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct verdict v;
	struct wr w;
	begin(f, &w, kind);
	put(&w, kind, user, impu, 1);
	header_finish(&w, 0);
	if (!grammar_check(grammar_find(code_of[kind], APP_CX, true), f->msg, (uint32_t)wr_len(&w), slots, &v)) {
		assert_int_equal(v.result, RESULT_INVALID_AVP_VALUE);
		return false;
	}
	wf_send(f, &w);
	*a = wf_take(f, 0);
	return true;
}

// What is no identity is answered 5004, what nobody has 5001; and never anything else.
static void identities_of_any_octets(void **state)
{
	static const char letters[] = "sip:tel@.+0123456789;=%<>&\"'!*\\ \t\1\x7f\xc3\xa9\xff-[]abz";
	unsigned refused = 0, bad = 0, unknown = 0;
	(void)state;
	srand(11);
	for (unsigned round = 0; round < 40; round++) {
		struct wf *f = fresh();
		for (unsigned n = 0; n < 100; n++) {
			uint8_t text[320];
			enum kind kind = (enum kind)(rand() % KINDS);
			size_t len = (size_t)rand() % (n % 8 ? 30 : sizeof text);
			for (size_t i = 0; i < len; i++)
				text[i] = (uint8_t)(rand() % 50 ? letters[rand() % (sizeof letters - 1)] : rand());
			if (n % 2 && len > 4)
				memcpy(text, "sip:", 4);
			struct slice id = slice_of(text, len);
			bool of_impu = rand() % 2 || kind == LIR_;
			struct wf_answer a;
			if (!ask(f, kind, of_impu ? slice_str(USER) : id, of_impu ? id : slice_str(IMPU), &a)) {
				refused++;
				continue;
			}
			bool nobody = a.experimental && a.result == EXP_USER_UNKNOWN;
			if (!nobody && (a.experimental || a.result != RESULT_INVALID_AVP_VALUE))
				fail_msg("kind %u, %u for '%.*s'", kind, a.result, (int)len, (const char *)text);
			unknown += nobody;
			bad += !nobody;
		}
		wf_free(f);
	}
	assert_true(refused > 100 && bad > 100 && unknown > 100);
}

// A frontend that writes nonsense: any octet of the frame may be another one, or the rest missing.
static void frames_of_any_octets(void **state)
{
	static uint8_t body[4096];
	(void)state;
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct wf *f = fresh();
		struct wr w;
		begin(f, &w, (enum kind)kind);
		put(&w, (enum kind)kind, slice_str(USER), slice_str(IMPU), 1);
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
	struct wf *f = fresh();
	struct wr w;
	(void)state;
	begin(f, &w, SAR_);
	put(&w, SAR_, slice_str(USER), slice_str(IMPU), 1);
	wf_send(f, &w);
	assert_int_equal(wf_answers(f, 0), 0);
	struct wf_frame *change = wf_ask(f, IPC_CHANGE);
	wf_change_ack(f, change->hdr.id, CHANGE_CONFLICT);
	assert_int_equal(wf_answers(f, 0), 0);
	change = wf_ask(f, IPC_CHANGE);
	wf_change_ack(f, change->hdr.id, CHANGE_DONE);
	struct wf_answer a = wf_take(f, 0);
	struct avp data;
	assert_int_equal(a.result, RESULT_SUCCESS);
	assert_true(wf_find(&a, AVP_CODE_User_Data, VENDOR_3GPP, &data));
	begin(f, &w, SAR_);
	put(&w, SAR_, slice_str(USER), slice_str(IMPU), 1);
	wf_send(f, &w);
	wf_change_ack(f, wf_ask(f, IPC_CHANGE)->hdr.id, CHANGE_REFUSED);
	a = wf_take(f, 0);
	assert_int_equal(a.result, RESULT_UNABLE_TO_COMPLY);
	assert_false(wf_find(&a, AVP_CODE_User_Data, VENDOR_3GPP, &data));
	wf_free(f);
}

// Filter criteria that no frame holds: the S-CSCF is told, and nothing is silent.
static void user_data_that_does_not_fit_is_5012(void **state)
{
	static uint8_t text[20000], common[sizeof text + 64];
	struct wf *f = fresh();
	struct wr c = wr_of(common, sizeof common), w;
	(void)state;
	memset(text, IMS_MARK_PRIVATE, sizeof text);
	ims_common_put(&c, IMS_TEMPLATE, slice_of(text, sizeof text));
	assert_int_equal(builder_common_set(f->b, app_cx, wr_done(&c)), 0);
	begin(f, &w, SAR_);
	put(&w, SAR_, slice_str(USER), slice_str(IMPU), 1);
	wf_send(f, &w);
	wf_change_ack(f, wf_ask(f, IPC_CHANGE)->hdr.id, CHANGE_DONE);
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(a.result, RESULT_UNABLE_TO_COMPLY);
	wf_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identities_of_any_octets),
		cmocka_unit_test(frames_of_any_octets),
		cmocka_unit_test(nothing_is_answered_before_it_is_durable),
		cmocka_unit_test(user_data_that_does_not_fit_is_5012),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

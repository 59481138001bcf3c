// Sh in a worker, as hostile application servers and frontends may have it: identities, documents and frames of any octets, changes
// that the loader refuses. Each request has one answer or asks the loader, and no answer breaks its grammar.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "apps/apps.h"
#include "apps/sh/state.h"
#include "tests/support/worker_fixture.h"

#define DOMAIN "ims.mnc001.mcc001.3gppnetwork.org"
#define IMPU   "sip:" WF_IMSI "@" DOMAIN
#define DATA   "<Sh-Data><RepositoryData><ServiceIndication>svc</ServiceIndication><SequenceNumber>0</SequenceNumber>" \
	     "<ServiceData><a b='c'>x</a></ServiceData></RepositoryData></Sh-Data>"

enum kind { UDR_, PUR_, SNR_, KINDS };
static const uint32_t code_of[KINDS] = {306, 307, 308};

static void begin(struct wf *f, struct wr *w, enum kind kind, struct slice identity, const uint32_t *references)
{
	*w = wr_of(f->msg, sizeof f->msg);
	header_begin(w, HEADER_R | HEADER_P, code_of[kind], APP_SH, 7, 0xe0000000u + (uint32_t)f->next_id);
	avp_put_slice(w, AVP_CODE_Session_Id, 0, AVP_M, slice_str("mme01;1;2;x"));
	avp_put_u32(w, AVP_CODE_Auth_Session_State, 0, AVP_M, 1);
	avp_put_slice(w, AVP_CODE_Origin_Host, 0, AVP_M, slice_str("as.test"));
	avp_put_slice(w, AVP_CODE_Origin_Realm, 0, AVP_M, slice_str("test"));
	avp_put_slice(w, AVP_CODE_Destination_Realm, 0, AVP_M, slice_str(WF_REALM));
	size_t at = avp_group_begin(w, AVP_CODE_User_Identity, VENDOR_3GPP, AVP_M);
	avp_put_slice(w, AVP_CODE_Public_Identity, VENDOR_3GPP, AVP_M, identity);
	avp_group_end(w, at);
	avp_put_slice(w, AVP_CODE_Service_Indication, VENDOR_3GPP, AVP_M, slice_str("svc"));
	for (; *references != UINT32_MAX; references++)
		avp_put_u32(w, AVP_CODE_Data_Reference, VENDOR_3GPP, AVP_M, *references);
	if (kind == SNR_) {
		avp_put_u32(w, AVP_CODE_Subs_Req_Type, VENDOR_3GPP, AVP_M, 0);
		avp_put_u32(w, AVP_CODE_Send_Data_Indication, VENDOR_3GPP, 0, 1);
	}
}

static void put(struct wf *f, struct wr *w, enum kind kind, struct slice identity, struct slice data)
{
	static const uint32_t many[] = {0, 10, 11, 12, 13, 16, 26, 33, UINT32_MAX}, repository[] = {0, UINT32_MAX},
			      watched[] = {11, 12, UINT32_MAX};
	begin(f, w, kind, identity, kind == UDR_ ? many : kind == PUR_ ? repository : watched);
	if (kind == UDR_)
		avp_put_slice(w, AVP_CODE_Server_Name, VENDOR_3GPP, AVP_M, slice_str("sip:as.test"));
	if (kind == PUR_)
		avp_put_slice(w, AVP_CODE_User_Data_Sh, VENDOR_3GPP, AVP_M, data);
}

static struct wf *fresh(void)
{
	struct wf *f = wf_new(16);
	struct sh_server *s = &f->config.sh.server[f->config.sh.server_cnt++];
	snprintf(f->config.ims_domain, sizeof f->config.ims_domain, "%s", DOMAIN);
	snprintf(s->host, sizeof s->host, "as.test");
	for (unsigned i = 0; i < SH_REFERENCE_MAX; i++)
		s->pull[s->pull_cnt++] = s->update[s->update_cnt++] = s->notify[s->notify_cnt++] = (uint8_t)i;
	wf_subscriber(f, WF_IMSI, wf_profile(f, true, true, 0, 0), 32, 1ull << 42);
	return f;
}

static void forget(struct wf *f)
{
	wf_flush(f);
	wf_run(f);
	request_frontend_lost(&f->w, 0);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 0);
	wf_queue_free(&f->answers[0]);
	wf_queue_free(&f->asks);
	f->answers[0].in = f->answers[0].out = f->asks.in = f->asks.out = 0;
}

// A frontend that writes nonsense: any octet of the frame may be another one, or the rest missing.
static void frames_of_any_octets(void **state)
{
	static uint8_t body[4096];
	(void)state;
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct wf *f = fresh();
		struct wr w;
		put(f, &w, (enum kind)kind, slice_str(IMPU), slice_str(DATA));
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
			forget(f);
		}
		wf_free(f);
	}
}

// Documents that are spoilt anywhere: what is none is answered 5100, and a change is only of one that is.
static void documents_of_any_octets(void **state)
{
	static const char letters[] = "<>/&;'\"=!?-[]# axS:\t\n\x01\xc3\xa4\xff";
	unsigned refused = 0, changes = 0;
	(void)state;
	srand(5);
	struct wf *f = fresh();
	for (unsigned n = 0; n < 3000; n++) {
		char text[sizeof DATA];
		struct wr w;
		memcpy(text, DATA, sizeof text);
		for (unsigned k = (unsigned)rand() % 3; k; k--)
			text[(size_t)rand() % (sizeof text - 1)] = letters[(size_t)rand() % (sizeof letters - 1)];
		put(f, &w, PUR_, slice_str(IMPU), slice_str(text));
		wf_send(f, &w);
		if (wf_answers(f, 0)) {
			struct wf_answer a = wf_take(f, 0);
			assert_true(a.experimental);
			if (a.result != EXP_USER_DATA_NOT_RECOGNIZED && a.result != EXP_TRANSPARENT_DATA_OUT_OF_SYNC &&
			    a.result != EXP_OPERATION_NOT_ALLOWED)
				fail_msg("%u for %s", a.result, text);
			refused++;
		} else {
			wf_change_ack(f, wf_ask(f, IPC_CHANGE)->hdr.id, CHANGE_DONE);
			assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
			changes++;
		}
		forget(f);
	}
	assert_true(refused > 500 && changes > 500);
	wf_free(f);
}

// What is stored is answered when it is on disk, and 5012 when it is not; a conflict makes it decide anew.
static void nothing_is_answered_before_it_is_durable(void **state)
{
	static const enum kind kinds[] = {PUR_, SNR_};
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct wf *f = fresh();
		struct wr w;
		struct avp data;
		put(f, &w, kinds[i], slice_str(IMPU), slice_str(DATA));
		wf_send(f, &w);
		assert_int_equal(wf_answers(f, 0), 0);
		wf_change_ack(f, wf_ask(f, IPC_CHANGE)->hdr.id, CHANGE_CONFLICT);
		assert_int_equal(wf_answers(f, 0), 0);
		wf_change_ack(f, wf_ask(f, IPC_CHANGE)->hdr.id, CHANGE_DONE);
		struct wf_answer a = wf_take(f, 0);
		assert_int_equal(a.result, RESULT_SUCCESS);
		assert_int_equal(wf_find(&a, AVP_CODE_User_Data_Sh, VENDOR_3GPP, &data), kinds[i] == SNR_);
		put(f, &w, kinds[i], slice_str(IMPU), slice_str(DATA));
		wf_send(f, &w);
		wf_change_ack(f, wf_ask(f, IPC_CHANGE)->hdr.id, CHANGE_REFUSED);
		assert_int_equal(wf_take(f, 0).result, RESULT_UNABLE_TO_COMPLY);
		wf_free(f);
	}
}

static void identities_of_any_octets(void **state)
{
	static const char letters[] = "sip:tel@.+0123456789;=%<>&\"'!*\\ \t\1\x7f\xc3\xa9\xff-[]abz";
	unsigned refused = 0, bad = 0, unknown = 0;
	(void)state;
	srand(23);
	struct wf *f = fresh();
	for (unsigned n = 0; n < 4000; n++) {
		uint8_t text[320];
		struct wr w;
		enum kind kind = (enum kind)(rand() % KINDS);
		size_t len = (size_t)rand() % (n % 8 ? 30 : sizeof text);
		for (size_t i = 0; i < len; i++)
			text[i] = (uint8_t)(rand() % 50 ? letters[rand() % (sizeof letters - 1)] : rand());
		if (n % 2 && len > 4)
			memcpy(text, "sip:", 4);
		put(f, &w, kind, slice_of(text, len), slice_str(DATA));
		header_finish(&w, 0);
		struct avp_slot slots[GRAMMAR_SLOTS_MAX];
		struct verdict v;
		if (!grammar_check(grammar_find(code_of[kind], APP_SH, true), f->msg, (uint32_t)wr_len(&w), slots, &v)) {
			assert_int_equal(v.result, RESULT_INVALID_AVP_VALUE);
			refused++; // by a frontend
			continue;
		}
		wf_send(f, &w);
		struct wf_answer a = wf_take(f, 0);
		bool nobody = a.experimental && a.result == EXP_USER_UNKNOWN;
		if (!nobody && (a.experimental || a.result != RESULT_INVALID_AVP_VALUE))
			fail_msg("kind %u, %u for '%.*s'", kind, a.result, (int)len, (const char *)text);
		unknown += nobody;
		bad += !nobody;
		forget(f);
	}
	if (refused < 100 || bad < 100 || unknown < 30)
		fail_msg("%u refused, %u bad, %u unknown", refused, bad, unknown);
	wf_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_any_octets),
		cmocka_unit_test(documents_of_any_octets),
		cmocka_unit_test(nothing_is_answered_before_it_is_durable),
		cmocka_unit_test(identities_of_any_octets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

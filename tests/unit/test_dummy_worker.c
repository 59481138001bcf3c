// An application that the core has never heard of, in a worker (tests/support/dummy_app.h).
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "tests/support/dummy_app.h"
#define WF_APPS with_dummy
extern const struct worker_app *const with_dummy[];
#include "tests/support/worker_fixture.h"

extern const struct worker_app s6a_worker;
const struct worker_app *const with_dummy[] = {&s6a_worker, &dummy_worker, NULL};

static uint64_t ecr(struct wf *f, const char *imsi)
{
	struct wr w = wf_begin(f, 324, imsi);
	size_t at = avp_group_begin(&w, AVP_CODE_Terminal_Information, VENDOR_3GPP, AVP_M);
	avp_put_slice(&w, AVP_CODE_IMEI, VENDOR_3GPP, AVP_M, slice_str("35622506141324"));
	avp_group_end(&w, at);
	be32_put(f->msg + 8, APP_S13);
	return wf_send(f, &w);
}

static const struct cache_record *record(struct wf *f)
{
	imsi_t i;
	assert_true(imsi_parse(slice_str(WF_IMSI), &i));
	return cache_find(builder_cache(f->b), i);
}

// What the loader does with its CHANGE.
static void publish(struct wf *f, const struct wf_frame *q, const struct ipc_change *c)
{
	uint8_t octets[64];
	const struct cache_state s = {
	    .version = (uint16_t)(c->version + 1), .key = c->key, .body = slice_of(q->body + sizeof *c, c->state_len)};
	const struct cache_part part = cache_state_part(DUMMY_APP, CACHE_STATE, &s, false, octets);
	const struct builder_extra extra = {.part = &part, .part_cnt = 1, .keep_parts = true, .keep_identities = true};
	assert_int_equal(builder_put_with(f->b, record(f), &extra), 0);
	wf_change_ack(f, q->hdr.id, CHANGE_DONE);
}

static void a_request_of_an_application_that_the_core_does_not_name(void **state)
{
	struct wf *f = *state;
	for (uint32_t count = 1; count <= 3; count++) {
		struct ipc_change c;
		uint64_t id = ecr(f, WF_IMSI);
		struct wf_frame *q = wf_ask(f, IPC_CHANGE);
		memcpy(&c, q->body, sizeof c);
		assert_int_equal(c.app, DUMMY_APP);
		assert_int_equal(c.version, count - 1);
		assert_int_equal(c.state_len, 4);
		assert_int_equal(be32_get(q->body + sizeof c), count);
		assert_int_equal(c.request_cnt, 1);
		publish(f, q, &c);
		struct wf_answer a = wf_take(f, 0);
		assert_int_equal(a.id, id);
		assert_int_equal(a.h.app, APP_S13);
		assert_int_equal(a.result, RESULT_SUCCESS);
		struct avp group, app;
		assert_true(wf_find(&a, AVP_CODE_Vendor_Specific_Application_Id, 0, &group));
		assert_true(avp_find(group.data, AVP_CODE_Auth_Application_Id, 0, &app));
		assert_int_equal(be32_get(app.data.p), APP_S13); // its own envelope
	}
	ecr(f, "001010000004711");
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(a.result, EXP_USER_UNKNOWN);
	// S6a beside it is as ever
	struct wr w = wf_air(f, WF_IMSI, 1);
	wf_send(f, &w);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
}

static void send_due(struct wf *f, uint64_t row)
{
	uint8_t body[256];
	struct ipc_hss_send d = {.imsi = record(f)->imsi.v,
				 .app = DUMMY_APP,
				 .purpose = DUMMY_PURPOSE,
				 .host_len = 4,
				 .realm_len = 4};
	struct wr w = wr_of(body, sizeof body);
	wr_bytes(&w, &d, sizeof d);
	wr_bytes(&w, "nodetest", 8);
	assert_true(channel_send(f->ld, IPC_HSS_SEND, row, body, wr_len(&w)));
	wf_run(f);
}

static uint32_t sent_status(struct wf *f)
{
	struct ipc_hss_sent s;
	memcpy(&s, wf_ask(f, IPC_HSS_SENT)->body, sizeof s);
	return s.status;
}

// Composed from the state of the moment; not at all when there is nothing to say any more.
static void its_request_says_what_is_true_when_it_is_sent(void **state)
{
	struct wf *f = *state;
	struct ipc_change c;
	send_due(f, 1);
	assert_int_equal(sent_status(f), HSS_SENT_STALE);
	ecr(f, WF_IMSI);
	struct wf_frame *q = wf_ask(f, IPC_CHANGE);
	memcpy(&c, q->body, sizeof c);
	publish(f, q, &c);
	send_due(f, 2);
	assert_int_equal(sent_status(f), HSS_SENT_UNSENT); // nobody is connected
	int i = control_peer_claim(f->control, 0);
	assert_true(i >= 0);
	struct control_peer *p = &f->control->peer[i];
	p->host_len = 4;
	memcpy(p->host, "node", 4);
	p->host_hash = ident_hash_bytes(slice_str("node"), true);
	p->state = PEER_SLOT_OPEN;
	send_due(f, 3);
	assert_true(f->own[0].out < f->own[0].in);
	const struct wf_frame *fr = &f->own[0].f[f->own[0].out++];
	struct header h;
	struct avp count;
	const uint8_t *m = fr->body + sizeof(struct ipc_hss_request);
	header_get(m, &h);
	assert_int_equal(h.app, APP_S13);
	assert_int_equal(h.end_to_end, 3);
	assert_true(avp_find(wf_body(m, h.len), AVP_CODE_Cancellation_Type, VENDOR_3GPP, &count));
	assert_int_equal(be32_get(count.data.p), 1);
	struct ipc_hss_answer a = {.status = HSS_ANSWERED, .result = RESULT_SUCCESS};
	assert_true(channel_send(f->fe[0], IPC_HSS_ANSWER, fr->hdr.id, &a, sizeof a));
	wf_run(f);
	assert_int_equal(sent_status(f), HSS_SENT_DONE);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, wf_setup, wf_teardown)
	const struct CMUnitTest tests[] = {
	    T(a_request_of_an_application_that_the_core_does_not_name),
	    T(its_request_says_what_is_true_when_it_is_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// HSS-initiated requests in a worker: CLR composed, sent through the frontend that holds the peer, reported to
// the loader.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "tests/support/worker_fixture.h"

static int peer_open(struct wf *f, unsigned frontend, uint32_t conn, const char *host)
{
	int i = control_peer_claim(f->control, frontend);
	assert_true(i >= 0);
	struct control_peer *p = &f->control->peer[i];
	p->conn = conn;
	p->host_len = (uint8_t)strlen(host);
	memcpy(p->host, host, strlen(host));
	p->host_hash = ident_hash_bytes(slice_str(host), true);
	p->state = PEER_SLOT_OPEN;
	return i;
}

// `registered_us`: when the registration began that is to be cancelled.
static void send_cancel(struct wf *f, uint64_t row, const char *host, uint32_t tries, uint64_t registered_us)
{
	uint8_t body[512], data[S6A_CANCEL_DATA_LEN];
	const struct s6a_cancel c = {.type = 4, .flags = 2, .registered_us = registered_us};
	imsi_t imsi;
	assert_true(imsi_parse(slice_str(WF_IMSI), &imsi));
	struct ipc_hss_send d = {.imsi = imsi.v,
				 .created_us = 1000,
				 .tries = tries,
				 .app = app_s6a,
				 .purpose = S6A_CANCEL_MME,
				 .host_len = (uint8_t)strlen(host),
				 .realm_len = sizeof WF_REALM - 1,
				 .data_len = S6A_CANCEL_DATA_LEN};
	struct wr w = wr_of(body, sizeof body);
	wr_bytes(&w, &d, sizeof d);
	wr_slice(&w, slice_str(host));
	wr_slice(&w, slice_str(WF_REALM));
	wr_slice(&w, s6a_cancel_data(&c, data));
	assert_true(channel_send(f->ld, IPC_HSS_SEND, row, body, wr_len(&w)));
	wf_run(f);
}

static void deliver(struct wf *f, uint64_t row, const char *host, uint32_t tries)
{
	send_cancel(f, row, host, tries, 1000);
}

static void delivered_is(struct wf *f, uint64_t row, uint32_t status, uint32_t result)
{
	struct ipc_hss_sent s;
	struct wf_frame *q = wf_ask(f, IPC_HSS_SENT);
	memcpy(&s, q->body, sizeof s);
	assert_int_equal(q->hdr.id, row);
	assert_int_equal(s.status, status);
	assert_int_equal(s.result, result);
}

struct clr {
	uint64_t id;
	struct ipc_hss_request q;
	struct header h;
};

static struct clr clr_take(struct wf *f, unsigned fe, const char *host)
{
	struct clr c;
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct verdict v;
	struct wf_queue *queue = &f->own[fe];
	assert_true(queue->out < queue->in);
	struct wf_frame *fr = &queue->f[queue->out++];
	assert_int_equal(fr->hdr.type, IPC_HSS_REQUEST);
	c.id = fr->hdr.id;
	memcpy(&c.q, fr->body, sizeof c.q);
	const uint8_t *m = fr->body + sizeof c.q;
	uint32_t len = fr->len - (uint32_t)sizeof c.q;
	header_get(m, &c.h);
	assert_int_equal(c.h.len, len);
	const struct command *cmd = grammar_find(317, APP_S6A, true);
	assert_true(grammar_check(cmd, m, len, slots, &v));
#define SLOT_IS(name, text)                                                                                  \
	assert_true(                                                                                         \
	    slice_eq(slice_of(m + slots[SLOT_CLR_##name].off, slots[SLOT_CLR_##name].len), slice_str(text)))
	SLOT_IS(User_Name, WF_IMSI);
	SLOT_IS(Destination_Host, host);
	SLOT_IS(Destination_Realm, WF_REALM);
	SLOT_IS(Origin_Host, f->config.host);
	assert_int_equal(be32_get(m + slots[SLOT_CLR_Cancellation_Type].off), 4);
	assert_int_equal(be32_get(m + slots[SLOT_CLR_CLR_Flags].off), 2);
	assert_int_equal(be32_get(m + slots[SLOT_CLR_Auth_Session_State].off), 1);
	assert_int_equal(slots[SLOT_CLR_Session_Id].off, 28);
	assert_true(slots[SLOT_CLR_Session_Id].len > strlen(f->config.host));
	assert_memory_equal(m + 28, f->config.host, strlen(f->config.host));
	return c;
}

static void own_answer(struct wf *f, unsigned fe, uint64_t id, enum ipc_hss_status status, uint32_t result,
		       bool exp)
{
	struct ipc_hss_answer a = {.status = status, .result = result, .experimental = exp};
	assert_true(channel_send(f->fe[fe], IPC_HSS_ANSWER, id, &a, sizeof a));
	wf_run(f);
}

static void clr_is_delivered(void **state)
{
	struct wf *f = *state;
	static const char host[] = "mme-old.example.org";
	static const struct {
		uint32_t status, result;
		bool experimental;
		uint32_t delivered;
	} rows[] = {
	    {HSS_ANSWERED, 2001, false, HSS_SENT_DONE},  {HSS_ANSWERED, 5001, true, HSS_SENT_DONE},
	    {HSS_ANSWERED, 5012, false, HSS_SENT_DONE},  {HSS_ANSWERED, 3001, false, HSS_SENT_DONE},
	    {HSS_ANSWERED, 3002, false, HSS_SENT_LATER}, {HSS_ANSWERED, 3004, false, HSS_SENT_LATER},
	    {HSS_NOT_SENT, 0, false, HSS_SENT_UNSENT},   {HSS_TIMEOUT, 0, false, HSS_SENT_LATER},
	    {HSS_LOST, 0, false, HSS_SENT_LOST},         {77, 2001, false, HSS_SENT_LATER},
	};
	deliver(f, 7, host, 0); // not connected
	delivered_is(f, 7, HSS_SENT_UNSENT, 0);
	int peer = peer_open(f, 1, 4711, host);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		deliver(f, 100 + i, "MME-old.example.org", i & 1);
		assert_int_equal(wf_asks(f), 0);
		struct clr c = clr_take(f, 1, "MME-old.example.org");
		assert_int_equal(c.q.conn, 4711);
		assert_int_equal(c.q.generation, f->control->peer[peer].generation);
		assert_int_equal(c.q.timeout_ms, 3000);
		assert_int_equal(c.h.flags, HEADER_R | HEADER_P | (i & 1 ? HEADER_T : 0));
		assert_int_equal(c.h.end_to_end, 100 + i); // the row's: a copy has it too
		own_answer(f, 1, c.id, (enum ipc_hss_status)rows[i].status, rows[i].result,
			   rows[i].experimental);
		delivered_is(f, 100 + i, rows[i].delivered, rows[i].result);
		own_answer(f, 1, c.id, HSS_ANSWERED, 2001, false); // once is enough
		assert_int_equal(wf_asks(f), 0);
	}
	own_answer(f, 1, 0xffffffffffffffff, HSS_ANSWERED, 2001, false);
	assert_int_equal(wf_asks(f), 0);
}

static void clr_and_a_frontend_that_dies(void **state)
{
	struct wf *f = *state;
	peer_open(f, 0, 1, "mme-a.example.org");
	peer_open(f, 1, 2, "mme-b.example.org");
	deliver(f, 1, "mme-a.example.org", 0);
	deliver(f, 2, "mme-b.example.org", 0);
	struct clr b = clr_take(f, 1, "mme-b.example.org");
	wf_frontend_dies(f, 0);
	delivered_is(f, 1, HSS_SENT_LOST, 0);
	own_answer(f, 0 + 1, b.id, HSS_ANSWERED, 2001, false);
	delivered_is(f, 2, HSS_SENT_DONE, 2001);
	deliver(f, 3, "mme-a.example.org", 0); // the directory may still name it
	delivered_is(f, 3, HSS_SENT_UNSENT, 0);
}

static void registered(struct wf *f, const char *host, uint64_t time_us, uint8_t flags)
{
	imsi_t imsi;
	assert_true(imsi_parse(slice_str(WF_IMSI), &imsi));
	struct cache_record r = *cache_find(builder_cache(f->b), imsi);
	r.serving[S6A_MME].node = builder_node(f->b, slice_str(host), slice_str(WF_REALM));
	r.serving[S6A_MME].time_us = time_us;
	r.serving[S6A_MME].flags = flags;
	assert_int_equal(builder_put(f->b, &r), 0);
}

// ULR from MME 1, MME 1 away, ULR from MME 2, MME 1 back with a ULR: what waited to cancel it there is overtaken.
static void a_clr_that_a_newer_registration_has_overtaken_is_dropped(void **state)
{
	struct wf *f = *state;
	static const char host[] = "mme-old.example.org";
	peer_open(f, 1, 4711, host);
	registered(f, "another.example.org", 2000, 0);
	deliver(f, 1, host, 0);
	clr_take(f, 1, host); // it is elsewhere now
	registered(f, "MME-old.example.org", 3000, 0);
	deliver(f, 2, host, 0);
	delivered_is(f, 2, HSS_SENT_STALE, 0);
	deliver(f, 3, host, 5); // nor sent again
	delivered_is(f, 3, HSS_SENT_STALE, 0);
	send_cancel(f, 4, host, 0, 0); // of an older version's row: by the time when it was written
	delivered_is(f, 4, HSS_SENT_STALE, 0);
	// the same registration that is to end: an Initial-Attach elsewhere (its record is kept)
	send_cancel(f, 5, host, 0, 3000);
	clr_take(f, 1, host);
	registered(f, host, 3000, SERVING_PURGED); // it has nothing left that could be cancelled
	send_cancel(f, 6, host, 0, 3000);
	delivered_is(f, 6, HSS_SENT_STALE, 0);
}

// Deleted meanwhile: whoever still serves the subscriber has to hear of it.
static void a_clr_of_a_deleted_subscriber_is_sent(void **state)
{
	struct wf *f = *state;
	static const char host[] = "mme-old.example.org";
	imsi_t imsi;
	assert_true(imsi_parse(slice_str(WF_IMSI), &imsi));
	peer_open(f, 1, 4711, host);
	builder_delete(f->b, imsi);
	deliver(f, 1, host, 0);
	clr_take(f, 1, host);
}

// While the cache is being filled it is not known whether the node has registered again.
static void nothing_is_sent_before_the_state_is_known(void **state)
{
	struct wf *f = *state;
	static const char host[] = "mme-old.example.org";
	imsi_t imsi;
	assert_true(imsi_parse(slice_str(WF_IMSI), &imsi));
	peer_open(f, 1, 4711, host);
	builder_delete(f->b, imsi);
	wf_load_state(f, CACHE_LOADING);
	deliver(f, 1, host, 0);
	delivered_is(f, 1, HSS_SENT_LATER, 0);
}

static void deliver_nonsense(void **state)
{
	struct wf *f = *state;
	uint8_t body[64];
	memset(body, 0xff, sizeof body);
	for (size_t n = sizeof(struct ipc_hss_send); n <= sizeof body; n += 8) {
		assert_true(channel_send(f->ld, IPC_HSS_SEND, n, body, n));
		wf_run(f);
		delivered_is(f, n, HSS_SENT_UNSENT, 0);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, wf_setup, wf_teardown)
	const struct CMUnitTest tests[] = {
	    T(clr_is_delivered),
	    T(clr_and_a_frontend_that_dies),
	    T(a_clr_that_a_newer_registration_has_overtaken_is_dropped),
	    T(a_clr_of_a_deleted_subscriber_is_sent),
	    T(nothing_is_sent_before_the_state_is_known),
	    T(deliver_nonsense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// Requests of our own in a worker: CLR composed, sent through the frontend that holds the peer, reported to
// the loader.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "tests/support/worker_fixture.h"

// ---- requests of our own
// ------------------------------------------------------------------------------------------

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

static void deliver(struct wf *f, uint64_t row, const char *host, uint32_t tries)
{
	uint8_t body[512];
	imsi_t imsi;
	assert_true(imsi_parse(slice_str(WF_IMSI), &imsi));
	struct ipc_deliver d = {.imsi = imsi.v,
				.cancellation_type = 4,
				.clr_flags = 2,
				.host_len = (uint16_t)strlen(host),
				.realm_len = sizeof WF_REALM - 1,
				.tries = tries};
	struct wr w = wr_of(body, sizeof body);
	wr_bytes(&w, &d, sizeof d);
	wr_slice(&w, slice_str(host));
	wr_slice(&w, slice_str(WF_REALM));
	assert_true(channel_send(f->ld, IPC_DELIVER, row, body, wr_len(&w)));
	wf_run(f);
}

static void delivered_is(struct wf *f, uint64_t row, uint64_t status, uint64_t result)
{
	uint64_t body[2];
	struct wf_frame *q = wf_ask(f, IPC_DELIVERED);
	memcpy(body, q->body, sizeof body);
	assert_int_equal(q->hdr.id, row);
	assert_int_equal(body[0], status);
	assert_int_equal(body[1], result);
}

struct clr {
	uint64_t id;
	struct ipc_own_request q;
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
	assert_int_equal(fr->hdr.type, IPC_OWN_REQUEST);
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

static void own_answer(struct wf *f, unsigned fe, uint64_t id, enum ipc_own_status status, uint32_t result,
		       bool exp)
{
	struct ipc_own_answer a = {.status = status, .result = result, .experimental = exp};
	assert_true(channel_send(f->fe[fe], IPC_OWN_ANSWER, id, &a, sizeof a));
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
	    {OWN_ANSWERED, 2001, false, DELIVERED_DONE},  {OWN_ANSWERED, 5001, true, DELIVERED_DONE},
	    {OWN_ANSWERED, 5012, false, DELIVERED_DONE},  {OWN_ANSWERED, 3001, false, DELIVERED_DONE},
	    {OWN_ANSWERED, 3002, false, DELIVERED_LATER}, {OWN_ANSWERED, 3004, false, DELIVERED_LATER},
	    {OWN_NOT_SENT, 0, false, DELIVERED_UNSENT},   {OWN_TIMEOUT, 0, false, DELIVERED_LATER},
	    {OWN_LOST, 0, false, DELIVERED_LOST},         {77, 2001, false, DELIVERED_LATER},
	};
	deliver(f, 7, host, 0); // not connected
	delivered_is(f, 7, DELIVERED_UNSENT, 0);
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
		own_answer(f, 1, c.id, (enum ipc_own_status)rows[i].status, rows[i].result,
			   rows[i].experimental);
		delivered_is(f, 100 + i, rows[i].delivered, rows[i].result);
		own_answer(f, 1, c.id, OWN_ANSWERED, 2001, false); // once is enough
		assert_int_equal(wf_asks(f), 0);
	}
	own_answer(f, 1, 0xffffffffffffffff, OWN_ANSWERED, 2001, false);
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
	delivered_is(f, 1, DELIVERED_LOST, 0);
	own_answer(f, 0 + 1, b.id, OWN_ANSWERED, 2001, false);
	delivered_is(f, 2, DELIVERED_DONE, 2001);
	deliver(f, 3, "mme-a.example.org", 0); // the directory may still name it
	delivered_is(f, 3, DELIVERED_UNSENT, 0);
}

static void deliver_nonsense(void **state)
{
	struct wf *f = *state;
	uint8_t body[64];
	memset(body, 0xff, sizeof body);
	for (size_t n = sizeof(struct ipc_deliver); n <= sizeof body; n += 8) {
		assert_true(channel_send(f->ld, IPC_DELIVER, n, body, n));
		wf_run(f);
		delivered_is(f, n, DELIVERED_UNSENT, 0);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, wf_setup, wf_teardown)
	const struct CMUnitTest tests[] = {
	    T(clr_is_delivered),
	    T(clr_and_a_frontend_that_dies),
	    T(deliver_nonsense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// A worker's requests apart from what they ask for: frames of a hostile sibling, the waiting room and its
// limits, time, processes that die, and requests of our own.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "tests/support/guard.h"
#include "tests/support/worker_fixture.h"

static int setup(void **state)
{
	struct wf *f = wf_new(100);
	wf_subscriber(f, WF_IMSI, wf_profile(f, true, true, 0, 0), 32, 100000);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	wf_free(*state);
	return 0;
}

static void nothing_waits(struct wf *f)
{
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 0);
}

static void put_proxies(struct wr *w, unsigned cnt, uint32_t state_len)
{
	static uint8_t bytes[40000];
	for (unsigned i = 0; i < cnt; i++) {
		char host[32];
		snprintf(host, sizeof host, "agent%u.example.org", i);
		memset(bytes, (int)i, sizeof bytes);
		size_t at = avp_group_begin(w, AVP_CODE_Proxy_Info, 0, AVP_M);
		avp_put_slice(w, AVP_CODE_Proxy_Host, 0, AVP_M, slice_str(host));
		avp_put(w, AVP_CODE_Proxy_State, 0, AVP_M, bytes, state_len + i);
		avp_group_end(w, at);
	}
}

static uint32_t change_ask(struct wf *f, uint64_t *id)
{
	struct wf_frame *q = wf_ask(f, IPC_CHANGE);
	*id = q->hdr.id;
	return q->len;
}

// ---- envelope
// -----------------------------------------------------------------------------------------------------

static void proxies_are_copied(void **state)
{
	struct wf *f = *state;
	for (unsigned cnt = 0; cnt < 6; cnt++) {
		f->head_flags = cnt & 1 ? HEADER_R | HEADER_P | HEADER_T : HEADER_R | HEADER_P;
		struct wr w = wf_air(f, WF_IMSI, 1);
		put_proxies(&w, cnt, 5);
		wf_send(f, &w);
		struct wf_answer a = wf_take(f, 0);
		assert_int_equal(a.result, RESULT_SUCCESS);
		assert_int_equal(a.slots[SLOT_AIA_Proxy_Info].cnt, cnt);
		w = wf_air(f, "001010000008888", 1);
		put_proxies(&w, cnt, 5);
		wf_send(f, &w);
		a = wf_take(f, 0);
		assert_int_equal(a.slots[SLOT_AIA_Proxy_Info].cnt, cnt);
	}
}

static void big_requests_wait(void **state)
{
	struct wf *f = *state;
	uint64_t id[WAITING_BIG_MAX + 1];
	for (unsigned i = 0; i <= WAITING_BIG_MAX; i++) {
		struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
		put_proxies(&w, 1, 39000);
		wf_send(f, &w);
		if (i < WAITING_BIG_MAX)
			change_ask(f, &id[i]);
	}
	struct wf_answer a = wf_take(f, 0); // the last one found no room
	assert_int_equal(a.result, RESULT_TOO_BUSY);
	assert_int_equal(wf_asks(f), 0);
	for (unsigned i = 0; i < WAITING_BIG_MAX; i++) {
		wf_change_ack(f, id[i], CHANGE_DONE, 0);
		a = wf_take(f, 0);
		assert_int_equal(a.result, RESULT_SUCCESS);
		assert_int_equal(a.id, i + 1);
	}
	nothing_waits(f);
	struct wr w = wf_ulr(f, WF_IMSI, 2, 1004); // there is room again
	put_proxies(&w, 1, 39000);
	wf_send(f, &w);
	change_ask(f, &id[0]);
}

// An answer that is as long as a frame may be.
static void longest_request(void **state)
{
	struct wf *f = *state;
	struct wr w = wf_air(f, WF_IMSI, 5);
	put_proxies(&w, 3, 39000);
	uint32_t left = IPC_BODY_MAX - (uint32_t)wr_len(&w) - 1800; // slots, and what the answer has more
	avp_put_header(&w, AVP_CODE_Proxy_Info, 0, AVP_M, left & ~3u);
	avp_put_slice(&w, AVP_CODE_Proxy_Host, 0, AVP_M, slice_str("agent"));
	avp_put_header(&w, AVP_CODE_Proxy_State, 0, AVP_M, (left & ~3u) - 16 - 8);
	wr_zero(&w, (left & ~3u) - 16 - 8);
	wf_send(f, &w);
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(a.result, RESULT_SUCCESS);
	assert_int_equal(a.slots[SLOT_AIA_Proxy_Info].cnt, 4);
}

static void waiting_room_is_bounded(void **state)
{
	struct wf *f = *state;
	uint64_t id = 0;
	for (unsigned i = 0; i <= WAITING_MAX; i++) {
		struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
		wf_queue_request(f, &w, 0, 0);
		if (i % 64 == 0)
			wf_run(f);
	}
	wf_run(f);
	assert_int_equal(wf_answers(f, 0), 1);
	struct wf_answer a = wf_take(f, 0);
	assert_int_equal(a.result, RESULT_TOO_BUSY);
	assert_int_equal(a.id, WAITING_MAX + 1);
	assert_int_equal(wf_asks(f), WAITING_MAX);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], WAITING_MAX);
	change_ask(f, &id);
	wf_change_ack(f, id, CHANGE_DONE, 0);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
	wf_loader_away(f);
	f->asks.out = f->asks.in;
	wf_loader_back(f); // all of them again, under their ids
	assert_int_equal(wf_asks(f), WAITING_MAX - 1);
	while (wf_asks(f)) {
		change_ask(f, &id);
		struct ipc_change_ack ack = {.status = CHANGE_DUPLICATE};
		assert_true(channel_send(f->ld, IPC_CHANGE_ACK, id, &ack, sizeof ack));
	}
	wf_run(f);
	for (unsigned i = 0; i < WAITING_MAX - 1; i++)
		assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
	nothing_waits(f);
}

static void old_requests_are_refused(void **state)
{
	struct wf *f = *state;
	uint64_t now = clock_mono_us();
	struct wr w = wf_air(f, WF_IMSI, 1);
	clock_freeze_us(now);
	wf_queue_request(f, &w, 0, 0);
	clock_freeze_us(now + 2000000);
	wf_run(f);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
	clock_freeze_us(now);
	w = wf_air(f, WF_IMSI, 1);
	wf_queue_request(f, &w, 0, 0);
	clock_freeze_us(now + 2000001);
	wf_run(f);
	clock_freeze_us(0);
	assert_int_equal(wf_take(f, 0).result, RESULT_TOO_BUSY);
	assert_int_equal(f->stats->c[STAT_TOO_BUSY], 1);
}

static void forgotten_when_the_loader_never_answers(void **state)
{
	struct wf *f = *state;
	uint64_t id;
	struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
	wf_send(f, &w);
	change_ask(f, &id);
	request_sweep(&f->w);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 1);
	clock_freeze_us(clock_mono_us() + WAITING_TIMEOUT_US + 1000000);
	request_sweep(&f->w);
	clock_freeze_us(0);
	nothing_waits(f);
	wf_change_ack(f, id, CHANGE_DONE, 0);
	assert_int_equal(wf_answers(f, 0), 0);
}

// Without a loader the room is not held by what its frontend has answered already.
static void unsent_requests_leave_soon(void **state)
{
	struct wf *f = *state;
	wf_loader_away(f);
	for (unsigned i = 0; i < 3; i++) {
		struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
		wf_send(f, &w);
	}
	request_sweep(&f->w);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 3);
	clock_freeze_us(clock_mono_us() + 2100000);
	request_sweep(&f->w);
	clock_freeze_us(0);
	nothing_waits(f);
	wf_loader_back(f);
	assert_int_equal(wf_asks(f), 0);
}

// A change that the loader may have stored is answered however long it took.
static void late_change_is_answered(void **state)
{
	struct wf *f = *state;
	uint64_t id, again;
	struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
	wf_send(f, &w);
	change_ask(f, &id);
	wf_loader_away(f);
	clock_freeze_us(clock_mono_us() + 5000000);
	wf_loader_back(f);
	change_ask(f, &again);
	assert_int_equal(id, again);
	wf_change_ack(f, again, CHANGE_DONE, 0);
	clock_freeze_us(0);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
}

// One that it has never seen is not done behind the back of a node that was told 3004.
static void unsent_change_is_dropped(void **state)
{
	struct wf *f = *state;
	wf_loader_away(f);
	struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
	wf_send(f, &w);
	clock_freeze_us(clock_mono_us() + 5000000);
	wf_loader_back(f);
	clock_freeze_us(0);
	assert_int_equal(wf_take(f, 0).result, RESULT_TOO_BUSY);
	assert_int_equal(wf_asks(f), 0);
}

// The next frontend at this place gives its own requests the same ids.
static void frontend_dies_while_its_request_waits(void **state)
{
	struct wf *f = *state;
	uint64_t id[2];
	struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
	wf_send(f, &w);
	change_ask(f, &id[0]);
	w = wf_ulr(f, WF_IMSI, 2, 1004);
	wf_queue_request(f, &w, 1, 0);
	wf_run(f);
	change_ask(f, &id[1]);
	wf_frontend_dies(f, 0);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 1);
	wf_connect(f, &f->w.frontend[0], &f->fe[0]);
	wf_change_ack(f, id[0], CHANGE_DONE, 0);
	assert_int_equal(wf_answers(f, 0), 0);
	wf_change_ack(f, id[1], CHANGE_DONE, 0);
	assert_int_equal(wf_take(f, 1).result, RESULT_SUCCESS);
	nothing_waits(f);
}

// A channel that takes one frame and no more until that is sent.
static void narrow(struct wf *f, struct channel **worker_end, struct channel **test_end)
{
	int fds[2];
	channel_free(worker_end);
	channel_free(test_end);
	assert_int_equal(channel_pair(fds), 0);
	*worker_end = channel_new_take(f->base, fds[0], 1, &wf_worker_ops, f);
	*test_end = channel_new_take(f->base, fds[1], 1u << 20, &wf_other_ops, f);
	assert_non_null(*worker_end);
	assert_non_null(*test_end);
}

static void loader_is_too_busy(void **state)
{
	struct wf *f = *state;
	uint64_t id;
	narrow(f, &f->w.loader, &f->ld);
	for (unsigned i = 0; i < 3; i++) {
		struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
		wf_queue_request(f, &w, 0, 0);
	}
	wf_run(f);
	assert_int_equal(wf_asks(f), 1);
	assert_int_equal(wf_take(f, 0).result, RESULT_TOO_BUSY);
	assert_int_equal(wf_take(f, 0).result, RESULT_TOO_BUSY);
	assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 1);
	change_ask(f, &id);
	wf_change_ack(f, id, CHANGE_DONE, 0);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
	nothing_waits(f);
}

// Its frontend answers 3004 itself when the time is over.
static void frontend_is_too_busy(void **state)
{
	struct wf *f = *state;
	uint64_t id[2];
	narrow(f, &f->w.frontend[0], &f->fe[0]);
	for (unsigned i = 0; i < 2; i++) {
		struct wr w = wf_ulr(f, WF_IMSI, 2, 1004);
		wf_send(f, &w);
		change_ask(f, &id[i]);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct ipc_change_ack ack = {.status = CHANGE_DONE};
		assert_true(channel_send(f->ld, IPC_CHANGE_ACK, id[i], &ack, sizeof ack));
	}
	wf_run(f);
	assert_int_equal(wf_take(f, 0).result, RESULT_SUCCESS);
	assert_int_equal(wf_answers(f, 0), 0);
	assert_int_equal(f->stats->c[STAT_CHANNEL_FULL], 1);
	nothing_waits(f);
}

// ---- hostile frames
// -----------------------------------------------------------------------------------------------

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
		put_proxies(&w, 1, 8);
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
		put_proxies(&w, 2, 39000);
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
	    {OWN_NOT_SENT, 0, false, DELIVERED_LATER},    {OWN_TIMEOUT, 0, false, DELIVERED_LATER},
	    {OWN_LOST, 0, false, DELIVERED_LATER},        {77, 2001, false, DELIVERED_LATER},
	};
	deliver(f, 7, host, 0); // not connected
	delivered_is(f, 7, DELIVERED_LATER, 0);
	int peer = peer_open(f, 1, 4711, host);
	uint32_t end_to_end = 0;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		deliver(f, 100 + i, "MME-old.example.org", i & 1);
		assert_int_equal(wf_asks(f), 0);
		struct clr c = clr_take(f, 1, "MME-old.example.org");
		assert_int_equal(c.q.conn, 4711);
		assert_int_equal(c.q.generation, f->control->peer[peer].generation);
		assert_int_equal(c.q.timeout_ms, 3000);
		assert_int_equal(c.h.flags, HEADER_R | HEADER_P | (i & 1 ? HEADER_T : 0));
		assert_int_not_equal(c.h.end_to_end, end_to_end);
		end_to_end = c.h.end_to_end;
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
	delivered_is(f, 1, DELIVERED_LATER, 0);
	own_answer(f, 0 + 1, b.id, OWN_ANSWERED, 2001, false);
	delivered_is(f, 2, DELIVERED_DONE, 2001);
	deliver(f, 3, "mme-a.example.org", 0); // the directory may still name it
	delivered_is(f, 3, DELIVERED_LATER, 0);
}

static void deliver_nonsense(void **state)
{
	struct wf *f = *state;
	uint8_t body[64];
	memset(body, 0xff, sizeof body);
	for (size_t n = sizeof(struct ipc_deliver); n <= sizeof body; n += 8) {
		assert_true(channel_send(f->ld, IPC_DELIVER, n, body, n));
		wf_run(f);
		delivered_is(f, n, DELIVERED_LATER, 0);
	}
}

// Another worker's command, or one without a handler.
static void commands_without_handler(void **state)
{
	struct wf *f = *state;
	struct wr w = wf_begin(f, 322, WF_IMSI); // RSR: an HSS sends it
	avp_put_slice(&w, AVP_CODE_Destination_Host, 0, AVP_M, slice_str("hss.example.org"));
	wf_send(f, &w);
	assert_int_equal(wf_take(f, 0).result, RESULT_COMMAND_UNSUPPORTED);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(proxies_are_copied),       T(big_requests_wait),
	    T(longest_request),          T(waiting_room_is_bounded),
	    T(old_requests_are_refused), T(forgotten_when_the_loader_never_answers),
	    T(late_change_is_answered),  T(unsent_requests_leave_soon),
	    T(unsent_change_is_dropped), T(frontend_dies_while_its_request_waits),
	    T(loader_is_too_busy),       T(frontend_is_too_busy),
	    T(cut_everywhere),           T(fields_out_of_range),
	    T(octets_changed),           T(long_identities),
	    T(clr_is_delivered),         T(clr_and_a_frontend_that_dies),
	    T(deliver_nonsense),         T(commands_without_handler),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

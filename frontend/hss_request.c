// The table of HSS-initiated requests that peers have not answered yet (see hss_request.h). The Hop-by-Hop
// identifier of each is its entry's number and generation, so an answer finds its entry at once, and a late
// one finds nothing. Runs in hss-frontend.
#include "frontend/hss_request.h"
#include <stdlib.h>
#include "frontend/frontend.h"
#include "frontend/peer.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/diameter/avp.h"

#define TIMEOUT_MIN_MS 100
#define TIMEOUT_MAX_MS 60000
#define INDEX_BITS     12
static_assert(HSS_REQUESTS_MAX == 1 << INDEX_BITS, "");

struct entry {
	uint64_t id; // the worker's
	uint64_t deadline_ms;
	uint32_t hop;
	uint32_t generation;
	uint32_t conn, conn_generation;
	uint32_t code, app;
	uint8_t worker;
	bool used;
};

struct hss_sent {
	struct entry entry[HSS_REQUESTS_MAX];
	uint16_t free[HSS_REQUESTS_MAX];
	uint32_t free_cnt;
};

static struct log_limit log_bad;

struct hss_sent *hss_sent_new(void)
{
	struct hss_sent *o = calloc(1, sizeof *o);
	if (!o)
		return NULL;
	for (uint32_t i = 0; i < HSS_REQUESTS_MAX; i++)
		o->free[i] = (uint16_t)(HSS_REQUESTS_MAX - 1 - i);
	o->free_cnt = HSS_REQUESTS_MAX;
	return o;
}

void hss_sent_free(struct hss_sent **o)
{
	free(*o);
	*o = NULL;
}

uint32_t hss_sent_pending(const struct frontend *fe)
{
	return HSS_REQUESTS_MAX - fe->hss_sent->free_cnt;
}

// ---- back to the worker --------------------------------------------------------------------------

static void report(struct frontend *fe, uint32_t worker, uint64_t id, const struct ipc_hss_answer *a,
		   const uint8_t *msg)
{
	struct frontend_worker *w = &fe->worker[worker];
	if (a->status != HSS_ANSWERED)
		stat_add(fe->stats, STAT_HSS_REQUESTS_FAILED, 1);
	if (!w->channel)
		return;
	size_t size = sizeof *a + a->msg_len;
	uint8_t *body = channel_begin(w->channel, IPC_HSS_ANSWER, 0, id, size);
	if (!body) {
		// the worker takes it for lost and the loader's next try makes up for it
		stat_add(fe->stats, STAT_CHANNEL_FULL, 1);
		return;
	}
	memcpy(body, a, sizeof *a);
	if (msg && a->msg_len)
		memcpy(body + sizeof *a, msg, a->msg_len);
	channel_commit(w->channel, size);
	w->dirty = true;
}

static void report_status(struct frontend *fe, uint32_t worker, uint64_t id, enum ipc_hss_status status)
{
	struct ipc_hss_answer a = {.status = status};
	report(fe, worker, id, &a, NULL);
}

static void entry_free(struct hss_sent *o, struct entry *e)
{
	e->used = false;
	o->free[o->free_cnt++] = (uint16_t)(e - o->entry);
}

// ---- to the peer ---------------------------------------------------------------------------------

// The connection that the peer directory names so, if requests may be sent there: open, and not in doubt (RFC
// 3539).
static struct conn *target(struct frontend *fe, const struct ipc_hss_request *q, uint32_t app)
{
	if (q->conn >= fe->conns.high)
		return NULL;
	struct conn *c = &fe->conns.conn[q->conn];
	if (!c->used || c->directory < 0 || c->directory_generation != q->generation || !peer_is_open(c) ||
	    c->watchdog.state != WATCHDOG_OKAY)
		return NULL;
	int index = frontend_app_index(fe, app);
	return index >= 0 && (c->relay || c->app_mask >> index & 1) ? c : NULL;
}

static bool send_on(struct conn *c, const uint8_t *msg, uint32_t len, uint32_t hop)
{
	struct wr w = conn_write(c, len);
	wr_bytes(&w, msg, len);
	if (!w.err)
		be32_put(w.base + HEADER_HBH_OFFSET, hop);
	return conn_written(c, &w);
}

void hss_sent_send(struct frontend *fe, struct frontend_worker *w, const struct ipc_hdr *hdr,
		   const uint8_t *body)
{
	struct hss_sent *o = fe->hss_sent;
	struct ipc_hss_request q;
	struct rd r = rd_of(body, hdr->len - sizeof *hdr);
	const uint8_t *p = rd_take(&r, sizeof q);
	uint32_t len = (uint32_t)rd_left(&r);
	const uint8_t *msg = rd_take(&r, len);
	struct header h;

	if (!p || len < DIAMETER_HEADER_LEN || be24_get(msg + 1) != len || !(msg[4] & HEADER_R)) {
		if (log_limit_pass(&log_bad, 1))
			log_error("own_request_unfit", LOG_INT("worker", w->index));
		report_status(fe, w->index, hdr->id, HSS_NOT_SENT);
		return;
	}
	memcpy(&q, p, sizeof q);
	header_get(msg, &h);
	struct conn *c = target(fe, &q, h.app);
	if (!c || fe->stopping || o->free_cnt == 0) {
		report_status(fe, w->index, hdr->id, HSS_NOT_SENT);
		return;
	}
	uint32_t timeout = q.timeout_ms < TIMEOUT_MIN_MS ? TIMEOUT_MIN_MS : q.timeout_ms;
	struct entry *e = &o->entry[o->free[--o->free_cnt]];
	e->generation++;
	e->hop = e->generation << INDEX_BITS | (uint32_t)(e - o->entry);
	e->used = true;
	e->id = hdr->id;
	e->worker = (uint8_t)w->index;
	e->conn = c->index;
	e->conn_generation = c->generation;
	e->code = h.code;
	e->app = h.app;
	e->deadline_ms = clock_mono_ms() + (timeout > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : timeout);
	stat_add(fe->stats, STAT_HSS_REQUESTS_SENT, 1);
	// a connection that takes no more is ended, which reports this one as lost
	send_on(c, msg, len, e->hop);
}

// Result-Code, or the code inside Experimental-Result.
static void result_of(const uint8_t *msg, uint32_t len, struct ipc_hss_answer *a)
{
	struct slice body = slice_of(msg + DIAMETER_HEADER_LEN, len - DIAMETER_HEADER_LEN);
	struct avp avp, inner;
	if (avp_find(body, AVP_CODE_Result_Code, 0, &avp) && avp_u32(avp.data, &a->result))
		return;
	if (avp_find(body, AVP_CODE_Experimental_Result, 0, &avp) &&
	    avp_find(avp.data, AVP_CODE_Experimental_Result_Code, 0, &inner) &&
	    avp_u32(inner.data, &a->result))
		a->experimental = 1;
}

bool hss_sent_answer(struct frontend *fe, struct conn *c, const uint8_t *msg, uint32_t len)
{
	struct hss_sent *o = fe->hss_sent;
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct verdict v;
	struct header h;

	header_get(msg, &h);
	struct entry *e = &o->entry[h.hop_by_hop & (HSS_REQUESTS_MAX - 1)];
	if (!e->used || e->hop != h.hop_by_hop || e->conn != c->index ||
	    e->conn_generation != c->generation || e->code != h.code || e->app != h.app ||
	    h.version != DIAMETER_VERSION || len + sizeof(struct ipc_hss_answer) > IPC_BODY_MAX)
		return false;
	const struct command *cmd = grammar_find(h.code, h.app, false);
	if (!cmd || !grammar_check(cmd, msg, len, slots, &v)) {
		// an erroneous answer is dropped; the request ends by its time-out (RFC 6733 7)
		if (log_limit_pass(&log_bad, 5))
			log_warn("answer_malformed", LOG_SLICE("peer", slice_of(c->host, c->host_len)),
				 LOG_INT("command", h.code), LOG_INT("defect", cmd ? v.result : 0));
		return false;
	}
	struct ipc_hss_answer a = {.status = HSS_ANSWERED, .msg_len = len};
	result_of(msg, len, &a);
	report(fe, e->worker, e->id, &a, msg);
	entry_free(o, e);
	return true;
}

// ---- those that get no answer --------------------------------------------------------------------

void hss_sent_conn_lost(struct frontend *fe, struct conn *c)
{
	struct hss_sent *o = fe->hss_sent;
	for (uint32_t i = 0; i < HSS_REQUESTS_MAX && o->free_cnt < HSS_REQUESTS_MAX; i++) {
		struct entry *e = &o->entry[i];
		if (!e->used || e->conn != c->index || e->conn_generation != c->generation)
			continue;
		report_status(fe, e->worker, e->id, HSS_LOST);
		entry_free(o, e);
	}
}

void hss_sent_worker_lost(struct frontend *fe, uint32_t worker)
{
	struct hss_sent *o = fe->hss_sent;
	for (uint32_t i = 0; i < HSS_REQUESTS_MAX && o->free_cnt < HSS_REQUESTS_MAX; i++)
		if (o->entry[i].used && o->entry[i].worker == worker)
			entry_free(o, &o->entry[i]);
}

void hss_sent_tick(struct frontend *fe, uint64_t now_ms)
{
	struct hss_sent *o = fe->hss_sent;
	for (uint32_t i = 0; i < HSS_REQUESTS_MAX && o->free_cnt < HSS_REQUESTS_MAX; i++) {
		struct entry *e = &o->entry[i];
		if (!e->used || e->deadline_ms > now_ms)
			continue;
		report_status(fe, e->worker, e->id, HSS_TIMEOUT);
		entry_free(o, e);
	}
}

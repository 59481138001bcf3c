// The pending table and the way to the workers (see route.h). Runs in hss-frontend. No allocation per
// request: entries and their stubs are one block each, made at start and committed as they are first used.
#include "frontend/route.h"
#include <stdlib.h>
#include "frontend/peer.h"
#include "frontend/check.h"
#include "lib/base/ident.h"
#include "lib/base/log.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/request.h"

#define NONE       UINT32_MAX
#define ERROR_ROOM 2048 // what an error answer needs beside the Proxy-Infos

struct pending {
	uint64_t arrival_us;
	uint32_t generation;
	uint32_t next, prev; // in order of arrival; `next` alone in the list of free ones
	uint32_t conn, conn_generation;
	uint16_t command;
	uint16_t stub_len;
	uint8_t worker;
	uint8_t weight; // fair.h
	bool used;
	bool owed; // counted in its worker's `pending`
};

struct route {
	struct pending *entry;
	uint8_t (*stub)[ROUTE_STUB_MAX];
	uint32_t fresh; // entries from here on were never used
	uint32_t free;  // the most recently used one first: it is still in the processor's cache
	uint32_t head, tail;
	uint32_t cnt;
};

static struct log_limit log_refused, log_worker;

struct route *route_new(void)
{
	struct route *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->entry = calloc(ROUTE_PENDING_MAX, sizeof *r->entry);
	r->stub = calloc(ROUTE_PENDING_MAX, sizeof *r->stub);
	r->free = r->head = r->tail = NONE;
	if (!r->entry || !r->stub)
		route_free(&r);
	return r;
}

void route_free(struct route **r)
{
	if (!*r)
		return;
	free((*r)->entry);
	free((*r)->stub);
	free(*r);
	*r = NULL;
}

uint32_t route_pending(const struct frontend *fe)
{
	return fe->route->cnt;
}

// ---- the list ------------------------------------------------------------------------------------

static uint32_t entry_take(struct route *r)
{
	uint32_t i = r->free;
	if (i != NONE)
		r->free = r->entry[i].next;
	else if (r->fresh < ROUTE_PENDING_MAX)
		i = r->fresh++;
	else
		return NONE;
	struct pending *p = &r->entry[i];
	p->generation++;
	p->used = true;
	p->next = NONE;
	p->prev = r->tail;
	if (r->tail != NONE)
		r->entry[r->tail].next = i;
	else
		r->head = i;
	r->tail = i;
	r->cnt++;
	return i;
}

static void entry_free(struct frontend *fe, uint32_t i)
{
	struct route *r = fe->route;
	struct pending *p = &r->entry[i];
	if (p->prev != NONE)
		r->entry[p->prev].next = p->next;
	else
		r->head = p->next;
	if (p->next != NONE)
		r->entry[p->next].prev = p->prev;
	else
		r->tail = p->prev;
	if (p->owed)
		fe->worker[p->worker].pending--;
	p->used = p->owed = false;
	p->next = r->free;
	r->free = i;
	r->cnt--;
}

// ---- counting ------------------------------------------------------------------------------------

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	// one writer: this process
	uint64_t v = __atomic_load_n((uint64_t *)counter, __ATOMIC_RELAXED);
	__atomic_store_n((uint64_t *)counter, v + n, __ATOMIC_RELAXED);
}

static void count_answer(struct frontend *fe, unsigned command, unsigned result, uint64_t us)
{
	struct stats_block *s = fe->stats;
	unsigned cmd = command < STAT_CMD_MAX ? command : 0;
	unsigned bucket = stat_latency_bucket(us);
	add(&s->answers[cmd][result < STAT_RESULT_MAX ? result : STAT_RESULT_MAX - 1], 1);
	add(&s->latency[cmd][bucket < STAT_LATENCY_BUCKETS ? bucket : STAT_LATENCY_BUCKETS - 1], 1);
	add(&s->latency_sum_us[cmd], us);
}

static void count_request(struct frontend *fe, unsigned command)
{
	add(&fe->stats->requests[command < STAT_CMD_MAX ? command : 0], 1);
}

void route_count(struct frontend *fe, unsigned command, uint32_t result)
{
	count_request(fe, command);
	count_answer(fe, command, stat_result_index(result, false), 0);
}

// ---- to the worker -------------------------------------------------------------------------------

bool route_has_room(const struct frontend *fe, const struct conn *c)
{
	return !fe->stopping && c->pending < c->max_pending && fe->route->cnt < ROUTE_PENDING_MAX;
}

// One subscriber's requests meet in one worker, as long as that one is there and not silent; any other serves them as well
// (law 3).
static struct frontend_worker *worker_for(struct frontend *fe, uint64_t hash)
{
	uint32_t first = ipc_worker_of(hash, fe->worker_cnt);
	struct frontend_worker *silent = NULL; // rather than none
	for (uint32_t i = 0; i < fe->worker_cnt; i++) {
		struct frontend_worker *w = &fe->worker[(first + i) % fe->worker_cnt];
		if (!w->channel || !channel_is_up(w->channel))
			continue;
		if (!w->silent)
			return w;
		silent = silent ? silent : w;
	}
	return silent;
}

static void put_whole(struct wr *w, struct slice avp)
{
	wr_slice(w, avp);
	wr_zero(w, -avp.len & 3u);
}

// A small message with what an answer to this one repeats. AVPs for which there is no room are left out.
static uint16_t stub_write(uint8_t *stub, const uint8_t *msg, uint32_t len, const struct avp_slot *slots,
			   const struct check_slots *s)
{
	struct wr w = wr_of(stub, ROUTE_STUB_MAX);
	struct avp a;

	wr_bytes(&w, msg, DIAMETER_HEADER_LEN);
	if (s->session_id != SCREEN_NONE && slots[s->session_id].cnt) {
		struct slice id = check_data(msg, slots, s->session_id);
		if (id.len + 12 <= wr_room(&w))
			avp_put_slice(&w, AVP_CODE_Session_Id, 0, AVP_M, id);
	}
	if (s->proxy_info != SCREEN_NONE && slots[s->proxy_info].cnt) {
		struct rd r = rd_of(msg + DIAMETER_HEADER_LEN, len - DIAMETER_HEADER_LEN);
		while (avp_next(&r, &a) == AVP_WALK_ONE)
			if (a.code == AVP_CODE_Proxy_Info && a.vendor == 0 && a.whole.len + 3 <= wr_room(&w))
				put_whole(&w, a.whole);
	}
	header_finish(&w, 0);
	return (uint16_t)wr_len(&w);
}

static void compose(uint8_t *body, const struct ipc_request *q, const struct avp_slot *slots,
		    const uint8_t *msg)
{
	size_t slots_len = q->slot_cnt * sizeof *slots;
	memcpy(body, q, sizeof *q);
	memcpy(body + sizeof *q, slots, slots_len);
	memcpy(body + sizeof *q + slots_len, msg, q->msg_len);
}

// What a request costs its worker.
static uint8_t weight_of(const struct frontend *fe, const struct command *cmd, const uint8_t *msg,
			 const struct avp_slot *slots)
{
	uint32_t items = request_items(cmd, msg, slots, fe->config->max_vectors);
	return (uint8_t)(request_weight(cmd) + (items ? items - 1 : 0) * FAIR_ITEM);
}

bool route_request(struct frontend *fe, struct conn *c, const struct command *cmd, const uint8_t *msg,
		   uint32_t len, const struct avp_slot *slots)
{
	struct route *r = fe->route;
	const struct check_slots *s = check_slots_of(cmd);
	struct slice host = check_data(msg, slots, s->origin_host);
	size_t size = sizeof(struct ipc_request) + cmd->slot_cnt * sizeof *slots + len;
	struct subject subject;
	struct slice spelling;

	// All requests about one subject meet in one worker, for locality (law 3: nothing depends on it).
	// Without a readable subject, equal spellings meet, or else requests of one session.
	int slot = request_subject(cmd, msg, slots, &subject, &spelling);
	if (spelling.len == 0)
		spelling = check_data(msg, slots, s->session_id);
	struct frontend_worker *w = worker_for(
	    fe, slot >= 0 ? subject_meeting_hash(&subject) : ident_hash_bytes(spelling, false));
	if (!w || size > IPC_BODY_MAX)
		return false;
	uint32_t i = entry_take(r);
	if (i == NONE)
		return false;
	struct pending *p = &r->entry[i];
	uint8_t *body = channel_begin(w->channel, IPC_REQUEST, 0, (uint64_t)p->generation << 32 | i, size);
	if (!body) {
		stat_add(fe->stats, STAT_CHANNEL_FULL, 1);
		entry_free(fe, i);
		return false;
	}
	struct ipc_request q = {
	    .conn = c->index,
	    .generation = c->directory_generation,
	    .arrival_us = fe->now_us,
	    // most requests are the peer's own; only those through a relay carry another Origin-Host
	    .host_hash =
		slice_eq(host, slice_of(c->host, c->host_len)) ? c->host_hash : ident_hash_bytes(host, true),
	    .imsi = subject_imsi(&subject).v,
	    .msisdn = subject_msisdn(&subject).v,
	    .subject = subject.hash,
	    .subject_type = subject.type,
	    .subject_slot = slot < 0 ? 0 : (uint8_t)slot,
	    .msg_len = len,
	    .command = cmd->id,
	    .slot_cnt = cmd->slot_cnt,
	    .peer_flags = c->peer_flags,
	};
	compose(body, &q, slots, msg);
	channel_commit(w->channel, size);
	w->dirty = true;
	p->arrival_us = fe->now_us;
	p->conn = c->index;
	p->conn_generation = c->generation;
	p->command = cmd->id;
	p->worker = (uint8_t)w->index;
	p->owed = true;
	if (w->pending++ == 0)
		w->progress_ms = fe->now_us / 1000;
	// enough of the request to answer it here, should the worker die or take too long
	p->stub_len = stub_write(r->stub[i], msg, len, slots, s);
	p->weight = weight_of(fe, cmd, msg, slots);
	fair_asked(fe, c, p->weight);
	count_request(fe, cmd->id);
	return true;
}

// ---- back ----------------------------------------------------------------------------------------

// What was composed goes out; `why` is for a trace.
static bool written(struct conn *c, const struct wr *w, struct slice why)
{
	c->fe->trace_why = why;
	bool sent = conn_written(c, w);
	c->fe->trace_why = (struct slice){0};
	return sent;
}

// Ends a pending request with an answer of our own.
static void fail(struct frontend *fe, uint32_t i, uint32_t result, const char *why)
{
	struct route *r = fe->route;
	struct pending *p = &r->entry[i];
	struct conn *c = conn_find(fe, p->conn, p->conn_generation);
	fair_answered(fe, c, p->weight);
	if (c) {
		struct verdict v;
		check_verdict(&v, result);
		struct wr w = conn_write(c, p->stub_len + ERROR_ROOM);
		base_answer_error_write(&w, &fe->node, r->stub[i], p->stub_len, &v, slice_str(why));
		if (written(c, &w, slice_str(why)))
			c->answers++;
		peer_answered(c);
	}
	count_answer(fe, p->command, stat_result_index(result, false),
		     fe->now_us > p->arrival_us ? fe->now_us - p->arrival_us : 0);
	entry_free(fe, i);
}

// Is this the answer to what the stub remembers? Command, application and both identifiers are the request's. *rule: what the
// worker says behind it.
static bool answer_fits(const uint8_t *stub, const uint8_t *msg, uint32_t *len, struct slice *rule)
{
	uint32_t all = *len;
	if (all < DIAMETER_HEADER_LEN)
		return false;
	*len = be24_get(msg + 1);
	if (*len < DIAMETER_HEADER_LEN || *len > all || all - *len > IPC_RULE_MAX)
		return false;
	*rule = slice_of(msg + *len, all - *len);
	return msg[0] == DIAMETER_VERSION && !(msg[4] & HEADER_R) &&
	       memcmp(msg + 5, stub + 5, DIAMETER_HEADER_LEN - 5) == 0;
}

void route_answer(struct frontend *fe, struct frontend_worker *w, const struct ipc_hdr *hdr,
		  const uint8_t *body)
{
	struct route *r = fe->route;
	struct slice rule = {0};
	uint32_t i = (uint32_t)hdr->id, len = hdr->len - (uint32_t)sizeof *hdr;
	w->progress_ms = fe->now_us / 1000;
	if (i >= ROUTE_PENDING_MAX)
		return;
	struct pending *p = &r->entry[i];
	// answered before, when it took too long
	if (!p->used || p->generation != (uint32_t)(hdr->id >> 32) || p->worker != w->index)
		return;
	if (!answer_fits(r->stub[i], body, &len, &rule)) {
		if (log_limit_pass(&log_worker, 1))
			log_error("worker_answer_unfit", LOG_INT("worker", w->index),
				  LOG_INT("command", p->command));
		fail(fe, i, RESULT_TOO_BUSY, "internal error");
		return;
	}
	struct conn *c = conn_find(fe, p->conn, p->conn_generation);
	fair_answered(fe, c, p->weight);
	if (c) {
		struct wr out = conn_write(c, len);
		wr_bytes(&out, body, len);
		if (written(c, &out, rule))
			c->answers++;
		peer_answered(c);
	}
	count_answer(fe, p->command, hdr->flags, fe->now_us > p->arrival_us ? fe->now_us - p->arrival_us : 0);
	entry_free(fe, i);
}

void route_worker_lost(struct frontend *fe, uint32_t worker)
{
	struct route *r = fe->route;
	uint32_t lost = 0;
	for (uint32_t i = r->head, next; i != NONE; i = next) {
		next = r->entry[i].next;
		if (r->entry[i].worker != worker)
			continue;
		fail(fe, i, RESULT_TOO_BUSY, "worker restarts");
		lost++;
	}
	if (lost) {
		stat_add(fe->stats, STAT_WORKER_LOST, lost);
		log_warn("worker_lost", LOG_INT("worker", worker), LOG_INT("requests", lost));
	}
}

void route_tick(struct frontend *fe, uint64_t now_us)
{
	struct route *r = fe->route;
	uint64_t limit_us = (uint64_t)fe->config->request_timeout_ms * 1000;
	while (r->head != NONE && r->entry[r->head].arrival_us + limit_us <= now_us) {
		stat_add(fe->stats, STAT_ROUTE_TIMEOUT, 1);
		fail(fe, r->head, RESULT_TOO_BUSY, "not served in time");
	}
}

void route_refuse(struct frontend *fe, struct conn *c, const struct command *cmd, const uint8_t *msg,
		  uint32_t len, const struct verdict *v, const char *why)
{
	unsigned command = cmd ? cmd->id : CMD_NONE;
	struct wr w = conn_write(c, len + ERROR_ROOM);
	base_answer_error_write(&w, &fe->node, msg, len, v, (struct slice){0});
	written(c, &w, slice_str(why));
	c->rejected++;
	route_count(fe, command, v->result);
	if (log_limit_pass(&log_refused, 10))
		log_info("request_refused", LOG_SLICE("peer", slice_of(c->host, c->host_len)),
			 LOG_STR("command", cmd ? cmd->name : "unknown"), LOG_INT("result", v->result),
			 LOG_STR("reason", why));
}

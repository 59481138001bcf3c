// The table of HSS-initiated requests that a frontend has (hss_request.h). Each is found by its place and
// generation, so a late message about an old one finds nothing.
#include "worker/hss_request.h"
#include <stdio.h>
#include <stdlib.h>
#include "lib/base/log.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"
#include "lib/diameter/header.h"
#include "worker/app.h"
#include "worker/worker.h"

#define ENTRIES	   1024 // on their way at a time; more wait in the loader
#define NAMES_MAX  255
#define ROOM	   (40u << 10) // for a message; the largest holds a User-Data
static_assert(ENTRIES >= 1024, "as many as the loader gives to 16 nodes at once");

struct entry {
	bool used;
	uint32_t generation;
	uint32_t frontend;
	uint64_t row;
	imsi_t imsi;
	uint64_t created_us;
	uint32_t tries;
	uint32_t memo;
	uint8_t app, purpose;
	uint8_t data_len;
	uint8_t data[NAMES_MAX];
};

struct hss_under_way {
	struct entry entry[ENTRIES];
	unsigned next;
};

struct hss_under_way *hss_under_way_new(void)
{
	return calloc(1, sizeof(struct hss_under_way));
}

void hss_under_way_free(struct hss_under_way **t)
{
	free(*t);
	*t = NULL;
}

static void report(struct worker *w, uint64_t row, imsi_t imsi, enum hss_sent_status status)
{
	struct ipc_hss_sent body = {.imsi = imsi.v, .status = status};
	// without room the report is dropped, and the loader tries again later
	if (w->loader)
		channel_send(w->loader, IPC_HSS_SENT, row, &body, sizeof body);
}

static struct entry *entry_take(struct hss_under_way *t)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct entry *e = &t->entry[t->next++ % ENTRIES];
		if (!e->used) {
			e->used = true;
			e->generation++;
			return e;
		}
	}
	return NULL;
}

// ---- to the node

// Session-Id and End-to-End come from the loader's row, whose ids count up from the microsecond of its start: unique
// across restarts, and the same when the row is sent again, so that the node knows a copy (RFC 6733 5.5.4).
void hss_request_begin(const struct hss_request *q, struct wr *m, uint32_t command_code, const char *what, struct slice user)
{
	const struct worker *w = q->w;
	char session[CONFIG_NAME_MAX + 64], imsi[16];
	int n = snprintf(session, sizeof session, "%s;%u;%u;%s", w->config->host, (unsigned)(q->row >> 32),
			 (unsigned)q->row, what);
	if (user.len == 0 && !user.p && q->imsi.v)
		user = slice_of(imsi, imsi_text(q->imsi, imsi));
	header_begin(m, HEADER_R | HEADER_P | (q->tries ? HEADER_T : 0), command_code, w->app[q->app]->application, 0,
		     (uint32_t)q->row);
	avp_put(m, AVP_CODE_Session_Id, 0, AVP_M, session, (uint32_t)n);
	wr_bytes(m, w->head[q->app].octets, w->head[q->app].len);
	wr_bytes(m, w->origin, w->origin_len);
	avp_put_slice(m, AVP_CODE_Destination_Host, 0, AVP_M, q->host);
	avp_put_slice(m, AVP_CODE_Destination_Realm, 0, AVP_M, q->realm);
	if (user.len)
		avp_put_slice(m, AVP_CODE_User_Name, 0, AVP_M, user);
}

static struct entry *entry_of(struct worker *w, const struct hss_request *q, uint32_t frontend)
{
	struct entry *e = q->data.len <= NAMES_MAX ? entry_take(w->hss_under_way) : NULL;
	if (!e)
		return NULL;
	e->frontend = frontend;
	e->row = q->row;
	e->imsi = q->imsi;
	e->created_us = q->created_us;
	e->tries = q->tries;
	e->memo = q->memo;
	e->app = q->app;
	e->purpose = q->purpose;
	e->data_len = (uint8_t)q->data.len;
	if (q->data.len)
		memcpy(e->data, q->data.p, q->data.len);
	return e;
}

// Finds the frontend that holds the node itself, or a relay that finds the node by Destination-Host and
// -Realm.
static bool way_to(struct worker *w, const struct hss_request *q, uint32_t *frontend, struct ipc_hss_request *to)
{
	return (control_peer_find(w->cache.control, q->host, frontend, &to->conn, &to->generation) >= 0 ||
		control_peer_find_relay(w->cache.control, q->realm, frontend, &to->conn, &to->generation) >= 0) &&
	       *frontend < FRONTEND_MAX && w->frontend[*frontend];
}

// Is the subscriber's state known? If it is not in the cache, that must be complete: a record that is still
// being loaded may show that the request is overtaken.
static bool state_is_known(struct worker *w, imsi_t imsi)
{
	return cache_find(&w->cache, imsi) ||
	       __atomic_load_n((uint32_t *)&w->cache.h->load_state, __ATOMIC_ACQUIRE) == CACHE_COMPLETE;
}

static enum hss_sent_status compose_and_send(struct worker *w, struct hss_request *q)
{
	struct ipc_hss_request to = {.timeout_ms = w->config->hss_request_timeout_ms};
	uint32_t frontend;
	if (!state_is_known(w, q->imsi))
		return HSS_SENT_LATER;
	uint8_t message[ROOM];
	struct wr m = wr_of(message, sizeof message);
	if (!w->app[q->app]->compose(q, &m))
		return HSS_SENT_STALE;
	header_finish(&m, 0);
	if (m.err || !way_to(w, q, &frontend, &to))
		return HSS_SENT_UNSENT;
	struct entry *e = entry_of(w, q, frontend);
	if (!e)
		return HSS_SENT_UNSENT;
	uint64_t id = (uint64_t)e->generation << 32 | (uint64_t)(e - w->hss_under_way->entry);
	uint8_t *p = channel_begin(w->frontend[frontend], IPC_HSS_REQUEST, 0, id, sizeof to + wr_len(&m));
	if (!p) {
		e->used = false;
		return HSS_SENT_UNSENT;
	}
	memcpy(p, &to, sizeof to);
	memcpy(p + sizeof to, message, wr_len(&m));
	channel_commit(w->frontend[frontend], sizeof to + wr_len(&m));
	return HSS_SENT_DONE;
}

void hss_request_send(struct worker *w, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct ipc_hss_send d;
	struct rd rd = rd_of(body, hdr->len - sizeof *hdr);
	const uint8_t *fixed = rd_take(&rd, sizeof d);
	if (!fixed)
		return;
	memcpy(&d, fixed, sizeof d);
	struct hss_request q = {.w = w,
				.row = hdr->id,
				.imsi = {d.imsi},
				.created_us = d.created_us,
				.tries = d.tries,
				.app = d.app,
				.purpose = d.purpose};
	q.host = rd_bytes(&rd, d.host_len);
	q.realm = rd_bytes(&rd, d.realm_len);
	q.data = rd_bytes(&rd, d.data_len);
	bool ours = !rd.err && d.app < WORKER_APP_MAX && w->app[d.app] && w->app[d.app]->compose;
	worker_pin(w);
	enum hss_sent_status status = ours ? compose_and_send(w, &q) : HSS_SENT_UNSENT;
	if (status != HSS_SENT_DONE)
		report(w, hdr->id, q.imsi, status);
}

// ---- back

// Is the request over? 3xxx: an agent could not deliver it. Any other answer comes from the node itself, and
// our state has changed already.
static bool is_over(const struct hss_answer *a)
{
	return a->experimental || a->result < 3000 || a->result >= 4000 || a->result == RESULT_COMMAND_UNSUPPORTED;
}

static enum hss_sent_status ended(uint32_t status, const struct hss_answer *a)
{
	switch (status) {
	case HSS_ANSWERED:
		return is_over(a) ? HSS_SENT_DONE : HSS_SENT_LATER;
	case HSS_NOT_SENT:
		return HSS_SENT_UNSENT;
	case HSS_LOST:
		return HSS_SENT_LOST;
	default:
		return HSS_SENT_LATER;
	}
}

static void report_answer(const struct hss_request *q, enum hss_sent_status how, const struct hss_answer *a)
{
	struct worker *w = q->w;
	uint8_t body[sizeof(struct ipc_hss_sent) + HSS_TOLD_MAX];
	const struct ipc_hss_sent head = {.imsi = q->imsi.v,
					  .status = how,
					  .result = a->result,
					  .memo = q->memo,
					  .experimental = a->experimental};
	struct wr told = wr_of(body, sizeof body);
	wr_bytes(&told, &head, sizeof head);
	if (how == HSS_SENT_DONE && w->app[q->app]->ended)
		w->app[q->app]->ended(q, a, &told);
	if (w->loader)
		channel_send(w->loader, IPC_HSS_SENT, q->row, body, told.err ? sizeof head : wr_len(&told));
}

void hss_request_answered(struct worker *w, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct ipc_hss_answer a;
	uint32_t index = (uint32_t)hdr->id;
	size_t len = hdr->len - sizeof *hdr;
	memcpy(&a, body, sizeof a);
	if (index >= ENTRIES || a.msg_len > len - sizeof a)
		return;
	struct entry *e = &w->hss_under_way->entry[index];
	if (!e->used || e->generation != hdr->id >> 32)
		return;
	e->used = false;
	const struct hss_request q = {.w = w,
				      .row = e->row,
				      .imsi = e->imsi,
				      .created_us = e->created_us,
				      .tries = e->tries,
				      .app = e->app,
				      .purpose = e->purpose,
				      .memo = e->memo,
				      .data = slice_of(e->data, e->data_len)};
	const struct hss_answer answer = {.result = a.result,
					  .experimental = a.experimental,
					  .msg = slice_of(body + sizeof a, a.msg_len)};
	worker_pin(w);
	enum hss_sent_status how = ended(a.status, &answer);
	if (how != HSS_SENT_DONE || a.experimental || a.result != RESULT_SUCCESS)
		log_info("hss_request_not_confirmed", LOG_STR("application", w->app[e->app]->name),
			 LOG_INT("row", e->row), LOG_INT("status", a.status), LOG_INT("result", a.result));
	report_answer(&q, how, &answer);
}

void hss_request_frontend_lost(struct worker *w, unsigned frontend)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct entry *e = &w->hss_under_way->entry[i];
		if (e->used && e->frontend == frontend) {
			e->used = false;
			report(w, e->row, e->imsi, HSS_SENT_LOST);
		}
	}
}

// Requests of our own in a worker (hss_request.h): composes each, sends it through the frontend that holds the peer,
// and tells the loader how it ended.
#include "worker/hss_request.h"
#include "lib/base/log.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"
#include "lib/diameter/header.h"
#include "worker/worker.h"
#include <stdio.h>
#include <stdlib.h>

#define OWN_MAX 1024 // on their way at a time; more wait in the loader

struct own_entry {
	bool used;
	uint32_t generation;
	uint32_t frontend;
	uint64_t row; // the loader's id
};

struct own {
	struct own_entry entry[OWN_MAX];
	unsigned next;
};

struct own *own_new(void)
{
	return calloc(1, sizeof(struct own));
}

void own_free(struct own **o)
{
	free(*o);
	*o = NULL;
}

static void report(struct worker *w, uint64_t row, enum delivered_status status, uint64_t result)
{
	uint64_t body[2] = {status, result};
	// a report that finds no room is made up for by the loader's next try
	if (w->loader)
		channel_send(w->loader, IPC_DELIVERED, row, body, sizeof body);
}

static struct own_entry *entry_take(struct own *o)
{
	for (unsigned i = 0; i < OWN_MAX; i++) {
		struct own_entry *e = &o->entry[o->next++ % OWN_MAX];
		if (!e->used) {
			e->used = true;
			e->generation++;
			return e;
		}
	}
	return NULL;
}

// Cancel-Location-Request (TS 29.272 7.2.7). Session-Id and End-to-End come from the loader's row, whose ids
// count up from the microsecond of its start: unique across restarts, and the same when the row is sent
// again, so that the node knows a copy (RFC 6733 5.5.4).
static void clr_write(struct worker *w, struct wr *m, uint64_t row, const struct ipc_deliver *d,
		      struct slice host, struct slice realm)
{
	char session[CONFIG_NAME_MAX + 64], imsi[16];
	int n = snprintf(session, sizeof session, "%s;%u;%u;clr", w->config->host, (unsigned)(row >> 32),
			 (unsigned)row);
	unsigned imsi_len = imsi_text((imsi_t){d->imsi}, imsi);
	header_begin(m, HEADER_R | HEADER_P | (d->tries ? HEADER_T : 0), 317, APP_S6A, 0, (uint32_t)row);
	size_t start = 0;
	avp_put(m, AVP_CODE_Session_Id, 0, AVP_M, session, (uint32_t)n);
	wr_bytes(m, w->s6a_head, w->s6a_head_len);
	wr_bytes(m, w->origin, w->origin_len);
	avp_put_slice(m, AVP_CODE_Destination_Host, 0, AVP_M, host);
	avp_put_slice(m, AVP_CODE_Destination_Realm, 0, AVP_M, realm);
	avp_put(m, AVP_CODE_User_Name, 0, AVP_M, imsi, imsi_len);
	avp_put_u32(m, AVP_CODE_Cancellation_Type, VENDOR_3GPP, AVP_M, d->cancellation_type);
	avp_put_u32(m, AVP_CODE_CLR_Flags, VENDOR_3GPP, 0, d->clr_flags);
	header_finish(m, start);
}

static bool clr_send(struct worker *w, uint64_t row, const struct ipc_deliver *d, struct slice host,
		     struct slice realm)
{
	uint32_t frontend, conn, generation;
	const size_t max = sizeof(struct ipc_own_request) + 2048;
	// the node itself, or a relay that finds it by Destination-Host and -Realm
	if (control_peer_find(w->cache.control, host, &frontend, &conn, &generation) < 0 &&
	    control_peer_find_relay(w->cache.control, realm, &frontend, &conn, &generation) < 0)
		return false;
	if (frontend >= FRONTEND_MAX || !w->frontend[frontend])
		return false;
	struct own_entry *e = entry_take(w->own);
	if (!e)
		return false;
	uint64_t id = (uint64_t)e->generation << 32 | (uint64_t)(e - w->own->entry);
	struct ipc_own_request q = {
	    .conn = conn, .generation = generation, .timeout_ms = w->config->clr_timeout_ms};
	uint8_t *p = channel_begin(w->frontend[frontend], IPC_OWN_REQUEST, 0, id, max);
	struct wr m = wr_of(p ? p + sizeof q : NULL, p ? max - sizeof q : 0);
	m.err = !p;
	clr_write(w, &m, row, d, host, realm);
	if (m.err) {
		if (p)
			channel_abandon(w->frontend[frontend]);
		e->used = false;
		return false;
	}
	memcpy(p, &q, sizeof q);
	channel_commit(w->frontend[frontend], sizeof q + wr_len(&m));
	e->row = row;
	e->frontend = frontend;
	return true;
}

void own_deliver(struct worker *w, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct ipc_deliver d;
	struct rd rd = rd_of(body, hdr->len - sizeof *hdr);
	const uint8_t *fixed = rd_take(&rd, sizeof d);
	if (!fixed)
		return;
	memcpy(&d, fixed, sizeof d);
	struct slice host = rd_bytes(&rd, d.host_len), realm = rd_bytes(&rd, d.realm_len);
	if (rd.err || !clr_send(w, hdr->id, &d, host, realm))
		report(w, hdr->id, DELIVERED_UNSENT, 0);
}

// 3xxx: an agent could not deliver it; everything else is the node's own word, and the location is changed
// already.
static enum delivered_status delivered(const struct ipc_own_answer *a)
{
	switch (a->status) {
	case OWN_ANSWERED:
		return a->experimental || a->result < 3000 || a->result >= 4000 ||
			       a->result == RESULT_COMMAND_UNSUPPORTED
			   ? DELIVERED_DONE
			   : DELIVERED_LATER;
	case OWN_NOT_SENT:
		return DELIVERED_UNSENT;
	case OWN_LOST:
		return DELIVERED_LOST;
	default:
		return DELIVERED_LATER;
	}
}

void own_answered(struct worker *w, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct ipc_own_answer a;
	uint32_t index = (uint32_t)hdr->id;
	memcpy(&a, body, sizeof a);
	if (index >= OWN_MAX || !w->own->entry[index].used ||
	    w->own->entry[index].generation != hdr->id >> 32)
		return;
	struct own_entry *e = &w->own->entry[index];
	e->used = false;
	enum delivered_status how = delivered(&a);
	if (how != DELIVERED_DONE || a.experimental || a.result != RESULT_SUCCESS)
		log_info("cancel location not confirmed", LOG_INT("row", e->row), LOG_INT("status", a.status),
			 LOG_INT("result", a.result));
	report(w, e->row, how, a.result);
}

void own_frontend_lost(struct worker *w, unsigned frontend)
{
	for (unsigned i = 0; i < OWN_MAX; i++) {
		struct own_entry *e = &w->own->entry[i];
		if (e->used && e->frontend == frontend) {
			e->used = false;
			report(w, e->row, DELIVERED_LOST, 0);
		}
	}
}

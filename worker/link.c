// The worker's side of its channel to the loader (link.h): composes the questions, and wakes the requests
// that wait for an answer.
#include "worker/link.h"
#include "lib/base/change_key.h"
#include "lib/base/log.h"
#include "worker/hss_request.h"
#include "worker/worker.h"

bool link_up(const struct worker *w)
{
	return w->loader && channel_is_up(w->loader);
}

// Begins the question of a request that will wait for its answer. NULL: it must not be written now. If the
// loader is away, it gets the question later (request_resume_all). If it is too busy, the request is refused
// here.
static uint8_t *ask_begin(struct request *r, enum wait_kind kind, uint16_t type, size_t len)
{
	struct worker *w = r->w;
	if (link_up(w)) {
		uint64_t tag = request_wait(r, kind);
		uint8_t *p = tag ? channel_begin(w->loader, type, r->resent ? 1 : 0, tag, len) : NULL;
		struct request *kept = tag ? request_by_tag(w, tag, kind) : NULL;
		if (p && kind == WAIT_CHANGE)
			turn_hold(kept);
		if (p)
			return p;
		if (kept)
			kept->slot->kind = WAIT_NONE;
		request_refuse(kept ? kept : r, RESULT_TOO_BUSY);
		return NULL;
	}
	if (!request_wait(r, kind))
		request_refuse(r, RESULT_TOO_BUSY);
	return NULL;
}

void link_ask_miss(struct request *r)
{
	struct ipc_read_through m = {.imsi = r->imsi.v};
	r->read_through_asked = true;
	uint8_t *p = ask_begin(r, WAIT_READ_THROUGH, IPC_READ_THROUGH, sizeof m);
	if (p) {
		memcpy(p, &m, sizeof m);
		channel_commit(r->w->loader, sizeof m);
	}
}

void link_ask_ind(struct request *r, struct slice host)
{
	if (host.len > 255) // no DiameterIdentity: the loader would take it for a broken frame
		host.len = 255;
	r->ind_asked = true;
	uint8_t *p = ask_begin(r, WAIT_IND, IPC_IND_HOST, 8 + host.len);
	if (p) {
		struct wr w = wr_of(p, 8 + host.len);
		wr_bytes(&w, &r->in.host_hash, 8);
		wr_slice(&w, host);
		channel_commit(r->w->loader, wr_len(&w));
	}
}

bool link_ask_block(struct worker *w, imsi_t imsi, uint32_t index, uint64_t at_least, uint64_t id)
{
	struct ipc_sqn_block b = {.imsi = imsi.v, .index = index, .at_least = at_least};
	return !link_up(w) || channel_send(w->loader, IPC_SQN_BLOCK, id, &b, sizeof b);
}

void link_hint_sqn(struct worker *w, imsi_t imsi, uint32_t index)
{
	struct ipc_sqn_block b = {.imsi = imsi.v, .index = index};
	uint64_t limit = __atomic_load_n((uint64_t *)&w->cache.sqn[index].limit, __ATOMIC_RELAXED);
	unsigned at = (unsigned)(ident_hash(index) % WORKER_ASKED_CACHE);
	if (w->asked[at].index == index && w->asked[at].limit == limit)
		return;
	if (w->loader && channel_send(w->loader, IPC_SQN_BLOCK, 0, &b, sizeof b)) {
		w->asked[at].index = index;
		w->asked[at].limit = limit;
	}
}

static size_t change_size(const struct link_change *c)
{
	size_t len = sizeof(struct ipc_change) + c->state.len + c->kept[0].len + c->kept[1].len;
	for (unsigned i = 0; i < c->request_cnt; i++)
		len += sizeof(struct ipc_change_request) + c->request[i].host.len + c->request[i].realm.len +
		       c->request[i].data.len;
	return len;
}

static void put_change_request(struct wr *w, const struct link_hss_request *q)
{
	const struct ipc_change_request head = {.purpose = q->purpose,
						.host_len = (uint8_t)q->host.len,
						.realm_len = (uint8_t)q->realm.len,
						.data_len = (uint8_t)q->data.len};
	if (q->host.len > 255 || q->realm.len > 255 || q->data.len > 255)
		w->err = true;
	wr_bytes(w, &head, sizeof head);
	wr_slice(w, q->host);
	wr_slice(w, q->realm);
	wr_slice(w, q->data);
}

static void put_change(struct wr *w, const struct request *r, const struct link_change *c)
{
	const struct ipc_change head = {
		.imsi = r->imsi.v,
		.key = change_key(r->in.host_hash, r->h.code, r->h.end_to_end, clock_wall_us()),
		.options = c->options | (r->h.flags & HEADER_T ? CHANGE_REPEATED : 0),
		.kept_len = {c->kept[0].len, c->kept[1].len},
		.version = c->version,
		.state_len = (uint16_t)c->state.len,
		.request_cnt = (uint16_t)c->request_cnt,
		.app = r->app,
	};
	wr_bytes(w, &head, sizeof head);
	wr_slice(w, c->state);
	wr_slice(w, c->kept[0]);
	wr_slice(w, c->kept[1]);
	for (unsigned i = 0; i < c->request_cnt; i++)
		put_change_request(w, &c->request[i]);
}

void link_change(struct request *r, const struct link_change *c)
{
	size_t len = change_size(c);
	if (len > IPC_BODY_MAX || c->state.len > UINT16_MAX) {
		request_answer(r, RESULT_UNABLE_TO_COMPLY, false);
		return;
	}
	if (!turn_take(r))
		return;
	r->change_sent |= link_up(r->w);
	uint8_t *p = ask_begin(r, WAIT_CHANGE, IPC_CHANGE, len);
	if (!p)
		return;
	struct wr w = wr_of(p, len);
	put_change(&w, r, c);
	if (w.err)
		bug("a change of state does not fit");
	channel_commit(r->w->loader, len);
}

bool link_look_up(struct request *r)
{
	struct worker *w = r->w;
	// with an upstream the cache is never complete: the subscriber may have been added a moment ago (law
	// 8)
	bool complete = w->config->store != STORE_MONGODB &&
			__atomic_load_n((uint32_t *)&w->cache.h->load_state, __ATOMIC_ACQUIRE) == CACHE_COMPLETE;
	if (r->imsi.v == 0 || complete || r->unknown)
		return false;
	link_ask_miss(r);
	return true;
}

static void change_acked(struct worker *w, const struct ipc_hdr *hdr, uint64_t status)
{
	struct request *r = request_by_tag(w, hdr->id, WAIT_CHANGE);
	if (!r)
		return; // given up meanwhile; the change itself stands
	if (status == CHANGE_BUSY) {
		r->slot->kind = WAIT_NONE;
		request_refuse(r, RESULT_TOO_BUSY);
		return;
	}
	r->change = (enum change_status)status;
	r->change_done = status != CHANGE_CONFLICT;
	if (status == CHANGE_CONFLICT)
		r->change_sent = r->resent = false; // nothing was stored: the handler decides again
	request_resume(r);
}

static void simple_acked(struct worker *w, const struct ipc_hdr *hdr, enum wait_kind kind, uint64_t value)
{
	struct request *r = hdr->id ? request_by_tag(w, hdr->id, kind) : NULL;
	if (!r)
		return;
	if (kind == WAIT_READ_THROUGH && value == READ_THROUGH_BUSY) {
		r->slot->kind = WAIT_NONE;
		request_refuse(r, RESULT_TOO_BUSY);
		return;
	}
	if (kind == WAIT_READ_THROUGH)
		r->unknown = value == READ_THROUGH_UNKNOWN;
	request_resume(r);
}

void link_frame(struct worker *w, const struct ipc_hdr *hdr, const uint8_t *body)
{
	uint64_t value = 0;
	switch (hdr->type) {
	case IPC_CHANGE_ACK:
		memcpy(&value, body, sizeof value);
		change_acked(w, hdr, value);
		break;
	case IPC_READ_THROUGH_ACK:
	case IPC_IND_HOST_ACK:
		memcpy(&value, body, sizeof value);
		simple_acked(w, hdr, hdr->type == IPC_READ_THROUGH_ACK ? WAIT_READ_THROUGH : WAIT_IND, value);
		break;
	case IPC_SQN_BLOCK_ACK:
		memcpy(&value, body, sizeof value);
		block_acked(w, hdr->id, value == 0);
		break;
	case IPC_HSS_SEND:
		hss_request_send(w, hdr, body);
		break;
	default:
		log_error("loader sent a message that workers do not take", LOG_STR("type", ipc_type_name(hdr->type)));
	}
	turn_run(w);
}

// HSS-initiated requests from the commit that causes them to their end: see hss_request.h. Loader process, main thread.
#include "loader/commit/hss_request.h"
#include "lib/base/log.h"
#include "loader/app.h"
#include "loader/commit/hss_rows.h"
#include "loader/commit/txn.h"

#define WINDOW	      64u    // on their way to one node
#define TICK_SENDS    2000u
#define TICK_LOOKS    64u // nodes that are looked for among the peers, a tick
#define FAILOVERS     4u  // a request is sent again at once so often, until it is due again

// Finds the row that the new one replaces: of the same purpose for the same node, unless the application tells them apart.
// It may say in `joined` what the new one is to hold then.
static struct hss_request *find_older(struct loader *l, const struct hss_request *q, struct wr *joined)
{
	const struct loader_app *app = loader_app(l, q->app);
	for (struct hss_request *r = hss_row_first(l->requests, q->imsi); r; r = r->next)
		if (r->imsi.v == q->imsi.v && r->app == q->app && r->purpose == q->purpose && r->node == q->node &&
		    r != q && !r->question &&
		    (!app || !app->replaces || app->replaces(q->purpose, hss_row_data(q), hss_row_data(r), joined)))
			return r;
	return NULL;
}

static void done_entry(struct loader *l, imsi_t imsi, uint64_t id)
{
	struct wr w = txn_entry(l);
	entry_put_u64(&w, id);
	txn_entry_end(l, &w, ENTRY_HSS_REQUEST_DONE, imsi);
}

void hss_request_add(struct loader *l, struct op *op, imsi_t imsi, const struct hss_request_image *q)
{
	struct hss_requests *t = l->requests;
	struct hss_request_image image = *q;
	image.id = t->next_id++;
	image.created_us = clock_wall_us();
	bool room = op->request_cnt < OP_REQUEST_MAX && t->cnt < HSS_REQUESTS_MAX;
	struct hss_request *r = room ? hss_row_make(l, imsi, &image) : NULL;
	if (!r) {
		if (log_limit_pass(&t->full, 1))
			log_error("hss_requests_full", LOG_INT("limit", HSS_REQUESTS_MAX), LOG_SLICE("host", q->host));
		return;
	}
	uint8_t octets[255];
	struct wr joined = wr_of(octets, sizeof(octets));
	const struct hss_request *older = find_older(l, r, &joined);
	if (older)
		done_entry(l, imsi, older->id);
	if (older && wr_len(&joined)) {
		image.data = wr_done(&joined);
		hss_request_free(&r);
		r = hss_row_make(l, imsi, &image);
		if (!r)
			return;
	}
	op->request[op->request_cnt++] = r;
	struct wr w = txn_entry(l);
	entry_put_hss_request(&w, &image);
	txn_entry_end(l, &w, ENTRY_HSS_REQUEST, imsi);
}

bool hss_request_waits(const struct loader *l, imsi_t imsi, unsigned app, struct slice host, uint64_t id, uint32_t purposes)
{
	for (const struct hss_request *r = hss_row_first(l->requests, imsi); r; r = r->next)
		if (r->imsi.v == imsi.v && r->app == app && r->id != id && r->purpose < 32 && purposes >> r->purpose & 1 &&
		    slice_eq_nocase(hss_node_host(r->node), host))
			return true;
	return false;
}

// ---- sending

// The worker that serves the subscriber's own requests (lib/ipc/messages.h): the answers to those and this request then
// take one way to the node, in order. Any other does when that one is away.
static bool pick_worker(const struct loader *l, imsi_t imsi, unsigned *worker)
{
	unsigned cnt = l->config && l->config->workers ? l->config->workers : 1;
	unsigned first = ipc_worker_of(ident_hash(imsi.v), cnt);
	for (unsigned i = 0; i < cnt; i++) {
		*worker = (first + i) % cnt;
		if (l->worker[*worker].ch || !l->env)
			return true;
	}
	return false;
}

static void send_one(struct loader *l, struct hss_request *r)
{
	const struct hss_node *n = r->node;
	uint8_t body[sizeof(struct ipc_hss_send) + 3 * 255];
	struct ipc_hss_send d = {.imsi = r->imsi.v,
				 .created_us = r->created_us,
				 .tries = r->tries,
				 .app = r->app,
				 .purpose = r->purpose,
				 .host_len = n->host_len,
				 .realm_len = n->realm_len,
				 .data_len = r->data_len};
	uint32_t timeout_ms = l->config ? l->config->hss_request_timeout_ms : 0;
	unsigned worker;
	// it is sent again if the worker never answers
	r->due_ms = clock_mono_ms() + HSS_RETRY_MS + timeout_ms;
	if (!pick_worker(l, r->imsi, &worker))
		return;
	struct wr w = wr_of(body, sizeof(body));
	wr_bytes(&w, &d, sizeof(d));
	wr_bytes(&w, n->text, (size_t)n->host_len + n->realm_len);
	wr_bytes(&w, r->data, r->data_len);
	hss_row_under_way(r, true);
	r->worker = (uint8_t)worker;
	l->send(l, ROLE_WORKER, worker, IPC_HSS_SEND, r->id, body, wr_len(&w));
	r->tries++;
}

// How many paced requests may be sent to a node now: limits.push_rate of them in a second.
static uint32_t pace(const struct loader *l, struct hss_node *n, uint64_t now_ms)
{
	uint32_t rate = l->config && l->config->hss_request_rate ? l->config->hss_request_rate : UINT32_MAX;
	uint64_t more = (now_ms - n->paced_ms) * rate / 1000;
	if (now_ms - n->paced_ms >= 1000 || more >= rate) {
		n->paced = rate;
		n->paced_ms = now_ms;
	} else if (more) {
		n->paced = n->paced + more < rate ? n->paced + (uint32_t)more : rate;
		n->paced_ms = now_ms;
	}
	return n->paced;
}

static unsigned send_lane(struct loader *l, struct hss_node *n, unsigned lane, uint64_t now_ms, unsigned most)
{
	unsigned sent = 0;
	for (struct hss_request *r = n->first[lane]; r && n->under_way < WINDOW && sent < most; r = r->after)
		if (!r->under_way && !r->question && r->due_ms <= now_ms) {
			r->failovers = 0;
			send_one(l, r);
			sent++;
		}
	return sent;
}

// Sends what is due, as far as the node's window and pace allow. Returns how many were sent.
static unsigned send_due(struct loader *l, struct hss_node *n, uint64_t now_ms, unsigned most)
{
	if (n->down_until_ms > now_ms)
		return 0;
	unsigned sent = send_lane(l, n, HSS_AT_ONCE, now_ms, most);
	if (!n->first[HSS_PACED] || sent == most)
		return sent;
	uint32_t may = pace(l, n, now_ms);
	unsigned paced = send_lane(l, n, HSS_PACED, now_ms, may < most - sent ? may : most - sent);
	n->paced -= paced;
	return sent + paced;
}

void hss_request_commit_take(struct loader *l, struct hss_request **rp)
{
	struct hss_requests *t = l->requests;
	uint8_t octets[255];
	struct wr joined = wr_of(octets, sizeof(octets));
	struct hss_request *r = *rp, *older = find_older(l, r, &joined);
	*rp = NULL;
	if (older)
		hss_row_remove(t, &older);
	hss_row_insert(t, r);
	struct hss_node *n = r->node;
	uint64_t now_ms = clock_mono_ms();
	if (n->down_until_ms > now_ms || n->under_way >= WINDOW)
		return;
	if (r->lane == HSS_PACED) {
		(void)send_due(l, n, now_ms, 1); // those before it first
		return;
	}
	send_one(l, r);
}

static bool load_one_request(void *ctx, imsi_t imsi, const struct hss_request_image *q)
{
	struct loader *l = ctx;
	struct hss_requests *t = l->requests;
	struct hss_request *r = t->cnt < HSS_REQUESTS_MAX ? hss_row_make(l, imsi, q) : NULL;
	if (!r)
		return t->cnt < HSS_REQUESTS_MAX;
	r->due_ms = clock_mono_ms() + 1000; // by then the workers have connected
	r->tries = 1;			    // may have been sent before
	if (q->id >= t->next_id)
		t->next_id = q->id + 1;
	hss_row_insert(t, r);
	return true;
}

int hss_requests_load(struct loader *l)
{
	return local_each_hss_request(l->local, load_one_request, l);
}

// ---- the end of a request

// Notes in the journal that the request is over. If that can't be written, it is sent once more after the
// next start. txn_begin may commit other operations, which add and remove rows, so the row is looked for
// after it.
static void finish_request(struct loader *l, imsi_t imsi, uint64_t id)
{
	struct op *op = txn_begin(l, 0, 64);
	struct hss_request *r = hss_row_find(l->requests, imsi, id);
	if (!r) {
		txn_forget(l, op);
		return;
	}
	done_entry(l, imsi, id);
	(void)txn_add(l, op);
	hss_row_remove(l->requests, &r);
}

static void is_done(struct loader *l, struct op *op, int error)
{
	(void)l;
	(void)op;
	(void)error; // the row is still there then, and is sent once more after the next start
}

static struct app_answer answer_of(const struct hss_request *r, const struct ipc_hss_sent *s, struct slice told)
{
	return (struct app_answer){.imsi = r->imsi,
				   .id = r->id,
				   .purpose = r->purpose,
				   .answered = s->status == HSS_SENT_DONE,
				   .experimental = s->experimental,
				   .result = s->result,
				   .memo = s->memo,
				   .host = hss_node_host(r->node),
				   .realm = hss_node_realm(r->node),
				   .data = hss_row_data(r),
				   .told = told};
}

// The same when its node has answered: what the application makes of that is committed with it.
static void answered_request(struct loader *l, imsi_t imsi, uint64_t id, const struct ipc_hss_sent *s, struct slice told)
{
	struct op *op = txn_begin(l, imsi.v, STATE_BODY_MAX + 8192);
	struct hss_request *r = hss_row_find(l->requests, imsi, id);
	const struct cache_record *rec = cache_find(l->cache, imsi);
	if (!r || !rec || !txn_has_slot(l)) {
		txn_forget(l, op);
		if (r)
			finish_request(l, imsi, id);
		return;
	}
	*op = (struct op){.done = is_done, .rec = *rec};
	const struct app_answer a = answer_of(r, s, told);
	loader_app(l, r->app)->answered(l, op, &a);
	done_entry(l, imsi, id);
	if (txn_add(l, op))
		hss_row_remove(l->requests, &r);
	else
		finish_request(l, imsi, id);
}

static void end_question(struct loader *l, struct hss_request *r, const struct ipc_hss_sent *s, struct slice told)
{
	const struct app_answer a = answer_of(r, s, told);
	loader_app(l, r->app)->answered(l, NULL, &a);
	hss_row_remove(l->requests, &r);
}

bool hss_request_ask(struct loader *l, imsi_t imsi, const struct hss_request_image *q)
{
	struct hss_requests *t = l->requests;
	struct hss_request_image image = *q;
	image.id = t->next_id++;
	image.created_us = clock_wall_us();
	struct hss_request *r = t->cnt < HSS_REQUESTS_MAX ? hss_row_make(l, imsi, &image) : NULL;
	if (!r)
		return false;
	r->lane = HSS_AT_ONCE;
	r->question = true;
	hss_row_insert(t, r);
	send_one(l, r);
	return true;
}

static void retry_later(struct hss_request *r, uint64_t now_ms)
{
	r->delay_ms = hss_longer(r->delay_ms);
	r->due_ms = now_ms + r->delay_ms;
}

static void go_on(struct loader *l, struct hss_request *r, uint32_t status)
{
	struct hss_node *n = r->node;
	uint64_t now_ms = clock_mono_ms();
	if (status == HSS_SENT_LOST && r->failovers < FAILOVERS) {
		// RFC 3539 3.4.1: pending requests go to an alternate at once; without one this comes back as
		// unsent
		r->failovers++;
		send_one(l, r);
		return;
	}
	retry_later(r, now_ms);
	if (status != HSS_SENT_UNSENT)
		return;
	if (r->tries)
		r->tries--; // the T flag is for what was sent (RFC 6733 3)
	r->due_ms = now_ms;
	hss_node_failed(n, now_ms);
}

void hss_request_sent(struct loader *l, const struct ipc_hdr *hdr, const uint8_t *body, uint32_t len)
{
	struct ipc_hss_sent s;
	struct rd rd = rd_of(body, len);
	const uint8_t *p = rd_take(&rd, sizeof(s));
	if (!p)
		return;
	memcpy(&s, p, sizeof(s));
	struct hss_request *r = hss_row_find(l->requests, (imsi_t){s.imsi}, hdr->id);
	if (!r)
		return; // a newer row has taken its place, or it was too old
	struct hss_node *n = r->node;
	struct slice told = rd_bytes(&rd, rd_left(&rd));
	const struct loader_app *app = loader_app(l, r->app);
	hss_row_under_way(r, false);
	if (s.status == HSS_SENT_DONE || s.status == HSS_SENT_LATER)
		hss_node_reached(n);
	loader_stat(l, STAT_HSS_REQUESTS_STALE, s.status == HSS_SENT_STALE);
	n->held++; // it stays, whatever becomes of its rows
	if (r->question)
		end_question(l, r, &s, told);
	else if (s.status == HSS_SENT_DONE && app && app->answered)
		answered_request(l, r->imsi, r->id, &s, told);
	else if (s.status == HSS_SENT_DONE || s.status == HSS_SENT_STALE)
		finish_request(l, r->imsi, r->id);
	else
		go_on(l, r, s.status);
	n->held--;
	send_due(l, n, clock_mono_ms(), 1);
}

// ---- once a second

// Nodes that could not be reached and have connected since, or that a relay knows now, are tried at once.
static void look_for_peers(struct loader *l, uint64_t now_ms)
{
	struct hss_requests *t = l->requests;
	uint32_t frontend, conn, generation;
	if (!t->look)
		t->look = t->nodes;
	for (unsigned i = 0; l->control && t->look && i < TICK_LOOKS; t->look = t->look->list) {
		struct hss_node *n = t->look;
		if (n->cnt == 0 || n->down_until_ms <= now_ms)
			continue;
		i++;
		if (control_peer_find(l->control, hss_node_host(n), &frontend, &conn, &generation) >= 0 ||
		    control_peer_find_relay(l->control, hss_node_realm(n), &frontend, &conn, &generation) >= 0)
			hss_node_reached(n);
	}
}

// The oldest request of a lane, if it is too old.
static bool expire(struct loader *l, struct hss_node *n, unsigned lane)
{
	uint64_t wall = clock_wall_us();
	uint64_t life_us = l->config ? l->config->hss_request_lifetime_s * 1000000ull : UINT64_MAX;
	struct hss_request *r = n->first[lane];
	if (!r || r->question || wall <= r->created_us || wall - r->created_us <= life_us)
		return false;
	log_warn("hss_request_expired", LOG_SLICE("host", hss_node_host(n)), LOG_INT("purpose", r->purpose),
		 LOG_INT("tries", r->tries));
	loader_stat(l, STAT_HSS_REQUESTS_EXPIRED, 1);
	finish_request(l, r->imsi, r->id);
	return true;
}

static void forget(struct loader *l, struct hss_request *r)
{
	const struct ipc_hss_sent lost = {.status = HSS_SENT_LATER};
	hss_row_under_way(r, false);
	if (r->question)
		end_question(l, r, &lost, (struct slice){0});
}

// Requests that a worker lost without a word: they are sent again; a question is over.
static void forget_lost(struct loader *l, struct hss_node *n, unsigned lane, uint64_t now_ms)
{
	for (struct hss_request *r = n->first[lane], *next; r; r = next) {
		next = r->after;
		if (r->due_ms <= now_ms && (r->under_way || r->question))
			forget(l, r);
	}
}

void hss_requests_worker_lost(struct loader *l, unsigned worker)
{
	uint64_t now_ms = clock_mono_ms();
	for (struct hss_node *n = l->requests->nodes; n; n = n->list) {
		for (unsigned lane = 0; lane < HSS_LANES; lane++)
			for (struct hss_request *r = n->first[lane], *next; n->under_way && r; r = next) {
				next = r->after;
				if (!r->under_way || r->worker != worker)
					continue;
				r->due_ms = now_ms;
				forget(l, r);
			}
	}
}

void hss_requests_tick(struct loader *l)
{
	struct hss_requests *t = l->requests;
	uint64_t now_ms = clock_mono_ms();
	unsigned sent = 0;
	if (t->cnt == 0)
		return;
	look_for_peers(l, now_ms);
	for (struct hss_node *n = t->nodes; n && sent < TICK_SENDS; n = n->list) {
		n->held++;
		for (unsigned lane = 0; lane < HSS_LANES; lane++) {
			while (sent < TICK_SENDS && expire(l, n, lane))
				sent++;
			forget_lost(l, n, lane, now_ms);
		}
		sent += send_due(l, n, now_ms, TICK_SENDS - sent);
		n->held--;
	}
	if (t->node_cnt > HSS_NODES_MAX / 2)
		hss_nodes_forget_idle(t);
}

// ---- for operators

unsigned hss_requests_retry(struct loader *l, imsi_t imsi, struct slice host)
{
	uint64_t now_ms = clock_mono_ms();
	unsigned cnt = 0;
	for (struct hss_node *n = l->requests->nodes; n; n = n->list) {
		unsigned of_node = 0;
		if (host.len && !slice_eq_nocase(hss_node_host(n), host))
			continue;
		for (unsigned lane = 0; lane < HSS_LANES; lane++)
			for (struct hss_request *r = n->first[lane]; r; r = r->after)
				if (!r->under_way && !r->question && (imsi.v == 0 || r->imsi.v == imsi.v)) {
					r->due_ms = now_ms;
					r->delay_ms = 0;
					of_node++;
				}
		if (of_node)
			hss_node_reached(n);
		(void)send_due(l, n, now_ms, of_node);
		cnt += of_node;
	}
	return cnt;
}

unsigned hss_requests_drop(struct loader *l, imsi_t imsi)
{
	unsigned cnt = 0;
	for (struct hss_request *r = hss_row_first(l->requests, imsi), *next; r; r = next) {
		next = r->next;
		if (r->imsi.v != imsi.v || r->question)
			continue;
		done_entry(l, imsi, r->id);
		hss_row_remove(l->requests, &r);
		cnt++;
	}
	return cnt;
}

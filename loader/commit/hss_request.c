// The table of HSS-initiated requests: see hss_request.h. Rows are found by subscriber and number, and stand in the queue
// of their node. Loader process, main thread.
#include "loader/commit/hss_request.h"
#include <errno.h>
#include <stdlib.h>
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "loader/app.h"
#include "loader/commit/txn.h"

#define BUCKETS	      4096u
#define REQUESTS_MAX  200000u
#define NODES_MAX     65536u
#define WINDOW	      64u    // on their way to one node
#define RETRY_MS      10000u // doubled each time
#define RETRY_MAX_MS  60000u
#define TICK_SENDS    2000u
#define TICK_LOOKS    64u // nodes that are looked for among the peers, a tick
#define FAILOVERS     4u  // a request is sent again at once so often, until it is due again

struct node {
	struct node *next; // of its bucket
	struct node *list; // of all nodes
	struct hss_request *first, *last; // in the order of their arrival
	uint32_t cnt, under_way;
	uint32_t held; // rows that name it, committed or not
	uint64_t down_until_ms; // monotonic; 0: it can be reached as far as we know
	uint32_t delay_ms;	// after the next failure
	uint8_t host_len, realm_len;
	char text[]; // host, realm
};

struct hss_request {
	struct hss_request *next;	  // of its bucket
	struct hss_request *before, *after; // in its node's queue
	struct node *node;
	uint64_t id;
	imsi_t imsi;
	uint64_t created_us;
	uint64_t due_ms; // monotonic: when it is sent again
	uint32_t tries, failovers;
	uint32_t delay_ms; // after the last failure
	bool under_way;
	uint8_t app, purpose;
	uint8_t data_len;
	uint8_t data[];
};

struct hss_requests {
	struct hss_request *bucket[BUCKETS];
	struct node *node[BUCKETS], *nodes, *look; // look: where the next tick goes on to look for peers
	unsigned cnt, node_cnt;
	uint64_t next_id;
	struct log_limit full;
};

int hss_requests_new(struct loader *l)
{
	l->requests = calloc(1, sizeof(*l->requests));
	if (!l->requests)
		return -ENOMEM;
	// Ids grow over restarts too, so that a worker's late word about an old request never meets a new one; the rows
	// that are read raise it further, when the clock was set back.
	l->requests->next_id = clock_wall_us();
	return 0;
}

void hss_request_free(struct hss_request **r)
{
	if (*r)
		(*r)->node->held--;
	free(*r);
	*r = NULL;
}

void hss_requests_free(struct loader *l)
{
	struct hss_requests *t = l->requests;
	if (!t)
		return;
	for (struct node *n = t->nodes, *next; n; n = next) {
		next = n->list;
		while (n->first) {
			struct hss_request *r = n->first;
			n->first = r->after;
			free(r);
		}
		free(n);
	}
	free(t);
	l->requests = NULL;
}

unsigned hss_requests_pending(const struct loader *l)
{
	return l->requests->cnt;
}

// ---- nodes

static struct slice host_of(const struct node *n)
{
	return slice_of(n->text, n->host_len);
}

static struct slice realm_of(const struct node *n)
{
	return slice_of(n->text + n->host_len, n->realm_len);
}

static struct node *node_of(struct hss_requests *t, struct slice host, struct slice realm)
{
	struct node **head = &t->node[ident_hash_bytes(host, true) % BUCKETS];
	for (struct node *n = *head; n; n = n->next)
		if (slice_eq_nocase(host_of(n), host) && slice_eq_nocase(realm_of(n), realm))
			return n;
	struct node *n = host.len <= 255 && realm.len <= 255 && t->node_cnt < NODES_MAX
			     ? calloc(1, sizeof(*n) + host.len + realm.len)
			     : NULL;
	if (!n)
		return NULL;
	n->host_len = (uint8_t)host.len;
	n->realm_len = (uint8_t)realm.len;
	struct wr w = wr_of(n->text, (size_t)host.len + realm.len);
	wr_slice(&w, host);
	wr_slice(&w, realm);
	n->next = *head;
	*head = n;
	n->list = t->nodes;
	t->nodes = n;
	t->node_cnt++;
	return n;
}

static void node_reached(struct node *n)
{
	n->down_until_ms = 0;
	n->delay_ms = 0;
}

static uint32_t longer(uint32_t delay_ms)
{
	if (delay_ms == 0)
		return RETRY_MS;
	return delay_ms * 2 < RETRY_MAX_MS ? delay_ms * 2 : RETRY_MAX_MS;
}

static void node_failed(struct node *n, uint64_t now_ms)
{
	if (n->down_until_ms > now_ms)
		return;
	n->delay_ms = longer(n->delay_ms);
	n->down_until_ms = now_ms + n->delay_ms;
}

// ---- rows

static struct hss_request *make(struct hss_requests *t, imsi_t imsi, const struct hss_request_image *q)
{
	struct node *n = q->data.len <= 255 ? node_of(t, q->host, q->realm) : NULL;
	struct hss_request *r = n ? calloc(1, sizeof(*r) + q->data.len) : NULL;
	if (!r)
		return NULL;
	n->held++;
	*r = (struct hss_request){.node = n,
				  .id = q->id,
				  .imsi = imsi,
				  .created_us = q->created_us,
				  .app = q->app,
				  .purpose = q->purpose,
				  .data_len = (uint8_t)q->data.len};
	if (q->data.len)
		memcpy(r->data, q->data.p, q->data.len);
	return r;
}

static struct hss_request **bucket_of(struct hss_requests *t, imsi_t imsi)
{
	return &t->bucket[ident_hash(imsi.v) % BUCKETS];
}

static void insert(struct hss_requests *t, struct hss_request *r)
{
	struct hss_request **head = bucket_of(t, r->imsi);
	struct node *n = r->node;
	r->next = *head;
	*head = r;
	r->before = n->last;
	if (n->last)
		n->last->after = r;
	else
		n->first = r;
	n->last = r;
	n->cnt++;
	t->cnt++;
}

static void remove_free(struct hss_requests *t, struct hss_request **rp)
{
	struct hss_request *r = *rp, **at = bucket_of(t, r->imsi);
	struct node *n = r->node;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	if (r->before)
		r->before->after = r->after;
	else
		n->first = r->after;
	if (r->after)
		r->after->before = r->before;
	else
		n->last = r->before;
	n->cnt--;
	n->under_way -= r->under_way;
	t->cnt--;
	hss_request_free(rp);
}

static struct hss_request *find(struct hss_requests *t, imsi_t imsi, uint64_t id)
{
	struct hss_request *r = *bucket_of(t, imsi);
	while (r && r->id != id)
		r = r->next;
	return r;
}

// Finds the row that the new one replaces: of the same purpose for the same node, unless the application tells them apart.
static struct hss_request *find_older(struct loader *l, const struct hss_request *q)
{
	const struct loader_app *app = loader_app(l, q->app);
	for (struct hss_request *r = *bucket_of(l->requests, q->imsi); r; r = r->next)
		if (r->imsi.v == q->imsi.v && r->app == q->app && r->purpose == q->purpose && r->node == q->node &&
		    r != q &&
		    (!app || !app->replaces ||
		     app->replaces(slice_of(q->data, q->data_len), slice_of(r->data, r->data_len))))
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
	struct hss_request *r = op->request_cnt < OP_REQUEST_MAX && t->cnt < REQUESTS_MAX ? make(t, imsi, &image) : NULL;
	if (!r) {
		if (log_limit_pass(&t->full, 1))
			log_error("hss_requests_full", LOG_INT("limit", REQUESTS_MAX), LOG_SLICE("host", q->host));
		return;
	}
	op->request[op->request_cnt++] = r;
	const struct hss_request *older = find_older(l, r);
	if (older)
		done_entry(l, imsi, older->id);
	struct wr w = txn_entry(l);
	entry_put_hss_request(&w, &image);
	txn_entry_end(l, &w, ENTRY_HSS_REQUEST, imsi);
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

static void set_under_way(struct hss_request *r, bool under_way)
{
	r->node->under_way += under_way;
	r->node->under_way -= r->under_way;
	r->under_way = under_way;
}

static void send_one(struct loader *l, struct hss_request *r)
{
	const struct node *n = r->node;
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
	r->due_ms = clock_mono_ms() + RETRY_MS + timeout_ms;
	if (!pick_worker(l, r->imsi, &worker))
		return;
	struct wr w = wr_of(body, sizeof(body));
	wr_bytes(&w, &d, sizeof(d));
	wr_bytes(&w, n->text, (size_t)n->host_len + n->realm_len);
	wr_bytes(&w, r->data, r->data_len);
	set_under_way(r, true);
	l->send(l, ROLE_WORKER, worker, IPC_HSS_SEND, r->id, body, wr_len(&w));
	r->tries++;
}

// Sends what is due, as far as the node's window allows. Returns how many were sent.
static unsigned send_due(struct loader *l, struct node *n, uint64_t now_ms, unsigned most)
{
	unsigned sent = 0;
	if (n->down_until_ms > now_ms)
		return 0;
	for (struct hss_request *r = n->first; r && n->under_way < WINDOW && sent < most; r = r->after)
		if (!r->under_way && r->due_ms <= now_ms) {
			r->failovers = 0;
			send_one(l, r);
			sent++;
		}
	return sent;
}

void hss_request_commit_take(struct loader *l, struct hss_request **rp)
{
	struct hss_requests *t = l->requests;
	struct hss_request *r = *rp, *older = find_older(l, r);
	*rp = NULL;
	if (older)
		remove_free(t, &older);
	insert(t, r);
	if (r->node->down_until_ms <= clock_mono_ms() && r->node->under_way < WINDOW)
		send_one(l, r);
}

static bool load_one_request(void *ctx, imsi_t imsi, const struct hss_request_image *q)
{
	struct loader *l = ctx;
	struct hss_requests *t = l->requests;
	struct hss_request *r = t->cnt < REQUESTS_MAX ? make(t, imsi, q) : NULL;
	if (!r)
		return t->cnt < REQUESTS_MAX;
	r->due_ms = clock_mono_ms() + 1000; // by then the workers have connected
	r->tries = 1;			    // may have been sent before
	if (q->id >= t->next_id)
		t->next_id = q->id + 1;
	insert(t, r);
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
	struct hss_request *r = find(l->requests, imsi, id);
	if (!r) {
		txn_forget(l, op);
		return;
	}
	done_entry(l, imsi, id);
	(void)txn_add(l, op);
	remove_free(l->requests, &r);
}

static void retry_later(struct hss_request *r, uint64_t now_ms)
{
	r->delay_ms = longer(r->delay_ms);
	r->due_ms = now_ms + r->delay_ms;
}

static void go_on(struct loader *l, struct hss_request *r, uint32_t status)
{
	struct node *n = r->node;
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
	node_failed(n, now_ms);
}

void hss_request_sent(struct loader *l, const struct ipc_hdr *hdr, const uint8_t *body, uint32_t len)
{
	struct ipc_hss_sent s;
	struct rd rd = rd_of(body, len);
	const uint8_t *p = rd_take(&rd, sizeof(s));
	if (!p)
		return;
	memcpy(&s, p, sizeof(s));
	struct hss_request *r = find(l->requests, (imsi_t){s.imsi}, hdr->id);
	if (!r)
		return; // a newer row has taken its place, or it was too old
	struct node *n = r->node;
	set_under_way(r, false);
	if (s.status == HSS_SENT_DONE || s.status == HSS_SENT_LATER)
		node_reached(n);
	loader_stat(l, STAT_HSS_REQUESTS_STALE, s.status == HSS_SENT_STALE);
	if (s.status == HSS_SENT_DONE || s.status == HSS_SENT_STALE)
		finish_request(l, r->imsi, r->id);
	else
		go_on(l, r, s.status);
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
		struct node *n = t->look;
		if (n->cnt == 0 || n->down_until_ms <= now_ms)
			continue;
		i++;
		if (control_peer_find(l->control, host_of(n), &frontend, &conn, &generation) >= 0 ||
		    control_peer_find_relay(l->control, realm_of(n), &frontend, &conn, &generation) >= 0)
			node_reached(n);
	}
}

static bool expire(struct loader *l, struct node *n)
{
	uint64_t wall = clock_wall_us();
	uint64_t life_us = l->config ? l->config->hss_request_lifetime_s * 1000000ull : UINT64_MAX;
	struct hss_request *r = n->first; // the oldest
	if (!r || wall <= r->created_us || wall - r->created_us <= life_us)
		return false;
	log_warn("hss_request_expired", LOG_SLICE("host", host_of(n)), LOG_INT("purpose", r->purpose),
		 LOG_INT("tries", r->tries));
	loader_stat(l, STAT_HSS_REQUESTS_EXPIRED, 1);
	finish_request(l, r->imsi, r->id);
	return true;
}

// Nodes that nothing waits for: their names come from peers, so they must not pile up.
static void forget_idle_nodes(struct hss_requests *t)
{
	for (struct node **at = &t->nodes, *n; (n = *at);) {
		struct node **in = &t->node[ident_hash_bytes(host_of(n), true) % BUCKETS];
		if (n->held) {
			at = &n->list;
			continue;
		}
		while (*in != n)
			in = &(*in)->next;
		*in = n->next;
		*at = n->list;
		t->node_cnt--;
		free(n);
	}
	t->look = t->nodes;
}

void hss_requests_tick(struct loader *l)
{
	struct hss_requests *t = l->requests;
	uint64_t now_ms = clock_mono_ms();
	unsigned sent = 0;
	if (t->cnt == 0)
		return;
	look_for_peers(l, now_ms);
	for (struct node *n = t->nodes; n && sent < TICK_SENDS; n = n->list) {
		while (sent < TICK_SENDS && expire(l, n))
			sent++;
		for (struct hss_request *r = n->first; r && n->under_way; r = r->after)
			if (r->under_way && r->due_ms <= now_ms) // its worker died with it, or lost it
				set_under_way(r, false);
		sent += send_due(l, n, now_ms, TICK_SENDS - sent);
	}
	if (t->node_cnt > NODES_MAX / 2)
		forget_idle_nodes(t);
}

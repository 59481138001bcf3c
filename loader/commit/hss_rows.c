// The table of HSS-initiated requests (hss_rows.h): rows are found by subscriber and number, and stand in the queue of
// their node. Loader process, main thread.
#include "loader/commit/hss_rows.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/app.h"

#define RETRY_MAX_MS 60000u
#define WAITING_MAX  32u // nodes that hss_requests_waiting names
#define WAITING_S    60u // a request that is older waits, though its node can be reached

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
	for (struct hss_node *n = t->nodes, *next; n; n = next) {
		next = n->list;
		for (unsigned lane = 0; lane < HSS_LANES; lane++)
			while (n->first[lane]) {
				struct hss_request *r = n->first[lane];
				n->first[lane] = r->after;
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

// Of the rows that may be sent at once the oldest one's, else of those that are sent slowly; seconds.
static uint64_t oldest_s(const struct hss_node *n)
{
	const struct hss_request *r = n->first[HSS_AT_ONCE] ? n->first[HSS_AT_ONCE] : n->first[HSS_PACED];
	uint64_t now_us = clock_wall_us();
	return r && now_us > r->created_us ? (now_us - r->created_us) / 1000000 : 0;
}

json_t *hss_requests_waiting(const struct loader *l)
{
	json_t *list = json_array();
	for (const struct hss_node *n = l->requests->nodes; n && json_array_size(list) < WAITING_MAX; n = n->list) {
		// paced ones of a node that answers wait for their turn, which is no fault
		bool late = n->first[HSS_AT_ONCE] && oldest_s(n) >= WAITING_S;
		if (!n->cnt || (n->down_until_ms == 0 && !late))
			continue;
		char host[256];
		snprintf(host, sizeof(host), "%.*s", (int)n->host_len, n->text);
		json_t *row = json_pack("{s:s,s:I,s:I,s:b}", "host", host, "requests", (json_int_t)n->cnt, "age_s",
					(json_int_t)oldest_s(n), "reached", (int)(n->down_until_ms == 0));
		if (row) // NULL: a host that is no UTF-8
			json_array_append_new(list, row);
	}
	return list;
}

// ---- nodes

struct slice hss_node_host(const struct hss_node *n)
{
	return slice_of(n->text, n->host_len);
}

struct slice hss_node_realm(const struct hss_node *n)
{
	return slice_of(n->text + n->host_len, n->realm_len);
}

struct hss_node *hss_node_of(struct hss_requests *t, struct slice host, struct slice realm)
{
	struct hss_node **head = &t->node[ident_hash_bytes(host, true) % HSS_BUCKETS];
	for (struct hss_node *n = *head; n; n = n->next)
		if (slice_eq_nocase(hss_node_host(n), host) && slice_eq_nocase(hss_node_realm(n), realm))
			return n;
	struct hss_node *n = host.len <= 255 && realm.len <= 255 && t->node_cnt < HSS_NODES_MAX
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

void hss_node_reached(struct hss_node *n)
{
	n->down_until_ms = 0;
	n->delay_ms = 0;
}

uint32_t hss_longer(uint32_t delay_ms)
{
	if (delay_ms == 0)
		return HSS_RETRY_MS;
	return delay_ms * 2 < RETRY_MAX_MS ? delay_ms * 2 : RETRY_MAX_MS;
}

void hss_node_failed(struct hss_node *n, uint64_t now_ms)
{
	if (n->down_until_ms > now_ms)
		return;
	n->delay_ms = hss_longer(n->delay_ms);
	n->down_until_ms = now_ms + n->delay_ms;
}

// ---- rows

struct hss_request *hss_row_make(struct loader *l, imsi_t imsi, const struct hss_request_image *q)
{
	struct hss_node *n = q->data.len <= 255 ? hss_node_of(l->requests, q->host, q->realm) : NULL;
	const struct loader_app *app = loader_app(l, q->app);
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
				  .lane = app && app->request_kind && app->request_kind(q->purpose)->paced ? HSS_PACED : HSS_AT_ONCE,
				  .data_len = (uint8_t)q->data.len};
	if (q->data.len)
		memcpy(r->data, q->data.p, q->data.len);
	return r;
}

unsigned hss_requests_bucket(imsi_t imsi)
{
	return (unsigned)(ident_hash(imsi.v) % HSS_BUCKETS);
}

static struct hss_request **bucket_of(struct hss_requests *t, imsi_t imsi)
{
	return &t->bucket[hss_requests_bucket(imsi)];
}

void hss_row_insert(struct hss_requests *t, struct hss_request *r)
{
	struct hss_request **head = bucket_of(t, r->imsi);
	struct hss_node *n = r->node;
	r->next = *head;
	*head = r;
	r->before = n->last[r->lane];
	if (r->before)
		r->before->after = r;
	else
		n->first[r->lane] = r;
	n->last[r->lane] = r;
	n->cnt++;
	t->cnt++;
}

void hss_row_remove(struct hss_requests *t, struct hss_request **rp)
{
	struct hss_request *r = *rp, **at = bucket_of(t, r->imsi);
	struct hss_node *n = r->node;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	if (r->before)
		r->before->after = r->after;
	else
		n->first[r->lane] = r->after;
	if (r->after)
		r->after->before = r->before;
	else
		n->last[r->lane] = r->before;
	n->cnt--;
	n->under_way -= r->under_way;
	t->cnt--;
	hss_request_free(rp);
}

struct hss_request *hss_row_first(const struct hss_requests *t, imsi_t imsi)
{
	return t->bucket[hss_requests_bucket(imsi)];
}

struct hss_request *hss_row_find(const struct hss_requests *t, imsi_t imsi, uint64_t id)
{
	struct hss_request *r = hss_row_first(t, imsi);
	while (r && r->id != id)
		r = r->next;
	return r;
}

struct slice hss_row_data(const struct hss_request *r)
{
	return slice_of(r->data, r->data_len);
}

void hss_row_under_way(struct hss_request *r, bool under_way)
{
	r->node->under_way += under_way;
	r->node->under_way -= r->under_way;
	r->under_way = under_way;
}

void hss_nodes_forget_idle(struct hss_requests *t)
{
	for (struct hss_node **at = &t->nodes, *n; (n = *at);) {
		struct hss_node **in = &t->node[ident_hash_bytes(hss_node_host(n), true) % HSS_BUCKETS];
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

// ---- for operators

static struct hss_request_view view_of(const struct loader *l, const struct hss_request *r, uint64_t now_ms)
{
	const struct loader_app *app = loader_app(l, r->app);
	const struct app_request_kind *kind = app && app->request_kind ? app->request_kind(r->purpose) : NULL;
	bool away = r->node->down_until_ms > now_ms;
	return (struct hss_request_view){.imsi = r->imsi,
					 .application = app ? app->name : "?",
					 .command = kind ? kind->command : "?",
					 .host = hss_node_host(r->node),
					 .created_us = r->created_us,
					 .tries = r->tries,
					 .state = r->under_way ? "sent" : away ? "node_away" : "waiting"};
}

void hss_requests_each(const struct loader *l, unsigned bucket, void (*fn)(void *ctx, const struct hss_request_view *v),
		       void *ctx)
{
	uint64_t now_ms = clock_mono_ms();
	for (const struct hss_request *r = l->requests->bucket[bucket]; r; r = r->next) {
		const struct hss_request_view v = view_of(l, r, now_ms);
		fn(ctx, &v);
	}
}

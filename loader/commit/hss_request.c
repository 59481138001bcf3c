// See own.h. Loader process, main thread.
#include "loader/commit/hss_request.h"
#include <errno.h>
#include <stdlib.h>
#include "loader/commit/txn.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define OWN_BUCKETS    4096u
#define OWN_MAX        200000u
#define OWN_RETRY_MS   10000u
#define OWN_TICK_SENDS 2000u
#define OWN_FAILOVERS  4u // resends at once of one request, until it was due again

struct own_request {
	struct own_request *next; // of its bucket
	uint64_t id;
	imsi_t imsi;
	uint64_t created_us;
	uint64_t due_ms; // monotonic: when it is sent again
	uint32_t type, flags, tries, failovers;
	unsigned worker;
	uint8_t host_len, realm_len;
	char text[]; // host, realm
};

struct own {
	struct own_request *bucket[OWN_BUCKETS];
	unsigned cnt;
	uint64_t next_id;
	struct log_limit full;
};

int own_table_new(struct loader *l)
{
	l->own = calloc(1, sizeof(*l->own));
	if (!l->own)
		return -ENOMEM;
	// ids grow over restarts too: a worker's late word about an old request never meets a new one
	l->own->next_id = clock_wall_us();
	return 0;
}

void own_table_free(struct loader *l)
{
	if (!l->own)
		return;
	for (unsigned i = 0; i < OWN_BUCKETS; i++)
		while (l->own->bucket[i]) {
			struct own_request *r = l->own->bucket[i];
			l->own->bucket[i] = r->next;
			own_request_free(&r);
		}
	free(l->own);
	l->own = NULL;
}

void own_request_free(struct own_request **r)
{
	free(*r);
	*r = NULL;
}

unsigned own_pending(const struct loader *l)
{
	return l->own->cnt;
}

static struct own_request *make(imsi_t imsi, const struct own_image *o)
{
	if (o->host.len > 255 || o->realm.len > 255)
		return NULL;
	struct own_request *r = calloc(1, sizeof(*r) + o->host.len + o->realm.len);
	if (!r)
		return NULL;
	*r = (struct own_request){.id = o->id,
				  .imsi = imsi,
				  .created_us = o->created_us,
				  .type = o->type,
				  .flags = o->flags,
				  .host_len = (uint8_t)o->host.len,
				  .realm_len = (uint8_t)o->realm.len};
	struct wr w = wr_of(r->text, (size_t)o->host.len + o->realm.len);
	wr_slice(&w, o->host);
	wr_slice(&w, o->realm);
	return r;
}

static void insert(struct own *own, struct own_request *r)
{
	struct own_request **head = &own->bucket[ident_hash(r->id) % OWN_BUCKETS];
	r->next = *head;
	*head = r;
	own->cnt++;
}

static struct own_request **find(struct own *own, uint64_t id)
{
	struct own_request **at = &own->bucket[ident_hash(id) % OWN_BUCKETS];
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

void own_clr(struct loader *l, struct op *op, imsi_t imsi, struct slice host, struct slice realm,
	     uint32_t type, uint32_t flags, unsigned worker)
{
	if (op->own_cnt == OP_OWN_MAX || l->own->cnt >= OWN_MAX) {
		if (log_limit_pass(&l->own->full, 1))
			log_error("own_requests_full", LOG_INT("limit", OWN_MAX), LOG_SLICE("host", host));
		return;
	}
	struct own_image o = {.id = l->own->next_id++,
			      .created_us = clock_wall_us(),
			      .type = type,
			      .flags = flags,
			      .host = host,
			      .realm = realm};
	struct own_request *r = make(imsi, &o);
	if (!r)
		return;
	r->worker = worker;
	op->own[op->own_cnt++] = r;
	struct wr w = txn_entry(l);
	entry_put_own(&w, &o);
	txn_entry_end(l, &w, ENTRY_OWN_PUT, imsi);
}

// A worker that is there: the one that caused it if possible (its peer is likelier connected through it).
static bool pick_worker(const struct loader *l, unsigned *worker)
{
	for (unsigned i = 0; i < WORKER_MAX; i++) {
		unsigned w = (*worker + i) % WORKER_MAX;
		if (l->worker[w].ch || !l->env) {
			*worker = w;
			return true;
		}
	}
	return false;
}

static void deliver(struct loader *l, struct own_request *r)
{
	uint8_t body[sizeof(struct ipc_deliver) + 512];
	struct ipc_deliver d = {.imsi = r->imsi.v,
				.cancellation_type = r->type,
				.clr_flags = r->flags,
				.host_len = r->host_len,
				.realm_len = r->realm_len,
				.tries = r->tries};
	uint32_t timeout = l->config ? l->config->clr_timeout_ms : 0;
	r->due_ms = clock_mono_ms() + OWN_RETRY_MS + timeout;
	if (!pick_worker(l, &r->worker))
		return;
	struct wr w = wr_of(body, sizeof(body));
	wr_bytes(&w, &d, sizeof(d));
	wr_bytes(&w, r->text, (size_t)r->host_len + r->realm_len);
	l->send(l, ROLE_WORKER, r->worker, IPC_DELIVER, r->id, body, wr_len(&w));
	r->tries++;
}

void own_add_take(struct loader *l, struct own_request **rp)
{
	struct own_request *r = *rp;
	*rp = NULL;
	insert(l->own, r);
	deliver(l, r);
}

static bool load_one_own(void *ctx, imsi_t imsi, const struct own_image *o)
{
	struct loader *l = ctx;
	struct own_request *r = l->own->cnt < OWN_MAX ? make(imsi, o) : NULL;
	if (!r)
		return l->own->cnt < OWN_MAX;
	r->due_ms = clock_mono_ms() + 1000; // the workers come first
	r->tries = 1;                       // may have been sent before
	if (o->id >= l->own->next_id)
		l->own->next_id = o->id + 1;
	insert(l->own, r);
	return true;
}

int own_load(struct loader *l)
{
	return local_each_own(l->local, load_one_own, l);
}

// Notes in the journal that it is over. When that can't be written it is delivered once more after the next
// start.
static void finish_request(struct loader *l, struct own_request **at)
{
	struct own_request *r = *at;
	// Unlinked first: txn_begin may commit a full batch, whose new requests go to the head of this very bucket.
	*at = r->next;
	l->own->cnt--;
	struct op *op = txn_begin(l, 0, 64);
	struct wr w = txn_entry(l);
	entry_put_u64(&w, r->id);
	txn_entry_end(l, &w, ENTRY_OWN_DONE, r->imsi);
	(void)txn_add(l, op);
	own_request_free(&r);
}

void own_delivered(struct loader *l, const struct ipc_hdr *hdr, const uint8_t *body, uint32_t len)
{
	struct rd r = rd_of(body, len);
	uint64_t status = 0;
	const uint8_t *p = rd_take(&r, sizeof(status));
	if (p)
		memcpy(&status, p, sizeof(status));
	struct own_request **at = find(l->own, hdr->id);
	if (!p || !*at)
		return;
	struct own_request *own = *at;
	if (status == DELIVERED_DONE) {
		finish_request(l, at);
		return;
	}
	if (status == DELIVERED_UNSENT && own->tries)
		own->tries--; // the T flag is for what was sent (RFC 6733 3)
	if (status == DELIVERED_LOST && own->failovers < OWN_FAILOVERS) {
		// RFC 3539 3.4.1: what is pending goes to an alternate now; without one it comes back as
		// unsent
		own->failovers++;
		deliver(l, own);
		return;
	}
	own->due_ms = clock_mono_ms() + OWN_RETRY_MS;
}

void own_tick(struct loader *l)
{
	uint64_t now = clock_mono_ms(), wall = clock_wall_us();
	uint64_t life_us = l->config ? l->config->clr_lifetime_s * 1000000ull : UINT64_MAX;
	unsigned sent = 0;
	for (unsigned i = 0; i < OWN_BUCKETS && l->own->cnt; i++) {
		struct own_request **at = &l->own->bucket[i];
		while (*at && sent < OWN_TICK_SENDS) {
			struct own_request *r = *at;
			if (wall > r->created_us && wall - r->created_us > life_us) {
				log_warn("own_request_expired",
					 LOG_SLICE("host", slice_of(r->text, r->host_len)),
					 LOG_INT("tries", r->tries));
				finish_request(l, at);
				sent++;
				continue;
			}
			if (now >= r->due_ms) {
				r->failovers = 0;
				deliver(l, r);
				sent++;
			}
			at = &r->next;
		}
	}
}

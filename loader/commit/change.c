// Changes of an application's state: see change.h. The worker has decided; here it is checked that nothing has changed
// since, and made durable. What the octets of a state mean only its application knows. Loader process; laws 6 and 9.
#include "loader/commit/change.h"
#include <errno.h>
#include "cache/state.h"
#include "lib/base/change_key.h"
#include "lib/base/log.h"
#include "loader/commit/hss_request.h"
#include "loader/commit/load.h"
#include "loader/commit/txn.h"
#include "loader/upstream/outbox.h"

#define REQUEST_ROOM 1024 // octets of an HSS-initiated request and of the end of the one that it replaces
#define CHANGE_ROOM  (STATE_BODY_MAX + 3 * STATE_KEPT_MAX + OP_REQUEST_MAX * REQUEST_ROOM)
#define HDR_RESENT 1 // ipc_hdr.flags of a CHANGE: sent again after a loader restart

// One CHANGE on its way through.
struct change {
	struct loader *l;
	unsigned worker;
	const struct ipc_hdr *hdr;
	struct ipc_change c;
	const struct loader_app *app;
	struct slice state, kept[2];
	struct rd requests;
	const struct cache_record *rec; // as it is
	uint16_t version;
	uint64_t last_key;
};

static void ack(struct loader *l, unsigned worker, uint64_t id, uint64_t status)
{
	l->send(l, ROLE_WORKER, worker, IPC_CHANGE_ACK, id, &status, sizeof(status));
}

static void on_done(struct loader *l, struct op *op, int error)
{
	loader_stat(l, STAT_CHANGES, error == 0);
	if (error == 0 && l->outbox)
		outbox_state(l, op->rec.imsi);
	if (op->generation == l->worker[op->index].generation)
		ack(l, op->index, op->id, error ? CHANGE_REFUSED : CHANGE_DONE);
}

static bool next_request(struct rd *r, struct hss_request_image *out)
{
	struct ipc_change_request head;
	const uint8_t *p = rd_take(r, sizeof(head));
	if (!p)
		return false;
	memcpy(&head, p, sizeof(head));
	*out = (struct hss_request_image){.purpose = head.purpose};
	out->host = rd_bytes(r, head.host_len);
	out->realm = rd_bytes(r, head.realm_len);
	out->data = rd_bytes(r, head.data_len);
	return !r->err && out->host.len;
}

static bool parse(struct change *ch, const uint8_t *body, uint32_t len)
{
	struct rd r = rd_of(body, len);
	struct hss_request_image q;
	const uint8_t *p = rd_take(&r, sizeof(ch->c));
	if (!p)
		return false;
	memcpy(&ch->c, p, sizeof(ch->c));
	ch->state = rd_bytes(&r, ch->c.state_len);
	ch->kept[0] = rd_bytes(&r, ch->c.kept_len[0]);
	ch->kept[1] = rd_bytes(&r, ch->c.kept_len[1]);
	ch->requests = r;
	for (unsigned i = 0; i < ch->c.request_cnt; i++)
		if (!next_request(&r, &q))
			return false;
	ch->app = loader_app(ch->l, ch->c.app);
	return !r.err && rd_left(&r) == 0 && ch->app && ch->c.app < STATE_ROW_DATA && ch->c.request_cnt <= OP_REQUEST_MAX && (ch->state.len || !ch->app->publish) &&
	       ch->state.len <= STATE_BODY_MAX && ch->kept[0].len <= STATE_KEPT_MAX &&
	       ch->kept[1].len <= STATE_KEPT_MAX - 2;
}

// ---- repetitions (law 9)

static struct dup_entry *dup_slot(const struct change *ch)
{
	return &ch->l->dup[ident_hash(ch->c.imsi ^ (uint64_t)ch->c.app << 56) & (DUP_CNT - 1)];
}

// The key of the change before the last one. What memory does not hold the state row knows; it is only asked
// about requests that say that they are repeated.
static uint64_t key_before(const struct change *ch)
{
	const struct dup_entry *d = dup_slot(ch);
	struct state_row row;
	if (d->imsi == ch->c.imsi && d->app == ch->c.app)
		return d->key;
	if (!(ch->c.options & CHANGE_REPEATED) && !(ch->hdr->flags & HDR_RESENT))
		return 0;
	return local_read_state(ch->l->local, ch->rec->imsi, ch->c.app, &row) == 1 ? row.key[1] : 0;
}

static bool is_repetition(const struct change *ch)
{
	return change_key_same(ch->c.key, ch->last_key) || change_key_same(ch->c.key, key_before(ch));
}

static void remember_keys(const struct change *ch)
{
	*dup_slot(ch) = (struct dup_entry){.imsi = ch->c.imsi, .app = ch->c.app, .key = ch->last_key};
}

// ---- the change

// Version and key of the last change, 0 when there is none.
static void seen(const struct loader *l, const struct loader_app *app, const struct cache_record *r, uint16_t *version,
		 uint64_t *key)
{
	struct cache_state s;
	if (app->seen) {
		app->seen(r, version, key);
		return;
	}
	(void)cache_state_find(l->cache, r, app->number, &s);
	*version = s.version;
	*key = s.key;
}

// Remembers a row for the publication. Its body is what the entry in `w` ends with.
static void take_row(struct op *op, const struct state_row *row, const struct wr *w)
{
	if (w->err)
		return; // txn_add refuses
	struct state_row *to = &op->state[op->state_cnt++];
	*to = *row;
	to->body = slice_of(w->base + wr_len(w) - row->body.len, row->body.len);
}

bool change_state(struct loader *l, struct op *op, const struct loader_app *app, struct slice state, uint64_t key,
		  const struct state_kept *kept)
{
	struct state_row row = {.app = (uint8_t)app->number, .body = state};
	seen(l, app, &op->rec, &row.version, &row.key[1]);
	row.version = row.version == UINT16_MAX ? 1 : row.version + 1; // 0 is no state's
	row.key[0] = key ? key : row.key[1];
	if (app->publish ? !app->publish(l->builder, &row, &op->rec) : op->state_cnt == OP_STATE_MAX) {
		loader_stat(l, STAT_CACHE_FULL, 1);
		return false;
	}
	struct wr w = txn_entry(l);
	entry_put_state(&w, &row, kept);
	txn_entry_end(l, &w, ENTRY_STATE, op->rec.imsi);
	if (!app->publish)
		take_row(op, &row, &w);
	return true;
}

bool change_data(struct loader *l, struct op *op, const struct loader_app *app, struct slice data)
{
	const struct state_row row = {.app = (uint8_t)(app->number + STATE_ROW_DATA), .body = data};
	if (op->state_cnt == OP_STATE_MAX)
		return false;
	struct wr w = txn_entry(l);
	entry_put_state(&w, &row, &(struct state_kept){0});
	txn_entry_end(l, &w, ENTRY_STATE, op->rec.imsi);
	take_row(op, &row, &w);
	return true;
}

// What is kept beside the state: replaced, merged with what was there, or left.
static struct state_kept kept_of(const struct change *ch, uint8_t *buf, size_t cap)
{
	struct state_kept k = {.has = {ch->c.options & CHANGE_KEPT_0, ch->c.options & CHANGE_KEPT_1},
			       .blob = {ch->kept[0], ch->kept[1]},
			       .outbox = ch->l->outbox != NULL};
	struct slice old;
	if (!(ch->c.options & CHANGE_MERGE_1) || !ch->app->merge)
		return k;
	if (local_read_merged(ch->l->local, ch->rec->imsi, ch->c.app, &old) != 1)
		old = (struct slice){0};
	size_t n = ch->app->merge(old, ch->kept[1], buf, cap);
	k.has[1] = n > 0;
	k.blob[1] = slice_of(buf, n);
	return k;
}

static bool add_requests(struct change *ch, struct op *op)
{
	struct hss_request_image q;
	struct rd r = ch->requests;
	for (unsigned i = 0; i < ch->c.request_cnt; i++) {
		if (!next_request(&r, &q))
			return false;
		q.app = ch->c.app;
		hss_request_add(ch->l, op, ch->rec->imsi, &q);
	}
	return true;
}

static enum change_status apply(struct change *ch, struct op *op)
{
	uint8_t merged[STATE_KEPT_MAX];
	struct state_kept k = kept_of(ch, merged, sizeof(merged));
	*op = (struct op){.done = on_done,
			  .what = OP_PUT,
			  .rec = *ch->rec,
			  .index = ch->worker,
			  .generation = ch->l->worker[ch->worker].generation,
			  .id = ch->hdr->id};
	bool shown = !ch->app->shows_kept || !k.has[1] || change_data(ch->l, op, ch->app, k.blob[1]);
	if (!shown || !change_state(ch->l, op, ch->app, ch->state, ch->c.key, &k) || !add_requests(ch, op)) {
		txn_forget(ch->l, op);
		return CHANGE_REFUSED;
	}
	if (!txn_add(ch->l, op))
		return CHANGE_REFUSED;
	remember_keys(ch);
	return CHANGE_DONE;
}

// Refused while the fold thread has lost touch: the journal would grow without bounds.
static bool journal_is_full(struct loader *l)
{
	static struct log_limit limit;
	if (local_seq(l->local) - local_folded(l->local) < l->journal_max)
		return false;
	if (log_limit_pass(&limit, 1))
		log_error("journal_full", LOG_INT("entries", l->journal_max));
	return true;
}

static enum change_status check(struct change *ch)
{
	ch->rec = loader_find(ch->l, (imsi_t){ch->c.imsi});
	if (!ch->rec)
		return CHANGE_UNKNOWN_USER;
	seen(ch->l, ch->app, ch->rec, &ch->version, &ch->last_key);
	if (is_repetition(ch)) {
		loader_stat(ch->l, STAT_DUPLICATES, 1);
		return CHANGE_DUPLICATE;
	}
	if (journal_is_full(ch->l) || !txn_has_slot(ch->l))
		return CHANGE_BUSY;
	return ch->version == ch->c.version ? CHANGE_DONE : CHANGE_CONFLICT;
}

void change_handle(struct loader *l, unsigned worker, const struct ipc_hdr *hdr, const uint8_t *body, uint32_t len)
{
	struct change ch = {.l = l, .worker = worker, .hdr = hdr};
	enum change_status status = CHANGE_REFUSED;
	if (parse(&ch, body, len)) {
		struct op *op = txn_begin(l, ch.c.imsi, CHANGE_ROOM);
		status = check(&ch);
		if (status == CHANGE_DONE && (status = apply(&ch, op)) == CHANGE_DONE)
			return; // answered when it is on disk
	}
	ack(l, worker, hdr->id, status);
}

// Stores what the feed brings, and owns the questions to the upstream that have no answer yet (feed.h).
// Loader process, main thread.
#include "loader/upstream/feed_priv.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/upstream/read_through.h"
#include "loader/upstream/outbox.h"
#include "loader/upstream/problems.h"
#include "loader/admin/provision.h"
#include "lib/base/clock.h"

#define PIECE	  2000u	 // items between two looks at the sockets
#define ASKS_MAX  65536u // a power of two

// ---- questions

struct asking *feed_ask(struct loader *l, enum asked what, enum up_ask_kind kind, imsi_t imsi, json_t *json)
{
	struct feed *m = l->feed;
	struct up_ask *a = m->asking_cnt < ASKS_MAX / 2 ? calloc(1, sizeof(*a)) : NULL;
	if (!a) {
		json_decref(json);
		return NULL;
	}
	struct asking *k;
	do
		k = &m->asking[++m->number & (ASKS_MAX - 1)];
	while (k->what != ASKED_NOTHING);
	*k = (struct asking){.what = what, .number = m->number, .imsi = imsi, .deletes = m->deletes};
	m->asking_cnt++;
	*a = (struct up_ask){.kind = kind, .number = m->number, .imsi = imsi, .json = json};
	upstream_ask_take(m->up, &a);
	return k;
}

void feed_forget(struct feed *m, struct asking *k)
{
	m->refreshing -= k->what == ASKED_REFRESH;
	k->what = ASKED_NOTHING;
	m->asking_cnt--;
}

struct asking *feed_asking_of(struct feed *m, uint64_t number)
{
	struct asking *k = &m->asking[number & (ASKS_MAX - 1)];
	return k->what != ASKED_NOTHING && k->number == number ? k : NULL;
}

bool feed_learn(struct loader *l, imsi_t imsi)
{
	return feed_ask(l, ASKED_FIELD, UP_LOOKUP, imsi, NULL) != NULL;
}

bool feed_look_up(struct loader *l, struct call *c, imsi_t imsi)
{
	struct asking *k = feed_ask(l, ASKED_CALL, UP_LOOKUP, imsi, NULL);
	if (!k)
		return false;
	k->call = c->serial;
	loader_stat(l, STAT_UPSTREAM_LOOKUPS, 1);
	return true;
}

bool feed_change_take(struct loader *l, struct feed_change *c)
{
	json_t *json = c->json;
	c->json = NULL;
	struct asking *k = feed_ask(l, ASKED_CHANGE, c->kind, c->imsi, json);
	if (k)
		k->change = *c;
	return k != NULL;
}

void feed_write_take(struct loader *l, struct up_batch **b)
{
	upstream_write_take(l->feed->up, b);
}

static bool feed_is_live(const struct feed *m, const struct config *c)
{
	uint64_t age = clock_mono_ms() - m->figures.live_ms, allowed = 2000;
	if (m->figures.mode == UP_POLL)
		allowed += 2ull * c->store_poll_ms;
	return m->figures.state == UP_LIVE && age < allowed;
}

void feed_miss(struct loader *l, imsi_t imsi, unsigned worker, uint64_t id)
{
	struct feed *m = l->feed;
	enum read_through_status told;
	switch (read_through_begin(m->read_through, imsi, worker, l->worker[worker].generation, id)) {
	case READ_THROUGH_NEGATIVE:
		told = READ_THROUGH_UNKNOWN;
		break;
	case READ_THROUGH_JOINED:
		return;
	case READ_THROUGH_ASK:
		loader_stat(l, STAT_UPSTREAM_LOOKUPS, 1);
		if (feed_ask(l, ASKED_READ_THROUGH, UP_LOOKUP, imsi, NULL))
			return;
		read_through_end(l, m->read_through, imsi, READ_THROUGH_BUSY);
		return;
	default: // too many questions: a feed that is level would have brought the subscriber by now
		told = feed_is_live(m, l->config) ? READ_THROUGH_UNKNOWN : READ_THROUGH_BUSY;
		break;
	}
	uint64_t status = told;
	l->send(l, ROLE_WORKER, worker, IPC_READ_THROUGH_ACK, id, &status, sizeof(status));
}

// ---- documents

static void where_text(uint64_t id, char out[64])
{
	snprintf(out, 64, "document %016" PRIx64, id);
}

void feed_stored(struct loader *l, struct op *op, int error)
{
	struct feed *m = l->feed;
	struct asking *k = m ? feed_asking_of(m, op->id) : NULL;
	if (!m)
		return;
	if (error) {
		if (log_limit_pass(&m->limit, 5))
			log_error("upstream_change_not_stored", LOG_STR("reason", err_text(error)));
		if (op->answer[0] == 0)
			m->doubt = upstream_compare(m->up); // a comparison that begins after this
		if (op->answer[1] & OUTBOX_ASKED)
			outbox_unlearned(l, op->rec.imsi, false);
	} else {
		m->changed++;
		if (op->what & OP_DELETE)
			return;
		outbox_field(l, op->rec.imsi, op->answer[1] | (op->what & OP_SQN_RAISED ? OUTBOX_FOLLOWED : 0));
	}
	if (k && k->what == ASKED_READ_THROUGH) {
		feed_forget(m, k);
		read_through_end(l, m->read_through, k->imsi, error ? READ_THROUGH_BUSY : READ_THROUGH_FOUND);
	}
}

void feed_problem(struct loader *l, imsi_t imsi, uint64_t id, const char *text)
{
	char where[64];
	where_text(id, where);
	problems_add(l, where, imsi, text);
}

// Takes a document off the list of problems: it is served, and nothing of it was left out.
void feed_no_problem(struct loader *l, const struct up_doc *d)
{
	char where[64];
	if (d->flawed || problems_count(l) == 0)
		return;
	where_text(d->id, where);
	(void)problems_clear_one(l, where);
}

// Was a question answered from an image that may be newer than this one, and does this one differ from it?
static bool may_be_older(struct loader *l, const struct up_doc *d)
{
	uint64_t id = 0, digest = 0;
	if (!answered_after(l->feed->answered, d->imsi, d->read_us))
		return false;
	return local_read_upstream(l->local, d->imsi, &id, &digest) != 1 || id != d->id || digest != d->digest;
}

// Asks for the document as it is now; the feed's position is held until the answer is stored.
static void refresh(struct loader *l, const struct up_item *i)
{
	struct feed *m = l->feed;
	struct asking *k = feed_ask(l, ASKED_REFRESH, UP_LOOKUP, i->doc->imsi, NULL);
	if (!k) {
		m->doubt = upstream_compare(m->up);
		return;
	}
	k->takes_over = i->takes_over;
	m->refreshing++;
}

static void feed_document(struct loader *l, const struct up_item *i)
{
	struct record_error e;
	if (may_be_older(l, i->doc)) {
		refresh(l, i);
		return;
	}
	enum put_result r = provision_put_feed(l,
					       &(struct put_feed){.doc = i->doc,
								  .takes_over = i->takes_over,
								  .done = feed_stored,
								  .note = outbox_note(i->doc)},
					       &e);
	if (r == PUT_REFUSED)
		feed_problem(l, i->doc->imsi, i->doc->id, e.text);
	else
		feed_no_problem(l, i->doc);
	if (r == PUT_BEGUN)
		answered_note(l->feed->fed, i->doc->imsi, clock_mono_us());
	else if (r == PUT_NOTHING)
		outbox_field(l, i->doc->imsi, outbox_note(i->doc));
}

static void feed_delete(struct loader *l, const struct up_item *i)
{
	uint64_t id = 0, digest;
	l->feed->deletes++;
	txn_settle(l, i->imsi.v); // the document may have come just before, and be in the batch
	int rc = local_read_upstream(l->local, i->imsi, &id, &digest);
	outbox_forget(l, i->imsi);
	if (rc == 1 && id == i->id && !provision_remove(l, i->imsi, feed_stored, 0))
		feed_problem(l, i->imsi, id, "could not be removed");
}

static void feed_position(struct loader *l, const struct up_item *i)
{
	if (l->feed->doubt || l->feed->refreshing)
		return;
	txn_settle_new(l); // the documents that the position covers must be in the batch, or durable
	struct op *op = txn_begin(l, 0, i->len + 64);
	if (!op)
		return;
	struct wr w = txn_entry(l);
	wr_slice(&w, slice_of(i->text, i->len));
	txn_entry_end(l, &w, ENTRY_FEED, (imsi_t){0});
	(void)txn_add(l, op);
}

static void verify_end(struct loader *l)
{
	struct feed *m = l->feed;
	struct call *c = admin_call(l, m->verify_serial);
	m->verify_serial = 0;
	if (!c)
		return;
	uint64_t changed = m->changed - m->verify_changed;
	struct up_figures f;
	upstream_figures(m->up, &f);
	uint32_t here = l->header->subscriber_cnt;
	uint64_t only_here = here > f.documents ? here - f.documents : 0;
	admin_row_take(l, c,
		       json_pack("{s:I,s:I,s:I,s:I,s:I}", "documents", (json_int_t)f.documents, "subscribers",
				 (json_int_t)here, "differed", (json_int_t)changed, "outbox",
				 (json_int_t)outbox_waiting(l), "only_here", (json_int_t)only_here),
		       false);
	if (changed || only_here)
		admin_end(l, c, ADMIN_REFUSED, "%" PRIu64 " subscribers differed and were put right, %" PRIu64
						" are not in the upstream", changed, only_here);
	else
		admin_end(l, c, ADMIN_OK, NULL);
}

static void accept_end(struct loader *l)
{
	struct feed *m = l->feed;
	struct call *c = admin_call(l, m->accept_serial);
	m->accept_serial = 0;
	if (!c)
		return;
	admin_row_take(l, c, json_pack("{s:I}", "removed", (json_int_t)(m->deletes - m->accept_deletes)), false);
	admin_end(l, c, ADMIN_OK, NULL);
}

static void feed_complete(struct loader *l, uint64_t wish)
{
	struct feed *m = l->feed;
	txn_commit(l);
	if (wish >= m->doubt)
		m->doubt = 0;
	log_info("upstream_compared", LOG_INT("subscribers", l->header->subscriber_cnt));
	if (m->verify_serial && wish >= m->verify_wish)
		verify_end(l);
	else
		m->verify_changed = m->changed; // only what this comparison finds counts
	if (m->accept_serial && wish >= m->accept_wish)
		accept_end(l);
}

static void feed_item(struct loader *l, const struct up_item *i)
{
	char where[64];
	switch (i->kind) {
	case UP_DOC:
		feed_document(l, i);
		break;
	case UP_DELETE:
		feed_delete(l, i);
		break;
	case UP_BAD:
		feed_problem(l, i->imsi, i->id, i->text ? i->text : "can't be served");
		break;
	case UP_GOOD:
		where_text(i->id, where);
		problems_clear(l, where);
		break;
	case UP_POSITION:
		feed_position(l, i);
		break;
	case UP_COMPLETE:
		feed_complete(l, i->id);
		break;
	case UP_ANSWER:
	case UP_WRITTEN:
		break; // these have a queue of their own
	}
}

// ---- the flow

static void handle(struct loader *l)
{
	struct feed *m = l->feed;
	struct up_item *i = upstream_take(m->up, true), *next;
	for (; i; i = next) {
		next = i->next;
		feed_answer(l, i);
		up_item_free(&i);
	}
	if (!m->held && !txn_is_behind(l))
		m->held = upstream_take(m->up, false);
	bool some = m->held;
	for (unsigned n = 0; m->held && n < PIECE && !txn_is_behind(l); n++) {
		i = m->held;
		m->held = i->next;
		feed_item(l, i);
		up_item_free(&i);
	}
	// The rest, and items that have come meanwhile, are handled after a look at the sockets. Their signal
	// may have been read already.
	if (some && !txn_is_behind(l) && m->event)
		event_active(m->event, EV_TIMEOUT, 0);
}

static void on_items(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	handle(arg);
}

void feed_resume(struct loader *l)
{
	if (l->feed && !txn_is_behind(l))
		handle(l);
}

static void set_gauges(struct loader *l)
{
	const struct up_figures *f = &l->feed->figures;
	if (!l->stats)
		return;
	stat_set(l->stats, STAT_UPSTREAM_LIVE, feed_is_live(l->feed, l->config));
	stat_set(l->stats, STAT_UPSTREAM_LAG, f->live_ms ? (clock_mono_ms() - f->live_ms) / 1000 : 0);
	stat_set(l->stats, STAT_UPSTREAM_DOCUMENTS, f->documents);
	stat_set(l->stats, STAT_UPSTREAM_EVENTS, f->events);
	stat_set(l->stats, STAT_UPSTREAM_OUTBOX, outbox_waiting(l));
	stat_set(l->stats, STAT_UPSTREAM_OUTBOX_AGE, outbox_age_s(l));
	stat_set(l->stats, STAT_UPSTREAM_REFUSED, outbox_refused(l));
	stat_set(l->stats, STAT_UPSTREAM_HELD, f->held);
}

void feed_tick(struct loader *l)
{
	struct feed *m = l->feed;
	if (!m)
		return;
	upstream_figures(m->up, &m->figures);
	read_through_tick(m->read_through, l->config->store_lookup_rate);
	handle(l);
	outbox_tick(l);
	set_gauges(l);
}

void feed_verify(struct loader *l, struct call *c)
{
	struct feed *m = l->feed;
	if (!m || admin_call(l, m->verify_serial)) {
		admin_end(l, c, ADMIN_REFUSED, m ? "somebody compares already" : "store.type has no upstream to compare with");
		return;
	}
	m->verify_serial = c->serial;
	m->verify_changed = m->changed;
	m->verify_wish = upstream_compare(m->up);
}

void feed_accept_loss(struct loader *l, struct call *c)
{
	struct feed *m = l->feed;
	if (m)
		upstream_figures(m->up, &m->figures);
	if (!m || !m->figures.held || admin_call(l, m->accept_serial)) {
		admin_end(l, c, ADMIN_REFUSED, !m		 ? "store.type has no upstream"
					       : !m->figures.held ? "no loss of subscribers is held back"
								  : "somebody accepts it already");
		return;
	}
	m->accept_serial = c->serial;
	m->accept_deletes = m->deletes;
	m->accept_wish = upstream_accept_loss(m->up);
}

void feed_index(struct loader *l, struct call *c)
{
	struct feed_change m = {
	    .kind = UP_INDEX, .done = provision_done, .refused = provision_refused, .id = c->serial};
	if (!l->feed)
		admin_end(l, c, ADMIN_REFUSED, "store.type has no upstream");
	else if (!feed_change_take(l, &m))
		admin_end(l, c, ADMIN_REFUSED, "too much waits for the upstream already");
}

json_t *feed_status(struct loader *l)
{
	static const char *const state[] = {"connecting", "loading", "live", "down"};
	static const char *const mode[] = {"none", "stream", "poll"};
	struct feed *m = l->feed;
	struct up_figures *f = &m->figures;
	upstream_figures(m->up, f);
	uint64_t now = clock_mono_ms();
	json_t *j = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "state", state[f->state], "mode",
			      mode[f->mode], "documents", (json_int_t)f->documents, "lag_ms",
			      (json_int_t)(f->live_ms ? now - f->live_ms : 0), "events", (json_int_t)f->events, "outbox",
			      (json_int_t)outbox_waiting(l), "outbox_age_s", (json_int_t)outbox_age_s(l), "refused",
			      (json_int_t)outbox_refused(l), "problems", (json_int_t)problems_count(l), "sweep_ms",
			      (json_int_t)f->sweep_ms, "sweep_cpu_ms", (json_int_t)f->sweep_cpu_ms);
	if (f->state == UP_LOADING) {
		uint64_t ms = now - f->load_started_ms, rate = ms ? f->load_done * 1000 / ms : 0;
		uint64_t left = f->load_total > f->load_done ? f->load_total - f->load_done : 0;
		json_object_set_new(j, "load_done", json_integer((json_int_t)f->load_done));
		json_object_set_new(j, "load_total", json_integer((json_int_t)f->load_total));
		json_object_set_new(j, "load_rate", json_integer((json_int_t)rate));
		json_object_set_new(j, "load_left_s", rate ? json_integer((json_int_t)(left / rate)) : json_null());
	}
	json_object_set_new(j, "set_aside", json_integer(outbox_set_aside(l)));
	json_object_set_new(j, "last_error", f->last_error[0] ? json_string(f->last_error) : json_null());
	if (f->held) {
		char text[160];
		snprintf(text, sizeof(text),
			 "%" PRIu64 " of %" PRIu64 " subscribers are not in MongoDB any more, and are kept: hssctl store "
			 "accept-loss removes them",
			 f->held, f->held_of);
		json_object_set_new(j, "held", json_string(text));
	}
	return j;
}

struct upstream *feed_upstream(const struct loader *l)
{
	return l->feed->up;
}

int feed_start(struct loader *l, const char *uri, const char *dir)
{
	struct slice position;
	struct feed *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	l->feed = m;
	m->asking = calloc(ASKS_MAX, sizeof(*m->asking));
	m->read_through = read_through_new(l->config->store_lookup_rate);
	m->answered = calloc(1, sizeof(*m->answered));
	m->fed = calloc(1, sizeof(*m->fed));
	int rc = m->asking && m->read_through && m->answered && m->fed ? outbox_new(l) : -ENOMEM;
	if (rc == 0)
		rc = local_feed_position(l->local, &position);
	if (rc >= 0)
		rc = upstream_start(&(struct upstream_options){.config = l->config,
							       .uri = uri,
							       .dir = dir,
							       .op = l->records.has_op
									 ? slice_of(l->records.op, 16)
									 : (struct slice){0},
							       .position = position,
							       .readers = l->records.reader,
							       .no_threads = uri[0] == 0},
				    &m->up);
	if (rc == 0 && l->base) {
		m->event = event_new(l->base, upstream_fd(m->up), EV_READ | EV_PERSIST, on_items, l);
		rc = m->event ? event_add(m->event, NULL) : -ENOMEM;
	}
	return rc;
}

void feed_stop(struct loader *l)
{
	struct feed *m = l->feed;
	if (!m)
		return;
	if (m->event)
		event_free(m->event);
	txn_commit(l); // operations that were begun refer to this object, and may ask for a comparison
	outbox_stop(l);
	upstream_stop(&m->up);
	for (struct up_item *i = m->held, *next; i; i = next) {
		next = i->next;
		up_item_free(&i);
	}
	outbox_free(l);
	read_through_free(&m->read_through);
	free(m->answered);
	free(m->fed);
	free(m->asking);
	free(m);
	l->feed = NULL;
}

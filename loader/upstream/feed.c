// See feed.h. Loader process, main thread.
#include "loader/upstream/feed.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/upstream/read_through.h"
#include "loader/upstream/outbox.h"
#include "loader/upstream/problems.h"
#include "loader/admin/provision.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define PIECE	  2000u	 // items between two looks at the sockets
#define ASKS_MAX  65536u // a power of two

enum asked { ASKED_NOTHING, ASKED_READ_THROUGH, ASKED_CALL, ASKED_FIELD, ASKED_CHANGE };

struct asking {
	enum asked what;
	uint64_t number;
	imsi_t imsi;
	uint64_t deletes; // of the feed when it was asked
	struct feed_change change;
	uint64_t call; // ASKED_CALL: its serial
};

struct feed {
	struct upstream *up;
	struct event *event;
	struct up_item *held; // taken, the fold thread is behind
	struct asking *asking; // by number
	unsigned asking_cnt;
	uint64_t number, deletes;
	struct read_through *read_through;
	struct up_figures figures;
	uint64_t doubt; // something that the feed brought is not on disk: positions wait for this comparison. 0: none
	uint64_t changed, verify_changed; // documents that changed something
	uint64_t verify_serial; // of the call, 0: none
	uint64_t verify_wish;	// the comparison that it waits for
	struct log_limit limit;
};

// ---- questions

static struct asking *ask(struct loader *l, enum asked what, enum up_ask_kind kind, imsi_t imsi, json_t *json)
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

static void forget(struct feed *m, struct asking *k)
{
	k->what = ASKED_NOTHING;
	m->asking_cnt--;
}

static struct asking *asking_of(struct feed *m, uint64_t number)
{
	struct asking *k = &m->asking[number & (ASKS_MAX - 1)];
	return k->what != ASKED_NOTHING && k->number == number ? k : NULL;
}

bool feed_learn(struct loader *l, imsi_t imsi)
{
	return ask(l, ASKED_FIELD, UP_LOOKUP, imsi, NULL) != NULL;
}

bool feed_look_up(struct loader *l, struct call *c, imsi_t imsi)
{
	struct asking *k = ask(l, ASKED_CALL, UP_LOOKUP, imsi, NULL);
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
	struct asking *k = ask(l, ASKED_CHANGE, c->kind, c->imsi, json);
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
		if (ask(l, ASKED_READ_THROUGH, UP_LOOKUP, imsi, NULL))
			return;
		read_through_end(l, m->read_through, imsi, READ_THROUGH_BUSY);
		return;
	default: // too many: a feed that is level would have brought it by now
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

static void on_fed(struct loader *l, struct op *op, int error)
{
	struct feed *m = l->feed;
	struct asking *k = m ? asking_of(m, op->id) : NULL;
	if (!m)
		return;
	if (error) {
		if (log_limit_pass(&m->limit, 5))
			log_error("upstream_change_not_stored", LOG_STR("reason", err_text(error)));
		if (op->answer[0] == 0)
			m->doubt = upstream_compare(m->up); // one that begins later
	} else {
		m->changed++;
		if (op->what & OP_DELETE)
			return;
		outbox_field(l, op->rec.imsi, op->answer[1]);
	}
	if (k && k->what == ASKED_READ_THROUGH) {
		forget(m, k);
		read_through_end(l, m->read_through, k->imsi, error ? READ_THROUGH_BUSY : READ_THROUGH_FOUND);
	}
}

static void problem(struct loader *l, imsi_t imsi, uint64_t id, const char *text)
{
	char where[64];
	where_text(id, where);
	problems_add(l, where, imsi, text);
}

static void feed_document(struct loader *l, const struct up_item *i)
{
	struct record_error e;
	enum put_result r = provision_put_feed(l,
					       &(struct put_feed){.doc = i->doc,
								  .takes_over = i->takes_over,
								  .done = on_fed,
								  .note = outbox_note(i->doc)},
					       &e);
	if (r == PUT_REFUSED)
		problem(l, i->doc->imsi, i->doc->id, e.text);
	else if (r == PUT_NOTHING)
		outbox_field(l, i->doc->imsi, outbox_note(i->doc));
}

static void feed_delete(struct loader *l, const struct up_item *i)
{
	uint64_t id = 0, digest;
	l->feed->deletes++;
	txn_settle(l, i->imsi.v); // it may be of the document that came just before
	int rc = local_read_upstream(l->local, i->imsi, &id, &digest);
	if (rc == 1 && id == i->id && !provision_remove(l, i->imsi, on_fed, 0))
		problem(l, i->imsi, id, "could not be removed");
}

static void feed_position(struct loader *l, const struct up_item *i)
{
	if (l->feed->doubt)
		return;
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
		m->verify_changed = m->changed; // what the one before it found
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
		problem(l, i->imsi, i->id, i->text ? i->text : "can't be served");
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
		break; // these come the other way
	}
}

// ---- answers

// What was found for a call may wait for its commit; the call is not begun inside of one.
static void call_goes_on(struct loader *l, const struct asking *k, const struct up_item *i)
{
	txn_commit(l);
	struct call *c = admin_call(l, k->call);
	if (!c)
		return; // nobody waits any more
	c->looked_up = true;
	if (loader_find(l, k->imsi))
		c->command->run(l, c);
	else if (i->status == UP_DONE)
		admin_end(l, c, ADMIN_REFUSED, "it is in the upstream, but can't be served: see subscriber problems");
	else if (i->status == UP_AWAY)
		admin_end(l, c, ADMIN_REFUSED, "no such subscriber here, and the upstream does not answer: %s",
			  i->text ? i->text : "");
	else
		admin_end(l, c, ADMIN_REFUSED, "%s", i->text ? i->text : "no such subscriber");
}

// It was found, and something was deleted since: is it still there?
static void ask_again(struct loader *l, struct asking *k)
{
	struct asking was = *k;
	forget(l->feed, k);
	struct asking *again = ask(l, was.what, UP_LOOKUP, was.imsi, NULL);
	struct call *c = was.what == ASKED_CALL ? admin_call(l, was.call) : NULL;
	if (again)
		again->call = was.call;
	else if (was.what == ASKED_READ_THROUGH)
		read_through_end(l, l->feed->read_through, was.imsi, READ_THROUGH_BUSY);
	else if (c)
		admin_end(l, c, ADMIN_REFUSED, "too much waits for the upstream already");
}

static void answer_lookup(struct loader *l, struct asking *k, struct up_item *i)
{
	struct record_error e;
	struct feed *m = l->feed;
	imsi_t imsi = k->imsi;
	bool call = k->what == ASKED_CALL, reading = k->what == ASKED_READ_THROUGH || call;
	enum put_result r = PUT_NOTHING;
	enum read_through_status told = i->status == UP_AWAY ? READ_THROUGH_BUSY : READ_THROUGH_UNKNOWN;
	txn_settle(l, imsi.v);
	// what the feed has brought meanwhile is newer; what it has taken away may be what was found
	bool stale = k->deletes != m->deletes && !loader_find(l, imsi);
	if (i->doc && stale && reading) {
		ask_again(l, k);
		return;
	}
	if (i->doc && !stale && (!reading || !loader_find(l, imsi)))
		r = provision_put_feed(
		    l,
		    &(struct put_feed){.doc = i->doc,
				       .done = on_fed,
				       .id = k->number,
				       .answer = reading,
				       .note = outbox_note(i->doc)},
		    &e);
	if (i->doc)
		told = r == PUT_REFUSED ? READ_THROUGH_UNKNOWN : READ_THROUGH_FOUND;
	if (i->status == UP_AWAY)
		outbox_unlearned(l, imsi);
	else if (r == PUT_NOTHING)
		outbox_field(l, imsi, outbox_note(i->doc));
	if (r == PUT_REFUSED)
		problem(l, imsi, i->doc->id, e.text);
	if (reading && !call && r == PUT_BEGUN)
		return; // on_fed goes on
	struct asking was = *k;
	forget(m, k);
	if (call)
		call_goes_on(l, &was, i);
	else if (reading)
		read_through_end(l, m->read_through, imsi, told);
}

static void answer_change(struct loader *l, const struct feed_change *c, const struct up_item *i)
{
	struct record_error e = {""};
	const char *text = i->text ? i->text : i->status == UP_AWAY ? "the upstream can't be reached" : "refused";
	struct op nothing = {.id = c->id, .answer = {c->answer}};
	enum put_result r = PUT_NOTHING;
	if (i->status != UP_DONE) {
		c->refused(l, c->id, c->answer, text);
		return;
	}
	if (i->doc) {
		r = provision_put_feed(l,
				       &(struct put_feed){.doc = i->doc,
							  .takes_over = true,
							  .done = c->done,
							  .id = c->id,
							  .answer = c->answer},
				       &e);
	} else if (c->kind == UP_REMOVE) {
		l->feed->deletes++; // a lookup that is under way may have found it
		r = provision_remove(l, c->imsi, c->done, c->id) ? PUT_BEGUN : PUT_NOTHING;
	}
	if (r == PUT_REFUSED)
		c->refused(l, c->id, c->answer, e.text);
	else if (r == PUT_NOTHING)
		c->done(l, &nothing, 0);
}

static void answer(struct loader *l, struct up_item *i)
{
	struct feed *m = l->feed;
	struct asking *k = i->kind == UP_ANSWER ? asking_of(m, i->ask) : NULL;
	if (i->kind == UP_WRITTEN) {
		outbox_written_take(l, &i->batch);
		return;
	}
	if (!k)
		return;
	if (k->what != ASKED_CHANGE) {
		answer_lookup(l, k, i);
		return;
	}
	struct feed_change c = k->change;
	forget(m, k);
	answer_change(l, &c, i);
}

// ---- the flow

static void handle(struct loader *l)
{
	struct feed *m = l->feed;
	struct up_item *i = upstream_take(m->up, true), *next;
	for (; i; i = next) {
		next = i->next;
		answer(l, i);
		up_item_free(&i);
	}
	if (!m->held && !local_is_behind(l->local))
		m->held = upstream_take(m->up, false);
	bool some = m->held;
	for (unsigned n = 0; m->held && n < PIECE && !local_is_behind(l->local); n++) {
		i = m->held;
		m->held = i->next;
		feed_item(l, i);
		up_item_free(&i);
	}
	// the rest, and what came meanwhile, after a look at the sockets: the signal for it may have been taken already
	if (some && !local_is_behind(l->local) && m->event)
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
	if (l->feed && !local_is_behind(l->local))
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
	json_object_set_new(j, "last_error", f->last_error[0] ? json_string(f->last_error) : json_null());
	if (f->empty_held)
		json_object_set_new(j, "held", json_string("the collection is empty or missing: subscribers are kept"));
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
	int rc = m->asking && m->read_through ? outbox_new(l) : -ENOMEM;
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
	txn_commit(l); // what was begun still has its places here, and may want a comparison
	outbox_stop(l);
	upstream_stop(&m->up);
	for (struct up_item *i = m->held, *next; i; i = next) {
		next = i->next;
		up_item_free(&i);
	}
	outbox_free(l);
	read_through_free(&m->read_through);
	free(m->asking);
	free(m);
	l->feed = NULL;
}

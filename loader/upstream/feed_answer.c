// Handles the answers of the ask and the write thread (feed.h). An answer overtakes what the feed has queued.
// So for each subscriber it must be decided which of the two is newer; where that can't be told, the document
// is asked for again. Loader process, main thread.
#include "loader/upstream/feed_priv.h"
#include "loader/admin/provision.h"
#include "loader/upstream/outbox.h"
#include "loader/upstream/read_through.h"
#include "lib/base/clock.h"

// Begins a call again when its subscriber was found. Its document may wait for a commit, and no call is begun
// inside of one.
static void call_goes_on(struct loader *l, const struct asking *k, const struct up_item *i)
{
	txn_commit(l);
	struct call *c = admin_call(l, k->call);
	if (!c)
		return; // the call has ended
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

// The document was found, but something has been deleted since: asks whether it is still there.
static void ask_again(struct loader *l, struct asking *k)
{
	struct asking was = *k;
	feed_forget(l->feed, k);
	struct asking *again = feed_ask(l, was.what, UP_LOOKUP, was.imsi, NULL);
	struct call *c = was.what == ASKED_CALL ? admin_call(l, was.call) : NULL;
	if (again) {
		again->call = was.call;
		again->takes_over = was.takes_over;
		l->feed->refreshing += was.what == ASKED_REFRESH;
	} else if (was.what == ASKED_REFRESH)
		l->feed->doubt = upstream_compare(l->feed->up);
	else if (was.what == ASKED_FIELD)
		outbox_unlearned(l, was.imsi, true);
	else if (was.what == ASKED_READ_THROUGH)
		read_through_end(l, l->feed->read_through, was.imsi, READ_THROUGH_BUSY);
	else if (c)
		admin_end(l, c, ADMIN_REFUSED, "too much waits for the upstream already");
}

// May the answer be older than what the feed has brought, or be of a document whose deletion the feed has
// brought?
static bool answer_is_stale(struct loader *l, const struct asking *k, const struct up_item *i, bool reading)
{
	const struct feed *m = l->feed;
	if (k->deletes != m->deletes && !loader_find(l, k->imsi))
		return reading || k->what == ASKED_REFRESH;
	return !reading && answered_after(m->fed, k->imsi, i->doc->read_us);
}

// Stores the document that was asked for. If an operator or a worker waits for it and the feed has brought it
// meanwhile, the feed's image is the newer one and stays.
static enum put_result put_answer(struct loader *l, const struct asking *k, struct up_item *i, bool reading)
{
	struct record_error e;
	if (reading ? loader_find(l, k->imsi) != NULL : !loader_find(l, k->imsi) && k->deletes != l->feed->deletes)
		return PUT_NOTHING;
	enum put_result r = provision_put_feed(l,
					       &(struct put_feed){.doc = i->doc,
								  .takes_over = i->takes_over || k->takes_over,
								  .done = feed_stored,
								  .id = k->number,
								  .answer = reading,
								  .note = outbox_note(i->doc) | OUTBOX_ASKED},
					       &e);
	if (r == PUT_REFUSED)
		feed_problem(l, k->imsi, i->doc->id, e.text);
	else
		feed_no_problem(l, i->doc);
	answered_note(l->feed->answered, k->imsi, clock_mono_us());
	return r;
}

static void answer_lookup(struct loader *l, struct asking *k, struct up_item *i)
{
	struct feed *m = l->feed;
	imsi_t imsi = k->imsi;
	bool call = k->what == ASKED_CALL, reading = k->what == ASKED_READ_THROUGH || call;
	enum put_result r = PUT_NOTHING;
	enum read_through_status told = i->status == UP_AWAY ? READ_THROUGH_BUSY : READ_THROUGH_UNKNOWN;
	txn_settle(l, imsi.v);
	if (i->doc && answer_is_stale(l, k, i, reading)) {
		ask_again(l, k);
		return;
	}
	if (i->doc) {
		r = put_answer(l, k, i, reading);
		told = r == PUT_REFUSED ? READ_THROUGH_UNKNOWN : READ_THROUGH_FOUND;
	}
	if (i->status == UP_AWAY)
		outbox_unlearned(l, imsi, true);
	else if (r != PUT_BEGUN)
		outbox_field(l, imsi, outbox_note(r == PUT_NOTHING ? i->doc : NULL) | OUTBOX_ASKED);
	if (i->status == UP_AWAY && k->what == ASKED_REFRESH)
		m->doubt = upstream_compare(m->up);
	if (reading && !call && r == PUT_BEGUN)
		return; // feed_stored goes on
	struct asking was = *k;
	feed_forget(m, k);
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
	if (i->doc && answered_after(l->feed->fed, c->imsi, i->doc->read_us)) {
		if (!feed_learn(l, c->imsi)) // the feed may have brought the same, a newer or an older image
			l->feed->doubt = upstream_compare(l->feed->up);
	} else if (i->doc) {
		r = provision_put_feed(l,
				       &(struct put_feed){.doc = i->doc,
							  .takes_over = true,
							  .done = c->done,
							  .id = c->id,
							  .answer = c->answer},
				       &e);
	} else if (c->kind == UP_REMOVE) {
		l->feed->deletes++; // a look-up that is under way may have found the document before
		outbox_forget(l, c->imsi);
		r = provision_remove(l, c->imsi, c->done, c->id) ? PUT_BEGUN : PUT_NOTHING;
	}
	answered_note(l->feed->answered, c->imsi, clock_mono_us());
	if (i->doc && r != PUT_REFUSED)
		feed_no_problem(l, i->doc);
	if (r == PUT_REFUSED)
		c->refused(l, c->id, c->answer, e.text);
	else if (r == PUT_NOTHING)
		c->done(l, &nothing, 0);
}

void feed_answer(struct loader *l, struct up_item *i)
{
	struct feed *m = l->feed;
	struct asking *k = i->kind == UP_ANSWER ? feed_asking_of(m, i->ask) : NULL;
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
	feed_forget(m, k);
	answer_change(l, &c, i);
}

// The queues of the outbox, its batches and their outcomes (outbox.h). It keeps eight octets for each
// subscriber, by the index of its SQN words, and twelve more for each one that waits. Loader process, main
// thread.
#include "loader/upstream/outbox_priv.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "loader/app.h"
#include "loader/commit/txn.h"
#include "loader/upstream/feed.h"
#include "loader/upstream/problems.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define BATCHES	    2u	   // under way
#define SQN_PER_S   4000u  // SQNs written a second at most: the fields may lag, other work must not
#define LATE_MS	    2000u  // until a document that was held back is tried again, twice as long each time
#define LATE_MAX_MS 30000u
#define LATE_CNT    8u	   // documents that were held back in one batch: each may cost it a second or two

uint32_t outbox_now_s(void)
{
	return (uint32_t)(clock_mono_ms() / 1000);
}

// ---- start and end

static bool load_one_waiting(void *ctx, imsi_t imsi)
{
	struct loader *l = ctx;
	return imsi_ring_push(&l->outbox->location, imsi, outbox_now_s());
}

int outbox_new(struct loader *l)
{
	struct outbox *o = l->outbox = calloc(1, sizeof(*o));
	_Static_assert(sizeof(*o->side) == 8, "eight octets a subscriber");
	if (!o)
		return -ENOMEM;
	o->side_cnt = l->header->sqn_cnt;
	void *p = mmap(NULL, (size_t)o->side_cnt * sizeof(*o->side), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	o->side = p;
	return local_each_outbox(l->local, load_one_waiting, l);
}

void outbox_free(struct loader *l)
{
	struct outbox *o = l->outbox;
	l->outbox = NULL;
	if (!o)
		return;
	if (o->side)
		munmap(o->side, (size_t)o->side_cnt * sizeof(*o->side));
	imsi_ring_free(&o->location);
	imsi_ring_free(&o->sqn);
	free(o->late);
	free(o);
}

// Queued subscribers are counted by the queue: at the start they have no record yet that could be marked.
uint64_t outbox_waiting(const struct loader *l)
{
	const struct outbox *o = l->outbox;
	uint64_t n = o->location.cnt;
	for (unsigned s = 0; s < OUTBOX_STATE_CNT; s++)
		if (s != OUTBOX_QUEUED && outbox_has_location((enum outbox_state)s))
			n += o->state_cnt[s];
	return n;
}

uint64_t outbox_age_s(const struct loader *l)
{
	const struct outbox *o = l->outbox;
	uint32_t now = outbox_now_s(), oldest = now;
	if (o->state_cnt[OUTBOX_SENT] + o->state_cnt[OUTBOX_SENT_DUE])
		oldest = o->sent_since_s;
	if (o->location.cnt && o->location.since_s[o->location.head] < oldest)
		oldest = o->location.since_s[o->location.head];
	for (uint32_t i = 0; o->state_cnt[OUTBOX_LATE] && i < o->late_cnt; i++)
		if (o->late[i].since_s < oldest)
			oldest = o->late[i].since_s;
	return now - oldest;
}

uint64_t outbox_refused(const struct loader *l)
{
	return l->outbox->refused;
}

unsigned outbox_set_aside(const struct loader *l)
{
	return l->outbox->aside_cnt;
}

// ---- who waits

static void set_state(struct outbox *o, struct outbox_side *side, enum outbox_state state)
{
	if (side->state != OUTBOX_IDLE)
		o->state_cnt[side->state]--;
	if (state != OUTBOX_IDLE)
		o->state_cnt[state]++;
	side->state = (uint64_t)state & 15;
}

static void push(struct imsi_ring *r, imsi_t imsi, uint32_t since_s)
{
	if (!imsi_ring_push(r, imsi, since_s))
		bug("no memory for the outbox");
}

static void push_late(struct outbox *o, imsi_t imsi, uint32_t since_s)
{
	if (o->late_cnt == o->late_cap) {
		uint32_t cap = o->late_cap ? o->late_cap * 2 : 64;
		struct outbox_late *grown = realloc(o->late, cap * sizeof(*grown));
		if (!grown)
			bug("no memory for the outbox");
		o->late = grown;
		o->late_cap = cap;
	}
	o->late[o->late_cnt++] = (struct outbox_late){.imsi = imsi, .since_s = since_s};
}

void outbox_event(struct loader *l, imsi_t imsi, struct outbox_side *side, enum outbox_event event, uint32_t since_s)
{
	struct outbox *o = l->outbox;
	struct outbox_row row = outbox_step(side->state, event);
	if (row.action != OUTBOX_DO_BUG)
		set_state(o, side, row.next);
	switch (row.action) {
	case OUTBOX_DO_NOTHING:
		break;
	case OUTBOX_DO_QUEUE:
		push(&o->location, imsi, since_s);
		break;
	case OUTBOX_DO_QUEUE_SQN:
		push(&o->sqn, imsi, since_s);
		break;
	case OUTBOX_DO_WAIT:
		push_late(o, imsi, since_s);
		break;
	case OUTBOX_DO_BUG:
		bug("outbox: event %d in state %d", (int)event, (int)side->state);
	}
}

bool outbox_has(const struct loader *l, const struct cache_record *r)
{
	const struct outbox *o = l->outbox;
	return r->sqn < o->side_cnt && outbox_has_location(o->side[r->sqn].state);
}

void outbox_state(struct loader *l, imsi_t imsi)
{
	const struct cache_record *r = cache_find(l->cache, imsi);
	struct outbox_side *side = r ? outbox_side_of(l, r) : NULL;
	if (side)
		outbox_event(l, imsi, side, OUTBOX_EV_LOCATION, outbox_now_s());
}

void outbox_want_sqn(struct loader *l, imsi_t imsi, struct outbox_side *side)
{
	if (!side->learning && side->field != FIELD_UNUSABLE)
		outbox_event(l, imsi, side, OUTBOX_EV_SQN, outbox_now_s());
}

void outbox_owe(struct loader *l, imsi_t imsi, struct outbox_side *side)
{
	if (side->owed || side->field == FIELD_UNUSABLE)
		return;
	struct op *op = txn_begin(l, 0, 64);
	struct wr e = txn_entry(l);
	txn_entry_end(l, &e, ENTRY_OUTBOX, imsi);
	if (!txn_add(l, op))
		return;
	// txn_begin may have committed a full batch, after which the subscriber has other words, or is gone
	const struct cache_record *r = cache_find(l->cache, imsi);
	side = r ? outbox_side_of(l, r) : NULL;
	if (side)
		side->owed = true;
}

void outbox_moved(struct loader *l, uint32_t from, uint32_t to, uint64_t next)
{
	struct outbox *o = l->outbox;
	struct outbox_side was = from < o->side_cnt ? o->side[from] : (struct outbox_side){0};
	if (from < o->side_cnt) {
		set_state(o, &o->side[from], OUTBOX_IDLE);
		o->side[from] = (struct outbox_side){0};
	}
	if (to >= o->side_cnt)
		return;
	o->side[to] = (struct outbox_side){
	    .sqn = next << 5 & ((1ull << 48) - 1), .field = FIELD_BASELINE, .owed = was.owed, .aside = was.aside};
	set_state(o, &o->side[to], was.state);
}

// ---- batches

static void compose_state(struct loader *l, const struct cache_record *r, struct up_write *w)
{
	struct up_fields *f = &l->outbox->fields;
	f->cnt = f->updates = f->used = 0;
	for (unsigned i = 0; i < CACHE_APP_MAX; i++)
		if (l->app[i] && l->app[i]->write_back)
			l->app[i]->write_back(l->cache, r, f);
	w->what |= UP_WRITE_STATE;
	w->field = up_fields_copy(f);
	w->field_cnt = f->cnt;
	if (f->cnt && !w->field)
		bug("no memory for the write-back");
}

static void compose_sqn(struct loader *l, const struct cache_record *r, const struct outbox_side *side, struct up_write *w)
{
	uint64_t next = loader_seq_next(l, r->sqn);
	bool odd = outbox_field_odd(side), lags = !outbox_is_level(l, side, r);
	if (!outbox_field_known(side) || side->field == FIELD_UNUSABLE || (!lags && !odd))
		return;
	w->what |= odd ? UP_WRITE_NORMALISE : UP_WRITE_SQN;
	w->sqn = lags ? next << 5 | (side->sqn & 31) : side->sqn;
	w->seen = side->sqn;
	w->seen_missing = side->field == FIELD_MISSING;
}

// Composes the write of a subscriber whose turn has come, for its location or for its SQN alone. false:
// nothing is to be sent now.
static bool compose(struct loader *l, imsi_t imsi, bool location, struct up_write *w)
{
	const struct cache_record *r = loader_find(l, imsi); // at the start it may not be in the cache yet
	struct outbox_side *side = r ? outbox_side_of(l, r) : NULL;
	*w = (struct up_write){.imsi = imsi, .seq = local_seq(l->local)};
	if (!side)
		return false; // deleted since; its row went with it
	if (outbox_is_sent(side->state)) {
		if (location) // after the write that is under way
			outbox_event(l, imsi, side, OUTBOX_EV_LOCATION, outbox_now_s());
		return false;
	}
	if (!location && side->state != OUTBOX_SQN_QUEUED && side->state != OUTBOX_SQN_LATE)
		return false; // its SQN goes with its location
	// the content of the field has been unknown since the start: the document has it
	if (!outbox_field_known(side)) {
		if (location)
			side->owed = true; // its row may be from before the start, when its SQN had not been written either
		outbox_learn(l, imsi, side);
	}
	if (location)
		compose_state(l, r, w);
	compose_sqn(l, r, side, w);
	enum outbox_event event = !w->what ? OUTBOX_EV_NOTHING : location ? OUTBOX_EV_SEND : OUTBOX_EV_SEND_SQN;
	outbox_event(l, imsi, side, event, 0);
	return w->what;
}

// Takes the subscribers whose document was held back and that are due again.
static void take_late(struct loader *l, struct up_batch *b)
{
	struct outbox *o = l->outbox;
	uint64_t now = clock_mono_ms();
	for (uint32_t i = 0, n = 0; i < o->late_cnt && n < LATE_CNT;) {
		struct outbox_late one = o->late[i];
		if (one.due_ms > now) {
			i++;
			continue;
		}
		o->late[i] = o->late[--o->late_cnt];
		const struct cache_record *r = loader_find(l, one.imsi);
		const struct outbox_side *side = r ? outbox_side_of(l, r) : NULL;
		if (!side || (side->state != OUTBOX_LATE && side->state != OUTBOX_SQN_LATE))
			continue; // deleted since
		struct up_write *w = &b->write[b->cnt];
		if (compose(l, one.imsi, side->state == OUTBOX_LATE, w)) {
			w->tries = one.tries;
			b->cnt++;
			n++;
		}
	}
}

static void fill_batch(struct loader *l, struct up_batch *b)
{
	struct outbox *o = l->outbox;
	uint32_t since, oldest = outbox_now_s();
	while (o->location.cnt && b->cnt < UP_BATCH_MAX - LATE_CNT) {
		imsi_t imsi = imsi_ring_pop(&o->location, &since);
		if (compose(l, imsi, true, &b->write[b->cnt])) {
			b->cnt++;
			oldest = since < oldest ? since : oldest;
		}
	}
	while (o->sqn.cnt && b->cnt < UP_BATCH_MAX - LATE_CNT && o->sqn_budget) {
		imsi_t imsi = imsi_ring_pop(&o->sqn, &since);
		o->sqn_budget--;
		if (compose(l, imsi, false, &b->write[b->cnt]))
			b->cnt++;
	}
	take_late(l, b); // last, so that no other waits behind them
	if (b->cnt && o->batches == 0)
		o->sent_since_s = oldest;
}

static bool has_late(const struct outbox *o)
{
	uint64_t now = clock_mono_ms();
	for (uint32_t i = 0; i < o->late_cnt; i++)
		if (o->late[i].due_ms <= now)
			return true;
	return false;
}

// false: nothing was sent.
static bool send_batch(struct loader *l)
{
	struct up_batch *b = malloc(sizeof(*b) + UP_BATCH_MAX * sizeof(b->write[0]));
	if (!b)
		return false;
	*b = (struct up_batch){0};
	fill_batch(l, b);
	if (b->cnt == 0) {
		free(b);
		return false;
	}
	l->outbox->batches++;
	feed_write_take(l, &b);
	return true;
}

static void pump(struct loader *l)
{
	struct outbox *o = l->outbox;
	while (o->batches < BATCHES && (o->location.cnt || (o->sqn.cnt && o->sqn_budget) || has_late(o)))
		if (!send_batch(l))
			break;
}

void outbox_done_entry(struct loader *l, imsi_t imsi, uint64_t seq)
{
	// if this can't be noted, the same is written again after the next start, which changes nothing
	struct op *op = txn_begin(l, 0, 64);
	struct wr e = txn_entry(l);
	entry_put_u64(&e, seq);
	txn_entry_end(l, &e, ENTRY_OUTBOX_DONE, imsi);
	(void)txn_add(l, op);
}

// ---- outcomes

// A place in the list of problems, without the IMSI: that is masked in the log, this is not.
static void where_text(imsi_t imsi, char out[64])
{
	snprintf(out, 64, "write-back %016llx", (unsigned long long)ident_hash(imsi.v));
}

static void set_aside(struct loader *l, const struct up_write *w, struct outbox_side *side, const char *error)
{
	char where[64];
	where_text(w->imsi, where);
	l->outbox->refused++;
	l->outbox->aside_cnt += !side->aside;
	side->aside = true;
	side->field = w->what & ~(unsigned)UP_WRITE_STATE ? FIELD_UNUSABLE : side->field;
	problems_add(l, where, w->imsi, error);
}

void outbox_forget(struct loader *l, imsi_t imsi)
{
	char where[64];
	if (l->outbox->aside_cnt == 0)
		return;
	where_text(imsi, where);
	if (problems_clear_one(l, where))
		l->outbox->aside_cnt--;
}

static void is_written(struct loader *l, const struct up_write *w, struct outbox_side *side)
{
	if (side->aside) { // the obstacle is gone
		side->aside = false;
		outbox_forget(l, w->imsi);
		if (side->field == FIELD_UNUSABLE && !(w->what & ~(unsigned)UP_WRITE_STATE)) {
			side->field = FIELD_BASELINE; // maybe for its SQN, too: the document is asked
			side->sqn = 0;
		}
	}
	if (!(w->what & (UP_WRITE_SQN | UP_WRITE_NORMALISE)))
		return;
	side->relearn = side->learning;
	if (!outbox_field_known(side) || side->field == FIELD_UNUSABLE)
		return; // a document has said something else meanwhile
	if (side->sqn < w->sqn) {
		side->sqn = w->sqn & ((1ull << 48) - 1);
		side->followed = false;
		side->field = FIELD_INT64;
	} else if (w->what & UP_WRITE_NORMALISE) {
		side->field = FIELD_INT64;
	}
}

// MongoDB holds this document back, for example because of a transaction of another program. The others go
// on.
static void try_later(struct outbox *o, const struct up_write *w)
{
	struct outbox_late *late = o->late_cnt ? &o->late[o->late_cnt - 1] : NULL;
	if (!late || late->imsi.v != w->imsi.v)
		return;
	uint64_t ms = (uint64_t)LATE_MS << (w->tries < 8 ? w->tries : 8);
	late->tries = w->tries + 1;
	late->due_ms = clock_mono_ms() + (ms < LATE_MAX_MS ? ms : LATE_MAX_MS);
}

static void written(struct loader *l, const struct up_write *w, const struct up_batch *b)
{
	const struct cache_record *r = cache_find(l->cache, w->imsi);
	struct outbox_side *side = r ? outbox_side_of(l, r) : NULL;
	bool away = b->status == UP_AWAY || w->result == UP_WRITE_AGAIN, busy = !away && w->result == UP_WRITE_BUSY;
	bool sqn = w->what & ~(unsigned)UP_WRITE_STATE;
	if (!side)
		return; // deleted since
	bool due = side->state == OUTBOX_SENT_DUE || side->state == OUTBOX_SQN_SENT_DUE;
	enum outbox_event event = away ? OUTBOX_EV_AWAY : busy ? OUTBOX_EV_BUSY : OUTBOX_EV_DONE;
	outbox_event(l, w->imsi, side, event, away || busy ? l->outbox->sent_since_s : outbox_now_s());
	if (busy)
		try_later(l->outbox, w);
	if ((away || busy) && sqn)
		outbox_owe(l, w->imsi, side);
	if (away || busy)
		return;
	if (w->result == UP_WRITE_REFUSED)
		set_aside(l, w, side, b->error);
	else
		is_written(l, w, side);
	if (w->what & UP_WRITE_STATE && !due && !side->owed)
		outbox_done_entry(l, w->imsi, w->seq);
}

void outbox_written_take(struct loader *l, struct up_batch **at)
{
	struct up_batch *b = *at;
	*at = NULL;
	for (unsigned i = 0; i < b->cnt; i++)
		written(l, &b->write[i], b);
	l->outbox->batches--;
	bool away = b->status == UP_AWAY;
	up_batch_free(&b);
	if (!away)
		pump(l); // else: the write thread waits, and so do we until the next tick
}

void outbox_tick(struct loader *l)
{
	struct outbox *o = l->outbox;
	o->sqn_budget += SQN_PER_S / 10;
	if (o->sqn_budget > SQN_PER_S)
		o->sqn_budget = SQN_PER_S;
	if (o->sqn.cnt < SQN_PER_S * 10)
		outbox_scan(l);
	pump(l);
}

// See outbox.h. Eight octets a subscriber (beside its SQN words), and twelve for each one that waits.
#include "loader/upstream/outbox.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "loader/upstream/feed.h"
#include "loader/upstream/problems.h"
#include "loader/commit/txn.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define BATCHES	    2u	  // under way
#define SQN_PER_S   4000u // SQNs written a second: the field follows, it is in nobody's way
#define SCAN_SHARE  50u	  // all records in so many ticks
#define OWED_AT_END 100000u // rows that an orderly end may take the time for

// Of one subscriber, by the index of its SQN words: what its field has, and what is going on.
#define FIELD_SQN   ((1ull << 48) - 1) // with KNOWN: the field; else SEQ << 5 as it was when first looked at
#define KNOWN	    (1ull << 48)
#define SEEN	    (1ull << 49)
#define UNUSABLE    (1ull << 50) // nobody can raise the field: a problem of the document, or there is none
#define QUEUED	    (1ull << 51) // for its state
#define QUEUED_SQN  (1ull << 52)
#define FLIGHT	    (1ull << 53)
#define AGAIN	    (1ull << 54) // its state changed meanwhile
#define ODD	    (1ull << 55) // the field is missing, int32 or double: Open5GS takes that for 0
#define MISSING	    (1ull << 56)
#define LEARNING    (1ull << 57) // the document is asked for
#define FLIGHT_STATE (1ull << 58) // what is under way holds its state
#define OWED	    (1ull << 61) // it has a row in the table because its field may lag
#define IDLE	    (1ull << 62) // nothing was drawn in this run when the field was learned; lower there is as it should be
#define UNDER_WAY   (QUEUED | QUEUED_SQN | FLIGHT | FLIGHT_STATE | AGAIN | OWED)

struct ring {
	uint64_t *imsi;
	uint32_t *since_s;
	uint32_t cap, head, cnt; // cap: a power of two
};

struct outbox {
	uint64_t *side;
	uint32_t side_cnt;
	struct ring state, sqn;
	unsigned batches;
	uint32_t flight_states, flight_since_s;
	uint32_t again; // subscribers whose state waits behind an SQN of theirs
	uint32_t scan_slot;
	uint64_t sqn_budget;
	uint64_t refused;
};

static uint32_t now_s(void)
{
	return (uint32_t)(clock_mono_ms() / 1000);
}

// ---- rings

static bool ring_grow(struct ring *r)
{
	uint32_t cap = r->cap ? r->cap * 2 : 1024;
	uint64_t *imsi = malloc(cap * sizeof(*imsi));
	uint32_t *since = malloc(cap * sizeof(*since));
	if (!imsi || !since || cap == 0) {
		free(imsi);
		free(since);
		return false;
	}
	for (uint32_t i = 0; i < r->cnt; i++) {
		imsi[i] = r->imsi[(r->head + i) & (r->cap - 1)];
		since[i] = r->since_s[(r->head + i) & (r->cap - 1)];
	}
	free(r->imsi);
	free(r->since_s);
	*r = (struct ring){.imsi = imsi, .since_s = since, .cap = cap, .cnt = r->cnt};
	return true;
}

static void ring_push(struct ring *r, imsi_t imsi, uint32_t since_s)
{
	if (r->cnt == r->cap && !ring_grow(r))
		bug("no memory for the outbox");
	uint32_t at = (r->head + r->cnt++) & (r->cap - 1);
	r->imsi[at] = imsi.v;
	r->since_s[at] = since_s;
}

static imsi_t ring_pop(struct ring *r, uint32_t *since_s)
{
	imsi_t imsi = {r->imsi[r->head]};
	*since_s = r->since_s[r->head];
	r->head = (r->head + 1) & (r->cap - 1);
	if (--r->cnt == 0 && r->cap > 65536) {
		free(r->imsi);
		free(r->since_s);
		*r = (struct ring){0};
	}
	return imsi;
}

// ---- start and end

static bool load_one_waiting(void *ctx, imsi_t imsi)
{
	struct loader *l = ctx;
	ring_push(&l->outbox->state, imsi, now_s());
	return true;
}

int outbox_new(struct loader *l)
{
	struct outbox *o = l->outbox = calloc(1, sizeof(*o));
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
	free(o->state.imsi);
	free(o->state.since_s);
	free(o->sqn.imsi);
	free(o->sqn.since_s);
	free(o);
}

uint64_t outbox_waiting(const struct loader *l)
{
	return l->outbox->state.cnt + l->outbox->flight_states + l->outbox->again;
}

uint64_t outbox_age_s(const struct loader *l)
{
	const struct outbox *o = l->outbox;
	if (o->flight_states)
		return now_s() - o->flight_since_s;
	return o->state.cnt ? now_s() - o->state.since_s[o->state.head] : 0;
}

uint64_t outbox_refused(const struct loader *l)
{
	return l->outbox->refused;
}

// ---- who waits

static uint64_t *side_of(struct loader *l, const struct cache_record *r)
{
	return r->sqn < l->outbox->side_cnt ? &l->outbox->side[r->sqn] : NULL;
}

bool outbox_has(const struct loader *l, const struct cache_record *r)
{
	const struct outbox *o = l->outbox;
	return r->sqn < o->side_cnt && o->side[r->sqn] & (QUEUED | FLIGHT_STATE | AGAIN);
}

static void set_again(struct outbox *o, uint64_t *side)
{
	o->again += !(*side & (AGAIN | FLIGHT_STATE));
	*side |= AGAIN;
}

static void want_state(struct loader *l, imsi_t imsi, uint64_t *side, uint32_t since_s)
{
	if (*side & FLIGHT)
		set_again(l->outbox, side);
	else if (!(*side & QUEUED)) {
		*side |= QUEUED;
		ring_push(&l->outbox->state, imsi, since_s);
	}
}

void outbox_state(struct loader *l, imsi_t imsi)
{
	const struct cache_record *r = cache_find(l->cache, imsi);
	uint64_t *side = r ? side_of(l, r) : NULL;
	if (side)
		want_state(l, imsi, side, now_s());
}

static void want_sqn(struct loader *l, imsi_t imsi, uint64_t *side)
{
	if (*side & (QUEUED_SQN | QUEUED | FLIGHT | LEARNING | UNUSABLE))
		return; // goes with what is under way, or is looked at again
	*side |= QUEUED_SQN;
	ring_push(&l->outbox->sqn, imsi, now_s());
}

// Has anything been drawn from its words, or a block been reserved, in this run? (An AIR that used up just its block is
// missed: the next one tells.)
static bool has_drawn(const struct loader *l, const struct cache_record *r)
{
	return loader_seq_next(l, r->sqn) + SQN_BLOCK_MIN != loader_seq_limit(l, r->sqn);
}

// Not within the end of another operation.
static void owe(struct loader *l, imsi_t imsi, uint64_t *side)
{
	if (*side & (OWED | UNUSABLE))
		return;
	struct op *op = txn_begin(l, 0, 64);
	struct wr e = txn_entry(l);
	txn_entry_end(l, &e, ENTRY_OUTBOX, imsi);
	if (!txn_add(l, op))
		return;
	// txn_begin may have committed a full batch, after which the subscriber has other words, or is gone
	const struct cache_record *r = cache_find(l->cache, imsi);
	side = r ? side_of(l, r) : NULL;
	if (side)
		*side |= OWED;
}

uint64_t outbox_note(const struct up_doc *d)
{
	if (!d || d->sqn_unusable)
		return KNOWN | SEEN | UNUSABLE;
	return KNOWN | SEEN | (d->sqn & FIELD_SQN) | (d->has_sqn ? 0 : MISSING) | (d->sqn_int64 ? 0 : ODD);
}

void outbox_field(struct loader *l, imsi_t imsi, uint64_t note)
{
	static struct log_limit limit;
	const struct cache_record *r = cache_find(l->cache, imsi);
	uint64_t *side = r ? side_of(l, r) : NULL;
	char text[16];
	if (!side)
		return;
	bool idle = !(*side & KNOWN) || *side & IDLE;
	uint64_t before = *side & KNOWN ? *side & FIELD_SQN : 0;
	*side &= UNDER_WAY;
	*side |= note & ~(OUTBOX_RESTORE | OUTBOX_RAISE);
	if (note & OUTBOX_RESTORE)
		want_state(l, imsi, side, now_s());
	if (note & UNUSABLE)
		return;
	if ((note & FIELD_SQN) < before && log_limit_pass(&limit, 5)) {
		imsi_text(imsi, text);
		log_warn("upstream_sqn_lowered", LOG_IMSI("imsi", text), LOG_INT("from", before),
			 LOG_INT("to", note & FIELD_SQN));
	}
	// after a start everybody's SEQ is a block further; a field follows when something was drawn
	idle = idle && (note & FIELD_SQN) >= before && !has_drawn(l, r) && !(*side & OWED || note & OUTBOX_RAISE);
	*side |= idle ? IDLE : 0;
	if (*side & ODD || (!idle && loader_seq_next(l, r->sqn) > (*side & FIELD_SQN) >> 5))
		want_sqn(l, imsi, side);
}

void outbox_unlearned(struct loader *l, imsi_t imsi)
{
	const struct cache_record *r = cache_find(l->cache, imsi);
	uint64_t *side = r ? side_of(l, r) : NULL;
	if (!side)
		return;
	*side &= ~LEARNING; // the next look at its words asks again
	owe(l, imsi, side);
}

void outbox_moved(struct loader *l, uint32_t from, uint32_t to, uint64_t next)
{
	struct outbox *o = l->outbox;
	uint64_t goes_on = from < o->side_cnt ? o->side[from] & UNDER_WAY : 0;
	if ((goes_on & (AGAIN | FLIGHT_STATE)) == AGAIN && to >= o->side_cnt)
		o->again--; // gone
	if (to < o->side_cnt)
		o->side[to] = SEEN | (next << 5 & FIELD_SQN) | goes_on;
	if (from < o->side_cnt)
		o->side[from] = 0;
}

// ---- batches

static void put_name(char out[256], struct slice s)
{
	size_t n = s.len < 255 ? s.len : 255;
	memcpy(out, s.p, n);
	out[n] = 0;
}

static void compose_state(struct loader *l, const struct cache_record *r, struct up_write *w)
{
	struct slice host, realm;
	w->what |= UP_WRITE_STATE;
	if (cache_node_get(l->cache, r->mme, &host, &realm)) {
		put_name(w->mme_host, host);
		put_name(w->mme_realm, realm);
	}
	if (cache_node_get(l->cache, r->sgsn, &host, &realm)) {
		put_name(w->sgsn_host, host);
		put_name(w->sgsn_realm, realm);
	}
	w->mme_time_us = r->mme_time_us;
	w->sgsn_time_us = r->sgsn_time_us;
	w->imeisv = r->imeisv;
	memcpy(w->mme_plmn, r->mme_plmn, 3);
	memcpy(w->sgsn_plmn, r->sgsn_plmn, 3);
	w->mme_purged = r->flags & RECORD_MME_PURGED;
	w->sgsn_purged = r->flags & RECORD_SGSN_PURGED;
}

static void compose_sqn(struct loader *l, const struct cache_record *r, uint64_t side, struct up_write *w)
{
	uint64_t field = side & FIELD_SQN, next = loader_seq_next(l, r->sqn);
	if (!(side & KNOWN) || side & UNUSABLE || (next <= field >> 5 && !(side & ODD)))
		return;
	w->what |= side & ODD ? UP_WRITE_NORMALISE : UP_WRITE_SQN;
	w->sqn = next > field >> 5 ? next << 5 | (field & 31) : field;
	w->seen = field;
	w->seen_missing = side & MISSING;
}

static bool compose(struct loader *l, imsi_t imsi, bool state, struct up_write *w)
{
	const struct cache_record *r = loader_find(l, imsi); // at the start it may not be in the cache yet
	uint64_t *side = r ? side_of(l, r) : NULL;
	*w = (struct up_write){.imsi = imsi, .seq = local_seq(l->local)};
	if (!side)
		return false; // deleted since; its row went with it
	*side &= ~(state ? QUEUED | QUEUED_SQN : QUEUED_SQN);
	if (*side & FLIGHT) {
		if (state)
			set_again(l->outbox, side);
		return false;
	}
	if (!state && !(*side & KNOWN)) {
		// what the field holds is not known since the start: the document says it
		if (!(*side & LEARNING) && feed_learn(l, imsi))
			*side |= LEARNING;
		return false;
	}
	if (state)
		compose_state(l, r, w);
	if (!(*side & KNOWN)) {
		*side |= OWED; // its row may be from before the start, when its SQN had not been written either
		if (!(*side & LEARNING) && feed_learn(l, imsi))
			*side |= LEARNING;
	}
	compose_sqn(l, r, *side, w);
	if (w->what)
		*side |= state ? FLIGHT | FLIGHT_STATE : FLIGHT;
	return w->what;
}

static void send_batch(struct loader *l)
{
	struct outbox *o = l->outbox;
	struct up_batch *b = malloc(sizeof(*b) + UP_BATCH_MAX * sizeof(b->write[0]));
	uint32_t since, oldest = now_s();
	if (!b)
		return;
	*b = (struct up_batch){0};
	while (o->state.cnt && b->cnt < UP_BATCH_MAX) {
		imsi_t imsi = ring_pop(&o->state, &since);
		if (compose(l, imsi, true, &b->write[b->cnt])) {
			b->cnt++;
			o->flight_states++;
			oldest = since < oldest ? since : oldest;
		}
	}
	while (o->sqn.cnt && b->cnt < UP_BATCH_MAX && o->sqn_budget) {
		imsi_t imsi = ring_pop(&o->sqn, &since);
		o->sqn_budget--;
		if (compose(l, imsi, false, &b->write[b->cnt]))
			b->cnt++;
	}
	if (b->cnt == 0) {
		free(b);
		return;
	}
	if (o->batches++ == 0)
		o->flight_since_s = oldest;
	feed_write_take(l, &b);
}

static void pump(struct loader *l)
{
	struct outbox *o = l->outbox;
	unsigned before = BATCHES + 1;
	while (o->batches < BATCHES && o->batches != before && (o->state.cnt || (o->sqn.cnt && o->sqn_budget))) {
		before = o->batches;
		send_batch(l);
	}
}

static void done_entry(struct loader *l, imsi_t imsi, uint64_t seq)
{
	// when this can't be written it is told again after the next start, which changes nothing
	struct op *op = txn_begin(l, 0, 64);
	struct wr e = txn_entry(l);
	entry_put_u64(&e, seq);
	txn_entry_end(l, &e, ENTRY_OUTBOX_DONE, imsi);
	(void)txn_add(l, op);
}

static void set_aside(struct loader *l, const struct up_write *w, const char *error)
{
	char where[64]; // a place in the list, without the IMSI: that is masked in the log, this is not
	snprintf(where, sizeof(where), "write-back %016llx", (unsigned long long)ident_hash(w->imsi.v));
	l->outbox->refused++;
	problems_add(l, where, w->imsi, error);
}

static void written(struct loader *l, const struct up_write *w, const struct up_batch *b)
{
	const struct cache_record *r = cache_find(l->cache, w->imsi);
	uint64_t *side = r ? side_of(l, r) : NULL;
	bool state = w->what & UP_WRITE_STATE, away = b->status == UP_AWAY;
	if (state)
		l->outbox->flight_states--;
	if (!side)
		return;
	bool again = *side & AGAIN || (away && state);
	l->outbox->again -= (*side & (AGAIN | FLIGHT_STATE)) == AGAIN;
	*side &= ~(FLIGHT | FLIGHT_STATE | AGAIN);
	if (again)
		want_state(l, w->imsi, side, away ? l->outbox->flight_since_s : now_s());
	else if (away && w->what)
		want_sqn(l, w->imsi, side);
	if (away && w->what & ~(unsigned)UP_WRITE_STATE)
		owe(l, w->imsi, side);
	if (away)
		return;
	if (w->result == UP_WRITE_REFUSED) {
		set_aside(l, w, b->error);
		*side |= w->what & ~(unsigned)UP_WRITE_STATE ? UNUSABLE : 0;
	} else if (w->what & (UP_WRITE_SQN | UP_WRITE_NORMALISE) && (*side & FIELD_SQN) < w->sqn) {
		*side = (*side & ~(FIELD_SQN | ODD | MISSING)) | w->sqn;
	} else if (w->what & UP_WRITE_NORMALISE) {
		*side &= ~(ODD | MISSING);
	}
	if (state && !again && !(*side & OWED))
		done_entry(l, w->imsi, w->seq);
}

void outbox_written_take(struct loader *l, struct up_batch **at)
{
	struct up_batch *b = *at;
	*at = NULL;
	for (unsigned i = 0; i < b->cnt; i++)
		written(l, &b->write[i], b);
	l->outbox->batches--;
	bool away = b->status == UP_AWAY;
	free(b);
	if (!away)
		pump(l); // else: the write thread waits, and so do we until the next tick
}

// ---- drawn SQNs

static void look_at(struct loader *l, const struct cache_record *r)
{
	uint64_t *side = side_of(l, r);
	if (!side || r->imsi.v == 0)
		return;
	uint64_t next = loader_seq_next(l, r->sqn);
	if (*side & IDLE && has_drawn(l, r))
		*side &= ~IDLE;
	bool level = next <= (*side & FIELD_SQN) >> 5 || *side & IDLE;
	if (level && (*side & (SEEN | OWED)) == SEEN)
		return;
	if (cache_find(l->cache, r->imsi) != r)
		return; // a slot of former times
	if (*side & KNOWN && (level || *side & UNUSABLE) && (*side & UNDER_WAY) == OWED) {
		*side &= ~OWED;
		done_entry(l, r->imsi, local_seq(l->local));
	} else if (!(*side & SEEN) && !has_drawn(l, r)) {
		*side |= SEEN | (next << 5 & FIELD_SQN);
	} else if (!(*side & SEEN) || !level || !(*side & KNOWN)) {
		*side |= SEEN;
		want_sqn(l, r->imsi, side);
	}
}

void outbox_stop(struct loader *l)
{
	struct outbox *o = l->outbox;
	uint32_t high = __atomic_load_n((const uint32_t *)&l->header->slot_high, __ATOMIC_ACQUIRE);
	for (uint32_t i = 0, n = 0; o && i < high && n < OWED_AT_END; i++) {
		const struct cache_record *r = &l->cache->record[i];
		uint64_t *side = side_of(l, r);
		if (!side || r->imsi.v == 0 || loader_seq_next(l, r->sqn) <= (*side & FIELD_SQN) >> 5 ||
		    ((*side & IDLE || !(*side & KNOWN)) && !has_drawn(l, r)) || cache_find(l->cache, r->imsi) != r)
			continue;
		owe(l, r->imsi, side);
		n++;
	}
	txn_commit(l);
}

static void scan(struct loader *l)
{
	struct outbox *o = l->outbox;
	uint32_t high = __atomic_load_n((const uint32_t *)&l->header->slot_high, __ATOMIC_ACQUIRE);
	uint32_t n = high / SCAN_SHARE + 1;
	for (; n && high; n--) {
		if (o->scan_slot >= high)
			o->scan_slot = 0;
		look_at(l, &l->cache->record[o->scan_slot++]);
	}
}

void outbox_tick(struct loader *l)
{
	struct outbox *o = l->outbox;
	o->sqn_budget += SQN_PER_S / 10;
	if (o->sqn_budget > SQN_PER_S)
		o->sqn_budget = SQN_PER_S;
	if (o->sqn.cnt < SQN_PER_S * 10)
		scan(l);
	pump(l);
}

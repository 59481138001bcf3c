// Knows what the field security.sqn of each document holds, and finds the subscribers that have drawn SQNs
// since (outbox.h). Loader process, main thread.
//
// Other programs raise the field, too. So our knowledge of it is what a document said last, or what we wrote
// after that. An image with a lower value is not believed at once, since it may have been read before our
// last write. The document is asked for, and only if it still has the lower value has somebody lowered the
// field.
#include "loader/upstream/outbox_priv.h"
#include "loader/commit/txn.h"
#include "loader/upstream/feed.h"
#include "lib/base/log.h"

#define SCAN_SHARE  50u	    // all records in so many ticks
#define OWED_AT_END 100000u // rows that an orderly end writes at most

// A note holds the SQN, and above it the kind of the field.
#define NOTE_SQN	 ((1ull << 48) - 1)
#define NOTE_KIND_SHIFT 48
#define NOTE_KIND	 7u

bool outbox_has_drawn(const struct loader *l, const struct cache_record *r)
{
	return loader_seq_next(l, r->sqn) + SQN_BLOCK_MIN != loader_seq_limit(l, r->sqn);
}

bool outbox_is_level(const struct loader *l, const struct outbox_side *side, const struct cache_record *r)
{
	uint64_t next = loader_seq_next(l, r->sqn);
	return next <= side->sqn >> 5 || (side->followed && next == record_seq(side->sqn));
}

uint64_t outbox_note(const struct up_doc *d)
{
	enum outbox_field_kind kind = !d || d->sqn_unusable ? FIELD_UNUSABLE
				      : d->sqn_int64	    ? FIELD_INT64
				      : d->has_sqn	    ? FIELD_ODD
							    : FIELD_MISSING;
	return (kind == FIELD_UNUSABLE ? 0 : d->sqn & NOTE_SQN) | (uint64_t)kind << NOTE_KIND_SHIFT;
}

void outbox_learn(struct loader *l, imsi_t imsi, struct outbox_side *side)
{
	if (side->learning)
		return;
	side->learning = feed_learn(l, imsi);
	side->relearn = false;
}

// An image has a lower value than we know. true: it is believed.
static bool is_lowered(struct loader *l, imsi_t imsi, struct outbox_side *side, uint64_t note)
{
	static struct log_limit limit;
	char text[16];
	if (!(note & OUTBOX_ASKED)) {
		outbox_learn(l, imsi, side);
		return false;
	}
	side->learning = false;
	if (side->relearn) { // we wrote it while the question was on its way
		outbox_learn(l, imsi, side);
		return false;
	}
	l->outbox->lowered++;
	if (log_limit_pass(&limit, 5)) {
		imsi_text(imsi, text);
		log_warn("upstream_sqn_lowered", LOG_IMSI("imsi", text), LOG_INT("from", side->sqn),
			 LOG_INT("to", note & NOTE_SQN));
	}
	return true;
}

void outbox_field(struct loader *l, imsi_t imsi, uint64_t note)
{
	const struct cache_record *r = cache_find(l->cache, imsi);
	struct outbox_side *side = r ? outbox_side_of(l, r) : NULL;
	enum outbox_field_kind kind = note >> NOTE_KIND_SHIFT & NOTE_KIND;
	uint64_t sqn = note & NOTE_SQN;
	if (!side)
		return;
	if (note & OUTBOX_RESTORE)
		outbox_event(l, imsi, side, OUTBOX_EV_LOCATION, outbox_now_s());
	bool idle = !outbox_field_known(side) || side->idle;
	bool lower = outbox_field_known(side) && kind != FIELD_UNUSABLE && sqn < side->sqn;
	if (lower && !is_lowered(l, imsi, side, note))
		return;
	side->learning = side->learning && !(note & OUTBOX_ASKED);
	side->followed = note & OUTBOX_FOLLOWED || (side->followed && side->sqn == sqn);
	side->field = kind;
	side->sqn = sqn & NOTE_SQN;
	side->idle = false;
	if (kind == FIELD_UNUSABLE)
		return;
	// a start moves every SEQ one block ahead; a field follows only when an SQN was drawn
	idle = idle && !lower && !outbox_has_drawn(l, r) && !(side->owed || note & OUTBOX_RAISE);
	side->idle = idle;
	if (outbox_field_odd(side) || (!idle && !outbox_is_level(l, side, r)))
		outbox_want_sqn(l, imsi, side);
}

void outbox_unlearned(struct loader *l, imsi_t imsi, bool owe)
{
	const struct cache_record *r = cache_find(l->cache, imsi);
	struct outbox_side *side = r ? outbox_side_of(l, r) : NULL;
	if (!side)
		return;
	if (side->learning && outbox_field_known(side) && side->field != FIELD_UNUSABLE) {
		side->field = FIELD_BASELINE; // still uncertain: the next look at its words asks again
		side->sqn = 0;
	}
	side->learning = false;
	if (owe)
		outbox_owe(l, imsi, side);
}

// ---- drawn SQNs

static void look_at(struct loader *l, const struct cache_record *r)
{
	struct outbox_side *side = outbox_side_of(l, r);
	if (!side || r->imsi.v == 0)
		return;
	uint64_t next = loader_seq_next(l, r->sqn);
	if (side->idle && outbox_has_drawn(l, r))
		side->idle = false;
	bool level = outbox_is_level(l, side, r) || side->idle;
	if (level && side->field != FIELD_UNSEEN && !side->owed)
		return;
	if (cache_find(l->cache, r->imsi) != r)
		return; // a slot that is no longer in use
	bool settled = outbox_field_known(side) && (level || side->field == FIELD_UNUSABLE);
	if (settled && side->owed && side->state == OUTBOX_IDLE) {
		side->owed = false;
		outbox_done_entry(l, r->imsi, local_seq(l->local));
	} else if (side->field == FIELD_UNSEEN && !outbox_has_drawn(l, r)) {
		side->field = FIELD_BASELINE;
		side->sqn = next << 5 & NOTE_SQN;
	} else if (side->field == FIELD_UNSEEN || !level || !outbox_field_known(side)) {
		if (side->field == FIELD_UNSEEN)
			side->field = FIELD_BASELINE;
		outbox_want_sqn(l, r->imsi, side);
	}
}

void outbox_scan(struct loader *l)
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

void outbox_stop(struct loader *l)
{
	struct outbox *o = l->outbox;
	uint32_t high = __atomic_load_n((const uint32_t *)&l->header->slot_high, __ATOMIC_ACQUIRE);
	for (uint32_t i = 0, n = 0; o && i < high && n < OWED_AT_END; i++) {
		const struct cache_record *r = &l->cache->record[i];
		struct outbox_side *side = outbox_side_of(l, r);
		if (!side || r->imsi.v == 0 || outbox_is_level(l, side, r) ||
		    ((side->idle || !outbox_field_known(side)) && !outbox_has_drawn(l, r)) ||
		    cache_find(l->cache, r->imsi) != r)
			continue;
		outbox_owe(l, r->imsi, side);
		n++;
	}
	txn_commit(l);
}

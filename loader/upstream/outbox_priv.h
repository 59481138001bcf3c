// What the two halves of the outbox share: outbox.c has the queues, the batches and their outcomes;
// outbox_field.c knows what the field security.sqn of each document holds, and which subscribers have drawn
// SQNs. Loader process, main thread.
#pragma once
#include "loader/upstream/imsi_ring.h"
#include "loader/upstream/outbox.h"
#include "loader/upstream/outbox_table.h"

// What is known of the field security.sqn of a subscriber's document.
enum outbox_field_kind {
	FIELD_UNSEEN,	// its words were not looked at in this run
	FIELD_BASELINE, // not known; side.sqn is the SQN as it was when its words were first looked at
	FIELD_INT64,	// known, an int64
	FIELD_ODD,	// known, an int32 or double: Open5GS takes that for 0
	FIELD_MISSING,	// known not to be there, which Open5GS takes for 0, too
	FIELD_UNUSABLE, // it can't be raised: text, null, refused by a validator, or there is no document
};

// One for each subscriber, by the index of its SQN words. It has only eight octets, since every subscriber
// has one.
struct outbox_side {
	uint64_t sqn : 48; // what the field holds; see FIELD_BASELINE
	uint64_t state : 4; // enum outbox_state
	uint64_t field : 3; // enum outbox_field_kind
	uint64_t idle : 1;  // nothing was drawn in this run when the field was learned: a field that is lower is right
	uint64_t owed : 1;  // the table `outbox` has a row because the field may lag
	uint64_t learning : 1; // the document was asked for
	uint64_t relearn : 1;  // we wrote the field after that: what is found may be older
	uint64_t followed : 1; // our SEQ was raised to the one that follows from the field (outbox_is_level)
	uint64_t aside : 1;    // MongoDB refused the last write: it is listed as a problem
};

struct outbox_late {
	imsi_t imsi;
	uint64_t due_ms; // monotonic
	uint32_t since_s;
	uint32_t tries;
};

struct outbox {
	struct outbox_side *side;
	uint32_t side_cnt;
	uint32_t state_cnt[OUTBOX_STATE_CNT]; // subscribers in each state
	struct imsi_ring location, sqn;
	struct outbox_late *late;
	uint32_t late_cnt, late_cap;
	unsigned batches; // under way
	uint32_t sent_since_s;
	uint32_t scan_slot;
	uint64_t sqn_budget;
	uint64_t refused; // writes, since the start
	uint64_t lowered; // fields that somebody lowered, since the start
	uint32_t aside_cnt;
	struct up_fields fields; // of the write that is composed
};

static inline struct outbox_side *outbox_side_of(struct loader *l, const struct cache_record *r)
{
	return r->sqn < l->outbox->side_cnt ? &l->outbox->side[r->sqn] : NULL;
}

static inline bool outbox_field_known(const struct outbox_side *s)
{
	return s->field >= FIELD_INT64;
}

// Does Open5GS take this field for 0?
static inline bool outbox_field_odd(const struct outbox_side *s)
{
	return s->field == FIELD_ODD || s->field == FIELD_MISSING;
}

// One step of the table, with what follows from it.
void outbox_event(struct loader *l, imsi_t imsi, struct outbox_side *side, enum outbox_event event, uint32_t since_s);
// Does a known field cover all that we have drawn? Its SEQ is ours, or it was rounded up to ours and nothing was drawn since.
// Two nodes that raised such a field for nothing would each round up what the other wrote, without end.
bool outbox_is_level(const struct loader *l, const struct outbox_side *side, const struct cache_record *r);
// Have SQNs been drawn from its words, or a block been reserved, in this run? (An AIR that used exactly the
// rest of its block goes unnoticed until the next AIR.)
bool outbox_has_drawn(const struct loader *l, const struct cache_record *r);
// Notes durably that its field may lag. Not within the end of another operation.
void outbox_owe(struct loader *l, imsi_t imsi, struct outbox_side *side);
void outbox_want_sqn(struct loader *l, imsi_t imsi, struct outbox_side *side);
// Asks for the document, unless that was done.
void outbox_learn(struct loader *l, imsi_t imsi, struct outbox_side *side);
// Takes it off the list of fields that may lag.
void outbox_done_entry(struct loader *l, imsi_t imsi, uint64_t seq);
// Looks through a part of all words for drawn SQNs.
void outbox_scan(struct loader *l);
uint32_t outbox_now_s(void);

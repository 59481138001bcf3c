// The questions about SQN blocks that have no answer yet, and the queue of requests behind each
// (sqn_block.h). A small hash table of fixed size: a question that finds no place in it is refused, never
// queued.
#include "worker/sqn_block.h"
#include "lib/base/ident.h"
#include "worker/link.h"
#include "worker/worker.h"

static struct wait_slot *slot_at(struct worker *w, uint32_t number)
{
	return &w->waiting.slot[number - 1];
}

static struct block_question *question_find(struct worker *w, uint32_t index, uint64_t at_least, bool *fresh)
{
	struct block_question *vacant = NULL;
	uint32_t at = (uint32_t)ident_hash(index);
	for (unsigned n = 0; n < BLOCK_PROBES; n++) {
		struct block_question *q = &w->block[(at + n) % BLOCK_QUESTIONS];
		if (q->used == BLOCK_ASKED && q->index == index && q->at_least >= at_least) {
			*fresh = false;
			return q;
		}
		if (q->used == BLOCK_FREE && !vacant)
			vacant = q;
	}
	*fresh = true;
	return vacant;
}

static void question_join(struct worker *w, struct block_question *q, struct wait_slot *s)
{
	uint32_t number = (uint32_t)(s - w->waiting.slot) + 1;
	s->question = (uint32_t)(q - w->block) + 1;
	s->block_next = 0;
	s->block_prev = q->last;
	if (q->last)
		slot_at(w, q->last)->block_next = number;
	else
		q->first = number;
	q->last = number;
}

void block_leave(struct worker *w, struct wait_slot *s)
{
	if (!s->question)
		return;
	struct block_question *q = &w->block[s->question - 1];
	if (s->block_prev)
		slot_at(w, s->block_prev)->block_next = s->block_next;
	else
		q->first = s->block_next;
	if (s->block_next)
		slot_at(w, s->block_next)->block_prev = s->block_prev;
	else
		q->last = s->block_prev;
	s->question = 0;
}

void block_wait(struct request *r, uint32_t index, uint64_t at_least)
{
	struct worker *w = r->w;
	bool fresh;
	struct block_question *q = question_find(w, index, at_least, &fresh);
	uint64_t tag = q ? request_wait(r, WAIT_SQN) : 0;
	if (!tag) {
		request_refuse(r, RESULT_TOO_BUSY);
		return;
	}
	struct wait_slot *s = slot_at(w, (uint32_t)tag);
	stat_add(w->stats, STAT_SQN_WAITS, 1);
	if (fresh) {
		uint32_t generation = q->generation + 1;
		*q = (struct block_question){.index = index, .at_least = at_least, .generation = generation};
		uint64_t id = (uint64_t)generation << 32 | ((uint64_t)(q - w->block) + 1);
		if (!link_ask_block(w, s->r.imsi, index, at_least, id)) {
			request_refuse(&s->r, RESULT_TOO_BUSY);
			return;
		}
		q->used = BLOCK_ASKED;
	}
	question_join(w, q, s);
}

void block_acked(struct worker *w, uint64_t id, int refused)
{
	uint32_t place = (uint32_t)id;
	if (place == 0 || place > BLOCK_QUESTIONS)
		return;
	struct block_question *q = &w->block[place - 1];
	if (q->used != BLOCK_ASKED || q->generation != id >> 32)
		return;
	// requests that need still more join another question meanwhile, not this list
	q->used = BLOCK_ENDING;
	while (q->first) {
		struct wait_slot *s = slot_at(w, q->first);
		block_leave(w, s);
		s->r.sqn_refused = refused;
		request_resume(&s->r);
	}
	q->used = BLOCK_FREE;
}

void block_forget_all(struct worker *w)
{
	for (unsigned i = 0; i < BLOCK_QUESTIONS; i++) {
		struct block_question *q = &w->block[i];
		while (q->first)
			block_leave(w, slot_at(w, q->first));
		q->used = BLOCK_FREE;
	}
}

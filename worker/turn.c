// The table of turns: for each subscriber whose state is being changed, the request that holds the turn and
// the queue behind it (turn.h).
#include "worker/turn.h"
#include "lib/base/ident.h"
#include "worker/worker.h"

static struct turn *turn_of(struct worker *w, uint64_t imsi)
{
	return &w->turn[ident_hash(imsi) % TURNS];
}

static struct wait_slot *slot_at(struct worker *w, uint32_t number)
{
	return &w->waiting.slot[number - 1];
}

static uint32_t number_of(const struct worker *w, const struct wait_slot *s)
{
	return (uint32_t)(s - w->waiting.slot) + 1;
}

bool turn_take(struct request *r)
{
	struct worker *w = r->w;
	struct turn *t = turn_of(w, r->imsi.v);
	if (!t->holder || t->imsi != r->imsi.v || (r->slot && t->holder == number_of(w, r->slot)))
		return true;
	uint64_t tag = request_wait(r, WAIT_TURN);
	if (!tag) {
		request_refuse(r, RESULT_TOO_BUSY);
		return false;
	}
	struct wait_slot *s = slot_at(w, (uint32_t)tag);
	s->r.tries--; // the loader was not asked
	s->turn = (uint32_t)(t - w->turn) + 1;
	s->turn_next = 0;
	s->turn_prev = t->last;
	if (t->last)
		slot_at(w, t->last)->turn_next = number_of(w, s);
	else
		t->first = number_of(w, s);
	t->last = number_of(w, s);
	return false;
}

void turn_hold(struct request *r)
{
	struct worker *w = r->w;
	struct turn *t = turn_of(w, r->imsi.v);
	if (t->holder)
		return; // its own turn, or a subscriber that collides
	t->imsi = r->imsi.v;
	t->holder = number_of(w, r->slot);
	r->slot->turn = (uint32_t)(t - w->turn) + 1;
}

// Takes it out of the queue.
static void leave_queue(struct worker *w, struct turn *t, struct wait_slot *s)
{
	if (s->turn_prev)
		slot_at(w, s->turn_prev)->turn_next = s->turn_next;
	else
		t->first = s->turn_next;
	if (s->turn_next)
		slot_at(w, s->turn_next)->turn_prev = s->turn_prev;
	else
		t->last = s->turn_prev;
	s->turn_next = s->turn_prev = 0;
}

void turn_leave(struct worker *w, struct wait_slot *s)
{
	if (!s->turn)
		return;
	struct turn *t = &w->turn[s->turn - 1];
	s->turn = 0;
	if (t->holder != number_of(w, s)) {
		leave_queue(w, t, s);
		return;
	}
	t->holder = 0;
	if (t->first && !t->due) {
		t->due = true;
		w->turn_due[w->turn_due_cnt++] = (uint32_t)(t - w->turn);
	}
}

void turn_run(struct worker *w)
{
	if (w->turns_running)
		return;
	w->turns_running = true;
	while (w->turn_due_cnt) {
		struct turn *t = &w->turn[w->turn_due[--w->turn_due_cnt]];
		t->due = false;
		while (t->first && !t->holder) {
			struct wait_slot *s = slot_at(w, t->first);
			leave_queue(w, t, s);
			s->turn = 0;
			request_resume(&s->r);
		}
	}
	w->turns_running = false;
}

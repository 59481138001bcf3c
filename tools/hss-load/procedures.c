// What is sent when, and what an answer means: closed and open loop, the second step of attach and resync,
// timeouts.
#include <stdlib.h>
#include "lib/base/ident.h"
#include "tools/hss-load/run.h"

#define SLOT_BITS 20
#define SLOT_MASK ((1u << SLOT_BITS) - 1)

_Static_assert(HL_MAX_SLOTS <= 1u << SLOT_BITS, "a slot number fits into the Hop-by-Hop identifier");

static void ready_push(struct hl_run *r, uint32_t index)
{
	struct hl_slot *slot = &r->slots[index];

	slot->state = HL_SLOT_READY;
	slot->next = HL_NO_SLOT;
	if (r->ready_head == HL_NO_SLOT)
		r->ready_head = index;
	else
		r->slots[r->ready_tail].next = index;
	r->ready_tail = index;
}

static void release(struct hl_run *r, struct hl_slot *slot)
{
	slot->state = HL_SLOT_FREE;
	slot->next = r->free_head;
	r->free_head = (uint32_t)(slot - r->slots);
	r->busy--;
}

static struct hl_conn *usable_conn(struct hl_run *r, unsigned preferred)
{
	if (r->conns[preferred].state == HL_OPEN)
		return &r->conns[preferred];
	for (unsigned i = 0; i < r->o->connections; i++)
		if (r->conns[i].state == HL_OPEN)
			return &r->conns[i];
	return NULL;
}

// Writes the slot's request to a connection; false when none can take it now.
static bool emit(struct hl_run *r, uint32_t index, unsigned preferred)
{
	struct hl_slot *slot = &r->slots[index];
	struct hl_conn *c = usable_conn(r, preferred);
	const struct hl_template *t = c ? &c->templates[slot->kind] : NULL;
	uint8_t *out = c ? hl_conn_room(c, t->len) : NULL;

	if (!out)
		return false;
	if (!slot->again)
		slot->serial = r->serial++;
	slot->hop_by_hop = ((slot->hop_by_hop >> SLOT_BITS) + 1) << SLOT_BITS | index;
	slot->conn = (uint8_t)(c - r->conns);
	slot->state = HL_SLOT_SENT;
	slot->sent_ns = r->now_ns;
	hl_template_stamp(t, out, hl_subscribers_imsi(r->subscribers, slot->subscriber), slot->serial,
			  r->session_high, slot->hop_by_hop, r->end_to_end_base + (uint32_t)slot->serial,
			  slot->again);
	if (t->resync_at)
		memcpy(out + t->resync_at, r->resync[index], 30);
	r->stats.requests++;
	return true;
}

static bool all_started(const struct hl_run *r)
{
	return r->stopping || (r->o->requests && r->started >= r->o->requests);
}

static uint64_t due_ns(const struct hl_run *r)
{
	return r->o->rate > 0 ? r->start_ns + (uint64_t)((double)r->started * (1e9 / r->o->rate)) : r->now_ns;
}

static uint8_t first_kind(const struct hl_run *r, uint64_t n)
{
	switch (r->o->kase) {
	case HL_ULR:
		return HL_KIND_ULR;
	case HL_PUR:
		return HL_KIND_PUR;
	case HL_NOR:
		return HL_KIND_NOR;
	case HL_ECR:
		return HL_KIND_ECR;
	case HL_REGISTER:
	case HL_UAR:
		return HL_KIND_UAR;
	case HL_MAR:
		return HL_KIND_MAR;
	case HL_SAR:
		return HL_KIND_SAR_AGAIN;
	case HL_LIR:
		return HL_KIND_LIR;
	case HL_WLAN_MAR:
		return HL_KIND_WLAN_MAR;
	case HL_WLAN_SAR:
		return HL_KIND_WLAN_SAR;
	case HL_UDR:
		return HL_KIND_UDR;
	case HL_SH_PUR:
		return HL_KIND_SH_PUR;
	case HL_RESYNC:
		return r->o->forge ? HL_KIND_RESYNC : HL_KIND_AIR;
	case HL_MIXED:
		// six AIR, three ULR, one PUR of ten
		return n % 10 < 6 ? HL_KIND_AIR : n % 10 < 9 ? HL_KIND_ULR : HL_KIND_PUR;
	default:
		return HL_KIND_AIR;
	}
}

// RAND and AUTS that belong to no card: reproducible noise.
static void forge_auts(uint8_t resync[30], uint64_t n)
{
	for (unsigned i = 0; i < 30; i++)
		resync[i] = (uint8_t)ident_hash(n * 30 + i + 1);
}

static bool start_one(struct hl_run *r)
{
	uint32_t index = r->free_head != HL_NO_SLOT ? r->free_head : r->slot_fresh;
	if (index >= r->slot_count)
		return false;
	struct hl_slot *slot = &r->slots[index];
	uint32_t next_free = slot->next;

	slot->kind = first_kind(r, r->started);
	slot->subscriber = (uint32_t)hl_subscribers_pick(r->subscribers, r->started);
	slot->start_ns = due_ns(r);
	slot->again = false;
	if (slot->kind == HL_KIND_RESYNC)
		forge_auts(r->resync[index], r->started);
	if (!emit(r, index, r->next_conn))
		return false;
	if (index == r->free_head)
		r->free_head = next_free;
	else
		r->slot_fresh++;
	if (++r->next_conn == r->o->connections)
		r->next_conn = 0;
	r->busy++;
	r->started++;
	return true;
}

void hl_procedures_send(struct hl_run *r)
{
	while (r->ready_head != HL_NO_SLOT) {
		uint32_t index = r->ready_head, next = r->slots[index].next;
		if (!emit(r, index, r->slots[index].conn))
			return;
		r->ready_head = next;
	}
	while (!all_started(r) && due_ns(r) <= r->now_ns)
		if (!start_one(r))
			return;
}

bool hl_procedures_finished(const struct hl_run *r)
{
	return all_started(r) && r->busy == 0;
}

uint64_t hl_procedures_next_due(const struct hl_run *r)
{
	bool room = false, slot = r->free_head != HL_NO_SLOT || r->slot_fresh < r->slot_count;

	for (unsigned i = 0; i < r->o->connections; i++)
		room |= r->conns[i].state == HL_OPEN && r->conns[i].out_len == 0;
	if (!room)
		return UINT64_MAX; // what makes room is an event of the socket
	if (r->ready_head != HL_NO_SLOT)
		return 0;
	if (all_started(r) || !slot)
		return UINT64_MAX;
	uint64_t due = due_ns(r);
	return due > r->now_ns ? due - r->now_ns : 0;
}

static void count_result(struct hl_stats *s, uint32_t code)
{
	for (unsigned i = 0; i < s->result_count; i++)
		if (s->results[i].code == code) {
			s->results[i].count++;
			return;
		}
	if (s->result_count < HL_MAX_RESULTS)
		s->results[s->result_count++] = (struct hl_result){.code = code, .count = 1};
}

static bool wants_check(const struct hl_run *r, const struct hl_slot *slot)
{
	switch (r->o->verify) {
	case HL_VERIFY_NONE:
		return r->o->kase == HL_RESYNC;
	case HL_VERIFY_SAMPLE:
		return r->log || r->o->show || r->o->kase == HL_RESYNC || (slot->serial & 63) == 0;
	default:
		return true;
	}
}

// Goes on to the procedure's second request; the slot stays busy.
static void follow(struct hl_run *r, struct hl_slot *slot, uint8_t kind)
{
	slot->kind = kind;
	slot->start_ns = r->now_ns;
	slot->again = false;
	ready_push(r, (uint32_t)(slot - r->slots));
}

// An AIA of success. True when the procedure goes on.
static bool take_aia(struct hl_run *r, struct hl_slot *slot, const struct hl_answer *a)
{
	struct sim_vector first = {0};
	uint64_t sqn = 0;
	bool good = true;

	if (wants_check(r, slot))
		good = hl_verify_vectors(r, slot, a->auth_info, &first, &sqn);
	if (r->o->kase == HL_ATTACH) {
		follow(r, slot, HL_KIND_ULR);
		return true;
	}
	if (r->o->kase != HL_RESYNC || !good)
		return false;
	if (slot->kind == HL_KIND_RESYNC) {
		// the card must find the new vector newer than all it has seen
		r->stats.bad_vectors += sqn <= slot->sqn;
		return false;
	}
	uint8_t *resync = r->resync[slot - r->slots];
	slot->sqn = sqn + ((uint64_t)r->o->jump << 5);
	memcpy(resync, first.rand, 16);
	sim_auts(r->sim, hl_subscribers_keys(r->subscribers, slot->subscriber), first.rand, slot->sqn,
		 resync + 16);
	follow(r, slot, HL_KIND_RESYNC);
	return true;
}

// A UAA says 2002 to those who are known to an S-CSCF.
static bool as_expected(const struct hl_run *r, const struct hl_slot *slot, uint32_t result)
{
	bool uar = slot->kind == HL_KIND_UAR || slot->kind == HL_KIND_UAR_AGAIN;
	return result == r->o->expect || (uar && r->o->expect == 2001 && result == 2002);
}

// An answer on Cx or SWx. True when the procedure goes on.
static bool take_cx(struct hl_run *r, struct hl_slot *slot, const struct hl_answer *a)
{
	struct sim_vector first = {0};
	uint64_t sqn = 0;
	uint8_t next;

	if (!as_expected(r, slot, a->result) || a->result >= 3000)
		return false;
	if (hl_kind_rows[slot->kind].command == HL_CMD_MA && wants_check(r, slot))
		(void)hl_verify_vectors(r, slot, a->auth_info, &first, &sqn);
	if (!hl_cx_next(r, slot->kind, &next))
		return false;
	follow(r, slot, next);
	return true;
}

static void log_state(struct hl_run *r, const struct hl_slot *slot)
{
	const char *name = hl_kind_rows[slot->kind].log;

	if (r->log && name)
		fprintf(r->log, "%s %0*llu %s\n", name, (int)r->subscribers->digits,
			(unsigned long long)hl_subscribers_imsi(r->subscribers, slot->subscriber),
			r->conns[slot->conn].origin_host);
}

void hl_procedures_answer(struct hl_run *r, struct hl_conn *c, struct slice message)
{
	uint32_t hop_by_hop = be32_get(message.p + 12), index = hop_by_hop & SLOT_MASK;
	struct hl_slot *slot = &r->slots[index < r->slot_count ? index : 0];
	struct hl_answer a;

	if (index >= r->slot_fresh || slot->state != HL_SLOT_SENT || slot->hop_by_hop != hop_by_hop ||
	    &r->conns[slot->conn] != c || be24_get(message.p + 5) != hl_kind_rows[slot->kind].command ||
	    be32_get(message.p + 16) != r->end_to_end_base + (uint32_t)slot->serial) {
		r->stats.unmatched++;
		return;
	}
	r->stats.answers++;
	r->last_answer_ns = r->now_ns;
	latency_add(&r->stats.latency, r->now_ns - slot->start_ns);
	if (!hl_answer_parse(message, &a)) {
		r->stats.malformed++;
		release(r, slot);
		return;
	}
	count_result(&r->stats, a.result);
	r->stats.unexpected += !as_expected(r, slot, a.result);
	if (r->o->show)
		hl_show_answer(r, slot, &a, stdout);
	if (a.result == 2001) {
		log_state(r, slot);
		if ((slot->kind == HL_KIND_AIR || slot->kind == HL_KIND_RESYNC) && take_aia(r, slot, &a))
			return;
	}
	if (hl_kind_rows[slot->kind].application != HL_APP_S6A && take_cx(r, slot, &a))
		return;
	release(r, slot);
}

void hl_procedures_conn_lost(struct hl_run *r, const struct hl_conn *c)
{
	unsigned conn = (unsigned)(c - r->conns);

	for (uint32_t i = 0; i < r->slot_fresh; i++) {
		struct hl_slot *slot = &r->slots[i];
		if (slot->state != HL_SLOT_SENT || slot->conn != conn)
			continue;
		if (r->o->retransmit && !r->stopping) {
			slot->again = true;
			ready_push(r, i);
		} else {
			r->stats.lost++;
			release(r, slot);
		}
	}
}

void hl_procedures_sweep(struct hl_run *r)
{
	uint64_t timeout_ns = (uint64_t)(r->o->timeout * 1e9);

	for (uint32_t i = 0; i < r->slot_fresh; i++)
		if (r->slots[i].state == HL_SLOT_SENT && r->now_ns - r->slots[i].sent_ns > timeout_ns) {
			r->stats.timeouts++;
			release(r, &r->slots[i]);
		}
}

// The table of IMSIs that are asked for or were not found a moment ago, and the requests that wait for each
// (read_through.h). Loader process, main thread.
#include "loader/upstream/read_through.h"
#include <stdlib.h>
#include "lib/base/clock.h"
#include "lib/base/map.h"

#define PENDING_MAX 2048u
#define WAITERS_MAX 8192u // of all
#define NEGATIVE    65536u
#define NEGATIVE_MS 1000u

struct waiter {
	struct waiter *next;
	unsigned worker;
	uint32_t generation;
	uint64_t id;
};

// A question that has been asked, and the requests that wait for its answer: at least one.
struct pending {
	uint64_t imsi;
	struct waiter *waiter;
};

#define PENDING_KEY(p) ((p)->imsi)
MAP_DEFINE(pending_map, struct pending, PENDING_KEY)

struct read_through {
	struct pending_map pending;
	unsigned waiters;
	uint32_t tokens;
	struct {
		uint64_t imsi, ms;
	} negative[NEGATIVE];
};

struct read_through *read_through_new(uint32_t rate)
{
	struct read_through *m = calloc(1, sizeof(*m));
	if (m)
		m->tokens = rate;
	return m;
}

static void drop(struct read_through *m, struct pending *p)
{
	for (struct waiter *w = p->waiter, *next; w; w = next) {
		next = w->next;
		free(w);
		m->waiters--;
	}
	pending_map_remove(&m->pending, p);
}

void read_through_free(struct read_through **at)
{
	struct read_through *m = *at;
	struct pending *p;
	*at = NULL;
	if (!m)
		return;
	for (uint64_t i = 0; (p = pending_map_next(&m->pending, &i));)
		drop(m, p); // another one may move into its place
	pending_map_free(&m->pending);
	free(m);
}

static bool join(struct read_through *m, struct pending *p, unsigned worker, uint32_t generation, uint64_t id)
{
	struct waiter *w = m->waiters < WAITERS_MAX ? malloc(sizeof(*w)) : NULL;
	if (!w)
		return false;
	*w = (struct waiter){.next = p->waiter, .worker = worker, .generation = generation, .id = id};
	p->waiter = w;
	m->waiters++;
	return true;
}

enum read_through_turn read_through_begin(struct read_through *m, imsi_t imsi, unsigned worker, uint32_t generation, uint64_t id)
{
	uint32_t n = (uint32_t)ident_hash(imsi.v) & (NEGATIVE - 1);
	if (m->negative[n].imsi == imsi.v && clock_mono_ms() - m->negative[n].ms < NEGATIVE_MS)
		return READ_THROUGH_NEGATIVE;
	struct pending *p = pending_map_find(&m->pending, imsi.v);
	if (p)
		return join(m, p, worker, generation, id) ? READ_THROUGH_JOINED : READ_THROUGH_TOO_MANY;
	if (m->tokens == 0 || m->pending.cnt == PENDING_MAX)
		return READ_THROUGH_TOO_MANY;
	p = pending_map_add(&m->pending, (struct pending){.imsi = imsi.v});
	if (!p)
		return READ_THROUGH_TOO_MANY;
	if (!join(m, p, worker, generation, id)) {
		drop(m, p);
		return READ_THROUGH_TOO_MANY;
	}
	m->tokens--;
	return READ_THROUGH_ASK;
}

void read_through_end(struct loader *l, struct read_through *m, imsi_t imsi, enum read_through_status status)
{
	struct pending *p = pending_map_find(&m->pending, imsi.v);
	uint64_t told = status;
	if (!p)
		return;
	for (const struct waiter *w = p->waiter; w; w = w->next)
		if (w->generation == l->worker[w->worker].generation)
			l->send(l, ROLE_WORKER, w->worker, IPC_READ_THROUGH_ACK, w->id, &told, sizeof(told));
	drop(m, p);
	if (status == READ_THROUGH_UNKNOWN) {
		uint32_t n = (uint32_t)ident_hash(imsi.v) & (NEGATIVE - 1);
		m->negative[n].imsi = imsi.v;
		m->negative[n].ms = clock_mono_ms();
	}
}

void read_through_tick(struct read_through *m, uint32_t rate)
{
	m->tokens += rate / 10 + (rate < 10);
	if (m->tokens > rate)
		m->tokens = rate;
}

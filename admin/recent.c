// A ring of looks at the counters, one a second; rates are the difference of the newest and the oldest.
// hss-admin; recent.h.
#include "admin/recent.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define RING (RECENT_S + 1)

struct look {
	uint64_t at_ms;
	uint64_t requests, successes, refusals, busy, vectors, changes;
	uint64_t latency[STAT_LATENCY_BUCKETS];
};

struct recent {
	const struct control *control;
	struct look ring[RING];
	unsigned cnt, newest;
};

struct recent *recent_new(const struct control *control)
{
	struct recent *r = calloc(1, sizeof(*r));

	if (r)
		r->control = control;
	return r;
}

void recent_free(struct recent **r)
{
	free(*r);
	*r = NULL;
}

static uint64_t load(const _Atomic uint64_t *v)
{
	return atomic_load_explicit((_Atomic uint64_t *)v, memory_order_relaxed);
}

// Is it the text of a result that says success: "2001", "exp_2002"?
static bool is_success(const char *result)
{
	return *result == '2' || strncmp(result, "exp_2", 5) == 0;
}

static void add_frontend(struct look *l, const struct stats_block *s)
{
	for (unsigned cmd = 0; cmd < STAT_CMD_MAX; cmd++) {
		uint64_t requests = load(&s->requests[cmd]);

		l->requests += requests;
		for (unsigned result = 0; requests && result < STAT_RESULT_MAX; result++) {
			bool good = is_success(stat_result_text(result));

			*(good ? &l->successes : &l->refusals) += load(&s->answers[cmd][result]);
		}
		for (unsigned b = 0; requests && b < STAT_LATENCY_BUCKETS; b++)
			l->latency[b] += load(&s->latency[cmd][b]);
	}
}

void recent_look(struct recent *r, uint64_t now_ms)
{
	const struct control *c = r->control;

	r->newest = r->cnt ? (r->newest + 1) % RING : 0;
	r->cnt += r->cnt < RING;
	struct look *l = &r->ring[r->newest];
	*l = (struct look){.at_ms = now_ms};
	for (unsigned i = 0; i < c->frontend_cnt && i < FRONTEND_MAX; i++)
		add_frontend(l, &c->stats[control_instance(ROLE_FRONTEND, i)]);
	for (unsigned i = 0; i < ROLE_INSTANCE_MAX; i++) {
		const struct stats_block *s = &c->stats[i];

		l->busy += load(&s->c[STAT_TOO_BUSY]) + load(&s->c[STAT_ROUTE_TIMEOUT]);
		l->vectors += load(&s->c[STAT_VECTORS]);
		l->changes += load(&s->c[STAT_CHANGES]);
	}
}

// The bound of the bucket below which this share of the answers is; null: none, or above the last bound.
static json_t *within(const struct look *a, const struct look *b, double share)
{
	uint64_t all = 0, so_far = 0;

	for (unsigned i = 0; i < STAT_LATENCY_BUCKETS; i++)
		all += b->latency[i] - a->latency[i];
	for (unsigned i = 0; all && i < STAT_LATENCY_BUCKETS - 1; i++) {
		so_far += b->latency[i] - a->latency[i];
		if ((double)so_far >= share * (double)all)
			return json_real((double)(50ull << i) / 1000);
	}
	return json_null();
}

json_t *recent_json(const struct recent *r)
{
	const struct look *b = &r->ring[r->newest],
	    *a = &r->ring[r->cnt == RING ? (r->newest + 1) % RING : 0];
	double seconds = (double)(b->at_ms - a->at_ms) / 1000, s = seconds > 0 ? seconds : 1;

	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o}", "seconds", seconds,
			 "requests_per_s",
			 (double)(b->requests - a->requests) / s, "successes_per_s",
			 (double)(b->successes - a->successes) / s,
			 "refusals_per_s", (double)(b->refusals - a->refusals) / s, "busy_per_s",
			 (double)(b->busy - a->busy) / s, "vectors_per_s",
			 (double)(b->vectors - a->vectors) / s, "changes_per_s",
			 (double)(b->changes - a->changes) / s, "half_within_ms", within(a, b, 0.5),
			 "p99_within_ms",
			 within(a, b, 0.99));
}

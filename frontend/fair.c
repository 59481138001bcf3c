// Owns the weights and the waiting list of fair.h: how long the workers' queue is, which peers are light, and
// which wait for their turn. Runs in hss-frontend.
#include "frontend/fair.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "frontend/frontend.h"

#define NONE UINT32_MAX

int fair_init(struct fair *f, uint32_t cap)
{
	*f = (struct fair){.light = NONE};
	// fair_resume_all appends peers that must wait again while it reads the list: each peer stands in it
	// twice at most
	f->waiting = malloc(2ull * cap * sizeof *f->waiting);
	return f->waiting ? 0 : -ENOMEM;
}

void fair_fini(struct fair *f)
{
	free(f->waiting);
	*f = (struct fair){0};
}

// ---- light peers with requests, the latest one first ---------------------------------------------

static void light_remove(struct frontend *fe, struct conn *c)
{
	if (!c->light_until_us)
		return;
	if (c->light_next != NONE)
		fe->conns.conn[c->light_next].light_prev = c->light_prev;
	if (c->light_prev != NONE)
		fe->conns.conn[c->light_prev].light_next = c->light_next;
	else
		fe->fair.light = c->light_next;
	c->light_until_us = 0;
}

static void light_put(struct frontend *fe, struct conn *c)
{
	// moved to the front once a second, not for each request
	if (c->light_until_us + 1000000 > fe->now_us + FAIR_LIGHT_US)
		return;
	light_remove(fe, c);
	c->light_until_us = fe->now_us + FAIR_LIGHT_US;
	c->light_prev = NONE;
	c->light_next = fe->fair.light;
	if (c->light_next != NONE)
		fe->conns.conn[c->light_next].light_prev = c->index;
	fe->fair.light = c->index;
}

static bool light_asks(const struct frontend *fe)
{
	return fe->fair.light != NONE && fe->conns.conn[fe->fair.light].light_until_us > fe->now_us;
}

// ---- the queue -----------------------------------------------------------------------------------

void fair_asked(struct frontend *fe, struct conn *c, uint32_t weight)
{
	struct fair *f = &fe->fair;
	f->load += weight;
	c->load += weight;
	if (c->pending++ == 0)
		f->busy++;
	if (!c->heavy)
		light_put(fe, c);
}

void fair_answered(struct frontend *fe, struct conn *c, uint32_t weight)
{
	struct fair *f = &fe->fair;
	f->load -= weight;
	if (!c)
		return;
	c->load -= weight;
	if (--c->pending == 0)
		f->busy--;
}

void fair_conn_lost(struct frontend *fe, struct conn *c)
{
	light_remove(fe, c);
	if (c->pending)
		fe->fair.busy--;
}

// ---- shares --------------------------------------------------------------------------------------

// This frontend's part of the window. All frontends together fill about one window for each worker, and none
// less than half of one.
static uint32_t window_of(const struct frontend *fe)
{
	uint32_t each = light_asks(fe) ? FAIR_WINDOW_SHORT : FAIR_WINDOW;
	uint32_t frontends = fe->config->frontends ? fe->config->frontends : 1;
	uint32_t window = each * fe->worker_cnt / frontends;
	return window > each / 2 ? window : each / 2;
}

static uint32_t share_of(const struct frontend *fe)
{
	uint32_t share = window_of(fe) / (fe->fair.busy ? fe->fair.busy : 1);
	return share > FAIR_SHARE_MIN ? share : FAIR_SHARE_MIN;
}

bool fair_must_wait(const struct frontend *fe, const struct conn *c)
{
	return fe->fair.load >= window_of(fe) && c->load >= share_of(fe);
}

void fair_wait(struct conn *c)
{
	struct fair *f = &c->fe->fair;
	if (!c->listed)
		f->waiting[f->waiting_cnt++] = c->index;
	c->listed = true;
	if (c->wait_cnt < FAIR_HEAVY_WAITS && ++c->wait_cnt == FAIR_HEAVY_WAITS) {
		c->heavy = true;
		light_remove(c->fe, c);
	}
}

void fair_second(struct conn *c)
{
	c->heavy = c->wait_cnt == FAIR_HEAVY_WAITS;
	c->wait_cnt = 0;
}

void fair_resume_all(struct frontend *fe)
{
	struct fair *f = &fe->fair;
	uint32_t cnt = f->waiting_cnt, kept = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t index = f->waiting[i];
		struct conn *c = &fe->conns.conn[index];
		if (c->used && c->waits && c->load > share_of(fe) / 2) {
			f->waiting[kept++] = index;
			continue;
		}
		c->listed = false;
		if (c->used && c->waits)
			conn_resume(c);
	}
	// peers that must wait again stand behind those that have not had their turn
	memmove(f->waiting + kept, f->waiting + cnt, (f->waiting_cnt - cnt) * sizeof *f->waiting);
	f->waiting_cnt -= cnt - kept;
}

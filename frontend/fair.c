// Shares of the workers' queue (see fair.h). Runs in hss-frontend.
#include "frontend/fair.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "frontend/frontend.h"
#include "lib/diameter/grammar.h"

int fair_init(struct fair *f, uint32_t cap)
{
	*f = (struct fair){0};
	// who has to wait again is listed while the list is gone through: each one twice at most
	f->waiting = malloc(2ull * cap * sizeof *f->waiting);
	return f->waiting ? 0 : -ENOMEM;
}

void fair_fini(struct fair *f)
{
	free(f->waiting);
	*f = (struct fair){0};
}

// ---- what is pending -----------------------------------------------------------------------------

static uint32_t weight(unsigned command)
{
	return command == CMD_AIR ? FAIR_UNIT : 1;
}

void fair_asked(struct frontend *fe, struct conn *c, unsigned command)
{
	struct fair *f = &fe->fair;
	f->load += weight(command);
	c->load += weight(command);
	if (c->pending++ == 0)
		f->busy++;
	if (!c->heavy) {
		f->light = c->index;
		f->light_until_us = c->light_until_us = fe->now_us + FAIR_LIGHT_US;
	}
}

void fair_answered(struct frontend *fe, struct conn *c, unsigned command)
{
	struct fair *f = &fe->fair;
	f->load -= weight(command);
	if (!c)
		return;
	c->load -= weight(command);
	if (--c->pending == 0)
		f->busy--;
}

void fair_conn_lost(struct frontend *fe, const struct conn *c)
{
	if (c->pending)
		fe->fair.busy--;
}

// ---- shares --------------------------------------------------------------------------------------

// Of all frontends together about the window of each worker.
static uint32_t window_of(const struct frontend *fe)
{
	uint32_t each = fe->fair.light_until_us > fe->now_us ? FAIR_WINDOW_SHORT : FAIR_WINDOW;
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
		c->light_until_us = 0;
		if (f->light == c->index)
			f->light_until_us = 0; // whoever else asked before: fair_second
	}
}

void fair_second(struct conn *c)
{
	struct fair *f = &c->fe->fair;
	c->heavy = c->wait_cnt == FAIR_HEAVY_WAITS;
	c->wait_cnt = 0;
	if (c->light_until_us > f->light_until_us) {
		f->light = c->index;
		f->light_until_us = c->light_until_us;
	}
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
	// who has to wait again comes behind those that have not had their turn
	memmove(f->waiting + kept, f->waiting + cnt, (f->waiting_cnt - cnt) * sizeof *f->waiting);
	f->waiting_cnt -= cnt - kept;
}

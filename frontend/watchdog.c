// RFC 3539 3.4.1, the state table of its pages 13 and 14 as code, one function an event.
#include "frontend/watchdog.h"

#define JITTER_MS 2000 // each Tw is Twinit +- 2 s, drawn anew

// xorshift64: unpredictability is not asked for, only that peers do not fall into step.
static uint32_t jitter(struct watchdog *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)((w->random >> 32) * (2 * JITTER_MS + 1) >> 32);
}

static void restart(struct watchdog *w, uint64_t now_ms)
{
	w->deadline_ms = now_ms + w->tw_ms - JITTER_MS + jitter(w);
}

void watchdog_init(struct watchdog *w, uint32_t tw_ms, uint64_t seed)
{
	*w = (struct watchdog){.tw_ms = tw_ms < 6000 ? 6000 : tw_ms,
			       .state = WATCHDOG_INITIAL,
			       .random = seed * 0x9e3779b97f4a7c15ull | 1};
}

unsigned watchdog_up(struct watchdog *w, uint64_t now_ms)
{
	restart(w, now_ms);
	if (w->state == WATCHDOG_INITIAL) {
		w->state = WATCHDOG_OKAY;
		return 0;
	}
	if (w->state != WATCHDOG_DOWN)
		return 0;
	w->state = WATCHDOG_REOPEN;
	w->num_dwa = 0;
	w->pending = true;
	return WATCHDOG_SEND_DWR;
}

unsigned watchdog_down(struct watchdog *w, uint64_t now_ms)
{
	unsigned actions = WATCHDOG_CLOSE | (w->state == WATCHDOG_OKAY ? WATCHDOG_FAILOVER : 0);
	if (w->state != WATCHDOG_INITIAL)
		w->state = WATCHDOG_DOWN;
	w->pending = false;
	restart(w, now_ms);
	return actions;
}

static unsigned receive_reopen(struct watchdog *w, bool dwa)
{
	if (!dwa)
		return WATCHDOG_THROW;
	if (w->num_dwa < 2) {
		w->num_dwa++;
		return 0;
	}
	w->num_dwa = 3;
	w->state = WATCHDOG_OKAY;
	return WATCHDOG_FAILBACK;
}

unsigned watchdog_receive(struct watchdog *w, uint64_t now_ms, bool dwa)
{
	if (dwa)
		w->pending = false;
	switch ((enum watchdog_state)w->state) {
	case WATCHDOG_OKAY:
		restart(w, now_ms);
		return 0;
	case WATCHDOG_SUSPECT:
		restart(w, now_ms);
		w->state = WATCHDOG_OKAY;
		return WATCHDOG_FAILBACK;
	case WATCHDOG_REOPEN:
		return receive_reopen(w, dwa);
	case WATCHDOG_INITIAL:
	case WATCHDOG_DOWN:
		break;
	}
	return WATCHDOG_THROW;
}

static unsigned expire_reopen(struct watchdog *w)
{
	if (!w->pending) {
		w->pending = true;
		return WATCHDOG_SEND_DWR;
	}
	if (w->num_dwa >= 0) {
		w->num_dwa = -1;
		return 0;
	}
	w->state = WATCHDOG_DOWN;
	w->pending = false;
	return WATCHDOG_CLOSE;
}

unsigned watchdog_expire(struct watchdog *w, uint64_t now_ms)
{
	restart(w, now_ms);
	switch ((enum watchdog_state)w->state) {
	case WATCHDOG_OKAY:
		if (!w->pending) {
			w->pending = true;
			return WATCHDOG_SEND_DWR;
		}
		w->state = WATCHDOG_SUSPECT;
		return WATCHDOG_FAILOVER;
	case WATCHDOG_SUSPECT:
		w->state = WATCHDOG_DOWN;
		w->pending = false;
		return WATCHDOG_CLOSE;
	case WATCHDOG_REOPEN:
		return expire_reopen(w);
	case WATCHDOG_INITIAL:
	case WATCHDOG_DOWN:
		return WATCHDOG_OPEN;
	}
	return 0;
}

unsigned watchdog_probe(struct watchdog *w, uint64_t now_ms)
{
	if (w->pending || w->state != WATCHDOG_OKAY)
		return 0;
	restart(w, now_ms);
	w->pending = true;
	return WATCHDOG_SEND_DWR;
}

const char *watchdog_state_name(enum watchdog_state state)
{
	static const char *const name[] = {"initial", "okay", "suspect", "down", "reopen"};
	return (unsigned)state < sizeof name / sizeof name[0] ? name[state] : "unknown";
}

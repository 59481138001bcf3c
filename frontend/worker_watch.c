// Signs of life of the workers, as this frontend sees them (see worker_watch.h). Runs in hss-frontend.
#include "frontend/worker_watch.h"
#include "frontend/frontend.h"
#include "frontend/route.h"
#include "lib/base/log.h"

#define SILENT_MS 1000
#define AWAY_MS	  500 // a tick that late: we were away ourselves

static uint64_t beat_of(const struct frontend *fe, uint32_t worker)
{
	return __atomic_load_n((uint64_t *)&fe->control->role[control_instance(ROLE_WORKER, worker)].beat,
			       __ATOMIC_RELAXED);
}

// Whether all that it owes may be waiting for the loader.
static bool waits_for_loader(const struct frontend *fe, uint32_t worker)
{
	const struct stats_block *s = &fe->control->stats[control_instance(ROLE_WORKER, worker)];
	return __atomic_load_n((uint64_t *)&s->c[STAT_LOADER_WAITING], __ATOMIC_RELAXED) != 0;
}

static bool beats(const struct frontend_worker *w, uint64_t now_ms)
{
	return w->beat && now_ms - w->beat_ms < SILENT_MS;
}

static bool answers(const struct frontend *fe, const struct frontend_worker *w, uint64_t now_ms)
{
	return !w->pending || now_ms - w->progress_ms < SILENT_MS || waits_for_loader(fe, w->index);
}

static void look_at(struct frontend *fe, struct frontend_worker *w, bool another, uint64_t now_ms)
{
	bool lives = beats(w, now_ms) && answers(fe, w, now_ms);
	// one that beat, but answered nothing, must answer first: it owes us nothing any more
	if (w->silent && lives && (!w->mute || w->progress_ms > w->silent_ms)) {
		w->silent = false;
		log_info("worker_speaks_again", LOG_INT("worker", w->index));
	} else if (!w->silent && !lives && another && w->channel) {
		w->silent = true;
		w->mute = beats(w, now_ms);
		w->silent_ms = now_ms;
		log_warn("worker_silent", LOG_INT("worker", w->index), LOG_INT("pending", w->pending));
		route_worker_lost(fe, w->index);
	}
}

void worker_watch_tick(struct frontend *fe, uint64_t now_ms)
{
	uint64_t away_ms = now_ms - fe->watch_ms;
	uint32_t living = 0;
	fe->watch_ms = now_ms;
	for (uint32_t i = 0; i < fe->worker_cnt; i++) {
		struct frontend_worker *w = &fe->worker[i];
		uint64_t beat = beat_of(fe, i);
		if (beat != w->beat)
			w->beat_ms = now_ms;
		else if (away_ms > AWAY_MS)
			w->beat_ms += away_ms;
		if (away_ms > AWAY_MS)
			w->progress_ms = now_ms;
		w->beat = beat;
		living += beats(w, now_ms) && answers(fe, w, now_ms);
	}
	for (uint32_t i = 0; i < fe->worker_cnt; i++)
		look_at(fe, &fe->worker[i], living > 0, now_ms);
}

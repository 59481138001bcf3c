// The load, comparisons and polling: one pass over the whole collection that sends what differs from what was
// sent, and finds what is gone. See mongo_feed.h. Loader process, the feed thread; law 8.
#include "loader/upstream/mongo/mongo_feed.h"
#include <malloc.h>
#include <stdio.h>
#include <time.h>
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define BATCH       10000
#define FIGURES_MS  200u
#define HELD_MS     5000u // until a collection that was empty is looked at again
#define FEW         1000u // that may be missing without a second look
#define RETRY_MS    60000u
#define PROGRESS_MS 10000u

struct sweep {
	struct mongo_feed *f;
	bool paced;
	uint64_t seen, total;
	uint64_t begun_ms, told_ms, logged_ms, cpu_ms;
};

struct sweep_figures {
	uint64_t done, total, begun_ms, ms, cpu_ms;
	bool held, end;
};

static void set_figures(struct up_figures *figures, const void *arg)
{
	const struct sweep_figures *s = arg;
	figures->load_done = s->done;
	figures->load_total = s->total;
	figures->load_started_ms = s->begun_ms;
	if (!s->end)
		return;
	figures->sweep_ms = s->ms;
	figures->sweep_cpu_ms = s->cpu_ms;
	figures->empty_held = s->held;
}

static uint64_t thread_cpu_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void log_progress(struct sweep *w, uint64_t now, bool end)
{
	uint64_t ms = now - w->begun_ms, rate = w->seen * 1000 / (ms ? ms : 1);
	uint64_t left = w->total > w->seen && rate ? (w->total - w->seen) / rate : 0;
	if (end)
		log_info("upstream_loaded", LOG_INT("documents", w->seen), LOG_INT("ms", ms),
			 LOG_INT("rate", rate));
	else
		log_info("upstream_loading", LOG_INT("documents", w->seen), LOG_INT("of", w->total),
			 LOG_INT("rate", rate), LOG_INT("left_s", left));
	w->logged_ms = now;
}

static void tell(struct sweep *w, bool end, bool held)
{
	uint64_t now = clock_mono_ms();
	if (!w->f->loaded && (end || now - w->logged_ms >= PROGRESS_MS))
		log_progress(w, now, end);
	if (!end && now - w->told_ms < FIGURES_MS)
		return;
	w->told_ms = now;
	struct sweep_figures s = {.done = w->seen,
				  .total = w->total,
				  .begun_ms = w->begun_ms,
				  .ms = now - w->begun_ms,
				  .cpu_ms = thread_cpu_ms() - w->cpu_ms,
				  .held = held,
				  .end = end};
	upstream_set(w->f->u, set_figures, &s);
}

// A sweep that nobody waits for takes half of the interval, so that the server and this machine notice little
// of it.
static bool pace(const struct sweep *w)
{
	uint64_t now = clock_mono_ms() - w->begun_ms;
	uint64_t half = upstream_options(w->f->u)->config->store_poll_ms / 2;
	uint64_t due = w->total ? half * w->seen / w->total : 0;
	return due > now && upstream_wait(w->f->u, (unsigned)(due - now));
}

static enum feed_result read_all(struct sweep *w, mongoc_cursor_t *cursor)
{
	const bson_t *doc;
	bson_error_t error;
	struct mongo_feed *f = w->f;
	while (mongoc_cursor_next(cursor, &doc)) {
		if (!mongo_feed_document(f, doc, f->resend, false))
			return FEED_END;
		w->seen++;
		if (w->seen % 1000)
			continue;
		tell(w, false, false);
		if (upstream_ending(f->u) || (w->paced && w->seen % BATCH == 0 && pace(w)))
			return FEED_END;
	}
	if (!mongoc_cursor_error(cursor, &error))
		return FEED_OK;
	mongo_failed(&f->m, "read the collection", &error);
	return FEED_AWAY;
}

static enum feed_result remove_unseen(struct mongo_feed *f)
{
	enum feed_result r = FEED_OK;
	size_t at = 0;
	const struct idmap_entry *e;
	// removing changes places: those of a round are taken out first, then looked up
	while (r == FEED_OK && (e = idmap_next(&f->map, &at))) {
		if (e->seen != f->generation) {
			f->gone[f->gone_cnt++] = (struct mongo_feed_gone){.id = e->id, .imsi = e->imsi};
			if (f->gone_cnt == FEED_GONE_MAX) {
				r = mongo_feed_gone_flush(f);
				// each removal moves others by one place at most; who is looked at again is
				// seen
				at = at > FEED_GONE_MAX ? at - FEED_GONE_MAX : 0;
				continue;
			}
		}
		at++;
	}
	return r == FEED_OK ? mongo_feed_gone_flush(f) : r;
}

static enum feed_result sweep(struct sweep *w)
{
	struct mongo_feed *f = w->f;
	bson_error_t error;
	bson_t all = BSON_INITIALIZER, opts = BSON_INITIALIZER;
	int64_t total = mongoc_collection_estimated_document_count(f->m.coll, NULL, NULL, NULL, &error);
	w->total = total > 0 ? (uint64_t)total : 0;
	BSON_APPEND_INT32(&opts, "batchSize", BATCH);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(f->m.coll, &all, &opts, NULL);
	enum feed_result r = read_all(w, cursor);
	mongoc_cursor_destroy(cursor);
	bson_destroy(&opts);
	bson_destroy(&all);
	return r;
}

// Dropped, renamed, a wrong name: nobody is cut off for that. Nor for a restore that is under way: when most
// are missing, they are gone if a second look finds no more than the first.
static bool must_hold(const struct mongo_feed *f, uint64_t seen)
{
	if (seen == 0)
		return f->map.cnt > 0;
	uint64_t missing = f->map.cnt > seen ? f->map.cnt - seen : 0;
	return missing > FEW && missing > seen && !(f->held && f->held_seen == seen);
}

enum feed_result mongo_feed_compare(struct mongo_feed *f, bool paced)
{
	struct sweep w = {.f = f, .paced = paced, .begun_ms = clock_mono_ms(), .cpu_ms = thread_cpu_ms()};
	w.logged_ms = w.begun_ms;
	f->generation = (f->generation + 1) & 0x7fffffff;
	if (f->generation == 0)
		f->generation = 1;
	mongo_feed_learn_known(f);
	tell(&w, false, false);
	enum feed_result r = sweep(&w);
	if (r != FEED_OK)
		return r;
	mongo_worked(&f->m);
	bool held = must_hold(f, w.seen);
	if (held && !f->held)
		log_warn("upstream_is_empty", LOG_INT("documents", w.seen), LOG_INT("kept", f->map.cnt));
	f->held_seen = w.seen;
	if (!held)
		r = remove_unseen(f);
	if (r != FEED_OK)
		return r;
	f->held = f->compare = held;
	f->resend = false;
	f->compare_ms = held ? clock_mono_ms() + HELD_MS : 0;
	tell(&w, true, held);
	mongo_feed_count(f, false);
	if (!paced) // a load or a comparison took batches and documents that nobody needs any more
		malloc_trim(0);
	return FEED_OK;
}

static bool poll_once(struct mongo_feed *f, enum feed_result *r)
{
	uint64_t begun = clock_mono_ms();
	f->resend |= upstream_compare_wanted(f->u, &f->wish);
	bool asked = f->resend;
	*r = mongo_feed_compare(f, f->loaded && !asked);
	if (*r != FEED_OK)
		return false;
	if (!f->loaded || asked)
		*r = mongo_feed_complete(f) ? FEED_OK : FEED_END;
	f->loaded = true;
	feed_state(f, UP_LIVE, UP_POLL);
	mongo_feed_count(f, true);
	uint64_t due = begun + upstream_options(f->u)->config->store_poll_ms;
	while (*r == FEED_OK && !f->resend && clock_mono_ms() < due) {
		if (upstream_wait(f->u, (unsigned)(due - clock_mono_ms())))
			*r = FEED_END;
		f->resend |= upstream_compare_wanted(f->u, &f->wish);
	}
	return *r == FEED_OK;
}

enum feed_result mongo_feed_poll(struct mongo_feed *f)
{
	enum feed_result r;
	uint64_t begun = clock_mono_ms();
	feed_state(f, f->loaded ? UP_LIVE : UP_LOADING, UP_POLL);
	while (poll_once(f, &r))
		if (!f->streamless && clock_mono_ms() - begun > RETRY_MS)
			return FEED_NONE; // it may have been a passing reason: ask again
	return r;
}

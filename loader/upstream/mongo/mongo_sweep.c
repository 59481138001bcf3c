// The load, comparisons and polling: one pass over the whole collection. It sends the documents that differ
// from what was sent last, and finds those that are gone (see mongo_feed.h). Loader process, the feed thread;
// law 8.
#include "loader/upstream/mongo/mongo_feed.h"
#include <malloc.h>
#include <stdlib.h>
#include <time.h>
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define BATCH       10000
#define FIGURES_MS  200u
#define RETRY_MS    60000u
#define STAMP_EACH  1000u // documents
#define STAMPS      (BATCH / STAMP_EACH + 2)
#define LATER_MAX   1000u // new documents of one sweep that wait for its end
#define SHARE       20u	  // of the time, at most one part of so many is spent sweeping
#define DOCUMENTS_MS 50u   // documents that a server sends in a millisecond, at least
#define POLL_MIN_MS 250u
#define PROGRESS_MS 10000u

struct sweep {
	struct mongo_feed *f;
	bool paced;
	uint64_t known; // documents when it began
	uint64_t seen, total;
	uint64_t begun_ms, told_ms, logged_ms, cpu_ms, waited_ms;
	uint64_t stamp_us[STAMPS]; // when the last documents were asked for, one of STAMP_EACH
	bson_t *later[LATER_MAX];
	unsigned later_cnt;
};

struct sweep_figures {
	uint64_t done, total, begun_ms, ms, cpu_ms;
	bool end;
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

static void tell(struct sweep *w, bool end)
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
				  .end = end};
	upstream_set(w->f->u, set_figures, &s);
}

// How often the collection is swept: store.poll_interval_ms is the longest that a change may wait. A small collection is swept
// sooner, so that what the WebUI saved is served when the phone attaches a second later. What a document costs the server is an
// estimate, since how long a sweep took says as much about what else the machine did; a server that is slow gets its rest, too.
static uint64_t poll_ms(const struct mongo_feed *f)
{
	uint64_t longest = upstream_options(f->u)->config->store_poll_ms;
	uint64_t ms = f->map.cnt * SHARE / DOCUMENTS_MS;
	if (f->loaded && ms < f->sweep_ms * 2)
		ms = f->sweep_ms * 2;
	if (ms < POLL_MIN_MS)
		ms = POLL_MIN_MS;
	return ms < longest ? ms : longest;
}

// Slows down a sweep that no one waits for: it takes half of the longest interval, so that it costs the
// server and this machine little at a time.
static bool pace(struct sweep *w)
{
	uint64_t now = clock_mono_ms(), spent = now - w->begun_ms;
	uint64_t half = upstream_options(w->f->u)->config->store_poll_ms / 2;
	uint64_t due = w->total ? half * w->seen / w->total : 0;
	if (due <= spent)
		return false;
	bool end = upstream_wait(w->f->u, (unsigned)(due - spent));
	w->waited_ms += clock_mono_ms() - now;
	return end;
}

// The server has sent a document at the earliest when the one that came a whole batch before it was asked for.
static uint64_t read_us(struct sweep *w)
{
	if (w->seen % STAMP_EACH == 0)
		w->stamp_us[w->seen / STAMP_EACH % STAMPS] = clock_mono_us();
	return w->seen >= STAMP_EACH * (STAMPS - 1) ? w->stamp_us[(w->seen / STAMP_EACH + 1) % STAMPS] : w->begun_ms * 1000;
}

// A document that is new to us may have the IMSI of one that is gone. It is sent when the sweep knows which
// are gone.
static bool keep_for_later(struct sweep *w, const bson_t *doc)
{
	if (w->known == 0 || w->later_cnt == LATER_MAX || idmap_find(&w->f->map, mongo_doc_id(doc)))
		return false;
	w->later[w->later_cnt++] = bson_copy(doc);
	return true;
}

static bool tell_later(struct sweep *w)
{
	bool ok = true;
	struct mongo_feed_how how = {.force = w->f->resend, .read_us = w->begun_ms * 1000};
	for (unsigned i = 0; i < w->later_cnt; i++) {
		ok = ok && mongo_feed_document(w->f, w->later[i], &how);
		bson_destroy(w->later[i]);
	}
	w->later_cnt = 0;
	return ok;
}

static enum feed_result read_all(struct sweep *w, mongoc_cursor_t *cursor)
{
	const bson_t *doc;
	bson_error_t error;
	struct mongo_feed *f = w->f;
	struct mongo_feed_how how = {.force = f->resend, .read_us = read_us(w)};
	while (mongoc_cursor_next(cursor, &doc)) {
		if (!keep_for_later(w, doc) && !mongo_feed_document(f, doc, &how))
			return FEED_END;
		w->seen++;
		how.read_us = read_us(w);
		if (w->seen % STAMP_EACH)
			continue;
		tell(w, false);
		if (upstream_ending(f->u) || (w->paced && w->seen % BATCH == 0 && pace(w)))
			return FEED_END;
	}
	if (!mongoc_cursor_error(cursor, &error))
		return FEED_OK;
	mongo_failed(&f->m, "read the collection", &error);
	return FEED_AWAY;
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

// How many subscribers the sweep did not find under any _id, but for those that we removed ourselves.
static uint64_t count_missing(const struct sweep *w)
{
	const struct mongo_feed *f = w->f;
	const struct idmap_entry *e;
	struct imsi_set missing = {0};
	uint64_t n = 0;
	if (f->map.cnt + w->later_cnt <= w->seen)
		return 0;
	for (size_t at = 0; (e = idmap_next(&f->map, &at)); at++)
		if (e->seen != f->generation && !imsi_set_has(&f->removed, e->imsi))
			n += imsi_set_add(&missing, e->imsi) != 0;
	for (size_t at = 0; n && (e = idmap_next(&f->map, &at)); at++)
		n -= e->seen == f->generation && imsi_set_mark(&missing, e->imsi);
	for (unsigned i = 0; n && i < w->later_cnt; i++)
		n -= imsi_set_mark(&missing, mongo_doc_imsi(w->later[i]));
	imsi_set_free(&missing);
	return n;
}

// Must this loss be held? The collection may have been dropped or renamed, its name may be wrong, a restore
// may be under way: no subscriber is cut off for that. When it looks well again, another look must find no
// more documents; otherwise it is still being filled.
static bool must_hold(const struct sweep *w, uint64_t missing)
{
	struct mongo_feed *f = w->f;
	if (f->accepted)
		return false;
	if (loss_is_sudden(&f->loss, missing, w->known, clock_mono_ms()))
		return true;
	return f->held && missing && w->seen != f->held_seen;
}

static enum feed_result settle(struct sweep *w)
{
	struct mongo_feed *f = w->f;
	uint64_t missing = count_missing(w);
	bool held = must_hold(w, missing);
	enum feed_result r = held ? FEED_OK : mongo_gone_remove(f, true);
	if (held)
		mongo_gone_mark_unseen(f);
	if (r == FEED_OK && !tell_later(w))
		r = FEED_END;
	if (r != FEED_OK)
		return r;
	mongo_gone_hold(f, held ? missing : 0, w->known);
	f->held_seen = w->seen;
	f->accepted = f->resend = false;
	f->compare = held;
	f->compare_ms = held ? clock_mono_ms() + FEED_HELD_MS : 0;
	imsi_set_free(&f->written);
	imsi_set_free(&f->removed);
	if (!held)
		mongo_gone_forget(f);
	return FEED_OK;
}

static enum feed_result compare(struct sweep *w)
{
	struct mongo_feed *f = w->f;
	f->generation = (f->generation + 1) & IDMAP_SEEN_MAX;
	if (f->generation == 0)
		f->generation = 1;
	f->accepted |= upstream_loss_accepted(f->u);
	mongo_feed_learn_known(f);
	w->known = f->map.cnt;
	tell(w, false);
	enum feed_result r = sweep(w);
	if (r == FEED_OK) {
		mongo_worked(&f->m);
		r = settle(w);
	}
	for (unsigned i = 0; i < w->later_cnt; i++)
		bson_destroy(w->later[i]);
	if (r != FEED_OK)
		return r;
	f->sweep_ms = clock_mono_ms() - w->begun_ms - w->waited_ms;
	tell(w, true);
	mongo_feed_count(f, false);
	return FEED_OK;
}

enum feed_result mongo_feed_compare(struct mongo_feed *f, bool paced)
{
	struct sweep *w = calloc(1, sizeof(*w));
	if (!w)
		return FEED_AWAY;
	*w = (struct sweep){.f = f, .paced = paced, .begun_ms = clock_mono_ms(), .cpu_ms = thread_cpu_ms()};
	w->logged_ms = w->begun_ms;
	enum feed_result r = compare(w);
	free(w);
	if (r == FEED_OK && !paced) // a load or a comparison took batches and documents that nobody needs any more
		malloc_trim(0);
	return r;
}

bool mongo_feed_still_missing(struct mongo_feed *f)
{
	bson_error_t error;
	int64_t total = mongoc_collection_estimated_document_count(f->m.coll, NULL, NULL, NULL, &error);
	uint64_t known = f->map.cnt, there = total > 0 ? (uint64_t)total : 0;
	return total >= 0 && there < known && loss_is_sudden(&f->loss, known - there, known, clock_mono_ms());
}

static bool poll_once(struct mongo_feed *f, enum feed_result *r)
{
	uint64_t begun = clock_mono_ms();
	f->resend |= upstream_compare_wanted(f->u, &f->wish);
	bool asked = f->resend;
	*r = mongo_feed_compare(f, f->loaded && !asked);
	if (*r != FEED_OK)
		return false;
	uint64_t due = begun + poll_ms(f);
	if (!f->loaded || asked)
		*r = mongo_feed_complete(f) ? FEED_OK : FEED_END;
	f->loaded = true;
	feed_state(f, UP_LIVE, UP_POLL);
	mongo_feed_count(f, true);
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

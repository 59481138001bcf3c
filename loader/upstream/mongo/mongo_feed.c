// The feed thread of upstream.h. This file has its life (connect, stream or poll, wait and begin again) and
// what it sends to the main thread about documents. Loader process; laws 6 and 8.
#include "loader/upstream/mongo/mongo_feed.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "loader/store/sql.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define KNOWN_MS 60000u // a stream tells what answers brought much sooner

// ---- items

bool mongo_feed_give(struct mongo_feed *f, const struct up_item *item)
{
	struct up_item *i = malloc(sizeof(*i));
	if (!i) {
		struct up_doc *d = item->doc;
		up_doc_free(&d);
		free(item->text);
		upstream_error(f->u, "no memory");
		return false;
	}
	*i = *item;
	i->size = sizeof(*i) + i->len;
	if (i->doc)
		i->size += sizeof(*i->doc) + 2 * i->doc->text_len + i->doc->profile->len;
	return upstream_give_take(f->u, &i);
}

bool mongo_feed_complete(struct mongo_feed *f)
{
	return mongo_feed_give(f, &(struct up_item){.kind = UP_COMPLETE, .id = f->wish});
}

static bool give_bad(struct mongo_feed *f, uint64_t id, imsi_t imsi, const char *text)
{
	return mongo_feed_give(f, &(struct up_item){.kind = UP_BAD, .id = id, .imsi = imsi, .text = strdup(text)});
}

static bool give_good(struct mongo_feed *f, uint64_t id)
{
	return mongo_feed_give(f, &(struct up_item){.kind = UP_GOOD, .id = id});
}

// What the document was before under another IMSI is gone: the caller's own id is still there.
static bool moved_away(struct mongo_feed *f, struct idmap_entry *e, imsi_t now)
{
	return e->imsi.v == 0 || e->imsi.v == now.v ||
	       mongo_feed_give(f, &(struct up_item){.kind = UP_DELETE, .id = e->id, .imsi = e->imsi});
}

bool mongo_feed_document(struct mongo_feed *f, const bson_t *doc, const struct mongo_feed_how *how)
{
	struct mongo_digests g;
	struct record_error error;
	mongo_doc_digests(doc, &g);
	struct idmap_entry *e = idmap_add(&f->map, g.id);
	if (!e)
		return g.id == 0; // a view may have none: nothing that could be kept in step
	e->seen = f->generation;
	mongo_gone_not(f, e);
	if (!how->force && e->full == g.full && !imsi_set_take(&f->written, e->imsi))
		return true;
	f->changes++;
	e->full = g.full;
	struct up_doc *d = mongo_doc_read(&f->docs, doc, &g, &error);
	bool was_bad = e->bad;
	e->bad = error.text[0] != 0;
	if (!d) {
		// a subscriber that was served so far is served as before
		if (e->imsi.v == 0)
			e->imsi = mongo_doc_imsi(doc);
		return give_bad(f, g.id, e->imsi, error.text);
	}
	imsi_t imsi = d->imsi;
	d->read_us = how->read_us;
	d->flawed = e->bad;
	struct up_item item = {.kind = UP_DOC, .id = g.id, .imsi = imsi, .doc = d, .takes_over = how->takes_over};
	item.takes_over |= e->imsi.v == 0 && mongo_gone_is_replaced(f, imsi);
	if (!moved_away(f, e, imsi)) {
		up_doc_free(&d);
		return false;
	}
	e->imsi = imsi;
	bool bad = e->bad;
	if (!mongo_feed_give(f, &item))
		return false;
	if (bad)
		return give_bad(f, g.id, imsi, error.text);
	return !was_bad || give_good(f, g.id);
}

// ---- what the other threads did

void mongo_feed_learn_known(struct mongo_feed *f)
{
	size_t cnt;
	struct up_known *known = upstream_take_known(f->u, &cnt);
	for (size_t i = 0; i < cnt; i++) {
		struct idmap_entry *e = known[i].id ? idmap_add(&f->map, known[i].id) : NULL;
		if (e && e->imsi.v == 0)
			e->imsi = known[i].imsi;
	}
	free(known);
	mongo_feed_learn_own(f);
}

void mongo_feed_learn_own(struct mongo_feed *f)
{
	upstream_take_own(f->u, UP_OWN_WRITE, &f->written);
	upstream_take_own(f->u, UP_OWN_REMOVAL, &f->removed);
}

void mongo_feed_forget_known(struct mongo_feed *f)
{
	size_t cnt;
	uint64_t now = clock_mono_ms();
	if (now - f->known_ms < KNOWN_MS)
		return;
	f->known_ms = now;
	free(upstream_take_known(f->u, &cnt));
	imsi_set_free(&f->written);
	imsi_set_free(&f->removed);
}

// ---- figures

struct told {
	const struct mongo_feed *f;
	enum up_state state;
	enum up_mode mode;
	bool level;
};

static void set_state(struct up_figures *figures, const void *arg)
{
	const struct told *t = arg;
	if (t->state == UP_LOADING || t->state == UP_LIVE)
		figures->reached_ms = clock_mono_ms();
	figures->state = t->state;
	figures->mode = t->mode;
}

void feed_state(struct mongo_feed *f, enum up_state state, enum up_mode mode)
{
	upstream_set(f->u, set_state, &(struct told){.state = state, .mode = mode});
	if (mode != f->told && mode != UP_NONE) {
		log_info("upstream_mode", LOG_STR("mode", mode == UP_STREAM ? "stream" : "poll"));
		f->told = mode;
	}
}

static void set_count(struct up_figures *figures, const void *arg)
{
	const struct told *t = arg;
	figures->documents = t->f->map.cnt - t->f->loss.pending;
	figures->events = t->f->changes;
	if (t->level)
		figures->live_ms = clock_mono_ms();
}

void mongo_feed_count(struct mongo_feed *f, bool level)
{
	upstream_set(f->u, set_count, &(struct told){.f = f, .level = level});
}

// ---- its life

static int read_rows(struct mongo_feed *f, sqlite3 *db)
{
	sqlite3_stmt *s = NULL;
	int rc = sql_prepare(db, "SELECT imsi, id FROM upstream", &s), step = SQLITE_ROW;
	while (rc == 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct idmap_entry *e = idmap_add(&f->map, (uint64_t)sqlite3_column_int64(s, 1));
		if (!e && sqlite3_column_int64(s, 1) != 0)
			rc = -ENOMEM;
		if (!e)
			continue;
		e->imsi.v = (uint64_t)sqlite3_column_int64(s, 0);
	}
	if (rc == 0)
		rc = sql_error(step);
	sqlite3_finalize(s);
	return rc;
}

// Reads the documents that were known before the start. A database without the table, or none at all, knows
// none.
static int read_known(struct mongo_feed *f)
{
	char path[CONFIG_PATH_MAX + 16];
	sqlite3 *db = NULL;
	int64_t has = 0;
	snprintf(path, sizeof(path), "%s/hss.db", upstream_options(f->u)->dir);
	if (access(path, F_OK) < 0)
		return 0;
	int rc = sql_error(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL));
	if (rc == 0) {
		sqlite3_busy_timeout(db, 5000);
		rc = sql_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'upstream'", 0, &has);
	}
	if (rc == 0 && has)
		rc = read_rows(f, db);
	sqlite3_close(db);
	return rc;
}

static enum feed_result session(struct mongo_feed *f)
{
	enum feed_result r = stream_open(f);
	if (r == FEED_LOST) {
		log_warn("upstream_position_lost");
		stream_forget(f);
		r = stream_open(f);
	}
	if (r == FEED_OK)
		r = stream_run(f);
	else if (r == FEED_NONE)
		r = mongo_feed_poll(f);
	stream_close(f);
	return r;
}

static int mongo_feed_init(struct mongo_feed *f, struct upstream *u)
{
	f->u = u;
	mongo_init(&f->m, u, "feed");
	idmap_init(&f->map);
	int rc = mongo_docs_init(&f->docs, upstream_options(u));
	if (rc == 0)
		rc = read_known(f);
	f->compare = !stream_restore(f, upstream_options(u)->position);
	mongo_feed_count(f, false);
	return rc;
}

void *mongo_feed_main(void *upstream)
{
	struct mongo_feed *f = calloc(1, sizeof(*f));
	int rc = f ? mongo_feed_init(f, upstream) : -ENOMEM;
	bool end = rc != 0;
	if (rc) {
		upstream_error(upstream, err_text(rc));
		log_error("upstream_feed_failed", LOG_STR("reason", err_text(rc)));
	}
	while (!end) {
		enum feed_result r = mongo_open(&f->m) ? session(f) : FEED_AWAY;
		f->gone_cnt = 0;
		end = upstream_ending(upstream);
		if (r == FEED_LOST)
			stream_forget(f);
		if (r == FEED_END) // no memory for an item: what the map says was sent was not
			f->compare = f->resend = true;
		if (r == FEED_LOST || r == FEED_NONE || end)
			continue;
		feed_state(f, UP_DOWN, UP_NONE);
		end = mongo_back_off(&f->m);
	}
	if (f) {
		stream_forget(f);
		mongo_close(&f->m);
		mongo_docs_fini(&f->docs);
		idmap_fini(&f->map);
		imsi_set_free(&f->gone_imsi);
		imsi_set_free(&f->written);
		imsi_set_free(&f->removed);
	}
	free(f);
	return NULL;
}

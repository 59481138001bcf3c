// Documents that are gone, and the decision whether that is believed (mongo_feed.h, loss.h). A deletion in
// MongoDB names only the _id, so before the main thread hears of it, it is looked up whether another document
// has the IMSI. Loader process, the feed thread; law 8.
#include "loader/upstream/mongo/mongo_feed.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

// Sends the documents that have the IMSI of a document that is gone: they take over.
static bool find_others(struct mongo_feed *f, mongoc_cursor_t *cursor, uint64_t read_us)
{
	const bson_t *doc;
	while (mongoc_cursor_next(cursor, &doc)) {
		imsi_t imsi = mongo_doc_imsi(doc);
		uint64_t id = mongo_doc_id(doc);
		for (unsigned i = 0; i < f->gone_cnt; i++) {
			f->gone[i].found |= f->gone[i].imsi.v == imsi.v;
			f->gone[i].again |= f->gone[i].id == id;
		}
		struct mongo_feed_how how = {.force = true, .takes_over = true, .read_us = read_us};
		if (!mongo_feed_document(f, doc, &how))
			return false;
	}
	return true;
}

static enum feed_result look_up_gone(struct mongo_feed *f)
{
	bson_t filter = BSON_INITIALIZER, in, list;
	bson_error_t error;
	char key[16], text[16];
	const char *name;
	uint64_t read_us = clock_mono_us();
	BSON_APPEND_DOCUMENT_BEGIN(&filter, "imsi", &in);
	BSON_APPEND_ARRAY_BEGIN(&in, "$in", &list);
	for (unsigned i = 0; i < f->gone_cnt; i++) {
		imsi_text(f->gone[i].imsi, text);
		bson_uint32_to_string(i, &name, key, sizeof(key));
		bson_append_utf8(&list, name, -1, text, -1);
	}
	bson_append_array_end(&in, &list);
	bson_append_document_end(&filter, &in);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(f->m.coll, &filter, NULL, NULL);
	enum feed_result r = find_others(f, cursor, read_us) ? FEED_OK : FEED_END;
	if (r == FEED_OK && mongoc_cursor_error(cursor, &error)) {
		mongo_failed(&f->m, "look for who else has an IMSI", &error);
		r = FEED_AWAY;
	}
	mongoc_cursor_destroy(cursor);
	bson_destroy(&filter);
	return r;
}

// ---- is it believed?

void mongo_gone_not(struct mongo_feed *f, struct idmap_entry *e)
{
	if (!e->gone)
		return;
	e->gone = 0;
	f->loss.pending -= f->loss.pending > 0;
	(void)imsi_set_mark(&f->gone_imsi, e->imsi);
}

bool mongo_gone_is_replaced(const struct mongo_feed *f, imsi_t imsi)
{
	return imsi_set_has_unmarked(&f->gone_imsi, imsi);
}

static void set_gone(struct mongo_feed *f, struct idmap_entry *e)
{
	e->gone = 1;
	(void)imsi_set_add_unmarked(&f->gone_imsi, e->imsi); // without memory: its successor waits for a comparison
}

void mongo_gone_mark_unseen(struct mongo_feed *f)
{
	struct idmap_entry *e;
	for (size_t at = 0; (e = idmap_next(&f->map, &at)); at++) {
		if (e->seen == f->generation || e->gone)
			continue;
		set_gone(f, e);
		f->loss.pending++;
	}
}

void mongo_gone_forget(struct mongo_feed *f)
{
	f->loss.pending = 0;
	imsi_set_free(&f->gone_imsi);
}

static bool is_ours(const struct mongo_feed *f, const struct mongo_feed_gone *g)
{
	return imsi_set_has(&f->removed, g->imsi);
}

// Counts the deletions that are a loss: no other document has the IMSI, and it was not we who removed it.
static uint64_t count_losses(const struct mongo_feed *f)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < f->gone_cnt; i++)
		n += !f->gone[i].again && !f->gone[i].found && !is_ours(f, &f->gone[i]);
	return n;
}

static bool remove_one(struct mongo_feed *f, const struct mongo_feed_gone *g)
{
	struct idmap_entry *e = idmap_find(&f->map, g->id);
	f->changes++;
	if (e)
		mongo_gone_not(f, e);
	if (!g->found && !mongo_feed_give(f, &(struct up_item){.kind = UP_DELETE, .id = g->id, .imsi = g->imsi}))
		return false;
	if (!mongo_feed_give(f, &(struct up_item){.kind = UP_GOOD, .id = g->id}))
		return false;
	idmap_remove(&f->map, g->id);
	return true;
}

enum feed_result mongo_feed_gone_flush(struct mongo_feed *f)
{
	if (f->gone_cnt == 0)
		return FEED_OK;
	enum feed_result r = look_up_gone(f);
	uint64_t now = clock_mono_ms(), losses = r == FEED_OK ? count_losses(f) : 0, waiting = 0;
	bool believed = f->removing || (!f->held && loss_is_small(&f->loss, losses, f->map.cnt, now));
	for (unsigned i = 0; i < f->gone_cnt && r == FEED_OK; i++) {
		const struct mongo_feed_gone *g = &f->gone[i];
		struct idmap_entry *e = idmap_find(&f->map, g->id);
		if (g->again)
			continue;
		if (believed || g->found || is_ours(f, g) || !e)
			r = remove_one(f, g) ? FEED_OK : FEED_END;
		else if (!e->gone) {
			set_gone(f, e);
			waiting++;
		}
	}
	if (r == FEED_OK && believed)
		loss_believed(&f->loss, losses);
	if (waiting)
		loss_wait(&f->loss, waiting, now);
	f->gone_cnt = 0;
	return r;
}

enum feed_result mongo_feed_gone_add(struct mongo_feed *f, uint64_t id, imsi_t imsi)
{
	f->gone[f->gone_cnt++] = (struct mongo_feed_gone){.id = id, .imsi = imsi};
	return f->gone_cnt < FEED_GONE_MAX ? FEED_OK : mongo_feed_gone_flush(f);
}

// Of the entries that a comparison did not see, or of those that wait.
static bool is_gone(const struct mongo_feed *f, const struct idmap_entry *e, bool unseen)
{
	return unseen ? e->seen != f->generation : e->gone;
}

enum feed_result mongo_gone_remove(struct mongo_feed *f, bool unseen)
{
	enum feed_result r = FEED_OK;
	size_t at = 0;
	const struct idmap_entry *e;
	f->removing = true;
	// removing changes places: those of a round are taken out first, then looked up
	while (r == FEED_OK && (e = idmap_next(&f->map, &at))) {
		if (is_gone(f, e, unseen)) {
			f->gone[f->gone_cnt++] = (struct mongo_feed_gone){.id = e->id, .imsi = e->imsi};
			if (f->gone_cnt == FEED_GONE_MAX) {
				r = mongo_feed_gone_flush(f);
				// each removal moves others by at most one place: looking at some again does
				// no harm
				at = at > FEED_GONE_MAX ? at - FEED_GONE_MAX : 0;
				continue;
			}
		}
		at++;
	}
	if (r == FEED_OK)
		r = mongo_feed_gone_flush(f);
	f->removing = false;
	return r;
}

static void set_held(struct up_figures *figures, const void *arg)
{
	const uint64_t *held = arg;
	figures->held = held[0];
	figures->held_of = held[1];
}

void mongo_gone_hold(struct mongo_feed *f, uint64_t missing, uint64_t known)
{
	if (missing && !f->held)
		log_error("upstream_loss_held", LOG_INT("gone", missing), LOG_INT("known", known),
			  LOG_STR("hint", "nobody is removed; hssctl store accept-loss, if it is true"));
	else if (!missing && f->held)
		log_info("upstream_loss_over", LOG_INT("known", known));
	f->held = missing > 0;
	upstream_set(f->u, set_held, (const uint64_t[]){missing, missing ? known : 0});
}

enum feed_result mongo_gone_settle(struct mongo_feed *f)
{
	uint64_t now = clock_mono_ms(), known = f->map.cnt;
	if (f->held || !loss_is_calm(&f->loss, now))
		return FEED_OK;
	if (!loss_is_sudden(&f->loss, f->loss.pending, known, now)) {
		enum feed_result r = mongo_gone_remove(f, false);
		if (r == FEED_OK)
			mongo_gone_forget(f);
		return r;
	}
	mongo_gone_hold(f, f->loss.pending, known);
	f->compare = true; // which tells when they are back
	f->compare_ms = now + FEED_HELD_MS;
	return FEED_OK;
}

// The pass that fills or repairs the cache from the rows, and the publication of single subscribers on demand
// (load.h). Owns the scan and its progress. Loader process, main thread; laws 4, 5 and 6.
#include "loader/commit/load.h"
#include "loader/app.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include "loader/commit/parts.h"
#include "loader/commit/txn.h"
#include "loader/upstream/upstream_csv.h"
#include "lib/base/beat.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define LOAD_PIECE 8192u // rows between two looks at the sockets: some 20 ms

struct load {
	struct event *event;
	bool running;
	bool reset_words; // the words in memory belong to another run
	imsi_t after;
	uint64_t rows, bad, started_ms;
	uint32_t *profile; // by the profile's row id: value of builder_profile, 0 = not known
	size_t profile_cap;
	struct log_limit limit;
};

uint64_t load_done(const struct loader *l)
{
	return l->load->rows;
}

uint64_t load_bad(const struct loader *l)
{
	return l->load->bad;
}

bool load_running(const struct loader *l)
{
	return !l->load || l->load->running;
}

void load_profiles_changed(struct loader *l)
{
	if (l->load->running && l->load->profile)
		memset(l->load->profile, 0, l->load->profile_cap * sizeof(*l->load->profile));
}

// ---- one subscriber -----------------------------------------------------------------------------

struct stored {
	imsi_t imsi;
	struct record_image image;
	uint32_t profile;
	struct state_row state[LOCAL_ROW_MAX]; // slices borrowed
	unsigned state_cnt;
	bool has_sqn;
	struct sqn_row sqn;
};

static void not_loaded(struct loader *l, const struct loader_app *app)
{
	if (log_limit_pass(&l->load->limit, 5))
		log_error("state_not_loaded", LOG_STR("application", app->name));
}

// A state that this build does not understand is left out: its application starts anew for this subscriber.
static void fill_states(struct loader *l, const struct stored *s, struct cache_record *r)
{
	for (unsigned i = 0; i < s->state_cnt; i++) {
		const struct loader_app *app = loader_app(l, s->state[i].app);
		bool in_record = app && app->publish && s->state[i].app < STATE_ROW_DATA;
		if (in_record && !app->publish(l->builder, &s->state[i], r))
			not_loaded(l, app);
	}
}

static struct sqn_range start_range(const struct loader *l, const struct stored *s)
{
	// without a row no SEQ may be used: the first vector asks for a block, which writes the row
	return s->has_sqn ? sqn_row_start(&s->sqn, l->run) : (struct sqn_range){.next = 1, .limit = 1};
}

static bool same_record(const struct cache_record *a, const struct cache_record *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

// Publishes the record together with the states that are parts of it: exactly those of the database.
static int put_record(struct loader *l, const struct stored *s, const struct cache_record *old, const struct cache_record *r)
{
	struct parts p;
	parts_begin(&p, true);
	for (unsigned i = 0; i < s->state_cnt; i++) {
		const struct state_row *row = &s->state[i];
		const struct loader_app *app = loader_app(l, row->app);
		bool part = app && (row->app >= STATE_ROW_DATA || !app->publish) && row->body.len;
		if (part && !parts_add(l, &p, row))
			not_loaded(l, app);
	}
	if (p.extra.part_cnt == 0 && !(old && old->parts))
		return old && same_record(old, r) ? 0 : builder_put(l->builder, r);
	return builder_put_with(l->builder, r, &p.extra);
}

static int put_stored(struct loader *l, const struct stored *s)
{
	const struct cache_record *old = cache_find(l->cache, s->imsi);
	struct cache_record r = {.imsi = s->imsi,
				 .msisdn = {s->image.msisdn[0], s->image.msisdn[1]},
				 .amf = s->image.amf,
				 .alg = s->image.alg,
				 .flags = s->image.flags,
				 .taken_ind = s->image.taken_ind,
				 .profile = s->profile};
	memcpy(r.k, s->image.k, 16);
	memcpy(r.opc, s->image.opc, 16);
	fill_states(l, s, &r);
	bool keep_words = old && secret_equal(old->k, r.k, 16) && !l->load->reset_words;
	int rc = 0;
	if (keep_words) {
		r.sqn = old->sqn;
		rc = put_record(l, s, old, &r);
	} else {
		struct sqn_range range = start_range(l, s);
		r.sqn = builder_sqn_take(l->builder, range.next, range.limit);
		rc = r.sqn == UINT32_MAX ? -ENOSPC : put_record(l, s, NULL, &r);
		if (rc && r.sqn != UINT32_MAX)
			builder_sqn_return(l->builder, r.sqn);
	}
	secret_wipe(&r, sizeof(r));
	return rc;
}

// Makes record and profile anew from the document: the record is of another version, or the profile is
// missing.
static int from_document(struct loader *l, struct stored *s)
{
	struct slice text;
	struct record_error e;
	int rc = local_read_document(l->local, s->imsi, &text);
	if (rc <= 0)
		return rc < 0 ? rc : -EBADMSG;
	json_t *doc = json_loadb((const char *)text.p, text.len, JSON_REJECT_DUPLICATES, NULL);
	struct subscription *sub = calloc(1, sizeof(*sub));
	// these do not come from the document
	uint8_t spare = s->image.flags & RECORD_IND_SPARE, taken_ind = s->image.taken_ind;
	rc = -EBADMSG;
	if (doc && sub && record_parse(&l->records, doc, sub, &e) &&
	    record_build(&l->records, sub, &s->image, &e)) {
		s->image.flags |= spare;
		s->image.taken_ind = taken_ind;
		s->profile = builder_profile(l->builder, l->records.profile);
		rc = s->profile ? 0 : -ENOSPC;
	}
	if (sub)
		secret_wipe(sub, sizeof(*sub));
	free(sub);
	json_decref(doc);
	return rc;
}

// A profile of the version before is right unless the subscriber is barred.
static bool profile_is_good(const struct loader *l, const struct stored *s)
{
	const struct cache_record r = {.profile = s->profile};
	const struct cache_profile *p = s->profile ? cache_profile(l->cache, &r) : NULL;
	return p && !(s->image.old_odb && p->subscriber_status);
}

static void bad_record(struct loader *l, imsi_t imsi, int rc)
{
	char text[16];
	imsi_text(imsi, text);
	l->load->bad++;
	local_leaves_sqn_row(l->local);
	if (rc == -ENOSPC)
		loader_stat(l, STAT_CACHE_FULL, 1);
	if (log_limit_pass(&l->load->limit, 5))
		log_error("subscriber_not_loaded", LOG_IMSI("imsi", text), LOG_STR("reason", err_text(rc)));
}

// Reads the states one by one, and copies each, since the next read overwrites it.
static int put_with_states(struct loader *l, struct stored *s)
{
	uint8_t *copy[LOCAL_ROW_MAX] = {0};
	int rc = 0;
	for (unsigned app = 0; app < LOCAL_ROW_MAX && rc >= 0; app++) {
		struct state_row *row = &s->state[s->state_cnt];
		if (!loader_app(l, app) || (rc = local_read_state(l->local, s->imsi, app, row)) != 1)
			continue;
		copy[app] = malloc(row->body.len + 1);
		if (!copy[app]) {
			rc = -ENOMEM;
			break;
		}
		memcpy(copy[app], row->body.p, row->body.len);
		row->body.p = copy[app];
		s->state_cnt++;
	}
	if (rc >= 0)
		rc = put_stored(l, s);
	for (unsigned app = 0; app < LOCAL_ROW_MAX; app++)
		free(copy[app]);
	return rc;
}

int load_one(struct loader *l, imsi_t imsi)
{
	struct stored s = {.imsi = imsi};
	struct local_subscriber sub;
	int rc = local_read_subscriber(l->local, imsi, &sub);
	if (rc == 0) {
		builder_delete(l->builder, imsi);
		return 0;
	}
	if (rc < 0)
		return rc;
	bool known = record_image_get(sub.record, &s.image);
	// the slice may be unaligned; the builder looks at it as a struct
	if (known && sub.profile.len > sizeof(struct cache_profile) &&
	    sub.profile.len <= RECORD_PROFILE_MAX) {
		memcpy(l->records.profile, sub.profile.p, sub.profile.len);
		if (l->records.profile->len == sub.profile.len)
			s.profile = builder_profile(l->builder, l->records.profile);
	}
	rc = profile_is_good(l, &s) ? 0 : from_document(l, &s);
	if (rc == 0)
		rc = local_read_sqn(l->local, imsi, s.image.fp, &s.sqn);
	s.has_sqn = rc == 1;
	if (rc >= 0)
		rc = put_with_states(l, &s);
	secret_wipe(&s.image, sizeof(s.image));
	return rc < 0 ? rc : 1;
}

// ---- the pass -----------------------------------------------------------------------------------

static uint32_t profile_value(struct loader *l, uint64_t id)
{
	struct load *ld = l->load;
	struct slice body;
	if (id < ld->profile_cap && ld->profile[id])
		return ld->profile[id];
	if (local_profile(l->local, id, &body) != 1 || body.len <= sizeof(struct cache_profile) ||
	    body.len > RECORD_PROFILE_MAX)
		return 0;
	memcpy(l->records.profile, body.p, body.len);
	uint32_t value =
	    l->records.profile->len == body.len ? builder_profile(l->builder, l->records.profile) : 0;
	if (id >= ld->profile_cap && id < CACHE_SUBSCRIBERS_MAX) {
		size_t cap = ld->profile_cap ? ld->profile_cap : 1024;
		while (cap <= id)
			cap *= 2;
		uint32_t *p = realloc(ld->profile, cap * sizeof(*p));
		if (!p)
			return value;
		memset(p + ld->profile_cap, 0, (cap - ld->profile_cap) * sizeof(*p));
		ld->profile = p;
		ld->profile_cap = cap;
	}
	if (id < ld->profile_cap)
		ld->profile[id] = value;
	return value;
}

static int load_row(struct loader *l, const struct local_row *row, uint64_t folded)
{
	struct stored s = {.imsi = row->imsi, .has_sqn = row->has_sqn, .sqn = row->sqn};
	bool known = record_image_get(row->record, &s.image);
	int rc;
	// the journal has something newer, or the row alone is not enough
	if (!known || local_unfolded(l->local, row->imsi, s.image.fp, folded))
		rc = load_one(l, row->imsi);
	else if ((s.profile = profile_value(l, row->profile_id)) == 0 || !profile_is_good(l, &s))
		rc = load_one(l, row->imsi);
	else {
		memcpy(s.state, row->state, row->state_cnt * sizeof(s.state[0]));
		s.state_cnt = row->state_cnt;
		rc = put_stored(l, &s);
	}
	secret_wipe(&s.image, sizeof(s.image));
	return rc < 0 ? rc : 0;
}

struct stray {
	struct loader *l;
	bool failed;
};

static bool remove_stray(void *ctx, const struct cache_record *r)
{
	struct stray *st = ctx;
	struct local_subscriber sub;
	beat();
	int rc = local_read_subscriber(st->l->local, r->imsi, &sub);
	if (rc == 0)
		builder_delete(st->l->builder, r->imsi);
	st->failed |= rc < 0;
	return true;
}

// Not while operations wait: they name profiles that no record names yet, which would be freed.
static void reclaim(struct loader *l)
{
	if (txn_waiting(l) == 0)
		builder_reclaim(l->builder);
}

static void finish(struct loader *l)
{
	struct load *ld = l->load;
	// published records without a row: only in a cache that has survived the last loader
	if (l->header->subscriber_cnt > ld->rows - ld->bad) {
		struct stray st = {.l = l};
		builder_each(l->builder, remove_stray, &st);
	}
	ld->running = ld->reset_words = false;
	free(ld->profile);
	ld->profile = NULL;
	ld->profile_cap = 0;
	reclaim(l);
	// while a file has not been read there may be more subscribers; its reading reports the end
	if (!upstream_csv_is_first(l))
		__atomic_store_n((uint32_t *)&l->header->load_state, CACHE_COMPLETE, __ATOMIC_RELEASE);
	local_give_back(l->local);
	log_info("cache_complete", LOG_INT("subscribers", l->header->subscriber_cnt), LOG_INT("bad", ld->bad),
		 LOG_INT("ms", clock_mono_ms() - ld->started_ms));
}

bool load_step(struct loader *l)
{
	struct load *ld = l->load;
	struct local_row row;
	if (!ld->running)
		return false;
	uint64_t folded = local_folded(l->local); // before the scan's snapshot, so that the snapshot holds all of it
	int rc = local_scan_begin(l->local, ld->after);
	unsigned n = 0;
	while (rc == 0 && n < LOAD_PIECE && (rc = local_scan_next(l->local, &row)) == 1) {
		beat();
		int one = load_row(l, &row, folded);
		if (one)
			bad_record(l, row.imsi, one);
		ld->after = row.imsi;
		ld->rows++;
		n++;
		rc = 0;
	}
	local_scan_end(l->local);
	reclaim(l);
	if (rc < 0) {
		if (log_limit_pass(&ld->limit, 1))
			log_error("load_failed", LOG_STR("reason", err_text(rc)));
		return true; // tried again: a database that can't be read now may be readable later
	}
	if (n < LOAD_PIECE)
		finish(l);
	return ld->running;
}

static void on_piece(evutil_socket_t fd, short what, void *arg)
{
	struct loader *l = arg;
	(void)fd;
	(void)what;
	if (load_step(l))
		event_add(l->load->event, &(struct timeval){0});
}

// ---- the start ----------------------------------------------------------------------------------

static bool add_ind(void *ctx, const struct ind_host *h)
{
	struct loader *l = ctx;
	if (cache_ind_find(l->cache, h->hash) == (int)h->place)
		return true;
	int place = builder_ind_add(l->builder, h->hash);
	if (place != (int)h->place)
		log_error("ind_table_differs", LOG_INT("place", place), LOG_INT("stored", h->place));
	return true;
}

// Law 5: empty memory starts a new run. Words that have survived go on under the run that they belong to.
static int take_run(struct loader *l, bool fresh)
{
	int rc = local_run_get(l->local, &l->run);
	if (rc)
		return rc;
	if (!fresh && l->run != 0 && l->header->sqn_run == l->run)
		return 0;
	l->load->reset_words = !fresh;
	rc = local_run_set(l->local, l->run + 1);
	if (rc == 0)
		l->header->sqn_run = ++l->run;
	return rc;
}

static void replay(struct loader *l)
{
	size_t n;
	const uint64_t *imsi = local_replayed(l->local, &n);
	for (size_t i = 0; i < n; i++) {
		int rc = load_one(l, (imsi_t){imsi[i]});
		if (rc < 0)
			bad_record(l, (imsi_t){imsi[i]}, rc);
	}
}

int load_start(struct loader *l, bool fresh)
{
	struct load *ld = l->load = calloc(1, sizeof(*ld));
	uint64_t total = 0;
	if (!ld)
		return -ENOMEM;
	ld->running = true;
	ld->after = LOCAL_SCAN_START;
	ld->started_ms = clock_mono_ms();
	int rc = take_run(l, fresh);
	if (rc == 0)
		rc = local_each_ind(l->local, add_ind, l);
	if (rc == 0)
		rc = local_count(l->local, &total);
	if (rc) {
		log_error("load_failed", LOG_STR("reason", err_text(rc)));
		return rc;
	}
	__atomic_store_n((uint64_t *)&l->header->load_total, total, __ATOMIC_RELAXED);
	// a cache that has survived stays complete: workers serve from it while the pass repairs it
	if (fresh || l->header->load_state != CACHE_COMPLETE)
		__atomic_store_n((uint32_t *)&l->header->load_state, CACHE_LOADING, __ATOMIC_RELEASE);
	if (!fresh)
		replay(l);
	local_replayed_free(l->local);
	if (total == 0) // an empty database is loaded at once, before anything is served
		while (load_step(l))
			;
	if (!l->base)
		return 0;
	ld->event = event_new(l->base, -1, 0, on_piece, l);
	if (!ld->event)
		return -ENOMEM;
	if (ld->running)
		event_add(ld->event, &(struct timeval){0});
	return 0;
}

void load_free(struct loader *l)
{
	if (!l->load)
		return;
	if (l->load->event)
		event_free(l->load->event);
	free(l->load->profile);
	free(l->load);
	l->load = NULL;
}

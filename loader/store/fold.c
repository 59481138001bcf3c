// The fold thread moves journal entries into rows. It takes a chunk of them, leaves out entries that a later
// one of the chunk replaces, and sorts the rest by IMSI, so that neighbouring rows share a page. The last
// transaction of a chunk also writes the number of the last folded entry. So after a kill at any point the
// journal can be folded again. See local.h; law 6.
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "loader/store/local_priv.h"
#include "lib/base/log.h"

#define FOLD_MANY 100000u // after so many entries memory is given back

int fold_prepare(struct fold *f)
{
	if (f->read)
		return 0;
	const struct {
		sqlite3 *db;
		sqlite3_stmt **s;
		const char *sql;
	} rows[] = {
	    {f->journal, &f->read,
	     "SELECT seq, kind, imsi, body FROM journal WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3"},
	    {f->db, &f->put_doc, "INSERT OR REPLACE INTO document(imsi, doc) VALUES(?1, ?2)"},
	    {f->db, &f->put_sub, "INSERT OR REPLACE INTO subscriber(imsi, profile, rec) VALUES(?1, ?2, ?3)"},
	    {f->db, &f->put_state,
	     "INSERT INTO app_state(imsi, app, row, kept, merged) VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(imsi, app) DO"
	     " UPDATE SET row = excluded.row, kept = coalesce(excluded.kept, kept),"
	     " merged = coalesce(excluded.merged, merged)"},
	    {f->db, &f->put_sqn, "INSERT OR REPLACE INTO sqn(imsi, fp, ceiling, run) VALUES(?1, ?2, ?3, ?4)"},
	    {f->db, &f->put_item, "INSERT OR REPLACE INTO app_item(app, key, body) VALUES(?1, ?2, ?3)"},
	    {f->db, &f->del_item, "DELETE FROM app_item WHERE app = ?1 AND key = ?2"},
	    {f->db, &f->put_ind, "INSERT OR REPLACE INTO ind_host(place, hash, host) VALUES(?1, ?2, ?3)"},
	    {f->db, &f->put_request, "INSERT OR REPLACE INTO hss_request(id, imsi, body) VALUES(?1, ?2, ?3)"},
	    {f->db, &f->put_profile, "INSERT OR IGNORE INTO profile(digest, body) VALUES(?1, ?2)"},
	    {f->db, &f->get_profile, "SELECT id FROM profile WHERE digest = ?1"},
	    {f->db, &f->del_doc, "DELETE FROM document WHERE imsi = ?1"},
	    {f->db, &f->del_sub, "DELETE FROM subscriber WHERE imsi = ?1"},
	    {f->db, &f->del_state, "DELETE FROM app_state WHERE imsi = ?1"},
	    {f->db, &f->del_request, "DELETE FROM hss_request WHERE id = ?1"},
	    {f->db, &f->put_up, "INSERT OR REPLACE INTO upstream(imsi, id, digest) VALUES(?1, ?2, ?3)"},
	    {f->db, &f->del_up, "DELETE FROM upstream WHERE imsi = ?1"},
	    {f->db, &f->put_outbox, "INSERT OR REPLACE INTO outbox(imsi, seq) VALUES(?1, ?2)"},
	    {f->db, &f->del_outbox, "DELETE FROM outbox WHERE imsi = ?1 AND seq <= ?2"},
	    {f->db, &f->set_meta, "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = sql_prepare(rows[i].db, rows[i].sql, rows[i].s);
		if (rc)
			return rc;
	}
	return 0;
}

int fold_open(struct local *l, const struct local_options *o)
{
	struct fold *f = &l->fold;
	f->wal_fd = -1;
	int rc = sql_open(o->dir, "hss.db", o->vfs, 8192, &f->db);
	if (rc == 0)
		rc = sql_open(o->dir, "journal.db", o->vfs, 1024, &f->journal);
	// SQLite locks no byte of the WAL file itself, so closing this descriptor drops none of its locks.
	char wal[512];
	if (rc == 0 && (size_t)snprintf(wal, sizeof(wal), "%s/hss.db-wal", o->dir) < sizeof(wal))
		f->wal_fd = open(wal, O_RDWR | O_CLOEXEC);
	char checkpoint[64];
	snprintf(checkpoint, sizeof(checkpoint), "PRAGMA wal_autocheckpoint=%d", FOLD_PART);
	return rc ? rc : sql_exec(f->db, checkpoint);
}

void fold_close(struct local *l)
{
	struct fold *f = &l->fold;
	clean_end(l);
	sqlite3_stmt *all[] = {f->read,    f->put_doc,   f->put_sub,     f->put_state,   f->put_sqn,
			       f->put_ind, f->put_item, f->del_item, f->put_request,   f->put_profile, f->get_profile, f->del_doc,
			       f->del_sub, f->del_state, f->del_request,     f->set_meta,    f->put_up,
			       f->del_up,  f->put_outbox, f->del_outbox};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sqlite3_finalize(all[i]);
	sqlite3_close(f->db);
	sqlite3_close(f->journal);
	if (f->wal_fd >= 0)
		close(f->wal_fd);
	free(f->entry);
	free(f->bytes);
	*f = (struct fold){0};
}

static struct entry *next_entry(struct fold *f, unsigned n)
{
	if (n == f->entry_cap) {
		size_t cap = f->entry_cap ? f->entry_cap * 2 : 1024;
		struct entry *p = realloc(f->entry, cap * sizeof(*p));
		if (!p)
			return NULL;
		f->entry = p;
		f->entry_cap = cap;
	}
	return &f->entry[n];
}

static int keep_bytes(struct fold *f, size_t used, struct slice body)
{
	if (used + body.len > f->bytes_cap) {
		size_t cap = used + body.len;
		cap = cap * 2 < FOLD_BYTES ? cap * 2 : cap < FOLD_BYTES ? FOLD_BYTES : cap;
		uint8_t *p = realloc(f->bytes, cap);
		if (!p)
			return -ENOMEM;
		f->bytes = p;
		f->bytes_cap = cap;
	}
	if (body.len)
		memcpy(f->bytes + used, body.p, body.len);
	return 0;
}

// Copies a chunk out of the journal. With a copy, no read lock on the journal is held while rows are written.
static int read_chunk(struct fold *f, uint64_t folded, uint64_t published, unsigned *cnt)
{
	size_t used = 0;
	unsigned n = 0;
	int step, rc = 0;
	sqlite3_bind_int64(f->read, 1, (int64_t)folded);
	sqlite3_bind_int64(f->read, 2, (int64_t)published);
	sqlite3_bind_int(f->read, 3, FOLD_CHUNK);
	while (rc == 0 && n < FOLD_CHUNK && used < FOLD_BYTES && (step = sqlite3_step(f->read)) == SQLITE_ROW) {
		struct slice body = sql_blob(f->read, 3);
		struct entry *e = next_entry(f, n);
		rc = e ? keep_bytes(f, used, body) : -ENOMEM;
		if (rc)
			break;
		n++;
		// the block may move while it grows: offsets until all is read
		*e = (struct entry){.seq = (uint64_t)sqlite3_column_int64(f->read, 0),
					       .kind = (uint32_t)sqlite3_column_int(f->read, 1),
					       .imsi = (uint64_t)sqlite3_column_int64(f->read, 2),
					       .body = {.len = body.len}};
		used += body.len;
	}
	int reset = sqlite3_reset(f->read);
	if (rc == 0)
		rc = sql_error(reset);
	used = 0;
	for (unsigned i = 0; i < n; i++) {
		f->entry[i].body.p = f->bytes + used;
		used += f->entry[i].body.len;
	}
	*cnt = n;
	return rc;
}

static bool about_subscriber(const struct entry *e)
{
	return e->kind == ENTRY_STATE || e->kind == ENTRY_STATE_1 || e->kind == ENTRY_DOC_PUT || e->kind == ENTRY_DOC_DELETE ||
	       e->kind == ENTRY_SQN_ROW || e->kind == ENTRY_OUTBOX_DONE || e->kind == ENTRY_OUTBOX;
}

// By application and key, which the octets begin with; of one item in order.
static int by_key(const struct entry *a, const struct entry *b)
{
	struct item_image x, y;
	if (!entry_get_item(a->body, &x) || !entry_get_item(b->body, &y) || x.app != y.app)
		return 0;
	const struct slice s = x.key, t = y.key;
	int cmp = memcmp(s.p, t.p, s.len < t.len ? s.len : t.len);
	return cmp ? cmp : s.len < t.len ? -1 : s.len > t.len;
}

// Sorts by subscriber, as the rows are sorted. The entries of one subscriber keep their order. Then come items, as theirs are
// sorted, and then the other entries about no subscriber, in order.
static int by_imsi(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;
	bool sa = about_subscriber(a), sb = about_subscriber(b);
	if (sa != sb)
		return sa ? -1 : 1;
	if (sa && a->imsi != b->imsi)
		return (int64_t)a->imsi < (int64_t)b->imsi ? -1 : 1;
	bool ia = a->kind == ENTRY_ITEM, ib = b->kind == ENTRY_ITEM;
	if (ia != ib)
		return ia ? -1 : 1;
	int cmp = ia ? by_key(a, b) : 0;
	if (cmp)
		return cmp;
	return a->seq < b->seq ? -1 : 1;
}

static bool state_replaced(const struct entry *e, const struct entry *next)
{
	struct slice row, next_row;
	struct state_row s, next_s;
	struct state_kept k, next_k;
	return entry_get_state(e->body, &row, &k) && entry_get_state(next->body, &next_row, &next_k) &&
	       state_row_get(row, &s) && state_row_get(next_row, &next_s) && s.app == next_s.app &&
	       (!k.has[0] || next_k.has[0]) && (!k.has[1] || next_k.has[1]) && (!k.outbox || next_k.outbox);
}

// Does the next entry replace this one completely?
static bool replaced(const struct entry *e, const struct entry *next)
{
	if (e->imsi != next->imsi || e->kind != next->kind)
		return false;
	if (e->kind == ENTRY_STATE)
		return state_replaced(e, next);
	if (e->kind == ENTRY_SQN_ROW)
		return e->body.len >= SQN_FP_LEN && next->body.len >= SQN_FP_LEN &&
		       memcmp(e->body.p, next->body.p, SQN_FP_LEN) == 0;
	return e->kind == ENTRY_OUTBOX;
}

static int find_profile(struct fold *f, const struct doc_put *d, int64_t *id)
{
	unsigned at = be16_get(d->digest) & (PROFILE_SEEN - 1);
	if (f->profile[at].id && memcmp(f->profile[at].digest, d->digest, 16) == 0) {
		*id = f->profile[at].id;
		return 0;
	}
	int rc = 0;
	if (d->profile.len) {
		sqlite3_bind_blob(f->put_profile, 1, d->digest, 16, SQLITE_STATIC);
		sql_bind_slice(f->put_profile, 2, d->profile);
		rc = sql_run(f->put_profile);
	}
	if (rc)
		return rc;
	sqlite3_bind_blob(f->get_profile, 1, d->digest, 16, SQLITE_STATIC);
	int step = sqlite3_step(f->get_profile);
	*id = step == SQLITE_ROW ? sqlite3_column_int64(f->get_profile, 0) : 0;
	sqlite3_reset(f->get_profile);
	if (*id == 0)
		return step == SQLITE_DONE ? 0 : sql_error(step);
	memcpy(f->profile[at].digest, d->digest, 16);
	f->profile[at].id = *id;
	return 0;
}

static int profile_id(struct fold *f, const struct doc_put *d, int64_t *id)
{
	int rc = find_profile(f, d, id);
	if (rc == 0)
		fold_mark_profile(f, *id);
	return rc;
}

static int del(sqlite3_stmt *s, uint64_t id)
{
	sqlite3_bind_int64(s, 1, (int64_t)id);
	return sql_run(s);
}

static int put_sqn(struct fold *f, const struct entry *e, const struct sqn_row *row)
{
	sqlite3_bind_int64(f->put_sqn, 1, (int64_t)e->imsi);
	sqlite3_bind_blob(f->put_sqn, 2, row->fp, SQN_FP_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(f->put_sqn, 3, (int64_t)row->ceiling);
	sqlite3_bind_int64(f->put_sqn, 4, (int64_t)row->run);
	return sql_run(f->put_sqn);
}

static int put_doc(struct fold *f, const struct entry *e)
{
	struct doc_put d;
	int64_t id = 0;
	if (!entry_get_doc(e->body, &d))
		return -EBADMSG;
	int rc = profile_id(f, &d, &id);
	if (rc)
		return rc;
	sqlite3_bind_int64(f->put_sub, 1, (int64_t)e->imsi);
	sqlite3_bind_int64(f->put_sub, 2, id);
	sql_bind_slice(f->put_sub, 3, d.record);
	rc = sql_run(f->put_sub);
	if (rc)
		return rc;
	sqlite3_bind_int64(f->put_doc, 1, (int64_t)e->imsi);
	sqlite3_bind_text(f->put_doc, 2, (const char *)d.document.p, (int)d.document.len, SQLITE_STATIC);
	rc = sql_run(f->put_doc);
	if (rc == 0 && d.has_upstream) {
		sqlite3_bind_int64(f->put_up, 1, (int64_t)e->imsi);
		sqlite3_bind_int64(f->put_up, 2, (int64_t)d.up_id);
		sqlite3_bind_int64(f->put_up, 3, (int64_t)d.up_digest);
		rc = sql_run(f->put_up);
	}
	return rc || !d.has_sqn ? rc : put_sqn(f, e, &d.sqn);
}

static int outbox_waits(struct fold *f, const struct entry *e)
{
	sqlite3_bind_int64(f->put_outbox, 1, (int64_t)e->imsi);
	sqlite3_bind_int64(f->put_outbox, 2, (int64_t)e->seq);
	return sql_run(f->put_outbox);
}

static int put_state(struct fold *f, const struct entry *e)
{
	struct slice row;
	struct state_row state;
	struct state_kept k;
	if (!entry_get_state(e->body, &row, &k) || !state_row_get(row, &state))
		return -EBADMSG;
	sqlite3_stmt *s = f->put_state;
	sqlite3_bind_int64(s, 1, (int64_t)e->imsi);
	sqlite3_bind_int(s, 2, state.app);
	sql_bind_slice(s, 3, row);
	for (int i = 0; i < 2; i++) {
		if (k.has[i])
			sql_bind_slice(s, 4 + i, k.blob[i]);
		else
			sqlite3_bind_null(s, 4 + i); // the row keeps what it has
	}
	int rc = sql_run(s);
	return rc || !k.outbox ? rc : outbox_waits(f, e);
}

static int outbox_done(struct fold *f, const struct entry *e, uint64_t seq)
{
	sqlite3_bind_int64(f->del_outbox, 1, (int64_t)e->imsi);
	sqlite3_bind_int64(f->del_outbox, 2, (int64_t)seq);
	return sql_run(f->del_outbox);
}

static int put_feed(struct fold *f, const struct entry *e)
{
	sqlite3_bind_text(f->set_meta, 1, "feed", -1, SQLITE_STATIC);
	sql_bind_slice(f->set_meta, 2, e->body);
	return sql_run(f->set_meta);
}

static int del_subscriber(struct fold *f, const struct entry *e)
{
	sqlite3_stmt *const all[] = {f->del_doc, f->del_sub, f->del_state, f->del_up};
	int rc = outbox_done(f, e, e->seq);
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]) && rc == 0; i++)
		rc = del(all[i], e->imsi);
	return rc;
}

static int put_ind(struct fold *f, const struct entry *e)
{
	struct ind_host h;
	if (!entry_get_ind(e->body, &h))
		return -EBADMSG;
	sqlite3_bind_int64(f->put_ind, 1, h.place);
	sqlite3_bind_int64(f->put_ind, 2, (int64_t)h.hash);
	sqlite3_bind_text(f->put_ind, 3, (const char *)h.host.p, (int)h.host.len, SQLITE_STATIC);
	return sql_run(f->put_ind);
}

static int put_item(struct fold *f, const struct entry *e)
{
	struct item_image i;
	if (!entry_get_item(e->body, &i))
		return -EBADMSG;
	sqlite3_stmt *s = i.body.len ? f->put_item : f->del_item;
	sqlite3_bind_int64(s, 1, i.app);
	sql_bind_slice(s, 2, i.key);
	if (i.body.len)
		sql_bind_slice(s, 3, i.body);
	return sql_run(s);
}

static int put_request(struct fold *f, const struct entry *e)
{
	struct hss_request_image o;
	if (!entry_get_hss_request(e->body, &o))
		return -EBADMSG;
	sqlite3_bind_int64(f->put_request, 1, (int64_t)o.id);
	sqlite3_bind_int64(f->put_request, 2, (int64_t)e->imsi);
	sql_bind_slice(f->put_request, 3, e->body);
	return sql_run(f->put_request);
}

static int set_meta(struct fold *f, const char *key, uint64_t v)
{
	sqlite3_bind_text(f->set_meta, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_int64(f->set_meta, 2, (int64_t)v);
	return sql_run(f->set_meta);
}

int fold_apply(struct fold *f, const struct entry *e)
{
	struct sqn_row row;
	uint64_t v;
	switch (e->kind) {
	case ENTRY_STATE:
	case ENTRY_STATE_1:
		return put_state(f, e);
	case ENTRY_DOC_PUT:
		return put_doc(f, e);
	case ENTRY_DOC_DELETE:
		return del_subscriber(f, e);
	case ENTRY_SQN_ROW:
		return entry_get_sqn(e->body, &row) ? put_sqn(f, e, &row) : -EBADMSG;
	case ENTRY_IND_HOST:
		return put_ind(f, e);
	case ENTRY_ITEM:
		return put_item(f, e);
	case ENTRY_HSS_REQUEST:
		return put_request(f, e);
	case ENTRY_HSS_REQUEST_DONE:
		return entry_get_u64(e->body, &v) ? del(f->del_request, v) : -EBADMSG;
	case ENTRY_RUN:
		return entry_get_u64(e->body, &v) ? set_meta(f, "run", v) : -EBADMSG;
	case ENTRY_OUTBOX:
		return outbox_waits(f, e);
	case ENTRY_OUTBOX_DONE:
		return entry_get_u64(e->body, &v) ? outbox_done(f, e, v) : -EBADMSG;
	case ENTRY_FEED:
		return put_feed(f, e);
	default:
		return -EBADMSG;
	}
}

// Copies the journal's WAL back (a checkpoint), little by little. The commit path would do it when the WAL
// has grown; with this it finds hardly anything left to do.
static void journal_checkpoint(struct fold *f)
{
	sqlite3_wal_checkpoint_v2(f->journal, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

// Begins to write the WAL's pages to the disk early. Otherwise the next commit would write all of them at
// once, and the commits of the journal would wait for the disk meanwhile.
static void write_early(const struct fold *f)
{
	if (f->wal_fd >= 0)
		sync_file_range(f->wal_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static bool is_stopping(struct local *l)
{
	pthread_mutex_lock(&l->lock);
	bool stop = l->stop;
	pthread_mutex_unlock(&l->lock);
	return stop;
}

// Folds a chunk in parts, one transaction each. Subscribers are in order, so two parts share a page only at
// their border. Only the last part notes that the chunk is folded. After a kill between two parts the whole
// chunk is folded again, which changes nothing. So a stop does not wait for the rest of it: -ECANCELED.
static int apply_chunk(struct local *l, unsigned n, uint64_t last)
{
	struct fold *f = &l->fold;
	unsigned rows = 0;
	int rc = sql_exec(f->db, "BEGIN IMMEDIATE");
	for (unsigned i = 0; i < n && rc == 0; i++) {
		if (i + 1 < n && replaced(&f->entry[i], &f->entry[i + 1]))
			continue;
		if (++rows % FOLD_PART == 0) {
			rc = sql_exec(f->db, "COMMIT");
			journal_checkpoint(f);
			if (rc == 0 && is_stopping(l))
				return -ECANCELED;
			rc = rc ? rc : sql_exec(f->db, "BEGIN IMMEDIATE");
		} else if (rows % (FOLD_PART / 8) == 0) {
			write_early(f);
		}
		if (rc == 0)
			rc = fold_apply(f, &f->entry[i]);
		if (rc == -EBADMSG) {
			// can't come from this build's writer; it must not stop everything behind it
			log_error("journal_entry_broken", LOG_INT("seq", f->entry[i].seq),
				  LOG_INT("kind", f->entry[i].kind));
			rc = 0;
		}
	}
	if (rc == 0)
		rc = set_meta(f, "folded", last);
	if (rc == 0)
		rc = sql_exec(f->db, "COMMIT");
	if (rc) {
		sql_rollback(f->db);
		fold_forget_profiles(f);
	}
	return rc;
}

int fold_step(struct local *l)
{
	struct fold *f = &l->fold;
	unsigned n = 0;
	int rc = fold_prepare(f);
	if (rc)
		return rc;
	uint64_t folded = atomic_load(&l->folded), published = atomic_load(&l->published);
	rc = read_chunk(f, folded, published, &n);
	if (rc || n == 0)
		return rc;
	uint64_t last = f->entry[n - 1].seq, octets = 0;
	for (unsigned i = 0; i < n; i++)
		octets += f->entry[i].body.len;
	qsort(f->entry, n, sizeof(*f->entry), by_imsi);
	rc = apply_chunk(l, n, last);
	if (rc)
		return rc;
	atomic_store(&l->folded, last);
	// entries that an earlier loader left in the journal were not counted
	uint64_t all = atomic_load(&l->octets);
	atomic_fetch_sub(&l->octets, octets < all ? octets : all);
	if (last - f->checkpointed > FOLD_PART || last == published) {
		journal_checkpoint(f);
		f->checkpointed = last;
	}
	return (int)n;
}

// Gives back the memory of a large chunk's copy.
static void shrink(struct fold *f)
{
	if (f->bytes_cap + f->entry_cap * sizeof(*f->entry) <= FOLD_KEEP)
		return;
	free(f->bytes);
	free(f->entry);
	f->bytes = NULL;
	f->entry = NULL;
	f->bytes_cap = f->entry_cap = 0;
}

// Waits until a step is worth its cost, or the oldest entry has waited long enough. false: the thread must
// end.
static bool wait_for_work(struct local *l, bool failed)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += FOLD_WAIT_MS * 1000000l;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&l->lock);
	int rc = 0;
	while (!l->stop && l->bulk.state != BULK_GIVEN && rc == 0 && (failed || !(fold_is_worth(l) || clean_is_due(l))))
		rc = pthread_cond_timedwait(&l->cond, &l->lock, &until);
	bool go = !l->stop;
	pthread_mutex_unlock(&l->lock);
	return go;
}

// Gives back the memory that a load or an import took for pages and chunks, once it is over.
static void give_back(struct local *l, uint64_t *folded)
{
	if (*folded < FOLD_MANY)
		return;
	*folded = 0;
	sqlite3_db_release_memory(l->fold.db);
	sqlite3_db_release_memory(l->fold.journal);
	malloc_trim(0);
}

struct fold_start {
	struct local *l;
	sem_t begun;
};

static void *fold_main(void *arg)
{
	struct fold_start *start = arg;
	struct local *l = start->l;
	// Folding takes only the processor time that serving leaves: no one who serves waits for it until the
	// journal is full.
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), FOLD_NICE) < 0)
		log_warn("fold_priority_failed", LOG_STR("reason", err_text(errno)));
	sem_post(&start->begun); // `start` is gone from here on
	bool failed = false;
	uint64_t folded = 0; // since memory was given back
	static struct log_limit limit;
	shrink(&l->fold); // after what the start folded
	while (wait_for_work(l, failed)) {
		unsigned bulk = bulk_step(l);
		int n = fold_step(l);
		if (n == -ECANCELED)
			break;
		folded += bulk;
		shrink(&l->fold);
		bool cleans = clean_is_due(l);
		(void)clean_step(l);
		failed = n < 0;
		atomic_store(&l->failing, failed);
		if (failed && log_limit_pass(&limit, 1))
			log_error("database_fold_failed", LOG_STR("reason", err_text(n)));
		if (n > 0)
			folded += (uint64_t)n;
		else if (n == 0 && bulk == 0) // nothing for a while
			give_back(l, &folded);
		uint64_t one = 1;
		if ((n > 0 || cleans) && write(l->fold_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
			log_error("fold_notify_failed", LOG_STR("reason", err_text(errno)));
	}
	return NULL;
}

int local_fold_start(struct local *l)
{
	struct fold_start start = {.l = l};
	l->stop = false;
	sem_init(&start.begun, 0, 0);
	int rc = pthread_create(&l->thread, NULL, fold_main, &start);
	l->thread_running = rc == 0;
	// its priority is set before the caller enters a sandbox without that call
	while (rc == 0 && sem_wait(&start.begun) < 0 && errno == EINTR)
		continue;
	sem_destroy(&start.begun);
	return -rc;
}

void local_fold_stop(struct local *l)
{
	if (!l->thread_running)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->cond);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
	l->thread_running = l->stop = false;
}

// The local database's files, schema and group commit (local.h). Owns the connections of the main thread.
// Loader process, main thread; laws 5 and 6.
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "loader/store/local_priv.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define SCHEMA_VERSION 2
#define BACKLOG	       60000u // entries

// Checkpoints of the journal are the fold thread's work; this is what the commit path does when that lags
// behind.
#define JOURNAL_AUTOCHECKPOINT "PRAGMA wal_autocheckpoint=16384"

static const char schema_rows[] =
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS subscriber(imsi INTEGER PRIMARY KEY, profile INTEGER NOT NULL, rec BLOB NOT "
    "NULL);"
    "CREATE TABLE IF NOT EXISTS document(imsi INTEGER PRIMARY KEY, doc TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS profile(id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body BLOB NOT "
    "NULL);"
    // of each application: its state, and what it keeps beside it (entry.h)
    "CREATE TABLE IF NOT EXISTS app_state(imsi INTEGER NOT NULL, app INTEGER NOT NULL, row BLOB NOT NULL, kept BLOB,"
    " merged BLOB, PRIMARY KEY(imsi, app)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS sqn(imsi INTEGER NOT NULL, fp BLOB NOT NULL, ceiling INTEGER NOT NULL,"
    " run INTEGER NOT NULL, PRIMARY KEY(imsi, fp)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS ind_host(place INTEGER PRIMARY KEY, hash INTEGER NOT NULL, host TEXT NOT "
    "NULL);"
    // which document of the upstream a subscriber is, what of its state the upstream lacks
    "CREATE TABLE IF NOT EXISTS upstream(imsi INTEGER PRIMARY KEY, id INTEGER NOT NULL, digest INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS outbox(imsi INTEGER PRIMARY KEY, seq INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS hss_request(id INTEGER PRIMARY KEY, imsi INTEGER NOT NULL, body BLOB NOT NULL);"
    // what applications keep that is no subscriber's
    "CREATE TABLE IF NOT EXISTS app_item(app INTEGER NOT NULL, key BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY(app, key))"
    " WITHOUT ROWID;";
// Of a database of the first version, which had one application; its rows are read as they are (entry.h).
static const char upgrade_rows_1[] =
    "INSERT OR REPLACE INTO app_state(imsi, app, row, kept, merged) SELECT imsi, 1, body, node, ext FROM state;"
    "DROP TABLE state;"
    "INSERT OR REPLACE INTO hss_request(id, imsi, body) SELECT id, imsi, body FROM own_request;"
    "DROP TABLE own_request;";
static const char schema_journal[] = "CREATE TABLE IF NOT EXISTS journal(seq INTEGER PRIMARY KEY, kind "
				     "INTEGER NOT NULL, imsi INTEGER NOT NULL,"
				     " body BLOB NOT NULL);";

// Reads the version before anything is written, so that a newer database stays as it is.
static int check_version(sqlite3 *db, const char *name, int64_t *version)
{
	int rc = sql_number(db, "PRAGMA user_version", 0, version);
	if (rc)
		return rc;
	if (*version > SCHEMA_VERSION) {
		log_error("database_is_newer", LOG_STR("file", name), LOG_INT("version", *version),
			  LOG_INT("supported", SCHEMA_VERSION));
		return -EPROTO;
	}
	return 0;
}

static int create_schema(struct local *l)
{
	char text[64];
	int64_t version = 0, journal_version = 0;
	snprintf(text, sizeof(text), "PRAGMA user_version=%d", SCHEMA_VERSION);
	int rc = check_version(l->fold.db, "hss.db", &version);
	if (rc == 0)
		rc = check_version(l->journal, "journal.db", &journal_version);
	if (rc == 0)
		rc = sql_exec(l->journal, schema_journal);
	if (rc == 0)
		rc = sql_exec(l->fold.db, "BEGIN IMMEDIATE");
	if (rc == 0)
		rc = sql_exec(l->fold.db, schema_rows);
	if (rc == 0 && version == 1)
		rc = sql_exec(l->fold.db, upgrade_rows_1);
	if (rc == 0)
		rc = sql_exec(l->fold.db, text);
	if (rc == 0)
		rc = sql_exec(l->fold.db, "COMMIT");
	return rc ? rc : sql_exec(l->journal, text);
}

// The journal is short: it is checked whole. The rows are checked where they are read (SQLite reports a
// broken page).
static int check_journal(struct local *l)
{
	sqlite3_stmt *s = NULL;
	int rc = sql_prepare(l->journal, "PRAGMA quick_check(1)", &s);
	if (rc)
		return rc;
	int step = sqlite3_step(s);
	const char *text = step == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
	rc = text && strcmp(text, "ok") == 0 ? 0 : -EUCLEAN;
	if (rc)
		log_error("database_broken", LOG_STR("file", "journal.db"),
			  LOG_STR("reason", text ? text : "unreadable"));
	sqlite3_finalize(s);
	return rc;
}

static int find_position(struct local *l)
{
	int64_t folded = 0, last = 0;
	int rc = sql_number(l->fold.db, "SELECT value FROM meta WHERE key='folded'", 0, &folded);
	if (rc == 0)
		rc = sql_number(l->journal, "SELECT max(seq) FROM journal", 0, &last);
	if (rc)
		return rc;
	// an emptied journal goes on counting from what was folded: numbers are never used twice
	l->seq = (uint64_t)(last > folded ? last : folded);
	rc = sql_number(l->journal, "SELECT min(seq) - 1 FROM journal", (int64_t)l->seq, &last);
	l->trimmed = (uint64_t)last;
	atomic_store(&l->folded, (uint64_t)folded);
	atomic_store(&l->published, l->seq);
	return rc;
}

static int prepare(struct local *l)
{
	int rc = sql_prepare(l->journal, "BEGIN IMMEDIATE", &l->begin);
	if (rc == 0)
		rc = sql_prepare(l->journal, "COMMIT", &l->commit);
	if (rc == 0)
		rc = sql_prepare(l->journal,
				 "INSERT INTO journal(seq, kind, imsi, body) VALUES(?1, ?2, ?3, ?4)",
				 &l->append);
	if (rc == 0)
		rc = sql_prepare(l->journal, "DELETE FROM journal WHERE seq <= ?1", &l->trim);
	if (rc == 0)
		rc = sql_prepare(l->journal, "SELECT kind, imsi, body FROM journal WHERE seq = ?1",
				 &l->by_seq);
	return rc ? rc : local_read_prepare(l);
}

// Which subscribers a chunk is about, while the fold buffers still hold it.
static int note_replayed(struct local *l, int n)
{
	uint64_t *p = realloc(l->replayed, (l->replayed_cnt + (size_t)n) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	l->replayed = p;
	for (int i = 0; i < n; i++) {
		uint64_t imsi = l->fold.entry[i].imsi;
		// sorted: repetitions are neighbours
		if (imsi && (l->replayed_cnt == 0 || p[l->replayed_cnt - 1] != imsi))
			p[l->replayed_cnt++] = imsi;
	}
	return n;
}

const uint64_t *local_replayed(const struct local *l, size_t *n)
{
	*n = l->replayed_cnt;
	return l->replayed;
}

void local_replayed_free(struct local *l)
{
	free(l->replayed);
	l->replayed = NULL;
	l->replayed_cnt = 0;
}

static int fold_everything(struct local *l)
{
	int n;
	do {
		n = fold_step(l);
		if (n > 0)
			n = note_replayed(l, n);
	} while (n > 0);
	if (n < 0)
		log_error("database_fold_failed", LOG_STR("reason", err_text(n)));
	return n;
}

int local_open(const struct local_options *o, struct local **out)
{
	*out = NULL;
	struct local *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->fold_fd = -1;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->cond, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&l->bulk.landed, NULL);
	int rc = unfolded_init(&l->unfolded);
	if (rc)
		goto out;
	l->fold_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->fold_fd < 0) {
		rc = -errno;
		goto out;
	}
	// The journal is checked first: a broken one must end the start before any of it gets into the rows.
	rc = sql_open(o->dir, "journal.db", o->vfs, 4096, &l->journal);
	if (rc == 0)
		rc = sql_exec(l->journal, JOURNAL_AUTOCHECKPOINT);
	if (rc == 0)
		rc = check_journal(l);
	if (rc == 0)
		rc = fold_open(l, o);
	if (rc == 0)
		rc = create_schema(l);
	if (rc == 0)
		rc = sql_open(o->dir, "hss.db", o->vfs, 4096, &l->rows);
	if (rc == 0)
		rc = prepare(l);
	if (rc == 0)
		rc = find_position(l);
	if (rc == 0)
		rc = fold_everything(l);
out:
	if (rc)
		local_free(&l);
	*out = l;
	return rc;
}

static void scratch_free(struct scratch *s)
{
	if (s->p)
		secret_wipe(s->p, s->cap);
	free(s->p);
	*s = (struct scratch){0};
}

void local_free(struct local **lp)
{
	struct local *l = *lp;
	if (!l)
		return;
	local_fold_stop(l);
	local_scan_end(l);
	sqlite3_finalize(l->begin);
	sqlite3_finalize(l->commit);
	sqlite3_finalize(l->append);
	sqlite3_finalize(l->trim);
	sqlite3_finalize(l->by_seq);
	for (unsigned i = 0; i < READ_STMT_CNT; i++)
		sqlite3_finalize(l->read[i]);
	sqlite3_close(l->rows);
	fold_close(l);
	sqlite3_close(l->journal);
	if (l->fold_fd >= 0)
		close(l->fold_fd);
	unfolded_fini(&l->unfolded);
	pthread_cond_destroy(&l->cond);
	pthread_cond_destroy(&l->bulk.landed);
	pthread_mutex_destroy(&l->lock);
	local_replayed_free(l);
	scratch_free(&l->scratch);
	scratch_free(&l->states);
	free(l);
	*lp = NULL;
}

static int append(struct local *l, const struct entry *e)
{
	sqlite3_bind_int64(l->append, 1, (int64_t)e->seq);
	sqlite3_bind_int(l->append, 2, (int)e->kind);
	sqlite3_bind_int64(l->append, 3, (int64_t)e->imsi);
	sql_bind_slice(l->append, 4, e->body);
	return sql_run(l->append);
}

// Deletes at most `most` folded entries: in the commit's own transaction it costs no further fsync.
static int trim(struct local *l, uint64_t most)
{
	uint64_t to = atomic_load(&l->folded);
	if (to <= l->trimmed)
		return 0;
	if (to - l->trimmed > most)
		to = l->trimmed + most;
	sqlite3_bind_int64(l->trim, 1, (int64_t)to);
	int rc = sql_run(l->trim);
	return rc ? rc : (int)(to - l->trimmed);
}

static void note_key(struct local *l, const struct entry *e, enum unfolded_class cls, uint64_t extra)
{
	// Without the note a later read could take an older row for the truth. The next loader folds the
	// journal first.
	if (unfolded_note(&l->unfolded, unfolded_key(cls, (imsi_t){e->imsi}, extra), e->seq,
			  atomic_load(&l->folded)))
		bug("no memory for the journal's index");
}

static void note(struct local *l, const struct entry *e)
{
	struct doc_put doc;
	struct sqn_row row;
	struct slice body;
	struct state_row state;
	struct state_kept kept;
	switch (e->kind) {
	case ENTRY_STATE:
		if (!entry_get_state(e->body, &body, &kept) || !state_row_get(body, &state))
			bug("a state that cannot be read again was committed");
		note_key(l, e, UNFOLDED_STATE, state.app);
		if (kept.has[1])
			note_key(l, e, UNFOLDED_MERGED, state.app);
		break;
	case ENTRY_DOC_DELETE:
		local_leaves_sqn_row(l);
		note_key(l, e, UNFOLDED_GONE, 0);
		note_key(l, e, UNFOLDED_DOC, 0);
		break;
	case ENTRY_DOC_PUT:
		note_key(l, e, UNFOLDED_DOC, 0);
		if (entry_get_doc(e->body, &doc) && doc.has_sqn)
			note_key(l, e, UNFOLDED_SQN, be64_get(doc.sqn.fp));
		break;
	case ENTRY_SQN_ROW:
		if (entry_get_sqn(e->body, &row))
			note_key(l, e, UNFOLDED_SQN, be64_get(row.fp));
		break;
	default:
		break;
	}
}

int local_commit(struct local *l, struct entry *entries, unsigned n)
{
	int trimmed = 0;
	int rc = sql_run(l->begin);
	for (unsigned i = 0; i < n && rc == 0; i++) {
		entries[i].seq = l->seq + 1 + i;
		rc = append(l, &entries[i]);
	}
	if (rc == 0) {
		trimmed = trim(l, 2ull * n + 512);
		rc = trimmed < 0 ? trimmed : 0;
	}
	if (rc == 0)
		rc = sql_run(l->commit);
	if (rc) {
		sql_rollback(l->journal);
		return rc;
	}
	uint64_t octets = 0;
	l->trimmed += (uint64_t)trimmed;
	l->seq += n;
	for (unsigned i = 0; i < n; i++) {
		note(l, &entries[i]);
		octets += entries[i].body.len;
	}
	atomic_fetch_add(&l->octets, octets);
	return 0;
}

void local_trim(struct local *l)
{
	unfolded_trim(&l->unfolded, atomic_load(&l->folded));
	if (atomic_load(&l->folded) <= l->trimmed)
		return;
	int n = 0, rc = sql_run(l->begin);
	if (rc == 0) {
		n = trim(l, 16384);
		rc = n < 0 ? n : sql_run(l->commit);
	}
	if (rc)
		sql_rollback(l->journal);
	else
		l->trimmed += (uint64_t)n;
}

void local_give_back(struct local *l)
{
	sqlite3_db_release_memory(l->rows);
	sqlite3_db_release_memory(l->journal);
	malloc_trim(0);
}

void local_published(struct local *l)
{
	pthread_mutex_lock(&l->lock);
	atomic_store(&l->published, l->seq);
	if (fold_is_worth(l))
		pthread_cond_signal(&l->cond);
	pthread_mutex_unlock(&l->lock);
}

static void hurry(struct local *l, uint64_t seq)
{
	pthread_mutex_lock(&l->lock);
	if (l->wanted < seq) {
		l->wanted = seq;
		pthread_cond_signal(&l->cond);
	}
	pthread_mutex_unlock(&l->lock);
}

bool local_folded_to(struct local *l, uint64_t seq)
{
	if (atomic_load(&l->folded) >= seq)
		return true;
	hurry(l, seq);
	return false;
}

bool local_is_behind(struct local *l)
{
	if (l->seq - atomic_load(&l->folded) <= BACKLOG)
		return false;
	hurry(l, atomic_load(&l->published));
	return true;
}

uint64_t local_seq(const struct local *l)
{
	return l->seq;
}

uint64_t local_folded(const struct local *l)
{
	return atomic_load(&l->folded);
}

bool local_fold_failing(const struct local *l)
{
	return atomic_load(&l->failing);
}

int local_fold_fd(const struct local *l)
{
	return l->fold_fd;
}

void local_fold_drain(struct local *l)
{
	uint64_t n;
	while (read(l->fold_fd, &n, sizeof(n)) > 0)
		;
}

int local_run_get(struct local *l, uint64_t *run)
{
	int64_t v = 0;
	int rc = sql_number(l->fold.db, "SELECT value FROM meta WHERE key='run'", 0, &v);
	*run = (uint64_t)v;
	return rc;
}

int local_run_set(struct local *l, uint64_t run)
{
	char text[96];
	snprintf(text, sizeof(text), "INSERT OR REPLACE INTO meta VALUES('run', %llu)",
		 (unsigned long long)run);
	return sql_exec(l->fold.db, text);
}

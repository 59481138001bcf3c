// Deletes rows of `profile` that no subscriber names any more. The fold thread does it, as the only writer of rows, between
// its other work and in bounded pieces: first the subscribers' rows are read and the ids in them are marked, then the rows
// without a mark are deleted. Loader process; law 6. What makes it right:
//   - an entry may name a profile by its digest alone. From the asking to the end local_has_profile says no, so that new
//     entries carry the profile's octets; those composed before are folded first, up to the number of the asking;
//   - what is folded between two pieces marks the profile that it names (fold_mark_profile), or, when its row has been
//     deleted, writes it again;
//   - each piece is a transaction. After a kill between two of them nothing is missing, some rows are merely left.
#include <errno.h>
#include <stdlib.h>
#include "loader/store/local_priv.h"
#include "lib/base/log.h"

#define LOOK_ROWS    16384     // rows that one piece looks at
#define DELETE_ROWS  FOLD_PART // rows of one transaction
#define FEW_LEFTOVER 100u      // rows that are not worth a look at all subscribers

void local_clean_profiles(struct local *l, uint64_t in_use)
{
	struct clean *c = &l->fold.clean;
	if (atomic_load(&l->cleaning))
		return;
	memset(l->seen, 0, sizeof(l->seen));
	pthread_mutex_lock(&l->lock);
	c->goal = l->seq;
	c->in_use = in_use;
	atomic_store(&l->cleaning, true);
	if (l->wanted < l->seq)
		l->wanted = l->seq;
	pthread_cond_signal(&l->cond);
	pthread_mutex_unlock(&l->lock);
}

void fold_mark_profile(struct fold *f, int64_t id)
{
	const struct clean *c = &f->clean;
	if (c->used && id > 0 && id <= c->last_id)
		c->used[id / 8] |= (uint8_t)(1u << id % 8);
}

static bool is_used(const struct clean *c, int64_t id)
{
	return c->used[id / 8] >> id % 8 & 1;
}

void clean_end(struct local *l)
{
	struct clean *c = &l->fold.clean;
	sqlite3_finalize(c->mark);
	sqlite3_finalize(c->next);
	sqlite3_finalize(c->del);
	free(c->used);
	*c = (struct clean){0};
	atomic_store(&l->cleaning, false);
}

// 1: to be gone on with, 0: there is little to delete.
static int begin(struct fold *f)
{
	struct clean *c = &f->clean;
	int64_t rows = 0;
	int rc = sql_number(f->db, "SELECT count(*) FROM profile", 0, &rows);
	if (rc || (uint64_t)rows <= c->in_use + c->in_use / 2 + FEW_LEFTOVER)
		return rc;
	rc = sql_number(f->db, "SELECT max(id) FROM profile", 0, &c->last_id);
	if (rc == 0)
		rc = sql_prepare(f->db, "SELECT imsi, profile FROM subscriber WHERE imsi > ?1 ORDER BY imsi LIMIT ?2",
				 &c->mark);
	if (rc == 0)
		rc = sql_prepare(f->db, "SELECT id FROM profile WHERE id > ?1 AND id <= ?2 ORDER BY id", &c->next);
	if (rc == 0)
		rc = sql_prepare(f->db, "DELETE FROM profile WHERE id = ?1", &c->del);
	if (rc)
		return rc;
	c->marked_to = INT64_MIN; // no IMSI
	c->used = calloc((size_t)c->last_id / 8 + 1, 1);
	return c->used ? 1 : -ENOMEM;
}

static int mark_piece(struct fold *f)
{
	struct clean *c = &f->clean;
	unsigned n = 0;
	int step;
	sqlite3_bind_int64(c->mark, 1, c->marked_to);
	sqlite3_bind_int(c->mark, 2, LOOK_ROWS);
	for (; (step = sqlite3_step(c->mark)) == SQLITE_ROW; n++) {
		c->marked_to = sqlite3_column_int64(c->mark, 0);
		fold_mark_profile(f, sqlite3_column_int64(c->mark, 1));
	}
	sqlite3_reset(c->mark);
	c->all_marked = n < LOOK_ROWS;
	return step == SQLITE_DONE ? 1 : sql_error(step);
}

// The next ids without a mark; *end: there are no more behind them.
static int find_unused(struct fold *f, int64_t id[DELETE_ROWS], unsigned *cnt, bool *end)
{
	struct clean *c = &f->clean;
	int step = SQLITE_DONE;
	sqlite3_bind_int64(c->next, 1, c->deleted_to);
	sqlite3_bind_int64(c->next, 2, c->last_id);
	*cnt = 0;
	for (unsigned n = 0; n < LOOK_ROWS && *cnt < DELETE_ROWS && (step = sqlite3_step(c->next)) == SQLITE_ROW; n++) {
		c->deleted_to = sqlite3_column_int64(c->next, 0);
		if (!is_used(c, c->deleted_to))
			id[(*cnt)++] = c->deleted_to;
	}
	*end = step == SQLITE_DONE;
	sqlite3_reset(c->next);
	return sql_error(step);
}

// 1: to be gone on with, 0: all are deleted.
static int delete_piece(struct fold *f)
{
	struct clean *c = &f->clean;
	int64_t id[DELETE_ROWS];
	unsigned cnt;
	bool end;
	int rc = find_unused(f, id, &cnt, &end);
	if (rc == 0)
		rc = sql_exec(f->db, "BEGIN IMMEDIATE");
	for (unsigned i = 0; i < cnt && rc == 0; i++) {
		sqlite3_bind_int64(c->del, 1, id[i]);
		rc = sql_run(c->del);
	}
	if (rc == 0)
		rc = sql_exec(f->db, "COMMIT");
	if (rc)
		sql_rollback(f->db);
	fold_forget_profiles(f); // their ids
	if (rc)
		return rc;
	c->deleted += cnt;
	return end ? 0 : 1;
}

int clean_step(struct local *l)
{
	struct fold *f = &l->fold;
	const struct clean *c = &f->clean;
	int rc;
	if (!clean_is_due(l))
		return 0;
	if (!c->used)
		rc = begin(f);
	else
		rc = c->all_marked ? delete_piece(f) : mark_piece(f);
	if (rc > 0)
		return rc;
	if (rc)
		log_error("profiles_not_cleaned", LOG_STR("file", "hss.db"), LOG_STR("reason", err_text(rc)));
	else if (c->used)
		log_info("profiles_cleaned", LOG_INT("deleted", c->deleted));
	clean_end(l);
	return rc;
}

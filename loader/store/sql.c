// Opens SQLite databases as the loader needs them, and turns SQLite's results into errno (sql.h). Loader
// process.
#include "loader/store/sql.h"
#include <errno.h>
#include <stdio.h>
#include "lib/base/beat.h"
#include "lib/base/log.h"

#define PROGRESS_STEPS 10000 // of SQLite's machine: some milliseconds

static const char *shown_dir; // NULL: as it was opened

void sql_show_dir(const char *dir)
{
	shown_dir = dir;
}

int sql_error(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	default:
		return -EIO;
	}
}

int sql_exec(sqlite3 *db, const char *text)
{
	return sql_error(sqlite3_exec(db, text, NULL, NULL, NULL));
}

int sql_prepare(sqlite3 *db, const char *text, sqlite3_stmt **out)
{
	int rc = sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
	if (rc != SQLITE_OK)
		log_error("database_statement_failed", LOG_STR("state_dir", shown_dir ? shown_dir : ""),
			  LOG_STR("reason", err_text(sql_error(rc))), LOG_STR("sqlite", sqlite3_errmsg(db)),
			  LOG_STR("sql", text));
	return sql_error(rc);
}

int sql_run(sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);
	int reset = sqlite3_reset(s);
	return rc == SQLITE_DONE ? sql_error(reset) : sql_error(rc == SQLITE_ROW ? SQLITE_ERROR : rc);
}

int sql_number(sqlite3 *db, const char *text, int64_t missing, int64_t *out)
{
	sqlite3_stmt *s = NULL;
	int rc = sql_prepare(db, text, &s);
	if (rc)
		return rc;
	int step = sqlite3_step(s);
	*out = step == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL ? sqlite3_column_int64(s, 0)
									      : missing;
	sqlite3_finalize(s);
	return sql_error(step);
}

void sql_rollback(sqlite3 *db)
{
	// SQLite rolls back by itself after some errors; a ROLLBACK that fails leaves nothing more to do
	if (!sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

static int configure(sqlite3 *db, int cache_kb)
{
	char text[80];
	snprintf(text, sizeof(text), "PRAGMA cache_size=-%d", cache_kb);
	int rc = sql_exec(db, "PRAGMA journal_mode=WAL");
	if (rc == 0)
		rc = sql_exec(db, "PRAGMA synchronous=FULL");
	return rc ? rc : sql_exec(db, text);
}

// A long statement of the main thread (a scan, an upgrade of the schema) is work, not silence.
static int on_progress(void *arg)
{
	(void)arg;
	beat();
	return 0;
}

int sql_open(const char *dir, const char *name, const char *vfs, int cache_kb, sqlite3 **out)
{
	char path[512];
	*out = NULL;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return -ENAMETOOLONG;
	sqlite3 *db = NULL;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	int code = sqlite3_open_v2(path, &db, flags, vfs);
	int rc = sql_error(code);
	if (rc == 0) {
		sqlite3_busy_timeout(db, 5000);
		sqlite3_progress_handler(db, PROGRESS_STEPS, on_progress, NULL);
		rc = configure(db, cache_kb);
	}
	if (rc) {
		int system = db ? sqlite3_system_errno(db) : 0;
		snprintf(path, sizeof(path), "%s/%s", shown_dir ? shown_dir : dir, name);
		log_error("database_open_failed", LOG_STR("file", path), LOG_STR("reason", err_text(system ? system : rc)),
			  LOG_STR("sqlite", db ? sqlite3_errmsg(db) : "out of memory"));
		sqlite3_close(db);
		return rc;
	}
	*out = db;
	return 0;
}

// Small helpers over SQLite that local.c and fold.c share: errors as errno, statements, blobs as slices.
#pragma once
#include <sqlite3.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"

// -ENOSPC, -EBUSY, -EIO ... for a primary result code; 0 for OK, ROW and DONE.
int sql_error(int rc);
// Opens `dir`/`name`, WAL, synchronous FULL, a page cache of `cache_kb`. Logs what fails.
// What the directory of the databases is called in messages: an operator's path in place of the one that is opened. Borrowed.
void sql_show_dir(const char *dir);
int sql_open(const char *dir, const char *name, const char *vfs, int cache_kb, sqlite3 **out) MUST_USE;
int sql_exec(sqlite3 *db, const char *text) MUST_USE;
int sql_prepare(sqlite3 *db, const char *text, sqlite3_stmt **out) MUST_USE;
// One row's first column, `missing` when there is no row.
int sql_number(sqlite3 *db, const char *text, int64_t missing, int64_t *out) MUST_USE;
// Steps a statement that returns nothing, resets it.
int sql_run(sqlite3_stmt *s) MUST_USE;
// Rolls back if a transaction is open.
void sql_rollback(sqlite3 *db);

static inline struct slice sql_blob(sqlite3_stmt *s, int column)
{
	const void *p = sqlite3_column_blob(s, column);
	return slice_of(p, p ? (size_t)sqlite3_column_bytes(s, column) : 0);
}

static inline void sql_bind_slice(sqlite3_stmt *s, int at, struct slice v)
{
	// a NULL pointer would bind NULL, an empty blob is meant
	sqlite3_bind_blob(s, at, v.p ? (const void *)v.p : "", (int)v.len, SQLITE_STATIC);
}

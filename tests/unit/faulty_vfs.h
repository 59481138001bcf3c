// A SQLite VFS over the default one that records and fails: every write and sync of the journal's files is an
// event in order, and from a given one on the disk is full or broken.
#pragma once
#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct faulty {
	unsigned writes, syncs;      // of the journal's WAL
	bool dirty;                  // written to and not synced
	int write_fault, sync_fault; // SQLite codes to answer with, 0: none
	unsigned fault_after;        // so many writes (of any file) still work
	bool counting;
};
static struct faulty faulty;

struct faulty_file {
	sqlite3_file base;
	bool journal_wal;
	sqlite3_file *real;
};

static struct faulty_file *ff(sqlite3_file *f)
{
	return (struct faulty_file *)f;
}
#define REAL(f) (ff(f)->real)

static int faulty_close(sqlite3_file *f)
{
	int rc = REAL(f)->pMethods ? REAL(f)->pMethods->xClose(REAL(f)) : SQLITE_OK;
	free(REAL(f));
	return rc;
}

static int faulty_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return REAL(f)->pMethods->xRead(REAL(f), p, n, at);
}

static int faulty_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	if (faulty.write_fault) {
		if (faulty.fault_after == 0)
			return faulty.write_fault;
		faulty.fault_after--;
	}
	if (ff(f)->journal_wal) {
		faulty.writes++;
		faulty.dirty = true;
	}
	return REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
}

static int faulty_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	return REAL(f)->pMethods->xTruncate(REAL(f), n);
}

static int faulty_sync(sqlite3_file *f, int flags)
{
	if (faulty.sync_fault)
		return faulty.sync_fault;
	if (ff(f)->journal_wal) {
		faulty.syncs++;
		faulty.dirty = false;
	}
	return REAL(f)->pMethods->xSync(REAL(f), flags);
}

static int faulty_size(sqlite3_file *f, sqlite3_int64 *n)
{
	return REAL(f)->pMethods->xFileSize(REAL(f), n);
}

static int faulty_lock(sqlite3_file *f, int level)
{
	return REAL(f)->pMethods->xLock(REAL(f), level);
}

static int faulty_unlock(sqlite3_file *f, int level)
{
	return REAL(f)->pMethods->xUnlock(REAL(f), level);
}

static int faulty_reserved(sqlite3_file *f, int *out)
{
	return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out);
}

static int faulty_control(sqlite3_file *f, int op, void *arg)
{
	return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int faulty_sector(sqlite3_file *f)
{
	return REAL(f)->pMethods->xSectorSize(REAL(f));
}

static int faulty_characteristics(sqlite3_file *f)
{
	return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

static int faulty_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	return REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, out);
}

static int faulty_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
}

static void faulty_shm_barrier(sqlite3_file *f)
{
	REAL(f)->pMethods->xShmBarrier(REAL(f));
}

static int faulty_shm_unmap(sqlite3_file *f, int flag)
{
	return REAL(f)->pMethods->xShmUnmap(REAL(f), flag);
}

static const sqlite3_io_methods faulty_methods = {
    .iVersion = 2,
    .xClose = faulty_close,
    .xRead = faulty_read,
    .xWrite = faulty_write,
    .xTruncate = faulty_truncate,
    .xSync = faulty_sync,
    .xFileSize = faulty_size,
    .xLock = faulty_lock,
    .xUnlock = faulty_unlock,
    .xCheckReservedLock = faulty_reserved,
    .xFileControl = faulty_control,
    .xSectorSize = faulty_sector,
    .xDeviceCharacteristics = faulty_characteristics,
    .xShmMap = faulty_shm_map,
    .xShmLock = faulty_shm_lock,
    .xShmBarrier = faulty_shm_barrier,
    .xShmUnmap = faulty_shm_unmap,
};

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	sqlite3_vfs *real = vfs->pAppData;
	struct faulty_file *file = ff(f);
	memset(file, 0, sizeof(*file));
	file->journal_wal = name && strstr(name, "journal.db-wal");
	file->real = calloc(1, (size_t)real->szOsFile);
	if (!file->real)
		return SQLITE_NOMEM;
	int rc = real->xOpen(real, name, file->real, flags, out);
	file->base.pMethods = &faulty_methods;
	if (rc != SQLITE_OK) {
		free(file->real);
		file->base.pMethods = NULL;
	}
	return rc;
}

static inline const char *faulty_register(void)
{
	static sqlite3_vfs vfs;
	if (!vfs.zName) {
		sqlite3_vfs *real = sqlite3_vfs_find(NULL);
		vfs = *real;
		vfs.zName = "faulty";
		vfs.pAppData = real;
		vfs.szOsFile = sizeof(struct faulty_file);
		vfs.xOpen = faulty_open;
		vfs.pNext = NULL;
		sqlite3_vfs_register(&vfs, 0);
	}
	faulty = (struct faulty){0};
	return "faulty";
}

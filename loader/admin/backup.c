// Copies the rows of the local database into one file, and takes such a file back (backup.h).
#include "loader/admin/backup.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "lib/base/base64.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"
#include "loader/admin/provision.h"
#include "loader/store/sql.h"

#define CHUNK        (24u << 10) // octets of one row
#define ROWS_AT_ONCE 16u         // rows of that size under way
#define JUMP_RUNS    4096        // of 256 SEQs: 1,048,576, as `sqn jump` does
#define FORMAT       1

static const char copy_name[] = "backup.tmp", part_name[] = "restore.part", ready_name[] = "restore.ready";

enum stage { STAGE_RECEIVING, STAGE_WORKING, STAGE_DONE, STAGE_ABANDONED, STAGE_SENDING };

struct backup {
	_Atomic int stage; // enum stage: who owns it
	char dir[CONFIG_PATH_MAX + 32];
	char error[200]; // of the thread; empty: none
	bool restores;
	int fd;
	uint64_t size, digest, at; // at: octets sent, or received
	int64_t subscribers;
	XXH64_state_t hash;
};

static const char *file_name(const struct backup *b)
{
	return b->restores ? part_name : copy_name;
}

static void path_of(const struct backup *b, const char *name, char *out, size_t cap)
{
	snprintf(out, cap, "%s/%s", b->dir, name);
}

static void destroy(struct backup *b)
{
	char path[sizeof(b->dir) + 32];

	path_of(b, file_name(b), path, sizeof(path));
	unlink(path); // renamed already, if all went well
	if (b->fd >= 0)
		close(b->fd);
	free(b);
}

void backup_free(struct backup **bp)
{
	struct backup *b = *bp;

	*bp = NULL;
	if (b && atomic_exchange(&b->stage, STAGE_ABANDONED) != STAGE_WORKING)
		destroy(b);
}

// One at a time: the file says whether there is another one. NULL: the call has ended.
static struct backup *begin(struct loader *l, struct call *c, bool restores)
{
	struct backup *b = calloc(1, sizeof(*b));
	char path[sizeof(b->dir) + 32];

	if (!b) {
		admin_end(l, c, ADMIN_REFUSED, "no memory");
		return NULL;
	}
	b->restores = restores;
	snprintf(b->dir, sizeof(b->dir), "%s", l->dir);
	path_of(b, file_name(b), path, sizeof(path));
	b->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (b->fd < 0) {
		admin_end(l, c, ADMIN_REFUSED, "%s", errno == EEXIST ? "another one is under way" : err_text(errno));
		free(b);
		return NULL;
	}
	c->backup = b;
	return b;
}

static void work(struct loader *l, struct call *c, void *(*fn)(void *))
{
	struct backup *b = c->backup;
	pthread_t thread;
	sigset_t all, before;

	atomic_store(&b->stage, STAGE_WORKING);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); // signals are the main thread's
	int rc = pthread_create(&thread, NULL, fn, b);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0) {
		pthread_detach(thread);
		return;
	}
	atomic_store(&b->stage, STAGE_DONE);
	admin_end(l, c, ADMIN_REFUSED, "%s", err_text(rc));
}

// The thread's last act.
static void *worked(struct backup *b)
{
	if (atomic_exchange(&b->stage, STAGE_DONE) == STAGE_ABANDONED)
		destroy(b);
	return NULL;
}

static void failed(struct backup *b, const char *what, const char *why)
{
	if (!b->error[0])
		snprintf(b->error, sizeof(b->error), "%s: %s", what, why);
}

// --- in the thread: copies and checks

// A whole database, of a version that this program reads: up to that of the one that it has open.
static bool check(struct backup *b, sqlite3 *db, sqlite3 *own)
{
	sqlite3_stmt *s = NULL;
	int64_t version = 0, newest = 0;
	bool good = false;

	if (sql_number(own, "PRAGMA user_version", 0, &newest) || sql_number(db, "PRAGMA user_version", 0, &version) ||
	    version < 1 || version > newest) {
		failed(b, "the database", "it is of another version");
		return false;
	}
	if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(s, 0);
		good = text && strcmp(text, "ok") == 0;
	}
	sqlite3_finalize(s);
	if (!good || sql_number(db, "SELECT count(*) FROM subscriber", 0, &b->subscribers)) {
		failed(b, "the database", "it is damaged");
		return false;
	}
	return true;
}

static sqlite3 *open_file(struct backup *b, const char *name, int flags)
{
	char path[sizeof(b->dir) + 32];
	sqlite3 *db = NULL;

	path_of(b, name, path, sizeof(path));
	if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
		failed(b, name, sqlite3_errmsg(db));
		sqlite3_close(db);
		return NULL;
	}
	return db;
}

// All pages in one step are one snapshot; writers go on meanwhile. The copy has no WAL of its own.
static bool copy(struct backup *b)
{
	sqlite3 *from = open_file(b, "hss.db", SQLITE_OPEN_READWRITE), *to = NULL;
	sqlite3_backup *pages = NULL;
	int rc = SQLITE_ERROR;

	if (from)
		to = open_file(b, copy_name, SQLITE_OPEN_READWRITE);
	if (to && sql_exec(to, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF") == 0)
		pages = sqlite3_backup_init(to, "main", from, "main");
	if (pages) {
		rc = sqlite3_backup_step(pages, -1);
		sqlite3_backup_finish(pages);
	}
	if (rc != SQLITE_DONE)
		failed(b, "the copy", sqlite3_errstr(rc));
	// a reader of the copy must not look for a WAL
	else if (sql_exec(to, "PRAGMA journal_mode=DELETE"))
		failed(b, "the copy", "it can't be written");
	bool good = rc == SQLITE_DONE && check(b, to, from);
	sqlite3_close(to);
	sqlite3_close(from);
	return good && !b->error[0];
}

static void digest(struct backup *b)
{
	static const size_t room = 1u << 20;
	uint8_t *buffer = malloc(room);
	off_t at = 0;
	ssize_t n = 0;

	XXH64_reset(&b->hash, 0);
	while (buffer && (n = pread(b->fd, buffer, room, at)) > 0) {
		XXH64_update(&b->hash, buffer, (size_t)n);
		at += n;
	}
	if (!buffer || n < 0)
		failed(b, "the copy", buffer ? err_text(errno) : "no memory");
	if (buffer)
		secret_wipe(buffer, room);
	free(buffer);
	b->size = (uint64_t)at;
	b->digest = XXH64_digest(&b->hash);
}

static void *copy_thread(void *arg)
{
	struct backup *b = arg;

	if (copy(b))
		digest(b);
	return worked(b);
}

// SQNs drawn since the backup must not come again; locations may be old, but no stored request may detach a phone.
static void *restore_thread(void *arg)
{
	char text[160], from[sizeof(((struct backup *)0)->dir) + 32], to[sizeof(from)];
	struct backup *b = arg;
	sqlite3 *own = open_file(b, "hss.db", SQLITE_OPEN_READWRITE);
	sqlite3 *db = own ? open_file(b, part_name, SQLITE_OPEN_READWRITE) : NULL;

	snprintf(text, sizeof(text),
		 "BEGIN IMMEDIATE; UPDATE meta SET value = value + %d WHERE key='run'; DELETE FROM hss_request; COMMIT", JUMP_RUNS);
	bool good = db && sql_exec(db, "PRAGMA journal_mode=DELETE") == 0 && check(b, db, own);
	if (good && sql_exec(db, text)) {
		failed(b, "the database", "it can't be written");
		good = false;
	}
	sqlite3_close(db);
	sqlite3_close(own);
	if (!good)
		failed(b, "the database", "it is damaged");
	if (good) {
		path_of(b, part_name, from, sizeof(from));
		path_of(b, ready_name, to, sizeof(to));
		int dir = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fsync(b->fd) < 0 || rename(from, to) < 0 || dir < 0 || fsync(dir) < 0)
			failed(b, "restore.ready", err_text(errno));
		if (dir >= 0)
			close(dir);
	}
	return worked(b);
}

// --- backup

void backup_begin(struct loader *l, struct call *c)
{
	if (begin(l, c, false))
		provision_stream(l, c); // to the pump, when all up to here is in the rows
}

static json_t *header_of(const struct loader *l, const struct backup *b)
{
	char digest_text[20];

	snprintf(digest_text, sizeof(digest_text), "%016llx", (unsigned long long)b->digest);
	return json_pack("{s:{s:i,s:s,s:I,s:I,s:s,s:s,s:I}}", "header", "format", FORMAT, "host", l->config ? l->config->host : "",
			 "time", (json_int_t)(clock_wall_us() / 1000000), "size", (json_int_t)b->size, "xxh64", digest_text,
			 "version", HSS_VERSION, "subscribers", (json_int_t)b->subscribers);
}

static bool send_chunk(struct loader *l, struct call *c)
{
	struct backup *b = c->backup;
	uint8_t octets[CHUNK];
	char text[BASE64_LEN(CHUNK)];
	ssize_t n = pread(b->fd, octets, sizeof(octets), (off_t)b->at);

	if (n <= 0) {
		admin_end(l, c, ADMIN_REFUSED, "the copy: %s", n < 0 ? err_text(errno) : "it ended early");
		return false;
	}
	base64_encode(slice_of(octets, (size_t)n), text);
	b->at += (uint64_t)n;
	admin_row_take(l, c, json_pack("{s:s%}", "data", text, (size_t)BASE64_LEN((size_t)n)), true);
	secret_wipe(octets, sizeof(octets));
	secret_wipe(text, sizeof(text));
	return true;
}

void backup_pump(struct loader *l, struct call *c)
{
	struct backup *b = c->backup;
	int stage = atomic_load(&b->stage);

	if (stage == STAGE_RECEIVING) {
		work(l, c, copy_thread);
		return;
	}
	if (stage != STAGE_SENDING)
		return;
	while (b->at < b->size && ADMIN_WINDOW - c->window < ROWS_AT_ONCE)
		if (!send_chunk(l, c))
			return;
	if (b->at == b->size)
		admin_end(l, c, ADMIN_OK, NULL);
}

// --- restore

static bool header_read(struct backup *b, const char *text)
{
	json_t *h = json_loads(text ? text : "", JSON_REJECT_DUPLICATES, NULL);
	const char *digest_text = json_string_value(json_object_get(h, "xxh64"));
	json_int_t size = json_integer_value(json_object_get(h, "size"));
	char *end = NULL;
	bool good = json_integer_value(json_object_get(h, "format")) == FORMAT && size > 0 && digest_text;

	if (good) {
		b->size = (uint64_t)size;
		b->digest = strtoull(digest_text, &end, 16);
		good = end && *end == 0;
	}
	json_decref(h);
	return good;
}

void restore_begin(struct loader *l, struct call *c)
{
	struct backup *b = begin(l, c, true);

	if (!b)
		return;
	XXH64_reset(&b->hash, 0);
	if (!header_read(b, json_string_value(json_object_get(c->args, "header"))))
		admin_end(l, c, ADMIN_USAGE, "header: expected that of a backup of this version");
}

// false: the call has ended.
static bool receive_line(struct loader *l, struct call *c, struct slice line)
{
	struct backup *b = c->backup;
	uint8_t octets[64u << 10];
	size_t n = 0;

	if (line.len > BASE64_LEN(sizeof(octets)) || !base64_decode(line, octets, &n) || n > b->size - b->at) {
		admin_end(l, c, ADMIN_REFUSED, "the data are not those of the header");
		return false;
	}
	for (size_t done = 0; done < n;) {
		ssize_t w = pwrite(b->fd, octets + done, n - done, (off_t)(b->at + done));

		if (w < 0 && errno != EINTR) {
			admin_end(l, c, ADMIN_REFUSED, "state_dir: %s", err_text(errno));
			return false;
		}
		done += w > 0 ? (size_t)w : 0;
	}
	XXH64_update(&b->hash, octets, n);
	b->at += n;
	secret_wipe(octets, sizeof(octets));
	return true;
}

void restore_data(struct loader *l, struct call *c, struct slice lines)
{
	struct backup *b = c->backup;
	uint64_t taken = lines.len, id = c->id;

	if (atomic_load(&b->stage) != STAGE_RECEIVING)
		return;
	if (lines.len == 0) {
		if (b->at != b->size || XXH64_digest(&b->hash) != b->digest)
			admin_end(l, c, ADMIN_REFUSED, "the data are not those of the header");
		else
			work(l, c, restore_thread);
		return;
	}
	while (lines.len) {
		const uint8_t *at = memchr(lines.p, '\n', lines.len);
		size_t n = at ? (size_t)(at - lines.p) : lines.len;

		if (n && !receive_line(l, c, slice_of(lines.p, n)))
			return;
		lines = slice_of(lines.p + n + (at ? 1 : 0), lines.len - n - (at ? 1 : 0));
	}
	l->send(l, ROLE_ADMIN, 0, IPC_ADMIN_CREDIT, id, &taken, sizeof(taken));
}

void backup_tick(struct loader *l, struct call *c)
{
	struct backup *b = c->backup;

	if (atomic_load(&b->stage) != STAGE_DONE)
		return;
	if (b->error[0]) {
		admin_end(l, c, ADMIN_REFUSED, "%s", b->error);
	} else if (b->restores) {
		log_warn("restore_ready", LOG_INT("subscribers", b->subscribers));
		admin_row_take(l, c, json_pack("{s:I}", "subscribers", (json_int_t)b->subscribers), false);
		admin_end(l, c, ADMIN_OK, NULL);
	} else {
		admin_row_take(l, c, header_of(l, b), false);
		atomic_store(&b->stage, STAGE_SENDING);
		backup_pump(l, c);
	}
}

// --- the start after a restore

// Moves it aside, under a name that SQLite opens, too.
static int move_aside(int dir, const char *name)
{
	static const char *const parts[] = {"", "-wal"};
	char from[64], to[96];

	snprintf(to, sizeof(to), "before-restore-%s-wal", name);
	if (faccessat(dir, name, F_OK, 0) == 0 && unlinkat(dir, to, 0) < 0 && errno != ENOENT) // of a restore before
		return -errno;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(from, sizeof(from), "%s%s", name, parts[i]);
		snprintf(to, sizeof(to), "before-restore-%s%s", name, parts[i]);
		if (renameat(dir, from, dir, to) < 0 && errno != ENOENT)
			return -errno;
	}
	snprintf(from, sizeof(from), "%s-shm", name);
	return unlinkat(dir, from, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int restore_take(const char *path)
{
	int rc = 0, dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return -errno;
	(void)unlinkat(dir, copy_name, 0);
	(void)unlinkat(dir, part_name, 0);
	if (faccessat(dir, ready_name, F_OK, 0) == 0) {
		// the last step makes it true; a kill before it is followed by the same steps again
		rc = move_aside(dir, "journal.db");
		rc = rc ? rc : move_aside(dir, "hss.db");
		if (rc == 0 && (renameat(dir, ready_name, dir, "hss.db") < 0 || fsync(dir) < 0))
			rc = -errno;
		if (rc)
			log_error("restore_failed", LOG_STR("reason", err_text(rc)));
		else
			log_warn("restored", LOG_STR("before", "before-restore-hss.db"));
	}
	close(dir);
	return rc;
}

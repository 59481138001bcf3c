// Reads the file of `store: csv` and brings the subscribers in line with it (upstream_csv.h). Owns the watch
// on its directory and the state of a reading. Loader process, main thread; laws 5 and 6.
#include "loader/upstream/upstream_csv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "loader/document/csv.h"
#include "loader/upstream/file_lines.h"
#include "loader/upstream/imsi_set.h"
#include "loader/commit/load.h"
#include "loader/upstream/problems.h"
#include "loader/admin/provision.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define CHECK_PIECE  4000u // rows between two looks at the sockets
#define APPLY_PIECE  400u
#define REMOVE_PIECE 1000u
#define WAIT_MS      20
#define QUIET_MS     300  // after the last sign of a change: scripts append line by line
#define AGAIN_MS     5000 // after rows that could not be made durable

enum pass { PASS_NONE, PASS_CHECK, PASS_APPLY, PASS_FOLD, PASS_REMOVE };

struct upstream_csv {
	char path[CONFIG_PATH_MAX], dir[CONFIG_PATH_MAX];
	const char *base; // in path
	int dir_fd, inotify_fd, dir_watch, file_watch;
	struct event *changed, *look, *piece; // NULL without a loop
	bool first;                           // since the start no reading has ended
	struct stat last;                     // the file that was read or refused last; st_ino 0: none
	// the reading that is under way
	enum pass pass;
	uint64_t serial; // of the reading: of its operations
	struct file_lines lines;
	struct stat now;
	struct csv *csv;
	uint64_t rows, bad, added, removed, failed;
	uint64_t bad_line;
	char bad_text[256]; // of the first bad row
	struct imsi_set set;
	uint64_t need_seq, began_ms;
	imsi_t cursor;
	bool not_durable;
	// how the last one ended
	uint64_t served_rows, taken_us;
	bool refused;
	char error[400];
};

bool upstream_csv_is_first(const struct loader *l)
{
	return l->file && l->file->first;
}

const char *upstream_csv_refusal(const struct loader *l, const char *command)
{
	static const char *const writing[] = {"subscriber add", "subscriber set", "subscriber delete",
					      "subscriber import"};
	for (size_t i = 0; l->file && i < sizeof(writing) / sizeof(writing[0]); i++)
		if (strcmp(command, writing[i]) == 0)
			return "subscribers come from the file store.path (store.type csv): change it there, "
			       "it is read again";
	return NULL;
}

json_t *upstream_csv_status(const struct loader *l)
{
	const struct upstream_csv *u = l->file;
	const char *state = u->pass != PASS_NONE ? "reading"
			    : u->refused         ? "refused"
			    : u->error[0]        ? "incomplete"
						 : "current";
	json_t *path = json_string(u->path), *error = u->error[0] ? json_string(u->error) : json_null();
	return json_pack("{s:o,s:s,s:I,s:I,s:I,s:o}", "path", path ? path : json_string("?"), "state", state,
			 "rows", (json_int_t)u->served_rows, "time_us", (json_int_t)u->taken_us, "problems",
			 (json_int_t)problems_count(l), "error", error ? error : json_string("not UTF-8"));
}

// ---- how a reading ends

static void reading_close(struct upstream_csv *u)
{
	file_lines_close(&u->lines);
	csv_free(&u->csv);
	imsi_set_free(&u->set);
	u->pass = PASS_NONE;
}

static void reading_ended(struct loader *l)
{
	struct upstream_csv *u = l->file;
	reading_close(u);
	if (!u->first)
		return;
	u->first = false;
	if (!load_running(l)) // else the load reports it when it ends
		__atomic_store_n((uint32_t *)&l->header->load_state, CACHE_COMPLETE, __ATOMIC_RELEASE);
}

static void look_after(struct upstream_csv *u, unsigned ms)
{
	if (u->look)
		event_add(u->look, &(struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000});
}

// Refuses the file; the subscribers that are served stay. line 0: the reason concerns the file as a whole.
static void refuse(struct loader *l, uint64_t line, const char *text)
{
	struct upstream_csv *u = l->file;
	if (line)
		snprintf(u->error, sizeof(u->error), "line %llu: %.300s", (unsigned long long)line, text);
	else
		snprintf(u->error, sizeof(u->error), "%.300s", text);
	log_error("csv_refused", LOG_STR("file", u->path), LOG_INT("line", line), LOG_STR("reason", text),
		  LOG_INT("bad_rows", u->bad), LOG_INT("subscribers_kept", l->header->subscriber_cnt));
	u->refused = true;
	u->last = u->now;
	reading_ended(l);
}

static void taken(struct loader *l)
{
	struct upstream_csv *u = l->file;
	u->served_rows = u->rows;
	u->taken_us = clock_wall_us();
	u->refused = false;
	u->error[0] = 0;
	if (u->bad || u->failed)
		snprintf(u->error, sizeof(u->error), "%llu rows are not served (subscriber problems)",
			 (unsigned long long)(u->bad + u->failed));
	log_info("csv_read", LOG_STR("file", u->path), LOG_INT("rows", u->rows), LOG_INT("changed", u->added),
		 LOG_INT("removed", u->removed), LOG_INT("not_served", u->bad + u->failed),
		 LOG_INT("ms", clock_mono_ms() - u->began_ms));
	u->last = u->now;
	// tried again later, or at once when removed subscribers have made room
	if (u->not_durable || (u->failed && u->removed)) {
		u->last.st_ino = 0;
		look_after(u, u->not_durable ? AGAIN_MS : QUIET_MS);
	}
	reading_ended(l);
}

// ---- the first pass: is all of it good?

static void row_problem(struct loader *l, imsi_t imsi, const char *text)
{
	char where[160];
	snprintf(where, sizeof(where), "%.130s:%llu", l->file->base, (unsigned long long)l->file->lines.line);
	problems_add(l, where, imsi, text);
}

static void row_bad(struct loader *l, imsi_t imsi, const char *text)
{
	struct upstream_csv *u = l->file;
	row_problem(l, imsi, text);
	if (u->bad++ == 0) {
		u->bad_line = u->lines.line;
		snprintf(u->bad_text, sizeof(u->bad_text), "%s", text);
	}
}

// false: the reading is over.
static bool check_row(struct loader *l, struct slice line)
{
	struct upstream_csv *u = l->file;
	struct record_error e;
	struct csv_row row;
	enum csv_line kind = csv_read(u->csv, line, &row, &e);
	if (kind == CSV_BAD)
		row_bad(l, row.imsi, e.text);
	if (kind != CSV_ROW)
		return true;
	if (!row.op.len && !row.opc.len && !l->records.has_op) {
		row_bad(l, row.imsi,
			"OP: expected 32 hex digits, got nothing (there is no per-operator op_file)");
		return true;
	}
	int added = imsi_set_add(&u->set, row.imsi);
	if (added < 0) {
		refuse(l, 0, "out of memory");
		return false;
	}
	if (added == 0)
		row_bad(l, row.imsi, "IMSI: expected one row for each, got another one before");
	u->rows += (unsigned)added;
	if (u->rows <= l->header->max_subscribers)
		return true;
	refuse(l, u->lines.line, "expected no more rows than cache.max_subscribers");
	return false;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

// Has the file been written to since the reading began? Then its lines can't be trusted.
static bool is_moving(struct upstream_csv *u)
{
	struct stat st;
	return fstat(u->lines.fd, &st) < 0 || !same_file(&st, &u->now);
}

static void start_over(struct loader *l)
{
	reading_close(l->file);
	l->file->last.st_ino = 0;
	look_after(l->file, QUIET_MS); // `first` stays set: the file was not read to its end
}

static enum csv_step check_over(struct loader *l)
{
	struct upstream_csv *u = l->file;
	if (is_moving(u)) {
		start_over(l);
		return CSV_STEP_IDLE;
	}
	uint64_t known = 0;
	bool nothing = l->header->subscriber_cnt == 0 && local_count(l->local, &known) == 0 && known == 0;
	if (u->bad && !(nothing && u->rows))
		refuse(l, u->bad_line, u->bad_text);
	else if (u->rows == 0 && !nothing)
		refuse(l, 0, "expected rows, got none: who is served is kept");
	else if (u->bad)
		log_error("csv_rows_bad", LOG_STR("file", u->path), LOG_INT("line", u->bad_line),
			  LOG_STR("reason", u->bad_text), LOG_INT("bad_rows", u->bad),
			  LOG_STR("because", "nothing is served yet: the others are taken"));
	if (u->pass == PASS_NONE)
		return CSV_STEP_IDLE;
	file_lines_rewind(&u->lines);
	csv_free(&u->csv);
	u->csv = csv_new();
	u->pass = PASS_APPLY;
	return CSV_STEP_MORE;
}

// ---- the second pass: what differs

static bool same_subscriber(struct loader *l, const json_t *doc, const struct cache_record *r)
{
	struct record_image image;
	struct subscription s;
	struct record_error e;
	const struct cache_profile *p = cache_profile(l->cache, r), *built = l->records.profile;
	bool same = record_parse(&l->records, doc, &s, &e) && record_build(&l->records, &s, &image, &e) &&
		    secret_equal(r->k, image.k, 16) && secret_equal(r->opc, image.opc, 16) &&
		    r->amf == image.amf && r->alg == image.alg && (r->flags) == image.flags &&
		    r->msisdn[0].v == image.msisdn[0].v && r->msisdn[1].v == image.msisdn[1].v && p &&
		    p->len == built->len && memcmp(p, built, built->len) == 0;
	secret_wipe(&s, offsetof(struct subscription, of_apps));
	secret_wipe(&image, sizeof(image));
	return same;
}

// A row has been stored, or not. Its reading may have ended, and another one begun.
static void on_put(struct loader *l, struct op *op, int error)
{
	struct upstream_csv *u = l->file;
	if (!u || op->id != u->serial)
		return;
	u->added += error == 0;
	u->not_durable |= error != 0;
}

static void on_removed(struct loader *l, struct op *op, int error)
{
	struct upstream_csv *u = l->file;
	if (!u || op->id != u->serial)
		return;
	u->removed += error == 0;
	u->not_durable |= error != 0;
}

static void put_row(struct loader *l, const struct csv_row *row, json_t *doc)
{
	struct upstream_csv *u = l->file;
	struct record_error e = {"out of memory"};
	const struct cache_record *r = loader_find(l, row->imsi);
	if (r && same_subscriber(l, doc, r))
		return;
	uint8_t k[16];
	// the column counts only for a new key; afterwards the SQNs are ours
	if (r && hex_parse(row->k, k, 16) && secret_equal(k, r->k, 16))
		json_object_del(json_object_get(doc, "security"), "sqn");
	secret_wipe(k, sizeof(k));
	char *text = json_dumps(doc, JSON_COMPACT);
	bool ok = text && provision_put(l,
					&(struct put){.document = doc,
						      .text = slice_str(text),
						      .mode = PUT_REPLACE,
						      .done = on_put,
						      .id = u->serial},
					&e);
	if (!ok) {
		row_problem(l, row->imsi, e.text);
		u->failed++;
	}
	if (text)
		secret_wipe(text, strlen(text));
	free(text);
}

static void apply_row(struct loader *l, struct slice line)
{
	struct upstream_csv *u = l->file;
	struct record_error e;
	struct csv_row row;
	if (csv_read(u->csv, line, &row, &e) != CSV_ROW || !imsi_set_mark(&u->set, row.imsi))
		return; // it was reported before
	json_t *doc = csv_document(u->csv, &row);
	if (doc)
		put_row(l, &row, doc);
	else
		u->not_durable = true;
	json_decref(doc);
}

static enum csv_step apply_over(struct loader *l)
{
	struct upstream_csv *u = l->file;
	if (is_moving(u)) {
		start_over(l); // no subscriber is removed because of a file that was half read
		return CSV_STEP_IDLE;
	}
	txn_commit(l);
	u->need_seq = local_seq(l->local);
	u->cursor = LOCAL_SCAN_START;
	u->pass = PASS_FOLD;
	return CSV_STEP_WAIT;
}

// A piece of a pass over the lines.
static enum csv_step lines_piece(struct loader *l)
{
	struct upstream_csv *u = l->file;
	bool check = u->pass == PASS_CHECK;
	struct slice line;
	int rc = 1;
	if (!u->csv) {
		refuse(l, 0, "out of memory");
		return CSV_STEP_IDLE;
	}
	if (!check && txn_is_behind(l))
		return CSV_STEP_WAIT;
	for (unsigned i = 0;
	     i < (check ? CHECK_PIECE : APPLY_PIECE) && (rc = file_lines_next(&u->lines, &line)) == 1; i++) {
		if (!check)
			apply_row(l, line);
		else if (!check_row(l, line))
			return CSV_STEP_IDLE;
	}
	if (rc == 1)
		return CSV_STEP_MORE;
	if (rc < 0) {
		refuse(l, 0, err_text(rc));
		return CSV_STEP_IDLE;
	}
	return check ? check_over(l) : apply_over(l);
}

// ---- who is not in the file any more

static enum csv_step remove_piece(struct loader *l)
{
	struct upstream_csv *u = l->file;
	int rc = 1;
	for (unsigned i = 0; i < REMOVE_PIECE && (rc = local_next(l->local, u->cursor, &u->cursor)) == 1; i++)
		if (!imsi_set_has(&u->set, u->cursor) &&
		    !provision_remove(l, u->cursor, on_removed, u->serial))
			u->not_durable = true;
	if (rc == 1)
		return CSV_STEP_MORE;
	if (rc < 0)
		u->not_durable = true;
	txn_commit(l);
	taken(l);
	return CSV_STEP_IDLE;
}

enum csv_step upstream_csv_step(struct loader *l)
{
	struct upstream_csv *u = l->file;
	switch (u->pass) {
	case PASS_NONE:
		break;
	case PASS_CHECK:
	case PASS_APPLY:
		return lines_piece(l);
	case PASS_FOLD:
		if (!local_folded_to(l->local, u->need_seq))
			return CSV_STEP_WAIT;
		u->pass = PASS_REMOVE;
		return CSV_STEP_MORE;
	case PASS_REMOVE:
		return remove_piece(l);
	}
	return CSV_STEP_IDLE;
}

static void on_piece(evutil_socket_t fd, short what, void *arg)
{
	struct loader *l = arg;
	enum csv_step step = upstream_csv_step(l);
	(void)fd;
	(void)what;
	if (step != CSV_STEP_IDLE)
		event_add(l->file->piece,
			  &(struct timeval){.tv_usec = step == CSV_STEP_WAIT ? WAIT_MS * 1000 : 0});
}

// ---- when it is read

static void watch_dir(struct upstream_csv *u)
{
	if (u->dir_fd >= 0)
		close(u->dir_fd);
	if (u->dir_watch >= 0)
		(void)inotify_rm_watch(u->inotify_fd, u->dir_watch);
	u->dir_fd = open(u->dir, O_PATH | O_DIRECTORY | O_CLOEXEC); // searching it is right enough
	u->dir_watch = inotify_add_watch(u->inotify_fd, u->dir,
					 IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB | IN_ONLYDIR);
	if (u->dir_fd < 0 || u->dir_watch < 0)
		log_warn("csv_not_watched", LOG_STR("directory", u->dir), LOG_STR("reason", err_text(errno)),
			 LOG_STR("instead", "the file is read at SIGHUP"));
}

// The file itself, where it lies: it may be a link to another directory.
static void watch_file(struct upstream_csv *u)
{
	char at[64 + CONFIG_PATH_MAX];
	if (u->file_watch >= 0)
		(void)inotify_rm_watch(u->inotify_fd, u->file_watch);
	snprintf(at, sizeof(at), "/proc/self/fd/%d", u->lines.fd); // lint: only opened
	u->file_watch =
	    inotify_add_watch(u->inotify_fd, at, IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF);
}

static void begin(struct loader *l)
{
	struct upstream_csv *u = l->file;
	reading_close(u);
	u->now = (struct stat){0};
	u->bad = u->rows = u->added = u->removed = u->failed = 0;
	u->not_durable = false;
	u->began_ms = clock_mono_ms();
	u->serial++;
	int rc = file_lines_open(&u->lines, u->dir_fd, u->base);
	if (rc || fstat(u->lines.fd, &u->now) < 0) {
		refuse(l, 0, err_text(rc ? rc : errno));
		return;
	}
	if (!S_ISREG(u->now.st_mode)) {
		refuse(l, 0, "expected a regular file");
		return;
	}
	watch_file(u);
	u->csv = csv_new();
	problems_clear(l, u->base);
	u->pass = PASS_CHECK;
	if (u->piece)
		event_add(u->piece, &(struct timeval){0});
}

void upstream_csv_look(struct loader *l)
{
	struct upstream_csv *u = l->file;
	const struct stat *known = u->pass != PASS_NONE ? &u->now : &u->last;
	struct stat st;
	bool gone = u->dir_fd < 0 || fstatat(u->dir_fd, u->base, &st, 0) < 0;
	if (gone ? known->st_ino != 0 || u->first : !same_file(&st, known))
		begin(l);
}

void upstream_csv_reload(struct loader *l)
{
	if (!l->file)
		return;
	watch_dir(l->file); // the directory may have been replaced
	begin(l);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	upstream_csv_look(arg);
}

// Is this event a sign that the file has changed or is about to? A file that is being written is not read
// before its writer closes it.
static bool is_sign(const struct upstream_csv *u, const struct inotify_event *e)
{
	struct stat st;
	if (e->mask & IN_Q_OVERFLOW)
		return true;
	if (e->wd == u->file_watch)
		return !(e->mask & IN_IGNORED);
	if (e->wd != u->dir_watch || e->len == 0)
		return false;
	if (strcmp(e->name, u->base) == 0 && e->mask & (IN_CLOSE_WRITE | IN_MOVED_TO | IN_ATTRIB))
		return true;
	// a symbolic link: any directory on its way may have changed
	return e->mask & (IN_MOVED_TO | IN_CREATE) &&
	       fstatat(u->dir_fd, u->base, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

static void on_changed(evutil_socket_t fd, short what, void *arg)
{
	struct loader *l = arg;
	struct upstream_csv *u = l->file;
	union {
		struct inotify_event e;
		uint8_t bytes[4096];
	} b;
	ssize_t n;
	bool sign = false;
	(void)what;
	while ((n = read(fd, b.bytes, sizeof(b.bytes))) > 0)
		for (size_t at = 0; at + sizeof(b.e) <= (size_t)n;) {
			const struct inotify_event *e = (const void *)(b.bytes + at);
			sign |= is_sign(u, e);
			at += sizeof(*e) + e->len;
		}
	if (sign)
		look_after(u, QUIET_MS);
}

// ---- start and stop

static int add_events(struct loader *l, struct upstream_csv *u)
{
	if (!l->base)
		return 0;
	u->look = event_new(l->base, -1, 0, on_look, l);
	u->piece = event_new(l->base, -1, 0, on_piece, l);
	if (!u->look || !u->piece)
		return -ENOMEM;
	if (u->inotify_fd < 0) // told by watch_dir
		return 0;
	u->changed = event_new(l->base, u->inotify_fd, EV_READ | EV_PERSIST, on_changed, l);
	return u->changed && event_add(u->changed, NULL) == 0 ? 0 : -ENOMEM;
}

int upstream_csv_start(struct loader *l)
{
	struct upstream_csv *u = l->file = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->lines.fd = u->dir_fd = u->dir_watch = u->file_watch = -1;
	u->first = true;
	snprintf(u->path, sizeof(u->path), "%s", l->config->store_path);
	char *slash = strrchr(u->path, '/');
	u->base = slash ? slash + 1 : u->path;
	snprintf(u->dir, sizeof(u->dir), "%.*s", slash ? (int)(slash - u->path) + 1 : 1,
		 slash ? u->path : ".");
	u->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int rc = add_events(l, u);
	if (rc)
		return rc;
	watch_dir(u);
	begin(l);
	return 0;
}

void upstream_csv_stop(struct loader *l)
{
	struct upstream_csv *u = l->file;
	if (!u)
		return;
	txn_commit(l); // operations that were begun refer to this object
	if (u->look)
		event_free(u->look);
	if (u->piece)
		event_free(u->piece);
	if (u->changed)
		event_free(u->changed);
	reading_close(u);
	if (u->dir_fd >= 0)
		close(u->dir_fd);
	if (u->inotify_fd >= 0)
		close(u->inotify_fd);
	free(u);
	l->file = NULL;
}

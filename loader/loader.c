// Puts the parts of hss-loader together, and hands each frame to the part that it is for. No processes and no
// channels: those are in main.c, so that tests run all of this by itself. Main thread; laws 4 to 6.
#include "loader/loader.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "loader/admin/admin.h"
#include "loader/commands.h"
#include "loader/admin/backup.h"
#include "loader/app.h"
#include "loader/commit/change.h"
#include "loader/commit/load.h"
#include "loader/upstream/feed.h"
#include "loader/commit/hss_request.h"
#include "loader/upstream/problems.h"
#include "loader/commit/txn.h"
#include "loader/upstream/upstream_csv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"
#include "supervisor/role.h"

#define COMMON_MAX (240u << 10) // octets that an application keeps for all subscribers
#define JOURNAL_MAX  2000000 // some 400 MB; the fold thread has lost touch long before
#define LOCK_WAIT_MS 3000
#define LOCK_STEP_MS 20
#define PROFILES_MS  3600000u // between two deletions of profiles that nobody has

// One HSS to a directory. The lock ends with the process.
static int lock_dir(struct loader *l, const char *dir)
{
	char path[512];
	if ((size_t)snprintf(path, sizeof(path), "%s/lock", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	l->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (l->lock_fd < 0)
		return -errno;
	// After a kill -9 of everything the loader before us may still be dying (a large mapping takes its time): it is awaited
	// for a moment, so that a service manager can start the next HSS at once.
	const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000};
	for (unsigned waited_ms = 0;; waited_ms += LOCK_STEP_MS) {
		if (flock(l->lock_fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK || waited_ms >= LOCK_WAIT_MS)
			return -errno;
		nanosleep(&step, NULL);
	}
}

static int read_op(struct loader *l, int fd)
{
	char text[256];
	if (fd < 0)
		return 0;
	ssize_t n = pread(fd, text, sizeof(text), 0);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	l->records.has_op = n > 0 && hex_parse(slice_of(text, (size_t)n), l->records.op, 16);
	secret_wipe(text, sizeof(text));
	if (l->records.has_op)
		return 0;
	log_error("op_file_wrong", LOG_STR("expected", "32 hex digits"));
	return -EINVAL;
}

static int open_stores(struct loader *l, const struct loader_options *o, bool *fresh)
{
	uint32_t max = l->config ? l->config->max_subscribers : 0;
	l->builder = builder_open(o->records_fd, o->sqn_fd, o->control, max, l->config ? l->config->max_identities : 0,
				  fresh);
	if (!l->builder) {
		log_error("cache_open_failed", LOG_STR("reason", err_text(errno)));
		return -errno;
	}
	l->cache = builder_cache(l->builder);
	l->header = builder_header(l->builder);
	int rc = *fresh ? restore_take(o->dir) : 0; // not beside a cache that was filled from what is there
	return rc ? rc : local_open(&(struct local_options){.dir = o->dir, .vfs = o->vfs}, &l->local);
}

void loader_commons(struct loader *l, const struct config *config)
{
	static _Alignas(8) uint8_t octets[COMMON_MAX];
	for (unsigned i = 0; config && i < CACHE_APP_MAX; i++) {
		const struct loader_app *app = l->app[i];
		if (!app || !app->common)
			continue;
		size_t len = app->common(l, config, octets, sizeof(octets));
		if (builder_common_set(l->builder, i, slice_of(octets, len)))
			log_error("cache_full", LOG_STR("application", app->name));
	}
}

static int start_apps(struct loader *l)
{
	int rc = 0;
	for (unsigned i = 0; i < CACHE_APP_MAX && rc == 0; i++)
		if (l->app[i] && l->app[i]->start)
			rc = l->app[i]->start(l);
	return rc;
}

void loader_stop_apps(struct loader *l)
{
	for (unsigned i = 0; i < CACHE_APP_MAX; i++)
		if (l->app[i] && l->app[i]->stop)
			l->app[i]->stop(l);
}

int loader_init(struct loader *l, const struct loader_options *o)
{
	bool fresh = true;
	for (const struct loader_app *const *app = o->apps; *app; app++)
		l->app[(*app)->number] = *app;
	umask(077);
	snprintf(l->dir, sizeof(l->dir), "%s", o->dir);
	l->lock_fd = -1;
	l->journal_max = JOURNAL_MAX;
	l->control = o->control;
	int rc = lock_dir(l, o->dir);
	if (rc) {
		log_error(
		    "state_dir_lock_failed", LOG_STR("state_dir", o->shown_dir ? o->shown_dir : o->dir),
		    LOG_STR("reason", rc == -EWOULDBLOCK ? "another HSS is running on it" : err_text(rc)));
		return rc;
	}
	const struct doc_reader *readers[DOC_OWNERS_MAX + 1];
	loader_readers(o->apps, readers);
	rc = record_ctx_init(&l->records, readers);
	if (rc == 0)
		rc = read_op(l, o->op_fd);
	if (rc)
		return rc;
	l->records.allow_xor = l->config && l->config->allow_xor;
	// The order: the database and the cache, the batch, what commits through it, then the load, which
	// publishes into the cache. The threads start last: until then all entries are folded, and the reads
	// of the start see rows only.
	l->dup = calloc(DUP_CNT, sizeof(*l->dup));
	rc = l->dup ? open_stores(l, o, &fresh) : -ENOMEM;
	if (rc == 0)
		rc = txn_new(l);
	if (rc == 0)
		loader_commons(l, l->config);
	if (rc == 0)
		rc = start_apps(l);
	if (rc == 0)
		rc = hss_requests_new(l);
	if (rc == 0)
		rc = admin_new(l, admin_commands);
	if (rc == 0)
		rc = hss_requests_load(l);
	if (rc == 0 && l->config && l->config->store == STORE_CSV)
		rc = upstream_csv_start(l);
	if (rc == 0)
		rc = load_start(l, fresh);
	if (rc == 0)
		rc = local_fold_start(l->local);
	if (rc == 0 && o->uri && l->config->store == STORE_MONGODB)
		rc = feed_start(l, o->uri, o->dir);
	return rc;
}

void loader_fini(struct loader *l)
{
	if (l->txn)
		txn_commit(l);
	feed_stop(l);
	upstream_csv_stop(l);
	problems_free(l);
	admin_free(l);
	load_free(l);
	hss_requests_free(l);
	txn_free(l);
	loader_stop_apps(l);
	local_free(&l->local);
	if (l->builder)
		builder_free(&l->builder);
	record_ctx_fini(&l->records);
	free(l->dup);
	l->dup = NULL;
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	l->lock_fd = -1;
}

const struct cache_record *loader_find(struct loader *l, imsi_t imsi)
{
	const struct cache_record *r = cache_find(l->cache, imsi);
	if (r ||
	    __atomic_load_n((const uint32_t *)&l->header->load_state, __ATOMIC_ACQUIRE) == CACHE_COMPLETE)
		return r;
	return load_one(l, imsi) == 1 ? cache_find(l->cache, imsi) : NULL;
}

// Both begin with the subscriber (messages.h).
static enum txn_later turn_of(struct loader *l, unsigned worker, const struct ipc_hdr *hdr,
			      const uint8_t *body)
{
	uint64_t imsi = 0;
	if (hdr->type != IPC_CHANGE && hdr->type != IPC_SQN_BLOCK)
		return TXN_NOW;
	memcpy(&imsi, body, sizeof(imsi));
	return txn_later(l, worker, imsi, hdr, body);
}

void loader_frame(struct loader *l, enum role role, unsigned index, const struct ipc_hdr *hdr,
		  const uint8_t *body)
{
	uint32_t len = hdr->len - (uint32_t)sizeof(*hdr);
	if (role == ROLE_ADMIN) {
		admin_frame(l, hdr, body, len);
		return;
	}
	switch (turn_of(l, index, hdr, body)) {
	case TXN_NOW:
		break;
	case TXN_LATER:
		return;
	case TXN_REFUSE:
		loader_stat(l, STAT_CHANNEL_FULL, 1);
		return; // its frontend answers 3004
	}
	switch (hdr->type) {
	case IPC_CHANGE:
		change_handle(l, index, hdr, body, len);
		break;
	case IPC_SQN_BLOCK:
		sqn_block_handle(l, index, hdr, body, len);
		break;
	case IPC_IND_HOST:
		ind_host_handle(l, index, hdr, body, len);
		break;
	case IPC_READ_THROUGH:
		read_through_handle(l, index, hdr, body, len);
		break;
	case IPC_HSS_SENT:
		hss_request_sent(l, hdr, body, len);
		break;
	default:
		break;
	}
}

void loader_edge_down(struct loader *l, enum role role, unsigned index)
{
	if (role == ROLE_WORKER) {
		l->worker[index].generation++;
		hss_requests_worker_lost(l, index);
	} else if (role == ROLE_ADMIN) {
		admin_gone(l);
	}
}

// What the disk of state_dir has left, for the metrics and hss-admin's alarms.
static void look_at_disk(struct loader *l)
{
	struct statvfs fs;
	if (!l->env || l->env->state_dir_fd < 0 || fstatvfs(l->env->state_dir_fd, &fs) < 0)
		return;
	stat_set(l->stats, STAT_STATE_FREE, (uint64_t)fs.f_bavail * fs.f_frsize);
	stat_set(l->stats, STAT_STATE_SIZE, (uint64_t)fs.f_blocks * fs.f_frsize);
}

// Once after the cache is filled, then once an hour: at a moment when nothing waits for its commit (local.h).
static void clean_profiles(struct loader *l)
{
	if (load_running(l) || txn_waiting(l) || clock_mono_ms() < l->profiles_due_ms)
		return;
	local_clean_profiles(l->local, l->header->profile_cnt);
	l->profiles_due_ms = clock_mono_ms() + PROFILES_MS;
}

void loader_tick(struct loader *l)
{
	hss_requests_tick(l);
	admin_tick(l);
	txn_tick(l);
	clean_profiles(l);
	local_trim(l->local);
	for (unsigned i = 0; i < CACHE_APP_MAX; i++)
		if (l->app[i] && l->app[i]->tick)
			l->app[i]->tick(l);
	if (!l->stats)
		return;
	stat_set(l->stats, STAT_JOURNAL_ROWS, local_seq(l->local) - local_folded(l->local));
	stat_set(l->stats, STAT_LOADED,
		 __atomic_load_n((const uint32_t *)&l->header->load_state, __ATOMIC_ACQUIRE) == CACHE_COMPLETE);
	stat_set(l->stats, STAT_SUBSCRIBERS, l->header->subscriber_cnt);
	stat_set(l->stats, STAT_SUBSCRIBERS_MAX, l->header->max_subscribers);
	stat_set(l->stats, STAT_PROFILES, l->header->profile_cnt);
	stat_set(l->stats, STAT_BAD_RECORDS, load_bad(l));
	stat_set(l->stats, STAT_HSS_REQUESTS_PENDING, hss_requests_pending(l));
	stat_set(l->stats, STAT_PROBLEMS, problems_count(l));
	look_at_disk(l);
}

// hss-loader's one object, and what its parts ask of each other. Main thread only.
#pragma once
#include <event2/event.h>
#include "cache/build.h"
#include "loader/store/local.h"
#include "loader/document/record.h"
#include "config/config.h"
#include "lib/ipc/channel.h"

struct role_env;
struct txn;
struct bulk;
struct hss_requests;
struct loader_app;
struct load;
struct admin;
struct feed;
struct outbox;
struct problems;
struct upstream_csv;

struct link {
	struct channel *ch;  // NULL: nobody there
	uint32_t generation; // raised when the other end is another process
	bool touched;        // has frames that are not flushed
};

// Direct-mapped memory of the last but one duplicate key of a subscriber; the last one is in the cache
// record.
#define DUP_CNT 65536u
struct dup_entry {
	uint64_t imsi;
	uint64_t key;
	uint8_t app;
};

struct loader {
	struct role_env *env; // NULL in unit tests
	struct event_base *base;
	const struct config *config;
	struct stats_block *stats;
	struct builder *builder;
	const struct cache *cache;
	struct cache_header *header;
	struct local *local;
	struct record_ctx records;
	uint64_t run;
	struct dup_entry *dup;
	struct txn *txn;
	struct bulk *bulk; // beside it
	struct hss_requests *requests;
	const struct loader_app *app[CACHE_APP_MAX]; // by number
	void *own[CACHE_APP_MAX];		     // each application's: nobody else looks at it
	struct load *load;
	struct admin *admin;
	struct feed *feed; // NULL: no upstream
	struct outbox *outbox; // beside it
	struct problems *problems;
	struct upstream_csv *file; // NULL: another store
	struct control *control;
	struct link worker[WORKER_MAX];
	struct link admin_link;
	struct event *tick;  // once a second: gauges, retries, trimming
	struct event *flush; // writes out what was composed
	bool flush_pending;
	uint64_t profiles_due_ms; // monotonic: when profiles that nobody has are looked for again
	char dir[CONFIG_PATH_MAX + 32]; // state_dir
	int lock_fd;
	uint64_t journal_max; // entries not folded yet; above it changes are refused (3004)
	// How a message leaves; tests listen here.
	void (*send)(struct loader *l, enum role role, unsigned index, uint16_t type, uint64_t id,
		     const void *body, size_t len);
};

// loader.c: everything but processes and channels. `dir` is state_dir's path. 0 or a negative errno (logged).
struct loader_options {
	const char *dir;
	const char *shown_dir; // what messages call it; NULL: dir
	const char *vfs;
	int records_fd, sqn_fd;
	int op_fd; // -1: none
	const char *uri; // of the upstream, with credentials; NULL: none
	struct control *control;
	const struct loader_app *const *apps; // ended by NULL
};
int loader_init(struct loader *l, const struct loader_options *o) MUST_USE;
void loader_fini(struct loader *l);
// What applications have in memory is freed: a part of loader_fini, and of tests that end without it.
void loader_stop_apps(struct loader *l);
// What applications keep once for all subscribers, made anew from `config`: at the start and at a reload.
void loader_commons(struct loader *l, const struct config *config);

// The current record: from the cache, or while it is being filled through the database. NULL: no such
// subscriber.
const struct cache_record *loader_find(struct loader *l, imsi_t imsi);
// A frame of a worker or of hss-admin.
void loader_frame(struct loader *l, enum role role, unsigned index, const struct ipc_hdr *hdr,
		  const uint8_t *body);
void loader_tick(struct loader *l);
void loader_edge_down(struct loader *l, enum role role, unsigned index);

static inline void loader_stat(struct loader *l, enum stat_id id, uint64_t n)
{
	if (l->stats)
		stat_add(l->stats, id, n);
}

static inline uint64_t loader_seq_next(const struct loader *l, uint32_t sqn)
{
	return __atomic_load_n((uint64_t *)&l->cache->sqn[sqn].next, __ATOMIC_SEQ_CST);
}

static inline uint64_t loader_seq_limit(const struct loader *l, uint32_t sqn)
{
	return __atomic_load_n((uint64_t *)&l->cache->sqn[sqn].limit, __ATOMIC_SEQ_CST);
}

// sqn_block.c
void sqn_block_handle(struct loader *l, unsigned worker, const struct ipc_hdr *hdr, const uint8_t *body,
		      uint32_t len);
void ind_host_handle(struct loader *l, unsigned worker, const struct ipc_hdr *hdr, const uint8_t *body,
		     uint32_t len);
void read_through_handle(struct loader *l, unsigned worker, const struct ipc_hdr *hdr, const uint8_t *body,
		 uint32_t len);

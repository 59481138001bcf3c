// What one hss-worker process holds: its view of the cache, its cryptography, its channels, and the requests that wait
// for the loader. A worker has no network socket and no database; all that it writes of the shared memory are SQN words.
#pragma once
#include "cache/lookup.h"
#include "config/config.h"
#include "lib/base/clock.h"
#include "lib/ipc/channel.h"
#include "lib/auth/vectors.h"
#include "worker/sqn_block.h"
#include "worker/app.h"
#include "worker/request.h"
#include "worker/turn.h"

#define WORKER_K_CACHE	   1024 // hosts whose IND column is remembered
#define WORKER_ASKED_CACHE 4096 // SQN words whose next block has been asked for

struct hss_under_way;
struct worker_app;

struct worker {
	const struct config *config;
	struct stats_block *stats;
	struct refusals *refusals; // this worker's; NULL: none are kept
	struct cache cache;
	struct auth auth;
	bool pinned; // inside an epoch of the cache
	uint64_t now_us; // when the batch of frames in hand was read; only valid while pinned

	struct channel *frontend[FRONTEND_MAX];
	struct channel *loader; // NULL while it restarts

	const struct worker_app *app[WORKER_APP_MAX]; // by number
	struct {
		void (*run)(struct request *r);
		uint8_t app;
	} handler[CMD_CNT]; // by enum command_id

	struct waiting waiting;
	struct block_question block[BLOCK_QUESTIONS]; // SQN blocks on their way
	struct turn turn[TURNS];
	uint32_t turn_due[TURNS]; // turns that the next one in their queue may take
	uint32_t turn_due_cnt;
	bool turns_running;
	struct hss_under_way *hss_under_way; // on their way to their nodes

	// Answers begin with their Session-Id; what follows is the same in all of one application: encoded once.
	struct {
		uint8_t octets[32]; // Vendor-Specific-Application-Id
		uint32_t len;
	} head[WORKER_APP_MAX];
	uint8_t origin[600]; // Auth-Session-State, Origin-Host, Origin-Realm
	uint32_t origin_len;

	struct {
		uint64_t host_hash;
		uint32_t k;
	} k_cache[WORKER_K_CACHE];
	struct {
		uint32_t index;
		uint64_t limit; // the block above this limit has been asked for
	} asked[WORKER_ASKED_CACHE];
};

// Everything except channels and the cache's mapping; 0 or a negative errno.
// `apps`: ended by NULL.
int worker_init(struct worker *w, const struct config *config, struct stats_block *stats,
		const struct worker_app *const *apps) MUST_USE;
void worker_fini(struct worker *w);

// Around each batch of frames: enter the cache's epoch at the first look-up, leave it when the batch is done.
static inline void worker_pin(struct worker *w)
{
	if (!w->pinned) {
		cache_pin(&w->cache);
		w->now_us = clock_mono_us();
		w->pinned = true;
	}
}

static inline void worker_unpin(struct worker *w)
{
	if (w->pinned) {
		cache_unpin(&w->cache);
		w->pinned = false;
	}
}

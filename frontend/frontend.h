// What one hss-frontend process holds. It owns the peers' connections and turns bytes into decoded requests and
// answers into bytes (laws 1, 2). It maps neither the subscriber cache nor a database, and has no key.
//
//   peer -> transport -> conn (framing) -> peer (state machine) -> check (slots) -> route -> worker channel
//   worker channel -> route (pending table) -> conn (output) -> transport -> peer
//   HSS-initiated requests: worker channel -> hss_request -> conn; their answers go back the same way
#pragma once
#include "cache/control.h"
#include "config/config.h"
#include "frontend/conn.h"
#include "frontend/fair.h"
#include "frontend/handshake.h"
#include "lib/diameter/base.h"
#include "lib/ipc/channel.h"

#define FRONTEND_TICK_MS  100
#define FRONTEND_APPS_MAX 16
#define FRONTEND_WORKER_WATER                                                                                \
	(4u << 20)            // unsent octets of a worker's channel above which requests are refused
#define FRONTEND_STOP_MS 4000 // a stop waits that long for answers and DPAs

struct route;
struct hss_sent;
struct peerlist;
struct dialer;
struct trace;

struct frontend_listener {
	struct frontend *fe;
	struct event event;
	const struct transport_ops *ops;
	int fd;
	bool accepting;
};

struct frontend_worker {
	struct frontend *fe;
	struct channel *channel; // NULL while it restarts
	uint32_t index;
	bool dirty; // frames were composed outside of its own batch
	// worker_watch.h
	bool silent, mute;    // mute: its heart beats, but it answers nothing
	uint64_t silent_ms;   // when that was noticed
	uint32_t pending;     // requests that it has not answered yet
	uint64_t progress_ms; // when it last answered, or got its first request after having none
	uint64_t beat, beat_ms; // its heartbeat, and when it was last seen to change
};

struct frontend {
	const struct config *config;
	struct event_base *base;
	struct control *control;
	struct stats_block *stats;
	uint32_t index;

	struct base_node node; // what we say about ourselves
	uint32_t apps[FRONTEND_APPS_MAX];
	uint32_t app_cnt;
	struct base_addr addrs[BASE_ADDRS_MAX];
	uint32_t next_hop; // Hop-by-Hop of our own base requests
	uint32_t next_end; // End-to-End, RFC 6733 3

	struct conn_table conns;
	struct fair fair;
	struct handshake *handshake; // NULL: no thread
	struct route *route;
	struct hss_sent *hss_sent;
	struct peerlist *peerlist;
	struct dialer *dialer;
	struct trace *trace;
	uint32_t tracing;	// how many traces are under way (trace.h)
	struct slice trace_why; // the reason of the answer that is being written
	struct frontend_listener listener[CONFIG_LISTEN_MAX];
	uint32_t listener_cnt;
	struct frontend_worker worker[WORKER_MAX];
	uint32_t worker_cnt;
	struct event tick_event, due_event;

	uint64_t now_us;       // monotonic, of the batch being handled
	uint64_t watch_ms;     // when the workers' signs of life were last looked at
	uint64_t directory_ms; // when the peer directory's counters were last brought up to date
	bool in_batch;         // inside a worker's batch: now_us is set
	bool stopping;
	uint64_t stop_ms; // when the stop began
	void (*on_stopped)(void *ctx);
	void *stopped_ctx;
};

// All tables are allocated here, for `config`'s limits. `config`, `control` and `stats` are borrowed and
// outlive the frontend. 0 or a negative errno.
int frontend_init(struct frontend *fe, const struct config *config, struct event_base *base,
		  struct control *control, struct stats_block *stats, unsigned index,
		  unsigned worker_cnt) MUST_USE;
void frontend_fini(struct frontend *fe);

// Starts accepting on a bound socket, which may be shared with other frontends. The descriptor is taken.
int frontend_listen_take(struct frontend *fe, const struct transport_ops *ops, int fd) MUST_USE;
// The channel to a worker that was (re)started. Requests that the old one has not answered are answered 3004.
// Takes the descriptor.
void frontend_worker_take(struct frontend *fe, unsigned index, int fd);

// Applies the limits, the watchdog and the peer policy of `config`, which the caller has changed.
void frontend_reload(struct frontend *fe);
// Sends DPR to all peers. Earlier requests are still answered, further ones are refused (3004). Calls `done`
// once, when everything is closed.
void frontend_stop(struct frontend *fe, void (*done)(void *ctx), void *ctx);

// Does everything that is due by time. Runs by itself every FRONTEND_TICK_MS; tests call it after setting the
// clock.
void frontend_tick(struct frontend *fe);
// Sends what has been composed for workers and peers. Called at the end of each batch of input.
void frontend_flush(struct frontend *fe);
// A connection's slot is free again.
void frontend_conn_closed(struct frontend *fe);
uint32_t frontend_conn_cnt(const struct frontend *fe);
// Index in `apps`, -1 when it is not served.
int frontend_app_index(const struct frontend *fe, uint32_t app);
// A mask of frontend.apps as bits of the numbers of apps/apps.def, for the directory of peers.
uint64_t frontend_app_numbers(uint64_t mask);

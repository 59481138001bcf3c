// One transport connection: its buffers with their limits, its place in the event loop, its deadlines. What
// the messages mean is peer.c's. A connection is a slot of a table made at start; (index, generation) names
// it for good.
//
// Input is read into one buffer shared by the whole process; a connection only keeps the unfinished tail of
// what came, so an idle one holds no buffers at all, or at most CONN_TAIL_KEEP octets. Output is composed at
// the end of the connection's buffer (taken from a pool) and leaves once per batch. Above CONN_HIGH_WATER
// (less, when many peers are slow) the peer is not read any more; a peer that takes nothing for CONN_STALL_MS
// is closed.
#pragma once
#include <event2/event.h>
#include <event2/event_struct.h>
#include "frontend/transport.h"
#include "frontend/watchdog.h"

#define CONN_READ_MAX   (64u << 10) // octets taken from one peer before the others have their turn
#define CONN_TAIL_KEEP  4096u
#define CONN_OUT_CHUNK  (64u << 10)
#define CONN_HIGH_WATER (1u << 20)
#define CONN_OUT_MAX    (16u << 20) // reached only by answers to what was read below high water: closed
#define CONN_OUT_BUDGET                                                                                      \
	(256u << 20) // all buffers of that kind together; above it the limit is one chunk each
#define CONN_STALL_MS  30000
#define CONN_DUE_MAX   32u   // some 10 us each
#define CONN_BUCKETS   16384 // of addresses with half-open connections
#define CONN_LINGER_MS 2000  // a closing connection waits that long for the peer to see its last answer

struct frontend;

struct conn {
	struct frontend *fe;
	uint32_t index, generation;
	bool used;
	bool dirty;  // has output to flush, is in the frontend's list
	bool ending; // sends what is composed, then ends the stream; nothing is read as a message any more
	bool shut;   // the stream is ended, waiting for the peer's end
	bool reading, writing; // events that are added
	bool half_open;        // counted in its address's bucket: no CER was accepted yet
	bool waits;            // it fills its share of the queue (fair.h): not read, `in` may hold whole messages
	bool listed;           // among those that wait, perhaps since an earlier use of the slot
	bool heavy;            // had to wait often (fair.h)
	bool full;             // more than CONN_HIGH_WATER was unsent, and half of that is still: not read
	bool shaking;          // its transport is with the handshake thread, or queued for it (handshake.h)
	uint16_t bucket;

	struct transport transport;
	struct event read_event, write_event;
	uint8_t *in; // unfinished tail
	uint32_t in_len, in_cap;
	uint8_t *out; // octets out_off .. out_len are unsent
	uint32_t out_off, out_len, out_cap;
	uint64_t stall_deadline_ms; // 0: nothing unsent
	uint64_t phase_deadline_ms; // CER, Closing, linger; 0: none

	// peer.c's
	uint8_t state; // enum peer_state
	uint8_t *cer;  // a CER that waits until another frontend's entry has gone, or NULL
	uint32_t cer_len;
	uint64_t cer_until_ms;
	bool probe;   // hssd tests whether we serve: it is no peer
	bool leaving; // its DPA is here: closed when its last answer is out
	bool relay;
	uint8_t host_len, realm_len;
	struct watchdog watchdog;
	uint64_t app_mask;   // bit n: frontend.apps[n] is common
	uint64_t host_hash;  // case folded
	uint32_t peer_flags; // enum ipc_peer_flag
	uint32_t origin_state_id;
	uint32_t cer_hop, dwr_hop, dpr_hop;
	uint32_t pending;                // requests at the workers
	uint32_t load;                   // their weight (fair.h)
	uint32_t wait_cnt;               // how often it had to wait in this second
	uint64_t light_until_us;         // until then it counts as a light peer with requests; 0: it does not
	uint32_t light_prev, light_next; // the light peers that asked later and earlier
	uint32_t max_pending;
	uint32_t max_rate;      // requests a second, 0: no limit
	uint64_t rate_due_us;   // when its next request is within max_rate, if it sends no bursts
	uint64_t dwr_us;        // when the last DWR was sent
	uint32_t round_trip_us; // of the last watchdog; 0: none yet
	uint16_t dial;          // dial.c's entry + 1; 0: it was accepted
	int directory;          // entry of the peer directory, -1: none
	uint32_t directory_generation;
	uint64_t since_us; // wall clock
	uint64_t requests, answers, rejected;
	char host[256], realm[256], address[64];
};

struct conn_table {
	struct conn *conn;
	uint64_t *deadline_ms; // beside each slot the earliest moment at which something may be due;
			       // UINT64_MAX: free
	uint32_t *free;        // stack of free slots
	uint32_t free_cnt, cap, high;
	uint32_t *dirty;
	uint32_t dirty_cnt;
	uint8_t *scratch;
	uint8_t *pool[64]; // output buffers of CONN_OUT_CHUNK octets that nobody uses
	unsigned pool_cnt;
	uint64_t out_total; // octets of all output buffers in use
	uint64_t seed;      // of the addresses' hash, so that no peer can aim at another one's bucket
	uint16_t half_open[CONN_BUCKETS];
};

// 0 or a negative errno. `cap`: connections at a time.
int conn_table_init(struct conn_table *t, uint32_t cap) MUST_USE;
void conn_table_fini(struct conn_table *t);

// Takes over a transport. NULL, and the transport is closed: the table is full, or its address already has
// limits.max_half_open connections without a CER.
struct conn *conn_open_take(struct frontend *fe, const struct transport *t);
// The same for a connection that we open, for the dialer's entry `dial`; NULL when the table is full.
struct conn *conn_dial_take(struct frontend *fe, const struct transport *t, uint32_t dial);
// Closes at once: drops unsent output and the answers to its pending requests.
void conn_close(struct conn *c, const char *why);
// The connection has become a peer: it is no longer half-open.
void conn_admit(struct conn *c);
// Closes when the composed output has been sent.
void conn_end(struct conn *c, const char *why);
// The connection that (index, generation) names, NULL when it is gone.
struct conn *conn_find(struct frontend *fe, uint32_t index, uint32_t generation);

// Room for a message of at most `max` octets at the end of the output. The writer has its error set when
// there is none (the connection is then closed at the next flush). conn_written appends what was composed, or
// nothing after an error.
struct wr conn_write(struct conn *c, uint32_t max);
bool conn_written(struct conn *c, const struct wr *w);

// Sends what all connections have composed since the last time: one system call each.
void conn_flush_all(struct frontend *fe);
// Reads the peer again after fair_wait.
void conn_resume(struct conn *c);
// The thread has taken a step of its handshake (handshake.h). `result`: what `recv` or, while it connects,
// `establish` returned.
void conn_shaken(struct conn *c, int result);
// Is it a connection of ours that is not established yet?
bool conn_connects(const struct conn *c);
// Closes overdue connections and runs the watchdogs. Called every FRONTEND_TICK_MS. true: CONN_DUE_MAX
// connections were handled and more are due: to be called again when other events have had their turn.
bool conn_tick_all(struct frontend *fe, uint64_t now_ms);
// Recomputes when this connection must be looked at again; call after setting an earlier deadline.
void conn_rearm(struct conn *c);

// A run: connections, the window of outstanding requests, what was counted. One thread, no allocation after
// the start.
#pragma once
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "tools/hss-load/latency.h"
#include "tools/hss-load/message.h"
#include "tools/hss-load/subscribers.h"

#define HL_IN_SIZE     (1u << 20) // also the longest message that is accepted
#define HL_OUT_SIZE    (1u << 18)
#define HL_MAX_RESULTS 64
#define HL_PCAP_MAX    (1u << 20) // of a connection, in octets
#define HL_NO_SLOT     UINT32_MAX

// A connection's packets in the capture file.
struct hl_pcap {
	bool on;
	uint32_t number;  // of the connection, from 1
	uint32_t next[2]; // sequence numbers: the server's, ours
	uint32_t left;
};

enum hl_conn_state { HL_DOWN, HL_CONNECTING, HL_CER_SENT, HL_OPEN, HL_DPR_SENT, HL_CLOSED };

struct hl_conn {
	int fd;
	enum hl_conn_state state;
	bool readable; // worth a recv
	bool was_open;
	bool shaking; // in its TLS handshake
	struct ssl_st *tls;
	uint64_t retry_ns; // when HL_DOWN: the next attempt
	char origin_host[256];
	struct hl_template templates[HL_KINDS];
	uint8_t *in;
	uint32_t in_len;
	uint8_t *out;
	uint32_t out_sent;
	uint32_t out_len;
	struct hl_pcap pcap;
	uint32_t pcap_out; // of out, what the capture file has
};

enum hl_slot_state { HL_SLOT_FREE, HL_SLOT_READY, HL_SLOT_SENT };

// One outstanding procedure. The Hop-by-Hop identifier is generation << 20 | slot, so that an answer finds
// its slot by index and a late answer to an earlier user of the slot is recognised.
struct hl_slot {
	uint64_t serial;   // of the request: Session-Id and End-to-End id come from it
	uint64_t start_ns; // the intended send time
	uint64_t sent_ns;
	uint64_t sqn; // resync: what the card has seen
	uint32_t subscriber;
	uint32_t hop_by_hop;
	uint32_t next;
	uint8_t state;
	uint8_t kind;
	uint8_t conn;
	bool again; // to be sent with the T flag
};

struct hl_result {
	uint32_t code;
	uint64_t count;
};

struct hl_stats {
	uint64_t requests, answers, unexpected, timeouts, lost, unmatched, malformed;
	uint64_t vectors, bad_vectors, duplicate_sqn, reconnects, clr_received, requests_received;
	struct hl_result results[HL_MAX_RESULTS];
	unsigned result_count;
	struct latency latency;
};

struct hl_run {
	const struct hl_options *o;
	struct sim *sim;
	struct hl_subscribers *subscribers;
	FILE *log;
	FILE *pcap; // NULL: no capture
	uint32_t pcap_streams;

	struct addrinfo *addresses;
	struct ssl_ctx_st *tls; // NULL: no TLS
	FILE *tls_keys;         // NULL: they are not written down
	struct hl_conn *conns;
	unsigned next_conn;
	unsigned open_conns;

	struct hl_slot *slots;
	uint8_t (*resync)[30]; // a RAND || AUTS for each slot, case resync only
	uint32_t slot_count;
	uint32_t slot_fresh; // slots from here on were never used
	uint32_t free_head;
	uint32_t ready_head, ready_tail;
	uint32_t busy; // slots not free

	uint64_t *seen; // hash set of (subscriber, SQN), with --verify all
	uint64_t seen_count;

	uint64_t started; // procedures
	uint64_t serial;
	uint32_t session_high;
	uint32_t end_to_end_base;
	uint64_t start_ns, last_answer_ns, end_ns, sweep_ns, now_ns;
	bool stopping;
	bool failed; // a connection was refused or lost for good
	const char *first_bad;

	struct hl_stats stats;
};

// 0, or -ENOMEM, or -EINVAL (names too long for a message). Everything is freed by hl_run_fini in any case.
MUST_USE int hl_run_init(struct hl_run *r, const struct hl_options *o, struct sim *sim,
			 struct hl_subscribers *s, FILE *log);
void hl_run_fini(struct hl_run *r);
// Connects, plays all procedures, disconnects. False when a connection was refused or lost (told on stderr).
bool hl_run_play(struct hl_run *r);
// From a signal handler: stop sending, wait briefly for answers, report.
void hl_run_interrupt(void);

// CLOCK_MONOTONIC in nanoseconds.
uint64_t hl_clock_ns(void);

// procedures.c: what is sent and what an answer means.
void hl_procedures_send(struct hl_run *r);
bool hl_procedures_finished(const struct hl_run *r);
// Nanoseconds from now until the open loop has something to send; UINT64_MAX: nothing scheduled.
uint64_t hl_procedures_next_due(const struct hl_run *r);
void hl_procedures_answer(struct hl_run *r, struct hl_conn *c, struct slice message);
void hl_procedures_conn_lost(struct hl_run *r, const struct hl_conn *c);
void hl_procedures_sweep(struct hl_run *r);

// connection.c: sockets and the peer state machine.
void hl_conn_start(struct hl_run *r, struct hl_conn *c);
// The socket of a connection being set up is writable: it stands or has failed.
void hl_conn_connected(struct hl_run *r, struct hl_conn *c);
void hl_conn_read(struct hl_run *r, struct hl_conn *c);
void hl_conn_flush(struct hl_run *r, struct hl_conn *c);
void hl_conn_disconnect(struct hl_run *r, struct hl_conn *c);
void hl_conn_lost(struct hl_run *r, struct hl_conn *c, const char *why);
// Room for n bytes at the end of the output buffer, or NULL.
uint8_t *hl_conn_room(struct hl_conn *c, uint32_t n);

// tls.c: connections over TLS. init reads the files (false: told on stderr); the handshake goes on at each
// call until c->shaking is false, and returns why it failed; recv and send are as those of the socket.
MUST_USE bool hl_tls_init(struct hl_run *r);
void hl_tls_fini(struct hl_run *r);
const char *hl_tls_handshake(struct hl_run *r, struct hl_conn *c);
ssize_t hl_tls_recv(struct hl_conn *c, void *buf, size_t cap);
ssize_t hl_tls_send(struct hl_conn *c, const void *buf, size_t len);
void hl_tls_close(struct hl_conn *c);

// sctp.c: one-to-one SCTP sockets. set before connecting: 0 or an errno; send as that of the socket.
MUST_USE int hl_sctp_set(int fd);
ssize_t hl_sctp_send(struct hl_conn *c, const uint8_t *p, size_t len);

// pcap.c: --pcap. init opens the file (false: told on stderr). A connection starts and ends; a message was sent or
// has come; the messages in the output buffer that are not in the file yet go into it.
MUST_USE bool hl_pcap_init(struct hl_run *r);
void hl_pcap_fini(struct hl_run *r);
void hl_pcap_start(struct hl_run *r, struct hl_conn *c);
void hl_pcap_end(struct hl_run *r, struct hl_conn *c);
void hl_pcap_message(struct hl_run *r, struct hl_conn *c, bool sent, struct slice m);
void hl_pcap_sending(struct hl_run *r, struct hl_conn *c);

// cx.c: the request that follows on this one in a registration. False: none.
bool hl_cx_next(const struct hl_run *r, uint8_t kind, uint8_t *next);

// verify.c: the vectors of an AIA or MAA, by the interface of the case; as hl_answer_vectors.
int hl_run_vectors(const struct hl_run *r, struct slice auth_info, struct sim_vector *out, int max);
// The vectors of an AIA against the simulated card. Counts them, logs them, looks for a SQN seen
// before. False when one is wrong (counted) or there is none. *first and *sqn get the first vector.
bool hl_verify_vectors(struct hl_run *r, const struct hl_slot *slot, struct slice auth_info,
		       struct sim_vector *first, uint64_t *sqn);

// report.c
void hl_report_print(const struct hl_run *r, FILE *out);
// 0 when every answer was as expected, else 1.
int hl_report_status(const struct hl_run *r);

// show.c: an answer for a human.
void hl_show_answer(const struct hl_run *r, const struct hl_slot *slot, const struct hl_answer *a, FILE *out);

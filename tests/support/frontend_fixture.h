// A frontend without processes: the real one (or two beside each other) on an event loop of its own, under a
// frozen clock. Its peers are socket pairs, its workers channels, and the other ends are in the test's hands.
// No CMocka in here: the fuzz targets and the player of scenarios use it too. What cannot be set up ends the
// process and says where.
#pragma once
#include "frontend/frontend.h"

#define FF_FRONTENDS 2
#define FF_HOST      "hss.hss.example"
#define FF_REALM     "hss.example"
#define FF_MME       "mme.example"
#define FF_MME_REALM "example"
#define FF_IMSI      "001010000000001"

struct ff {
	struct config config;
	struct frontend fe[FF_FRONTENDS];
	unsigned fe_cnt;
	struct event_base *base;
	struct control *control;
	struct channel *worker[WORKER_MAX]; // the workers' ends; NULL: not started, or the test freed it
	uint64_t now_us;                    // the frozen clock; 0: it is the system's
};

// What a test may still change before ff_open: one worker, small tables, everybody is let in.
void ff_configure(struct ff *f);
// `frontends` of them as `config` says, without workers. The clock is frozen at `now_us` (0: the system's).
void ff_open(struct ff *f, unsigned frontends, uint64_t now_us);
void ff_close(struct ff *f);

// Turns the event loop that often.
void ff_pump(struct ff *f, unsigned rounds);
// The frozen clock goes on, and what waited for that happens.
void ff_later(struct ff *f, unsigned ms);
// Worker `i` of the first frontend (re)starts: its end gives frames to `ops`.
void ff_worker_start(struct ff *f, unsigned i, const struct channel_ops *ops, void *ctx);

// The directory has a peer of that name.
bool ff_is_peer(const struct ff *f, const char *host);
// The first frontend has no connection and waits for no worker.
bool ff_at_rest(const struct ff *f);

// ---- a peer of the first frontend

// Connects; returns our end. `conn` (or NULL) gets the frontend's side, NULL when it was refused.
int ff_connect(struct ff *f, struct conn **conn);
// All of it at once; false when the socket does not take that.
bool ff_send(int fd, const void *octets, size_t len);
// In pieces of that length until one is not taken; what is answered is thrown away.
void ff_send_pieces(struct ff *f, int fd, const uint8_t *octets, size_t len, size_t piece);
// Throws away what was sent to this end; returns how many octets.
size_t ff_drain(int fd);

// The same with what was sent kept until it is looked at.
struct ff_peer {
	int fd; // -1: closed by us
	struct conn *conn;
	bool eof; // closed by the frontend
	uint8_t *in;
	size_t in_len, in_cap;
};

void ff_peer_open(struct ff *f, struct ff_peer *p);
void ff_peer_hang_up(struct ff_peer *p);
void ff_peer_free(struct ff_peer *p);
// Takes in what has been sent; returns whether that was anything.
bool ff_peer_read(struct ff_peer *p);
// The octets of the message at `in`, 0 when there is none that is whole.
uint32_t ff_peer_message(const struct ff_peer *p);
// That message has been looked at.
void ff_peer_drop(struct ff_peer *p);

// ---- messages of a peer

// What a peer of that name says about itself.
struct base_node ff_node(const char *host);
// These return the message's length.
uint32_t ff_cer(uint8_t *out, size_t cap, const char *host);
uint32_t ff_dwr(uint8_t *out, size_t cap, const char *host);
// An AIR of FF_MME that lacks nothing; more may be appended before header_finish.
struct wr ff_air(uint8_t *out, size_t cap, struct slice session_id, const char *imsi);

// Fairness between the peers of one frontend: it limits how much of the workers' queue each peer may fill.
// Runs in hss-frontend.
//
// The queue holds the requests that workers have not answered yet. Every peer's next request stands behind
// it, so its length is what a flood costs the other peers. It has a window. When the queue is as long as the
// window, a peer that fills its share of it is not read until half of that share is answered. Its further
// requests wait in its own connection, where they cost the other peers nothing.
//
// The length is counted by weight (request.def): FAIR_UNIT for a request whose whole work is done at once,
// FAIR_ITEM more for each further item that it asks for (vectors), 1 for a change, which mostly waits for the
// disk and not for a worker.
//
// A long queue makes large batches, which are cheap; a short one makes short response times. A peer is heavy
// when it had to wait all the time lately; the others are light. While only heavy peers ask, the window is
// FAIR_WINDOW for each worker. While a light peer asks, and for FAIR_LIGHT_US after that, it is
// FAIR_WINDOW_SHORT. A frontend knows its own peers only: a flood at another frontend fills that frontend's
// window, which is smaller the more frontends there are.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"

#define FAIR_UNIT         4u
#define FAIR_ITEM         2u
#define FAIR_WINDOW       (128u * FAIR_UNIT)
#define FAIR_WINDOW_SHORT (32u * FAIR_UNIT)
#define FAIR_SHARE_MIN    (2u * FAIR_UNIT)
#define FAIR_HEAVY_WAITS  64u // waits in a second that make a peer heavy
#define FAIR_LIGHT_US     10000000u

struct conn;
struct frontend;

struct fair {
	uint32_t load;     // weight of the queue
	uint32_t busy;     // connections with requests in the queue
	uint32_t light;    // connection of the light peer that asked last, or UINT32_MAX
	uint32_t *waiting; // connections, in the order of their turns
	uint32_t waiting_cnt;
};

// For at most `cap` connections. 0 or a negative errno.
int fair_init(struct fair *f, uint32_t cap) MUST_USE;
void fair_fini(struct fair *f);

// asked: a request of this peer goes to a worker. answered: its answer is there (`c` NULL: its peer has left
// meanwhile).
void fair_asked(struct frontend *fe, struct conn *c, uint32_t weight);
void fair_answered(struct frontend *fe, struct conn *c, uint32_t weight);
// The connection is closed; what it asked for stays in the queue until it is answered.
void fair_conn_lost(struct frontend *fe, struct conn *c);

// Must this peer not be read now? It fills its share of a full window.
bool fair_must_wait(const struct frontend *fe, const struct conn *c);
// Lists the peer as waiting, until conn_resume.
void fair_wait(struct conn *c);
// Resumes the waiting peers that may be read again.
void fair_resume_all(struct frontend *fe);
// Decides whether the peer is heavy; called every second for each connection.
void fair_second(struct conn *c);

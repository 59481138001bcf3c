// Fairness between the peers of one frontend: how much of the workers' queue each of them may fill. Runs in
// hss-frontend.
//
// What workers have not answered yet is a queue that everybody's next request stands in, and how long it is,
// is what a flood costs the others. When it is as long as the window, a peer that has its share of it is not
// read until half of that is answered: its further requests wait in its own connection, which costs the
// others nothing. Counted by weight (request.def): FAIR_UNIT for a request whose whole work is done at
// once, FAIR_ITEM more for each item that it asks for but the first (vectors); 1 for a change, which waits for
// the disk most of the time, not for a worker.
//
// Long queues make large batches, which are cheap; short ones make short times. So the window is FAIR_WINDOW
// a worker as long as nobody is there who would mind: every peer that asks is heavy, which is that it had to
// wait all the time lately. It is FAIR_WINDOW_SHORT while a light peer asks, and for FAIR_LIGHT_US after
// that. A frontend knows its own peers only: beside one that floods another frontend, the queue is as long as
// that one's window, which is less the more frontends there are.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"

#define FAIR_UNIT         4u
#define FAIR_ITEM         2u
#define FAIR_WINDOW       (128u * FAIR_UNIT)
#define FAIR_WINDOW_SHORT (32u * FAIR_UNIT)
#define FAIR_SHARE_MIN    (2u * FAIR_UNIT)
#define FAIR_HEAVY_WAITS  64u // in a second
#define FAIR_LIGHT_US     10000000u

struct conn;
struct frontend;

struct fair {
	uint32_t load;     // weight of what is pending
	uint32_t busy;     // connections that have some
	uint32_t light;    // connection of the light peer that asked last, or UINT32_MAX
	uint32_t *waiting; // connections, in the order of their turns
	uint32_t waiting_cnt;
};

// For so many connections. 0 or a negative errno.
int fair_init(struct fair *f, uint32_t cap) MUST_USE;
void fair_fini(struct fair *f);

// A request of this peer is on its way to a worker; it has its answer (`c` NULL: and the peer is gone).
void fair_asked(struct frontend *fe, struct conn *c, uint32_t weight);
void fair_answered(struct frontend *fe, struct conn *c, uint32_t weight);
// The connection is gone, with what it still waits for.
void fair_conn_lost(struct frontend *fe, struct conn *c);

// It has its share, and may not be read.
bool fair_must_wait(const struct frontend *fe, const struct conn *c);
// It does wait, until conn_resume.
void fair_wait(struct conn *c);
// Those that waited and may go on, do.
void fair_resume_all(struct frontend *fe);
// Who is heavy; called every second for each connection.
void fair_second(struct conn *c);

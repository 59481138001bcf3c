// Turns: the requests that change one subscriber's state are decided and sent to the loader one at a time, in
// the order in which they came. One subscriber's requests meet in one worker, so turns keep the changes of a
// busy subscriber from conflicting all the time. If its requests come through two workers, the loader's
// version check still keeps the changes right.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define TURNS 4096 // subscribers whose changes are under way; those that collide here go without a turn

struct request;
struct worker;
struct wait_slot;

struct turn {
	uint64_t imsi;
	uint32_t holder;      // slot of the waiting room + 1; 0: free
	uint32_t first, last; // slots + 1 of the requests that wait, in order of arrival
	bool due;	      // the turn is free, and turn_run will give it to the first
};

// To be called before a change is decided. false: another change of this subscriber is under way. The request
// waits for its turn, and its handler runs again then; or it has been answered 3004.
bool turn_take(struct request *r);
// The request has sent its change to the loader: it holds the turn until it leaves.
void turn_hold(struct request *r);
// The request in this slot leaves. If it held the turn, the next one in the queue may run: turn_run does
// that, when the caller is done with the slot.
void turn_leave(struct worker *w, struct wait_slot *s);
void turn_run(struct worker *w);

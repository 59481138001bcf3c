// Turns: of the requests that change one subscriber's state, one at a time is decided and sent to the loader, in the order
// of their arrival. A subscriber's requests meet in one worker, so this is what keeps a busy subscriber's changes from
// conflicting all the time; when they come by two workers, the loader's version check still keeps them right.
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
	uint32_t first, last; // slots + 1 of those who wait, in order of arrival
	bool due;	      // it is free, and turn_run will give it to the first
};

// Before a change is decided. false: another one of this subscriber is under way; the request waits for its turn and its
// handler runs again then, or it has been answered 3004.
bool turn_take(struct request *r);
// The request waits for the loader's word on its change: it holds the turn until it leaves.
void turn_hold(struct request *r);
// The slot waits no longer. When it held the turn the next one in the queue is to run: turn_run does that, when the
// caller is done with the slot.
void turn_leave(struct worker *w, struct wait_slot *s);
void turn_run(struct worker *w);

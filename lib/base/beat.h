// The heartbeat of a process: a word in shared memory that its main thread raises while it makes progress. hssd replaces a
// process whose word stands still for too long; frontends ask another worker meanwhile.
//
// The event loop beats several times a second (supervisor/role.c), and each frame of a channel. Whatever keeps the main thread
// from the loop for longer, and is no fault, beats by itself: a load, a long statement of the database, an import. Other threads
// do not count: their calls do nothing, so that a living thread cannot hide a main thread that hangs.
#pragma once
#include <stdint.h>

// The calling thread beats in this word from now on; NULL: nowhere.
void beat_here(_Atomic uint64_t *word);
// A sign of life. Costs a store.
void beat(void);

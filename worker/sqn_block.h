// Requests that wait for a block of sequence numbers. The loader is asked once for all requests of a
// subscriber that need the same block, whichever peers sent them. So a flood of AIRs for one IMSI costs one
// row for each block, not one for each request.
#pragma once
#include <stdint.h>

#define BLOCK_QUESTIONS 1024 // subscribers whose next block is on its way
#define BLOCK_PROBES	16

struct request;
struct worker;
struct wait_slot;

enum block_use { BLOCK_FREE, BLOCK_ASKED, BLOCK_ENDING };

struct block_question {
	uint32_t index;	     // of the SQN words
	uint32_t generation; // with the place: the id that the loader's reply carries
	uint32_t first, last; // slots of the waiting room + 1, in order of arrival; 0 = none
	uint64_t at_least;
	uint8_t used; // enum block_use
};

// Makes the request wait for a limit that allows `at_least` (0: one more block). Asks the loader unless that
// was done.
void block_wait(struct request *r, uint32_t index, uint64_t at_least);
// The loader's reply: all requests that waited for it run again, in order of arrival. refused: it could not
// be made durable.
void block_acked(struct worker *w, uint64_t id, int refused);
// The request in this slot waits no longer (it was answered or swept, or its frontend is gone).
void block_leave(struct worker *w, struct wait_slot *s);
// The loader is gone, and the questions with it. The requests that wait ask again.
void block_forget_all(struct worker *w);

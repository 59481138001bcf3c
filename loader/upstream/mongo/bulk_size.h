// How many updates go into one bulk. A bulk has a fixed cost (the way to the server and back, the majority's
// disks) and a cost for each update: little with an index on imsi, much without. Only the second is a reason
// for small bulks. The two are told apart by measuring bulks of different sizes. Pure; the write thread.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define BULK_WORK_MS 1000u // of all updates of a bulk together
#define BULK_SLOW_MS 2000u // while it is not known which of the two is slow
#define BULK_LIMIT_MS 1000u
#define BULK_LIMIT_MAX_MS 8000u

struct bulk_size {
	unsigned max, piece; // updates
	bool has_last, measured;
	unsigned last_cnt;
	uint64_t last_ms;
	uint64_t each_us, fixed_ms; // when measured
	unsigned patience_ms;	    // for a bulk when nothing is known
};

void bulk_size_init(struct bulk_size *s, unsigned max);
// A bulk of `cnt` was answered after `ms`.
void bulk_size_done(struct bulk_size *s, unsigned cnt, uint64_t ms);
// The server did not get through a bulk in the time that it had, nor through a smaller one. Smaller ones, and more time.
void bulk_size_too_slow(struct bulk_size *s);
// It was not answered, for an unknown reason.
void bulk_size_lost(struct bulk_size *s);
// The time that the server gets for a bulk of `cnt`, so that one document that it holds back does not hold up the others.
unsigned bulk_size_limit_ms(const struct bulk_size *s, unsigned cnt);

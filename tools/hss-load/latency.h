// Latency histogram of fixed size in the manner of HdrHistogram: 64 linear steps for each power of two, so
// that a percentile is right within 1.6 % from nanoseconds to a quarter of an hour, and recording is a few
// instructions.
#pragma once
#include <stdint.h>

#define LATENCY_SUB_BITS 6
#define LATENCY_MAX_BITS 40 // values from 2^40 ns on (18 minutes) count as the highest
#define LATENCY_BUCKETS  ((LATENCY_MAX_BITS - LATENCY_SUB_BITS + 1) << LATENCY_SUB_BITS)

struct latency {
	uint64_t count;
	uint64_t max;
	uint64_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latency *h, uint64_t ns);
// The value that `fraction` (0..1) of all values do not exceed: the upper edge of its step; 0 when empty.
uint64_t latency_percentile(const struct latency *h, double fraction);

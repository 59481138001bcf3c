// Latency histogram: see latency.h.
#include "tools/hss-load/latency.h"

// Values below 2^SUB_BITS have a step each; above, the top SUB_BITS + 1 bits of the value choose the step.
static unsigned bucket_of(uint64_t v)
{
	if (v < 1u << LATENCY_SUB_BITS)
		return (unsigned)v;
	unsigned top = 63u - (unsigned)__builtin_clzll(v);
	if (top >= LATENCY_MAX_BITS)
		return LATENCY_BUCKETS - 1;
	unsigned shift = top - LATENCY_SUB_BITS;
	return (shift << LATENCY_SUB_BITS) + (unsigned)(v >> shift);
}

static uint64_t bucket_upper(unsigned b)
{
	if (b < 2u << LATENCY_SUB_BITS)
		return b;
	unsigned shift = (b >> LATENCY_SUB_BITS) - 1;
	uint64_t step = (b & ((1u << LATENCY_SUB_BITS) - 1)) + (1u << LATENCY_SUB_BITS);
	return ((step + 1) << shift) - 1;
}

void latency_add(struct latency *h, uint64_t ns)
{
	h->buckets[bucket_of(ns)]++;
	h->count++;
	if (ns > h->max)
		h->max = ns;
}

uint64_t latency_percentile(const struct latency *h, double fraction)
{
	uint64_t seen = 0, want = (uint64_t)(fraction * (double)h->count + 0.999999);

	if (h->count == 0)
		return 0;
	if (want < 1)
		want = 1;
	for (unsigned b = 0; b < LATENCY_BUCKETS; b++) {
		seen += h->buckets[b];
		if (seen >= want) {
			uint64_t upper = bucket_upper(b);
			return upper < h->max && b < LATENCY_BUCKETS - 1 ? upper : h->max;
		}
	}
	return h->max;
}

// The key by which a repeated request is recognised (law 9): a hash of its sender, its End-to-End id and its
// command in 48 bits, and the time when it came in 16 bits. RFC 6733 3 promises that an End-to-End id does
// not come again within four minutes, and promises no more. So a request with the same id that comes later is
// a new one.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/ident.h"

#define CHANGE_KEY_UNIT_SHIFT 26 // of microseconds: 67 s
#define CHANGE_KEY_UNITS      4	 // keys at most so far apart may be of the same request: 268 to 335 s

// Never 0. `wall_us` is the wall clock; `host_hash` that of the Origin-Host.
static inline uint64_t change_key(uint64_t host_hash, uint32_t command, uint32_t end_to_end, uint64_t wall_us)
{
	uint64_t hash = ident_hash(host_hash ^ ((uint64_t)command << 32 | end_to_end) * 0x9e3779b97f4a7c15ull);
	return 1ull << 63 | hash >> 16 << 16 | (uint16_t)(wall_us >> CHANGE_KEY_UNIT_SHIFT);
}

// Are they keys of the same request? A clock that was set back meanwhile counts like one that went on.
static inline bool change_key_same(uint64_t a, uint64_t b)
{
	int16_t apart = (int16_t)(uint16_t)(a - b);
	return a && b && a >> 16 == b >> 16 && apart <= CHANGE_KEY_UNITS && apart >= -CHANGE_KEY_UNITS;
}

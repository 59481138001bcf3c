// A byte stream cut into whole Diameter messages (RFC 6733 3). Checks what must hold before anything is allocated
// or awaited: minimum and maximum length.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum frame_result {
	FRAME_BROKEN = -1, // length below 20, above `max` or not a multiple of 4: framing is lost, close the connection
	FRAME_MORE = 0,    // not complete yet
	// otherwise the length of the first message, all of it in the buffer
};

// `max` is at most 2^24 - 1. A wrong version does not lose the framing; the header check answers it (5011).
int frame_next(const uint8_t *p, size_t len, uint32_t max);

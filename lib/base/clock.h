// The time seam: everything that waits or stamps asks here, so that tests can set the clock.
#pragma once
#include <stdint.h>

// CLOCK_MONOTONIC. Cheap (vDSO), comparable between the processes of one machine.
uint64_t clock_mono_us(void);
uint64_t clock_mono_ms(void);
// Wall clock, microseconds since 1970.
uint64_t clock_wall_us(void);
// The wall clock, but always after `last_us`: a stamp that orders changes must not go back because a clock was set back, or
// because another system's clock, which made `last_us`, is ahead.
uint64_t clock_wall_after_us(uint64_t last_us);

// Tests only: freeze both clocks at this value; 0 gives the real ones back.
void clock_freeze_us(uint64_t us);

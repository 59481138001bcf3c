// The clocks of the system, or the one that a test has frozen (clock.h).
#include "lib/base/clock.h"
#include <time.h>

static uint64_t frozen_us;

static uint64_t now_us(clockid_t id)
{
	struct timespec ts;
	if (frozen_us)
		return frozen_us;
	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_mono_us(void)
{
	return now_us(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
	return now_us(CLOCK_MONOTONIC) / 1000;
}

uint64_t clock_wall_us(void)
{
	return now_us(CLOCK_REALTIME);
}

uint64_t clock_wall_after_us(uint64_t last_us)
{
	uint64_t now_us = clock_wall_us();
	if (now_us > last_us)
		return now_us;
	return last_us < INT64_MAX ? last_us + 1 : INT64_MAX; // the upstream keeps stamps as int64
}

void clock_freeze_us(uint64_t us)
{
	frozen_us = us;
}

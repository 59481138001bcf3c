// Measures bulks and decides how large the next one is (bulk_size.h). Pure.
#include "loader/upstream/mongo/bulk_size.h"

#define FIRST_PART 8u	 // of the largest, until it is known how fast the server is
#define FLOOR_LOST 8u	 // an answer that did not come says nothing about sizes: no smaller for that
#define STEP	   4u	 // at most so many times larger or smaller at once
#define PATIENCE_MS 2000u

void bulk_size_init(struct bulk_size *s, unsigned max)
{
	*s = (struct bulk_size){.max = max, .piece = max / FIRST_PART, .patience_ms = PATIENCE_MS};
}

static void set_piece(struct bulk_size *s, uint64_t piece)
{
	s->piece = piece < 1 ? 1 : piece > s->max ? s->max : (unsigned)piece;
}

// Two bulks of clearly different sizes tell what one update costs.
static bool measure(struct bulk_size *s, unsigned cnt, uint64_t ms)
{
	unsigned small = cnt < s->last_cnt ? cnt : s->last_cnt, large = cnt < s->last_cnt ? s->last_cnt : cnt;
	if (!s->has_last || (large - small) * 4 < large)
		return false;
	uint64_t ms_small = cnt < s->last_cnt ? ms : s->last_ms, ms_large = cnt < s->last_cnt ? s->last_ms : ms;
	s->each_us = ms_large > ms_small ? (ms_large - ms_small) * 1000 / (large - small) : 0;
	uint64_t work_ms = s->each_us * cnt / 1000;
	s->fixed_ms = ms > work_ms ? ms - work_ms : 0;
	s->measured = true;
	return true;
}

void bulk_size_done(struct bulk_size *s, unsigned cnt, uint64_t ms)
{
	bool full = cnt >= s->piece;
	s->patience_ms = PATIENCE_MS;
	if (measure(s, cnt, ms)) {
		uint64_t fits = s->each_us ? BULK_WORK_MS * 1000ull / s->each_us : s->max;
		uint64_t least = s->piece / STEP, most = (uint64_t)s->piece * STEP;
		set_piece(s, fits < least ? least : fits > most ? most : fits);
	} else if (full && !s->measured && ms >= BULK_SLOW_MS) {
		set_piece(s, s->piece / 2); // the next one tells what was slow
	} else if (full && (!s->measured || ms < BULK_WORK_MS / 2)) {
		set_piece(s, (uint64_t)s->piece * (s->piece * STEP <= s->max / FIRST_PART ? STEP : 2));
	}
	s->has_last = true;
	s->last_cnt = cnt;
	s->last_ms = ms;
}

void bulk_size_too_slow(struct bulk_size *s)
{
	set_piece(s, s->piece / STEP);
	s->has_last = s->measured = false;
	s->patience_ms = s->patience_ms * 2 < BULK_LIMIT_MAX_MS ? s->patience_ms * 2 : BULK_LIMIT_MAX_MS;
}

void bulk_size_lost(struct bulk_size *s)
{
	if (s->piece / 2 >= FLOOR_LOST)
		set_piece(s, s->piece / 2);
	s->has_last = s->measured = false;
}

unsigned bulk_size_limit_ms(const struct bulk_size *s, unsigned cnt)
{
	if (!s->has_last)
		return s->patience_ms;
	uint64_t expected = s->measured ? s->fixed_ms + s->each_us * cnt / 1000
			    : cnt > s->last_cnt ? s->last_ms * cnt / (s->last_cnt ? s->last_cnt : 1)
						: s->last_ms;
	uint64_t ms = BULK_LIMIT_MS + 4 * expected;
	ms = ms < s->patience_ms && s->patience_ms > PATIENCE_MS ? s->patience_ms : ms;
	return ms < BULK_LIMIT_MAX_MS ? (unsigned)ms : BULK_LIMIT_MAX_MS;
}

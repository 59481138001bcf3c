// Which subscribers a run plays, in which order, and their keys.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "tools/hss-load/options.h"

struct hl_key_row {
	uint64_t imsi; // decimal value
	struct sim_keys keys;
};

struct hl_subscribers {
	uint64_t first; // when `listed` is false: IMSI of subscriber n is first + n
	bool listed;    // the subscribers are the rows
	unsigned digits;
	uint64_t count;
	bool sequential;
	struct sim_keys keys;    // of all, when there are no rows
	struct hl_key_row *rows; // sorted by IMSI
	uint64_t row_count;
};

// Reads the keys file if there is one (error: file and line on stderr, false), derives OPc from OP.
MUST_USE bool hl_subscribers_init(struct hl_subscribers *s, const struct hl_options *o, struct sim *sim);
void hl_subscribers_fini(struct hl_subscribers *s);

// The subscriber (0 .. count-1) of the n-th procedure. A round of `count` procedures visits each one once.
uint64_t hl_subscribers_pick(const struct hl_subscribers *s, uint64_t n);
uint64_t hl_subscribers_imsi(const struct hl_subscribers *s, uint64_t subscriber);
// NULL: no keys are known for it.
const struct sim_keys *hl_subscribers_keys(const struct hl_subscribers *s, uint64_t subscriber);

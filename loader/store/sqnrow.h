// The durable side of law 5. A row (ceiling, run) says up to where SEQs may have been used; here is what a
// start, a new subscriber or a further block makes of it. Arithmetic only, and the fingerprint that rows are
// keyed by.
//
//   a row (ceiling, r) written in run r:   ... used or usable in run r ... | ceiling
//   run r+1 owns [ceiling, + B), run r+2 owns [ceiling + B, + B), ...      without a write for each
//   subscriber
#pragma once
#include "cache/layout.h"
#include "lib/base/err.h"

#define SQN_BLOCK_MIN 256u  // B: what a run owns by itself, and the smallest block
#define SQN_BLOCK_MAX 1024u // a clean restart skips fewer than 4,096 SEQs

#define SQN_FP_LEN 16

struct sqn_row {
	uint8_t fp[SQN_FP_LEN]; // first octets of SHA-256("corehss-sqn" || imsi || K)
	uint64_t ceiling;       // first SEQ that run `run` may not use
	uint64_t run;
};

// What the words of a subscriber hold: SEQs next .. limit - 1 may be used.
struct sqn_range {
	uint64_t next;
	uint64_t limit;
};

struct evp_md_st;
struct evp_md_ctx_st;

// Hash state that is fetched once (law 7). One thread.
struct sqn_hash {
	struct evp_md_st *md;
	struct evp_md_ctx_st *ctx;
};
int sqn_hash_init(struct sqn_hash *h) MUST_USE;
void sqn_hash_fini(struct sqn_hash *h);
// Fingerprint of a key; 0 or -EIO.
int sqn_fingerprint(struct sqn_hash *h, imsi_t imsi, const uint8_t k[16], uint8_t fp[SQN_FP_LEN]) MUST_USE;
// First 16 octets of SHA-256 of anything (profile digests).
int sqn_hash_digest(struct sqn_hash *h, const void *p, size_t len, uint8_t out[16]) MUST_USE;

// The first SEQ that no run up to and including `run` may have used. Saturates at CACHE_SEQ_MAX.
uint64_t sqn_row_end(const struct sqn_row *row, uint64_t run);

// The words of a subscriber when run `run` starts with empty memory: the block that belongs to the run, or an
// empty range where the row was written in this very run or the SEQs are used up.
struct sqn_range sqn_row_start(const struct sqn_row *row, uint64_t run);

// Words for a subscriber that comes (again) while run `run` is going on: above all that may have been used
// under `old` (NULL: never seen), at least `seq`. Fills in the row to make durable before the range is used
// (its fp is the caller's). false when the SEQ space ends.
bool sqn_row_continue(const struct sqn_row *old, uint64_t seq, uint64_t run, struct sqn_row *row,
		      struct sqn_range *range) MUST_USE;

// The next limit: above `limit` by `block`, and also above `at_least` by `block`. false at the end of the SEQ
// space.
bool sqn_block_next(uint64_t limit, uint64_t at_least, uint64_t block, uint64_t *out) MUST_USE;

// Arithmetic of sequence numbers (TS 33.102 Annex C, law 5): SQN (48 bits) = SEQ (43 bits) || IND (5 bits).
// Pure functions; drawing a SEQ below its durable limit is the cache's work.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"

#define SQN_BITS     48
#define SQN_IND_BITS 5
#define SQN_IND_CNT  (1u << SQN_IND_BITS)
#define SQN_MAX      ((UINT64_C(1) << SQN_BITS) - 1)
// The last SEQ there is. It never wraps: a wrapped SEQ would be refused by every USIM, and could repeat an
// SQN.
#define SEQ_MAX ((UINT64_C(1) << (SQN_BITS - SQN_IND_BITS)) - 1)
// A USIM refuses a SEQ more than this above its highest one (TS 33.102 C.2.1).
#define SQN_DELTA (UINT64_C(1) << 28)

// The INDs of one HSS node: node_id * SQN_IND_PER_NODE + k. Requesting nodes of different kinds never share a
// column.
#define SQN_NODE_CNT     4
#define SQN_IND_PER_NODE 8
#define SQN_K_HOST_CNT   5 // k = 0..4: serving nodes of the packet core, in turn
#define SQN_K_CX         5
#define SQN_K_SWX        6
#define SQN_K_SPARE      7 // stands in for a column that other writers of the upstream use

static inline uint64_t sqn_seq(uint64_t sqn)
{
	return (sqn & SQN_MAX) >> SQN_IND_BITS;
}

static inline unsigned sqn_ind(uint64_t sqn)
{
	return (unsigned)(sqn & (SQN_IND_CNT - 1));
}

// IND of this HSS node (0..3) for column k (0..7); refuses anything else.
MUST_USE bool sqn_ind_of(unsigned node_id, unsigned k, unsigned *ind);

// SEQ || IND; refuses a SEQ above SEQ_MAX (the subscriber's numbers are used up) and an IND above 31.
MUST_USE bool sqn_compose(uint64_t seq, unsigned ind, uint64_t *sqn);

// The next SEQ to issue after a USIM reported SQN_MS and the HSS would have issued `next` (TS 33.102 6.3.5):
// above both, so it never goes back. Refuses when no SEQ is left, or SQN_MS is not a 48-bit number. When
// `next` is more than SQN_DELTA above SQN_MS the USIM goes on refusing; only an operator can lower an SQN.
MUST_USE bool sqn_seq_after_resync(uint64_t next, uint64_t sqn_ms, uint64_t *seq);

// 6 octets as AUTN and AUTS carry them.
void sqn_put(uint8_t out[6], uint64_t sqn);
uint64_t sqn_get(const uint8_t in[6]);

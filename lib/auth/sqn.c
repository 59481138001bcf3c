// TS 33.102 Annex C; see sqn.h. Every refusal here is a state that must not become an SQN on the air.
#include "lib/auth/sqn.h"
#include "lib/base/wire.h"

bool sqn_ind_of(unsigned node_id, unsigned k, unsigned *ind)
{
	if (node_id >= SQN_NODE_CNT || k >= SQN_IND_PER_NODE)
		return false;
	*ind = node_id * SQN_IND_PER_NODE + k;
	return true;
}

bool sqn_compose(uint64_t seq, unsigned ind, uint64_t *sqn)
{
	if (seq > SEQ_MAX || ind >= SQN_IND_CNT)
		return false;
	*sqn = seq << SQN_IND_BITS | ind;
	return true;
}

bool sqn_seq_after_resync(uint64_t next, uint64_t sqn_ms, uint64_t *seq)
{
	if (sqn_ms > SQN_MAX)
		return false;
	uint64_t above_ms = sqn_seq(sqn_ms) + 1;
	uint64_t after = next > above_ms ? next : above_ms;
	if (after > SEQ_MAX)
		return false;
	*seq = after;
	return true;
}

void sqn_put(uint8_t out[6], uint64_t sqn)
{
	be16_put(out, (uint16_t)(sqn >> 32));
	be32_put(out + 2, (uint32_t)sqn);
}

uint64_t sqn_get(const uint8_t in[6])
{
	return (uint64_t)be16_get(in) << 32 | be32_get(in + 2);
}

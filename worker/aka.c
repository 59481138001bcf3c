// SQNs for authentication vectors: see aka.h. No SQN is used twice (law 5): a SEQ is drawn below the durable limit of its
// subscriber, and one IND column belongs to one requesting node.
#include "worker/aka.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"
#include "worker/link.h"
#include "worker/worker.h"

enum aka_result aka_begin(struct aka *a, struct request *r, const struct cache_record *rec)
{
	*a = (struct aka){.r = r, .rec = rec};
	a->keys.amf = rec->amf;
	a->keys.alg = rec->alg == ALG_XOR ? AUTH_XOR : AUTH_MILENAGE;
	memcpy(a->keys.k, rec->k, 16);
	memcpy(a->keys.opc, rec->opc, 16);
	return !(rec->flags & RECORD_NO_KEY) && (rec->alg == ALG_MILENAGE || rec->alg == ALG_XOR) ? AKA_OK : AKA_UNAVAILABLE;
}

void aka_end(struct aka *a)
{
	secret_wipe(&a->keys, sizeof a->keys);
}

enum aka_result aka_ind(struct aka *a, unsigned k)
{
	unsigned node_id = a->r->w->config->node_id;
	if (!sqn_ind_of(node_id, k, &a->ind))
		return AKA_UNAVAILABLE;
	// after a resynchronisation Open5GS goes on with the next IND, before we have heard of it
	bool taken = a->rec->flags & RECORD_IND_SPARE && (a->ind == a->rec->taken_ind || a->ind == a->rec->taken_ind + 1u);
	return !taken || sqn_ind_of(node_id, SQN_K_SPARE, &a->ind) ? AKA_OK : AKA_UNAVAILABLE;
}

enum aka_result aka_ind_of_host(struct aka *a, struct slice host, unsigned columns)
{
	struct request *r = a->r;
	struct worker *w = r->w;
	uint64_t hash = r->in.host_hash;
	unsigned at = hash % WORKER_K_CACHE, k;
	if (w->k_cache[at].host_hash == hash) {
		k = w->k_cache[at].k;
	} else {
		int place = cache_ind_find(&w->cache, hash);
		bool full = w->cache.h->ind_host_cnt >= IND_HOST_MAX;
		// without a loader a hashed column will do: SEQs stay in order whatever IND they have
		if (place < 0 && !full && !r->ind_asked && link_up(w)) {
			link_ask_ind(r, host);
			return AKA_WAITS;
		}
		k = (unsigned)((place >= 0 ? (uint64_t)place : hash) % columns);
		if (place >= 0 || full) {
			w->k_cache[at].host_hash = hash;
			w->k_cache[at].k = k;
		}
	}
	return aka_ind(a, k);
}

static enum aka_result exhausted(struct aka *a)
{
	static struct log_limit limit;
	stat_add(a->r->w->stats, STAT_SQN_EXHAUSTED, 1);
	if (log_limit_pass(&limit, 1))
		log_error("a subscriber's sequence numbers are used up: new keys are needed");
	return AKA_UNAVAILABLE;
}

static enum aka_result need_block(struct aka *a, uint64_t at_least)
{
	if (a->r->sqn_refused)
		return AKA_UNAVAILABLE;
	block_wait(a->r, a->rec->sqn, at_least);
	return AKA_WAITS;
}

// The SEQ above the USIM's; false when AUTS is not this subscriber's.
static bool verify_auts(struct aka *a, const uint8_t rand[16], const uint8_t auts[14], struct slice host)
{
	static struct log_limit limit;
	struct request *r = a->r;
	uint64_t sqn_ms = 0;
	char imsi[16];
	if (auth_resync(&r->w->auth, &a->keys, rand, auts, &sqn_ms) != AUTH_RESYNC_OK) {
		imsi_text(r->imsi, imsi);
		stat_add(r->w->stats, STAT_RESYNC_MAC_FAILURES, 1);
		if (log_limit_pass(&limit, 20))
			log_warn("resynchronisation refused: wrong MAC-S", LOG_IMSI("imsi", imsi), LOG_SLICE("host", host));
		return false;
	}
	r->resync_done = true;
	r->resync_seq = sqn_seq(sqn_ms) + 1;
	stat_add(r->w->stats, STAT_RESYNCS, 1);
	return true;
}

enum aka_result aka_resync(struct aka *a, const uint8_t rand[16], const uint8_t auts[14], struct slice host)
{
	struct request *r = a->r;
	if (!r->resync_done && !verify_auts(a, rand, auts, host))
		return AKA_UNAVAILABLE;
	if (r->resync_seq > SEQ_MAX - 64)
		return exhausted(a);
	switch (cache_sqn_raise(&r->w->cache, a->rec->sqn, r->resync_seq)) {
	case SQN_OK:
		return AKA_OK;
	case SQN_NEED_BLOCK:
		return need_block(a, r->resync_seq);
	case SQN_END:
		break;
	}
	return exhausted(a);
}

enum aka_result aka_draw(struct aka *a, uint32_t n)
{
	struct request *r = a->r;
	bool low = false;
	switch (cache_sqn_draw(&r->w->cache, a->rec->sqn, n, &a->first_seq, &low)) {
	case SQN_OK:
		if (low)
			link_hint_sqn(r->w, r->imsi, a->rec->sqn);
		return AKA_OK;
	case SQN_NEED_BLOCK:
		return need_block(a, 0);
	case SQN_END:
		break;
	}
	return exhausted(a);
}

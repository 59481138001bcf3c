// The vectors of an answer against the simulated card, and the search for sequence numbers given out twice.
#include <stdlib.h>
#include "lib/base/ident.h"
#include "tools/hss-load/run.h"

#define MAX_VECTORS 32
#define SEEN_SIZE   (1u << 22) // 32 MiB of address space, touched as it fills
#define SEEN_LIMIT  (SEEN_SIZE / 4 * 3)

static void bad(struct hl_run *r, const char *what)
{
	r->stats.bad_vectors++;
	if (!r->first_bad)
		r->first_bad = what;
}

// Remembers (subscriber, SQN); true when it was there already. Entries are 64-bit hashes: among the 3 million
// that fit two different ones meet by chance once in four million runs.
static bool seen_before(struct hl_run *r, uint32_t subscriber, uint64_t sqn)
{
	uint64_t hash = ident_hash(sqn ^ ident_hash(subscriber + 0x5bd1e995ull));
	uint32_t at = (uint32_t)hash & (SEEN_SIZE - 1);

	if (r->o->verify != HL_VERIFY_ALL || r->seen_count >= SEEN_LIMIT)
		return false;
	if (!r->seen && !(r->seen = calloc(SEEN_SIZE, sizeof *r->seen)))
		return false;
	hash |= !hash;
	for (; r->seen[at]; at = (at + 1) & (SEEN_SIZE - 1))
		if (r->seen[at] == hash)
			return true;
	r->seen[at] = hash;
	r->seen_count++;
	return false;
}

int hl_run_vectors(const struct hl_run *r, struct slice auth_info, struct sim_vector *out, int max)
{
	if (hl_interface(r->o->kase) == HL_S6A)
		return hl_answer_vectors(auth_info, r->o->s6d, out, max);
	int count = hl_cx_vectors(auth_info, out, max);
	for (int i = 0; i < count; i++)
		out[i].anid = r->o->anid;
	return count;
}

bool hl_verify_vectors(struct hl_run *r, const struct hl_slot *slot, struct slice auth_info,
		       struct sim_vector *first, uint64_t *sqn)
{
	struct sim_vector vectors[MAX_VECTORS];
	const struct sim_keys *keys = hl_subscribers_keys(r->subscribers, slot->subscriber);
	bool good = true;
	if (r->o->digest) {
		r->stats.vectors++;
		if (hl_cx_digest_is(auth_info, r->o->ha1))
			return true;
		bad(r, "another HA1");
		return false;
	}
	int count = hl_run_vectors(r, auth_info, vectors, MAX_VECTORS);

	if (count <= 0 || !keys) {
		bad(r, count < 0    ? "malformed vector"
		       : count == 0 ? "no vector in the answer"
				    : "no keys known");
		return false;
	}
	for (int i = 0; i < count; i++) {
		uint64_t this_sqn;
		const char *wrong = sim_check(r->sim, keys, r->o->plmn, &vectors[i], &this_sqn);
		r->stats.vectors++;
		if (wrong) {
			bad(r, wrong);
			good = false;
		}
		if (i == 0) {
			*first = vectors[0];
			*sqn = this_sqn;
		}
		r->stats.duplicate_sqn += seen_before(r, slot->subscriber, this_sqn);
		if (r->log)
			fprintf(r->log, "air %0*llu %llu\n", (int)r->subscribers->digits,
				(unsigned long long)hl_subscribers_imsi(r->subscribers, slot->subscriber),
				(unsigned long long)this_sqn);
	}
	return good;
}

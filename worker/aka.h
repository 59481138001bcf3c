// Draws SQNs for authentication vectors (law 5), for every application that authenticates by AKA. In this
// order: the keys, the IND column of the requesting node, a resynchronisation if there is one, the SEQs. Each
// step may make the request wait for the loader; its handler then runs again from its top.
#pragma once
#include "lib/auth/vectors.h"
#include "lib/auth/sqn.h"
#include "worker/request.h"

struct cache_record;

enum aka_result {
	AKA_OK,
	AKA_WAITS,	 // the request waits for the loader, or has been answered 3004
	AKA_UNAVAILABLE, // no vectors can be made for this subscriber now: the application's error answer
};

struct aka {
	struct request *r;
	const struct cache_record *rec;
	struct auth_keys keys; // secret: wiped by aka_end
	unsigned ind;
	uint64_t first_seq;
};

// Takes the keys and the algorithm from the record.
enum aka_result aka_begin(struct aka *a, struct request *r, const struct cache_record *rec) MUST_USE;
// Takes the IND of column k (lib/auth/sqn.h) of this HSS node.
enum aka_result aka_ind(struct aka *a, unsigned k) MUST_USE;
// The same where each requesting host has one of the first `columns` columns: in turn for the first hosts, hashed for
// later ones.
enum aka_result aka_ind_of_host(struct aka *a, struct slice host, unsigned columns) MUST_USE;
// Resynchronises by RAND and AUTS (TS 33.102 6.3.5): the next SEQ will be above the USIM's. A wrong MAC-S
// changes nothing; it is counted and logged.
enum aka_result aka_resync(struct aka *a, const uint8_t rand[16], const uint8_t auts[14], struct slice host) MUST_USE;
// Draws `n` SEQs, from a->first_seq on.
enum aka_result aka_draw(struct aka *a, uint32_t n) MUST_USE;
void aka_end(struct aka *a);

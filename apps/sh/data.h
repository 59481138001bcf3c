// The Sh-Data of a user (TS 29.328 7.6, annex D): what each data reference stands for, from the subscription, its registration
// state and what application servers keep. Pure, over the cache and the configuration.
#pragma once
#include "apps/ims/criteria.h"
#include "apps/ims/state.h"
#include "apps/sh/decision.h"
#include "apps/sh/references.h"

// Identity-Set (TS 29.329 6.3.10)
enum sh_identity_set { SH_SET_ALL = 0, SH_SET_REGISTERED = 1, SH_SET_IMPLICIT = 2, SH_SET_ALIAS = 3, SH_SET_CNT };

struct sh_query {
	const struct cache *c;
	const struct config *config;
	const struct ims_user *user;
	const struct ims_state *ims;
	const struct sh_state *sh;
	int pub; // the identity's place in user->d.pub; -1: an MSISDN was named
	uint64_t references;
	struct slice key[SH_KEYS_MAX]; // Service-Indications
	unsigned key_cnt;
	struct slice server_name; // of filter criteria
	uint8_t sets;		  // a bit for each sh_identity_set that is asked for by name
	bool tells_absence;	  // feature Notif-Eff, or a PNR: what does not exist is told by an empty part
	uint16_t deleted_sequence; // of repository data that are no more (PNR)
};

// What a notice of this row is about: of the identity that it names. Sets references, keys, sets and server_name of *q.
void sh_query_of_row(const struct sh_row *row, struct sh_query *q);
// Whose repository data the identity at this place has.
uint64_t sh_scope_of(const struct ims_user *u, int pub);
// Writes the document. Returns whether it holds anything; w->err: it does not fit.
bool sh_query_write(struct wr *w, const struct sh_query *q);
// Octets that it takes at most.
size_t sh_query_room(const struct sh_query *q);

// The initial filter criteria of a service profile, as fragments of lib/ims, and the names of a user that stand in place of
// their marks. Pure, over the cache: for workers and the loader.
#pragma once
#include "apps/ims/user.h"
#include "lib/ims/fragment.h"

// What placeholders stand for, and the memory of what is made for it.
struct ims_user_names {
	struct ims_names n;
	char imsi[16], msisdn[16], mnc[4];
};

// For one private identity (its place in u->d.priv) and a public one (in u->d.pub; -1: none). Borrows from `u`.
void ims_user_names(const struct ims_user *u, unsigned priv, int public, struct ims_user_names *out);
// The profile at this place; NULL: there is none.
const struct ims_profile *ims_profile_at(const struct ims_user *u, unsigned i);
// The fragments of a profile: 0 its own, or that of ims.filter_criteria_file; 1 to shared_cnt those of its shared sets.
struct slice ims_criteria_at(const struct cache *c, const struct ims_profile *p, unsigned i);

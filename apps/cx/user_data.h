// The Cx User-Data of an implicit registration set (TS 29.228 annex B) as XML. Pure, over the cache: for workers and the
// loader.
#pragma once
#include "apps/ims/user.h"

// Features of TS 29.229 7.1.1, list 1
enum cx_feature {
	CX_SHARED_CRITERIA = 1 << 0, // SiFC
	CX_ALIAS = 1 << 1,
	CX_RESTORATION = 1 << 2,
	CX_PCSCF_RESTORATION = 1 << 3,
};

// Writes it for one private identity (its place in u->d.priv). `features`: enum cx_feature that the S-CSCF has, too: with
// CX_SHARED_CRITERIA shared sets are named by number, otherwise spelled out. false: it does not fit, or the set is empty.
bool cx_user_data_write(struct wr *w, const struct cache *c, const struct ims_user *u, unsigned priv, uint8_t set,
			uint32_t features);
// Octets that it takes at most, whatever the S-CSCF's features are.
size_t cx_user_data_room(const struct cache *c, const struct ims_user *u, unsigned priv, uint8_t set);

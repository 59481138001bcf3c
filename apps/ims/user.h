// An IMS subscription as requests see it, whether the document says it (data.h) or it follows from IMSI, MSISDN and domain
// (TS 23.003 13); and the way from an identity to its subscription. Over the cache and the configuration only: for workers
// between pin and unpin, and for the loader. Nothing is allocated.
#pragma once
#include "apps/ims/data.h"
#include "config/config.h"

#define IMS_USER_TEXT 4096 // octets of identities that are computed

struct ims_user {
	const struct cache_record *rec;
	struct ims_data d;
	bool computed;	      // no identity comes from the document
	struct slice domain;  // ims.domain, or what it defaults to
	char text[IMS_USER_TEXT];
	uint32_t text_len;
};

// Fills in `u` for a record. false: the subscription has no IMS part (its document says so, or it has no key and no
// identities).
bool ims_user_of(const struct cache *c, const struct config *config, const struct cache_record *r, struct ims_user *u);
// The same where u->d holds the data already (said: the document has the member `ims`).
bool ims_user_fill(const struct config *config, const struct cache_record *r, bool said, struct ims_user *u);

// The subscriber of a public or private identity, an IMSI or an MSISDN; NULL: none. *at: the place of the identity in
// u->d.pub or u->d.priv; -1 for an IMSI or MSISDN. An exact match goes before a wildcard; *wildcard says that it was one.
const struct cache_record *ims_user_find(const struct cache *c, const struct config *config, const struct subject *s,
				   struct ims_user *u, int *at, bool *wildcard);
// The same of an identity as operators write it: an IMSI, an MSISDN, a public or a private identity. *at: the place of a public
// identity; -1 for all others. NULL: there is no such user, or (*is_identity false) the text is none of these.
const struct cache_record *ims_user_named(const struct cache *c, const struct config *config, struct slice text,
					  struct ims_user *u, int *at, bool *is_identity);
// The place of a private or public identity in this subscription; -1: it is not one of its identities.
int ims_private_at(const struct ims_user *u, const struct config *config, const struct subject *s);
int ims_public_at(const struct ims_user *u, const struct config *config, const struct subject *s);

// The place of the wildcarded identity that stands for a public one; -1: none.
int ims_wildcard_at(const struct ims_user *u, const struct subject *s);

// Is this one of our IMS domains: ims.domain, identity.realm, or one of identity.realms?
bool ims_domain_is_ours(const struct config *config, struct slice domain);

// The private identity that states call `device`; the first one if it is gone.
struct slice ims_private_of(const struct ims_user *u, uint32_t device);
// The place of the set's default identity: the first one that is not barred, or else the first one.
int ims_default_of(const struct ims_user *u, uint8_t set);
// Origin-Host of the HSS that serves this identity (ims.redirect), which is not one of ours; empty: none is known.
struct slice ims_redirect_of(const struct config *config, const struct subject *s);
// The filter criteria that stand under a number in what the loader publishes for all (IMS_TEMPLATE: those of
// ims.filter_criteria_file; others: shared sets); empty: none.
#define IMS_TEMPLATE UINT32_MAX
struct slice ims_common_find(const struct cache *c, uint32_t number);
// Writes one entry of it.
void ims_common_put(struct wr *w, uint32_t number, struct slice criteria);

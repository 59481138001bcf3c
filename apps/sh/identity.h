// User-Identity (TS 29.329 6.3.1): its inside, as an application server spelled it, and the identity of a user that it names. Pure,
// for workers and the loader.
#pragma once
#include "apps/ims/user.h"
#include "apps/sh/references.h"

// Reads it. false: it names nothing that can be read. An external identifier is read, and is nobody's: *s is none.
bool sh_identity_read(struct slice inside, struct subject *s);
// By what the user is named: the place of the identity in u->d.pub, or -1 for an MSISDN.
enum sh_key sh_key_of(const struct ims_user *u, int pub);
// The place of the identity (-1: an MSISDN) and enum sh_key of its kind; 0: it is none of this user's.
unsigned sh_identity_at(const struct ims_user *u, const struct config *config, struct slice inside, int *pub);

// See identity.h. Owns nothing.
#include "apps/sh/identity.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"
#include "lib/diameter/header.h"

bool sh_identity_read(struct slice inside, struct subject *s)
{
	struct avp a;
	subject_none(s);
	if (avp_find(inside, AVP_CODE_Public_Identity, VENDOR_3GPP, &a))
		return subject_read(SUBJECT_FORM_PUBLIC, a.data, s);
	if (avp_find(inside, AVP_CODE_MSISDN, VENDOR_3GPP, &a))
		return subject_read(SUBJECT_FORM_MSISDN_TBCD, a.data, s);
	return avp_find(inside, AVP_CODE_External_Identifier, VENDOR_3GPP, &a);
}

enum sh_key sh_key_of(const struct ims_user *u, int pub)
{
	if (pub < 0)
		return SH_KEY_NUMBER;
	return u->d.pub[pub].type == IMS_PSI || u->d.pub[pub].type == IMS_WILDCARDED_PSI ? SH_KEY_SERVICE : SH_KEY_USER;
}

unsigned sh_identity_at(const struct ims_user *u, const struct config *config, struct slice identity, int *pub)
{
	struct subject s;
	*pub = -1;
	if (!sh_identity_read(identity, &s))
		return 0;
	if (s.type == SUBJECT_MSISDN)
		return u->rec->msisdn[0].v == s.digits || u->rec->msisdn[1].v == s.digits ? SH_KEY_NUMBER : 0;
	if (s.type != SUBJECT_PUBLIC)
		return 0;
	*pub = ims_public_at(u, config, &s);
	if (*pub < 0)
		*pub = ims_wildcard_at(u, &s);
	return *pub < 0 ? 0 : sh_key_of(u, *pub);
}

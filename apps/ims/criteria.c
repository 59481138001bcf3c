// See criteria.h. Owns nothing.
#include "apps/ims/criteria.h"
#include <ctype.h>

void ims_user_names(const struct ims_user *u, unsigned priv, int public, struct ims_user_names *out)
{
	struct slice *by = out->n.by_mark;
	memset(&out->n, 0, sizeof out->n);
	by[IMS_MARK_IMSI] = slice_of(out->imsi, imsi_text(u->rec->imsi, out->imsi));
	if (u->rec->msisdn[0].v)
		by[IMS_MARK_MSISDN] = slice_of(out->msisdn, msisdn_text(u->rec->msisdn[0], out->msisdn));
	by[IMS_MARK_DOMAIN] = u->domain;
	by[IMS_MARK_MCC] = slice_of(out->imsi, 3);
	// how long it is the domain says where it is that of TS 23.003; else two digits, with a 0 before
	const char *in_domain = memmem(u->domain.p, u->domain.len, "mnc", 3);
	if (in_domain && (size_t)(in_domain - (const char *)u->domain.p) + 6 <= u->domain.len && isdigit((uint8_t)in_domain[3]) &&
	    isdigit((uint8_t)in_domain[4]) && isdigit((uint8_t)in_domain[5]))
		memcpy(out->mnc, in_domain + 3, 3);
	else
		memcpy(out->mnc, (const char[]){'0', out->imsi[3], out->imsi[4]}, 3);
	by[IMS_MARK_MNC] = slice_of(out->mnc, 3);
	by[IMS_MARK_PRIVATE] = u->d.priv[priv].identity;
	if (public >= 0)
		by[IMS_MARK_PUBLIC] = u->d.pub[public].identity;
}

const struct ims_profile *ims_profile_at(const struct ims_user *u, unsigned i)
{
	return i < u->d.profile_cnt ? &u->d.profile[i] : NULL;
}

struct slice ims_criteria_at(const struct cache *c, const struct ims_profile *p, unsigned i)
{
	if (i > 0)
		return ims_common_find(c, p->shared[i - 1]);
	return p->is_template ? ims_common_find(c, IMS_TEMPLATE) : p->criteria;
}

// Searching a list of AVPs: the part of avp.h that is not worth inlining.
#include "lib/diameter/avp.h"

bool avp_find(struct slice group, uint32_t code, uint32_t vendor, struct avp *out)
{
	struct rd r = rd_slice(group);
	struct avp a;
	while (avp_next(&r, &a) == AVP_WALK_ONE)
		if (a.code == code && a.vendor == vendor) {
			*out = a;
			return true;
		}
	return false;
}

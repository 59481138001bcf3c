// Initial filter criteria (TS 29.228 annexes B and F), compiled: read from a subscriber's document here, from a file by
// template.h, checked in the same way, and turned into a fragment (fragment.h), of which workers make User-Data. For the
// loader, hssd --check and hssctl; not for workers.
#pragma once
#include <jansson.h>
#include "lib/base/err.h"
#include "lib/ims/fragment.h"
#include "lib/ims/report.h"

#define IMS_CRITERIA_MAX 64    // in a service profile
#define IMS_SPT_MAX	 64    // in a trigger point
#define IMS_GROUP_MAX	 8     // of an SPT
#define IMS_SHARED_MAX	 32    // shared sets of a profile
#define IMS_SERVICE_MAX	 32    // ServiceId elements
#define IMS_TEXT_MAX	 1024  // octets of one value
#define IMS_FRAGMENT_MAX (64u << 10) // octets of a compiled fragment

struct ims_criteria {
	uint8_t *fragment; // compiled; owned
	uint32_t fragment_len;
	uint8_t *services; // compiled ServiceId elements; owned
	uint32_t services_len;
	uint32_t shared_sets[IMS_SHARED_MAX];
	unsigned shared_set_cnt;
	int64_t media_profile; // negative: none
	unsigned criteria_cnt;
	unsigned marks; // bits of enum ims_mark that the fragment needs
};

// Reads the members of a document: a list of criteria, as in docs/ims-filter-criteria.md or as Open5GS has them in `ifc`.
// `path` is the list's name in the document. 0 and *out, which the caller gives to ims_criteria_free; -EINVAL and what is
// wrong, all of it, in *report (which need not be initialised); -ENOMEM.
int ims_criteria_from_json(const json_t *list, const char *path, struct ims_criteria *out,
			   struct ims_report *report) MUST_USE;

// Appends the CoreNetworkServicesAuthorization, or nothing: it goes before the criteria.
void ims_authorization_put(struct wr *w, const struct ims_criteria *c);

// Frees what it owns and makes it empty: no criteria.
void ims_criteria_free(struct ims_criteria *c);

static inline struct slice ims_criteria_fragment(const struct ims_criteria *c)
{
	return slice_of(c->fragment, c->fragment_len);
}

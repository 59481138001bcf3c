// A file of filter criteria, in the XML of Cx User-Data as PyHSS and FHoSS keep it: a whole IMSSubscription, a ServiceProfile,
// or InitialFilterCriteria alone, one or several; docs/ims-filter-criteria.md tells how to write one. Taken are the filter
// criteria and the CoreNetworkServicesAuthorization; the identities around them are replaced by the subscriber's own.
// Placeholders stand for what differs: {imsi} {msisdn} {domain} {mcc} {mnc} {impi} {impu}, or PyHSS's {{ iFC_vars['imsi'] }}.
// For the loader, hssd --check and hssctl.
#pragma once
#include "lib/ims/filter_criteria.h"

// 0 and *out (the caller calls ims_criteria_free), -EINVAL and what is wrong in *report, or -ENOMEM. The report may have
// warnings in every case, and need not be initialised.
int ims_template_parse(struct slice text, struct ims_criteria *out, struct ims_report *report) MUST_USE;

// The same from a file; a negative errno when it can't be read, in the report, too.
int ims_template_read(const char *path, struct ims_criteria *out, struct ims_report *report) MUST_USE;

// Checks a whole User-Data document as it is sent: structure, values, filter criteria, identities. 0, -EINVAL, -ENOMEM.
int ims_user_data_check(struct slice text, struct ims_report *report) MUST_USE;

// `hssctl ims check`: prints what is wrong, and warnings, to `err` as "file:line: reason"; if nothing is wrong, what was found
// to `out`, in words or as one JSON object. Returns whether the file can be used.
bool ims_template_tell(const char *path, bool json, FILE *out, FILE *err);

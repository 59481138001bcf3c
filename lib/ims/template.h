// A file with filter criteria, in the XML of Cx User-Data as PyHSS and FHoSS keep it: a whole IMSSubscription, a
// ServiceProfile, or criteria alone (one, or several below any other element). Only InitialFilterCriteria are taken: the
// identities around them are replaced by the subscriber's own. Placeholders stand for what differs: {imsi} {msisdn} {domain}
// {mcc} {mnc} {impi} {impu}, and PyHSS's {{ iFC_vars['imsi'] }} ... Read with libxml2, without network, entities or a document
// type. Loader, hssd --check and hssctl.
#pragma once
#include "lib/ims/criterion.h"

#define IMS_TEMPLATE_SIZE_MAX (1u << 20)

struct ims_template_report {
	char text[4096]; // a line for each error, "FILE:LINE: reason"
	unsigned errors; // those included for which there was no room
	unsigned criteria;
	unsigned marks; // placeholders
};

// Reads a file's text and appends the compiled fragment (fragment.h). `name` is what messages call it. false: it is not
// usable, report->text says why.
bool ims_template_read(struct slice text, const char *name, struct wr *out, struct ims_template_report *report);
// The same of a file. It is opened by the caller's rights.
bool ims_template_load(const char *path, struct wr *out, struct ims_template_report *report);

// The structure of Cx User-Data (TS 29.228 annexes B, C and E) as tables: which elements, in which order, how often, with
// what content. Written after the tables of the specification; says the same as the schema files of 3GPP. Inside of
// hss_ims_xml.
#pragma once
#include "lib/ims/xml.h"

enum schema_mode {
	SCHEMA_USER_DATA, // a whole document
	SCHEMA_TEMPLATE,  // identities and what else belongs to the subscriber is not looked at, and may be missing
};

// Reports what is wrong below and at the root. A template's root may also be ServiceProfile, IFCs or
// InitialFilterCriteria. false: there were errors.
bool schema_check(const xmlNode *root, enum schema_mode mode, struct ims_report *report);

// The value of an element that the check let through.
int64_t schema_number(const xmlNode *node);

// From a tree of elements that schema.h let through to a draft. Inside of hss_ims_xml.
#pragma once
#include "lib/ims/draft.h"
#include "lib/ims/xml.h"

// Takes what `holder` (a ServiceProfile, IFCs) has of filter criteria, authorizations and shared sets. What is wrong with
// values is a finding.
void extract_profile(struct draft *d, const xmlNode *holder);
void extract_criterion(struct draft *d, const xmlNode *criterion);

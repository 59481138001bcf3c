// Initial filter criteria (TS 29.228 annexes B, C and F): one criterion at a time, however it was written, is checked here and
// becomes XML in the order of the schema. The loader, hssd --check and hssctl link it.
#pragma once
#include "lib/base/wire.h"

#define IMS_SPT_MAX	  32
#define IMS_GROUPS_MAX	  8 // that one SPT is in
#define IMS_CRITERIA_MAX  64 // in one fragment
#define IMS_FRAGMENT_MAX  (64u << 10) // octets of one file

enum ims_spt_kind {
	IMS_SPT_NONE,
	IMS_SPT_REQUEST_URI,
	IMS_SPT_METHOD,
	IMS_SPT_SIP_HEADER,
	IMS_SPT_SESSION_CASE,
	IMS_SPT_SESSION_DESCRIPTION
};

struct ims_spt {
	bool negated;
	uint32_t group[IMS_GROUPS_MAX];
	unsigned group_cnt;
	enum ims_spt_kind kind;
	unsigned kinds;	     // how many were given
	struct slice name;   // URI, method; header, line
	struct slice content; // of a header or line; empty: none
	uint32_t session_case;
	uint32_t registration[2]; // 0 initial, 1 re-, 2 de-registration
	unsigned registration_cnt;
};

struct ims_criterion {
	uint32_t priority;
	bool has_priority, has_trigger, has_cnf;
	uint32_t cnf;
	struct ims_spt spt[IMS_SPT_MAX];
	unsigned spt_cnt;
	struct slice server; // SIP URI
	bool has_handling, has_part;
	uint32_t handling, part;
	struct slice service_info; // empty: none
	bool include_request, include_response;
};

struct ims_reason {
	char text[200]; // "trigger_point.spt[2]: expected ..."
};

// Checks one criterion. Values may hold marks (fragment.h). false: why->text.
bool ims_criterion_check(const struct ims_criterion *c, struct ims_reason *why);
// Appends it as XML.
void ims_criterion_put(struct wr *w, const struct ims_criterion *c);

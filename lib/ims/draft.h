// Filter criteria between reading and compiling: what XML and JSON are both read into, so that one set of rules checks
// both. Inside of hss_ims_xml.
#pragma once
#include "lib/base/arena.h"
#include "lib/ims/filter_criteria.h"

enum spt_kind {
	SPT_NONE,
	SPT_REQUEST_URI,
	SPT_METHOD,
	SPT_SIP_HEADER,
	SPT_SESSION_CASE,
	SPT_SESSION_DESCRIPTION,
};

struct draft_spt {
	struct ims_at at;
	uint8_t kind; // enum spt_kind
	bool negated, has_content;
	uint8_t session_case;
	uint8_t registration_types; // bits 1 << RegistrationType
	uint8_t group_cnt;
	uint32_t groups[IMS_GROUP_MAX];
	struct slice text; // URI, method, header, line; with markers
	struct slice content;
};

struct draft_criterion {
	struct ims_at at;
	uint32_t priority;
	bool has_trigger, cnf, has_service_info, include_request, include_response;
	int8_t default_handling, part; // -1: absent
	struct draft_spt *spt;
	unsigned spt_cnt;
	struct slice server, service_info;
};

struct draft {
	struct arena arena; // texts, SPTs, paths
	struct ims_report *report;
	bool literal; // braces are braces: no placeholders anywhere
	struct draft_criterion criterion[IMS_CRITERIA_MAX];
	unsigned criterion_cnt;
	struct slice service[IMS_SERVICE_MAX];
	unsigned service_cnt;
	uint32_t shared_sets[IMS_SHARED_MAX];
	unsigned shared_set_cnt;
	int64_t media_profile;
};

// What a text is; each has its own check.
enum draft_text {
	DRAFT_PLAIN,
	DRAFT_LITERAL, // plain, without placeholders
	DRAFT_ERE,    // a regular expression; may not be empty
	DRAFT_METHOD, // a SIP token
	DRAFT_SERVER, // a sip: URI
};

// What a subscriber's own values are taken to be while values are checked.
extern const struct ims_names draft_samples;

// NULL: no memory. The room is for everything that an input of so many octets can hold.
struct draft *draft_new(size_t input_len, struct ims_report *report) MUST_USE;
void draft_free(struct draft **d);

// Zeroed memory that lives as long as the draft; NULL, and a finding at the first time: there is too much.
void *draft_room(struct draft *d, size_t n) MUST_USE;

// Takes a value: blanks at its ends are left out, placeholders become markers, and what is wrong is reported, with `what`
// in front. false: *out is empty.
bool draft_text(struct draft *d, struct ims_at at, const char *what, enum draft_text kind, struct slice value,
		struct slice *out);

// The rules that go beyond one value. False: there are findings, of this or of reading.
bool draft_check(struct draft *d);

// Compiles a draft without findings. 0, -ENOMEM; -EINVAL and a finding when the result is longer than it may be.
int draft_compile(const struct draft *d, struct ims_criteria *out) MUST_USE;

// ere_check.c: is this a regular expression (POSIX ERE) that an S-CSCF can afford? NULL, or why not, in `room`.
const char *ere_refusal(const char *text, char *room, size_t cap);

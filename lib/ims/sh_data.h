// Sh-Data (TS 29.328 annex D): the XML document that an application server gets about a user. Composed from a plain
// description, straight into the answer. Pure; nothing is allocated.
//
// What is absent in the description (NULL, an empty slice, SH_ABSENT) is absent in the document. "No data", which a
// notification must tell, has forms of its own: a part that is present and empty.
#pragma once
#include "lib/base/wire.h"

#define SH_ABSENT (-1)

// A list of identities.
struct sh_identities {
	const struct slice *identities; // canonical, sip: or tel:
	unsigned identity_cnt;
	const struct slice *msisdns; // digits
	unsigned msisdn_cnt;
	int identity_type; // 0 user, 1 distinct PSI, 2 wildcarded PSI, 3 wildcarded IMPU; SH_ABSENT
	struct slice wildcarded_psi, wildcarded_impu;
};

// The kinds of lists, in the order of the schema.
enum sh_list { SH_PUBLIC, SH_REGISTERED, SH_IMPLICIT, SH_ALL, SH_ALIAS, SH_LIST_CNT };

// Data that an application server keeps here, opaque but for being one element.
struct sh_repository {
	struct slice indication;
	uint16_t sequence;
	struct slice data; // the content of ServiceData as it came; empty: none
};

struct sh_charging {
	struct slice primary_event, secondary_event, primary_collection, secondary_collection; // Diameter URIs
};

struct sh_ims {
	bool has_scscf; // the name may be empty: no S-CSCF
	struct slice scscf;
	bool has_criteria;
	struct slice criteria; // XML of InitialFilterCriteria, marks filled in (fragment.h)
	int user_state;	       // 0 not registered, 1 registered, 2 unregistered services, 3 authentication pending
	const struct sh_charging *charging;
	int psi_activation; // 0 inactive, 1 active
	bool has_stn_sr;
	struct slice stn_sr; // digits
	int srvcc;	     // UE-SRVCC-Capability
};

// Where the EPS serves the user. All may be absent; the element is written all the same.
struct sh_eps_location {
	struct slice cell;	    // 7 octets of an E-UTRAN cell global identity
	struct slice tracking_area; // 5 octets
	struct slice node;	    // that serves the user: MMEName, its Diameter identity
	bool current;		    // CurrentLocationRetrieved
	int age;		    // minutes; more than 32767 are told as that
	struct slice visited_plmn;  // 3 octets
	int rat_type;
};

struct sh_tads {
	int voice_over_ps; // 0 no, 1 yes, 2 unknown
	int rat_type;
};

struct sh_data {
	const struct sh_identities *lists[SH_LIST_CNT];
	const struct sh_repository *repository;
	unsigned repository_cnt;
	const struct sh_ims *ims;
	int cs_state, ps_state, eps_state; // of the user; numbers of annex D
	const struct sh_tads *tads;
	const struct sh_eps_location *eps;
	bool has_imsi;
	struct slice imsi;
	const struct slice *private_identities;
	unsigned private_identity_cnt;
};

// Nothing is present.
struct sh_data sh_data_empty(void);
struct sh_ims sh_ims_empty(void);

// Writes the document. What does not fit, or is no text of XML, leaves the writer's sticky error, and so do octets of a wrong
// length.
void sh_data_write(struct wr *w, const struct sh_data *d);

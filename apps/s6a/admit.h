// Whether a subscriber is served (TS 29.272 5.2.1.1.3, 5.2.3.1.3; procedures B1, B2): subscription, access restrictions, roaming,
// barring. The one place that decides it: AIR and ULR ask here, and so does `hssctl explain`. Pure but for the cache that it reads.
#pragma once
#include "apps/s6a/policy.h"
#include "cache/lookup.h"

// RAT-Type (TS 29.212 5.3.31), those that a rule names
enum rat_type {
	RAT_UTRAN = 1000,
	RAT_GERAN = 1001,
	RAT_GAN = 1002,
	RAT_HSPA_EVOLUTION = 1003,
	RAT_EUTRAN = 1004,
	RAT_EUTRAN_NB_IOT = 1005,
	RAT_NG_RAN = 1006,
	RAT_LTE_M = 1007,
	RAT_EUTRAN_LEO = 1011,
	RAT_NB_IOT_LEO = 1021,
	RAT_LTE_M_LEO = 1031,
};

// Error-Diagnostic (TS 29.272 7.3.128)
enum error_diagnostic {
	DIAG_GPRS_SUBSCRIBED = 0,
	DIAG_NO_GPRS = 1,
	DIAG_ODB_ALL_APN = 2,
	DIAG_ODB_HPLMN_APN = 3,
	DIAG_ODB_VPLMN_APN = 4,
};

enum s6a_reason {
	S6A_SERVED,
	S6A_NO_PACKET,	      // no packet subscription at all
	S6A_NO_APN,	      // none for this kind of node
	S6A_NO_EPC,	      // core_network_restrictions
	S6A_RAT_RESTRICTED,   // access_restriction_data
	S6A_REALM,	      // roaming.realm_check
	S6A_ROAMING_RULE,     // roaming.rules; `line` says which
	S6A_ROAMING_DEFAULT,  // roaming.default
	S6A_ROAMING_OWN,      // roaming of the document; `line` is the number of its rule
	S6A_BARRED_ALL,	      // operator_determined_barring
	S6A_BARRED_HPLMN,
	S6A_BARRED_VPLMN,
	S6A_NO_VECTORS, // AIR, past the decision: AUTS, SQNs or cryptography
	S6A_REASON_CNT
};

struct s6a_refusal {
	uint32_t result;
	bool experimental;
	bool has_diagnostic;
	uint32_t diagnostic;
	enum s6a_reason reason;
	uint32_t line; // of the configuration, of a rule
};

struct s6a_asked {
	bool air;
	bool s6a;   // ULR: by an MME; otherwise by an SGSN
	bool early; // AIR: is refused for what its ULR would be refused for (refuse_in_aia of the peer)
	uint32_t rat; // ULR
	uint32_t features; // of the node, list 1
	const uint8_t *plmn;
	struct slice realm;	// Origin-Realm
	bool realm_is_ours;
	uint8_t realm_check; // enum roaming_check for this peer; roaming.realm_check counts as well
};

struct s6a_admitted {
	bool realm_misfits; // roaming.realm_check is on, and Origin-Realm does not fit Visited-PLMN-Id
	bool roams;	    // known where there are roaming rules
	bool no_profile;    // no rule has the name that the document says
	uint32_t line;	    // of the rule that decides; 0: none
	uint8_t own_rule;   // or its number in the document
};

// true: it is refused, and *no says how. `p` may be NULL: no roaming options.
bool s6a_refused(const struct s6a_policy *p, const struct cache *c, const struct cache_record *rec, const struct s6a_asked *q,
		 struct s6a_admitted *how, struct s6a_refusal *no);
// The reason in an operator's words: a member of the document or of the configuration. `out`: of 128 octets.
void s6a_reason_text(enum s6a_reason reason, uint32_t line, char *out);

// ---- what a profile holds for these decisions, and no node is sent: behind its AVPs

#define S6A_PROFILE_NO_EPC 1u // cache_profile.flags
// What the document's member `roaming` says (policy.h: s6a_own_*); empty: nothing. Its record has RECORD_ROAMING.
struct slice s6a_profile_own(const struct cache_profile *p);

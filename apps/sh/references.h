// The data references of Sh (TS 29.328 7.6, table 7.6.1): which identity leads to each, what this HSS does with it, and which
// application server may do what (option sh.servers). Pure; all roles.
#pragma once
#include "config/config.h"

enum sh_reference {
	SH_REF_REPOSITORY = 0,
	SH_REF_IDENTITIES = 10,
	SH_REF_USER_STATE = 11,
	SH_REF_SCSCF = 12,
	SH_REF_CRITERIA = 13,
	SH_REF_LOCATION = 14,
	SH_REF_STATE = 15, // of the user in CS or PS
	SH_REF_CHARGING = 16,
	SH_REF_MSISDN = 17,
	SH_REF_TADS = 26,
	SH_REF_IMSI = 32,
	SH_REF_PRIVATE = 33,
	SH_REF_END = 36
};

// A set of references: a bit for each.
#define SH_BIT(reference) (1ull << (reference))

// What a request may name the user by.
enum sh_key { SH_KEY_USER = 1, SH_KEY_SERVICE = 2, SH_KEY_NUMBER = 4 }; // public user identity, PSI, MSISDN

enum sh_operation { SH_PULL, SH_UPDATE, SH_NOTIFY };

// Its name; NULL: there is no such reference.
const char *sh_reference_name(uint32_t reference);
// Are all of these found by this kind of identity?
bool sh_are_keyed_by(uint64_t references, enum sh_key key);
// Those that an application server can change, or watch, at this HSS.
#define SH_UPDATED  SH_BIT(SH_REF_REPOSITORY)
#define SH_NOTIFIED                                                                                                    \
	(SH_BIT(SH_REF_REPOSITORY) | SH_BIT(SH_REF_IDENTITIES) | SH_BIT(SH_REF_USER_STATE) | SH_BIT(SH_REF_SCSCF) |    \
	 SH_BIT(SH_REF_CRITERIA) | SH_BIT(SH_REF_CHARGING) | SH_BIT(SH_REF_PRIVATE))
// May this application server do that with all of these?
bool sh_permitted(const struct config *config, struct slice host, enum sh_operation operation, uint64_t references);

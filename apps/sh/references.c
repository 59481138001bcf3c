// See references.h. Owns the table of data references.
#include "apps/sh/references.h"
#include <stddef.h>

enum { U = SH_KEY_USER, P = SH_KEY_SERVICE, N = SH_KEY_NUMBER };

static const struct {
	const char *name;
	uint8_t keys; // enum sh_key
} reference[SH_REF_END] = {
	[0] = {"RepositoryData", U | P},
	[10] = {"IMSPublicIdentity", U | P | N},
	[11] = {"IMSUserState", U},
	[12] = {"S-CSCFName", U | P},
	[13] = {"InitialFilterCriteria", U | P},
	[14] = {"LocationInformation", U | N},
	[15] = {"UserState", U | N},
	[16] = {"Charging", U | P | N},
	[17] = {"MSISDN", U | N},
	[18] = {"PSIActivation", P},
	[19] = {"DSAI", U | P},
	[21] = {"ServiceLevelTraceInfo", U | N},
	[22] = {"IPAddressBinding", U},
	[23] = {"ServicePriorityLevel", U},
	[24] = {"SMSRegistrationInfo", U | N},
	[25] = {"UEReachabilityForIP", U | N},
	[26] = {"T-ADS", U | N},
	[27] = {"STN-SR", U | N},
	[28] = {"UE-SRVCC-Capability", U | N},
	[29] = {"ExtendedPriority", U},
	[30] = {"CSRN", U | N},
	[31] = {"ReferenceLocation", U},
	[32] = {"IMSI", U | N},
	[33] = {"IMSPrivateUserIdentity", U},
	[34] = {"IMEISV", U | N},
	[35] = {"UE-5G-SRVCC-Capability", U | N},
};

// The references in the order of the option's words.
static const uint8_t by_word[SH_REFERENCE_MAX] = {0,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22,
						  23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35};

const char *sh_reference_name(uint32_t number)
{
	return number < SH_REF_END ? reference[number].name : NULL;
}

bool sh_are_keyed_by(uint64_t references, enum sh_key key)
{
	for (unsigned i = 0; i < SH_REF_END; i++)
		if (references >> i & 1 && !(reference[i].keys & key))
			return false;
	return true;
}

static uint64_t set_of(const uint8_t *words, uint32_t cnt)
{
	uint64_t set = 0;
	for (uint32_t i = 0; i < cnt; i++)
		set |= SH_BIT(by_word[words[i] % SH_REFERENCE_MAX]); // names, then numbers
	return set;
}

bool sh_permitted(const struct config *config, struct slice host, enum sh_operation operation, uint64_t references)
{
	for (uint32_t i = 0; i < config->sh.server_cnt; i++) {
		const struct sh_server *s = &config->sh.server[i];
		uint64_t may = 0;
		if (!config_host_matches(s->host, host))
			continue; // the first one that matches counts
		switch (operation) {
		case SH_PULL: may = set_of(s->pull, s->pull_cnt); break;
		case SH_UPDATE: may = set_of(s->update, s->update_cnt); break;
		case SH_NOTIFY: may = set_of(s->notify, s->notify_cnt); break;
		}
		return (references & ~may) == 0;
	}
	return false;
}

// The lists of commands that only look, and of those that the audit log has (rights.h).
#include "admin/rights.h"
#include <string.h>

// A command that is not here counts as one that changes something.
static const char *const looks[] = {
    "subscriber show", "subscriber list", "subscriber problems", "sqn show", "location show", "store status",
    "peer list",       "peer show",	  "status",		 "stats",    "config show",
};

bool rights_only_looks(const struct admin_request *r)
{
	if (json_is_true(json_object_get(r->args, "secrets")))
		return false;
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
		if (strcmp(r->command->words, looks[i]) == 0)
			return true;
	return false;
}

bool rights_audited(const struct admin_request *r)
{
	return !rights_only_looks(r) && strcmp(r->command->words, "audit") != 0;
}

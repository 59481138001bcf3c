// Which commands only look, and which ones the audit log has (rights.h).
#include "admin/rights.h"
#include <string.h>

bool rights_only_looks(const struct admin_request *r)
{
	return r->command->flags & ADMIN_FLAG_LOOKS && !json_is_true(json_object_get(r->args, "secrets")) &&
	       !json_is_true(json_object_get(r->args, "vectors"));
}

bool rights_audited(const struct admin_request *r)
{
	return !rights_only_looks(r) && strcmp(r->command->words, "audit") != 0;
}

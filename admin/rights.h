// Which commands only look, and which are written down. Pure. hss-admin.
#pragma once
#include "admin/command.h"

// It changes nothing and shows no key: admin.readonly_socket takes these.
bool rights_only_looks(const struct admin_request *r);
// It belongs into the audit log: it changes something, or hands keys out.
bool rights_audited(const struct admin_request *r);

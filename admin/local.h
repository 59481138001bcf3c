// Commands that hss-admin answers itself: status, stats, log level.
#pragma once
#include "admin/client.h"

// Serves a checked request whose row says ADMIN; ends it with admin_client_end, at once or when the loader
// answered.
void admin_local(struct admin_client *cl, const struct admin_request *request);
// What hssd says of a reload that somebody asked for (supervisor/reload.c has the lines).
void admin_local_reload_told(uint64_t id, struct slice lines);

// What of the upstream can't be served and why: a bounded list for `subscriber problems`; when it is full
// the oldest goes. Each is told in the log, too (a few a second). Loader process, main thread.
#pragma once
#include "loader/admin/admin.h"

#define PROBLEMS_MAX 1000u

// `where` names the row or document ("subscribers.csv:12"); one that is listed already takes the new text.
// `imsi` none: unknown. Neither may hold a key. Without memory it is only logged.
void problems_add(struct loader *l, const char *where, imsi_t imsi, const char *text);
// It is good again, or gone. Also takes away what is further inside: those that begin with `where` and a
// colon.
void problems_clear(struct loader *l, const char *where);
// Only that place. true: it was listed.
bool problems_clear_one(struct loader *l, const char *where);
unsigned problems_count(const struct loader *l);
void problems_free(struct loader *l);

void problems_list(struct loader *l, struct call *c);
void problems_pump(struct loader *l, struct call *c);

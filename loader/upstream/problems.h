// The rows and documents of the upstream that can't be served, each with the reason: a bounded list for
// `subscriber problems`. When it is full, the oldest entry goes. Each problem is also logged, at most a few a
// second. Loader process, main thread.
#pragma once
#include "loader/admin/admin.h"

#define PROBLEMS_MAX 1000u

// `where` names the row or document ("subscribers.csv:12"); if it is listed already, it gets the new text.
// `imsi` none: unknown. No text may hold a key. Without memory the problem is only logged.
void problems_add(struct loader *l, const char *where, imsi_t imsi, const char *text);
// The place is good again, or gone. Also removes the places inside of it: those that begin with `where` and a
// colon.
void problems_clear(struct loader *l, const char *where);
// The same for this place alone. true: it was listed.
bool problems_clear_one(struct loader *l, const char *where);
unsigned problems_count(const struct loader *l);
void problems_free(struct loader *l);

void problems_list(struct loader *l, struct call *c);
void problems_pump(struct loader *l, struct call *c);

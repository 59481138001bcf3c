// The last refusals of subscribers, for `hssctl explain`: a table a worker in the control segment (control.h). One writer each;
// readers are in other processes and copy. A set holds the subscribers of one hash, so that a phone that tries again and again
// pushes out few others.
#pragma once
#include "cache/control.h"

void refusal_set_host(struct refusal *f, struct slice host);
// The worker whose table it is. In place of the same refusal (network, command, reason), else of the oldest of the set.
// `t` may be NULL.
void refusals_add(struct refusals *t, const struct refusal *f);
// A subscriber has registered in this network. true: it was refused in another one by this application, which is said once.
bool refusals_came_back(struct refusals *t, uint64_t imsi, unsigned app, const uint8_t plmn[3]);
// Any process: the refusals of a subscriber at all workers, the newest first; at most `max`. Returns how many.
unsigned refusals_find(const struct control *c, uint64_t imsi, struct refusal *out, unsigned max);

// What several S6a/S6d procedures do: finding the subscriber, and refusing it (admit.h decides).
#pragma once
#include "apps/s6a/admit.h"
#include "apps/s6a/msg.h"

// The subscriber of the request's User-Name. NULL: the request waits for the loader, or has been answered 5001.
const struct cache_record *s6a_find_subscriber(struct request *r);

// Answers a refusal, and keeps it for `hssctl explain`. `host`: Origin-Host.
void s6a_answer_refusal(struct request *r, const struct s6a_asked *q, const struct s6a_refusal *no, struct slice host);
// Asks admit.h. true: it is refused, and has been answered.
bool s6a_answer_if_refused(struct request *r, const struct cache_record *rec, struct s6a_asked *q, struct slice host);

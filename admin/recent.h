// What the HSS did in the last seconds: rates and latency for `status`. hss-admin; reads the control segment
// once a second.
#pragma once
#include <jansson.h>
#include "cache/control.h"

#define RECENT_S 10u

struct recent; // opaque, one a process

struct recent *recent_new(const struct control *control); // borrowed. NULL: no memory
void recent_free(struct recent **r);
void recent_look(struct recent *r, uint64_t now_ms);
// {"seconds", "requests_per_s", "successes_per_s", "refusals_per_s", "busy_per_s", "vectors_per_s",
// "changes_per_s", "half_within_ms", "p99_within_ms"}, a new reference. busy: answered 3004. The last two are
// bounds of the histogram's buckets, null without requests.
json_t *recent_json(const struct recent *r);

// What hss-admin looks at by itself, once a second: the alarms, for them the loader's word on its store, and
// the rates.
#pragma once
#include "admin/alarm.h"
#include "admin/call.h"
#include "admin/recent.h"
#include "supervisor/role.h"

struct watch; // opaque, one a process

// NULL: no memory.
struct watch *watch_new(struct role_env *env, struct admin_calls *calls);
// From now on it looks by itself. false: no memory.
bool watch_start(struct watch *w);
void watch_free(struct watch **w);
const struct alarms *watch_alarms(const struct watch *w);
const struct recent *watch_recent(const struct watch *w);

// What hss-admin looks at by itself, once a second: the alarms, and for them the loader's word on its store.
#pragma once
#include "admin/alarm.h"
#include "admin/call.h"
#include "supervisor/role.h"

struct watch; // opaque, one a process

// NULL: no memory. The first look is taken when the loop runs.
struct watch *watch_new(struct role_env *env, struct admin_calls *calls);
void watch_free(struct watch **w);
struct alarms *watch_alarms(struct watch *w);

// The table of applications that workers serve (worker/app.h).
#include "apps/apps.h"
#include <stddef.h>

#define APP(number, folder, application) extern const struct worker_app folder##_worker;
#include "apps/apps.def"
#undef APP

const struct worker_app *const worker_apps[] = {
#define APP(number, folder, application) &folder##_worker,
#include "apps/apps.def"
#undef APP
    NULL,
};

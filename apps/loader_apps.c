// The table of applications whose state the loader keeps (loader/app.h).
#include "apps/apps.h"
#include <stddef.h>

#define APP(number, folder, application) extern const struct loader_app folder##_loader;
#include "apps/apps.def"
#undef APP

const struct loader_app *const loader_apps[] = {
#define APP(number, folder, application) &folder##_loader,
#include "apps/apps.def"
#undef APP
    NULL,
};

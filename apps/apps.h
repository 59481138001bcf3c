// The numbers of the applications, and the table of them that each role gets.
#pragma once

struct worker_app;
struct loader_app;

enum app_number {
#define APP(number, folder, application) app_##folder = number,
#include "apps/apps.def"
#undef APP
};

extern const struct worker_app *const worker_apps[]; // ended by NULL
extern const struct loader_app *const loader_apps[]; // ended by NULL

#include "supervisor/sandbox.h"
int sandbox_enter(enum role role, bool seccomp) { (void)role; (void)seccomp; return 0; }

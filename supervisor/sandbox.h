// What a role gives up after its initialisation: new privileges, core dumps and ptrace (not dumpable), system
// calls that it does not need (seccomp: anything else kills the process, so that a broken role ends and is
// restarted).
#pragma once
#include "cache/control.h"

// 0 or a negative errno. `seccomp` false: everything but the filter (sanitizers need calls of their own).
// `connects`: a frontend may also make TCP sockets and connect them (peers that the configuration tells it to
// connect to); the loader may look up names and connect to its upstream.
int sandbox_enter(enum role role, bool seccomp, bool connects) MUST_USE;
// Before it, where names will be looked up: maps the modules that /etc/nsswitch.conf names for hosts, which can't be
// mapped inside. What can't be loaded is left out, as the C library does.
void sandbox_load_resolver(void);

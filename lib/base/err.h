// The three kinds of errors (house style): a peer's fault is a verdict value, the world's fault a negative errno,
// our own fault `bug()`, which ends this one process so that the supervisor restarts it.
#pragma once

#define MUST_USE __attribute__((warn_unused_result))

// Prints file, line and message to the log, then aborts. Never reachable from a peer's bytes.
__attribute__((noreturn, format(printf, 3, 4))) void bug_at(const char *file, int line, const char *fmt, ...);
#define bug(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)

// errno as text, for a positive or a negative value; thread safe.
const char *err_text(int error);

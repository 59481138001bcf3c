// The audit log: every change that is made through the admin socket, and its author. It is
// state_dir/audit.log, one JSON object a line:
//
//	{"time":"2026-12-01T10:00:00Z","uid":1000,"pid":4711,"command":"subscriber set","imsi":"001...","status":0,
//	 "before":{"ambr.downlink.value":1},"after":{"ambr.downlink.value":2}}
//
// hss-admin marks the calls that belong into it with `by`. Of a subscriber, the members that differ are written; keys never:
// a changed one reads "***". A line is written when its command ends, and before its answer goes out. A file of 16 MiB becomes
// audit.log.1, which is replaced. Loader process, main thread.
#pragma once
#include "loader/admin/admin.h"

struct audit; // opaque, heap: one call's

// `by`: as hss-admin sends it, or NULL: nothing is written. Takes nothing. NULL: nothing to write (or no memory, logged).
struct audit *audit_begin(struct loader *l, const char *command, const json_t *args, const json_t *by);
// Writes the line of a command that ended so, and frees. NULL is accepted.
void audit_end(struct loader *l, struct audit **a, int status, const char *error);

// What another process did for an operator: "audit note".
void audit_note(struct loader *l, struct call *c);
// `hssctl audit`: the lines, oldest first.
void audit_show(struct loader *l, struct call *c);
void audit_pump(struct loader *l, struct call *c);

// `backup` and `restore`: the rows of the local database as one file, while the HSS serves. Loader process; what takes long
// runs in a thread of its own.
//
//   backup    everything acknowledged before the call is folded into hss.db first; a thread copies it (one snapshot), checks the
//             copy and digests it; then its octets go out as rows of base64, no faster than the client takes them.
//   restore   octets come in as lines of base64 into a file of state_dir; a thread checks them, moves every SQN ahead, drops
//             HSS-initiated requests that are long out of date, and names the file `restore.ready`. The next start of the HSS, with
//             empty memory, puts it in the place of hss.db; what was there before is kept under names of its own.
//
// The first row of a backup, and the argument of a restore, is the header: format, size, digest (XXH64) and where it comes from.
#pragma once
#include "loader/admin/admin.h"

struct backup; // opaque, heap: one call's

void backup_begin(struct loader *l, struct call *c);
void backup_pump(struct loader *l, struct call *c);
void restore_begin(struct loader *l, struct call *c);
void restore_data(struct loader *l, struct call *c, struct slice lines);
// A thread may be done.
void backup_tick(struct loader *l, struct call *c);
// NULL is accepted. A thread that still works cleans up itself.
void backup_free(struct backup **b);

// At a start with empty memory, before the database is opened: puts a restored database in place, and deletes what a killed
// backup or restore left. 0 or a negative errno, logged.
int restore_take(const char *dir) MUST_USE;

// store.type csv: the subscribers are the rows of a file (csv.h). It is read at the start, at SIGHUP and when
// it changes, and is never written. Requests are served from the local database, as always: new and changed
// rows go into it, subscribers that are no longer in the file are removed (their nodes are told), and SQNs and
// locations stay here (law 6).
//
// A file is taken whole or not at all. It is read twice, the first time only to see whether every row is
// good. If a row is bad, everything stays as it was, and the log says file, line and what was expected; only
// if nothing is served yet are the good rows taken. If the file changes while it is read, the reading starts
// over. The loop serves between rows.
//
// Loader process, main thread. NULL in struct loader with other stores.
#pragma once
#include "loader/admin/admin.h"

// Watches the directory and begins the first reading, which the loop continues. After admin_new, before
// load_start and the sandbox. A file that can't be read is no error: it is logged, and read when it can be. 0
// or -ENOMEM.
int upstream_csv_start(struct loader *l) MUST_USE;
void upstream_csv_stop(struct loader *l); // before txn_free
// Reads the file again, changed or not.
void upstream_csv_reload(struct loader *l);
// Has no reading succeeded since the start? Then a subscriber that is not here may be in the file.
bool upstream_csv_is_first(const struct loader *l);
// The reason why this command of an operator is refused: the file is never written. NULL: it is allowed.
const char *upstream_csv_refusal(const struct loader *l, const char *command);
json_t *upstream_csv_status(const struct loader *l);

enum csv_step { CSV_STEP_IDLE, CSV_STEP_MORE, CSV_STEP_WAIT }; // WAIT: for the fold thread
// The next piece of a reading.
enum csv_step upstream_csv_step(struct loader *l);
// Reads the file if it differs from the one that was read last.
void upstream_csv_look(struct loader *l);

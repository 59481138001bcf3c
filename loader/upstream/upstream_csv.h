// store.type csv: the subscribers are the rows of a file (csv.h), which is read at the start, at SIGHUP and
// when it changes, and never written. What is served comes from the local database, as always: a row that is
// new or different is put into it, who is no longer in the file is removed (with CLR), and SQNs and locations
// stay here (law 6).
//
// A file is taken whole or not at all: it is read twice, the first time only to see that every row is good.
// With a bad row everything stays as it was, and the log says file, line and what was expected; only where
// nothing is served yet the good rows are taken. A change while it is being read starts over. Between the
// rows the loop serves.
//
// Loader process, main thread. NULL in struct loader with other stores.
#pragma once
#include "loader/admin/admin.h"

// Watches the directory and begins the first reading, which the loop goes on with. After admin_new, before
// load_start and the sandbox. A file that can't be read is no error: it is told, and awaited. 0 or -ENOMEM.
int upstream_csv_start(struct loader *l) MUST_USE;
void upstream_csv_stop(struct loader *l); // before txn_free
// Reads the file again, changed or not.
void upstream_csv_reload(struct loader *l);
// The file was not read to its end, or refused, since the start: who is not here may be in it.
bool upstream_csv_is_first(const struct loader *l);
// Why this command of an operator can't be done: the file is not ours to write. NULL: it can.
const char *upstream_csv_refusal(const struct loader *l, const char *command);
json_t *upstream_csv_status(const struct loader *l);

enum csv_step { CSV_STEP_IDLE, CSV_STEP_MORE, CSV_STEP_WAIT }; // WAIT: for the fold thread
// The next piece of a reading.
enum csv_step upstream_csv_step(struct loader *l);
// Looks whether the file is another one than that which was read last, and reads it then.
void upstream_csv_look(struct loader *l);

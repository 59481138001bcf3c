// Log lines as entries of systemd's journal, with the fields of each line as fields of the entry: journalctl HSS_IMSI=001...
// hssd's log pump.
#pragma once
#include <stdbool.h>
#include <stddef.h>

// Whether our stderr is the journal ($JOURNAL_STREAM names it); connects to the journal's socket then. Before anything changes
// stderr.
bool journal_open(void);
// Lines of the log, whole or in pieces: an entry for each that is whole. Waits while the journal takes nothing.
void journal_write(const char *p, size_t n);

// One line without its line feed as an entry (journald's native protocol). Returns its length; 0: it does not fit.
size_t journal_entry(const char *line, size_t len, char *out, size_t cap);

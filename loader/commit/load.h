// Filling the cache from the local database: one ordered pass over the rows at the start, in pieces between
// which the loop serves; single subscribers on demand before the pass has come to them. A cache that survived
// the last loader is compared and put right instead, and goes on serving meanwhile (law 4).
#pragma once
#include "loader/loader.h"

// Takes over or raises the run number, fills the IND table, publishes what the last loader had committed but
// perhaps not published, begins the pass. `fresh` as builder_open said.
int load_start(struct loader *l, bool fresh) MUST_USE;
void load_free(struct loader *l);
// The next piece; false when the pass is over. Runs by itself on the event loop.
bool load_step(struct loader *l);

// Publishes one subscriber as the database has it now (or removes it). 1 there, 0 not, negative errno.
int load_one(struct loader *l, imsi_t imsi) MUST_USE;
// The pass remembers profiles; a change by somebody else may have freed one.
void load_profiles_changed(struct loader *l);
uint64_t load_done(const struct loader *l);
uint64_t load_bad(const struct loader *l);
bool load_running(const struct loader *l); // the pass is not through, or has not begun

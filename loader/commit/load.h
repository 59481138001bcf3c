// Fills the cache from the local database. At the start one pass goes through the rows in order, in pieces
// between which the loop serves. Until the pass has come to a subscriber, that subscriber is published on
// demand. If a cache has survived the last loader, the pass compares it with the rows and repairs it, and
// workers serve from it meanwhile (law 4).
#pragma once
#include "loader/loader.h"

// Keeps or raises the run number, fills the IND table, publishes what the last loader has committed but
// perhaps not published, and begins the pass. `fresh`: as builder_open said.
int load_start(struct loader *l, bool fresh) MUST_USE;
void load_free(struct loader *l);
// The next piece; false when the pass is over. Runs by itself on the event loop.
bool load_step(struct loader *l);

// Publishes one subscriber as the database has it now, or removes it. 1: it exists, 0: it doesn't; or a
// negative errno.
int load_one(struct loader *l, imsi_t imsi) MUST_USE;
// To be called after any change of profiles outside of the pass: the pass remembers profiles, and one may
// have been freed.
void load_profiles_changed(struct loader *l);
uint64_t load_done(const struct loader *l);
uint64_t load_bad(const struct loader *l);
bool load_running(const struct loader *l); // until the pass has ended

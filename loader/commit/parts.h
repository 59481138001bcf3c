// The parts of a record that come from an application's rows (its state, its data), and the identities that data give to a
// subscriber: composed for one publication, by a change and by the load alike. Main thread.
#pragma once
#include "cache/state.h"
#include "loader/loader.h"

struct parts {
	struct builder_extra extra; // for builder_put_with
	struct cache_part part[LOCAL_ROW_MAX];
	uint64_t identity[CACHE_IDENTITY_CNT_MAX];
};

// Begins with none. What the record has of other parts and identities stays, or (`all`) is removed.
void parts_begin(struct parts *p, bool all);
// Adds a row. One of data brings its identities; the record's former ones then do not stay. An empty row removes its
// part. Octets lie in memory that the next parts_begin uses again. false: the cache has no room, or the application's
// build does not understand the row: it is left out.
bool parts_add(struct loader *l, struct parts *p, const struct state_row *row);

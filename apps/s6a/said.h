// What a subscriber's document says of S6a's state (doc_reader.said): the location as another HSS, another node or an operator
// left it. It goes as octets from the thread that reads the document to the loader's main thread. Pure.
#pragma once
#include "apps/s6a/state.h"

struct s6a_said {
	struct s6a_serving serving[S6A_KIND_CNT]; // hosts and realms borrowed
	bool mme_there; // there is a mme_host, maybe an empty one: a writer that removes the location leaves none
	bool cancel;	// request_cancel_location: true
};

// Writes nothing when nothing is said.
void s6a_said_put(struct wr *w, const struct s6a_said *s);
// false: they are no such octets, and *out is empty.
bool s6a_said_get(struct slice octets, struct s6a_said *out);

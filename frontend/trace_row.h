// One row of a trace (trace.h): what a message is, and its octets with the secrets masked. Runs in
// hss-frontend.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include "lib/base/subject.h"
#include "lib/diameter/header.h"

struct conn;

#define TRACE_MESSAGE_MAX (96u << 10) // octets of a message that a row may hold

// Of a message: its name ("ULR", or its number), whom it is about, and what it was answered.
struct trace_about {
	struct header h;
	bool in;
	struct slice subject; // as text; empty: nobody
	struct slice why;     // the rule of an answer; empty: none
	uint64_t took_us;     // from the request to this answer; 0: not known
};

// A new reference; NULL: no memory. messages: with the octets; vectors: and with the secrets in them.
json_t *trace_row(const struct conn *c, const struct trace_about *about, const uint8_t *msg, uint32_t len,
		  bool messages,
		  bool vectors);
// Masks the secrets (lib/diameter/secrets.def) of a whole message in place.
void trace_mask(uint8_t *msg, uint32_t len);

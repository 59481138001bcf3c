// What the rows of request.def say of a request: its sender, its subject, its weight. It is all that
// frontends know of applications. Pure functions over constant data; no allocation.
#pragma once
#include "lib/base/subject.h"
#include "lib/diameter/grammar.h"

// Is it a request that only an HSS sends? Sent to an HSS it is a mistake, or an attempt to have it reflected.
bool request_sent_by_hss(const struct command *cmd);

// Finds the subject of a request that grammar_check has passed: the first of the command's places that holds
// an identity. Returns the slot where it is found, and the identity in *out. Without one: -1, SUBJECT_NONE in
// *out, and in *spelling what is in the first place that is there at all (empty when none is), so that equal
// requests can be told to meet.
int request_subject(const struct command *cmd, const uint8_t *msg, const struct avp_slot *slots, struct subject *out,
		    struct slice *spelling);

// Its cost for a worker with one item, as request.def counts; commands without a row: 1.
unsigned request_weight(const struct command *cmd);
// How many items it asks for: at most `max`; 0 when it does not say.
uint32_t request_items(const struct command *cmd, const uint8_t *msg, const struct avp_slot *slots, uint32_t max);

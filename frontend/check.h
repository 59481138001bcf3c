// The checks that a request must pass before a worker sees it (law 2), in the order of RFC 6733 6.1 and 7:
// version, header bits, application, command, local delivery, grammar. The result is a command with slots, or
// a verdict. Runs in hss-frontend.
#pragma once
#include "lib/diameter/grammar.h"

struct conn;
struct frontend;

// Slots of the AVPs that routing looks at, by command; SCREEN_NONE where a command does not have it.
#define SCREEN_NONE 0xff
struct check_slots {
	uint8_t session_id, origin_host, destination_host, destination_realm, route_record,
	    proxy_info;
};

// Fills the table of slots; call after grammar_enable.
void check_init(void);
const struct check_slots *check_slots_of(const struct command *cmd);

// Finds the command. NULL: *v has the verdict (5011, 3008, 3007, 3001).
const struct command *check_command(const struct frontend *fe, const struct conn *c, const struct header *h,
				     struct verdict *v);
// Checks the rest. false: *v has the verdict.
bool check_request(const struct frontend *fe, const struct command *cmd, const uint8_t *msg, uint32_t len,
		    struct avp_slot *slots, struct verdict *v);
// A verdict without Failed-AVP; E bit as the code asks for.
void check_verdict(struct verdict *v, uint32_t result);

// The data of a slot's first occurrence, empty when absent.
static inline struct slice check_data(const uint8_t *msg, const struct avp_slot *slots, uint8_t slot)
{
	if (slot == SCREEN_NONE || slots[slot].cnt == 0)
		return (struct slice){0};
	return slice_of(msg + slots[slot].off, slots[slot].len);
}

// The grammar of every command as data (grammar.def: rows of command, AVP, min, max; groups alike), and the
// check that turns a request's bytes into slots or into a verdict: the RFC 6733 7 result code and the
// Failed-AVP. Runs in the frontend for everything a peer sends (law 2). No allocation, no recursion beyond
// GRAMMAR_DEPTH_MAX, time linear in the message.
#pragma once
#include "lib/diameter/dict.h"
#include "lib/diameter/header.h"

#define GRAMMAR_DEPTH_MAX 8   // nesting of grouped AVPs; deeper ones are answered 5014
#define GRAMMAR_AVPS_MAX  512 // AVPs of one message, all levels; the first over it is answered 5009
#define GRAMMAR_SLOTS_MAX 48

// Where the first occurrence of one of the command's AVPs lies: offsets from the start of the message.
struct avp_slot {
	uint32_t off; // of its data
	uint32_t len; // of its data
	uint32_t cnt; // occurrences at the top level; 0 = absent
};

// enum slot ids: SLOT_AIR_User_Name ... one enum per command, in grammar.def's order, SLOT_AIR_CNT last.
// enum command_id: CMD_CER, CMD_AIR, ... requests and answers (CMD_CEA) are rows of their own.
#include "lib/diameter/grammar_ids.h"

struct command {
	const char *name; // "AIR"
	uint32_t code;
	uint32_t app;  // enum app_id
	uint8_t flags; // HEADER_R, HEADER_P that it has
	uint8_t id;    // enum command_id
	uint16_t slot_cnt;
};

// What the check found. result 0: well-formed, slots are filled in.
struct verdict {
	uint32_t result; // enum result_code
	bool e_bit;      // answer with the E bit and the short grammar (3xxx)
	uint16_t failed_len;
	uint8_t failed[512];     // the AVPs that go inside Failed-AVP, encoded and padded
	struct slice session_id; // of the request, where it could be read: for the answer
};

// Finds the command by code, application and direction. Only applications that are switched on
// (grammar_enable).
const struct command *grammar_find(uint32_t code, uint32_t app, bool request);
const struct command *grammar_by_id(unsigned command_id);
// The AVP in a slot of a command (for printing, and to build a Failed-AVP in a worker).
const struct avp_def *grammar_slot_avp(const struct command *cmd, unsigned slot);
// Bit n: the AVP in slot n has to be there. A worker looks whether its frontend has seen to that.
uint64_t grammar_required(const struct command *cmd);

// Which applications this process serves; the base protocol always is. Call before anything else.
void grammar_enable(uint32_t app);
bool grammar_app_enabled(uint32_t app);

// Checks one whole message of `len` octets (framing already right) against `cmd` and fills `slots`
// (cmd->slot_cnt of them). Returns true when well-formed; otherwise *v holds the answer's result code and
// Failed-AVP content, and the slots must not be used. One error is reported, in this order of kinds, and of
// one kind the first in the message:
//   5011  version; 5015 length; 3008 header bits: E in a request, P clear though the command is proxiable,
//         T in an answer
//   5014  AVP lengths, values of fixed-size types, nesting; 5009 for more than GRAMMAR_AVPS_MAX
//   3009  V bit with vendor 0: the one contradiction of AVP flags that is refused. An M bit that differs from
//         the definition is accepted, as releases differ; V on a code of the base protocol makes the AVP unknown
//   5001  unknown AVP with the M bit; in a group only if all groups around it have the M bit
//   5009  multiplicity; 5008 known AVP in a closed group; 5012 Session-Id is there but not first
//   5005  a required AVP is absent
//   5004  values: DiameterIdentity, UTF-8 and NUL, empty User-Name. Enumerated values are the application's
//         to judge
//
// A defect inside a group is reported as the groups around it with nothing but the offending AVP
// (RFC 6733 7.5). Known AVPs that the command does not list, and unknown ones without the M bit, are
// accepted (*[ AVP ]).
//
// Answers: with the E bit only the short grammar of RFC 6733 7.2 is required; one of Result-Code and
// Experimental-Result always is; what Failed-AVP contains is not looked at.
bool grammar_check(const struct command *cmd, const uint8_t *msg, uint32_t len, struct avp_slot *slots,
		   struct verdict *v);

// Appends a Failed-AVP (279) to an answer when the verdict has one.
void verdict_put_failed_avp(const struct verdict *v, struct wr *w);
// Fills a verdict with an example of a missing AVP (5005): right code, vendor and flags, minimum length,
// zeros.
void verdict_missing(struct verdict *v, enum avp_id id);
// Fills a verdict with a copy (cut to fit) of an offending AVP.
void verdict_offending(struct verdict *v, uint32_t result, struct slice whole_avp);

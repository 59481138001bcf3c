// The ids that grammar.def's rows stand for: one enum command_id, and one enum slot_<command> per command, whose
// values index the avp_slot array that grammar_check fills.
#pragma once

enum command_id {
	CMD_NONE = 0,
#define COMMAND(id, name, code, app, flags) CMD_##id,
#include "lib/diameter/grammar.def"
	CMD_CNT
};

#define COMMAND(id, name, code, app, flags) enum slot_##id {
#define RULE(id, avp, min, max)             SLOT_##id##_##avp,
#define COMMAND_END(id)                                                                                      \
	SLOT_##id##_CNT                                                                                      \
	}                                                                                                    \
	;
#include "lib/diameter/grammar.def"

// Builds messages out of the grammar's own rows, so that every command is tried without being written down
// again: "minimal" has what is required, "maximal" every AVP that is named, repeated where that is allowed.
#pragma once
#include "lib/diameter/avp.h"
#include "lib/diameter/grammar.h"
#include <stddef.h>

struct example_row {
	uint16_t of; // command id, or the group's avp id
	uint16_t avp;
	uint8_t min;
	uint8_t max;
};

#define MANY 0xff
static const struct example_row example_rules[] = {
#define RULE(id, avp, min, max) {CMD_##id, AVP_ID_##avp, min, max},
#include "lib/diameter/grammar.def"
};
static const struct example_row example_members[] = {
#define MEMBER(group, avp, min, max) {AVP_ID_##group, AVP_ID_##avp, min, max},
#include "lib/diameter/grammar.def"
};
#undef MANY

// Octets of every type that the check accepts.
static inline void example_put_value(struct wr *w, const struct avp_def *def, uint8_t flags)
{
	switch ((enum avp_type)def->type) {
	case AVP_T_OCTETS:
		avp_put(w, def->code, def->vendor, flags, "\x00\xf1\x10", 3);
		break;
	case AVP_T_UTF8:
		avp_put_slice(w, def->code, def->vendor, flags, slice_str("001010000000001"));
		break;
	case AVP_T_IDENTITY:
		avp_put_slice(w, def->code, def->vendor, flags, slice_str("mme.example.org"));
		break;
	case AVP_T_URI:
		avp_put_slice(w, def->code, def->vendor, flags, slice_str("aaa://mme.example.org:3868"));
		break;
	case AVP_T_FILTER:
		avp_put_slice(w, def->code, def->vendor, flags, slice_str("permit in ip from any to any"));
		break;
	case AVP_T_ADDRESS:
		avp_put(w, def->code, def->vendor, flags, "\x00\x01\x7f\x00\x00\x01", 6);
		break;
	case AVP_T_I64:
	case AVP_T_U64:
	case AVP_T_F64:
		avp_put_u64(w, def->code, def->vendor, flags, 1);
		break;
	default:
		avp_put_u32(w, def->code, def->vendor, flags, 1);
	}
}

static inline void example_put_avp(struct wr *w, enum avp_id id, bool maximal, unsigned depth)
{
	const struct avp_def *def = dict_by_id(id);
	uint8_t flags = def->m == AVP_NOT ? 0 : AVP_M;
	if (def->type != AVP_T_GROUPED) {
		example_put_value(w, def, flags);
		return;
	}
	size_t at = avp_group_begin(w, def->code, def->vendor, flags);
	for (size_t i = 0; i < sizeof example_members / sizeof *example_members; i++) {
		const struct example_row *m = &example_members[i];
		// The inner groups stay small: a maximal Subscription-Data would have more AVPs than any
		// message.
		bool all = maximal && depth < 2;
		for (unsigned n = 0; m->of == id && n < (all ? 1u : m->min); n++)
			example_put_avp(w, m->avp, all, depth + 1);
	}
	avp_group_end(w, at);
}

// One message of the command; returns its length.
static inline uint32_t example_message(const struct command *cmd, bool maximal, uint8_t *out, size_t cap)
{
	struct wr w = wr_of(out, cap);
	header_begin(&w, cmd->flags, cmd->code, cmd->app, 0x11223344, 0x55667788);
	for (size_t i = 0; i < sizeof example_rules / sizeof *example_rules; i++) {
		const struct example_row *r = &example_rules[i];
		bool result = r->avp == AVP_ID_Result_Code; // an answer has one of two, by choice
		unsigned cnt = maximal ? r->max > 2 ? 2 : r->max : result ? 1 : r->min;
		for (unsigned n = 0; r->of == cmd->id && n < cnt; n++)
			example_put_avp(&w, r->avp, maximal, 0);
	}
	header_finish(&w, 0);
	return wr_done(&w).len;
}

// All applications of grammar.def.
static inline void example_enable_all(void)
{
#define COMMAND(id, name, code, app, flags) grammar_enable(APP_##app);
#include "lib/diameter/grammar.def"
}

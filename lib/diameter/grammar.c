// The tables that grammar.def's rows expand to, and the check of a message against them (frontend, for
// everything a peer sends; load generator and tests for answers).
// Laws: no byte beyond the message is looked at; one defect is reported, the one that stands first in the
// order of `enum rank` and then first in the message; time is linear in the message, stack use bounded by
// GRAMMAR_DEPTH_MAX. All tables are constant data: processes share them and nothing has to be set up.
#include "lib/diameter/grammar.h"
#include "lib/base/utf8.h"
#include "lib/diameter/avp.h"
#include "lib/base/err.h"
#include <stddef.h>

// ---- tables ----

struct rule {
	uint16_t avp;
	uint8_t min;
	uint8_t max;
};
#define MANY 0xff

// What one level of a message may hold: a command's top level or the inside of a group.
struct shape {
	const struct rule *rules;
	const uint8_t *slot_of; // by enum avp_id: index into rules + 1; 0 = not named here
	uint64_t required;      // bit n: rules[n].min > 0
	uint8_t cnt;
	bool open; // ends in *[ AVP ]
};
#define SHAPE_RULES_MAX 64

#define OPEN   true
#define CLOSED false
#define END_OF_TABLE                                                                                         \
	}                                                                                                    \
	;

// Tables of macros, which the formatter does not understand.
// clang-format off
#define GROUP(avp, open)             enum member_##avp {
#define MEMBER(group, avp, min, max) MEMBER_##group##_##avp,
#define GROUP_END(avp)                                                                                       \
	MEMBER_##avp##_CNT                                                                                   \
	END_OF_TABLE                                                                                         \
	_Static_assert((int)MEMBER_##avp##_CNT <= SHAPE_RULES_MAX, "raise SHAPE_RULES_MAX");
#include "lib/diameter/grammar.def"

#define COMMAND(id, name, code, app, flags) static const struct rule rules_##id[] = {
#define RULE(id, avp, min, max)             {AVP_ID_##avp, min, max},
#define COMMAND_END(id)                                                                                      \
	END_OF_TABLE                                                                                         \
	_Static_assert((int)SLOT_##id##_CNT <= GRAMMAR_SLOTS_MAX, "raise GRAMMAR_SLOTS_MAX");
#define GROUP(avp, open)             static const struct rule members_##avp[] = {
#define MEMBER(group, avp, min, max) {AVP_ID_##avp, min, max},
#define GROUP_END(avp)               END_OF_TABLE
#include "lib/diameter/grammar.def"

#define COMMAND(id, name, code, app, flags) static const uint8_t slot_of_##id[AVP_ID_CNT] = {
#define RULE(id, avp, min, max)             [AVP_ID_##avp] = SLOT_##id##_##avp + 1,
#define COMMAND_END(id)                     END_OF_TABLE
#define GROUP(avp, open)                    static const uint8_t member_of_##avp[AVP_ID_CNT] = {
#define MEMBER(group, avp, min, max)        [AVP_ID_##avp] = MEMBER_##group##_##avp + 1,
#define GROUP_END(avp)                      END_OF_TABLE
#include "lib/diameter/grammar.def"

static const struct shape command_shapes[CMD_CNT] = {
#define COMMAND(id, name, code, app, flags)                                                                  \
	[CMD_##id] = {.rules = rules_##id,                                                                   \
		      .slot_of = slot_of_##id,                                                               \
		      .cnt = SLOT_##id##_CNT,                                                                \
		      .open = true,                                                                          \
		      .required = 0
#define RULE(id, avp, min, max) | (uint64_t)((min) > 0) << SLOT_##id##_##avp
#define COMMAND_END(id)         },
#include "lib/diameter/grammar.def"
};

// By the group's enum avp_id. Groups without rows hold anything.
static const struct shape group_shapes[AVP_ID_CNT] = {
#define GROUP(avp, open_)                                                                                    \
	[AVP_ID_##avp] = {.rules = members_##avp,                                                            \
			  .slot_of = member_of_##avp,                                                        \
			  .cnt = MEMBER_##avp##_CNT,                                                         \
			  .open = open_,                                                                     \
			  .required = 0
#define MEMBER(group, avp, min, max) | (uint64_t)((min) > 0) << MEMBER_##group##_##avp
#define GROUP_END(avp)               },
#include "lib/diameter/grammar.def"
};

static const struct command commands[CMD_CNT] = {
#define COMMAND(id_, name_, code_, app_, flags_)                                                             \
	[CMD_##id_] = {.name = name_,                                                                        \
		       .code = code_,                                                                        \
		       .app = APP_##app_,                                                                    \
		       .flags = flags_,                                                                      \
		       .id = CMD_##id_,                                                                      \
		       .slot_cnt = SLOT_##id_##_CNT},
#include "lib/diameter/grammar.def"
};

// clang-format on

// ---- finding a command ----

#define APPS_MAX 16
static uint32_t apps[APPS_MAX];
static unsigned app_cnt;

void grammar_enable(uint32_t app)
{
	if (grammar_app_enabled(app))
		return;
	if (app_cnt == APPS_MAX)
		bug("more than %d applications enabled", APPS_MAX);
	apps[app_cnt++] = app;
}

bool grammar_app_enabled(uint32_t app)
{
	if (app == APP_BASE)
		return true;
	for (unsigned i = 0; i < app_cnt; i++)
		if (apps[i] == app)
			return true;
	return false;
}

// Command codes have 24 bits: one number names a command, and the compiler turns the rows into a search tree
// (and refuses two rows with the same number).
#define COMMAND_KEY(code, app, request) ((uint64_t)(app) << 32 | (uint64_t)(code) << 8 | (request))

static enum command_id command_id_of(uint32_t code, uint32_t app, bool request)
{
	switch (COMMAND_KEY(code & 0xffffff, app, request)) {
#define COMMAND(id, name, code, app, flags)                                                                  \
	case COMMAND_KEY(code, APP_##app, ((flags)&HEADER_R) != 0):                                          \
		return CMD_##id;
#include "lib/diameter/grammar.def"
	default:
		return CMD_NONE;
	}
}

const struct command *grammar_find(uint32_t code, uint32_t app, bool request)
{
	enum command_id id = command_id_of(code, app, request);
	return id != CMD_NONE && grammar_app_enabled(app) ? &commands[id] : NULL;
}

const struct command *grammar_by_id(unsigned command_id)
{
	return command_id > CMD_NONE && command_id < CMD_CNT ? &commands[command_id] : NULL;
}

const struct avp_def *grammar_slot_avp(const struct command *cmd, unsigned slot)
{
	return slot < cmd->slot_cnt ? dict_by_id(command_shapes[cmd->id].rules[slot].avp) : NULL;
}

uint64_t grammar_required(const struct command *cmd)
{
	return command_shapes[cmd->id].required;
}

// ---- verdicts ----

// Which of several defects is reported: framing before meaning. SYNTAX ends the check, what follows can't be
// trusted.
enum rank { RANK_SYNTAX, RANK_FLAGS, RANK_UNKNOWN, RANK_COUNT, RANK_MISSING, RANK_VALUE, RANK_NONE };

struct check {
	struct verdict *v;
	unsigned rank; // of what *v holds
	unsigned avps; // seen so far
	unsigned depth;
	const uint8_t *parent[GRAMMAR_DEPTH_MAX]; // the groups around the AVP in hand, their headers
};

static void verdict_set(struct verdict *v, uint32_t result)
{
	v->result = result;
	v->e_bit = result / 1000 == 3;
	v->failed_len = 0;
}

static void put_header_of(struct wr *w, const uint8_t *head)
{
	bool vendor = head[4] & AVP_V;
	wr_bytes(w, head, vendor ? 12 : 8);
}

// Copies an AVP that is whole. One that does not fit is cut, and a group is cut to its header, so that what
// the peer gets can be parsed.
static void put_offending(struct wr *w, struct slice whole, bool header_only)
{
	struct rd r = rd_slice(whole);
	struct avp a;
	if (avp_next(&r, &a) != AVP_WALK_ONE)
		return;
	const struct avp_def *def = dict_find(a.code, a.vendor);
	uint32_t head = whole.len - a.data.len, len = a.data.len, room = (uint32_t)wr_room(w) & ~3u;
	if (room < head)
		return;
	room -= head;
	if (header_only || (len > room && def && def->type == AVP_T_GROUPED))
		len = 0;
	else if (len > room)
		len = room;
	size_t at = wr_len(w);
	wr_bytes(w, whole.p, head + len);
	if (!w->err)
		be24_put(w->base + at + 5, head + len);
	wr_zero(w, -len & 3u);
}

// An AVP whose length can't be right: its header, padded with zeros when it is cut off, and a zero value of
// the shortest length of its type (RFC 6733 7.1.5, 5014).
static void put_broken(struct wr *w, struct slice there)
{
	uint8_t head[12] = {0};
	memcpy(head, there.p, there.len < sizeof head ? there.len : sizeof head);
	bool has_vendor = head[4] & AVP_V;
	const struct avp_def *def = dict_find(be32_get(head), has_vendor ? be32_get(head + 8) : 0);
	uint32_t head_len = has_vendor ? 12 : 8, len = def ? dict_min_len(def) : 0;
	be24_put(head + 5, head_len + len);
	wr_bytes(w, head, head_len);
	wr_zero(w, (len + 3) & ~3u);
}

static void put_example(struct wr *w, const struct avp_def *def)
{
	uint32_t len = dict_min_len(def);
	avp_put_header(w, def->code, def->vendor, def->m == AVP_MUST ? AVP_M : 0, len);
	wr_zero(w, (len + 3) & ~3u);
}

enum failed_form { FAILED_COPY, FAILED_HEADER, FAILED_BROKEN };

// Begins a verdict, when it ranks before what has been found: opens the groups around the AVP (A group in a
// Failed-AVP holds nothing but the offending member, RFC 6733 7.5).
static bool defect_begin(struct check *c, enum rank rank, uint32_t result, struct wr *w, size_t at[])
{
	if (rank >= c->rank)
		return false;
	c->rank = rank;
	verdict_set(c->v, result);
	*w = wr_of(c->v->failed, sizeof c->v->failed);
	for (unsigned i = 0; i < c->depth; i++) {
		at[i] = wr_len(w);
		put_header_of(w, c->parent[i]);
	}
	return true;
}

static void defect_end(struct check *c, struct wr *w, const size_t at[])
{
	for (unsigned i = c->depth; i-- > 0;)
		avp_group_end(w, at[i]);
	c->v->failed_len = (uint16_t)wr_done(w).len;
}

static void defect(struct check *c, enum rank rank, uint32_t result, struct slice whole,
		   enum failed_form form)
{
	struct wr w;
	size_t at[GRAMMAR_DEPTH_MAX];
	if (!defect_begin(c, rank, result, &w, at))
		return;
	if (form == FAILED_BROKEN)
		put_broken(&w, whole);
	else
		put_offending(&w, whole, form == FAILED_HEADER);
	defect_end(c, &w, at);
}

static void defect_missing(struct check *c, const struct avp_def *def)
{
	struct wr w;
	size_t at[GRAMMAR_DEPTH_MAX];
	if (!defect_begin(c, RANK_MISSING, RESULT_MISSING_AVP, &w, at))
		return;
	put_example(&w, def);
	defect_end(c, &w, at);
}

void verdict_missing(struct verdict *v, enum avp_id id)
{
	struct wr w = wr_of(v->failed, sizeof v->failed);
	const struct avp_def *def = dict_by_id(id);
	verdict_set(v, RESULT_MISSING_AVP);
	if (def)
		put_example(&w, def);
	v->failed_len = (uint16_t)wr_done(&w).len;
}

void verdict_offending(struct verdict *v, uint32_t result, struct slice whole_avp)
{
	struct wr w = wr_of(v->failed, sizeof v->failed);
	verdict_set(v, result);
	put_offending(&w, whole_avp, false);
	v->failed_len = (uint16_t)wr_done(&w).len;
}

void verdict_put_failed_avp(const struct verdict *v, struct wr *w)
{
	if (v->failed_len)
		avp_put(w, AVP_CODE_Failed_AVP, 0, AVP_M, v->failed, v->failed_len);
}

// ---- values ----

// Letters, digits, '-' and '.' (RFC 6733 4.3.1), and '_', which host names of real nodes contain.
static const bool fqdn_char[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
    ['-'] = true,         ['.'] = true,         ['_'] = true,
};

static bool identity_ok(struct slice s)
{
	if (s.len == 0 || s.len > 255)
		return false;
	for (uint32_t i = 0; i < s.len; i++)
		if (!fqdn_char[s.p[i]])
			return false;
	return true;
}

static bool printable(struct slice s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return s.len > 0;
}

static bool address_len_ok(struct slice s)
{
	if (s.len < 2)
		return false;
	uint16_t family = be16_get(s.p); // IANA: 1 IPv4, 2 IPv6
	return family == 1 ? s.len == 6 : family == 2 ? s.len == 18 : true;
}

// ---- the walk ----

static void check_group(struct check *c, const struct avp_def *def, const struct avp *a);

static void check_value(struct check *c, const struct avp_def *def, const struct avp *a)
{
	bool len_ok = true, ok = true;
	switch ((enum avp_type)def->type) {
	case AVP_T_I32:
	case AVP_T_U32:
	case AVP_T_ENUM:
	case AVP_T_TIME:
	case AVP_T_F32:
		len_ok = a->data.len == 4;
		break;
	case AVP_T_I64:
	case AVP_T_U64:
	case AVP_T_F64:
		len_ok = a->data.len == 8;
		break;
	case AVP_T_ADDRESS:
		len_ok = address_len_ok(a->data);
		break;
	case AVP_T_IDENTITY:
		ok = identity_ok(a->data);
		break;
	case AVP_T_URI:
	case AVP_T_FILTER:
		ok = printable(a->data);
		break;
	case AVP_T_UTF8:
		// Nobody has an empty name, and no session: handlers need not meet one.
		ok = utf8_valid(a->data) &&
		     (a->data.len || (def->id != AVP_ID_User_Name && def->id != AVP_ID_Session_Id));
		break;
	case AVP_T_GROUPED:
		check_group(c, def, a);
		break;
	case AVP_T_OCTETS:
		break;
	}
	if (!len_ok)
		defect(c, RANK_SYNTAX, RESULT_INVALID_AVP_LENGTH, a->whole, FAILED_COPY);
	else if (!ok)
		defect(c, RANK_VALUE, RESULT_INVALID_AVP_VALUE, a->whole, FAILED_COPY);
}

// An AVP that the dictionary doesn't have is ignored, unless its sender insists (M bit). Inside a group he
// only does when the group has the M bit as well: without it the whole group may be ignored (RFC
// 6733 4.1, 4.4).
static void check_unknown(struct check *c, const struct avp *a)
{
	if ((a->flags & AVP_V) && a->vendor == 0) {
		defect(c, RANK_FLAGS, RESULT_INVALID_AVP_BITS, a->whole, FAILED_COPY);
		return;
	}
	if (!(a->flags & AVP_M))
		return;
	for (unsigned i = 0; i < c->depth; i++)
		if (!(c->parent[i][4] & AVP_M))
			return;
	defect(c, RANK_UNKNOWN, RESULT_AVP_UNSUPPORTED, a->whole, FAILED_COPY);
}

// One AVP that is whole. Returns its index in the shape's rules, or -1 when it has none there.
static int check_one(struct check *c, const struct shape *shape, const struct avp *a, uint16_t *cnt)
{
	if (++c->avps > GRAMMAR_AVPS_MAX) {
		defect(c, RANK_SYNTAX, RESULT_AVP_OCCURS_TOO_MANY_TIMES, a->whole, FAILED_HEADER);
		return -1;
	}
	const struct avp_def *def =
	    (a->flags & AVP_V) && a->vendor == 0 ? NULL : dict_find(a->code, a->vendor);
	if (!def) {
		check_unknown(c, a);
		return -1;
	}
	int slot = shape->slot_of ? shape->slot_of[def->id] - 1 : -1;
	if (slot >= 0) {
		uint8_t max = shape->rules[slot].max;
		if (++cnt[slot] > max && max != MANY)
			defect(c, RANK_COUNT, RESULT_AVP_OCCURS_TOO_MANY_TIMES, a->whole, FAILED_COPY);
	} else if (!shape->open) {
		defect(c, RANK_COUNT, RESULT_AVP_NOT_ALLOWED, a->whole, FAILED_COPY);
	}
	check_value(c, def, a);
	return slot;
}

static void check_required(struct check *c, const struct shape *shape, uint64_t required, uint64_t present)
{
	uint64_t missing = required & ~present;
	if (missing)
		defect_missing(c, dict_by_id(shape->rules[__builtin_ctzll(missing)].avp));
}

static void check_group(struct check *c, const struct avp_def *def, const struct avp *a)
{
	static const struct shape anything = {.open = true};
	const struct shape *shape = group_shapes[def->id].rules ? &group_shapes[def->id] : &anything;
	uint16_t cnt[SHAPE_RULES_MAX];
	uint64_t present = 0;
	enum avp_walk step = AVP_WALK_END;
	struct rd r = rd_slice(a->data);
	struct avp m;
	if (def->id == AVP_ID_Failed_AVP) // what is in there is wrong by definition
		return;
	if (c->depth == GRAMMAR_DEPTH_MAX) {
		defect(c, RANK_SYNTAX, RESULT_INVALID_AVP_LENGTH, a->whole, FAILED_HEADER);
		return;
	}
	memset(cnt, 0, shape->cnt * sizeof *cnt);
	c->parent[c->depth++] = a->whole.p;
	while (c->rank != RANK_SYNTAX && (step = avp_next(&r, &m)) == AVP_WALK_ONE) {
		int slot = check_one(c, shape, &m, cnt);
		if (slot >= 0)
			present |= 1ull << slot;
	}
	if (step == AVP_WALK_BROKEN)
		defect(c, RANK_SYNTAX, RESULT_INVALID_AVP_LENGTH, m.whole, FAILED_BROKEN);
	check_required(c, shape, shape->required, present);
	c->depth--;
}

// The fixed position of Session-Id (RFC 6733 8.8: directly after the header). No result code is made for it;
// 5012 with the AVP says which one is meant without claiming that its value or length were wrong.
static void check_session_id(struct check *c, const struct avp *a, const uint8_t *body)
{
	if (a->data.len)
		c->v->session_id = a->data;
	if (a->whole.p != body)
		defect(c, RANK_COUNT, RESULT_UNABLE_TO_COMPLY, a->whole, FAILED_COPY);
}

static uint64_t check_body(struct check *c, const struct shape *shape, const uint8_t *msg, struct slice body,
			   struct avp_slot *slots)
{
	uint16_t cnt[SHAPE_RULES_MAX];
	uint64_t present = 0;
	enum avp_walk step = AVP_WALK_END;
	struct rd r = rd_slice(body);
	struct avp a;
	memset(cnt, 0, shape->cnt * sizeof *cnt);
	while (c->rank != RANK_SYNTAX && (step = avp_next(&r, &a)) == AVP_WALK_ONE) {
		int slot = check_one(c, shape, &a, cnt);
		if (slot < 0)
			continue;
		slots[slot].cnt = cnt[slot];
		if (present & 1ull << slot)
			continue;
		present |= 1ull << slot;
		slots[slot].off = (uint32_t)(a.data.p - msg);
		slots[slot].len = a.data.len;
		if (shape->rules[slot].avp == AVP_ID_Session_Id)
			check_session_id(c, &a, body.p);
	}
	if (step == AVP_WALK_BROKEN)
		defect(c, RANK_SYNTAX, RESULT_INVALID_AVP_LENGTH, a.whole, FAILED_BROKEN);
	return present;
}

// 3008 and its kin; 0 = nothing wrong. Reserved bits are ignored (RFC 6733 3), a P bit too many as well.
static uint32_t check_header(const struct command *cmd, const uint8_t *msg, uint32_t len)
{
	uint8_t flags = msg[4];
	if (msg[0] != DIAMETER_VERSION)
		return RESULT_UNSUPPORTED_VERSION;
	if (be24_get(msg + 1) != len)
		return RESULT_INVALID_MESSAGE_LENGTH;
	if (!(flags & HEADER_R) != !(cmd->flags & HEADER_R))
		return RESULT_INVALID_HDR_BITS;
	if (flags & HEADER_R && (flags & HEADER_E || (cmd->flags & HEADER_P && !(flags & HEADER_P))))
		return RESULT_INVALID_HDR_BITS;
	if (!(flags & HEADER_R) && flags & HEADER_T)
		return RESULT_INVALID_HDR_BITS;
	return 0;
}

// An answer: Result-Code or Experimental-Result must be there. With the E bit it follows the short grammar of
// RFC 6733 7.2, of which only the origin is required (Session-Id only if the request had one that could be
// read).
static uint64_t answer_required(struct check *c, const struct shape *shape, uint8_t flags, uint64_t present)
{
	unsigned base = shape->slot_of[AVP_ID_Result_Code];
	unsigned experimental = shape->slot_of[AVP_ID_Experimental_Result];
	uint64_t results = (base ? 1ull << (base - 1) : 0) | (experimental ? 1ull << (experimental - 1) : 0);
	if (!(present & results))
		defect_missing(c, dict_by_id(AVP_ID_Result_Code));
	if (!(flags & HEADER_E))
		return shape->required;
	return shape->required & (1ull << (shape->slot_of[AVP_ID_Origin_Host] - 1) |
				  1ull << (shape->slot_of[AVP_ID_Origin_Realm] - 1));
}

bool grammar_check(const struct command *cmd, const uint8_t *msg, uint32_t len, struct avp_slot *slots,
		   struct verdict *v)
{
	const struct shape *shape = &command_shapes[cmd->id];
	struct check c = {.v = v, .rank = RANK_NONE};
	memset(slots, 0, cmd->slot_cnt * sizeof *slots);
	v->session_id = (struct slice){0};
	verdict_set(v, 0);
	if (len < DIAMETER_HEADER_LEN) {
		verdict_set(v, RESULT_INVALID_MESSAGE_LENGTH);
		return false;
	}
	struct slice body = slice_of(msg + DIAMETER_HEADER_LEN, len - DIAMETER_HEADER_LEN);
	uint32_t result = check_header(cmd, msg, len);
	if (result) {
		struct avp session;
		verdict_set(v, result);
		if (avp_find(body, AVP_CODE_Session_Id, 0, &session))
			v->session_id = session.data;
		return false;
	}
	uint64_t present = check_body(&c, shape, msg, body, slots), required = shape->required;
	if (!(msg[4] & HEADER_R))
		required = answer_required(&c, shape, msg[4], present);
	check_required(&c, shape, required, present);
	return c.rank == RANK_NONE;
}

// Any bytes as any command: the header is made to fit, so that the input reaches the grammar of its AVPs. A well-formed message
// has slots inside of it; a broken one gets an error answer that walks cleanly to its end.
#include "lib/diameter/avp.h"
#include "lib/diameter/base.h"
#include "lib/diameter/grammar.h"
#include "tests/support/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_slots(const struct command *cmd, const struct avp_slot *slots, uint32_t len)
{
	for (unsigned i = 0; i < cmd->slot_cnt; i++)
		if (slots[i].cnt)
			CHECK(slots[i].off >= DIAMETER_HEADER_LEN && slots[i].off <= len && slots[i].len <= len - slots[i].off);
}

static void check_answer(struct slice answer)
{
	struct rd r = rd_of(answer.p + DIAMETER_HEADER_LEN, answer.len - DIAMETER_HEADER_LEN);
	struct avp a;
	enum avp_walk step;
	CHECK(be24_get(answer.p + 1) == answer.len && !(answer.p[4] & HEADER_R));
	while ((step = avp_next(&r, &a)) == AVP_WALK_ONE)
		continue;
	CHECK(step == AVP_WALK_END);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t apps[] = {APP_CX, APP_SH, APP_S6A, APP_S13, APP_SWX, APP_SLH, APP_S6C};
	static bool ready;
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct verdict v;
	if (!ready)
		for (unsigned i = 0; i < sizeof apps / sizeof *apps; i++)
			grammar_enable(apps[i]);
	ready = true;
	if (size < 2 || size > 65536)
		return 0;
	const struct command *cmd = grammar_by_id(data[0]);
	if (!cmd)
		return 0;
	uint32_t len = DIAMETER_HEADER_LEN + (uint32_t)(size - 2);
	len += -len & 3u;
	uint8_t *msg = calloc(1, len); // ends where it ends
	uint8_t *out = malloc(len + 4096);
	CHECK(msg && out);
	be32_put(msg, (uint32_t)DIAMETER_VERSION << 24 | len);
	be32_put(msg + 4, (uint32_t)(cmd->flags ^ (data[1] & HEADER_T)) << 24 | cmd->code);
	be32_put(msg + 8, cmd->app);
	memcpy(msg + DIAMETER_HEADER_LEN, data + 2, size - 2);
	if (grammar_check(cmd, msg, len, slots, &v)) {
		check_slots(cmd, slots, len);
	} else if (cmd->flags & HEADER_R) {
		struct base_node me = {.host = slice_str("hss.test"), .realm = slice_str("test"), .product = slice_str("hss")};
		struct wr w = wr_of(out, len + 4096);
		base_answer_error_write(&w, &me, msg, len, &v, (struct slice){0});
		CHECK(!w.err);
		check_answer(wr_done(&w));
	}
	free(msg);
	free(out);
	return 0;
}

// Hostile and odd bytes: every command of every application at its least and at its most, cut at every octet,
// with every AVP length wrong, always against a guard page; nesting and numbers beyond all limits; what real
// nodes sent.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/base/ident.h"
#include "tests/support/example.h"
#include "tests/support/guard.h"

static struct guard guard;
static struct verdict verdict;
static struct avp_slot slots[GRAMMAR_SLOTS_MAX];
static uint8_t buffer[65536];

static bool check(const struct command *cmd, const uint8_t *msg, uint32_t len)
{
	return grammar_check(cmd, guard_copy(&guard, msg, len), len, slots, &verdict);
}

// A verdict's Failed-AVP content must be AVPs that can be walked to their end.
static void assert_failed_is_well_formed(void)
{
	struct rd r = rd_of(verdict.failed, verdict.failed_len);
	struct avp a;
	enum avp_walk step;
	assert_in_range(verdict.failed_len, 0, sizeof verdict.failed);
	assert_int_equal(verdict.failed_len % 4, 0);
	while ((step = avp_next(&r, &a)) == AVP_WALK_ONE)
		;
	assert_int_equal(step, AVP_WALK_END);
}

static void assert_slots_inside(const struct command *cmd, uint32_t len)
{
	for (unsigned i = 0; i < cmd->slot_cnt; i++)
		assert_true(slots[i].cnt == 0 || (uint64_t)slots[i].off + slots[i].len <= len);
}

static void test_every_command_minimal_and_maximal(void **state)
{
	(void)state;
	assert_int_equal(CMD_CNT - 1, 68);
	for (unsigned id = CMD_NONE + 1; id < CMD_CNT; id++) {
		const struct command *cmd = grammar_by_id(id);
		assert_ptr_equal(grammar_find(cmd->code, cmd->app, cmd->flags & HEADER_R), cmd);
		for (int maximal = 0; maximal < 2; maximal++) {
			uint32_t len = example_message(cmd, maximal, buffer, sizeof buffer);
			assert_true(len > DIAMETER_HEADER_LEN);
			if (!check(cmd, buffer, len))
				fail_msg("%s: %u", cmd->name, verdict.result);
			for (unsigned i = 0; maximal && i < cmd->slot_cnt; i++)
				assert_true(slots[i].cnt > 0);
			assert_slots_inside(cmd, len);
		}
	}
}

// Leaving out one required AVP at a time is 5005 with that AVP, for every command.
static void test_every_required_avp_is_missed(void **state)
{
	(void)state;
	unsigned missed = 0;
	for (size_t i = 0; i < sizeof example_rules / sizeof *example_rules; i++) {
		const struct command *cmd = grammar_by_id(example_rules[i].of);
		const struct avp_def *def = dict_by_id(example_rules[i].avp);
		struct avp a;
		if (example_rules[i].min == 0)
			continue;
		uint32_t len = example_message(cmd, false, buffer, sizeof buffer);
		struct slice body = slice_of(buffer + DIAMETER_HEADER_LEN, len - DIAMETER_HEADER_LEN);
		assert_true(avp_find(body, def->code, def->vendor, &a));
		uint32_t padded = (a.whole.len + 3) & ~3u;
		uint8_t *at = buffer + (a.whole.p - buffer);
		memmove(at, at + padded, (size_t)(buffer + len - at) - padded);
		len -= padded;
		be24_put(buffer + 1, len);
		assert_false(check(cmd, buffer, len));
		assert_int_equal(verdict.result, 5005);
		assert_int_equal(be32_get(verdict.failed), def->code);
		assert_failed_is_well_formed();
		missed++;
	}
	assert_true(missed > 250);
}

// A message cut anywhere (its header telling so) is refused or is complete, and never read beyond its end.
static void test_every_truncation(void **state)
{
	(void)state;
	for (unsigned id = CMD_NONE + 1; id < CMD_CNT; id++)
		for (int maximal = 0; maximal < 2; maximal++) {
			const struct command *cmd = grammar_by_id(id);
			uint32_t len = example_message(cmd, maximal, buffer, sizeof buffer);
			for (uint32_t cut = 0; cut < len; cut++) {
				be24_put(buffer + 1, cut);
				if (check(cmd, buffer, cut))
					assert_slots_inside(cmd, cut);
				else
					assert_true(verdict.result != 0);
				assert_failed_is_well_formed();
			}
		}
}

// Collects the offsets of all AVPs, those in groups too. Returns how many.
static unsigned collect(struct slice list, const uint8_t *base, uint32_t *at, unsigned cnt)
{
	struct rd r = rd_slice(list);
	struct avp a;
	while (cnt < 600 && avp_next(&r, &a) == AVP_WALK_ONE) {
		const struct avp_def *def = dict_find(a.code, a.vendor);
		at[cnt++] = (uint32_t)(a.whole.p - base);
		if (def && def->type == AVP_T_GROUPED)
			cnt = collect(a.data, base, at, cnt);
	}
	return cnt;
}

static void test_every_avp_length_wrong(void **state)
{
	(void)state;
	static uint32_t at[600];
	for (unsigned id = CMD_NONE + 1; id < CMD_CNT; id++) {
		const struct command *cmd = grammar_by_id(id);
		uint32_t len = example_message(cmd, true, buffer, sizeof buffer);
		unsigned cnt = collect(slice_of(buffer + 20, len - 20), buffer, at, 0);
		assert_true(cnt > 0);
		for (unsigned i = 0; i < cnt; i++) {
			uint8_t *field = buffer + at[i] + 5;
			uint32_t right = be24_get(field), head = buffer[at[i] + 4] & AVP_V ? 12 : 8;
			const uint32_t wrong[] = {0, 7, 8, 11, 12, right - 1, right + 1, right + 4, 0xffffff};
			for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
				be24_put(field, wrong[k]);
				bool ok = check(cmd, buffer, len);
				if (wrong[k] < head || wrong[k] == 0xffffff) {
					assert_false(ok);
					assert_int_equal(verdict.result, 5014);
				}
				if (ok)
					assert_slots_inside(cmd, len);
				assert_failed_is_well_formed();
			}
			be24_put(field, right);
		}
	}
}

// Every octet of an AIR replaced by values that tend to hurt.
static void test_every_octet_changed(void **state)
{
	(void)state;
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xc0, 0xff};
	const struct command *cmd = grammar_by_id(CMD_AIR);
	uint32_t len = example_message(cmd, true, buffer, sizeof buffer);
	for (uint32_t i = 0; i < len; i++) {
		uint8_t was = buffer[i];
		for (size_t k = 0; k < sizeof values; k++) {
			buffer[i] = values[k];
			if (check(cmd, buffer, len))
				assert_slots_inside(cmd, len);
			assert_failed_is_well_formed();
		}
		buffer[i] = was;
	}
	assert_true(check(cmd, buffer, len));
}

static uint32_t nested(unsigned depth, uint32_t code, uint32_t vendor, uint8_t *out, size_t cap)
{
	static size_t at[1000];
	struct wr w = wr_of(out, cap);
	const struct command *cmd = grammar_by_id(CMD_AIR);
	uint32_t len = example_message(cmd, false, out, cap);
	wr_reserve(&w, len);
	for (unsigned i = 0; i < depth; i++)
		at[i] = avp_group_begin(&w, code, vendor, AVP_M);
	for (unsigned i = depth; i-- > 0;)
		avp_group_end(&w, at[i]);
	header_finish(&w, 0);
	return wr_done(&w).len;
}

static void test_nesting(void **state)
{
	(void)state;
	const struct command *cmd = grammar_by_id(CMD_AIR);
	// Area-Scope requires nothing, so that nesting alone is at fault.
	uint32_t len = nested(GRAMMAR_DEPTH_MAX, AVP_CODE_Area_Scope, VENDOR_3GPP, buffer, sizeof buffer);
	assert_true(check(cmd, buffer, len));
	for (unsigned depth = GRAMMAR_DEPTH_MAX + 1; depth <= 1000; depth += 991) {
		len = nested(depth, AVP_CODE_Area_Scope, VENDOR_3GPP, buffer, sizeof buffer);
		assert_false(check(cmd, buffer, len));
		assert_int_equal(verdict.result, 5014);
		assert_failed_is_well_formed();
		assert_int_equal(verdict.failed_len, 12 * (GRAMMAR_DEPTH_MAX + 1));
	}
	// Failed-AVP and unknown groups are not entered, however deep they are.
	len = nested(1000, AVP_CODE_Failed_AVP, 0, buffer, sizeof buffer);
	assert_true(check(cmd, buffer, len));
}

static void test_a_hundred_thousand_avps(void **state)
{
	(void)state;
	static uint8_t big[1 << 20];
	struct guard wide;
	const struct command *cmd = grammar_by_id(CMD_AIR);
	struct wr w = wr_of(big, sizeof big);
	uint32_t head = example_message(cmd, false, big, sizeof big);
	wr_reserve(&w, head);
	guard_init(&wide, sizeof big);
	for (unsigned i = 0; i < 100000; i++)
		avp_put(&w, 0x800000 + i, 0, 0, NULL, 0);
	header_finish(&w, 0);
	struct slice m = wr_done(&w);
	assert_int_equal(m.len, head + 800000);
	assert_false(grammar_check(cmd, guard_copy(&wide, m.p, m.len), m.len, slots, &verdict));
	assert_int_equal(verdict.result, 5009);
	assert_failed_is_well_formed();
	guard_fini(&wide);
}

static void test_exactly_the_limit_of_avps(void **state)
{
	(void)state;
	static uint32_t at[600];
	const struct command *cmd = grammar_by_id(CMD_AIR);
	struct wr w = wr_of(buffer, sizeof buffer);
	uint32_t head = example_message(cmd, false, buffer, sizeof buffer);
	unsigned cnt = collect(slice_of(buffer + 20, head - 20), buffer, at, 0);
	wr_reserve(&w, head);
	for (unsigned i = cnt; i < GRAMMAR_AVPS_MAX; i++)
		avp_put(&w, 0x800000, 0, 0, NULL, 0);
	header_finish(&w, 0);
	assert_true(check(cmd, buffer, wr_done(&w).len));
	avp_put(&w, 0x800001, 0, 0, "1234", 4);
	header_finish(&w, 0);
	assert_false(check(cmd, buffer, wr_done(&w).len));
	assert_int_equal(verdict.result, 5009);
	assert_int_equal(be32_get(verdict.failed), 0x800001);
}

// What does not fit into a verdict is cut, and can still be parsed.
static void test_offending_avps_are_cut_to_fit(void **state)
{
	(void)state;
	uint8_t avp[4096];
	for (uint32_t len = 0; len < 2000; len++) {
		struct wr w = wr_of(avp, sizeof avp);
		avp_put_header(&w, AVP_CODE_User_Name, 0, AVP_M, len);
		wr_zero(&w, len);
		verdict_offending(&verdict, 5004, slice_of(avp, 8 + len));
		assert_failed_is_well_formed();
		assert_int_equal(verdict.failed_len, len > 504 ? 512 : (8 + len + 3) & ~3u);
	}
	struct wr w = wr_of(avp, sizeof avp);
	avp_put_header(&w, AVP_CODE_Subscription_Data, VENDOR_3GPP, AVP_M, 2000);
	wr_zero(&w, 2000);
	verdict_offending(&verdict, 5004, slice_of(avp, 2012));
	assert_int_equal(verdict.failed_len, 12); // half a group would be no group
	assert_failed_is_well_formed();
	verdict_offending(&verdict, 5004, slice_of(avp, 3)); // no AVP at all
	assert_int_equal(verdict.failed_len, 0);
}

static void test_examples_of_missing_avps(void **state)
{
	(void)state;
	verdict_missing(&verdict, AVP_ID_ULR_Flags);
	assert_int_equal(verdict.result, 5005);
	assert_false(verdict.e_bit);
	assert_int_equal(verdict.failed_len, 16);
	assert_memory_equal(verdict.failed, "\0\0\5\x7d\xc0\0\0\x10\0\0\x28\xaf\0\0\0\0", 16);
	verdict_missing(&verdict, AVP_ID_Host_IP_Address); // shortest value: 6 octets
	assert_memory_equal(verdict.failed, "\0\0\1\1\x40\0\0\x0e\0\0\0\0\0\0\0\0", 16);
	verdict_missing(&verdict, AVP_ID_NONE);
	assert_int_equal(verdict.failed_len, 0);
}

// Answers that we receive.
static uint32_t answer(uint8_t flags, uint32_t result, uint32_t code, uint32_t app)
{
	struct wr w = wr_of(buffer, sizeof buffer);
	header_begin(&w, flags, code, app, 1, 1);
	if (result)
		avp_put_u32(&w, AVP_CODE_Result_Code, 0, AVP_M, result);
	avp_put_slice(&w, AVP_CODE_Origin_Host, 0, AVP_M, slice_str("a.b"));
	avp_put_slice(&w, AVP_CODE_Origin_Realm, 0, AVP_M, slice_str("b"));
	header_finish(&w, 0);
	return wr_done(&w).len;
}

static void test_answers(void **state)
{
	(void)state;
	const struct command *cla = grammar_by_id(CMD_CLA);
	assert_true(check(cla, buffer, answer(HEADER_P | HEADER_E, 3002, 317, APP_S6A)));
	assert_int_equal(slots[SLOT_CLA_Result_Code].cnt, 1);
	assert_false(check(cla, buffer, answer(HEADER_P, 2001, 317, APP_S6A))); // without Session-Id
	assert_int_equal(verdict.result, 5005);
	assert_false(check(cla, buffer, answer(HEADER_P | HEADER_E, 0, 317, APP_S6A)));
	assert_int_equal(verdict.result, 5005);
	assert_int_equal(be32_get(verdict.failed), AVP_CODE_Result_Code);
	assert_true(check(grammar_by_id(CMD_DWA), buffer, answer(0, 2001, 280, APP_BASE)));
	assert_false(check(grammar_by_id(CMD_DWA), buffer, answer(0, 0, 280, APP_BASE)));
}

static void test_messages_of_real_nodes(void **state)
{
	(void)state;
	static char line[8192];
	unsigned cnt = 0;
	FILE *f = fopen(TEST_DATA "/captured.hex", "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		struct header h;
		uint32_t len = (uint32_t)strcspn(line, "\n") / 2;
		if (line[0] == '#' || len == 0)
			continue;
		assert_true(hex_parse(slice_of(line, len * 2), buffer, len));
		header_get(buffer, &h);
		const struct command *cmd = grammar_find(h.code, h.app, h.flags & HEADER_R);
		assert_non_null(cmd);
		assert_true(check(cmd, buffer, len));
		if (cmd->id == CMD_AIR) {
			assert_int_equal(slots[SLOT_AIR_User_Name].len, 15);
			assert_int_equal(slots[SLOT_AIR_Visited_PLMN_Id].len, 3);
		}
		cnt++;
	}
	fclose(f);
	assert_int_equal(cnt, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_command_minimal_and_maximal),
	    cmocka_unit_test(test_every_required_avp_is_missed),
	    cmocka_unit_test(test_every_truncation),
	    cmocka_unit_test(test_every_avp_length_wrong),
	    cmocka_unit_test(test_every_octet_changed),
	    cmocka_unit_test(test_nesting),
	    cmocka_unit_test(test_a_hundred_thousand_avps),
	    cmocka_unit_test(test_exactly_the_limit_of_avps),
	    cmocka_unit_test(test_offending_avps_are_cut_to_fit),
	    cmocka_unit_test(test_examples_of_missing_avps),
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_messages_of_real_nodes),
	};
	guard_init(&guard, sizeof buffer);
	example_enable_all();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

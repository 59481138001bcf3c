// The rows of request.def: each request has one, and what they say of whole messages.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/diameter/avp.h"
#include "lib/diameter/request.h"

static uint8_t message[4096];
static struct avp_slot slots[GRAMMAR_SLOTS_MAX];
static struct wr w;

static void begin(const struct command *cmd)
{
	memset(slots, 0, sizeof slots);
	w = wr_of(message, sizeof message);
	wr_zero(&w, DIAMETER_HEADER_LEN);
	assert_true(cmd->slot_cnt <= GRAMMAR_SLOTS_MAX);
}

// An AVP of the top level, as grammar_check would note it.
static void top(const struct command *cmd, enum avp_id id, struct slice data)
{
	const struct avp_def *def = dict_by_id(id);
	avp_put_slice(&w, def->code, def->vendor, AVP_M, data);
	uint32_t padded = (data.len + 3) & ~3u;
	for (unsigned i = 0; i < cmd->slot_cnt; i++)
		if (grammar_slot_avp(cmd, i) == def && slots[i].cnt++ == 0)
			slots[i] = (struct avp_slot){(uint32_t)wr_len(&w) - padded, data.len, 1};
}

// The same, with one AVP in it.
static void group(const struct command *cmd, enum avp_id outer, enum avp_id id, struct slice data)
{
	uint8_t bytes[512];
	const struct avp_def *def = dict_by_id(id);
	struct wr in = wr_of(bytes, sizeof bytes);
	avp_put_slice(&in, def->code, def->vendor, AVP_M, data);
	top(cmd, outer, wr_done(&in));
}

static void subject_is(const struct command *cmd, enum subject_type type, const char *text, enum avp_id where)
{
	struct subject s;
	struct slice spelling;
	assert_false(w.err);
	int slot = request_subject(cmd, message, slots, &s, &spelling);
	assert_int_equal(s.type, type);
	assert_string_equal(s.text, text);
	if (type == SUBJECT_NONE)
		assert_int_equal(slot, -1);
	else
		assert_ptr_equal(grammar_slot_avp(cmd, (unsigned)slot), dict_by_id(where));
}

static void test_each_request_has_a_row(void **state)
{
	(void)state;
	static const uint8_t listed[CMD_CNT] = {
#define REQUEST(id, sender, weight) [CMD_##id] = 1,
#include "lib/diameter/request.def"
	};
	unsigned cnt = 0;
	for (unsigned id = 1; id < CMD_CNT; id++) {
		const struct command *cmd = grammar_by_id(id);
		bool expected = (cmd->flags & HEADER_R) && cmd->app != APP_BASE;
		if (listed[id] != expected)
			fail_msg("%s of application %u", cmd->name, cmd->app);
		cnt += expected;
	}
	assert_true(cnt >= 27);
}

static void test_sender(void **state)
{
	(void)state;
	static const uint8_t hss[] = {CMD_CLR, CMD_IDR, CMD_DSR, CMD_RSR, CMD_RTR, CMD_PPR, CMD_PNR, CMD_SWX_RTR,
				      CMD_SWX_PPR, CMD_ALR};
	for (unsigned id = 1; id < CMD_CNT; id++)
		assert_int_equal(request_sent_by_hss(grammar_by_id(id)), memchr(hss, (int)id, sizeof hss) != NULL);
}

static void test_subject_by_command(void **state)
{
	(void)state;
	const struct command *cmd = grammar_by_id(CMD_AIR);
	begin(cmd);
	subject_is(cmd, SUBJECT_NONE, "", 0);
	top(cmd, AVP_ID_User_Name, slice_str("001010000000001"));
	subject_is(cmd, SUBJECT_IMSI, "001010000000001", AVP_ID_User_Name);

	cmd = grammar_by_id(CMD_UAR);
	begin(cmd);
	top(cmd, AVP_ID_User_Name, slice_str("bob@IMS.example"));
	subject_is(cmd, SUBJECT_PRIVATE, "bob@ims.example", AVP_ID_User_Name);
	top(cmd, AVP_ID_Public_Identity, slice_str("sip:bob@IMS.example"));
	subject_is(cmd, SUBJECT_PUBLIC, "sip:bob@ims.example", AVP_ID_Public_Identity);
	begin(cmd); // a public identity that is none: the private one says who it is
	top(cmd, AVP_ID_User_Name, slice_str("bob@IMS.example"));
	top(cmd, AVP_ID_Public_Identity, slice_str("bob"));
	subject_is(cmd, SUBJECT_PRIVATE, "bob@ims.example", AVP_ID_User_Name);

	cmd = grammar_by_id(CMD_UDR);
	begin(cmd);
	group(cmd, AVP_ID_User_Identity, AVP_ID_MSISDN, slice_of("\x51\x55\xf1", 3));
	subject_is(cmd, SUBJECT_MSISDN, "15551", AVP_ID_User_Identity);
	begin(cmd);
	group(cmd, AVP_ID_User_Identity, AVP_ID_Public_Identity, slice_str("tel:+1-555"));
	subject_is(cmd, SUBJECT_PUBLIC, "tel:1555", AVP_ID_User_Identity);
	begin(cmd);
	group(cmd, AVP_ID_User_Identity, AVP_ID_User_Name, slice_str("x"));
	subject_is(cmd, SUBJECT_NONE, "", 0);

	cmd = grammar_by_id(CMD_SWX_MAR);
	begin(cmd);
	top(cmd, AVP_ID_User_Name, slice_str("6001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"));
	subject_is(cmd, SUBJECT_IMSI, "001010000000001", AVP_ID_User_Name);

	cmd = grammar_by_id(CMD_ECR);
	begin(cmd);
	top(cmd, AVP_ID_User_Name, slice_str("001010000000001"));
	subject_is(cmd, SUBJECT_IMSI, "001010000000001", AVP_ID_User_Name);
	group(cmd, AVP_ID_Terminal_Information, AVP_ID_IMEI, slice_str("353985061234567"));
	subject_is(cmd, SUBJECT_IMEI, "35398506123456", AVP_ID_Terminal_Information);

	cmd = grammar_by_id(CMD_RSR); // about nobody
	begin(cmd);
	subject_is(cmd, SUBJECT_NONE, "", 0);
}

// What is no identity still lets equal requests meet.
static void test_spelling_of_no_identity(void **state)
{
	(void)state;
	struct subject s;
	struct slice spelling;
	const struct command *cmd = grammar_by_id(CMD_AIR);
	begin(cmd);
	assert_int_equal(request_subject(cmd, message, slots, &s, &spelling), -1);
	assert_int_equal(spelling.len, 0);
	top(cmd, AVP_ID_User_Name, slice_str("bob"));
	assert_int_equal(request_subject(cmd, message, slots, &s, &spelling), -1);
	assert_true(slice_eq(spelling, slice_str("bob")));
	assert_int_equal(s.hash, 0);
}

static void number_of_vectors(const struct command *cmd, enum avp_id outer, uint32_t n)
{
	uint8_t be[4];
	be32_put(be, n);
	group(cmd, outer, AVP_ID_Number_Of_Requested_Vectors, slice_of(be, 4));
}

static void test_items(void **state)
{
	(void)state;
	const struct command *cmd = grammar_by_id(CMD_AIR);
	begin(cmd);
	assert_int_equal(request_items(cmd, message, slots, 5), 0);
	number_of_vectors(cmd, AVP_ID_Requested_EUTRAN_Authentication_Info, 2);
	assert_int_equal(request_items(cmd, message, slots, 5), 2);
	number_of_vectors(cmd, AVP_ID_Requested_UTRAN_GERAN_Authentication_Info, 2);
	assert_int_equal(request_items(cmd, message, slots, 5), 4);
	begin(cmd);
	number_of_vectors(cmd, AVP_ID_Requested_EUTRAN_Authentication_Info, UINT32_MAX);
	number_of_vectors(cmd, AVP_ID_Requested_UTRAN_GERAN_Authentication_Info, UINT32_MAX);
	assert_int_equal(request_items(cmd, message, slots, 5), 5);
	cmd = grammar_by_id(CMD_MAR);
	begin(cmd);
	top(cmd, AVP_ID_SIP_Number_Auth_Items, slice_of("\0\0\0\3", 4));
	assert_int_equal(request_items(cmd, message, slots, 5), 3);
	assert_int_equal(request_weight(cmd), request_weight(grammar_by_id(CMD_AIR)));
	assert_true(request_weight(grammar_by_id(CMD_ULR)) < request_weight(cmd));
	assert_int_equal(request_weight(grammar_by_id(CMD_DWR)), 1);
	assert_int_equal(request_items(grammar_by_id(CMD_DWR), message, slots, 5), 0);
	assert_false(request_sent_by_hss(grammar_by_id(CMD_DWR)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_request_has_a_row), cmocka_unit_test(test_sender),
	    cmocka_unit_test(test_subject_by_command),	   cmocka_unit_test(test_spelling_of_no_identity),
	    cmocka_unit_test(test_items),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

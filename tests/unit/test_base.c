// The base protocol's own messages: what we write passes our grammar and reads back, and error answers carry
// what RFC 6733 6.2 and 7 ask for, however broken the request is.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/diameter/avp.h"
#include "lib/diameter/base.h"
#include "tests/support/example.h"
#include "tests/support/guard.h"

static const struct base_addr addrs[] = {
    {4, {192, 0, 2, 1}},
    {16, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
};
static const uint32_t our_apps[] = {APP_S6A, APP_CX};
static struct base_node me;
static struct guard guard;
static uint8_t buffer[8192];
static uint8_t request[65536];
static struct avp_slot slots[GRAMMAR_SLOTS_MAX];
static struct verdict verdict;

static int setup(void **state)
{
	(void)state;
	me = (struct base_node){
	    .host = slice_str("hss.example"),
	    .realm = slice_str("example"),
	    .product = slice_str("corehss"),
	    .vendor_id = VENDOR_3GPP,
	    .firmware = 7,
	    .origin_state_id = 1234,
	    .addrs = addrs,
	    .addr_cnt = 2,
	    .apps = our_apps,
	    .app_cnt = 2,
	};
	return 0;
}

// Checks what has been written, and hands it back at a guard page.
static struct slice checked(const struct wr *w, enum command_id id)
{
	struct slice m = wr_done(w);
	assert_true(m.len >= DIAMETER_HEADER_LEN);
	const uint8_t *at = guard_copy(&guard, m.p, m.len);
	assert_true(grammar_check(grammar_by_id(id), at, m.len, slots, &verdict));
	return slice_of(at, m.len);
}

static struct avp get(struct slice m, uint32_t code)
{
	struct avp a = {0};
	struct slice body = slice_of(m.p + DIAMETER_HEADER_LEN, m.len - DIAMETER_HEADER_LEN);
	if (!avp_find(body, code, 0, &a))
		fail_msg("AVP %u is not there", code);
	return a;
}

static bool has(struct slice m, uint32_t code)
{
	struct avp a;
	return avp_find(slice_of(m.p + DIAMETER_HEADER_LEN, m.len - DIAMETER_HEADER_LEN), code, 0, &a);
}

static uint32_t get_u32(struct slice m, uint32_t code)
{
	uint32_t v = 0;
	assert_true(avp_u32(get(m, code).data, &v));
	return v;
}

static void assert_text(struct slice s, const char *text)
{
	assert_int_equal(s.len, strlen(text));
	assert_memory_equal(s.p, text, s.len);
}

// ---- capabilities ----

static void assert_is_me(const struct base_cer *c)
{
	assert_text(c->origin_host, "hss.example");
	assert_text(c->origin_realm, "example");
	assert_text(c->product, "corehss");
	assert_int_equal(c->vendor_id, VENDOR_3GPP);
	assert_int_equal(c->firmware, 7);
	assert_int_equal(c->origin_state_id, 1234);
	assert_int_equal(c->addr_cnt, 2);
	assert_memory_equal(c->addrs, addrs, sizeof addrs);
	assert_int_equal(c->app_cnt, 2);
	assert_int_equal(c->apps[0], APP_S6A);
	assert_int_equal(c->apps[1], APP_CX);
	assert_false(c->relay);
	assert_false(c->apps_cut);
}

static void test_cer_reads_back(void **state)
{
	(void)state;
	struct wr w = wr_of(buffer, sizeof buffer);
	struct base_cer c;
	struct header h;
	base_cer_write(&w, &me, 0xaabbccdd, 0x11223344);
	struct slice m = checked(&w, CMD_CER);
	header_get(m.p, &h);
	assert_int_equal(h.flags, HEADER_R);
	assert_int_equal(h.hop_by_hop, 0xaabbccdd);
	assert_int_equal(h.end_to_end, 0x11223344);
	assert_int_equal(h.app, APP_BASE);
	base_cer_read(m.p, m.len, &c);
	assert_is_me(&c);
	assert_int_equal(c.inband_security, 0);
	// RFC 6733 4.5: these two must not have the M bit.
	assert_int_equal(get(m, AVP_CODE_Firmware_Revision).flags, 0);
	assert_int_equal(get(m, AVP_CODE_Product_Name).flags, 0);
	assert_int_equal(get(m, AVP_CODE_Origin_Host).flags, AVP_M);
}

static void test_cea_answers_a_cer(void **state)
{
	(void)state;
	struct wr w = wr_of(buffer, sizeof buffer);
	struct base_cer c;
	struct header h;
	base_cer_write(&w, &me, 5, 6);
	memcpy(request, buffer, wr_done(&w).len);
	w = wr_of(buffer, sizeof buffer);
	base_cea_write(&w, &me, request, 2001, NULL, (struct slice){0});
	struct slice m = checked(&w, CMD_CEA);
	header_get(m.p, &h);
	assert_int_equal(h.flags, 0);
	assert_int_equal(h.hop_by_hop, 5);
	assert_int_equal(h.end_to_end, 6);
	base_cer_read(m.p, m.len, &c);
	assert_is_me(&c);
	assert_int_equal(c.result, 2001);
	assert_int_equal(c.error_message.len, 0);
	w = wr_of(buffer, sizeof buffer);
	base_cea_write(&w, &me, request, 3010, NULL, slice_str("unknown peer"));
	m = checked(&w, CMD_CEA);
	assert_int_equal(m.p[4], HEADER_E);
	base_cer_read(m.p, m.len, &c);
	assert_int_equal(c.result, 3010);
	assert_text(c.error_message, "unknown peer");
}

static struct base_cer cer_with(void (*put)(struct wr *w))
{
	struct wr w = wr_of(buffer, sizeof buffer);
	struct base_cer c;
	header_begin(&w, HEADER_R, 257, APP_BASE, 1, 1);
	avp_put_slice(&w, AVP_CODE_Origin_Host, 0, AVP_M, slice_str("mme.example"));
	avp_put_slice(&w, AVP_CODE_Origin_Realm, 0, AVP_M, slice_str("example"));
	avp_put_u32(&w, AVP_CODE_Vendor_Id, 0, AVP_M, 0);
	avp_put_slice(&w, AVP_CODE_Product_Name, 0, 0, slice_str("mme"));
	put(&w);
	header_finish(&w, 0);
	struct slice m = checked(&w, CMD_CER);
	base_cer_read(m.p, m.len, &c);
	return c;
}

static void put_nothing(struct wr *w)
{
	(void)w;
}

static void put_vendor_group(struct wr *w, uint32_t member, uint32_t app)
{
	size_t at = avp_group_begin(w, AVP_CODE_Vendor_Specific_Application_Id, 0, AVP_M);
	avp_put_u32(w, AVP_CODE_Vendor_Id, 0, AVP_M, VENDOR_3GPP);
	avp_put_u32(w, member, 0, AVP_M, app);
	avp_group_end(w, at);
}

static void put_all_kinds(struct wr *w)
{
	avp_put_u32(w, AVP_CODE_Auth_Application_Id, 0, AVP_M, 4);
	avp_put_u32(w, AVP_CODE_Acct_Application_Id, 0, AVP_M, 3);
	put_vendor_group(w, AVP_CODE_Auth_Application_Id, APP_S6A);
	put_vendor_group(w, AVP_CODE_Acct_Application_Id, APP_SH);
	avp_put_u32(w, AVP_CODE_Auth_Application_Id, 0, AVP_M, APP_S6A); // again
	avp_put_u32(w, AVP_CODE_Inband_Security_Id, 0, AVP_M, 0);
	avp_put_u32(w, AVP_CODE_Inband_Security_Id, 0, AVP_M, 1);
	avp_put_u32(w, AVP_CODE_Inband_Security_Id, 0, AVP_M, 0xffffffff);
}

static void put_relay(struct wr *w)
{
	avp_put_u32(w, AVP_CODE_Auth_Application_Id, 0, AVP_M, APP_RELAY);
}

static void put_too_much(struct wr *w)
{
	for (uint32_t i = 0; i < 100; i++)
		avp_put_u32(w, AVP_CODE_Auth_Application_Id, 0, AVP_M, 1000 + i);
	for (uint32_t i = 0; i < 20; i++)
		avp_put(w, AVP_CODE_Host_IP_Address, 0, AVP_M, "\0\1\1\2\3\4", 6);
}

static void put_odd_addresses(struct wr *w)
{
	avp_put(w, AVP_CODE_Host_IP_Address, 0, AVP_M,
		"\0\x08"
		"49170",
		7);
	avp_put(w, AVP_CODE_Host_IP_Address, 0, AVP_M, "\0\1\1\2\3\4", 6);
}

static void test_cer_of_peers(void **state)
{
	(void)state;
	struct base_cer c = cer_with(put_nothing); // no Host-IP-Address: accepted
	assert_int_equal(c.app_cnt + c.addr_cnt, 0);
	assert_false(base_cer_common(&c, &me));
	c = cer_with(put_all_kinds);
	assert_int_equal(c.app_cnt, 4);
	assert_int_equal(c.apps[0], 4);
	assert_int_equal(c.apps[1], 3);
	assert_int_equal(c.apps[2], APP_S6A);
	assert_int_equal(c.apps[3], APP_SH);
	assert_int_equal(c.inband_security, 3);
	assert_true(base_cer_common(&c, &me));
	c = cer_with(put_odd_addresses);
	assert_int_equal(c.addr_cnt, 1);
	assert_memory_equal(c.addrs[0].octets, "\1\2\3\4", 4);
}

static void test_cer_of_a_relay(void **state)
{
	(void)state;
	static const uint32_t relay[] = {APP_RELAY};
	struct base_cer c = cer_with(put_relay);
	assert_true(c.relay);
	assert_int_equal(c.app_cnt, 0);
	assert_true(base_cer_common(&c, &me));
	c = cer_with(put_nothing);
	me.apps = relay;
	me.app_cnt = 1;
	assert_true(base_cer_common(&c, &me));
	struct wr w = wr_of(buffer, sizeof buffer);
	base_cer_write(&w, &me, 1, 1);
	struct slice m = checked(&w, CMD_CER);
	base_cer_read(m.p, m.len, &c);
	assert_true(c.relay);
	assert_false(has(m, AVP_CODE_Vendor_Specific_Application_Id));
}

// open5gs #4155: broken Vendor-Specific-Application-Ids are answered with the group that is wrong.
static void test_cer_with_broken_vendor_groups(void **state)
{
	(void)state;
	static const struct {
		const char *octets;
		uint32_t len;
		uint32_t result;
	} cases[] = {
	    {"\0\0\1\4\x40\0\0\x08", 8, 5005},                                 // empty
	    {"\0\0\1\4\x40\0\0\x14\0\0\1\2\x40\0\0\x0c\1\0\0\x23", 20, 5005},  // no Vendor-Id
	    {"\0\0\1\4\x40\0\0\x14\0\0\1\x0a\x40\0\0\x0c\0\0\x28\xaf", 20, 0}, // no application
	    {"\0\0\1\4\x40\0\0\x14\0\0\1\x0a\x40\0\0\x0d\0\0\x28\xaf", 20, 5014},
	    {"\0\0\1\4\x40\0\0\x10\0\0\1\x0a\x40\0\0\x08", 16, 5014},
	    {"\0\0\1\4\x40\0\0\x0f\0\0\1\x0a\x40\0\0\x0c", 16, 5014},
	    {"\0\0\1\4\x40\0\0\x07", 8, 5014},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wr w = wr_of(request, sizeof request);
		uint32_t len = example_message(grammar_by_id(CMD_CER), false, request, sizeof request);
		wr_reserve(&w, len);
		wr_bytes(&w, cases[i].octets, cases[i].len);
		header_finish(&w, 0);
		len = wr_done(&w).len;
		const uint8_t *at = guard_copy(&guard, request, len);
		assert_int_equal(grammar_check(grammar_by_id(CMD_CER), at, len, slots, &verdict),
				 cases[i].result == 0);
		assert_int_equal(verdict.result, cases[i].result);
		if (cases[i].result) {
			assert_true(verdict.failed_len >= 8);
			assert_int_equal(be32_get(verdict.failed), AVP_CODE_Vendor_Specific_Application_Id);
		}
	}
}

static void test_cer_beyond_the_bounds(void **state)
{
	(void)state;
	struct base_cer c = cer_with(put_too_much);
	assert_int_equal(c.app_cnt, BASE_APPS_MAX);
	assert_true(c.apps_cut);
	assert_int_equal(c.addr_cnt, BASE_ADDRS_MAX);
}

// Readers are only given what passed the check, but they bear anything.
static void test_readers_survive_every_truncation(void **state)
{
	(void)state;
	struct wr w = wr_of(buffer, sizeof buffer);
	struct base_cer c;
	struct base_note n;
	base_cer_write(&w, &me, 1, 1);
	struct slice m = wr_done(&w);
	for (uint32_t len = 0; len < m.len; len++) {
		const uint8_t *cut = guard_copy(&guard, m.p, len);
		base_cer_read(cut, len, &c);
		base_note_read(cut, len, &n);
		assert_true(c.app_cnt <= 2 && c.addr_cnt <= 2);
		assert_true(n.origin_host.len == 0 || n.origin_host.len == 11);
	}
}

// ---- watchdog and disconnection ----

static void test_dwr_dwa(void **state)
{
	(void)state;
	struct wr w = wr_of(request, sizeof request);
	struct base_note n;
	base_dwr_write(&w, &me, 8, 9);
	struct slice m = checked(&w, CMD_DWR);
	base_note_read(m.p, m.len, &n);
	assert_text(n.origin_host, "hss.example");
	assert_text(n.origin_realm, "example");
	assert_int_equal(n.origin_state_id, 1234);
	w = wr_of(buffer, sizeof buffer);
	base_dwa_write(&w, &me, request, 2001);
	m = checked(&w, CMD_DWA);
	assert_int_equal(m.p[4], 0);
	assert_int_equal(be32_get(m.p + HEADER_HBH_OFFSET), 8);
	assert_int_equal(be32_get(m.p + 16), 9);
	base_note_read(m.p, m.len, &n);
	assert_int_equal(n.result, 2001);
	me.origin_state_id = 0;
	w = wr_of(buffer, sizeof buffer);
	base_dwr_write(&w, &me, 8, 9);
	assert_false(has(checked(&w, CMD_DWR), AVP_CODE_Origin_State_Id));
}

static void test_dpr_dpa(void **state)
{
	(void)state;
	struct wr w = wr_of(request, sizeof request);
	struct base_note n;
	base_dpr_write(&w, &me, BASE_BUSY, 8, 9);
	struct slice m = checked(&w, CMD_DPR);
	base_note_read(m.p, m.len, &n);
	assert_int_equal(n.disconnect_cause, 1);
	w = wr_of(buffer, sizeof buffer);
	base_dpa_write(&w, &me, request, 2001);
	m = checked(&w, CMD_DPA);
	base_note_read(m.p, m.len, &n);
	assert_int_equal(n.result, 2001);
	assert_text(n.origin_host, "hss.example");
}

static void test_writers_report_what_does_not_fit(void **state)
{
	(void)state;
	struct wr w = wr_of(buffer, sizeof buffer);
	base_cer_write(&w, &me, 1, 1);
	size_t need = wr_done(&w).len;
	for (size_t cap = 0; cap < need; cap++) {
		w = wr_of(guard_room(&guard, cap), cap);
		base_cer_write(&w, &me, 1, 1);
		assert_true(w.err);
		assert_int_equal(wr_done(&w).len, 0);
	}
}

// ---- error answers ----

static uint32_t air_with_proxies(void)
{
	struct wr w = wr_of(request, sizeof request);
	header_begin(&w, HEADER_R | HEADER_P | HEADER_T, 318, APP_S6A, 0x01020304, 0x05060708);
	avp_put_slice(&w, AVP_CODE_Session_Id, 0, AVP_M, slice_str("a;1;2"));
	for (int i = 0; i < 2; i++) {
		size_t at = avp_group_begin(&w, AVP_CODE_Proxy_Info, 0, AVP_M);
		avp_put_slice(&w, AVP_CODE_Proxy_Host, 0, AVP_M, slice_str(i ? "two" : "one"));
		avp_put(&w, AVP_CODE_Proxy_State, 0, AVP_M, i ? "22" : "1", i ? 2 : 1);
		avp_group_end(&w, at);
	}
	header_finish(&w, 0);
	return wr_done(&w).len;
}

static void test_error_answer_of_an_application(void **state)
{
	(void)state;
	uint32_t len = air_with_proxies();
	struct wr w = wr_of(buffer, sizeof buffer);
	struct verdict v = {0};
	verdict_missing(&v, AVP_ID_User_Name);
	base_answer_error_write(&w, &me, request, len, &v, slice_str("no User-Name"));
	struct slice m = checked(&w, CMD_AIA);
	struct header h;
	header_get(m.p, &h);
	assert_int_equal(h.flags, HEADER_P); // T and R are gone
	assert_int_equal(h.hop_by_hop, 0x01020304);
	assert_int_equal(h.end_to_end, 0x05060708);
	assert_int_equal(h.code, 318);
	assert_int_equal(h.app, APP_S6A);
	assert_text(get(m, AVP_CODE_Session_Id).data, "a;1;2");
	assert_int_equal(get_u32(m, AVP_CODE_Result_Code), 5005);
	assert_int_equal(get_u32(m, AVP_CODE_Auth_Session_State), 1);
	assert_text(get(m, AVP_CODE_Origin_Host).data, "hss.example");
	assert_text(get(m, AVP_CODE_Error_Message).data, "no User-Name");
	assert_memory_equal(get(m, AVP_CODE_Failed_AVP).data.p, "\0\0\0\1\x40\0\0\x08", 8);
	assert_true(has(m, AVP_CODE_Vendor_Specific_Application_Id));
	assert_int_equal(slots[SLOT_AIA_Proxy_Info].cnt, 2);
	// The Proxy-Infos are the same octets in the same order, at the end.
	uint32_t proxies = len - DIAMETER_HEADER_LEN - 16;
	assert_memory_equal(m.p + m.len - proxies, request + len - proxies, proxies);
}

static void test_error_answer_with_e_bit(void **state)
{
	(void)state;
	uint32_t len = air_with_proxies();
	struct wr w = wr_of(buffer, sizeof buffer);
	const struct verdict v = {.result = 3002, .e_bit = true};
	base_answer_error_write(&w, &me, request, len, &v, (struct slice){0});
	struct slice m = checked(&w, CMD_AIA);
	assert_int_equal(m.p[4], HEADER_P | HEADER_E);
	assert_int_equal(get_u32(m, AVP_CODE_Result_Code), 3002);
	assert_int_equal(get_u32(m, AVP_CODE_Origin_State_Id), 1234);
	assert_false(has(m, AVP_CODE_Auth_Session_State));
	assert_false(has(m, AVP_CODE_Vendor_Specific_Application_Id));
	assert_false(has(m, AVP_CODE_Failed_AVP));
	assert_false(has(m, AVP_CODE_Error_Message));
	assert_int_equal(slots[SLOT_AIA_Proxy_Info].cnt, 2);
}

static void test_error_answer_to_a_cer_is_a_cea(void **state)
{
	(void)state;
	struct wr w = wr_of(request, sizeof request);
	struct base_cer c;
	struct verdict v = {0};
	header_begin(&w, HEADER_R, 257, APP_BASE, 1, 1);
	header_finish(&w, 0);
	uint32_t len = wr_done(&w).len;
	assert_false(grammar_check(grammar_by_id(CMD_CER), request, len, slots, &v));
	w = wr_of(buffer, sizeof buffer);
	base_answer_error_write(&w, &me, request, len, &v, (struct slice){0});
	struct slice m = checked(&w, CMD_CEA);
	base_cer_read(m.p, m.len, &c);
	assert_int_equal(c.result, 5005);
	assert_is_me(&c);
	assert_int_equal(be32_get(get(m, AVP_CODE_Failed_AVP).data.p), AVP_CODE_Origin_Host);
}

// Every command, cut at every octet: the answer can always be made and is always well-formed.
static void test_error_answers_to_broken_requests(void **state)
{
	(void)state;
	for (unsigned id = CMD_NONE + 1; id < CMD_CNT; id++) {
		const struct command *cmd = grammar_by_id(id);
		if (!(cmd->flags & HEADER_R))
			continue;
		uint32_t len = example_message(cmd, true, request, sizeof request);
		for (uint32_t cut = DIAMETER_HEADER_LEN; cut < len; cut++) {
			struct verdict v;
			const uint8_t *at = guard_copy(&guard, request, cut);
			be24_put(guard_room(&guard, cut) + 1, cut);
			if (grammar_check(cmd, at, cut, slots, &v))
				continue;
			struct wr w = wr_of(buffer, sizeof buffer);
			base_answer_error_write(&w, &me, at, cut, &v, (struct slice){0});
			struct slice m = wr_done(&w);
			assert_true(m.len > DIAMETER_HEADER_LEN);
			assert_int_equal(be24_get(m.p + 1), m.len);
			assert_int_equal(get_u32(m, AVP_CODE_Result_Code), v.result);
			assert_int_equal(get(m, AVP_CODE_Failed_AVP).data.len, v.failed_len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_cer_reads_back, setup),
	    cmocka_unit_test_setup(test_cea_answers_a_cer, setup),
	    cmocka_unit_test_setup(test_cer_of_peers, setup),
	    cmocka_unit_test_setup(test_cer_of_a_relay, setup),
	    cmocka_unit_test_setup(test_cer_with_broken_vendor_groups, setup),
	    cmocka_unit_test_setup(test_cer_beyond_the_bounds, setup),
	    cmocka_unit_test_setup(test_readers_survive_every_truncation, setup),
	    cmocka_unit_test_setup(test_dwr_dwa, setup),
	    cmocka_unit_test_setup(test_dpr_dpa, setup),
	    cmocka_unit_test_setup(test_writers_report_what_does_not_fit, setup),
	    cmocka_unit_test_setup(test_error_answer_of_an_application, setup),
	    cmocka_unit_test_setup(test_error_answer_with_e_bit, setup),
	    cmocka_unit_test_setup(test_error_answer_to_a_cer_is_a_cea, setup),
	    cmocka_unit_test_setup(test_error_answers_to_broken_requests, setup),
	};
	guard_init(&guard, sizeof request);
	example_enable_all();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

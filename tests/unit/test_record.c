// Documents of the schema's generations: what they become, and what a defect is called.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include <stdio.h>
#include "apps/s6a/admit.h"
#include "loader/document/extjson.h"
#include "loader/document/record.h"
#include "tests/support/readers.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"

#define V3 10415u

static struct record_ctx ctx;
static struct subscription sub;
static struct record_image image;
static struct record_error error;
static json_t *docs[8];
static unsigned doc_cnt;

static int setup(void **state)
{
	(void)state;
	char line[8192];
	FILE *f = fopen(TEST_DATA "/subscribers.jsonl", "r");
	assert_non_null(f);
	assert_int_equal(record_ctx_init(&ctx, test_readers), 0);
	while (fgets(line, sizeof(line), f) && doc_cnt < 8)
		docs[doc_cnt++] = json_loads(line, 0, NULL);
	fclose(f);
	assert_int_equal(doc_cnt, 6);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	while (doc_cnt)
		json_decref(docs[--doc_cnt]);
	record_ctx_fini(&ctx);
	return 0;
}

static void take(unsigned n)
{
	if (!record_parse(&ctx, docs[n - 1], &sub, &error) || !record_build(&ctx, &sub, &image, &error))
		fail_msg("document %u: %s", n, error.text);
}

static struct slice part(unsigned which)
{
	const struct cache_profile *p = ctx.profile;
	const uint8_t *at = p->avps;
	uint32_t len[3] = {p->head_len, p->epc_len, p->gprs_len};
	for (unsigned i = 0; i < which; i++)
		at += len[i];
	return slice_of(at, len[which]);
}

static struct slice need(struct slice group, uint32_t code, uint32_t vendor)
{
	struct avp a;
	if (!avp_find(group, code, vendor, &a))
		fail_msg("AVP %u is missing", code);
	return a.data;
}

static bool has(struct slice group, uint32_t code, uint32_t vendor)
{
	struct avp a;
	return avp_find(group, code, vendor, &a);
}

static uint32_t u32(struct slice group, uint32_t code)
{
	uint32_t v = 0;
	assert_true(avp_u32(need(group, code, V3), &v));
	return v;
}

// Walks everything: known AVPs, lengths that fit, M and V bits as the dictionary says.
static void check_group(struct slice group, unsigned depth)
{
	struct rd r = rd_slice(group);
	struct avp a;
	enum avp_walk w;
	assert_true(depth < 8);
	while ((w = avp_next(&r, &a)) == AVP_WALK_ONE) {
		const struct avp_def *def = dict_find(a.code, a.vendor);
		assert_non_null(def);
		if (def->m == AVP_MUST)
			assert_true(a.flags & AVP_M);
		assert_int_equal(def->vendor != 0, (a.flags & AVP_V) != 0);
		assert_true(a.data.len >= dict_min_len(def));
		if (def->type == AVP_T_GROUPED)
			check_group(a.data, depth + 1);
	}
	assert_int_equal(w, AVP_WALK_END);
}

static struct slice apn(unsigned n)
{
	struct rd r = rd_slice(need(part(1), AVP_CODE_APN_Configuration_Profile, V3));
	struct avp a;
	while (avp_next(&r, &a) == AVP_WALK_ONE)
		if (a.code == AVP_CODE_APN_Configuration && n-- == 0)
			return a.data;
	fail_msg("no such APN");
	return (struct slice){0};
}

static void assert_text(struct slice s, const char *text)
{
	assert_true(slice_eq(s, slice_str(text)));
}

static void every_document_is_well_formed(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= doc_cnt; n++) {
		take(n);
		for (unsigned i = 0; i < 3; i++)
			check_group(part(i), 0);
		assert_int_equal(ctx.profile->len % 4, 0);
		assert_int_equal(ctx.profile->len, sizeof(*ctx.profile) + ctx.profile->head_len +
						       ctx.profile->epc_len + ctx.profile->gprs_len);
		assert_int_equal(ctx.profile->apn_cnt, s6a_part(&sub)->apn_cnt);
		assert_int_equal(image.flags, 0);
	}
}

static void attached_by_the_webui(void **state)
{
	(void)state;
	take(1);
	assert_int_equal(sub.sqn >> 5, 257);
	assert_memory_equal(image.k, "\x46\x5b\x5c\xe8\xb1\x99\xb4\x9f\xaa\x5f\x0a\x2e\xe2\x38\xa6\xbc", 16);
	assert_memory_equal(image.opc, "\xe8\xed\x28\x9d\xeb\xa9\x52\xe4\x28\x3b\x54\xe8\x8e\x61\x83\xca",
			    16);
	assert_text(s6a_part(&sub)->said.serving[S6A_MME].host, "mme07.epc.mnc001.mcc001.3gppnetwork.org");
	assert_int_equal(s6a_part(&sub)->said.serving[S6A_MME].time_us, 1760000000123456);
	assert_int_equal(s6a_part(&sub)->said.serving[S6A_MME].flags, 0);
	assert_int_equal(sub.imeisv & ((1ull << 60) - 1), 3520990017614823);
	assert_int_equal(sub.imeisv >> 60, 15);
	assert_int_equal(image.msisdn[0].v, 0);
	struct slice head = part(0);
	assert_int_equal(u32(head, AVP_CODE_Subscriber_Status), 0);
	assert_int_equal(u32(head, AVP_CODE_Access_Restriction_Data), 32);
	assert_int_equal(u32(head, AVP_CODE_Subscribed_Periodic_RAU_TAU_Timer), 720);
	assert_false(has(head, AVP_CODE_Operator_Determined_Barring, V3));
	assert_int_equal(u32(apn(0), AVP_CODE_PDN_Type), 2);
}

static void volte_with_fast_access(void **state)
{
	(void)state;
	take(2);
	assert_int_equal(s6a_part(&sub)->apn_cnt, 2);
	assert_int_equal(image.msisdn[0].v & ((1ull << 60) - 1), 491700000102);
	assert_int_equal(image.msisdn[1].v & ((1ull << 60) - 1), 491700000103);
	struct slice ambr = need(part(0), AVP_CODE_AMBR, V3);
	assert_int_equal(u32(ambr, AVP_CODE_Max_Requested_Bandwidth_DL), 4294967295u);
	assert_int_equal(u32(ambr, AVP_CODE_Extended_Max_Requested_BW_DL), 10000000);
	assert_int_equal(u32(ambr, AVP_CODE_Max_Requested_Bandwidth_UL), 500000000);
	assert_false(has(ambr, AVP_CODE_Extended_Max_Requested_BW_UL, V3));
	assert_text(need(apn(0), AVP_CODE_Service_Selection, 0), "internet");
	assert_text(need(apn(1), AVP_CODE_Service_Selection, 0), "ims");
	assert_int_equal(u32(apn(1), AVP_CODE_Context_Identifier), 2);
	struct slice qos = need(apn(1), AVP_CODE_EPS_Subscribed_QoS_Profile, V3);
	assert_int_equal(u32(qos, AVP_CODE_QoS_Class_Identifier), 5);
	assert_int_equal(u32(need(qos, AVP_CODE_Allocation_Retention_Priority, V3), AVP_CODE_Priority_Level),
			 1);
	struct slice profile = need(part(1), AVP_CODE_APN_Configuration_Profile, V3);
	assert_int_equal(u32(profile, AVP_CODE_Context_Identifier), 1);
	assert_int_equal(u32(profile, AVP_CODE_All_APN_Configurations_Included_Indicator), 0);
}

static void static_addresses_and_op(void **state)
{
	(void)state;
	take(3);
	// the published OPc of this K and OP (TS 35.208 set 1)
	assert_memory_equal(image.opc, "\xcd\x63\xcb\x71\x95\x4a\x9f\x4e\x48\xa5\x99\x4e\x37\xa0\x2b\xaf",
			    16);
	// the default slice, though it is the second one
	assert_text(need(apn(0), AVP_CODE_Service_Selection, 0), "fixed.example");
	assert_memory_equal(need(apn(0), AVP_CODE_Served_Party_IP_Address, V3).p, "\0\1\x0a\x2d\x09\x09", 6);
	struct slice agent = need(apn(0), AVP_CODE_MIP6_Agent_Info, 0);
	assert_memory_equal(need(agent, AVP_CODE_MIP_Home_Agent_Address, 0).p, "\0\1\xc0\x00\x02\x04", 6);
	assert_int_equal(u32(apn(0), AVP_CODE_PDN_GW_Allocation_Type), 0);
	assert_false(has(apn(1), AVP_CODE_MIP6_Agent_Info, 0));
	struct slice arp = need(need(apn(0), AVP_CODE_EPS_Subscribed_QoS_Profile, V3),
				AVP_CODE_Allocation_Retention_Priority, V3);
	assert_int_equal(u32(arp, AVP_CODE_Pre_emption_Capability), 1);    // 1 of the schema: disabled
	assert_int_equal(u32(arp, AVP_CODE_Pre_emption_Vulnerability), 0); // 2: enabled
	assert_text(need(part(0), AVP_CODE__3GPP_Charging_Characteristics, V3), "0800");
	assert_int_equal(u32(part(0), AVP_CODE_Network_Access_Mode), 2);
	assert_int_equal(u32(part(0), AVP_CODE_Subscribed_Periodic_RAU_TAU_Timer), 1800);
	assert_false(sub.has_sqn);
	struct slice gprs = need(part(2), AVP_CODE_GPRS_Subscription_Data, V3);
	struct slice pdp = need(gprs, AVP_CODE_PDP_Context, V3);
	assert_memory_equal(need(pdp, AVP_CODE_PDP_Type, V3).p, "\xf1\x21", 2);
	assert_memory_equal(need(pdp, AVP_CODE_Ext_PDP_Type, V3).p, "\xf1\x8d", 2);
	assert_int_equal(need(pdp, AVP_CODE_QoS_Subscribed, V3).len, 12);
}

static void barred_by_dbctl(void **state)
{
	(void)state;
	take(4);
	assert_int_equal(u32(part(0), AVP_CODE_Subscriber_Status), 1);
	assert_int_equal(u32(part(0), AVP_CODE_Operator_Determined_Barring), 1 << 8);
	assert_int_equal(ctx.profile->subscriber_status, 1);
	assert_int_equal(ctx.profile->odb, 1 << 8);
	assert_int_equal(u32(need(part(0), AVP_CODE_AMBR, V3), AVP_CODE_Max_Requested_Bandwidth_DL),
			 1000000000);
}

// The number of the WebUI names one category (TS 29.272 7.3.30): 0 is "All Packet Oriented Services Barred".
static void the_number_of_barring_is_the_position_of_a_bit(void **state)
{
	static const uint32_t cases[][2] = {{0, 1}, {1, 2}, {4, 16}, {8, 256}, {9, 9}, {511, 511}};
	json_t *doc = json_deep_copy(docs[0]);
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_object_set_new(doc, "subscriber_status", json_integer(1));
		json_object_set_new(doc, "operator_determined_barring", json_integer(cases[i][0]));
		assert_true(record_parse(&ctx, doc, &sub, &error));
		assert_true(record_build(&ctx, &sub, &image, &error));
		assert_int_equal(ctx.profile->odb, cases[i][1]);
		assert_int_equal(u32(part(0), AVP_CODE_Operator_Determined_Barring), cases[i][1]);
	}
	json_object_set_new(doc, "subscriber_status", json_integer(0));
	assert_true(record_parse(&ctx, doc, &sub, &error));
	assert_true(record_build(&ctx, &sub, &image, &error));
	assert_int_equal(ctx.profile->odb, 0);
	assert_false(has(part(0), AVP_CODE_Operator_Determined_Barring, V3));
	json_decref(doc);
}

static void schema_0(void **state)
{
	(void)state;
	take(5);
	assert_int_equal(s6a_part(&sub)->apn_cnt, 2);
	assert_int_equal(s6a_part(&sub)->dl, 1024000ull * 1024);
	assert_int_equal(sub.sqn, 1985);
	assert_int_equal(u32(apn(0), AVP_CODE_PDN_Type), 2); // Diameter's value already
	assert_int_equal(u32(apn(1), AVP_CODE_PDN_Type), 0);
	assert_memory_equal(need(apn(0), AVP_CODE_Served_Party_IP_Address, V3).p, "\0\1\x0a\x2d\x07\x01", 6);
	assert_int_equal(u32(need(apn(1), AVP_CODE_AMBR, V3), AVP_CODE_Max_Requested_Bandwidth_UL),
			 1530 * 1024);
	struct slice arp = need(need(apn(1), AVP_CODE_EPS_Subscribed_QoS_Profile, V3),
				AVP_CODE_Allocation_Retention_Priority, V3);
	assert_int_equal(u32(arp, AVP_CODE_Pre_emption_Capability), 0);
	assert_true(has(apn(1), AVP_CODE_MIP6_Agent_Info, 0));
}

static void between_the_generations(void **state)
{
	(void)state;
	take(6);
	assert_int_equal(sub.sqn, 97);
	assert_int_equal(s6a_part(&sub)->nam, 2);
	assert_true(s6a_part(&sub)->apn[0].ue4 && s6a_part(&sub)->apn[0].gw4 && s6a_part(&sub)->apn[0].gw6);
	assert_int_equal(u32(apn(0), AVP_CODE_PDN_Type), 0);
}

static void the_same_subscription_has_one_digest(void **state)
{
	uint8_t digest[16];
	(void)state;
	take(1);
	memcpy(digest, ctx.digest, 16);
	take(2);
	assert_memory_not_equal(digest, ctx.digest, 16);
	take(1);
	assert_memory_equal(digest, ctx.digest, 16);
}

static void without_apns_there_is_no_eps(void **state)
{
	(void)state;
	json_t *doc = json_deep_copy(docs[0]);
	json_object_set_new(doc, "slice", json_array());
	assert_true(record_parse(&ctx, doc, &sub, &error));
	assert_true(record_build(&ctx, &sub, &image, &error));
	assert_int_equal(image.flags, RECORD_NO_EPS | RECORD_NO_PACKET);
	assert_int_equal(ctx.profile->epc_len, 0);
	json_decref(doc);
}

// The first one again, under another name.
static void restrictions_of_a_subscriber(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		uint32_t sent; // Core-Network-Restrictions; 0: none
		unsigned zones, flags;
		bool roaming;
	} rows[] = {
		{"{}", 0, 0, 0, false},
		{"{\"core_network_restrictions\":1}", 0, 0, S6A_PROFILE_NO_EPC, false}, // reserved on the wire
		{"{\"core_network_restrictions\":3}", 2, 0, S6A_PROFILE_NO_EPC, false},
		{"{\"core_network_restrictions\":2}", 2, 0, 0, false},
		{"{\"regional_subscription_zone_codes\":[]}", 0, 0, 0, false},
		{"{\"regional_subscription_zone_codes\":[\"0001\",\"abcd\"],\"roaming\":\"x\"}", 0, 2, 0, true},
		{"{\"roaming\":\"\"}", 0, 0, 0, false},
		{"{\"roaming\":[]}", 0, 0, 0, false},
		{"{\"roaming\":[{\"visited\":208,\"action\":\"deny\",\"rats\":\"eutran\",\"result\":\"5421\"}]}", 0, 0, 0, true},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *doc = json_deep_copy(docs[0]), *more = json_loads(rows[i].json, 0, NULL);
		struct avp a;
		unsigned zones = 0;
		assert_non_null(more);
		assert_int_equal(json_object_update(doc, more), 0);
		if (!record_parse(&ctx, doc, &sub, &error) || !record_build(&ctx, &sub, &image, &error))
			fail_msg("%s: %s", rows[i].json, error.text);
		assert_int_equal(has(part(0), AVP_CODE_Core_Network_Restrictions, V3), rows[i].sent != 0);
		if (rows[i].sent)
			assert_int_equal(be32_get(need(part(0), AVP_CODE_Core_Network_Restrictions, V3).p), rows[i].sent);
		struct rd rd = rd_slice(part(0));
		while (avp_next(&rd, &a) == AVP_WALK_ONE) {
			if (a.code != AVP_CODE_Regional_Subscription_Zone_Code)
				continue;
			assert_memory_equal(a.data.p, zones ? "\xab\xcd" : "\x00\x01", 2);
			zones++;
		}
		assert_int_equal(zones, rows[i].zones);
		assert_int_equal(ctx.profile->flags, rows[i].flags);
		assert_int_equal((image.flags & RECORD_ROAMING) != 0, rows[i].roaming);
		assert_int_equal(s6a_profile_own(ctx.profile).len != 0, rows[i].roaming);
		assert_int_equal(ctx.profile->len % 4, 0);
		json_decref(more);
		json_decref(doc);
	}
}

static void append_apn(json_t *list)
{
	json_t *copy = json_deep_copy(json_array_get(list, 0));
	json_object_set_new(copy, "name", json_sprintf("apn%zu", json_array_size(list)));
	json_array_append_new(list, copy);
}

static void fifty_apns_fit(void **state)
{
	(void)state;
	json_t *doc = json_deep_copy(docs[0]);
	json_t *list = json_object_get(json_array_get(json_object_get(doc, "slice"), 0), "session");
	while (json_array_size(list) < APN_LIST_MAX)
		append_apn(list);
	assert_true(record_parse(&ctx, doc, &sub, &error));
	assert_true(record_build(&ctx, &sub, &image, &error));
	assert_int_equal(ctx.profile->apn_cnt, 50);
	check_group(part(1), 0);
	append_apn(list);
	assert_false(record_parse(&ctx, doc, &sub, &error));
	assert_string_equal(error.text, "slice[0].session: expected at most 50, got more");
	json_decref(doc);
}

struct defect {
	const char *path; // of the first document; the last part is what is set
	const char *value;
	const char *message;
};

static const struct defect defects[] = {
    {"security.k", "\"465B5CE8B199B49FAA5F0A2EE238A6B\"", "security.k: expected 32 hex digits, got 31"},
    {"security.k", "\"465B5CE8B199B49FAA5F0A2EE238A6BX\"",
     "security.k: expected 32 hex digits, got other characters"},
    {"security.k", "null", "security.k: expected 32 hex digits, got nothing"},
    {"security.k", "12", "security.k: expected 32 hex digits, got a number"},
    {"security.opc", "null", "security: expected op or opc (there is no per-operator op_file)"},
    {"security.amf", "\"800\"", "security.amf: expected 4 hex digits, got 3"},
    {"security.sqn", "\"64\"", "security.sqn: expected a whole number, got a string"},
    {"security.sqn", "281474976710656", "security.sqn: expected 0 to 281474976710655, got 281474976710656"},
    {"security.sqn", "1.5", "security.sqn: expected a whole number, got a number with a fraction"},
    {"security.sqn", "{\"$numberLong\":\"x\"}", "security.sqn: expected a whole number, got an object"},
    {"security.sqn", "{\"$numberDouble\":\"NaN\"}", "security.sqn: expected a whole number, got an object"},
    {"security.algorithm", "\"xor\"",
     "security.algorithm: xor is for test SIMs and not switched on (s6a.allow_xor)"},
    {"security", "[]", "security: expected an object, got an array"},
    {"imsi", "\"00101\\u000a000000001\"", NULL},
    {"imsi", "1010000000001", "imsi: expected text, got a number"},
    {"imsi", "\"1234\"", "imsi: expected 5 to 15 digits, got \"1234\""},
    {"access_restriction_data", "-1", "access_restriction_data: expected 0 to 4294967295, got -1"},
    {"subscriber_status", "2", "subscriber_status: expected 0 to 1, got 2"},
    {"network_access_mode", "3", "network_access_mode: expected 0 to 2, got 3"},
    {"subscribed_rau_tau_timer", "true",
     "subscribed_rau_tau_timer: expected a whole number, got true or false"},
    {"ambr", "7", "ambr: expected an object, got a number"},
    {"ambr.downlink.unit", "5", "ambr.downlink: expected 0 to 4, got 5"},
    {"slice", "{}", "slice: expected an array, got an object"},
    {"slice.0", "1", "slice[0]: expected an object, got a number"},
    {"slice.0.session", "1", "slice[0].session: expected an array, got a number"},
    {"slice.0.session.0", "[]", "slice[0].session[0]: expected an object, got an array"},
    {"slice.0.session.0.name", "\"\"", "slice[0].session[0].name: expected an APN's name, got nothing"},
    {"slice.0.session.0.name", "\"a b\"",
     "slice[0].session[0].name: expected an APN's name, got blanks or control characters in it"},
    {"slice.0.session.0.type", "6", "slice[0].session[0].type: expected 1 to 5, got 6"},
    {"slice.0.session.0.qos.index", "0", "slice[0].session[0].qos.index: expected 1 to 254, got 0"},
    {"slice.0.session.0.qos.arp.priority_level", "16",
     "slice[0].session[0].qos.arp.priority_level: expected 1 to 15, got 16"},
    {"slice.0.session.0.qos.arp.pre_emption_capability", "0",
     "slice[0].session[0].qos.arp.pre_emption_capability: expected 1 to 2, got 0"},
    {"slice.0.session.0.ue", "{\"ipv4\":\"10.0.0.256\"}",
     "slice[0].session[0].ue.ipv4: expected an IPv4 address, got \"10.0.0.256\""},
    {"slice.0.session.0.smf", "{\"ipv6\":\"10.0.0.1\"}",
     "slice[0].session[0].smf.ipv6: expected an IPv6 address, got \"10.0.0.1\""},
    {"charging_characteristics", "\"08\"", "charging_characteristics: expected 4 hex digits, got 2"},
};

static void put_at(json_t *at, const char *path, json_t *value)
{
	char part[64];
	const char *dot;
	while ((dot = strchr(path, '.'))) {
		snprintf(part, sizeof(part), "%.*s", (int)(dot - path), path);
		at = json_is_array(at) ? json_array_get(at, (size_t)atoi(part)) : json_object_get(at, part);
		path = dot + 1;
	}
	if (json_is_array(at))
		json_array_set_new(at, (size_t)atoi(path), value);
	else
		json_object_set_new(at, path, value);
}

static void defects_are_called_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(defects) / sizeof(defects[0]); i++) {
		const struct defect *d = &defects[i];
		json_t *doc = json_deep_copy(docs[0]);
		json_t *value = json_loads(d->value, JSON_DECODE_ANY, NULL);
		assert_non_null(value);
		put_at(doc, d->path, value);
		error.text[0] = 0;
		if (record_parse(&ctx, doc, &sub, &error))
			fail_msg("%s = %s was taken", d->path, d->value);
		if (d->message)
			assert_string_equal(error.text, d->message);
		assert_null(strstr(error.text, "465B5CE8")); // no key in a message
		json_decref(doc);
	}
}

static void every_field_may_have_every_type(void **state)
{
	// none of it may crash, and none of it makes a profile that can't be walked
	static const char *const values[] = {"null",    "true",
					     "[]",      "{}",
					     "\"\"",    "-9223372036854775808",
					     "1e308",   "{\"value\":{\"value\":1}}",
					     "[[[1]]]", "9223372036854775807"};
	(void)state;
	for (size_t i = 0; i < sizeof(defects) / sizeof(defects[0]); i++)
		for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
			json_t *doc = json_deep_copy(docs[0]);
			put_at(doc, defects[i].path, json_loads(values[j], JSON_DECODE_ANY, NULL));
			if (record_parse(&ctx, doc, &sub, &error)) {
				assert_true(record_build(&ctx, &sub, &image, &error));
				check_group(part(1), 0);
			}
			json_decref(doc);
		}
}

// What is wrong with one number or one APN is left out and named: the subscriber is served with the others.
static void what_is_left_out_is_named(void **state)
{
	static const struct {
		const char *path, *value, *message;
		unsigned apns, numbers;
	} cases[] = {
	    {"msisdn", "[491510000001,\"491510000002\"]", "msisdn[0]: expected text, got a number", 2, 1},
	    {"msisdn", "491510000001", "msisdn[0]: expected text, got a number", 2, 0},
	    {"msisdn", "[\"12x\"]", "msisdn[0]: expected 1 to 15 digits, got other text", 2, 0},
	    {"msisdn", "\"4915\"", "", 2, 1},
	    {"slice.0.session.1.type", "4", "slice[0].session[1].type: expected 1 to 3, got 4, which only 5G has", 1, 1},
	    {"slice.0.session.0.type", "{\"$numberInt\":\"5\"}",
	     "slice[0].session[0].type: expected 1 to 3, got 5, which only 5G has", 1, 1},
	    {"slice.0.session.1.name", "\"Internet\"",
	     "slice[0].session[1].name: expected each APN once, got \"Internet\" twice", 1, 1},
	    {"slice.0.session.1.name", "\"1234567890123456789012345678901234567890123456789012345678901234567890\"",
	     "slice[0].session[1].name: expected labels of at most 63 octets, got a longer one", 1, 1},
	    {"slice.0.session.1.name", "\"ims.mnc001.mcc001.gprs\"",
	     "slice[0].session[1].name: expected the network identifier alone, got one with an operator identifier "
	     "(.mnc...mcc....gprs)",
	     1, 1},
	    {"slice.0.session.1.name", "\"a..b\"",
	     "slice[0].session[1].name: expected labels with a dot between them, got an empty label", 1, 1},
	    {"slice.0.session.1.name", "\"*\"", "", 2, 1},
	    {"slice.0.session.1.ue", "{\"ipv4\":\"300.0.0.1\"}",
	     "slice[0].session[1].ue.ipv4: expected an IPv4 address, got \"300.0.0.1\"", 1, 1},
	    {"slice.0.session.1", "7", "slice[0].session[1]: expected an object, got a number", 1, 1},
	};
	json_t *two = json_deep_copy(docs[0]);
	(void)state;
	append_apn(json_object_get(json_array_get(json_object_get(two, "slice"), 0), "session"));
	json_object_set_new(two, "msisdn", json_pack("[s]", "4915"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *doc = json_deep_copy(two);
		put_at(doc, cases[i].path, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		if (!record_parse(&ctx, doc, &sub, &error))
			fail_msg("%s = %s: %s", cases[i].path, cases[i].value, error.text);
		char *tail = strstr(error.text, " (left out)");
		assert_int_equal(tail != NULL, cases[i].message[0] != 0);
		if (tail)
			*tail = 0;
		assert_string_equal(error.text, cases[i].message);
		assert_int_equal(s6a_part(&sub)->apn_cnt, cases[i].apns);
		assert_int_equal((sub.msisdn[0].v != 0) + (sub.msisdn[1].v != 0), cases[i].numbers);
		json_decref(doc);
	}
	json_decref(two);
}

// One that has only 5G's sessions is known, without EPS.
static void a_subscriber_of_5g_alone_is_known(void **state)
{
	json_t *doc = json_deep_copy(docs[0]);
	(void)state;
	put_at(doc, "slice.0.session.0.type", json_integer(4));
	assert_true(record_parse(&ctx, doc, &sub, &error));
	assert_true(record_build(&ctx, &sub, &image, &error));
	assert_int_equal(image.flags, RECORD_NO_EPS | RECORD_NO_PACKET);
	json_decref(doc);
}

static void rates_saturate(void **state)
{
	(void)state;
	json_t *doc = json_deep_copy(docs[0]);
	put_at(doc, "ambr.downlink", json_loads("{\"value\":9223372036854775807,\"unit\":4}", 0, NULL));
	assert_true(record_parse(&ctx, doc, &sub, &error));
	assert_true(record_build(&ctx, &sub, &image, &error));
	assert_int_equal(u32(need(part(0), AVP_CODE_AMBR, V3), AVP_CODE_Extended_Max_Requested_BW_DL),
			 4294967295u);
	json_decref(doc);
}

static void xor_when_it_is_allowed(void **state)
{
	(void)state;
	json_t *doc = json_deep_copy(docs[0]);
	put_at(doc, "security.algorithm", json_string("xor"));
	put_at(doc, "security.opc", json_null());
	ctx.allow_xor = true;
	assert_true(record_parse(&ctx, doc, &sub, &error));
	ctx.allow_xor = false;
	assert_int_equal(sub.alg, ALG_XOR);
	json_decref(doc);
}

static void the_operators_op(void **state)
{
	(void)state;
	json_t *doc = json_deep_copy(docs[2]);
	put_at(doc, "security.op", json_null());
	assert_true(hex_parse(slice_str("cdc202d5123e20f62b6d676ac72cb318"), ctx.op, 16));
	ctx.has_op = true;
	assert_true(record_parse(&ctx, doc, &sub, &error));
	ctx.has_op = false;
	assert_memory_equal(sub.opc, "\xcd\x63\xcb\x71\x95\x4a\x9f\x4e\x48\xa5\x99\x4e\x37\xa0\x2b\xaf", 16);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_document_is_well_formed),
	    cmocka_unit_test(attached_by_the_webui),
	    cmocka_unit_test(volte_with_fast_access),
	    cmocka_unit_test(static_addresses_and_op),
	    cmocka_unit_test(barred_by_dbctl),
	    cmocka_unit_test(the_number_of_barring_is_the_position_of_a_bit),
	    cmocka_unit_test(schema_0),
	    cmocka_unit_test(between_the_generations),
	    cmocka_unit_test(the_same_subscription_has_one_digest),
	    cmocka_unit_test(without_apns_there_is_no_eps),
	    cmocka_unit_test(restrictions_of_a_subscriber), cmocka_unit_test(fifty_apns_fit),
	    cmocka_unit_test(defects_are_called_by_name),
	    cmocka_unit_test(every_field_may_have_every_type),
	    cmocka_unit_test(what_is_left_out_is_named),
	    cmocka_unit_test(a_subscriber_of_5g_alone_is_known),
	    cmocka_unit_test(rates_saturate),
	    cmocka_unit_test(xor_when_it_is_allowed),
	    cmocka_unit_test(the_operators_op),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

// Write-back as BSON: every field with its type, the filters, and who is to blame for an error. S6a's state is the example.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "apps/s6a/loader.h"
#include "loader/upstream/mongo/mongo_update.h"

static struct mongo_op ops[MONGO_OPS_MAX];
static struct up_fields fields;

static struct up_write write_of(uint32_t what)
{
	struct up_write w = {.what = what};
	assert_true(imsi_parse(slice_str("001010000000001"), &w.imsi));
	return w;
}

static struct up_write write_of_fields(uint32_t what)
{
	struct up_write w = write_of(what);
	w.field = fields.field;
	w.field_cnt = fields.cnt;
	return w;
}

static struct up_write write_of_state(const struct s6a_state *s)
{
	fields.cnt = fields.updates = fields.used = 0;
	s6a_state_fields(s, &fields);
	return write_of_fields(UP_WRITE_STATE);
}

static void is(const bson_t *b, const char *json)
{
	char *text = bson_as_canonical_extended_json(b, NULL);
	assert_string_equal(text, json);
	assert_true(bson_validate(b, BSON_VALIDATE_UTF8, NULL));
	bson_free(text);
}

static void one_op(const struct up_write *w, const char *filter, const char *update)
{
	assert_int_equal(mongo_update_ops(w, 2, ops), 1);
	is(&ops[0].filter, filter);
	is(&ops[0].update, update);
	mongo_op_fini(&ops[0]);
}

#define IMSI     "{ \"imsi\" : \"001010000000001\""
#define OLDER(T) ", \"mme_timestamp\" : { \"$not\" : { \"$gt\" : { \"$numberLong\" : \"" T "\" } } } }"
#define INT1     "{ \"$numberInt\" : \"1\" }"
#define INT2     "{ \"$numberInt\" : \"2\" }"

static void location(void **state)
{
	struct s6a_state at = {.imeisv = 15ull << 60 | 301816125816151ull};
	struct s6a_serving *mme = &at.serving[S6A_MME];
	(void)state;
	*mme = (struct s6a_serving){.host = slice_str("mme.test"), .realm = slice_str("test"), .time_us = 1753612345678901};
	memcpy(mme->plmn, "\x00\xf1\x10", 3);
	struct up_write w = write_of_state(&at);
	one_op(
	    &w, IMSI OLDER("1753612345678901"),
	    "{ \"$set\" : { \"mme_host\" : \"mme.test\", \"mme_realm\" : \"test\", \"purge_flag\" : false, "
	    "\"corehss.mme_plmn\" : \"00101\", \"mme_timestamp\" : { \"$numberLong\" : \"1753612345678901\" "
	    "}, "
	    "\"imeisv\" : \"0301816125816151\", \"corehss.node\" : " INT2 " } }");
	mme->flags = SERVING_PURGED;
	at.imeisv = 0;
	memset(mme->plmn, 0, 3); // not a PLMN
	w = write_of_state(&at);
	one_op(&w, IMSI OLDER("1753612345678901"),
	       "{ \"$set\" : { \"mme_host\" : \"mme.test\", \"mme_realm\" : \"test\", \"purge_flag\" : true, "
	       "\"mme_timestamp\" : { \"$numberLong\" : \"1753612345678901\" }, \"corehss.node\" : " INT2
	       " }, \"$unset\" : { \"corehss.mme_plmn\" : " INT1 " } }");
}

// The time of the removal stays: what is older must not come back.
static void location_removed(void **state)
{
	struct s6a_state at = {.serving[S6A_MME] = {.time_us = 7}};
	struct up_write w = write_of_state(&at);
	(void)state;
	one_op(&w, IMSI OLDER("7"),
	       "{ \"$set\" : { \"mme_timestamp\" : { \"$numberLong\" : \"7\" }, \"corehss.node\" : " INT2
	       " }, \"$unset\" : { \"mme_host\" : " INT1 ", \"mme_realm\" : " INT1 ", \"purge_flag\" : " INT1
	       ", \"corehss.mme_plmn\" : " INT1 " } }");
}

// What others wrote of an MME that we never knew is left alone.
static void sgsn_only(void **state)
{
	struct s6a_state at = {0};
	struct s6a_serving *sgsn = &at.serving[S6A_SGSN];
	(void)state;
	*sgsn = (struct s6a_serving){.host = slice_str("sgsn.test"), .realm = slice_str("test"), .time_us = 5};
	memcpy(sgsn->plmn, "\x99\xf9\x07", 3);
	struct up_write w = write_of_state(&at);
	one_op(&w,
	       IMSI
	       ", \"corehss.sgsn_timestamp\" : { \"$not\" : { \"$gt\" : { \"$numberLong\" : \"5\" } } } }",
	       "{ \"$set\" : { \"corehss.sgsn_host\" : \"sgsn.test\", \"corehss.sgsn_realm\" : \"test\", "
	       "\"corehss.sgsn_purged\" : false, \"corehss.sgsn_plmn\" : \"99970\", "
	       "\"corehss.sgsn_timestamp\" : { "
	       "\"$numberLong\" : \"5\" }, \"corehss.node\" : " INT2 " } }");
	*sgsn = (struct s6a_serving){.time_us = 5};
	w = write_of_state(&at);
	one_op(&w,
	       IMSI
	       ", \"corehss.sgsn_timestamp\" : { \"$not\" : { \"$gt\" : { \"$numberLong\" : \"5\" } } } }",
	       "{ \"$set\" : { \"corehss.sgsn_timestamp\" : { \"$numberLong\" : \"5\" }, \"corehss.node\" : " INT2
	       " }, \"$unset\" : { \"corehss.sgsn_host\" : " INT1 ", \"corehss.sgsn_realm\" : " INT1
	       ", \"corehss.sgsn_purged\" : " INT1 ", \"corehss.sgsn_plmn\" : " INT1 " } }");
	// nor of an SGSN
	sgsn->time_us = 0;
	w = write_of_state(&at);
	assert_int_equal(mongo_update_ops(&w, 2, ops), 0);
	at.imeisv = 13ull << 60 | 30181612581615ull;
	w = write_of_state(&at);
	one_op(&w, IMSI " }", "{ \"$set\" : { \"imeisv\" : \"30181612581615\" } }");
}

// What an application writes, whatever it is: updates one after the other.
static void any_application(void **state)
{
	static const char *const text[] = {"{ \"$set\" : { \"corehss.x\" : \"AP8=\", "
					   "\"corehss.time\" : { \"$numberLong\" : \"9\" }, \"corehss.node\" : " INT2 " } }",
					   "{ \"$unset\" : { \"corehss.y\" : " INT1 " } }"};
	(void)state;
	fields.cnt = fields.updates = fields.used = 0;
	up_update_begin(&fields, "corehss.time", 9);
	up_set_text(&fields, "corehss.x", slice_str("AP8="));
	up_set_int64(&fields, "corehss.time", 9);
	up_update_begin(&fields, NULL, 0);
	up_unset(&fields, "corehss.y");
	struct up_field *copy = up_fields_copy(&fields);
	struct up_write w = write_of_fields(UP_WRITE_STATE);
	w.field = copy;
	memset(fields.octets, 0, sizeof(fields.octets));
	assert_int_equal(mongo_update_ops(&w, 2, ops), 2);
	for (unsigned i = 0; i < 2; i++) {
		is(&ops[i].update, text[i]);
		mongo_op_fini(&ops[i]);
	}
	free(copy);
}

#define OBJECT     ", \"security\" : { \"$type\" : \"object\" }"
#define SQN(OP, N) "{ \"" OP "\" : { \"security.sqn\" : { \"$numberLong\" : \"" N "\" } } }"

static void sqns(void **state)
{
	struct up_write w = write_of(UP_WRITE_SQN);
	(void)state;
	w.sqn = 4129;
	one_op(&w,
	       IMSI OBJECT ", \"$or\" : [ { \"security.sqn\" : { \"$type\" : \"number\" } }, "
			   "{ \"security.sqn\" : { \"$exists\" : false } } ] }",
	       SQN("$max", "4129"));
	w.what = UP_WRITE_NORMALISE;
	w.seen = 4097;
	one_op(&w, IMSI OBJECT ", \"security.sqn\" : { \"$numberLong\" : \"4097\" } }", SQN("$set", "4129"));
	w.seen = 5000;
	one_op(&w, IMSI OBJECT ", \"security.sqn\" : { \"$numberLong\" : \"5000\" } }", SQN("$set", "5000"));
	w.seen_missing = true;
	one_op(&w, IMSI OBJECT ", \"security.sqn\" : { \"$exists\" : false } }", SQN("$set", "4129"));
}

static void all_at_once(void **state)
{
	(void)state;
	fields.cnt = fields.updates = fields.used = 0;
	for (unsigned i = 0; i < UP_UPDATES_MAX; i++) {
		up_update_begin(&fields, "time", i);
		up_set_text(&fields, "name", slice_str("m"));
	}
	struct up_write w = write_of_fields(UP_WRITE_STATE | UP_WRITE_SQN | UP_WRITE_NORMALISE);
	assert_int_equal(mongo_update_ops(&w, 0, ops), MONGO_OPS_MAX);
	for (unsigned i = 0; i < MONGO_OPS_MAX; i++) {
		bson_iter_t at;
		assert_true(bson_iter_init_find(&at, &ops[i].filter, "imsi"));
		assert_false(bson_iter_init_find(&at, &ops[i].update, "upsert"));
		mongo_op_fini(&ops[i]);
	}
	w.what = 0;
	assert_int_equal(mongo_update_ops(&w, 0, ops), 0);
}

static void blame(void **state)
{
	(void)state;
	assert_int_equal(mongo_update_blame(14, "Cannot apply $max"), MONGO_BLAME_DOCUMENT);
	assert_int_equal(mongo_update_blame(121, "Document failed validation"), MONGO_BLAME_DOCUMENT);
	assert_int_equal(mongo_update_blame(10107, "not master"), MONGO_BLAME_SERVER);
	assert_int_equal(mongo_update_blame(91, "shutdown in progress"), MONGO_BLAME_SERVER);
	assert_int_equal(mongo_update_blame(14031, "No space"), MONGO_BLAME_SERVER);
	assert_int_equal(mongo_update_blame(2, "you are over your space Quota"), MONGO_BLAME_SERVER);
	assert_int_equal(mongo_update_blame(4711, "?"), MONGO_BLAME_UNKNOWN);
	assert_int_equal(mongo_update_blame(0, ""), MONGO_BLAME_UNKNOWN);
}

// What the server quotes of a document stays there: it may be a key.
static void reply(void **state)
{
	static const char text[] =
	    "{\"writeErrors\":[{\"index\":3,\"code\":28,\"errmsg\":\"Cannot create field 'sqn' in "
	    "element {security: [ { k: \\\"00\\\" } ]}\"},{\"index\":4,\"code\":{\"$numberLong\":"
	    "\"14\"}},5],\"writeConcernErrors\":{}}";
	struct mongo_error e;
	bson_t *b = bson_new_from_json((const uint8_t *)text, -1, NULL);
	(void)state;
	assert_non_null(b);
	struct mongo_errors at = mongo_errors_of(b, "writeErrors");
	assert_true(mongo_errors_next(&at, &e));
	assert_int_equal(e.index, 3);
	assert_int_equal(e.code, 28);
	assert_string_equal(e.text, "Cannot create field 'sqn' in element");
	assert_true(mongo_errors_next(&at, &e));
	assert_int_equal(e.code, 14);
	assert_string_equal(e.text, "");
	assert_true(mongo_errors_next(&at, &e));
	assert_int_equal(e.index, -1);
	assert_false(mongo_errors_next(&at, &e));
	at = mongo_errors_of(b, "writeConcernErrors");
	assert_false(mongo_errors_next(&at, &e));
	at = mongo_errors_of(b, "none");
	assert_false(mongo_errors_next(&at, &e));
	bson_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(location), cmocka_unit_test(location_removed), cmocka_unit_test(sgsn_only),
	    cmocka_unit_test(sqns),     cmocka_unit_test(all_at_once),      cmocka_unit_test(blame),
	    cmocka_unit_test(any_application),   cmocka_unit_test(reply),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

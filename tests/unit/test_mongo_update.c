// Write-back as BSON: every field with its type, the filters, and who is to blame for an error.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "loader/upstream/mongo/mongo_update.h"

static struct mongo_op ops[MONGO_OPS_MAX];

static struct up_write write_of(uint32_t what)
{
	struct up_write w = {.what = what};
	assert_true(imsi_parse(slice_str("001010000000001"), &w.imsi));
	return w;
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
	struct up_write w = write_of(UP_WRITE_STATE);
	(void)state;
	snprintf(w.mme_host, sizeof(w.mme_host), "mme.test");
	snprintf(w.mme_realm, sizeof(w.mme_realm), "test");
	w.mme_time_us = 1753612345678901;
	memcpy(w.mme_plmn, "\x00\xf1\x10", 3);
	w.imeisv = 15ull << 60 | 301816125816151ull;
	one_op(
	    &w, IMSI OLDER("1753612345678901"),
	    "{ \"$set\" : { \"mme_host\" : \"mme.test\", \"mme_realm\" : \"test\", \"purge_flag\" : false, "
	    "\"corehss.mme_plmn\" : \"00101\", \"mme_timestamp\" : { \"$numberLong\" : \"1753612345678901\" "
	    "}, "
	    "\"imeisv\" : \"0301816125816151\", \"corehss.node\" : " INT2 " } }");
	w.mme_purged = true;
	w.imeisv = 0;
	memset(w.mme_plmn, 0, 3); // not a PLMN
	one_op(&w, IMSI OLDER("1753612345678901"),
	       "{ \"$set\" : { \"mme_host\" : \"mme.test\", \"mme_realm\" : \"test\", \"purge_flag\" : true, "
	       "\"mme_timestamp\" : { \"$numberLong\" : \"1753612345678901\" }, \"corehss.node\" : " INT2
	       " }, \"$unset\" : { \"corehss.mme_plmn\" : " INT1 " } }");
}

// The time of the removal stays: what is older must not come back.
static void location_removed(void **state)
{
	struct up_write w = write_of(UP_WRITE_STATE);
	(void)state;
	w.mme_time_us = 7;
	one_op(&w, IMSI OLDER("7"),
	       "{ \"$set\" : { \"mme_timestamp\" : { \"$numberLong\" : \"7\" }, \"corehss.node\" : " INT2
	       " }, \"$unset\" : { \"mme_host\" : " INT1 ", \"mme_realm\" : " INT1 ", \"purge_flag\" : " INT1
	       ", \"corehss.mme_plmn\" : " INT1 " } }");
}

// What others wrote of an MME that we never knew is left alone.
static void sgsn_only(void **state)
{
	struct up_write w = write_of(UP_WRITE_STATE);
	(void)state;
	snprintf(w.sgsn_host, sizeof(w.sgsn_host), "sgsn.test");
	snprintf(w.sgsn_realm, sizeof(w.sgsn_realm), "test");
	w.sgsn_time_us = 5;
	memcpy(w.sgsn_plmn, "\x99\xf9\x07", 3);
	one_op(&w,
	       IMSI
	       ", \"corehss.sgsn_timestamp\" : { \"$not\" : { \"$gt\" : { \"$numberLong\" : \"5\" } } } }",
	       "{ \"$set\" : { \"corehss.sgsn_host\" : \"sgsn.test\", \"corehss.sgsn_realm\" : \"test\", "
	       "\"corehss.sgsn_purged\" : false, \"corehss.sgsn_plmn\" : \"99970\", "
	       "\"corehss.sgsn_timestamp\" : { "
	       "\"$numberLong\" : \"5\" }, \"corehss.node\" : " INT2 " } }");
	w.sgsn_host[0] = 0;
	one_op(&w,
	       IMSI
	       ", \"corehss.sgsn_timestamp\" : { \"$not\" : { \"$gt\" : { \"$numberLong\" : \"5\" } } } }",
	       "{ \"$set\" : { \"corehss.sgsn_timestamp\" : { \"$numberLong\" : \"5\" }, \"corehss.node\" : " INT2
	       " }, \"$unset\" : { \"corehss.sgsn_host\" : " INT1 ", \"corehss.sgsn_realm\" : " INT1
	       ", \"corehss.sgsn_plmn\" : " INT1 ", \"corehss.sgsn_purged\" : " INT1 " } }");
	// nor of an SGSN
	w.sgsn_time_us = 0;
	assert_int_equal(mongo_update_ops(&w, 2, ops), 0);
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
	struct up_write w = write_of(UP_WRITE_STATE | UP_WRITE_SQN | UP_WRITE_NORMALISE);
	(void)state;
	snprintf(w.mme_host, sizeof(w.mme_host), "m");
	snprintf(w.sgsn_host, sizeof(w.sgsn_host), "s");
	w.mme_time_us = w.sgsn_time_us = 9;
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
	    cmocka_unit_test(reply),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

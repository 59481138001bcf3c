// Provisioning as BSON: what the WebUI of Open5GS expects in a document, what a replacement keeps, what is
// refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "loader/upstream/mongo/mongo_change.h"

#define OID "66daf45a3085de0011a1de01"

static struct mongo_change c;
static char reason[MONGO_REASON_MAX];

static json_t *json_of(const char *text)
{
	json_error_t e;
	json_t *j = json_loads(text, 0, &e);
	if (!j)
		fail_msg("%s: %s", text, e.text);
	return j;
}

// Canonical text of what is at `path` of the update; static.
static const char *at(const char *path)
{
	static char out[2048];
	bson_iter_t top, found;
	bson_t one = BSON_INITIALIZER;
	assert_true(bson_iter_init(&top, &c.update));
	if (!bson_iter_find_descendant(&top, path, &found)) {
		bson_destroy(&one);
		return "none";
	}
	assert_true(bson_append_iter(&one, "v", 1, &found));
	char *text = bson_as_canonical_extended_json(&one, NULL);
	snprintf(out, sizeof(out), "%.*s", (int)strlen(text) - 10, text + 8); // without { "v" : and }
	bson_free(text);
	bson_destroy(&one);
	return out;
}

// The member of a sub-document whose name has dots in it.
static const char *in(const char *operator, const char * name)
{
	static char out[2048];
	bson_iter_t top, member;
	bson_t one = BSON_INITIALIZER;
	snprintf(out, sizeof(out), "none");
	if (bson_iter_init_find(&top, &c.update, operator) && bson_iter_recurse(&top, &member) &&
	    bson_iter_find(&member, name)) {
		assert_true(bson_append_iter(&one, "v", 1, &member));
		char *text = bson_as_canonical_extended_json(&one, NULL);
		snprintf(out, sizeof(out), "%.*s", (int)strlen(text) - 10, text + 8);
		bson_free(text);
	}
	bson_destroy(&one);
	return out;
}

static bool add(const char *text)
{
	json_t *j = json_of(text);
	bool ok = mongo_change_add(j, &c, reason);
	json_decref(j);
	return ok;
}

static bool set(const char *text)
{
	json_t *j = json_of(text);
	bool ok = mongo_change_set(j, &c, reason);
	json_decref(j);
	return ok;
}

static bool replace(const char *text, const char *old)
{
	bson_error_t e;
	json_t *j = json_of(text);
	bson_t *b = old ? bson_new_from_json((const uint8_t *)old, -1, &e) : NULL;
	assert_true(!old || b);
	bool ok = mongo_change_replace(j, b, &c, reason);
	json_decref(j);
	if (b)
		bson_destroy(b);
	return ok;
}

#define DOC                                                                                                  \
	"{\"imsi\":\"001010000000001\",\"security\":{\"k\":\"0A\",\"opc\":\"0b\",\"sqn\":64},\"ambr\":{"     \
	"\"uplink\":"                                                                                        \
	"{\"value\":1,\"unit\":3}},\"slice\":[{\"sst\":1,\"session\":[{\"name\":\"internet\",\"pcc_rule\":[" \
	"{}]},"                                                                                              \
	"{\"_id\":{\"$oid\":\"" OID                                                                          \
	"\"},\"name\":\"ims\"}]}],\"mme_timestamp\":5,\"big\":{\"$numberLong\":\"7\"},"                      \
	"\"ratio\":1.5}"

static void as_the_webui(void **state)
{
	(void)state;
	assert_true(add(DOC));
	assert_true(c.upsert);
	assert_string_equal(at("$setOnInsert.imsi"), "none"); // of the filter
	assert_string_equal(at("$setOnInsert.schema_version"), "{ \"$numberInt\" : \"1\" }");
	assert_string_equal(at("$setOnInsert.__v"), "{ \"$numberInt\" : \"0\" }");
	static const char *const empty[] = {"msisdn", "imeisv", "mme_host", "mme_realm", "purge_flag"};
	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		char path[64];
		snprintf(path, sizeof(path), "$setOnInsert.%s", empty[i]);
		// libbson 1.23 writes two spaces, later ones write one
		const char *value = at(path);
		assert_true(value[0] == '[' && value[strspn(value + 1, " ") + 1] == ']');
	}
	assert_string_equal(at("$setOnInsert.security.sqn"), "{ \"$numberLong\" : \"64\" }");
	assert_string_equal(at("$setOnInsert.security.op"), "null");
	assert_string_equal(at("$setOnInsert.security.k"), "\"0A\"");
	assert_string_equal(at("$setOnInsert.mme_timestamp"), "{ \"$numberLong\" : \"5\" }");
	assert_string_equal(at("$setOnInsert.ambr.uplink.value"), "{ \"$numberInt\" : \"1\" }");
	assert_string_equal(at("$setOnInsert.big"), "{ \"$numberLong\" : \"7\" }");
	assert_string_equal(at("$setOnInsert.ratio"), "{ \"$numberDouble\" : \"1.5\" }");
	assert_memory_equal(at("$setOnInsert._id"), "{ \"$oid\"", 8);
	assert_memory_equal(at("$setOnInsert.slice.0._id"), "{ \"$oid\"", 8);
	assert_memory_equal(at("$setOnInsert.slice.0.session.0._id"), "{ \"$oid\"", 8);
	assert_memory_equal(at("$setOnInsert.slice.0.session.0.pcc_rule.0._id"), "{ \"$oid\"", 8);
	assert_string_equal(at("$setOnInsert.slice.0.session.1._id"), "{ \"$oid\" : \"" OID "\" }");
	mongo_change_fini(&c);
}

static void the_old_schema_stays(void **state)
{
	(void)state;
	assert_true(add("{\"imsi\":\"1\",\"_id\":{\"$oid\":\"" OID "\"},\"pdn\":[{\"apn\":\"a\"}]}"));
	assert_string_equal(at("$setOnInsert.schema_version"), "none");
	assert_memory_equal(at("$setOnInsert.pdn.0._id"), "{ \"$oid\"", 8);
	assert_string_equal(at("$setOnInsert._id"), "{ \"$oid\" : \"" OID "\" }");
	char text[25];
	bson_oid_to_string(&c.id, text);
	assert_string_equal(text, OID);
	mongo_change_fini(&c);
}

#define OLD                                                                                                  \
	"{\"_id\":1,\"imsi\":\"001010000000001\",\"mine\":1,\"pdn\":[],\"security\":{\"k\":\"0 "             \
	"a\",\"opc\":\"0B\","                                                                                \
	"\"op\":null,\"sqn\":5000,\"x\":1}}"

static void replacement(void **state)
{
	(void)state;
	assert_true(replace(DOC, OLD));
	assert_false(c.upsert);
	assert_string_equal(in("$set", "security.k"), "\"0A\"");
	assert_string_equal(in("$set", "security.op"), "null");
	assert_string_equal(in("$max", "security.sqn"), "{ \"$numberLong\" : \"64\" }"); // the same keys
	assert_string_equal(in("$set", "security.sqn"), "none");
	assert_string_equal(in("$unset", "security.amf"), "{ \"$numberInt\" : \"1\" }");
	assert_string_equal(in("$unset", "pdn"), "{ \"$numberInt\" : \"1\" }");
	assert_string_equal(in("$unset", "mine"), "none");
	assert_string_equal(in("$unset", "schema_version"), "none");
	assert_string_equal(in("$set", "schema_version"), "{ \"$numberInt\" : \"1\" }");
	assert_string_equal(in("$set", "mme_timestamp"), "none"); // its location is not the operator's
	assert_string_equal(in("$set", "_id"), "none");
	assert_string_equal(in("$set", "imsi"), "none");
	assert_memory_equal(at("$set.slice.0._id"), "{ \"$oid\"", 8);
	mongo_change_fini(&c);

	assert_true(replace("{\"security\":{\"k\":\"0C\",\"opc\":\"0b\",\"sqn\":64}}", OLD)); // another key
	assert_string_equal(in("$set", "security.sqn"), "{ \"$numberLong\" : \"64\" }");
	assert_string_equal(in("$max", "security.sqn"), "none");
	mongo_change_fini(&c);

	assert_true(replace("{\"security\":{\"k\":\"0C\",\"sqn\":64}}", "{\"security\":null}"));
	assert_string_equal(at("$set.security.sqn"), "{ \"$numberLong\" : \"64\" }");
	mongo_change_fini(&c);

	assert_true(replace(DOC, NULL));
	assert_true(c.upsert);
	assert_string_equal(at("$setOnInsert.security.sqn"), "{ \"$numberLong\" : \"64\" }");
	mongo_change_fini(&c);
}

static void single_fields(void **state)
{
	(void)state;
	assert_true(set(
	    "{\"$set\":{\"security.sqn\":7,\"slice\":[{}],\"subscriber_status\":1},\"$unset\":{\"x\":1}}"));
	assert_false(c.upsert);
	assert_string_equal(in("$set", "security.sqn"), "{ \"$numberLong\" : \"7\" }");
	assert_string_equal(in("$set", "subscriber_status"), "{ \"$numberInt\" : \"1\" }");
	assert_string_equal(in("$unset", "x"), "{ \"$numberInt\" : \"1\" }");
	assert_memory_equal(at("$set.slice.0._id"), "{ \"$oid\"", 8);
	mongo_change_fini(&c);
	assert_true(set("{\"$unset\":{\"x\":1},\"$set\":{}}"));
	assert_string_equal(at("$set"), "none"); // an empty one is an error of the server
	mongo_change_fini(&c);
}

static void refused(void **state)
{
	(void)state;
	assert_false(add("{\"imsi\":\"1\",\"a.b\":1}"));
	assert_string_equal(reason, "a field may not be called \"a.b\"");
	assert_false(add("{\"imsi\":\"1\",\"$where\":1}"));
	assert_false(add("[]"));
	assert_false(add("{\"imsi\":\"1\",\"_id\":{\"$oid\":1},\"x\":{\"$oid\":\"no\"}}"));
	assert_false(replace("{\"imsi\":\"1\"}", "{}"));
	assert_string_equal(reason, "security: expected an object");
	assert_false(set("{}"));
	assert_false(set("{\"$set\":{\"imsi\":\"2\"}}"));
	assert_string_equal(reason, "imsi and _id stay as they are");
	assert_false(set("{\"$set\":{\"$inc\":2}}"));
	assert_false(set("{\"$set\":[1]}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(as_the_webui), cmocka_unit_test(the_old_schema_stays),
	    cmocka_unit_test(replacement),  cmocka_unit_test(single_fields),
	    cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// Documents of MongoDB as other programs write them: which subscribers they become, what their digests leave
// out, and that the quick way of reading says what record.c says.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "apps/documents.h"
#include "loader/upstream/mongo/mongo_doc.h"
#include "loader/upstream/mongo/mongo_json.h"
#include "tests/support/guard.h"
#include "tests/support/readers.h"

static struct mongo_docs docs, fresh;
static const char *const KEYS = "\"security\":{\"k\":\"465B5CE8B199B49FAA5F0A2EE238A6BC\",\"opc\":"
				"\"E8ED289DEBA952E4283B54E88E6183CA\"";

static void begin(struct mongo_docs *c)
{
	static const struct config config;
	assert_int_equal(mongo_docs_init(c, &(struct upstream_options){.config = &config, .readers = test_readers}), 0);
}

static int setup(void **state)
{
	(void)state;
	begin(&docs);
	begin(&fresh);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mongo_docs_fini(&docs);
	mongo_docs_fini(&fresh);
	return 0;
}

static bson_t *bson_of(const char *text)
{
	bson_error_t e;
	bson_t *b = bson_new_from_json((const uint8_t *)text, -1, &e);
	if (!b)
		fail_msg("%s: %s", text, e.message);
	return b;
}

static struct up_doc *read_doc(struct mongo_docs *c, const bson_t *b, struct record_error *e)
{
	struct mongo_digests g;
	mongo_doc_digests(b, &g);
	return mongo_doc_read(c, b, &g, e);
}

static bool slice_is(struct slice s, const char *text)
{
	return slice_eq(s, slice_str(text));
}

static struct s6a_said said_by(const struct up_doc *d)
{
	struct s6a_said said;
	assert_true(s6a_said_get(d->said[DOC_OWNER_S6A], &said));
	return said;
}

static void check_state(const char *name, const json_t *row, const struct up_doc *d)
{
	const char *host = json_string_value(json_object_get(row, "mme_host"));
	struct s6a_said said = said_by(d);
	const struct s6a_serving *mme = &said.serving[S6A_MME];
	if (!slice_is(mme->host, host ? host : ""))
		fail_msg("%s: mme_host is %.*s", name, (int)mme->host.len, (const char *)mme->host.p);
	assert_int_equal(d->imeisv != 0, json_is_true(json_object_get(row, "imeisv")));
	assert_int_equal(mme->flags, json_is_true(json_object_get(row, "purged")) ? SERVING_PURGED : 0);
	assert_int_equal(said.cancel, json_is_true(json_object_get(row, "cancel")));
}

static void check_sqn(const json_t *row, const struct up_doc *d, const struct record_error *e)
{
	const json_t *sqn = json_object_get(row, "sqn");
	assert_int_equal(d->has_sqn, json_is_integer(sqn));
	assert_int_equal(d->sqn, json_integer_value(sqn));
	assert_int_equal(d->sqn_int64, json_is_true(json_object_get(row, "int64")));
	assert_int_equal(d->sqn_unusable, json_is_true(json_object_get(row, "unusable")));
	assert_int_equal(strncmp(e->text, "security.sqn: ", 14) == 0, d->sqn_unusable);
}

// Equal to what is read without anything learned before, which is by record.c.
static void check_same(const struct up_doc *a, const struct up_doc *b)
{
	assert_int_equal(a->imsi.v, b->imsi.v);
	assert_memory_equal(&a->image, &b->image, sizeof(a->image));
	assert_memory_equal(a->profile_digest, b->profile_digest, 16);
	assert_memory_equal(a->profile, b->profile, b->profile->len);
	assert_int_equal(a->text_len, b->text_len);
	assert_memory_equal(a->text, b->text, b->text_len + 1);
	assert_true(slice_eq(a->said[DOC_OWNER_S6A], b->said[DOC_OWNER_S6A]));
	assert_int_equal(a->imeisv, b->imeisv);
}

// The text is the document: back in BSON it has the same JSON as the driver makes of it.
static void check_text(const bson_t *b, const struct up_doc *d)
{
	bson_t *again = bson_of(d->text);
	char *x = bson_as_relaxed_extended_json(b, NULL), *y = bson_as_relaxed_extended_json(again, NULL);
	assert_string_equal(x, y);
	bson_free(x);
	bson_free(y);
	bson_destroy(again);
	json_t *j = json_loads(d->text, 0, NULL);
	assert_non_null(j);
	json_decref(j);
}

static void check_row(const json_t *row)
{
	struct record_error e, e2, e3;
	const char *name = json_string_value(json_object_get(row, "name"));
	const char *bad = json_string_value(json_object_get(row, "bad"));
	char *text = json_dumps(json_object_get(row, "doc"), 0);
	bson_t *b = bson_of(text);
	mongo_docs_fini(&fresh);
	begin(&fresh);
	struct up_doc *slow = read_doc(&fresh, b, &e), *first = read_doc(&docs, b, &e2),
		      *again = read_doc(&docs, b, &e3);
	assert_string_equal(e.text, e2.text);
	assert_string_equal(e.text, e3.text);
	if (bad && (slow || strncmp(e.text, bad, strlen(bad)) != 0 || e.text[strlen(bad)] != ':'))
		fail_msg("%s: %s", name, slow ? "was read" : e.text);
	if (!bad && !slow)
		fail_msg("%s: %s", name, e.text);
	if (slow) {
		check_state(name, row, slow);
		check_sqn(row, slow, &e);
		check_same(first, slow);
		check_same(again, slow);
		check_text(b, slow);
	}
	up_doc_free(&slow);
	up_doc_free(&first);
	up_doc_free(&again);
	bson_destroy(b);
	free(text);
}

static void documents_as_others_write_them(void **state)
{
	char line[8192];
	unsigned cnt = 0;
	FILE *f = fopen(TEST_DATA "/mongo_documents.jsonl", "r");
	(void)state;
	assert_non_null(f);
	for (; fgets(line, sizeof(line), f); cnt++) {
		json_error_t error;
		json_t *row = json_loads(line, 0, &error);
		if (!row)
			fail_msg("line %u: %s", cnt + 1, error.text);
		check_row(row);
		json_decref(row);
	}
	fclose(f);
	assert_int_equal(cnt, 20);
}

static struct mongo_digests digests_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
static struct mongo_digests digests_of(const char *format, ...)
{
	char text[2048];
	struct mongo_digests g;
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	bson_t *b = bson_of(text);
	mongo_doc_digests(b, &g);
	assert_int_equal(g.id, mongo_doc_id(b));
	bson_destroy(b);
	return g;
}

static void state_is_not_content(void **state)
{
	static const char *const more[] = {
	    "},\"__v\":1",           "},\"mme_host\":\"a\"",       "},\"mme_realm\":[\"a\"]",
	    "},\"mme_timestamp\":5", "},\"mm_realm\":[]",          "},\"purge_flag\":true",
	    "},\"imeisv\":\"1\"",    "},\"corehss\":{\"node\":1}", ",\"sqn\":32}",
	    ",\"sqn\":null}"};
	(void)state;
	struct mongo_digests plain = digests_of("{\"_id\":1,\"imsi\":\"001010000000001\",%s}}", KEYS);
	for (unsigned i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		struct mongo_digests g =
		    digests_of("{\"_id\":1,\"imsi\":\"001010000000001\",%s%s}", KEYS, more[i]);
		assert_int_equal(g.id, plain.id);
		assert_int_equal(g.digest, plain.digest);
		assert_int_not_equal(g.full, plain.full);
	}
}

static void everything_else_is_content(void **state)
{
	static const char *const more[] = {"},\"mme_hosts\":1", ",\"amf\":\"8001\"}", "},\"note\":1",
					   "},\"__w\":1",       ",\"sqn2\":5}",       "},\"slice\":[]",
					   "},\"sqn\":1"};
	(void)state;
	struct mongo_digests plain = digests_of("{\"_id\":1,\"imsi\":\"001010000000001\",%s}}", KEYS);
	for (unsigned i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		assert_int_not_equal(
		    digests_of("{\"_id\":1,\"imsi\":\"001010000000001\",%s%s}", KEYS, more[i]).digest,
		    plain.digest);
}

static void ids_of_different_types_differ(void **state)
{
	(void)state;
	uint64_t a = digests_of("{\"_id\":1}").id, b = digests_of("{\"_id\":{\"$numberLong\":\"1\"}}").id,
		 c = digests_of("{\"_id\":\"1\"}").id;
	assert_int_not_equal(a, b);
	assert_int_not_equal(a, c);
	assert_int_not_equal(b, c);
	assert_int_equal(digests_of("{\"x\":5,\"_id\":1}").id, a);
	assert_int_equal(digests_of("{\"x\":5}").id, 0);
}

// Two of a kind: the second is read by what the first taught, and is still itself.
static void of_a_kind_but_themselves(void **state)
{
	char text[1024];
	struct record_error e;
	struct up_doc *d[2];
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(text, sizeof(text),
			 "{\"_id\":%u,\"imsi\":\"00101000000000%u\",\"msisdn\":[\"1555000%u\"],%s},\"slice\":"
			 "[{\"_id\":%u,\"session\":"
			 "[{\"_id\":%u,\"name\":\"ims\"}]}]}",
			 i, i, i, KEYS, i, i);
		bson_t *b = bson_of(text);
		d[i] = read_doc(&docs, b, &e);
		assert_non_null(d[i]);
		bson_destroy(b);
	}
	assert_int_not_equal(d[0]->imsi.v, d[1]->imsi.v);
	assert_int_not_equal(d[0]->image.msisdn[0].v, d[1]->image.msisdn[0].v);
	assert_memory_not_equal(d[0]->image.fp, d[1]->image.fp, sizeof(d[0]->image.fp));
	assert_memory_equal(d[0]->profile_digest, d[1]->profile_digest, 16);
	up_doc_free(&d[0]);
	up_doc_free(&d[1]);
}

// A valid value for a row of the schema that is not what a document without it has. NULL: it has none that shows.
static json_t *value_for(const struct doc_member *m)
{
	switch ((enum doc_type)m->type) {
	case DOC_TEXT:
		if (strcmp(m->path, "stn_sr") == 0)
			return json_string("491510000042");
		return json_string(strcmp(m->path, "default_apn") == 0 ? "second" : "other.example");
	case DOC_HEX_TEXT:
		return json_string("0900");
	case DOC_NUMBER:
		if (strstr(m->path, "pre_emption")) // on; it is off when it is left out
			return json_integer(m->least == 0 ? 0 : 2);
		return json_integer(m->least == 0 ? 1 : 2);
	case DOC_IPV4:
		return json_string("10.45.7.7");
	case DOC_IPV6:
		return json_string("2001:db8::7");
	case DOC_RATE:
		return json_pack("{s:i,s:i}", "value", 7, "unit", 2);
	case DOC_ANY: // one that is looked at nevertheless
		return strcmp(m->path, "roaming") == 0 ? json_pack("[{s:s,s:s}]", "visited", "*", "action", "deny") : NULL;
	default:
		return NULL;
	}
}

// Sets `path`, a row's, in a document; lists get their first element.
static void put_at(json_t *at, const char *path, json_t *value_taken)
{
	char part[64];
	size_t n = strcspn(path, ".[");
	const char *rest = path + n;
	bool list = *rest == '[';
	snprintf(part, sizeof(part), "%.*s", (int)n, path);
	rest += list ? 2 : 0;
	if (!*rest) { // a member, or the one element of a list
		json_object_set_new(at, part, list ? json_pack("[o]", value_taken) : value_taken);
		return;
	}
	json_t *next = json_object_get(at, part);
	if (!next) {
		next = list ? json_pack("[{}]") : json_object();
		json_object_set_new(at, part, next);
	}
	put_at(list ? json_array_get(next, 0) : next, rest + 1, value_taken);
}

static void read_both(json_t *doc, const char *name, struct up_doc **quick, struct up_doc **slow)
{
	struct record_error e;
	char *text = json_dumps(doc, 0);
	bson_t *b = bson_of(text);
	mongo_docs_fini(&fresh);
	begin(&fresh);
	*quick = read_doc(&docs, b, &e);
	*slow = read_doc(&fresh, b, &e);
	if (!*quick || !*slow)
		fail_msg("%s: %s", name, e.text);
	bson_destroy(b);
	free(text);
}

// Every row of the schema that is part of the profile tells one kind from another: a member that the memo did not look at
// gave a subscriber somebody else's profile.
static void every_member_of_the_profile_makes_a_kind(void **state)
{
	const struct doc_schema *schema = documents_schema();
	unsigned looked_at = 0;
	(void)state;
	for (unsigned i = 1; i < schema->cnt; i++) {
		const struct doc_member *m = schema->node[i].member;
		json_t *value = m->part == DOC_PART_PROFILE ? value_for(m) : NULL;
		struct up_doc *plain, *plain2, *quick, *slow;
		if (!value)
			continue;
		bool pdn = strncmp(m->path, "pdn", 3) == 0;
		json_t *doc = json_pack("{s:i,s:s,s:{s:s,s:s},s:i}", "_id", 1, "imsi", "001010000000001", "security", "k",
					"465B5CE8B199B49FAA5F0A2EE238A6BC", "opc", "E8ED289DEBA952E4283B54E88E6183CA",
					"subscriber_status", strstr(m->path, "barring") ? 1 : 0);
		put_at(doc, pdn ? "pdn[].apn" : "slice[].session[].name", json_string("ims"));
		if (strcmp(m->path, "default_apn") == 0)
			json_array_append_new(json_object_get(json_array_get(json_object_get(doc, "slice"), 0), "session"),
					      json_pack("{s:s}", "name", "second"));
		read_both(doc, m->path, &plain, &plain2);
		put_at(doc, m->path, value);
		read_both(doc, m->path, &quick, &slow);
		check_same(quick, slow);
		if (memcmp(quick->profile_digest, plain->profile_digest, 16) == 0)
			fail_msg("%s: makes no other profile", m->path);
		up_doc_free(&plain);
		up_doc_free(&plain2);
		up_doc_free(&quick);
		up_doc_free(&slow);
		json_decref(doc);
		looked_at++;
	}
	assert_true(looked_at > 40);
}

// One session of 5G, or one number that is none, in a new document: the subscriber is served, and it is said what is not.
static void what_is_left_out_is_named_each_time(void **state)
{
	char text[1024];
	struct record_error e;
	(void)state;
	for (unsigned i = 1; i < 3; i++) {
		snprintf(text, sizeof(text),
			 "{\"_id\":%u,\"imsi\":\"00101000000000%u\",\"msisdn\":[%u],%s},\"slice\":[{\"session\":"
			 "[{\"name\":\"internet\"},{\"name\":\"lan\",\"type\":5}]}]}",
			 i, i, 491510000 + i, KEYS);
		bson_t *b = bson_of(text);
		struct up_doc *d = read_doc(&docs, b, &e);
		assert_non_null(d);
		assert_int_equal(d->profile->apn_cnt, 1);
		assert_int_equal(d->image.msisdn[0].v, 0);
		assert_string_equal(e.text, "msisdn[0]: expected text, got a number; slice[0].session[1].type: expected 1 to "
					    "3, got 5, which only 5G has (left out)");
		up_doc_free(&d);
		bson_destroy(b);
	}
}

// What nodes of ours write beside the schema: of another type it is not there.
static void the_own_sub_document(void **state)
{
	static const struct {
		const char *corehss;
		unsigned node, time;
		const char *host, *realm;
		uint8_t plmn[3];
		bool purged;
	} row[] = {
	    {"{\"node\":2,\"sgsn_host\":\"s.test\",\"sgsn_realm\":\"test\",\"sgsn_plmn\":\"99970\","
	     "\"sgsn_timestamp\":{\"$numberLong\":\"7\"},\"sgsn_purged\":true}",
	     3, 7, "s.test", "test", {0x99, 0xf9, 0x07}, true},
	    {"{\"sgsn_plmn\":\"310410\",\"sgsn_host\":\"s\",\"sgsn_realm\":\"\"}", 0, 0, "", "", {0x13, 0x00, 0x14}, false},
	    {"{\"node\":4,\"sgsn_host\":1,\"sgsn_plmn\":\"3104x\",\"sgsn_timestamp\":\"7\",\"sgsn_purged\":1}",
	     0, 0, "", "", {0}, false},
	    {"[]", 0, 0, "", "", {0}, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		char text[1024];
		struct record_error e;
		snprintf(text, sizeof(text),
			 "{\"_id\":1,\"imsi\":\"001010000000001\",\"mme_host\":\"m.test\",\"mme_realm\":\"test\",%s},"
			 "\"corehss\":%s}",
			 KEYS, row[i].corehss);
		bson_t *b = bson_of(text);
		struct up_doc *d = read_doc(&docs, b, &e);
		bson_destroy(b);
		assert_non_null(d);
		assert_int_equal(d->node, row[i].node);
		struct s6a_said said = said_by(d);
		const struct s6a_serving *sgsn = &said.serving[S6A_SGSN];
		assert_int_equal(sgsn->time_us, row[i].time);
		assert_true(slice_is(said.serving[S6A_MME].host, "m.test"));
		assert_true(slice_is(sgsn->host, row[i].host));
		assert_true(slice_is(sgsn->realm, row[i].realm));
		assert_memory_equal(sgsn->plmn, row[i].plmn, 3);
		assert_int_equal(sgsn->flags, row[i].purged ? SERVING_PURGED : 0);
		assert_true(said.mme_there);
		up_doc_free(&d);
	}
}

// Whatever a server sends: cut anywhere, any octet changed, at the end of a page.
static void broken_bytes_are_refused_or_read(void **state)
{
	char text[1024];
	struct record_error e;
	(void)state;
	snprintf(text, sizeof(text),
		 "{\"_id\":{\"$oid\":\"64c000000000000000000001\"},\"imsi\":\"001010000000001\",\"msisdn\":["
		 "\"1555\"],%s,\"sqn\":5},"
		 "\"corehss\":{\"node\":1,\"sgsn_host\":\"s\",\"sgsn_realm\":\"r\",\"sgsn_plmn\":\"00101\"},"
		 "\"r\":{\"$regularExpression\":{\"pattern\":\"a\",\"options\":\"i\"}},\"b\":{\"$binary\":{"
		 "\"base64\":\"AAAA\","
		 "\"subType\":\"00\"}},\"slice\":[{\"session\":[{\"name\":\"ims\"}]}],\"d\":1.5,\"imeisv\":"
		 "\"35349006987331\"}",
		 KEYS);
	bson_t *good = bson_of(text);
	struct guard g;
	guard_init(&g, good->len);
	uint8_t *p = guard_room(&g, good->len);
	for (uint32_t at = 0; at < good->len; at++) {
		for (unsigned flip = 0; flip < 3; flip++) {
			memcpy(p, bson_get_data(good), good->len);
			p[at] = (uint8_t)(flip == 0 ? 0 : flip == 1 ? 0xff : p[at] ^ 1);
			bson_t b;
			if (!bson_init_static(&b, p, good->len))
				continue;
			struct up_doc *d = read_doc(&docs, &b, &e);
			if (!d)
				assert_true(e.text[0] != 0);
			up_doc_free(&d);
		}
	}
	guard_fini(&g);
	bson_destroy(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(documents_as_others_write_them),
	    cmocka_unit_test(every_member_of_the_profile_makes_a_kind),
	    cmocka_unit_test(what_is_left_out_is_named_each_time),
	    cmocka_unit_test(state_is_not_content),
	    cmocka_unit_test(everything_else_is_content),
	    cmocka_unit_test(ids_of_different_types_differ),
	    cmocka_unit_test(of_a_kind_but_themselves),
	    cmocka_unit_test(the_own_sub_document),
	    cmocka_unit_test(broken_bytes_are_refused_or_read),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

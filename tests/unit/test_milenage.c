// Milenage and the XOR test algorithm against the published sets, function by function.
#include "tests/unit/vector_file.h"
#include "lib/auth/milenage.h"
#include "lib/auth/xor.h"

struct inputs {
	uint8_t k[16], opc[16], rand[16];
	uint64_t sqn;
	uint16_t amf;
};

static struct milenage m; // of all tests but one

static int begin(void **state)
{
	return vectors_open(state) || milenage_init(&m);
}

static int end(void **state)
{
	milenage_fini(&m);
	return vectors_close(state);
}

static struct inputs read_inputs(const json_t *set)
{
	struct inputs in = {0};
	vector_hex(set, vector_has(set, "ki") ? "ki" : "k", in.k, 16);
	if (vector_has(set, "opc"))
		vector_hex(set, "opc", in.opc, 16);
	vector_hex(set, "rand", in.rand, 16);
	if (vector_has(set, "sqn")) {
		in.sqn = vector_number(set, "sqn", 6);
		in.amf = (uint16_t)vector_number(set, "amf", 2);
	}
	return in;
}

static void expect_f2345(const json_t *set, const struct aka_values *v)
{
	vector_expect(set, "f2", v->res, 8);
	vector_expect(set, "f3", v->ck, 16);
	vector_expect(set, "f4", v->ik, 16);
	vector_expect(set, "f5", v->ak, 6);
}

static void test_published_sets(void **state)
{
	(void)state;
	size_t i;
	json_t *set;
	json_array_foreach(vector_group("milenage", 21), i, set)
	{
		struct inputs in = read_inputs(set);
		uint8_t op[16], opc[16], mac_a[8], mac_s[8], ak_star[6];
		struct aka_values v;
		vector_hex(set, "op", op, 16);
		assert_int_equal(milenage_opc(&m, in.k, op, opc), 0);
		vector_expect(set, "opc", opc, 16);
		assert_int_equal(milenage_f1(&m, in.k, opc, in.rand, in.sqn, in.amf, mac_a, mac_s), 0);
		vector_expect(set, "f1", mac_a, 8);
		vector_expect(set, "f1star", mac_s, 8);
		assert_int_equal(milenage_f5star(&m, in.k, opc, in.rand, ak_star), 0);
		vector_expect(set, "f5star", ak_star, 6);
		assert_int_equal(milenage_f2345(&m, in.k, opc, in.rand, &v), 0);
		expect_f2345(set, &v);
	}
}

// The one-call form gives the same as the single functions, and its RES is 8 octets with zeros behind.
static void test_vector_call(void **state)
{
	(void)state;
	static const uint8_t zeros[8];
	size_t i;
	json_t *set;
	json_array_foreach(vector_group("milenage", 21), i, set)
	{
		struct inputs in = read_inputs(set);
		struct aka_values v;
		memset(&v, 0xee, sizeof(v));
		assert_int_equal(milenage_vector(&m, in.k, in.opc, in.rand, in.sqn, in.amf, &v), 0);
		vector_expect(set, "f1", v.mac_a, 8);
		expect_f2345(set, &v);
		assert_int_equal(v.res_len, 8);
		assert_memory_equal(v.res + 8, zeros, 8);
	}
}

static void test_partial_sets(void **state)
{
	(void)state;
	size_t i;
	unsigned checked = 0;
	json_t *set;
	json_array_foreach(vector_group("milenage_partial", 2), i, set)
	{
		static const struct {
			const char *field;
			size_t offset;
			unsigned len;
		} outputs[] = {
		    {"f2", offsetof(struct aka_values, res), 8},
		    {"f3", offsetof(struct aka_values, ck), 16},
		    {"f4", offsetof(struct aka_values, ik), 16},
		};
		struct inputs in = read_inputs(set);
		struct aka_values v;
		assert_int_equal(milenage_vector(&m, in.k, in.opc, in.rand, in.sqn, in.amf, &v), 0);
		for (unsigned f = 0; f < 3; f++) {
			if (!vector_has(set, outputs[f].field))
				continue;
			vector_expect(set, outputs[f].field, (const uint8_t *)&v + outputs[f].offset,
				      outputs[f].len);
			checked++;
		}
	}
	assert_int_equal(checked, 4);
}

static void test_captured_opc(void **state)
{
	(void)state;
	size_t i;
	json_t *set;
	json_array_foreach(vector_group("captured_vectors", 2), i, set)
	{
		uint8_t k[16], op[16];
		vector_hex(set, "k", k, 16);
		vector_hex(set, "op", op, 16);
		assert_int_equal(milenage_opc(&m, k, op, op), 0); // in place
		vector_expect(set, "opc", op, 16);
	}
}

// One context serves subscribers in any order: nothing of the last key is left in the next result.
static void test_rekey(void **state)
{
	(void)state;
	struct milenage own;
	assert_int_equal(milenage_init(&own), 0);
	json_t *group = vector_group("milenage", 21);
	for (unsigned i = 0; i < 10 * 21; i++) {
		json_t *set = json_array_get(group, i * 8 % 21);
		struct inputs in = read_inputs(set);
		struct aka_values v;
		assert_int_equal(milenage_vector(&own, in.k, in.opc, in.rand, in.sqn, in.amf, &v), 0);
		vector_expect(set, "f1", v.mac_a, 8);
	}
	milenage_fini(&own);
	milenage_fini(&own); // a second time does nothing
	assert_null(own.ctx);
}

static void test_optional_macs(void **state)
{
	(void)state;
	json_t *set = json_array_get(vector_group("milenage", 21), 5);
	struct inputs in = read_inputs(set);
	uint8_t mac[8];
	assert_int_equal(milenage_f1(&m, in.k, in.opc, in.rand, in.sqn, in.amf, mac, NULL), 0);
	vector_expect(set, "f1", mac, 8);
	assert_int_equal(milenage_f1(&m, in.k, in.opc, in.rand, in.sqn, in.amf, NULL, mac), 0);
	vector_expect(set, "f1star", mac, 8);
}

static void test_xor_sets(void **state)
{
	(void)state;
	size_t i;
	json_t *set;
	json_array_foreach(vector_group("xor_34108", 2), i, set)
	{
		struct inputs in = read_inputs(set);
		uint8_t mac[8], ak_star[6], xdout[16];
		struct aka_values v;
		vector_hex(set, "xdout", xdout, 16);
		xor_f1(in.k, in.rand, in.sqn, in.amf, mac);
		vector_expect(set, "mac", mac, 8);
		xor_f5star(in.k, in.rand, ak_star);
		vector_expect(set, "ak", ak_star, 6);
		memset(&v, 0xee, sizeof(v));
		xor_vector(in.k, in.rand, in.sqn, in.amf, &v);
		vector_expect(set, "mac", v.mac_a, 8);
		vector_expect(set, "ck", v.ck, 16);
		vector_expect(set, "ik", v.ik, 16);
		vector_expect(set, "ak", v.ak, 6);
		assert_int_equal(v.res_len, 8);
		assert_memory_equal(v.res, xdout, 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_published_sets), cmocka_unit_test(test_vector_call),
	    cmocka_unit_test(test_partial_sets),   cmocka_unit_test(test_captured_opc),
	    cmocka_unit_test(test_rekey),          cmocka_unit_test(test_optional_macs),
	    cmocka_unit_test(test_xor_sets),
	};
	return cmocka_run_group_tests(tests, begin, end);
}

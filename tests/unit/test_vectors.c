// Whole vectors and resynchronisation, as the applications ask for them: published sets, captured answers of
// another HSS, the separation bit, refusals, randomness.
#include <errno.h>
#include <stdlib.h>
#include <openssl/crypto.h>
#include "tests/unit/vector_file.h"
#include "lib/auth/sqn.h"
#include "lib/auth/vectors.h"

static struct auth auth;
static int allocations_left = -1; // of libcrypto, until they fail; negative: no limit

static bool allocation_fails(void)
{
	if (allocations_left == 0)
		return true;
	if (allocations_left > 0)
		allocations_left--;
	return false;
}

static void *limited_malloc(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return allocation_fails() ? NULL : malloc(n);
}

static void *limited_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return allocation_fails() ? NULL : realloc(p, n);
}

static void plain_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

static int setup(void **state)
{
	return vectors_open(state) != 0 || auth_init(&auth) != 0;
}

static int teardown(void **state)
{
	auth_fini(&auth);
	return vectors_close(state);
}

static int test_algorithms_off(void **state)
{
	(void)state;
	auth.test_algorithms = false;
	return 0;
}

static struct auth_keys read_keys(const json_t *set)
{
	struct auth_keys keys = {.alg = AUTH_MILENAGE};
	vector_hex(set, vector_has(set, "ki") ? "ki" : "k", keys.k, 16);
	if (vector_has(set, "opc"))
		vector_hex(set, "opc", keys.opc, 16);
	if (vector_has(set, "amf"))
		keys.amf = (uint16_t)vector_number(set, "amf", 2);
	return keys;
}

static bool all_zero(const void *p, size_t n)
{
	const uint8_t *octet = p;
	for (size_t i = 0; i < n; i++) {
		if (octet[i])
			return false;
	}
	return true;
}

static void expect_eutran(const json_t *set, struct auth_keys *keys)
{
	uint8_t rand[16], plmn[3];
	struct eutran_vector v;
	vector_hex(set, "rand", rand, 16);
	vector_hex(set, "sn_id", plmn, 3);
	memset(&v, 0xee, sizeof(v));
	assert_int_equal(auth_eutran_vector_for(&auth, keys, vector_number(set, "sqn", 6), plmn, rand, &v),
			 0);
	vector_expect(set, "rand", v.rand, 16);
	assert_int_equal(v.xres_len, 8);
	vector_expect(set, "xres", v.xres, 8);
	vector_expect(set, "autn", v.autn, 16);
	vector_expect(set, "kasme", v.kasme, 32);
}

// Also with the separation bit left out of the stored AMF: it is forced.
static void test_eutran_sets(void **state)
{
	(void)state;
	size_t i;
	json_t *set;
	json_array_foreach(vector_group("kasme", 5), i, set)
	{
		struct auth_keys keys = read_keys(set);
		assert_int_equal(keys.amf, AMF_SEPARATION);
		expect_eutran(set, &keys);
		keys.amf = 0;
		expect_eutran(set, &keys);
	}
}

static void test_eutran_captured(void **state)
{
	(void)state;
	size_t i;
	json_t *set;
	json_array_foreach(vector_group("captured_vectors", 2), i, set)
	{
		struct auth_keys keys = read_keys(set);
		expect_eutran(set, &keys);
	}
}

// The published AUTNs with the separation bit clear come out as they are; those with the bit set must not.
static void test_utran_sets(void **state)
{
	(void)state;
	size_t i;
	unsigned clear = 0;
	json_t *set;
	json_array_foreach(vector_group("milenage", 21), i, set)
	{
		struct auth_keys keys = read_keys(set);
		uint8_t rand[16], autn[16];
		struct utran_vector v;
		vector_hex(set, "rand", rand, 16);
		vector_hex(set, "autn", autn, 16);
		assert_int_equal(auth_utran_vector_for(&auth, &keys, vector_number(set, "sqn", 6), rand, &v),
				 0);
		vector_expect(set, "rand", v.rand, 16);
		vector_expect(set, "f2", v.xres, 8);
		vector_expect(set, "f3", v.ck, 16);
		vector_expect(set, "f4", v.ik, 16);
		assert_int_equal(v.xres_len, 8);
		assert_memory_equal(v.autn, autn, 6);
		assert_int_equal(be16_get(v.autn + 6), keys.amf & 0x7fff);
		if (keys.amf & AMF_SEPARATION) {
			assert_memory_not_equal(v.autn + 8, autn + 8, 8);
		} else {
			assert_memory_equal(v.autn, autn, 16);
			clear++;
		}
	}
	assert_int_equal(clear, 8);
}

static void test_geran_sets(void **state)
{
	(void)state;
	size_t i;
	json_t *set;
	json_array_foreach(vector_group("gsm_milenage", 19), i, set)
	{
		struct auth_keys keys = read_keys(set);
		uint8_t rand[16];
		struct geran_vector v;
		vector_hex(set, "rand", rand, 16);
		assert_int_equal(auth_geran_vector_for(&auth, &keys, rand, &v), 0);
		vector_expect(set, "rand", v.rand, 16);
		vector_expect(set, "sres_method1", v.sres, 4);
		vector_expect(set, "kc", v.kc, 8);
	}
}

static void test_partial_sets(void **state)
{
	(void)state;
	json_t *set = json_array_get(vector_group("milenage_partial", 2), 0);
	struct auth_keys keys = read_keys(set);
	uint8_t rand[16];
	struct utran_vector u;
	struct geran_vector g;
	vector_hex(set, "rand", rand, 16);
	assert_int_equal(auth_utran_vector_for(&auth, &keys, vector_number(set, "sqn", 6), rand, &u), 0);
	vector_expect(set, "autn", u.autn, 16);
	vector_expect(set, "f2", u.xres, 8);
	assert_int_equal(auth_geran_vector_for(&auth, &keys, rand, &g), 0);
	vector_expect(set, "sres", g.sres, 4);
	vector_expect(set, "kc", g.kc, 8);
}

// No published set has K and CK' together: the vector's CK', IK' are derived anew from what the UTRAN vector
// gives.
static void test_eap_aka_prime(void **state)
{
	(void)state;
	size_t i;
	json_t *set;
	json_array_foreach(vector_group("kasme", 5), i, set)
	{
		struct auth_keys keys = read_keys(set);
		uint8_t rand[16], ck[16], ik[16], sqn_xor_ak[6], ck_prime[16], ik_prime[16];
		struct utran_vector v;
		keys.amf = 0; // the separation bit is forced
		vector_hex(set, "rand", rand, 16);
		vector_hex(set, "ck", ck, 16);
		vector_hex(set, "ik", ik, 16);
		vector_hex(set, "sqn_xor_ak", sqn_xor_ak, 6);
		assert_int_equal(
		    kdf_ck_ik_prime(&auth.kdf, ck, ik, slice_str("WLAN"), sqn_xor_ak, ck_prime, ik_prime), 0);
		assert_int_equal(auth_eap_aka_prime_vector_for(&auth, &keys, vector_number(set, "sqn", 6),
							       slice_str("WLAN"), rand, &v),
				 0);
		vector_expect(set, "autn", v.autn, 16);
		vector_expect(set, "xres", v.xres, 8);
		assert_memory_equal(v.ck, ck_prime, 16);
		assert_memory_equal(v.ik, ik_prime, 16);
	}
}

static void test_xor_sets(void **state)
{
	(void)state;
	static const uint8_t plmn[3] = {0x00, 0xf1, 0x10};
	size_t i;
	json_t *set;
	auth.test_algorithms = true;
	json_array_foreach(vector_group("xor_34108", 2), i, set)
	{
		struct auth_keys keys = read_keys(set);
		uint8_t rand[16], xdout[16];
		struct eutran_vector v;
		struct geran_vector g;
		keys.alg = AUTH_XOR;
		vector_hex(set, "rand", rand, 16);
		vector_hex(set, "xdout", xdout, 16);
		assert_int_equal(
		    auth_eutran_vector_for(&auth, &keys, vector_number(set, "sqn", 6), plmn, rand, &v), 0);
		vector_expect(set, "autn", v.autn, 16);
		assert_memory_equal(v.xres, xdout, v.xres_len);
		assert_int_equal(auth_geran_vector_for(&auth, &keys, rand, &g), 0);
		for (unsigned b = 0; b < 4; b++)
			assert_int_equal(g.sres[b], xdout[b] ^ xdout[b + 4]);
	}
}

static void test_xor_refused_unless_on(void **state)
{
	(void)state;
	struct auth_keys keys = {.alg = AUTH_XOR};
	uint8_t rand[16] = {0}, auts[14] = {0};
	struct eutran_vector e = {.xres_len = 8};
	struct geran_vector g = {.sres = {1}};
	uint64_t sqn_ms = 77;
	assert_int_equal(auth_eutran_vector(&auth, &keys, 32, rand, &e), -EPERM);
	assert_true(all_zero(&e, sizeof(e)));
	assert_int_equal(auth_geran_vector(&auth, &keys, &g), -EPERM);
	assert_true(all_zero(&g, sizeof(g)));
	assert_int_equal(auth_resync(&auth, &keys, rand, auts, &sqn_ms), AUTH_RESYNC_ERROR);
	assert_int_equal(sqn_ms, 0);
}

// The algorithm is a number that another process wrote.
static void test_unknown_algorithm(void **state)
{
	(void)state;
	struct auth_keys keys = {0};
	uint8_t rand[16] = {0}, auts[14] = {0};
	struct utran_vector u = {.xres_len = 8};
	uint64_t sqn_ms = 77;
	unsigned unknown = AUTH_XOR + 1;
	memcpy(&keys.alg, &unknown, sizeof(keys.alg));
	assert_int_equal(auth_utran_vector(&auth, &keys, 32, &u), -EINVAL);
	assert_true(all_zero(&u, sizeof(u)));
	assert_int_equal(auth_resync(&auth, &keys, rand, auts, &sqn_ms), AUTH_RESYNC_ERROR);
	assert_int_equal(sqn_ms, 0);
}

static void test_refusals_wipe(void **state)
{
	(void)state;
	struct auth_keys keys = {.k = {1}};
	uint8_t long_anid[KDF_S_MAX] = {0}, plmn[3] = {0};
	struct eutran_vector e = {.xres_len = 8};
	struct utran_vector u = {.xres_len = 8};
	assert_int_equal(auth_eutran_vector(&auth, &keys, SQN_MAX + 1, plmn, &e), -ERANGE);
	assert_true(all_zero(&e, sizeof(e)));
	assert_int_equal(auth_utran_vector(&auth, &keys, UINT64_MAX, &u), -ERANGE);
	assert_true(all_zero(&u, sizeof(u)));
	assert_int_equal(
	    auth_eap_aka_prime_vector(&auth, &keys, 32, slice_of(long_anid, sizeof(long_anid)), &u),
	    -EMSGSIZE);
	assert_true(all_zero(&u, sizeof(u)));
	assert_int_equal(auth_eutran_vector(&auth, &keys, SQN_MAX, plmn, &e), 0);
}

static void check_auts(const json_t *set)
{
	struct auth_keys keys = read_keys(set);
	bool valid = json_is_true(json_object_get(set, "mac_s_valid"));
	uint8_t rand[16], auts[14];
	uint64_t sqn_ms = 77;
	vector_hex(set, "rand", rand, 16);
	vector_hex(set, "auts", auts, 14);
	assert_int_equal(auth_resync(&auth, &keys, rand, auts, &sqn_ms),
			 valid ? AUTH_RESYNC_OK : AUTH_RESYNC_MAC_FAILED);
	assert_int_equal(sqn_ms, valid ? vector_number(set, "sqn_ms", 6) : 0);
	for (unsigned bit = 0; valid && bit < 14 * 8; bit++) {
		auts[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(auth_resync(&auth, &keys, rand, auts, &sqn_ms), AUTH_RESYNC_MAC_FAILED);
		assert_int_equal(sqn_ms, 0);
		auts[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

// Every set; of the good ones every single bit flipped as well.
static void test_auts_sets(void **state)
{
	(void)state;
	size_t i;
	unsigned good = 0;
	json_t *set;
	json_array_foreach(vector_group("auts", 10), i, set)
	{
		good += json_is_true(json_object_get(set, "mac_s_valid"));
		check_auts(set);
	}
	assert_int_equal(good, 8);
}

// A real USIM's AUTS: SQN_MS 1383. Its MAC-S is over AMF* 0000; over the subscriber's AMF 8000 it would not
// verify.
static void test_auts_captured(void **state)
{
	(void)state;
	json_t *set = json_array_get(vector_group("captured_auts", 1), 0);
	struct auth_keys keys = read_keys(set);
	uint8_t rand[16], auts[14], mac_s[8];
	uint64_t sqn_ms = 0;
	check_auts(set);
	keys.amf = 0x8000; // the stored AMF plays no part
	vector_hex(set, "rand", rand, 16);
	vector_hex(set, "auts", auts, 14);
	assert_int_equal(auth_resync(&auth, &keys, rand, auts, &sqn_ms), AUTH_RESYNC_OK);
	assert_int_equal(sqn_ms, 1383);
	assert_int_equal(milenage_f1(&auth.milenage, keys.k, keys.opc, rand, sqn_ms, 0x8000, NULL, mac_s), 0);
	assert_memory_not_equal(mac_s, auts + 6, 8);
}

static void test_auts_xor(void **state)
{
	(void)state;
	struct auth_keys keys = {
	    .alg = AUTH_XOR, .amf = 0x8000, .k = {0x46, 0x5b, 0x5c, 0xe8, 0xb1, 0x99, 0xb4, 0x9f}};
	static const uint8_t rand[16];
	// K ^ RAND is K: AUTS = (SQN_MS ^ K[3..8]) || K[0..7] ^ (SQN_MS || 0000), for SQN_MS 2a.
	uint8_t auts[14] = {0xe8, 0xb1, 0x99, 0xb4, 0x9f,        0x2a, 0x46,
			    0x5b, 0x5c, 0xe8, 0xb1, 0x99 ^ 0x2a, 0xb4, 0x9f};
	uint64_t sqn_ms = 0;
	auth.test_algorithms = true;
	assert_int_equal(auth_resync(&auth, &keys, rand, auts, &sqn_ms), AUTH_RESYNC_OK);
	assert_int_equal(sqn_ms, 0x2a);
	auts[13] ^= 1;
	assert_int_equal(auth_resync(&auth, &keys, rand, auts, &sqn_ms), AUTH_RESYNC_MAC_FAILED);
	assert_int_equal(sqn_ms, 0);
}

// Over more than one block no RAND repeats, and what was drawn is gone from the block.
static void test_rand_fresh(void **state)
{
	(void)state;
	enum { COUNT = 2 * AUTH_RANDOM_BLOCK / 16 + 3 };
	static uint8_t rands[COUNT][16];
	struct auth_keys keys = {.k = {1}, .opc = {2}};
	struct auth fresh;
	assert_int_equal(auth_init(&fresh), 0);
	for (unsigned i = 0; i < COUNT; i++) {
		struct geran_vector v, again;
		assert_int_equal(auth_geran_vector(&fresh, &keys, &v), 0);
		memcpy(rands[i], v.rand, 16);
		assert_false(all_zero(v.rand, 16));
		assert_true(all_zero(fresh.random, sizeof(fresh.random) - fresh.random_left));
		assert_int_equal(auth_geran_vector_for(&fresh, &keys, v.rand, &again), 0);
		assert_memory_equal(&v, &again, sizeof(v));
		for (unsigned j = 0; j < i; j++)
			assert_memory_not_equal(rands[i], rands[j], 16);
	}
	auth_fini(&fresh);
	assert_true(all_zero(&fresh, sizeof(fresh)));
}

// Every allocation of auth_init fails once: it reports it, and auth_fini leaves nothing behind (the leak
// check). With the objects there, Milenage needs no allocation at all (law 7).
static void test_allocation_failures(void **state)
{
	(void)state;
	struct auth a;
	struct auth_keys keys = {.k = {1}};
	struct utran_vector v;
	int failures = 0, err = -EIO;
	for (int n = 0; err != 0; n++) {
		assert_in_range(n, 0, 1000);
		allocations_left = n;
		err = auth_init(&a);
		allocations_left = -1;
		if (err) {
			assert_int_equal(err, -EIO);
			auth_fini(&a);
			failures++;
		}
	}
	assert_in_range(failures, 2, 1000);
	assert_int_equal(auth_utran_vector(&a, &keys, 32, &v), 0);
	allocations_left = 0;
	for (unsigned i = 0; i < 100; i++) {
		keys.k[0]++;
		err |= auth_utran_vector(&a, &keys, 64, &v);
	}
	allocations_left = -1;
	assert_int_equal(err, 0);
	auth_fini(&a);
}

// libcrypto 3.0 allocates inside each start of a digest, 3.5 does not. When that fails the vector is refused and
// wiped, and the next one is right again.
static void test_digest_failures(void **state)
{
	(void)state;
	json_t *set = json_array_get(vector_group("kasme", 5), 0);
	struct auth_keys keys = read_keys(set);
	static const uint8_t plmn[3];
	int failures = 0;
	for (int err = -EIO; err != 0;) {
		struct eutran_vector v = {.xres_len = 8};
		allocations_left = failures;
		err = auth_eutran_vector(&auth, &keys, 32, plmn, &v);
		allocations_left = -1;
		assert_true(err == 0 || (err == -EIO && all_zero(&v, sizeof(v))));
		expect_eutran(set, &keys);
		failures += err != 0;
		assert_in_range(failures, 0, 1000);
	}
	print_message("%d allocations failed\n", failures);
	if (OPENSSL_version_major() == 3 && OPENSSL_version_minor() == 0)
		assert_in_range(failures, 2, 1000);
}

int main(void)
{
	// Before libcrypto allocates anything, or it refuses.
	if (CRYPTO_set_mem_functions(limited_malloc, limited_realloc, plain_free) != 1)
		return 1;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_eutran_sets),
	    cmocka_unit_test(test_eutran_captured),
	    cmocka_unit_test(test_utran_sets),
	    cmocka_unit_test(test_geran_sets),
	    cmocka_unit_test(test_partial_sets),
	    cmocka_unit_test(test_eap_aka_prime),
	    cmocka_unit_test_teardown(test_xor_sets, test_algorithms_off),
	    cmocka_unit_test(test_xor_refused_unless_on),
	    cmocka_unit_test(test_unknown_algorithm),
	    cmocka_unit_test(test_refusals_wipe),
	    cmocka_unit_test(test_auts_sets),
	    cmocka_unit_test(test_auts_captured),
	    cmocka_unit_test_teardown(test_auts_xor, test_algorithms_off),
	    cmocka_unit_test(test_rand_fresh),
	    cmocka_unit_test(test_allocation_failures),
	    cmocka_unit_test(test_digest_failures),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

// Key derivation: published KASME and CK'/IK' sets, the generic function against libcrypto's own HMAC, the
// refusals.
#include <errno.h>
#include <stdlib.h>
#include <openssl/evp.h>
#include "tests/unit/vector_file.h"
#include "lib/auth/kdf.h"

static void test_kasme_sets(void **state)
{
	(void)state;
	struct kdf f;
	assert_int_equal(kdf_init(&f), 0);
	size_t i;
	json_t *set;
	json_array_foreach(vector_group("kasme", 5), i, set)
	{
		uint8_t ck[16], ik[16], plmn[3], sqn_xor_ak[6], kasme[32];
		vector_hex(set, "ck", ck, 16);
		vector_hex(set, "ik", ik, 16);
		vector_hex(set, "sn_id", plmn, 3);
		vector_hex(set, "sqn_xor_ak", sqn_xor_ak, 6);
		assert_int_equal(kdf_kasme(&f, ck, ik, plmn, sqn_xor_ak, kasme), 0);
		vector_expect(set, "kasme", kasme, 32);
	}
	kdf_fini(&f);
}

static void test_ck_ik_prime_sets(void **state)
{
	(void)state;
	struct kdf f;
	assert_int_equal(kdf_init(&f), 0);
	size_t i;
	json_t *set;
	json_array_foreach(vector_group("ckprime_ikprime", 4), i, set)
	{
		uint8_t ck[16], ik[16], sqn_xor_ak[6];
		struct slice anid = slice_str(vector_string(set, "network_name"));
		vector_hex(set, "ck", ck, 16);
		vector_hex(set, "ik", ik, 16);
		vector_hex(set, "sqn_xor_ak", sqn_xor_ak, 6);
		assert_int_equal(kdf_ck_ik_prime(&f, ck, ik, anid, sqn_xor_ak, ck, ik), 0); // in place
		vector_expect(set, "ck_prime", ck, 16);
		vector_expect(set, "ik_prime", ik, 16);
	}
	kdf_fini(&f);
}

// libcrypto's HMAC over the same FC || P0 || L0 || P1 || L1.
static void reference(struct slice key, uint8_t fc, struct slice p0, struct slice p1, uint8_t out[32])
{
	uint8_t s[KDF_S_MAX];
	struct wr w = wr_of(s, sizeof(s));
	wr_u8(&w, fc);
	wr_slice(&w, p0);
	wr_u16(&w, (uint16_t)p0.len);
	wr_slice(&w, p1);
	wr_u16(&w, (uint16_t)p1.len);
	assert_false(w.err);
	size_t len = 0;
	assert_non_null(
	    EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key.p, key.len, s, wr_len(&w), out, 32, &len));
	assert_int_equal(len, 32);
}

// Every key length up to a block, with S running over the block borders of SHA-256 (55/56, 64, 119/120, 128
// octets).
static void test_generic_against_libcrypto(void **state)
{
	(void)state;
	struct kdf f;
	uint8_t octets[KDF_S_MAX];
	for (unsigned i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)(i * 7 + 1);
	assert_int_equal(kdf_init(&f), 0);
	for (unsigned key_len = 1; key_len <= KDF_KEY_MAX; key_len++) {
		for (unsigned p_len = 0; p_len < 200; p_len += key_len == 32 ? 1 : 37) {
			struct slice key = slice_of(octets + 3, key_len);
			struct slice params[] = {slice_of(octets, p_len), slice_of(octets + 5, 6)};
			uint8_t expected[32], out[32];
			reference(key, (uint8_t)p_len, params[0], params[1], expected);
			assert_int_equal(kdf_derive(&f, key, (uint8_t)p_len, params, 2, out), 0);
			assert_memory_equal(out, expected, 32);
		}
	}
	kdf_fini(&f);
}

// The longest S is taken, one octet more is refused; inputs end where their allocation ends.
static void test_limits(void **state)
{
	(void)state;
	struct kdf f;
	uint8_t key[KDF_KEY_MAX + 1] = {0}, out[32], expected[32];
	unsigned most = KDF_S_MAX - 1 - 2 - 2;
	uint8_t *p = calloc(1, most + 1);
	assert_non_null(p);
	assert_int_equal(kdf_init(&f), 0);
	struct slice params[] = {slice_of(p + 1, most), {0}};
	assert_int_equal(kdf_derive(&f, slice_of(key, KDF_KEY_MAX), 0x10, params, 2, out), 0);
	reference(slice_of(key, KDF_KEY_MAX), 0x10, params[0], params[1], expected);
	assert_memory_equal(out, expected, 32);
	params[0] = slice_of(p, most + 1);
	assert_int_equal(kdf_derive(&f, slice_of(key, KDF_KEY_MAX), 0x10, params, 2, out), -EMSGSIZE);
	assert_int_equal(kdf_derive(&f, slice_of(key, KDF_KEY_MAX + 1), 0x10, params, 1, out), -EINVAL);
	assert_int_equal(kdf_ck_ik_prime(&f, key, key, params[0], key, out, out + 16), -EMSGSIZE);
	kdf_fini(&f);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kasme_sets),
	    cmocka_unit_test(test_ck_ik_prime_sets),
	    cmocka_unit_test(test_generic_against_libcrypto),
	    cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, vectors_open, vectors_close);
}

// Composition of vectors from what the algorithms yield; see vectors.h.
#include "lib/auth/vectors.h"
#include <errno.h>
#include <string.h>
#include <openssl/rand.h>
#include "lib/base/secret.h"
#include "lib/auth/sqn.h"
#include "lib/auth/xor.h"

#define AMF_RESYNC 0x0000 // TS 33.102 6.3.3: AMF* of MAC-S, so that AUTS need not carry it

int auth_init(struct auth *a)
{
	*a = (struct auth){0};
	int err = milenage_init(&a->milenage);
	return err ? err : kdf_init(&a->kdf);
}

void auth_fini(struct auth *a)
{
	milenage_fini(&a->milenage);
	kdf_fini(&a->kdf);
	secret_wipe(a, sizeof(*a));
}

// Copies the given RAND, or draws a fresh one when it is NULL. What is drawn is wiped from the block: a RAND
// not yet sent must not be found in memory, and one that was sent must not be sent again.
static int choose_rand(struct auth *a, const uint8_t *given, uint8_t rand[16])
{
	if (given) {
		memcpy(rand, given, AKA_KEY_LEN);
		return 0;
	}
	if (a->random_left < AKA_KEY_LEN) {
		if (RAND_bytes(a->random, sizeof(a->random)) != 1)
			return -EIO;
		a->random_left = sizeof(a->random);
	}
	uint8_t *p = a->random + sizeof(a->random) - a->random_left;
	memcpy(rand, p, AKA_KEY_LEN);
	secret_wipe(p, AKA_KEY_LEN);
	a->random_left -= AKA_KEY_LEN;
	return 0;
}

// The algorithm comes from a record that another process wrote: an unknown value is refused, not trusted.
static int check_alg(const struct auth *a, const struct auth_keys *keys)
{
	switch (keys->alg) {
	case AUTH_MILENAGE:
		return 0;
	case AUTH_XOR:
		return a->test_algorithms ? 0 : -EPERM;
	}
	return -EINVAL;
}

// f1 to f5 by the subscriber's algorithm, and AUTN = (SQN ^ AK) || AMF || MAC-A (TS 33.102 6.3.2).
static int compute_aka(struct auth *a, const struct auth_keys *keys, uint64_t sqn, uint16_t amf,
		       const uint8_t rand[16], struct aka_values *v, uint8_t autn[16])
{
	int err = check_alg(a, keys);
	if (err)
		return err;
	if (sqn > SQN_MAX)
		return -ERANGE;
	if (keys->alg == AUTH_XOR)
		xor_vector(keys->k, rand, sqn, amf, v);
	else
		err = milenage_vector(&a->milenage, keys->k, keys->opc, rand, sqn, amf, v);
	if (err)
		return err;
	sqn_put(autn, sqn);
	for (unsigned i = 0; i < AKA_AK_LEN; i++)
		autn[i] ^= v->ak[i];
	be16_put(autn + 6, amf);
	memcpy(autn + 8, v->mac_a, AKA_MAC_LEN);
	return 0;
}

int auth_eutran_vector_for(struct auth *a, const struct auth_keys *keys, uint64_t sqn, const uint8_t plmn[3],
			   const uint8_t *rand, struct eutran_vector *out)
{
	struct aka_values v;
	int err = choose_rand(a, rand, out->rand);
	if (err == 0)
		err = compute_aka(a, keys, sqn, keys->amf | AMF_SEPARATION, out->rand, &v, out->autn);
	if (err == 0)
		err = kdf_kasme(&a->kdf, v.ck, v.ik, plmn, out->autn, out->kasme);
	if (err == 0) {
		memcpy(out->xres, v.res, AKA_RES_MAX);
		out->xres_len = v.res_len;
	} else {
		secret_wipe(out, sizeof(*out));
	}
	secret_wipe(&v, sizeof(v));
	return err;
}

// What the quintuplets of both kinds share; CK and IK are still those of f3 and f4.
static int compute_quintuplet(struct auth *a, const struct auth_keys *keys, uint64_t sqn, uint16_t amf,
			      const uint8_t *rand, struct utran_vector *out)
{
	struct aka_values v;
	int err = choose_rand(a, rand, out->rand);
	if (err == 0)
		err = compute_aka(a, keys, sqn, amf, out->rand, &v, out->autn);
	if (err == 0) {
		memcpy(out->ck, v.ck, AKA_KEY_LEN);
		memcpy(out->ik, v.ik, AKA_KEY_LEN);
		memcpy(out->xres, v.res, AKA_RES_MAX);
		out->xres_len = v.res_len;
	} else {
		secret_wipe(out, sizeof(*out));
	}
	secret_wipe(&v, sizeof(v));
	return err;
}

int auth_utran_vector_for(struct auth *a, const struct auth_keys *keys, uint64_t sqn, const uint8_t *rand,
			  struct utran_vector *out)
{
	return compute_quintuplet(a, keys, sqn, keys->amf & (uint16_t)~AMF_SEPARATION, rand, out);
}

int auth_eap_aka_prime_vector_for(struct auth *a, const struct auth_keys *keys, uint64_t sqn,
				  struct slice anid, const uint8_t *rand, struct utran_vector *out)
{
	int err = compute_quintuplet(a, keys, sqn, keys->amf | AMF_SEPARATION, rand, out);
	if (err)
		return err;
	err = kdf_ck_ik_prime(&a->kdf, out->ck, out->ik, anid, out->autn, out->ck, out->ik);
	if (err)
		secret_wipe(out, sizeof(*out));
	return err;
}

// c2: SRES is the exclusive or of the four-octet parts of RES, padded with zeros to 16 octets; c3: Kc is that
// of the halves of CK and IK.
static void convert_to_gsm(const struct aka_values *v, uint8_t sres[4], uint8_t kc[8])
{
	for (unsigned i = 0; i < 4; i++)
		sres[i] = v->res[i] ^ v->res[i + 4] ^ v->res[i + 8] ^ v->res[i + 12];
	for (unsigned i = 0; i < 8; i++)
		kc[i] = v->ck[i] ^ v->ck[i + 8] ^ v->ik[i] ^ v->ik[i + 8];
}

int auth_geran_vector_for(struct auth *a, const struct auth_keys *keys, const uint8_t *rand,
			  struct geran_vector *out)
{
	struct aka_values v;
	int err = check_alg(a, keys);
	if (err == 0)
		err = choose_rand(a, rand, out->rand);
	if (err == 0 && keys->alg == AUTH_XOR)
		xor_f2345(keys->k, out->rand, &v);
	else if (err == 0)
		err = milenage_f2345(&a->milenage, keys->k, keys->opc, out->rand, &v);
	if (err == 0)
		convert_to_gsm(&v, out->sres, out->kc);
	else
		secret_wipe(out, sizeof(*out));
	secret_wipe(&v, sizeof(v));
	return err;
}

int auth_eutran_vector(struct auth *a, const struct auth_keys *keys, uint64_t sqn, const uint8_t plmn[3],
		       struct eutran_vector *out)
{
	return auth_eutran_vector_for(a, keys, sqn, plmn, NULL, out);
}

int auth_utran_vector(struct auth *a, const struct auth_keys *keys, uint64_t sqn, struct utran_vector *out)
{
	return auth_utran_vector_for(a, keys, sqn, NULL, out);
}

int auth_geran_vector(struct auth *a, const struct auth_keys *keys, struct geran_vector *out)
{
	return auth_geran_vector_for(a, keys, NULL, out);
}

int auth_eap_aka_prime_vector(struct auth *a, const struct auth_keys *keys, uint64_t sqn, struct slice anid,
			      struct utran_vector *out)
{
	return auth_eap_aka_prime_vector_for(a, keys, sqn, anid, NULL, out);
}

// f5* and f1* by the subscriber's algorithm: SQN_MS out of AUTS, and the MAC-S it should carry.
static int open_auts(struct auth *a, const struct auth_keys *keys, const uint8_t rand[16],
		     const uint8_t auts[14], uint64_t *sqn_ms, uint8_t mac_s[8])
{
	uint8_t ak_star[AKA_AK_LEN];
	int err = check_alg(a, keys);
	if (err)
		return err;
	if (keys->alg == AUTH_XOR)
		xor_f5star(keys->k, rand, ak_star);
	else
		err = milenage_f5star(&a->milenage, keys->k, keys->opc, rand, ak_star);
	if (err)
		return err;
	*sqn_ms = sqn_get(auts) ^ sqn_get(ak_star);
	secret_wipe(ak_star, sizeof(ak_star));
	if (keys->alg == AUTH_XOR)
		xor_f1(keys->k, rand, *sqn_ms, AMF_RESYNC, mac_s);
	else
		err = milenage_f1(&a->milenage, keys->k, keys->opc, rand, *sqn_ms, AMF_RESYNC, NULL, mac_s);
	return err;
}

enum auth_resync auth_resync(struct auth *a, const struct auth_keys *keys, const uint8_t rand[16],
			     const uint8_t auts[14], uint64_t *sqn_ms)
{
	uint8_t mac_s[AKA_MAC_LEN];
	uint64_t claimed = 0;
	enum auth_resync result = AUTH_RESYNC_ERROR;
	*sqn_ms = 0;
	if (open_auts(a, keys, rand, auts, &claimed, mac_s) != 0)
		return result;
	result =
	    secret_equal(mac_s, auts + AKA_AK_LEN, AKA_MAC_LEN) ? AUTH_RESYNC_OK : AUTH_RESYNC_MAC_FAILED;
	if (result == AUTH_RESYNC_OK)
		*sqn_ms = claimed;
	secret_wipe(mac_s, sizeof(mac_s)); // the right MAC-S for a forged AUTS must not be left lying about
	return result;
}

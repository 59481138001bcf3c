// The simulated card: see sim.h. Everything here works on whole blocks with fixed sizes; the caller has
// checked the lengths of what came from the peer.
#include "tools/hss-load/sim.h"
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>
#include "lib/base/secret.h"

int sim_init(struct sim *s)
{
	*s = (struct sim){0};
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
			       OSSL_PARAM_END};
	int rc = -ENOMEM;

	if (!cipher || !mac)
		goto out;
	s->aes = EVP_CIPHER_CTX_new();
	s->hmac = EVP_MAC_CTX_new(mac);
	if (!s->aes || !s->hmac)
		goto out;
	if (!EVP_EncryptInit_ex2(s->aes, cipher, NULL, NULL, NULL) ||
	    !EVP_MAC_CTX_set_params(s->hmac, params))
		goto out;
	EVP_CIPHER_CTX_set_padding(s->aes, 0);
	rc = 0;
out:
	EVP_CIPHER_free(cipher);
	EVP_MAC_free(mac);
	if (rc)
		sim_fini(s);
	return rc;
}

void sim_fini(struct sim *s)
{
	EVP_CIPHER_CTX_free(s->aes);
	EVP_MAC_CTX_free(s->hmac);
	secret_wipe(s, sizeof *s);
}

static void use_key(struct sim *s, const uint8_t k[16])
{
	if (s->keyed && secret_equal(s->key, k, 16))
		return;
	if (!EVP_EncryptInit_ex2(s->aes, NULL, k, NULL, NULL))
		bug("AES refuses a key");
	memcpy(s->key, k, 16);
	s->keyed = true;
}

static void encrypt(struct sim *s, const uint8_t in[16], uint8_t out[16])
{
	int len = 0;
	if (!EVP_EncryptUpdate(s->aes, out, &len, in, 16) || len != 16)
		bug("AES refuses a block");
}

static void xor16(uint8_t out[16], const uint8_t a[16], const uint8_t b[16])
{
	for (int i = 0; i < 16; i++)
		out[i] = a[i] ^ b[i];
}

// OUT = E_K(rot(in, bytes) ^ c) ^ OPc, the form that all of f1 to f5* share (TS 35.206 4.1).
static void out_block(struct sim *s, const uint8_t opc[16], const uint8_t in[16], int rotate, uint8_t c,
		      uint8_t out[16])
{
	uint8_t block[16];
	for (int i = 0; i < 16; i++)
		block[i] = in[(i + rotate) & 15];
	block[15] ^= c;
	encrypt(s, block, out);
	xor16(out, out, opc);
}

static void temp_block(struct sim *s, const struct sim_keys *keys, const uint8_t rand[16], uint8_t temp[16])
{
	use_key(s, keys->k);
	xor16(temp, rand, keys->opc);
	encrypt(s, temp, temp);
}

void sim_opc(struct sim *s, const uint8_t k[16], const uint8_t op[16], uint8_t opc[16])
{
	uint8_t out[16];
	use_key(s, k);
	encrypt(s, op, out);
	xor16(opc, out, op);
}

void sim_f1(struct sim *s, const struct sim_keys *keys, const uint8_t rand[16], const uint8_t sqn[6],
	    const uint8_t amf[2], uint8_t mac_a[8], uint8_t mac_s[8])
{
	uint8_t temp[16], in1[16], block[16], out[16];

	temp_block(s, keys, rand, temp);
	memcpy(in1, sqn, 6);
	memcpy(in1 + 6, amf, 2);
	memcpy(in1 + 8, in1, 8);
	xor16(block, in1, keys->opc);
	// r1 = 64 bits, c1 = 0: TEMP ^ rot(IN1 ^ OPc, 8 bytes)
	for (int i = 0; i < 16; i++)
		temp[i] ^= block[(i + 8) & 15];
	out_block(s, keys->opc, temp, 0, 0, out);
	memcpy(mac_a, out, 8);
	memcpy(mac_s, out + 8, 8);
}

void sim_f2345(struct sim *s, const struct sim_keys *keys, const uint8_t rand[16], struct sim_aka *out)
{
	uint8_t temp[16], block[16];

	temp_block(s, keys, rand, temp);
	xor16(temp, temp, keys->opc);
	out_block(s, keys->opc, temp, 0, 1, block);
	memcpy(out->ak, block, 6);
	memcpy(out->res, block + 8, 8);
	out_block(s, keys->opc, temp, 4, 2, out->ck);
	out_block(s, keys->opc, temp, 8, 4, out->ik);
	out_block(s, keys->opc, temp, 12, 8, block);
	memcpy(out->ak_star, block, 6);
}

void sim_kasme(struct sim *s, const uint8_t ck[16], const uint8_t ik[16], const uint8_t plmn[3],
	       const uint8_t sqn_xor_ak[6], uint8_t kasme[32])
{
	uint8_t key[32], text[14];
	size_t len = 0;

	memcpy(key, ck, 16);
	memcpy(key + 16, ik, 16);
	// S = FC || P0 || L0 || P1 || L1 (TS 33.220 B.2, TS 33.401 A.2)
	text[0] = 0x10;
	memcpy(text + 1, plmn, 3);
	text[4] = 0;
	text[5] = 3;
	memcpy(text + 6, sqn_xor_ak, 6);
	text[12] = 0;
	text[13] = 6;
	if (!EVP_MAC_init(s->hmac, key, sizeof key, NULL) || !EVP_MAC_update(s->hmac, text, sizeof text) ||
	    !EVP_MAC_final(s->hmac, kasme, &len, 32) || len != 32)
		bug("HMAC-SHA-256 fails");
	secret_wipe(key, sizeof key);
}

void sim_prime(struct sim *s, const char *anid, const uint8_t sqn_xor_ak[6], uint8_t ck[16], uint8_t ik[16])
{
	uint8_t key[32], out[32], text[1 + 253 + 2 + 6 + 2];
	size_t len = strlen(anid), got = 0;

	if (len > 253)
		bug("an access network's name of %zu octets", len);
	memcpy(key, ck, 16);
	memcpy(key + 16, ik, 16);
	text[0] = 0x20;
	memcpy(text + 1, anid, len);
	text[1 + len] = 0;
	text[2 + len] = (uint8_t)len;
	memcpy(text + 3 + len, sqn_xor_ak, 6);
	text[9 + len] = 0;
	text[10 + len] = 6;
	if (!EVP_MAC_init(s->hmac, key, sizeof key, NULL) || !EVP_MAC_update(s->hmac, text, 11 + len) ||
	    !EVP_MAC_final(s->hmac, out, &got, 32) || got != 32)
		bug("HMAC-SHA-256 fails");
	memcpy(ck, out, 16);
	memcpy(ik, out + 16, 16);
	secret_wipe(key, sizeof key);
	secret_wipe(out, sizeof out);
}

static uint64_t sqn_get(const uint8_t sqn[6])
{
	uint64_t v = 0;
	for (int i = 0; i < 6; i++)
		v = v << 8 | sqn[i];
	return v;
}

static void sqn_put(uint8_t sqn[6], uint64_t v)
{
	for (int i = 5; i >= 0; i--, v >>= 8)
		sqn[i] = (uint8_t)v;
}

const char *sim_check(struct sim *s, const struct sim_keys *keys, const uint8_t plmn[3],
		      const struct sim_vector *v, uint64_t *sqn)
{
	struct sim_aka aka;
	uint8_t sqn_bytes[6], mac_a[8], mac_s[8], kasme[32];
	const uint8_t *amf = v->autn + 6, *mac = v->autn + 8;

	sim_f2345(s, keys, v->rand, &aka);
	for (int i = 0; i < 6; i++)
		sqn_bytes[i] = v->autn[i] ^ aka.ak[i];
	*sqn = sqn_get(sqn_bytes);
	sim_f1(s, keys, v->rand, sqn_bytes, amf, mac_a, mac_s);
	if (!secret_equal(mac, mac_a, 8))
		return "MAC of AUTN";
	if (v->xres_len != 8 || !secret_equal(v->xres, aka.res, 8))
		return "XRES";
	if (v->kasme) {
		if (!(amf[0] & 0x80))
			return "AMF separation bit clear in an E-UTRAN vector";
		sim_kasme(s, aka.ck, aka.ik, plmn, v->autn, kasme);
		return secret_equal(kasme, v->kasme, 32) ? NULL : "KASME";
	}
	if (!(amf[0] & 0x80) != !v->anid)
		return v->anid ? "AMF separation bit clear in a vector of EAP-AKA'" : "AMF separation bit set in a UTRAN vector";
	if (v->anid)
		sim_prime(s, v->anid, v->autn, aka.ck, aka.ik);
	if (!v->ck || !v->ik || !secret_equal(v->ck, aka.ck, 16) || !secret_equal(v->ik, aka.ik, 16))
		return "CK or IK";
	return NULL;
}

void sim_auts(struct sim *s, const struct sim_keys *keys, const uint8_t rand[16], uint64_t sqn_ms,
	      uint8_t auts[14])
{
	static const uint8_t amf_zero[2] = {0, 0};
	struct sim_aka aka;
	uint8_t sqn[6], mac_a[8];

	sqn_put(sqn, sqn_ms);
	sim_f2345(s, keys, rand, &aka);
	sim_f1(s, keys, rand, sqn, amf_zero, mac_a, auts + 6);
	for (int i = 0; i < 6; i++)
		auts[i] = sqn[i] ^ aka.ak_star[i];
}

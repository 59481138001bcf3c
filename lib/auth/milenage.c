// TS 35.206 4.1. With E = AES-128 under K and rot(x, r) a rotation towards the first octet:
//   TEMP = E(RAND ^ OPc)
//   OUT1 = E(TEMP ^ rot(IN1 ^ OPc, r1) ^ c1) ^ OPc,  IN1 = SQN || AMF || SQN || AMF
//   OUTi = E(rot(TEMP ^ OPc, ri) ^ ci) ^ OPc,        i = 2..5
// TEMP comes first; every OUT block then goes through the cipher in the same call. All rotations are whole
// 32-bit words and are done on words in memory order, which is right on either endianness.
#include "lib/auth/milenage.h"
#include <errno.h>
#include <string.h>
#include <openssl/evp.h>
#include "lib/base/secret.h"
#include "lib/base/wire.h"

#define BLOCK_LEN 16

union block {
	uint8_t b[BLOCK_LEN];
	uint32_t w[4];
};

// All intermediate secrets of one call, so that one wipe covers them.
struct work {
	union block opc;
	union block temp;
	union block out[4];
};

// ri in words and the last octet of ci, for OUT2..OUT5.
static const struct {
	uint8_t rot_words, c;
} out_params[] = {{0, 1}, {1, 2}, {2, 4}, {3, 8}};
enum { OUT2, OUT3, OUT4, OUT5 };

int milenage_init(struct milenage *m)
{
	static const uint8_t no_key[BLOCK_LEN];
	*m = (struct milenage){0};
	m->aes = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	m->ctx = EVP_CIPHER_CTX_new();
	if (!m->aes || !m->ctx || EVP_EncryptInit_ex2(m->ctx, m->aes, no_key, NULL, NULL) != 1 ||
	    EVP_CIPHER_CTX_set_padding(m->ctx, 0) != 1)
		return -EIO;
	return 0;
}

void milenage_fini(struct milenage *m)
{
	EVP_CIPHER_CTX_free(m->ctx);
	EVP_CIPHER_free(m->aes);
	*m = (struct milenage){0};
}

// Encrypts n blocks in place. ECB without padding gives back exactly what it got, or it failed.
static bool encrypt(struct milenage *m, union block *blocks, int n)
{
	int len = 0;
	uint8_t *p = (uint8_t *)blocks;
	return EVP_EncryptUpdate(m->ctx, p, &len, p, n * BLOCK_LEN) == 1 && len == n * BLOCK_LEN;
}

static bool set_key(struct milenage *m, const uint8_t k[16])
{
	// No cipher argument: the context keeps the one of milenage_init and only expands the new key.
	return EVP_EncryptInit_ex2(m->ctx, NULL, k, NULL, NULL) == 1;
}

static void block_xor(union block *x, const union block *y)
{
	for (unsigned i = 0; i < 4; i++)
		x->w[i] ^= y->w[i];
}

// Sets the key, loads OPc and computes TEMP.
static bool start(struct milenage *m, struct work *w, const uint8_t k[16], const uint8_t opc[16],
		  const uint8_t rand[16])
{
	memcpy(w->opc.b, opc, BLOCK_LEN);
	memcpy(w->temp.b, rand, BLOCK_LEN);
	block_xor(&w->temp, &w->opc);
	return set_key(m, k) && encrypt(m, &w->temp, 1);
}

// Input of the cipher for OUT1; r1 is 64 bits and c1 is zero.
static void prepare_out1(const struct work *w, union block *in, uint64_t sqn, uint16_t amf)
{
	union block in1;
	be64_put(in1.b, sqn << 16 | amf);
	memcpy(in1.b + 8, in1.b, 8);
	for (unsigned i = 0; i < 4; i++)
		in->w[i] = w->temp.w[i] ^ in1.w[(i + 2) & 3] ^ w->opc.w[(i + 2) & 3];
}

static void prepare_out(const struct work *w, union block *in, unsigned which)
{
	unsigned rot = out_params[which].rot_words;
	for (unsigned i = 0; i < 4; i++)
		in->w[i] = w->temp.w[(i + rot) & 3] ^ w->opc.w[(i + rot) & 3];
	in->b[15] ^= out_params[which].c;
}

// Encrypts the first n prepared blocks and adds OPc: w->out then holds the OUT blocks.
static bool finish(struct milenage *m, struct work *w, int n)
{
	if (!encrypt(m, w->out, n))
		return false;
	for (int i = 0; i < n; i++)
		block_xor(&w->out[i], &w->opc);
	return true;
}

// `out` points to OUT2, OUT3, OUT4 (TS 35.206 4.1: where each value is cut from).
static void take_f2345(const union block out[3], struct aka_values *v)
{
	memcpy(v->ak, out[OUT2].b, AKA_AK_LEN);
	memcpy(v->res, out[OUT2].b + 8, 8);
	memset(v->res + 8, 0, AKA_RES_MAX - 8);
	v->res_len = 8;
	memcpy(v->ck, out[OUT3].b, AKA_KEY_LEN);
	memcpy(v->ik, out[OUT4].b, AKA_KEY_LEN);
}

int milenage_opc(struct milenage *m, const uint8_t k[16], const uint8_t op[16], uint8_t opc[16])
{
	union block in, out;
	memcpy(in.b, op, BLOCK_LEN);
	out = in;
	bool ok = set_key(m, k) && encrypt(m, &out, 1);
	block_xor(&out, &in);
	memcpy(opc, out.b, BLOCK_LEN);
	secret_wipe(&in, sizeof(in));
	secret_wipe(&out, sizeof(out));
	return ok ? 0 : -EIO;
}

int milenage_f1(struct milenage *m, const uint8_t k[16], const uint8_t opc[16], const uint8_t rand[16],
		uint64_t sqn, uint16_t amf, uint8_t mac_a[8], uint8_t mac_s[8])
{
	struct work w;
	bool ok = start(m, &w, k, opc, rand);
	if (ok) {
		prepare_out1(&w, &w.out[0], sqn, amf);
		ok = finish(m, &w, 1);
	}
	if (ok && mac_a)
		memcpy(mac_a, w.out[0].b, AKA_MAC_LEN);
	if (ok && mac_s)
		memcpy(mac_s, w.out[0].b + 8, AKA_MAC_LEN);
	secret_wipe(&w, sizeof(w));
	return ok ? 0 : -EIO;
}

int milenage_f2345(struct milenage *m, const uint8_t k[16], const uint8_t opc[16], const uint8_t rand[16],
		   struct aka_values *out)
{
	struct work w;
	bool ok = start(m, &w, k, opc, rand);
	if (ok) {
		for (unsigned which = OUT2; which <= OUT4; which++)
			prepare_out(&w, &w.out[which], which);
		ok = finish(m, &w, 3);
	}
	if (ok) {
		memset(out->mac_a, 0, AKA_MAC_LEN);
		take_f2345(w.out, out);
	}
	secret_wipe(&w, sizeof(w));
	return ok ? 0 : -EIO;
}

int milenage_f5star(struct milenage *m, const uint8_t k[16], const uint8_t opc[16], const uint8_t rand[16],
		    uint8_t ak_star[6])
{
	struct work w;
	bool ok = start(m, &w, k, opc, rand);
	if (ok) {
		prepare_out(&w, &w.out[0], OUT5);
		ok = finish(m, &w, 1);
	}
	if (ok)
		memcpy(ak_star, w.out[0].b, AKA_AK_LEN);
	secret_wipe(&w, sizeof(w));
	return ok ? 0 : -EIO;
}

int milenage_vector(struct milenage *m, const uint8_t k[16], const uint8_t opc[16], const uint8_t rand[16],
		    uint64_t sqn, uint16_t amf, struct aka_values *out)
{
	struct work w;
	bool ok = start(m, &w, k, opc, rand);
	if (ok) {
		prepare_out1(&w, &w.out[0], sqn, amf);
		for (unsigned which = OUT2; which <= OUT4; which++)
			prepare_out(&w, &w.out[1 + which], which);
		ok = finish(m, &w, 4);
	}
	if (ok) {
		memcpy(out->mac_a, w.out[0].b, AKA_MAC_LEN);
		take_f2345(w.out + 1, out);
	}
	secret_wipe(&w, sizeof(w));
	return ok ? 0 : -EIO;
}

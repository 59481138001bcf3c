// HMAC as RFC 2104 defines it: H(key ^ opad || H(key ^ ipad || S)). Key pad and message lie side by side, so
// that each of the two digests is one update: four SHA-256 blocks for a KASME.
#include "lib/auth/kdf.h"
#include <errno.h>
#include <openssl/evp.h>
#include "lib/base/secret.h"

#define SHA256_BLOCK_LEN 64
#define FC_KASME         0x10 // TS 33.401 A.2
#define FC_CK_IK_PRIME   0x20 // TS 33.402 A.2

// Everything secret of one derivation, so that one wipe covers it.
struct work {
	uint8_t outer[SHA256_BLOCK_LEN + KDF_OUT_LEN];
	uint8_t inner[SHA256_BLOCK_LEN + KDF_S_MAX];
};

int kdf_init(struct kdf *f)
{
	*f = (struct kdf){0};
	f->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	f->ctx = EVP_MD_CTX_new();
	if (!f->sha256 || !f->ctx || EVP_DigestInit_ex2(f->ctx, f->sha256, NULL) != 1)
		return -EIO;
	return 0;
}

void kdf_fini(struct kdf *f)
{
	EVP_MD_CTX_free(f->ctx);
	EVP_MD_free(f->sha256);
	*f = (struct kdf){0};
}

static bool digest(struct kdf *f, const uint8_t *p, size_t n, uint8_t out[KDF_OUT_LEN])
{
	unsigned len = 0;
	// No digest argument: the context keeps the one of kdf_init.
	return EVP_DigestInit_ex2(f->ctx, NULL, NULL) == 1 && EVP_DigestUpdate(f->ctx, p, n) == 1 &&
	       EVP_DigestFinal_ex(f->ctx, out, &len) == 1 && len == KDF_OUT_LEN;
}

static void fill_pads(struct work *w, struct slice key)
{
	memset(w->inner, 0x36, SHA256_BLOCK_LEN);
	memset(w->outer, 0x5c, SHA256_BLOCK_LEN);
	for (uint32_t i = 0; i < key.len; i++) {
		w->inner[i] ^= key.p[i];
		w->outer[i] ^= key.p[i];
	}
}

int kdf_derive(struct kdf *f, struct slice key, uint8_t fc, const struct slice *params, unsigned param_cnt,
	       uint8_t out[KDF_OUT_LEN])
{
	struct work w;
	if (key.len > KDF_KEY_MAX)
		return -EINVAL;
	struct wr s = wr_of(w.inner + SHA256_BLOCK_LEN, KDF_S_MAX);
	wr_u8(&s, fc);
	for (unsigned i = 0; i < param_cnt && !s.err; i++) {
		wr_slice(&s, params[i]);
		wr_u16(&s, (uint16_t)params[i].len);
	}
	if (s.err)
		return -EMSGSIZE;
	size_t inner_len = SHA256_BLOCK_LEN + wr_len(&s);
	fill_pads(&w, key);
	bool ok = digest(f, w.inner, inner_len, w.outer + SHA256_BLOCK_LEN) &&
		  digest(f, w.outer, sizeof(w.outer), out);
	secret_wipe(&w, sizeof(w.outer) + inner_len);
	return ok ? 0 : -EIO;
}

// Both derivations of EPS have the key CK || IK and the parameters network, SQN ^ AK.
static int derive_from_ck_ik(struct kdf *f, uint8_t fc, const uint8_t ck[16], const uint8_t ik[16],
			     struct slice network, const uint8_t sqn_xor_ak[6], uint8_t out[KDF_OUT_LEN])
{
	uint8_t key[32];
	struct slice params[] = {network, slice_of(sqn_xor_ak, 6)};
	memcpy(key, ck, 16);
	memcpy(key + 16, ik, 16);
	int err = kdf_derive(f, slice_of(key, sizeof(key)), fc, params, 2, out);
	secret_wipe(key, sizeof(key));
	return err;
}

int kdf_kasme(struct kdf *f, const uint8_t ck[16], const uint8_t ik[16], const uint8_t plmn[3],
	      const uint8_t sqn_xor_ak[6], uint8_t kasme[32])
{
	return derive_from_ck_ik(f, FC_KASME, ck, ik, slice_of(plmn, 3), sqn_xor_ak, kasme);
}

int kdf_ck_ik_prime(struct kdf *f, const uint8_t ck[16], const uint8_t ik[16], struct slice anid,
		    const uint8_t sqn_xor_ak[6], uint8_t ck_prime[16], uint8_t ik_prime[16])
{
	uint8_t both[KDF_OUT_LEN];
	int err = derive_from_ck_ik(f, FC_CK_IK_PRIME, ck, ik, anid, sqn_xor_ak, both);
	if (err == 0) {
		memcpy(ck_prime, both, 16);
		memcpy(ik_prime, both + 16, 16);
	}
	secret_wipe(both, sizeof(both));
	return err;
}

// Keys derived from CK and IK with the KDF of TS 33.220 B.2, which is HMAC-SHA-256(key, S) over the string
// S = FC || P0 || L0 || P1 || L1 ... Used by the worker only (law 10). The digest is fetched once and its
// context reused (law 7); HMAC is written out over it as two digests (RFC 2104), since re-initialising an
// EVP_MAC costs half as much again as the hashing. (Starting a digest, libcrypto 3.0 allocates its state of
// 112 octets anew, and wipes the old one; there is no public call that does not.)
//
// A context belongs to one thread. Functions return 0 or a negative errno: -EIO when libcrypto refuses; the
// output is then undefined and must not be used.
#pragma once
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"

#define KDF_OUT_LEN 32
#define KDF_KEY_MAX 64  // one SHA-256 block; longer keys would be hashed first, and no 3GPP key is longer
#define KDF_S_MAX   320 // FC and all parameters with their lengths

struct evp_md_st;
struct evp_md_ctx_st;

struct kdf {
	struct evp_md_st *sha256;
	struct evp_md_ctx_st *ctx;
};

// Fetches SHA-256 into the caller's storage; kdf_fini frees it, also after a failed init.
MUST_USE int kdf_init(struct kdf *f);
void kdf_fini(struct kdf *f);

// The generic function of TS 33.220 B.2.0. Refuses a key above KDF_KEY_MAX octets (-EINVAL) and parameters
// that with their lengths exceed KDF_S_MAX (-EMSGSIZE).
MUST_USE int kdf_derive(struct kdf *f, struct slice key, uint8_t fc, const struct slice *params,
			unsigned param_cnt, uint8_t out[KDF_OUT_LEN]);

// KASME (TS 33.401 A.2) for the serving network `plmn`, coded as Visited-PLMN-Id. `sqn_xor_ak`: AUTN's first
// 6 octets.
MUST_USE int kdf_kasme(struct kdf *f, const uint8_t ck[16], const uint8_t ik[16], const uint8_t plmn[3],
		       const uint8_t sqn_xor_ak[6], uint8_t kasme[32]);

// CK' and IK' (TS 33.402 A.2, RFC 9048 3.3) for the access network identity `anid` ("WLAN"); -EMSGSIZE as
// above.
MUST_USE int kdf_ck_ik_prime(struct kdf *f, const uint8_t ck[16], const uint8_t ik[16], struct slice anid,
			     const uint8_t sqn_xor_ak[6], uint8_t ck_prime[16], uint8_t ik_prime[16]);

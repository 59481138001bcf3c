// The simulated card: Milenage (TS 35.206), KASME (TS 33.401 A.2) and AUTS (TS 33.102 6.3.3), written apart
// from the HSS's own cryptography on purpose: hss-load is the second opinion about every vector that it
// receives.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"

struct sim_keys {
	uint8_t k[16];
	uint8_t opc[16];
};

// OpenSSL objects, fetched once; the AES key schedule is kept while the same K is used again.
struct sim {
	struct evp_cipher_ctx_st *aes;
	struct evp_mac_ctx_st *hmac;
	uint8_t key[16];
	bool keyed;
};

struct sim_aka {
	uint8_t res[8];
	uint8_t ck[16];
	uint8_t ik[16];
	uint8_t ak[6];
	uint8_t ak_star[6];
};

// What an Authentication-Info of an answer holds; pointers into the answer. For an E-UTRAN vector `kasme` is
// set, for a UTRAN vector `ck` and `ik` (TS 29.272 7.3.18, 7.3.19).
struct sim_vector {
	const uint8_t *rand; // 16
	const uint8_t *xres; // xres_len
	uint32_t xres_len;
	const uint8_t *autn;  // 16
	const uint8_t *kasme; // 32, or NULL
	const uint8_t *ck;    // 16, or NULL
	const uint8_t *ik;
	const char *anid; // of EAP-AKA': the access network, to which ck and ik are bound; NULL: they are not
};

// 0, or -ENOMEM when OpenSSL gives no AES or HMAC.
MUST_USE int sim_init(struct sim *s);
// Frees and wipes.
void sim_fini(struct sim *s);

// OPc from OP (TS 35.206 4.1).
void sim_opc(struct sim *s, const uint8_t k[16], const uint8_t op[16], uint8_t opc[16]);
void sim_f1(struct sim *s, const struct sim_keys *keys, const uint8_t rand[16], const uint8_t sqn[6],
	    const uint8_t amf[2], uint8_t mac_a[8], uint8_t mac_s[8]);
void sim_f2345(struct sim *s, const struct sim_keys *keys, const uint8_t rand[16], struct sim_aka *out);
void sim_kasme(struct sim *s, const uint8_t ck[16], const uint8_t ik[16], const uint8_t plmn[3],
	       const uint8_t sqn_xor_ak[6], uint8_t kasme[32]);

// CK' and IK' (TS 33.402 A.2) in place of CK and IK, for an access network's name of at most 253 octets.
void sim_prime(struct sim *s, const char *anid, const uint8_t sqn_xor_ak[6], uint8_t ck[16], uint8_t ik[16]);

// Checks a vector as a card and a phone would: MAC, the AMF separation bit (set for E-UTRAN and EAP-AKA' only), XRES, and
// KASME or CK and IK. NULL when it is right, else what is wrong. *sqn gets the SQN recovered from AUTN in
// both cases.
const char *sim_check(struct sim *s, const struct sim_keys *keys, const uint8_t plmn[3],
		      const struct sim_vector *v, uint64_t *sqn);

// AUTS of a card whose highest accepted sequence number is sqn_ms, for the challenge rand.
void sim_auts(struct sim *s, const struct sim_keys *keys, const uint8_t rand[16], uint64_t sqn_ms,
	      uint8_t auts[14]);

// Milenage, the 3GPP example algorithm set (TS 35.205, 35.206): f1, f1*, f2, f3, f4, f5, f5* over AES-128 of
// libcrypto. Used by the worker only (law 10). The AES object is fetched once and its context is re-keyed per
// call (law 7): no call allocates, and all blocks that do not depend on each other go through the cipher in
// one call.
//
// A context belongs to one thread. It keeps the schedule of the last key until the next call or
// milenage_fini; the structs on the stack that held intermediate secrets are wiped before a function returns.
// Every function returns 0, or -EIO when libcrypto refuses; outputs are then undefined and must not be used.
#pragma once
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/auth/aka.h"

struct evp_cipher_st;
struct evp_cipher_ctx_st;

struct milenage {
	struct evp_cipher_st *aes;
	struct evp_cipher_ctx_st *ctx;
};

// Fetches AES-128-ECB into the caller's storage; milenage_fini frees it, also after a failed init, and wipes
// the last key schedule.
MUST_USE int milenage_init(struct milenage *m);
void milenage_fini(struct milenage *m);

// OPc from OP (TS 35.206 4.1). `opc` may be `op`.
MUST_USE int milenage_opc(struct milenage *m, const uint8_t k[16], const uint8_t op[16], uint8_t opc[16]);

// f1 (MAC-A) and f1* (MAC-S) come from one block; a NULL output is left out. `sqn` is a 48-bit number.
MUST_USE int milenage_f1(struct milenage *m, const uint8_t k[16], const uint8_t opc[16],
			 const uint8_t rand[16], uint64_t sqn, uint16_t amf, uint8_t mac_a[8],
			 uint8_t mac_s[8]);

// f2 (RES), f3 (CK), f4 (IK), f5 (AK): what a GERAN triplet needs. mac_a is set to zero.
MUST_USE int milenage_f2345(struct milenage *m, const uint8_t k[16], const uint8_t opc[16],
			    const uint8_t rand[16], struct aka_values *out);

// f5* (AK*, conceals SQN_MS in AUTS).
MUST_USE int milenage_f5star(struct milenage *m, const uint8_t k[16], const uint8_t opc[16],
			     const uint8_t rand[16], uint8_t ak_star[6]);

// f1 to f5 at once, for a vector with AUTN: one key schedule and two cipher calls. `sqn` is a 48-bit number.
MUST_USE int milenage_vector(struct milenage *m, const uint8_t k[16], const uint8_t opc[16],
			     const uint8_t rand[16], uint64_t sqn, uint16_t amf, struct aka_values *out);

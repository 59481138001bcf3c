// Authentication vectors (TS 33.102 6.3, TS 33.401 6.1, TS 33.402 6.2) and the check of AUTS: the one door
// through which the worker's applications reach the cryptography. It owns the process's OpenSSL objects and a
// block of randomness (law 7), picks the subscriber's algorithm, forces the AMF separation bit, and wipes
// what it used (law 10).
//
// Functions that return int give 0 or a negative errno: -EIO libcrypto refused, -ERANGE the SQN has more than
// 48 bits, -EPERM a test algorithm that is not switched on, -EINVAL an unknown algorithm, -EMSGSIZE an access
// network identity beyond what the KDF takes. On failure the output is wiped: a half-made vector is never
// sent. The output vectors are secret and the caller's: wipe them once they are encoded.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"
#include "lib/auth/aka.h"
#include "lib/auth/kdf.h"
#include "lib/auth/milenage.h"

#define AUTH_RANDOM_BLOCK 4096   // one call of the random generator serves 256 vectors
#define AMF_SEPARATION    0x8000 // AMF bit 0 (TS 33.401 6.1.2): 1 = the vector is for EPS or EAP-AKA'

enum auth_alg {
	AUTH_MILENAGE,
	AUTH_XOR, // TS 34.108 8.1.2; refused unless test algorithms are switched on
};

// A subscriber's keys; OPc is not read for AUTH_XOR. Only the operator bits of `amf` count.
struct auth_keys {
	enum auth_alg alg;
	uint16_t amf;
	uint8_t k[16];
	uint8_t opc[16];
};

// One per process and thread; not to be used on both sides of a fork, which would issue the same RANDs twice.
struct auth {
	struct milenage milenage;
	struct kdf kdf;
	bool test_algorithms;
	unsigned random_left; // unused octets, at the end of `random`; used ones are zero
	uint8_t random[AUTH_RANDOM_BLOCK];
};

struct eutran_vector {
	uint8_t rand[16];
	uint8_t autn[16];
	uint8_t kasme[32];
	uint8_t xres_len;
	uint8_t xres[AKA_RES_MAX];
};

// UTRAN, IMS-AKA and EAP-AKA.
struct utran_vector {
	uint8_t rand[16];
	uint8_t autn[16];
	uint8_t ck[16];
	uint8_t ik[16];
	uint8_t xres_len;
	uint8_t xres[AKA_RES_MAX];
};

struct geran_vector {
	uint8_t rand[16];
	uint8_t sres[4];
	uint8_t kc[8];
};

enum auth_resync {
	AUTH_RESYNC_OK,
	AUTH_RESYNC_MAC_FAILED, // forged, or made with other keys or another RAND
	AUTH_RESYNC_ERROR, // not decided: libcrypto refused, or the algorithm is unknown or not switched on
};

// Fetches the algorithms into the caller's storage; randomness is drawn with the first vector. auth_fini
// frees and wipes everything, also after a failed init. Test algorithms are off until test_algorithms is set.
MUST_USE int auth_init(struct auth *a);
void auth_fini(struct auth *a);

// An E-UTRAN vector for the serving network `plmn` (Visited-PLMN-Id); separation bit 1.
MUST_USE int auth_eutran_vector(struct auth *a, const struct auth_keys *keys, uint64_t sqn,
				const uint8_t plmn[3], struct eutran_vector *out);

// A UTRAN, IMS-AKA or EAP-AKA quintuplet; separation bit 0.
MUST_USE int auth_utran_vector(struct auth *a, const struct auth_keys *keys, uint64_t sqn,
			       struct utran_vector *out);

// A GERAN triplet by the conversion functions c2, c3 of TS 33.102 6.8.1.2 (for Milenage: TS 55.205, SRES
// method 1).
MUST_USE int auth_geran_vector(struct auth *a, const struct auth_keys *keys, struct geran_vector *out);

// An EAP-AKA' quintuplet for the access network `anid` (TS 33.402 A.2): separation bit 1, ck and ik are CK'
// and IK'.
MUST_USE int auth_eap_aka_prime_vector(struct auth *a, const struct auth_keys *keys, uint64_t sqn,
				       struct slice anid, struct utran_vector *out);

// The same vectors for the 16 octets at `rand`, or a fresh RAND when it is NULL. For tests and simulators: a
// network that repeats a RAND breaks AKA.
MUST_USE int auth_eutran_vector_for(struct auth *a, const struct auth_keys *keys, uint64_t sqn,
				    const uint8_t plmn[3], const uint8_t *rand, struct eutran_vector *out);
MUST_USE int auth_utran_vector_for(struct auth *a, const struct auth_keys *keys, uint64_t sqn,
				   const uint8_t *rand, struct utran_vector *out);
MUST_USE int auth_geran_vector_for(struct auth *a, const struct auth_keys *keys, const uint8_t *rand,
				   struct geran_vector *out);
MUST_USE int auth_eap_aka_prime_vector_for(struct auth *a, const struct auth_keys *keys, uint64_t sqn,
					   struct slice anid, const uint8_t *rand, struct utran_vector *out);

// Verifies AUTS = (SQN_MS ^ AK*) || MAC-S for the RAND it answers (TS 33.102 6.3.5), with AMF* 0000 and in
// constant time. *sqn_ms is the USIM's SQN when the result is AUTH_RESYNC_OK, otherwise 0. That the RAND is
// one of ours is the caller's to know.
MUST_USE enum auth_resync auth_resync(struct auth *a, const struct auth_keys *keys, const uint8_t rand[16],
				      const uint8_t auts[14], uint64_t *sqn_ms);

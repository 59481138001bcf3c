// What an authentication algorithm yields for one RAND (TS 33.102 6.3.2), whichever algorithm it was:
// Milenage and the XOR test algorithm fill the same struct, so that vectors.c composes AUTN and keys once.
// Used by the worker.
#pragma once
#include <stdint.h>

#define AKA_KEY_LEN  16 // K, OP, OPc, RAND, CK, IK
#define AKA_MAC_LEN  8  // MAC-A, MAC-S
#define AKA_AK_LEN   6  // AK, AK*, SQN
#define AKA_AUTN_LEN 16
#define AKA_AUTS_LEN 14
#define AKA_RES_MAX  16 // RES has 4 to 16 octets (TS 33.102 6.3.7); the algorithms here give 8

// Secret: whoever owns one wipes it.
struct aka_values {
	uint8_t mac_a[AKA_MAC_LEN];
	uint8_t ck[AKA_KEY_LEN];
	uint8_t ik[AKA_KEY_LEN];
	uint8_t ak[AKA_AK_LEN];
	uint8_t res_len;
	uint8_t res[AKA_RES_MAX]; // octets from res_len on are zero
};

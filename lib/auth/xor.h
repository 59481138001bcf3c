// The XOR test algorithm of TS 34.108 8.1.2, for test USIMs and simulators. It protects nothing: two
// exclusive ors give K away, so vectors.c refuses it unless the operator has switched test algorithms on.
// Pure functions, used by the worker; the roles are those of milenage.h, but there is no OPc and nothing can
// fail.
#pragma once
#include <stdint.h>
#include "lib/auth/aka.h"

// f1 and f1*, which are the same function here (XMAC = XDOUT[0..7] ^ (SQN || AMF)). `sqn` is a 48-bit number.
void xor_f1(const uint8_t k[16], const uint8_t rand[16], uint64_t sqn, uint16_t amf, uint8_t mac[8]);

// f2 (the leading 8 octets of XDOUT), f3, f4, f5. mac_a is set to zero.
void xor_f2345(const uint8_t k[16], const uint8_t rand[16], struct aka_values *out);

// f5*, the same as f5.
void xor_f5star(const uint8_t k[16], const uint8_t rand[16], uint8_t ak_star[6]);

// f1 to f5 at once.
void xor_vector(const uint8_t k[16], const uint8_t rand[16], uint64_t sqn, uint16_t amf,
		struct aka_values *out);

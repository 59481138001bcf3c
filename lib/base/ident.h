// Identities as validated types: an IMSI that exists as `struct imsi` has 5 to 15 decimal digits, so nothing behind
// this header meets an empty User-Name, a letter or a NUL byte.
// An IMSI or MSISDN is kept as one 64-bit number: its digits as decimal value, and how many there are, so that leading
// zeros count (001010000000001) and comparing is one instruction. 0 is "none".
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/wire.h"

#define IMSI_MAX_DIGITS   15
#define MSISDN_MAX_DIGITS 15

// Bits 0-59: value, bits 60-63: digit count (1..15).
typedef struct {
	uint64_t v;
} imsi_t;
typedef struct {
	uint64_t v;
} msisdn_t;

// Accepts 5 to 15 ASCII digits, nothing else (TS 23.003 2.2); false leaves *out at none.
bool imsi_parse(struct slice text, imsi_t *out);
// Accepts 1 to 15 digits (E.164), a leading '+' is skipped.
bool msisdn_parse(struct slice text, msisdn_t *out);

// Writes the digits and a NUL; returns the number of digits. `out` holds 16 bytes.
unsigned imsi_text(imsi_t imsi, char out[16]);
unsigned msisdn_text(msisdn_t msisdn, char out[16]);

// TBCD of TS 29.002: low nibble first, filler 0xf. Returns the octets written (at most 8).
unsigned msisdn_tbcd(msisdn_t msisdn, uint8_t out[8]);

static inline uint64_t ident_hash(uint64_t v)
{
	v ^= v >> 32;
	v *= 0xd6e8feb86659fd93ull;
	v ^= v >> 32;
	v *= 0xd6e8feb86659fd93ull;
	return v ^ v >> 32;
}

// Stable hash of bytes (FNV-1a, finished by ident_hash); case is folded when `nocase`.
uint64_t ident_hash_bytes(struct slice s, bool nocase);

// Visited-PLMN-Id, 3 octets of TS 24.301 coding: all digits decimal (MNC3 may be 0xf).
bool plmn_valid(const uint8_t plmn[3]);
// "00101" or "001001" text of it; out holds 7 bytes.
void plmn_text(const uint8_t plmn[3], char out[7]);

// Hex text to bytes: blanks are skipped, any case, exactly `len` bytes or false (then out is wiped).
bool hex_parse(struct slice text, uint8_t *out, unsigned len);
// 2*len digits, lower case, and a NUL.
void hex_text(const uint8_t *p, unsigned len, char *out);

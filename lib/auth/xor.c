// TS 34.108 8.1.2.1: everything is cut from XDOUT = K ^ RAND. That all functions compute it anew is cheaper
// than sharing it.
#include "lib/auth/xor.h"
#include <string.h>
#include "lib/base/secret.h"
#include "lib/base/wire.h"

static void xdout_compute(const uint8_t k[16], const uint8_t rand[16], uint8_t xdout[16])
{
	for (unsigned i = 0; i < 16; i++)
		xdout[i] = k[i] ^ rand[i];
}

void xor_f1(const uint8_t k[16], const uint8_t rand[16], uint64_t sqn, uint16_t amf, uint8_t mac[8])
{
	uint8_t xdout[16], cdout[8];
	xdout_compute(k, rand, xdout);
	be64_put(cdout, sqn << 16 | amf);
	for (unsigned i = 0; i < AKA_MAC_LEN; i++)
		mac[i] = xdout[i] ^ cdout[i];
	secret_wipe(xdout, sizeof(xdout));
}

void xor_f2345(const uint8_t k[16], const uint8_t rand[16], struct aka_values *out)
{
	uint8_t xdout[16];
	xdout_compute(k, rand, xdout);
	*out = (struct aka_values){.res_len = 8};
	memcpy(out->res, xdout, 8);
	memcpy(out->ak, xdout + 3, AKA_AK_LEN);
	for (unsigned i = 0; i < AKA_KEY_LEN; i++) {
		out->ck[i] = xdout[(i + 1) & 15];
		out->ik[i] = xdout[(i + 2) & 15];
	}
	secret_wipe(xdout, sizeof(xdout));
}

void xor_f5star(const uint8_t k[16], const uint8_t rand[16], uint8_t ak_star[6])
{
	for (unsigned i = 0; i < AKA_AK_LEN; i++)
		ak_star[i] = k[i + 3] ^ rand[i + 3];
}

void xor_vector(const uint8_t k[16], const uint8_t rand[16], uint64_t sqn, uint16_t amf,
		struct aka_values *out)
{
	xor_f2345(k, rand, out);
	xor_f1(k, rand, sqn, amf, out->mac_a);
}

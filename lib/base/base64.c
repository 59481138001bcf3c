// Octets to Base64 and back (base64.h); what is not exactly Base64 is refused.
#include "lib/base/base64.h"
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct slice in, char *out)
{
	for (size_t i = 0; i < in.len; i += 3) {
		size_t left = in.len - i;
		uint32_t v = (uint32_t)in.p[i] << 16;

		v |= left > 1 ? (uint32_t)in.p[i + 1] << 8 : 0;
		v |= left > 2 ? in.p[i + 2] : 0;
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = left > 1 ? digits[v >> 6 & 63] : '=';
		*out++ = left > 2 ? digits[v & 63] : '=';
	}
}

static int digit(uint8_t c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

bool base64_decode(struct slice in, uint8_t *out, size_t *len)
{
	*len = 0;
	if (in.len % 4)
		return false;
	for (size_t i = 0; i < in.len; i += 4) {
		unsigned octets = 3;
		uint32_t v = 0;

		if (i + 4 == in.len && in.p[i + 3] == '=')
			octets = in.p[i + 2] == '=' ? 1 : 2;
		for (unsigned n = 0; n < 4; n++) {
			int d = n > octets ? 0 : digit(in.p[i + n]);

			if (d < 0)
				return false;
			v = v << 6 | (uint32_t)d;
		}
		if (v & ((1u << (24 - 8 * octets)) - 1)) // one value, one text
			return false;
		for (unsigned n = 0; n < octets; n++)
			out[(*len)++] = (uint8_t)(v >> (16 - 8 * n));
	}
	return true;
}

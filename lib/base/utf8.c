// The check of UTF-8 (see utf8.h). All roles; no state.
#include "lib/base/utf8.h"

// Octets of the UTF-8 sequence at p, of which n are there; 0 when it is none (RFC 3629: no overlong form, no
// surrogate, nothing above U+10FFFF) or a NUL.
static unsigned utf8_len(const uint8_t *p, uint32_t n)
{
	uint8_t c = p[0], lo = 0x80, hi = 0xbf;
	unsigned len;
	if (c < 0x80)
		return c != 0;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (c == 0xe0)
		lo = 0xa0;
	else if (c == 0xed)
		hi = 0x9f;
	else if (c == 0xf0)
		lo = 0x90;
	else if (c == 0xf4)
		hi = 0x8f;
	if (n < len || p[1] < lo || p[1] > hi)
		return 0;
	for (unsigned i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool utf8_valid(struct slice s)
{
	uint32_t i = 0;
	while (i < s.len) {
		// Eight octets of ASCII without NUL at a time: nearly all text here.
		while (s.len - i >= 8) {
			uint64_t w;
			memcpy(&w, s.p + i, 8);
			if ((w | (w - 0x0101010101010101ull)) & 0x8080808080808080ull)
				break;
			i += 8;
		}
		if (i == s.len)
			break;
		unsigned n = utf8_len(s.p + i, s.len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

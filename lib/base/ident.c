// Reads and writes IMSIs and MSISDNs (ident.h): digits packed into one 64-bit number, the count above the value.
#include "lib/base/ident.h"
#include "lib/base/secret.h"

#define VALUE_MASK ((1ull << 60) - 1)

static bool digits_parse(struct slice text, unsigned min, unsigned max, uint64_t *out)
{
	uint64_t v = 0;
	*out = 0;
	if (text.len < min || text.len > max)
		return false;
	for (uint32_t i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		v = v * 10 + (text.p[i] - '0');
	}
	*out = v | (uint64_t)text.len << 60;
	return true;
}

static unsigned digits_text(uint64_t id, char out[16])
{
	unsigned n = (unsigned)(id >> 60);
	uint64_t v = id & VALUE_MASK;
	out[n] = 0;
	for (unsigned i = n; i-- > 0; v /= 10)
		out[i] = (char)('0' + v % 10);
	return n;
}

bool imsi_parse(struct slice text, imsi_t *out)
{
	return digits_parse(text, 5, IMSI_MAX_DIGITS, &out->v);
}

bool msisdn_parse(struct slice text, msisdn_t *out)
{
	if (text.len && text.p[0] == '+') {
		text.p++;
		text.len--;
	}
	return digits_parse(text, 1, MSISDN_MAX_DIGITS, &out->v);
}

unsigned imsi_text(imsi_t imsi, char out[16])
{
	return digits_text(imsi.v, out);
}

unsigned msisdn_text(msisdn_t msisdn, char out[16])
{
	return digits_text(msisdn.v, out);
}

unsigned msisdn_tbcd(msisdn_t msisdn, uint8_t out[8])
{
	char d[16];
	unsigned n = digits_text(msisdn.v, d), len = 0;
	for (unsigned i = 0; i < n; i += 2) {
		uint8_t hi = i + 1 < n ? (uint8_t)(d[i + 1] - '0') : 0xf;
		out[len++] = (uint8_t)(hi << 4 | (d[i] - '0'));
	}
	return len;
}

uint64_t ident_hash_bytes(struct slice s, bool nocase)
{
	uint64_t h = 0xcbf29ce484222325ull;
	for (uint32_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		if (nocase && c >= 'A' && c <= 'Z')
			c |= 0x20;
		h = (h ^ c) * 0x100000001b3ull;
	}
	return ident_hash(h);
}

bool plmn_valid(const uint8_t plmn[3])
{
	uint8_t mnc3 = plmn[1] >> 4;
	return (plmn[0] & 0xf) <= 9 && plmn[0] >> 4 <= 9 && (plmn[1] & 0xf) <= 9 && (mnc3 <= 9 || mnc3 == 0xf) &&
	       (plmn[2] & 0xf) <= 9 && plmn[2] >> 4 <= 9;
}

void plmn_text(const uint8_t plmn[3], char out[7])
{
	uint8_t d[6] = {plmn[0] & 0xf, plmn[0] >> 4, plmn[1] & 0xf, plmn[2] & 0xf, plmn[2] >> 4, plmn[1] >> 4};
	unsigned n = d[5] == 0xf ? 5 : 6;
	for (unsigned i = 0; i < n; i++)
		out[i] = (char)(d[i] <= 9 ? '0' + d[i] : '?');
	out[n] = 0;
}

static int nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_parse(struct slice text, uint8_t *out, unsigned len)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < text.len; i++) {
		if (text.p[i] == ' ' || text.p[i] == '\t')
			continue;
		int v = nibble(text.p[i]);
		if (v < 0 || n == 2 * len)
			goto bad;
		out[n / 2] = n % 2 ? (uint8_t)(out[n / 2] << 4 | v) : (uint8_t)v;
		n++;
	}
	if (n == 2 * len)
		return true;
bad:
	secret_wipe(out, len);
	return false;
}

void hex_text(const uint8_t *p, unsigned len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	for (unsigned i = 0; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 0xf];
	}
	out[2 * len] = 0;
}

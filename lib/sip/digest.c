// The hashes of digest access authentication (RFC 7616 3.4). What is hashed are octets with colons between them; the
// results are lower-case hexadecimal digits, which the next hash takes as text.
#include "lib/sip/digest.h"
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "lib/base/ident.h"
#include "lib/base/secret.h"

struct algorithm {
	const char *name, *hash;
	const EVP_MD *(*md)(void);
	unsigned text_len; // digits of the result that count
	bool session;
	unsigned aka;
};

static const struct algorithm algorithms[DIGEST_ALGORITHM_CNT] = {
    [DIGEST_MD5] = {"MD5", "MD5", EVP_md5, 32, false, 0},
    [DIGEST_MD5_SESS] = {"MD5-sess", "MD5", EVP_md5, 32, true, 0},
    [DIGEST_SHA_256] = {"SHA-256", "SHA-256", EVP_sha256, 64, false, 0},
    [DIGEST_SHA_256_SESS] = {"SHA-256-sess", "SHA-256", EVP_sha256, 64, true, 0},
    [DIGEST_SHA_512_256] = {"SHA-512-256", "SHA-512/256", EVP_sha512_256, 64, false, 0},
    [DIGEST_SHA_512_256_SESS] = {"SHA-512-256-sess", "SHA-512/256", EVP_sha512_256, 64, true, 0},
    [DIGEST_SHA_512_CUT] = {"SHA-512 cut to 256 bits", "SHA-512", EVP_sha512, 64, false, 0},
    [DIGEST_AKAV1_MD5] = {"AKAv1-MD5", "MD5", EVP_md5, 32, false, 1},
    [DIGEST_AKAV2_MD5] = {"AKAv2-MD5", "MD5", EVP_md5, 32, false, 2},
    [DIGEST_AKAV2_SHA_256] = {"AKAv2-SHA-256", "SHA-256", EVP_sha256, 64, false, 2},
};

static const char *const qops[DIGEST_QOP_CNT] = {NULL, "auth", "auth-int"};

const char *digest_algorithm_name(enum digest_algorithm algorithm)
{
	return algorithms[algorithm].name;
}

bool digest_algorithm_parse(struct slice name, enum digest_algorithm *out)
{
	for (unsigned i = 0; i < DIGEST_ALGORITHM_CNT; i++) {
		if (i == DIGEST_SHA_512_CUT || !slice_eq_nocase(name, slice_str(algorithms[i].name)))
			continue;
		*out = (enum digest_algorithm)i;
		return true;
	}
	return false;
}

const char *digest_hash_name(enum digest_algorithm algorithm)
{
	return algorithms[algorithm].hash;
}

unsigned digest_text_len(enum digest_algorithm algorithm)
{
	return algorithms[algorithm].text_len;
}

bool digest_is_session(enum digest_algorithm algorithm)
{
	return algorithms[algorithm].session;
}

unsigned digest_aka_version(enum digest_algorithm algorithm)
{
	return algorithms[algorithm].aka;
}

const char *digest_qop_name(enum digest_qop qop)
{
	return qops[qop];
}

bool digest_qop_parse(struct slice name, enum digest_qop *out)
{
	for (unsigned i = DIGEST_QOP_AUTH; i < DIGEST_QOP_CNT; i++)
		if (slice_eq_nocase(name, slice_str(qops[i]))) {
			*out = (enum digest_qop)i;
			return true;
		}
	return false;
}

// The hash of some parts with colons between them, as text.
static bool hash_parts(EVP_MD_CTX *ctx, const struct algorithm *a, const struct slice *part, unsigned cnt, char *text)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	bool ok = EVP_DigestInit_ex(ctx, a->md(), NULL) == 1;

	for (unsigned i = 0; ok && i < cnt; i++)
		ok = (i == 0 || EVP_DigestUpdate(ctx, ":", 1) == 1) &&
		     EVP_DigestUpdate(ctx, part[i].p, part[i].len) == 1;
	if (!ok || EVP_DigestFinal_ex(ctx, hash, NULL) != 1)
		return false;
	hex_text(hash, a->text_len / 2, text);
	return true;
}

#define HASH(ctx, a, text, ...)                                                                              \
	hash_parts(ctx, a, (const struct slice[]){__VA_ARGS__},                                              \
		   sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice), text)

static bool is_hex(struct slice s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i] | 0x20;
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

// A given HA1 is hashed in lower case, however it was written.
static void take_ha1(struct slice ha1, char *text)
{
	for (uint32_t i = 0; i < ha1.len; i++)
		text[i] = (char)(ha1.p[i] >= 'A' && ha1.p[i] <= 'F' ? ha1.p[i] | 0x20 : ha1.p[i]);
	text[ha1.len] = 0;
}

static bool compute(EVP_MD_CTX *ctx, const struct algorithm *a, const struct digest_input *in,
		    struct digest_result *out)
{
	bool ok = true;

	if (in->ha1.len)
		take_ha1(in->ha1, out->ha1);
	else
		ok = HASH(ctx, a, out->ha1, in->username, in->realm, in->password);
	if (a->session)
		ok = ok && HASH(ctx, a, out->ha1_session, slice_str(out->ha1), in->nonce, in->cnonce);
	else
		memcpy(out->ha1_session, out->ha1, sizeof out->ha1_session);
	if (in->qop == DIGEST_QOP_AUTH_INT)
		ok = ok && HASH(ctx, a, out->body, in->body) &&
		     HASH(ctx, a, out->ha2, in->method, in->uri, slice_str(out->body));
	else
		ok = ok && HASH(ctx, a, out->ha2, in->method, in->uri);
	if (in->qop == DIGEST_QOP_NONE)
		return ok &&
		       HASH(ctx, a, out->response, slice_str(out->ha1_session), in->nonce, slice_str(out->ha2));
	return ok && HASH(ctx, a, out->response, slice_str(out->ha1_session), in->nonce, in->nc, in->cnonce,
			  slice_str(qops[in->qop]), slice_str(out->ha2));
}

int digest_compute(const struct digest_input *in, struct digest_result *out)
{
	const struct algorithm *a = &algorithms[in->algorithm];
	EVP_MD_CTX *ctx;
	bool ok;

	*out = (struct digest_result){0};
	if (in->ha1.len && (in->ha1.len != a->text_len || !is_hex(in->ha1)))
		return -EINVAL;
	ctx = EVP_MD_CTX_new();
	ok = ctx && compute(ctx, a, in, out);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -ENOTSUP;
}

int digest_akav2_password(enum digest_algorithm algorithm, struct slice res, const uint8_t ik[16],
			  const uint8_t ck[16], char *out)
{
	static const char text[] = "http-digest-akav2-password";
	const struct algorithm *a = &algorithms[algorithm];
	uint8_t key[16 + 16 + 16], mac[EVP_MAX_MD_SIZE];
	unsigned mac_len = 0;
	struct wr w = wr_of(key, sizeof key);
	bool ok;

	if (a->aka != 2 || res.len < 4 || res.len > 16)
		return -EINVAL;
	wr_slice(&w, res);
	wr_bytes(&w, ik, 16);
	wr_bytes(&w, ck, 16);
	ok = HMAC(a->md(), key, (int)wr_len(&w), (const uint8_t *)text, sizeof text - 1, mac, &mac_len) != NULL;
	if (ok)
		EVP_EncodeBlock((uint8_t *)out, mac, (int)mac_len);
	secret_wipe(key, sizeof key);
	secret_wipe(mac, sizeof mac);
	return ok ? 0 : -ENOTSUP;
}

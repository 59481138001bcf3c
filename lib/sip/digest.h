// Digest access authentication of SIP and HTTP (RFC 2617, 7616, 8760; with AKA RFC 3310 and 4169): computing it,
// reading it out of a request as it was copied from a trace, and finding which mistake its client made. Pure
// functions over OpenSSL: no I/O, no allocation, no state.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/wire.h"

#define DIGEST_TEXT_SIZE 65 // the hexadecimal digits of the longest hash, and a NUL
#define DIGEST_AUTH_MAX  8  // credentials of one request

enum digest_algorithm {
	DIGEST_MD5,
	DIGEST_MD5_SESS,
	DIGEST_SHA_256,
	DIGEST_SHA_256_SESS,
	DIGEST_SHA_512_256,
	DIGEST_SHA_512_256_SESS,
	DIGEST_SHA_512_CUT, // SHA-512 cut to 256 bits: no algorithm of any RFC, but that of RFC 7616's example
	DIGEST_AKAV1_MD5,
	DIGEST_AKAV2_MD5,
	DIGEST_AKAV2_SHA_256,
	DIGEST_ALGORITHM_CNT,
};

enum digest_qop { DIGEST_QOP_NONE, DIGEST_QOP_AUTH, DIGEST_QOP_AUTH_INT, DIGEST_QOP_CNT };

// "MD5", "SHA-256-sess", "AKAv1-MD5" ... as RFCs and IANA write them.
const char *digest_algorithm_name(enum digest_algorithm algorithm);
// In any case of letters; false: no such algorithm. DIGEST_SHA_512_CUT has no name that is accepted.
bool digest_algorithm_parse(struct slice name, enum digest_algorithm *out);
// The name of the hash alone, as in "MD5(...)".
const char *digest_hash_name(enum digest_algorithm algorithm);
// Hexadecimal digits of its results: 32 or 64.
unsigned digest_text_len(enum digest_algorithm algorithm);
bool digest_is_session(enum digest_algorithm algorithm);
// 0: not an AKA algorithm; 1 or 2: its version.
unsigned digest_aka_version(enum digest_algorithm algorithm);
// "auth", "auth-int"; NULL for none.
const char *digest_qop_name(enum digest_qop qop);
bool digest_qop_parse(struct slice name, enum digest_qop *out);

// What is hashed: values without the quotes that they have in a header.
struct digest_input {
	enum digest_algorithm algorithm;
	enum digest_qop qop;
	struct slice username, realm;
	struct slice password; // the octets of RES for AKAv1-MD5; what digest_akav2_password gives for AKAv2
	struct slice ha1;      // if not empty, in place of these three: hex digits of H(username:realm:password)
	struct slice method, uri, nonce;
	struct slice nc, cnonce; // with a qop; cnonce also with a -sess algorithm
	struct slice body;       // with auth-int
};

struct digest_result {
	char ha1[DIGEST_TEXT_SIZE];         // H(username:realm:password): what is stored in place of a password
	char ha1_session[DIGEST_TEXT_SIZE]; // H(ha1:nonce:cnonce) of -sess, else the same as ha1
	char body[DIGEST_TEXT_SIZE];        // H(body) of auth-int, else empty
	char ha2[DIGEST_TEXT_SIZE];
	char response[DIGEST_TEXT_SIZE];
};

// 0; -EINVAL: in->ha1 isn't as many hex digits as the algorithm has; -ENOTSUP: OpenSSL has no such hash (FIPS).
MUST_USE int digest_compute(const struct digest_input *in, struct digest_result *out);

// The password of AKAv2 (RFC 4169 3): base64 of HMAC(RES || IK || CK, "http-digest-akav2-password"). RES has 4 to
// 16 octets, IK and CK 16. `out` holds 45 octets. 0, -EINVAL, -ENOTSUP.
#define DIGEST_AKAV2_PASSWORD_SIZE 45
MUST_USE int digest_akav2_password(enum digest_algorithm algorithm, struct slice res, const uint8_t ik[16],
				   const uint8_t ck[16], char *out);

// --- A request, as it was copied from a trace

enum digest_param {
	DIGEST_P_USERNAME,
	DIGEST_P_REALM,
	DIGEST_P_NONCE,
	DIGEST_P_URI,
	DIGEST_P_RESPONSE,
	DIGEST_P_ALGORITHM,
	DIGEST_P_CNONCE,
	DIGEST_P_NC,
	DIGEST_P_QOP,
	DIGEST_P_OPAQUE,
	DIGEST_P_AUTS,
	DIGEST_P_USERHASH,
	DIGEST_PARAM_CNT,
};
const char *digest_param_name(enum digest_param param);

// One Authorization or Proxy-Authorization header with the scheme Digest.
struct digest_auth {
	bool proxy;
	uint32_t given;                        // a bit for each enum digest_param that is in it
	struct slice param[DIGEST_PARAM_CNT]; // without quotes; escapes are left as they are (RFC 7616 2.2: unq())
};

struct digest_request {
	struct slice method, uri; // of the request line; empty: none was there
	struct slice cseq_method; // empty: no CSeq
	struct slice from, to;    // the URIs in these headers, empty: none
	struct slice body;
	struct digest_auth auth[DIGEST_AUTH_MAX];
	unsigned auth_cnt;
};

// Where a text stops being what was expected.
struct digest_fault {
	uint32_t offset; // octets from its beginning
	const char *what;
};

// Reads a SIP or HTTP request, or single header lines of one, or credentials from the word Digest on. Takes what
// copying makes of them: indented lines, line ends without CR or written as \r\n, folded headers, single, typographic
// or escaped quotes, quotes that are missing or too many. The slices of `r` point into `text`, in which folds inside
// of quoted values are rewritten. False, with `fault`: there are no Digest credentials in it, or they can't be read.
MUST_USE bool digest_request_parse(uint8_t *text, size_t len, struct digest_request *r, struct digest_fault *fault);

// --- Whether it fits, or which mistake would make it fit

enum digest_field {
	DIGEST_F_USERNAME,
	DIGEST_F_REALM,
	DIGEST_F_PASSWORD,
	DIGEST_F_METHOD,
	DIGEST_F_URI,
	DIGEST_F_NONCE,
	DIGEST_F_NC,
	DIGEST_F_QOP,
	DIGEST_F_ALGORITHM,
	DIGEST_F_BODY,
	DIGEST_FIELD_CNT,
};

#define DIGEST_ALTERNATIVES_MAX 48
#define DIGEST_SCRATCH          8192

// Another value that a field may have been hashed with.
struct digest_alternative {
	enum digest_field field;
	const char *why;    // as in "hashed with ..."
	struct slice value; // of qop and algorithm: their names
	uint32_t number;    // of qop and algorithm: the enumerator
};

// All that may have been meant by one request. Holds its own texts; never copied, since slices point into it.
struct digest_guess {
	struct digest_input in; // as the request says it
	struct slice response;
	struct digest_alternative alternative[DIGEST_FIELD_CNT][DIGEST_ALTERNATIVES_MAX];
	unsigned alternative_cnt[DIGEST_FIELD_CNT];
	uint8_t scratch[DIGEST_SCRATCH];
	struct wr room;
};

// Up to two values that differ from what the request says.
struct digest_mistake {
	const struct digest_alternative *what[2];
	unsigned cnt; // 0: it fits as it is
	struct digest_result expected; // what the request's own values give
};

// The input as one header says it, with the method of the request line, else of CSeq. Fails with the name of the
// parameter or line that is missing, or of a value that isn't known, in `fault->what`.
MUST_USE bool digest_input_of(const struct digest_request *r, const struct digest_auth *a, struct digest_input *in,
			      struct digest_fault *fault);
// Prepares the guesses: `in` with the password or HA1 filled in; `r` is looked at for the request URI, CSeq and body.
void digest_guess_init(struct digest_guess *g, const struct digest_input *in, const struct digest_request *r,
		       const struct digest_auth *a);
// Tries it as it is, then each alternative, then (with `pairs`) each two of different fields; the fewest mistakes win.
// 1: `m` says what fits; 0: nothing does; -EINVAL, -ENOTSUP as digest_compute.
MUST_USE int digest_guess_find(const struct digest_guess *g, bool pairs, struct digest_mistake *m);

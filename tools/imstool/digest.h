// What the two halves of `imstool digest` share: computing a response, and checking one.
#pragma once
#include "lib/sip/digest.h"
#include "tools/imstool/imstool.h"

enum im_digest_option {
	ID_USERNAME,
	ID_REALM,
	ID_PASSWORD,
	ID_PASSWORD_FILE,
	ID_HA1,
	ID_METHOD,
	ID_URI,
	ID_NONCE,
	ID_QOP,
	ID_NC,
	ID_CNONCE,
	ID_BODY,
	ID_ALGORITHM,
	ID_RES,
	ID_IK,
	ID_CK,
	ID_CHECK,
	ID_WORDLIST,
	ID_SECRETS,
};

// The password of --password, --password-file, or --res with --ik and --ck, and where it is kept.
struct im_password {
	struct slice value; // .p NULL: none was given
	uint8_t *file;      // owned
	uint8_t res[16];
	char akav2[DIGEST_AKAV2_PASSWORD_SIZE];
};

// 0, or what the program ends with, told on stderr. `algorithm` is that of the response.
MUST_USE int im_password_init(struct im_password *p, const struct im_args *a, enum digest_algorithm algorithm);
void im_password_fini(struct im_password *p);

// `imstool digest --check`.
int im_digest_check(const struct im_args *a);

// `imstool digest`: HA1, HA2 and response, each with what was hashed.
#include "tools/imstool/digest.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/ident.h"
#include "lib/base/secret.h"

static const struct im_option options[] = {
    [ID_USERNAME] = {"username", "NAME", "as the header has it, without quotes", false},
    [ID_REALM] = {"realm", "REALM", "", false},
    [ID_PASSWORD] = {"password", "TEXT", "the password", true},
    [ID_PASSWORD_FILE] = {"password-file", "FILE", "or the first line of FILE; - is standard input", false},
    [ID_HA1] = {"ha1", "HEX", "or the hash of username:realm:password", true},
    [ID_METHOD] = {"method", "METHOD", "REGISTER, INVITE, ...", false},
    [ID_URI] = {"uri", "URI", "the uri of the header", false},
    [ID_NONCE] = {"nonce", "NONCE", "", false},
    [ID_QOP] = {"qop", "auth|auth-int", "with --nc and --cnonce", false},
    [ID_NC] = {"nc", "HEX", "8 digits", false},
    [ID_CNONCE] = {"cnonce", "CNONCE", "", false},
    [ID_BODY] = {"body", "FILE", "the request's body, for auth-int", false},
    [ID_ALGORITHM] = {"algorithm", "NAME",
		      "MD5 (default), SHA-256 or SHA-512-256, each also with -sess; AKAv1-MD5, AKAv2-MD5, AKAv2-SHA-256",
		      false},
    [ID_RES] = {"res", "HEX", "AKA: RES, in place of a password", true},
    [ID_IK] = {"ik", "HEX", "AKAv2: with --res", true},
    [ID_CK] = {"ck", "HEX", "AKAv2: with --res", true},
    [ID_CHECK] = {"check", "FILE", "check the request in FILE, or - for standard input", false},
    [ID_WORDLIST] = {"wordlist", "FILE", "--check: try each line as the password", false},
    [ID_SECRETS] = {"secrets", NULL, "show the password where it was hashed, in place of ***", false},
    {0},
};

static struct slice option(const struct im_args *a, enum im_digest_option o)
{
	return a->value[o] ? slice_str(a->value[o]) : (struct slice){0};
}

// --- The password

static int password_of_file(struct im_password *p, const struct im_args *a)
{
	size_t len;

	if (!im_read_file(a, a->value[ID_PASSWORD_FILE], &p->file, &len))
		return IM_NO;
	uint8_t *end = memchr(p->file, '\n', len);
	if (end)
		len = (size_t)(end - p->file);
	if (len && p->file[len - 1] == '\r')
		len--;
	p->value = slice_of(p->file, len);
	return 0;
}

static int password_of_res(struct im_password *p, const struct im_args *a, enum digest_algorithm algorithm)
{
	struct slice hex = option(a, ID_RES);
	uint8_t ik[16], ck[16];
	unsigned len = hex.len / 2;
	int rc;

	if (!digest_aka_version(algorithm))
		return im_usage(a, "--res is for AKA algorithms");
	if (len < 4 || len > sizeof p->res || !hex_parse(hex, p->res, len))
		return im_usage(a, "--res: expected 8 to 32 hex digits");
	if (digest_aka_version(algorithm) == 1) {
		p->value = slice_of(p->res, len);
		return 0;
	}
	if (!a->value[ID_IK] || !a->value[ID_CK] || !hex_parse(option(a, ID_IK), ik, 16) ||
	    !hex_parse(option(a, ID_CK), ck, 16))
		return im_usage(a, "%s needs --ik and --ck with 32 hex digits", digest_algorithm_name(algorithm));
	rc = digest_akav2_password(algorithm, slice_of(p->res, len), ik, ck, p->akav2);
	secret_wipe(ik, sizeof ik);
	secret_wipe(ck, sizeof ck);
	p->value = slice_str(p->akav2);
	return rc ? im_no(a, "OpenSSL gives no %s", digest_hash_name(algorithm)) : 0;
}

int im_password_init(struct im_password *p, const struct im_args *a, enum digest_algorithm algorithm)
{
	unsigned given = !!a->value[ID_PASSWORD] + !!a->value[ID_PASSWORD_FILE] + !!a->value[ID_HA1] + !!a->value[ID_RES];

	*p = (struct im_password){0};
	if (given > 1)
		return im_usage(a, "--password, --password-file, --ha1 and --res exclude each other");
	if (!a->value[ID_RES] && (a->value[ID_IK] || a->value[ID_CK]))
		return im_usage(a, "--ik and --ck belong to --res");
	if (a->value[ID_PASSWORD_FILE])
		return password_of_file(p, a);
	if (a->value[ID_RES])
		return password_of_res(p, a, algorithm);
	p->value = option(a, ID_PASSWORD);
	return 0;
}

void im_password_fini(struct im_password *p)
{
	if (p->file)
		secret_wipe(p->file, strlen((char *)p->file));
	free(p->file);
	secret_wipe(p, sizeof *p);
}

// --- What was hashed, as text

// NAME(part:part:...). The caller frees it.
static char *formula(const struct digest_input *in, const struct slice *part, unsigned cnt)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		bug("no memory");
	fprintf(f, "%s(", digest_hash_name(in->algorithm));
	for (unsigned i = 0; i < cnt; i++) {
		if (i)
			fputc(':', f);
		im_print_text(f, part[i]);
	}
	fputc(')', f);
	if (fclose(f))
		bug("no memory");
	return text;
}

#define FORMULA(in, ...)                                                                                     \
	formula(in, (const struct slice[]){__VA_ARGS__},                                                     \
		sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice))

static void line_take(json_t *object, const struct im_args *a, const char *name, const char *key, const char *value,
		      char *of)
{
	char of_key[32];

	if (a->json) {
		json_object_set_new(object, key, json_string(value));
		snprintf(of_key, sizeof of_key, "%s_of", key);
		if (of)
			json_object_set_new(object, of_key, json_string(of));
	} else {
		printf("%-12s %s%s%s\n", name, value, of ? "  " : "", of ? of : "");
	}
	if (of)
		secret_wipe(of, strlen(of));
	free(of);
}

static void show_ha1(json_t *object, const struct im_args *a, const struct digest_input *in,
		     const struct digest_result *r)
{
	struct slice password = a->value[ID_SECRETS] ? in->password : slice_str(SECRET_MASK);

	line_take(object, a, "algorithm", "algorithm", digest_algorithm_name(in->algorithm), NULL);
	line_take(object, a, "HA1", "ha1", r->ha1,
		  in->ha1.len ? NULL : FORMULA(in, in->username, in->realm, password));
	if (digest_is_session(in->algorithm) && in->nonce.p)
		line_take(object, a, "HA1 session", "ha1_session", r->ha1_session,
			  FORMULA(in, slice_str(r->ha1), in->nonce, in->cnonce));
}

static void show_response(json_t *object, const struct im_args *a, const struct digest_input *in,
			  const struct digest_result *r)
{
	struct slice ha1 = slice_str(r->ha1_session), ha2 = slice_str(r->ha2);

	if (in->qop == DIGEST_QOP_AUTH_INT) {
		line_take(object, a, "body", "body", r->body, NULL);
		line_take(object, a, "HA2", "ha2", r->ha2, FORMULA(in, in->method, in->uri, slice_str(r->body)));
	} else {
		line_take(object, a, "HA2", "ha2", r->ha2, FORMULA(in, in->method, in->uri));
	}
	if (in->qop == DIGEST_QOP_NONE)
		line_take(object, a, "response", "response", r->response, FORMULA(in, ha1, in->nonce, ha2));
	else
		line_take(object, a, "response", "response", r->response,
			  FORMULA(in, ha1, in->nonce, in->nc, in->cnonce, slice_str(digest_qop_name(in->qop)), ha2));
}

// --- The command

// With a method a whole response is wanted, without one only HA1.
static const char *missing(const struct im_args *a, const struct digest_input *in, const struct im_password *p)
{
	bool whole = in->method.p || in->uri.p || in->nonce.p;

	if (!in->ha1.p && (!in->username.p || !in->realm.p))
		return "--username and --realm are needed";
	if (!in->ha1.p && !p->value.p)
		return "--password or --ha1 is needed";
	if (whole && (!in->method.p || !in->uri.p || !in->nonce.p))
		return "--method, --uri and --nonce belong together";
	if (!whole && in->ha1.p)
		return "--method, --uri and --nonce are needed";
	if ((in->qop != DIGEST_QOP_NONE) != (in->nc.p != NULL))
		return "--qop and --nc belong together";
	if (whole && (in->qop != DIGEST_QOP_NONE || digest_is_session(in->algorithm)) && !in->cnonce.p)
		return "--cnonce is needed";
	if ((in->qop == DIGEST_QOP_AUTH_INT) != (a->value[ID_BODY] != NULL))
		return "--body and --qop auth-int belong together";
	return NULL;
}

static int input_of(const struct im_args *a, struct digest_input *in)
{
	*in = (struct digest_input){
	    .username = option(a, ID_USERNAME),
	    .realm = option(a, ID_REALM),
	    .ha1 = option(a, ID_HA1),
	    .method = option(a, ID_METHOD),
	    .uri = option(a, ID_URI),
	    .nonce = option(a, ID_NONCE),
	    .nc = option(a, ID_NC),
	    .cnonce = option(a, ID_CNONCE),
	};
	if (a->value[ID_ALGORITHM] && !digest_algorithm_parse(option(a, ID_ALGORITHM), &in->algorithm))
		return im_usage(a, "--algorithm: unknown algorithm %s", a->value[ID_ALGORITHM]);
	if (a->value[ID_QOP] && !digest_qop_parse(option(a, ID_QOP), &in->qop))
		return im_usage(a, "--qop: expected auth or auth-int");
	return 0;
}

static int compute(const struct im_args *a, struct digest_input *in)
{
	struct digest_result result;
	json_t *object = json_object();
	int rc = digest_compute(in, &result);

	if (rc) {
		json_decref(object);
		return rc == -EINVAL ? im_usage(a, "--ha1: expected %u hex digits", digest_text_len(in->algorithm))
				     : im_no(a, "OpenSSL gives no %s", digest_hash_name(in->algorithm));
	}
	show_ha1(object, a, in, &result);
	if (in->method.p)
		show_response(object, a, in, &result);
	if (a->json)
		im_print_json_take(object);
	else
		json_decref(object);
	secret_wipe(&result, sizeof result);
	return IM_YES;
}

static int run(const struct im_args *a)
{
	struct im_password password = {0};
	struct digest_input in;
	uint8_t *body = NULL;
	size_t body_len = 0;
	const char *wrong;
	int status;

	if (a->word_cnt)
		return im_usage(a, "%s: expected options only", a->word[0]);
	if (a->value[ID_CHECK])
		return im_digest_check(a);
	if (a->value[ID_WORDLIST])
		return im_usage(a, "--wordlist belongs to --check");
	status = input_of(a, &in);
	if (!status)
		status = im_password_init(&password, a, in.algorithm);
	if (!status && (wrong = missing(a, &in, &password)))
		status = im_usage(a, "%s", wrong);
	if (!status && a->value[ID_BODY] && !im_read_file(a, a->value[ID_BODY], &body, &body_len))
		status = IM_NO;
	in.password = password.value;
	in.body = slice_of(body, body_len);
	if (!status)
		status = compute(a, &in);
	free(body);
	im_password_fini(&password);
	return status;
}

const struct im_command im_digest = {
    .name = "digest",
    .synopsis = "digest --username NAME --realm REALM (--password TEXT | --ha1 HEX) --method METHOD --uri URI --nonce NONCE\n"
		"digest --check FILE|- (--password TEXT | --ha1 HEX | --wordlist FILE)",
    .summary = "SIP and HTTP digest: HA1, HA2 and response, and which mistake makes a response wrong",
    .options = options,
    .words = "",
    .details = "Computes a digest response, or HA1 alone from --username, --realm and --password. With --check: says whether the\n"
	       "response in a SIP or HTTP request fits, and if it doesn't, which likely mistake of its client would make it fit.\n"
	       "The request may be pasted from a trace as it is, or be its Authorization line alone (then --method says the rest).\n"
	       "HA1 is what is provisioned in place of a password.",
    .examples = "  imstool digest --username bob --realm atlanta.example.com --password bobspassword\n"
		"  imstool digest --username bob --realm atlanta.example.com --password bobspassword --method REGISTER \\\n"
		"      --uri sips:biloxi.example.com --nonce ea9c8e88df84f1cec4341ae6cbe5a359\n"
		"  imstool digest --check register.txt --password bobspassword\n"
		"  imstool digest --check - --wordlist defaults.txt < invite.txt\n",
    .run = run,
};

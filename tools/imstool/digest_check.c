// `imstool digest --check`: whether the response of a request fits, or what would make it fit.
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/ident.h"
#include "lib/base/secret.h"
#include "tools/imstool/digest.h"

struct check {
	const struct im_args *a;
	struct digest_request request;
	const struct digest_auth *auth;
	struct digest_input in;
	uint8_t *words; // the word list, lines
	size_t words_len;
	struct digest_guess guess;
	struct digest_mistake mistake;
	bool given;        // a password or HA1, or none is needed
	struct slice word; // which of the words fits
	unsigned word_line;
};

static const char *const field_names[DIGEST_FIELD_CNT] = {
    [DIGEST_F_USERNAME] = "username", [DIGEST_F_REALM] = "realm", [DIGEST_F_PASSWORD] = "password",
    [DIGEST_F_METHOD] = "method",     [DIGEST_F_URI] = "uri",     [DIGEST_F_NONCE] = "nonce",
    [DIGEST_F_NC] = "nc",             [DIGEST_F_QOP] = "qop",     [DIGEST_F_ALGORITHM] = "algorithm",
    [DIGEST_F_BODY] = "body",
};

// What the command line says counts more than what the request says.
static void take_overrides(struct check *c)
{
	static const enum im_digest_option from[] = {ID_USERNAME, ID_REALM, ID_METHOD, ID_URI, ID_NONCE};
	struct slice *to[] = {&c->in.username, &c->in.realm, &c->in.method, &c->in.uri, &c->in.nonce};

	for (unsigned i = 0; i < sizeof from / sizeof *from; i++)
		if (c->a->value[from[i]])
			*to[i] = slice_str(c->a->value[from[i]]);
	if (c->a->value[ID_HA1])
		c->in.ha1 = slice_str(c->a->value[ID_HA1]);
}

// --- The word list

static bool next_word(struct rd *r, struct slice *word)
{
	if (!rd_left(r))
		return false;
	const uint8_t *end = memchr(r->p, '\n', rd_left(r));
	*word = rd_bytes(r, end ? (size_t)(end - r->p) : rd_left(r));
	if (end)
		rd_take(r, 1);
	if (word->len && word->p[word->len - 1] == '\r')
		word->len--;
	return true;
}

// Each word as it is, then each with one mistake. 1: found; 0: no; negative: as digest_compute.
static int try_words(struct check *c)
{
	int rc = 0;

	for (int with_mistakes = 0; !rc && with_mistakes < 2; with_mistakes++) {
		struct rd r = rd_of(c->words, c->words_len);
		struct digest_mistake m;
		for (c->word_line = 1; !rc && next_word(&r, &c->word); c->word_line++) {
			c->in.password = c->word;
			digest_guess_init(&c->guess, &c->in, &c->request, c->auth);
			if (!with_mistakes)
				memset(c->guess.alternative_cnt, 0, sizeof c->guess.alternative_cnt);
			rc = digest_guess_find(&c->guess, false, &m);
		}
		if (rc == 1) {
			c->word_line--;
			c->mistake = m;
		}
	}
	if (rc != 1)
		c->word_line = 0;
	return rc;
}

// --- What came out

static void print_value(const struct check *c, enum digest_field field, struct slice value)
{
	if (field == DIGEST_F_PASSWORD && !c->a->value[ID_SECRETS])
		value = slice_str(SECRET_MASK);
	putchar('"');
	im_print_text(stdout, value);
	putchar('"');
}

static struct slice value_of(const struct digest_input *in, enum digest_field field)
{
	switch (field) {
	case DIGEST_F_USERNAME:
		return in->username;
	case DIGEST_F_REALM:
		return in->realm;
	case DIGEST_F_PASSWORD:
		return in->password;
	case DIGEST_F_METHOD:
		return in->method;
	case DIGEST_F_URI:
		return in->uri;
	case DIGEST_F_NONCE:
		return in->nonce;
	case DIGEST_F_NC:
		return in->nc;
	case DIGEST_F_QOP:
		return slice_str(in->qop == DIGEST_QOP_NONE ? "none" : digest_qop_name(in->qop));
	case DIGEST_F_ALGORITHM:
		return slice_str(digest_algorithm_name(in->algorithm));
	default:
		return in->body;
	}
}

static void print_mistakes(const struct check *c)
{
	const struct digest_mistake *m = &c->mistake;

	for (unsigned i = 0; i < m->cnt; i++) {
		enum digest_field field = m->what[i]->field;
		printf("%s %s hashed as ", i ? "         and" : "would fit:  ", field_names[field]);
		print_value(c, field, m->what[i]->value);
		printf(" in place of ");
		print_value(c, field, value_of(&c->guess.in, field));
		printf(" (%s)\n", m->what[i]->why);
	}
	if (c->word_line) {
		printf("%s password \"", m->cnt ? "         and" : "would fit: ");
		im_print_text(stdout, c->word);
		printf("\" (line %u of %s)\n", c->word_line, c->a->value[ID_WORDLIST]);
	}
}

static json_t *mistakes_json(const struct check *c)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < c->mistake.cnt; i++) {
		const struct digest_alternative *what = c->mistake.what[i];
		bool hidden = what->field == DIGEST_F_PASSWORD && !c->a->value[ID_SECRETS];
		struct slice mask = slice_str(SECRET_MASK);
		json_array_append_new(
		    list, json_pack("{s:s, s:o, s:o, s:s}", "field", field_names[what->field], "request",
				    im_json_text(hidden ? mask : value_of(&c->guess.in, what->field)), "hashed",
				    im_json_text(hidden ? mask : what->value), "why", what->why));
	}
	return list;
}

// RAND and AUTN are the beginning of an AKA nonce (RFC 3310 3.2).
static bool aka_nonce(const struct check *c, char rand[33], char autn[33])
{
	uint8_t out[66];

	if (!digest_aka_version(c->in.algorithm) || c->in.nonce.len < 44 || c->in.nonce.len > 88 ||
	    c->in.nonce.len % 4 || EVP_DecodeBlock(out, c->in.nonce.p, (int)c->in.nonce.len) < 32)
		return false;
	hex_text(out, 16, rand);
	hex_text(out + 16, 16, autn);
	return true;
}

static void show_json(const struct check *c, bool fits, bool found)
{
	struct slice response = c->auth->param[DIGEST_P_RESPONSE];
	char rand[33], autn[33];
	json_t *o = json_pack("{s:b, s:o, s:o, s:s, s:s?, s:o, s:o, s:s?, s:o}", "fits", fits, "username",
			      im_json_text(c->in.username), "realm", im_json_text(c->in.realm), "algorithm",
			      digest_algorithm_name(c->in.algorithm), "qop", digest_qop_name(c->in.qop), "method",
			      im_json_text(c->in.method), "response", im_json_text(response), "expected",
			      c->given ? c->mistake.expected.response : NULL, "mistakes", found ? mistakes_json(c) : json_array());

	if (found && c->word_line) {
		json_object_set_new(o, "password", im_json_text(c->word));
		json_object_set_new(o, "wordlist_line", json_integer(c->word_line));
	}
	if (aka_nonce(c, rand, autn)) {
		json_object_set_new(o, "rand", json_string(rand));
		json_object_set_new(o, "autn", json_string(autn));
	}
	im_print_json_take(o);
}

static void show_text(const struct check *c, bool fits, bool found)
{
	char rand[33], autn[33];

	printf("%s: ", c->auth->proxy ? "Proxy-Authorization" : "Authorization");
	im_print_text(stdout, c->in.username);
	printf(" in realm ");
	im_print_text(stdout, c->in.realm);
	printf(", %s", digest_algorithm_name(c->in.algorithm));
	printf(c->in.qop == DIGEST_QOP_NONE ? ", no qop, " : ", qop=%s, ", digest_qop_name(c->in.qop));
	im_print_text(stdout, c->in.method);
	putchar('\n');
	if (aka_nonce(c, rand, autn))
		printf("challenge    RAND %s AUTN %s\n", rand, autn);
	if (c->auth->given & 1u << DIGEST_P_AUTS)
		printf("the card asks for resynchronisation (auts); its response is made with no password\n");
	if (!found && !c->given) {
		puts("none of the words fits");
		return;
	}
	puts(fits ? "it fits" : "it does not fit");
	if (!fits) {
		printf("response     ");
		im_print_text(stdout, c->auth->param[DIGEST_P_RESPONSE]);
		putchar('\n');
		if (c->given)
			printf("expected     %s\n", c->mistake.expected.response);
		if (!found)
			puts("no likely mistake makes it fit: another password, most likely");
	}
	if (found)
		print_mistakes(c);
}

// --- The command

static int check_password(struct check *c)
{
	struct im_password password;
	int rc = im_password_init(&password, c->a, c->in.algorithm), found = 0;

	if (rc)
		goto out;
	c->in.password = password.value;
	if (c->auth->given & 1u << DIGEST_P_AUTS && !password.value.p)
		c->in.password = slice_str("");
	c->given = c->in.ha1.p || c->in.password.p;
	rc = IM_USAGE;
	if (!c->given && !c->words) {
		im_usage(c->a, "--password, --ha1 or --wordlist is needed");
		goto out;
	}
	if (c->given) {
		digest_guess_init(&c->guess, &c->in, &c->request, c->auth);
		found = digest_guess_find(&c->guess, true, &c->mistake);
	}
	if (!found && c->words)
		found = try_words(c);
	if (found == -EINVAL) {
		im_usage(c->a, "--ha1: expected %u hex digits", digest_text_len(c->in.algorithm));
		goto out;
	}
	rc = IM_NO;
	if (found < 0) {
		im_no(c->a, "OpenSSL gives no %s", digest_hash_name(c->in.algorithm));
		goto out;
	}
	bool fits = found && !c->mistake.cnt && (!c->given || !c->word_line);
	(c->a->json ? show_json : show_text)(c, fits, found);
	rc = fits ? IM_YES : IM_NO;
out:
	im_password_fini(&password);
	return rc;
}

static int check_auth(struct check *c, const struct digest_auth *auth)
{
	struct digest_fault fault;
	bool ok;

	c->auth = auth;
	c->word_line = 0;
	ok = digest_input_of(&c->request, auth, &c->in, &fault);
	if (!ok)
		return im_no(c->a, "%s: %s", c->a->value[ID_CHECK], fault.what);
	take_overrides(c);
	if (!c->in.method.len)
		return im_usage(c->a, "no request line and no CSeq in it: --method is needed");
	return check_password(c);
}

// One of several credentials is enough: they may be for several realms.
static int check_all(struct check *c)
{
	int best = IM_USAGE;

	for (unsigned i = 0; i < c->request.auth_cnt; i++) {
		int status = check_auth(c, &c->request.auth[i]);
		if (status == IM_USAGE)
			return status;
		best = status < best ? status : best;
	}
	return best;
}

static void tell_fault(const struct check *c, const uint8_t *text, const struct digest_fault *fault)
{
	unsigned line = 1;

	for (uint32_t i = 0; i < fault->offset; i++)
		line += text[i] == '\n';
	im_no(c->a, "%s: line %u, octet %u: %s", c->a->value[ID_CHECK], line, fault->offset, fault->what);
}

int im_digest_check(const struct im_args *a)
{
	struct check *c = calloc(1, sizeof *c);
	struct digest_fault fault;
	uint8_t *text = NULL;
	size_t len;
	int status = IM_NO;

	if (!c)
		return im_no(a, "no memory");
	c->a = a;
	if (a->value[ID_WORDLIST] && !im_read_file(a, a->value[ID_WORDLIST], &c->words, &c->words_len))
		goto out;
	if (!im_read_file(a, a->value[ID_CHECK], &text, &len))
		goto out;
	if (!digest_request_parse(text, len, &c->request, &fault))
		tell_fault(c, text, &fault);
	else
		status = check_all(c);
out:
	free(text);
	free(c->words);
	secret_wipe(c, sizeof *c);
	free(c);
	return status;
}

// Digest access authentication: worked numbers of the RFCs and of implementations, requests as they were copied from
// traces, mistakes that are found, texts cut at every octet.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/unit/vector_file.h"
#include "lib/sip/digest.h"
#include "tests/support/guard.h"

static struct slice text_of(const json_t *set, const char *field)
{
	const char *text = json_string_value(json_object_get(set, field));
	return text ? slice_str(text) : (struct slice){0};
}

static struct digest_input input_of(const json_t *set)
{
	struct digest_input in = {
	    .username = text_of(set, "username"),
	    .realm = text_of(set, "realm"),
	    .password = text_of(set, "password"),
	    .method = text_of(set, "method"),
	    .uri = text_of(set, "uri"),
	    .nonce = text_of(set, "nonce"),
	    .nc = text_of(set, "nc"),
	    .cnonce = text_of(set, "cnonce"),
	    .body = text_of(set, "body"),
	};
	assert_true(digest_algorithm_parse(text_of(set, "algorithm"), &in.algorithm));
	if (vector_has(set, "qop"))
		assert_true(digest_qop_parse(text_of(set, "qop"), &in.qop));
	return in;
}

static void expect_text(const json_t *set, const char *field, const char *got)
{
	if (strcmp(vector_string(set, field), got) != 0)
		fail_msg("%s: %s is %s", vector_string(set, "name"), field, got);
}

static void check_set(const json_t *set)
{
	struct digest_input in = input_of(set);
	struct digest_result r;
	uint8_t res[16], ik[16], ck[16];
	char password[DIGEST_AKAV2_PASSWORD_SIZE];

	if (digest_aka_version(in.algorithm)) {
		unsigned len = text_of(set, "res").len / 2;
		vector_hex(set, "res", res, len);
		in.password = slice_of(res, len);
	}
	if (digest_aka_version(in.algorithm) == 2) {
		vector_hex(set, "ik", ik, 16);
		vector_hex(set, "ck", ck, 16);
		assert_int_equal(digest_akav2_password(in.algorithm, in.password, ik, ck, password), 0);
		expect_text(set, "password", password);
		in.password = slice_str(password);
	}
	assert_int_equal(digest_compute(&in, &r), 0);
	expect_text(set, "ha1", r.ha1);
	if (in.qop != DIGEST_QOP_AUTH_INT)
		expect_text(set, "ha2", r.ha2);
	expect_text(set, "response", r.response);
	// HA1 in place of what it is made of, in any case of letters
	char ha1[DIGEST_TEXT_SIZE];
	for (unsigned i = 0; i < sizeof ha1; i++)
		ha1[i] = (char)(r.ha1[i] >= 'a' ? r.ha1[i] - 32 : r.ha1[i]);
	in.ha1 = slice_str(ha1);
	in.username = in.realm = in.password = (struct slice){0};
	assert_int_equal(digest_compute(&in, &r), 0);
	expect_text(set, "response", r.response);
}

static void worked_numbers(void **state)
{
	json_t *set, *sets = json_load_file(TEST_DATA "/digest.json", JSON_REJECT_DUPLICATES, NULL);
	size_t i;
	(void)state;

	assert_int_equal(json_array_size(sets), 24);
	json_array_foreach(sets, i, set)
		check_set(set);
	json_decref(sets);
}

// RFC 7616 3.9.2 prints SHA-512 cut to 256 bits where it says SHA-512/256.
static void example_of_another_hash(void **state)
{
	json_t *set, *sets = json_load_file(TEST_DATA "/digest.json", 0, NULL);
	size_t i, seen = 0;
	(void)state;

	json_array_foreach(sets, i, set) {
		struct digest_input in = input_of(set);
		struct digest_result r;
		if (!vector_has(set, "cut"))
			continue;
		in.algorithm = DIGEST_SHA_512_CUT;
		assert_int_equal(digest_compute(&in, &r), 0);
		expect_text(set, "cut", r.response);
		seen++;
	}
	assert_int_equal(seen, 1);
	json_decref(sets);
}

static void refused(void **state)
{
	struct digest_input in = {.ha1 = slice_str("2da9")};
	struct digest_result r;
	enum digest_algorithm algorithm;
	enum digest_qop qop;
	uint8_t key[17] = {0};
	char password[DIGEST_AKAV2_PASSWORD_SIZE];
	(void)state;

	assert_int_equal(digest_compute(&in, &r), -EINVAL);
	in.ha1 = slice_str("2da91700e1ef4f38df91500c8729d35g");
	assert_int_equal(digest_compute(&in, &r), -EINVAL);
	assert_false(digest_algorithm_parse(slice_str("SHA-1"), &algorithm));
	assert_false(digest_algorithm_parse(slice_str(digest_algorithm_name(DIGEST_SHA_512_CUT)), &algorithm));
	assert_true(digest_algorithm_parse(slice_str("md5-SESS"), &algorithm));
	assert_int_equal(algorithm, DIGEST_MD5_SESS);
	assert_false(digest_qop_parse(slice_str("auth-conf"), &qop));
	assert_false(digest_qop_parse(slice_str(""), &qop));
	for (unsigned len = 0; len <= 17; len++)
		assert_int_equal(digest_akav2_password(DIGEST_AKAV2_MD5, slice_of(key, len), key, key, password),
				 len < 4 || len > 16 ? -EINVAL : 0);
	assert_int_equal(digest_akav2_password(DIGEST_AKAV1_MD5, slice_of(key, 8), key, key, password), -EINVAL);
}

// --- Requests

static uint8_t buffer[65536];
static struct digest_request request;
static struct digest_fault fault;

static bool parse(const char *text)
{
	size_t len = strlen(text);
	assert_true(len < sizeof buffer);
	memcpy(buffer, text, len);
	return digest_request_parse(buffer, len, &request, &fault);
}

static void expect_slice(struct slice got, const char *expected)
{
	if (!slice_eq(got, slice_str(expected)))
		fail_msg("expected '%s', got '%.*s'", expected, (int)got.len, (const char *)got.p);
}

static void expect_param(enum digest_param param, const char *expected)
{
	assert_true(request.auth[0].given & 1u << param);
	expect_slice(request.auth[0].param[param], expected);
}

static const char plain[] = "REGISTER sip:home.test SIP/2.0\r\n"
			    "From: <sip:bob@home.test>;tag=1\r\n"
			    "To: Bob <sip:bob@home.test:5061>\r\n"
			    "CSeq: 7 REGISTER\r\n"
			    "Authorization: Digest username=\"bob\", realm=\"home.test\", nonce=\"abc\", uri=\"sip:home.test\", "
			    "response=\"0123\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"x\"\r\n"
			    "\r\nbody";

static void plain_request(void **state)
{
	(void)state;
	assert_true(parse(plain));
	expect_slice(request.method, "REGISTER");
	expect_slice(request.uri, "sip:home.test");
	expect_slice(request.cseq_method, "REGISTER");
	expect_slice(request.from, "sip:bob@home.test");
	expect_slice(request.to, "sip:bob@home.test:5061");
	expect_slice(request.body, "body");
	assert_int_equal(request.auth_cnt, 1);
	assert_false(request.auth[0].proxy);
	expect_param(DIGEST_P_USERNAME, "bob");
	expect_param(DIGEST_P_QOP, "auth");
	expect_param(DIGEST_P_CNONCE, "x");
	assert_false(request.auth[0].given & 1u << DIGEST_P_AUTS);
}

// What copying makes of one and the same header.
static void copied(void **state)
{
	static const char *const variants[] = {
	    "Authorization: Digest username=\"bob\",realm=\"home.test\",uri=\"sip:home.test\"",
	    "Digest username=\"bob\", realm=\"home.test\", uri=\"sip:home.test\"",
	    "  Authorization : Digest username = \"bob\" , realm=\"home.test\",\r\n\t  uri=\"sip:home.test\"\r\n",
	    "    Authorization: Digest username=\"bob\",\n      realm=\"home.test\",\n      uri=\"sip:home.test\"\n    To: x\n",
	    "Authorization: Digest username=\"bob\", realm=\"home.test\", uri=\"sip:home.test\"\\r\\n\nVia: x\\r\\n\n",
	    "Authorization: Digest username=\"bob\",\\r\\n\n  realm=\"home.test\", uri=\"sip:home.test\"\\r\\n\n",
	    "authorization: DIGEST USERNAME=bob REALM=home.test URI=sip:home.test,",
	    "Authorization: Digest username='bob', realm='home.test', uri='sip:home.test'",
	    "Authorization: Digest username=\\\"bob\\\", realm=\\\"home.test\\\", uri=\\\"sip:home.test\\\"",
	    "Authorization: Digest username=&quot;bob&quot;,realm=&quot;home.test&quot;,uri=&quot;sip:home.test&quot;",
	    "Authorization: Digest username=\xe2\x80\x9c" "bob\xe2\x80\x9d, realm=\xe2\x80\x9d" "home.test\xe2\x80\x9d, "
	    "uri=\xe2\x80\x98sip:home.test\xe2\x80\x99",
	    "U 192.0.2.1:5060 -> 192.0.2.2:5060\n\nAuthorization: Digest username*=UTF-8''b%6fb, realm=\"home.test\"\", "
	    "uri=\"sip:home.test\"",
	};
	(void)state;

	for (unsigned i = 0; i < sizeof variants / sizeof *variants; i++) {
		if (!parse(variants[i]))
			fail_msg("variant %u: offset %u: %s", i, fault.offset, fault.what);
		assert_int_equal(request.auth_cnt, 1);
		expect_param(DIGEST_P_USERNAME, "bob");
		expect_param(DIGEST_P_REALM, "home.test");
		expect_param(DIGEST_P_URI, "sip:home.test");
	}
}

static void folds_and_escapes(void **state)
{
	(void)state;
	assert_true(parse("Proxy-Authorization: Digest realm=\"a  \r\n \t b\",\r\n username=\"o\\\"brien\"\r\n"));
	assert_true(request.auth[0].proxy);
	expect_param(DIGEST_P_REALM, "a b");
	expect_param(DIGEST_P_USERNAME, "o\\\"brien");
	// RFC 3310 4: credentials with what a card can't have made, but every parameter in its place
	assert_true(parse("Authorization: Digest\r\n username=\"jon.dough@mobile.biz\",\r\n"
			  " realm=\"RoamingUsers@mobile.biz\",\r\n"
			  " nonce=\"MzQ0a2xrbGtmbGtsZm9wb2tsc2tqaHJzZXNy9uQyMzMzMzQK=\",\r\n"
			  " uri=\"sip:home.mobile.biz\",\r\n qop=auth-int,\r\n nc=00000001,\r\n cnonce=\"0a4f113b\",\r\n"
			  " response=\"6629fae49393a05397450978507c4ef1\",\r\n"
			  " opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"\r\n"));
	expect_param(DIGEST_P_NONCE, "MzQ0a2xrbGtmbGtsZm9wb2tsc2tqaHJzZXNy9uQyMzMzMzQK=");
	expect_param(DIGEST_P_OPAQUE, "5ccc069c403ebaf9f0171e9517f40e41");
	expect_param(DIGEST_P_QOP, "auth-int");
}

static void several(void **state)
{
	char text[4096] = "INVITE sip:a@b SIP/2.0\nAuthorization: Basic YTpi\n";
	(void)state;

	for (unsigned i = 0; i < DIGEST_AUTH_MAX; i++)
		strncat(text, "Proxy-Authorization: Digest nonce=\"1\"\n", sizeof text - strlen(text) - 1);
	assert_true(parse(text));
	assert_int_equal(request.auth_cnt, DIGEST_AUTH_MAX);
	strncat(text, "Proxy-Authorization: Digest nonce=\"1\"\n", sizeof text - strlen(text) - 1);
	assert_false(parse(text));
	assert_string_equal(fault.what, "too many credentials");
}

static void faults(void **state)
{
	static const struct {
		const char *text, *what;
		uint32_t offset;
	} cases[] = {
	    {"", "no Digest credentials in it", 0},
	    {"Authorization: Basic YTpi", "no Digest credentials in it", 0},
	    {"SIP/2.0 401 Unauthorized\r\n\r\n", "an answer: its request has the credentials", 0},
	    {"Authorization: Digest realm=\"x", "a quoted value that doesn't end", 29},
	    {"Authorization: Digest realm=\"x\\\"", "a quoted value that doesn't end", 29},
	    {"Authorization: Digest realm", "expected NAME=VALUE", 22},
	    {"Authorization: Digest realm=x, realm=y", "a parameter that is there twice", 31},
	    {"Authorization: Digest ,,", "expected NAME=VALUE", 21},
	    {"Digest username*=UTF-8''%4", "a % without two hex digits", 17},
	    {"Digest username*=latin1''a", "expected UTF-8'' before the user name", 17},
	};
	(void)state;

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_false(parse(cases[i].text));
		assert_string_equal(fault.what, cases[i].what);
		assert_int_equal(fault.offset, cases[i].offset);
	}
}

static void cut_everywhere(void **state)
{
	struct guard g;
	(void)state;

	guard_init(&g, sizeof plain);
	for (size_t len = 0; len < sizeof plain; len++) {
		bool ok = digest_request_parse(guard_copy(&g, plain, len), len, &request, &fault);
		assert_true(ok || fault.offset <= len);
	}
	guard_fini(&g);
}

// --- Mistakes

static struct digest_guess guess;

// Makes a request whose response was made with other values than it shows, and has the mistake found.
static void find(const struct digest_input *hashed, const struct digest_input *shown, const char *request_uri,
		 struct digest_mistake *m)
{
	struct digest_result r;
	struct digest_input in;
	char text[2048];

	assert_int_equal(digest_compute(hashed, &r), 0);
	snprintf(text, sizeof text,
		 "INVITE %s SIP/2.0\nCSeq: 1 INVITE\nAuthorization: Digest username=\"%.*s\", realm=\"%.*s\", "
		 "nonce=\"n\", uri=\"%.*s\", response=\"%s\", qop=auth, nc=00000001, cnonce=\"c\"\n\n",
		 request_uri, (int)shown->username.len, shown->username.p, (int)shown->realm.len, shown->realm.p,
		 (int)shown->uri.len, shown->uri.p, r.response);
	assert_true(parse(text));
	assert_true(digest_input_of(&request, &request.auth[0], &in, &fault));
	in.password = shown->password;
	digest_guess_init(&guess, &in, &request, &request.auth[0]);
	assert_int_equal(digest_guess_find(&guess, true, m), 1);
}

static void mistakes(void **state)
{
	const struct digest_input right = {
	    .qop = DIGEST_QOP_AUTH,
	    .username = slice_str("bob@home.test"),
	    .realm = slice_str("ims.home.test"),
	    .password = slice_str("secret"),
	    .method = slice_str("INVITE"),
	    .uri = slice_str("sip:alice@home.test;user=phone"),
	    .nonce = slice_str("n"),
	    .nc = slice_str("00000001"),
	    .cnonce = slice_str("c"),
	};
	struct digest_input hashed[8];
	static const struct {
		enum digest_field field;
		const char *why;
	} expected[] = {{DIGEST_F_REALM, "with its quotes"},
			{DIGEST_F_USERNAME, "without its domain"},
			{DIGEST_F_METHOD, "the method of another request"},
			{DIGEST_F_URI, "the URI of the request line"},
			{DIGEST_F_QOP, "as without qop (RFC 2069)"},
			{DIGEST_F_ALGORITHM, "another algorithm than the header says"},
			{DIGEST_F_PASSWORD, "with a line end"},
			{DIGEST_F_URI, "without its parameters"}};
	struct digest_mistake m;
	(void)state;

	for (unsigned i = 0; i < 8; i++)
		hashed[i] = right;
	hashed[0].realm = slice_str("\"ims.home.test\"");
	hashed[1].username = slice_str("bob");
	hashed[2].method = slice_str("ACK");
	hashed[3].uri = slice_str("sip:alice@192.0.2.1:5062");
	hashed[4].qop = DIGEST_QOP_NONE;
	hashed[5].algorithm = DIGEST_MD5_SESS;
	hashed[6].password = slice_str("secret\n");
	hashed[7].uri = slice_str("sip:alice@home.test");
	for (unsigned i = 0; i < 8; i++) {
		find(&hashed[i], &right, "sip:alice@192.0.2.1:5062", &m);
		assert_int_equal(m.cnt, 1);
		assert_int_equal(m.what[0]->field, expected[i].field);
		assert_string_equal(m.what[0]->why, expected[i].why);
	}
	find(&right, &right, "sip:x", &m);
	assert_int_equal(m.cnt, 0);
	hashed[0].method = slice_str("BYE"); // and the realm with quotes: two mistakes
	find(&hashed[0], &right, "sip:x", &m);
	assert_int_equal(m.cnt, 2);
	assert_int_equal(m.what[0]->field, DIGEST_F_REALM);
	assert_int_equal(m.what[1]->field, DIGEST_F_METHOD);
	expect_slice(m.what[1]->value, "BYE");
}

static void nothing_fits(void **state)
{
	struct digest_input in;
	struct digest_mistake m;
	(void)state;

	assert_true(parse("INVITE sip:a SIP/2.0\nAuthorization: Digest username=a, realm=b, nonce=c, uri=d, "
			  "response=00000000000000000000000000000000\n"));
	assert_true(digest_input_of(&request, &request.auth[0], &in, &fault));
	in.password = slice_str("p");
	digest_guess_init(&guess, &in, &request, &request.auth[0]);
	assert_int_equal(digest_guess_find(&guess, true, &m), 0);
	assert_int_equal(strlen(m.expected.response), 32);
}

static void unfit_values(void **state)
{
	static const char *const cases[][2] = {
	    {"realm=b, nonce=c, uri=d, response=e", "username is missing"},
	    {"username=a, realm=b, nonce=c, uri=d", "response is missing"},
	    {"username=a, realm=b, nonce=c, uri=d, response=e, algorithm=SHA-1", "an algorithm that isn't known"},
	    {"username=a, realm=b, nonce=c, uri=d, response=e, qop=auth-conf", "expected qop=auth or auth-int"},
	    {"username=a, realm=b, nonce=c, uri=d, response=e, qop=auth", "qop without nc and cnonce"},
	    {"username=a, realm=b, nonce=c, uri=d, response=e", "a response of another length than the algorithm's"},
	};
	struct digest_input in;
	(void)state;

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[256];
		snprintf(text, sizeof text, "Digest %s", cases[i][0]);
		assert_true(parse(text));
		assert_false(digest_input_of(&request, &request.auth[0], &in, &fault));
		assert_string_equal(fault.what, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(worked_numbers),    cmocka_unit_test(example_of_another_hash),
	    cmocka_unit_test(refused),           cmocka_unit_test(plain_request),
	    cmocka_unit_test(copied),            cmocka_unit_test(folds_and_escapes),
	    cmocka_unit_test(several),           cmocka_unit_test(faults),
	    cmocka_unit_test(cut_everywhere),    cmocka_unit_test(mistakes),
	    cmocka_unit_test(nothing_fits),      cmocka_unit_test(unfit_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

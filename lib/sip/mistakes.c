// Which mistake would make a response fit: other values that clients are known to hash in place of those that their
// request shows, tried one by one and two by two. Nothing is learnt about a password but whether one that is given
// fits; the number of trials is bounded by DIGEST_ALTERNATIVES_MAX.
#include <errno.h>
#include "lib/sip/digest.h"

static const char *const methods[] = {"REGISTER", "INVITE", "ACK",    "BYE",  "CANCEL", "OPTIONS", "SUBSCRIBE",
				      "NOTIFY",   "PUBLISH", "MESSAGE", "REFER", "INFO", "UPDATE",  "PRACK",
				      "GET",      "POST",    "PUT",     "DELETE"};

static struct slice *field_of(struct digest_input *in, enum digest_field field)
{
	switch (field) {
	case DIGEST_F_USERNAME:
		return &in->username;
	case DIGEST_F_REALM:
		return &in->realm;
	case DIGEST_F_PASSWORD:
		return &in->password;
	case DIGEST_F_METHOD:
		return &in->method;
	case DIGEST_F_URI:
		return &in->uri;
	case DIGEST_F_NONCE:
		return &in->nonce;
	case DIGEST_F_NC:
		return &in->nc;
	case DIGEST_F_BODY:
		return &in->body;
	default:
		return NULL; // a number
	}
}

static struct digest_alternative *next_alternative(struct digest_guess *g, enum digest_field field)
{
	if (g->alternative_cnt[field] == DIGEST_ALTERNATIVES_MAX)
		return NULL;
	return &g->alternative[field][g->alternative_cnt[field]];
}

// Adds a value unless it is the one that the request has, or has been added.
static void add(struct digest_guess *g, enum digest_field field, struct slice value, const char *why)
{
	struct digest_alternative *a = next_alternative(g, field);

	if (!a || slice_eq(value, *field_of(&g->in, field)))
		return;
	for (unsigned i = 0; i < g->alternative_cnt[field]; i++)
		if (slice_eq(value, g->alternative[field][i].value))
			return;
	*a = (struct digest_alternative){.field = field, .why = why, .value = value};
	g->alternative_cnt[field]++;
}

static void add_number(struct digest_guess *g, enum digest_field field, uint32_t number, const char *name,
		       const char *why)
{
	struct digest_alternative *a = next_alternative(g, field);

	if (!a)
		return;
	*a = (struct digest_alternative){.field = field, .why = why, .value = slice_str(name), .number = number};
	g->alternative_cnt[field]++;
}

// Three pieces as one value in the guesses' own memory; empty when there is no room left.
static struct slice join(struct digest_guess *g, struct slice a, struct slice b, struct slice c)
{
	uint8_t *p;

	if (wr_room(&g->room) < (size_t)a.len + b.len + c.len)
		return (struct slice){0};
	p = g->room.p;
	wr_slice(&g->room, a);
	wr_slice(&g->room, b);
	wr_slice(&g->room, c);
	return slice_of(p, (size_t)(g->room.p - p));
}

static void add_joined(struct digest_guess *g, enum digest_field field, const char *before, struct slice value,
		       const char *after, const char *why)
{
	struct slice joined = join(g, slice_str(before), value, slice_str(after));

	if (joined.len)
		add(g, field, joined, why);
}

static void add_lower(struct digest_guess *g, enum digest_field field, struct slice value)
{
	struct slice copy = join(g, value, (struct slice){0}, (struct slice){0});
	uint8_t *p = g->room.p - copy.len;

	for (uint32_t i = 0; i < copy.len; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] |= 0x20;
	if (copy.len)
		add(g, field, copy, "in lower case");
}

// With the character that a backslash stands before, in place of both.
static void add_unescaped(struct digest_guess *g, enum digest_field field, struct slice value)
{
	struct slice copy = join(g, value, (struct slice){0}, (struct slice){0});
	uint8_t *p = g->room.p - copy.len, *out = p;

	if (!copy.len || !memchr(copy.p, '\\', copy.len))
		return;
	for (uint32_t i = 0; i < copy.len; i++) {
		if (p[i] == '\\' && i + 1 < copy.len)
			i++;
		*out++ = p[i];
	}
	add(g, field, slice_of(p, (size_t)(out - p)), "without the backslashes");
}

static struct slice before(struct slice s, char c)
{
	const uint8_t *at = s.len ? memchr(s.p, c, s.len) : NULL;
	return at ? slice_of(s.p, (size_t)(at - s.p)) : s;
}

static struct slice after(struct slice s, char c)
{
	const uint8_t *at = s.len ? memchr(s.p, c, s.len) : NULL;
	return at ? slice_of(at + 1, s.len - (size_t)(at - s.p) - 1) : s;
}

static bool has(struct slice s, char c)
{
	return s.len && memchr(s.p, c, s.len);
}

static bool has_scheme(struct slice s, const char *scheme)
{
	size_t len = strlen(scheme);
	return s.len > len && slice_eq_nocase(slice_of(s.p, len), slice_of(scheme, len));
}

// The part of a SIP URI that names the host: without user, port and parameters.
static struct slice host_of(struct slice uri)
{
	struct slice rest = after(uri, ':');

	if (has(rest, '@'))
		rest = after(rest, '@');
	rest = before(before(rest, ';'), '?');
	return rest.len && rest.p[0] == '[' ? rest : before(rest, ':');
}

static void add_usernames(struct digest_guess *g)
{
	struct slice name = g->in.username;

	if (has(name, '@'))
		add(g, DIGEST_F_USERNAME, before(name, '@'), "without its domain");
	else {
		struct slice domain = host_of(g->in.uri);
		add(g, DIGEST_F_USERNAME, join(g, name, slice_str("@"), g->in.realm), "with the realm as its domain");
		add(g, DIGEST_F_USERNAME, join(g, name, slice_str("@"), domain), "with the URI's host as its domain");
	}
	if (has_scheme(name, "sip:"))
		add(g, DIGEST_F_USERNAME, after(name, ':'), "without sip:");
	else
		add_joined(g, DIGEST_F_USERNAME, "sip:", name, "", "with sip:");
	add_joined(g, DIGEST_F_USERNAME, "\"", name, "\"", "with its quotes");
	add_lower(g, DIGEST_F_USERNAME, name);
	add_unescaped(g, DIGEST_F_USERNAME, name);
}

static void add_realms(struct digest_guess *g)
{
	struct slice realm = g->in.realm;

	if (realm.len > 2 && realm.p[0] == '"' && realm.p[realm.len - 1] == '"')
		add(g, DIGEST_F_REALM, slice_of(realm.p + 1, realm.len - 2), "without quotes");
	add_joined(g, DIGEST_F_REALM, "\"", realm, "\"", "with its quotes");
	add_joined(g, DIGEST_F_REALM, "sip:", realm, "", "with sip:");
	add(g, DIGEST_F_REALM, host_of(g->in.uri), "the host of the URI in place of the realm");
	add(g, DIGEST_F_REALM, g->in.uri, "the URI in place of the realm");
	if (has(g->in.username, '@'))
		add(g, DIGEST_F_REALM, after(g->in.username, '@'), "the user name's domain in place of the realm");
	add_lower(g, DIGEST_F_REALM, realm);
	add_unescaped(g, DIGEST_F_REALM, realm);
	add(g, DIGEST_F_REALM, slice_str(""), "no realm");
}

static void add_passwords(struct digest_guess *g)
{
	struct slice password = g->in.password, shorter = password;

	while (shorter.len && (shorter.p[shorter.len - 1] == ' ' || shorter.p[shorter.len - 1] == '\n' ||
			       shorter.p[shorter.len - 1] == '\r'))
		shorter.len--;
	add(g, DIGEST_F_PASSWORD, shorter, "without what follows it (blanks or a line end)");
	add_joined(g, DIGEST_F_PASSWORD, "", password, "\n", "with a line end");
	add_joined(g, DIGEST_F_PASSWORD, "", password, "\r\n", "with a line end (CR LF)");
	add_joined(g, DIGEST_F_PASSWORD, "", password, " ", "with a blank behind it");
	add_joined(g, DIGEST_F_PASSWORD, "\"", password, "\"", "with quotes");
	add(g, DIGEST_F_PASSWORD, g->in.username, "the user name in place of the password");
	add(g, DIGEST_F_PASSWORD, slice_str(""), "no password");
}

static void add_methods(struct digest_guess *g, const struct digest_request *r)
{
	if (r->cseq_method.len)
		add(g, DIGEST_F_METHOD, r->cseq_method, "the method of CSeq");
	for (unsigned i = 0; i < sizeof methods / sizeof *methods; i++)
		add(g, DIGEST_F_METHOD, slice_str(methods[i]), "the method of another request");
	add_lower(g, DIGEST_F_METHOD, g->in.method);
}

// The host alone, as in the URI of a REGISTER.
static void add_host(struct digest_guess *g, struct slice host, const char *why)
{
	if (!host.len)
		return;
	add_joined(g, DIGEST_F_URI, "sip:", host, "", why);
	add_joined(g, DIGEST_F_URI, "sips:", host, "", why);
}

static void add_uris(struct digest_guess *g, const struct digest_request *r)
{
	struct slice uri = g->in.uri, host = host_of(uri);

	if (r->uri.len)
		add(g, DIGEST_F_URI, r->uri, "the URI of the request line");
	add(g, DIGEST_F_URI, before(before(uri, ';'), '?'), "without its parameters");
	add(g, DIGEST_F_URI, before(before(r->uri, ';'), '?'), "the URI of the request line without its parameters");
	add_host(g, host, "its host alone");
	if (has_scheme(uri, "sips:"))
		add_joined(g, DIGEST_F_URI, "sip:", after(uri, ':'), "", "with sip: in place of sips:");
	else if (has_scheme(uri, "sip:"))
		add_joined(g, DIGEST_F_URI, "sips:", after(uri, ':'), "", "with sips: in place of sip:");
	else
		add_joined(g, DIGEST_F_URI, "sip:", uri, "", "with sip:");
	add(g, DIGEST_F_URI, after(uri, ':'), "without its scheme");
	add_host(g, g->in.realm, "the realm as a URI");
	add_host(g, host_of(r->from), "the domain of From");
	add_host(g, host_of(r->to), "the domain of To");
	if (has(after(host, '.'), '.'))
		add_host(g, after(host, '.'), "its domain without the host");
	if (r->to.len)
		add(g, DIGEST_F_URI, r->to, "the URI of To");
	add(g, DIGEST_F_URI, g->in.realm, "the realm in place of the URI");
	if (!has(host_of(uri), ':'))
		add_joined(g, DIGEST_F_URI, "", before(before(uri, ';'), '?'), ":5060", "with the port");
	if (has(after(uri, ':'), ':'))
		add_joined(g, DIGEST_F_URI, "", slice_of(uri.p, (size_t)(host.p + host.len - uri.p)), "",
			   "without its port");
	add_joined(g, DIGEST_F_URI, "\"", uri, "\"", "with its quotes");
	add_joined(g, DIGEST_F_URI, "<", uri, ">", "in angle brackets");
	add_lower(g, DIGEST_F_URI, uri);
}

static void add_counts(struct digest_guess *g)
{
	static const char zeros[] = "0000000";
	struct slice nc = g->in.nc, shorter = nc;

	if (g->in.qop == DIGEST_QOP_NONE)
		return;
	while (shorter.len > 1 && shorter.p[0] == '0')
		shorter = slice_of(shorter.p + 1, shorter.len - 1);
	add(g, DIGEST_F_NC, shorter, "without leading zeros");
	if (nc.len && nc.len < 8)
		add_joined(g, DIGEST_F_NC, zeros + (nc.len - 1), nc, "", "with eight digits");
	add(g, DIGEST_F_NC, slice_str("00000001"), "1, which is not what the request says");
	add_joined(g, DIGEST_F_NC, "\"", nc, "\"", "with its quotes");
}

// Only what the header has the values for.
static void add_qops(struct digest_guess *g, const struct digest_auth *a)
{
	bool can = (a->given & 1u << DIGEST_P_CNONCE) && (a->given & 1u << DIGEST_P_NC);

	if (g->in.qop != DIGEST_QOP_NONE)
		add_number(g, DIGEST_F_QOP, DIGEST_QOP_NONE, "none", "as without qop (RFC 2069)");
	if (can && g->in.qop != DIGEST_QOP_AUTH)
		add_number(g, DIGEST_F_QOP, DIGEST_QOP_AUTH, "auth", "as with qop=auth");
	if (can && g->in.qop != DIGEST_QOP_AUTH_INT)
		add_number(g, DIGEST_F_QOP, DIGEST_QOP_AUTH_INT, "auth-int", "as with qop=auth-int");
}

// Only those whose responses are as long. AKA differs in what the password is, which nobody can try.
static void add_algorithms(struct digest_guess *g)
{
	for (unsigned i = 0; i < DIGEST_AKAV1_MD5; i++) {
		enum digest_algorithm algorithm = (enum digest_algorithm)i;
		if (algorithm == g->in.algorithm || digest_text_len(algorithm) != g->response.len ||
		    (g->in.ha1.len && digest_text_len(algorithm) != g->in.ha1.len))
			continue;
		add_number(g, DIGEST_F_ALGORITHM, algorithm, digest_algorithm_name(algorithm),
			   "another algorithm than the header says");
	}
}

static void add_bodies(struct digest_guess *g)
{
	struct slice body = g->in.body, shorter = body;

	if (g->in.qop != DIGEST_QOP_AUTH_INT)
		return;
	while (shorter.len && (shorter.p[shorter.len - 1] == '\n' || shorter.p[shorter.len - 1] == '\r'))
		shorter.len--;
	add(g, DIGEST_F_BODY, slice_str(""), "no body");
	add(g, DIGEST_F_BODY, shorter, "without its last line end");
	add_joined(g, DIGEST_F_BODY, "", shorter, "\r\n", "with CR LF at its end");
	if (body.len && !memmem(body.p, body.len, "\r\n", 2) && body.len < wr_room(&g->room) / 2) {
		uint8_t *from = g->room.p;
		for (uint32_t i = 0; i < body.len; i++) {
			if (body.p[i] == '\n')
				wr_u8(&g->room, '\r');
			wr_u8(&g->room, body.p[i]);
		}
		add(g, DIGEST_F_BODY, slice_of(from, (size_t)(g->room.p - from)), "with CR LF line ends");
	}
}

bool digest_input_of(const struct digest_request *r, const struct digest_auth *a, struct digest_input *in,
		     struct digest_fault *fault)
{
	static const struct {
		enum digest_param param;
		const char *what;
	} needed[] = {
	    {DIGEST_P_USERNAME, "username is missing"}, {DIGEST_P_REALM, "realm is missing"},
	    {DIGEST_P_NONCE, "nonce is missing"},       {DIGEST_P_URI, "uri is missing"},
	    {DIGEST_P_RESPONSE, "response is missing"},
	};
	const struct slice *p = a->param;

	*in = (struct digest_input){
	    .username = p[DIGEST_P_USERNAME],
	    .realm = p[DIGEST_P_REALM],
	    .method = r->method.len ? r->method : r->cseq_method,
	    .uri = p[DIGEST_P_URI],
	    .nonce = p[DIGEST_P_NONCE],
	    .nc = p[DIGEST_P_NC],
	    .cnonce = p[DIGEST_P_CNONCE],
	    .body = r->body,
	};
	*fault = (struct digest_fault){0};
	for (unsigned i = 0; i < sizeof needed / sizeof *needed; i++)
		if (!(a->given & 1u << needed[i].param))
			fault->what = needed[i].what;
	if (a->given & 1u << DIGEST_P_ALGORITHM && !digest_algorithm_parse(p[DIGEST_P_ALGORITHM], &in->algorithm))
		fault->what = "an algorithm that isn't known";
	if (a->given & 1u << DIGEST_P_QOP && p[DIGEST_P_QOP].len && !digest_qop_parse(p[DIGEST_P_QOP], &in->qop))
		fault->what = "expected qop=auth or auth-int";
	if (!fault->what && in->qop != DIGEST_QOP_NONE && (!in->nc.len || !in->cnonce.len))
		fault->what = "qop without nc and cnonce";
	if (!fault->what && p[DIGEST_P_RESPONSE].len != digest_text_len(in->algorithm))
		fault->what = "a response of another length than the algorithm's";
	return !fault->what;
}

void digest_guess_init(struct digest_guess *g, const struct digest_input *in, const struct digest_request *r,
		       const struct digest_auth *a)
{
	memset(g->alternative_cnt, 0, sizeof g->alternative_cnt);
	g->in = *in;
	g->response = a->param[DIGEST_P_RESPONSE];
	g->room = wr_of(g->scratch, sizeof g->scratch);
	if (!in->ha1.len) { // else these three are in it already
		add_usernames(g);
		add_realms(g);
		add_passwords(g);
	}
	add_methods(g, r);
	add_uris(g, r);
	add_joined(g, DIGEST_F_NONCE, "\"", in->nonce, "\"", "with its quotes");
	add_unescaped(g, DIGEST_F_NONCE, in->nonce);
	add_counts(g);
	add_qops(g, a);
	if (!digest_aka_version(in->algorithm))
		add_algorithms(g);
	add_bodies(g);
}

static void apply(struct digest_input *in, const struct digest_alternative *a)
{
	if (a->field == DIGEST_F_QOP)
		in->qop = (enum digest_qop)a->number;
	else if (a->field == DIGEST_F_ALGORITHM)
		in->algorithm = (enum digest_algorithm)a->number;
	else
		*field_of(in, a->field) = a->value;
}

// 1: it fits with these; 0: it doesn't; negative as digest_compute.
static int try(const struct digest_guess *g, const struct digest_alternative *a, const struct digest_alternative *b,
	       struct digest_mistake *m)
{
	struct digest_input in = g->in;
	struct digest_result result;
	int rc;

	if (a)
		apply(&in, a);
	if (b)
		apply(&in, b);
	rc = digest_compute(&in, &result);
	if (rc)
		return rc;
	if (!a)
		*m = (struct digest_mistake){.expected = result};
	if (!slice_eq_nocase(slice_str(result.response), g->response))
		return 0;
	m->what[0] = a;
	m->what[1] = b;
	m->cnt = !!a + !!b;
	return 1;
}

// All alternatives of the fields from `field` on, together with `a` when that is given.
static int try_all(const struct digest_guess *g, unsigned field, const struct digest_alternative *a,
		   struct digest_mistake *m)
{
	int rc = 0;

	for (; field < DIGEST_FIELD_CNT; field++)
		for (unsigned i = 0; !rc && i < g->alternative_cnt[field]; i++)
			rc = a ? try(g, a, &g->alternative[field][i], m) : try(g, &g->alternative[field][i], NULL, m);
	return rc;
}

int digest_guess_find(const struct digest_guess *g, bool pairs, struct digest_mistake *m)
{
	int rc = try(g, NULL, NULL, m);

	if (!rc)
		rc = try_all(g, 0, NULL, m);
	for (unsigned field = 0; !rc && pairs && field < DIGEST_FIELD_CNT; field++)
		for (unsigned i = 0; !rc && i < g->alternative_cnt[field]; i++)
			rc = try_all(g, field + 1, &g->alternative[field][i], m);
	return rc;
}

// The document's member `ims` as data (data.h): checked, with a password turned into its HA1. Loader process.
#include <openssl/evp.h>
#include <stdio.h>
#include "apps/cx/loader.h"
#include "lib/base/ident.h"
#include "lib/base/secret.h"
#include "lib/ims/filter_criteria.h"
#include "lib/ims/wildcard.h"
#include "loader/document/walk.h"

#define HA1_LEN 16

struct reader {
	struct record_error *e;
	struct ims_data d;
	uint8_t ha1[IMS_PRIVATES_MAX][HA1_LEN];
	uint8_t criteria[STATE_BODY_MAX]; // of all profiles
	size_t used;
};

__attribute__((format(printf, 2, 3))) static bool bad(struct reader *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(r->e->text, sizeof(r->e->text), fmt, ap);
	va_end(ap);
	return false;
}

// ---- values

static const json_t *get(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);
	return json_is_null(v) ? NULL : v;
}

// A text of at most 255 octets; absent: empty. `path` and `index` name it in a message.
static bool text_of(struct reader *r, const json_t *object, const char *path, int index, const char *name, struct slice *out)
{
	char at[96] = "";
	const json_t *v = get(object, name);
	*out = (struct slice){0};
	if (index >= 0)
		snprintf(at, sizeof(at), "[%d]", index);
	if (!v)
		return true;
	if (!json_is_string(v))
		return bad(r, "ims.%s%s.%s: expected a text", path, at, name);
	*out = slice_of(json_string_value(v), json_string_length(v));
	return out->len <= 255 || bad(r, "ims.%s%s.%s: expected at most 255 octets", path, at, name);
}

static bool number_of(struct reader *r, const json_t *v, const char *path, json_int_t most, uint32_t *out)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > most)
		return bad(r, "%s: expected a whole number of at most %lld", path, (long long)most);
	*out = (uint32_t)json_integer_value(v);
	return true;
}

static bool list_of(struct reader *r, const json_t *object, const char *name, size_t most, const json_t **out)
{
	*out = get(object, name);
	if (*out && !json_is_array(*out))
		return bad(r, "ims.%s: expected an array", name);
	return json_array_size(*out) <= most || bad(r, "ims.%s: expected at most %zu", name, most);
}

// ---- private identities

static bool ha1_make(struct slice user, struct slice realm, struct slice password, uint8_t out[HA1_LEN])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned len = HA1_LEN;
	bool ok = md && EVP_DigestInit_ex(md, EVP_md5(), NULL) == 1 && EVP_DigestUpdate(md, user.p, user.len) == 1 &&
		  EVP_DigestUpdate(md, ":", 1) == 1 && EVP_DigestUpdate(md, realm.p, realm.len) == 1 &&
		  EVP_DigestUpdate(md, ":", 1) == 1 && EVP_DigestUpdate(md, password.p, password.len) == 1 &&
		  EVP_DigestFinal_ex(md, out, &len) == 1;
	EVP_MD_CTX_free(md);
	return ok;
}

// What follows the '@'.
static struct slice realm_of(struct slice identity)
{
	const uint8_t *at = memchr(identity.p, '@', identity.len);
	return at ? slice_of(at + 1, (size_t)(identity.p + identity.len - at - 1)) : (struct slice){0};
}

static bool digest_read(struct reader *r, const json_t *v, int i, struct ims_private *p)
{
	struct slice ha1, password;
	if (!text_of(r, v, "private_identities", i, "realm", &p->realm) ||
	    !text_of(r, v, "private_identities", i, "ha1", &ha1) ||
	    !text_of(r, v, "private_identities", i, "password", &password))
		return false;
	if (!p->realm.len)
		p->realm = realm_of(p->identity);
	if (!p->realm.len)
		return bad(r, "ims.private_identities[%d].realm: expected a realm, got nothing", i);
	if (!ha1.len && !password.len)
		return bad(r, "ims.private_identities[%d]: expected ha1 or password", i);
	p->ha1 = slice_of(r->ha1[i], HA1_LEN);
	if (ha1.len)
		return hex_parse(ha1, r->ha1[i], HA1_LEN) ||
		       bad(r, "ims.private_identities[%d].ha1: expected 32 hex digits", i);
	return ha1_make(p->identity, p->realm, password, r->ha1[i]) ||
	       bad(r, "ims.private_identities[%d].password: its digest could not be made", i);
}

static bool is_digest(const json_t *v)
{
	const char *scheme = json_string_value(get(v, "scheme"));
	return scheme ? strcmp(scheme, "digest") == 0 : get(v, "ha1") || get(v, "password");
}

static bool private_read(struct reader *r, const json_t *v, int i)
{
	struct ims_private *p = &r->d.priv[r->d.priv_cnt];
	struct subject s;
	struct slice scheme;
	*p = (struct ims_private){.scheme = is_digest(v) ? IMS_DIGEST : IMS_AKA};
	if (!text_of(r, v, "private_identities", i, "identity", &p->identity) ||
	    !text_of(r, v, "private_identities", i, "scheme", &scheme))
		return false;
	if (!subject_read(SUBJECT_FORM_PRIVATE, p->identity, &s))
		return bad(r, "ims.private_identities[%d].identity: expected user@realm, got \"%.*s\"", i,
			   (int)(p->identity.len < 80 ? p->identity.len : 80),
			   p->identity.len ? (const char *)p->identity.p : "");
	if (scheme.len && !slice_eq(scheme, slice_str("aka")) && !slice_eq(scheme, slice_str("digest")))
		return bad(r, "ims.private_identities[%d].scheme: expected aka or digest", i);
	if (p->scheme == IMS_DIGEST && !digest_read(r, v, i, p))
		return false;
	r->d.priv_cnt++;
	return true;
}

// ---- public identities

static bool wildcard_read(struct reader *r, int i, struct ims_public *p, bool psi)
{
	const uint8_t *first = memchr(p->identity.p, '!', p->identity.len), *last = NULL;
	for (const uint8_t *c = first; c && c < p->identity.p + p->identity.len; c++)
		if (*c == '!' && c > first)
			last = c;
	if (!last || !ims_wildcard_domain(p->identity).len || !ims_wildcard_valid(p->identity))
		return bad(r,
			   "ims.public_identities[%d].identity: expected a wildcard like sip:list-!.*!@domain, of literal "
			   "characters, . and [...] with * + ?",
			   i);
	p->type = psi ? IMS_WILDCARDED_PSI : IMS_WILDCARDED_USER;
	return true;
}

static bool public_numbers(struct reader *r, const json_t *v, int i, struct ims_public *p)
{
	char path[64];
	uint32_t n = 0;
	snprintf(path, sizeof(path), "ims.public_identities[%d].set", i);
	if (get(v, "set") && !number_of(r, get(v, "set"), path, 255, &n))
		return false;
	p->set = (uint8_t)n;
	n = 0;
	snprintf(path, sizeof(path), "ims.public_identities[%d].profile", i);
	if (get(v, "profile") && !number_of(r, get(v, "profile"), path, IMS_PROFILES_MAX - 1, &n))
		return false;
	p->profile = (uint8_t)n;
	if (n && n >= r->d.profile_cnt)
		return bad(r, "%s: expected a place in ims.profiles, which has %u", path, r->d.profile_cnt);
	p->barred = json_is_true(get(v, "barred"));
	p->first = json_is_true(get(v, "default"));
	return true;
}

static bool public_read(struct reader *r, const json_t *v, int i)
{
	struct ims_public *p = &r->d.pub[r->d.pub_cnt];
	struct subject s;
	struct slice type;
	*p = (struct ims_public){0};
	if (!text_of(r, v, "public_identities", i, "identity", &p->identity) ||
	    !text_of(r, v, "public_identities", i, "type", &type) ||
	    !text_of(r, v, "public_identities", i, "display_name", &p->display) ||
	    !text_of(r, v, "public_identities", i, "server_name", &p->server) || !public_numbers(r, v, i, p))
		return false;
	bool psi = slice_eq(type, slice_str("psi"));
	if (type.len && !psi && !slice_eq(type, slice_str("user")))
		return bad(r, "ims.public_identities[%d].type: expected user or psi", i);
	p->type = psi ? IMS_PSI : IMS_PUBLIC_USER;
	if (memchr(p->identity.p ? (const char *)p->identity.p : "", '!', p->identity.len)) {
		if (!wildcard_read(r, i, p, psi))
			return false;
	} else if (!subject_read(SUBJECT_FORM_PUBLIC, p->identity, &s)) {
		return bad(r, "ims.public_identities[%d].identity: expected a sip: or tel: URI, got \"%.*s\"", i,
			   (int)(p->identity.len < 80 ? p->identity.len : 80),
			   p->identity.len ? (const char *)p->identity.p : "");
	}
	r->d.pub_cnt++;
	return true;
}

// ---- profiles

static bool criteria_read(struct reader *r, const json_t *list, const char *path, struct ims_profile *p)
{
	static struct ims_report report;
	struct ims_criteria c;
	struct wr w = wr_of(r->criteria + r->used, sizeof(r->criteria) - r->used);
	char why[400];
	int rc = ims_criteria_from_json(list, path, &c, &report);
	if (rc)
		return bad(r, "%s", rc == -ENOMEM ? "no memory" : ims_report_first(&report, why, sizeof(why)));
	wr_slice(&w, ims_criteria_fragment(&c));
	ims_criteria_free(&c);
	if (w.err)
		return bad(r, "%s: expected less than %u octets of XML in all", path, STATE_BODY_MAX);
	p->criteria = wr_done(&w);
	r->used += wr_len(&w);
	return true;
}

static bool profile_read(struct reader *r, const json_t *v, int i)
{
	const json_t *criteria = get(v, "filter_criteria");
	struct ims_profile *p = &r->d.profile[r->d.profile_cnt];
	const json_t *shared = get(v, "shared_filter_criteria");
	char path[80];
	*p = (struct ims_profile){0};
	if (!json_is_object(v))
		return bad(r, "ims.profiles[%d]: expected an object", i);
	if (json_array_size(shared) > IMS_SHARED_SETS_MAX)
		return bad(r, "ims.profiles[%d].shared_filter_criteria: expected at most %d", i, IMS_SHARED_SETS_MAX);
	for (size_t n = 0; n < json_array_size(shared); n++) {
		snprintf(path, sizeof(path), "ims.profiles[%d].shared_filter_criteria[%zu]", i, n);
		if (!number_of(r, json_array_get(shared, n), path, INT32_MAX, &p->shared[n]))
			return false;
		p->shared_cnt++;
	}
	snprintf(path, sizeof(path), "ims.profiles[%d].filter_criteria", i);
	if (criteria && !criteria_read(r, criteria, path, p))
		return false;
	r->d.profile_cnt++;
	return true;
}

// ---- the rest

static bool numbers_read(struct reader *r, const json_t *list, const char *path, uint32_t *out, unsigned *cnt)
{
	*cnt = 0;
	if (list && (!json_is_array(list) || json_array_size(list) > IMS_CAPABILITIES_MAX))
		return bad(r, "%s: expected an array of at most %d numbers", path, IMS_CAPABILITIES_MAX);
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!number_of(r, json_array_get(list, i), path, UINT32_MAX, &out[(*cnt)++]))
			return false;
	return true;
}

static bool servers_read(struct reader *r, const json_t *ims)
{
	static const char *const name[IMS_CHARGING_CNT] = {"primary_ecf", "secondary_ecf", "primary_ccf", "secondary_ccf"};
	const json_t *charging = get(ims, "charging"), *scscf = get(ims, "scscf"), *c = get(scscf, "capabilities");
	for (unsigned i = 0; i < IMS_CHARGING_CNT; i++)
		if (!text_of(r, charging, "charging", -1, name[i], &r->d.charging[i]))
			return false;
	return text_of(r, scscf, "scscf", -1, "name", &r->d.scscf) &&
	       numbers_read(r, get(c, "mandatory"), "ims.scscf.capabilities.mandatory", r->d.capabilities.mandatory,
			    &r->d.capabilities.mandatory_cnt) &&
	       numbers_read(r, get(c, "optional"), "ims.scscf.capabilities.optional", r->d.capabilities.optional,
			    &r->d.capabilities.optional_cnt);
}

static bool visited_read(struct reader *r, const json_t *ims)
{
	const json_t *list;
	if (!list_of(r, ims, "visited_networks", IMS_VISITED_MAX, &list))
		return false;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		if (!json_is_string(v) || json_string_length(v) == 0 || json_string_length(v) > 255)
			return bad(r, "ims.visited_networks[%zu]: expected a text of 1 to 255 octets", i);
		r->d.visited[r->d.visited_cnt++] = slice_of(json_string_value(v), json_string_length(v));
	}
	return true;
}

static bool lists_read(struct reader *r, const json_t *ims)
{
	const json_t *profiles, *privates, *publics;
	if (!list_of(r, ims, "profiles", IMS_PROFILES_MAX, &profiles) ||
	    !list_of(r, ims, "private_identities", IMS_PRIVATES_MAX, &privates) ||
	    !list_of(r, ims, "public_identities", IMS_PUBLICS_MAX, &publics))
		return false;
	for (size_t i = 0; i < json_array_size(profiles); i++)
		if (!profile_read(r, json_array_get(profiles, i), (int)i))
			return false;
	for (size_t i = 0; i < json_array_size(privates); i++)
		if (!private_read(r, json_array_get(privates, i), (int)i))
			return false;
	for (size_t i = 0; i < json_array_size(publics); i++)
		if (!public_read(r, json_array_get(publics, i), (int)i))
			return false;
	return true;
}

// Open5GS keeps one list of criteria in the document itself. It counts where `ims` has no profiles.
static bool ifc_read(struct reader *r, const json_t *list)
{
	if (!list || r->d.profile_cnt)
		return true;
	r->d.profile_cnt = 1;
	r->d.profile[0] = (struct ims_profile){0};
	return criteria_read(r, list, "ifc", &r->d.profile[0]);
}

bool cx_read(struct loader *l, const json_t *document, struct wr *out, struct record_error *e)
{
	static struct reader r;
	const json_t *ims = get(document, "ims");
	(void)l;
	memset(&r, 0, sizeof(r));
	r.e = e;
	bool ok = !ims || json_is_object(ims) || bad(&r, "ims: expected an object");
	ok = ok && lists_read(&r, ims) && servers_read(&r, ims) && visited_read(&r, ims) && ifc_read(&r, get(document, "ifc"));
	if (ok)
		ims_data_put(out, &r.d);
	secret_wipe(r.ha1, sizeof(r.ha1));
	return ok;
}

// A password is replaced by its HA1.
json_t *cx_stored(const json_t *document)
{
	const json_t *member = get(document, "ims"), *list = get(member, "private_identities");
	json_t *copy = NULL, *whole;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i), *password = get(v, "password"), *user = get(v, "identity");
		struct slice realm = {0};
		uint8_t ha1[HA1_LEN];
		char text[2 * HA1_LEN + 1];
		if (!json_is_string(password) || !json_is_string(user))
			continue;
		if (!copy)
			copy = json_deep_copy(member);
		struct slice identity = slice_of(json_string_value(user), json_string_length(user));
		const json_t *said = get(v, "realm");
		realm = json_is_string(said) ? slice_of(json_string_value(said), json_string_length(said)) : realm_of(identity);
		json_t *mine = json_array_get(json_object_get(copy, "private_identities"), i);
		json_object_del(mine, "password");
		if (!get(v, "ha1") && ha1_make(identity, realm, slice_str(json_string_value(password)), ha1)) {
			hex_text(ha1, HA1_LEN, text);
			json_object_set_new(mine, "ha1", json_string(text));
			secret_wipe(ha1, sizeof(ha1));
			secret_wipe(text, sizeof(text));
		}
	}
	if (!copy)
		return NULL;
	whole = json_copy((json_t *)document);
	json_object_set_new(whole, "ims", copy);
	return whole;
}

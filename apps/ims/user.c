// See user.h. Owns nothing.
#include "apps/ims/user.h"
#include "apps/apps.h"
#include "apps/ims/state.h"
#include "lib/ims/wildcard.h"

bool ims_domain_is_ours(const struct config *config, struct slice domain)
{
	// both are in lower case
	return slice_eq(domain, slice_str(config->ims_domain)) || config_realm_served(config, domain);
}

// ---- computed identities

// Keeps the parts one behind the other in the user's text: every request does this, so no printf.
static struct slice keep(struct ims_user *u, struct slice prefix, struct slice digits, struct slice domain)
{
	uint8_t *at = (uint8_t *)u->text + u->text_len;
	struct wr w = wr_of(at, sizeof u->text - u->text_len);
	wr_slice(&w, prefix);
	wr_slice(&w, digits);
	if (domain.len) {
		wr_u8(&w, '@');
		wr_slice(&w, domain);
	}
	if (w.err)
		return (struct slice){0};
	u->text_len += (uint32_t)wr_len(&w);
	return wr_done(&w);
}

static void add_public(struct ims_user *u, struct slice identity, bool barred)
{
	if (identity.len && u->d.pub_cnt < IMS_PUBLICS_MAX)
		u->d.pub[u->d.pub_cnt++] = (struct ims_public){.identity = identity, .barred = barred};
}

// The identity of the IMSI; for each MSISDN a SIP and a tel URI. All are one implicit registration set; those of an MSISDN
// come before a barred one of the IMSI, so that one of them is the default identity.
static void compute_publics(struct ims_user *u, const struct config *config, struct slice imsi)
{
	char digits[16];
	bool barred = config->ims_bar_imsi && u->rec->msisdn[0].v;
	struct slice own = keep(u, slice_of("sip:", 4), imsi, u->domain);
	if (!barred)
		add_public(u, own, false);
	for (unsigned i = 0; i < 2; i++) {
		if (!u->rec->msisdn[i].v)
			continue;
		struct slice number = slice_of(digits, msisdn_text(u->rec->msisdn[i], digits));
		add_public(u, keep(u, slice_of("sip:+", 5), number, u->domain), false);
		add_public(u, keep(u, slice_of("tel:+", 5), number, (struct slice){0}), false);
	}
	if (barred)
		add_public(u, own, true);
}

static void compute_private(struct ims_user *u, struct slice imsi)
{
	struct slice identity = keep(u, (struct slice){0}, imsi, u->domain);
	if (identity.len)
		u->d.priv[u->d.priv_cnt++] = (struct ims_private){.identity = identity, .device = IMS_DEVICE_IMSI};
}

bool ims_user_of(const struct cache *c, const struct config *config, const struct cache_record *r, struct ims_user *u)
{
	bool said = ims_data_of(c, r, &u->d);
	return ims_user_fill(config, r, said, u);
}

bool ims_user_fill(const struct config *config, const struct cache_record *r, bool said, struct ims_user *u)
{
	u->rec = r;
	u->text_len = 0;
	u->domain = slice_str(config->ims_domain);
	bool no_key = r->flags & RECORD_NO_KEY;
	u->computed = u->d.pub_cnt == 0;
	char digits[16];
	struct slice imsi = slice_of(digits, imsi_text(r->imsi, digits));
	if (u->d.priv_cnt == 0 && !no_key)
		compute_private(u, imsi);
	if (u->computed && !(no_key && !said))
		compute_publics(u, config, imsi);
	if (u->d.profile_cnt == 0)
		u->d.profile[u->d.profile_cnt++] = (struct ims_profile){.is_template = true};
	return u->d.priv_cnt && u->d.pub_cnt;
}

// ---- from an identity to its subscription

static bool is_wildcard(const struct ims_public *p)
{
	return p->type == IMS_WILDCARDED_PSI || p->type == IMS_WILDCARDED_USER;
}

static bool same_identity(enum subject_form form, struct slice spelling, const struct subject *s)
{
	struct subject mine;
	return subject_read(form, spelling, &mine) && mine.hash == s->hash && slice_eq(subject_text(&mine), subject_text(s));
}

// Whether the identity is one of those that follow from this record's numbers.
static bool follows_from(const struct ims_user *u, const struct config *config, const struct subject *s)
{
	if (!s->digits)
		return false;
	if (s->domain && !ims_domain_is_ours(config, subject_domain(s)))
		return false;
	return (!s->phone && u->rec->imsi.v == s->digits && s->domain) ||
	       (s->type == SUBJECT_PUBLIC && (u->rec->msisdn[0].v == s->digits || u->rec->msisdn[1].v == s->digits));
}

int ims_private_at(const struct ims_user *u, const struct config *config, const struct subject *s)
{
	bool own = u->d.priv_cnt == 1 && u->d.priv[0].device == IMS_DEVICE_IMSI;
	if (own) {
		bool imsi = s->digits == u->rec->imsi.v && !s->phone;
		return imsi && (!s->domain || ims_domain_is_ours(config, subject_domain(s))) ? 0 : -1;
	}
	for (unsigned i = 0; i < u->d.priv_cnt; i++)
		if (same_identity(SUBJECT_FORM_PRIVATE, u->d.priv[i].identity, s))
			return (int)i;
	return -1;
}

// Of the computed ones: the SIP or tel URI of the same number.
static int computed_at(const struct ims_user *u, const struct subject *s)
{
	bool imsi = !s->phone && s->digits == u->rec->imsi.v, tel = s->len > 4 && memcmp(s->text, "tel:", 4) == 0;
	char digits[16];
	unsigned len = imsi ? imsi_text(u->rec->imsi, digits) : msisdn_text((msisdn_t){s->digits}, digits);
	for (unsigned i = 0; i < u->d.pub_cnt; i++) {
		struct slice id = u->d.pub[i].identity;
		uint32_t skip = imsi ? 4 : 5; // "sip:", "sip:+", "tel:+"
		if ((id.p[0] == 't') == tel && (id.p[4] == '+') == !imsi && id.len >= skip + len &&
		    memcmp(id.p + skip, digits, len) == 0 && (id.len == skip + len || id.p[skip + len] == '@'))
			return (int)i;
	}
	return -1;
}

int ims_public_at(const struct ims_user *u, const struct config *config, const struct subject *s)
{
	if (u->computed)
		return follows_from(u, config, s) ? computed_at(u, s) : -1;
	for (unsigned i = 0; i < u->d.pub_cnt; i++)
		if (!is_wildcard(&u->d.pub[i]) && same_identity(SUBJECT_FORM_PUBLIC, u->d.pub[i].identity, s))
			return (int)i;
	return -1;
}

int ims_wildcard_at(const struct ims_user *u, const struct subject *s)
{
	for (unsigned i = 0; i < u->d.pub_cnt; i++)
		if (is_wildcard(&u->d.pub[i]) && ims_wildcard_match(u->d.pub[i].identity, subject_text(s)))
			return (int)i;
	return -1;
}

static int place_of(const struct ims_user *u, const struct config *config, const struct subject *s)
{
	return s->type == SUBJECT_PRIVATE ? ims_private_at(u, config, s) : ims_public_at(u, config, s);
}

struct search {
	const struct cache *c;
	const struct config *config;
	const struct subject *s;
	struct ims_user *u;
	int at;
};

static bool owns(void *ctx, const struct cache_record *r)
{
	struct search *q = ctx;
	return ims_user_of(q->c, q->config, r, q->u) && (q->at = place_of(q->u, q->config, q->s)) >= 0;
}

static bool owns_wildcard(void *ctx, const struct cache_record *r)
{
	struct search *q = ctx;
	return ims_user_of(q->c, q->config, r, q->u) && (q->at = ims_wildcard_at(q->u, q->s)) >= 0;
}

static const struct cache_record *find_by_number(struct search *q)
{
	const struct subject *s = q->s;
	const struct cache_record *r = subject_imsi(s).v ? cache_find(q->c, subject_imsi(s)) : NULL;
	if (r && owns(q, r))
		return r;
	r = subject_msisdn(s).v && s->type == SUBJECT_PUBLIC ? cache_find_msisdn(q->c, subject_msisdn(s)) : NULL;
	return r && owns(q, r) ? r : NULL;
}

const struct cache_record *ims_user_find(const struct cache *c, const struct config *config, const struct subject *s,
				   struct ims_user *u, int *at, bool *wildcard)
{
	struct search q = {.c = c, .config = config, .s = s, .u = u};
	const struct cache_record *r = NULL;
	*at = -1;
	*wildcard = false;
	if (s->type == SUBJECT_IMSI || s->type == SUBJECT_MSISDN) {
		r = s->type == SUBJECT_IMSI ? cache_find(c, subject_imsi(s)) : cache_find_msisdn(c, subject_msisdn(s));
		return r && ims_user_of(c, config, r, u) ? r : NULL;
	}
	if (s->type != SUBJECT_PRIVATE && s->type != SUBJECT_PUBLIC)
		return NULL;
	if (s->digits && (!s->domain || ims_domain_is_ours(config, subject_domain(s))))
		r = find_by_number(&q);
	if (!r)
		r = cache_find_identity(c, s->hash, owns, &q);
	if (!r && s->type == SUBJECT_PUBLIC && s->domain) {
		r = cache_find_identity(c, ims_wildcard_hash(subject_domain(s)), owns_wildcard, &q);
		*wildcard = r != NULL;
	}
	*at = r ? q.at : -1;
	return r;
}

static bool read_identity(struct slice text, struct subject *s)
{
	if (subject_read(SUBJECT_FORM_IMSI, text, s) || subject_read(SUBJECT_FORM_MSISDN, text, s))
		return true;
	return subject_read(SUBJECT_FORM_PUBLIC, text, s) || subject_read(SUBJECT_FORM_PRIVATE, text, s);
}

const struct cache_record *ims_user_named(const struct cache *c, const struct config *config, struct slice text,
					  struct ims_user *u, int *at, bool *is_identity)
{
	struct subject s;
	bool wildcard;
	*at = -1;
	*is_identity = read_identity(text, &s);
	if (!*is_identity)
		return NULL;
	bool public = s.type == SUBJECT_PUBLIC;
	const struct cache_record *r = ims_user_find(c, config, &s, u, at, &wildcard);
	// digits may be an IMSI or an MSISDN
	if (!r && s.type == SUBJECT_IMSI && subject_read(SUBJECT_FORM_MSISDN, text, &s))
		r = ims_user_find(c, config, &s, u, at, &wildcard);
	if (!public)
		*at = -1;
	return r;
}

struct slice ims_private_of(const struct ims_user *u, uint32_t device)
{
	for (unsigned i = 0; i < u->d.priv_cnt; i++)
		if (u->d.priv[i].device == device)
			return u->d.priv[i].identity;
	return u->d.priv_cnt ? u->d.priv[0].identity : (struct slice){0};
}

int ims_default_of(const struct ims_user *u, uint8_t set)
{
	int first = -1;
	for (unsigned i = 0; i < u->d.pub_cnt; i++) {
		const struct ims_public *p = &u->d.pub[i];
		if (p->set != set || is_wildcard(p))
			continue;
		if (p->first && !p->barred)
			return (int)i;
		if (first < 0 || (u->d.pub[first].barred && !p->barred))
			first = (int)i;
	}
	return first;
}

// ---- users of other HSSs

// Does the pattern stand for the whole text? * is any number of octets. Linear: only the last * is tried again.
static bool matches(const char *pattern, struct slice text)
{
	const char *star = NULL;
	uint32_t i = 0, again = 0;
	while (i < text.len) {
		if (*pattern == '*') {
			star = ++pattern;
			again = i;
		} else if (*pattern == (char)text.p[i]) {
			pattern++;
			i++;
		} else if (star) {
			pattern = star;
			i = ++again;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == 0;
}

struct slice ims_redirect_of(const struct config *config, const struct subject *s)
{
	for (unsigned i = 0; s->len && i < config->ims_redirect_cnt; i++)
		if (matches(config->ims_redirect[i].identity, subject_text(s)))
			return slice_str(config->ims_redirect[i].host);
	return (struct slice){0};
}

// ---- what the loader publishes for all: number, length, octets of each fragment

struct slice ims_common_find(const struct cache *c, uint32_t number)
{
	struct rd r = rd_slice(cache_common_get(c, app_cx));
	while (rd_left(&r) && !r.err) {
		uint32_t n = rd_u32(&r);
		struct slice criteria = rd_blob32(&r);
		if (!r.err && n == number)
			return criteria;
	}
	return (struct slice){0};
}

void ims_common_put(struct wr *w, uint32_t number, struct slice criteria)
{
	wr_u32(w, number);
	wr_blob32(w, criteria);
}

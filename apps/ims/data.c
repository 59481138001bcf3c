// Writes and reads the octets of an IMS subscription (data.h). Pure.
#include "apps/ims/data.h"
#include <stddef.h>
#include "apps/apps.h"
#include "apps/ims/state.h"

#define VERSION_1 1
#define FIXED_MAX (14u << 10) // octets of all but the filter criteria

enum public_flag { PUBLIC_BARRED = 1, PUBLIC_FIRST = 2 };

// ---- private identities

static void put_privates(struct wr *w, const struct ims_data *d)
{
	wr_u8(w, (uint8_t)d->priv_cnt);
	for (unsigned i = 0; i < d->priv_cnt; i++) {
		const struct ims_private *p = &d->priv[i];
		wr_u8(w, p->scheme);
		wr_blob8(w, p->identity);
		if (p->scheme == IMS_DIGEST) {
			wr_blob8(w, p->realm);
			if (p->ha1.len != 16)
				w->err = true;
			wr_slice(w, p->ha1);
		}
	}
}

static bool get_privates(struct rd *r, struct ims_data *d)
{
	unsigned n = rd_u8(r);
	for (; !r->err && d->priv_cnt < n; d->priv_cnt++) {
		if (d->priv_cnt == IMS_PRIVATES_MAX)
			return false;
		struct ims_private *p = &d->priv[d->priv_cnt];
		*p = (struct ims_private){.scheme = rd_u8(r)};
		p->identity = rd_blob8(r);
		p->device = ims_device_of(p->identity);
		if (p->scheme == IMS_DIGEST) {
			p->realm = rd_blob8(r);
			p->ha1 = rd_bytes(r, 16);
		}
	}
	return !r->err;
}

// ---- public identities

static void put_publics(struct wr *w, const struct ims_data *d)
{
	wr_u8(w, (uint8_t)d->pub_cnt);
	for (unsigned i = 0; i < d->pub_cnt; i++) {
		const struct ims_public *p = &d->pub[i];
		wr_u8(w, p->set);
		wr_u8(w, (uint8_t)((p->barred ? PUBLIC_BARRED : 0) | (p->first ? PUBLIC_FIRST : 0) | p->type << 4));
		wr_u8(w, p->profile);
		wr_blob8(w, p->identity);
		wr_blob8(w, p->display);
		wr_blob8(w, p->server);
	}
}

static bool get_publics(struct rd *r, struct ims_data *d)
{
	unsigned n = rd_u8(r);
	for (; !r->err && d->pub_cnt < n; d->pub_cnt++) {
		if (d->pub_cnt == IMS_PUBLICS_MAX)
			return false;
		struct ims_public *p = &d->pub[d->pub_cnt];
		*p = (struct ims_public){.set = rd_u8(r)};
		uint8_t flags = rd_u8(r);
		p->barred = flags & PUBLIC_BARRED;
		p->first = flags & PUBLIC_FIRST;
		p->type = flags >> 4;
		p->profile = rd_u8(r);
		p->identity = rd_blob8(r);
		p->display = rd_blob8(r);
		p->server = rd_blob8(r);
	}
	return !r->err;
}

// ---- the rest

static void put_numbers(struct wr *w, const uint32_t *v, unsigned n)
{
	wr_u8(w, (uint8_t)n);
	for (unsigned i = 0; i < n; i++)
		wr_u32(w, v[i]);
}

static unsigned get_numbers(struct rd *r, uint32_t *v, unsigned max)
{
	unsigned n = rd_u8(r);
	if (n > max) {
		r->err = true;
		return 0;
	}
	for (unsigned i = 0; i < n; i++)
		v[i] = rd_u32(r);
	return r->err ? 0 : n;
}

static void put_fixed(struct wr *w, const struct ims_data *d)
{
	put_privates(w, d);
	put_publics(w, d);
	for (unsigned i = 0; i < IMS_CHARGING_CNT; i++)
		wr_blob8(w, d->charging[i]);
	wr_blob8(w, d->scscf);
	put_numbers(w, d->capabilities.mandatory, d->capabilities.mandatory_cnt);
	put_numbers(w, d->capabilities.optional, d->capabilities.optional_cnt);
	wr_u8(w, (uint8_t)d->visited_cnt);
	for (unsigned i = 0; i < d->visited_cnt; i++)
		wr_blob8(w, d->visited[i]);
	wr_u8(w, (uint8_t)d->profile_cnt);
	for (unsigned i = 0; i < d->profile_cnt; i++) {
		wr_u8(w, d->profile[i].is_template);
		put_numbers(w, d->profile[i].shared, d->profile[i].shared_cnt);
	}
}

static bool get_fixed(struct rd *r, struct ims_data *d)
{
	if (!get_privates(r, d) || !get_publics(r, d))
		return false;
	for (unsigned i = 0; i < IMS_CHARGING_CNT; i++)
		d->charging[i] = rd_blob8(r);
	d->scscf = rd_blob8(r);
	d->capabilities.mandatory_cnt = get_numbers(r, d->capabilities.mandatory, IMS_CAPABILITIES_MAX);
	d->capabilities.optional_cnt = get_numbers(r, d->capabilities.optional, IMS_CAPABILITIES_MAX);
	d->visited_cnt = rd_u8(r);
	for (unsigned i = 0; i < d->visited_cnt && i < IMS_VISITED_MAX; i++)
		d->visited[i] = rd_blob8(r);
	d->profile_cnt = rd_u8(r);
	for (unsigned i = 0; i < d->profile_cnt && i < IMS_PROFILES_MAX; i++) {
		d->profile[i].criteria = (struct slice){0};
		d->profile[i].is_template = rd_u8(r);
		d->profile[i].shared_cnt = get_numbers(r, d->profile[i].shared, IMS_SHARED_SETS_MAX);
	}
	return !r->err && d->visited_cnt <= IMS_VISITED_MAX && d->profile_cnt <= IMS_PROFILES_MAX;
}

static void data_clear(struct ims_data *d)
{
	d->priv_cnt = d->pub_cnt = d->profile_cnt = d->visited_cnt = 0;
	d->scscf = (struct slice){0};
	memset(d->charging, 0, sizeof d->charging);
	d->capabilities.mandatory_cnt = d->capabilities.optional_cnt = 0;
}

void ims_data_put(struct wr *w, const struct ims_data *d)
{
	uint8_t fixed[FIXED_MAX];
	struct wr f = wr_of(fixed, sizeof fixed);
	put_fixed(&f, d);
	w->err |= f.err;
	wr_u8(w, VERSION_1);
	wr_blob16(w, wr_done(&f));
	for (unsigned i = 0; i < d->profile_cnt; i++)
		wr_blob16(w, d->profile[i].criteria);
}

// Takes version and fixed part off; the fragments follow.
static bool get_head(struct rd *r, struct slice *fixed)
{
	uint8_t version = rd_u8(r);
	*fixed = rd_blob16(r);
	return !r->err && version == VERSION_1;
}

bool ims_data_get(struct slice body, struct ims_data *out)
{
	struct rd r = rd_slice(body), f;
	struct slice fixed;
	data_clear(out);
	bool ok = get_head(&r, &fixed);
	f = rd_slice(fixed);
	ok = ok && get_fixed(&f, out);
	for (unsigned i = 0; ok && i < out->profile_cnt; i++)
		out->profile[i].criteria = rd_blob16(&r);
	if (ok && !r.err)
		return true;
	data_clear(out);
	return false;
}

bool ims_data_pack(struct builder *b, struct cache_state *s, uint8_t *buf)
{
	struct ims_data d;
	struct rd r = rd_slice(s->body);
	struct slice fixed;
	(void)buf;
	if (!ims_data_get(s->body, &d) || !get_head(&r, &fixed))
		return false;
	s->shared_cnt = d.profile_cnt;
	for (unsigned i = 0; i < d.profile_cnt; i++) {
		s->shared[i] = d.profile[i].criteria.len ? builder_shared(b, d.profile[i].criteria) : 0;
		if (d.profile[i].criteria.len && !s->shared[i])
			return false;
	}
	s->body = fixed;
	return true;
}

bool ims_data_of(const struct cache *c, const struct cache_record *r, struct ims_data *out)
{
	struct cache_state s;
	if (!cache_state_of_kind(c, r, app_cx, CACHE_DATA, &s)) {
		data_clear(out);
		return false;
	}
	struct rd rd = rd_slice(s.body);
	data_clear(out);
	if (!get_fixed(&rd, out) || out->profile_cnt != s.shared_cnt) {
		data_clear(out);
		return false;
	}
	for (unsigned i = 0; i < out->profile_cnt; i++)
		if (s.shared[i])
			out->profile[i].criteria = cache_shared_get(c, s.shared[i]);
	return true;
}

// ---- identities

uint64_t ims_wildcard_hash(struct slice domain)
{
	return ident_hash(ident_hash_bytes(domain, true) ^ 0x77696c6463617264ull); // "wildcard"
}

struct slice ims_wildcard_domain(struct slice identity)
{
	for (uint32_t i = identity.len; i > 0; i--)
		if (identity.p[i - 1] == '@')
			return slice_of(identity.p + i, identity.len - i);
	return (struct slice){0};
}

unsigned ims_data_identities(struct slice row, uint64_t *hash, unsigned max)
{
	struct ims_data d;
	struct subject s;
	unsigned n = 0;
	if (!ims_data_get(row, &d))
		return 0;
	for (unsigned i = 0; i < d.priv_cnt && n < max; i++)
		if (subject_read(SUBJECT_FORM_PRIVATE, d.priv[i].identity, &s))
			hash[n++] = s.hash;
	for (unsigned i = 0; i < d.pub_cnt && n < max; i++)
		if (d.pub[i].type == IMS_WILDCARDED_PSI || d.pub[i].type == IMS_WILDCARDED_USER)
			hash[n++] = ims_wildcard_hash(ims_wildcard_domain(d.pub[i].identity));
		else if (subject_read(SUBJECT_FORM_PUBLIC, d.pub[i].identity, &s))
			hash[n++] = s.hash;
	return n;
}

// See user_data.h: which identities and which filter criteria the profile of a set holds, in the order of the schema.
// lib/ims/fragment.h writes the text.
#include "apps/cx/user_data.h"
#include "apps/ims/criteria.h"
#include "lib/ims/fragment.h"

#define HEAD_ROOM     512 // elements around all
#define IDENTITY_ROOM 512 // elements around one identity
#define PROFILE_ROOM  128

// ---- identities

static void put_extension(struct wr *w, const struct ims_public *p)
{
	bool wildcard = p->type == IMS_WILDCARDED_PSI || p->type == IMS_WILDCARDED_USER;
	if (p->type == IMS_PUBLIC_USER && !p->display.len)
		return;
	ims_put(w, "<Extension>");
	ims_put_number(w, "IdentityType", p->type);
	if (p->type == IMS_WILDCARDED_PSI)
		ims_put_element(w, "WildcardedPSI", p->identity);
	if (p->display.len || p->type == IMS_WILDCARDED_USER) {
		ims_put(w, "<Extension>");
		if (p->display.len)
			ims_put_element(w, "DisplayName", p->display);
		if (wildcard && p->type == IMS_WILDCARDED_USER) {
			ims_put(w, "<Extension>");
			ims_put_element(w, "WildcardedIMPU", p->identity);
			ims_put(w, "</Extension>");
		}
		ims_put(w, "</Extension>");
	}
	ims_put(w, "</Extension>");
}

static void put_identity(struct wr *w, const struct ims_public *p)
{
	ims_put(w, "<PublicIdentity>");
	ims_put_number(w, "BarringIndication", p->barred);
	ims_put_element(w, "Identity", p->identity);
	put_extension(w, p);
	ims_put(w, "</PublicIdentity>");
}

// Those of one profile, the set's default identity before all others.
static void put_identities(struct wr *w, const struct ims_user *u, uint8_t set, unsigned profile, int first)
{
	if (first >= 0 && u->d.pub[first].profile == profile)
		put_identity(w, &u->d.pub[first]);
	for (unsigned i = 0; i < u->d.pub_cnt; i++)
		if (u->d.pub[i].set == set && u->d.pub[i].profile == profile && (int)i != first)
			put_identity(w, &u->d.pub[i]);
}

// ---- profiles

static void put_profile(struct wr *w, const struct cache *c, const struct ims_user *u, uint8_t set, unsigned profile, int first,
			const struct ims_user_names *n, uint32_t features)
{
	const struct ims_profile *p = ims_profile_at(u, profile);
	bool by_number = features & CX_SHARED_CRITERIA;
	ims_put(w, "<ServiceProfile>");
	put_identities(w, u, set, profile, first);
	for (unsigned i = 0; p && i < 1 + (by_number ? 0 : p->shared_cnt); i++)
		ims_put_fragment(w, ims_criteria_at(c, p, i), &n->n);
	if (p && by_number && p->shared_cnt) {
		ims_put(w, "<Extension>");
		for (unsigned i = 0; i < p->shared_cnt; i++)
			ims_put_number(w, "SharedIFCSetID", p->shared[i]);
		ims_put(w, "</Extension>");
	}
	ims_put(w, "</ServiceProfile>");
}

static bool uses(const struct ims_user *u, uint8_t set, unsigned profile)
{
	for (unsigned i = 0; i < u->d.pub_cnt; i++)
		if (u->d.pub[i].set == set && u->d.pub[i].profile == profile)
			return true;
	return false;
}

bool cx_user_data_write(struct wr *w, const struct cache *c, const struct ims_user *u, unsigned priv, uint8_t set,
			uint32_t features)
{
	int first = ims_default_of(u, set);
	unsigned before = first < 0 ? 0 : u->d.pub[first].profile;
	struct ims_user_names n;
	ims_user_names(u, priv, first, &n);
	ims_put(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><IMSSubscription>");
	ims_put_element(w, "PrivateID", u->d.priv[priv].identity);
	// the default identity's profile first, so that it is the first identity of all
	put_profile(w, c, u, set, before, first, &n, features);
	for (unsigned i = 0; i < IMS_PROFILES_MAX; i++)
		if (i != before && uses(u, set, i))
			put_profile(w, c, u, set, i, first, &n, features);
	ims_put(w, "</IMSSubscription>");
	return !w->err;
}

static size_t profile_room(const struct cache *c, const struct ims_profile *p, const struct ims_user_names *n)
{
	size_t room = PROFILE_ROOM + p->shared_cnt * 64u;
	for (unsigned i = 0; i < 1 + p->shared_cnt; i++)
		room += ims_fragment_room(ims_criteria_at(c, p, i), &n->n);
	return room;
}

size_t cx_user_data_room(const struct cache *c, const struct ims_user *u, unsigned priv, uint8_t set)
{
	size_t room = HEAD_ROOM + 6 * 255;
	struct ims_user_names n;
	ims_user_names(u, priv, ims_default_of(u, set), &n);
	for (unsigned i = 0; i < u->d.pub_cnt; i++)
		if (u->d.pub[i].set == set)
			room += IDENTITY_ROOM + 2 * ims_value_room(u->d.pub[i].identity) + ims_value_room(u->d.pub[i].display);
	for (unsigned i = 0; i < u->d.profile_cnt; i++)
		room += profile_room(c, &u->d.profile[i], &n);
	return room;
}

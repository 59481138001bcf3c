// See data.h: gathers the parts of a document; lib/ims/sh_data.h writes them. The memory of the parts is static: a worker writes one
// document at a time.
#include "apps/sh/data.h"
#include "lib/ims/sh_data.h"

#define HEAD_ROOM     1024 // elements around all
#define IDENTITY_ROOM 96   // elements around one identity
#define CRITERIA_MAX  (192u << 10)

static uint8_t criteria_text[CRITERIA_MAX];

uint64_t sh_scope_of(const struct ims_user *u, int pub)
{
	const struct ims_public *p = pub < 0 ? NULL : &u->d.pub[pub];
	if (!p)
		return SH_SCOPE_NONE;
	if (p->type == IMS_PUBLIC_USER)
		return (uint64_t)p->set << 8 | p->profile;
	return (ident_hash_bytes(p->identity, false) | SH_SCOPE_SERVICE) & ~1ull; // never SH_SCOPE_NONE
}

void sh_query_of_row(const struct sh_row *row, struct sh_query *q)
{
	uint32_t set = SH_SET_CNT;
	q->references = SH_BIT(row->reference);
	q->key[0] = row->key;
	q->key_cnt = 1;
	q->server_name = row->key;
	if (row->reference == SH_REF_IDENTITIES && row->key.len == 4)
		set = be32_get(row->key.p);
	q->sets = set < SH_SET_CNT ? (uint8_t)(1u << set) : 0;
	q->tells_absence = true;
	q->deleted_sequence = row->sequence;
}

// ---- identities

struct list {
	struct slice identity[IMS_PUBLICS_MAX], msisdn[2];
	char digits[2][16];
	struct sh_identities l;
};

static bool is_in(const struct sh_query *q, const struct ims_public *p, enum sh_identity_set set)
{
	const struct ims_public *asked = &q->user->d.pub[q->pub < 0 ? 0 : q->pub];
	if (p->barred || p->type == IMS_WILDCARDED_PSI || p->type == IMS_WILDCARDED_USER)
		return false;
	switch (set) {
	case SH_SET_REGISTERED: return ims_set_state(q->ims, p->set) == IMS_SET_REGISTERED;
	case SH_SET_IMPLICIT: return p->set == asked->set;
	case SH_SET_ALIAS: return p->set == asked->set && p->profile == asked->profile;
	default: return true;
	}
}

// The identities of a set that are not barred: those that the user may be called by.
static void fill_list(const struct sh_query *q, enum sh_identity_set set, struct list *out)
{
	const struct ims_user *u = q->user;
	out->l = (struct sh_identities){.identities = out->identity, .msisdns = out->msisdn, .identity_type = SH_ABSENT};
	for (unsigned i = 0; i < u->d.pub_cnt; i++)
		if (is_in(q, &u->d.pub[i], set))
			out->identity[out->l.identity_cnt++] = u->d.pub[i].identity;
}

static void fill_msisdns(const struct sh_query *q, struct list *out)
{
	for (unsigned i = 0; i < 2; i++)
		if (q->user->rec->msisdn[i].v) {
			unsigned len = msisdn_text(q->user->rec->msisdn[i], out->digits[i]);
			out->msisdn[out->l.msisdn_cnt++] = slice_of(out->digits[i], len);
		}
}

// One list without a name of its own (PublicIdentifiers), or the lists that the request names.
static void add_identities(const struct sh_query *q, struct sh_data *d)
{
	static struct list list[SH_LIST_CNT];
	static const enum sh_list by_set[SH_SET_CNT] = {SH_ALL, SH_REGISTERED, SH_IMPLICIT, SH_ALIAS};
	bool named = q->tells_absence && q->sets, wanted = q->references & SH_BIT(SH_REF_IDENTITIES);
	struct list *plain = &list[SH_PUBLIC];
	enum sh_identity_set only = SH_SET_ALL;
	for (unsigned i = 0; i < SH_SET_CNT; i++)
		if (q->sets >> i & 1)
			only = (enum sh_identity_set)i;
	fill_list(q, only, plain);
	if (!wanted || named)
		plain->l.identity_cnt = 0;
	if (q->references & SH_BIT(SH_REF_MSISDN))
		fill_msisdns(q, plain);
	if (plain->l.identity_cnt || plain->l.msisdn_cnt ||
	    (q->tells_absence && ((wanted && !named) || q->references & SH_BIT(SH_REF_MSISDN))))
		d->lists[SH_PUBLIC] = &plain->l;
	for (unsigned i = 0; wanted && named && i < SH_SET_CNT; i++)
		if (q->sets >> i & 1) {
			fill_list(q, (enum sh_identity_set)i, &list[by_set[i]]);
			d->lists[by_set[i]] = &list[by_set[i]].l;
		}
}

// ---- repository data

static void add_repository(const struct sh_query *q, struct sh_data *d)
{
	static struct sh_repository out[SH_KEYS_MAX];
	uint64_t scope = sh_scope_of(q->user, q->pub);
	if (!(q->references & SH_BIT(SH_REF_REPOSITORY)))
		return;
	d->repository = out;
	for (unsigned i = 0; i < q->key_cnt; i++) {
		const struct sh_service *s = sh_service_find(q->sh, scope, q->key[i]);
		if (s)
			out[d->repository_cnt++] =
				(struct sh_repository){.indication = s->indication, .sequence = s->sequence, .data = s->data};
		else if (q->tells_absence)
			out[d->repository_cnt++] = (struct sh_repository){.indication = q->key[i], .sequence = q->deleted_sequence};
	}
}

// ---- IMS data

static int user_state(const struct sh_query *q)
{
	uint8_t set = q->user->d.pub[q->pub].set;
	switch (ims_set_state(q->ims, set)) {
	case IMS_SET_REGISTERED: return 1;
	case IMS_SET_UNREGISTERED: return 2;
	case IMS_SET_NOT_REGISTERED: break;
	}
	return ims_set_pending(q->ims, set) ? 3 : 0;
}

// Copies those InitialFilterCriteria of `from` on whose application server has this name.
static void put_matching(struct wr *w, struct slice from, struct slice server_name)
{
	static const char begin[] = "<InitialFilterCriteria>", end[] = "</InitialFilterCriteria>";
	uint8_t wanted[2048];
	struct wr name = wr_of(wanted, sizeof wanted);
	ims_put_element(&name, "ServerName", server_name);
	const uint8_t *p = from.p, *stop = bytes_end(from.p, from.len), *to;
	while (p && !name.err && (p = memmem(p, (size_t)(stop - p), begin, sizeof begin - 1))) {
		to = memmem(p, (size_t)(stop - p), end, sizeof end - 1);
		if (!to)
			return;
		to += sizeof end - 1;
		if (memmem(p, (size_t)(to - p), name.base, wr_len(&name)))
			wr_bytes(w, p, (size_t)(to - p));
		p = to;
	}
}

// The criteria of the identity's service profile that lead to the application server. What a profile holds beside them
// (CoreNetworkServicesAuthorization) is Cx's.
static struct slice criteria_of(const struct sh_query *q)
{
	static uint8_t one[CRITERIA_MAX];
	const struct ims_public *pub = &q->user->d.pub[q->pub];
	const struct ims_profile *p = ims_profile_at(q->user, pub->profile);
	struct ims_user_names n;
	struct wr out = wr_of(criteria_text, sizeof criteria_text);
	if (!p || !q->user->d.priv_cnt)
		return (struct slice){0};
	ims_user_names(q->user, 0, ims_default_of(q->user, pub->set), &n);
	for (unsigned i = 0; i < 1 + p->shared_cnt; i++) {
		struct wr w = wr_of(one, sizeof one);
		ims_put_fragment(&w, ims_criteria_at(q->c, p, i), &n.n);
		put_matching(&out, wr_done(&w), q->server_name);
	}
	return wr_done(&out);
}

static const struct sh_charging *charging_of(const struct sh_query *q)
{
	static struct sh_charging c;
	const struct slice *own = q->user->d.charging;
	struct slice name[IMS_CHARGING_CNT];
	bool has_own = false;
	for (unsigned i = 0; i < IMS_CHARGING_CNT; i++)
		has_own |= own[i].len != 0;
	for (unsigned i = 0; i < IMS_CHARGING_CNT; i++)
		name[i] = has_own ? own[i] : slice_str(q->config->ims_charging[i]);
	c = (struct sh_charging){.primary_event = name[IMS_PRIMARY_ECF],
				 .secondary_event = name[IMS_SECONDARY_ECF],
				 .primary_collection = name[IMS_PRIMARY_CCF],
				 .secondary_collection = name[IMS_SECONDARY_CCF]};
	return c.primary_event.len || c.primary_collection.len ? &c : NULL;
}

static void add_ims(const struct sh_query *q, struct sh_data *d)
{
	static struct sh_ims ims;
	ims = sh_ims_empty();
	if (q->references & SH_BIT(SH_REF_SCSCF)) {
		ims.scscf = q->ims->scscf;
		ims.has_scscf = ims.scscf.len || q->tells_absence;
	}
	if (q->references & SH_BIT(SH_REF_CRITERIA)) {
		ims.criteria = criteria_of(q);
		ims.has_criteria = ims.criteria.len || q->tells_absence;
	}
	if (q->references & SH_BIT(SH_REF_USER_STATE))
		ims.user_state = user_state(q);
	if (q->references & SH_BIT(SH_REF_CHARGING))
		ims.charging = charging_of(q);
	if (ims.has_scscf || ims.has_criteria || ims.user_state != SH_ABSENT || ims.charging)
		d->ims = &ims;
}

// ---- the document

// What only the serving nodes know (14, 15) is told as if it were not available; that voice over PS is not known (26) is an answer.
static void add_rest(const struct sh_query *q, struct sh_data *d)
{
	static const struct sh_tads unknown = {.voice_over_ps = 2, .rat_type = SH_ABSENT};
	static struct slice private[IMS_PRIVATES_MAX];
	static char digits[16];
	const struct ims_user *u = q->user;
	if (q->references & SH_BIT(SH_REF_TADS))
		d->tads = &unknown;
	if (q->references & SH_BIT(SH_REF_IMSI)) {
		bool sim = !(u->rec->flags & RECORD_NO_KEY);
		d->imsi = sim ? slice_of(digits, imsi_text(u->rec->imsi, digits)) : (struct slice){0};
		d->has_imsi = sim || q->tells_absence;
	}
	if (q->references & SH_BIT(SH_REF_PRIVATE)) {
		for (unsigned i = 0; i < u->d.priv_cnt; i++)
			private[i] = u->d.priv[i].identity;
		d->private_identities = private;
		d->private_identity_cnt = u->d.priv_cnt;
	}
}

bool sh_query_write(struct wr *w, const struct sh_query *q)
{
	struct sh_data d = sh_data_empty();
	add_identities(q, &d);
	add_repository(q, &d);
	add_ims(q, &d);
	add_rest(q, &d);
	bool any = d.repository_cnt || d.ims || d.tads || d.has_imsi || d.private_identity_cnt;
	for (unsigned i = 0; i < SH_LIST_CNT; i++)
		any |= d.lists[i] != NULL;
	if (any)
		sh_data_write(w, &d);
	return any;
}

static size_t criteria_room(const struct sh_query *q)
{
	const struct ims_profile *p = q->pub < 0 ? NULL : ims_profile_at(q->user, q->user->d.pub[q->pub].profile);
	struct ims_user_names n;
	size_t room = 0;
	if (!p || !q->user->d.priv_cnt)
		return 0;
	ims_user_names(q->user, 0, ims_default_of(q->user, q->user->d.pub[q->pub].set), &n);
	for (unsigned i = 0; i < 1 + p->shared_cnt; i++)
		room += ims_fragment_room(ims_criteria_at(q->c, p, i), &n.n);
	return room;
}

size_t sh_query_room(const struct sh_query *q)
{
	size_t room = HEAD_ROOM, names = 0;
	unsigned lists = 1 + (unsigned)__builtin_popcount(q->sets);
	for (unsigned i = 0; i < q->user->d.pub_cnt; i++)
		names += IDENTITY_ROOM + ims_value_room(q->user->d.pub[i].identity);
	if (q->references & SH_BIT(SH_REF_IDENTITIES))
		room += lists * names;
	if (q->references & SH_BIT(SH_REF_PRIVATE))
		for (unsigned i = 0; i < q->user->d.priv_cnt; i++)
			room += IDENTITY_ROOM + ims_value_room(q->user->d.priv[i].identity);
	if (q->references & SH_BIT(SH_REF_REPOSITORY))
		room += SH_REPOSITORY_OCTETS + q->key_cnt * (256 + 6u * SH_INDICATION_MAX);
	if (q->references & SH_BIT(SH_REF_CRITERIA))
		room += criteria_room(q);
	if (q->references & SH_BIT(SH_REF_SCSCF))
		room += ims_value_room(q->ims->scscf);
	if (q->references & SH_BIT(SH_REF_CHARGING))
		room += 4 * (64 + 6 * 255);
	return room;
}

// The writer's side of a record's parts: composing the one blob that holds them and the hashes of the
// record's identities, its references, the index entries of the identities, and finding all of it again after
// a kill. Loader only. layout.h argues why the swing of the record's index entry publishes parts as well.
#include <errno.h>
#include "cache/builder.h"
#include "lib/base/secret.h"

// The parts that a record will have: those of the change, and those of the former record that stay.
struct wanted {
	struct cache_part part[CACHE_PART_CNT_MAX];
	uint64_t identity[CACHE_IDENTITY_CNT_MAX];
	unsigned part_cnt, identity_cnt;
};

static bool names(const struct builder_extra *x, const struct cache_part *p)
{
	for (unsigned i = 0; i < x->part_cnt; i++)
		if (x->part[i].app == p->app && x->part[i].kind == p->kind)
			return true;
	return false;
}

static bool part_add(struct wanted *w, const struct cache_part *p)
{
	if (p->bytes.len == 0)
		return true; // the part is removed
	for (unsigned i = 0; i < w->part_cnt; i++)
		if (w->part[i].app == p->app && w->part[i].kind == p->kind)
			return false;
	if (w->part_cnt == CACHE_PART_CNT_MAX || p->node_cnt > 15 || p->shared_cnt > 15 ||
	    p->bytes.len / sizeof(uint32_t) < (unsigned)p->node_cnt + p->shared_cnt)
		return false;
	w->part[w->part_cnt++] = *p;
	return true;
}

// Hashes whose index entries would be the same count as one.
static bool identity_add(const struct builder *b, struct wanted *w, uint64_t hash)
{
	for (unsigned i = 0; i < w->identity_cnt; i++)
		if (index_identity_tag(&b->c, w->identity[i]) == index_identity_tag(&b->c, hash))
			return w->identity[i] == hash;
	if (w->identity_cnt == CACHE_IDENTITY_CNT_MAX)
		return false;
	w->identity[w->identity_cnt++] = hash;
	return true;
}

static bool wanted_fill(const struct builder *b, const struct cache_record *old, const struct builder_extra *x,
			struct wanted *w)
{
	struct cache_part p;
	uint64_t hash;
	w->part_cnt = w->identity_cnt = 0;
	for (unsigned i = 0; i < x->part_cnt; i++)
		if (!part_add(w, &x->part[i]))
			return false;
	for (unsigned i = 0; old && x->keep_parts && cache_part_at(&b->c, old, i, &p); i++)
		if (!names(x, &p) && !part_add(w, &p))
			return false;
	for (unsigned i = 0; i < x->identity_cnt; i++)
		if (!identity_add(b, w, x->identity[i]))
			return false;
	for (unsigned i = 0; old && x->keep_identities && cache_identity_at(&b->c, old, i, &hash); i++)
		if (!identity_add(b, w, hash))
			return false;
	return true;
}

static uint32_t wanted_len(const struct wanted *w)
{
	uint64_t len = sizeof(struct cache_parts) + w->identity_cnt * sizeof(uint64_t);
	if (w->part_cnt == 0 && w->identity_cnt == 0)
		return 0;
	for (unsigned i = 0; i < w->part_cnt; i++)
		len += sizeof(struct cache_part_head) + (((uint64_t)w->part[i].bytes.len + 3) & ~3ull);
	return len <= CACHE_PARTS_MAX ? (uint32_t)len : UINT32_MAX;
}

static uint32_t ref_at(const struct cache_part *p, unsigned n)
{
	uint32_t v;
	memcpy(&v, p->bytes.p + n * sizeof v, sizeof v);
	return v;
}

// Counts what a part refers to; when one of it is not there, none of this part.
static bool part_ref(struct builder *b, const struct cache_part *p)
{
	unsigned cnt = p->node_cnt + p->shared_cnt, n = 0;
	for (; n < p->node_cnt && node_valid(b, ref_at(p, n)); n++)
		node_ref(b, ref_at(p, n));
	for (; n >= p->node_cnt && n < cnt && profile_ref(b, ref_at(p, n)); n++)
		;
	if (n == cnt)
		return true;
	while (n-- > 0)
		if (n < p->node_cnt)
			node_unref(b, ref_at(p, n));
		else
			profile_unref(b, ref_at(p, n));
	return false;
}

static void part_unref(struct builder *b, const struct cache_part *p)
{
	for (unsigned n = 0; n < p->node_cnt; n++)
		node_unref(b, ref_at(p, n));
	for (unsigned n = p->node_cnt; n < (unsigned)p->node_cnt + p->shared_cnt; n++)
		profile_unref(b, ref_at(p, n));
}

static bool wanted_ref(struct builder *b, const struct wanted *w)
{
	unsigned i = 0;
	while (i < w->part_cnt && part_ref(b, &w->part[i]))
		i++;
	if (i == w->part_cnt)
		return true;
	while (i-- > 0)
		part_unref(b, &w->part[i]);
	return false;
}

static void wanted_write(struct builder *b, const struct wanted *w, uint32_t value, uint32_t len)
{
	struct wr out = wr_of(b->blob + (uint64_t)value * CACHE_BLOB_ALIGN, len);
	struct cache_parts head = {(uint16_t)(len / 4), (uint8_t)w->identity_cnt, (uint8_t)w->part_cnt};
	wr_bytes(&out, &head, sizeof head);
	wr_bytes(&out, w->identity, w->identity_cnt * sizeof *w->identity);
	cache_step();
	for (unsigned i = 0; i < w->part_cnt; i++) {
		const struct cache_part *p = &w->part[i];
		uint8_t refs = (uint8_t)(p->node_cnt | p->shared_cnt << 4);
		struct cache_part_head h = {p->app, p->kind, p->version, refs, p->bytes.len};
		wr_bytes(&out, &h, sizeof h);
		wr_slice(&out, p->bytes);
		wr_zero(&out, -p->bytes.len & 3u);
		cache_step();
	}
}

// Has the record this blob already?
static bool same_parts(const struct builder *b, const struct cache_record *old, const struct wanted *w)
{
	struct cache_part p;
	uint64_t hash;
	for (unsigned i = 0; i < w->identity_cnt; i++)
		if (!cache_identity_at(&b->c, old, i, &hash) || hash != w->identity[i])
			return false;
	for (unsigned i = 0; i < w->part_cnt; i++)
		if (!cache_part_at(&b->c, old, i, &p) || p.app != w->part[i].app || p.kind != w->part[i].kind ||
		    p.version != w->part[i].version || p.node_cnt != w->part[i].node_cnt ||
		    p.shared_cnt != w->part[i].shared_cnt || !slice_eq(p.bytes, w->part[i].bytes))
			return false;
	return !cache_identity_at(&b->c, old, w->identity_cnt, &hash) && !cache_part_at(&b->c, old, w->part_cnt, &p);
}

int parts_compose(struct builder *b, const struct cache_record *old, const struct builder_extra *x, uint32_t *value)
{
	struct wanted w;
	uint64_t hash;
	unsigned had = 0;
	*value = 0;
	if (!wanted_fill(b, old, x, &w))
		return -EINVAL;
	if (old && same_parts(b, old, &w)) {
		*value = old->parts;
		return 0;
	}
	uint32_t len = wanted_len(&w);
	if (len == 0)
		return 0;
	if (len == UINT32_MAX)
		return -EINVAL;
	while (old && cache_identity_at(&b->c, old, had, &hash))
		had++;
	// Checked before anything is taken: once the record is published, its identities must find room.
	uint32_t cnt = __atomic_load_n((uint32_t *)&b->h->identity_cnt, __ATOMIC_RELAXED);
	if (w.identity_cnt > had && cnt + w.identity_cnt - had > b->h->max_identities)
		return -ENOSPC;
	if (!wanted_ref(b, &w))
		return -EINVAL;
	*value = blob_take(b, len);
	if (*value == 0) {
		for (unsigned i = 0; i < w.part_cnt; i++)
			part_unref(b, &w.part[i]);
		return -ENOSPC;
	}
	wanted_write(b, &w, *value, len);
	return 0;
}

void parts_retire(struct builder *b, const struct cache_record *r)
{
	struct cache_part p;
	if (!r->parts)
		return;
	for (unsigned i = 0; cache_part_at(&b->c, r, i, &p); i++)
		part_unref(b, &p);
	builder_retire(b, RETIRED_PARTS, r->parts, 0);
}

void parts_give(struct builder *b, uint32_t value)
{
	secret_wipe(b->blob + (uint64_t)value * CACHE_BLOB_ALIGN,
		    (blob_header(b, value)->units - 1) * CACHE_BLOB_ALIGN);
	blob_give(b, value);
}

void identities_point(struct builder *b, const struct cache_record *r, uint32_t slot, const struct cache_record *old,
		      uint32_t old_slot)
{
	uint64_t hash;
	if (!r->parts)
		return;
	for (unsigned i = 0; cache_identity_at(&b->c, r, i, &hash); i++)
		builder_identity_point(b, old ? builder_identity_entry(b, hash, old_slot) : NULL, hash, slot);
}

void identities_remove(struct builder *b, const struct cache_record *old, uint32_t old_slot)
{
	uint64_t hash;
	if (!old->parts)
		return;
	for (unsigned i = 0; cache_identity_at(&b->c, old, i, &hash); i++) {
		// not there: it was swung to the new copy
		uint64_t *e = builder_identity_entry(b, hash, old_slot);
		if (e)
			builder_identity_remove(b, e);
	}
}

// ---- attaching -----------------------------------------------------------------------------------

int parts_adopt(struct builder *b, const struct cache_record *r)
{
	struct cache_part p;
	uint64_t hash;
	unsigned i = 0;
	if (!r->parts)
		return 0;
	if (!blob_valid(b, r->parts, sizeof(struct cache_parts)))
		return -EPROTO;
	const struct cache_parts *head = (const void *)(b->blob + (uint64_t)r->parts * CACHE_BLOB_ALIGN);
	if (!blob_valid(b, r->parts, (uint32_t)head->quads * 4) ||
	    (head->identity_cnt && !cache_identity_at(&b->c, r, head->identity_cnt - 1u, &hash)))
		return -EPROTO;
	for (; cache_part_at(&b->c, r, i, &p); i++) {
		for (unsigned n = 0; n < p.node_cnt; n++) {
			if (!node_valid(b, ref_at(&p, n)))
				return -EPROTO;
			node_ref(b, ref_at(&p, n));
		}
		for (unsigned n = p.node_cnt; n < (unsigned)p.node_cnt + p.shared_cnt; n++) {
			int rc = profile_adopt(b, ref_at(&p, n), sizeof(struct cache_shared));
			if (rc < 0)
				return rc;
		}
	}
	return i == head->part_cnt ? 0 : -EPROTO;
}

// Whether the record's list has a hash of which `entry` can be the entry.
static bool lists_entry(const struct builder *b, const struct cache_record *r, uint64_t entry)
{
	uint64_t hash;
	for (unsigned i = 0; cache_identity_at(&b->c, r, i, &hash); i++)
		if (index_identity_tag(&b->c, hash) == index_identity_tag(&b->c, entry))
			return true;
	return false;
}

struct adopt {
	struct builder *b;
	int rc;
};

// An entry that names no current record with that identity is swung to the current copy, or removed. A stale
// entry's slot was not retired before the entry had been swung, so the old copy is still there.
static bool adopt_entry(void *ctx, uint64_t *entry)
{
	struct adopt *a = ctx;
	struct builder *b = a->b;
	uint32_t slot = index_identity_slot(&b->c, *entry);
	if (slot >= *b->slots.high) {
		a->rc = -EPROTO;
		return false;
	}
	const struct cache_record *r = &b->record[slot];
	uint32_t *current = r->imsi.v ? builder_imsi_entry(b, r->imsi) : NULL;
	uint32_t now = current ? index_slot(&b->c, *current) : slot;
	bool lists = current && lists_entry(b, &b->record[now], *entry);
	if (lists && now == slot)
		return true;
	if (lists && !builder_identity_entry(b, *entry, now))
		builder_identity_point(b, entry, *entry, now);
	else
		builder_identity_remove(b, entry);
	return true;
}

int identities_adopt(struct builder *b)
{
	struct adopt a = {.b = b};
	int rc = builder_identity_each(b, adopt_entry, &a);
	return rc < 0 ? rc : a.rc;
}

void identities_adopt_missing(struct builder *b, uint32_t slot)
{
	uint64_t hash;
	for (unsigned i = 0; cache_identity_at(&b->c, &b->record[slot], i, &hash); i++)
		if (!builder_identity_entry(b, hash, slot))
			builder_identity_point(b, NULL, hash, slot);
}

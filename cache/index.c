// The writer's side of the indices of IMSIs and MSISDNs. One writer, so that reading back what it wrote needs
// no order; every store that a reader may see is sequentially consistent (layout.h). Loops are bounded by the
// table's size.
#include "cache/builder.h"
#include <errno.h>
#include <unistd.h>

static void entry_set(uint32_t *entry, uint32_t v)
{
	__atomic_store_n(entry, v, __ATOMIC_SEQ_CST);
	cache_step();
}

uint32_t *builder_imsi_entry(const struct builder *b, imsi_t imsi)
{
	uint64_t hash = ident_hash(imsi.v);
	uint32_t mask = b->c.imsi_mask, want = index_tag(&b->c, hash), at = (uint32_t)hash & mask;
	for (uint64_t n = 0; n <= mask; n++, at = (at + 1) & mask) {
		uint32_t e = b->imsi_index[at];
		if (e == INDEX_EMPTY)
			return NULL;
		if (e != INDEX_TOMBSTONE && (e & ~index_slot_mask(&b->c)) == want &&
		    b->record[index_slot(&b->c, e)].imsi.v == imsi.v)
			return &b->imsi_index[at];
	}
	return NULL;
}

uint32_t *builder_msisdn_entry(const struct builder *b, msisdn_t msisdn)
{
	uint64_t hash = ident_hash(msisdn.v);
	uint32_t role_bit = index_role_bit(&b->c);
	uint32_t mask = b->c.msisdn_mask, want = index_tag(&b->c, hash) & ~role_bit,
		 at = (uint32_t)hash & mask;
	for (uint64_t n = 0; n <= mask; n++, at = (at + 1) & mask) {
		uint32_t e = b->msisdn_index[at];
		if (e == INDEX_EMPTY)
			return NULL;
		// The bit that says which number of the record it is keeps the entries of one record apart.
		if (e != INDEX_TOMBSTONE && (e & ~index_slot_mask(&b->c) & ~role_bit) == want &&
		    b->record[index_slot(&b->c, e)].msisdn[(e & role_bit) != 0].v == msisdn.v)
			return &b->msisdn_index[at];
	}
	return NULL;
}

// The first place of the chain that a new key can have. The caller knows that the key is absent.
static uint32_t *index_room(uint32_t *index, uint32_t mask, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & mask;
	for (uint64_t n = 0; n <= mask; n++, at = (at + 1) & mask)
		if (index[at] == INDEX_EMPTY || index[at] == INDEX_TOMBSTONE)
			return &index[at];
	bug("index without room: it is sized for all subscribers and their numbers");
}

void builder_imsi_point(struct builder *b, uint32_t *entry, imsi_t imsi, uint32_t slot)
{
	uint64_t hash = ident_hash(imsi.v);
	if (!entry)
		entry = index_room(b->imsi_index, b->c.imsi_mask, hash);
	entry_set(entry, index_tag(&b->c, hash) | (slot + 1));
}

void builder_msisdn_point(struct builder *b, uint32_t *entry, msisdn_t msisdn, uint32_t slot, unsigned role)
{
	uint64_t hash = ident_hash(msisdn.v);
	uint32_t role_bit = index_role_bit(&b->c);
	if (!entry)
		entry = index_room(b->msisdn_index, b->c.msisdn_mask, hash);
	entry_set(entry, (index_tag(&b->c, hash) & ~role_bit) | (role ? role_bit : 0) | (slot + 1));
}

struct index {
	uint32_t *e;
	uint32_t mask;
	uint32_t *moves;
	bool msisdn;
};

static struct index imsi_index(const struct builder *b)
{
	return (struct index){b->imsi_index, b->c.imsi_mask, (uint32_t *)&b->h->imsi_moves, false};
}

static struct index msisdn_index(const struct builder *b)
{
	return (struct index){b->msisdn_index, b->c.msisdn_mask, (uint32_t *)&b->h->msisdn_moves, true};
}

static uint32_t entry_home(const struct builder *b, const struct index *x, uint32_t e)
{
	const struct cache_record *r = &b->record[index_slot(&b->c, e)];
	if (!x->msisdn)
		return (uint32_t)ident_hash(r->imsi.v) & x->mask;
	return (uint32_t)ident_hash(r->msisdn[(e & index_role_bit(&b->c)) != 0].v) & x->mask;
}

// Closes the gap at a tombstone, in the order that layout.h argues for.
static void gap_close(const struct builder *b, const struct index *x, uint32_t gap)
{
	uint32_t at = (gap + 1) & x->mask;
	for (uint64_t n = 0; n < x->mask; n++, at = (at + 1) & x->mask) {
		uint32_t e = x->e[at];
		if (e == INDEX_EMPTY)
			break;
		// may it stand at the gap? Not when that lies before its home.
		if (e == INDEX_TOMBSTONE || ((at - entry_home(b, x, e)) & x->mask) < ((at - gap) & x->mask))
			continue;
		entry_set(&x->e[gap], e);
		entry_set(x->moves, *x->moves + 1);
		entry_set(&x->e[at], INDEX_TOMBSTONE);
		gap = at;
	}
	entry_set(&x->e[gap], INDEX_EMPTY);
}

static void index_remove(const struct builder *b, struct index x, uint32_t *entry)
{
	entry_set(entry, INDEX_TOMBSTONE);
	gap_close(b, &x, (uint32_t)(entry - x.e));
}

void builder_imsi_remove(struct builder *b, uint32_t *entry)
{
	index_remove(b, imsi_index(b), entry);
}

void builder_msisdn_remove(struct builder *b, uint32_t *entry)
{
	index_remove(b, msisdn_index(b), entry);
}

int builder_data_next(const struct builder *b, uint64_t at, uint64_t end, uint64_t *from, uint64_t *to)
{
	off_t data = at < end ? lseek(b->fd, (off_t)at, SEEK_DATA) : (off_t)end;
	if (data < 0)
		return errno == ENXIO ? 0 : -errno;
	if (data >= (off_t)end)
		return 0;
	off_t hole = lseek(b->fd, data, SEEK_HOLE);
	if (hole < 0)
		return -errno;
	*from = (uint64_t)data;
	*to = hole < (off_t)end ? (uint64_t)hole : end;
	return 1;
}

// Calls `fn` for what is not EMPTY, again when `fn` put something else there. Holes of the file are left
// alone: looking at them would commit them.
static int index_walk(const struct builder *b, const struct index *x, bool (*fn)(void *ctx, uint32_t *entry),
		      void *ctx)
{
	uint64_t from = (uint64_t)((const uint8_t *)x->e - b->base), to = from;
	uint64_t end = from + ((uint64_t)x->mask + 1) * sizeof(uint32_t);
	int rc;
	while ((rc = builder_data_next(b, to, end, &from, &to)) > 0)
		for (uint64_t o = from; o < to; o += sizeof(uint32_t)) {
			uint32_t *entry = (uint32_t *)(void *)(b->base + o);
			for (uint32_t e = INDEX_EMPTY; *entry != INDEX_EMPTY && *entry != e;) {
				e = *entry;
				if (!fn(ctx, entry))
					return 0;
			}
		}
	return rc;
}

int builder_imsi_each(const struct builder *b, bool (*fn)(void *ctx, uint32_t *entry), void *ctx)
{
	struct index x = imsi_index(b);
	return index_walk(b, &x, fn, ctx);
}

int builder_msisdn_each(const struct builder *b, bool (*fn)(void *ctx, uint32_t *entry), void *ctx)
{
	struct index x = msisdn_index(b);
	return index_walk(b, &x, fn, ctx);
}

struct tidy {
	const struct builder *b;
	struct index x;
};

static bool tidy_entry(void *ctx, uint32_t *entry)
{
	const struct tidy *t = ctx;
	uint32_t pos = (uint32_t)(entry - t->x.e), at = (pos + 1) & t->x.mask;
	if (*entry == INDEX_TOMBSTONE) {
		gap_close(t->b, &t->x, pos);
		return true;
	}
	// the same entry once more in its run: copied, the original not cleared yet
	for (uint64_t n = 0; n < t->x.mask && t->x.e[at] != INDEX_EMPTY; n++, at = (at + 1) & t->x.mask)
		if (t->x.e[at] == *entry) {
			index_remove(t->b, t->x, &t->x.e[at]);
			return true;
		}
	return true;
}

int builder_index_tidy(struct builder *b)
{
	struct tidy t = {.b = b, .x = imsi_index(b)};
	int rc = index_walk(b, &t.x, tidy_entry, &t);
	if (rc == 0) {
		t.x = msisdn_index(b);
		rc = index_walk(b, &t.x, tidy_entry, &t);
	}
	if (rc == 0)
		rc = builder_identity_tidy(b);
	return rc;
}

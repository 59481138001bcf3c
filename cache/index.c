// The writer's side of the two indices. One writer, so that reading back what it wrote needs no order; every store that a
// reader may see is sequentially consistent (layout.h). Loops are bounded by the table's size.
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
	uint32_t mask = b->c.msisdn_mask, want = index_tag(&b->c, hash) & ~role_bit, at = (uint32_t)hash & mask;
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
	bug("index without room: it is sized for a load of one half");
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

// Tombstones that no chain runs through any more, from `at` backwards.
static void index_tidy(uint32_t *index, uint32_t mask, uint32_t at)
{
	if (index[(at + 1) & mask] != INDEX_EMPTY)
		return;
	for (uint64_t n = 0; n <= mask && index[at] == INDEX_TOMBSTONE; n++, at = (at - 1) & mask)
		entry_set(&index[at], INDEX_EMPTY);
}

static void index_remove(uint32_t *index, uint32_t mask, uint32_t *entry)
{
	entry_set(entry, INDEX_TOMBSTONE);
	index_tidy(index, mask, (uint32_t)(entry - index));
}

void builder_imsi_remove(struct builder *b, uint32_t *entry)
{
	index_remove(b->imsi_index, b->c.imsi_mask, entry);
}

void builder_msisdn_remove(struct builder *b, uint32_t *entry)
{
	index_remove(b->msisdn_index, b->c.msisdn_mask, entry);
}

// Calls `fn` for what is not EMPTY. Holes of the file are left alone: looking at them would commit them.
static int index_walk(const struct builder *b, const uint32_t *index, uint32_t mask,
		      bool (*fn)(void *ctx, uint32_t *entry), void *ctx)
{
	off_t begin = (off_t)((const uint8_t *)index - b->base);
	off_t end = begin + (off_t)(((uint64_t)mask + 1) * sizeof(uint32_t));
	for (off_t at = begin; at < end;) {
		off_t data = lseek(b->fd, at, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		if (data >= end)
			return 0;
		off_t hole = lseek(b->fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		at = hole < end ? hole : end;
		for (off_t o = data; o < at; o += (off_t)sizeof(uint32_t)) {
			uint32_t *entry = (uint32_t *)(void *)(b->base + o);
			if (*entry != INDEX_EMPTY && !fn(ctx, entry))
				return 0;
		}
	}
	return 0;
}

struct walk {
	bool (*fn)(void *ctx, uint32_t *entry);
	void *ctx;
	uint32_t *index;
	uint32_t mask;
};

static bool walk_entry(void *ctx, uint32_t *entry)
{
	const struct walk *w = ctx;
	return *entry == INDEX_TOMBSTONE || w->fn(w->ctx, entry);
}

int builder_index_each(const struct builder *b, const uint32_t *index, uint32_t mask,
		       bool (*fn)(void *ctx, uint32_t *entry), void *ctx)
{
	struct walk w = {.fn = fn, .ctx = ctx};
	return index_walk(b, index, mask, walk_entry, &w);
}

static bool walk_tidy(void *ctx, uint32_t *entry)
{
	const struct walk *w = ctx;
	if (*entry == INDEX_TOMBSTONE)
		index_tidy(w->index, w->mask, (uint32_t)(entry - w->index));
	return true;
}

int builder_index_tidy(struct builder *b, uint32_t *index, uint32_t mask)
{
	struct walk w = {.index = index, .mask = mask};
	return index_walk(b, index, mask, walk_tidy, &w);
}

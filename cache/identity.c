// The writer's side of the identity index (layout.h). Loader only. One writer, so that reading back what it
// wrote needs no order; every store that a reader may see is sequentially consistent. An entry holds its
// home, so nothing here looks at a record. Loops are bounded by the table's size.
#include "cache/builder.h"

static void entry_set(struct builder *b, uint64_t *entry, uint64_t v)
{
	int32_t more = (*entry == IDENTITY_EMPTY || *entry == IDENTITY_TOMBSTONE ? 0 : -1) +
		       (v == IDENTITY_EMPTY || v == IDENTITY_TOMBSTONE ? 0 : 1);
	__atomic_store_n(entry, v, __ATOMIC_SEQ_CST);
	uint32_t *cnt = (uint32_t *)&b->h->identity_cnt;
	__atomic_store_n(cnt, *cnt + (uint32_t)more, __ATOMIC_RELAXED);
	cache_step();
}

static uint32_t next_of(const struct builder *b, uint32_t at)
{
	return (at + 1) & b->c.identity_mask;
}

uint64_t *builder_identity_entry(const struct builder *b, uint64_t hash, uint32_t slot)
{
	uint64_t want = index_identity_tag(&b->c, hash) | (slot + 1);
	uint32_t at = index_identity_home(&b->c, hash);
	for (uint64_t n = 0; n <= b->c.identity_mask; n++, at = next_of(b, at)) {
		if (b->identity_index[at] == want)
			return &b->identity_index[at];
		if (b->identity_index[at] == IDENTITY_EMPTY)
			return NULL;
	}
	return NULL;
}

void builder_identity_point(struct builder *b, uint64_t *entry, uint64_t hash, uint32_t slot)
{
	uint32_t at = index_identity_home(&b->c, hash);
	for (uint64_t n = 0; !entry && n <= b->c.identity_mask; n++, at = next_of(b, at))
		if (b->identity_index[at] == IDENTITY_EMPTY || b->identity_index[at] == IDENTITY_TOMBSTONE)
			entry = &b->identity_index[at];
	if (!entry)
		bug("identity index without room: it is sized for a load of one half");
	entry_set(b, entry, index_identity_tag(&b->c, hash) | (slot + 1));
}

// Closes the gap at a tombstone, in the order that layout.h argues for.
static void gap_close(struct builder *b, uint32_t gap)
{
	uint32_t mask = b->c.identity_mask, at = next_of(b, gap);
	uint32_t *moves = (uint32_t *)&b->h->identity_moves;
	for (uint64_t n = 0; n < mask; n++, at = next_of(b, at)) {
		uint64_t e = b->identity_index[at];
		if (e == IDENTITY_EMPTY)
			break;
		// may it stand at the gap? Not when that lies before its home.
		if (e == IDENTITY_TOMBSTONE ||
		    ((at - index_identity_home(&b->c, e)) & mask) < ((at - gap) & mask))
			continue;
		entry_set(b, &b->identity_index[gap], e);
		__atomic_store_n(moves, *moves + 1, __ATOMIC_SEQ_CST);
		cache_step();
		entry_set(b, &b->identity_index[at], IDENTITY_TOMBSTONE);
		gap = at;
	}
	entry_set(b, &b->identity_index[gap], IDENTITY_EMPTY);
}

void builder_identity_remove(struct builder *b, uint64_t *entry)
{
	entry_set(b, entry, IDENTITY_TOMBSTONE);
	gap_close(b, (uint32_t)(entry - b->identity_index));
}

int builder_identity_each(const struct builder *b, bool (*fn)(void *ctx, uint64_t *entry), void *ctx)
{
	uint64_t from = (uint64_t)((const uint8_t *)b->identity_index - b->base), to = from;
	uint64_t end = from + ((uint64_t)b->c.identity_mask + 1) * sizeof(uint64_t);
	int rc;
	while ((rc = builder_data_next(b, to, end, &from, &to)) > 0)
		for (uint64_t o = from; o < to; o += sizeof(uint64_t)) {
			uint64_t *entry = (uint64_t *)(void *)(b->base + o);
			for (uint64_t e = IDENTITY_EMPTY; *entry != IDENTITY_EMPTY && *entry != e;) {
				e = *entry;
				if (!fn(ctx, entry))
					return 0;
			}
		}
	return rc;
}

static bool tidy_entry(void *ctx, uint64_t *entry)
{
	struct builder *b = ctx;
	uint32_t pos = (uint32_t)(entry - b->identity_index), at = next_of(b, pos);
	if (*entry == IDENTITY_TOMBSTONE) {
		gap_close(b, pos);
		return true;
	}
	// the same entry once more in its run: copied, the original not cleared yet
	for (uint64_t n = 0; n < b->c.identity_mask && b->identity_index[at]; n++, at = next_of(b, at))
		if (b->identity_index[at] == *entry) {
			builder_identity_remove(b, &b->identity_index[at]);
			return true;
		}
	return true;
}

int builder_identity_tidy(struct builder *b)
{
	return builder_identity_each(b, tidy_entry, b);
}

static bool count_entry(void *ctx, uint64_t *entry)
{
	(void)entry;
	++*(uint32_t *)ctx;
	return true;
}

int builder_identity_count(struct builder *b)
{
	uint32_t cnt = 0;
	int rc = builder_identity_each(b, count_entry, &cnt);
	__atomic_store_n((uint32_t *)&b->h->identity_cnt, cnt, __ATOMIC_RELAXED);
	return rc;
}

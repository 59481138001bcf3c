// Owns what is free in the cache: the pools of free numbers, and the queue of retired slots, nodes and blobs
// with the epochs that they wait for (layout.h has the argument). After a kill, attaching finds all of it out
// again. Loader only. Law 4: whatever is not reachable from the IMSI index is free, but a reader may still be
// looking at it, so it waits like everything that was retired.
#include <errno.h>
#include <stdlib.h>
#include "cache/builder.h"
#include "lib/base/secret.h"

int pool_init(struct pool *p, uint32_t cnt, uint32_t *high)
{
	memset(p, 0, sizeof(*p));
	p->cnt = cnt;
	p->high = high;
	p->free = calloc((size_t)cnt / 64 + 1, sizeof(*p->free));
	p->some = calloc((size_t)cnt / 4096 + 1, sizeof(*p->some));
	return p->free && p->some ? 0 : -ENOMEM;
}

void pool_fini(struct pool *p)
{
	free(p->free);
	free(p->some);
	p->free = p->some = NULL;
}

uint32_t pool_take(struct pool *p)
{
	if (p->stack_cnt) {
		p->given--;
		return p->stack[--p->stack_cnt];
	}
	for (uint32_t s = 0; p->given && s <= p->cnt / 4096; s++) {
		if (!p->some[s])
			continue;
		uint32_t word = s * 64 + (uint32_t)__builtin_ctzll(p->some[s]);
		uint32_t i = word * 64 + (uint32_t)__builtin_ctzll(p->free[word]);
		p->free[word] &= p->free[word] - 1;
		if (!p->free[word])
			p->some[s] &= ~(1ull << word % 64);
		p->given--;
		return i;
	}
	uint32_t high = __atomic_load_n(p->high, __ATOMIC_RELAXED);
	if (high >= p->cnt)
		return POOL_NONE;
	__atomic_store_n(p->high, high + 1, __ATOMIC_SEQ_CST); // before it is used: the next loader must know
	cache_step();
	return high;
}

uint32_t pool_left(const struct pool *p)
{
	return p->given + (p->cnt - __atomic_load_n(p->high, __ATOMIC_RELAXED));
}

void pool_give(struct pool *p, uint32_t i)
{
	p->given++;
	if (p->stack_cnt < POOL_STACK) {
		p->stack[p->stack_cnt++] = i;
		return;
	}
	p->free[i / 64] |= 1ull << i % 64;
	p->some[i / 4096] |= 1ull << i / 64 % 64;
}

void builder_retire(struct builder *b, enum retired_kind kind, uint32_t at, uint32_t len)
{
	struct retired_chunk *c = b->retired_last;
	if (!c || c->cnt == RETIRED_CHUNK) {
		c = b->retired_spare ? b->retired_spare : malloc(sizeof(*c));
		b->retired_spare = NULL;
		if (!c)
			return; // out of memory: it is lost until the next attach, nothing worse
		c->next = NULL;
		c->first = c->cnt = 0;
		*(b->retired_last ? &b->retired_last->next : &b->retired_first) = c;
		b->retired_last = c;
	}
	uint64_t epoch = __atomic_load_n((uint64_t *)&b->c.control->epoch, __ATOMIC_SEQ_CST);
	c->e[c->cnt++] = (struct retired){.epoch = epoch, .kind = kind, .at = at, .len = len};
	b->retired_cnt++;
	b->retired_since++;
}

static void give_back(struct builder *b, const struct retired *r)
{
	switch ((enum retired_kind)r->kind) {
	case RETIRED_SLOT:
		secret_wipe(&b->record[r->at], sizeof(b->record[r->at]));
		pool_give(&b->slots, r->at);
		break;
	case RETIRED_SQN:
		pool_give(&b->sqns, r->at);
		break;
	case RETIRED_BLOB:
		blob_give(b, r->at);
		break;
	case RETIRED_PARTS:
		parts_give(b, r->at);
		break;
	case RETIRED_GAP:
		blob_give_gap(b, r->at, r->len);
		break;
	case RETIRED_NODE:
		if (b->node[r->at].host_hash) {
			__atomic_store_n(&b->node[r->at].host_hash, 0, __ATOMIC_RELEASE);
			cache_step();
			blob_give(b, b->node[r->at].host);
		}
		pool_give(&b->nodes, r->at);
		break;
	}
	cache_step();
}

static struct retired *retired_oldest(struct builder *b)
{
	struct retired_chunk *c = b->retired_first;
	if (c && c->first == RETIRED_CHUNK) {
		b->retired_first = c->next;
		if (!c->next)
			b->retired_last = NULL;
		if (b->retired_spare)
			free(c);
		else
			b->retired_spare = c;
		c = b->retired_first;
	}
	return c && c->first < c->cnt ? &c->e[c->first] : NULL;
}

bool builder_drain(struct builder *b)
{
	struct control *control = b->c.control;
	uint64_t before = b->retired_cnt;

	b->retired_since = 0;
	if (b->retired_cnt == 0)
		return false;
	uint64_t newest = b->retired_last->cnt ? b->retired_last->e[b->retired_last->cnt - 1].epoch : 0;
	if (__atomic_load_n((uint64_t *)&control->epoch, __ATOMIC_SEQ_CST) <= newest)
		__atomic_fetch_add((uint64_t *)&control->epoch, 1, __ATOMIC_SEQ_CST); // L3
	uint64_t oldest_reader = UINT64_MAX;
	for (unsigned w = 0; w < WORKER_MAX; w++) { // L4
		uint64_t v = __atomic_load_n((uint64_t *)&control->reader[w].v, __ATOMIC_SEQ_CST);
		if (v && v < oldest_reader)
			oldest_reader = v;
	}
	for (struct retired *r; (r = retired_oldest(b)) && r->epoch < oldest_reader;) {
		give_back(b, r);
		b->retired_first->first++;
		b->retired_cnt--;
	}
	return b->retired_cnt < before;
}

void builder_reclaim(struct builder *b)
{
	b->batch++;
	if (b->idle_cnt)
		profile_sweep(b);
	if (b->retired_cnt)
		builder_drain(b);
}

// Attaching. While it runs, pool.free marks what is reachable; afterwards the bitmaps are empty as usual.
struct attach {
	struct builder *b;
	int rc;
	uint32_t cnt;
	uint32_t parts; // records that have some
};

static bool marked(const struct pool *p, uint32_t i)
{
	return p->free[i / 64] >> i % 64 & 1;
}

// False when it was marked already, or was never used.
static bool mark(struct pool *p, uint32_t i)
{
	if (i >= *p->high || marked(p, i))
		return false;
	p->free[i / 64] |= 1ull << i % 64;
	return true;
}

static void unmarked_retire(struct builder *b, struct pool *p, enum retired_kind kind)
{
	uint32_t high = *p->high;
	for (uint32_t i = 0; i < high; i++)
		if (!marked(p, i))
			builder_retire(b, kind, i, 0);
	memset(p->free, 0, ((size_t)p->cnt / 64 + 1) * sizeof(*p->free));
}

static bool attach_record(void *ctx, uint32_t *entry)
{
	struct attach *a = ctx;
	struct builder *b = a->b;
	uint32_t slot = index_slot(&b->c, *entry);

	a->rc = -EPROTO;
	if (!mark(&b->slots, slot))
		return false;
	const struct cache_record *r = &b->record[slot];
	if (r->imsi.v == 0 || builder_imsi_entry(b, r->imsi) != entry || !mark(&b->sqns, r->sqn) ||
	    !node_valid(b, r->serving[0].node) || !node_valid(b, r->serving[1].node))
		return false;
	a->rc = profile_adopt(b, r->profile, sizeof(struct cache_profile));
	if (a->rc == 0)
		a->rc = parts_adopt(b, r);
	a->parts += r->parts != 0;
	node_ref(b, r->serving[0].node);
	node_ref(b, r->serving[1].node);
	a->cnt++;
	return a->rc == 0;
}

// An MSISDN entry that names no current record with that number is swung to the current copy, or removed.
static bool attach_number(void *ctx, uint32_t *entry)
{
	struct attach *a = ctx;
	struct builder *b = a->b;
	uint32_t slot = index_slot(&b->c, *entry);
	if (slot >= *b->slots.high) {
		a->rc = -EPROTO;
		return false;
	}
	// A stale entry's slot was not retired before the entry had been swung, so the old copy is still
	// there.
	const struct cache_record *r = &b->record[slot];
	msisdn_t m = r->msisdn[(*entry & index_role_bit(&b->c)) != 0];
	bool ours = m.v && builder_msisdn_entry(b, m) == entry;
	if (ours && marked(&b->slots, slot))
		return true;
	uint32_t *current = ours && r->imsi.v ? builder_imsi_entry(b, r->imsi) : NULL;
	if (current) {
		uint32_t now = index_slot(&b->c, *current);
		for (unsigned i = 0; i < 2; i++)
			if (b->record[now].msisdn[i].v == m.v) {
				builder_msisdn_point(b, entry, m, now, i);
				return true;
			}
	}
	builder_msisdn_remove(b, entry);
	return true;
}

static void attach_missing(struct builder *b)
{
	uint32_t high = *b->slots.high;
	for (uint32_t slot = 0; slot < high; slot++) {
		if (!marked(&b->slots, slot))
			continue;
		for (unsigned i = 0; i < 2; i++) {
			msisdn_t m = b->record[slot].msisdn[i];
			if (m.v && !builder_msisdn_entry(b, m))
				builder_msisdn_point(b, NULL, m, slot, i);
		}
		identities_adopt_missing(b, slot);
	}
}

static int attach_nodes(struct builder *b)
{
	uint32_t high = *b->nodes.high;
	for (uint32_t i = 0; i < high; i++) {
		if (b->node[i].host_hash == 0)
			continue;
		struct slice host, realm;
		if (!blob_valid(b, b->node[i].host, sizeof(struct cache_node_name)) ||
		    !cache_node_get(&b->c, i + 1, &host, &realm))
			return -EPROTO;
		mark(&b->nodes, i);
		node_adopt(b, i);
	}
	return 0;
}

static int u32_order(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
	return (a > b) - (a < b);
}

static void gap_retire(struct builder *b, uint64_t from, uint64_t to)
{
	if (from >= to)
		return;
	b->gaps++;
	builder_retire(b, RETIRED_GAP, (uint32_t)from, (uint32_t)(to - from));
}

// Everything between the blobs that are named.
static int attach_gaps(struct builder *b, uint32_t parts)
{
	uint32_t cnt = 0;
	uint32_t *live = malloc(((size_t)b->profile_cnt + *b->nodes.high + parts + 1) * sizeof(*live));
	if (!live)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->profile_cnt; i++)
		live[cnt++] = b->profile[i].blob;
	for (uint32_t i = 0; i < *b->nodes.high; i++)
		if (marked(&b->nodes, i))
			live[cnt++] = b->node[i].host;
	for (uint32_t i = 0; parts && i < *b->slots.high; i++)
		if (marked(&b->slots, i) && b->record[i].parts)
			live[cnt++] = b->record[i].parts;
	qsort(live, cnt, sizeof(*live), u32_order);
	uint64_t at = 0, used = 0;
	int rc = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		uint64_t begin = live[i] - 1, units = blob_header(b, live[i])->units;
		if (begin < at) {
			rc = -EPROTO; // two blobs in one place
			break;
		}
		gap_retire(b, at, begin);
		at = begin + units;
		used += units;
	}
	if (rc == 0)
		gap_retire(b, at,
			   __atomic_load_n((uint64_t *)&b->h->blob_high, __ATOMIC_RELAXED) /
			       CACHE_BLOB_ALIGN);
	__atomic_store_n((uint64_t *)&b->h->blob_used, used * CACHE_BLOB_ALIGN, __ATOMIC_RELAXED);
	free(live);
	return rc;
}

int builder_attach(struct builder *b)
{
	struct cache_header *h = b->h;
	struct attach a = {.b = b};

	if (*b->slots.high > b->slots.cnt || *b->sqns.high > b->sqns.cnt || *b->nodes.high > b->nodes.cnt ||
	    h->blob_high > b->c.blob_len || h->blob_high % CACHE_BLOB_ALIGN || h->ind_host_cnt > IND_HOST_MAX)
		return -EPROTO;
	__atomic_store_n((uint32_t *)&h->profile_cnt, 0, __ATOMIC_RELAXED);
	// builder_index_tidy closes the gap that a removal may have left. Then the IMSI index says which
	// records count; what they use is marked, and the other indices are brought in line with them.
	int rc = attach_nodes(b);
	if (rc == 0)
		rc = builder_index_tidy(b);
	if (rc == 0)
		rc = builder_imsi_each(b, attach_record, &a);
	if (rc == 0)
		rc = a.rc;
	for (unsigned app = 0; rc == 0 && app < CACHE_APP_MAX; app++)
		rc = profile_adopt(b, h->common[app], sizeof(struct cache_shared));
	if (rc == 0)
		rc = builder_msisdn_each(b, attach_number, &a);
	if (rc == 0)
		rc = a.rc;
	if (rc == 0)
		rc = identities_adopt(b);
	if (rc < 0)
		return rc;
	attach_missing(b);
	rc = builder_identity_count(b);
	if (rc == 0)
		rc = attach_gaps(b, a.parts);
	if (rc < 0)
		return rc;
	// Nothing that is left unmarked is reachable, but a reader may still be looking at it: retired, not
	// freed.
	unmarked_retire(b, &b->slots, RETIRED_SLOT);
	unmarked_retire(b, &b->sqns, RETIRED_SQN);
	unmarked_retire(b, &b->nodes, RETIRED_NODE);
	__atomic_store_n((uint32_t *)&h->subscriber_cnt, a.cnt, __ATOMIC_RELAXED);
	builder_drain(b);
	return 0;
}

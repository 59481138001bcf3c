// The reader's side: probing, verifying, drawing SQNs. Runs in workers (read-only mapping) and in the loader.
// Why this is right without a lock is argued in layout.h; the memory orders here are those that the argument
// names.
#include "cache/lookup.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "cache/index.h"
#include "cache/segment.h"

// Looks again after a removal moved entries under us. Should that ever not be enough, the miss is a question
// to the loader, like every miss.
#define LOOKS 64

int cache_open(struct cache *c, int records_fd, int sqn_fd, struct control *control, unsigned worker)
{
	struct cache_header want;
	struct stat st;

	memset(c, 0, sizeof(*c));
	if (worker >= WORKER_MAX)
		return -EINVAL;
	if (fstat(records_fd, &st) < 0)
		return -errno;
	void *records = segment_map(records_fd, (uint64_t)st.st_size, false);
	if (!records)
		return -errno;
	// The size has been checked against the file only when the whole layout equals what this program
	// would make.
	const struct cache_header *have = records;
	bool header = (uint64_t)st.st_size >= sizeof(*have);
	uint32_t max = header ? have->max_subscribers : 0, identities = header ? have->max_identities : 0;
	if (max == 0 || max > CACHE_SUBSCRIBERS_MAX) {
		munmap(records, (size_t)st.st_size);
		return -EPROTO;
	}
	segment_geometry(max, identities, &want);
	if (!segment_same(&want, have) || want.total_len != (uint64_t)st.st_size) {
		munmap(records, (size_t)st.st_size);
		return -EPROTO;
	}
	void *sqn = segment_map(sqn_fd, segment_sqn_len(&want), true);
	if (!sqn) {
		int err = errno;
		munmap(records, (size_t)st.st_size);
		return -err;
	}
	segment_bind(c, &want, records, sqn);
	c->control = control;
	c->worker = worker;
	return 0;
}

void cache_close(struct cache *c)
{
	if (c->base)
		munmap((void *)(uintptr_t)c->base, c->total_len);
	if (c->sqn)
		munmap(c->sqn, c->sqn_len);
	memset(c, 0, sizeof(*c));
}

static const struct cache_record *find_once(const struct cache *c, imsi_t imsi, uint64_t hash)
{
	uint32_t want = index_tag(c, hash);
	uint32_t at = (uint32_t)hash & c->imsi_mask;
	for (uint64_t n = 0; n <= c->imsi_mask; n++, at = (at + 1) & c->imsi_mask) {
		uint32_t e = index_load(&c->imsi_index[at]);
		if (e == INDEX_EMPTY)
			return NULL;
		if (e == INDEX_TOMBSTONE || (e & ~index_slot_mask(c)) != want)
			continue;
		uint32_t slot = index_slot(c, e);
		if (slot < c->slot_cnt && c->record[slot].imsi.v == imsi.v)
			return &c->record[slot];
	}
	return NULL;
}

const struct cache_record *cache_find(const struct cache *c, imsi_t imsi)
{
	if (imsi.v == 0)
		return NULL;
	uint64_t hash = ident_hash(imsi.v);
	const uint32_t *moves = (const uint32_t *)&c->h->imsi_moves;
	for (unsigned n = 0; n < LOOKS; n++) {
		uint32_t before = index_load(moves);
		const struct cache_record *r = find_once(c, imsi, hash);
		if (r || index_load(moves) == before)
			return r;
	}
	return NULL;
}

static const struct cache_record *find_msisdn_once(const struct cache *c, msisdn_t msisdn, uint64_t hash)
{
	uint32_t role_bit = index_role_bit(c);
	uint32_t want = index_tag(c, hash) & ~role_bit;
	uint32_t at = (uint32_t)hash & c->msisdn_mask;
	for (uint64_t n = 0; n <= c->msisdn_mask; n++, at = (at + 1) & c->msisdn_mask) {
		uint32_t e = index_load(&c->msisdn_index[at]);
		if (e == INDEX_EMPTY)
			return NULL;
		if (e == INDEX_TOMBSTONE || (e & ~index_slot_mask(c) & ~role_bit) != want)
			continue;
		uint32_t slot = index_slot(c, e);
		if (slot >= c->slot_cnt || c->record[slot].msisdn[(e & role_bit) != 0].v != msisdn.v)
			continue;
		// This may be a copy that has been replaced since: the IMSI index decides.
		const struct cache_record *r = cache_find(c, c->record[slot].imsi);
		if (r && (r->msisdn[0].v == msisdn.v || r->msisdn[1].v == msisdn.v))
			return r;
	}
	return NULL;
}

const struct cache_record *cache_find_msisdn(const struct cache *c, msisdn_t msisdn)
{
	if (msisdn.v == 0)
		return NULL;
	uint64_t hash = ident_hash(msisdn.v);
	const uint32_t *moves = (const uint32_t *)&c->h->msisdn_moves;
	for (unsigned n = 0; n < LOOKS; n++) {
		uint32_t before = index_load(moves);
		const struct cache_record *r = find_msisdn_once(c, msisdn, hash);
		if (r || index_load(moves) == before)
			return r;
	}
	return NULL;
}

static bool lists(const struct cache *c, const struct cache_record *r, uint64_t hash)
{
	uint64_t have;
	for (unsigned n = 0; cache_identity_at(c, r, n, &have); n++)
		if (have == hash)
			return true;
	return false;
}

static const struct cache_record *find_identity_once(const struct cache *c, uint64_t hash,
						     bool (*owns)(void *ctx, const struct cache_record *r),
						     void *ctx)
{
	uint64_t want = index_identity_tag(c, hash);
	uint32_t at = index_identity_home(c, hash);
	for (uint64_t n = 0; n <= c->identity_mask; n++, at = (at + 1) & c->identity_mask) {
		uint64_t e = index_load_wide(&c->identity_index[at]);
		if (e == IDENTITY_EMPTY)
			return NULL;
		if (e == IDENTITY_TOMBSTONE || index_identity_tag(c, e) != want)
			continue;
		uint32_t slot = index_identity_slot(c, e);
		if (slot >= c->slot_cnt)
			continue;
		// This may be a copy that has been replaced since: the IMSI index decides.
		const struct cache_record *r = cache_find(c, c->record[slot].imsi);
		if (r && lists(c, r, hash) && (!owns || owns(ctx, r)))
			return r;
	}
	return NULL;
}

const struct cache_record *cache_find_identity(const struct cache *c, uint64_t hash,
					       bool (*owns)(void *ctx, const struct cache_record *r), void *ctx)
{
	const uint32_t *moves = (const uint32_t *)&c->h->identity_moves;
	for (unsigned n = 0; n < LOOKS; n++) {
		uint32_t before = index_load(moves);
		const struct cache_record *r = find_identity_once(c, hash, owns, ctx);
		if (r || index_load(moves) == before)
			return r;
	}
	return NULL;
}

void cache_prefetch(const struct cache *c, imsi_t imsi)
{
	// The index line first; on the second call for the same IMSI it is there, and the record itself is
	// fetched.
	uint64_t hash = ident_hash(imsi.v);
	__builtin_prefetch(&c->imsi_index[(uint32_t)hash & c->imsi_mask]);
}

static void prefetch_slot(const struct cache *c, uint32_t slot)
{
	if (slot < c->slot_cnt) {
		__builtin_prefetch(&c->record[slot]);
		__builtin_prefetch((const uint8_t *)&c->record[slot] + 64);
	}
}

// The first matching tag is nearly always the right one; a chain that leaves the line is not worth following.
static void prefetch_by(const struct cache *c, const uint32_t *index, uint32_t mask, uint64_t hash, uint32_t ignore)
{
	uint32_t want = index_tag(c, hash) & ~ignore, at = (uint32_t)hash & mask;
	for (unsigned n = 0; n < 8; n++, at = (at + 1) & mask) {
		uint32_t e = index_load(&index[at]);
		if (e == INDEX_EMPTY)
			return;
		if (e == INDEX_TOMBSTONE || (e & ~index_slot_mask(c) & ~ignore) != want)
			continue;
		prefetch_slot(c, index_slot(c, e));
		return;
	}
}

void cache_prefetch_record(const struct cache *c, imsi_t imsi)
{
	prefetch_by(c, c->imsi_index, c->imsi_mask, ident_hash(imsi.v), 0);
}

void cache_prefetch_msisdn(const struct cache *c, msisdn_t msisdn)
{
	__builtin_prefetch(&c->msisdn_index[(uint32_t)ident_hash(msisdn.v) & c->msisdn_mask]);
}

void cache_prefetch_msisdn_record(const struct cache *c, msisdn_t msisdn)
{
	prefetch_by(c, c->msisdn_index, c->msisdn_mask, ident_hash(msisdn.v), index_role_bit(c));
}

void cache_prefetch_identity(const struct cache *c, uint64_t hash)
{
	__builtin_prefetch(&c->identity_index[index_identity_home(c, hash)]);
}

void cache_prefetch_identity_record(const struct cache *c, uint64_t hash)
{
	uint32_t at = index_identity_home(c, hash);
	for (unsigned n = 0; n < 8; n++, at = (at + 1) & c->identity_mask) {
		uint64_t e = index_load_wide(&c->identity_index[at]);
		if (e == IDENTITY_EMPTY)
			return;
		if (e == IDENTITY_TOMBSTONE || index_identity_tag(c, e) != index_identity_tag(c, hash))
			continue;
		prefetch_slot(c, index_identity_slot(c, e));
		return;
	}
}

const struct cache_profile *cache_profile(const struct cache *c, const struct cache_record *r)
{
	uint64_t off = (uint64_t)r->profile * CACHE_BLOB_ALIGN;
	if (off == 0 || off + sizeof(struct cache_profile) > c->blob_len)
		return NULL;
	const struct cache_profile *p = (const void *)(c->blob + off);
	if (p->len < sizeof(*p) || p->len > c->blob_len - off ||
	    (uint64_t)p->head_len + p->epc_len + p->gprs_len > p->len - sizeof(*p))
		return NULL;
	return p;
}

bool cache_node_get(const struct cache *c, uint32_t node, struct slice *host, struct slice *realm)
{
	*host = *realm = (struct slice){0};
	if (node == 0 || node > NODE_MAX)
		return false;
	const struct cache_node *n = &c->node[node - 1];
	uint64_t off = (uint64_t)n->host * CACHE_BLOB_ALIGN;
	if (off == 0 || off + sizeof(struct cache_node_name) > c->blob_len)
		return false;
	const struct cache_node_name *name = (const void *)(c->blob + off);
	if ((uint64_t)name->host_len + name->realm_len > c->blob_len - off - sizeof(*name) ||
	    name->host_len == 0)
		return false;
	*host = slice_of(name->text, name->host_len);
	*realm = slice_of(name->text + name->host_len, name->realm_len);
	return true;
}

int cache_ind_find(const struct cache *c, uint64_t host_hash)
{
	uint32_t cnt = __atomic_load_n((const uint32_t *)&c->h->ind_host_cnt, __ATOMIC_ACQUIRE);
	for (uint32_t i = 0; i < cnt && i < IND_HOST_MAX; i++)
		if (c->ind[i] == host_hash)
			return (int)i;
	return -1;
}

enum sqn_draw cache_sqn_draw(struct cache *c, uint32_t index, uint32_t n, uint64_t *first, bool *low)
{
	*low = false;
	*first = 0;
	if (index >= c->sqn_cnt)
		return SQN_END;
	uint64_t *next_p = (uint64_t *)&c->sqn[index].next;
	uint64_t *limit_p = (uint64_t *)&c->sqn[index].limit;
	uint64_t next = __atomic_load_n(next_p, __ATOMIC_SEQ_CST);
	// Each turn but the last means that somebody else has moved on.
	for (;;) {
		uint64_t limit = __atomic_load_n(limit_p, __ATOMIC_SEQ_CST);
		if (next + n > CACHE_SEQ_MAX)
			return SQN_END;
		if (next + n > limit)
			return SQN_NEED_BLOCK;
		if (__atomic_compare_exchange_n(next_p, &next, next + n, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			break;
	}
	// The second look (layout.h): what no durable limit covers now is skipped, not used.
	uint64_t limit = __atomic_load_n(limit_p, __ATOMIC_SEQ_CST);
	if (next + n > limit)
		return SQN_NEED_BLOCK;
	*first = next;
	*low = limit - (next + n) < CACHE_SQN_LOW;
	return SQN_OK;
}

enum sqn_draw cache_sqn_raise(struct cache *c, uint32_t index, uint64_t seq)
{
	if (index >= c->sqn_cnt || seq >= CACHE_SEQ_MAX)
		return SQN_END;
	uint64_t *next_p = (uint64_t *)&c->sqn[index].next;
	uint64_t *limit_p = (uint64_t *)&c->sqn[index].limit;
	uint64_t next = __atomic_load_n(next_p, __ATOMIC_SEQ_CST);
	while (next < seq) {
		if (seq > __atomic_load_n(limit_p, __ATOMIC_SEQ_CST))
			return SQN_NEED_BLOCK;
		if (__atomic_compare_exchange_n(next_p, &next, seq, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			break;
	}
	return SQN_OK;
}

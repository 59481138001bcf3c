// The reader's side of a record's parts: the further state of applications, and the hashes of its identities
// (layout.h). Runs in workers and in the loader. Every length is checked against the blob area before it is
// used.
#include "cache/lookup.h"

// The octets behind the head, which has been checked; *identities and *parts say what they hold. Empty: none.
static struct slice parts_body(const struct cache *c, const struct cache_record *r, unsigned *identities,
			       unsigned *parts)
{
	uint64_t off = (uint64_t)r->parts * CACHE_BLOB_ALIGN;
	*identities = *parts = 0;
	if (off == 0 || off + sizeof(struct cache_parts) > c->blob_len)
		return (struct slice){0};
	const struct cache_parts *head = (const void *)(c->blob + off);
	uint64_t len = (uint64_t)head->quads * 4;
	if (len > c->blob_len - off || len < sizeof *head + head->identity_cnt * sizeof(uint64_t))
		return (struct slice){0};
	*identities = head->identity_cnt;
	*parts = head->part_cnt;
	return slice_of(head + 1, len - sizeof *head);
}

bool cache_identity_at(const struct cache *c, const struct cache_record *r, unsigned n, uint64_t *hash)
{
	unsigned identities, parts;
	struct slice body = parts_body(c, r, &identities, &parts);
	if (n >= identities)
		return false;
	memcpy(hash, body.p + n * sizeof *hash, sizeof *hash);
	return true;
}

// Takes the next part off `r`; false when what is there is none.
static bool part_take(struct rd *r, struct cache_part *out)
{
	struct cache_part_head head;
	struct slice bytes = rd_bytes(r, sizeof head);
	if (r->err)
		return false;
	memcpy(&head, bytes.p, sizeof head);
	bytes = rd_bytes(r, head.len);
	rd_bytes(r, -head.len & 3u);
	*out = (struct cache_part){head.app, head.kind, head.version, head.refs & 15, head.refs >> 4, bytes};
	return !r->err && head.len >= (out->node_cnt + out->shared_cnt) * sizeof(uint32_t);
}

bool cache_part_at(const struct cache *c, const struct cache_record *r, unsigned n, struct cache_part *out)
{
	unsigned identities, parts;
	struct slice body = parts_body(c, r, &identities, &parts);
	struct rd rd = rd_slice(body);
	rd_bytes(&rd, identities * sizeof(uint64_t));
	bool found = n < parts;
	for (unsigned i = 0; found && i <= n; i++)
		found = part_take(&rd, out);
	return found;
}

bool cache_part_find(const struct cache *c, const struct cache_record *r, unsigned app, unsigned kind,
		     struct cache_part *out)
{
	unsigned identities, parts;
	struct slice body = parts_body(c, r, &identities, &parts);
	struct rd rd = rd_slice(body);
	rd_bytes(&rd, identities * sizeof(uint64_t));
	for (unsigned i = 0; i < parts && part_take(&rd, out); i++)
		if (out->app == app && out->kind == kind)
			return true;
	return false;
}

struct slice cache_common_get(const struct cache *c, unsigned app)
{
	if (app >= CACHE_APP_MAX)
		return (struct slice){0};
	return cache_shared_get(c, __atomic_load_n((uint32_t *)&c->h->common[app], __ATOMIC_ACQUIRE));
}

struct slice cache_shared_get(const struct cache *c, uint32_t value)
{
	uint64_t off = (uint64_t)value * CACHE_BLOB_ALIGN;
	if (off == 0 || off + sizeof(struct cache_shared) > c->blob_len)
		return (struct slice){0};
	const struct cache_shared *s = (const void *)(c->blob + off);
	if (s->len < sizeof *s || s->len > c->blob_len - off)
		return (struct slice){0};
	return slice_of(s->bytes, s->len - sizeof *s);
}

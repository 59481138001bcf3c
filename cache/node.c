// Serving nodes, interned by host and realm, counted by the records that name them. Loader only. A node stays
// when nobody names it any more (the next subscriber will); only when the table is full unused ones make
// room, through the epochs.
#include <errno.h>
#include "cache/builder.h"

static uint64_t host_hash(struct slice host)
{
	uint64_t hash = ident_hash_bytes(host, true);
	return hash ? hash : 1; // 0 marks a free entry
}

static void node_link(struct builder *b, uint32_t i)
{
	uint32_t *head = &b->node_bucket[b->node[i].host_hash % NODE_BUCKETS];
	b->node_entry[i] = (struct node_entry){.next = *head, .published = 1};
	*head = i + 1;
}

static void node_unlink(struct builder *b, uint32_t i)
{
	uint32_t *link = &b->node_bucket[b->node[i].host_hash % NODE_BUCKETS];
	while (*link && *link != i + 1)
		link = &b->node_entry[*link - 1].next;
	if (*link)
		*link = b->node_entry[i].next;
	b->node_entry[i] = (struct node_entry){0};
}

void node_adopt(struct builder *b, uint32_t i)
{
	node_link(b, i);
}

bool node_valid(const struct builder *b, uint32_t node)
{
	return node == 0 || (node <= NODE_MAX && b->node_entry[node - 1].published);
}

void node_ref(struct builder *b, uint32_t node)
{
	if (node)
		b->node_entry[node - 1].refs++;
}

void node_unref(struct builder *b, uint32_t node)
{
	if (node)
		b->node_entry[node - 1].refs--;
}

// Retires nodes that no record names, but not those handed out since the last builder_reclaim: a record that
// is about to be put may name them.
static void node_sweep(struct builder *b)
{
	uint32_t high = __atomic_load_n(b->nodes.high, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < high; i++) {
		struct node_entry *e = &b->node_entry[i];
		if (!e->published || e->refs || e->batch == b->batch)
			continue;
		node_unlink(b, i);
		builder_retire(b, RETIRED_NODE, i, 0);
	}
}

static uint32_t node_take(struct builder *b)
{
	uint32_t i = pool_take(&b->nodes);
	if (i == POOL_NONE && builder_drain(b))
		i = pool_take(&b->nodes);
	if (i == POOL_NONE) {
		node_sweep(b);
		builder_drain(b);
		i = pool_take(&b->nodes);
	}
	return i;
}

uint32_t builder_node(struct builder *b, struct slice host, struct slice realm)
{
	if (host.len == 0 || host.len > 255 || realm.len > 255)
		return 0;
	uint64_t hash = host_hash(host);
	for (uint32_t n = b->node_bucket[hash % NODE_BUCKETS]; n; n = b->node_entry[n - 1].next) {
		struct slice have_host, have_realm;
		if (b->node[n - 1].host_hash == hash && cache_node_get(&b->c, n, &have_host, &have_realm) &&
		    slice_eq_nocase(have_host, host) && slice_eq_nocase(have_realm, realm)) {
			b->node_entry[n - 1].batch = b->batch;
			return n;
		}
	}
	uint32_t value = blob_take(b, (uint32_t)sizeof(struct cache_node_name) + host.len + realm.len);
	if (!value)
		return 0;
	uint32_t i = node_take(b);
	if (i == POOL_NONE) {
		blob_give(b, value);
		return 0;
	}
	struct cache_node_name *name = (void *)(b->blob + (uint64_t)value * CACHE_BLOB_ALIGN);
	name->host_len = (uint8_t)host.len;
	name->realm_len = (uint8_t)realm.len;
	memcpy(name->text, host.p, host.len);
	if (realm.len)
		memcpy(name->text + host.len, realm.p, realm.len);
	cache_step();
	b->node[i].host = value;
	cache_step();
	__atomic_store_n(&b->node[i].host_hash, hash,
			 __ATOMIC_RELEASE); // complete: the next loader adopts it
	cache_step();
	node_link(b, i);
	b->node_entry[i].batch = b->batch;
	return i + 1;
}

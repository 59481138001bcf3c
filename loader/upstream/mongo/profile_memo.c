// See profile_memo.h. Loader process, feed and ask thread.
#include "loader/upstream/mongo/profile_memo.h"
#define XXH_INLINE_ALL
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "loader/document/bson_walk.h"

void profile_memo_fini(struct profile_memo *q)
{
	for (unsigned i = 0; i < MONGO_KINDS; i++) {
		free(q->kind[i].parts);
		free(q->kind[i].profile);
		q->kind[i] = (struct mongo_kind){0};
	}
}

void profile_memo_begin(struct profile_memo *q)
{
	q->out = wr_of(q->parts, sizeof(q->parts));
	q->whole = true;
}

// As it stands, but for what only other programs read.
static void add_part(struct wr *out, const struct doc_schema *schema, const struct doc_node *node,
		     const struct bson_walk *w)
{
	bool list = node->member->type == DOC_LIST;
	if ((w->type != BW_DOCUMENT && w->type != BW_ARRAY) || (!list && node->member->type != DOC_OBJECT)) {
		wr_slice(out, bson_walk_element(w));
		return;
	}
	struct bson_walk in = bson_walk_of(w->value);
	wr_u8(out, w->type);
	wr_bytes(out, w->key.p, w->key.len + 1u);
	while (bson_walk_next(&in)) {
		const struct doc_node *n = list ? schema_element(schema, node) : schema_child(schema, node, in.key);
		if (n && doc_part_of(n) != DOC_PART_OTHERS)
			add_part(out, schema, n, &in);
	}
	out->err |= in.err;
	wr_u8(out, 0);
}

void profile_memo_add(struct profile_memo *q, const struct doc_schema *schema, const struct doc_node *node,
		      const struct bson_walk *w)
{
	add_part(&q->out, schema, node, w);
}

const struct mongo_kind *profile_memo_find(struct profile_memo *q)
{
	q->len = (uint32_t)wr_len(&q->out);
	q->hash = XXH3_64bits(q->parts, q->len);
	q->whole = !q->out.err;
	const struct mongo_kind *k = &q->kind[q->hash % MONGO_KINDS];
	bool same = q->whole && k->profile && k->hash == q->hash && k->len == q->len;
	return same && memcmp(k->parts, q->parts, q->len) == 0 ? k : NULL;
}

static void *copy(const void *p, size_t len)
{
	void *to = malloc(len + 1);
	return to ? memcpy(to, p, len) : NULL;
}

void profile_memo_learn(struct profile_memo *q, const struct cache_profile *profile, const uint8_t digest[16],
		       uint8_t flags)
{
	struct mongo_kind *k = &q->kind[q->hash % MONGO_KINDS];
	if (!q->whole)
		return;
	free(k->parts);
	free(k->profile);
	*k = (struct mongo_kind){.hash = q->hash,
				 .parts = copy(q->parts, q->len),
				 .len = q->len,
				 .profile = copy(profile, profile->len),
				 .flags = flags};
	memcpy(k->digest, digest, sizeof(k->digest));
	if (!k->parts || !k->profile) {
		free(k->parts);
		free(k->profile);
		*k = (struct mongo_kind){0};
	}
}

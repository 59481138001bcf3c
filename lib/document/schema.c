// See schema.h: the rows of all tables become one tree, and (parent, name) finds its node by a hash.
#include "lib/document/schema.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/base/similar.h"

#define HASH_MASK (2 * DOC_NODES_MAX - 1)

static unsigned hash_of(unsigned parent, struct slice name)
{
	unsigned h = parent * 31 + name.len * 131;
	if (name.len)
		h += name.p[0] * 7u + name.p[name.len - 1] * 17u + name.p[name.len / 2] * 61u;
	return h ^ h >> 9;
}

static unsigned index_of(const struct doc_schema *s, const struct doc_node *n)
{
	return (unsigned)(n - s->node);
}

const struct doc_node *schema_child(const struct doc_schema *s, const struct doc_node *parent, struct slice name)
{
	unsigned up = index_of(s, parent);
	for (unsigned h = hash_of(up, name); s->hash[h & HASH_MASK]; h++) {
		const struct doc_node *n = &s->node[s->hash[h & HASH_MASK]];
		if (n->parent == up && slice_eq(n->name, name))
			return n;
	}
	return NULL;
}

const struct doc_node *schema_element(const struct doc_schema *s, const struct doc_node *list)
{
	return schema_child(s, list, slice_str("[]"));
}

// The next part of a row's path: a name, or "[]". Moves *rest behind it.
static struct slice part_next(const char **rest)
{
	const char *at = *rest;
	size_t n = *at == '[' ? 2 : strcspn(at, ".[");
	*rest = at + n + (at[n] == '.');
	return slice_of(at, n);
}

static int add(struct doc_schema *s, const struct doc_member *m, unsigned owner, unsigned row)
{
	const struct doc_node *at = &s->node[0];
	const char *rest = m->path;
	struct slice name = part_next(&rest);
	while (at && *rest) {
		at = schema_child(s, at, name);
		name = part_next(&rest);
	}
	if (!at || schema_child(s, at, name) || s->cnt == DOC_NODES_MAX)
		return -EINVAL;
	unsigned up = index_of(s, at), h = hash_of(up, name);
	while (s->hash[h & HASH_MASK])
		h++;
	s->hash[h & HASH_MASK] = (uint16_t)s->cnt;
	s->node[s->cnt++] = (struct doc_node){
	    .name = name, .member = m, .parent = (uint16_t)up, .owner = (uint16_t)owner, .row = (uint16_t)row};
	return 0;
}

int schema_init(struct doc_schema *s, const struct doc_table *const tables[], unsigned cnt)
{
	static const struct doc_member document = {.path = "", .type = DOC_OBJECT, .part = DOC_PART_OTHERS, .help = ""};
	int rc = 0;
	*s = (struct doc_schema){.node = {{.member = &document}}, .cnt = 1};
	for (unsigned t = 0; t < cnt; t++)
		for (unsigned i = 0; i < tables[t]->cnt && rc == 0; i++)
			rc = add(s, &tables[t]->member[i], t, i);
	return rc;
}

static bool is_number(struct slice s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.len > 0;
}

const struct doc_node *schema_find(const struct doc_schema *s, const char *path)
{
	const struct doc_node *at = &s->node[0];
	while (at && *path) {
		size_t n = strcspn(path, ".");
		struct slice part = slice_of(path, n);
		// below a rate or a member that only others read, everything is theirs
		if (at->member->type == DOC_ANY && at->parent != at - s->node)
			return at;
		if (at->member->type == DOC_RATE)
			return slice_eq(part, slice_str("value")) || slice_eq(part, slice_str("unit")) ? at : NULL;
		if (at->member->type == DOC_LIST)
			at = is_number(part) ? schema_element(s, at) : NULL;
		else
			at = schema_child(s, at, part);
		path += n + (path[n] == '.');
	}
	return at == &s->node[0] ? NULL : at;
}

// A node's path with the numbers that `like` has in the places of its lists.
static bool path_of(const struct doc_schema *s, const struct doc_node *n, const char *like, const char *below,
		    char *out, size_t cap)
{
	const struct doc_node *chain[DOC_DEPTH_MAX];
	unsigned depth = 0;
	size_t len = 0;
	for (; n != &s->node[0] && depth < DOC_DEPTH_MAX; n = &s->node[n->parent])
		chain[depth++] = n;
	*out = 0;
	while (depth-- && len < cap) {
		struct slice name = chain[depth]->name, given = slice_of(like, strcspn(like, "."));
		like += given.len + (like[given.len] == '.');
		if (name.p[0] == '[')
			name = is_number(given) ? given : slice_str("0");
		len += (size_t)snprintf(out + len, cap - len, "%s%.*s", len ? "." : "", (int)name.len,
					(const char *)name.p);
	}
	if (len < cap)
		len += (size_t)snprintf(out + len, cap - len, "%s", below);
	return len < cap;
}

bool schema_suggest(const struct doc_schema *s, const char *path, char *out, size_t cap)
{
	struct similar best = similar_to(path);
	char candidate[SIMILAR_MAX + 1];
	bool found = false;
	for (unsigned i = 1; i < s->cnt; i++) {
		static const char *const below[] = {"", ".value", ".unit"};
		const struct doc_node *n = &s->node[i];
		for (unsigned b = 0; b < (n->member->type == DOC_RATE ? 3 : 1); b++) {
			unsigned before = best.distance;
			if (!path_of(s, n, path, below[b], candidate, sizeof(candidate)))
				continue;
			similar_offer(&best, candidate);
			if (best.distance < before)
				found = (size_t)snprintf(out, cap, "%s", candidate) < cap;
		}
	}
	return found;
}

bool doc_member_is_text(const struct doc_member *m)
{
	switch (m->type) {
	case DOC_TEXT:
	case DOC_HEX:
	case DOC_HEX_TEXT:
	case DOC_IPV4:
	case DOC_IPV6:
		return true;
	default:
		return m->flags & DOC_F_TEXT;
	}
}

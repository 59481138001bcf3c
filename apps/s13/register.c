// The items of the equipment register in order (register.h). A large sorted array, and a small one with what has come since:
// when that is full, the two are merged, so that a million items are added one by one without moving all of them each time.
#include "apps/s13/register.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LATE_MAX 4096u

struct s13_register {
	struct s13_entry *main, late[LATE_MAX];
	size_t main_cnt, main_cap, late_cnt;
	size_t table, table_max; // octets: of the table of these items at most, and what it may have; 0: no limit
};

struct s13_register *s13_register_new(void)
{
	return calloc(1, sizeof(struct s13_register));
}

void s13_register_free(struct s13_register **rp)
{
	struct s13_register *r = *rp;
	*rp = NULL;
	if (!r)
		return;
	for (size_t i = 0; i < r->main_cnt; i++)
		free(r->main[i].note);
	for (size_t i = 0; i < r->late_cnt; i++)
		free(r->late[i].note);
	free(r->main);
	free(r);
}

void s13_register_limit(struct s13_register *r, size_t octets)
{
	r->table_max = octets;
}

// What an item adds to the table at most: a range of TACs cuts another one in two.
static size_t share(const struct s13_key *k)
{
	return k->kind == S13_PAIR ? 16 : k->kind == S13_IMEI ? 8 : 24;
}

static bool is_full(const struct s13_register *r, const struct s13_key *k)
{
	return s13_register_cnt(r) >= S13_ITEMS_MAX || (r->table_max && 16 + r->table + share(k) > r->table_max);
}

size_t s13_register_cnt(const struct s13_register *r)
{
	return r->main_cnt + r->late_cnt;
}

// The place of the first entry that is not before `key` (or behind it, with `behind`).
static size_t lower(const struct s13_entry *e, size_t n, const struct s13_key *key, bool behind)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int cmp = s13_key_cmp(&e[mid].item.key, key);
		if (cmp < 0 || (behind && cmp == 0))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct s13_entry *find_in(struct s13_entry *e, size_t n, const struct s13_key *key)
{
	size_t at = lower(e, n, key, false);
	return at < n && s13_key_cmp(&e[at].item.key, key) == 0 ? &e[at] : NULL;
}

static struct s13_entry *find(const struct s13_register *r, const struct s13_key *key)
{
	struct s13_register *w = (struct s13_register *)(uintptr_t)r;
	struct s13_entry *e = find_in(w->main, w->main_cnt, key);
	return e ? e : find_in(w->late, w->late_cnt, key);
}

const struct s13_entry *s13_register_find(const struct s13_register *r, const struct s13_key *key)
{
	return find(r, key);
}

const struct s13_entry *s13_register_next(const struct s13_register *r, const struct s13_key *after)
{
	size_t m = after ? lower(r->main, r->main_cnt, after, true) : 0, l = after ? lower(r->late, r->late_cnt, after, true) : 0;
	const struct s13_entry *a = m < r->main_cnt ? &r->main[m] : NULL, *b = l < r->late_cnt ? &r->late[l] : NULL;
	if (!a || !b)
		return a ? a : b;
	return s13_key_cmp(&a->item.key, &b->item.key) < 0 ? a : b;
}

static bool merge(struct s13_register *r)
{
	size_t all = r->main_cnt + r->late_cnt;
	if (all > r->main_cap) {
		size_t cap = all + all / 2 + LATE_MAX;
		struct s13_entry *more = realloc(r->main, cap * sizeof *more);
		if (!more)
			return false;
		r->main = more;
		r->main_cap = cap;
	}
	size_t m = r->main_cnt, l = r->late_cnt;
	for (size_t at = all; l; at--) { // from the end, in place
		bool from_main = m && s13_key_cmp(&r->main[m - 1].item.key, &r->late[l - 1].item.key) > 0;
		r->main[at - 1] = from_main ? r->main[--m] : r->late[--l];
	}
	r->main_cnt = all;
	r->late_cnt = 0;
	return true;
}

static int note_of(struct slice note, char **out)
{
	*out = note.len ? strndup((const char *)note.p, note.len) : NULL;
	return note.len && !*out ? -ENOMEM : 0;
}

int s13_register_put(struct s13_register *r, const struct s13_item *item, struct slice note)
{
	char *text;
	struct s13_entry *e = find(r, &item->key);
	if (!e && is_full(r, &item->key))
		return -ENOSPC;
	if ((!e && r->late_cnt == LATE_MAX && !merge(r)) || note_of(note, &text))
		return -ENOMEM;
	if (e) {
		free(e->note);
	} else {
		size_t at = lower(r->late, r->late_cnt, &item->key, false);
		memmove(&r->late[at + 1], &r->late[at], (r->late_cnt - at) * sizeof *r->late);
		r->late_cnt++;
		r->table += share(&item->key);
		e = &r->late[at];
	}
	*e = (struct s13_entry){.item = *item, .note = text};
	return 0;
}

void s13_register_remove(struct s13_register *r, const struct s13_key *key)
{
	struct s13_entry *e = find(r, key);
	if (!e)
		return;
	bool late = e >= r->late && e < r->late + r->late_cnt;
	struct s13_entry *all = late ? r->late : r->main;
	size_t *cnt = late ? &r->late_cnt : &r->main_cnt;
	free(e->note);
	r->table -= share(&e->item.key);
	memmove(e, e + 1, (size_t)(all + *cnt - e - 1) * sizeof *e);
	--*cnt;
}

const struct s13_entry *s13_register_rival(const struct s13_register *r, const struct s13_item *item)
{
	uint64_t width = item->key.b - item->key.a;
	if (item->key.kind != S13_TACS || width == 0)
		return NULL;
	// ranges of this width that overlap begin at most so far before it
	struct s13_key from = {.kind = S13_TACS, .a = item->key.a > width ? item->key.a - width : 0};
	for (const struct s13_entry *e = s13_register_next(r, &from); e && e->item.key.a <= item->key.b;
	     e = s13_register_next(r, &e->item.key)) {
		const struct s13_key *k = &e->item.key;
		if (k->b - k->a == width && k->b >= item->key.a && k->a != item->key.a && e->item.color != item->color)
			return e;
	}
	return NULL;
}

bool s13_register_table(struct s13_register *r, uint8_t **out, size_t *len)
{
	size_t n = s13_register_cnt(r);
	struct s13_item *items = n ? malloc(n * sizeof *items) : NULL;
	*out = n ? malloc(S13_TABLE_LEN(n)) : NULL;
	*len = 0;
	if (n && items && *out && merge(r)) {
		for (size_t i = 0; i < n; i++)
			items[i] = r->main[i].item;
		*len = s13_table_make(items, n, *out);
	}
	free(items);
	if (n == 0 || *len)
		return true;
	free(*out);
	*out = NULL;
	return false;
}

// ---- on disk

struct slice s13_key_octets(const struct s13_key *k, uint8_t out[S13_KEY_LEN])
{
	struct wr w = wr_of(out, S13_KEY_LEN);
	wr_u8(&w, (uint8_t)k->kind);
	wr_u64(&w, k->a);
	wr_u64(&w, k->b);
	return wr_done(&w);
}

struct slice s13_body_octets(const struct s13_item *item, struct slice note, uint8_t out[1 + S13_NOTE_MAX])
{
	struct wr w = wr_of(out, 1 + S13_NOTE_MAX);
	wr_u8(&w, item->color);
	wr_slice(&w, note);
	return wr_done(&w);
}

bool s13_item_read(struct slice key, struct slice body, struct s13_item *item, struct slice *note)
{
	struct rd k = rd_slice(key), b = rd_slice(body);
	unsigned kind = rd_u8(&k);
	*item = (struct s13_item){.key = {.kind = (enum s13_kind)kind}};
	item->key.a = rd_u64(&k);
	item->key.b = rd_u64(&k);
	item->color = rd_u8(&b);
	*note = rd_bytes(&b, rd_left(&b));
	return !k.err && !b.err && kind >= S13_PAIR && kind <= S13_TACS && item->color < S13_COLOR_CNT && note->len <= S13_NOTE_MAX;
}

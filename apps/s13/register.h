// The equipment register in the loader: its items in memory, in order, with their notes. Main thread.
#pragma once
#include "apps/s13/table.h"
#include "lib/base/err.h"

#define S13_NOTE_MAX 200
#define S13_ITEMS_MAX 4000000u

struct s13_entry {
	struct s13_item item;
	char *note; // owned; NULL: none
};

struct s13_register; // opaque, heap
struct s13_register *s13_register_new(void);
void s13_register_free(struct s13_register **r);

size_t s13_register_cnt(const struct s13_register *r);
// NULL: there is no such item. Valid until the next change.
const struct s13_entry *s13_register_find(const struct s13_register *r, const struct s13_key *key);
// The first item behind `after` (NULL: the first of all); NULL at the end.
const struct s13_entry *s13_register_next(const struct s13_register *r, const struct s13_key *after);
// From now on new items are refused that could make the table for workers larger than that; 0: none are.
void s13_register_limit(struct s13_register *r, size_t octets);
// Adds or replaces. -ENOMEM, or -ENOSPC: there are S13_ITEMS_MAX, or the limit is reached.
int s13_register_put(struct s13_register *r, const struct s13_item *item, struct slice note) MUST_USE;
void s13_register_remove(struct s13_register *r, const struct s13_key *key);
// A range of TACs of another colour that is as wide as this one and overlaps it, so that nothing says which of the two counts;
// NULL: none.
const struct s13_entry *s13_register_rival(const struct s13_register *r, const struct s13_item *item);
// Makes the table for workers (table.h), which the caller frees. false: no memory.
bool s13_register_table(struct s13_register *r, uint8_t **out, size_t *len) MUST_USE;

// An item as it is on disk (commit/item.h).
#define S13_KEY_LEN 17
struct slice s13_key_octets(const struct s13_key *k, uint8_t out[S13_KEY_LEN]);
struct slice s13_body_octets(const struct s13_item *item, struct slice note, uint8_t out[1 + S13_NOTE_MAX]);
bool s13_item_read(struct slice key, struct slice body, struct s13_item *item, struct slice *note);

// Items: what an application keeps that is no subscriber's, octets under a key. They are durable with the operation that
// puts them; the application has them in its memory and publishes of them what workers need (builder_common_set).
#pragma once
#include "loader/commit/txn.h"

// Puts an item into the operation that has been begun; an empty body removes it. What does not fit is told by txn_add.
static inline void item_put(struct loader *l, unsigned app, struct slice key, struct slice body)
{
	const struct item_image i = {.app = (uint8_t)app, .key = key, .body = body};
	struct wr w = txn_entry(l);
	if (key.len == 0 || key.len > ITEM_KEY_MAX || body.len > ITEM_BODY_MAX)
		w.err = true;
	entry_put_item(&w, &i);
	txn_entry_end(l, &w, ENTRY_ITEM, (imsi_t){0});
}

// S13 in the loader (loader/app.h): reads the equipment register at the start and publishes it.
#include "apps/s13/loader.h"
#include <errno.h>
#include <stdlib.h>
#include "apps/apps.h"
#include "lib/base/log.h"
#include "loader/app.h"

static bool read_item(void *ctx, const struct item_image *i)
{
	struct s13_register *r = ctx;
	struct s13_item item;
	struct slice note;
	if (!s13_item_read(i->key, i->body, &item, &note)) {
		log_error("equipment_item_unread", LOG_INT("octets", i->body.len)); // of a later version
		return true;
	}
	return s13_register_put(r, &item, note) == 0;
}

bool s13_publish(struct loader *l)
{
	uint8_t *table;
	size_t len;
	bool made = s13_register_table(s13_register_of(l, app_s13), &table, &len);
	struct s13_own *own = l->own[app_s13];
	own->unpublished = false;
	bool done = made && builder_common_set(l->builder, app_s13, slice_of(table, len)) == 0;
	free(table);
	if (!done)
		log_error("cache_full", LOG_STR("application", "s13"));
	return done;
}

static int start(struct loader *l)
{
	struct s13_own *own = calloc(1, sizeof *own);
	l->own[app_s13] = own;
	if (own)
		own->items = s13_register_new();
	if (!own || !own->items)
		return -ENOMEM;
	int rc = local_each_item(l->local, app_s13, read_item, own->items);
	// The new table and those that workers may still read share the cache's blobs with the profiles.
	size_t room = l->cache->blob_len / 4;
	s13_register_limit(own->items, room < CACHE_COMMON_MAX ? room : CACHE_COMMON_MAX);
	if (rc == 0)
		(void)s13_publish(l);
	return rc;
}

// An import publishes at its end. One that was broken off is published here, when no piece has come for a second.
static void tick(struct loader *l)
{
	struct s13_own *own = l->own[app_s13];
	if (!own)
		return;
	if (own->unpublished && !own->recent)
		(void)s13_publish(l);
	own->recent = false;
}

static void stop(struct loader *l)
{
	struct s13_own *own = l->own[app_s13];
	l->own[app_s13] = NULL;
	if (own)
		s13_register_free(&own->items);
	free(own);
}

const struct loader_app s13_loader = {
	.name = "s13",
	.number = app_s13,
	.start = start,
	.tick = tick,
	.stop = stop,
	.commands = s13_commands,
};

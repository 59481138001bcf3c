// S13 in the loader: the equipment register, kept as items and published as a table.
#pragma once
#include "apps/s13/register.h"
#include "loader/admin/admin.h"

struct s13_own {
	struct s13_register *items;
	// Pieces of an import are on disk that workers do not know yet; one has come since the last tick.
	bool unpublished, recent;
};

static inline struct s13_register *s13_register_of(const struct loader *l, unsigned number)
{
	const struct s13_own *own = l->own[number];
	return own->items;
}
// Makes the workers' table anew. false: the cache has no room for it (logged); the one before stays.
bool s13_publish(struct loader *l);
extern const struct admin_command s13_commands[];

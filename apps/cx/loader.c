// Cx in the loader: how its state and its data get into the cache (loader/app.h).
#include "apps/apps.h"
#include "apps/cx/registration.h"
#include "loader/app.h"

static bool pack(struct builder *b, bool data, struct cache_state *s, uint8_t *buf)
{
	return data ? cx_data_pack(b, s, buf) : cx_state_pack(b, s, buf);
}

const struct loader_app cx_loader = {
	.name = "cx",
	.number = app_cx,
	.pack = pack,
	.identities = cx_data_identities,
};

// Composes parts from rows (parts.h). Owns the memory that their octets lie in.
#include "loader/commit/parts.h"
#include "loader/app.h"

static uint8_t octets[LOCAL_ROW_MAX][CACHE_STATE_OVERHEAD + STATE_BODY_MAX];

void parts_begin(struct parts *p, bool all)
{
	p->extra = (struct builder_extra){
		.part = p->part, .identity = p->identity, .keep_parts = !all, .keep_identities = !all};
}

bool parts_add(struct loader *l, struct parts *p, const struct state_row *row)
{
	static uint8_t packed[STATE_BODY_MAX];
	const struct loader_app *app = loader_app(l, row->app);
	struct builder_extra *x = &p->extra;
	bool data = row->app >= STATE_ROW_DATA;
	struct cache_state s = {.version = row->version, .key = row->key[0], .body = row->body};
	if (!app || row->body.len > STATE_BODY_MAX || x->part_cnt == LOCAL_ROW_MAX)
		return false;
	if (row->body.len && app->pack && !app->pack(l->builder, data, &s, packed))
		return false;
	p->part[x->part_cnt] = cache_state_part(app->number, data ? CACHE_DATA : CACHE_STATE, &s, row->body.len == 0,
						octets[x->part_cnt]);
	x->part_cnt++;
	if (!data)
		return true;
	x->keep_identities = false;
	if (app->identities && row->body.len)
		x->identity_cnt += app->identities(row->body, p->identity + x->identity_cnt,
						   CACHE_IDENTITY_CNT_MAX - x->identity_cnt);
	return true;
}

// Writes and reads the state as octets, in the row's form and in the cache's (state.h). Pure.
#include "apps/swx/state.h"
#include "apps/apps.h"
#include "lib/base/ident.h"

#define VERSION_1 1

static void put_server(struct wr *w, const struct swx_state *s)
{
	wr_blob16(w, s->host);
	wr_blob16(w, s->realm);
}

static void get_server(struct rd *r, struct swx_state *s)
{
	s->host = rd_blob16(r);
	s->realm = rd_blob16(r);
	r->err |= s->host.len > 255 || s->realm.len > 255; // the row may be what another program wrote
}

void swx_state_put(struct wr *w, const struct swx_state *s, bool keep_time)
{
	if (!s->host.len && !keep_time)
		return;
	wr_u8(w, VERSION_1);
	wr_u8(w, s->flags);
	wr_u32(w, s->time_s);
	put_server(w, s);
	wr_u8(w, (uint8_t)s->gateways.cnt);
	gateways_put(w, &s->gateways, SWX_GATEWAY_INFO_MAX);
}

// Only the heads: the array is large, and its rest is not looked at.
static void state_clear(struct swx_state *s)
{
	s->host = s->realm = (struct slice){0};
	s->flags = 0;
	s->time_s = 0;
	s->gateways.cnt = 0;
	s->version = 0;
}

bool swx_state_get(struct slice body, struct swx_state *out)
{
	struct rd r = rd_slice(body);
	state_clear(out);
	uint8_t version = rd_u8(&r);
	out->flags = rd_u8(&r);
	out->time_s = rd_u32(&r);
	get_server(&r, out);
	unsigned gateways = rd_u8(&r);
	if (version == VERSION_1 && gateways_get(&r, &out->gateways, SWX_GATEWAYS_MAX, SWX_GATEWAY_INFO_MAX) && out->gateways.cnt == gateways)
		return true;
	state_clear(out);
	return false;
}

// ---- in the cache: the server, shared; the flags in the note; time and gateways as octets

bool swx_state_pack(struct builder *b, struct cache_state *s, uint8_t *buf)
{
	struct swx_state st;
	uint8_t server[2 * 512];
	struct wr name = wr_of(server, sizeof server), w = wr_of(buf, SWX_STATE_MAX);
	if (!swx_state_get(s->body, &st))
		return false;
	put_server(&name, &st);
	if (name.err || !(s->shared[0] = builder_shared(b, wr_done(&name))))
		return false;
	s->shared_cnt = 1;
	s->note = st.flags;
	wr_u32(&w, st.time_s);
	gateways_put(&w, &st.gateways, SWX_GATEWAY_INFO_MAX);
	s->body = wr_done(&w);
	return !w.err;
}

void swx_state_of(const struct cache *c, const struct cache_record *r, struct swx_state *out)
{
	struct cache_state s;
	state_clear(out);
	if (!cache_state_find(c, r, app_swx, &s) || s.shared_cnt != 1)
		return;
	struct rd server = rd_slice(cache_shared_get(c, s.shared[0])), body = rd_slice(s.body);
	get_server(&server, out);
	out->flags = (uint8_t)s.note;
	out->time_s = rd_u32(&body);
	if (server.err || !gateways_get(&body, &out->gateways, SWX_GATEWAYS_MAX, SWX_GATEWAY_INFO_MAX))
		state_clear(out);
	out->version = s.version;
}

// Writes and reads what application servers keep about a subscriber as octets (state.h); the cache has the row's own. Pure.
#include "apps/sh/state.h"
#include "apps/apps.h"

#define VERSION_1 1

enum subscription_flag { SUBSCRIPTION_ONE_TIME = 1 };

void sh_state_put(struct wr *w, const struct sh_state *s)
{
	if (s->service_cnt == 0 && s->subscription_cnt == 0)
		return;
	wr_u8(w, VERSION_1);
	wr_u8(w, (uint8_t)s->service_cnt);
	for (unsigned i = 0; i < s->service_cnt; i++) {
		wr_u64(w, s->service[i].scope);
		wr_u16(w, s->service[i].sequence);
		wr_blob8(w, s->service[i].indication);
		wr_blob16(w, s->service[i].data);
	}
	wr_u8(w, (uint8_t)s->watcher_cnt);
	for (unsigned i = 0; i < s->watcher_cnt; i++) {
		wr_blob8(w, s->watcher[i].host);
		wr_blob8(w, s->watcher[i].realm);
		wr_blob8(w, s->watcher[i].identity);
	}
	wr_u8(w, (uint8_t)s->subscription_cnt);
	for (unsigned i = 0; i < s->subscription_cnt; i++) {
		wr_u8(w, s->subscription[i].watcher);
		wr_u8(w, s->subscription[i].reference);
		wr_u8(w, s->subscription[i].one_time ? SUBSCRIPTION_ONE_TIME : 0);
		wr_u32(w, s->subscription[i].expires_s);
		wr_blob8(w, s->subscription[i].key);
	}
}

static bool get_services(struct rd *r, struct sh_state *s)
{
	unsigned n = rd_u8(r);
	for (; !r->err && s->service_cnt < n; s->service_cnt++) {
		if (s->service_cnt == SH_SERVICES_MAX)
			return false;
		struct sh_service *v = &s->service[s->service_cnt];
		v->scope = rd_u64(r);
		v->sequence = rd_u16(r);
		v->indication = rd_blob8(r);
		v->data = rd_blob16(r);
	}
	return !r->err;
}

static bool get_watchers(struct rd *r, struct sh_state *s)
{
	unsigned n = rd_u8(r);
	for (; !r->err && s->watcher_cnt < n; s->watcher_cnt++) {
		if (s->watcher_cnt == SH_WATCHERS_MAX)
			return false;
		struct sh_watcher *v = &s->watcher[s->watcher_cnt];
		v->host = rd_blob8(r);
		v->realm = rd_blob8(r);
		v->identity = rd_blob8(r);
	}
	return !r->err;
}

static bool get_subscriptions(struct rd *r, struct sh_state *s)
{
	unsigned n = rd_u8(r);
	for (; !r->err && s->subscription_cnt < n; s->subscription_cnt++) {
		if (s->subscription_cnt == SH_SUBSCRIPTIONS_MAX)
			return false;
		struct sh_subscription *v = &s->subscription[s->subscription_cnt];
		v->watcher = rd_u8(r);
		v->reference = rd_u8(r);
		v->one_time = rd_u8(r) & SUBSCRIPTION_ONE_TIME;
		v->expires_s = rd_u32(r);
		v->key = rd_blob8(r);
		if (v->watcher >= s->watcher_cnt)
			return false;
	}
	return !r->err;
}

// Only the heads: the arrays are large, and their rest is not looked at.
static void state_clear(struct sh_state *s)
{
	s->service_cnt = s->watcher_cnt = s->subscription_cnt = 0;
	s->version = 0;
}

bool sh_state_get(struct slice body, struct sh_state *out)
{
	struct rd r = rd_slice(body);
	state_clear(out);
	if (rd_u8(&r) == VERSION_1 && get_services(&r, out) && get_watchers(&r, out) && get_subscriptions(&r, out))
		return true;
	state_clear(out);
	return false;
}

void sh_state_of(const struct cache *c, const struct cache_record *r, struct sh_state *out)
{
	struct cache_state s;
	state_clear(out);
	if (!cache_state_find(c, r, app_sh, &s))
		return;
	if (s.body.len)
		(void)sh_state_get(s.body, out);
	out->version = s.version;
}

const struct sh_service *sh_service_find(const struct sh_state *s, uint64_t scope, struct slice indication)
{
	for (unsigned i = 0; i < s->service_cnt; i++)
		if (s->service[i].scope == scope && slice_eq(s->service[i].indication, indication))
			return &s->service[i];
	return NULL;
}

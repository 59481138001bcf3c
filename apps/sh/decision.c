// See decision.h. Pure: no clock, no memory of its own.
#include "apps/sh/decision.h"
#include "apps/sh/references.h"
#include "lib/diameter/dict.h"

#define ROW_VERSION 1

// ---- rows

bool sh_row_put(struct wr *w, const struct sh_row *row)
{
	if (row->identity.len > 255 || row->key.len > 255)
		return false;
	wr_u8(w, ROW_VERSION);
	wr_u8(w, row->reference);
	wr_u8(w, (uint8_t)row->identity.len);
	wr_slice(w, row->identity);
	wr_u8(w, (uint8_t)row->key.len);
	wr_slice(w, row->key);
	wr_u8(w, row->last);
	wr_u16(w, row->sequence);
	return !w->err && wr_len(w) <= SH_ROW_MAX;
}

bool sh_row_get(struct slice data, struct sh_row *out)
{
	struct rd r = rd_slice(data);
	uint8_t version = rd_u8(&r);
	out->reference = rd_u8(&r);
	out->identity = rd_bytes(&r, rd_u8(&r));
	out->key = rd_bytes(&r, rd_u8(&r));
	out->last = rd_u8(&r);
	out->sequence = rd_u16(&r);
	return !r.err && version == ROW_VERSION;
}

bool sh_row_replaces(uint8_t purpose, struct slice newer, struct slice older, struct wr *joined)
{
	struct sh_row n, o;
	(void)purpose;
	(void)joined;
	return sh_row_get(newer, &n) && sh_row_get(older, &o) && n.reference == o.reference && slice_eq(n.identity, o.identity) &&
	       slice_eq(n.key, o.key);
}

// ---- subscriptions

static bool is_over(const struct sh_subscription *s, uint32_t now_s)
{
	return s->expires_s && s->expires_s <= now_s;
}

static void drop_subscription(struct sh_state *s, unsigned i)
{
	s->subscription[i] = s->subscription[--s->subscription_cnt];
}

// Takes out watchers that watch nothing any more.
static void drop_idle_watchers(struct sh_state *s)
{
	for (unsigned i = 0; i < s->watcher_cnt;) {
		bool used = false;
		for (unsigned k = 0; k < s->subscription_cnt; k++)
			used |= s->subscription[k].watcher == i;
		if (used) {
			i++;
			continue;
		}
		unsigned last = --s->watcher_cnt;
		s->watcher[i] = s->watcher[last];
		for (unsigned k = 0; k < s->subscription_cnt; k++)
			if (s->subscription[k].watcher == last)
				s->subscription[k].watcher = (uint8_t)i;
	}
}

// The state to go on with: what has expired is left out.
static void begin(const struct sh_state *now, uint32_t now_s, struct sh_decision *d)
{
	d->next = *now;
	d->changed = d->experimental = false;
	d->result = RESULT_SUCCESS;
	d->rule = NULL;
	d->failed = d->notice_cnt = 0;
	for (unsigned i = 0; i < d->next.subscription_cnt;)
		if (is_over(&d->next.subscription[i], now_s))
			drop_subscription(&d->next, i);
		else
			i++;
	drop_idle_watchers(&d->next);
}

static void refuse(struct sh_decision *d, uint32_t result, bool experimental, const char *rule)
{
	d->result = result;
	d->experimental = experimental;
	d->rule = rule;
	d->notice_cnt = 0;
	d->changed = false;
}

static bool is_watcher(const struct sh_watcher *w, struct slice host, struct slice identity)
{
	return slice_eq_nocase(w->host, host) && slice_eq(w->identity, identity);
}

static int subscription_at(const struct sh_state *s, struct slice host, struct slice identity, uint8_t reference, struct slice key)
{
	for (unsigned i = 0; i < s->subscription_cnt; i++) {
		const struct sh_subscription *v = &s->subscription[i];
		if (v->reference == reference && slice_eq(v->key, key) && is_watcher(&s->watcher[v->watcher], host, identity))
			return (int)i;
	}
	return -1;
}

const struct sh_subscription *sh_subscription_find(const struct sh_state *s, struct slice host, const struct sh_row *row,
						   uint32_t now_s)
{
	int at = subscription_at(s, host, row->identity, row->reference, row->key);
	return at < 0 || is_over(&s->subscription[at], now_s) ? NULL : &s->subscription[at];
}

// A notice to the watcher of this subscription. `last`: the subscription ends with it, also if it was for one time.
static void tell(struct sh_decision *d, const struct sh_subscription *s, uint16_t sequence, bool last)
{
	const struct sh_watcher *w = &d->next.watcher[s->watcher];
	d->notice[d->notice_cnt++] = (struct sh_notice){.host = w->host,
							.realm = w->realm,
							.row = {.reference = s->reference,
								.last = last || s->one_time,
								.sequence = sequence,
								.identity = w->identity,
								.key = s->key}};
}

// ---- PUR

static bool remove_service(struct sh_state *s, const struct sh_service *v)
{
	unsigned i = (unsigned)(v - s->service);
	memmove(&s->service[i], &s->service[i + 1], (--s->service_cnt - i) * sizeof *v);
	return true;
}

static uint32_t octets_of(const struct sh_state *s)
{
	uint32_t n = 0;
	for (unsigned i = 0; i < s->service_cnt; i++)
		n += s->service[i].indication.len + s->service[i].data.len;
	return n;
}

// One instance. false: refused.
static bool store_one(struct sh_decision *d, uint64_t scope, const struct sh_instance *q)
{
	struct sh_state *s = &d->next;
	struct slice indication = sh_instance_indication(q);
	struct sh_service *v = (struct sh_service *)sh_service_find(s, scope, indication);
	if (v ? q->sequence != v->sequence % UINT16_MAX + 1 : q->sequence != 0) {
		refuse(d, EXP_TRANSPARENT_DATA_OUT_OF_SYNC, true, "Sequence-Number: not the one after that of the stored data");
		return false;
	}
	if (!v && !q->has_data) {
		refuse(d, EXP_OPERATION_NOT_ALLOWED, true, "deletion of repository data that do not exist");
		return false;
	}
	if (!q->has_data)
		return remove_service(s, v);
	if (q->data.len > SH_SERVICE_OCTETS || (!v && s->service_cnt == SH_SERVICES_MAX)) {
		refuse(d, EXP_TOO_MUCH_DATA, true, "repository data: too large, or too many services");
		return false;
	}
	if (!v)
		v = &s->service[s->service_cnt++];
	*v = (struct sh_service){.scope = scope, .sequence = q->sequence, .indication = indication, .data = q->data};
	if (octets_of(s) <= SH_REPOSITORY_OCTETS)
		return true;
	refuse(d, EXP_TOO_MUCH_DATA, true, "repository data of one subscriber: too large in all");
	return false;
}

// Tells the other watchers of one instance, and ends what has ended.
static void tell_of(struct sh_decision *d, const struct sh_store *q, const uint64_t scope_of[SH_WATCHERS_MAX],
		    const struct sh_instance *instance)
{
	struct sh_state *s = &d->next;
	for (unsigned i = 0; i < s->subscription_cnt;) {
		const struct sh_subscription *v = &s->subscription[i];
		if (v->reference != SH_REF_REPOSITORY || scope_of[v->watcher] != q->scope ||
		    !slice_eq(v->key, sh_instance_indication(instance))) {
			i++;
			continue;
		}
		bool gone = !instance->has_data, other = !slice_eq_nocase(s->watcher[v->watcher].host, q->host);
		if (other)
			tell(d, v, instance->sequence, gone);
		if (gone || (other && v->one_time))
			drop_subscription(s, i);
		else
			i++;
	}
}

// Has the same request been done already? Its numbers would not fit a second time.
static bool is_done(const struct sh_state *s, const struct sh_store *q)
{
	for (unsigned i = 0; i < q->update->cnt; i++) {
		const struct sh_instance *n = &q->update->instance[i];
		const struct sh_service *v = sh_service_find(s, q->scope, sh_instance_indication(n));
		if (n->has_data ? !v || v->sequence != n->sequence || !slice_eq(v->data, n->data) : v != NULL)
			return false;
	}
	return true;
}

void sh_store(const struct sh_state *now, const struct sh_store *q, struct sh_decision *d)
{
	uint64_t scope_of[SH_WATCHERS_MAX];
	begin(now, q->now_s, d);
	if (q->repeated && is_done(now, q))
		return;
	// watchers may have moved
	for (unsigned i = 0; i < d->next.watcher_cnt; i++)
		for (unsigned k = 0; k < now->watcher_cnt; k++)
			if (is_watcher(&now->watcher[k], d->next.watcher[i].host, d->next.watcher[i].identity))
				scope_of[i] = q->watcher_scope[k];
	for (unsigned i = 0; i < q->update->cnt; i++)
		if (!store_one(d, q->scope, &q->update->instance[i])) {
			d->failed = i;
			return;
		}
	for (unsigned i = 0; i < q->update->cnt; i++)
		tell_of(d, q, scope_of, &q->update->instance[i]);
	drop_idle_watchers(&d->next);
	d->changed = true;
}

// ---- SNR

// The place of the watcher, made if need be; -1: no room.
static int watcher_at(struct sh_state *s, const struct sh_subscribe *q)
{
	for (unsigned i = 0; i < s->watcher_cnt; i++)
		if (is_watcher(&s->watcher[i], q->host, q->identity)) {
			s->watcher[i].realm = q->realm;
			return (int)i;
		}
	if (s->watcher_cnt == SH_WATCHERS_MAX || q->identity.len > 255)
		return -1;
	s->watcher[s->watcher_cnt] = (struct sh_watcher){.host = q->host, .realm = q->realm, .identity = q->identity};
	return (int)s->watcher_cnt++;
}

static void subscribe_one(struct sh_decision *d, const struct sh_subscribe *q, uint8_t reference, struct slice key)
{
	struct sh_state *s = &d->next;
	int at = subscription_at(s, q->host, q->identity, reference, key);
	if (d->result != RESULT_SUCCESS)
		return;
	if (q->unsubscribe) {
		if (at >= 0)
			drop_subscription(s, (unsigned)at);
		d->changed |= at >= 0;
		return;
	}
	if (reference == SH_REF_REPOSITORY && !sh_service_find(s, q->scope, key)) {
		refuse(d, EXP_SUBS_DATA_ABSENT, true, "subscription to repository data that do not exist");
		return;
	}
	int watcher = watcher_at(s, q);
	if (watcher < 0 || (at < 0 && s->subscription_cnt == SH_SUBSCRIPTIONS_MAX) ||
	    SH_ROW_HEAD + q->identity.len + key.len > SH_ROW_MAX) {
		refuse(d, RESULT_UNABLE_TO_COMPLY, false, "too many subscriptions to one subscriber, or names that are too long");
		return;
	}
	bool same = at >= 0 && s->subscription[at].one_time == q->one_time && s->subscription[at].expires_s == q->expires_s;
	if (at < 0)
		at = (int)s->subscription_cnt++;
	d->changed |= !same;
	s->subscription[at] = (struct sh_subscription){.watcher = (uint8_t)watcher,
						       .reference = reference,
						       .one_time = q->one_time,
						       .expires_s = q->expires_s,
						       .key = key};
}

static void subscribe_each(struct sh_decision *d, const struct sh_subscribe *q, uint8_t reference, const struct slice *key,
			   unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		subscribe_one(d, q, reference, key[i]);
}

void sh_subscribe(const struct sh_state *now, const struct sh_subscribe *q, struct sh_decision *d)
{
	static const struct slice none;
	begin(now, q->now_s, d);
	for (unsigned i = 0; i < SH_REF_END; i++) {
		if (!(q->references & SH_BIT(i)))
			continue;
		if (i == SH_REF_REPOSITORY)
			subscribe_each(d, q, SH_REF_REPOSITORY, q->key, q->key_cnt);
		else if (i == SH_REF_CRITERIA)
			subscribe_one(d, q, SH_REF_CRITERIA, q->server_name);
		else if (i == SH_REF_IDENTITIES && q->set_cnt)
			subscribe_each(d, q, SH_REF_IDENTITIES, q->set, q->set_cnt);
		else
			subscribe_one(d, q, (uint8_t)i, none);
	}
	drop_idle_watchers(&d->next);
}

// ---- what others change

void sh_changed(const struct sh_state *now, const bool changed[SH_SUBSCRIPTIONS_MAX], uint32_t now_s, struct sh_decision *d)
{
	bool is[SH_SUBSCRIPTIONS_MAX]; // moves with the subscriptions
	begin(now, 0, d);	       // all are at their places still
	struct sh_state *s = &d->next;
	memcpy(is, changed, sizeof is);
	for (unsigned i = 0; i < s->subscription_cnt;) {
		const struct sh_subscription *v = &s->subscription[i];
		if (!is[i] || is_over(v, now_s)) {
			i++;
			continue;
		}
		tell(d, v, 0, false);
		if (!v->one_time) {
			i++;
			continue;
		}
		d->changed = true;
		is[i] = is[s->subscription_cnt - 1];
		drop_subscription(s, i);
	}
	drop_idle_watchers(s);
}

void sh_unwanted(const struct sh_state *now, struct slice host, const struct sh_row *row, bool all, struct sh_decision *d)
{
	begin(now, 0, d);
	struct sh_state *s = &d->next;
	for (unsigned i = 0; i < s->subscription_cnt;) {
		const struct sh_subscription *v = &s->subscription[i];
		const struct sh_watcher *w = &s->watcher[v->watcher];
		bool named = is_watcher(w, host, row->identity) && v->reference == row->reference && slice_eq(v->key, row->key);
		if (!named && !(all && slice_eq_nocase(w->host, host))) {
			i++;
			continue;
		}
		drop_subscription(s, i);
		d->changed = true;
	}
	drop_idle_watchers(s);
}

// The decisions about locations (location.h). No clock, no cache, no memory of its own.
#include "apps/s6a/location.h"

uint64_t s6a_later(const struct s6a_serving *v, uint64_t now_us)
{
	if (now_us > v->time_us)
		return now_us;
	return v->time_us < INT64_MAX ? v->time_us + 1 : INT64_MAX; // the upstream keeps stamps as int64
}

bool s6a_is_serving(const struct s6a_serving *v, struct slice host)
{
	return v->host.len && slice_eq_nocase(v->host, host);
}

// Adds a cancellation; never for a node that has purged the subscriber (B3), nor for the node that asks.
static void cancel(struct s6a_decision *d, const struct s6a_state *now, enum s6a_kind kind, struct slice asks,
		   uint32_t type, uint32_t flags)
{
	const struct s6a_serving *v = &now->serving[kind];
	if (!v->host.len || s6a_is_serving(v, asks) || v->flags & SERVING_PURGED || d->cancel_cnt == S6A_CANCEL_MAX)
		return;
	d->cancel[d->cancel_cnt++] = (struct s6a_cancel){.kind = kind,
							 .type = type,
							 .flags = kind == S6A_MME ? flags | CLR_S6A : flags,
							 .registered_us = v->time_us,
							 .host = v->host,
							 .realm = v->realm};
}

static void forget(struct s6a_serving *v, uint64_t now_us)
{
	// the time of the removal is kept: whatever the upstream or another node knows from before is older
	*v = (struct s6a_serving){.time_us = v->host.len ? s6a_later(v, now_us) : v->time_us};
}

static void clear_sgsn(struct s6a_decision *d, const struct s6a_state *now, struct slice asks, uint64_t now_us)
{
	cancel(d, now, S6A_SGSN, asks, CANCEL_SGSN_UPDATE, 0);
	forget(&d->next.serving[S6A_SGSN], now_us);
}

// Notes that the node is sent the data of `mark`. A node that was sent data with another mark does not have
// the current ones.
static void mark_data(struct s6a_state *s, enum s6a_kind kind, uint32_t mark)
{
	if (s->data_mark != mark)
		for (unsigned i = 0; i < S6A_KIND_CNT; i++)
			s->serving[i].flags &= (uint8_t)~SERVING_HAS_DATA;
	s->data_mark = mark;
	s->serving[kind].flags |= SERVING_HAS_DATA;
}

void s6a_sent_data(const struct s6a_state *now, enum s6a_kind kind, uint32_t mark, struct s6a_decision *d)
{
	*d = (struct s6a_decision){.next = *now};
	mark_data(&d->next, kind, mark);
}

void s6a_update_location(const struct s6a_state *now, const struct s6a_update *u, struct s6a_decision *d)
{
	enum s6a_kind kind = u->kind, other = kind == S6A_MME ? S6A_SGSN : S6A_MME;
	*d = (struct s6a_decision){.next = *now};
	cancel(d, now, kind, u->host, kind == S6A_MME ? CANCEL_MME_UPDATE : CANCEL_SGSN_UPDATE, 0);
	if (kind == S6A_MME && u->clear_sgsn && now->serving[S6A_SGSN].host.len)
		clear_sgsn(d, now, u->host, u->now_us);
	else if (u->cancel_other)
		cancel(d, now, other, u->host, CANCEL_INITIAL_ATTACH, 0);
	struct s6a_serving *v = &d->next.serving[kind];
	bool had_data = s6a_is_serving(v, u->host) && (v->flags & (SERVING_HAS_DATA | SERVING_PURGED)) == SERVING_HAS_DATA;
	*v = (struct s6a_serving){.host = u->host,
				  .realm = u->realm,
				  .time_us = s6a_later(&now->serving[kind], u->now_us),
				  .flags = (uint8_t)((u->combined ? SERVING_COMBINED : 0) |
						     (u->gprs ? SERVING_GPRS_DATA : 0) |
						     (u->one_msisdn ? SERVING_ONE_MSISDN : 0) |
						     (had_data ? SERVING_HAS_DATA : 0))};
	memcpy(v->plmn, u->plmn, 3);
	if (u->imeisv)
		d->next.imeisv = u->imeisv;
	if (u->sends_data)
		mark_data(&d->next, kind, u->data_mark);
}

static uint32_t freeze_flags(bool mme, bool sgsn)
{
	return (mme ? PUA_FREEZE_M_TMSI : 0u) | (sgsn ? PUA_FREEZE_P_TMSI : 0u);
}

bool s6a_purge(const struct s6a_state *now, struct slice host, uint32_t pur_flags, struct s6a_decision *d)
{
	bool mme = s6a_is_serving(&now->serving[S6A_MME], host), sgsn = s6a_is_serving(&now->serving[S6A_SGSN], host);
	uint32_t part = pur_flags & (PUR_MME | PUR_SGSN);
	*d = (struct s6a_decision){.next = *now};
	// a combined node may name one of its two parts
	if (mme && sgsn && part == PUR_MME)
		sgsn = false;
	else if (mme && sgsn && part == PUR_SGSN)
		mme = false;
	if (mme)
		d->next.serving[S6A_MME].flags |= SERVING_PURGED;
	if (sgsn)
		d->next.serving[S6A_SGSN].flags |= SERVING_PURGED;
	d->pua_flags = freeze_flags(mme, sgsn);
	return mme || sgsn;
}

uint32_t s6a_purged_flags(const struct s6a_state *now, struct slice host)
{
	bool purged[S6A_KIND_CNT];
	for (unsigned i = 0; i < S6A_KIND_CNT; i++)
		purged[i] = s6a_is_serving(&now->serving[i], host) && now->serving[i].flags & SERVING_PURGED;
	return freeze_flags(purged[S6A_MME], purged[S6A_SGSN]);
}

bool s6a_notify(const struct s6a_state *now, struct slice host, uint64_t now_us, uint64_t imeisv, bool clear,
		struct s6a_decision *d)
{
	bool sgsn = s6a_is_serving(&now->serving[S6A_SGSN], host);
	*d = (struct s6a_decision){.next = *now};
	if (!sgsn && !s6a_is_serving(&now->serving[S6A_MME], host))
		return false;
	if (clear && !sgsn && now->serving[S6A_SGSN].host.len)
		clear_sgsn(d, now, host, now_us);
	if (imeisv)
		d->next.imeisv = imeisv;
	return true;
}

void s6a_withdraw(const struct s6a_state *now, uint64_t now_us, uint32_t clr_flags, struct s6a_decision *d)
{
	*d = (struct s6a_decision){.next = *now};
	for (unsigned i = 0; i < S6A_KIND_CNT; i++) {
		cancel(d, now, (enum s6a_kind)i, (struct slice){0}, CANCEL_WITHDRAWAL, clr_flags);
		forget(&d->next.serving[i], now_us);
	}
	d->next.data_mark = 0;
}

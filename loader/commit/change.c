// A worker's change of state (ULR, PUR, NOR of TS 29.272; procedures B2, B4, B7): checked against the current
// record, composed as the whole state row after it, with the CLRs that follow in the same commit. Loader
// process; laws 6 and 9.
#include <errno.h>
#include "loader/commit/load.h"
#include "loader/upstream/outbox.h"
#include "loader/commit/hss_request.h"
#include "loader/commit/txn.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"

#define PUR_MME           1 // PUR-Flags: UE purged in MME / in SGSN (TS 29.272 7.3.149)
#define PUR_SGSN          2
#define PUA_FREEZE_M_TMSI 1
#define PUA_FREEZE_P_TMSI 2
#define VENDOR_3GPP       10415
#define HDR_RESENT        1 // ipc_hdr.flags of a CHANGE: sent again after a loader restart

// One CHANGE on its way through.
struct change {
	struct loader *l;
	unsigned worker;
	const struct ipc_hdr *hdr;
	struct ipc_change c;
	struct slice host, realm, ext;
	const struct cache_record *rec; // as it is
	struct op *op;                  // with the record as it will be
	struct slice mme_host, mme_realm, sgsn_host, sgsn_realm;
};

static void ack(struct loader *l, unsigned worker, uint64_t id, uint32_t status, uint32_t flags)
{
	struct ipc_change_ack a = {.status = status, .flags = flags};
	l->send(l, ROLE_WORKER, worker, IPC_CHANGE_ACK, id, &a, sizeof(a));
}

static void on_done(struct loader *l, struct op *op, int error)
{
	loader_stat(l, STAT_CHANGES, error == 0);
	if (error == 0 && l->outbox)
		outbox_state(l, op->rec.imsi);
	if (op->generation == l->worker[op->index].generation)
		ack(l, op->index, op->id, error ? CHANGE_REFUSED : CHANGE_DONE, (uint32_t)op->answer[0]);
}

static bool parse(struct change *ch, const uint8_t *body, uint32_t len)
{
	struct rd r = rd_of(body, len);
	const uint8_t *p = rd_take(&r, sizeof(ch->c));
	if (!p)
		return false;
	memcpy(&ch->c, p, sizeof(ch->c));
	ch->host = rd_bytes(&r, ch->c.host_len);
	ch->realm = rd_bytes(&r, ch->c.realm_len);
	ch->ext = rd_bytes(&r, ch->c.ext_len);
	return !r.err && ch->host.len > 0 && ch->host.len <= 255 && ch->realm.len <= 255;
}

// ---- duplicates
// ------------------------------------------------------------------------------------------------

static struct dup_entry *dup_slot(const struct loader *l, imsi_t imsi)
{
	return &l->dup[ident_hash(imsi.v) & (DUP_CNT - 1)];
}

// The key of the change before the last one. What memory does not hold the state row knows; it is only asked
// about requests that say that they are repeated.
static uint64_t key_before(const struct change *ch)
{
	const struct dup_entry *d = dup_slot(ch->l, ch->rec->imsi);
	struct slice body;
	struct state_image s;
	if (d->imsi == ch->rec->imsi.v)
		return d->key;
	if (!(ch->c.options & CHANGE_REPEATED) && !(ch->hdr->flags & HDR_RESENT))
		return 0;
	if (local_read_state(ch->l->local, ch->rec->imsi, &body) != 1 || !state_image_get(body, &s))
		return 0;
	return s.key[1];
}

static bool is_duplicate(const struct change *ch)
{
	uint64_t key = ch->c.dup_key;
	return key && (ch->rec->change_key[0] == key || key_before(ch) == key);
}

// ---- the record after the change
// -------------------------------------------------------------------------------

static void current_nodes(struct change *ch)
{
	const struct cache *c = ch->l->cache;
	if (!cache_node_get(c, ch->rec->mme, &ch->mme_host, &ch->mme_realm))
		ch->mme_host = ch->mme_realm = (struct slice){0};
	if (!cache_node_get(c, ch->rec->sgsn, &ch->sgsn_host, &ch->sgsn_realm))
		ch->sgsn_host = ch->sgsn_realm = (struct slice){0};
}

static bool is_mme(const struct change *ch)
{
	return ch->mme_host.len && slice_eq_nocase(ch->mme_host, ch->host);
}

static bool is_sgsn(const struct change *ch)
{
	return ch->sgsn_host.len && slice_eq_nocase(ch->sgsn_host, ch->host);
}

// Never to a node that is marked purged (B3), nor to the node that asks.
static void cancel_mme(struct change *ch, uint32_t type)
{
	if (ch->mme_host.len && !is_mme(ch) && !(ch->rec->flags & RECORD_MME_PURGED))
		own_clr(ch->l, ch->op, ch->rec->imsi, ch->mme_host, ch->mme_realm, type, CLR_S6A, ch->worker);
}

static void cancel_sgsn(struct change *ch, uint32_t type)
{
	if (ch->sgsn_host.len && !is_sgsn(ch) && !(ch->rec->flags & RECORD_SGSN_PURGED))
		own_clr(ch->l, ch->op, ch->rec->imsi, ch->sgsn_host, ch->sgsn_realm, type, 0, ch->worker);
}

static void forget_sgsn(struct change *ch)
{
	struct cache_record *n = &ch->op->rec;
	// the upstream, and other nodes there, take what is newer than what they have
	n->sgsn_time_us = n->sgsn && ch->l->outbox ? clock_wall_after_us(n->sgsn_time_us) : 0;
	n->sgsn = 0;
	n->flags &= (uint8_t)~RECORD_SGSN_PURGED;
	memset(n->sgsn_plmn, 0, 3);
	ch->sgsn_host = ch->sgsn_realm = (struct slice){0};
}

static enum change_status ulr_mme(struct change *ch)
{
	struct cache_record *n = &ch->op->rec;
	cancel_mme(ch, CANCEL_MME_UPDATE);
	if (ch->c.options & CHANGE_CLEAR_SGSN && ch->sgsn_host.len) {
		cancel_sgsn(ch, CANCEL_SGSN_UPDATE);
		forget_sgsn(ch);
	} else if (ch->c.options & CHANGE_CANCEL_OTHER) {
		cancel_sgsn(ch, CANCEL_INITIAL_ATTACH);
	}
	n->mme = builder_node(ch->l->builder, ch->host, ch->realm);
	n->mme_time_us = clock_wall_after_us(n->mme_time_us);
	memcpy(n->mme_plmn, ch->c.plmn, 3);
	n->flags &= (uint8_t) ~(RECORD_MME_PURGED | RECORD_MME_COMBINED);
	if (ch->c.options & CHANGE_COMBINED)
		n->flags |= RECORD_MME_COMBINED;
	ch->mme_host = ch->host;
	ch->mme_realm = ch->realm;
	return n->mme ? CHANGE_DONE : CHANGE_REFUSED;
}

static enum change_status ulr_sgsn(struct change *ch)
{
	struct cache_record *n = &ch->op->rec;
	cancel_sgsn(ch, CANCEL_SGSN_UPDATE);
	if (ch->c.options & CHANGE_CANCEL_OTHER)
		cancel_mme(ch, CANCEL_INITIAL_ATTACH);
	n->sgsn = builder_node(ch->l->builder, ch->host, ch->realm);
	n->sgsn_time_us = clock_wall_after_us(n->sgsn_time_us);
	memcpy(n->sgsn_plmn, ch->c.plmn, 3);
	n->flags &= (uint8_t)~RECORD_SGSN_PURGED;
	ch->sgsn_host = ch->host;
	ch->sgsn_realm = ch->realm;
	return n->sgsn ? CHANGE_DONE : CHANGE_REFUSED;
}

static uint32_t purge_answer(const struct change *ch, bool mme, bool sgsn)
{
	uint32_t part = ch->c.flags & (PUR_MME | PUR_SGSN);
	// a combined node may name one of its two parts
	if (mme && sgsn && (part == PUR_MME || part == PUR_SGSN))
		return part == PUR_MME ? PUA_FREEZE_M_TMSI : PUA_FREEZE_P_TMSI;
	return (mme ? PUA_FREEZE_M_TMSI : 0u) | (sgsn ? PUA_FREEZE_P_TMSI : 0u);
}

static enum change_status pur(struct change *ch)
{
	uint32_t flags = purge_answer(ch, is_mme(ch), is_sgsn(ch));
	if (flags == 0)
		return CHANGE_NOT_SERVING;
	if (flags & PUA_FREEZE_M_TMSI)
		ch->op->rec.flags |= RECORD_MME_PURGED;
	if (flags & PUA_FREEZE_P_TMSI)
		ch->op->rec.flags |= RECORD_SGSN_PURGED;
	ch->op->answer[0] = flags;
	return CHANGE_DONE;
}

static enum change_status nor(struct change *ch)
{
	if (!is_mme(ch) && !is_sgsn(ch))
		return CHANGE_NOT_SERVING;
	if (ch->c.options & CHANGE_CLEAR_SGSN) {
		cancel_sgsn(ch, CANCEL_SGSN_UPDATE);
		if (!is_sgsn(ch))
			forget_sgsn(ch);
	}
	return CHANGE_DONE;
}

static enum change_status apply(struct change *ch)
{
	switch (ch->c.kind) {
	case CHANGE_ULR_MME:
		return ulr_mme(ch);
	case CHANGE_ULR_SGSN:
		return ulr_sgsn(ch);
	case CHANGE_PUR:
		return pur(ch);
	case CHANGE_NOR:
		return nor(ch);
	default:
		return CHANGE_REFUSED;
	}
}

// ---- ext: the AVPs kept as they came, one chunk (blob16) a message
// ---------------------------------------------

// About the same APN; or, without one (a location), the same kind of AVP.
static bool same_context(struct slice a, struct slice b)
{
	struct avp x, y;
	bool in_a = avp_find(a, AVP_CODE_Service_Selection, 0, &x),
	     in_b = avp_find(b, AVP_CODE_Service_Selection, 0, &y);
	if (in_a || in_b)
		return in_a && in_b && slice_eq_nocase(x.data, y.data);
	in_a = avp_find(a, AVP_CODE_Context_Identifier, VENDOR_3GPP, &x);
	in_b = avp_find(b, AVP_CODE_Context_Identifier, VENDOR_3GPP, &y);
	if (in_a || in_b)
		return in_a && in_b && slice_eq(x.data, y.data);
	return a.len >= 4 && b.len >= 4 && memcmp(a.p, b.p, 4) == 0;
}

// NOR and PUR: the chunk replaces the one about the same thing. When there are too many, all before are
// dropped.
static struct slice merge_ext(const struct change *ch, struct slice chunk, uint8_t *out, size_t cap)
{
	struct slice old, one;
	struct wr w = wr_of(out, cap);
	if (local_read_ext(ch->l->local, ch->rec->imsi, &old) == 1) {
		struct rd r = rd_slice(old);
		while (rd_left(&r)) {
			one = rd_blob16(&r);
			if (!r.err && !same_context(one, chunk) &&
			    wr_len(&w) + one.len + chunk.len + 4 <= cap)
				wr_blob16(&w, one);
		}
	}
	wr_blob16(&w, chunk);
	return wr_done(&w);
}

// A ULR's AVPs: what describes the node, and the list of active APNs, which replaces all that is known of
// PDN-GWs (procedures B2 step 11: its node had lost it).
static void split_ulr(const struct change *ch, struct wr *node, struct wr *apns)
{
	struct rd r = rd_slice(ch->ext);
	struct avp a;
	while (avp_next(&r, &a) == AVP_WALK_ONE) {
		struct wr *w = a.code == AVP_CODE_Active_APN && a.vendor == VENDOR_3GPP ? apns : node;
		wr_slice(w, a.whole);
		wr_zero(w, -a.whole.len & 3u);
	}
}

static struct state_extra extra_of(const struct change *ch, uint8_t *a, uint8_t *b, size_t cap)
{
	struct state_extra x = {0};
	if (ch->ext.len == 0 || ch->ext.len > cap - 4)
		return x;
	if (ch->c.kind == CHANGE_NOR || ch->c.kind == CHANGE_PUR) {
		x.ext = merge_ext(ch, ch->ext, a, cap);
		x.has_ext = x.ext.len > 0;
		return x;
	}
	struct wr node = wr_of(a, cap), apns = wr_of(b, cap);
	wr_u16(&apns, 0);
	split_ulr(ch, &node, &apns);
	x.node = wr_done(&node);
	x.has_node = x.node.len > 0;
	x.ext = wr_done(&apns);
	x.has_ext = x.ext.len > 2;
	if (x.has_ext)
		be16_put(b, (uint16_t)(x.ext.len - 2)); // one chunk
	else
		x.ext = (struct slice){0};
	return x;
}

static void write_state(struct change *ch)
{
	struct cache_record *n = &ch->op->rec;
	struct state_image s = {.mme_host = ch->mme_host,
				.mme_realm = ch->mme_realm,
				.sgsn_host = ch->sgsn_host,
				.sgsn_realm = ch->sgsn_realm,
				.mme_time_us = n->mme_time_us,
				.sgsn_time_us = n->sgsn_time_us,
				.imeisv = n->imeisv,
				.key = {ch->c.dup_key, ch->rec->change_key[0]},
				.flags = n->flags};
	uint8_t a[STATE_EXT_MAX], b[STATE_EXT_MAX];
	struct state_extra x = extra_of(ch, a, b, STATE_EXT_MAX);
	memcpy(s.mme_plmn, n->mme_plmn, 3);
	memcpy(s.sgsn_plmn, n->sgsn_plmn, 3);
	x.outbox = ch->l->outbox;
	struct wr w = txn_entry(ch->l);
	entry_put_state(&w, &s, &x);
	txn_entry_end(ch->l, &w, ENTRY_STATE, n->imsi);
}

static void remember_keys(const struct change *ch)
{
	struct dup_entry *d = dup_slot(ch->l, ch->rec->imsi);
	*d = (struct dup_entry){.imsi = ch->rec->imsi.v, .key = ch->rec->change_key[0]};
}

// The answer to a repetition comes from the current state.
static uint32_t duplicate_flags(const struct change *ch)
{
	if (ch->c.kind != CHANGE_PUR)
		return 0;
	uint8_t flags = ch->rec->flags;
	return purge_answer(ch, is_mme(ch) && flags & RECORD_MME_PURGED,
			    is_sgsn(ch) && flags & RECORD_SGSN_PURGED);
}

void change_handle(struct loader *l, unsigned worker, const struct ipc_hdr *hdr, const uint8_t *body,
		   uint32_t len)
{
	struct change ch = {.l = l, .worker = worker, .hdr = hdr};
	if (!parse(&ch, body, len)) {
		ack(l, worker, hdr->id, CHANGE_REFUSED, 0);
		return;
	}
	ch.op = txn_begin(l, ch.c.imsi, STATE_BODY_MAX + 2 * STATE_EXT_MAX + 4096);
	ch.rec = loader_find(l, (imsi_t){ch.c.imsi});
	if (!ch.rec) {
		ack(l, worker, hdr->id, CHANGE_UNKNOWN_USER, 0);
		return;
	}
	current_nodes(&ch);
	if (is_duplicate(&ch)) {
		loader_stat(l, STAT_DUPLICATES, 1);
		ack(l, worker, hdr->id, CHANGE_DUPLICATE, duplicate_flags(&ch));
		return;
	}
	if (local_seq(l->local) - local_folded(l->local) >= l->journal_max) {
		static struct log_limit limit;
		if (log_limit_pass(&limit, 1))
			log_error("journal_full", LOG_INT("entries", l->journal_max));
		ack(l, worker, hdr->id, CHANGE_BUSY, 0);
		return;
	}
	if (!txn_has_slot(l)) {
		ack(l, worker, hdr->id, CHANGE_BUSY, 0);
		return;
	}
	*ch.op = (struct op){.done = on_done,
			     .what = OP_PUT,
			     .rec = *ch.rec,
			     .index = worker,
			     .generation = l->worker[worker].generation,
			     .id = hdr->id};
	enum change_status status = apply(&ch);
	if (ch.c.imeisv)
		ch.op->rec.imeisv = ch.c.imeisv;
	ch.op->rec.change_key[0] = ch.c.dup_key;
	if (status == CHANGE_DONE) {
		write_state(&ch);
		if (txn_add(l, ch.op)) {
			remember_keys(&ch);
			return;
		}
		status = CHANGE_REFUSED;
	} else {
		txn_forget(l, ch.op);
	}
	ack(l, worker, hdr->id, status, 0);
}

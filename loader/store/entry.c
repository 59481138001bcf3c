// Bodies of journal entries and rows: see entry.h. Loader process; used by the main and the fold thread.
#include "loader/store/entry.h"

#define STATE_BODY_VERSION 1
#define DOC_VERSION        2 // 1 had no upstream

static void put_name(struct wr *w, struct slice s)
{
	if (s.len > 255)
		w->err = true;
	wr_u8(w, (uint8_t)s.len);
	wr_slice(w, s);
}

static struct slice get_name(struct rd *r)
{
	return rd_bytes(r, rd_u8(r));
}

void state_image_put(struct wr *w, const struct state_image *s)
{
	wr_u8(w, STATE_BODY_VERSION);
	wr_u8(w, s->flags & STATE_FLAGS);
	wr_bytes(w, s->mme_plmn, 3);
	wr_bytes(w, s->sgsn_plmn, 3);
	wr_u64(w, s->mme_time_us);
	wr_u64(w, s->sgsn_time_us);
	wr_u64(w, s->imeisv);
	wr_u64(w, s->key[0]);
	wr_u64(w, s->key[1]);
	put_name(w, s->mme_host);
	put_name(w, s->mme_realm);
	put_name(w, s->sgsn_host);
	put_name(w, s->sgsn_realm);
}

static void get_plmn(struct rd *r, uint8_t plmn[3])
{
	struct slice s = rd_bytes(r, 3);
	if (s.p)
		memcpy(plmn, s.p, 3);
}

bool state_image_get(struct slice body, struct state_image *out)
{
	struct rd r = rd_slice(body);
	*out = (struct state_image){0};
	if (rd_u8(&r) != STATE_BODY_VERSION)
		return false;
	out->flags = rd_u8(&r) & STATE_FLAGS;
	get_plmn(&r, out->mme_plmn);
	get_plmn(&r, out->sgsn_plmn);
	out->mme_time_us = rd_u64(&r);
	out->sgsn_time_us = rd_u64(&r);
	out->imeisv = rd_u64(&r);
	out->key[0] = rd_u64(&r);
	out->key[1] = rd_u64(&r);
	out->mme_host = get_name(&r);
	out->mme_realm = get_name(&r);
	out->sgsn_host = get_name(&r);
	out->sgsn_realm = get_name(&r);
	return !r.err;
}

void entry_put_state(struct wr *w, const struct state_image *s, const struct state_extra *x)
{
	wr_u8(w, (uint8_t)((x->has_node ? 1 : 0) | (x->has_ext ? 2 : 0) | (x->outbox ? 4 : 0)));
	wr_blob32(w, x->node);
	wr_blob32(w, x->ext);
	state_image_put(w, s);
}

bool entry_get_state(struct slice body, struct slice *state_body, struct state_extra *x)
{
	struct rd r = rd_slice(body);
	uint8_t has = rd_u8(&r);
	x->has_node = has & 1;
	x->has_ext = has & 2;
	x->outbox = has & 4;
	x->node = rd_blob32(&r);
	x->ext = rd_blob32(&r);
	*state_body = rd_bytes(&r, rd_left(&r));
	return !r.err && state_body->len > 0;
}

void record_image_put(struct wr *w, const struct record_image *r)
{
	wr_u8(w, RECORD_BODY_VERSION);
	wr_u8(w, r->alg);
	wr_u8(w, r->flags);
	wr_u16(w, r->amf);
	wr_bytes(w, r->k, 16);
	wr_bytes(w, r->opc, 16);
	wr_bytes(w, r->fp, SQN_FP_LEN);
	wr_u64(w, r->msisdn[0].v);
	wr_u64(w, r->msisdn[1].v);
	wr_u8(w, r->taken_ind);
}

bool record_image_get(struct slice body, struct record_image *out)
{
	struct rd r = rd_slice(body);
	uint8_t version = rd_u8(&r);
	if (body.len != RECORD_BODY_LEN || version < RECORD_BODY_VERSION - 1 || version > RECORD_BODY_VERSION)
		return false;
	out->old_odb = version < RECORD_BODY_VERSION;
	out->alg = rd_u8(&r);
	out->flags = rd_u8(&r);
	out->amf = rd_u16(&r);
	memcpy(out->k, rd_take(&r, 16), 16);
	memcpy(out->opc, rd_take(&r, 16), 16);
	memcpy(out->fp, rd_take(&r, SQN_FP_LEN), SQN_FP_LEN);
	out->msisdn[0].v = rd_u64(&r);
	out->msisdn[1].v = rd_u64(&r);
	out->taken_ind = rd_u8(&r);
	return !r.err;
}

size_t entry_doc_put_size(const struct doc_put *d)
{
	size_t optional = (d->has_sqn ? 16 : 0) + (d->has_upstream ? 16 : 0);
	return 2 + 16 + 4 + d->profile.len + optional + 2 + d->record.len + 4 + d->document.len;
}

void entry_put_doc(struct wr *w, const struct doc_put *d)
{
	wr_u8(w, DOC_VERSION);
	wr_u8(w, (uint8_t)((d->has_sqn ? 1 : 0) | (d->has_upstream ? 2 : 0)));
	wr_bytes(w, d->digest, 16);
	wr_blob32(w, d->profile);
	if (d->has_sqn) {
		wr_u64(w, d->sqn.ceiling);
		wr_u64(w, d->sqn.run);
	}
	if (d->has_upstream) {
		wr_u64(w, d->up_id);
		wr_u64(w, d->up_digest);
	}
	wr_blob16(w, d->record);
	wr_blob32(w, d->document);
}

bool entry_get_doc(struct slice body, struct doc_put *out)
{
	struct rd r = rd_slice(body);
	struct record_image image;
	*out = (struct doc_put){0};
	uint8_t version = rd_u8(&r), has = rd_u8(&r);
	if (version == 0 || version > DOC_VERSION)
		return false;
	out->has_sqn = has & 1;
	out->has_upstream = has & 2;
	const uint8_t *digest = rd_take(&r, 16);
	out->profile = rd_blob32(&r);
	if (out->has_sqn) {
		out->sqn.ceiling = rd_u64(&r);
		out->sqn.run = rd_u64(&r);
	}
	if (out->has_upstream) {
		out->up_id = rd_u64(&r);
		out->up_digest = rd_u64(&r);
	}
	out->record = rd_blob16(&r);
	out->document = rd_blob32(&r);
	if (r.err || !digest)
		return false;
	memcpy(out->digest, digest, 16);
	if (out->has_sqn) {
		if (!record_image_get(out->record, &image))
			return false;
		memcpy(out->sqn.fp, image.fp, SQN_FP_LEN);
	}
	return true;
}

void entry_put_sqn(struct wr *w, const struct sqn_row *r)
{
	wr_bytes(w, r->fp, SQN_FP_LEN);
	wr_u64(w, r->ceiling);
	wr_u64(w, r->run);
}

bool entry_get_sqn(struct slice body, struct sqn_row *out)
{
	struct rd r = rd_slice(body);
	const uint8_t *fp = rd_take(&r, SQN_FP_LEN);
	out->ceiling = rd_u64(&r);
	out->run = rd_u64(&r);
	if (r.err || !fp)
		return false;
	memcpy(out->fp, fp, SQN_FP_LEN);
	return true;
}

void entry_put_ind(struct wr *w, const struct ind_host *i)
{
	wr_u64(w, i->hash);
	wr_u32(w, i->place);
	wr_blob16(w, i->host);
}

bool entry_get_ind(struct slice body, struct ind_host *out)
{
	struct rd r = rd_slice(body);
	out->hash = rd_u64(&r);
	out->place = rd_u32(&r);
	out->host = rd_blob16(&r);
	return !r.err;
}

void entry_put_own(struct wr *w, const struct own_image *o)
{
	wr_u64(w, o->id);
	wr_u64(w, o->created_us);
	wr_u32(w, o->type);
	wr_u32(w, o->flags);
	wr_blob16(w, o->host);
	wr_blob16(w, o->realm);
}

bool entry_get_own(struct slice body, struct own_image *out)
{
	struct rd r = rd_slice(body);
	out->id = rd_u64(&r);
	out->created_us = rd_u64(&r);
	out->type = rd_u32(&r);
	out->flags = rd_u32(&r);
	out->host = rd_blob16(&r);
	out->realm = rd_blob16(&r);
	return !r.err;
}

void entry_put_u64(struct wr *w, uint64_t v)
{
	wr_u64(w, v);
}

bool entry_get_u64(struct slice body, uint64_t *out)
{
	struct rd r = rd_slice(body);
	*out = rd_u64(&r);
	return !r.err;
}

// Writes and reads the bodies of journal entries and rows (entry.h). Pure; the main thread and the fold
// thread of the loader.
#include "loader/store/entry.h"

#define DOC_VERSION        2 // 1 had no upstream

#define STATE_ROW_VERSION  2
// The first version had one application, the first one, and its keys at a fixed place.
#define STATE_ROW_1	   1
#define STATE_ROW_1_KEYS   32
#define STATE_ROW_1_APP	   1

void state_row_put(struct wr *w, const struct state_row *s)
{
	wr_u8(w, STATE_ROW_VERSION);
	wr_u8(w, s->app);
	wr_u16(w, s->version);
	wr_u64(w, s->key[0]);
	wr_u64(w, s->key[1]);
	wr_slice(w, s->body);
}

bool state_row_get(struct slice row, struct state_row *out)
{
	struct rd r = rd_slice(row);
	*out = (struct state_row){0};
	uint8_t version = rd_u8(&r);
	if (version == STATE_ROW_1) { // its application reads such a body, too
		r = rd_slice(row);
		(void)rd_take(&r, STATE_ROW_1_KEYS);
		out->app = STATE_ROW_1_APP;
		out->key[0] = rd_u64(&r);
		out->key[1] = rd_u64(&r);
		out->body = row;
		return !r.err;
	}
	out->app = rd_u8(&r);
	out->version = rd_u16(&r);
	out->key[0] = rd_u64(&r);
	out->key[1] = rd_u64(&r);
	out->body = rd_bytes(&r, rd_left(&r));
	return version == STATE_ROW_VERSION && !r.err;
}

void entry_put_state(struct wr *w, const struct state_row *s, const struct state_kept *k)
{
	wr_u8(w, (uint8_t)((k->has[0] ? 1 : 0) | (k->has[1] ? 2 : 0) | (k->outbox ? 4 : 0)));
	wr_blob32(w, k->blob[0]);
	wr_blob32(w, k->blob[1]);
	state_row_put(w, s);
}

bool entry_get_state(struct slice body, struct slice *row, struct state_kept *k)
{
	struct rd r = rd_slice(body);
	uint8_t has = rd_u8(&r);
	k->has[0] = has & 1;
	k->has[1] = has & 2;
	k->outbox = has & 4;
	k->blob[0] = rd_blob32(&r);
	k->blob[1] = rd_blob32(&r);
	*row = rd_bytes(&r, rd_left(&r));
	return !r.err && row->len > 0;
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

#define ITEM_VERSION 1

void entry_put_item(struct wr *w, const struct item_image *i)
{
	wr_u8(w, ITEM_VERSION);
	wr_u8(w, i->app);
	wr_blob16(w, i->key);
	wr_blob16(w, i->body);
}

bool entry_get_item(struct slice body, struct item_image *out)
{
	struct rd r = rd_slice(body);
	bool known = rd_u8(&r) == ITEM_VERSION;
	out->app = rd_u8(&r);
	out->key = rd_blob16(&r);
	out->body = rd_blob16(&r);
	return known && !r.err && out->key.len;
}

#define HSS_REQUEST_VERSION 2 // the first version's begin with the high octet of the id, which is 0

void entry_put_hss_request(struct wr *w, const struct hss_request_image *o)
{
	wr_u8(w, HSS_REQUEST_VERSION);
	wr_u8(w, o->app);
	wr_u8(w, o->purpose);
	wr_u64(w, o->id);
	wr_u64(w, o->created_us);
	wr_blob16(w, o->host);
	wr_blob16(w, o->realm);
	wr_blob16(w, o->data);
}

static bool get_first_version(struct rd *r, struct hss_request_image *out)
{
	struct slice data;
	out->app = STATE_ROW_1_APP;
	out->id = rd_u64(r);
	out->created_us = rd_u64(r);
	data = rd_bytes(r, 8);
	out->host = rd_blob16(r);
	out->realm = rd_blob16(r);
	out->data = data;
	// the last bit of its flags said which of the two serving nodes it was for
	out->purpose = !r->err && (data.p[7] & 1) ? 1 : 2;
	return !r->err;
}

bool entry_get_hss_request(struct slice body, struct hss_request_image *out)
{
	struct rd r = rd_slice(body);
	*out = (struct hss_request_image){0};
	if (body.len && body.p[0] == 0)
		return get_first_version(&r, out);
	uint8_t version = rd_u8(&r);
	out->app = rd_u8(&r);
	out->purpose = rd_u8(&r);
	out->id = rd_u64(&r);
	out->created_us = rd_u64(&r);
	out->host = rd_blob16(&r);
	out->realm = rd_blob16(&r);
	out->data = rd_blob16(&r);
	return version == HSS_REQUEST_VERSION && !r.err;
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

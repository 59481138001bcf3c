// Writes and reads S6a's state as octets, and reads it from the cache's record (state.h). Pure.
#include "apps/s6a/state.h"

#define VERSION_1 1 // had one mark for all flags, and its row's keys in the middle
#define VERSION_2 2

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

static void get_plmn(struct rd *r, uint8_t plmn[3])
{
	struct slice s = rd_bytes(r, 3);
	if (s.p)
		memcpy(plmn, s.p, 3);
}

void s6a_state_put(struct wr *w, const struct s6a_state *s)
{
	wr_u8(w, VERSION_2);
	wr_u64(w, s->imeisv);
	wr_u32(w, s->data_mark);
	for (unsigned i = 0; i < S6A_KIND_CNT; i++) {
		const struct s6a_serving *v = &s->serving[i];
		wr_u8(w, v->flags);
		wr_bytes(w, v->plmn, 3);
		wr_u64(w, v->time_us);
		put_name(w, v->host);
		put_name(w, v->realm);
	}
}

static bool get_version_1(struct rd *r, struct s6a_state *out)
{
	uint8_t flags = rd_u8(r); // 1 purged in the MME, 2 in the SGSN, 4 combined
	struct s6a_serving *mme = &out->serving[S6A_MME], *sgsn = &out->serving[S6A_SGSN];
	get_plmn(r, mme->plmn);
	get_plmn(r, sgsn->plmn);
	mme->time_us = rd_u64(r);
	sgsn->time_us = rd_u64(r);
	out->imeisv = rd_u64(r);
	(void)rd_take(r, 16);
	mme->host = get_name(r);
	mme->realm = get_name(r);
	sgsn->host = get_name(r);
	sgsn->realm = get_name(r);
	mme->flags = (uint8_t)((flags & 1 ? SERVING_PURGED : 0) | (flags & 4 ? SERVING_COMBINED : 0));
	sgsn->flags = flags & 2 ? SERVING_PURGED : 0;
	return !r->err;
}

bool s6a_state_get(struct slice body, struct s6a_state *out)
{
	struct rd r = rd_slice(body);
	*out = (struct s6a_state){0};
	uint8_t version = rd_u8(&r);
	if (version == VERSION_1 && get_version_1(&r, out))
		return true;
	bool ok = version == VERSION_2;
	if (ok) {
		out->imeisv = rd_u64(&r);
		out->data_mark = rd_u32(&r);
		for (unsigned i = 0; i < S6A_KIND_CNT; i++) {
			struct s6a_serving *v = &out->serving[i];
			v->flags = rd_u8(&r);
			get_plmn(&r, v->plmn);
			v->time_us = rd_u64(&r);
			v->host = get_name(&r);
			v->realm = get_name(&r);
		}
		ok = !r.err;
	}
	if (!ok)
		*out = (struct s6a_state){0};
	return ok;
}

void s6a_state_of(const struct cache *c, const struct cache_record *r, struct s6a_state *out)
{
	*out = (struct s6a_state){.imeisv = r->imeisv, .data_mark = r->data_mark};
	for (unsigned i = 0; i < S6A_KIND_CNT; i++) {
		const struct cache_serving *v = &r->serving[i];
		struct s6a_serving *o = &out->serving[i];
		if (!cache_node_get(c, v->node, &o->host, &o->realm))
			o->host = o->realm = (struct slice){0};
		o->time_us = v->time_us;
		o->flags = v->flags;
		memcpy(o->plmn, v->plmn, 3);
	}
}

struct slice s6a_cancel_data(const struct s6a_cancel *c, uint8_t out[S6A_CANCEL_DATA_LEN])
{
	struct wr w = wr_of(out, S6A_CANCEL_DATA_LEN);
	wr_u32(&w, c->type);
	wr_u32(&w, c->flags);
	wr_u64(&w, c->registered_us);
	return wr_done(&w);
}

bool s6a_cancel_get(uint8_t purpose, struct slice data, struct s6a_cancel *out)
{
	struct rd r = rd_slice(data);
	*out = (struct s6a_cancel){.kind = purpose == S6A_CANCEL_SGSN ? S6A_SGSN : S6A_MME};
	out->type = rd_u32(&r);
	out->flags = rd_u32(&r);
	if (rd_left(&r))
		out->registered_us = rd_u64(&r);
	return !r.err && (purpose == S6A_CANCEL_MME || purpose == S6A_CANCEL_SGSN);
}

struct slice s6a_question_data(const struct s6a_question *q, uint8_t out[S6A_QUESTION_LEN])
{
	struct wr w = wr_of(out, S6A_QUESTION_LEN);
	wr_u32(&w, q->flags);
	wr_u64(&w, q->call);
	return wr_done(&w);
}

bool s6a_question_get(struct slice data, struct s6a_question *out)
{
	struct rd r = rd_slice(data);
	out->flags = rd_u32(&r);
	out->call = rd_u64(&r);
	return !r.err && rd_left(&r) == 0;
}

// Writes and reads registration states as octets, in the row's form and in the cache's (state.h). Pure.
#include "apps/ims/state.h"
#include "apps/apps.h"
#include "lib/base/ident.h"

#define VERSION_1 1

enum row_flag { ROW_REASSIGNMENT = 1 };
// cache_state.note: the flags of the usual state's only pair, or this
enum note_flag { NOTE_PAIRS = 0x80, NOTE_REASSIGNMENT = 0x40, NOTE_NO_PAIR = 0x20, NOTE_FLAGS = 7 };

uint32_t ims_device_of(struct slice private_identity)
{
	uint32_t h = (uint32_t)ident_hash_bytes(private_identity, false);
	return h > IMS_DEVICE_IMSI ? h : ~h;
}

bool ims_state_is_empty(const struct ims_state *s)
{
	return s->scscf.len == 0 && s->pair_cnt == 0 && s->restoration_cnt == 0;
}

static void put_server(struct wr *w, const struct ims_state *s)
{
	const struct slice *name[] = {&s->scscf, &s->host, &s->realm};
	for (unsigned i = 0; i < 3; i++)
		wr_blob16(w, *name[i]);
}

static void get_server(struct rd *r, struct ims_state *s)
{
	s->scscf = rd_blob16(r);
	s->host = rd_blob16(r);
	s->realm = rd_blob16(r);
}

static void put_pairs(struct wr *w, const struct ims_state *s)
{
	wr_u8(w, (uint8_t)s->pair_cnt);
	for (unsigned i = 0; i < s->pair_cnt; i++) {
		wr_u32(w, s->pair[i].device);
		wr_u8(w, s->pair[i].set);
		wr_u8(w, s->pair[i].flags);
	}
	wr_u8(w, (uint8_t)s->restoration_cnt);
	for (unsigned i = 0; i < s->restoration_cnt; i++) {
		wr_u32(w, s->restoration[i].device);
		wr_blob16(w, s->restoration[i].avps);
	}
}

static bool get_pairs(struct rd *r, struct ims_state *s)
{
	unsigned n = rd_u8(r);
	if (n > IMS_PAIRS_MAX)
		return false;
	for (; s->pair_cnt < n; s->pair_cnt++) {
		struct ims_pair *p = &s->pair[s->pair_cnt];
		p->device = rd_u32(r);
		p->set = rd_u8(r);
		p->flags = rd_u8(r);
	}
	n = rd_u8(r);
	if (n > IMS_RESTORATION_MAX)
		return false;
	for (; s->restoration_cnt < n; s->restoration_cnt++) {
		s->restoration[s->restoration_cnt].device = rd_u32(r);
		s->restoration[s->restoration_cnt].avps = rd_blob16(r);
	}
	return !r->err;
}

void ims_state_put(struct wr *w, const struct ims_state *s, bool keep_time)
{
	if (ims_state_is_empty(s) && !keep_time)
		return;
	wr_u8(w, VERSION_1);
	wr_u8(w, s->reassignment ? ROW_REASSIGNMENT : 0);
	wr_u32(w, s->time_s);
	put_server(w, s);
	put_pairs(w, s);
}

// Only the heads: the arrays are large, and their rest is not looked at.
static void state_clear(struct ims_state *s)
{
	s->scscf = s->host = s->realm = (struct slice){0};
	s->time_s = 0;
	s->reassignment = false;
	s->pair_cnt = s->restoration_cnt = 0;
	s->version = 0;
}

bool ims_state_get(struct slice body, struct ims_state *out)
{
	struct rd r = rd_slice(body);
	state_clear(out);
	uint8_t version = rd_u8(&r);
	out->reassignment = rd_u8(&r) & ROW_REASSIGNMENT;
	out->time_s = rd_u32(&r);
	get_server(&r, out);
	if (version == VERSION_1 && get_pairs(&r, out))
		return true;
	state_clear(out);
	return false;
}

// ---- in the cache: the server, shared; the time; the pairs, unless there is at most one, of the IMSI's own private
// identity and set 0

bool ims_state_pack(struct builder *b, struct cache_state *s, uint8_t *buf)
{
	struct ims_state st;
	uint8_t server[3 * 1024];
	struct wr name = wr_of(server, sizeof server), w = wr_of(buf, IMS_STATE_MAX);
	if (!ims_state_get(s->body, &st))
		return false;
	put_server(&name, &st);
	if (name.err || !(s->shared[0] = builder_shared(b, wr_done(&name))))
		return false;
	s->shared_cnt = 1;
	s->note = st.reassignment ? NOTE_REASSIGNMENT : 0;
	bool usual = st.pair_cnt <= 1 && st.restoration_cnt == 0 &&
		     (st.pair_cnt == 0 || (st.pair[0].set == 0 && st.pair[0].device == IMS_DEVICE_IMSI));
	wr_u32(&w, st.time_s);
	if (usual && st.pair_cnt == 0) {
		s->note |= NOTE_NO_PAIR;
	} else if (usual) {
		s->note |= st.pair[0].flags & NOTE_FLAGS;
	} else {
		s->note |= NOTE_PAIRS;
		put_pairs(&w, &st);
	}
	s->body = wr_done(&w);
	return !w.err;
}

void ims_state_of(const struct cache *c, const struct cache_record *r, struct ims_state *out)
{
	struct cache_state s;
	state_clear(out);
	if (!cache_state_find(c, r, app_cx, &s) || s.shared_cnt != 1)
		return;
	struct rd server = rd_slice(cache_shared_get(c, s.shared[0])), body = rd_slice(s.body);
	get_server(&server, out);
	out->time_s = rd_u32(&body);
	out->reassignment = s.note & NOTE_REASSIGNMENT;
	bool ok = !server.err;
	if (s.note & NOTE_PAIRS) {
		ok = get_pairs(&body, out) && ok;
	} else if (!(s.note & NOTE_NO_PAIR)) {
		out->pair[0] = (struct ims_pair){.device = IMS_DEVICE_IMSI, .flags = s.note & NOTE_FLAGS};
		out->pair_cnt = 1;
	}
	if (!ok || body.err)
		state_clear(out);
	out->version = s.version;
}

// ---- questions

enum ims_set_state ims_set_state(const struct ims_state *s, uint8_t set)
{
	enum ims_set_state state = IMS_SET_NOT_REGISTERED;
	for (unsigned i = 0; i < s->pair_cnt; i++) {
		if (s->pair[i].set != set)
			continue;
		if (s->pair[i].flags & IMS_REGISTERED)
			return IMS_SET_REGISTERED;
		if (s->pair[i].flags & IMS_UNREGISTERED)
			state = IMS_SET_UNREGISTERED;
	}
	return state;
}

bool ims_set_pending(const struct ims_state *s, uint8_t set)
{
	for (unsigned i = 0; i < s->pair_cnt; i++)
		if (s->pair[i].set == set && s->pair[i].flags & IMS_PENDING)
			return true;
	return false;
}

bool ims_state_any(const struct ims_state *s)
{
	for (unsigned i = 0; i < s->pair_cnt; i++)
		if (s->pair[i].flags)
			return true;
	return false;
}

unsigned ims_devices_of(const struct ims_state *s, uint8_t set)
{
	unsigned n = 0;
	for (unsigned i = 0; i < s->pair_cnt; i++)
		n += s->pair[i].set == set && s->pair[i].flags & IMS_REGISTERED;
	return n;
}

const struct ims_pair *ims_pair_find(const struct ims_state *s, uint32_t device, uint8_t set)
{
	for (unsigned i = 0; i < s->pair_cnt; i++)
		if (s->pair[i].device == device && s->pair[i].set == set)
			return &s->pair[i];
	return NULL;
}

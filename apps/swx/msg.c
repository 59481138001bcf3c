// How a request's user is found, an answer begun, and a decision sent to the loader (swx.h). It owns no state.
#include "apps/swx/swx.h"
#include "lib/diameter/avp.h"
#include "worker/link.h"
#include "worker/worker.h"

#define VENDOR	     VENDOR_3GPP
#define RESTORATION  1u // Feature-List 1 (TS 29.273 8.2.3.16): the AAA server may restore what the HSS has lost

bool swx_open(struct request *r, unsigned host_slot, unsigned realm_slot, struct swx_subject *s)
{
	s->r = r;
	s->rec = r->imsi.v ? cache_find(&r->w->cache, r->imsi) : NULL;
	if (!s->rec && link_look_up(r))
		return false;
	if (!s->rec || s->rec->flags & RECORD_NO_KEY) {
		r->rule = r->imsi.v ? "unknown subscriber" : "User-Name holds no IMSI";
		request_answer(r, EXP_USER_UNKNOWN, true);
		return false;
	}
	s->profile = cache_profile(&r->w->cache, s->rec);
	s->by = (struct swx_server){.host = request_slot(r, host_slot), .realm = request_slot(r, realm_slot)};
	swx_data_of(&r->w->cache, s->rec, &s->data);
	swx_state_of(&r->w->cache, s->rec, &s->state);
	return true;
}

void swx_answer_begin(const struct swx_subject *s, struct wr *w, uint32_t result, bool experimental, size_t room)
{
	struct request *r = s->r;
	request_answer_begin(r, w, result, experimental, room + request_slot(r, s->user_slot).len + 128);
	avp_put_slice(w, AVP_CODE_User_Name, 0, AVP_M, request_slot(r, s->user_slot));
	if (!request_has(r, s->features_slot))
		return;
	size_t at = avp_group_begin(w, AVP_CODE_Supported_Features, VENDOR, 0);
	avp_put_u32(w, AVP_CODE_Vendor_Id, 0, AVP_M, VENDOR);
	avp_put_u32(w, AVP_CODE_Feature_List_ID, VENDOR, 0, 1);
	avp_put_u32(w, AVP_CODE_Feature_List, VENDOR, 0, RESTORATION);
	avp_group_end(w, at);
}

void swx_answer_server(const struct swx_subject *s, uint32_t result, bool experimental)
{
	struct wr w;
	swx_answer_begin(s, &w, result, experimental, s->state.host.len + 16);
	avp_put_slice(&w, AVP_CODE__3GPP_AAA_Server_Name, VENDOR, AVP_M, s->state.host);
	request_answer_end(s->r, &w);
}

void swx_answer(const struct swx_subject *s, uint32_t result, bool experimental)
{
	struct wr w;
	swx_answer_begin(s, &w, result, experimental, 0);
	request_answer_end(s->r, &w);
}

// ---- changes

void swx_change(struct swx_subject *s, const struct swx_decision *d)
{
	uint8_t state[SWX_STATE_MAX], row[SWX_ROW_LEN];
	struct wr w = wr_of(state, sizeof state);
	struct link_change c = {.version = s->state.version};
	swx_state_put(&w, &d->next, s->r->w->config->store == STORE_MONGODB);
	if (d->terminate)
		c.request[c.request_cnt++] = (struct link_hss_request){.purpose = SWX_TERMINATE,
								       .host = s->state.host,
								       .realm = s->state.realm,
								       .data = swx_row_put(row, d->reason, d->next.time_s)};
	if (w.err || d->next.host.len > 255 || d->next.realm.len > 255) { // a name that does not fit
		request_answer(s->r, RESULT_UNABLE_TO_COMPLY, false);
		return;
	}
	c.state = wr_done(&w);
	link_change(s->r, &c);
}

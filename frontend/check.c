// The checks that every request passes before a worker sees it: version, header bits, application, command,
// local delivery, grammar. A request that fails is answered here. Owns no state (see check.h). Runs in
// hss-frontend; law 2.
#include "frontend/check.h"
#include "frontend/frontend.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/request.h"

static struct check_slots slots_of[CMD_CNT];

void check_verdict(struct verdict *v, uint32_t result)
{
	v->result = result;
	v->e_bit = result / 1000 == 3;
	v->failed_len = 0;
	v->session_id = (struct slice){0};
}

static void note_slot(struct check_slots *s, enum avp_id id, uint8_t slot)
{
	switch (id) {
	case AVP_ID_Session_Id:
		s->session_id = slot;
		break;
	case AVP_ID_Origin_Host:
		s->origin_host = slot;
		break;
	case AVP_ID_Destination_Host:
		s->destination_host = slot;
		break;
	case AVP_ID_Destination_Realm:
		s->destination_realm = slot;
		break;
	case AVP_ID_Route_Record:
		s->route_record = slot;
		break;
	case AVP_ID_Proxy_Info:
		s->proxy_info = slot;
		break;
	default:
		break;
	}
}

void check_init(void)
{
	for (unsigned id = 0; id < CMD_CNT; id++) {
		memset(&slots_of[id], SCREEN_NONE, sizeof slots_of[id]);
		const struct command *cmd = id == CMD_NONE ? NULL : grammar_by_id(id);
		for (unsigned slot = 0; cmd && slot < cmd->slot_cnt; slot++) {
			const struct avp_def *avp = grammar_slot_avp(cmd, slot);
			if (avp)
				note_slot(&slots_of[id], avp->id, (uint8_t)slot);
		}
	}
}

const struct check_slots *check_slots_of(const struct command *cmd)
{
	return &slots_of[cmd->id < CMD_CNT ? cmd->id : CMD_NONE];
}

const struct command *check_command(const struct frontend *fe, const struct conn *c, const struct header *h,
				     struct verdict *v)
{
	uint32_t result = 0;
	int app = frontend_app_index(fe, h->app);
	const struct command *cmd = NULL;

	if (h->version != DIAMETER_VERSION)
		result = RESULT_UNSUPPORTED_VERSION;
	else if (h->flags & HEADER_E)
		result = RESULT_INVALID_HDR_BITS;
	else if (h->app ==
		 APP_BASE) // sessions and accounting of the base protocol: no application of ours has them
		result = RESULT_COMMAND_UNSUPPORTED;
	else if (app < 0 ||
		 !(c->relay || c->app_mask >> app & 1)) // not served, or never agreed on with this peer
		result = RESULT_APPLICATION_UNSUPPORTED;
	else if (!(cmd = grammar_find(h->code, h->app, true)) || request_sent_by_hss(cmd))
		result = RESULT_COMMAND_UNSUPPORTED;
	if (result)
		check_verdict(v, result);
	return result ? NULL : cmd;
}

// Almost always the same spelling: the exact comparison spares folding both.
static bool same_name(struct slice a, struct slice b)
{
	return slice_eq(a, b) || slice_eq_nocase(a, b);
}

static bool loops(const struct frontend *fe, struct slice body)
{
	struct rd r = rd_slice(body);
	struct avp a;
	while (avp_next(&r, &a) == AVP_WALK_ONE)
		if (a.code == AVP_CODE_Route_Record && a.vendor == 0 && same_name(a.data, fe->node.host))
			return true;
	return false;
}

// RFC 6733 6.1.4 for a server that is not an agent; 0 when the request is for us.
static uint32_t delivery(const struct frontend *fe, struct slice host, struct slice realm)
{
	bool ours =
	    realm.len == 0 || same_name(realm, fe->node.realm) || config_realm_served(fe->config, realm);
	if (host.len && same_name(host, fe->node.host))
		return 0;
	if (!ours)
		return RESULT_REALM_NOT_SERVED;
	return host.len ? RESULT_UNABLE_TO_DELIVER : 0;
}

static struct slice find_data(struct slice body, enum avp_code code)
{
	struct avp a;
	return avp_find(body, code, 0, &a) ? a.data : (struct slice){0};
}

bool check_request(const struct frontend *fe, const struct command *cmd, const uint8_t *msg, uint32_t len,
		    struct avp_slot *slots, struct verdict *v)
{
	const struct check_slots *s = check_slots_of(cmd);
	struct slice body = slice_of(msg + DIAMETER_HEADER_LEN, len - DIAMETER_HEADER_LEN);
	struct slice host, realm;
	bool records;

	bool well = grammar_check(cmd, msg, len, slots, v);
	if (!well && v->result == RESULT_INVALID_HDR_BITS)
		return false;
	if (well) {
		host = check_data(msg, slots, s->destination_host);
		realm = check_data(msg, slots, s->destination_realm);
		records = s->route_record != SCREEN_NONE && slots[s->route_record].cnt;
	} else {
		// where it should have gone comes before what is wrong inside (the order of RFC 6733 6.1, 7)
		host = find_data(body, AVP_CODE_Destination_Host);
		realm = find_data(body, AVP_CODE_Destination_Realm);
		records = true;
	}
	uint32_t result = delivery(fe, host, realm);
	if (!result && records && loops(fe, body))
		result = RESULT_LOOP_DETECTED;
	if (result)
		check_verdict(v, result);
	return well && !result;
}

// What operators have nodes asked and told: `hssctl location ask` (IDR-Flags, TS 29.272 5.2.2.1) and `hssctl reset` (RSR,
// TS 29.272 5.2.4.1). Loader process, main thread.
#include <stdlib.h>
#include "apps/apps.h"
#include "apps/s6a/loader.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"
#include "loader/admin/provision.h"
#include "loader/app.h"
#include "loader/commit/hss_request.h"
#include "loader/commit/txn.h"

#define VENDOR_3GPP 10415

enum idr_flag { IDR_USER_STATE = 1 << 2, IDR_LOCATION = 1 << 3, IDR_CURRENT_LOCATION = 1 << 4 };

// ---- location ask

void s6a_location_ask(struct loader *l, struct call *c)
{
	imsi_t imsi;
	struct s6a_state now;
	uint8_t data[S6A_QUESTION_LEN];
	txn_commit(l);
	const struct cache_record *r = provision_find(l, c, &imsi);
	if (!r)
		return;
	s6a_state_of(l->cache, r, &now);
	enum s6a_kind kind = now.serving[S6A_MME].host.len ? S6A_MME : S6A_SGSN;
	const struct s6a_serving *v = &now.serving[kind];
	if (!v->host.len || v->flags & SERVING_PURGED) {
		admin_end(l, c, ADMIN_REFUSED, v->host.len ? "the node that served this subscriber has purged it"
							   : "no node serves this subscriber");
		return;
	}
	bool current = json_is_true(json_object_get(c->args, "current"));
	const struct s6a_question q = {.flags = IDR_USER_STATE | IDR_LOCATION | (current ? IDR_CURRENT_LOCATION : 0u),
				       .call = c->serial};
	const struct hss_request_image row = {.app = app_s6a,
					      .purpose = kind == S6A_MME ? S6A_ASK_MME : S6A_ASK_SGSN,
					      .host = v->host,
					      .realm = v->realm,
					      .data = s6a_question_data(&q, data)};
	if (!hss_request_ask(l, imsi, &row))
		admin_end(l, c, ADMIN_REFUSED, "too many requests wait for other nodes already");
}

static struct slice inside(struct slice avps, uint32_t code)
{
	struct avp a;
	return avp_find(avps, code, VENDOR_3GPP, &a) ? a.data : (struct slice){0};
}

static json_t *number(struct slice avps, uint32_t code)
{
	uint32_t v;
	return avp_u32(inside(avps, code), &v) ? json_integer(v) : json_null();
}

// TS 29.272 7.3.114.
static json_t *user_state(struct slice answer, enum s6a_kind kind)
{
	static const char *const name[] = {"detached", "attached_not_reachable", "attached_reachable", "connected_not_reachable",
					   "connected_reachable", "not_reachable"};
	uint32_t v;
	struct slice node = inside(inside(answer, AVP_CODE_EPS_User_State),
				   kind == S6A_MME ? AVP_CODE_MME_User_State : AVP_CODE_SGSN_User_State);
	bool known = avp_u32(inside(node, AVP_CODE_User_State), &v) && v < sizeof(name) / sizeof(*name);
	return known ? json_string(name[v]) : json_null();
}

// A PLMN and the number behind it (TS 29.272 7.3.117, 7.3.118): `octets` of it count.
static json_t *place(struct slice s, const char *what, unsigned octets)
{
	char plmn[7];
	json_int_t n = 0;
	if (s.len != 3 + octets || !plmn_valid(s.p))
		return json_null();
	for (unsigned i = 0; i < octets; i++)
		n = n << 8 | s.p[3 + i];
	plmn_text(s.p, plmn);
	return json_pack("{s:s,s:I}", "plmn", plmn, what, octets == 4 ? n & 0xfffffff : n);
}

static json_t *location(struct slice answer)
{
	struct slice mme = inside(inside(answer, AVP_CODE_EPS_Location_Information), AVP_CODE_MME_Location_Information);
	struct slice current = inside(mme, AVP_CODE_Current_Location_Retrieved);
	if (!mme.len)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:b}", "cell", place(inside(mme, AVP_CODE_E_UTRAN_Cell_Global_Identity), "eci", 4),
			 "tracking_area", place(inside(mme, AVP_CODE_Tracking_Area_Identity), "tac", 2), "age_min",
			 number(mme, AVP_CODE_Age_Of_Location_Information), "current", current.len != 0);
}

void s6a_question_answered(struct loader *l, const struct app_answer *a)
{
	struct s6a_question q;
	char imsi[16];
	struct call *c = s6a_question_get(a->data, &q) ? admin_call(l, q.call) : NULL;
	if (!c)
		return; // hssctl did not wait
	imsi_text(a->imsi, imsi);
	enum s6a_kind kind = a->purpose == S6A_ASK_SGSN ? S6A_SGSN : S6A_MME;
	if (!a->answered) {
		admin_end(l, c, ADMIN_REFUSED, "%.*s can\'t be reached, or did not answer", (int)a->host.len, (const char *)a->host.p);
	} else if (a->experimental && a->result == EXP_USER_UNKNOWN) {
		admin_end(l, c, ADMIN_REFUSED, "%.*s does not know this subscriber any more (5001)", (int)a->host.len,
			  (const char *)a->host.p);
	} else if (a->experimental || a->result != RESULT_SUCCESS) {
		admin_end(l, c, ADMIN_REFUSED, "%.*s answered %u", (int)a->host.len, (const char *)a->host.p, a->result);
	} else {
		admin_row_take(l, c,
			       json_pack("{s:s,s:s%,s:o,s:o}", "imsi", imsi, "node", a->host.p, (size_t)a->host.len, "user_state",
					 user_state(a->told, kind), "location", location(a->told)),
			       false);
		admin_end(l, c, ADMIN_OK, NULL);
	}
}

// ---- reset

// Marks the nodes that serve a subscriber whose IMSI begins so. Looks at every record once: a few hundred ms for a million.
static void mark_nodes(const struct loader *l, const char *prefix, uint8_t *marked)
{
	const struct cache *c = l->cache;
	size_t len = strlen(prefix);
	char text[16];
	for (uint32_t i = 0; i < c->slot_cnt; i++) {
		const struct cache_record *r = &c->record[i];
		if (!r->imsi.v || cache_find(c, r->imsi) != r)
			continue;
		imsi_text(r->imsi, text);
		for (unsigned kind = 0; kind < S6A_KIND_CNT && strncmp(text, prefix, len) == 0; kind++)
			if (r->serving[kind].node && r->serving[kind].node <= NODE_MAX && !(r->serving[kind].flags & SERVING_PURGED))
				marked[r->serving[kind].node - 1] = 1;
	}
}

static void is_stored(struct loader *l, struct op *op, int error)
{
	(void)l;
	(void)op;
	(void)error; // the last operation of the command tells
}

// Adds a reset for the next marked nodes from *at on, as many as an operation takes. Returns how many.
static unsigned add_resets(struct loader *l, struct op *op, const uint8_t *marked, uint32_t *at, struct slice peer, const char *prefix)
{
	unsigned cnt = 0;
	for (; *at < NODE_MAX && cnt < OP_REQUEST_MAX; ++*at) {
		struct slice host, realm;
		if (!marked[*at] || !cache_node_get(l->cache, *at + 1, &host, &realm) || (peer.len && !slice_eq_nocase(peer, host)))
			continue;
		hss_request_add(l, op, (imsi_t){0},
				&(struct hss_request_image){.app = app_s6a,
							    .purpose = S6A_RESET,
							    .host = host,
							    .realm = realm,
							    .data = slice_str(prefix)});
		cnt++;
	}
	return cnt;
}

void s6a_reset(struct loader *l, struct call *c)
{
	const json_t *named = json_object_get(c->args, "peer");
	const char *prefix = json_string_value(json_object_get(c->args, "imsi_prefix"));
	struct slice peer = slice_of(json_string_value(named), json_string_length(named));
	uint8_t *marked = calloc(1, NODE_MAX);
	uint32_t at = 0;
	unsigned told = 0;
	txn_commit(l);
	if (!marked || l->header->load_state != CACHE_COMPLETE) {
		free(marked);
		admin_end(l, c, ADMIN_REFUSED, "the cache is still being filled");
		return;
	}
	mark_nodes(l, prefix ? prefix : "", marked);
	for (bool more = true; more;) {
		struct op *op = txn_begin(l, 0, OP_REQUEST_MAX * 1024);
		unsigned cnt = add_resets(l, op, marked, &at, peer, prefix ? prefix : "");
		told += cnt;
		more = at < NODE_MAX;
		if (!more && told == 0) {
			txn_forget(l, op);
			admin_end(l, c, ADMIN_REFUSED, peer.len ? "this node serves no such subscriber" : "no node serves such a subscriber");
			break;
		}
		op->done = more ? is_stored : provision_done;
		op->id = c->serial;
		if (!more)
			admin_row_take(l, c, json_pack("{s:i}", "nodes", (int)told), false);
		if (!txn_add(l, op)) {
			admin_end(l, c, ADMIN_REFUSED, "could not be written");
			break;
		}
	}
	free(marked);
}

// A third application that exists for tests only: it counts the ME-Identity-Checks of a subscriber, and tells the node
// that asks so. It proves that an application needs no edit of the core: two rows and what they name, in one place. Its
// state is a part of the record (cache/state.h), its HSS-initiated request carries the count of the moment when it is sent.
#pragma once
#include "cache/state.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"
#include "loader/app.h"
#include "worker/app.h"
#include "worker/hss_request.h"
#include "worker/link.h"
#include "worker/worker.h"

#define DUMMY_APP     7 // its number; no line of apps.def
#define DUMMY_PURPOSE 9
#define DUMMY_CODE    317 // of the request that it sends; any that the dictionary has

static inline uint32_t dummy_count(const struct cache *c, const struct cache_record *r, uint16_t *version)
{
	struct cache_state s;
	if (version)
		*version = 0;
	if (!cache_state_find(c, r, DUMMY_APP, &s) || s.body.len != 4)
		return 0;
	if (version)
		*version = s.version;
	return be32_get(s.body.p);
}

static inline void dummy_ecr(struct request *r)
{
	uint8_t body[4];
	struct link_change c = {.request_cnt = 1};
	// an ECR's subject is an IMEI; whom it is about says the User-Name
	(void)imsi_parse(request_slot(r, SLOT_ECR_User_Name), &r->imsi);
	const struct cache_record *rec = cache_find(&r->w->cache, r->imsi);
	if (!rec) {
		if (!link_look_up(r))
			request_answer(r, EXP_USER_UNKNOWN, true);
		return;
	}
	if (r->change_done) {
		bool ok = r->change == CHANGE_DONE || r->change == CHANGE_DUPLICATE;
		request_answer(r, ok ? RESULT_SUCCESS : RESULT_UNABLE_TO_COMPLY, false);
		return;
	}
	be32_put(body, dummy_count(&r->w->cache, rec, &c.version) + 1);
	c.state = slice_of(body, sizeof body);
	c.request[0] = (struct link_hss_request){.purpose = DUMMY_PURPOSE,
						 .host = request_slot(r, SLOT_ECR_Origin_Host),
						 .realm = request_slot(r, SLOT_ECR_Origin_Realm)};
	link_change(r, &c);
}

// Overtaken when the count is back at nothing.
static inline bool dummy_compose(struct hss_request *q, struct wr *m)
{
	const struct cache_record *rec = cache_find(&q->w->cache, q->imsi);
	uint32_t count = rec ? dummy_count(&q->w->cache, rec, NULL) : 0;
	if (count == 0)
		return false;
	hss_request_begin(q, m, DUMMY_CODE, "dummy", (struct slice){0});
	avp_put_u32(m, AVP_CODE_Cancellation_Type, VENDOR_3GPP, AVP_M, count);
	return true;
}

static const struct worker_command dummy_commands[] = {{CMD_ECR, dummy_ecr}};

static const struct worker_app dummy_worker = {
	.name = "dummy",
	.number = DUMMY_APP,
	.application = APP_S13,
	.commands = dummy_commands,
	.command_cnt = 1,
	.compose = dummy_compose,
};

static const struct loader_app dummy_loader = {.name = "dummy", .number = DUMMY_APP};

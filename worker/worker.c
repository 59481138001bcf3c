// Start and end of a worker's state, without its channels and mappings.
#include "worker/worker.h"
#include "lib/base/log.h"
#include "worker/hss_request.h"
#include <errno.h>

// The AVPs that all answers have in common, encoded once.
static void worker_encode(struct worker *w)
{
	struct wr h = wr_of(w->s6a_head, sizeof w->s6a_head);
	size_t at = avp_group_begin(&h, AVP_CODE_Vendor_Specific_Application_Id, 0, AVP_M);
	avp_put_u32(&h, AVP_CODE_Vendor_Id, 0, AVP_M, VENDOR_3GPP);
	avp_put_u32(&h, AVP_CODE_Auth_Application_Id, 0, AVP_M, APP_S6A);
	avp_group_end(&h, at);
	w->s6a_head_len = (uint32_t)wr_len(&h);

	struct wr o = wr_of(w->origin, sizeof w->origin);
	avp_put_u32(&o, AVP_CODE_Auth_Session_State, 0, AVP_M, 1); // NO_STATE_MAINTAINED; first: request_refuse skips it
	avp_put_slice(&o, AVP_CODE_Origin_Host, 0, AVP_M, slice_str(w->config->host));
	avp_put_slice(&o, AVP_CODE_Origin_Realm, 0, AVP_M, slice_str(w->config->realm));
	w->origin_len = (uint32_t)wr_len(&o);
	if (h.err || o.err)
		bug("answer envelope does not fit");
}

int worker_init(struct worker *w, const struct config *config, struct stats_block *stats)
{
	w->config = config;
	w->stats = stats;
	grammar_enable(APP_S6A);
	int e = auth_init(&w->auth);
	if (e)
		return e;
	w->auth.test_algorithms = config->allow_xor;
	if ((e = waiting_init(&w->waiting)) == 0 && !(w->own = own_new()))
		e = -ENOMEM;
	worker_encode(w);
	stat_set(stats, STAT_LOADER_WAITING, 0);
	return e;
}

void worker_fini(struct worker *w)
{
	own_free(&w->own);
	waiting_fini(&w->waiting);
	auth_fini(&w->auth);
}

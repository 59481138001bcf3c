// Start and end of a worker's state, without its channels and mappings.
#include "worker/worker.h"
#include "lib/base/log.h"
#include "worker/hss_request.h"
#include <errno.h>

// The AVPs that all answers have in common, encoded once.
static void worker_encode(struct worker *w)
{
	struct wr o = wr_of(w->origin, sizeof w->origin);
	avp_put_u32(&o, AVP_CODE_Auth_Session_State, 0, AVP_M, 1); // NO_STATE_MAINTAINED; first: request_refuse skips it
	avp_put_slice(&o, AVP_CODE_Origin_Host, 0, AVP_M, slice_str(w->config->host));
	avp_put_slice(&o, AVP_CODE_Origin_Realm, 0, AVP_M, slice_str(w->config->realm));
	w->origin_len = (uint32_t)wr_len(&o);
	if (o.err)
		bug("answer envelope does not fit");
}

static void worker_add_app(struct worker *w, const struct worker_app *app)
{
	struct wr h = wr_of(w->head[app->number].octets, sizeof w->head[app->number].octets);
	size_t at = avp_group_begin(&h, AVP_CODE_Vendor_Specific_Application_Id, 0, AVP_M);
	avp_put_u32(&h, AVP_CODE_Vendor_Id, 0, AVP_M, VENDOR_3GPP);
	avp_put_u32(&h, AVP_CODE_Auth_Application_Id, 0, AVP_M, app->application);
	avp_group_end(&h, at);
	if (h.err)
		bug("answer envelope does not fit");
	w->head[app->number].len = (uint32_t)wr_len(&h);
	w->app[app->number] = app;
	for (unsigned i = 0; i < app->command_cnt; i++) {
		w->handler[app->commands[i].command].run = app->commands[i].handler;
		w->handler[app->commands[i].command].app = (uint8_t)app->number;
	}
	grammar_enable(app->application);
}

int worker_init(struct worker *w, const struct config *config, struct stats_block *stats,
		const struct worker_app *const *apps)
{
	w->config = config;
	w->stats = stats;
	for (; *apps; apps++)
		worker_add_app(w, *apps);
	int e = auth_init(&w->auth);
	if (e)
		return e;
	w->auth.test_algorithms = config->allow_xor;
	if ((e = waiting_init(&w->waiting)) == 0 && !(w->hss_under_way = hss_under_way_new()))
		e = -ENOMEM;
	worker_encode(w);
	stat_set(stats, STAT_LOADER_WAITING, 0);
	return e;
}

void worker_fini(struct worker *w)
{
	hss_under_way_free(&w->hss_under_way);
	waiting_fini(&w->waiting);
	auth_fini(&w->auth);
}

// Sh in a worker: its commands, and its HSS-initiated requests (worker/app.h): Push-Notification-Request (TS 29.328 6.1.4;
// procedures E4), composed of what the data are when it is sent.
#include "apps/apps.h"
#include "apps/sh/sh.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/diameter/avp.h"
#include "worker/app.h"
#include "worker/hss_request.h"
#include "worker/worker.h"

#define CODE_PUSH 309

// Does the server still watch this? A subscription that ended with the notice does not need to be there.
static bool is_wanted(const struct hss_request *q, const struct sh_state *sh, const struct sh_row *row)
{
	uint32_t now_s = (uint32_t)(clock_wall_us() / 1000000);
	return sh_permitted(q->w->config, q->host, SH_NOTIFY, SH_BIT(row->reference)) &&
	       (row->last || sh_subscription_find(sh, q->host, row, now_s));
}

static bool compose(struct hss_request *q, struct wr *m)
{
	static struct ims_user user;
	const struct cache *c = &q->w->cache;
	const struct cache_record *r = cache_find(c, q->imsi);
	struct ims_state ims;
	struct sh_state sh;
	struct sh_row row;
	if (!r || !sh_row_get(q->data, &row) || !ims_user_of(c, q->w->config, r, &user))
		return false; // the subscriber is no more
	ims_state_of(c, r, &ims);
	sh_state_of(c, r, &sh);
	struct sh_query data = {.c = c, .config = q->w->config, .user = &user, .ims = &ims, .sh = &sh};
	sh_query_of_row(&row, &data);
	if (!sh_identity_at(&user, q->w->config, row.identity, &data.pub) || !is_wanted(q, &sh, &row))
		return false;
	hss_request_begin(q, m, CODE_PUSH, "pnr", HSS_NO_USER);
	size_t at = avp_group_begin(m, AVP_CODE_User_Identity, VENDOR_3GPP, AVP_M);
	wr_slice(m, row.identity);
	wr_zero(m, -row.identity.len & 3u);
	avp_group_end(m, at);
	sh_put_data(m, &data);
	if (m->err)
		log_error("user_data_too_large", LOG_SLICE("host", q->host));
	return !m->err;
}

static const struct worker_command commands[] = {
	{CMD_UDR, sh_udr},
	{CMD_SH_PUR, sh_pur},
	{CMD_SNR, sh_snr},
};

const struct worker_app sh_worker = {
	.name = "sh",
	.number = app_sh,
	.application = APP_SH,
	.commands = commands,
	.command_cnt = sizeof commands / sizeof *commands,
	.compose = compose,
};

// S13 and S13' in a worker (TS 29.272 6.2): ME-Identity-Check. An MME or SGSN asks whether an equipment may be used.
#include "apps/apps.h"
#include "apps/s13/table.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"
#include "worker/app.h"
#include "worker/request.h"
#include "worker/worker.h"

// IMEI is needed here, although the group may hold an MEID alone: 5005 with an example (RFC 6733 7.5).
static void answer_missing(struct request *r)
{
	struct verdict v = {.result = RESULT_MISSING_AVP};
	struct wr w = wr_of(v.failed, sizeof v.failed);
	avp_put(&w, AVP_CODE_IMEI, VENDOR_3GPP, AVP_M, "", 0);
	v.failed_len = (uint32_t)wr_len(&w);
	request_answer_failed(r, &v);
}

static void answer_bad(struct request *r, const struct avp *imei)
{
	struct verdict v = {.result = RESULT_INVALID_AVP_VALUE};
	struct wr w = wr_of(v.failed, sizeof v.failed);
	avp_put_slice(&w, AVP_CODE_IMEI, VENDOR_3GPP, AVP_M, imei->data);
	v.failed_len = w.err ? 0 : (uint32_t)wr_len(&w);
	request_answer_failed(r, &v);
}

// The status (TS 29.272 6.2.1.3); of equipment on no list what the configuration says.
static void check(struct request *r)
{
	struct avp imei;
	uint64_t number;
	imsi_t imsi = {0};
	enum s13_color color;
	struct wr w;
	if (!avp_find(request_slot(r, SLOT_ECR_Terminal_Information), AVP_CODE_IMEI, VENDOR_3GPP, &imei)) {
		answer_missing(r);
		return;
	}
	if (!s13_imei_read(imei.data, &number)) {
		answer_bad(r, &imei);
		return;
	}
	(void)imsi_parse(request_slot(r, SLOT_ECR_User_Name), &imsi); // of another form, it is on no list
	if (!s13_table_find(cache_common_get(&r->w->cache, app_s13), number, imsi, &color)) {
		if (r->w->config->s13.unknown == S13_REFUSE_UNKNOWN) {
			r->rule = "on no list (equipment.unknown)";
			request_answer(r, EXP_EQUIPMENT_UNKNOWN, true);
			return;
		}
		color = (enum s13_color)r->w->config->s13.unknown;
	}
	request_answer_begin(r, &w, RESULT_SUCCESS, false, 32);
	avp_put_u32(&w, AVP_CODE_Equipment_Status, VENDOR_3GPP, AVP_M, color);
	request_answer_end(r, &w);
}

static const struct worker_command commands[] = {{CMD_ECR, check}};

const struct worker_app s13_worker = {
	.name = "s13",
	.number = app_s13,
	.application = APP_S13,
	.commands = commands,
	.command_cnt = sizeof commands / sizeof *commands,
};

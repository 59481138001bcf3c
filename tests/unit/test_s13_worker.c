// S13 in a worker, as hostile peers and frontends may have it: IMEIs of any octets, requests of which any octet is another.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka wants the three above
#include <cmocka.h>
#include "apps/apps.h"
#include "apps/s13/table.h"
#include "tests/support/worker_fixture.h"

#define CODE  324
#define PHONE 35622506141324ull

// A register with one phone, which is black.
static struct wf *fresh(void)
{
	const struct s13_item item = {.key = {.kind = S13_IMEI, .a = PHONE}, .color = S13_BLACK};
	uint8_t table[S13_TABLE_LEN(1)];
	struct wf *f = wf_new(16);
	size_t len = s13_table_make(&item, 1, table);
	assert_true(len > 0);
	assert_int_equal(builder_common_set(f->b, app_s13, slice_of(table, len)), 0);
	f->config.s13.unknown = S13_REFUSE_UNKNOWN;
	return f;
}

// An ECR; `imei` NULL: Terminal-Information holds a software version alone.
static void compose(struct wf *f, struct wr *w, const struct slice *imei, struct slice user)
{
	*w = wr_of(f->msg, sizeof f->msg);
	header_begin(w, HEADER_R | HEADER_P, CODE, APP_S13, 7, 0xe0000000u + (uint32_t)f->next_id);
	avp_put_slice(w, AVP_CODE_Session_Id, 0, AVP_M, slice_str("mme01;1;2;x"));
	avp_put_u32(w, AVP_CODE_Auth_Session_State, 0, AVP_M, 1);
	avp_put_slice(w, AVP_CODE_Origin_Host, 0, AVP_M, slice_str(WF_HOST));
	avp_put_slice(w, AVP_CODE_Origin_Realm, 0, AVP_M, slice_str(WF_REALM));
	avp_put_slice(w, AVP_CODE_Destination_Realm, 0, AVP_M, slice_str(WF_REALM));
	size_t at = avp_group_begin(w, AVP_CODE_Terminal_Information, VENDOR_3GPP, AVP_M);
	if (imei)
		avp_put_slice(w, AVP_CODE_IMEI, VENDOR_3GPP, AVP_M, *imei);
	avp_put_slice(w, AVP_CODE_Software_Version, VENDOR_3GPP, AVP_M, slice_str("42"));
	avp_group_end(w, at);
	if (user.len)
		avp_put_slice(w, AVP_CODE_User_Name, 0, AVP_M, user);
	header_finish(w, 0);
}

// 0: a frontend had refused it by its grammar already, with 5004.
static uint32_t ask(struct wf *f, const struct slice *imei, struct slice user, struct wf_answer *a)
{
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct verdict v;
	struct wr w;
	compose(f, &w, imei, user);
	if (!grammar_check(grammar_find(CODE, APP_S13, true), f->msg, (uint32_t)wr_len(&w), slots, &v)) {
		assert_int_equal(v.result, RESULT_INVALID_AVP_VALUE);
		return 0;
	}
	wf_send(f, &w);
	*a = wf_take(f, 0);
	return a->result;
}

static void every_length_has_its_answer(void **state)
{
	static const char digits[] = "356225061413249999999999";
	struct wf *f = fresh();
	struct wf_answer a;
	struct avp data, inner;
	uint32_t status;
	(void)state;
	for (size_t len = 0; len < sizeof digits; len++) {
		struct slice imei = slice_of(digits, len);
		bool good = len >= 14 && len <= 16;
		assert_int_equal(ask(f, &imei, (struct slice){0}, &a), good ? RESULT_SUCCESS : RESULT_INVALID_AVP_VALUE);
		if (good) {
			assert_true(wf_find(&a, AVP_CODE_Equipment_Status, VENDOR_3GPP, &data) && avp_u32(data.data, &status));
			assert_int_equal(status, S13_BLACK);
		} else {
			assert_true(wf_find(&a, AVP_CODE_Failed_AVP, 0, &data));
			assert_true(avp_find(data.data, AVP_CODE_IMEI, VENDOR_3GPP, &inner));
			assert_true(slice_eq(inner.data, imei));
		}
	}
	assert_int_equal(ask(f, NULL, (struct slice){0}, &a), RESULT_MISSING_AVP);
	assert_true(wf_find(&a, AVP_CODE_Failed_AVP, 0, &data));
	assert_true(avp_find(data.data, AVP_CODE_IMEI, VENDOR_3GPP, &inner));
	struct slice other = slice_str("35622506141325");
	assert_int_equal(ask(f, &other, (struct slice){0}, &a), EXP_EQUIPMENT_UNKNOWN);
	assert_true(a.experimental);
	wf_free(f);
}

// 2001, 5422 or 5004, whatever the IMEI and the user are.
static void imeis_of_any_octets(void **state)
{
	unsigned refused = 0, bad = 0, unknown = 0, found = 0;
	(void)state;
	srand(13);
	struct wf *f = fresh();
	for (unsigned n = 0; n < 4000; n++) {
		uint8_t text[64], user[40];
		size_t len = (size_t)rand() % (n % 8 ? 18 : sizeof text), user_len = (size_t)rand() % sizeof user;
		struct wf_answer a;
		for (size_t i = 0; i < len; i++)
			text[i] = (uint8_t)(n % 16 == 0 || n % 3 ? '0' + rand() % 10 : rand());
		if (n % 5 == 0) {
			memcpy(text, "3562250614132417", 16);
			len = 14 + (size_t)rand() % 3;
		}
		for (size_t i = 0; i < user_len; i++)
			user[i] = (uint8_t)('0' + rand() % (n % 7 ? 10 : 60));
		struct slice imei = slice_of(text, len);
		switch (ask(f, &imei, slice_of(user, user_len), &a)) {
		case 0: refused++; break;
		case RESULT_INVALID_AVP_VALUE: bad++; break;
		case EXP_EQUIPMENT_UNKNOWN: unknown++; break;
		case RESULT_SUCCESS: found++; break;
		default: fail_msg("%u for '%.*s'", a.result, (int)len, (const char *)text);
		}
	}
	wf_free(f);
	assert_true(refused > 50 && bad > 500 && unknown > 100 && found > 500);
}

// A frontend that writes nonsense: any octet of the frame may be another one, or the rest missing.
static void frames_of_any_octets(void **state)
{
	static uint8_t body[4096];
	const struct slice imei = slice_str("35622506141324");
	struct wf *f = fresh();
	struct wr w;
	(void)state;
	compose(f, &w, &imei, slice_str(WF_IMSI));
	size_t len = wf_request_body(f->msg, (uint32_t)wr_len(&w), body, sizeof body, 0);
	for (size_t i = 0; i < 9 * len; i++) {
		size_t at = i % len, cut = i < len ? at : len;
		uint8_t *copy = malloc(cut ? cut : 1), was = body[at]; // aligned, and ends where it ends
		struct ipc_hdr hdr = {.type = IPC_REQUEST, .id = 1, .len = (uint32_t)(sizeof hdr + cut)};
		assert_non_null(copy);
		if (i >= len)
			body[at] ^= (uint8_t)(1u << (i / len - 1));
		memcpy(copy, body, cut);
		request_arrived(&f->w, 0, &hdr, copy);
		body[at] = was;
		free(copy);
		wf_flush(f);
		wf_run(f);
		request_frontend_lost(&f->w, 0);
		assert_int_equal(f->stats->c[STAT_LOADER_WAITING], 0);
		wf_queue_free(&f->answers[0]);
		wf_queue_free(&f->asks);
		f->answers[0].in = f->answers[0].out = f->asks.in = f->asks.out = 0;
	}
	wf_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_has_its_answer),
		cmocka_unit_test(imeis_of_any_octets),
		cmocka_unit_test(frames_of_any_octets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

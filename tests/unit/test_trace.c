// Traces of a frontend (frontend/trace.h): what is matched, what a row says, the rule that a worker sends
// behind its answer, the window of a client that takes nothing, and the masking of secrets, whatever the
// octets are.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include "frontend/trace.h"
#include "frontend/trace_row.h"
#include "lib/base/base64.h"
#include "lib/diameter/avp.h"
#include "tests/support/frontend_fixture.h"

#define OTHER "001010000000002"

static struct ff f;
static struct frontend *const fe = f.fe;
static struct channel *ours, *theirs; // ends of the channel to hss-admin: the test's, the frontend's
static struct ff_peer peer;
static const char *rule;  // what the worker sends behind its answers
static json_t *rows, *ended;

static void on_admin(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	json_t *v = json_loadb((const char *)body, hdr->len - sizeof *hdr, 0, NULL);
	(void)ctx, (void)ch;
	assert_non_null(v);
	if (hdr->type == IPC_ADMIN_ROW) {
		json_array_append_new(rows, v);
	} else {
		json_decref(ended);
		ended = v;
	}
}

static void on_request(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct ipc_request q;
	struct header h;
	uint8_t out[512];
	(void)ctx;
	if (hdr->type != IPC_REQUEST)
		return;
	memcpy(&q, body, sizeof q);
	header_get(body + sizeof q + q.slot_cnt * sizeof(struct avp_slot), &h);
	struct wr w = wr_of(out, sizeof out);
	header_begin(&w, h.flags & HEADER_P, h.code, h.app, h.hop_by_hop, h.end_to_end);
	avp_put_u32(&w, AVP_CODE_Result_Code, 0, AVP_M, rule ? RESULT_UNABLE_TO_COMPLY : RESULT_SUCCESS);
	header_finish(&w, 0);
	if (rule)
		wr_bytes(&w, rule, strlen(rule));
	channel_send(ch, IPC_ANSWER, hdr->id, out, wr_len(&w));
	channel_flush(ch);
}

static void on_down(void *ctx, struct channel *ch, int why)
{
	(void)ctx, (void)ch, (void)why;
	abort();
}

static const struct channel_ops admin_ops = {.on_frame = on_admin, .on_down = on_down};
static const struct channel_ops worker_ops = {.on_frame = on_request, .on_down = on_down};

static int setup(void **state)
{
	int fds[2];
	uint8_t cer[512];
	(void)state;
	rule = NULL;
	rows = json_array();
	ended = NULL;
	ff_configure(&f);
	ff_open(&f, 1, 0);
	ff_worker_start(&f, 0, &worker_ops, NULL);
	assert_int_equal(channel_pair(fds), 0);
	ours = channel_new_take(f.base, fds[0], 1 << 20, &admin_ops, NULL);
	theirs = channel_new_take(f.base, fds[1], 1 << 20, &admin_ops, NULL);
	ff_peer_open(&f, &peer);
	assert_true(ff_send(peer.fd, cer, ff_cer(cer, sizeof cer, FF_MME)));
	ff_pump(&f, 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ff_peer_free(&peer);
	trace_cancel_all(fe);
	channel_free(&ours);
	channel_free(&theirs);
	ff_close(&f);
	json_decref(rows);
	json_decref(ended);
	return 0;
}

static void pump(void)
{
	ff_pump(&f, 20);
	(void)ff_peer_read(&peer);
}

static const char *begin(uint64_t id, const char *subject, const char *host, unsigned limit, bool messages)
{
	json_t *args = json_pack("{s:s*, s:s*, s:i, s:b}", "subject", subject, "peer", host, "limit",
				 (int)limit, "messages",
				 (int)messages);
	const char *why = trace_begin(fe, theirs, id, args);
	json_decref(args);
	return why;
}

static void ask(const char *imsi, uint32_t hop)
{
	uint8_t msg[1024];
	struct wr w = ff_air(msg, sizeof msg, slice_str("s;1"), imsi);
	header_finish(&w, 0);
	be32_put(msg + HEADER_HBH_OFFSET, hop);
	assert_true(ff_send(peer.fd, msg, wr_len(&w)));
	pump();
}

static const char *text_of(size_t row, const char *name)
{
	return json_string_value(json_object_get(json_array_get(rows, row), name));
}

static void the_subject_alone(void **state)
{
	(void)state;
	assert_null(begin(1, FF_IMSI, NULL, 100, false));
	assert_int_equal(fe->tracing, 1);
	ask(OTHER, 1);
	ask(FF_IMSI, 2);
	rule = "it is Tuesday";
	ask(FF_IMSI, 3);
	assert_int_equal(json_array_size(rows), 5);
	assert_string_equal(text_of(0, "event"), "begun");
	assert_string_equal(text_of(1, "command"), "AIR");
	assert_string_equal(text_of(1, "subject"), FF_IMSI);
	assert_string_equal(text_of(1, "peer"), FF_MME);
	assert_string_equal(text_of(2, "result"), "2001");
	assert_null(text_of(2, "rule"));
	assert_string_equal(text_of(4, "result"), "5012");
	assert_string_equal(text_of(4, "rule"), rule);
	assert_int_equal(peer.in_len > 0, 1);
	trace_cancel(fe, 1);
	assert_int_equal(fe->tracing, 0);
	ask(FF_IMSI, 4);
	assert_int_equal(json_array_size(rows), 5);
}

static void a_rule_stays_out_of_the_answer(void **state)
{
	(void)state;
	rule = "it is Tuesday";
	pump();
	while (ff_peer_message(&peer))
		ff_peer_drop(&peer);
	ask(FF_IMSI, 7);
	assert_int_equal(ff_peer_message(&peer), DIAMETER_HEADER_LEN + 12);
	assert_int_equal(peer.in_len, DIAMETER_HEADER_LEN + 12);
	// longer than a rule may be: no answer at all, but one of the frontend
	static char long_rule[IPC_RULE_MAX + 2];
	memset(long_rule, 'x', sizeof long_rule - 1);
	rule = long_rule;
	ff_peer_drop(&peer);
	ask(FF_IMSI, 8);
	struct slice body = slice_of(peer.in + DIAMETER_HEADER_LEN,
				     ff_peer_message(&peer) - DIAMETER_HEADER_LEN);
	struct avp a;
	uint32_t result;
	assert_true(avp_find(body, AVP_CODE_Result_Code, 0, &a) && avp_u32(a.data, &result));
	assert_int_equal(result, RESULT_TOO_BUSY);
}

static void what_can_not_be_looked_for(void **state)
{
	(void)state;
	assert_non_null(begin(1, NULL, NULL, 1, false));
	assert_non_null(begin(1, FF_IMSI, FF_MME, 1, false));
	assert_non_null(begin(1, "sip:", NULL, 1, false));
	assert_non_null(begin(1, "12345678901234567890", NULL, 1, false));
	for (uint64_t id = 1; id <= TRACES_MAX; id++)
		assert_null(begin(id, FF_IMSI, NULL, 1, false));
	assert_non_null(begin(9, FF_IMSI, NULL, 1, false));
	assert_int_equal(fe->tracing, TRACES_MAX);
	trace_cancel_all(fe);
	assert_int_equal(fe->tracing, 0);
}

static void it_ends_by_its_limit(void **state)
{
	(void)state;
	assert_null(begin(1, NULL, FF_MME, 3, true));
	ask(FF_IMSI, 1);
	ask(OTHER, 2);
	assert_int_equal(json_array_size(rows), 4);
	assert_non_null(ended);
	assert_int_equal(json_integer_value(json_object_get(ended, "rows")), 3);
	assert_int_equal(fe->tracing, 0);
	// the octets of the first one are those of a request
	uint8_t msg[1024];
	size_t len = 0;
	const char *text = text_of(1, "message");
	assert_true(base64_decode(slice_str(text), msg, &len));
	assert_int_equal(be24_get(msg + 1), len);
}

static void a_client_that_takes_nothing(void **state)
{
	(void)state;
	assert_null(begin(1, NULL, FF_MME, 100000, false));
	for (uint32_t i = 0; i < 700; i++) // two rows each
		ask(FF_IMSI, i);
	size_t cnt = json_array_size(rows);
	assert_in_range(cnt, 500, 513);
	trace_taken(fe, 1, 100);
	ask(FF_IMSI, 5000);
	assert_int_equal(json_array_size(rows), cnt + 2);
	trace_taken(fe, 1, UINT64_MAX);
	for (uint32_t i = 0; i < 10; i++)
		ask(FF_IMSI, i);
	assert_int_equal(json_array_size(rows), cnt + 22);
}

static void hostile_octets(void **state)
{
	uint8_t msg[1024];
	(void)state;
	assert_null(begin(1, FF_IMSI, NULL, 100000, true));
	assert_null(begin(2, NULL, FF_MME, 100000, true));
	for (unsigned n = 0; n < 1000; n++) {
		struct wr w = ff_air(msg, sizeof msg, slice_str("s;1"), FF_IMSI);
		header_finish(&w, 0);
		size_t len = wr_len(&w), at = DIAMETER_HEADER_LEN + n * 7919u % (len - DIAMETER_HEADER_LEN);
		msg[at] = (uint8_t)(n * 31);
		if (n % 5 == 0) {
			msg[7] = (uint8_t)n; // another command
			msg[4] ^= (uint8_t)(n % 3 ? HEADER_R : 0);
		}
		assert_true(ff_send(peer.fd, msg, len));
		pump();
		trace_taken(fe, 1, UINT64_MAX);
		trace_taken(fe, 2, UINT64_MAX);
	}
	assert_int_equal(fe->tracing, 2);
	assert_in_range(json_array_size(rows), 2000, 10000);
}

// ---- masking -------------------------------------------------------------------------------------

static size_t with_vector(uint8_t *msg, size_t cap, uint8_t flags)
{
	static const uint8_t key[32] = {1, 2, 3};
	struct wr w = wr_of(msg, cap);
	header_begin(&w, flags, 318, 16777251, 1, 2);
	avp_put_slice(&w, AVP_CODE_User_Name, 0, AVP_M, slice_str(FF_IMSI));
	size_t info = avp_group_begin(&w, AVP_CODE_Authentication_Info, VENDOR_3GPP, AVP_M);
	size_t vector = avp_group_begin(&w, AVP_CODE_E_UTRAN_Vector, VENDOR_3GPP, AVP_M);
	avp_put(&w, AVP_CODE_XRES, VENDOR_3GPP, AVP_M, key, 8);
	avp_put(&w, AVP_CODE_KASME, VENDOR_3GPP, AVP_M, key, 32);
	avp_group_end(&w, vector);
	avp_group_end(&w, info);
	avp_put_u32(&w, AVP_CODE_Result_Code, 0, AVP_M, 2001);
	header_finish(&w, 0);
	return wr_len(&w);
}

static void secrets_are_masked(void **state)
{
	uint8_t msg[512], clear[512];
	size_t len = with_vector(msg, sizeof msg, 0);
	(void)state;
	memcpy(clear, msg, len);
	trace_mask(msg, (uint32_t)len);
	size_t differ = 0;
	for (size_t i = 0; i < len; i++) {
		differ += msg[i] != clear[i];
		assert_true(msg[i] == clear[i] || msg[i] == '*');
	}
	assert_int_equal(differ, 40);
}

static void what_is_broken_is_masked_whole(void **state)
{
	uint8_t msg[512];
	size_t len = with_vector(msg, sizeof msg, 0);
	(void)state;
	for (size_t cut = DIAMETER_HEADER_LEN; cut < len; cut++) {
		uint8_t *copy = malloc(cut); // so that the sanitizer sees its end
		memcpy(copy, msg, cut);
		trace_mask(copy, (uint32_t)cut);
		for (size_t i = 0; i + 3 <= cut; i++)
			assert_false(copy[i] == 1 && copy[i + 1] == 2 && copy[i + 2] == 3);
		free(copy);
	}
	// a length that does not fit its group
	len = with_vector(msg, sizeof msg, 0);
	be24_put(msg + DIAMETER_HEADER_LEN + 24 + 5, 4000);
	trace_mask(msg, (uint32_t)len);
	assert_int_equal(msg[len - 1], '*');
}

static void deep_groups_are_masked_whole(void **state)
{
	uint8_t msg[1024];
	struct wr w = wr_of(msg, sizeof msg);
	size_t at[20];
	(void)state;
	header_begin(&w, 0, 318, 16777251, 1, 2);
	for (unsigned i = 0; i < 20; i++)
		at[i] = avp_group_begin(&w, AVP_CODE_Authentication_Info, VENDOR_3GPP, AVP_M);
	avp_put(&w, AVP_CODE_KASME, VENDOR_3GPP, AVP_M, "secretsecretsecretsecretsecret32", 32);
	for (unsigned i = 20; i-- > 0;)
		avp_group_end(&w, at[i]);
	header_finish(&w, 0);
	trace_mask(msg, (uint32_t)wr_len(&w));
	assert_null(memmem(msg, wr_len(&w), "secret", 6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_subject_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_rule_stays_out_of_the_answer, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_can_not_be_looked_for, setup, teardown),
	    cmocka_unit_test_setup_teardown(it_ends_by_its_limit, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_client_that_takes_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(hostile_octets, setup, teardown),
	    cmocka_unit_test(secrets_are_masked),
	    cmocka_unit_test(what_is_broken_is_masked_whole),
	    cmocka_unit_test(deep_groups_are_masked_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// The registration over non-3GPP access (apps/swx/registration.h) against a model: every request in every state that random
// sequences reach, of two AAA servers. The model keeps plain flags and follows TS 29.273 8.1.2 step by step; it shares no code
// with what it judges. And the octets of states, data and rows: written, read, cut anywhere.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
// cmocka wants four of these
#include <cmocka.h>
#include "apps/swx/data.h"
#include "apps/swx/registration.h"
#include "lib/diameter/dict.h"
#include "tests/support/guard.h"

#define SERVERS 2
#define APNS	3
#define STEPS	200000
#define MAR	SWX_ASSIGNMENT_CNT

static const char *const server_name[SERVERS] = {"a.test", "b.test"};
static const char *const apn_name[APNS] = {"internet", "ims", "mms"};

// ---- the model

struct model {
	int server; // -1: none
	bool registered;
	int gateway[APNS]; // -1: none; else which one
};

struct expected {
	uint32_t result;
	bool experimental, profile, server_name, rtr;
};

static void model_forget(struct model *m)
{
	m->server = -1;
	m->registered = false;
	for (int i = 0; i < APNS; i++)
		m->gateway[i] = -1;
}

static struct expected model_mar(struct model *m, int server, bool failed)
{
	struct expected e = {.result = 2001};
	if (m->server == server)
		return e;
	if (m->registered && !failed)
		return (struct expected){.result = 5005, .experimental = true, .server_name = true};
	e.rtr = m->registered;
	m->server = server;
	m->registered = false;
	return e;
}

struct question {
	int type, server, apn, gateway; // gateway -1: none any more
	bool failed, repeated, may_use;
};

static struct expected model_sar(struct model *m, const struct question *q)
{
	bool ends = q->type == 4 || q->type == 5 || q->type == 8 || q->type == 9 || q->type == 10;
	struct expected e = {.result = 2001}, none = {.result = 5450, .experimental = true};
	if (m->server >= 0 && m->server != q->server)
		return (struct expected){.result = 5005, .experimental = true, .server_name = true};
	if (m->server < 0 && q->type != 14)
		return (struct expected){.result = ends && q->repeated ? 2001 : 5012};
	if (ends) {
		model_forget(m);
	} else if (q->type == 1 || q->type == 14) {
		if (!q->may_use) {
			model_forget(m);
			return none;
		}
		m->server = q->server;
		m->registered = e.profile = true;
		if (q->type == 14)
			m->gateway[q->apn] = q->gateway;
	} else if (q->type == 12) {
		if (!q->may_use)
			return none;
		e.profile = true;
	} else if (q->type == 13) {
		m->gateway[q->apn] = q->gateway;
	} else {
		return (struct expected){.result = 5007, .experimental = true};
	}
	return e;
}

// ---- judged

static const char *const info_of[2] = {"one", "another"};

static struct swx_decision decide(const struct swx_state *now, const struct question *q)
{
	struct swx_decision d;
	struct swx_server by = {slice_str(server_name[q->server]), slice_str("test")};
	struct swx_assign a = {.type = (enum swx_assignment)q->type,
			       .by = by,
			       .repeated = q->repeated,
			       .may_use = q->may_use,
			       .gateways = {q->type == 13 || q->type == 14, {{slice_str(apn_name[q->apn]), q->gateway < 0 ? (struct slice){0} : slice_str(info_of[q->gateway])}}},
			       .time_s = 1000};
	if (q->type == MAR)
		swx_authenticate(now, &by, q->failed, 1000, &d);
	else
		swx_assign(now, &a, &d);
	return d;
}

static void same_state(const struct model *m, const struct swx_state *s)
{
	assert_true(m->server < 0 ? !s->host.len : slice_eq(s->host, slice_str(server_name[m->server])));
	assert_int_equal(s->flags, m->server < 0 ? 0 : m->registered ? SWX_REGISTERED : SWX_PENDING);
	unsigned gateways = 0;
	for (int i = 0; i < APNS; i++) {
		const struct gateway *g = gateway_of(&s->gateways, slice_str(apn_name[i]));
		assert_int_equal(g != NULL, m->gateway[i] >= 0);
		assert_true(!g || slice_eq(g->info, slice_str(info_of[m->gateway[i]])));
		gateways += g != NULL;
	}
	assert_int_equal(s->gateways.cnt, gateways);
}

// Written and read again, as it would be after a restart.
static void through_the_row(struct swx_state *s)
{
	static uint8_t row[2][SWX_STATE_MAX];
	static unsigned n;
	struct wr w = wr_of(row[n++ % 2], SWX_STATE_MAX);
	swx_state_put(&w, s, true);
	assert_false(w.err);
	assert_true(swx_state_get(wr_done(&w), s));
}

static void every_request_in_every_state(void **state)
{
	struct swx_state now = {.flags = 0};
	struct model m;
	unsigned seen[MAR + 1] = {0}, taken = 0, rtrs = 0;
	(void)state;
	model_forget(&m);
	srand(1);
	for (unsigned step = 0; step < STEPS; step++) {
		struct question q = {.type = rand() % (MAR + 1), .server = rand() % 4 == 0, .apn = rand() % APNS,
				     .gateway = rand() % 3 - 1, .failed = rand() % 4 == 0, .repeated = rand() % 2,
				     .may_use = rand() % 4 != 0};
		if (q.type == 14 && q.gateway < 0)
			q.gateway = 0; // a restoration names those that are there
		if (rand() % 2) // deregistrations would leave nothing to look at
			q.type = rand() % 3 == 0 ? 1 : rand() % 2 ? 13 : MAR;
		uint32_t before = now.time_s;
		struct swx_decision d = decide(&now, &q);
		struct expected e = q.type == MAR ? model_mar(&m, q.server, q.failed) : model_sar(&m, &q);
		seen[q.type]++;
		taken += e.server_name;
		rtrs += e.rtr;
		assert_int_equal(d.result, e.result);
		assert_int_equal(d.experimental, e.experimental);
		assert_int_equal(d.profile, e.profile);
		assert_int_equal(d.server_name, e.server_name);
		assert_int_equal(d.terminate, e.rtr);
		if (d.changed) {
			assert_true(d.next.time_s > before);
			now = d.next;
			through_the_row(&now);
		}
		same_state(&m, &now);
	}
	for (unsigned i = 0; i <= MAR; i++)
		assert_true(seen[i] > STEPS / 50);
	assert_true(taken > 1000 && rtrs > 1000);
}

// One more than is kept changes nothing at all.
static void gateways_are_bounded(void **state)
{
	char name[SWX_GATEWAYS_MAX + 1][8];
	struct swx_state s = {.host = slice_str("a.test"), .flags = SWX_REGISTERED};
	struct swx_assign a = {.type = SWX_PGW_UPDATE, .by = {slice_str("A.test"), slice_str("test")}, .gateways.cnt = 1};
	struct swx_decision d;
	(void)state;
	for (unsigned i = 0; i <= SWX_GATEWAYS_MAX; i++) {
		snprintf(name[i], sizeof name[i], "apn%u", i);
		a.gateways.one[0] = (struct gateway){.apn = slice_str(name[i]), .info = slice_str("x")};
		swx_assign(&s, &a, &d);
		assert_int_equal(d.result, i < SWX_GATEWAYS_MAX ? RESULT_SUCCESS : RESULT_UNABLE_TO_COMPLY);
		assert_int_equal(d.changed, i < SWX_GATEWAYS_MAX);
		s = d.next;
	}
	assert_int_equal(s.gateways.cnt, SWX_GATEWAYS_MAX);
	a.gateways.one[0].apn = slice_str(name[0]); // the same once more
	swx_assign(&s, &a, &d);
	assert_true(d.result == RESULT_SUCCESS && !d.changed);
	swx_deregister(&s, SWX_PERMANENT_TERMINATION, 5, &d);
	assert_true(d.changed && d.terminate && !d.next.gateways.cnt && !d.next.host.len);
	s = d.next;
	swx_deregister(&s, SWX_PERMANENT_TERMINATION, 5, &d);
	assert_false(d.changed || d.terminate);
}

// ---- octets

static void states_cut_anywhere(void **state)
{
	uint8_t row[SWX_STATE_MAX];
	struct swx_state back, s = {.host = slice_str("a.test"), .realm = slice_str("test"), .flags = SWX_REGISTERED, .time_s = 9,
				    .gateways = {2, {{slice_str("ims"), slice_str("x")}, {slice_str("y"), slice_str("")}}}};
	struct wr w = wr_of(row, sizeof row);
	struct guard g;
	(void)state;
	guard_init(&g, sizeof row);
	swx_state_put(&w, &s, false);
	for (size_t len = 0; len <= wr_len(&w); len++) {
		assert_int_equal(swx_state_get(slice_of(guard_copy(&g, row, len), len), &back), len == wr_len(&w));
		assert_int_equal(back.gateways.cnt, len == wr_len(&w) ? 2 : 0);
	}
	guard_fini(&g);
	// the largest one fits
	static char name[256], apn[GATEWAY_APN_MAX], info[SWX_GATEWAY_INFO_MAX];
	memset(name, 'n', sizeof name);
	s = (struct swx_state){.host = slice_of(name, 255), .realm = slice_of(name, 255), .gateways.cnt = SWX_GATEWAYS_MAX};
	for (unsigned i = 0; i < SWX_GATEWAYS_MAX; i++)
		s.gateways.one[i] = (struct gateway){.apn = slice_of(apn, sizeof apn), .info = slice_of(info, sizeof info)};
	w = wr_of(row, sizeof row);
	swx_state_put(&w, &s, false);
	assert_false(w.err);
	// what another program wrote into the upstream may be larger than that: it is none
	for (unsigned i = 0; i < 3; i++) {
		static uint8_t large[SWX_STATE_MAX + 1024];
		struct wr l = wr_of(large, sizeof large);
		wr_u8(&l, 1);
		wr_u8(&l, SWX_REGISTERED);
		wr_u32(&l, 9);
		wr_blob16(&l, slice_of(info, i == 0 ? 256 : 255));
		wr_blob16(&l, slice_of(name, 1));
		wr_u8(&l, 1);
		wr_u8(&l, i == 1 ? GATEWAY_APN_MAX + 1 : GATEWAY_APN_MAX);
		wr_bytes(&l, name, i == 1 ? GATEWAY_APN_MAX + 1 : GATEWAY_APN_MAX);
		wr_blob16(&l, slice_of(large, i == 2 ? SWX_GATEWAY_INFO_MAX + 1 : SWX_GATEWAY_INFO_MAX));
		assert_false(l.err || swx_state_get(wr_done(&l), &back));
	}
	s.gateways.one[3].info.len = 0;
	s.host.len = 0;
	w = wr_of(row, sizeof row);
	swx_state_put(&w, &s, false);
	assert_int_equal(wr_len(&w), 0); // nobody serves the user
}

static void data_cut_anywhere(void **state)
{
	static struct swx_data back, d;
	uint8_t row[256];
	struct wr w = wr_of(row, sizeof row);
	struct guard g;
	(void)state;
	d = (struct swx_data){.denied = true, .rats = 1u << SWX_RAT_HRPD, .apn_cnt = 2, .apn = {slice_str("a"), slice_str("b")},
			      .visited_cnt = 1, .visited = {slice_str("v.test")}};
	guard_init(&g, sizeof row);
	swx_data_put(&w, &d);
	for (size_t len = 0; len <= wr_len(&w); len++) {
		bool whole = len == wr_len(&w);
		assert_int_equal(swx_data_get(slice_of(guard_copy(&g, row, len), len), &back), whole);
		assert_int_equal(back.denied, whole);
	}
	assert_true(back.apn_cnt == 2 && back.visited_cnt == 1);
	assert_true(swx_visited_allowed(&back, slice_str("V.test")) && !swx_visited_allowed(&back, slice_str("w.test")));
	assert_true(swx_rat_allowed(&back, 2001) && !swx_rat_allowed(&back, 0) && !swx_rat_allowed(&back, 4711));
	guard_fini(&g);
	assert_false(swx_data_get((struct slice){0}, &back));
	assert_true(swx_rat_allowed(&back, 0) && swx_rat_allowed(&back, 4711) && swx_visited_allowed(&back, slice_str("x")));
}

static void rows_of_requests(void **state)
{
	uint8_t out[SWX_ROW_LEN], reason;
	uint32_t time_s;
	(void)state;
	struct slice row = swx_row_put(out, SWX_NEW_SERVER_ASSIGNED, 77);
	assert_true(swx_row_get(row, &reason, &time_s));
	assert_true(reason == 1 && time_s == 77);
	row.len--;
	assert_false(swx_row_get(row, &reason, &time_s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_in_every_state),
		cmocka_unit_test(gateways_are_bounded),
		cmocka_unit_test(states_cut_anywhere),
		cmocka_unit_test(data_cut_anywhere),
		cmocka_unit_test(rows_of_requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// The registration state machine of Cx (apps/cx/registration.h) against a model: every request in every state that random
// sequences reach, two devices, two sets and two S-CSCFs. The model keeps a table of plain flags and follows TS 29.228
// 6.1.2.1 and 6.3.1 step by step; it shares no code with what it judges. And the octets of states and data: written, read,
// cut anywhere.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
// cmocka wants the four above
#include <cmocka.h>
#include "apps/cx/registration.h"
#include "lib/diameter/dict.h"
#include "tests/support/guard.h"

#define DEVICES 2
#define SETS	2
#define SERVERS 2
#define STEPS	200000

static const uint32_t device_of[DEVICES] = {IMS_DEVICE_IMSI, 77};
static const char *const server_name[SERVERS] = {"sip:a.test", "sip:b.test"};

// ---- the model

struct model {
	bool registered[DEVICES][SETS], unregistered[DEVICES][SETS], pending[DEVICES][SETS];
	int server; // -1: none
	bool restoration[DEVICES];
};

struct expected {
	uint32_t result;
	bool experimental, profile, server_name;
	unsigned rtr;
};

static bool set_registered(const struct model *m, int set)
{
	return m->registered[0][set] || m->registered[1][set];
}

static bool any_flag(const struct model *m)
{
	for (int d = 0; d < DEVICES; d++)
		for (int s = 0; s < SETS; s++)
			if (m->registered[d][s] || m->unregistered[d][s] || m->pending[d][s])
				return true;
	return false;
}

static void forget_server(struct model *m)
{
	if (any_flag(m))
		return;
	m->server = -1;
	m->restoration[0] = m->restoration[1] = false;
}

static struct expected model_mar(struct model *m, int device, int set, int server)
{
	struct expected e = {.result = RESULT_SUCCESS};
	if (m->server == server && set_registered(m, set))
		return e;
	bool takes_over = m->server >= 0 && m->server != server;
	if (takes_over) {
		bool told[DEVICES] = {m->registered[device][set]};
		told[device] = m->registered[device][set];
		told[1 - device] = false;
		for (int d = 0; d < DEVICES; d++)
			for (int s = 0; s < SETS; s++)
				if (d != device || s != set) {
					told[d] |= m->registered[d][s];
					m->registered[d][s] = m->unregistered[d][s] = m->pending[d][s] = false;
				}
		e.rtr = told[0] + told[1];
		m->restoration[0] = m->restoration[1] = false;
	}
	m->pending[device][set] = true;
	m->server = server;
	return e;
}

static struct expected model_register(struct model *m, int device, int set, int server, bool restoration)
{
	if (m->server >= 0 && m->server != server)
		return (struct expected){EXP_IDENTITY_ALREADY_REGISTERED, true, false, true, 0};
	for (int d = 0; d < DEVICES; d++)
		m->unregistered[d][set] = false;
	m->registered[device][set] = true;
	m->pending[device][set] = false;
	m->server = server;
	m->restoration[device] |= restoration;
	return (struct expected){RESULT_SUCCESS, false, true, false, 0};
}

static struct expected model_unregistered(struct model *m, int device, int set, int server)
{
	if (m->server >= 0 && m->server != server)
		return (struct expected){EXP_IDENTITY_ALREADY_REGISTERED, true, false, true, 0};
	bool was = m->unregistered[0][set] || m->unregistered[1][set];
	if (!(was && !set_registered(m, set))) {
		for (int d = 0; d < DEVICES; d++) {
			bool pair = m->registered[d][set] || m->unregistered[d][set] || m->pending[d][set];
			if (pair)
				m->restoration[d] = false;
			m->registered[d][set] = m->unregistered[d][set] = false;
		}
		m->unregistered[device][set] = true;
	}
	m->server = server;
	return (struct expected){RESULT_SUCCESS, false, true, false, 0};
}

static struct expected model_end(struct model *m, int device, int set, int server, bool store, bool keep)
{
	struct expected e = {.result = RESULT_SUCCESS};
	if (m->server != server)
		return e;
	bool by_many = m->registered[0][set] && m->registered[1][set];
	if (by_many) {
		m->registered[device][set] = m->unregistered[device][set] = false;
	} else if (set_registered(m, set) && !m->registered[device][set]) {
		m->unregistered[device][set] = false; // another device's registration stands
	} else {
		for (int d = 0; d < DEVICES; d++) {
			bool had = m->registered[d][set] || m->unregistered[d][set];
			m->registered[d][set] = false;
			m->unregistered[d][set] = had && store && keep;
		}
	}
	m->restoration[device] = false;
	forget_server(m);
	if (store && !keep && m->server < 0) {
		e.result = EXP_SERVER_NAME_NOT_STORED;
		e.experimental = true;
	}
	return e;
}

static struct expected model_sar(struct model *m, int type, int device, int set, int server, bool restoration, bool keep)
{
	struct expected e = {.result = RESULT_SUCCESS};
	switch (type) {
	case CX_NO_ASSIGNMENT:
		if (m->server != server)
			e.result = RESULT_UNABLE_TO_COMPLY;
		else
			e.profile = true;
		return e;
	case CX_REGISTRATION:
	case CX_RE_REGISTRATION:
		return model_register(m, device, set, server, restoration);
	case CX_UNREGISTERED_USER:
		return model_unregistered(m, device, set, server);
	case CX_AUTHENTICATION_FAILURE:
	case CX_AUTHENTICATION_TIMEOUT:
		if (m->server == server)
			m->pending[device][set] = false;
		forget_server(m);
		return e;
	default:
		return model_end(m, device, set, server,
				 type == CX_TIMEOUT_DEREGISTRATION_STORE || type == CX_USER_DEREGISTRATION_STORE, keep);
	}
}

// ---- both side by side

static void same_state(const struct model *m, const struct ims_state *s)
{
	for (int d = 0; d < DEVICES; d++)
		for (int k = 0; k < SETS; k++) {
			const struct ims_pair *p = ims_pair_find(s, device_of[d], (uint8_t)k);
			unsigned flags = p ? p->flags : 0;
			unsigned want = (m->registered[d][k] ? IMS_REGISTERED : 0) | (m->unregistered[d][k] ? IMS_UNREGISTERED : 0) |
					(m->pending[d][k] ? IMS_PENDING : 0);
			assert_int_equal(flags, want);
		}
	assert_int_equal(s->scscf.len != 0, m->server >= 0);
	if (m->server >= 0)
		assert_true(slice_eq(s->scscf, slice_str(server_name[m->server])));
}

// Through the octets of the row, as a state goes from one request to the next.
static void through_the_row(struct ims_state *s)
{
	static uint8_t row[2][IMS_STATE_MAX];
	static unsigned which;
	which ^= 1;
	struct wr w = wr_of(row[which], sizeof row[which]);
	uint32_t time_s = s->time_s;
	ims_state_put(&w, s, false);
	assert_false(w.err);
	assert_int_equal(wr_len(&w) == 0, ims_state_is_empty(s));
	if (wr_len(&w))
		assert_true(ims_state_get(wr_done(&w), s));
	else
		*s = (struct ims_state){.time_s = time_s};
	assert_int_equal(s->time_s, time_s);
}

static struct cx_server server_at(int n)
{
	return (struct cx_server){slice_str(server_name[n]), slice_str(server_name[n] + 4), slice_str("test")};
}

static void every_request_in_every_state(void **state)
{
	static const char info[] = "\0\0\2\x7f\xc0\0\0\x10\0\0\x28\xaf" "abcd";
	static struct cx_decision d;
	static struct ims_state now;
	struct model m = {.server = -1};
	unsigned seen[CX_ASSIGNMENT_CNT + 1] = {0}, taken = 0, rtrs = 0;
	(void)state;
	srand(1);
	for (unsigned step = 0; step < STEPS; step++) {
		int type = rand() % (CX_ASSIGNMENT_CNT + 1), device = rand() % DEVICES, set = rand() % SETS,
		    server = rand() % 4 == 0;
		bool restoration = rand() % 4 == 0, keep = rand() % 2;
		struct cx_server by = server_at(server);
		struct expected e;
		uint32_t before = now.time_s;
		if (type == CX_ASSIGNMENT_CNT) {
			e = model_mar(&m, device, set, server);
			cx_authenticate(&now, device_of[device], (uint8_t)set, &by, 1000, &d);
		} else {
			struct cx_assign q = {.type = (enum cx_assignment)type,
					      .device = device_of[device],
					      .only_device = device_of[0],
					      .set = {(uint8_t)set},
					      .set_cnt = 1,
					      .by = by,
					      .restoration = restoration ? slice_of(info, 16) : (struct slice){0},
					      .keep_server = keep,
					      .time_s = 1000};
			e = model_sar(&m, type, device, set, server, restoration, keep);
			cx_assign(&now, &q, &d);
		}
		seen[type]++;
		taken += e.server_name;
		rtrs += e.rtr;
		assert_int_equal(d.result, e.result);
		assert_int_equal(d.experimental, e.experimental);
		assert_int_equal(d.profile, e.profile);
		assert_int_equal(d.server_name, e.server_name);
		assert_int_equal(d.terminate_cnt, e.rtr);
		if (d.changed) {
			assert_true(d.next.time_s > before);
			now = d.next;
			through_the_row(&now);
		}
		same_state(&m, &now);
	}
	for (unsigned i = 0; i <= CX_ASSIGNMENT_CNT; i++)
		assert_true(seen[i] > STEPS / 20);
	assert_true(taken > 1000 && rtrs > 1000);
}

static void a_deregistration_tells_each_device(void **state)
{
	static struct cx_decision d;
	(void)state;
	struct ims_state s = {.scscf = slice_str("sip:a.test"),
			     .host = slice_str("a.test"),
			     .realm = slice_str("test"),
			     .pair_cnt = 3,
			     .pair = {{1, 0, IMS_REGISTERED}, {77, 0, IMS_REGISTERED}, {77, 1, IMS_UNREGISTERED}}};
	cx_deregister(&s, 0, -1, CX_PERMANENT_TERMINATION, 5, &d);
	assert_int_equal(d.terminate_cnt, 2);
	assert_int_equal(d.terminate[0].set, 0);
	assert_int_equal(d.terminate[1].set, CX_ALL_SETS);
	assert_true(d.changed && ims_state_is_empty(&d.next));
	cx_deregister(&s, 77, -1, CX_PERMANENT_TERMINATION, 5, &d);
	assert_int_equal(d.terminate_cnt, 1);
	assert_int_equal(d.next.pair_cnt, 1);
	cx_deregister(&s, 0, 0, CX_SERVER_CHANGE, 5, &d);
	assert_int_equal(d.terminate_cnt, 2);
	assert_int_equal(ims_set_state(&d.next, 1), IMS_SET_UNREGISTERED);
	cx_deregister(&s, 0, -1, CX_REMOVE_SCSCF, 5, &d);
	assert_int_equal(d.terminate_cnt, 1);
	assert_int_equal(ims_devices_of(&d.next, 0), 2);
}

static void a_request_replaces_what_it_says_itself(void **state)
{
	static const struct {
		struct cx_row newer, older;
		bool replaces;
	} rows[] = {
		{{.device = 7, .set = 0}, {.device = 7, .set = 0}, true},
		{{.device = 7, .set = 0}, {.device = 8, .set = 0}, false},
		{{.device = 7, .set = 1}, {.device = 7, .set = 0}, false},
		{{.device = 7, .set = CX_ALL_SETS}, {.device = 7, .set = 0}, true},
		{{.device = 7, .set = 0}, {.device = 7, .set = CX_ALL_SETS}, false},
		// 192 and 32 apart: once the same purpose
		{{.device = 7 + 192, .set = 0}, {.device = 7, .set = 0}, false},
		{{.set = 33}, {.set = 1}, false},
		{{.set = 1}, {.set = 1}, true},
		{{.set = 1}, {.set = 1, .reason = CX_PUSH_SECRET}, false},
		{{.set = 1, .reason = CX_PUSH_SECRET}, {.set = 1}, true},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t a[CX_ROW_MAX], b[CX_ROW_MAX];
		struct wr wa = wr_of(a, sizeof a), wb = wr_of(b, sizeof b);
		struct cx_row newer = rows[i].newer, older = rows[i].older;
		if (newer.device)
			newer.user = older.user = slice_str("a@b");
		assert_true(cx_row_put(&wa, &newer) && cx_row_put(&wb, &older));
		if (cx_row_replaces(newer.device ? CX_TERMINATE : CX_PUSH, wr_done(&wa), wr_done(&wb), NULL) != rows[i].replaces)
			fail_msg("row %u", i);
	}
}

// ---- octets

static void states_cut_anywhere(void **state)
{
	uint8_t row[IMS_STATE_MAX];
	static struct ims_state s, back;
	struct guard g;
	(void)state;
	guard_init(&g, sizeof row);
	s = (struct ims_state){.scscf = slice_str("sip:a.test"),
			      .host = slice_str("a.test"),
			      .time_s = 9,
			      .reassignment = true,
			      .pair_cnt = 2,
			      .pair = {{1, 0, IMS_REGISTERED}, {9, 255, IMS_PENDING}},
			      .restoration_cnt = 1,
			      .restoration = {{9, slice_str("12345678")}}};
	struct wr w = wr_of(row, sizeof row);
	ims_state_put(&w, &s, false);
	for (size_t len = 0; len <= wr_len(&w); len++) {
		const uint8_t *cut = guard_copy(&g, row, len);
		assert_int_equal(ims_state_get(slice_of(cut, len), &back), len == wr_len(&w));
		assert_int_equal(back.pair_cnt, len == wr_len(&w) ? 2 : 0);
	}
	guard_fini(&g);
}

static void data_cut_anywhere(void **state)
{
	static struct ims_data d, back;
	uint8_t row[4096], ha1[16] = {1};
	uint64_t hash[8];
	struct guard g;
	(void)state;
	guard_init(&g, sizeof row);
	d = (struct ims_data){
		.priv_cnt = 2,
		.priv = {{.identity = slice_str("a@b")},
			 {.identity = slice_str("c@d"), .scheme = IMS_DIGEST, .realm = slice_str("d"), .ha1 = slice_of(ha1, 16)}},
		.pub_cnt = 2,
		.pub = {{.identity = slice_str("sip:a@b"), .set = 3, .barred = true, .profile = 1},
			{.identity = slice_str("sip:l-!.*!@b"), .type = IMS_WILDCARDED_PSI, .server = slice_str("sip:as")}},
		.profile_cnt = 2,
		.profile = {{.is_template = true}, {.criteria = slice_str("<x/>"), .shared = {7, 9}, .shared_cnt = 2}},
		.charging = {[IMS_PRIMARY_CCF] = slice_str("aaa://ccf")},
		.scscf = slice_str("sip:s"),
		.capabilities = {.mandatory = {5}, .mandatory_cnt = 1},
		.visited = {slice_str("v")},
		.visited_cnt = 1,
	};
	struct wr w = wr_of(row, sizeof row);
	ims_data_put(&w, &d);
	assert_false(w.err);
	for (size_t len = 0; len < wr_len(&w); len++) {
		const uint8_t *cut = guard_copy(&g, row, len);
		assert_false(ims_data_get(slice_of(cut, len), &back));
		assert_int_equal(ims_data_identities(slice_of(cut, len), hash, 8), 0);
	}
	guard_fini(&g);
	assert_true(ims_data_get(wr_done(&w), &back));
	assert_int_equal(back.priv[1].scheme, IMS_DIGEST);
	assert_memory_equal(back.priv[1].ha1.p, ha1, 16);
	assert_true(back.pub[0].barred && back.pub[0].set == 3 && back.pub[0].profile == 1);
	assert_true(slice_eq(back.pub[1].server, slice_str("sip:as")));
	assert_true(back.profile[0].is_template && back.profile[1].shared[1] == 9);
	assert_true(slice_eq(back.profile[1].criteria, slice_str("<x/>")));
	assert_true(slice_eq(back.charging[IMS_PRIMARY_CCF], slice_str("aaa://ccf")));
	assert_int_equal(back.capabilities.mandatory[0], 5);
	assert_int_equal(ims_data_identities(wr_done(&w), hash, 8), 4);
	assert_int_equal(hash[3], ims_wildcard_hash(slice_str("B")));
	assert_int_equal(ims_data_identities(wr_done(&w), hash, 1), 1);
}

static void rows_of_requests(void **state)
{
	uint8_t octets[CX_ROW_MAX];
	struct cx_row row, in = {.reason = 2, .set = 9, .device = 77, .time_s = 5, .user = slice_str("a@b"), .text = slice_str("why")};
	char name[250];
	(void)state;
	struct wr w = wr_of(octets, sizeof octets);
	assert_true(cx_row_put(&w, &in));
	assert_true(cx_row_get(wr_done(&w), &row));
	assert_true(row.reason == 2 && row.set == 9 && row.device == 77 && row.time_s == 5);
	assert_true(slice_eq(row.user, in.user) && slice_eq(row.text, in.text));
	// a text that does not fit is left out, a name that does not is refused
	memset(name, 'a', sizeof name);
	in.text = slice_of(name, sizeof name);
	w = wr_of(octets, sizeof octets);
	assert_true(cx_row_put(&w, &in));
	assert_true(cx_row_get(wr_done(&w), &row) && row.text.len == 0);
	in.user = slice_of(name, sizeof name);
	w = wr_of(octets, sizeof octets);
	assert_false(cx_row_put(&w, &in));
	for (size_t len = 0; len < 12; len++)
		assert_false(cx_row_get(slice_of(octets, len), &row));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_in_every_state),
		cmocka_unit_test(a_deregistration_tells_each_device),
		cmocka_unit_test(a_request_replaces_what_it_says_itself),
		cmocka_unit_test(states_cut_anywhere),
		cmocka_unit_test(data_cut_anywhere),
		cmocka_unit_test(rows_of_requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

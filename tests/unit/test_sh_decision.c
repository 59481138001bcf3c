// Sh's decisions against a model that keeps the same in the plainest way: updates, subscriptions, notices of changes and their
// refusals in any order, drawn at random. After each step the states are the same, also through their octets, and exactly those
// are told who must be.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
// cmocka wants the three first
#include <cmocka.h>
#include "apps/sh/decision.h"
#include "apps/sh/references.h"
#include "lib/diameter/dict.h"

#define HOSTS	   4
#define IDENTITIES 3 // of scopes 5, 5 and 6
#define KEYS	   3
#define STEPS	   20000

static const char *const host[HOSTS] = {"a.test", "b.test", "c.test", "d.test"};
static const char *const host_in_capitals[HOSTS] = {"A.TEST", "B.test", "c.Test", "d.tesT"};
static const char *const identity[IDENTITIES] = {"one", "two", "three"};
static const uint64_t scope_of[IDENTITIES] = {5, 5, 6};
static const char *const key[KEYS] = {"k0", "k1", "k2"};
static const unsigned reference[] = {SH_REF_REPOSITORY, SH_REF_USER_STATE, SH_REF_SCSCF};

static struct model {
	struct {
		bool is;
		unsigned sequence;
		char data[16];
	} service[2][KEYS]; // by scope - 5
	struct {
		bool is, one_time;
		uint32_t expires_s;
	} sub[HOSTS][IDENTITIES][3][KEYS]; // key 0 for all but repository data
} m;

// What must be told in this step.
static struct {
	bool is, last;
	unsigned sequence;
} told[HOSTS][IDENTITIES][3][KEYS];

static uint32_t now_s = 1000;
static bool filling;  // for some time nothing ends
static unsigned full; // subscriptions that found no room
static uint8_t octets[SH_STATE_MAX];
static struct sh_state state;
static struct sh_decision d;

static unsigned draw(unsigned below)
{
	return (unsigned)rand() % below;
}

static int place(const char *const *list, int cnt, struct slice s)
{
	for (int i = 0; i < cnt; i++)
		if (slice_eq_nocase(s, slice_str(list[i])))
			return i;
	fail_msg("'%.*s' is nobody's", (int)s.len, (const char *)s.p);
	return -1;
}

static int reference_place(unsigned r)
{
	return r == SH_REF_REPOSITORY ? 0 : r == SH_REF_USER_STATE ? 1 : 2;
}

static bool counts(unsigned h, unsigned i, unsigned r, unsigned k)
{
	return m.sub[h][i][r][k].is && (m.sub[h][i][r][k].expires_s == 0 || m.sub[h][i][r][k].expires_s > now_s);
}

static void must_tell(unsigned h, unsigned i, unsigned r, unsigned k, unsigned sequence, bool last)
{
	told[h][i][r][k].is = true;
	told[h][i][r][k].sequence = sequence;
	told[h][i][r][k].last = last || m.sub[h][i][r][k].one_time;
	m.sub[h][i][r][k].is = !told[h][i][r][k].last;
}

// The decision's next state is the state now, through its octets; its notices are those of the model.
static void take(void)
{
	static uint8_t two[2][SH_STATE_MAX]; // the state borrows from one of them
	static unsigned turn;
	bool same[HOSTS][IDENTITIES][3][KEYS] = {0};
	assert_int_equal(d.result, RESULT_SUCCESS);
	for (unsigned n = 0; n < d.notice_cnt; n++) {
		const struct sh_row *row = &d.notice[n].row;
		uint8_t data[SH_ROW_MAX];
		struct wr rw = wr_of(data, sizeof data);
		struct sh_row back;
		int h = place(host, HOSTS, d.notice[n].host), i = place(identity, IDENTITIES, row->identity),
		    r = reference_place(row->reference), k = r ? 0 : place(key, KEYS, row->key);
		assert_true(told[h][i][r][k].is && !same[h][i][r][k]);
		assert_int_equal(row->last, told[h][i][r][k].last);
		assert_true(r || row->sequence == told[h][i][r][k].sequence);
		assert_true(sh_row_put(&rw, row) && sh_row_get(wr_done(&rw), &back));
		assert_true(slice_eq(back.key, row->key) && back.last == row->last && back.sequence == row->sequence);
		same[h][i][r][k] = true;
	}
	for (unsigned n = 0; n < HOSTS * IDENTITIES * 3 * KEYS; n++)
		assert_int_equal((&told[0][0][0][0])[n].is, (&same[0][0][0][0])[n]);
	static struct sh_state next;
	next = d.next;
	if (!d.changed)
		return;
	struct wr w = wr_of(two[turn++ % 2], SH_STATE_MAX);
	sh_state_put(&w, &next);
	assert_false(w.err);
	assert_true(wr_len(&w) == 0 || sh_state_get(wr_done(&w), &state));
	if (wr_len(&w) == 0)
		state = (struct sh_state){.version = 0};
}

static void is_the_model(void)
{
	unsigned services = 0, subs = 0, here = 0;
	for (unsigned s = 0; s < 2; s++)
		for (unsigned k = 0; k < KEYS; k++) {
			const struct sh_service *v = sh_service_find(&state, s + 5, slice_str(key[k]));
			assert_int_equal(v != NULL, m.service[s][k].is);
			services += v != NULL;
			if (v)
				assert_true(v->sequence == m.service[s][k].sequence && slice_eq(v->data, slice_str(m.service[s][k].data)));
		}
	assert_int_equal(services, state.service_cnt);
	for (unsigned h = 0; h < HOSTS; h++)
		for (unsigned i = 0; i < IDENTITIES; i++)
			for (unsigned r = 0; r < 3; r++)
				for (unsigned k = 0; k < (r ? 1 : KEYS); k++) {
					const struct sh_row row = {.reference = (uint8_t)reference[r],
								   .identity = slice_str(identity[i]),
								   .key = r ? (struct slice){0} : slice_str(key[k])};
					assert_int_equal(sh_subscription_find(&state, slice_str(host[h]), &row, now_s) != NULL,
							 counts(h, i, r, k));
					subs += counts(h, i, r, k);
				}
	for (unsigned n = 0; n < state.subscription_cnt; n++)
		here += !state.subscription[n].expires_s || state.subscription[n].expires_s > now_s;
	assert_int_equal(subs, here);
	assert_true(state.watcher_cnt <= SH_WATCHERS_MAX && state.subscription_cnt <= SH_SUBSCRIPTIONS_MAX);
}

// ---- steps

static void update(void)
{
	static char data[2][16];
	struct sh_update u = {.cnt = 1 + (draw(4) == 0)};
	unsigned h = draw(HOSTS), i = draw(IDENTITIES), s = (unsigned)scope_of[i] - 5, keys[2] = {draw(KEYS), draw(KEYS)};
	struct sh_store q = {.scope = scope_of[i], .host = slice_str(host_in_capitals[h]), .now_s = now_s, .update = &u};
	if (keys[0] == keys[1])
		u.cnt = 1;
	uint32_t want = RESULT_SUCCESS;
	for (unsigned n = 0; n < u.cnt; n++) {
		unsigned stored = m.service[s][keys[n]].sequence, right = m.service[s][keys[n]].is ? stored % 65535 + 1 : 0;
		struct sh_instance *one = &u.instance[n];
		*one = (struct sh_instance){.sequence = (uint16_t)(draw(5) ? right : draw(3)), .has_data = filling || draw(3)};
		one->indication_len = (uint32_t)snprintf(one->indication, sizeof one->indication, "%s", key[keys[n]]);
		snprintf(data[n], sizeof data[n], "<d>%u</d>", draw(1000));
		one->data = one->has_data ? slice_str(data[n]) : (struct slice){0};
		if (want != RESULT_SUCCESS)
			continue;
		if (one->sequence != right)
			want = EXP_TRANSPARENT_DATA_OUT_OF_SYNC;
		else if (!m.service[s][keys[n]].is && !one->has_data)
			want = EXP_OPERATION_NOT_ALLOWED;
	}
	for (unsigned n = 0; n < state.watcher_cnt; n++)
		q.watcher_scope[n] = scope_of[place(identity, IDENTITIES, state.watcher[n].identity)];
	sh_store(&state, &q, &d);
	assert_int_equal(d.result, want);
	if (want != RESULT_SUCCESS) {
		assert_true(d.experimental && d.rule && !d.changed && d.notice_cnt == 0);
		return;
	}
	for (unsigned n = 0; n < u.cnt; n++) {
		const struct sh_instance *one = &u.instance[n];
		m.service[s][keys[n]].is = one->has_data;
		m.service[s][keys[n]].sequence = one->sequence;
		snprintf(m.service[s][keys[n]].data, sizeof data[n], "%s", data[n]);
		for (unsigned w = 0; w < HOSTS; w++)
			for (unsigned x = 0; x < IDENTITIES; x++) {
				if (scope_of[x] != scope_of[i] || !counts(w, x, 0, keys[n]))
					continue;
				if (w != h)
					must_tell(w, x, 0, keys[n], one->sequence, !one->has_data);
				m.sub[w][x][0][keys[n]].is &= one->has_data;
			}
	}
	take();
}

static void subscribe(void)
{
	unsigned h = draw(HOSTS), i = draw(IDENTITIES), r = draw(3), k = r ? 0 : draw(KEYS);
	bool end = !filling && draw(4) == 0, one_time = !filling && draw(4) == 0;
	uint32_t expires_s = filling || draw(3) ? 0 : now_s + 1 + draw(50);
	struct sh_subscribe q = {.scope = scope_of[i],
				 .references = SH_BIT(reference[r]),
				 .host = slice_str(host[h]),
				 .realm = slice_str("test"),
				 .identity = slice_str(identity[i]),
				 .key = {slice_str(key[k])},
				 .key_cnt = 1,
				 .unsubscribe = end,
				 .one_time = one_time,
				 .expires_s = expires_s,
				 .now_s = now_s};
	sh_subscribe(&state, &q, &d);
	if (!end && r == 0 && !m.service[scope_of[i] - 5][k].is) {
		assert_true(d.experimental && d.result == EXP_SUBS_DATA_ABSENT && !d.changed);
		return;
	}
	if (d.result == RESULT_UNABLE_TO_COMPLY) {
		assert_true(!end && !d.experimental && d.next.subscription_cnt == SH_SUBSCRIPTIONS_MAX);
		full++;
		return;
	}
	m.sub[h][i][r][k].is = !end;
	m.sub[h][i][r][k].one_time = one_time;
	m.sub[h][i][r][k].expires_s = expires_s;
	take();
}

static void change(void)
{
	bool changed[SH_SUBSCRIPTIONS_MAX] = {false};
	uint64_t of[IDENTITIES];
	for (unsigned i = 0; i < IDENTITIES; i++)
		of[i] = (draw(2) ? SH_BIT(SH_REF_USER_STATE) : 0) | (draw(2) ? SH_BIT(SH_REF_SCSCF) : 0);
	for (unsigned n = 0; n < state.subscription_cnt; n++) {
		const struct sh_subscription *s = &state.subscription[n];
		changed[n] = of[place(identity, IDENTITIES, state.watcher[s->watcher].identity)] >> s->reference & 1;
	}
	for (unsigned h = 0; h < HOSTS; h++)
		for (unsigned i = 0; i < IDENTITIES; i++)
			for (unsigned r = 1; r < 3; r++)
				if (of[i] & SH_BIT(reference[r]) && counts(h, i, r, 0))
					must_tell(h, i, r, 0, 0, false);
	sh_changed(&state, changed, now_s, &d);
	take();
}

static void refuse(void)
{
	unsigned h = draw(HOSTS), i = draw(IDENTITIES), r = draw(3), k = r ? 0 : draw(KEYS);
	bool all = draw(4) == 0;
	const struct sh_row row = {.reference = (uint8_t)reference[r],
				   .identity = slice_str(identity[i]),
				   .key = r ? (struct slice){0} : slice_str(key[k])};
	sh_unwanted(&state, slice_str(host_in_capitals[h]), &row, all, &d);
	m.sub[h][i][r][k].is = false;
	for (unsigned x = 0; all && x < IDENTITIES; x++)
		for (unsigned n = 0; n < 3; n++)
			for (unsigned y = 0; y < KEYS; y++)
				m.sub[h][x][n][y].is = false;
	take();
}

static void any_order_of_requests(void **unused)
{
	unsigned notices = 0, most = 0;
	(void)unused;
	srand(17);
	for (unsigned n = 0; n < STEPS; n++) {
		memset(told, 0, sizeof told);
		now_s += draw(3);
		filling = n / 500 % 2;
		switch (draw(8)) {
		case 0: case 1: case 2: subscribe(); break;
		case 3: case 4: case 5: update(); break;
		case 6: change(); break;
		default:
			if (!filling && draw(4) == 0)
				refuse();
		}
		is_the_model();
		notices += d.notice_cnt;
		most = state.subscription_cnt > most ? state.subscription_cnt : most;
	}
	assert_true(notices > 1000 && most > 10 && full > 0);
}

// ---- numbers and bounds

static uint32_t store(const char *indication, unsigned sequence, struct slice data, bool repeated)
{
	struct sh_update u = {.cnt = 1};
	struct wr w = wr_of(octets, sizeof octets);
	u.instance[0] = (struct sh_instance){.sequence = (uint16_t)sequence, .has_data = data.len != 0, .data = data};
	u.instance[0].indication_len = (uint32_t)snprintf(u.instance[0].indication, sizeof u.instance[0].indication, "%s", indication);
	sh_store(&state, &(struct sh_store){.scope = 1, .host = slice_str("x"), .repeated = repeated, .update = &u}, &d);
	static struct sh_state next;
	static uint8_t copy[SH_STATE_MAX];
	next = d.next;
	if (d.result != RESULT_SUCCESS || !d.changed)
		return d.result;
	sh_state_put(&w, &next);
	assert_false(w.err);
	memcpy(copy, octets, sizeof copy);
	if (!sh_state_get(slice_of(copy, wr_len(&w)), &state))
		state = (struct sh_state){.version = 0};
	return d.result;
}

static void numbers_begin_again_behind_the_last_one(void **unused)
{
	(void)unused;
	state = (struct sh_state){.version = 0};
	struct slice x = slice_str("<x/>");
	assert_int_equal(store("s", 0, x, false), RESULT_SUCCESS);
	state.service[0].sequence = 65534;
	assert_int_equal(store("s", 65535, x, false), RESULT_SUCCESS);
	assert_int_equal(store("s", 0, x, false), EXP_TRANSPARENT_DATA_OUT_OF_SYNC);
	assert_int_equal(store("s", 1, x, false), RESULT_SUCCESS);
	assert_int_equal(store("s", 1, x, false), EXP_TRANSPARENT_DATA_OUT_OF_SYNC);
	assert_int_equal(store("s", 1, x, true), RESULT_SUCCESS);
	assert_false(d.changed);
	assert_int_equal(store("s", 1, slice_str("<y/>"), true), EXP_TRANSPARENT_DATA_OUT_OF_SYNC);
	assert_int_equal(store("s", 2, (struct slice){0}, false), RESULT_SUCCESS);
	assert_int_equal(store("s", 2, (struct slice){0}, true), RESULT_SUCCESS);
}

static void what_is_full_is_refused(void **unused)
{
	static uint8_t data[SH_SERVICE_OCTETS + 1];
	char name[16];
	(void)unused;
	memset(data, 'x', sizeof data);
	state = (struct sh_state){.version = 0};
	assert_int_equal(store("s", 0, slice_of(data, sizeof data), false), EXP_TOO_MUCH_DATA);
	assert_int_equal(store("s", 0, slice_of(data, sizeof data - 1), false), RESULT_SUCCESS);
	assert_int_equal(store("t", 0, slice_of(data, SH_REPOSITORY_OCTETS - SH_SERVICE_OCTETS - 1), false), EXP_TOO_MUCH_DATA);
	assert_int_equal(store("t", 0, slice_of(data, SH_REPOSITORY_OCTETS - SH_SERVICE_OCTETS - 2), false), RESULT_SUCCESS);
	assert_int_equal(store("u", 0, slice_of(data, 1), false), EXP_TOO_MUCH_DATA);
	assert_int_equal(store("s", 1, slice_of(data, 1), false), RESULT_SUCCESS);
	for (unsigned n = 2; n < SH_SERVICES_MAX; n++) {
		snprintf(name, sizeof name, "n%u", n);
		assert_int_equal(store(name, 0, slice_of(data, 1), false), RESULT_SUCCESS);
	}
	assert_int_equal(store("more", 0, slice_of(data, 1), false), EXP_TOO_MUCH_DATA);
	struct sh_subscribe q = {.scope = 1, .references = SH_BIT(SH_REF_SCSCF), .identity = slice_str("i"), .realm = slice_str("r")};
	for (unsigned n = 0; n <= SH_WATCHERS_MAX; n++) {
		static char hosts[SH_WATCHERS_MAX + 1][8];
		snprintf(hosts[n], sizeof hosts[n], "h%u", n);
		q.host = slice_str(hosts[n]);
		sh_subscribe(&state, &q, &d);
		assert_int_equal(d.result, n < SH_WATCHERS_MAX ? RESULT_SUCCESS : RESULT_UNABLE_TO_COMPLY);
		if (n < SH_WATCHERS_MAX) {
			static struct sh_state next;
			next = d.next;
			state = next;
		}
	}
	q.host = slice_str("h0");
	q.identity = slice_of(data, 250);
	sh_subscribe(&state, &q, &d);
	assert_int_equal(d.result, RESULT_UNABLE_TO_COMPLY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_order_of_requests),
		cmocka_unit_test(numbers_begin_again_behind_the_last_one),
		cmocka_unit_test(what_is_full_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// Who is served where (apps/s6a/policy.h, admit.h): the compiled table against a naive reading of the rules, drawn at random; and
// each row of the decision with its result code and Error-Diagnostic.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apps/s6a/admit.h"
#include "cache/refusals.h"
#include "lib/diameter/dict.h"
#include "tests/support/worker_fixture.h"

#define IMSI "001010000000001"

static union {
	struct s6a_policy p;
	uint8_t bytes[S6A_POLICY_LEN_MAX];
} table;
static struct s6a_options options;

static imsi_t imsi_of(const char *text)
{
	imsi_t imsi;
	assert_true(imsi_parse(slice_str(text), &imsi));
	return imsi;
}

static const struct s6a_policy *compile(void)
{
	size_t len = s6a_policy_make(&options, &table.p);
	const struct s6a_policy *p = s6a_policy_of(slice_of(table.bytes, len));
	assert_non_null(p);
	return p;
}

static struct roaming_rule *rule(const char *visited, enum roaming_action action)
{
	struct roaming_rule *r = &options.rule[options.rule_cnt];
	*r = (struct roaming_rule){.action = (uint8_t)action, .diagnostic = ROAMING_ODB_VPLMN};
	snprintf(r->visited, sizeof(r->visited), "%s", visited);
	options.rule_line[options.rule_cnt] = 100 + options.rule_cnt;
	options.rule_cnt++;
	return r;
}

// ---- the model

static const uint32_t rat_types[] = {1000, 1001, 1002, 1003, 1004, 1005, 1007, 1013};

static bool model_ends(const char *realm, const char *with)
{
	size_t a = strlen(realm), b = strlen(with);
	return b == 0 || strcasecmp(realm, with) == 0 ||
	       (a > b && realm[a - b - 1] == '.' && strcasecmp(realm + a - b, with) == 0);
}

static struct roaming_rule own_rule[S6A_OWN_RULE_MAX];
static unsigned own_cnt;

// The rule that decides, of a list; `profile` NULL: whatever profile it has.
static const struct roaming_rule *model_find(const struct roaming_rule *rules, unsigned cnt, const struct s6a_policy_asked *q,
					     const char *realm, const char *profile, unsigned rat)
{
	const struct roaming_rule *best = NULL;
	size_t best_len = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		const struct roaming_rule *r = &rules[i];
		size_t len = strcmp(r->visited, "*") == 0 ? 0 : strlen(r->visited);
		bool rat_fits = r->rat_cnt == 0;
		for (uint32_t k = 0; k < r->rat_cnt; k++)
			rat_fits |= r->rats[k] == rat;
		if ((profile && strcmp(r->profile, profile) != 0) || strncmp(q->visited, r->visited, len) != 0 || !rat_fits ||
		    !model_ends(realm, r->realm) || (best && best_len >= len))
			continue;
		best = r;
		best_len = len;
	}
	return best;
}

static struct s6a_policy_answer model(const struct s6a_policy_asked *q, const char *realm, const char *profile, unsigned rat)
{
	const struct roaming_rule *best = model_find(own_rule, own_cnt, q, realm, NULL, rat);
	if (best)
		return (struct s6a_policy_answer){.denied = best->action,
						  .result = best->result,
						  .diagnostic = best->diagnostic,
						  .own_rule = (uint8_t)(1 + best - own_rule)};
	if (!own_cnt && *profile)
		best = model_find(options.rule, options.rule_cnt, q, realm, profile, rat);
	if (!best)
		best = model_find(options.rule, options.rule_cnt, q, realm, "", rat);
	if (!best)
		return (struct s6a_policy_answer){
			.denied = options.action, .result = options.result, .diagnostic = options.diagnostic};
	return (struct s6a_policy_answer){.denied = best->action,
					  .result = best->result,
					  .diagnostic = best->diagnostic,
					  .line = options.rule_line[best - options.rule]};
}

static unsigned draw(unsigned below)
{
	return (unsigned)rand() % below; // NOLINT: a test
}

static void draw_options(void)
{
	static const char *const visited[] = {"*", "208", "2080", "20801", "208010", "2620", "262", "26201", "310", "310410", "31041"};
	static const char *const realms[] = {"", "", "test", "x.test", "org"};
	static const char *const profiles[] = {"", "", "gold", "iot"};
	options = (struct s6a_options){.action = (uint8_t)draw(2), .result = (uint8_t)draw(4), .diagnostic = (uint8_t)draw(4)};
	unsigned cnt = draw(4) ? draw(30) : ROAMING_RULE_MAX;
	for (unsigned i = 0; i < cnt; i++) {
		struct roaming_rule *r = rule(visited[draw(11)], draw(2));
		snprintf(r->realm, sizeof(r->realm), "%s", realms[draw(5)]);
		snprintf(r->profile, sizeof(r->profile), "%s", profiles[draw(4)]);
		r->result = (uint8_t)draw(4);
		r->diagnostic = (uint8_t)draw(4);
		r->rat_cnt = draw(2) ? 0 : draw(ROAMING_RAT_MAX + 1);
		for (uint32_t k = 0; k < r->rat_cnt; k++)
			r->rats[k] = (uint8_t)draw(ROAMING_RAT_CNT);
	}
}

static void table_is_the_rules(void **state)
{
	static const char *const visited[] = {"20801", "208010", "208015", "26201", "262020", "310410", "31041", "99999", "310411"};
	static const char *const realms[] = {"test", "x.test", "y.x.TEST", "xtest", "org", ""};
	static const char *const profiles[] = {"", "gold", "iot"};
	(void)state;
	srand(7);
	for (unsigned round = 0; round < 200; round++) {
		draw_options();
		const struct s6a_policy *p = compile();
		for (unsigned i = 0; i < 100; i++) {
			struct s6a_policy_asked q = {.imsi = imsi_of(IMSI)};
			const char *realm = realms[draw(6)], *profile = profiles[draw(3)];
			unsigned rat = draw(ROAMING_RAT_CNT);
			snprintf(q.visited, sizeof(q.visited), "%s", visited[draw(9)]);
			q.rat = rat_types[rat];
			q.realm = slice_str(realm);
			uint8_t own[S6A_OWN_MAX];
			struct wr w = wr_of(own, sizeof(own));
			own_cnt = draw(3) ? 0 : draw(S6A_OWN_RULE_MAX + 1);
			for (unsigned k = 0; k < own_cnt; k++)
				own_rule[k] = options.rule[draw(options.rule_cnt ? options.rule_cnt : 1)];
			if (own_cnt && options.rule_cnt)
				s6a_own_put_rules(&w, own_rule, own_cnt);
			else if (own_cnt = 0, *profile)
				s6a_own_put_name(&w, slice_str(profile));
			q.own = wr_done(&w);
			struct s6a_policy_answer got = s6a_policy_ask(p, &q);
			struct s6a_policy_answer want = model(&q, realm, profile, rat);
			assert_int_equal(got.denied, want.denied);
			assert_int_equal(got.line, want.line);
			assert_int_equal(got.own_rule, want.own_rule);
			assert_int_equal(got.result, want.result);
			assert_int_equal(got.diagnostic, want.diagnostic);
		}
	}
}

static void home(void **state)
{
	(void)state;
	static const struct {
		const char *imsi, *visited;
		bool roams;
	} rows[] = {{"001010000000001", "00101", false}, {"001010000000001", "001010", false}, {"001010000000001", "001019", true},
		    {"001010000000001", "00102", true},	 {"310410123456789", "310410", false}, {"310410123456789", "31041", false},
		    {"310410123456789", "310411", true}, {"00101", "00101", false},	      {"00101", "001010", true},
		    {"208950000000001", "20820", false}, {"208950000000001", "208200", true}};
	options = (struct s6a_options){.home = {"20820"}, .home_cnt = 1, .action = ROAMING_DENY};
	const struct s6a_policy *p = compile();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct s6a_policy_asked q = {.imsi = imsi_of(rows[i].imsi), .rat = 1004};
		snprintf(q.visited, sizeof(q.visited), "%s", rows[i].visited);
		assert_int_equal(s6a_policy_roams(p, q.imsi, q.visited), rows[i].roams);
		assert_int_equal(s6a_policy_ask(p, &q).denied, rows[i].roams);
	}
	assert_true(s6a_policy_roams(s6a_policy_none(), imsi_of("208950000000001"), "20820"));
}

static void broken_tables(void **state)
{
	(void)state;
	options = (struct s6a_options){0};
	(void)rule("*", ROAMING_DENY);
	size_t len = s6a_policy_make(&options, &table.p);
	assert_non_null(s6a_policy_of(slice_of(table.bytes, len)));
	assert_null(s6a_policy_of(slice_of(table.bytes, len - 1)));
	assert_null(s6a_policy_of(slice_of(table.bytes, 8)));
	assert_null(s6a_policy_of((struct slice){0}));
	static uint32_t *const field[] = {&table.p.rule_cnt, &table.p.home_cnt, &table.p.realm_cnt, &table.p.profile_cnt, &table.p.len};
	for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++) {
		(void)s6a_policy_make(&options, &table.p);
		*field[i] = UINT32_MAX;
		assert_null(s6a_policy_of(slice_of(table.bytes, len)));
	}
	(void)s6a_policy_make(&options, &table.p);
	table.p.profile[0].cnt = UINT32_MAX; // what it says is not believed
	struct s6a_policy_asked q = {.imsi = imsi_of(IMSI), .visited = "20801", .rat = 1004};
	assert_false(s6a_policy_ask(s6a_policy_of(slice_of(table.bytes, len)), &q).denied);
}

static void rats_that_an_air_does_not_tell(void **state)
{
	(void)state;
	struct s6a_policy_asked q = {.imsi = imsi_of(IMSI), .visited = "20801"};
	options = (struct s6a_options){0};
	struct roaming_rule *r = rule("208", ROAMING_DENY);
	r->rats[r->rat_cnt++] = ROAMING_EUTRAN;
	assert_false(s6a_policy_ask(compile(), &q).denied);
	r->rats[r->rat_cnt++] = ROAMING_NB_IOT;
	r->rats[r->rat_cnt++] = ROAMING_LTE_M;
	assert_false(s6a_policy_ask(compile(), &q).denied);
	r->rats[r->rat_cnt++] = ROAMING_SATELLITE;
	assert_true(s6a_policy_ask(compile(), &q).denied);
	// RAT-Types that no word stands for: only rules without rats
	static const uint32_t none[] = {1, 1006, 1008, 1010, 1035, 2003};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		q.rat = none[i];
		assert_false(s6a_policy_ask(compile(), &q).denied);
	}
}

static void realms(void **state)
{
	static const struct {
		const char *realm, *visited;
		bool ours, fits;
	} rows[] = {
		{"epc.mnc001.mcc208.3gppnetwork.org", "20801", false, true},
		{"EPC.MNC001.MCC208.3gppnetwork.ORG", "20801", false, true},
		{"mnc001.mcc208.3gppnetwork.org", "20801", false, true},
		{"epc.mnc001.mcc208.3gppnetwork.org", "20802", false, false},
		{"epc.mnc001.mcc208.3gppnetwork.org", "208001", false, true},
		{"epc.mnc010.mcc208.3gppnetwork.org", "20801", false, false},
		{"epc.mnc410.mcc310.3gppnetwork.org", "310410", false, true},
		{"epc.mnc410.mcc310.3gppnetwork.org", "31041", false, false},
		{"epc.mnc0x1.mcc208.3gppnetwork.org", "20801", false, false},
		{"3gppnetwork.org", "20801", false, false},
		{"hub.example", "20801", false, true},
		{"a.hub.example", "20899", false, true},
		{"ahub.example", "20801", false, false},
		{"hub.example", "26201", false, false},
		{"any.example", "26201", false, true},
		{"epc.mnc001.mcc001.3gppnetwork.org", "00101", true, true},
		{"epc.mnc001.mcc001.3gppnetwork.org", "20801", true, false},
		{"", "00101", false, false},
	};
	(void)state;
	options = (struct s6a_options){
		.realm = {{"hub.example", "208"}, {"any.example", "*"}}, .realm_cnt = 2, .realm_check = ROAMING_CHECK_ENFORCE};
	const struct s6a_policy *p = compile();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct s6a_policy_asked q = {.imsi = imsi_of(IMSI), .realm = slice_str(rows[i].realm)};
		snprintf(q.visited, sizeof(q.visited), "%s", rows[i].visited);
		if (s6a_policy_realm_fits(p, &q, rows[i].ours) != rows[i].fits)
			fail_msg("%s for %s", rows[i].realm, rows[i].visited);
	}
}

// ---- decisions

static const uint8_t at_home[3] = {0x00, 0xf1, 0x10}, in_france[3] = {0x02, 0xf8, 0x10};

static struct s6a_refusal decide(struct wf *f, const struct s6a_policy *p, const struct s6a_asked *q)
{
	struct s6a_refusal no = {0};
	struct s6a_admitted how;
	const struct cache_record *rec = cache_find(&f->w.cache, imsi_of(IMSI));
	assert_non_null(rec);
	if (!s6a_refused(p, &f->w.cache, rec, q, &how, &no))
		no = (struct s6a_refusal){.result = RESULT_SUCCESS};
	return no;
}

static void set_profile(struct wf *f, uint32_t profile, uint8_t flags)
{
	struct cache_record r = *cache_find(&f->w.cache, imsi_of(IMSI));
	r.profile = profile;
	r.flags = flags;
	assert_int_equal(builder_put(f->b, &r), 0);
}

#define NONE UINT32_MAX
static void is(struct s6a_refusal no, uint32_t result, uint32_t diagnostic, enum s6a_reason reason)
{
	assert_int_equal(no.result, result);
	assert_int_equal(no.reason, reason);
	assert_int_equal(no.has_diagnostic ? no.diagnostic : NONE, diagnostic);
	if (result != RESULT_SUCCESS && result != RESULT_UNABLE_TO_COMPLY && reason != S6A_REALM)
		assert_true(no.experimental);
	char text[128];
	s6a_reason_text(no.reason, no.line, text);
	assert_int_equal(strlen(text) > 0, reason != S6A_SERVED);
}

static void subscriptions(void **state)
{
	struct wf *f = *state;
	const struct s6a_asked mme = {.s6a = true, .rat = 1004, .plmn = at_home}, sgsn = {.rat = 1000, .plmn = at_home};
	const struct s6a_asked air = {.air = true, .plmn = at_home}, early = {.air = true, .early = true, .plmn = at_home};
	set_profile(f, wf_profile(f, true, true, 0, 0), 0);
	is(decide(f, NULL, &mme), RESULT_SUCCESS, NONE, S6A_SERVED);
	is(decide(f, NULL, &early), RESULT_SUCCESS, NONE, S6A_SERVED);
	set_profile(f, wf_profile(f, false, true, 0, 0), 0);
	is(decide(f, NULL, &mme), EXP_UNKNOWN_EPS_SUBSCRIPTION, DIAG_GPRS_SUBSCRIBED, S6A_NO_APN);
	is(decide(f, NULL, &sgsn), RESULT_SUCCESS, NONE, S6A_SERVED);
	is(decide(f, NULL, &air), RESULT_SUCCESS, NONE, S6A_SERVED);
	is(decide(f, NULL, &early), EXP_UNKNOWN_EPS_SUBSCRIPTION, DIAG_GPRS_SUBSCRIBED, S6A_NO_APN);
	set_profile(f, wf_profile(f, false, false, 0, 0), 0);
	is(decide(f, NULL, &sgsn), EXP_UNKNOWN_EPS_SUBSCRIPTION, DIAG_NO_GPRS, S6A_NO_APN);
	set_profile(f, wf_profile(f, true, false, 0, 0), RECORD_NO_PACKET);
	is(decide(f, NULL, &mme), EXP_UNKNOWN_EPS_SUBSCRIPTION, DIAG_NO_GPRS, S6A_NO_PACKET);
	is(decide(f, NULL, &air), EXP_UNKNOWN_EPS_SUBSCRIPTION, NONE, S6A_NO_PACKET);
	set_profile(f, 0, 0);
	is(decide(f, NULL, &mme), EXP_UNKNOWN_EPS_SUBSCRIPTION, NONE, S6A_NO_APN);
}

// Each bit of Access-Restriction-Data forbids its RAT-Types and no others.
static void restrictions(void **state)
{
	struct wf *f = *state;
	static const struct {
		uint32_t rat, bits;
	} rows[] = {{1000, 1u << 0}, {1001, 1u << 1}, {1002, 1u << 2}, {1003, 1u << 3}, {1004, 1u << 4 | 1u << 12}, {1005, 1u << 6},
		    {1006, 1u << 10}, {1007, 1u << 4 | 1u << 11}, {1011, 1u << 13}, {1014, 1u << 16}, {1015, 0}, {1021, 1u << 17},
		    {1024, 1u << 20}, {1025, 0}, {1031, 1u << 21}, {1034, 1u << 24}, {1035, 0}, {1008, 0}, {2003, 0}, {0, 0}};
	for (unsigned bit = 0; bit < 32; bit++) {
		set_profile(f, wf_profile(f, true, true, 1u << bit, 0), 0);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct s6a_asked q = {.s6a = true, .rat = rows[i].rat, .plmn = at_home};
			bool forbidden = rows[i].bits & 1u << bit;
			is(decide(f, NULL, &q), forbidden ? (uint32_t)EXP_RAT_NOT_ALLOWED : (uint32_t)RESULT_SUCCESS, NONE,
			   forbidden ? S6A_RAT_RESTRICTED : S6A_SERVED);
		}
	}
}

static void barring(void **state)
{
	struct wf *f = *state;
	static const enum s6a_reason reasons[] = {S6A_BARRED_ALL, S6A_BARRED_HPLMN, S6A_BARRED_VPLMN};
	for (unsigned bit = 0; bit < 9; bit++) {
		set_profile(f, wf_profile(f, true, true, 0, 1u << bit), 0);
		for (unsigned abroad = 0; abroad < 2; abroad++) {
			struct s6a_asked q = {.s6a = true, .rat = 1004, .plmn = abroad ? in_france : at_home};
			bool barred = bit == 0 || (bit < 3 && abroad);
			struct s6a_refusal no = decide(f, NULL, &q);
			if (barred)
				is(no, EXP_ROAMING_NOT_ALLOWED, DIAG_ODB_ALL_APN + bit, reasons[bit]);
			else
				is(no, RESULT_SUCCESS, NONE, S6A_SERVED);
			q.features = 1u << bit; // the node enforces it
			is(decide(f, NULL, &q), RESULT_SUCCESS, NONE, S6A_SERVED);
		}
	}
}

static void roaming_answers(void **state)
{
	struct wf *f = *state;
	static const struct {
		enum roaming_result result;
		enum roaming_diagnostic diagnostic;
		uint32_t code, shown;
	} rows[] = {{ROAMING_5004, ROAMING_NO_DIAGNOSTIC, EXP_ROAMING_NOT_ALLOWED, NONE},
		    {ROAMING_5004, ROAMING_ODB_ALL, EXP_ROAMING_NOT_ALLOWED, 2},
		    {ROAMING_5004, ROAMING_ODB_HPLMN, EXP_ROAMING_NOT_ALLOWED, 3},
		    {ROAMING_5004, ROAMING_ODB_VPLMN, EXP_ROAMING_NOT_ALLOWED, 4},
		    {ROAMING_5004, ROAMING_DIAGNOSTIC_CNT, EXP_ROAMING_NOT_ALLOWED, NONE},
		    {ROAMING_5012, ROAMING_ODB_ALL, RESULT_UNABLE_TO_COMPLY, NONE},
		    {ROAMING_5421, ROAMING_ODB_ALL, EXP_RAT_NOT_ALLOWED, NONE},
		    {ROAMING_5420, ROAMING_ODB_ALL, EXP_UNKNOWN_EPS_SUBSCRIPTION, NONE},
		    {ROAMING_RESULT_CNT, ROAMING_NO_DIAGNOSTIC, EXP_ROAMING_NOT_ALLOWED, NONE}};
	set_profile(f, wf_profile(f, true, true, 0, 0), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (unsigned by_default = 0; by_default < 2; by_default++) {
			options = (struct s6a_options){.in_aia = true};
			if (by_default) {
				options.action = ROAMING_DENY;
				options.result = (uint8_t)rows[i].result;
				options.diagnostic = (uint8_t)rows[i].diagnostic;
			} else {
				struct roaming_rule *r = rule("208", ROAMING_DENY);
				r->result = (uint8_t)rows[i].result;
				r->diagnostic = (uint8_t)rows[i].diagnostic;
			}
			struct s6a_asked q = {.s6a = true, .rat = 1004, .plmn = in_france};
			enum s6a_reason why = by_default ? S6A_ROAMING_DEFAULT : S6A_ROAMING_RULE;
			is(decide(f, compile(), &q), rows[i].code, rows[i].shown, why);
			q = (struct s6a_asked){.air = true, .plmn = in_france};
			is(decide(f, compile(), &q), rows[i].code, rows[i].shown, why);
			options.in_aia = false;
			is(decide(f, compile(), &q), RESULT_SUCCESS, NONE, S6A_SERVED);
			q.plmn = at_home;
			options.in_aia = true;
			is(decide(f, compile(), &q), RESULT_SUCCESS, NONE, S6A_SERVED);
		}
	}
}

// A subscription that is not there comes before a network that is not allowed, and that before barring.
static void order(void **state)
{
	struct wf *f = *state;
	struct s6a_asked q = {.s6a = true, .rat = 1004, .plmn = in_france, .realm = slice_str("x.test")};
	options = (struct s6a_options){.action = ROAMING_DENY, .realm_check = ROAMING_CHECK_ENFORCE};
	set_profile(f, wf_profile(f, false, false, 1u << 4, 1), 0);
	is(decide(f, compile(), &q), EXP_UNKNOWN_EPS_SUBSCRIPTION, DIAG_NO_GPRS, S6A_NO_APN);
	set_profile(f, wf_profile(f, true, false, 1u << 4, 1), 0);
	is(decide(f, compile(), &q), EXP_RAT_NOT_ALLOWED, NONE, S6A_RAT_RESTRICTED);
	set_profile(f, wf_profile(f, true, false, 0, 1), 0);
	is(decide(f, compile(), &q), EXP_ROAMING_NOT_ALLOWED, NONE, S6A_REALM);
	options.realm_check = ROAMING_CHECK_LOG;
	is(decide(f, compile(), &q), EXP_ROAMING_NOT_ALLOWED, NONE, S6A_ROAMING_DEFAULT);
	options.action = ROAMING_ALLOW;
	is(decide(f, compile(), &q), EXP_ROAMING_NOT_ALLOWED, DIAG_ODB_ALL_APN, S6A_BARRED_ALL);
	options.realm_check = ROAMING_CHECK_ENFORCE;
	q = (struct s6a_asked){.air = true, .plmn = in_france, .realm = slice_str("x.test")};
	struct s6a_refusal no = decide(f, compile(), &q);
	is(no, RESULT_AUTHORIZATION_REJECTED, NONE, S6A_REALM);
	assert_false(no.experimental);
	q.plmn = at_home;
	q.realm_is_ours = true;
	is(decide(f, compile(), &q), RESULT_SUCCESS, NONE, S6A_SERVED);
}

// ---- the last refusals

static void last_refusals(void **state)
{
	struct wf *f = *state;
	struct refusals *t = &f->control->refusals[0];
	struct refusal out[REFUSAL_WAYS + 2], r = {.imsi = imsi_of(IMSI).v, .app = 1};
	assert_int_equal(refusals_find(f->control, r.imsi, out, 8), 0);
	assert_false(refusals_came_back(t, r.imsi, 1, at_home));
	for (unsigned i = 0; i < 6; i++) {
		r.time_us = 1000 + i;
		r.plmn[0] = (uint8_t)i;
		refusals_add(t, &r);
	}
	assert_int_equal(refusals_find(f->control, r.imsi, out, REFUSAL_WAYS + 2), REFUSAL_WAYS);
	for (unsigned i = 0; i < REFUSAL_WAYS; i++)
		assert_int_equal(out[i].time_us, 1005 - i); // the newest first
	assert_int_equal(refusals_find(f->control, r.imsi, out, 2), 2);
	assert_int_equal(out[1].time_us, 1004);
	r.time_us = 2000; // again: in its place
	refusals_add(t, &r);
	assert_int_equal(refusals_find(f->control, r.imsi, out, 8), REFUSAL_WAYS);
	assert_int_equal(out[0].time_us, 2000);
	assert_int_equal(out[1].time_us, 1004);
	assert_int_equal(refusals_find(f->control, r.imsi + 1, out, 8), 0);
	assert_int_equal(refusals_find(f->control, 0, out, 8), 0);
	// in one of the networks: the refusals of the others count, and are not counted again
	assert_false(refusals_came_back(t, r.imsi, 2, at_home));
	assert_true(refusals_came_back(t, r.imsi, 1, r.plmn));
	assert_false(refusals_came_back(t, r.imsi, 1, r.plmn));
	assert_true(refusals_came_back(t, r.imsi, 1, in_france));
	assert_int_equal(refusals_find(f->control, r.imsi, out, 8), REFUSAL_WAYS);
	// the worker was killed while it wrote: no reader waits, and the next refusal is read again
	unsigned torn = 0;
	for (unsigned s = 0; s < REFUSAL_SETS; s++)
		for (unsigned w = 0; w < REFUSAL_WAYS; w++)
			if (t->entry[s][w].r.imsi == r.imsi && t->entry[s][w].r.time_us == 2000) {
				t->entry[s][w].turn |= 1;
				torn++;
			}
	assert_int_equal(torn, 1);
	assert_int_equal(refusals_find(f->control, r.imsi, out, 8), REFUSAL_WAYS - 1);
	r.time_us = 3000;
	refusals_add(t, &r);
	assert_int_equal(refusals_find(f->control, r.imsi, out, 8), REFUSAL_WAYS);
	assert_int_equal(out[0].time_us, 3000);
	// a long name is cut off
	char name[300];
	memset(name, 'x', sizeof(name));
	refusal_set_host(&r, slice_of(name, sizeof(name)));
	assert_int_equal(r.host_len, sizeof(r.host));
	refusals_add(NULL, &r); // a worker without a table
	assert_false(refusals_came_back(NULL, r.imsi, 1, at_home));
}

static int setup(void **state)
{
	struct wf *f = wf_new(8);
	(void)wf_subscriber(f, IMSI, wf_profile(f, true, true, 0, 0), 1, 1000);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	wf_free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_the_rules),
		cmocka_unit_test(home),
		cmocka_unit_test(broken_tables),
		cmocka_unit_test(rats_that_an_air_does_not_tell),
		cmocka_unit_test(realms),
		cmocka_unit_test_setup_teardown(subscriptions, setup, teardown),
		cmocka_unit_test_setup_teardown(restrictions, setup, teardown),
		cmocka_unit_test_setup_teardown(barring, setup, teardown),
		cmocka_unit_test_setup_teardown(roaming_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(order, setup, teardown),
		cmocka_unit_test_setup_teardown(last_refusals, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// Compiles and asks the table of roaming rules (policy.h).
#include "apps/s6a/policy.h"
#include "lib/base/err.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VISITED_MAX 6
#define KEY_ANY	    (VISITED_MAX << 20) // after all others

// Longer ones first: 6 - length, then the digits' value, which is below 2^20.
static uint32_t policy_key(const char *digits, size_t len)
{
	uint32_t value = 0;
	for (size_t i = 0; i < len; i++)
		value = value * 10 + (uint32_t)(digits[i] - '0');
	return (uint32_t)(VISITED_MAX - len) << 20 | value;
}

static uint32_t key_of(const char *visited)
{
	return strcmp(visited, "*") == 0 ? KEY_ANY : policy_key(visited, strlen(visited));
}

// A table has room for as many profiles as rules.
static void profile_add(struct s6a_policy *p, const char *name)
{
	for (uint32_t i = 0; i < p->profile_cnt; i++)
		if (strcmp(p->profile[i].name, name) == 0)
			return;
	snprintf(p->profile[p->profile_cnt++].name, ROAMING_NAME_MAX, "%s", name);
}

static void rule_put(struct s6a_policy_rule *to, const struct roaming_rule *r, uint32_t line)
{
	*to = (struct s6a_policy_rule){.key = key_of(r->visited),
				       .line = line,
				       .action = r->action,
				       .result = r->result,
				       .diagnostic = r->diagnostic,
				       .realm_len = (uint8_t)strlen(r->realm)};
	memcpy(to->realm, r->realm, sizeof(to->realm));
	for (uint32_t i = 0; i < r->rat_cnt && i < ROAMING_RAT_MAX; i++)
		to->rats |= 1u << r->rats[i];
}

// Stable: rules of one key stay in the order of the file.
static void sort(struct s6a_policy_rule *rule, uint32_t cnt)
{
	for (uint32_t i = 1; i < cnt; i++) {
		struct s6a_policy_rule moved = rule[i];
		uint32_t at = i;
		for (; at && rule[at - 1].key > moved.key; at--)
			rule[at] = rule[at - 1];
		rule[at] = moved;
	}
}

size_t s6a_policy_make(const struct s6a_options *o, struct s6a_policy *out)
{
	memset(out, 0, sizeof(*out));
	out->profile_cnt = 1;
	out->action = o->action;
	out->result = o->result;
	out->diagnostic = o->diagnostic;
	out->in_aia = o->in_aia;
	out->realm_check = o->realm_check;
	out->home_cnt = o->home_cnt;
	memcpy(out->home, o->home, sizeof(out->home));
	out->realm_cnt = o->realm_cnt;
	memcpy(out->realm, o->realm, sizeof(out->realm));
	for (uint32_t i = 0; i < o->rule_cnt; i++)
		profile_add(out, o->rule[i].profile);
	for (uint32_t k = 0; k < out->profile_cnt; k++) {
		out->profile[k].first = out->rule_cnt;
		for (uint32_t i = 0; i < o->rule_cnt; i++)
			if (strcmp(o->rule[i].profile, out->profile[k].name) == 0)
				rule_put(&out->rule[out->rule_cnt++], &o->rule[i], o->rule_line[i]);
		out->profile[k].cnt = out->rule_cnt - out->profile[k].first;
		sort(out->rule + out->profile[k].first, out->profile[k].cnt);
		for (uint32_t i = out->profile[k].first; i < out->rule_cnt; i++) {
			out->key[i] = out->rule[i].key;
			out->profile[k].lengths |= 1u << (VISITED_MAX - (out->rule[i].key >> 20));
		}
	}
	out->len = (uint32_t)(sizeof(*out) + out->rule_cnt * sizeof(out->rule[0]));
	return out->len;
}

const struct s6a_policy *s6a_policy_of(struct slice octets)
{
	const struct s6a_policy *p = (const void *)octets.p;
	if (octets.len < sizeof(*p) || (uintptr_t)octets.p % _Alignof(struct s6a_policy) || p->len > octets.len ||
	    p->rule_cnt > ROAMING_RULE_MAX || p->len != sizeof(*p) + p->rule_cnt * sizeof(p->rule[0]) ||
	    p->home_cnt > ROAMING_HOME_MAX || p->realm_cnt > ROAMING_REALM_MAX || p->profile_cnt > 1 + ROAMING_RULE_MAX)
		return NULL;
	return p;
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

// The IMSI's leading digits are the visited network's. No text is made of it: every ULR asks.
static bool is_of(imsi_t imsi, const char *visited)
{
	static const uint64_t power[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000};
	unsigned digits = (unsigned)(imsi.v >> 60);
	size_t len = strlen(visited), rest = digits - len;
	return digits >= len && rest < sizeof(power) / sizeof(power[0]) &&
	       (imsi.v & ((1ull << 60) - 1)) / power[rest] == (policy_key(visited, len) & 0xfffff);
}

bool s6a_policy_roams(const struct s6a_policy *p, imsi_t imsi, const char *visited)
{
	if (is_of(imsi, visited))
		return false;
	for (uint32_t i = 0; p && i < p->home_cnt; i++)
		if (strcmp(p->home[i], visited) == 0)
			return false;
	return true;
}

// Equal, or it ends so behind a dot.
static bool ends(struct slice realm, const char *with, size_t len)
{
	if (realm.len < len || !slice_eq_nocase(slice_of(realm.p + realm.len - len, len), slice_of(with, len)))
		return false;
	return realm.len == len || realm.p[realm.len - len - 1] == '.';
}

static uint32_t rat_bit(uint32_t rat)
{
	switch (rat) {
	case 1000: return 1u << ROAMING_UTRAN;
	case 1001: return 1u << ROAMING_GERAN;
	case 1002: return 1u << ROAMING_GAN;
	case 1003: return 1u << ROAMING_HSPA;
	case 1004: return 1u << ROAMING_EUTRAN;
	case 1005: return 1u << ROAMING_NB_IOT;
	case 1007: return 1u << ROAMING_LTE_M;
	default: return rat >= 1011 && rat <= 1034 ? 1u << ROAMING_SATELLITE : 1u << ROAMING_RAT_CNT;
	}
}

// The first rule of `key` or a greater one in [first, first + cnt). Halves without a branch that could be mispredicted.
static uint32_t lower_bound(const struct s6a_policy *p, uint32_t first, uint32_t cnt, uint32_t key)
{
	const uint32_t *base = p->key + first;
	while (cnt > 1) {
		uint32_t half = cnt / 2;
		base = base[half - 1] < key ? base + half : base;
		cnt -= half;
	}
	return (uint32_t)(base - p->key) + (cnt && *base < key);
}

static const struct s6a_policy_rule *find(const struct s6a_policy *p, uint32_t profile, const char *visited, uint32_t rat,
					  struct slice realm)
{
	uint32_t first = p->profile[profile].first, cnt = p->profile[profile].cnt;
	uint32_t lengths = p->profile[profile].lengths;
	if (first > p->rule_cnt || cnt > p->rule_cnt - first || cnt == 0)
		return NULL;
	for (unsigned len = (unsigned)strlen(visited) + 1; len-- > 0;) {
		if (!(lengths & 1u << len))
			continue;
		uint32_t key = len ? policy_key(visited, len) : KEY_ANY;
		for (uint32_t i = lower_bound(p, first, cnt, key); i < first + cnt && p->key[i] == key; i++) {
			const struct s6a_policy_rule *r = &p->rule[i];
			if ((!r->rats || r->rats & rat) && (!r->realm_len || ends(realm, r->realm, r->realm_len)))
				return r;
		}
	}
	return NULL;
}

// ---- the subscriber's own

enum own_kind { OWN_NAME = 1, OWN_RULES = 2 };

void s6a_own_put_name(struct wr *w, struct slice name)
{
	wr_u8(w, OWN_NAME);
	wr_u8(w, (uint8_t)name.len);
	wr_slice(w, name);
}

void s6a_own_put_rules(struct wr *w, const struct roaming_rule *rule, unsigned cnt)
{
	unsigned order[S6A_OWN_RULE_MAX];
	for (unsigned i = 0; i < cnt; i++) { // sorted by key, in their order among equals
		unsigned at = i;
		for (; at && key_of(rule[order[at - 1]].visited) > key_of(rule[i].visited); at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
	wr_u8(w, OWN_RULES);
	wr_u8(w, (uint8_t)cnt);
	for (unsigned i = 0; i < cnt; i++) {
		struct s6a_policy_rule r;
		rule_put(&r, &rule[order[i]], 0);
		wr_u32(w, r.key);
		wr_u16(w, (uint16_t)r.rats);
		wr_u8(w, (uint8_t)(1 + order[i]));
		wr_u8(w, r.action);
		wr_u8(w, r.result);
		wr_u8(w, r.diagnostic);
		wr_u8(w, r.realm_len);
		wr_bytes(w, r.realm, r.realm_len);
	}
}

struct slice s6a_own_name(struct slice own)
{
	if (own.len < 2 || own.p[0] != OWN_NAME || own.p[1] > own.len - 2)
		return (struct slice){0};
	return slice_of(own.p + 2, own.p[1]);
}

static bool key_matches(uint32_t key, const char *visited)
{
	size_t len = VISITED_MAX - (key >> 20);
	return key == KEY_ANY || (len <= strlen(visited) && policy_key(visited, len) == key);
}

static bool ask_own(const struct s6a_policy_asked *q, uint32_t rat, struct s6a_policy_answer *a)
{
	struct rd r = rd_slice(q->own);
	if (rd_u8(&r) != OWN_RULES)
		return false;
	for (unsigned n = rd_u8(&r); n && !r.err; n--) {
		uint32_t key = rd_u32(&r), rats = rd_u16(&r);
		*a = (struct s6a_policy_answer){.own_rule = rd_u8(&r)};
		a->denied = rd_u8(&r) == ROAMING_DENY;
		a->result = rd_u8(&r);
		a->diagnostic = rd_u8(&r);
		struct slice realm = rd_bytes(&r, rd_u8(&r));
		if (!r.err && key_matches(key, q->visited) && (!rats || rats & rat) &&
		    (!realm.len || ends(q->realm, (const char *)realm.p, realm.len)))
			return true;
	}
	return false;
}

// ---- asking

static struct s6a_policy_answer ask_rat(const struct s6a_policy *p, uint32_t profile, const struct s6a_policy_asked *q,
					uint32_t rat)
{
	struct s6a_policy_answer a;
	if (q->own.len && ask_own(q, rat, &a))
		return a;
	const struct s6a_policy_rule *r = profile ? find(p, profile, q->visited, rat, q->realm) : NULL;
	r = r ? r : find(p, 0, q->visited, rat, q->realm);
	if (!r)
		return (struct s6a_policy_answer){
			.denied = p->action == ROAMING_DENY, .result = p->result, .diagnostic = p->diagnostic};
	return (struct s6a_policy_answer){
		.denied = r->action == ROAMING_DENY, .result = r->result, .diagnostic = r->diagnostic, .line = r->line};
}

// The profile's place; 0: no rule has this name.
static uint32_t profile_find(const struct s6a_policy *p, struct slice name)
{
	for (uint32_t i = 1; name.len && i < p->profile_cnt; i++)
		if (slice_eq(name, slice_str(p->profile[i].name)))
			return i;
	return 0;
}

struct s6a_policy_answer s6a_policy_ask(const struct s6a_policy *p, const struct s6a_policy_asked *q)
{
	static const uint32_t eutran[] = {1u << ROAMING_EUTRAN, 1u << ROAMING_NB_IOT, 1u << ROAMING_LTE_M, 1u << ROAMING_SATELLITE};
	struct s6a_policy_answer a = {0};
	if (!s6a_policy_roams(p, q->imsi, q->visited))
		return a;
	struct slice name = s6a_own_name(q->own);
	uint32_t profile = profile_find(p, name);
	// not told: what one of them would be allowed, none is refused
	for (unsigned i = 0; i < (q->rat ? 1 : sizeof(eutran) / sizeof(eutran[0])); i++) {
		struct s6a_policy_answer one = ask_rat(p, profile, q, q->rat ? rat_bit(q->rat) : eutran[i]);
		if (i == 0 || !one.denied)
			a = one;
		if (!one.denied)
			break;
	}
	a.no_profile = name.len && !profile;
	return a;
}

const struct s6a_policy *s6a_policy_none(void)
{
	static const struct s6a_policy none = {.len = sizeof(none), .profile_cnt = 1, .in_aia = true};
	return &none;
}

// The PLMN that a realm of TS 23.003 19.2 names: "[..]mncNNN.mccNNN.3gppnetwork.org". false: another form.
static bool realm_plmn(struct slice realm, char mcc[4], char mnc[4])
{
	static const char tail[] = ".3gppnetwork.org";
	char text[16];
	const size_t len = strlen(tail), labels = 13; // mncNNN.mccNNN
	if (realm.len < len + labels || !ends(realm, tail + 1, len - 1))
		return false;
	memcpy(text, realm.p + realm.len - len - labels, labels);
	text[labels] = 0;
	for (unsigned i = 0; i < labels; i++)
		if (text[i] >= 'A' && text[i] <= 'Z')
			text[i] = (char)(text[i] | 0x20);
	if (memcmp(text, "mnc", 3) != 0 || memcmp(text + 6, ".mcc", 4) != 0 || strspn(text + 3, "0123456789") != 3 ||
	    strspn(text + 10, "0123456789") != 3)
		return false;
	snprintf(mnc, 4, "%.3s", text + 3);
	snprintf(mcc, 4, "%.3s", text + 10);
	return true;
}

bool s6a_policy_realm_fits(const struct s6a_policy *p, const struct s6a_policy_asked *q, bool ours)
{
	char mcc[4], mnc[4], mnc3[5];
	if (ours && !s6a_policy_roams(p, q->imsi, q->visited))
		return true;
	snprintf(mnc3, sizeof(mnc3), "%s%.3s", strlen(q->visited) == 5 ? "0" : "", q->visited + 3);
	if (!ours && realm_plmn(q->realm, mcc, mnc) && strncmp(mcc, q->visited, 3) == 0 && strcmp(mnc, mnc3) == 0)
		return true;
	for (uint32_t i = 0; p && i < p->realm_cnt; i++) {
		const struct roaming_realm *r = &p->realm[i];
		if (ends(q->realm, r->realm, strlen(r->realm)) && (strcmp(r->visited, "*") == 0 || begins(q->visited, r->visited)))
			return true;
	}
	return false;
}

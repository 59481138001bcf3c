// Reads the document's member `roaming`: the name of a profile, or rules like those of the configuration. What they say decides
// whether a subscriber is served, so nothing of it is guessed or left out. Loader process, any thread; pure.
#include "apps/s6a/subscription.h"
#include <stdio.h>
#include <string.h>

#define WORDS(kind, ...) __attribute__((unused)) static const char *const words_##kind[] = {__VA_ARGS__, NULL};
#include "apps/options_words.def"
#undef WORDS

// The number of the word; -1: none.
static int word(const char *const *words, struct slice text)
{
	for (int i = 0; words[i]; i++)
		if (slice_eq(text, slice_str(words[i])))
			return i;
	return -1;
}

static bool take_word(const struct doc_value *v, const char *const *words, uint8_t *out)
{
	int n = v->kind == DV_TEXT ? word(words, v->text) : -1;
	*out = (uint8_t)n;
	return n >= 0;
}

// Digits, as text or as a number.
static bool take_digits(const struct doc_value *v, char *out, size_t cap)
{
	if (v->kind == DV_INT && v->n >= 0)
		return (size_t)snprintf(out, cap, "%lld", (long long)v->n) < cap;
	if (v->kind != DV_TEXT || v->text.len >= cap)
		return false;
	snprintf(out, cap, "%.*s", (int)v->text.len, (const char *)v->text.p);
	return true;
}

static bool take_visited(const struct doc_value *v, struct roaming_rule *r)
{
	if (!take_digits(v, r->visited, sizeof(r->visited)))
		return false;
	size_t len = strlen(r->visited);
	return strcmp(r->visited, "*") == 0 || (len >= 3 && len <= 6 && strspn(r->visited, "0123456789") == len);
}

static bool take_rats(const struct doc_value *v, struct roaming_rule *r)
{
	struct doc_cursor c = doc_cursor_of(v);
	struct doc_value one;
	struct slice name;
	r->rat_cnt = 0;
	if (v->kind == DV_TEXT)
		return take_word(v, words_RAT, &r->rats[r->rat_cnt++]);
	if (v->kind != DV_LIST)
		return false;
	while (doc_next(&c, &name, &one))
		if (r->rat_cnt == ROAMING_RAT_MAX || !take_word(&one, words_RAT, &r->rats[r->rat_cnt++]))
			return false;
	return true;
}

static bool take_realm(const struct doc_value *v, struct roaming_rule *r)
{
	if (v->kind != DV_TEXT || v->text.len >= sizeof(r->realm))
		return false;
	snprintf(r->realm, sizeof(r->realm), "%.*s", (int)v->text.len, (const char *)v->text.p);
	return true;
}

static bool take_result(const struct doc_value *v, struct roaming_rule *r)
{
	char text[8];
	int n = take_digits(v, text, sizeof(text)) ? word(words_ROAMING_RESULT, slice_str(text)) : -1;
	r->result = (uint8_t)n;
	return n >= 0;
}

static enum doc_result take_rule(struct doc_walk *w, const struct doc_value *v, unsigned n, struct roaming_rule *r)
{
	struct doc_cursor c = doc_cursor_of(v);
	struct doc_value member;
	struct slice name;
	bool visited = false, action = false;
	*r = (struct roaming_rule){.diagnostic = ROAMING_ODB_VPLMN};
	if (v->kind != DV_OBJECT)
		return doc_bad(w, "", "rule %u: expected an object, got %s", n, doc_kind_name(v));
	while (doc_next(&c, &name, &member)) {
		const char *want = NULL;
		if (slice_eq(name, slice_str("visited")))
			want = (visited = take_visited(&member, r)) ? NULL : "3 to 6 leading digits of MCC and MNC, or *";
		else if (slice_eq(name, slice_str("action")))
			want = (action = take_word(&member, words_ROAMING_ACTION, &r->action)) ? NULL : "allow or deny";
		else if (slice_eq(name, slice_str("rats")))
			want = take_rats(&member, r) ? NULL : "names of RATs, like eutran and nb-iot";
		else if (slice_eq(name, slice_str("realm")))
			want = take_realm(&member, r) ? NULL : "a realm of at most 63 characters";
		else if (slice_eq(name, slice_str("result")))
			want = take_result(&member, r) ? NULL : "5004, 5012, 5421 or 5420";
		else if (slice_eq(name, slice_str("diagnostic")))
			want = take_word(&member, words_ROAMING_DIAGNOSTIC, &r->diagnostic)
				       ? NULL
				       : "none, odb-all-apn, odb-hplmn-apn or odb-vplmn-apn";
		else
			return doc_bad(w, "", "rule %u: %.*s is no member of a rule", n, (int)(name.len < 40 ? name.len : 40),
				       (const char *)name.p);
		if (want)
			return doc_bad(w, "", "rule %u: %.*s: expected %s", n, (int)name.len, (const char *)name.p, want);
	}
	if (!visited || !action)
		return doc_bad(w, "", "rule %u: expected %s, got nothing", n, visited ? "an action" : "visited");
	return DOC_GO;
}

enum doc_result s6a_take_roaming(struct doc_walk *w, const struct doc_value *v, struct s6a_subscription *s)
{
	struct roaming_rule rule[S6A_OWN_RULE_MAX];
	struct wr out = wr_of(s->own, sizeof(s->own));
	struct doc_cursor c = doc_cursor_of(v);
	struct doc_value one;
	struct slice name;
	unsigned cnt = 0;
	if (v->kind == DV_TEXT) {
		if (v->text.len >= ROAMING_NAME_MAX)
			return doc_bad(w, "", "expected at most %u characters, got %u", ROAMING_NAME_MAX - 1, v->text.len);
		if (v->text.len)
			s6a_own_put_name(&out, v->text);
		s->own_len = (uint32_t)wr_len(&out);
		return DOC_GO;
	}
	if (v->kind != DV_LIST)
		return doc_bad(w, "", "expected the name of a profile, or rules, got %s", doc_kind_name(v));
	while (doc_next(&c, &name, &one)) {
		if (cnt == S6A_OWN_RULE_MAX)
			return doc_bad(w, "", "expected at most %u rules, got more", S6A_OWN_RULE_MAX);
		enum doc_result r = take_rule(w, &one, cnt + 1, &rule[cnt]);
		if (r != DOC_GO)
			return r;
		cnt++;
	}
	if (cnt)
		s6a_own_put_rules(&out, rule, cnt);
	s->own_len = (uint32_t)wr_len(&out);
	return DOC_GO;
}

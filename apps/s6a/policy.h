// Who may roam where, as a table for look-ups: the loader compiles it from the configuration and publishes it once for all
// subscribers (loader/app.h, common); workers and the loader read it there. Pure functions.
//
// A rule matches a request when its `visited` is how the visited PLMN begins, its RATs hold the request's, and its realm is how
// Origin-Realm ends. Of those that match the one with the longest `visited` decides, among equals the first. The rules of the
// subscriber go before the others: those of its document, or those of the profile that it names.
#pragma once
#include "apps/s6a/options.h"
#include "lib/base/ident.h"

struct s6a_policy_rule {
	uint32_t key; // policy_key: rules are sorted by profile, then by key, then as in the file
	uint32_t rats; // bits 1 << enum roaming_rat; 0: any
	uint32_t line; // of the file
	uint8_t action, result, diagnostic, realm_len;
	char realm[ROAMING_SUFFIX_MAX];
};

struct s6a_policy {
	uint32_t len; // of all of it
	uint32_t rule_cnt;
	uint32_t home_cnt, realm_cnt;
	uint32_t profile_cnt; // 0 is that of rules without a name
	uint8_t action, result, diagnostic, in_aia, realm_check, spare[3];
	char home[ROAMING_HOME_MAX][8];
	struct roaming_realm realm[ROAMING_REALM_MAX];
	struct {
		char name[ROAMING_NAME_MAX];
		uint32_t first, cnt; // its rules
		uint32_t lengths;    // of their `visited`: 1 << digits, 1 for "*"
	} profile[1 + ROAMING_RULE_MAX];
	uint32_t key[ROAMING_RULE_MAX]; // of the rules: what a search reads
	struct s6a_policy_rule rule[];
};

#define S6A_POLICY_LEN_MAX (sizeof(struct s6a_policy) + ROAMING_RULE_MAX * sizeof(struct s6a_policy_rule))

// Compiles the options into `out`, of at least S6A_POLICY_LEN_MAX octets, aligned to 4. Returns its length.
size_t s6a_policy_make(const struct s6a_options *o, struct s6a_policy *out);
// The table in octets that were published; NULL: there is none, and nothing is denied.
const struct s6a_policy *s6a_policy_of(struct slice octets);

struct s6a_policy_asked {
	imsi_t imsi;
	char visited[8];       // plmn_text
	uint32_t rat;	       // RAT-Type (TS 29.212); 0: not told, some E-UTRAN
	struct slice realm;    // Origin-Realm
	struct slice own;      // of the subscriber's document (s6a_own_*); empty: nothing
};

struct s6a_policy_answer {
	bool denied;
	bool no_profile;    // no rule has the name that the subscriber's document says
	uint8_t result;	    // enum roaming_result
	uint8_t diagnostic; // enum roaming_diagnostic
	uint8_t own_rule;   // number of the rule of the document that decides; 0: none of them
	uint32_t line;	    // of the rule of the configuration that decides; both 0: roaming.default does
};

// The table of a configuration without roaming options.
const struct s6a_policy *s6a_policy_none(void);

// What a document says of roaming, as octets: the name of a profile, or rules.
#define S6A_OWN_RULE_MAX 16
#define S6A_OWN_MAX	 (2 + S6A_OWN_RULE_MAX * (11 + ROAMING_SUFFIX_MAX))
void s6a_own_put_name(struct wr *w, struct slice name);
void s6a_own_put_rules(struct wr *w, const struct roaming_rule *rule, unsigned cnt);
// The name; empty: there are rules, or nothing.
struct slice s6a_own_name(struct slice own);

// The subscriber is outside of its home networks: those of the IMSI and of roaming.home. `p` may be NULL.
bool s6a_policy_roams(const struct s6a_policy *p, imsi_t imsi, const char *visited);
// What the rules say. Nothing is denied at home.
struct s6a_policy_answer s6a_policy_ask(const struct s6a_policy *p, const struct s6a_policy_asked *q);
// Nodes of this realm may ask for this network (roaming.realm_check): `ours`: the realm is one of ours.
bool s6a_policy_realm_fits(const struct s6a_policy *p, const struct s6a_policy_asked *q, bool ours);

// `hssctl explain`: what AIR and ULR of a subscriber would be answered, and why; and what was refused last. It asks the same table
// and the same function as workers do (policy.h, admit.h). Also publishes that table. Loader process, main thread.
#include "apps/apps.h"
#include "apps/s6a/admit.h"
#include "apps/s6a/loader.h"
#include "cache/refusals.h"
#include "config/config.h"
#include "lib/base/log.h"
#include "lib/diameter/dict.h"
#include "lib/diameter/grammar.h"
#include "loader/admin/provision.h"
#include "loader/commit/txn.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFUSALS_SHOWN 8

size_t s6a_common(struct loader *l, const struct config *config, uint8_t *out, size_t cap)
{
	const struct s6a_options *o = &config->s6a;
	(void)l;
	if (!o->rule_cnt && o->action == ROAMING_ALLOW && !o->home_cnt && !o->realm_cnt && o->realm_check == ROAMING_CHECK_OFF)
		return 0; // nothing is denied anywhere
	return cap < S6A_POLICY_LEN_MAX ? 0 : s6a_policy_make(o, (struct s6a_policy *)(void *)out);
}

// ---- what is asked

struct explain {
	struct loader *l;
	struct call *c;
	const struct cache_record *rec;
	const struct s6a_policy *policy;
	uint8_t plmn[3];
	uint32_t rat;
	char host[256];
	char realm[256];
	bool early, interconnect;
};

static const struct {
	const char *name;
	uint32_t rat;
} rats[] = {{"eutran", RAT_EUTRAN}, {"nb-iot", RAT_EUTRAN_NB_IOT}, {"lte-m", RAT_LTE_M}, {"utran", RAT_UTRAN},
	    {"geran", RAT_GERAN}, {"gan", RAT_GAN}, {"hspa-evolution", RAT_HSPA_EVOLUTION}, {"satellite", RAT_EUTRAN_LEO}};

static bool read_rat(const char *text, uint32_t *rat)
{
	char *end;
	for (size_t i = 0; text && i < sizeof(rats) / sizeof(rats[0]); i++)
		if (strcmp(rats[i].name, text) == 0) {
			*rat = rats[i].rat;
			return true;
		}
	*rat = text ? (uint32_t)strtoul(text, &end, 10) : RAT_EUTRAN;
	return !text || (*text >= '0' && *text <= '9' && !*end && dict_enum_name(AVP_ID_RAT_Type, (int32_t)*rat));
}

static const char *arg(const struct call *c, const char *name)
{
	return json_string_value(json_object_get(c->args, name));
}

// The home network of an IMSI has two or three digits of MNC: roaming.home, identity.realm or the network where it is
// registered tell which; else it has two.
static void default_plmn(struct explain *e, char text[8])
{
	const struct config *config = e->l->config;
	char digits[16];
	unsigned mnc, mcc;
	const struct cache_serving *v = &e->rec->serving[S6A_MME];
	static const uint8_t unknown[3];
	imsi_text(e->rec->imsi, digits);
	snprintf(text, 8, "%.5s", digits);
	if (memcmp(v->plmn, unknown, 3) != 0 && plmn_valid(v->plmn)) {
		plmn_text(v->plmn, text);
		return;
	}
	const char *at = config ? strstr(config->realm, "mnc") : NULL;
	if (at && sscanf(at, "mnc%3u.mcc%3u", &mnc, &mcc) == 2) {
		char three[24];
		snprintf(three, sizeof(three), "%03u%03u", mcc, mnc);
		if (strncmp(three, digits, 6) == 0)
			snprintf(text, 8, "%.6s", three);
	}
}

static bool read_plmn(struct explain *e)
{
	char text[8];
	const char *given = arg(e->c, "plmn");
	size_t len = given ? strlen(given) : 0;
	if (!given)
		default_plmn(e, text);
	else if ((len == 5 || len == 6) && strspn(given, "0123456789") == len)
		snprintf(text, sizeof(text), "%s", given);
	else
		return false;
	len = strlen(text);
	const unsigned d[] = {(unsigned)text[0] - '0', (unsigned)text[1] - '0', (unsigned)text[2] - '0', (unsigned)text[3] - '0',
			      (unsigned)text[4] - '0', len == 6 ? (unsigned)text[5] - '0' : 15};
	e->plmn[0] = (uint8_t)(d[0] | d[1] << 4);
	e->plmn[1] = (uint8_t)(d[2] | d[5] << 4);
	e->plmn[2] = (uint8_t)(d[3] | d[4] << 4);
	return plmn_valid(e->plmn);
}

// The realm of a node that is connected is known; of another one it is what is behind the first label.
static void read_node(struct explain *e)
{
	const struct config *config = e->l->config;
	const char *given = arg(e->c, "node");
	struct slice host = {0}, realm = {0};
	if (given)
		host = slice_str(given);
	else
		(void)cache_node_get(e->l->cache, e->rec->serving[S6A_MME].node, &host, &realm);
	snprintf(e->host, sizeof(e->host), "%.*s", (int)host.len, (const char *)host.p);
	snprintf(e->realm, sizeof(e->realm), "%.*s", (int)realm.len, (const char *)realm.p);
	for (unsigned i = 0; given && e->l->control && i < PEER_DIRECTORY_MAX; i++) {
		const struct control_peer *p = &e->l->control->peer[i];
		if (p->state == PEER_SLOT_OPEN && slice_eq_nocase(slice_of(p->host, p->host_len), host))
			snprintf(e->realm, sizeof(e->realm), "%.*s", p->realm_len, p->realm);
	}
	const char *dot = strchr(e->host, '.');
	if (!e->realm[0] && config)
		snprintf(e->realm, sizeof(e->realm), "%s", dot ? dot + 1 : config->realm);
	const struct config_peer *peer = config ? config_peer_find(config, host) : NULL;
	e->early = peer ? peer->refuse_in_aia : config && config->refuse_in_aia;
	e->interconnect = peer && peer->interconnect && !config->interconnect_log_only;
}

// ---- what is said

static json_t *diagnostic_json(bool there, uint32_t diagnostic)
{
	const char *name = there ? dict_enum_name(AVP_ID_Error_Diagnostic, (int32_t)diagnostic) : NULL;
	return name ? json_string(name) : json_null();
}

static json_t *result_json(uint32_t result, bool experimental)
{
	char text[24];
	snprintf(text, sizeof(text), "%s%u", experimental ? "exp_" : "", result);
	return json_string(text);
}

// A node's name; empty when it is no text, for it is a peer's word.
static json_t *name_json(struct slice name)
{
	json_t *text = json_stringn((const char *)name.p, name.len);
	return text ? text : json_string("");
}

// The rule in words, with the file where it is a line of the configuration.
static json_t *rule_json(const struct loader *l, enum s6a_reason reason, uint32_t line, bool no_profile)
{
	char text[128], whole[256 + CONFIG_PATH_MAX];
	bool of_file = reason == S6A_ROAMING_RULE && l->config;
	s6a_reason_text(reason, line, text);
	snprintf(whole, sizeof(whole), "%s%s%s%s", text, of_file ? " of " : "", of_file ? l->config->file : "",
		 no_profile ? "; no rule has the profile that its document names" : "");
	return json_string(whole);
}

// By what it is served.
static json_t *served_json(const struct explain *e, const struct s6a_admitted *how)
{
	if (!how->roams)
		return json_string("at home");
	enum s6a_reason by = how->own_rule ? S6A_ROAMING_OWN : how->line ? S6A_ROAMING_RULE : S6A_ROAMING_DEFAULT;
	return rule_json(e->l, by, how->own_rule ? how->own_rule : how->line, how->no_profile);
}

// What the handlers find before they ask admit.h, or after. NULL: nothing.
static const char *keys_problem(const struct explain *e, bool air, struct s6a_refusal *no)
{
	*no = (struct s6a_refusal){.result = EXP_USER_UNKNOWN, .experimental = true};
	if (e->rec->flags & RECORD_NO_KEY)
		return "its document has no keys";
	no->result = EXP_AUTHENTICATION_DATA_UNAVAILABLE;
	if (air && e->rec->alg == ALG_XOR && e->l->config && !e->l->config->allow_xor)
		return "its algorithm is XOR, and s6a.allow_xor is false";
	return NULL;
}

static void say(const struct explain *e, bool air)
{
	struct s6a_asked q = {.air = air,
			      .s6a = e->rat != RAT_UTRAN && e->rat != RAT_GERAN && e->rat != RAT_GAN && e->rat != RAT_HSPA_EVOLUTION,
			      .early = e->early,
			      .rat = e->rat,
			      .plmn = e->plmn,
			      .realm = slice_str(e->realm),
			      .realm_check = e->interconnect ? ROAMING_CHECK_ENFORCE : ROAMING_CHECK_OFF,
			      .realm_is_ours = e->l->config && config_realm_served(e->l->config, slice_str(e->realm))};
	struct s6a_admitted how;
	struct s6a_refusal no = {.result = RESULT_SUCCESS};
	char visited[8];
	bool refused = s6a_refused(e->policy, e->l->cache, e->rec, &q, &how, &no);
	struct s6a_refusal keys;
	const char *problem = keys_problem(e, air, &keys);
	bool by_keys = problem && (!refused || keys.result == EXP_USER_UNKNOWN);
	if (by_keys)
		no = keys;
	plmn_text(e->plmn, visited);
	admin_row_take(e->l, e->c,
		       json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:n}", "request", air ? "AIR" : "ULR", "plmn", visited, "node",
				 name_json(slice_str(e->host[0] ? e->host : e->realm)), "result", result_json(no.result, (refused || by_keys) && no.experimental),
				 "diagnostic", diagnostic_json(no.has_diagnostic, no.diagnostic), "rule",
				 by_keys ? json_string(problem)
				 : refused ? rule_json(e->l, no.reason, no.line, how.no_profile) : served_json(e, &how), "time_us"),
		       false);
}

static json_t *refusal_json(const struct loader *l, const struct refusal *f)
{
	const struct command *command = f->command < CMD_CNT ? grammar_by_id(f->command) : NULL;
	unsigned host_len = f->host_len < sizeof(f->host) ? f->host_len : sizeof(f->host);
	char visited[8] = "";
	if (plmn_valid(f->plmn))
		plmn_text(f->plmn, visited);
	return json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:I}", "request", command && command->name ? command->name : "", "plmn",
			 visited, "node", name_json(slice_of(f->host, host_len)), "result", result_json(f->result, f->experimental),
			 "diagnostic", diagnostic_json(f->diagnostic != 0, f->diagnostic - 1u), "rule",
			 rule_json(l, f->reason, f->line, false), "time_us", (json_int_t)f->time_us);
}

static json_t *refusals_json(const struct loader *l, imsi_t imsi)
{
	struct refusal f[REFUSALS_SHOWN];
	unsigned cnt = l->control ? refusals_find(l->control, imsi.v, f, REFUSALS_SHOWN) : 0;
	json_t *list = json_array();
	for (unsigned i = 0; i < cnt; i++)
		if (f[i].app == app_s6a)
			json_array_append_new(list, refusal_json(l, &f[i]));
	if (json_array_size(list))
		return list;
	json_decref(list);
	return NULL;
}

void s6a_show_more(struct loader *l, json_t *document, const struct cache_record *r)
{
	provision_set_or_delete(document, "last_refusals", refusals_json(l, r->imsi));
}

void s6a_explain(struct loader *l, struct call *c)
{
	struct explain e = {.l = l, .c = c, .policy = s6a_policy_of(cache_common_get(l->cache, app_s6a))};
	imsi_t imsi;
	size_t i;
	json_t *row;
	txn_commit(l);
	e.rec = provision_find(l, c, &imsi);
	if (!e.rec)
		return;
	if (!read_plmn(&e)) {
		admin_end(l, c, ADMIN_USAGE, "--plmn: expected MCC and MNC, 5 or 6 digits");
		return;
	}
	if (!read_rat(arg(c, "rat"), &e.rat)) {
		admin_end(l, c, ADMIN_USAGE,
			  "--rat: expected eutran, nb-iot, lte-m, utran, geran, gan, hspa-evolution, satellite or a number");
		return;
	}
	read_node(&e);
	say(&e, true);
	say(&e, false);
	json_t *last = refusals_json(l, imsi);
	json_array_foreach(last, i, row) admin_row_take(l, c, json_incref(row), false);
	json_decref(last);
	admin_end(l, c, ADMIN_OK, NULL);
}

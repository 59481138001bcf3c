// status, stats, log level: what hss-admin answers from the control segment and, for the load, from the
// loader.
#include "admin/local.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin/metrics.h"
#include "admin/watch.h"
#include "config/config.h"
#include "lib/base/clock.h"

#define SILENCE_MS 1000
#define RELOAD_MS  10000
#define RELOAD_IDS 1000u // above the marks of `status`

static json_t *role_row(const struct control *c, enum role role, unsigned index)
{
	const struct control_role *r = &c->role[control_instance(role, index)];
	uint64_t started_us = r->started_us, now_us = clock_wall_us();
	bool up = r->pid != 0;

	return json_pack("{s:s, s:i, s:i, s:b, s:i, s:i, s:i, s:I, s:I}", "role", role_name(role), "instance", (int)index,
			 "pid", (int)r->pid, "ready", (int)(up && r->ready && r->silent_ms < SILENCE_MS), "restarts", (int)r->restarts, "silences", (int)r->silences, "silent_ms", (int)r->silent_ms,
			 "uptime_s",
			 (json_int_t)(up && now_us > started_us ? (now_us - started_us) / 1000000 : 0),
			 "started", (json_int_t)(up ? started_us / 1000000 : 0));
}

// Every process that should be there; *ready: all of them are.
static json_t *roles_array(const struct role_env *env, bool *ready)
{
	const unsigned cnt[ROLE_CNT] = {[ROLE_HSSD] = 1,
					[ROLE_FRONTEND] = env->frontend_cnt,
					[ROLE_WORKER] = env->worker_cnt,
					[ROLE_LOADER] = 1,
					[ROLE_ADMIN] = 1};
	json_t *roles = json_array();

	*ready = true;
	for (unsigned role = 0; role < ROLE_CNT; role++) {
		for (unsigned i = 0; i < cnt[role]; i++) {
			const struct control_role *r =
			    &env->control->role[control_instance((enum role)role, i)];

			// hssd writes the others' entries; it is there as long as we are
			if (role == ROLE_HSSD)
				continue;
			json_array_append_new(roles, role_row(env->control, (enum role)role, i));
			// whoever answers this is not silent, whatever hssd saw last
			bool silent = role != ROLE_ADMIN && r->silent_ms >= SILENCE_MS;
			if (!r->pid || !r->ready || silent)
				*ready = false;
		}
	}
	return roles;
}

// What else is on the page of `status`.
static void status_more(const struct role_env *env, json_t *row)
{
	const struct control *c = env->control;
	unsigned listed, up = metrics_peers_listed(c, &env->config, &listed);
	uint64_t now_us = clock_wall_us();

	json_object_set_new(row, "started", json_integer((json_int_t)(c->started_us / 1000000)));
	json_object_set_new(row, "uptime_s",
			    json_integer(now_us > c->started_us ? (json_int_t)((now_us - c->started_us) / 1000000) : 0));
	json_object_set_new(row, "peers_listed", json_integer(listed));
	json_object_set_new(row, "peers_listed_connected", json_integer(up));
	json_object_set_new(row, "load", recent_json(watch_recent(env->ctx)));
	json_object_set_new(row, "sqn",
			    json_pack("{s:I, s:I, s:I, s:I}", "blocks", metrics_sum(c, STAT_SQN_BLOCKS), "refused",
				      metrics_sum(c, STAT_SQN_REFUSED), "waits", metrics_sum(c, STAT_SQN_WAITS), "exhausted",
				      metrics_sum(c, STAT_SQN_EXHAUSTED)));
	json_object_set_new(row, "alarms", alarms_short(watch_alarms(env->ctx)));
}

// The one row of `status`; store is borrowed, NULL when the loader did not answer. Returns whether all is
// served.
static bool status_row(struct admin_client *cl, json_t *store)
{
	const struct role_env *env = admin_client_env(cl);
	bool ready;
	json_t *roles = roles_array(env, &ready);
	const char *load = json_string_value(json_object_get(store, "load_state"));
	bool serving = ready && load && strcmp(load, "complete") == 0;
	json_t *row =
	    json_pack("{s:b, s:s, s:s, s:i, s:o, s:O*}", "serving", (int)serving, "version", HSS_VERSION,
		      "host", env->config.host, "peers", (int)metrics_peers(env->control, PEER_SLOT_OPEN),
		      "roles", roles, "store", store);

	if (row)
		status_more(env, row);
	admin_client_row(cl, row);
	return serving;
}

// What a client's mark says of its `status`: whether the row is out, and what it said.
enum { STATUS_NO_ROW, STATUS_LOADING, STATUS_SERVING };

static void on_store_row(void *ctx, struct slice row)
{
	struct admin_client *cl = ctx;
	unsigned *mark = admin_client_mark(cl);
	json_t *store = json_loadb((const char *)row.p, row.len, 0, NULL);

	if (*mark == STATUS_NO_ROW && json_is_object(store))
		*mark = status_row(cl, store) ? STATUS_SERVING : STATUS_LOADING;
	json_decref(store);
}

static void on_store_end(void *ctx, int status, json_t *end)
{
	struct admin_client *cl = ctx;
	const char *error = json_string_value(json_object_get(end, "error"));

	if (*admin_client_mark(cl) == STATUS_NO_ROW)
		(void)status_row(cl, NULL);
	if (*admin_client_mark(cl) == STATUS_SERVING && status == 0)
		admin_client_end(cl, 0, NULL);
	else
		admin_client_end(cl, 1, error ? error : "not every record is served yet");
}

// A loader that is still loading, or stuck, does not answer: `status` does.
static void on_silence(struct admin_client *cl)
{
	if (*admin_client_mark(cl) == STATUS_NO_ROW)
		(void)status_row(cl, NULL);
	admin_client_end(cl, 1, "the loader does not answer: not every record is served yet");
}

static void status(struct admin_client *cl)
{
	static const struct admin_call_ops ops = {.on_row = on_store_row, .on_end = on_store_end};
	const struct admin_request request = {.command = admin_command_find("store status"),
					      .args = json_object()};
	const char *why = "no memory";
	uint64_t id = 0;

	*admin_client_mark(cl) = STATUS_NO_ROW;
	if (request.args)
		id = admin_call_start(admin_client_calls(cl), &request, &ops, cl, &why);
	json_decref(request.args);
	if (id) {
		admin_client_call_set(cl, id);
		admin_client_timeout(cl, SILENCE_MS, on_silence);
		return;
	}
	(void)status_row(cl, NULL);
	admin_client_end(cl, 1, why);
}

static void stats_row(void *ctx, json_t *row_taken)
{
	admin_client_row(ctx, row_taken);
}

static void alarm_list(struct admin_client *cl, const json_t *args)
{
	alarms_rows(watch_alarms(admin_client_env(cl)->ctx), json_is_true(json_object_get(args, "all")), stats_row, cl);
	admin_client_end(cl, 0, NULL);
}

static void log_level(struct admin_client *cl, const json_t *args)
{
	enum log_level level;

	if (!log_level_parse(json_string_value(json_object_get(args, "level")), &level)) {
		admin_client_end(cl, 2, "log level: level: expected error, warn, info or debug");
		return;
	}
	role_send_log_level(admin_client_env(cl), level);
	admin_client_end(cl, 0, NULL);
}

// --- the configuration

static void config_show(struct admin_client *cl)
{
	char *text = config_text(&admin_client_env(cl)->config), *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
		admin_client_row(cl, json_pack("{s:s}", "line", line));
	free(text);
	admin_client_end(cl, text ? 0 : 1, text ? NULL : "no memory");
}

// Who waits for a reload. The client's mark is the number of its question: a client that went away, and whose place another
// one has now, has another mark.
static struct {
	struct admin_client *cl;
	unsigned id;
} asked;

static void on_no_reload(struct admin_client *cl)
{
	asked.cl = NULL;
	admin_client_end(cl, 1, "hssd does not answer");
}

static void reload_ask(struct admin_client *cl)
{
	static unsigned last = RELOAD_IDS;

	if (asked.cl && *admin_client_mark(asked.cl) == asked.id) {
		admin_client_end(cl, 1, "another reload is under way");
		return;
	}
	last = last == UINT_MAX ? RELOAD_IDS : last + 1;
	*admin_client_mark(cl) = asked.id = last;
	asked.cl = cl;
	if (role_ask_reload(admin_client_env(cl), last))
		admin_client_timeout(cl, RELOAD_MS, on_no_reload);
	else
		on_no_reload(cl);
}

void admin_local_reload_told(uint64_t id, struct slice lines)
{
	struct admin_client *cl = asked.cl;
	char error[1100] = "", line[1100];

	if (!cl || id != asked.id || *admin_client_mark(cl) != asked.id)
		return;
	asked.cl = NULL;
	*admin_client_mark(cl) = 0;
	while (lines.len) {
		const uint8_t *at = memchr(lines.p, '\n', lines.len);
		size_t n = at ? (size_t)(at - lines.p) : lines.len;

		snprintf(line, sizeof(line), "%.*s", (int)(n < sizeof(line) ? n : sizeof(line) - 1), (const char *)lines.p);
		lines = slice_of(lines.p + n + (at ? 1 : 0), lines.len - n - (at ? 1 : 0));
		char *value = strchr(line, ' ');
		if (!value)
			continue;
		*value++ = 0;
		if (strcmp(line, "error") == 0)
			snprintf(error, sizeof(error), "%s", value);
		else
			admin_client_row(cl, json_pack("{s:s,s:s}", "option", value, "change",
						       strcmp(line, "live") == 0 ? "applied" : "needs a restart"));
	}
	admin_client_end(cl, error[0] ? 1 : 0, error[0] ? error : NULL);
}

void admin_local(struct admin_client *cl, const struct admin_request *request)
{
	const char *words = request->command->words;

	if (strcmp(words, "status") == 0) {
		status(cl);
	} else if (strcmp(words, "stats") == 0) {
		metrics_rows(admin_client_env(cl)->control, stats_row, cl);
		admin_client_end(cl, 0, NULL);
	} else if (strcmp(words, "alarm list") == 0) {
		alarm_list(cl, request->args);
	} else if (strcmp(words, "config show") == 0) {
		config_show(cl);
	} else if (strcmp(words, "reload") == 0) {
		reload_ask(cl);
	} else if (strcmp(words, "log level") == 0) {
		log_level(cl, request->args);
	} else {
		admin_client_end(cl, 2, "not served"); // a row of command.def without its code
	}
}

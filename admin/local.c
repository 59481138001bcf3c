// status, stats, log level: what hss-admin answers from the control segment and, for the load, from the
// loader.
#include "admin/local.h"
#include <string.h>
#include "admin/metrics.h"
#include "lib/base/clock.h"

#define SILENCE_MS 1000

static json_t *role_row(const struct control *c, enum role role, unsigned index)
{
	const struct control_role *r = &c->role[control_instance(role, index)];
	uint64_t started_us = r->started_us, now_us = clock_wall_us();
	bool up = r->pid != 0;

	return json_pack("{s:s, s:i, s:i, s:b, s:i, s:I}", "role", role_name(role), "instance", (int)index,
			 "pid", (int)r->pid, "ready", (int)(up && r->ready), "restarts", (int)r->restarts,
			 "uptime_s",
			 (json_int_t)(up && now_us > started_us ? (now_us - started_us) / 1000000 : 0));
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
			if (!r->pid || !r->ready)
				*ready = false;
		}
	}
	return roles;
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

void admin_local(struct admin_client *cl, const struct admin_request *request)
{
	const char *words = request->command->words;

	if (strcmp(words, "status") == 0) {
		status(cl);
	} else if (strcmp(words, "stats") == 0) {
		metrics_rows(admin_client_env(cl)->control, stats_row, cl);
		admin_client_end(cl, 0, NULL);
	} else if (strcmp(words, "log level") == 0) {
		log_level(cl, request->args);
	} else {
		admin_client_end(cl, 2, "not served"); // a row of command.def without its code
	}
}

// A role that does nothing but tell what hssd asks of it: one log line an edge, a reload, a stop. The name
// under which it is started says which role it plays. Tests of hssd only.
//   HSS_STUB_EXIT=loader:3   that role exits with this status in its init
//   HSS_STUB_HANG=worker     that role never finishes its stop
//   HSS_STUB_SPIN=admin      that role never comes back from a reload
//   HSS_STUB_LEVEL=admin     that role asks for log level debug at a reload
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "supervisor/role.h"

static const char *asked(const char *variable, enum role role)
{
	const char *v = getenv(variable);
	size_t len = strlen(role_name(role));
	return v && strncmp(v, role_name(role), len) == 0 ? v + len : NULL;
}

static int stub_init(struct role_env *env)
{
	const char *status = asked("HSS_STUB_EXIT", env->role);
	if (status)
		_exit(atoi(status + 1));
	log_info("stub_init", LOG_INT("records", env->records_fd >= 0), LOG_INT("sqn", env->sqn_fd >= 0),
		 LOG_INT("state_dir", env->state_dir_fd >= 0), LOG_INT("op", env->op_fd >= 0),
		 LOG_INT("listeners", env->listener_cnt), LOG_INT("stats", env->stats != NULL));
	return 0;
}

static void stub_edge(struct role_env *env, enum role role, unsigned index, int fd)
{
	(void)env;
	log_info("stub_edge", LOG_STR("to", role_name(role)), LOG_INT("index", index));
	(void)fd; // kept open: the other side sees it end when this process does
}

static void stub_reload(struct role_env *env, const struct config *fresh)
{
	log_info("stub_reload", LOG_INT("watchdog_ms", fresh->watchdog_ms),
		 LOG_INT("workers", fresh->workers), LOG_INT("uri", fresh->store_uri[0] != 0));
	for (volatile bool spin = asked("HSS_STUB_SPIN", env->role) != NULL; spin;)
		continue;
	if (asked("HSS_STUB_LEVEL", env->role))
		role_send_log_level(env, LOG_LEVEL_DEBUG);
}

static void stub_stop(struct role_env *env)
{
	log_info("stub_stop");
	if (!asked("HSS_STUB_HANG", env->role))
		role_stopped(env);
}

static const struct role_ops stub_ops = {
	.init = stub_init, .edge = stub_edge, .reload = stub_reload, .stop = stub_stop};

int main(int argc, char **argv)
{
	for (int role = ROLE_FRONTEND; role < ROLE_CNT; role++) {
		if (strstr(program_invocation_short_name, role_name((enum role)role)))
			return role_main(argc, argv, (enum role)role, &stub_ops);
	}
	return 2;
}

// hss-admin: the operator's and Prometheus' door to the other processes (README.md). It maps only the control
// segment, read-only, and holds no secrets except those that pass through in a command or in its answer.
#include <errno.h>
#include <unistd.h>
#include "admin/client.h"
#include "admin/http.h"
#include "admin/local.h"
#include "admin/memory.h"
#include "admin/watch.h"
#include "lib/base/log.h"

static struct {
	struct admin_calls *calls;
	struct admin_server *server, *looking; // looking: of the read-only socket
	struct metrics_server *metrics;
	struct watch *watch;
} admin;

static int init(struct role_env *env)
{
	if (env->listener_cnt < 1)
		return -EINVAL;
	admin.calls = admin_calls_new(env->base);
	if (!admin.calls)
		return -ENOMEM;
	admin.watch = watch_new(env, admin.calls);
	if (!admin.watch || !watch_start(admin.watch))
		return -ENOMEM;
	env->ctx = admin.watch; // local.c's
	admin.server = admin_server_new(env, admin.calls, env->listener[0], env->config.admin_group);
	if (!admin.server)
		return -EIO;
	unsigned next = 1;
	if (env->config.admin_readonly_socket[0] && next < env->listener_cnt) {
		const char *group = env->config.admin_readonly_group[0] ? env->config.admin_readonly_group
									  : env->config.admin_group;
		admin.looking = admin_server_new(env, admin.calls, env->listener[next++], group);
		if (!admin.looking)
			return -EIO;
		admin_server_read_only(admin.looking);
	}
	if (next == env->listener_cnt)
		return 0;
	admin.metrics = metrics_server_new(env->base, env->listener[next], env->control, watch_alarms(admin.watch));
	return admin.metrics ? 0 : -EIO;
}

static void edge(struct role_env *env, enum role role, unsigned index, int fd)
{
	(void)env;
	if (admin.calls)
		admin_calls_edge(admin.calls, role, index, fd);
	else // stopped
		close(fd);
}

static void reload_told(struct role_env *env, uint64_t id, struct slice lines)
{
	(void)env;
	if (admin.server) // not stopped
		admin_local_reload_told(id, lines);
}

static void stop(struct role_env *env)
{
	admin_server_free(&admin.server);
	admin_server_free(&admin.looking);
	metrics_server_free(&admin.metrics);
	watch_free(&admin.watch);
	admin_calls_free(&admin.calls);
	role_stopped(env);
}

int main(int argc, char **argv)
{
	static const struct role_ops ops = {.init = init, .edge = edge, .reload_told = reload_told, .stop = stop};

	admin_memory_init();
	return role_main(argc, argv, ROLE_ADMIN, &ops);
}

// hss-frontend: the role that holds the peers' connections. What it does is in frontend.h; here it is tied to
// hssd.
#include "frontend/frontend.h"
#include "frontend/peerlist.h"
#include "frontend/tls.h"
#include "lib/base/log.h"
#include "supervisor/role.h"
#include <errno.h>
#include <unistd.h>

#define WATCH_S 5 // between two looks at what of TLS has run out

static struct frontend frontend;
static struct event watch_event;

// The descriptors of BOOT or RELOAD, if there are any; they are used up.
static int load_tls(struct role_env *env)
{
	if (env->tls_fd[0] < 0)
		return 0;
	int err = tls_load(env->tls_fd, &env->config);
	for (unsigned i = 0; i < CONFIG_TLS_FILES; i++)
		env->tls_fd[i] = -1;
	return err;
}

static void watch(evutil_socket_t fd, short what, void *arg)
{
	struct role_env *env = arg;
	(void)fd, (void)what;
	struct tls_times times = tls_watch(&env->config);
	stat_set(env->stats, STAT_TLS_EXPIRED, times.past);
	stat_set(env->stats, STAT_TLS_LATE, times.late);
}

static int init(struct role_env *env)
{
	int err = tls_init();
	err = err ? err : load_tls(env);
	if (err)
		return err;
	err = frontend_init(&frontend, &env->config, env->base, env->control, env->stats, env->index,
			    env->worker_cnt);
	if (err == 0 && tls_context())
		err = handshake_start(&frontend);
	for (unsigned i = 0; err == 0 && i < env->listener_cnt; i++) {
		const struct transport_ops *ops = transport_find(env->config.listen[i].transport);
		if (!ops)
			log_error("transport_unsupported", LOG_STR("address", env->config.listen[i].address));
		err = frontend_listen_take(&frontend, ops, env->listener[i]);
	}
	if (err == 0 && (event_assign(&watch_event, env->base, -1, EV_PERSIST, watch, env) < 0 ||
			 event_add(&watch_event, &(struct timeval){.tv_sec = WATCH_S}) < 0))
		err = -ENOMEM;
	return err;
}

static void edge(struct role_env *env, enum role role, unsigned index, int fd)
{
	(void)env;
	if (role == ROLE_WORKER)
		frontend_worker_take(&frontend, index, fd);
	else if (role == ROLE_ADMIN)
		peerlist_admin_take(&frontend, fd);
	else
		close(fd);
}

static void reload(struct role_env *env, const struct config *fresh)
{
	env->config = *fresh;
	log_set_level(fresh->log_level);
	if (load_tls(env))
		log_error("tls_unchanged"); // the line before says why
	watch(-1, 0, env);
	frontend_reload(&frontend);
}

static void stopped(void *ctx)
{
	role_stopped(ctx);
}

static void stop(struct role_env *env)
{
	frontend_stop(&frontend, stopped, env);
}

static const struct role_ops ops = {.init = init, .edge = edge, .reload = reload, .stop = stop};

int main(int argc, char **argv)
{
	return role_main(argc, argv, ROLE_FRONTEND, &ops);
}

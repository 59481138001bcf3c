// The life of a role, from exec to exit: BOOT, init, sandbox, READY, loop, STOP. Every process but hssd.
//
// Descriptor 3 is the channel to hssd; what arrives on it is obeyed, its end of file ends the process at
// once: a role never outlives its hssd. (The parent-death signal says the same to a role that does not come
// to read.)
#include "supervisor/role.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/beat.h"
#include "lib/base/log.h"
#include "supervisor/sandbox.h"

static_assert((int)ROLE_HSSD == IPC_SIDE_HSSD && (int)ROLE_FRONTEND == IPC_SIDE_FRONTEND &&
		  (int)ROLE_WORKER == IPC_SIDE_WORKER && (int)ROLE_LOADER == IPC_SIDE_LOADER &&
		  (int)ROLE_ADMIN == IPC_SIDE_ADMIN && (int)ROLE_CNT == IPC_SIDE_ANY,
	      "enum ipc_side is enum role");
static_assert(sizeof(struct ipc_boot) + sizeof(struct config) <= IPC_BODY_MAX, "BOOT fits");

#define HSSD_FD         3
#define HSSD_HIGH_WATER (64u << 10)
#define BEAT_MS		200
#define EARLY_EDGE_MAX  (WORKER_MAX + FRONTEND_MAX + 2)

struct early_edge {
	struct ipc_edge to;
	int fd;
};

// One process is one role.
static struct run {
	struct role_env env;
	const struct role_ops *ops;
	struct channel *hssd;
	char name[32]; // "worker-0"; the log keeps it
	bool booted, running, stopping, stopped;
	struct early_edge early[EARLY_EDGE_MAX]; // came before init was done
	unsigned early_cnt;
	struct event *beat;
} run;

__attribute__((noreturn)) static void refuse(const char *what)
{
	log_error("boot_refused", LOG_STR("why", what));
	_exit(1);
}

static void take_fds(const struct ipc_boot *boot, struct channel *ch)
{
	struct role_env *env = &run.env;
	int fds[CHANNEL_FD_MAX], control_fd = -1;
	unsigned got = channel_take_fds(ch, fds, CHANNEL_FD_MAX), used = 0;
	const struct {
		uint32_t bit;
		int *fd;
	} wanted[] = {
	    {BOOT_FD_CONTROL, &control_fd},     {BOOT_FD_RECORDS, &env->records_fd},
	    {BOOT_FD_SQN, &env->sqn_fd},        {BOOT_FD_STATE_DIR, &env->state_dir_fd},
	    {BOOT_FD_OP_FILE, &env->op_fd},     {BOOT_FD_TLS_CERTIFICATE, &env->tls_fd[0]},
	    {BOOT_FD_TLS_KEY, &env->tls_fd[1]}, {BOOT_FD_TLS_CA, &env->tls_fd[2]},
	    {BOOT_FD_TLS_CRL, &env->tls_fd[3]}, {BOOT_FD_URI_FILE, &env->uri_fd},
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (!(boot->fd_mask & wanted[i].bit))
			continue;
		if (used == got)
			refuse("a descriptor is missing");
		*wanted[i].fd = fds[used++];
	}
	if (boot->listener_cnt > CONFIG_LISTEN_MAX || got - used != boot->listener_cnt)
		refuse("the listeners do not match");
	for (unsigned i = 0; i < boot->listener_cnt; i++)
		env->listener[i] = fds[used + i];
	env->listener_cnt = boot->listener_cnt;

	if (control_fd < 0)
		refuse("no control segment");
	env->control = control_map(control_fd, env->role != ROLE_ADMIN);
	if (!env->control)
		refuse("the control segment can't be mapped");
	close(control_fd);
	if (env->role != ROLE_ADMIN)
		env->stats = &env->control->stats[control_instance(env->role, env->index)];
	if (env->role != ROLE_ADMIN)
		beat_here(&env->control->role[control_instance(env->role, env->index)].beat);
	if (env->stats)
		log_count_dropped(&env->stats->c[STAT_LOG_DROPPED]);
}

static void handle_boot(const uint8_t *body, size_t len, struct channel *ch)
{
	struct role_env *env = &run.env;
	struct rd r = rd_of(body, len);
	struct ipc_boot boot;
	const uint8_t *p = rd_take(&r, sizeof(boot));
	if (!p)
		refuse("BOOT is too short");
	memcpy(&boot, p, sizeof(boot));
	p = rd_take(&r, sizeof(struct config));
	if (!p || rd_left(&r) || boot.config_size != sizeof(struct config))
		refuse("hssd is of another build");
	memcpy(&env->config, p, sizeof(struct config));

	bool numbered = env->role == ROLE_WORKER || env->role == ROLE_FRONTEND;
	unsigned limit = env->role == ROLE_WORKER     ? WORKER_MAX
			 : env->role == ROLE_FRONTEND ? FRONTEND_MAX
						      : 1;
	if (boot.role != env->role || boot.index >= limit || boot.worker_cnt > WORKER_MAX ||
	    boot.frontend_cnt > FRONTEND_MAX)
		refuse("this is not the role that hssd started");
	env->index = boot.index;
	env->frontend_cnt = boot.frontend_cnt;
	env->worker_cnt = boot.worker_cnt;

	if (numbered)
		snprintf(run.name, sizeof(run.name), "%s-%u", role_name(env->role), env->index);
	else
		snprintf(run.name, sizeof(run.name), "%s", role_name(env->role));
	log_init(run.name, env->config.log_level, env->config.log_json, env->config.log_mask_imsi);
	char title[16];
	snprintf(title, sizeof(title), "hss-%.11s", run.name);
	prctl(PR_SET_NAME, title);
	take_fds(&boot, ch);
	run.booted = true;
}

static void handle_edge(const uint8_t *body, struct channel *ch)
{
	struct ipc_edge to;
	int fd;
	memcpy(&to, body, sizeof(to)); // length: protocol table
	if (channel_take_fds(ch, &fd, 1) != 1) {
		log_error("edge_without_descriptor");
		return;
	}
	unsigned limit = to.role == ROLE_WORKER ? WORKER_MAX : to.role == ROLE_FRONTEND ? FRONTEND_MAX : 1;
	if (to.role == ROLE_HSSD || to.role >= ROLE_CNT || to.index >= limit ||
	    (!run.running && run.early_cnt == EARLY_EDGE_MAX)) {
		log_error("edge_refused", LOG_INT("role", to.role), LOG_INT("index", to.index));
		close(fd);
		return;
	}
	if (run.running)
		run.ops->edge(&run.env, (enum role)to.role, to.index, fd);
	else
		run.early[run.early_cnt++] = (struct early_edge){.to = to, .fd = fd};
}

// What the role did not take of the descriptors before is closed.
static void reload_files(struct channel *ch)
{
	int fds[CONFIG_TLS_FILES];
	if (channel_take_fds(ch, fds, CONFIG_TLS_FILES) != CONFIG_TLS_FILES)
		return;
	for (unsigned i = 0; i < CONFIG_TLS_FILES; i++) {
		if (run.env.tls_fd[i] >= 0)
			close(run.env.tls_fd[i]);
		run.env.tls_fd[i] = fds[i];
	}
}

static void handle_reload(const uint8_t *body, size_t len, struct channel *ch)
{
	static struct config fresh; // 70 KiB: not for the stack
	uint64_t size = 0;
	struct rd r = rd_of(body, len);
	const uint8_t *p = rd_take(&r, sizeof(size));
	if (p)
		memcpy(&size, p, sizeof(size));
	const uint8_t *config = rd_take(&r, sizeof(fresh));
	if (!p || !config || rd_left(&r) || size != sizeof(fresh)) {
		log_error("reload_refused", LOG_STR("why", "hssd is of another build"));
		return;
	}
	memcpy(&fresh, config, sizeof(fresh));
	log_set_level(fresh.log_level);
	reload_files(ch);
	if (run.running && run.ops->reload)
		run.ops->reload(&run.env, &fresh);
	run.env.config = fresh;
}

static void handle_log_level(const uint8_t *body)
{
	uint32_t level;
	memcpy(&level, body, sizeof(level));
	if (level > LOG_LEVEL_DEBUG)
		return;
	log_set_level((enum log_level)level);
	log_info("log_level", LOG_STR("level", log_level_name((enum log_level)level)));
}

static void on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	(void)ctx;
	size_t len = hdr->len - sizeof(*hdr);

	if ((hdr->type == IPC_BOOT) == run.booted) {
		channel_fail(ch, -EPROTO);
		return;
	}
	switch (hdr->type) {
	case IPC_BOOT:
		handle_boot(body, len, ch);
		break;
	case IPC_EDGE:
		handle_edge(body, ch);
		break;
	case IPC_RELOAD:
		handle_reload(body, len, ch);
		break;
	case IPC_RELOAD_TOLD:
		if (run.running && run.ops->reload_told)
			run.ops->reload_told(&run.env, hdr->id, slice_of(body, len));
		break;
	case IPC_LOG_LEVEL:
		handle_log_level(body);
		break;
	case IPC_STOP:
		if (!run.stopping) {
			run.stopping = true;
			if (run.running && run.ops->stop)
				run.ops->stop(&run.env);
			else
				role_stopped(&run.env);
		}
		break;
	default:
		channel_fail(ch, -EPROTO);
	}
}

static void on_down(void *ctx, struct channel *ch, int why)
{
	(void)ctx;
	(void)ch;
	if (run.stopped)
		return;
	if (why)
		log_error("hssd_channel", LOG_STR("error", err_text(why)));
	else if (run.booted)
		log_error("hssd_gone");
	_exit(1);
}

static const struct channel_ops hssd_ops = {.on_frame = on_frame, .on_down = on_down};

// Whether hssd is at the other end of descriptor 3, and is our parent still.
static bool parent_is_hssd(void)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	if (getsockopt(HSSD_FD, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return false;
	return getppid() == peer.pid;
}

static void signals_ignore(void)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2};
	sigset_t none;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL); // what hssd blocks for itself is inherited
}

static void start(enum role role, const struct role_ops *ops)
{
	struct role_env *env = &run.env;
	run.ops = ops;
	env->role = role;
	env->records_fd = env->sqn_fd = env->state_dir_fd = env->op_fd = env->uri_fd = -1;
	for (unsigned i = 0; i < CONFIG_TLS_FILES; i++)
		env->tls_fd[i] = -1;
	snprintf(run.name, sizeof(run.name), "%s", role_name(role));
	log_init(run.name, LOG_LEVEL_INFO, false, false);

	env->base = event_base_new();
	if (!env->base)
		refuse("no event loop");
	run.hssd = channel_new_take(env->base, HSSD_FD, HSSD_HIGH_WATER, &hssd_ops, NULL);
	if (!run.hssd)
		refuse("no channel to hssd");
	channel_accept_fds(run.hssd);
	channel_set_sides(run.hssd, IPC_SIDE_HSSD, (enum ipc_side)role);
	while (!run.booted)
		event_base_loop(env->base, EVLOOP_ONCE);
}

// The event loop turns. hss-admin can't write the control segment: it tells hssd, which may be stopped and take nothing.
static void on_beat(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	beat();
	if (run.env.role == ROLE_ADMIN && channel_send(run.hssd, IPC_BEAT, 0, NULL, 0))
		channel_flush(run.hssd);
}

static bool start_beating(void)
{
	static const struct timeval every = {.tv_usec = BEAT_MS * 1000};
	run.beat = event_new(run.env.base, -1, EV_PERSIST, on_beat, NULL);
	return run.beat && event_add(run.beat, &every) == 0;
}

static int initialise(void)
{
	struct role_env *env = &run.env;
	int rc = run.ops->init ? run.ops->init(env) : 0;
	if (rc < 0) {
		log_error("init_failed", LOG_STR("error", err_text(rc)));
		return rc;
	}
	bool upstream = env->role == ROLE_LOADER && env->config.store == STORE_MONGODB;
	if (upstream)
		sandbox_load_resolver();
	rc = sandbox_enter(env->role, env->config.sandbox,
			   env->role == ROLE_LOADER ? upstream : config_connects(&env->config));
	if (rc < 0) {
		log_error("sandbox_failed", LOG_STR("error", err_text(rc)));
		return rc;
	}
	if (!start_beating())
		return -ENOMEM;
	run.running = true;
	for (unsigned i = 0; i < run.early_cnt; i++)
		run.ops->edge(env, (enum role)run.early[i].to.role, run.early[i].to.index, run.early[i].fd);
	run.early_cnt = 0;
	if (!channel_send(run.hssd, IPC_READY, 0, NULL, 0))
		return -EPIPE;
	channel_flush(run.hssd);
	return 0;
}

int role_main(int argc, char **argv, enum role role, const struct role_ops *ops)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("hss-%s (corehss) " HSS_VERSION "\n", role_name(role));
		return 0;
	}
	signals_ignore();
	if (!parent_is_hssd()) {
		fprintf(stderr, "%s: is started by hssd, not by hand\n",
			argc > 0 ? argv[0] : role_name(role));
		return 1;
	}
	start(role, ops);
	if (!run.stopped && initialise() < 0)
		return 1;
	while (!run.stopped)
		event_base_loop(run.env.base, 0); // until role_stopped
	channel_flush(run.hssd);
	channel_free(&run.hssd);
	return 0;
}

void role_stopped(struct role_env *env)
{
	run.stopped = true;
	event_base_loopbreak(env->base);
}

void role_send_log_level(struct role_env *env, uint32_t level)
{
	(void)env;
	if (channel_send(run.hssd, IPC_LOG_LEVEL, 0, &level, sizeof(level)))
		channel_flush(run.hssd);
}

bool role_ask_reload(struct role_env *env, uint64_t id)
{
	(void)env;
	if (!channel_send(run.hssd, IPC_RELOAD_ASK, id, NULL, 0))
		return false;
	channel_flush(run.hssd);
	return true;
}

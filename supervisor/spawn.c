// Starting a role's process: fork and exec with nothing but descriptors 0 to 3, then BOOT and its edges.
// hssd.
//
// Every other descriptor of hssd is close-on-exec and reaches a role only as the table in roles.c says,
// beside BOOT. An edge is a fresh socket pair, one end to each side: after a restart the living side takes
// the new end in place of the old one.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/uri.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "supervisor/hssd.h"

#define ROLE_HIGH_WATER (1u << 20) // some reloads that the role has not read yet
#define ROLE_FD         3

__attribute__((noreturn)) static void exec_role(const struct instance *in, int fd)
{
	char *argv[] = {(char *)in->h->program[in->role], (char *)in->name, NULL};
	sigset_t none;

	// The log's thread is not in the child, and holds no lock that is needed here: it only reads and writes.
	int null = open("/dev/null", O_RDWR);
	if (null > 0)
		dup2(null, 0);
	dup2(log_pump_fd(), STDOUT_FILENO);
	dup2(log_pump_fd(), STDERR_FILENO);
	if (fd == ROLE_FD)
		fcntl(fd, F_SETFD, 0);
	else if (dup2(fd, ROLE_FD) < 0)
		_exit(127);
	close_range(ROLE_FD + 1, ~0u, 0);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	setenv("MONGOC_DISABLE_SHM", "1", 1); // or the driver leaves a file in /dev/shm when it is killed
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(argv[0], argv);
	_exit(127);
}

static void on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct instance *in = ctx;
	uint32_t level;

	switch (hdr->type) {
	case IPC_READY:
		in->ready = true;
		in->h->control->role[control_instance(in->role, in->index)].ready = 1;
		log_info("role_ready", LOG_STR("role", in->name), LOG_INT("pid", in->pid),
			 LOG_INT("ms", clock_mono_ms() - in->started_ms));
		hssd_progress(in->h);
		break;
	case IPC_BEAT:
		in->told_beats++;
		break;
	case IPC_LOG_LEVEL:
		memcpy(&level, body, sizeof(level));
		if (in->role != ROLE_ADMIN || level > LOG_LEVEL_DEBUG) {
			channel_fail(ch, -EPROTO);
			break;
		}
		log_set_level((enum log_level)level);
		in->h->config.log_level = (uint8_t)level; // for those that start later
		spawn_log_level(in->h, level);
		break;
	case IPC_RELOAD_ASK:
		reload(in->h, in, hdr->id);
		break;
	default:
		channel_fail(ch, -EPROTO);
	}
}

// The process is dead (SIGCHLD comes), or not to be trusted any more.
static void on_down(void *ctx, struct channel *ch, int why)
{
	struct instance *in = ctx;
	(void)ch;
	if (why == -EPROTO)
		log_error("role_channel_broken", LOG_STR("role", in->name), LOG_INT("pid", in->pid));
	channel_free(&in->ch);
	if (in->h->phase != PHASE_STOPPING || why)
		spawn_kill(in, NULL);
}

static const struct channel_ops role_channel_ops = {.on_frame = on_frame, .on_down = on_down};

void spawn_kill(struct instance *in, const char *why)
{
	if (in->pid <= 0)
		return;
	if (!in->killed)
		in->killed = why;
	kill(in->pid, SIGKILL);
}

// Its channel is full, so it has not read for long; or it is dead, and SIGCHLD is on its way.
static void not_listening(struct instance *in)
{
	if (in->ch && channel_is_up(in->ch))
		log_error("role_not_listening", LOG_STR("role", in->name), LOG_INT("pid", in->pid));
	spawn_kill(in, NULL);
}

// What this role is told of the configuration: how to reach the upstream is the loader's business only.
static void config_for(const struct instance *in, struct config *out)
{
	*out = in->h->config;
	remember_for(in, out);
	if (in->role == ROLE_LOADER)
		return;
	memset(out->store_uri, 0, sizeof(out->store_uri));
	if (in->role == ROLE_ADMIN && in->h->config.store_uri[0]) // for `config show`
		config_uri_mask(in->h->config.store_uri, out->store_uri, sizeof(out->store_uri));
}

static bool boot_send(struct instance *in)
{
	static struct {
		struct ipc_boot boot;
		struct config config;
	} body; // some 300 KiB: not for the stack
	int fds[CHANNEL_FD_MAX];
	struct hssd *h = in->h;

	memset(&body.boot, 0, sizeof(body.boot));
	body.boot.role = in->role;
	body.boot.index = in->index;
	body.boot.config_size = sizeof(struct config);
	body.boot.frontend_cnt = h->config.frontends;
	body.boot.worker_cnt = h->config.workers;
	config_for(in, &body.config);
	unsigned cnt = roles_fds(h, in->role, &body.boot, fds);
	return channel_send_fds(in->ch, IPC_BOOT, 0, &body, sizeof(body.boot) + sizeof(body.config), fds,
				cnt);
}

// One end of a new pair to each. false: `in` did not take its end.
static bool connect_pair(struct instance *in, struct instance *other)
{
	struct ipc_edge to_other = {.role = other->role, .index = other->index};
	struct ipc_edge to_in = {.role = in->role, .index = in->index};
	int pair[2];
	int rc = channel_pair(pair);
	if (rc < 0) {
		log_error("edge_failed", LOG_STR("role", in->name), LOG_STR("error", err_text(rc)));
		return false;
	}
	bool ok = channel_send_fds(in->ch, IPC_EDGE, 0, &to_other, sizeof(to_other), &pair[0], 1);
	if (ok && !channel_send_fds(other->ch, IPC_EDGE, 0, &to_in, sizeof(to_in), &pair[1], 1))
		not_listening(other);
	close(pair[0]);
	close(pair[1]);
	return ok;
}

static bool connect_all(struct instance *in)
{
	struct hssd *h = in->h;
	for (unsigned i = 0; i < h->instance_cnt; i++) {
		struct instance *other = &h->instance[i];
		if (other == in || !other->pid || !other->ch || !roles_edge(in->role, other->role))
			continue;
		if (!connect_pair(in, other))
			return false;
	}
	return true;
}

bool spawn_instance(struct instance *in)
{
	struct hssd *h = in->h;
	int pair[2];
	int rc = channel_pair(pair);
	if (rc < 0) {
		log_error("role_start_failed", LOG_STR("role", in->name), LOG_STR("error", err_text(rc)));
		return false;
	}
	pid_t pid = fork();
	if (pid == 0)
		exec_role(in, pair[1]);
	int fork_error = errno;
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		log_error("role_start_failed", LOG_STR("role", in->name),
			  LOG_STR("error", err_text(fork_error)));
		return false;
	}
	in->pid = pid;
	in->ready = false;
	in->killed = NULL;
	in->silent_ms = 0;
	in->started_ms = clock_mono_ms();
	struct control_role *row = &h->control->role[control_instance(in->role, in->index)];
	row->started_us = clock_wall_us();
	row->ready = 0;
	row->pid = pid;
	log_debug("role_started", LOG_STR("role", in->name), LOG_INT("pid", pid));

	in->ch = channel_new_take(h->base, pair[0], ROLE_HIGH_WATER, &role_channel_ops, in);
	if (!in->ch) {
		kill(pid, SIGKILL); // SIGCHLD does the rest
		return true;
	}
	channel_set_sides(in->ch, (enum ipc_side)in->role, IPC_SIDE_HSSD);
	if (!boot_send(in) || !connect_all(in))
		not_listening(in);
	return true;
}

static void tell(struct instance *in, uint16_t type, const void *body, size_t len)
{
	if (!in->pid || !in->ch)
		return;
	if (channel_send(in->ch, type, 0, body, len))
		channel_flush(in->ch);
	else
		not_listening(in);
}

// The same with the files of TLS beside it, for those that read them.
static void tell_with_files(struct instance *in, uint16_t type, const void *body, size_t len)
{
	if (!in->pid || !in->ch)
		return;
	if (!channel_send_fds(in->ch, type, 0, body, len, in->h->tls_fd, CONFIG_TLS_FILES))
		not_listening(in);
}

void spawn_reload(struct hssd *h)
{
	// without what pads the struct at its end
	const size_t len = sizeof(uint64_t) + sizeof(struct config);
	static struct {
		uint64_t size;
		struct config config;
	} body = {.size = sizeof(struct config)};
	for (unsigned i = 0; i < h->instance_cnt; i++) {
		config_for(&h->instance[i], &body.config);
		if (h->instance[i].role == ROLE_FRONTEND && h->tls_fd[0] >= 0)
			tell_with_files(&h->instance[i], IPC_RELOAD, &body, len);
		else
			tell(&h->instance[i], IPC_RELOAD, &body, len);
	}
}

void spawn_log_level(struct hssd *h, uint32_t level)
{
	for (unsigned i = 0; i < h->instance_cnt; i++)
		tell(&h->instance[i], IPC_LOG_LEVEL, &level, sizeof(level));
}

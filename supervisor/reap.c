// Deaths and the orderly stop. When a role dies, what it held in shared memory is freed, and it is started again: at once the
// first time, then after a delay that doubles from 100 ms to 5 s; 30 s of health reset the delay. A stop ends the roles in the order
// of roles.c, each group within its time. hssd.
//
// A role that dies before its first READY would fail again (missing rights, a full disk), so hssd ends.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "supervisor/hssd.h"
#include "supervisor/role.h"

#define DELAY_FIRST_MS 100
#define DELAY_MAX_MS   5000
#define HEALTHY_MS     30000

static void arm(struct event *timer, unsigned ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	event_add(timer, &tv);
}

static void log_death(const struct instance *in, int status)
{
	if (in->killed) // the line before said it
		log_info("role_ended", LOG_STR("role", in->name), LOG_INT("pid", in->pid), LOG_STR("reason", in->killed));
	else if (WIFSIGNALED(status))
		log_error("role_killed", LOG_STR("role", in->name), LOG_INT("pid", in->pid),
			  LOG_INT("signal", WTERMSIG(status)), LOG_STR("name", strsignal(WTERMSIG(status))));
	else if (WEXITSTATUS(status) || in->h->phase != PHASE_STOPPING)
		log_error("role_exited", LOG_STR("role", in->name), LOG_INT("pid", in->pid),
			  LOG_INT("status", WEXITSTATUS(status)));
	else
		log_info("role_stopped", LOG_STR("role", in->name), LOG_INT("pid", in->pid));
}

// Shared words that only the dead one could have given back (law 4).
static void clear_shared(struct instance *in)
{
	struct control *c = in->h->control;
	struct control_role *row = &c->role[control_instance(in->role, in->index)];

	row->ready = 0;
	row->pid = 0;
	row->silent_ms = 0;
	if (in->role == ROLE_WORKER)
		c->reader[in->index].v = 0;
	else if (in->role == ROLE_FRONTEND) {
		remember_lost(in->h, in->index);
		control_frontend_clear(c, in->index);
	}
}

static void on_restart(evutil_socket_t fd, short what, void *arg)
{
	struct instance *in = arg;
	(void)fd;
	(void)what;
	if (in->h->phase == PHASE_STOPPING || in->pid)
		return;
	if (!spawn_instance(in))
		reap_restart_later(in);
}

void reap_restart_later(struct instance *in)
{
	unsigned delay = in->next_delay_ms;
	in->next_delay_ms = delay == 0 ? DELAY_FIRST_MS : delay * 2 < DELAY_MAX_MS ? delay * 2 : DELAY_MAX_MS;
	in->h->control->role[control_instance(in->role, in->index)].restarts++;
	log_warn("role_restart", LOG_STR("role", in->name), LOG_INT("delay_ms", delay));
	if (!in->restart)
		in->restart = evtimer_new(in->h->base, on_restart, in);
	if (in->restart)
		arm(in->restart, delay);
	else
		reap_stop(in->h, 1);
}

// A death that no restart helps. The reason is told once.
static bool fatal(struct instance *in, int status)
{
	struct hssd *h = in->h;

	if (in->role == ROLE_LOADER && WIFEXITED(status) && WEXITSTATUS(status) == ROLE_EXIT_IN_USE) {
		if (h->exit_status == 0)
			say("state_dir: %s is in use by another HSS",
				h->config.state_dir);
	} else if (h->phase == PHASE_STARTING && !in->ready) {
		if (h->exit_status == 0 && in->role == ROLE_LOADER && state_dir_full(h))
			say("state_dir: %s: its file system is full", h->config.state_dir);
		else if (h->exit_status == 0)
			say("%s failed to start, see its messages above", in->name);
	} else {
		return false;
	}
	if (h->phase == PHASE_STARTING) {
		// nothing was served: nothing has to be put in order
		for (unsigned i = 0; i < h->instance_cnt; i++)
			spawn_kill(&h->instance[i], "the start has failed");
	}
	reap_stop(h, 1);
	return true;
}

// --- the way down

static unsigned alive(const struct hssd *h, unsigned order)
{
	unsigned cnt = 0;
	for (unsigned i = 0; i < h->instance_cnt; i++)
		cnt += h->instance[i].pid && roles_stop_order(h->instance[i].role) == order;
	return cnt;
}

// Asks those whose turn it is, and gives the turn on when they are gone.
static void stop_next(struct hssd *h)
{
	while (h->stop_order < STOP_ORDER_CNT && !alive(h, h->stop_order)) {
		h->stop_order++;
		h->stop_sent = false;
	}
	if (h->stop_order == STOP_ORDER_CNT) {
		event_base_loopbreak(h->base);
		return;
	}
	if (h->stop_sent)
		return;
	h->stop_sent = true;
	for (unsigned i = 0; i < h->instance_cnt; i++) {
		struct instance *in = &h->instance[i];
		if (!in->pid || roles_stop_order(in->role) != h->stop_order)
			continue;
		if (in->ch && channel_send(in->ch, IPC_STOP, 0, NULL, 0))
			channel_flush(in->ch);
		else
			spawn_kill(in, "stopping");
	}
	arm(h->stop_timer, roles_stop_ms(h->stop_order));
}

static void on_stop_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct hssd *h = arg;
	(void)fd;
	(void)what;
	for (unsigned i = 0; i < h->instance_cnt; i++) {
		struct instance *in = &h->instance[i];
		if (in->pid && roles_stop_order(in->role) == h->stop_order) {
			log_error("role_stop_timeout", LOG_STR("role", in->name), LOG_INT("pid", in->pid));
			spawn_kill(in, "it did not stop in time");
		}
	}
}

void reap_stop(struct hssd *h, int exit_status)
{
	if (exit_status)
		h->exit_status = exit_status;
	if (h->phase == PHASE_STOPPING)
		return;
	remember_finish(h);
	h->phase = PHASE_STOPPING;
	hssd_progress(h);
	h->stop_timer = evtimer_new(h->base, on_stop_timeout, h);
	if (!h->stop_timer) {
		event_base_loopbreak(h->base); // the roles end with us
		return;
	}
	stop_next(h);
}

// --- deaths

static void bury(struct instance *in, int status)
{
	struct hssd *h = in->h;

	log_death(in, status);
	clear_shared(in);
	channel_free(&in->ch);
	in->pid = 0;
	bool hopeless = fatal(in, status);
	in->ready = false;
	if (hopeless || h->phase == PHASE_STOPPING)
		return;
	if (clock_mono_ms() - in->started_ms >= HEALTHY_MS)
		in->next_delay_ms = 0;
	reap_restart_later(in);
	hssd_progress(h);
}

void reap_children(struct hssd *h)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned i = 0; i < h->instance_cnt; i++) {
			if (h->instance[i].pid == pid) {
				bury(&h->instance[i], status);
				break;
			}
		}
	}
	if (h->phase == PHASE_STOPPING)
		stop_next(h);
}

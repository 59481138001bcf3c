// The life of a role as hssd drives it over descriptor 3, with the test in hssd's place: the right start, and
// every BOOT and order of messages that must end the process.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/role.h"

struct hssd {
	struct event_base *base;
	struct channel *ch;
	pid_t pid;
	bool ready, down;
	int control_fd;
	struct control *control;
	struct {
		struct ipc_boot boot;
		struct config config;
	} body;
};

// --- the role: tells what happened through its exit status and the control segment

static struct role_env *role_env;
static unsigned edges;

static int role_init(struct role_env *env)
{
	role_env = env;
	stat_set(env->stats, 0, 1000 + env->index);
	return env->config.node_id == 3 ? -EIO : 0;
}

static void role_edge(struct role_env *env, enum role role, unsigned index, int fd)
{
	if (fcntl(fd, F_GETFD) < 0)
		_exit(50);
	close(fd);
	edges++;
	stat_set(env->stats, 1, edges * 100 + (unsigned)role * 10 + index);
}

static void role_reload(struct role_env *env, const struct config *fresh)
{
	if (env->config.watchdog_ms == fresh->watchdog_ms)
		_exit(51);
	stat_set(env->stats, 2, fresh->watchdog_ms);
}

static void role_stop(struct role_env *env)
{
	if (env != role_env)
		_exit(52);
	stat_set(env->stats, 3, 1);
	role_stopped(env);
}

static const struct role_ops role_ops = {
	.init = role_init, .edge = role_edge, .reload = role_reload, .stop = role_stop};

// --- hssd

static void on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct hssd *h = ctx;
	(void)ch;
	(void)body;
	assert_int_equal(hdr->type, IPC_READY);
	assert_false(h->ready);
	h->ready = true;
}

static void on_down(void *ctx, struct channel *ch, int why)
{
	struct hssd *h = ctx;
	(void)ch;
	(void)why;
	h->down = true;
}

static const struct channel_ops ops = {.on_frame = on_frame, .on_down = on_down};

static void begin(struct hssd *h)
{
	int fds[2];
	memset(h, 0, sizeof(*h));
	h->control_fd = control_create(1, 4);
	assert_true(h->control_fd >= 0);
	h->control = control_map(h->control_fd, true);
	assert_non_null(h->control);
	h->base = event_base_new();
	assert_non_null(h->base);
	assert_int_equal(channel_pair(fds), 0);
	h->pid = fork();
	if (h->pid == 0) {
		char *argv[] = {(char *)"role", NULL};
		close(2); // what it says of bad input is not for the log of this test
		open("/dev/null", O_WRONLY);
		dup2(fds[1], 3);
		close_range(4, ~0u, 0);
		_exit(role_main(1, argv, ROLE_WORKER, &role_ops));
	}
	close(fds[1]);
	h->ch = channel_new_take(h->base, fds[0], 1 << 20, &ops, h);
	assert_non_null(h->ch);
	h->body.boot = (struct ipc_boot){.role = ROLE_WORKER,
					 .index = 2,
					 .fd_mask = BOOT_FD_CONTROL,
					 .config_size = sizeof(struct config),
					 .frontend_cnt = 1,
					 .worker_cnt = 4};
	h->body.config.watchdog_ms = 30000;
}

static bool boot(struct hssd *h, unsigned fd_cnt)
{
	int fds[4] = {h->control_fd, h->control_fd, h->control_fd, h->control_fd};
	return channel_send_fds(h->ch, IPC_BOOT, 0, &h->body, sizeof(h->body.boot) + sizeof(h->body.config),
				fds, fd_cnt);
}

static void edge(struct hssd *h, uint32_t role, uint32_t index)
{
	struct ipc_edge to = {.role = role, .index = index};
	int fds[2];
	assert_int_equal(channel_pair(fds), 0);
	assert_true(channel_send_fds(h->ch, IPC_EDGE, 0, &to, sizeof(to), fds, 1));
	close(fds[0]);
	close(fds[1]);
}

static void wait_ready(struct hssd *h)
{
	while (!h->ready && !h->down)
		event_base_loop(h->base, EVLOOP_ONCE);
	assert_true(h->ready);
}

static uint64_t stat_of(struct hssd *h, unsigned id)
{
	return h->control->stats[control_instance(ROLE_WORKER, 2)].c[id];
}

// Ends the role's channel unless it ended itself; returns its exit status.
static int finish(struct hssd *h)
{
	int status;
	while (!h->down)
		event_base_loop(h->base, EVLOOP_ONCE);
	assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
	channel_free(&h->ch);
	event_base_free(h->base);
	close(h->control_fd);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_whole_life(void **state)
{
	(void)state;
	struct hssd h;
	begin(&h);
	assert_true(boot(&h, 1));
	edge(&h, ROLE_FRONTEND, 0);
	edge(&h, ROLE_LOADER, 0);
	wait_ready(&h);
	edge(&h, ROLE_ADMIN, 0);
	struct {
		uint64_t size;
		struct config config;
	} reload = {.size = sizeof(struct config), .config = h.body.config};
	reload.config.watchdog_ms = 7000;
	assert_true(channel_send(h.ch, IPC_RELOAD, 0, &reload,
				 sizeof(reload.size) + sizeof(reload.config)));
	assert_true(channel_send(h.ch, IPC_STOP, 0, NULL, 0));
	channel_flush(h.ch);
	assert_int_equal(finish(&h), 0);
	assert_int_equal(stat_of(&h, 0), 1002);
	assert_int_equal(stat_of(&h, 1), 300 + ROLE_ADMIN * 10); // all three, in order
	assert_int_equal(stat_of(&h, 2), 7000);
	assert_int_equal(stat_of(&h, 3), 1);
}

static void ends_with_hssd(void **state)
{
	(void)state;
	for (int when = 0; when < 2; when++) {
		struct hssd h;
		int status;
		begin(&h);
		if (when) {
			assert_true(boot(&h, 1));
			wait_ready(&h);
		}
		channel_free(&h.ch);
		assert_int_equal(waitpid(h.pid, &status, 0), h.pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 1);
		event_base_free(h.base);
		close(h.control_fd);
	}
}

static void init_fails(void **state)
{
	(void)state;
	struct hssd h;
	begin(&h);
	h.body.config.node_id = 3;
	assert_true(boot(&h, 1));
	assert_int_equal(finish(&h), 1);
	assert_false(h.ready);
}

// Each a BOOT that hssd of this build never sends.
static void bad_boots(void **state)
{
	(void)state;
	for (int bad = 0; bad < 10; bad++) {
		struct hssd h;
		unsigned fd_cnt = 1;
		begin(&h);
		switch (bad) {
		case 0:
			h.body.boot.role = ROLE_LOADER;
			break;
		case 1:
			h.body.boot.role = UINT32_MAX;
			break;
		case 2:
			h.body.boot.index = WORKER_MAX;
			break;
		case 3:
			h.body.boot.config_size--;
			break;
		case 4:
			h.body.boot.worker_cnt = WORKER_MAX + 1;
			break;
		case 5:
			h.body.boot.frontend_cnt = FRONTEND_MAX + 1;
			break;
		case 6:
			h.body.boot.fd_mask = BOOT_FD_CONTROL | BOOT_FD_SQN;
			break; // one is missing
		case 7:
			fd_cnt = 2;
			break; // one too many
		case 8:
			h.body.boot.listener_cnt = CONFIG_LISTEN_MAX + 1;
			break;
		case 9:
			h.body.boot.fd_mask = BOOT_FD_SQN;
			break; // no control segment
		}
		assert_true(boot(&h, fd_cnt));
		assert_int_equal(finish(&h), 1);
		assert_false(h.ready);
	}
}

static void boot_of_another_length(void **state)
{
	(void)state;
	static const size_t lens[] = {8, sizeof(struct ipc_boot) - 1, sizeof(struct ipc_boot),
				      sizeof(struct ipc_boot) + sizeof(struct config) - 1,
				      sizeof(struct ipc_boot) + sizeof(struct config) + 1};
	static uint8_t body[sizeof(struct ipc_boot) + sizeof(struct config) + 8];
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct hssd h;
		begin(&h);
		memcpy(body, &h.body.boot, sizeof(h.body.boot));
		assert_true(channel_send_fds(h.ch, IPC_BOOT, 0, body, lens[i], &h.control_fd, 1));
		assert_int_equal(finish(&h), 1);
		assert_false(h.ready);
	}
}

static void out_of_order(void **state)
{
	(void)state;
	struct hssd h;
	begin(&h); // an edge before BOOT
	edge(&h, ROLE_FRONTEND, 0);
	assert_int_equal(finish(&h), 1);

	begin(&h); // two BOOTs
	assert_true(boot(&h, 1));
	wait_ready(&h);
	assert_true(boot(&h, 1));
	assert_int_equal(finish(&h), 1);

	begin(&h); // what hssd never sends
	assert_true(boot(&h, 1));
	wait_ready(&h);
	assert_true(channel_send(h.ch, IPC_READY, 0, NULL, 0));
	channel_flush(h.ch);
	assert_int_equal(finish(&h), 1);
}

static void edges_to_nowhere_are_refused(void **state)
{
	(void)state;
	struct hssd h;
	begin(&h);
	assert_true(boot(&h, 1));
	edge(&h, ROLE_HSSD, 0);
	edge(&h, ROLE_CNT, 0);
	edge(&h, UINT32_MAX, 0);
	edge(&h, ROLE_WORKER, WORKER_MAX);
	edge(&h, ROLE_FRONTEND, FRONTEND_MAX);
	edge(&h, ROLE_LOADER, 1);
	wait_ready(&h);
	edge(&h, ROLE_CNT, 0);
	assert_true(channel_send(h.ch, IPC_STOP, 0, NULL, 0));
	channel_flush(h.ch);
	assert_int_equal(finish(&h), 0);
	assert_int_equal(stat_of(&h, 1), 0);
}

static void reload_of_another_build(void **state)
{
	(void)state;
	struct hssd h;
	uint64_t body[2] = {sizeof(struct config) + 1, 0};
	begin(&h);
	assert_true(boot(&h, 1));
	wait_ready(&h);
	assert_true(channel_send(h.ch, IPC_RELOAD, 0, body, sizeof(body)));
	assert_true(channel_send(h.ch, IPC_STOP, 0, NULL, 0));
	channel_flush(h.ch);
	assert_int_equal(finish(&h), 0); // keeps what it has
	assert_int_equal(stat_of(&h, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_whole_life),
	    cmocka_unit_test(ends_with_hssd),
	    cmocka_unit_test(init_fails),
	    cmocka_unit_test(bad_boots),
	    cmocka_unit_test(boot_of_another_length),
	    cmocka_unit_test(out_of_order),
	    cmocka_unit_test(edges_to_nowhere_are_refused),
	    cmocka_unit_test(reload_of_another_build),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

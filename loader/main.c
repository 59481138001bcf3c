// hss-loader, the process: its channels, its event loop, and the order in which its parts start and stop. The
// parts themselves are put together by loader.c.
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "apps/apps.h"
#include "loader/admin/admin.h"
#include "loader/loader.h"
#include "loader/upstream/feed.h"
#include "loader/commit/txn.h"
#include "loader/store/sql.h"
#include "loader/upstream/mongo/mongo_check.h"
#include "loader/upstream/upstream_csv.h"
#include "config/uri.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"
#include "supervisor/role.h"

#define WORKER_HIGH_WATER (32u << 20)
#define ADMIN_HIGH_WATER  (64u << 20) // 256 rows ahead, of one to some kilobytes

// What a channel's callbacks need to know about its other end.
struct edge {
	struct loader *l;
	enum role role;
	unsigned index;
};

static struct loader loader;
static struct edge edge_worker[WORKER_MAX], edge_admin;
static struct event *fold_event, *progress_event;

static struct link *link_of(struct loader *l, enum role role, unsigned index)
{
	return role == ROLE_WORKER ? &l->worker[index] : &l->admin_link;
}

static void on_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct edge *e = ctx;
	(void)ch;
	loader_frame(e->l, e->role, e->index, hdr, body);
}

static void on_down(void *ctx, struct channel *ch, int why)
{
	struct edge *e = ctx;
	struct link *k = link_of(e->l, e->role, e->index);
	(void)why;
	if (k->ch != ch)
		return;
	loader_edge_down(e->l, e->role, e->index);
	channel_free(&k->ch);
}

static const struct channel_ops channel_callbacks = {.on_frame = on_frame, .on_down = on_down};

// Answers are composed while a batch is committed and written when all of it is done.
static void send_frame(struct loader *l, enum role role, unsigned index, uint16_t type, uint64_t id,
		       const void *body, size_t len)
{
	struct link *k = link_of(l, role, index);
	if (!k->ch)
		return;
	if (!channel_send(k->ch, type, id, body, len)) {
		loader_stat(l, STAT_CHANNEL_FULL, 1);
		return;
	}
	k->touched = true;
	if (!l->flush_pending) {
		event_active(l->flush, EV_TIMEOUT, 0);
		l->flush_pending = true;
	}
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct loader *l = arg;
	(void)fd;
	(void)what;
	l->flush_pending = false;
	for (unsigned i = 0; i < WORKER_MAX; i++)
		if (l->worker[i].touched && l->worker[i].ch) {
			l->worker[i].touched = false;
			channel_flush(l->worker[i].ch);
		}
	if (l->admin_link.touched && l->admin_link.ch) {
		l->admin_link.touched = false;
		channel_flush(l->admin_link.ch);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	loader_tick(arg);
}

static void on_progress(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	admin_tick(arg);
	feed_tick(arg);
}

static void on_fold(evutil_socket_t fd, short what, void *arg)
{
	struct loader *l = arg;
	(void)fd;
	(void)what;
	local_fold_drain(l->local);
	txn_turn(l);
	admin_folded(l);
	feed_resume(l);
}

static int add_events(struct loader *l)
{
	static const struct timeval second = {.tv_sec = 1}, tenth = {.tv_usec = 100000};
	l->tick = event_new(l->base, -1, EV_PERSIST, on_tick, l);
	l->flush = event_new(l->base, -1, 0, on_flush, l);
	progress_event = event_new(l->base, -1, EV_PERSIST, on_progress, l);
	fold_event = event_new(l->base, local_fold_fd(l->local), EV_READ | EV_PERSIST, on_fold, l);
	if (!l->tick || !l->flush || !progress_event || !fold_event)
		return -ENOMEM;
	event_add(l->tick, &second);
	event_add(progress_event, &tenth);
	event_add(fold_event, NULL);
	return 0;
}

static int init(struct role_env *env)
{
	struct loader *l = &loader;
	char dir[64], uri[CONFIG_URI_MAX];
	l->env = env;
	l->base = env->base;
	l->config = &env->config;
	l->stats = env->stats;
	l->send = send_frame;
	env->ctx = l;
	// the directory that hssd opened, whatever its path means by now
	snprintf(dir, sizeof(dir), "/proc/self/fd/%d", env->state_dir_fd); // lint: only opened
	snprintf(uri, sizeof(uri), "%s", env->config.store_uri);
	// without one the upstream is away, and all that is here is served
	if (env->uri_fd >= 0 && config_uri_read(env->uri_fd, uri))
		log_error("uri_file_wrong", LOG_STR("expected", "one line with a connection string"));
	sql_show_dir(env->config.state_dir);
	int rc = loader_init(l, &(struct loader_options){.dir = dir,
							 .shown_dir = env->config.state_dir,
							 .records_fd = env->records_fd,
							 .sqn_fd = env->sqn_fd,
							 .op_fd = env->op_fd,
							 .uri = uri,
							 .control = env->control,
							 .apps = loader_apps});
	secret_wipe(uri, sizeof(uri));
	secret_wipe(env->config.store_uri, sizeof(env->config.store_uri));
	if (rc == -EWOULDBLOCK)
		_exit(ROLE_EXIT_IN_USE);
	return rc ? rc : add_events(l);
}

static void edge(struct role_env *env, enum role role, unsigned index, int fd)
{
	struct loader *l = env->ctx;
	if ((role != ROLE_WORKER && role != ROLE_ADMIN) || index >= WORKER_MAX) {
		close(fd);
		return;
	}
	struct edge *e = role == ROLE_WORKER ? &edge_worker[index] : &edge_admin;
	struct link *k = link_of(l, role, index);
	if (k->ch) {
		loader_edge_down(l, role, index);
		channel_free(&k->ch);
	}
	*e = (struct edge){.l = l, .role = role, .index = index};
	k->ch = channel_new_take(l->base, fd, role == ROLE_WORKER ? WORKER_HIGH_WATER : ADMIN_HIGH_WATER,
				 &channel_callbacks, e);
	if (k->ch && role == ROLE_ADMIN)
		channel_set_wipe(k->ch); // keys come in and go out
	if (k->ch)
		channel_set_sides(k->ch, role == ROLE_WORKER ? IPC_SIDE_WORKER : IPC_SIDE_ADMIN,
				  IPC_SIDE_LOADER);
	else
		log_error("edge_failed", LOG_STR("role", role_name(role)),
			  LOG_STR("reason", err_text(errno)));
}

static void reload(struct role_env *env, const struct config *fresh)
{
	struct loader *l = env->ctx;
	l->records.allow_xor = fresh->allow_xor; // l->config is the old one until this returns
	upstream_csv_reload(l);
	loader_commons(l, fresh);
}

static void stop(struct role_env *env)
{
	struct loader *l = env->ctx;
	event_free(fold_event);
	event_free(progress_event);
	event_free(l->tick);
	loader_fini(l); // commits what waits
	on_flush(-1, 0, l);
	role_stopped(env);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--check-store") == 0)
		return mongo_check_main();
	// What the threads took for a load goes back afterwards from one heap only: of each one's own the C library gives nothing.
	mallopt(M_ARENA_MAX, 1);
	static const struct role_ops ops = {.init = init, .edge = edge, .reload = reload, .stop = stop};
	return role_main(argc, argv, ROLE_LOADER, &ops);
}

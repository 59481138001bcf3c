// hss-worker: the 3GPP applications and the cryptography. One process of several; any of them can serve any request
// (law 3). It reads the subscriber cache, writes SQN words, and talks to frontends, the loader and hss-admin.
#include "apps/apps.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "supervisor/role.h"
#include "worker/link.h"
#include "worker/hss_request.h"
#include "worker/worker.h"
#include <errno.h>
#include <unistd.h>

#define CHANNEL_HIGH_WATER (4u << 20)

static struct worker worker;
static struct event *sweep_event;

static unsigned frontend_index(const struct channel *ch)
{
	for (unsigned i = 0; i < FRONTEND_MAX; i++)
		if (worker.frontend[i] == ch)
			return i;
	return FRONTEND_MAX;
}

// Sends everything that this batch has composed, to the loader first, since its answers take longest.
static void flush_all(void)
{
	worker_unpin(&worker);
	if (worker.loader)
		channel_flush(worker.loader);
	for (unsigned i = 0; i < FRONTEND_MAX; i++)
		if (worker.frontend[i])
			channel_flush(worker.frontend[i]);
}

static void on_batch(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	flush_all();
}

static void prefetch(const struct ipc_request *q, bool record)
{
	const struct cache *c = &worker.cache;
	if (q->imsi)
		record ? cache_prefetch_record(c, (imsi_t){q->imsi}) : cache_prefetch(c, (imsi_t){q->imsi});
	else if (q->msisdn)
		record ? cache_prefetch_msisdn_record(c, (msisdn_t){q->msisdn})
		       : cache_prefetch_msisdn(c, (msisdn_t){q->msisdn});
	else if (q->subject)
		record ? cache_prefetch_identity_record(c, q->subject) : cache_prefetch_identity(c, q->subject);
}

// The look-ups of the next two requests are prefetched while this one is served: with many subscribers each would wait
// for memory twice.
static void look_ahead(const struct channel *ch)
{
	struct ipc_hdr hdr;
	struct ipc_request q;
	const uint8_t *body;
	size_t cursor = 0;
	for (unsigned n = 0; n < 2 && channel_ahead(ch, &cursor, &hdr, &body); n++) {
		if (hdr.type != IPC_REQUEST || hdr.len < sizeof hdr + sizeof q)
			continue;
		memcpy(&q, body, sizeof q);
		prefetch(&q, n == 0);
	}
}

static void frontend_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct role_env *env = ctx;
	unsigned i = frontend_index(ch);
	(void)env;
	if (i == FRONTEND_MAX)
		return;
	if (hdr->type == IPC_REQUEST) {
		worker_pin(&worker); // prefetching reads the index, too
		look_ahead(ch);
		request_arrived(&worker, i, hdr, body);
	} else if (hdr->type == IPC_HSS_ANSWER) {
		hss_request_answered(&worker, hdr, body);
	}
}

static void frontend_down(void *ctx, struct channel *ch, int why)
{
	(void)ctx;
	(void)why;
	unsigned i = frontend_index(ch);
	if (i < FRONTEND_MAX) {
		channel_free(&worker.frontend[i]);
		request_frontend_lost(&worker, i);
		hss_request_frontend_lost(&worker, i);
	}
	flush_all();
}

static const struct channel_ops frontend_ops = {
	.on_frame = frontend_frame, .on_batch = on_batch, .on_down = frontend_down};

static void loader_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	(void)ctx;
	(void)ch;
	link_frame(&worker, hdr, body);
}

static void loader_down(void *ctx, struct channel *ch, int why)
{
	(void)ctx;
	(void)ch;
	(void)why;
	channel_free(&worker.loader);
	request_loader_lost(&worker);
	flush_all();
}

static const struct channel_ops loader_ops = {.on_frame = loader_frame, .on_batch = on_batch, .on_down = loader_down};

// hss-admin asks workers nothing yet: their figures are in the control segment. The channel is kept for what comes.
static void admin_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	static const char refused[] = "{\"status\":2,\"error\":\"workers serve no such command\"}";
	(void)ctx;
	(void)body;
	if (hdr->type == IPC_ADMIN_CALL)
		channel_send(ch, IPC_ADMIN_END, hdr->id, refused, sizeof refused - 1);
}

static struct channel *admin_channel;

static void admin_down(void *ctx, struct channel *ch, int why)
{
	(void)ctx;
	(void)ch;
	(void)why;
	channel_free(&admin_channel);
}

static const struct channel_ops admin_ops = {.on_frame = admin_frame, .on_down = admin_down};

static void sweep(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	request_sweep(&worker);
}

static int init(struct role_env *env)
{
	static const struct timeval every = {.tv_sec = 5};
	int e = worker_init(&worker, &env->config, env->stats, worker_apps);
	worker.refusals = &env->control->refusals[env->index];
	if (e == 0)
		e = cache_open(&worker.cache, env->records_fd, env->sqn_fd, env->control, env->index);
	// mapped: what is not held can't be reopened for writing
	close(env->records_fd);
	close(env->sqn_fd);
	env->records_fd = env->sqn_fd = -1;
	if (e == 0 && (!(sweep_event = event_new(env->base, -1, EV_PERSIST, sweep, env)) || event_add(sweep_event, &every)))
		e = -ENOMEM;
	return e;
}

static void edge(struct role_env *env, enum role role, unsigned index, int fd)
{
	struct channel **at = role == ROLE_LOADER ? &worker.loader
			      : role == ROLE_FRONTEND && index < FRONTEND_MAX ? &worker.frontend[index]
									      : &admin_channel;
	const struct channel_ops *ops = role == ROLE_LOADER ? &loader_ops : role == ROLE_FRONTEND ? &frontend_ops : &admin_ops;
	if (*at) {
		channel_free(at);
		if (role == ROLE_FRONTEND) {
			request_frontend_lost(&worker, index);
			hss_request_frontend_lost(&worker, index);
		}
	}
	*at = channel_new_take(env->base, fd, CHANNEL_HIGH_WATER, ops, env);
	if (!*at) {
		log_error("no channel", LOG_STR("to", role_name(role)), LOG_STR("why", err_text(errno)));
		return;
	}
	channel_set_sides(*at, (enum ipc_side)role, IPC_SIDE_WORKER);
	if (role == ROLE_LOADER) {
		request_resume_all(&worker);
		flush_all();
	}
}

static void reload(struct role_env *env, const struct config *fresh)
{
	env->config = *fresh;
	worker.auth.test_algorithms = fresh->allow_xor;
	log_set_level((enum log_level)fresh->log_level);
}

// Frontends have stopped already, so requests that still wait for the loader need no answer.
static void stop(struct role_env *env)
{
	flush_all();
	role_stopped(env);
}

int main(int argc, char **argv)
{
	static const struct role_ops ops = {.init = init, .edge = edge, .reload = reload, .stop = stop};
	return role_main(argc, argv, ROLE_WORKER, &ops);
}

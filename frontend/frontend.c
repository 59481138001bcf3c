// One frontend: its tables, listeners, worker channels and clock tick (see frontend.h).
#include "frontend/frontend.h"
#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>
#include "frontend/admission.h"
#include "frontend/dial.h"
#include "frontend/hss_request.h"
#include "frontend/peer.h"
#include "frontend/peerlist.h"
#include "frontend/route.h"
#include "frontend/check.h"
#include "frontend/trace.h"
#include "frontend/worker_watch.h"
#include "lib/base/beat.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

// What this HSS serves: a line of apps.def each.
static const uint32_t applications[] = {
#define APP(number, folder, application) application,
#include "apps/apps.def"
#undef APP
};

uint64_t frontend_app_numbers(uint64_t mask)
{
	static const uint8_t number_of[] = {
#define APP(number, folder, application) number,
#include "apps/apps.def"
#undef APP
	};
	uint64_t numbers = 0;
	for (size_t i = 0; i < sizeof number_of; i++)
		numbers |= (mask >> i & 1) << number_of[i];
	return numbers;
}

static struct log_limit log_accept;

// ---- set-up --------------------------------------------------------------------------------------

// Addresses of the listeners, for connections that cannot tell their own end's.
static void announce_addresses(struct frontend *fe)
{
	for (uint32_t i = 0; i < fe->config->listen_cnt && fe->node.addr_cnt < BASE_ADDRS_MAX; i++) {
		struct base_addr *a = &fe->addrs[fe->node.addr_cnt];
		if (inet_pton(AF_INET, fe->config->listen[i].address, a->octets) == 1)
			a->len = 4;
		else if (inet_pton(AF_INET6, fe->config->listen[i].address, a->octets) == 1)
			a->len = 16;
		else
			continue;
		fe->node.addr_cnt++;
	}
}

static void identify(struct frontend *fe)
{
	uint64_t now_us = clock_wall_us();
	for (size_t i = 0; i < sizeof applications / sizeof applications[0]; i++) {
		grammar_enable(applications[i]);
		fe->apps[fe->app_cnt++] = applications[i];
	}
	fe->node = (struct base_node){
	    .host = slice_str(fe->config->host),
	    .realm = slice_str(fe->config->realm),
	    .product = slice_str("corehss"),
	    .origin_state_id = fe->control->origin_state_id,
	    .apps = fe->apps,
	    .app_cnt = fe->app_cnt,
	    .addrs = fe->addrs,
	};
	announce_addresses(fe);
	// unique for 4 minutes, across restarts and beside the other frontends (RFC 6733 3)
	fe->next_end =
	    (uint32_t)(now_us / 1000000) << 20 | (uint32_t)((now_us * 31 + fe->index * 0x8001u) & 0xfffff);
	fe->next_hop = (uint32_t)(now_us * 2654435761u);
}

// What is due of the connections, a part of them in each turn of the event loop.
static void look_at_deadlines(struct frontend *fe)
{
	const struct timeval next_turn = {0};
	if (conn_tick_all(fe, fe->now_us / 1000))
		event_add(&fe->due_event, &next_turn);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
	struct frontend *fe = arg;
	(void)fd, (void)what;
	fe->now_us = clock_mono_us();
	look_at_deadlines(fe);
	frontend_flush(fe);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	frontend_tick(arg);
}

int frontend_init(struct frontend *fe, const struct config *config, struct event_base *base,
		  struct control *control, struct stats_block *stats, unsigned index, unsigned worker_cnt)
{
	struct timeval tick = {.tv_usec = FRONTEND_TICK_MS * 1000};
	if (worker_cnt > WORKER_MAX)
		return -EINVAL;
	*fe = (struct frontend){.config = config,
				.base = base,
				.control = control,
				.stats = stats,
				.index = index,
				.worker_cnt = worker_cnt,
				.now_us = clock_mono_us()};
	for (unsigned i = 0; i < worker_cnt; i++)
		fe->worker[i] = (struct frontend_worker){.fe = fe, .index = i};
	identify(fe);
	check_init();
	int err = conn_table_init(&fe->conns, config->max_connections);
	err = err ? err : fair_init(&fe->fair, config->max_connections);
	fe->route = route_new();
	fe->hss_sent = hss_sent_new();
	if (err || !fe->route || !fe->hss_sent || trace_new(fe) || peerlist_new(fe) || dial_new(fe)) {
		frontend_fini(fe);
		return -ENOMEM;
	}
	event_assign(&fe->due_event, base, -1, 0, on_due, fe);
	event_assign(&fe->tick_event, base, -1, EV_PERSIST, on_tick, fe);
	event_add(&fe->tick_event, &tick);
	return 0;
}

static void listeners_close(struct frontend *fe)
{
	for (uint32_t i = 0; i < fe->listener_cnt; i++) {
		event_del(&fe->listener[i].event);
		close(fe->listener[i].fd);
	}
	fe->listener_cnt = 0;
}

void frontend_fini(struct frontend *fe)
{
	if (event_initialized(&fe->tick_event)) {
		event_del(&fe->tick_event);
		event_del(&fe->due_event);
	}
	listeners_close(fe);
	conn_table_fini(&fe->conns);
	handshake_stop(fe);
	for (uint32_t i = 0; i < fe->worker_cnt; i++)
		channel_free(&fe->worker[i].channel);
	peerlist_free(fe);
	dial_free(fe);
	trace_free(fe);
	hss_sent_free(&fe->hss_sent);
	fair_fini(&fe->fair);
	route_free(&fe->route);
}

int frontend_app_index(const struct frontend *fe, uint32_t app)
{
	for (uint32_t i = 0; i < fe->app_cnt; i++)
		if (fe->apps[i] == app)
			return (int)i;
	return -1;
}

uint32_t frontend_conn_cnt(const struct frontend *fe)
{
	return fe->conns.cap - fe->conns.free_cnt;
}

// ---- listeners -----------------------------------------------------------------------------------

static bool may_accept(const struct frontend *fe)
{
	return fe->conns.free_cnt && frontend_conn_cnt(fe) < fe->config->max_connections && !fe->stopping;
}

static void set_accepting(struct frontend_listener *l, bool on)
{
	if (l->accepting == on)
		return;
	l->accepting = on;
	if (on)
		event_add(&l->event, NULL);
	else
		event_del(&l->event);
}

// One connection a turn of the event loop: those that are there need not wait for more than that. A full
// frontend leaves what comes next to the others, or in the queue.
static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct frontend_listener *l = arg;
	struct transport t;
	(void)what;
	if (!may_accept(l->fe)) {
		set_accepting(l, false);
		return;
	}
	int err = l->ops->accept(fd, &t);
	if (err == 0)
		conn_open_take(l->fe, &t);
	if (err == 0 || err == -EAGAIN)
		return;
	// out of descriptors or memory: the tick tries again; anything else was this one connection's
	if (log_limit_pass(&log_accept, 1))
		log_warn("accept_failed", LOG_STR("error", err_text(err)));
	if (err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM)
		set_accepting(l, false);
}

int frontend_listen_take(struct frontend *fe, const struct transport_ops *ops, int fd)
{
	if (!ops || fe->listener_cnt == CONFIG_LISTEN_MAX || evutil_make_socket_nonblocking(fd)) {
		close(fd);
		return -EINVAL;
	}
	struct frontend_listener *l = &fe->listener[fe->listener_cnt++];
	*l = (struct frontend_listener){.fe = fe, .ops = ops, .fd = fd};
	event_assign(&l->event, fe->base, fd, EV_READ | EV_PERSIST, on_accept, l);
	set_accepting(l, true);
	return 0;
}

static void listeners_resume(struct frontend *fe)
{
	for (uint32_t i = 0; i < fe->listener_cnt && may_accept(fe); i++)
		set_accepting(&fe->listener[i], true);
}

void frontend_conn_closed(struct frontend *fe)
{
	listeners_resume(fe);
}

// ---- workers -------------------------------------------------------------------------------------

static void worker_frame(void *ctx, struct channel *ch, const struct ipc_hdr *hdr, const uint8_t *body)
{
	struct frontend_worker *w = ctx;
	(void)ch;
	if (!w->fe->in_batch) {
		w->fe->in_batch = true;
		w->fe->now_us = clock_mono_us();
	}
	if (hdr->type == IPC_ANSWER)
		route_answer(w->fe, w, hdr, body);
	else if (hdr->type == IPC_HSS_REQUEST)
		hss_sent_send(w->fe, w, hdr, body);
}

static void worker_batch(void *ctx, struct channel *ch)
{
	struct frontend_worker *w = ctx;
	(void)ch;
	w->fe->in_batch = false;
	fair_resume_all(w->fe);
	frontend_flush(w->fe);
}

static void worker_down(void *ctx, struct channel *ch, int why)
{
	struct frontend_worker *w = ctx;
	struct frontend *fe = w->fe;
	(void)ch;
	if (!fe->stopping)
		log_warn("worker_channel_down", LOG_INT("worker", w->index),
			 LOG_STR("reason", why ? err_text(why) : "ended"));
	channel_free(&w->channel);
	w->silent = false;
	fe->in_batch = false;
	fe->now_us = clock_mono_us();
	route_worker_lost(fe, w->index);
	hss_sent_worker_lost(fe, w->index);
	fair_resume_all(fe);
	frontend_flush(fe);
}

static const struct channel_ops worker_ops = {
    .on_frame = worker_frame,
    .on_batch = worker_batch,
    .on_down = worker_down,
};

void frontend_worker_take(struct frontend *fe, unsigned index, int fd)
{
	if (index >= fe->worker_cnt) {
		close(fd);
		return;
	}
	struct frontend_worker *w = &fe->worker[index];
	if (w->channel)
		worker_down(w, w->channel, 0);
	w->channel = channel_new_take(fe->base, fd, FRONTEND_WORKER_WATER, &worker_ops, w);
	if (!w->channel)
		log_error("worker_channel_failed", LOG_INT("worker", index),
			  LOG_STR("error", err_text(errno)));
	else
		channel_set_sides(w->channel, IPC_SIDE_WORKER, IPC_SIDE_FRONTEND);
}

void frontend_flush(struct frontend *fe)
{
	beat();
	conn_flush_all(fe);
	for (uint32_t i = 0; i < fe->worker_cnt; i++) {
		struct frontend_worker *w = &fe->worker[i];
		if (w->dirty && w->channel)
			channel_flush(w->channel);
		w->dirty = false;
	}
}

// ---- reload, stop, time --------------------------------------------------------------------------

// Checks a connected peer against the new configuration. A peer that is no longer let in is disconnected in
// order. If it is listed with other demands than it meets now, the DPR says REBOOTING, so that it comes again
// and meets them.
static void readmit(struct frontend *fe, struct conn *c)
{
	const char *why = NULL;
	if (!peer_is_open(c) || admission_again(c, &why) == 0)
		return;
	struct slice host = slice_of(c->host, c->host_len);
	log_info("peer_not_admitted_any_more", LOG_SLICE("peer", host), LOG_STR("reason", why));
	peer_stop(c, config_peer_find(fe->config, host) ? BASE_REBOOTING : BASE_DO_NOT_WANT_TO_TALK_TO_YOU);
}

void frontend_reload(struct frontend *fe)
{
	for (uint32_t i = 0; i < fe->conns.high; i++) {
		struct conn *c = &fe->conns.conn[i];
		if (!c->used)
			continue;
		admission_configure(c);
		readmit(fe, c);
	}
	dial_configure(fe);
	frontend_flush(fe);
	listeners_resume(fe);
}

static void stopped(struct frontend *fe)
{
	void (*done)(void *) = fe->on_stopped;
	fe->on_stopped = NULL;
	if (done)
		done(fe->stopped_ctx);
}

static void stop_step(struct frontend *fe, uint64_t now_ms)
{
	for (uint32_t i = 0; i < fe->conns.high && now_ms - fe->stop_ms >= FRONTEND_STOP_MS; i++)
		if (fe->conns.conn[i].used)
			conn_close(&fe->conns.conn[i], "stopping");
	if (frontend_conn_cnt(fe) == 0)
		stopped(fe);
}

void frontend_stop(struct frontend *fe, void (*done)(void *ctx), void *ctx)
{
	fe->on_stopped = done;
	fe->stopped_ctx = ctx;
	if (fe->stopping)
		return;
	fe->stopping = true;
	fe->stop_ms = clock_mono_ms();
	listeners_close(fe);
	for (uint32_t i = 0; i < fe->conns.high; i++)
		if (fe->conns.conn[i].used)
			peer_stop(&fe->conns.conn[i], BASE_REBOOTING);
	frontend_flush(fe);
	stop_step(fe, fe->stop_ms);
}

void frontend_tick(struct frontend *fe)
{
	fe->now_us = clock_mono_us();
	uint64_t now_ms = fe->now_us / 1000;
	look_at_deadlines(fe);
	worker_watch_tick(fe, now_ms);
	route_tick(fe, fe->now_us);
	hss_sent_tick(fe, now_ms);
	trace_tick(fe, now_ms);
	dial_tick(fe, now_ms);
	fair_resume_all(fe);
	stat_set(fe->stats, STAT_PENDING, route_pending(fe));
	if (now_ms - fe->directory_ms >= 1000) {
		fe->directory_ms = now_ms;
		for (uint32_t i = 0; i < fe->conns.high; i++)
			if (fe->conns.conn[i].used) {
				peer_publish(&fe->conns.conn[i]);
				fair_second(&fe->conns.conn[i]);
			}
		listeners_resume(fe);
	}
	if (fe->stopping && fe->on_stopped)
		stop_step(fe, now_ms);
	frontend_flush(fe);
}

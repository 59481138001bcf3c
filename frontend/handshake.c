// Handshakes off the event loop (see handshake.h). Runs in hss-frontend.
#include "frontend/handshake.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include "frontend/frontend.h"

#define NICENESS 10 // under full load a tenth of a processor, as Linux weighs it

struct handshake {
	struct event finished; // a step: on `fd`
	int fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;

	// under `lock`
	struct transport *job; // NULL: the thread may have the next one
	bool connecting;
	int result;
	bool ready, stop;

	// the loop's
	struct conn *now; // whose step it is, or was given up: then NULL until the thread has returned it
	bool handed;      // a job, whose result was not taken
	uint32_t *queue;  // a ring of `cap` connections
	uint32_t head, cnt, cap;
};

// ---- the thread ----------------------------------------------------------------------------------

static int step(struct transport *t, bool connecting)
{
	uint8_t none;
	return connecting ? t->ops->establish(t) : (int)t->ops->recv(t, &none, 0);
}

static void *run(void *arg)
{
	struct handshake *s = arg;
	const uint64_t one = 1;
	(void)setpriority(PRIO_PROCESS, 0, NICENESS); // Linux: of this thread
	pthread_mutex_lock(&s->lock);
	s->ready = true;
	pthread_cond_broadcast(&s->changed);
	while (!s->stop) {
		if (!s->job) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		int result = step(s->job, s->connecting);
		pthread_mutex_lock(&s->lock);
		s->result = result;
		s->job = NULL;
		pthread_cond_broadcast(&s->changed);
		if (write(s->fd, &one, sizeof one) < 0)
			bug("eventfd: %s", err_text(errno));
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

// ---- the loop ------------------------------------------------------------------------------------

static void hand_over(struct frontend *fe)
{
	struct handshake *s = fe->handshake;
	if (s->handed || s->cnt == 0)
		return;
	s->now = &fe->conns.conn[s->queue[s->head]];
	s->head = (s->head + 1) % s->cap;
	s->cnt--;
	s->handed = true;
	pthread_mutex_lock(&s->lock);
	s->job = &s->now->transport;
	s->connecting = conn_connects(s->now);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void on_finished(evutil_socket_t fd, short what, void *arg)
{
	struct frontend *fe = arg;
	struct handshake *s = fe->handshake;
	uint64_t cnt;
	(void)what;
	if (read(fd, &cnt, sizeof cnt) < 0)
		return;
	struct conn *c = s->now;
	int result = s->result; // its write is before that of the eventfd
	s->now = NULL;
	s->handed = false;
	hand_over(fe);
	if (c)
		conn_shaken(c, result);
}

bool handshake_take(struct conn *c)
{
	struct handshake *s = c->fe->handshake;
	if (!s)
		return false;
	s->queue[(s->head + s->cnt++) % s->cap] = c->index;
	hand_over(c->fe);
	return true;
}

void handshake_give_up(struct conn *c)
{
	struct handshake *s = c->fe->handshake;
	uint32_t kept = 0;
	if (s->now == c) {
		pthread_mutex_lock(&s->lock);
		while (s->job)
			pthread_cond_wait(&s->changed, &s->lock);
		pthread_mutex_unlock(&s->lock);
		s->now = NULL;
		return;
	}
	for (uint32_t i = 0; i < s->cnt; i++) {
		uint32_t index = s->queue[(s->head + i) % s->cap];
		if (index != c->index)
			s->queue[(s->head + kept++) % s->cap] = index;
	}
	s->cnt = kept;
}

// ---- life ----------------------------------------------------------------------------------------

static int thread_start(struct handshake *s)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return -err;
	// what a thread asks of the kernel as it starts, the sandbox would not let it
	pthread_mutex_lock(&s->lock);
	while (!s->ready)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int handshake_start(struct frontend *fe)
{
	struct handshake *s = calloc(1, sizeof *s);
	uint32_t *queue = malloc(fe->conns.cap * sizeof *queue);
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int err = !s || !queue ? -ENOMEM : fd < 0 ? -errno : 0;
	if (!err) {
		*s = (struct handshake){.fd = fd, .queue = queue, .cap = fe->conns.cap};
		pthread_mutex_init(&s->lock, NULL);
		pthread_cond_init(&s->changed, NULL);
		err = thread_start(s);
	}
	if (err) {
		free(s);
		free(queue);
		if (fd >= 0)
			close(fd);
		return err;
	}
	event_assign(&s->finished, fe->base, fd, EV_READ | EV_PERSIST, on_finished, fe);
	event_add(&s->finished, NULL);
	fe->handshake = s;
	return 0;
}

void handshake_stop(struct frontend *fe)
{
	struct handshake *s = fe->handshake;
	if (!s)
		return;
	fe->handshake = NULL;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	event_del(&s->finished);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	close(s->fd);
	free(s->queue);
	free(s);
}

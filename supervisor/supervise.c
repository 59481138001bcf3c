// A silent role is a dead role. Each process raises its heartbeat in the control segment (lib/base/beat.h); one whose word
// stands still for supervision.silence_ms is killed, and what follows is what follows any death (reap.c): its epoch, its share
// of the SQNs and its pending requests are freed, and it is started again. hssd.
//
// Time is counted in looks, not read from a clock: a look that comes late adds no more than two regular ones, and one that
// comes very late (hssd was stopped, the machine slept) forgives everybody, since nobody knows whether the others could run.
// A role that is still starting has more time: it may have to recover a database.
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "supervisor/hssd.h"

#define LOOK_MS	     100
#define LATE_MS	     1000  // after so long hssd itself was away
#define STARTING_MS  60000 // at least, before READY

static struct {
	struct event *timer;
	uint64_t last_ms;
} looks;

static uint32_t limit_ms(const struct instance *in)
{
	const struct config *c = &in->h->config;
	uint32_t limit = in->role == ROLE_LOADER ? c->loader_silence_ms : c->silence_ms;
	return in->ready || limit > STARTING_MS ? limit : STARTING_MS;
}

static void look_at(struct instance *in, uint32_t step_ms)
{
	struct control_role *row = &in->h->control->role[control_instance(in->role, in->index)];
	uint64_t beat = __atomic_load_n((uint64_t *)&row->beat, __ATOMIC_RELAXED) + in->told_beats;

	in->silent_ms = beat == in->beat ? in->silent_ms + step_ms : 0;
	in->beat = beat;
	__atomic_store_n((uint32_t *)&row->silent_ms, in->silent_ms, __ATOMIC_RELAXED);
	if (in->silent_ms < limit_ms(in))
		return;
	log_error("role_silent", LOG_STR("role", in->name), LOG_INT("pid", in->pid), LOG_INT("silent_ms", in->silent_ms));
	row->silences++;
	in->silent_ms = 0;
	spawn_kill(in, "silent");
}

void supervise_look(struct hssd *h, uint64_t now_ms)
{
	uint64_t step_ms = now_ms - looks.last_ms;
	bool forgive = looks.last_ms == 0 || step_ms >= LATE_MS;
	looks.last_ms = now_ms;
	if (step_ms > 2 * LOOK_MS)
		step_ms = 2 * LOOK_MS;
	for (unsigned i = 0; i < h->instance_cnt; i++) {
		if (forgive)
			h->instance[i].silent_ms = 0;
		else if (h->instance[i].pid)
			look_at(&h->instance[i], (uint32_t)step_ms);
	}
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	supervise_look(arg, clock_mono_ms());
}

bool supervise_start(struct hssd *h)
{
	static const struct timeval every = {.tv_usec = LOOK_MS * 1000};
	looks.timer = event_new(h->base, -1, EV_PERSIST, on_look, h);
	return looks.timer && event_add(looks.timer, &every) == 0;
}
